//! One connection: its two halves, and the order in which their bytes are delivered.
//!
//! In: a segment for one side. Out: calls on the handler. Guaranteed: a side's bytes wait until the
//! other side's bytes that their sender had acknowledged were delivered, so that cause comes before
//! effect even where the capture swapped packets; a hole is given up when told so, never before.

use super::clock::Tick;
use super::half::{Arrival, Half};
use super::key::CompactKey;
use super::table::Link;
use super::tail::Tail;
use crate::model::ledger::StreamCounts;
use crate::model::{
    Anomalies, Anomaly, CloseReason, FlowInfo, Piece, Segment, SeqNum, Side, StreamHandler,
    Timestamp,
};

/// One connection in the flow table. 120 bytes and the reader's part: the order of the fields is the
/// compiler's.
#[derive(Debug)]
pub(super) struct Flow<F> {
    /// See [`FlowInfo::conn`].
    pub conn: u64,
    pub key: CompactKey,
    /// A hash of the encapsulation of the first packet; see [`super::admit`] on second sightings.
    pub encapsulation: u32,
    pub low: Half,
    pub high: Half,
    /// What is known of the bytes delivered last, by side.
    tails: [Tail; 2],
    /// The reader's part; `None` once the connection is over and only remembered.
    pub handler: Option<F>,
    /// Time of the last segment.
    pub last: Tick,
    /// Since when it has held memory, where it does.
    pub held_since: Tick,
    /// Its place in an order of age; the table's.
    pub link: Link,
    /// Memory charged for this connection, in units of [`CHARGE_UNIT`].
    charged: u32,
    /// Distinguishes this connection from an earlier one in the same slot.
    pub generation: u32,
    /// See [`FlowInfo::client`].
    pub client: Option<Side>,
    /// See [`FlowInfo::from_start`].
    pub from_start: bool,
    /// Whether the encapsulation is part of its key: another connection has the same 4-tuple.
    pub is_scoped: bool,
    /// The side whose bytes are not read (responses, where they were not asked for).
    pub unread: Option<Side>,
    /// Whether it stands in the queue of those that hold memory.
    pub is_holder: bool,
    /// Whether it stands in the queue of those that wait for time to pass.
    pub is_queued: bool,
    /// Whether a SYN of a possible successor was seen.
    pub is_challenged: bool,
}

/// Memory is charged in units of so many bytes, as allocators give it.
const CHARGE_UNIT: usize = 16;

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
    /// The reassembler's time.
    pub now: Timestamp,
    /// The same, as it is kept of connections.
    pub tick: Tick,
}

/// An encapsulation as it is kept of every connection: 32 bits tell the few there are apart.
pub(super) fn compact_encapsulation(encapsulation: u64) -> u32 {
    (encapsulation ^ encapsulation >> 32) as u32
}

/// What a key alone does not tell of a connection in this encapsulation: never 0, which stands for the
/// first connection of a 4-tuple, whatever its encapsulation.
pub(super) fn scope_of(encapsulation: u32) -> u64 {
    u64::from(encapsulation) + 1
}

impl<F> Flow<F> {
    pub fn new(
        info: &FlowInfo,
        encapsulation: u64,
        is_scoped: bool,
        unread: Option<Side>,
        now: Tick,
    ) -> Self {
        Self {
            conn: info.conn,
            key: CompactKey::new(&info.key),
            encapsulation: compact_encapsulation(encapsulation),
            low: Half::default(),
            high: Half::default(),
            tails: [Tail::default(); 2],
            handler: None,
            last: now,
            held_since: now,
            link: Link::default(),
            charged: 0,
            generation: 0,
            client: info.client,
            from_start: info.from_start,
            is_scoped,
            unread,
            is_holder: false,
            is_queued: false,
            is_challenged: false,
        }
    }

    /// What the reader is told of it.
    pub fn info(&self) -> FlowInfo {
        let (client, from_start) = (self.client, self.from_start);
        FlowInfo { conn: self.conn, key: self.key.full(), client, from_start }
    }

    /// Memory charged for this connection, in bytes.
    pub fn charged(&self) -> usize {
        self.charged as usize * CHARGE_UNIT
    }

