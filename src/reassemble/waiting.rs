//! Segments of one direction that wait for what comes before them.
//!
//! In: bytes at offsets. Out: the first of them, once its turn has come. Guaranteed: Linux's rule
//! (`tcp_data_queue_ofo`): the segment that starts first wins, one that covers another whole replaces
//! it, one that is covered adds nothing; differing bytes in an overlap mark both. An insertion looks
//! at its own bytes a bounded number of times and costs O(log n) besides. Left to `half`: sequence
//! numbers, and when to give a hole up.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::model::{Piece, SeqNum, Timestamp};

/// Offsets start here and not at 0, so that bytes before the first one have an offset too.
const FIRST_OFFSET: u64 = 1 << 33;

/// What a waiting segment costs beyond its bytes: the map's node and the allocation.
const HELD_OVERHEAD: usize = 112;

/// A segment's bytes that wait for what comes before them.
#[derive(Debug)]
pub(super) struct Held {
    /// Packet time of the segment.
    pub at: Timestamp,
    /// When it began to wait, on the reassembler's own clock.
    pub since: Timestamp,
    /// What waits.
    pub bytes: Box<[u8]>,
    /// Whether its first byte is the first of a segment.
    pub segment_start: bool,
    /// Whether another segment had other bytes at the same place.
    pub conflict: bool,
    /// What its sender had acknowledged: those bytes of the other side come first.
    pub after: Option<SeqNum>,
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
    pieces: BTreeMap<u64, Held>,
    bytes: usize,
    /// Offset of the next byte to deliver.
    here: u64,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { pieces: BTreeMap::new(), bytes: 0, here: FIRST_OFFSET }
    }
}

impl Waiting {
    /// Memory held, in bytes, overhead included.
    pub fn memory(&self) -> usize {
        self.bytes.saturating_add(self.pieces.len().saturating_mul(HELD_OVERHEAD))
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Offset of a byte that lies so far from the next one to deliver.
    pub fn offset(&self, ahead: i32) -> u64 {
        self.here.wrapping_add_signed(i64::from(ahead))
    }

    /// The stream went on by so many bytes.
    pub fn pass(&mut self, bytes: u64) {
        self.here = self.here.wrapping_add(bytes);
    }

    /// Length of the hole before the first segment; 0 when it is next in line.
    pub fn hole(&self) -> u64 {
        self.pieces.first_key_value().map_or(0, |(start, _)| start.saturating_sub(self.here))
    }

    /// The first segment, next in line or not.
    pub fn first(&self) -> Option<&Held> {
        self.pieces.first_key_value().map(|(_, held)| held)
    }

    /// Takes the first segment, if it is next in line; where it has more than `limit` new bytes, the
    /// rest stays.
    ///
    /// Returns it with the number of its leading bytes that were delivered before (overlap with an
    /// earlier segment) and the number left, which is 0 when another covered it.
    pub fn take_first(&mut self, limit: usize) -> Option<(Held, usize, usize)> {
        let entry = self.pieces.first_entry()?;
        let start = *entry.key();
        if start > self.here {
            return None;
        }
        let mut held = entry.remove();
        let seen = usize::try_from(self.here.wrapping_sub(start)).unwrap_or(usize::MAX);
        let seen = seen.min(held.bytes.len());
        self.keep_rest(start, seen.saturating_add(limit), &mut held);
        self.bytes = self.bytes.saturating_sub(held.bytes.len());
        let left = held.bytes.len().saturating_sub(seen);
        Some((held, seen, left))
    }

    /// Puts back what of a segment lies behind its first `len` bytes, unless something is there.
    fn keep_rest(&mut self, start: u64, len: usize, held: &mut Held) {
        let Some((first, rest)) = held.bytes.split_at_checked(len) else { return };
        let Entry::Vacant(place) = self.pieces.entry(start.wrapping_add(len as u64)) else {
            return;
        };
        if rest.is_empty() || first.is_empty() {
            return;
        }
        place.insert(Held { bytes: rest.into(), segment_start: false, ..*held });
        held.bytes = first.into();
    }

    /// Linux's rule. An overlap with an earlier segment is cut off only at delivery, as there: the
    /// place in line is by the segment's own start.
    pub fn insert(&mut self, start: u64, mut new: Held) -> Placed {
        let mut placed = Placed::default();
        let end = start.wrapping_add(new.bytes.len() as u64);
        let here = self.here;
        if let Some((&before, held)) = self.pieces.range_mut(..=start).next_back() {
            let before_end = before.wrapping_add(held.bytes.len() as u64);
            if before_end > start && differ(before, &held.bytes, start, &new.bytes) {
                held.conflict = true;
                new.conflict = true;
            }
            if end <= before_end {
                placed.duplicate = new.bytes.len();
                return placed;
            }
            // Next in line and only waiting for the other side's bytes: its receiver has it already,
            // so it is not replaced.
            if before == start && before <= here {
                return self.insert_behind(before_end, start, new);
            }
        }
        // Segments covered whole by the new one are replaced by it.
        while let Some((&next, held)) = self.pieces.range_mut(start..end).next() {
            let held_len = held.bytes.len();
            let is_covered = next.wrapping_add(held_len as u64) <= end;
            let conflict = differ(start, &new.bytes, next, &held.bytes);
            new.conflict |= conflict || (is_covered && held.conflict);
            held.conflict |= conflict;
            if !is_covered {
                break;
            }
            self.pieces.remove(&next);
            self.bytes = self.bytes.saturating_sub(held_len);
            placed.replaced = placed.replaced.saturating_add(held_len);
        }
        placed.held = new.bytes.len();
        self.bytes = self.bytes.saturating_add(new.bytes.len());
        self.pieces.insert(start, new);
        placed
    }

    /// Inserts what of a segment lies behind `from`.
    fn insert_behind(&mut self, from: u64, start: u64, mut new: Held) -> Placed {
        let seen = usize::try_from(from.wrapping_sub(start)).unwrap_or(usize::MAX);
        new.bytes = new.bytes.get(seen..).unwrap_or_default().into();
        new.segment_start = false;
        let mut placed = self.insert(from, new);
        placed.duplicate = placed.duplicate.saturating_add(seen);
        placed
    }
}

/// Whether two segments disagree about the bytes they share; `a` starts first.
fn differ(a_start: u64, a: &[u8], b_start: u64, b: &[u8]) -> bool {
    let skip = usize::try_from(b_start.wrapping_sub(a_start)).unwrap_or(usize::MAX);
    let shared_a = a.get(skip..).unwrap_or_default();
    let shared = shared_a.len().min(b.len());
    shared_a.get(..shared) != b.get(..shared)
}

impl Held {
    /// As a piece for the reader, without the bytes delivered before.
    pub fn piece(&self, seen: usize) -> Piece<'_> {
        Piece {
            at: self.at,
            bytes: self.bytes.get(seen..).unwrap_or_default(),
            segment_start: self.segment_start && seen == 0,
            conflict: self.conflict,
        }
    }
}
