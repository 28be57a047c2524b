//! One connection: its two halves, and the order in which their bytes are delivered.
//!
//! In: a segment for one side. Out: calls on the handler. Guaranteed: a side's bytes wait until the
//! other side's bytes that their sender had acknowledged were delivered, so that cause comes before
//! effect even where the capture swapped packets; a hole is given up when told so, never before.

use super::half::{Arrival, Half};
use crate::model::ledger::StreamCounts;
use crate::model::{
    CloseReason, FlowInfo, Gap, Piece, Segment, SeqNum, Side, StreamHandler, Timestamp,
};

/// One connection in the flow table.
#[derive(Debug)]
pub(super) struct Flow<F> {
    pub info: FlowInfo,
    /// Encapsulation of the first packet; see [`super::engine`] on second sightings.
    pub encapsulation: u64,
    /// What the key alone does not tell: 0, or the encapsulation of a connection that shares its
    /// 4-tuple with another.
    pub scope: u64,
    low: Half,
    high: Half,
    /// The reader's part; `None` once the connection is over and only remembered.
    pub handler: Option<F>,
    /// Packet time of the last segment.
    pub last: Timestamp,
    /// Since when an acknowledged hole stands in front of a side.
    pub hole_since: Option<Timestamp>,
    /// The side whose bytes are not read (responses, where they were not asked for).
    unread: Option<Side>,
    /// Memory charged for this connection, in bytes.
    pub charged: usize,
    /// Whether it stands in the queue of those that hold memory.
    pub is_holder: bool,
    /// Whether it stands in the queue of holes to look at.
    pub is_hole_queued: bool,
    /// Distinguishes this connection from an earlier one in the same slot.
    pub generation: u32,
}

/// What a segment did to its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It goes on.
    Open,
    /// It is over.
    Over(CloseReason),
}

/// Who is told, and what is counted: passed through every call.
pub(super) struct Context<'a, H> {
    pub handler: &'a mut H,
    pub counts: &'a mut StreamCounts,
}

impl<F> Flow<F> {
    pub fn new(info: FlowInfo, encapsulation: u64, scope: u64, unread: Option<Side>) -> Self {
        Self {
            info,
            encapsulation,
            scope,
            low: Half::default(),
            high: Half::default(),
            handler: None,
            last: Timestamp::ZERO,
            hole_since: None,
            unread,
            charged: 0,
            is_holder: false,
            is_hole_queued: false,
            generation: 0,
        }
    }

    pub fn half(&self, side: Side) -> &Half {
        match side {
            Side::Low => &self.low,
            Side::High => &self.high,
        }
    }

