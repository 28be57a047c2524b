//! One direction of a connection in sequence space: what was delivered, what waits, what is missing.
//!
//! In: the bytes of segments at their sequence numbers, acknowledgments, FIN and RST. Out: pieces in
//! order, and the length of the hole in front. Guaranteed: delivered bytes stand; numbers outside any
//! window change nothing. Left to `waiting`: overlaps; to `flow`: when to give a hole up.

use super::waiting::{Held, Placed, Waiting};
use crate::model::{SeqNum, Timestamp};

/// Segments further ahead than this lie outside any window (RFC 7323: at most 2^30 bytes).
pub(super) const MAX_WINDOW: i32 = 1 << 30;

/// So many segments in a row outside the window, each next to the one before, are the stream itself:
/// the capture missed more than a window of it.
const ASTRAY_RUN: u8 = 8;

/// No time: nothing is waited for.
const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

/// A segment's data as it arrives at its half.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    /// Packet time.
    pub at: Timestamp,
    /// The reassembler's time.
    pub now: Timestamp,
    /// Sequence number of the first byte.
    pub seq: SeqNum,
    /// The bytes.
    pub bytes: &'a [u8],
    /// What the sender had acknowledged, where it matters.
    pub after: Option<SeqNum>,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    /// Sequence number of the next byte to deliver; meaningless until `known`.
    next: SeqNum,
    /// Sequence number of the first byte of all.
    first: SeqNum,
    /// Highest acknowledgment of the other side, if `has_acked`.
    acked: SeqNum,
    /// Sequence number of the FIN, which stands behind the last byte, if `has_fin`.
    fin: SeqNum,
    /// Sequence number of an RST that is not yet due, if `has_reset`.
    reset: SeqNum,
    /// Where the next segment of a run outside the window would begin.
    astray: SeqNum,
    /// Since when the other side has been past the hole in front; [`NEVER`] when there is none.
    hole_since: Timestamp,
    /// What the other side had acknowledged then.
    hole_acked: SeqNum,
    /// Segments that wait. Boxed: most halves never have any.
    waiting: Option<Box<Waiting>>,
    /// Length of that run.
    astray_run: u8,
    has_acked: bool,
    has_fin: bool,
    has_reset: bool,
    /// Whether the other side acknowledged anything while something waited: then it is heard, and
    /// what is missing is missing there too.
    is_peer_heard: bool,
    /// Whether `next` is known.
    pub known: bool,
    /// Whether the FIN was delivered.
    pub done: bool,
}

impl Default for Half {
    fn default() -> Self {
        let zero = SeqNum(0);
        Self {
            next: zero,
            first: zero,
            acked: zero,
            fin: zero,
            reset: zero,
            astray: zero,
            hole_since: NEVER,
            hole_acked: zero,
            waiting: None,
            astray_run: 0,
            has_acked: false,
            has_fin: false,
            has_reset: false,
            is_peer_heard: false,
            known: false,
            done: false,
        }
    }
}

impl Half {
    /// A half whose first byte has this sequence number.
    pub fn starting_at(first: SeqNum) -> Self {
        Self { next: first, first, known: true, ..Self::default() }
    }

    /// Sets the first byte's sequence number, where it is not known yet.
    pub fn start(&mut self, first: SeqNum) {
        if self.known {
            return;
        }
        (self.next, self.first, self.known) = (first, first, true);
        // Acknowledgments heard before cannot have been of these bytes when they lie elsewhere.
        self.has_acked &= self.acked.distance(first).unsigned_abs() < MAX_WINDOW as u32;
    }

    /// Sequence number of the next byte to deliver.
    pub fn next(&self) -> SeqNum {
        self.next
    }

    /// Sequence number of the first byte of all.
    pub fn first(&self) -> SeqNum {
        self.first
    }

