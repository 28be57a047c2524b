//! Packet traces: segments in, stream events out. After every push the sums of the ledger are checked.
//!
//! `c(seq)` is a segment of the client (10.0.0.1:40000), `s(seq)` one of the server (10.0.0.2:80).
//! Events are lines: `open 0 C start`, `C GET`, `C gap 3`, `C fin`, `close 0 fin`.

mod ending;
mod handshake;
mod limits;
mod loss;
mod model;
mod overlap;
mod sightings;
mod urgent;

use std::time::Duration;

use super::{Limits, Reassembler};
use crate::model::{
    Anomaly, CloseReason, Endpoint, Flags, FlowInfo, Gap, Ignored, Piece, Segment, SeqNum, Side,
    StreamHandler, Timestamp, Watch,
};
use crate::model::{Cause, Servers};

/// A segment that owns its payload.
#[derive(Clone, Debug)]
pub struct Seg {
    pub is_client: bool,
    pub ports: (u16, u16),
    pub seq: u32,
    pub ack: Option<u32>,
    pub flags: Flags,
    pub urgent: Option<u16>,
    pub bytes: Vec<u8>,
    pub cut: u32,
    pub encapsulation: u64,
}

/// A segment of the client.
pub fn c(seq: u32) -> Seg {
    let (ports, flags) = ((40000, 80), Flags::default());
    let (urgent, bytes) = (None, vec![]);
    Seg { is_client: true, ports, seq, ack: None, flags, urgent, bytes, cut: 0, encapsulation: 0 }
}

/// A segment of the server.
pub fn s(seq: u32) -> Seg {
    Seg { is_client: false, ..c(seq) }
}

impl Seg {
    pub fn ack(mut self, ack: u32) -> Self {
        self.ack = Some(ack);
        self
    }
    pub fn data(mut self, bytes: &[u8]) -> Self {
        self.bytes = bytes.to_vec();
        self
    }
    pub fn syn(mut self) -> Self {
        self.flags.syn = true;
        self
    }
    pub fn fin(mut self) -> Self {
        self.flags.fin = true;
        self
    }
    pub fn rst(mut self) -> Self {
        self.flags.rst = true;
        self
    }
    pub fn urgent(mut self, pointer: u16) -> Self {
        self.urgent = Some(pointer);
        self
    }
    pub fn cut(mut self, bytes: u32) -> Self {
        self.cut = bytes;
        self
    }
    pub fn on(mut self, encapsulation: u64) -> Self {
        self.encapsulation = encapsulation;
        self
    }
    pub fn port(mut self, port: u16) -> Self {
        self.ports.0 = port;
        self
    }
}

/// Writes down what it is told, and checks the order of the calls.
#[derive(Default)]
pub struct Recorder {
    pub events: Vec<String>,
    pub delivered: u64,
    pub unseen: u64,
    /// What `held` says of every connection.
    pub held: usize,
}

/// What the recorder keeps of a connection: which sides have finished.
#[derive(Default)]
pub struct Told {
    finished: [bool; 2],
}

fn name(side: Side) -> &'static str {
    if side == Side::Low { "C" } else { "S" }
}

impl StreamHandler for Recorder {
    type Flow = Told;

    fn opened(&mut self, info: &FlowInfo) -> Told {
        let client = info.client.map_or("?", name);
        let from = if info.from_start { "start" } else { "middle" };
        self.events.push(format!("open {} {client} {from}", info.conn));
        Told::default()
    }

    fn data(&mut self, _: &FlowInfo, flow: &mut Told, side: Side, piece: Piece<'_>) {
        assert!(!flow.finished[side.index()], "data after the end");
        assert!(!piece.bytes.is_empty(), "an empty piece");
        self.delivered += piece.bytes.len() as u64;
        let start = if piece.segment_start { "" } else { "~" };
        let conflict = if piece.anomalies.contains(Anomaly::OverlapConflict) { "!" } else { "" };
        let urgent = if piece.anomalies.contains(Anomaly::UrgentData) { "^" } else { "" };
        let text = piece.bytes.escape_ascii();
        self.events.push(format!("{} {start}{text}{conflict}{urgent}", name(side)));
    }

    fn gap(&mut self, _: &FlowInfo, flow: &mut Told, side: Side, gap: Gap) {
        assert!(!flow.finished[side.index()], "a gap after the end");
        assert!(gap.len > 0, "an empty gap");
        self.unseen += gap.len;
        self.events.push(format!("{} gap {}", name(side), gap.len));
    }

