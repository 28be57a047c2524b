//! Segments of one direction that wait for what comes before them.
//!
//! In: bytes at offsets. Out: the first of them, once its turn has come. Guaranteed: Linux's rule
//! (`tcp_data_queue_ofo`): the segment that starts first wins, one that covers another whole replaces
//! it, one that is covered adds nothing; neighbours that touch are merged and count as one segment from
//! then on (`tcp_ooo_try_coalesce`); differing bytes in an overlap mark both. An insertion looks at
//! its own bytes a bounded number of times and costs O(log n) besides. Left to `half`: sequence
//! numbers, and when to give a hole up.
//!
//! Linux merges where its memory allows it: nearly always what a network card delivers, never what
//! comes over the loopback interface; and where one run ends and another begins or goes on at the first
//! byte of a new segment, by the shape of its tree (here the run that starts later decides). Only
//! where overlapping bytes differ can that be seen, and such are marked.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{Anomalies, Anomaly, Piece, SeqNum, Timestamp};

/// Offsets start here and not at 0, so that bytes before the first one have an offset too.
const FIRST_OFFSET: u64 = 1 << 33;

/// Segments in a node of the map at most, and at least where there is more than one node.
const NODE: (usize, usize) = (11, 5);

/// Memory of a node, in bytes: its runs, links to others above and below, the allocation.
const NODE_BYTES: usize = NODE.0 * (size_of::<Run>() + 16) + 40;

/// What a run costs beyond its share of a node and its buffers: their allocations.
const RUN_OVERHEAD: usize = 32;

/// Runs are not merged beyond this length, so that making room for more copies little.
const MAX_RUN: usize = 64 << 10;

/// A segment, or what is left of it, within a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Where its bytes begin in the run.
    start: usize,
    /// Packet time of the segment.
    pub at: Timestamp,
    /// When it began to wait, on the reassembler's own clock.
    pub since: Timestamp,
    /// Whether its first byte is the first of a segment.
    pub segment_start: bool,
    /// Whether another segment had other bytes at the same place.
    pub conflict: bool,
    /// What its sender had acknowledged: those bytes of the other side come first.
    pub after: Option<SeqNum>,
}

/// A segment's bytes that wait for what comes before them.
#[derive(Debug)]
pub(super) struct Held {
    pub mark: Mark,
    pub bytes: Vec<u8>,
}

/// Segments that touch: one segment, to Linux.
#[derive(Debug, Default)]
struct Run {
    bytes: Vec<u8>,
    marks: VecDeque<Mark>,
}

impl Run {
    fn memory(&self) -> usize {
        let marks = self.marks.capacity().saturating_mul(size_of::<Mark>());
        self.bytes.capacity().saturating_add(marks).saturating_add(RUN_OVERHEAD)
    }

    /// Bytes that were not taken yet.
    fn left(&self) -> usize {
        let gone = self.marks.front().map_or(0, |mark| mark.start);
        self.bytes.len().saturating_sub(gone)
    }

    /// Notes that a segment had other bytes between these two.
    fn mark_conflict(&mut self, from: usize, to: usize) {
        let first = self.marks.partition_point(|mark| mark.start <= from).saturating_sub(1);
        for mark in self.marks.range_mut(first..).take_while(|mark| mark.start < to) {
            mark.conflict = true;
        }
    }
}

/// Where the bytes of an arrival went. Sums to its length, but for what it replaced.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// Seen before.
    pub duplicate: usize,
    /// Not of this stream.
    pub refused: usize,
    /// Waiting now.
    pub held: usize,
    /// Bytes that had been held and were replaced by this arrival.
    pub replaced: usize,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Waiting {
    runs: BTreeMap<u64, Run>,
    /// Bytes that wait.
    bytes: usize,
    /// Memory of the runs.
    memory: usize,
    /// Offset of the next byte to deliver.
    here: u64,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { runs: BTreeMap::new(), bytes: 0, memory: 0, here: FIRST_OFFSET }
    }
}

