//! One direction of a connection in sequence space: what was delivered, what waits, what is missing.
//!
//! In: the bytes of segments at their sequence numbers. Out: pieces in order, and the length of the
//! hole in front. Guaranteed: delivered bytes stand; among waiting segments Linux's rule holds
//! (`tcp_data_queue_ofo`): the one that starts first wins, one that covers another whole replaces it.
//! Any order of insertion costs at most O(log n). Left to `flow`: when to give a hole up.

use std::collections::BTreeMap;

use crate::model::{Piece, SeqNum, Timestamp};

/// Offsets start here and not at 0, so that bytes before the first one have an offset too.
const FIRST_OFFSET: u64 = 1 << 33;

/// What a waiting segment costs beyond its bytes: the map's node and the allocation.
const HELD_OVERHEAD: usize = 96;

/// Segments further ahead than this lie outside any window (RFC 7323: at most 2^30 bytes).
pub(super) const MAX_WINDOW: i32 = 1 << 30;

/// A segment's bytes that wait for what comes before them.
#[derive(Debug)]
pub(super) struct Held {
    pub at: Timestamp,
    pub bytes: Box<[u8]>,
    pub segment_start: bool,
    pub conflict: bool,
    /// What its sender had acknowledged: those bytes of the other side come first.
    pub after: Option<SeqNum>,
}

/// A segment's data as it arrives at its half.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub at: Timestamp,
    pub seq: SeqNum,
    pub bytes: &'a [u8],
    pub after: Option<SeqNum>,
}

/// Where the bytes of an arrival went. Sums to its length.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub duplicate: usize,
    pub refused: usize,
    pub held: usize,
    /// Bytes that had been held and were replaced by this arrival.
    pub replaced: usize,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of the next byte to deliver; meaningless until `known`.
    next: SeqNum,
    /// Highest acknowledgment of the other side.
    acked: Option<SeqNum>,
    /// Sequence number of the FIN, which stands behind the last byte.
    fin: Option<SeqNum>,
    /// Sequence number of an RST that is not yet due.
    reset: Option<SeqNum>,
    /// Bytes passed since the start.
    passed: u64,
    /// Segments that wait, by offset. Boxed: most halves never have any.
    #[allow(clippy::box_collection, reason = "an idle flow must stay small")]
    waiting: Option<Box<Waiting>>,
    /// Whether `next` is known.
    pub known: bool,
    /// Whether the FIN was delivered.
    pub done: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: BTreeMap<u64, Held>,
    bytes: usize,
}

impl Half {
    /// A half whose first byte has this sequence number.
    pub fn starting_at(first: SeqNum) -> Self {
        Self { next: first, known: true, ..Self::default() }
    }

    /// Sets the first byte's sequence number, where it is not known yet.
    pub fn start(&mut self, first: SeqNum) {
        if !self.known {
            self.next = first;
            self.known = true;
        }
    }

    /// Sequence number of the next byte to deliver.
    pub fn next(&self) -> SeqNum {
        self.next
    }

    /// Sequence number of the first byte of all, as far as the number space tells.
    pub fn first(&self) -> SeqNum {
        SeqNum(self.next.0.wrapping_sub(self.passed as u32))
    }

    /// Memory of what waits, in bytes, overhead included.
    pub fn held_memory(&self) -> usize {
        self.waiting
            .as_ref()
            .map_or(0, |w| w.bytes.saturating_add(w.pieces.len().saturating_mul(HELD_OVERHEAD)))
    }

    /// Notes an acknowledgment by the other side.
    pub fn acknowledge(&mut self, ack: SeqNum) {
        match self.acked {
            Some(acked) if ack.distance(acked) <= 0 => {}
            // An acknowledgment far beyond anything sent is not believed: it would make a hole.
            _ if self.known && ack.distance(self.next) > MAX_WINDOW => {}
            _ => self.acked = Some(ack),
        }
    }

