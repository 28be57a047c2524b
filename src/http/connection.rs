//! One connection: both directions read message by message, responses paired with their requests.
//!
//! In: pieces, holes and ends of either side. Out: messages. Guaranteed: in step, the next message
//! begins where the last one ended (`in_step`); out of step (after a hole, or from the middle) it
//! begins only at a sure message start (`search`). This file holds the states and what changes them
//! from outside: holes, ends, tunnels.

use std::mem;

use super::head::Role;
use super::pairing::Pairing;
use super::reader::Config;
use super::side::{Partial, State};
use crate::model::ledger::{HttpCounts, Skipped};
use crate::model::{
    Anomaly, Answered, CloseReason, FlowInfo, Gap, Message, Piece, Side, Timestamp,
};

/// Who is told, and what is counted: passed through every call.
pub(super) struct Context<'a> {
    pub info: &'a FlowInfo,
    pub config: &'a Config,
    pub counts: &'a mut HttpCounts,
    pub out: &'a mut Vec<Message>,
    pub answered: &'a mut Vec<Answered>,
    pub first: &'a mut Option<Timestamp>,
}

impl Context<'_> {
    /// Counts bytes that belong to no message.
    pub fn skip(&mut self, cause: Skipped, bytes: usize) {
        self.counts.skipped.add(cause, bytes as u64);
        self.counts.open = self.counts.open.saturating_sub(bytes as u64);
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct Connection {
    low: State,
    high: State,
    pub(super) pairing: Pairing,
    pub(super) responses: u32,
    pub(super) client: Option<Side>,
    /// Whether a message was seen: what comes is HTTP.
    pub(super) is_http: bool,
    /// Whether the last request offered to speak another protocol (Upgrade).
    pub(super) offers_upgrade: bool,
    /// Whether the connection is a tunnel now: what is under way is read to its end, and no more.
    pub(super) is_tunnel: bool,
}

impl Connection {
    pub(super) fn new(info: &FlowInfo) -> Self {
        let start = || if info.from_start { State::default() } else { State::Search(None) };
        Self {
            low: start(),
            high: start(),
            pairing: Pairing::new(info.from_start),
            responses: 0,
            client: info.client,
            is_http: false,
            offers_upgrade: false,
            is_tunnel: false,
        }
    }

    /// No more requests will come. Says whether any came, once: an idle connection has no room for a flag.
    pub(super) fn end_requests(&mut self) -> bool {
        mem::take(&mut self.pairing.requests) > 0
    }

    /// Memory held beyond the struct itself, in bytes.
    pub(super) fn held(&self) -> usize {
        self.low.held() + self.high.held() + self.pairing.held()
    }

    /// Bytes of one side, next in sequence.
    pub(super) fn data(&mut self, side: Side, piece: Piece<'_>, cx: &mut Context<'_>) {
        cx.counts.open += piece.bytes.len() as u64;
        self.consume(side, piece, cx);
    }

    pub(super) fn consume(&mut self, side: Side, mut piece: Piece<'_>, cx: &mut Context<'_>) {
        while !piece.bytes.is_empty() {
            let before = piece.bytes.len();
            match self.take_state(side) {
                State::Start { after_empty } => self.read_start(side, after_empty, &mut piece, cx),
                State::Head(partial) => self.read_head(side, partial, &mut piece, cx),
                State::Oversized(end) => self.read_oversized(side, end, &mut piece, cx),
                State::Body(open) => self.read_body(side, open, &mut piece, cx),
                State::Search(partial) => self.search(side, partial, &mut piece, cx),
                State::Ended(cause) => {
                    self.set_state(side, State::Ended(cause));
                    cx.skip(cause, mem::take(&mut piece.bytes).len());
                }
            }
            // Only its first byte is the segment's first.
            piece.segment_start &= piece.bytes.len() == before;
        }
    }

    /// Bytes of one side that were never seen.
    pub(super) fn gap(&mut self, side: Side, gap: Gap, cx: &mut Context<'_>) {
        match self.take_state(side) {
            State::Ended(cause) => self.set_state(side, State::Ended(cause)),
            State::Start { .. } | State::Oversized(_) => self.lose_step(side),
            State::Head(partial) => {
                self.give_up_head(side, *partial, Anomaly::Gap, cx);
                self.lose_step(side);
            }
            State::Search(partial) => {
                self.drop_candidate(partial, cx);
                self.lose_step(side);
            }
            State::Body(mut open) => match open.gap(gap.len) {
                true if open.is_done() => self.finish(side, *open, None, cx),
                true => self.set_state(side, State::Body(open)),
                false => {
                    self.finish(side, *open, Some(Anomaly::Gap), cx);
                    self.lose_step(side);
                }
            },
        }
    }

    /// The last bytes of one side came again, and were others: if their message is under way, it is
    /// named.
    pub(super) fn conflict(&mut self, side: Side) {
        let mut state = self.take_state(side);
        match &mut state {
            State::Head(partial) | State::Search(Some(partial)) => {
                partial.anomalies.insert(Anomaly::OverlapConflict);
            }
            State::Body(open) => open.origin.anomalies.insert(Anomaly::OverlapConflict),
            _ => {}
        }
        self.set_state(side, state);
    }

    /// A side has sent its FIN.
    pub(super) fn finished(&mut self, side: Side, cx: &mut Context<'_>) {
        self.end_side(side, true, Anomaly::ClosedEarly, cx);
    }

    /// The connection is over.
    pub(super) fn closed(&mut self, why: CloseReason, cx: &mut Context<'_>) {
        let flaw = match why {
            CloseReason::Fin | CloseReason::Reset | CloseReason::Reused => Anomaly::ClosedEarly,
            CloseReason::EndOfCapture => Anomaly::CaptureEnded,
            CloseReason::Idle => Anomaly::TimedOut,
            CloseReason::Evicted => Anomaly::Evicted,
        };
        let first = self.client.unwrap_or(Side::Low);
        self.end_side(first, false, flaw, cx);
        self.end_side(first.peer(), false, flaw, cx);
    }

    pub(super) fn end_side(
        &mut self,
        side: Side,
        is_clean: bool,
        flaw: Anomaly,
        cx: &mut Context<'_>,
    ) {
        match self.take_state(side) {
            State::Body(open) => {
                let flaw = Some(flaw).filter(|_| !(is_clean && open.ends_with_connection()));
                self.finish(side, *open, flaw, cx);
            }
            State::Head(partial) => self.give_up_head(side, *partial, flaw, cx),
            State::Search(partial) => self.drop_candidate(partial, cx),
            State::Start { .. } | State::Oversized(_) | State::Ended(_) => {}
        }
    }

    /// 101, or a 2xx to CONNECT: what follows on either side is no longer HTTP/1.x.
    pub(super) fn become_tunnel(&mut self, cx: &mut Context<'_>) {
        self.is_tunnel = true;
        for side in [Side::Low, Side::High] {
            let state = match self.take_state(side) {
                // A request still on its way is read to its end.
                State::Body(open) => State::Body(open),
                State::Head(partial) | State::Search(Some(partial)) => {
                    cx.skip(Skipped::Upgraded, partial.bytes.len());
                    State::Ended(Skipped::Upgraded)
                }
                _ => State::Ended(Skipped::Upgraded),
            };
            self.set_state(side, state);
        }
    }

    /// Out of step: messages may have been missed, and framing is not known any more.
    pub(super) fn lose_step(&mut self, side: Side) {
        let over = State::Ended(Skipped::Upgraded);
        self.set_state(side, if self.is_tunnel { over } else { State::Search(None) });
        self.pairing.miss(self.client == Some(side));
    }

    pub(super) fn drop_candidate(&mut self, partial: Option<Box<Partial>>, cx: &mut Context<'_>) {
        if let Some(partial) = partial {
            cx.skip(self.search_cause(cx.info), partial.bytes.len());
        }
    }

    /// What a side sends, where it is known.
    pub(super) fn role(&self, side: Side) -> Option<Role> {
        self.client.map(|client| if client == side { Role::Client } else { Role::Server })
    }

    pub(super) fn state(&self, side: Side) -> &State {
        match side {
            Side::Low => &self.low,
            Side::High => &self.high,
        }
    }

    pub(super) fn set_state(&mut self, side: Side, state: State) {
        match side {
            Side::Low => self.low = state,
            Side::High => self.high = state,
        }
    }

    /// Takes the state out; the side stands between messages until one is set.
    pub(super) fn take_state(&mut self, side: Side) -> State {
        match side {
            Side::Low => mem::take(&mut self.low),
            Side::High => mem::take(&mut self.high),
        }
    }
}