    fn conflict(&mut self, _: &FlowInfo, _: &mut Told, side: Side) {
        self.events.push(format!("{} conflict", name(side)));
    }

    fn finished(&mut self, _: &FlowInfo, flow: &mut Told, side: Side, _: Timestamp) {
        assert!(!flow.finished[side.index()], "finished twice");
        flow.finished[side.index()] = true;
        self.events.push(format!("{} fin", name(side)));
    }

    fn closed(&mut self, info: &FlowInfo, _: Told, _: Timestamp, why: CloseReason) {
        self.events.push(format!("close {} {}", info.conn, why.name()));
    }

    fn held(&self, _: &Told) -> usize {
        self.held
    }
}

/// A reassembler under test, with its own clock.
pub struct Tap {
    pub reassembler: Reassembler<Recorder>,
    pub now: Timestamp,
    /// Whether a segment of another connection is an error (default) or may be ignored.
    pub ignored: Vec<Ignored>,
}

impl Tap {
    /// Both directions read, default limits, every port watched.
    pub fn new() -> Self {
        Self::with(Limits::default(), true, &[])
    }

    pub fn with(limits: Limits, read_responses: bool, ports: &[u16]) -> Self {
        let watch = Watch { ports: ports.to_vec(), servers: Servers::Any, ..Watch::everything() };
        let reassembler = Reassembler::new(Recorder::default(), watch, read_responses, limits);
        Self { reassembler, now: Timestamp::from_parts(1_700_000_000, 0), ignored: vec![] }
    }

    /// A tap on which the connection's handshake was seen: client's first byte 101, server's 501.
    pub fn established() -> Self {
        let mut tap = Self::new();
        tap.handshake();
        tap
    }

    #[track_caller]
    pub fn handshake(&mut self) {
        self.quiet(c(100).syn());
        self.quiet(s(500).syn().ack(101));
        self.expect(c(101).ack(501), &["open 0 C start"]);
    }

    /// Pushes a segment and gives the events.
    #[track_caller]
    pub fn push(&mut self, seg: Seg) -> Vec<String> {
        let client = Endpoint::new([10, 0, 0, 1].into(), seg.ports.0);
        let server = Endpoint::new([10, 0, 0, 2].into(), seg.ports.1);
        let (src, dst) = if seg.is_client { (client, server) } else { (server, client) };
        let segment = Segment {
            time: self.now,
            src,
            dst,
            encapsulation: seg.encapsulation,
            seq: SeqNum(seg.seq),
            ack: seg.ack.map(SeqNum),
            flags: seg.flags,
            urgent: seg.urgent,
            payload: &seg.bytes,
            cut: seg.cut,
        };
        if let Err(why) = self.reassembler.push(&segment) {
            self.ignored.push(why);
        }
        self.check_sums();
        self.events()
    }

    /// Pushes a segment and compares the events.
    #[track_caller]
    pub fn expect(&mut self, seg: Seg, events: &[&str]) {
        let shown = format!("{seg:?}");
        assert_eq!(self.push(seg), events, "after {shown}");
    }

    /// Pushes a segment that must cause no event.
    #[track_caller]
    pub fn quiet(&mut self, seg: Seg) {
        self.expect(seg, &[]);
    }

    /// Lets time pass and compares the events.
    #[track_caller]
    pub fn wait(&mut self, millis: u64, events: &[&str]) {
        for _ in 0..millis.div_ceil(10) {
            self.now = self.now + Duration::from_millis(10.min(millis));
            self.reassembler.advance(self.now);
        }
        self.check_sums();
        assert_eq!(self.events(), events, "after {millis} ms");
    }

    #[track_caller]
    pub fn finish(&mut self, events: &[&str]) {
        self.reassembler.finish();
        self.check_sums();
        assert_eq!(self.events(), events, "at the end");
        assert_eq!(self.reassembler.counts().buffered, 0);
        assert_eq!((self.reassembler.flows(), self.reassembler.memory()), (0, 0));
    }

    pub fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reassembler.handler().events)
    }

    /// `received = delivered + duplicate + other_direction + refused + buffered`, and what was
    /// counted is what was told.
    #[track_caller]
    pub fn check_sums(&mut self) {
        let n = self.reassembler.counts();
        let fates =
            n.delivered + n.duplicate + n.other_direction + n.refused + n.urgent + n.buffered;
        assert_eq!(n.received, fates, "{n:?}");
        let told = self.reassembler.handler();
        assert_eq!((n.delivered, n.unseen), (told.delivered, told.unseen));
    }
}
