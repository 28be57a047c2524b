//! Bytes of which it is not sure that they are the stream's next: on a SYN, at a beginning that may not
//! be one, or urgent.
//!
//! In: SYNs, urgent pointers, the first segments of a connection. Out: when bytes may be delivered, and
//! which one is left out. Guaranteed: bytes on a SYN are delivered only if the server took them, as far
//! as the capture tells; a connection whose first bytes overtook its SYN loses none of them; of an urgent
//! byte it is decided as Linux does without `SO_OOBINLINE`, for a program that reads what there is.

use std::time::Duration;

use super::half::{Half, MAX_WINDOW};
use super::rare::Doubt;
use crate::model::{SeqNum, Timestamp};

/// How far before the first segment seen the connection's first may be: what overtakes a SYN is not
/// more than the first window.
const MAX_REWIND: i32 = 1 << 20;

/// So many bytes may wait for what comes before the first ones seen.
const MAX_WAITING: u64 = 32 << 10;

impl Half {
    /// Whether it waits to be told whether what is next in line is the stream's next.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt().is_some()
    }

    fn doubt(&self) -> Option<Doubt> {
        self.rare.as_ref()?.doubt
    }

    /// As [`Half::start`], but earlier bytes may follow.
    pub fn start_in_doubt(&mut self, first: SeqNum, now: Timestamp) {
        if !self.known {
            self.start(first);
            self.rare_mut().doubt = Some(Doubt::Start(now));
        }
    }

    /// An earlier segment, or SYN, of a connection of which it is not sure where it began.
    pub fn rewind(&mut self, first: SeqNum) {
        let Some(rare) = &mut self.rare else { return };
        let back = self.next.distance(first);
        if matches!(rare.doubt, Some(Doubt::Start(_))) && (1..=MAX_REWIND).contains(&back) {
            rare.waiting.rewind(back.unsigned_abs().into());
            (self.next, self.first) = (first, first);
        }
    }

    /// A SYN, or its answer, tells where this side began; false when it is not this connection's.
    pub fn begins_at(&mut self, first: SeqNum) -> bool {
        if !matches!(self.doubt(), Some(Doubt::Start(_))) {
            return false;
        }
        self.rewind(first);
        let is_it = self.first == first;
        if is_it {
            self.trust();
        }
        is_it
    }

    /// Whether it was waited long enough for what may come before the first segment seen.
    pub fn is_doubt_over(&self, then: Timestamp, patience: Duration, now: Timestamp) -> bool {
        match self.doubt() {
            Some(Doubt::Start(since)) => since <= then,
            Some(Doubt::OnSyn) => self.waiting_since().is_none_or(|since| since + patience <= now),
            None => false,
        }
    }

    /// Whether more waits than what can have overtaken a SYN.
    pub fn is_doubt_full(&self) -> bool {
        let waiting = self.rare.as_ref().map_or(0, |rare| rare.waiting.bytes());
        matches!(self.doubt(), Some(Doubt::Start(_))) && waiting > MAX_WAITING
    }

    /// Takes what is next in line for the stream's next.
    pub fn trust(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.doubt = None;
        }
    }

    /// Whether bytes on a SYN are known to have been refused: the answer acknowledged none.
    pub fn is_syn_refused(&self) -> bool {
        self.has_acked && self.acked == self.first && self.next == self.first
    }

    /// Notes that what waits came on the SYN, unless it was answered already.
    pub fn doubt_syn(&mut self) {
        if !self.has_acked && self.next == self.first && !self.is_empty() {
            self.rare_mut().doubt = Some(Doubt::OnSyn);
        }
    }

    /// What followed a SYN with bytes tells whether the server took them: its acknowledgment, or where
    /// the client goes on. Gives the number of bytes that it did not take.
    pub fn settle_syn(&mut self, seq: SeqNum) -> u64 {
        if self.doubt() != Some(Doubt::OnSyn) {
            return 0;
        }
        self.trust();
        let is_taken = seq.distance(self.first) > 0;
        let Some(rare) = self.rare.as_mut().filter(|_| !is_taken) else { return 0 };
        rare.waiting.clear()
    }

    /// Notes the urgent pointer of a segment with this number and length (`tcp_check_urg` in Linux: it
    /// points behind the urgent byte; 0 means the first; old ones and nearer ones are ignored).
    pub fn urge(&mut self, seq: SeqNum, len: u32, pointer: u16) {
        let urgent = seq + u32::from(pointer.saturating_sub(1));
        let ahead = urgent.distance(self.next);
        let is_old = (seq + len).distance(self.next) < 0;
        if !self.known || self.done || is_old || !(0..MAX_WINDOW).contains(&ahead) {
            return;
        }
        let pending = self.rare.as_ref().and_then(|rare| rare.urgent);
        if pending.is_none_or(|pending| urgent.distance(pending) > 0) {
            self.rare_mut().urgent = Some(urgent);
        }
    }

    /// Where among the next `len` bytes the urgent one is, which is left out.
    pub fn take_urgent(&mut self, len: usize) -> Option<usize> {
        let rare = self.rare.as_mut()?;
        let at = usize::try_from(rare.urgent?.distance(self.next)).ok()?;
        if at >= len {
            return None;
        }
        rare.urgent = None;
        rare.is_urgent_left = len == 1;
        Some(at)
    }

    /// Whether the next piece must say that an urgent byte stood before it.
    pub fn take_urgent_left(&mut self) -> bool {
        self.rare.as_mut().is_some_and(|rare| std::mem::take(&mut rare.is_urgent_left))
    }
}