    /// Notes the FIN at the end of a segment. The first one stands.
    pub fn finish_at(&mut self, seq: SeqNum) {
        if self.fin.is_none() && seq.distance(self.next) >= 0 {
            self.fin = Some(seq);
        }
    }

    /// Notes an RST; true when it is due now. One behind what was delivered is old or forged.
    pub fn reset_at(&mut self, seq: SeqNum) -> bool {
        if !self.known {
            return true;
        }
        let ahead = seq.distance(self.next);
        if (0..MAX_WINDOW).contains(&ahead) {
            self.reset = Some(seq);
        }
        self.is_reset_due()
    }

    /// Whether an RST is noted and everything before it was delivered or acknowledged.
    pub fn is_reset_due(&self) -> bool {
        self.reset.is_some_and(|reset| {
            reset.distance(self.next) <= 0
                || self.acked.is_some_and(|acked| reset.distance(acked) <= 0)
        })
    }

    /// Whether the FIN's turn has come.
    pub fn is_fin_due(&self) -> bool {
        self.known && !self.done && self.fin.is_some_and(|fin| fin.distance(self.next) <= 0)
    }

    /// Whether bytes at `seq` are the next to deliver, with nothing waiting before or behind.
    pub fn is_next(&self, seq: SeqNum) -> bool {
        self.known && seq == self.next && self.waiting.is_none() && self.fin.is_none()
    }

    /// Whether everything up to `ack` was delivered here, or cannot be known.
    pub fn has_reached(&self, ack: SeqNum) -> bool {
        !self.known || ack.distance(self.next) <= 0
    }

    /// Moves past bytes delivered (or skipped).
    pub fn pass(&mut self, bytes: u64) {
        self.next = self.next + bytes as u32;
        self.passed = self.passed.wrapping_add(bytes);
    }

    /// Offset of a sequence number near `next`.
    fn offset_of(&self, seq: SeqNum) -> u64 {
        let here = self.passed.wrapping_add(FIRST_OFFSET);
        here.wrapping_add_signed(i64::from(seq.distance(self.next)))
    }

    fn here(&self) -> u64 {
        self.passed.wrapping_add(FIRST_OFFSET)
    }

    /// Puts an arrival among the waiting segments, trimmed by what was delivered and what waits.
    pub fn hold(&mut self, arrival: Arrival<'_>) -> Placed {
        let mut placed = Placed::default();
        let ahead = arrival.seq.distance(self.next);
        if ahead > MAX_WINDOW {
            placed.refused = arrival.bytes.len();
            return placed;
        }
        let behind = usize::try_from(ahead.checked_neg().unwrap_or(i32::MAX)).unwrap_or(0);
        let stale = behind.min(arrival.bytes.len());
        let mut bytes = arrival.bytes.get(stale..).unwrap_or_default();
        placed.duplicate = stale;
        // What stands behind the FIN was never sent by this connection.
        if let Some(fin) = self.fin {
            let room =
                usize::try_from(fin.distance(arrival.seq)).unwrap_or(0).saturating_sub(stale);
            let kept = bytes.len().min(room);
            placed.refused = bytes.len().saturating_sub(kept);
            bytes = bytes.get(..kept).unwrap_or_default();
        }
        if bytes.is_empty() {
            return placed;
        }
        let start = self.offset_of(arrival.seq).wrapping_add(stale as u64);
        let waiting = self.waiting.get_or_insert_default();
        let held = Held {
            at: arrival.at,
            bytes: bytes.into(),
            segment_start: stale == 0,
            conflict: false,
            after: arrival.after,
        };
        let inserted = waiting.insert(start, held);
        placed.duplicate = placed.duplicate.saturating_add(inserted.duplicate);
        placed.held = inserted.held;
        placed.replaced = inserted.replaced;
        if waiting.pieces.is_empty() {
            self.waiting = None;
        }
        placed
    }

    /// What the first waiting segment must wait for, if it is next in line: `None` when there is a
    /// hole before it or nothing waits.
    pub fn front(&self) -> Option<&Held> {
        let (&start, held) = self.waiting.as_ref()?.pieces.first_key_value()?;
        (start <= self.here()).then_some(held)
    }