impl Waiting {
    /// Memory held, in bytes, overhead included.
    pub fn memory(&self) -> usize {
        let len = self.runs.len();
        let nodes = if len <= NODE.0 { len.min(1) } else { 1 + len / NODE.1 };
        self.memory.saturating_add(nodes.saturating_mul(NODE_BYTES))
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Forgets all that waits, and says how many bytes that was.
    pub fn clear(&mut self) -> u64 {
        let here = self.here;
        let gone = std::mem::replace(self, Self { here, ..Self::default() });
        gone.bytes()
    }

    /// Offset of a byte that lies so far from the next one to deliver.
    pub fn offset(&self, ahead: i32) -> u64 {
        self.here.wrapping_add_signed(i64::from(ahead))
    }

    /// The stream went on by so many bytes.
    pub fn pass(&mut self, bytes: u64) {
        self.here = self.here.wrapping_add(bytes);
    }

    /// The next byte to deliver is an earlier one.
    pub fn rewind(&mut self, bytes: u64) {
        self.here = self.here.wrapping_sub(bytes);
    }

    /// Length of the hole before the first segment; 0 when it is next in line.
    pub fn hole(&self) -> u64 {
        self.runs.first_key_value().map_or(0, |(start, _)| start.saturating_sub(self.here))
    }

    /// The first segment, next in line or not.
    pub fn first(&self) -> Option<&Mark> {
        self.runs.first_key_value().and_then(|(_, run)| run.marks.front())
    }

    /// Takes the first segment, if it is next in line; where it has more than `limit` new bytes, the
    /// rest stays.
    ///
    /// Returns it with the number of its leading bytes that were delivered before (overlap with an
    /// earlier segment) and the number left, which is 0 when another covered it.
    pub fn take_first(&mut self, limit: usize) -> Option<(Held, usize, usize)> {
        let mut entry = self.runs.first_entry().filter(|entry| *entry.key() <= self.here)?;
        let delivered = self.here.wrapping_sub(*entry.key());
        let run = entry.get_mut();
        let before = run.memory();
        let mark = *run.marks.front()?;
        let end = run.marks.get(1).map_or(run.bytes.len(), |next| next.start);
        let seen = usize::try_from(delivered).unwrap_or(usize::MAX).clamp(mark.start, end);
        let to = end.min(seen.saturating_add(limit));
        let is_whole = mark.start == 0 && to == run.bytes.len();
        let bytes = match is_whole {
            true => std::mem::take(&mut run.bytes),
            false => run.bytes.get(mark.start..to).unwrap_or_default().to_vec(),
        };
        if to < end
            && let Some(rest) = run.marks.front_mut()
        {
            (rest.start, rest.segment_start) = (to, false);
        } else {
            run.marks.pop_front();
        }
        let after = run.memory();
        self.memory = self.memory.saturating_sub(before);
        if run.marks.is_empty() {
            entry.remove();
        } else {
            self.memory = self.memory.saturating_add(after);
        }
        self.bytes = self.bytes.saturating_sub(bytes.len());
        Some((Held { mark, bytes }, seen.saturating_sub(mark.start), to.saturating_sub(seen)))
    }

    /// Linux's rule. An overlap with an earlier segment is cut off only at delivery, as there: the
    /// place in line is by the segment's own start.
    pub fn insert(&mut self, start: u64, bytes: &[u8], mut mark: Mark) -> Placed {
        let mut placed = Placed::default();
        let end = start.wrapping_add(bytes.len() as u64);
        let here = self.here;
        if let Some((&before, run)) = self.runs.range_mut(..=start).next_back() {
            let before_end = before.wrapping_add(run.bytes.len() as u64);
            mark.conflict |= compare(run, before, bytes, start);
            if end <= before_end {
                placed.duplicate = bytes.len();
                return placed;
            }
            // Next in line and only waiting for the other side's bytes: its receiver has it already,
            // so it is neither replaced nor overtaken.
            if before <= here && start < before_end {
                let seen = usize::try_from(before_end.wrapping_sub(start)).unwrap_or(usize::MAX);
                let rest = bytes.get(seen..).unwrap_or_default();
                mark.segment_start = false;
                placed = self.insert(before_end, rest, mark);
                placed.duplicate = placed.duplicate.saturating_add(seen);
                return placed;
            }
            if start == before_end && run.bytes.len().saturating_add(bytes.len()) <= MAX_RUN {
                return self.append(before, bytes, mark);
            }
        }
        // Runs covered whole by the new one are replaced by it.
        while let Some((&next, run)) = self.runs.range_mut(start..end).next() {
            mark.conflict |= compare(run, next, bytes, start);
            if next.wrapping_add(run.bytes.len() as u64) > end {
                break;
            }
            mark.conflict |= run.marks.iter().any(|mark| mark.conflict);
            let Some(run) = self.runs.remove(&next) else { break };
            self.bytes = self.bytes.saturating_sub(run.left());
            self.memory = self.memory.saturating_sub(run.memory());
            placed.replaced = placed.replaced.saturating_add(run.left());
        }
        let mut marks = VecDeque::with_capacity(1);
        marks.push_back(Mark { start: 0, ..mark });
        let run = Run { bytes: bytes.into(), marks };
        placed.held = bytes.len();
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.memory = self.memory.saturating_add(run.memory());
        self.runs.insert(start, run);
        placed
    }

    /// Merges a segment with the run that it touches. What it overlaps behind that stays, as in Linux.
    fn append(&mut self, at: u64, bytes: &[u8], mut mark: Mark) -> Placed {
        let len = self.runs.get(&at).map_or(0, |run| run.bytes.len());
        let start = at.wrapping_add(len as u64);
        let end = start.wrapping_add(bytes.len() as u64);
        if let Some((&next, run)) = self.runs.range_mut(start..end).next() {
            mark.conflict |= compare(run, next, bytes, start);
        }
        let Some(run) = self.runs.get_mut(&at) else { return Placed::default() };
        let before = run.memory();
        run.marks.push_back(Mark { start: len, ..mark });
        run.bytes.extend_from_slice(bytes);
        self.memory = self.memory.saturating_sub(before).saturating_add(run.memory());
        self.bytes = self.bytes.saturating_add(bytes.len());
        Placed { held: bytes.len(), ..Placed::default() }
    }
}

/// Whether a run and a segment disagree about bytes that they share; the run is marked if so.
fn compare(run: &mut Run, run_start: u64, bytes: &[u8], start: u64) -> bool {
    let skip = |from: u64| usize::try_from(from).unwrap_or(usize::MAX);
    let (in_run, in_bytes) = match start.checked_sub(run_start) {
        Some(ahead) => (skip(ahead), 0),
        None => (0, skip(run_start.wrapping_sub(start))),
    };
    let theirs = run.bytes.get(in_run..).unwrap_or_default();
    let ours = bytes.get(in_bytes..).unwrap_or_default();
    let shared = theirs.len().min(ours.len());
    if theirs.get(..shared) == ours.get(..shared) {
        return false;
    }
    run.mark_conflict(in_run, in_run.saturating_add(shared));
    true
}

impl Mark {
    /// A segment that begins to wait.
    pub fn new(
        at: Timestamp,
        since: Timestamp,
        segment_start: bool,
        after: Option<SeqNum>,
    ) -> Self {
        Self { start: 0, at, since, segment_start, conflict: false, after }
    }
}

impl Held {
    /// As a piece for the reader, without the bytes delivered before.
    pub fn piece(&self, seen: usize) -> Piece<'_> {
        let mut anomalies = Anomalies::default();
        if self.mark.conflict {
            anomalies.insert(Anomaly::OverlapConflict);
        }
        Piece {
            at: self.mark.at,
            bytes: self.bytes.get(seen..).unwrap_or_default(),
            segment_start: self.mark.segment_start && seen == 0,
            anomalies,
        }
    }
}
