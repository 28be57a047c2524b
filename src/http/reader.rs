//! The HTTP reader: a [`StreamHandler`] that turns connections into messages.
//!
//! In: stream events. Out: [`HttpReader::drain`], the messages completed since the last call, in
//! order of completion; [`HttpReader::answered`], the requests that were answered by responses that are not
//! put out; [`HttpReader::ended`], the connections from which no request will come any
//! more; and [`HttpReader::counts`].

use super::connection::{Connection, Context};
use crate::model::ledger::HttpCounts;
use crate::model::{
    Answered, CloseReason, FlowInfo, Gap, Message, Piece, Side, StreamHandler, Timestamp,
};

/// What to read and what to keep.
#[derive(Clone, Debug)]
pub struct Config {
    /// Largest body kept, in bytes; a message with a larger one is `TooLarge`. `None` keeps no body.
    pub max_body: Option<u64>,
    /// Whether to hash bodies (SHA-256), whatever their size.
    pub hash_bodies: bool,
    /// Largest head, in bytes. A message with a larger one is incomplete.
    pub max_head: usize,
    /// Whether responses are delivered here: pairing and framing depend on it.
    pub read_responses: bool,
    /// Whether responses are put out as messages.
    pub emit_responses: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_body: Some(16 << 20),
            hash_bodies: false,
            max_head: 256 << 10,
            read_responses: false,
            emit_responses: false,
        }
    }
}

/// Ended connections that are kept until they are asked for; others are not told.
const MAX_ENDED: usize = 1 << 16;

/// See the module's description.
#[derive(Debug, Default)]
pub struct HttpReader {
    config: Config,
    out: Vec<Message>,
    ended: Vec<u64>,
    answered: Vec<Answered>,
    first: Option<Timestamp>,
    counts: HttpCounts,
}

impl HttpReader {
    /// A reader with this configuration.
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// The messages completed since the last call.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Message> {
        self.out.drain(..)
    }

    /// The connections with requests whose client has ended them since the last call. All their
    /// requests came before.
    pub fn ended(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.ended)
    }

    /// The requests answered since the last call, by responses that were not put out.
    pub fn answered(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answered)
    }

    /// When the first message of all began, put out or not.
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    fn end(&mut self, conn: u64, flow: &mut Connection) {
        if flow.end_requests() && self.ended.len() < MAX_ENDED {
            self.ended.push(conn);
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> HttpCounts {
        self.counts
    }

    fn context<'a>(&'a mut self, info: &'a FlowInfo) -> Context<'a> {
        let Self { config, out, answered, first, counts, .. } = self;
        Context { info, config, counts, out, answered, first }
    }
}

impl StreamHandler for HttpReader {
    type Flow = Connection;

    fn opened(&mut self, info: &FlowInfo) -> Connection {
        Connection::new(info)
    }

    fn data(&mut self, info: &FlowInfo, flow: &mut Connection, side: Side, piece: Piece<'_>) {
        flow.data(side, piece, &mut self.context(info));
    }

    fn gap(&mut self, info: &FlowInfo, flow: &mut Connection, side: Side, gap: Gap) {
        flow.gap(side, gap, &mut self.context(info));
    }

    fn conflict(&mut self, _: &FlowInfo, flow: &mut Connection, side: Side) {
        flow.conflict(side);
    }

    fn finished(&mut self, info: &FlowInfo, flow: &mut Connection, side: Side, _at: Timestamp) {
        flow.finished(side, &mut self.context(info));
        if flow.client == Some(side) {
            self.end(info.conn, flow);
        }
    }

    fn closed(&mut self, info: &FlowInfo, mut flow: Connection, _at: Timestamp, why: CloseReason) {
        flow.closed(why, &mut self.context(info));
        self.end(info.conn, &mut flow);
    }

    fn held(&self, flow: &Connection) -> usize {
        flow.held()
    }
}
