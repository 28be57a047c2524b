//! The reassembler: takes segments, lets time pass, ends connections.
//!
//! See the module's description (`reassemble`). Which connection a segment belongs to is in `admit`,
//! what happens when time passes or a limit is reached in `bounds`.

use std::collections::VecDeque;
use std::time::Duration;

use super::clock::{Clock, Tick};
use super::flow::Context;
use super::syn_cache::SynCache;
use super::table::Table;
use crate::model::ledger::StreamCounts;
use crate::model::{CloseReason, FlowKey, Ignored, Segment, StreamHandler, Timestamp, Watch};

/// The limits of reassembly. Passing one is a counted event.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Memory for waiting segments and unfinished messages of all connections together, in bytes.
    pub memory: usize,
    /// Memory for the waiting segments of one connection, in bytes; beyond it holes are given up.
    pub flow_memory: usize,
    /// Connections known at once, those only remembered included. One that is idle costs less than 200
    /// bytes (IPv6: 250).
    pub flows: usize,
    /// A connection without a packet for this long is forgotten; its next packet starts it anew.
    pub idle: Duration,
    /// How long a connection that is over is remembered, so that late retransmissions of it are not
    /// taken for a new one. 60 s is Linux's TIME-WAIT.
    pub linger: Duration,
    /// How long a hole that the receiver has acknowledged past may still be filled: captures swap
    /// packets between directions and processors, but not for longer than this.
    pub acknowledged_grace: Duration,
    /// How long a hole may stand while its receiver is not heard at all (one-sided captures). Where
    /// it is heard, it is waited for: the sender will retransmit.
    pub reorder_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            flow_memory: 8 << 20,
            flows: 1 << 18,
            idle: Duration::from_secs(600),
            linger: Duration::from_secs(60),
            acknowledged_grace: Duration::from_millis(100),
            reorder_time: Duration::from_secs(5),
        }
    }
}

/// See the module's description.
pub struct Reassembler<H: StreamHandler> {
    pub(super) handler: H,
    pub(super) limits: Limits,
    pub(super) watch: Watch,
    /// Whether the server's bytes are read too.
    pub(super) read_responses: bool,
    pub(super) table: Table<H::Flow>,
    pub(super) syns: SynCache,
    pub(super) counts: StreamCounts,
    pub(super) next_conn: u64,
    clock: Clock,
    pub(super) now: Timestamp,
    /// The same, as it is kept of connections.
    pub(super) tick: Tick,
    pub(super) next_expiry: Timestamp,
    /// Memory charged for all connections, in bytes.
    pub(super) charged: usize,
    /// Connections that hold memory.
    pub(super) holding: usize,
    /// Connections that hold memory, in the order in which they began to.
    pub(super) holders: VecDeque<(Tick, u32, u32)>,
    /// Connections that wait for time to pass, in the order in which they must be looked at.
    pub(super) stuck: VecDeque<(Timestamp, u32, u32)>,
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
            clock: Clock::default(),
            now: Timestamp::ZERO,
            tick: Tick::default(),
            next_expiry: Timestamp::ZERO,
            charged: 0,
            holding: 0,
            holders: VecDeque::new(),
            stuck: VecDeque::new(),
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

    /// Memory held for waiting segments and unfinished messages, in bytes.
    pub fn memory(&self) -> usize {
        self.charged
    }

    /// Takes one segment. An error means that its connection is not watched.
    pub fn push(&mut self, segment: &Segment<'_>) -> Result<(), Ignored> {
        self.advance(segment.time);
        let (key, side) = FlowKey::new(segment.src, segment.dst);
        let Some(slot) = self.slot_for(&key, side, segment)? else { return Ok(()) };
        self.counts.received = self.counts.received.saturating_add(segment.payload.len() as u64);
        let (now, tick) = (self.now, self.tick);
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts, now, tick };
        let Some(flow) = self.table.get_mut(slot) else { return Ok(()) };
        flow.last = tick;
        let outcome = flow.receive(side, segment, &mut cx);
        self.settle(slot, outcome);
        Ok(())
    }

    /// Lets packet time pass: holes are given up, idle connections forgotten.
    pub fn advance(&mut self, at: Timestamp) {
        self.now = self.clock.advance(at);
        self.tick = self.clock.tick();
        while let Some(&(due, slot, generation)) = self.stuck.front()
            && due <= self.now
        {
            self.stuck.pop_front();
            self.look_again(slot, generation);
        }
        self.expire_when_due();
    }

    /// Ends every connection, as at the end of the capture.
    pub fn finish(&mut self) {
        let mut slots = self.table.slots();
        slots.sort_by_key(|&slot| self.table.get(slot).map_or(u64::MAX, |f| f.conn));
        for slot in slots {
            self.close(slot, CloseReason::EndOfCapture);
            self.table.remove(slot);
        }
    }

    /// Ends a connection: what still waits is delivered, the reader is told. It stays in the table
    /// to be remembered. Does nothing for one that is over.
    pub(super) fn close(&mut self, slot: u32, why: CloseReason) {
        let (now, tick) = (self.now, self.tick);
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts, now, tick };
        let Some(flow) = self.table.get_mut(slot).filter(|flow| !flow.is_over()) else { return };
        flow.flush(0, &mut cx);
        flow.low.tidy();
        flow.high.tidy();
        let info = flow.info();
        if let Some(reader) = flow.handler.take() {
            self.handler.closed(&info, reader, now, why);
        }
        self.discharge(slot);
        self.counts.closed.count(why);
        self.table.mark_over(slot, tick);
    }
}
