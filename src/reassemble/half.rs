//! One direction of a connection in sequence space: what was delivered, what waits, what is missing.
//!
//! In: the bytes of segments at their sequence numbers, acknowledgments, FIN and RST. Out: pieces in
//! order, and the length of the hole in front. Guaranteed: delivered bytes stand; numbers outside any
//! window change nothing; 24 bytes, and a box only while something is unusual. Left to `waiting`:
//! overlaps; to `doubt`: bytes of which it is not sure that they are the stream's next; to `flow`: when
//! to give a hole up.

use super::rare::{Astray, Hole, Rare};
use super::waiting::{Held, Mark, Placed};
use crate::model::{SeqNum, Timestamp};

/// Segments further ahead than this lie outside any window (RFC 7323: at most 2^30 bytes).
pub(super) const MAX_WINDOW: i32 = 1 << 30;

/// So many segments in a row outside the window, each next to the one before, are the stream itself:
/// the capture missed more than a window of it.
const ASTRAY_RUN: u8 = 8;

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
    /// Whether it has other bytes than those delivered.
    pub conflict: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of the next byte to deliver; meaningless until `known`.
    pub(super) next: SeqNum,
    /// Sequence number of the first byte of all.
    pub(super) first: SeqNum,
    /// Highest acknowledgment of the other side, if `has_acked`.
    pub(super) acked: SeqNum,
    pub(super) has_acked: bool,
    /// Whether `next` is known.
    pub known: bool,
    /// Whether the FIN was delivered: it stands at `next`.
    pub done: bool,
    /// Whether the FIN stands at `next` and is due.
    is_fin_next: bool,
    /// The rest, where there is any.
    pub(super) rare: Option<Box<Rare>>,
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

    /// Memory held, in bytes, overhead included.
    pub fn held_memory(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.memory())
    }

    /// Gives the box back, where nothing is in it.
    pub fn tidy(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| rare.is_idle()) {
            self.rare = None;
        }
    }

    /// Gives the box back with what is in it, when nothing waits any more.
    pub fn forget(&mut self) {
        if self.is_empty() {
            self.rare = None;
        }
    }

    /// Notes an acknowledgment by the other side. One far beyond anything sent is not believed: it
    /// would make a hole of everything to come.
    pub fn acknowledge(&mut self, ack: SeqNum) {
        if let Some(rare) = &mut self.rare {
            rare.is_peer_heard |= !rare.waiting.is_empty() || rare.fin.is_some();
        }
        let is_far = self.known && ack.distance(self.next) > MAX_WINDOW;
        if !is_far && (!self.has_acked || ack.distance(self.acked) > 0) {
            (self.acked, self.has_acked) = (ack, true);
        }
    }

    /// Notes the FIN at the end of a segment. The first one within the window stands.
    pub fn finish_at(&mut self, seq: SeqNum) {
        let ahead = seq.distance(self.next);
        if self.fin().is_some() || !(0..=MAX_WINDOW).contains(&ahead) {
            return;
        }
        // The common case: everything before it was delivered.
        match ahead {
            0 if self.is_empty() => self.is_fin_next = true,
            _ => self.rare_mut().fin = Some(seq),
        }
    }

    /// Sequence number of the FIN, where it is known.
    fn fin(&self) -> Option<SeqNum> {
        let is_here = self.done || self.is_fin_next;
        if is_here { Some(self.next) } else { self.rare.as_ref()?.fin }
    }

    /// Notes an RST. One behind what was delivered is old or forged.
    pub fn reset_at(&mut self, seq: SeqNum) {
        if !self.known && !self.has_acked {
            self.start(seq);
        }
        let here = if self.known { self.next } else { self.acked };
        if (0..MAX_WINDOW).contains(&seq.distance(here)) {
            self.start(here);
            self.rare_mut().reset = Some(seq);
        }
    }

    /// Whether an RST is noted that its receiver believed: one at exactly the next byte it waited for
    /// (RFC 5961 3.2), as far as delivery or its acknowledgments tell.
    pub fn is_reset_due(&self) -> bool {
        let Some(reset) = self.rare.as_ref().and_then(|rare| rare.reset) else { return false };
        reset == self.next || (self.has_acked && reset == self.acked)
    }

    /// Whether the FIN's turn has come.
    pub fn is_fin_due(&self) -> bool {
        let is_past = |fin: SeqNum| fin.distance(self.next) <= 0;
        self.known && !self.done && !self.is_in_doubt() && self.fin().is_some_and(is_past)
    }

    /// The FIN is delivered: nothing comes any more. Gives the bytes that waited beyond it.
    pub fn finish(&mut self) -> u64 {
        (self.done, self.is_fin_next) = (true, false);
        let Some(rare) = self.rare.take() else { return 0 };
        // A later RST may be noted already.
        if rare.reset.is_some() {
            self.rare_mut().reset = rare.reset;
        }
        rare.waiting.bytes()
    }

    /// Whether bytes at `seq` are the next to deliver, with nothing unusual before or behind.
    pub fn is_next(&self, seq: SeqNum) -> bool {
        self.known && seq == self.next && self.rare.is_none() && !self.is_fin_next && !self.done
    }

    /// Whether everything up to `ack` was delivered here, or cannot be known, or is not believed.
    pub fn has_reached(&self, ack: SeqNum) -> bool {
        let ahead = ack.distance(self.next);
        // The FIN takes a sequence number of its own, which is no byte.
        let is_past = |fin: SeqNum| ack == fin + 1 && fin.distance(self.next) <= 0;
        let is_fin = ahead > 0 && self.fin().is_some_and(is_past);
        !self.known || self.done || ahead <= 0 || ahead > MAX_WINDOW || is_fin
    }

    /// Moves past bytes delivered (or skipped).
    pub fn pass(&mut self, bytes: u64) {
        self.next = self.next + bytes as u32;
        let Some(rare) = &mut self.rare else { return };
        let is_ahead = |seq: SeqNum| seq.distance(self.next) >= 0;
        // Holes further on that were acknowledged as long ago are as old.
        rare.hole = rare.hole.filter(|hole| hole.acked.distance(self.next) > 0);
        rare.is_peer_heard = false;
        rare.astray = None;
        // Data behind an RST: its receiver did not believe it either.
        rare.reset = rare.reset.filter(|&reset| is_ahead(reset));
        rare.urgent = rare.urgent.filter(|&urgent| is_ahead(urgent));
        rare.waiting.pass(bytes);
    }

    /// Puts an arrival among the waiting segments, trimmed by what was delivered.
    pub fn hold(&mut self, arrival: Arrival<'_>) -> Placed {
        let mut placed = Placed::default();
        self.rewind(arrival.seq);
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
        if let Some(fin) = self.fin() {
            let room = usize::try_from(fin.distance(arrival.seq)).unwrap_or(0);
            let kept = bytes.len().min(room.saturating_sub(stale));
            placed.refused = bytes.len().saturating_sub(kept);
            bytes = bytes.get(..kept).unwrap_or_default();
        }
        if bytes.is_empty() {
            return placed;
        }
        let waiting = &mut self.rare_mut().waiting;
        let start = waiting.offset(ahead).wrapping_add(stale as u64);
        let mut mark = Mark::new(arrival.at, arrival.now, stale == 0, arrival.after);
        mark.conflict = arrival.conflict;
        let inserted = waiting.insert(start, bytes, mark);
        placed.duplicate = placed.duplicate.saturating_add(inserted.duplicate);
        placed.held = inserted.held;
        placed.replaced = inserted.replaced;
        placed
    }

    /// A segment outside the window. A single one is forged or broken; a run of them, each next to
    /// the one before, is the stream, of which the capture missed more than a window.
    fn note_astray(&mut self, arrival: Arrival<'_>) {
        if self.done {
            return;
        }
        let astray = &mut self.rare_mut().astray;
        let run = astray.filter(|before| before.next == arrival.seq).map_or(0, |before| before.run);
        let next = arrival.seq + u32::try_from(arrival.bytes.len()).unwrap_or(0);
        *astray = Some(Astray { next, run: run.saturating_add(1) });
    }

    /// Length of the hole to skip because the stream was found again far away; 0 when it was not.
    pub fn astray_hole(&self) -> u64 {
        let astray = self.rare.as_ref().and_then(|rare| rare.astray);
        let found = astray.filter(|astray| astray.run >= ASTRAY_RUN);
        found.map_or(0, |astray| u64::from(astray.next.0.wrapping_sub(self.next.0)))
    }

    /// Whether no segment waits.
    pub(super) fn is_empty(&self) -> bool {
        self.rare.as_ref().is_none_or(|rare| rare.waiting.is_empty())
    }

    /// The first waiting segment, next in line or not.
    pub fn first_waiting(&self) -> Option<&Mark> {
        self.rare.as_ref()?.waiting.first()
    }

    /// What the first waiting segment must wait for, if it is next in line: `None` when there is a
    /// hole before it or nothing waits.
    pub fn front(&self) -> Option<&Mark> {
        let rare = self.rare.as_ref().filter(|rare| rare.doubt.is_none())?;
        rare.waiting.first().filter(|_| rare.waiting.hole() == 0)
    }

    /// Takes the first waiting segment if it is next in line; see `Waiting::take_first`.
    pub fn take_front(&mut self, limit: usize) -> Option<(Held, usize, usize)> {
        self.rare.as_mut()?.waiting.take_first(limit)
    }

    /// Length of the hole in front that is known to be one: acknowledged by the other side, but
    /// neither delivered nor waiting. 0 when there is none.
    pub fn acknowledged_hole(&self) -> u64 {
        let ahead = self.acked.distance(self.next);
        if ahead <= 0 || !self.has_acked || !self.known || self.done {
            return 0;
        }
        // The FIN takes a sequence number of its own, which is no byte.
        let fin = self.fin().filter(|fin| self.acked.distance(*fin) > 0);
        let end = fin.unwrap_or(self.acked);
        let missing = u64::try_from(end.distance(self.next)).unwrap_or(0);
        missing.min(self.hole_before_waiting().unwrap_or(u64::MAX))
    }

    /// Length of the hole before the first waiting segment (or the FIN, when only that waits);
    /// `None` when nothing waits.
    pub fn hole_before_waiting(&self) -> Option<u64> {
        match &self.rare {
            Some(rare) if !rare.waiting.is_empty() => Some(rare.waiting.hole()),
            _ if self.done => None,
            _ => Some(u64::try_from(self.fin()?.distance(self.next)).unwrap_or(0)),
        }
    }

    /// Whether anything here waits for time to pass.
    pub fn is_stuck(&mut self, now: Timestamp) -> bool {
        let is_hole = self.acknowledged_hole() > 0;
        if is_hole {
            let acked = self.acked;
            self.rare_mut().hole.get_or_insert(Hole { since: now, acked });
            return true;
        }
        if let Some(rare) = &mut self.rare {
            rare.hole = None;
        }
        !self.is_empty() || (self.fin().is_some() && !self.done)
    }

    /// Length of the hole in front that the other side was past at `then` or earlier.
    pub fn hole_older_than(&self, then: Timestamp) -> u64 {
        let hole = self.rare.as_ref().and_then(|rare| rare.hole);
        let Some(hole) = hole.filter(|hole| hole.since <= then) else { return 0 };
        let old = u64::try_from(hole.acked.distance(self.next)).unwrap_or(0);
        old.min(self.acknowledged_hole())
    }

    /// Since when the first waiting segment waits.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        Some(self.first_waiting()?.since)
    }

    /// Whether the other side was heard while the first segment waited.
    pub fn is_peer_heard(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_peer_heard)
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_stays_small() {
        assert_eq!(size_of::<Half>(), 24);
    }
}
