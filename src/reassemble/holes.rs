//! Holes of a connection: when one is given up, and in which order.
//!
//! In: the passing of time, and limits. Out: gaps, and the bytes behind them. Guaranteed: a hole is
//! given up only after its receiver has been past it for long enough, or has not been heard at all, or
//! when told so; what comes first stays first, between the two sides too.

use std::time::Duration;

use super::flow::{Context, Flow, Outcome};
use super::tail::Tail;
use crate::model::{Gap, SeqNum, Side, StreamHandler, Timestamp};

/// How long to wait for what is missing; see [`super::Limits`].
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub acknowledged: Duration,
    pub unacknowledged: Duration,
}

impl<F> Flow<F> {
    /// Whether anything waits for time to pass.
    pub fn is_stuck(&mut self, now: Timestamp) -> bool {
        let low = self.unread != Some(Side::Low) && self.low.is_stuck(now);
        let high = self.unread != Some(Side::High) && self.high.is_stuck(now);
        low || high
    }

    /// Gives up the holes that have been waited for long enough, and delivers what was behind.
    pub fn give_up_overdue<H>(&mut self, patience: Patience, cx: &mut Context<'_, H>) -> Outcome
    where
        H: StreamHandler<Flow = F>,
    {
        self.settle_overdue_doubts(patience, cx);
        loop {
            let overdue = [Side::Low, Side::High].into_iter().find_map(|side| {
                let len = self.overdue_hole(side, patience, cx);
                (len > 0).then_some((side, len))
            });
            match overdue {
                Some((side, len)) => self.skip(side, len, cx),
                None => return self.pump(cx),
            }
            let outcome = self.pump(cx);
            if outcome != Outcome::Open {
                return outcome;
            }
        }
    }

    /// Delivers what was in doubt for long enough.
    fn settle_overdue_doubts<H>(&mut self, patience: Patience, cx: &Context<'_, H>) {
        let then = cx.now - patience.acknowledged;
        for half in [&mut self.low, &mut self.high] {
            if half.is_doubt_over(then, patience.unacknowledged, cx.now) {
                half.trust();
            }
        }
    }

    /// Length of the hole in front of a side, if it is time to give it up: its receiver has been past
    /// it for long enough, or is not heard at all.
    fn overdue_hole<H>(&self, side: Side, patience: Patience, cx: &Context<'_, H>) -> u64 {
        let half = self.half(side);
        if self.unread == Some(side) {
            return 0;
        }
        let peer_comes_first = self.peer_comes_first(side) && !self.peer_comes_first(side.peer());
        if peer_comes_first && self.half(side.peer()).acknowledged_hole() > 0 {
            return 0;
        }
        let acknowledged = half.hole_older_than(cx.now - patience.acknowledged);
        if acknowledged > 0 {
            return acknowledged;
        }
        let silence = match half.waiting_since() {
            Some(since) => cx.now.since(since),
            None => self.last.age(cx.tick),
        };
        let is_silent = !half.is_peer_heard() && silence >= patience.unacknowledged;
        if is_silent { half.hole_before_waiting().unwrap_or(0) } else { 0 }
    }

    /// Whether the other side's next bytes wait behind a hole of their own and for nothing more of this
    /// side: then they come before what this side has missed here.
    fn peer_comes_first(&self, side: Side) -> bool {
        let next = self.half(side).next();
        let peer = self.half(side.peer());
        let is_after = |after: SeqNum| after.distance(next) <= 0;
        peer.front().is_none()
            && peer.first_waiting().is_some_and(|held| held.after.is_some_and(is_after))
    }

    /// Gives up hole after hole until no more than `keep` bytes of memory wait; with 0, until nothing
    /// waits at all: at the end, or when the limits are passed.
    pub fn flush<H>(&mut self, keep: usize, cx: &mut Context<'_, H>) -> Outcome
    where
        H: StreamHandler<Flow = F>,
    {
        self.low.trust();
        self.high.trust();
        loop {
            let outcome = self.pump(cx);
            if keep > 0 && self.held_memory() <= keep {
                return outcome;
            }
            let first = if self.peer_comes_first(Side::Low) { Side::High } else { Side::Low };
            let hole = [first, first.peer()].into_iter().find_map(|side| {
                let half = self.half(side);
                let acked = half.acknowledged_hole();
                let len = if acked > 0 { acked } else { half.hole_before_waiting()? };
                (self.unread != Some(side) && len > 0).then_some((side, len))
            });
            match hole {
                Some((side, len)) => self.skip(side, len, cx),
                // Bytes that wait for what the other side never had.
                None if self.low.front().is_some() => {
                    self.deliver_front(Side::Low, usize::MAX, cx);
                }
                None if self.high.front().is_some() => {
                    self.deliver_front(Side::High, usize::MAX, cx);
                }
                None => return outcome,
            }
        }
    }

    /// Gives up a hole of this length in front of a side: first the part that the other side's next
    /// bytes come after, so that they keep their place.
    pub fn skip<H>(&mut self, side: Side, len: u64, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Flow = F>,
    {
        let next = self.half(side).next();
        let after = self.half(side.peer()).first_waiting().and_then(|held| held.after);
        let before = after.and_then(|after| u64::try_from(after.distance(next)).ok());
        let len = before.filter(|before| *before > 0).map_or(len, |before| len.min(before));
        self.half_mut(side).pass(len);
        self.set_tail(side, Tail::default());
        cx.counts.unseen = cx.counts.unseen.saturating_add(len);
        cx.counts.gaps = cx.counts.gaps.saturating_add(1);
        let info = self.info();
        if let Some(flow) = &mut self.handler {
            cx.handler.gap(&info, flow, side, Gap { at: cx.now, len });
        }
    }
}
