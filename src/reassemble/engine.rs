//! The reassembler: which connection a segment belongs to, when one begins and ends, and the limits.
//!
//! See the module's description (`reassemble`). Packet time is the only clock: it comes with the
//! segments and with [`Reassembler::advance`].

use std::collections::VecDeque;
use std::time::Duration;

use super::flow::{Context, Flow, Outcome};
use super::half::Half;
use super::syn_cache::SynCache;
use super::table::{Order, Table};
use crate::model::ledger::StreamCounts;
use crate::model::{
    CloseReason, FlowInfo, FlowKey, Ignored, Segment, SeqNum, Side, StreamHandler, Timestamp, Watch,
};

/// How far a segment of another encapsulation may be from the expected one to count as a second
/// sighting of the same connection: more than any window in practice, far less than chance.
const SAME_STREAM: u32 = 16 << 20;

/// How often old connections are looked for, in packet time.
const EXPIRY_PERIOD: Duration = Duration::from_millis(250);

/// The limits of reassembly. Passing one is a counted event.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Memory for waiting segments and unfinished messages of all connections together, in bytes.
    pub memory: usize,
    /// Memory for the waiting segments of one connection, in bytes; beyond it holes are given up.
    pub flow_memory: usize,
    /// Connections known at once, those only remembered included.
    pub flows: usize,
    /// A connection without a packet for this long is forgotten; its next packet starts it anew.
    pub idle: Duration,
    /// How long a connection that is over is remembered, so that late retransmissions of it are not
    /// taken for a new one. 60 s is Linux's TIME-WAIT.
    pub linger: Duration,
    /// How long a hole that the receiver has acknowledged past may still be filled: captures swap
    /// packets between directions and processors, but not for longer than this.
    pub acknowledged_grace: Duration,
    /// How long a hole may stand where no acknowledgments are seen at all.
    pub reorder_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            flow_memory: 8 << 20,
            flows: 1 << 20,
            idle: Duration::from_secs(600),
            linger: Duration::from_secs(60),
            acknowledged_grace: Duration::from_millis(100),
            reorder_time: Duration::from_secs(5),
        }
    }
}

/// See the module's description.
pub struct Reassembler<H: StreamHandler> {
    handler: H,
    limits: Limits,
    watch: Watch,
    /// Whether the server's bytes are read too.
    read_responses: bool,
    table: Table<H::Flow>,
    syns: SynCache,
    counts: StreamCounts,
    next_conn: u64,
    now: Timestamp,
    next_expiry: Timestamp,
    /// Memory charged for all connections, in bytes.
    charged: usize,
    /// Connections that hold memory, in the order in which they began to.
    holders: VecDeque<(u32, u32)>,
    /// Connections with a hole, in the order in which it must be looked at.
    holes: VecDeque<(Timestamp, u32, u32)>,
}

impl<H: StreamHandler> Reassembler<H> {
    /// A reassembler for the connections of `watch`. With `read_responses` both directions are
    /// delivered, else only bytes toward the server, where it is known which side that is.
    pub fn new(handler: H, watch: Watch, read_responses: bool, limits: Limits) -> Self {
        Self {
            handler,
            limits,
            watch,
            read_responses,
            table: Table::new(),
            syns: SynCache::default(),
            counts: StreamCounts::default(),
            next_conn: 0,
            now: Timestamp::ZERO,
            next_expiry: Timestamp::ZERO,
            charged: 0,
            holders: VecDeque::new(),
            holes: VecDeque::new(),
        }
    }

    /// The reader.
    pub fn handler(&mut self) -> &mut H {
        &mut self.handler
    }

    /// What was counted so far.
    pub fn counts(&self) -> StreamCounts {
        self.counts
    }

    /// Connections in the table now, those only remembered included.
    pub fn flows(&self) -> usize {
        self.table.len()
    }