    /// Charges so much memory, rounded up, and says what is charged.
    pub fn charge(&mut self, bytes: usize) -> usize {
        self.charged = u32::try_from(bytes.div_ceil(CHARGE_UNIT)).unwrap_or(u32::MAX);
        self.charged()
    }

    /// The part of its key that is not the 4-tuple.
    pub fn scope(&self) -> u64 {
        if self.is_scoped { scope_of(self.encapsulation) } else { 0 }
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

    fn tail(&self, side: Side) -> Tail {
        let [low, high] = self.tails;
        if side == Side::Low { low } else { high }
    }

    /// Notes what stands before the next byte to deliver.
    pub fn set_tail(&mut self, side: Side, tail: Tail) {
        let [low, high] = &mut self.tails;
        *(if side == Side::Low { low } else { high }) = tail;
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
        self.resolve_doubts(side, segment, cx);
        if let Some(ack) = segment.ack {
            self.half_mut(side.peer()).acknowledge(ack);
        }
        if segment.flags.rst {
            cx.counts.refused = cx.counts.refused.saturating_add(segment.payload.len() as u64);
            self.half_mut(side).reset_at(segment.seq);
            return self.pump(cx);
        }
        let seq = segment.data_seq();
        if !(self.from_start || segment.payload.is_empty() || self.unread == Some(side)) {
            self.half_mut(side).start_in_doubt(seq, cx.now);
        } else if segment.wire_len() > 0 || segment.flags.fin {
            self.half_mut(side).start(seq);
        }
        if self.unread == Some(side) {
            self.follow_unread(side, seq, segment, cx);
            return self.pump(cx);
        }
        if let Some(pointer) = segment.urgent {
            self.half_mut(side).urge(seq, segment.wire_len(), pointer);
        }
        let after = segment.ack.filter(|_| self.unread != Some(side.peer()));
        let is_in_turn = after.is_none_or(|ack| self.half(side.peer()).has_reached(ack));
        // The common case: the next bytes, nothing waiting, delivered where they lie.
        if is_in_turn && self.half(side).is_next(seq) && !segment.flags.syn {
            self.deliver_in_place(side, segment, cx);
        } else if !segment.payload.is_empty() {
            self.hold(side, seq, after, segment, cx);
        }
        if segment.flags.fin {
            self.half_mut(side).finish_at(seq + segment.wire_len());
        }
        self.pump(cx)
    }

    /// What this segment tells of bytes of which it was not sure that they are the stream's next.
    fn resolve_doubts<H>(&mut self, side: Side, segment: &Segment<'_>, cx: &mut Context<'_, H>) {
        let mut untaken = 0;
        if let Some(ack) = segment.ack {
            untaken = self.half_mut(side.peer()).settle_syn(ack);
        }
        if !segment.flags.syn {
            untaken += self.half_mut(side).settle_syn(segment.seq);
        }
        cx.counts.buffered = cx.counts.buffered.saturating_sub(untaken);
        cx.counts.refused = cx.counts.refused.saturating_add(untaken);
    }

    /// Puts bytes aside whose turn has not come.
    fn hold<H>(
        &mut self,
        side: Side,
        seq: SeqNum,
        after: Option<SeqNum>,
        segment: &Segment<'_>,
        cx: &mut Context<'_, H>,
    ) where
        H: StreamHandler<Flow = F>,
    {
        let is_refused = segment.flags.syn && self.half(side).is_syn_refused();
        if is_refused {
            cx.counts.refused = cx.counts.refused.saturating_add(segment.payload.len() as u64);
            return;
        }
        let bytes = segment.payload;
        let old = self.half(side).next().distance(seq);
        let conflict = self.tail(side).differs(bytes, old);
        if conflict {
            self.tell_conflict(side, cx);
        }
        let arrival = Arrival { at: segment.time, now: cx.now, seq, bytes, after, conflict };
        let placed = self.half_mut(side).hold(arrival);
        let counts = &mut *cx.counts;
        let duplicate = placed.duplicate.saturating_add(placed.replaced);
        counts.duplicate = counts.duplicate.saturating_add(duplicate as u64);
        counts.refused = counts.refused.saturating_add(placed.refused as u64);
        counts.buffered = counts.buffered.saturating_add(placed.held as u64);
        counts.buffered = counts.buffered.saturating_sub(placed.replaced as u64);
        let half = self.half_mut(side);
        if segment.flags.syn && segment.ack.is_none() {
            half.doubt_syn();
        } else if half.is_doubt_full() {
            half.trust();
        }
        if self.half(side).astray_hole() > 0 {
            self.flush(0, cx);
            let len = self.half(side).astray_hole();
            self.skip(side, len, cx);
        }
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
        let (bytes, anomalies) = (segment.payload, Anomalies::default());
        let piece = Piece { at: segment.time, bytes, segment_start: true, anomalies };
        self.half_mut(side).pass(bytes.len() as u64);
        self.set_tail(side, Tail::of(bytes));
        self.tell(side, piece, cx);
    }

    /// Gives bytes to the reader.
    fn tell<H>(&mut self, side: Side, piece: Piece<'_>, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Flow = F>,
    {
        let len = piece.bytes.len() as u64;
        if len == 0 {
            return;
        }
        cx.counts.delivered = cx.counts.delivered.saturating_add(len);
        let info = self.info();
        if let Some(flow) = &mut self.handler {
            cx.handler.data(&info, flow, side, piece);
        }
    }

    /// Tells the reader that bytes came again and were others.
    fn tell_conflict<H>(&mut self, side: Side, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Flow = F>,
    {
        cx.counts.conflicts = cx.counts.conflicts.saturating_add(1);
        let info = self.info();
        if let Some(flow) = &mut self.handler {
            cx.handler.conflict(&info, flow, side);
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
            if !low && !high && !self.break_circle(cx) {
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

    /// Where both sides' next bytes are there and wait for each other, one was sent again: with a
    /// later acknowledgment, and together with what came later. The client's go first, as far as the
    /// server had received them. True if there was such a circle.
    fn break_circle<H>(&mut self, cx: &mut Context<'_, H>) -> bool
    where
        H: StreamHandler<Flow = F>,
    {
        let side = self.client.unwrap_or(Side::Low);
        if self.half(side).front().is_none() {
            return false;
        }
        let Some(after) = self.half(side.peer()).front().map(|held| held.after) else {
            return false;
        };
        let received = after.map(|after| after.distance(self.half(side).next()));
        let limit = received.and_then(|received| usize::try_from(received).ok());
        self.deliver_front(side, limit.unwrap_or(usize::MAX), cx);
        true
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
            self.deliver_front(side, usize::MAX, cx);
            moved = true;
        }
        if self.half(side).is_fin_due() {
            // What waits beyond the FIN was never sent by this connection.
            let beyond = self.half_mut(side).finish();
            cx.counts.buffered = cx.counts.buffered.saturating_sub(beyond);
            cx.counts.refused = cx.counts.refused.saturating_add(beyond);
            moved = true;
            let info = self.info();
            if let Some(flow) = &mut self.handler {
                cx.handler.finished(&info, flow, side, cx.now);
            }
        }
        moved
    }

    /// Delivers at most so many bytes of the segment that is next in line.
    pub(super) fn deliver_front<H>(&mut self, side: Side, limit: usize, cx: &mut Context<'_, H>)
    where
        H: StreamHandler<Flow = F>,
    {
        let Some((held, seen, left)) = self.half_mut(side).take_front(limit) else { return };
        let counts = &mut *cx.counts;
        counts.buffered = counts.buffered.saturating_sub(held.bytes.len() as u64);
        counts.duplicate = counts.duplicate.saturating_add(seen as u64);
        if left == 0 {
            return;
        }
        let half = self.half_mut(side);
        let mut piece = held.piece(seen);
        if half.take_urgent_left() {
            piece.anomalies.insert(Anomaly::UrgentData);
        }
        let urgent = half.take_urgent(left);
        half.pass(left as u64);
        self.set_tail(side, Tail::of(piece.bytes));
        match urgent.and_then(|at| piece.bytes.split_at_checked(at)) {
            Some((before, [_, behind @ ..])) => {
                cx.counts.urgent = cx.counts.urgent.saturating_add(1);
                piece.anomalies.insert(Anomaly::UrgentData);
                self.tell(side, Piece { bytes: before, ..piece }, cx);
                self.tell(side, Piece { bytes: behind, segment_start: false, ..piece }, cx);
            }
            _ => self.tell(side, piece, cx),
        }
    }
}