    /// Memory of what waits, in bytes, overhead included.
    pub fn held_memory(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.memory())
    }

    /// Notes an acknowledgment by the other side. One far beyond anything sent is not believed: it
    /// would make a hole of everything to come.
    pub fn acknowledge(&mut self, ack: SeqNum) {
        self.is_peer_heard |= self.waiting.is_some() || self.has_fin;
        let is_far = self.known && ack.distance(self.next) > MAX_WINDOW;
        if !is_far && (!self.has_acked || ack.distance(self.acked) > 0) {
            (self.acked, self.has_acked) = (ack, true);
        }
    }

    /// Notes the FIN at the end of a segment. The first one within the window stands.
    pub fn finish_at(&mut self, seq: SeqNum) {
        if !self.has_fin && (0..=MAX_WINDOW).contains(&seq.distance(self.next)) {
            (self.fin, self.has_fin) = (seq, true);
        }
    }

    /// Notes an RST. One behind what was delivered is old or forged.
    pub fn reset_at(&mut self, seq: SeqNum) {
        if !self.known && !self.has_acked {
            self.start(seq);
        }
        let here = if self.known { self.next } else { self.acked };
        if (0..MAX_WINDOW).contains(&seq.distance(here)) {
            self.start(here);
            (self.reset, self.has_reset) = (seq, true);
        }
    }

    /// Whether an RST is noted that its receiver believed: one at exactly the next byte it waited for
    /// (RFC 5961 3.2), as far as delivery or its acknowledgments tell.
    pub fn is_reset_due(&self) -> bool {
        self.has_reset && (self.reset == self.next || (self.has_acked && self.reset == self.acked))
    }

    /// Whether the FIN's turn has come.
    pub fn is_fin_due(&self) -> bool {
        self.known && !self.done && self.has_fin && self.fin.distance(self.next) <= 0
    }

    /// The FIN is delivered: nothing comes any more. Gives the bytes that waited beyond it.
    pub fn finish(&mut self) -> u64 {
        self.done = true;
        self.waiting.take().map_or(0, |waiting| waiting.bytes())
    }

    /// Whether bytes at `seq` are the next to deliver, with nothing waiting before or behind.
    pub fn is_next(&self, seq: SeqNum) -> bool {
        self.known && seq == self.next && self.waiting.is_none() && !self.has_fin
    }

    /// Whether everything up to `ack` was delivered here, or cannot be known, or is not believed.
    pub fn has_reached(&self, ack: SeqNum) -> bool {
        let ahead = ack.distance(self.next);
        // The FIN takes a sequence number of its own, which is no byte.
        let is_fin = self.has_fin && ack == self.fin + 1 && self.fin.distance(self.next) <= 0;
        !self.known || self.done || ahead <= 0 || ahead > MAX_WINDOW || is_fin
    }

    /// Moves past bytes delivered (or skipped).
    pub fn pass(&mut self, bytes: u64) {
        self.next = self.next + bytes as u32;
        // Holes further on that were acknowledged as long ago are as old.
        if self.hole_acked.distance(self.next) <= 0 {
            self.hole_since = NEVER;
        }
        self.is_peer_heard = false;
        self.astray_run = 0;
        // Data behind an RST: its receiver did not believe it either.
        self.has_reset &= self.reset.distance(self.next) >= 0;
        if let Some(waiting) = &mut self.waiting {
            waiting.pass(bytes);
        }
    }

    /// Puts an arrival among the waiting segments, trimmed by what was delivered.
    pub fn hold(&mut self, arrival: Arrival<'_>) -> Placed {
        let mut placed = Placed::default();
        let ahead = arrival.seq.distance(self.next);
        if ahead.unsigned_abs() > MAX_WINDOW as u32 {
            self.note_astray(arrival);
            placed.refused = arrival.bytes.len();
            return placed;
        }
        let stale = usize::try_from(ahead.saturating_neg()).unwrap_or(0).min(arrival.bytes.len());
        let mut bytes = arrival.bytes.get(stale..).unwrap_or_default();
        placed.duplicate = stale;
        // What stands behind the FIN was never sent by this connection.
        if self.has_fin {
            let room = usize::try_from(self.fin.distance(arrival.seq)).unwrap_or(0);
            let kept = bytes.len().min(room.saturating_sub(stale));
            placed.refused = bytes.len().saturating_sub(kept);
            bytes = bytes.get(..kept).unwrap_or_default();
        }
        if bytes.is_empty() {
            return placed;
        }
        let waiting = self.waiting.get_or_insert_default();
        let start = waiting.offset(ahead).wrapping_add(stale as u64);
        let held = Held {
            at: arrival.at,
            since: arrival.now,
            bytes: bytes.into(),
            segment_start: stale == 0,
            conflict: false,
            after: arrival.after,
        };
        let inserted = waiting.insert(start, held);
        placed.duplicate = placed.duplicate.saturating_add(inserted.duplicate);
        placed.held = inserted.held;
        placed.replaced = inserted.replaced;
        placed
    }

    /// A segment outside the window. A single one is forged or broken; a run of them, each next to
    /// the one before, is the stream, of which the capture missed more than a window.
    fn note_astray(&mut self, arrival: Arrival<'_>) {
        let is_run = self.astray_run > 0 && arrival.seq == self.astray;
        self.astray_run = if is_run { self.astray_run.saturating_add(1) } else { 1 };
        self.astray = arrival.seq + u32::try_from(arrival.bytes.len()).unwrap_or(0);
    }

    /// Length of the hole to skip because the stream was found again far away; 0 when it was not.
    pub fn astray_hole(&self) -> u64 {
        let is_lost = self.astray_run >= ASTRAY_RUN;
        if is_lost { u64::from(self.astray.0.wrapping_sub(self.next.0)) } else { 0 }
    }

    /// The first waiting segment, next in line or not.
    pub fn first_waiting(&self) -> Option<&Held> {
        self.waiting.as_ref()?.first()
    }

    /// What the first waiting segment must wait for, if it is next in line: `None` when there is a
    /// hole before it or nothing waits.
    pub fn front(&self) -> Option<&Held> {
        self.waiting.as_ref().filter(|waiting| waiting.hole() == 0)?.first()
    }

    /// Takes the first waiting segment if it is next in line; see [`Waiting::take_first`].
    pub fn take_front(&mut self, limit: usize) -> Option<(Held, usize, usize)> {
        let waiting = self.waiting.as_mut()?;
        let taken = waiting.take_first(limit);
        if waiting.is_empty() {
            self.waiting = None;
        }
        taken
    }

    /// Length of the hole in front that is known to be one: acknowledged by the other side, but
    /// neither delivered nor waiting. 0 when there is none.
    pub fn acknowledged_hole(&self) -> u64 {
        if !self.has_acked || !self.known || self.done {
            return 0;
        }
        // The FIN takes a sequence number of its own, which is no byte.
        let is_behind_fin = self.has_fin && self.acked.distance(self.fin) > 0;
        let end = if is_behind_fin { self.fin } else { self.acked };
        let missing = u64::try_from(end.distance(self.next)).unwrap_or(0);
        missing.min(self.hole_before_waiting().unwrap_or(u64::MAX))
    }

    /// Length of the hole before the first waiting segment (or the FIN, when only that waits);
    /// `None` when nothing waits.
    pub fn hole_before_waiting(&self) -> Option<u64> {
        match &self.waiting {
            Some(waiting) => Some(waiting.hole()),
            None if self.has_fin && !self.done => {
                Some(u64::try_from(self.fin.distance(self.next)).unwrap_or(0))
            }
            None => None,
        }
    }

    /// Whether anything here waits for time to pass.
    pub fn is_stuck(&mut self, now: Timestamp) -> bool {
        if self.acknowledged_hole() == 0 {
            self.hole_since = NEVER;
        } else if self.hole_since == NEVER {
            (self.hole_since, self.hole_acked) = (now, self.acked);
        }
        self.hole_since != NEVER || self.waiting.is_some() || (self.has_fin && !self.done)
    }

    /// Length of the hole in front that the other side was past at `then` or earlier.
    pub fn hole_older_than(&self, then: Timestamp) -> u64 {
        if self.hole_since > then {
            return 0;
        }
        let old = u64::try_from(self.hole_acked.distance(self.next)).unwrap_or(0);
        old.min(self.acknowledged_hole())
    }

    /// Since when the first waiting segment waits.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        Some(self.waiting.as_ref()?.first()?.since)
    }

    /// Whether the other side was heard while the first segment waited.
    pub fn is_peer_heard(&self) -> bool {
        self.is_peer_heard
    }
}