    /// Takes the first waiting segment, if it is next in line.
    ///
    /// Returns it with the number of its leading bytes that were delivered before (overlap with an
    /// earlier segment) and the number left, which is 0 when another covered it.
    pub fn take_front(&mut self) -> Option<(Held, usize, usize)> {
        let here = self.here();
        let waiting = self.waiting.as_mut()?;
        let entry = waiting.pieces.first_entry()?;
        let start = *entry.key();
        if start > here {
            return None;
        }
        let held = entry.remove();
        waiting.bytes = waiting.bytes.saturating_sub(held.bytes.len());
        if waiting.pieces.is_empty() {
            self.waiting = None;
        }
        let seen = usize::try_from(here.wrapping_sub(start)).unwrap_or(usize::MAX);
        let seen = seen.min(held.bytes.len());
        let left = held.bytes.len().saturating_sub(seen);
        Some((held, seen, left))
    }

    /// Length of the hole in front that is known to be one: acknowledged by the other side, but
    /// neither delivered nor waiting. 0 when there is none.
    pub fn acknowledged_hole(&self) -> u64 {
        let Some(acked) = self.acked.filter(|_| self.known && !self.done) else { return 0 };
        // The FIN takes a sequence number of its own, which is no byte.
        let end = match self.fin {
            Some(fin) if acked.distance(fin) > 0 => fin,
            _ => acked,
        };
        let missing = u64::try_from(end.distance(self.next)).unwrap_or(0);
        missing.min(self.hole_before_waiting().unwrap_or(u64::MAX))
    }

    /// Length of the hole before the first waiting segment (or the FIN, when only that waits);
    /// `None` when nothing waits.
    pub fn hole_before_waiting(&self) -> Option<u64> {
        let front = self.waiting.as_ref().and_then(|w| w.pieces.first_key_value());
        match (front, self.fin) {
            (Some((&start, _)), _) => Some(start.saturating_sub(self.here())),
            (None, Some(fin)) if !self.done => {
                Some(u64::try_from(fin.distance(self.next)).unwrap_or(0))
            }
            _ => None,
        }
    }

    /// Packet time of the first waiting segment.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        Some(self.waiting.as_ref()?.pieces.first_key_value()?.1.at)
    }
}

impl Waiting {
    /// Linux's rule for out-of-order segments; differing bytes in an overlap mark both segments.
    fn insert(&mut self, start: u64, mut new: Held) -> Placed {
        let mut placed = Placed::default();
        let mut start = start;
        let end = start.wrapping_add(new.bytes.len() as u64);
        if let Some((&before, held)) = self.pieces.range_mut(..=start).next_back() {
            let before_end = before.wrapping_add(held.bytes.len() as u64);
            if before_end > start {
                if differ(before, &held.bytes, start, &new.bytes) {
                    held.conflict = true;
                    new.conflict = true;
                }
                if end <= before_end {
                    placed.duplicate = new.bytes.len();
                    return placed;
                }
                if before < start {
                    // The one that starts first wins: only the part behind it is new.
                    let overlap = usize::try_from(before_end.wrapping_sub(start)).unwrap_or(0);
                    placed.duplicate = overlap;
                    new.bytes = new.bytes.get(overlap..).unwrap_or_default().into();
                    new.segment_start = false;
                    start = before_end;
                }
            }
        }
        // Segments covered whole by the new one are replaced by it.
        while let Some((&next, held)) = self.pieces.range(start..end).next() {
            let held_len = held.bytes.len();
            let conflict = differ(start, &new.bytes, next, &held.bytes);
            new.conflict |=
                conflict || (held.conflict && next.wrapping_add(held_len as u64) <= end);
            if next.wrapping_add(held_len as u64) > end {
                if conflict && let Some(held) = self.pieces.get_mut(&next) {
                    held.conflict = true;
                }
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