    /// Takes one segment. An error means that its connection is not watched.
    pub fn push(&mut self, segment: &Segment<'_>) -> Result<(), Ignored> {
        self.advance(segment.time);
        let (key, side) = FlowKey::new(segment.src, segment.dst);
        let Some(slot) = self.slot_for(&key, side, segment)? else {
            self.count_refused(segment);
            return Ok(());
        };
        self.counts.received = self.counts.received.saturating_add(segment.payload.len() as u64);
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts };
        let Some(flow) = self.table.get_mut(slot) else { return Ok(()) };
        flow.last = self.now;
        let outcome = flow.receive(side, segment, &mut cx);
        self.settle(slot, outcome);
        Ok(())
    }

    /// Lets packet time pass: holes are given up, idle connections forgotten. Time never runs
    /// backwards here, whatever the capture says.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(&(due, slot, generation)) = self.holes.front()
            && due <= self.now
        {
            self.holes.pop_front();
            self.look_at_hole(slot, generation);
        }
        if self.now >= self.next_expiry {
            self.next_expiry = self.now + EXPIRY_PERIOD;
            self.expire(Order::Over, self.limits.linger);
            self.expire(Order::Open, self.limits.idle);
        }
    }

    /// Ends every connection, as at the end of the capture.
    pub fn finish(&mut self) {
        let mut slots = self.table.slots();
        slots.sort_by_key(|&slot| self.table.get(slot).map_or(u64::MAX, |f| f.info.conn));
        for slot in slots {
            self.close(slot, CloseReason::EndOfCapture);
            self.table.remove(slot);
        }
    }

    /// The connection of a segment: known, or begun by it; `None` when the segment begins nothing.
    fn slot_for(
        &mut self,
        key: &FlowKey,
        side: Side,
        segment: &Segment<'_>,
    ) -> Result<Option<u32>, Ignored> {
        let mut scope = 0;
        if let Some(slot) = self.table.find(key, 0) {
            if self.belongs(slot, side, segment) {
                return Ok(self.known(slot, side, segment));
            }
            scope = segment.encapsulation;
            if let Some(slot) = self.table.find(key, scope) {
                return Ok(self.known(slot, side, segment));
            }
        }
        self.begin(key, scope, side, segment)
    }

    /// Whether a segment with the 4-tuple of a known connection is part of it: always when it came
    /// in the same encapsulation, else when its numbers fit (bridge and veth, a mirror of both ends).
    fn belongs(&self, slot: u32, side: Side, segment: &Segment<'_>) -> bool {
        let Some(flow) = self.table.get(slot) else { return false };
        if flow.encapsulation == segment.encapsulation {
            return true;
        }
        let near = |half: &Half, seq: SeqNum| {
            !half.known || seq.distance(half.next()).unsigned_abs() < SAME_STREAM
        };
        near(flow.half(side), segment.data_seq())
            && segment.ack.is_none_or(|ack| near(flow.half(side.peer()), ack))
    }

    /// What to do with a segment of a known 4-tuple: it may belong to a new connection on it.
    fn known(&mut self, slot: u32, side: Side, segment: &Segment<'_>) -> Option<u32> {
        let flow = self.table.get(slot)?;
        let (key, scope) = (flow.info.key, flow.scope);
        let is_over = flow.is_over();
        if segment.flags.syn {
            return self.known_syn(slot, side, segment);
        }
        if segment.payload.is_empty() {
            return Some(slot);
        }
        let seq = segment.data_seq();
        let is_new =
            self.syns.get(self.table.hash_side(&key, side)).is_some_and(|isn| seq == isn + 1)
                || (is_over && !flow.half(side).known)
                || (is_over && seq.distance(flow.half(side).next()).unsigned_abs() > SAME_STREAM);
        if is_new {
            self.replace(slot);
            return self.begin(&key, scope, side, segment).ok().flatten();
        }
        (!is_over).then_some(slot)
    }

    /// A SYN on a known 4-tuple: repeated, or the first of a new connection. It is believed only
    /// when the handshake goes on: a forged SYN must not end a connection.
    fn known_syn(&mut self, slot: u32, side: Side, segment: &Segment<'_>) -> Option<u32> {
        let flow = self.table.get_mut(slot)?;
        let (key, scope, is_over) = (flow.info.key, flow.scope, flow.is_over());
        if flow.half(side).known && flow.half(side).first() == segment.data_seq() {
            return Some(slot);
        }
        let Some(ack) = segment.ack else {
            if is_over && !segment.payload.is_empty() {
                self.replace(slot);
                return self.begin(&key, scope, side, segment).ok().flatten();
            }
            self.syns.insert(self.table.hash_side(&key, side), segment.seq);
            return None;
        };
        // The answer to a SYN that carried data (Fast Open) and so began the connection already.
        let peer = flow.half(side.peer());
        if !is_over && !flow.half(side).known && peer.known && ack.distance(peer.first()) >= 0 {
            flow.half_mut(side).start(segment.data_seq());
            return Some(slot);
        }
        if !self.is_handshake(&key, side.peer(), ack, is_over) {
            return None;
        }
        self.replace(slot);
        self.begin(&key, scope, side, segment).ok().flatten()
    }

    /// Whether a SYN+ACK acknowledges the SYN that was seen from that side (or, where the old
    /// connection is over, any).
    fn is_handshake(&self, key: &FlowKey, client: Side, ack: SeqNum, is_over: bool) -> bool {
        match self.syns.get(self.table.hash_side(key, client)) {
            Some(isn) => ack.distance(isn) >= 1 && ack.distance(isn) < i32::MAX / 2,
            None => is_over,
        }
    }

    /// The old connection ends because a new one has its 4-tuple.
    fn replace(&mut self, slot: u32) {
        self.close(slot, CloseReason::Reused);
        self.table.remove(slot);
    }

    /// Begins a connection with this segment, if it is one that can.
    fn begin(
        &mut self,
        key: &FlowKey,
        scope: u64,
        side: Side,
        segment: &Segment<'_>,
    ) -> Result<Option<u32>, Ignored> {
        let hash = self.table.hash_side(key, side);
        let peer_isn = self.syns.get(self.table.hash_side(key, side.peer()));
        let is_syn = segment.flags.syn && segment.ack.is_none();
        let near = |isn: &SeqNum| segment.seq.distance(*isn).unsigned_abs() < SAME_STREAM;
        let isn = match segment.flags.syn {
            true => Some(segment.seq),
            false => self.syns.get(hash).filter(near),
        };
        let opener = match (segment.flags.syn, segment.ack) {
            (true, None) => Some(side),
            (true, Some(_)) => Some(side.peer()),
            (false, _) if isn.is_some() => Some(side),
            (false, _) => peer_isn.map(|_| side.peer()),
        };
        let server = self.watch.server_side(key, opener)?;
        if is_syn {
            self.syns.insert(hash, segment.seq);
            if segment.payload.is_empty() {
                return Ok(None);
            }
        }
        let client = opener.or(server.map(Side::peer));
        let unread = client.map(Side::peer).filter(|_| !self.read_responses);
        let is_useful = !segment.payload.is_empty() && unread != Some(side);
        if segment.flags.rst || !(segment.flags.syn || is_useful) {
            return Ok(None);
        }
        let info =
            FlowInfo { conn: self.next_conn, key: *key, client, from_start: opener.is_some() };
        let mut flow = Flow::new(info, segment.encapsulation, scope, unread);
        if let Some(isn) = isn {
            *flow.half_mut(side) = Half::starting_at(isn + 1);
        }
        let peer_first = peer_isn.map(|isn| isn + 1).or(segment.ack.filter(|_| segment.flags.syn));
        if let Some(first) = peer_first {
            *flow.half_mut(side.peer()) = Half::starting_at(first);
        }
        flow.last = self.now;
        self.syns.remove(hash);
        self.syns.remove(self.table.hash_side(key, side.peer()));
        self.make_room();
        self.next_conn = self.next_conn.saturating_add(1);
        self.counts.flows = self.counts.flows.saturating_add(1);
        flow.handler = Some(self.handler.opened(&flow.info));
        Ok(Some(self.table.insert(flow, self.now)))
    }

    /// A payload that begins or belongs to nothing.
    fn count_refused(&mut self, segment: &Segment<'_>) {
        let bytes = segment.payload.len() as u64;
        self.counts.received = self.counts.received.saturating_add(bytes);
        self.counts.refused = self.counts.refused.saturating_add(bytes);
    }

    /// After a connection was touched: its end, its hole, its memory.
    fn settle(&mut self, slot: u32, outcome: Outcome) {
        if let Outcome::Over(why) = outcome {
            self.close(slot, why);
            return;
        }
        let (now, grace) = (self.now, self.limits.acknowledged_grace);
        let Some(flow) = self.table.get_mut(slot) else { return };
        let held = flow.held_memory();
        let is_stuck = held > 0 || flow.has_acknowledged_hole();
        if !is_stuck {
            flow.hole_since = None;
        } else if flow.hole_since.is_none() {
            flow.hole_since = Some(now);
        }
        if is_stuck && !flow.is_hole_queued {
            flow.is_hole_queued = true;
            self.holes.push_back((now + grace, slot, flow.generation));
        }
        if held > self.limits.flow_memory {
            self.give_up_waiting(slot);
        }
        self.charge(slot);
        while self.charged > self.limits.memory && self.evict_holder() {}
    }

    /// A hole's time to be looked at has come: given up if the receiver has acknowledged past it for
    /// long enough, or if nothing was heard for the whole reorder time; else looked at again.
    fn look_at_hole(&mut self, slot: u32, generation: u32) {
        let (now, grace) = (self.now, self.limits.acknowledged_grace);
        let reorder = self.limits.reorder_time;
        let Some(flow) = self.table.redeem(slot, generation).filter(|f| !f.is_over()) else {
            return;
        };
        let Some(since) = flow.hole_since else { return };
        if now < since + grace {
            self.holes.push_back((since + grace, slot, generation));
            return;
        }
        flow.hole_since = None;
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts };
        let outcome = if flow.has_acknowledged_hole() {
            flow.give_up_acknowledged(now, &mut cx)
        } else if flow.waiting_since().is_some_and(|at| now >= at + reorder) {
            flow.flush(now, &mut cx)
        } else {
            Outcome::Open
        };
        self.settle(slot, outcome);
    }

    /// The waiting segments of one connection are over their limit: go on without what is missing.
    fn give_up_waiting(&mut self, slot: u32) {
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts };
        let Some(flow) = self.table.get_mut(slot) else { return };
        if let Outcome::Over(why) = flow.flush(self.now, &mut cx) {
            self.close(slot, why);
        }
    }

    /// Brings the charge for one connection up to date.
    fn charge(&mut self, slot: u32) {
        let Some(flow) = self.table.get_mut(slot) else { return };
        let reader = flow.handler.as_ref().map_or(0, |f| self.handler.held(f));
        let held = flow.held_memory().saturating_add(reader);
        self.charged = self.charged.saturating_sub(flow.charged).saturating_add(held);
        flow.charged = held;
        if held > 0 && !flow.is_holder {
            flow.is_holder = true;
            self.holders.push_back((slot, flow.generation));
        }
    }

    /// Gives up the connection that has held memory for longest; false when none does.
    fn evict_holder(&mut self) -> bool {
        while let Some((slot, generation)) = self.holders.pop_front() {
            let Some(flow) = self.table.redeem(slot, generation) else { continue };
            flow.is_holder = false;
            if flow.charged > 0 {
                self.close(slot, CloseReason::Evicted);
                self.table.remove(slot);
                return true;
            }
        }
        false
    }

    /// Makes room for one more connection in the table.
    fn make_room(&mut self) {
        while self.table.len() >= self.limits.flows.max(1) {
            let over = self.table.oldest(Order::Over, self.now);
            let Some(slot) = over.or_else(|| self.table.oldest(Order::Open, self.now)) else {
                return;
            };
            self.close(slot, CloseReason::Evicted);
            self.table.remove(slot);
        }
    }

    fn expire(&mut self, order: Order, after: Duration) {
        while let Some(slot) = self.table.oldest(order, self.now) {
            let is_due = self.table.get(slot).is_some_and(|flow| flow.last + after <= self.now);
            if !is_due {
                return;
            }
            self.close(slot, CloseReason::Idle);
            self.table.remove(slot);
        }
    }

    /// Ends a connection: what still waits is delivered, the reader is told. It stays in the table
    /// to be remembered. Does nothing for one that is over.
    fn close(&mut self, slot: u32, why: CloseReason) {
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts };
        let Some(flow) = self.table.get_mut(slot).filter(|flow| !flow.is_over()) else { return };
        flow.flush(self.now, &mut cx);
        self.charged = self.charged.saturating_sub(flow.charged);
        flow.charged = 0;
        flow.hole_since = None;
        let (info, last) = (flow.info, flow.last);
        if let Some(reader) = flow.handler.take() {
            self.handler.closed(&info, reader, last, why);
        }
        self.counts.closed.count(why);
        self.table.mark_over(slot, self.now);
    }
}
