//! What reassembly tells its reader: connections opened, bytes in order, holes, ends.

use super::tally::causes;
use super::{Anomalies, Endpoint, FlowKey, Side, Timestamp};

/// What is known of a connection when its first bytes are about to be delivered.
#[derive(Clone, Copy, Debug)]
pub struct FlowInfo {
    /// Number of the connection in this capture, from 0, in order of appearance.
    pub conn: u64,
    /// Both endpoints.
    pub key: FlowKey,
    /// The side that opened the connection, where a SYN or the watched ports told it.
    pub client: Option<Side>,
    /// Whether the connection was seen from its first byte (its SYN or SYN+ACK was captured).
    pub from_start: bool,
}

impl FlowInfo {
    /// The endpoint on that side.
    pub fn end(&self, side: Side) -> Endpoint {
        self.key.end(side)
    }
}

/// Bytes of one direction, in sequence order: at most one segment's payload.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Packet time of the segment that carried these bytes.
    pub at: Timestamp,
    /// The bytes; never empty.
    pub bytes: &'a [u8],
    /// Whether the first byte is also the first byte of a segment as it was sent.
    pub segment_start: bool,
    /// What is odd about these bytes below HTTP: another segment carried others for the same sequence
    /// numbers, or a byte between them was urgent and is not among them.
    pub anomalies: Anomalies,
}

/// A hole: bytes of one direction that the capture never saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Packet time at which the hole was given up.
    pub at: Timestamp,
    /// Its length in bytes; at least 1.
    pub len: u64,
}

causes!(
    /// Why a direction or a connection is over.
    CloseReason, CLOSE_REASONS {
        /// FIN: the sender had no more to say, and everything before it was delivered or is a gap.
        Fin = "fin",
        /// RST.
        Reset = "reset",
        /// A new SYN on the same 4-tuple.
        Reused = "reused",
        /// Nothing for longer than the idle time.
        Idle = "idle",
        /// Given up to stay within the limits on flows or memory.
        Evicted = "evicted",
        /// The capture ended.
        EndOfCapture = "end_of_capture",
    }
);

/// The reader of reassembled streams. For each connection, in this order:
///
/// 1. [`opened`](Self::opened), once, before anything else;
/// 2. [`data`](Self::data), [`gap`](Self::gap) and [`conflict`](Self::conflict), any number of times, in
///    sequence order within a side; between sides a byte is delivered after what its sender had acknowledged, so a response
///    never comes before the request it answers;
/// 3. [`finished`](Self::finished), at most once a side, after its last byte;
/// 4. [`closed`](Self::closed), once, after everything else.
pub trait StreamHandler {
    /// What the reader keeps for a connection. Lives in the flow table, so keep it small.
    type Flow;

    /// A connection has its first bytes.
    fn opened(&mut self, info: &FlowInfo) -> Self::Flow;

    /// Bytes of one side, contiguous with what came before.
    fn data(&mut self, info: &FlowInfo, flow: &mut Self::Flow, side: Side, piece: Piece<'_>);

    /// Bytes of one side that were never seen.
    fn gap(&mut self, info: &FlowInfo, flow: &mut Self::Flow, side: Side, gap: Gap);

    /// Bytes of one side that were delivered came again, and were others. What was delivered stands.
    fn conflict(&mut self, info: &FlowInfo, flow: &mut Self::Flow, side: Side);

    /// One side has sent its FIN and everything before it was delivered.
    fn finished(&mut self, info: &FlowInfo, flow: &mut Self::Flow, side: Side, at: Timestamp);

    /// The connection is over.
    fn closed(&mut self, info: &FlowInfo, flow: Self::Flow, at: Timestamp, why: CloseReason);

    /// Bytes of memory that the reader holds for this connection beyond `Flow` itself.
    fn held(&self, flow: &Self::Flow) -> usize;
}