    pub fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Low => &mut self.low,
            Side::High => &mut self.high,
        }
    }

    /// Whether the connection is over and only remembered, so that late retransmissions of it are
    /// not taken for a new one.
    pub fn is_over(&self) -> bool {
        self.handler.is_none()
    }

    /// Memory of what waits on both sides, in bytes.
    pub fn held_memory(&self) -> usize {
        self.low.held_memory().saturating_add(self.high.held_memory())
    }

    /// Takes one segment (no SYN handling: the engine has done that).
    pub fn receive<H>(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        cx: &mut Context<'_, H>,
    ) -> Outcome
    where
        H: StreamHandler<Flow = F>,
    {
        if let Some(ack) = segment.ack {
            self.half_mut(side.peer()).acknowledge(ack);
        }
        if segment.flags.rst {
            cx.counts.refused = cx.counts.refused.saturating_add(segment.payload.len() as u64);
            if self.half_mut(side).reset_at(segment.seq) {
                return Outcome::Over(CloseReason::Reset);
            }
            return self.pump(cx);
        }
        let seq = segment.data_seq();
        if segment.wire_len() > 0 || segment.flags.fin {
            self.half_mut(side).start(seq);
        }
        if self.unread == Some(side) {
            self.follow_unread(side, seq, segment, cx);
            return self.pump(cx);
        }
        let after = segment.ack.filter(|_| self.unread != Some(side.peer()));
        let is_in_turn = after.is_none_or(|ack| self.half(side.peer()).has_reached(ack));
        // The common case: the next bytes, nothing waiting, delivered where they lie.
        if is_in_turn && self.half(side).is_next(seq) {
            self.deliver_in_place(side, segment, cx);
        } else if !segment.payload.is_empty() {
            let arrival = Arrival { at: segment.time, seq, bytes: segment.payload, after };
            let placed = self.half_mut(side).hold(arrival);
            let counts = &mut *cx.counts;
            let duplicate = placed.duplicate.saturating_add(placed.replaced);
            counts.duplicate = counts.duplicate.saturating_add(duplicate as u64);
            counts.refused = counts.refused.saturating_add(placed.refused as u64);
            counts.buffered = counts.buffered.saturating_add(placed.held as u64);
            counts.buffered = counts.buffered.saturating_sub(placed.replaced as u64);
        }
        if segment.flags.fin {
            self.half_mut(side).finish_at(seq + segment.wire_len());
        }
        self.pump(cx)
    }

    /// Keeps count of a side whose bytes nobody reads: its FIN and RST still tell the end.
    fn follow_unread<H>(
        &mut self,
        side: Side,
        seq: SeqNum,
        segment: &Segment<'_>,
        cx: &mut Context<'_, H>,
    ) {
        let counts = &mut *cx.counts;
        counts.other_direction =
            counts.other_direction.saturating_add(segment.payload.len() as u64);
        let half = self.half_mut(side);
        let ahead = (seq + segment.wire_len()).distance(half.next());
        if (1..super::half::MAX_WINDOW).contains(&ahead) {
            half.pass(u64::try_from(ahead).unwrap_or(0));
        }
        if segment.flags.fin {
            half.finish_at(seq + segment.wire_len());
        }
    }

    fn deliver_in_place<H>(&mut self, side: Side, segment: &Segment<'_>, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Flow = F>,
    {
        if segment.payload.is_empty() {
            return;
        }
        let bytes = segment.payload;
        let piece = Piece { at: segment.time, bytes, segment_start: true, conflict: false };
        self.half_mut(side).pass(bytes.len() as u64);
        cx.counts.delivered = cx.counts.delivered.saturating_add(bytes.len() as u64);
        if let Some(flow) = &mut self.handler {
            cx.handler.data(&self.info, flow, side, piece);
        }
    }

    /// Delivers whatever is next in line on either side until nothing is.
    pub fn pump<H>(&mut self, cx: &mut Context<'_, H>) -> Outcome
    where
        H: StreamHandler<Flow = F>,
    {
        loop {
            let low = self.deliver_waiting(Side::Low, cx);
            let high = self.deliver_waiting(Side::High, cx);
            if !low && !high {
                break;
            }
        }
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        if self.low.done && self.high.done {
            Outcome::Over(CloseReason::Fin)
        } else if self.low.is_reset_due() || self.high.is_reset_due() {
            Outcome::Over(CloseReason::Reset)
        } else {
            Outcome::Open
        }
    }

    /// Delivers what waits on one side and is next in line; true if anything moved.
    fn deliver_waiting<H>(&mut self, side: Side, cx: &mut Context<'_, H>) -> bool
    where
        H: StreamHandler<Flow = F>,
    {
        let mut moved = false;
        while let Some(held) = self.half(side).front() {
            if held.after.is_some_and(|ack| !self.half(side.peer()).has_reached(ack)) {
                return moved;
            }
            self.deliver_front(side, cx);
            moved = true;
        }
        if self.half(side).is_fin_due() {
            self.half_mut(side).done = true;
            moved = true;
            if let Some(flow) = &mut self.handler {
                cx.handler.finished(&self.info, flow, side, self.last);
            }
        }
        moved
    }

    fn deliver_front<H>(&mut self, side: Side, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Flow = F>,
    {
        let Some((held, seen, left)) = self.half_mut(side).take_front() else { return };
        let counts = &mut *cx.counts;
        counts.buffered = counts.buffered.saturating_sub(held.bytes.len() as u64);
        counts.duplicate = counts.duplicate.saturating_add(seen as u64);
        counts.delivered = counts.delivered.saturating_add(left as u64);
        if left == 0 {
            return;
        }
        self.half_mut(side).pass(left as u64);
        if let Some(flow) = &mut self.handler {
            cx.handler.data(&self.info, flow, side, held.piece(seen));
        }
    }

    /// Whether bytes are missing that the other side has acknowledged.
    pub fn has_acknowledged_hole(&self) -> bool {
        [Side::Low, Side::High]
            .into_iter()
            .any(|side| self.unread != Some(side) && self.half(side).acknowledged_hole() > 0)
    }

    /// Since when a segment has been waiting on either side.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        match (self.low.waiting_since(), self.high.waiting_since()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Gives up the holes that the other side has acknowledged past, and delivers what was behind.
    pub fn give_up_acknowledged<H>(&mut self, at: Timestamp, cx: &mut Context<'_, H>) -> Outcome
    where
        H: StreamHandler<Flow = F>,
    {
        loop {
            let mut moved = false;
            for side in [Side::Low, Side::High] {
                let len = self.half(side).acknowledged_hole();
                if len > 0 && self.unread != Some(side) {
                    self.skip(side, len, at, cx);
                    moved = true;
                }
            }
            let outcome = self.pump(cx);
            if !moved || outcome != Outcome::Open {
                return outcome;
            }
        }
    }

    /// Gives up every hole in front of what waits, and delivers all of it: at the end, or when the
    /// limits are passed.
    pub fn flush<H>(&mut self, at: Timestamp, cx: &mut Context<'_, H>) -> Outcome
    where
        H: StreamHandler<Flow = F>,
    {
        loop {
            let outcome = self.pump(cx);
            let hole = [Side::Low, Side::High].into_iter().find_map(|side| {
                let half = self.half(side);
                let acked = half.acknowledged_hole();
                let len = if acked > 0 { acked } else { half.hole_before_waiting()? };
                (self.unread != Some(side) && len > 0).then_some((side, len))
            });
            match hole {
                Some((side, len)) => self.skip(side, len, at, cx),
                // Nothing but a circle of sides that wait for each other's acknowledgments.
                None if self.low.front().is_some() => self.deliver_front(Side::Low, cx),
                None if self.high.front().is_some() => self.deliver_front(Side::High, cx),
                None => return outcome,
            }
        }
    }

    fn skip<H>(&mut self, side: Side, len: u64, at: Timestamp, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Flow = F>,
    {
        self.half_mut(side).pass(len);
        cx.counts.unseen = cx.counts.unseen.saturating_add(len);
        cx.counts.gaps = cx.counts.gaps.saturating_add(1);
        if let Some(flow) = &mut self.handler {
            cx.handler.gap(&self.info, flow, side, Gap { at, len });
        }
    }
}
