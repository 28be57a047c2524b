//! Reassembly and HTTP together: segments in, messages out, without any network.
//!
//! `model` compares random traffic with what was said; `goreplay` holds one test for each way in which
//! GoReplay loses or changes a request; `cost` counts work and memory in the worst cases.

mod cases;
mod cost;
mod goreplay;
mod memory;
mod model;
#[path = "../../src/model/testing.rs"]
#[allow(dead_code, reason = "each user needs a part of it")]
mod testing;
mod traffic;

use std::time::Duration;

use shadowtap::http::{Config, HttpReader};
use shadowtap::model::ledger::Snapshot;
use shadowtap::model::{Endpoint, Flags, Message, Segment, SeqNum, Servers, Timestamp, Watch};
use shadowtap::reassemble::{Limits, Reassembler};

/// A segment that owns its payload.
#[derive(Clone, Debug, Default)]
pub struct Packet {
    /// Whether the client sent it.
    pub is_client: bool,
    pub seq: u32,
    pub ack: Option<u32>,
    pub flags: Flags,
    pub bytes: Vec<u8>,
    pub cut: u32,
}

impl Packet {
    pub fn new(is_client: bool, seq: u32, ack: u32, bytes: &[u8]) -> Self {
        Self { is_client, seq, ack: Some(ack), bytes: bytes.to_vec(), ..Self::default() }
    }
}

/// The capture side from segments on: a reassembler with an HTTP reader, and a clock.
pub struct Capture {
    pub reassembler: Reassembler<HttpReader>,
    pub now: Timestamp,
    pub step: Duration,
    pub messages: Vec<Message>,
    pub client_port: u16,
}

impl Capture {
    /// Both directions, server port 80.
    pub fn new() -> Self {
        let config = Config { read_responses: true, emit_responses: true, ..Config::default() };
        Self::with(config, Limits::default())
    }

    pub fn with(config: Config, limits: Limits) -> Self {
        let watch = Watch { ports: vec![80], servers: Servers::Any, ..Watch::everything() };
        let read_responses = config.read_responses;
        let reader = HttpReader::new(config);
        Self {
            reassembler: Reassembler::new(reader, watch, read_responses, limits),
            now: Timestamp::from_parts(1_700_000_000, 0),
            step: Duration::from_micros(100),
            messages: vec![],
            client_port: 40_000,
        }
    }

    /// Takes one packet; the sums of the ledger must hold after it.
    pub fn push(&mut self, packet: &Packet) {
        let client = Endpoint::new([10, 0, 0, 1].into(), self.client_port);
        let server = Endpoint::new([10, 0, 0, 2].into(), 80);
        let (src, dst) = if packet.is_client { (client, server) } else { (server, client) };
        self.now = self.now + self.step;
        let segment = Segment {
            time: self.now,
            src,
            dst,
            encapsulation: 0,
            seq: SeqNum(packet.seq),
            ack: packet.ack.map(SeqNum),
            flags: packet.flags,
            urgent: None,
            payload: &packet.bytes,
            cut: packet.cut,
        };
        self.reassembler.push(&segment).expect("watched");
        self.collect();
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(10);
            self.reassembler.advance(self.now);
        }
        self.collect();
    }

    /// The end of the capture.
    pub fn finish(&mut self) {
        self.reassembler.finish();
        self.collect();
        assert_eq!((self.reassembler.flows(), self.reassembler.memory()), (0, 0));
    }

    fn collect(&mut self) {
        let streams = self.reassembler.counts();
        let reader = self.reassembler.handler();
        let snapshot = Snapshot { streams, http: reader.counts(), ..Snapshot::default() };
        self.messages.extend(reader.drain());
        let wrong = snapshot.contradictions();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    pub fn requests(&self) -> Vec<&Message> {
        self.messages.iter().filter(|message| message.is_request()).collect()
    }
}

/// A conversation typed in by hand: keeps both sides' sequence numbers.
pub struct Talk {
    pub capture: Capture,
    /// Sequence numbers of the next byte: client, server.
    pub next: (u32, u32),
}

impl Talk {
    /// After the handshake.
    pub fn new() -> Self {
        Self::starting_at(1000, 5000)
    }

    pub fn starting_at(client: u32, server: u32) -> Self {
        let mut talk = Self { capture: Capture::new(), next: (client, server) };
        let syn = Flags { syn: true, ..Flags::default() };
        let isn = (client.wrapping_sub(1), server.wrapping_sub(1));
        let packet = Packet { is_client: true, seq: isn.0, flags: syn, ..Packet::default() };
        talk.capture.push(&packet);
        talk.capture.push(&Packet { flags: syn, ..Packet::new(false, isn.1, client, b"") });
        talk.capture.push(&Packet::new(true, client, server, b""));
        talk
    }

    /// The client sends a segment.
    pub fn c(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let packet = self.lost_c(bytes);
        self.capture.push(&packet);
        self
    }

    /// The server sends a segment.
    pub fn s(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let packet = self.lost_s(bytes);
        self.capture.push(&packet);
        self
    }

    /// The client sends a segment that is not captured, or not yet.
    pub fn lost_c(&mut self, bytes: impl AsRef<[u8]>) -> Packet {
        let packet = Packet::new(true, self.next.0, self.next.1, bytes.as_ref());
        self.next.0 = self.next.0.wrapping_add(packet.bytes.len() as u32);
        packet
    }

    /// The server sends a segment that is not captured, or not yet.
    pub fn lost_s(&mut self, bytes: impl AsRef<[u8]>) -> Packet {
        let packet = Packet::new(false, self.next.1, self.next.0, bytes.as_ref());
        self.next.1 = self.next.1.wrapping_add(packet.bytes.len() as u32);
        packet
    }

    /// The complete requests so far, as `METHOD target "body"`.
    #[track_caller]
    pub fn expect(&mut self, requests: &[&str]) {
        self.s("").capture.wait(Duration::from_millis(300));
        let shown: Vec<String> = self.capture.requests().into_iter().map(show).collect();
        assert_eq!(shown, requests);
    }
}

/// A message as `METHOD target "body"` or `status "body"`, with what is wrong with it.
pub fn show(message: &Message) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut line = match message.status() {
        Some(status) => status.to_string(),
        None => format!("{} {}", text(message.method()), text(message.target())),
    };
    if !message.body.is_empty() {
        line += &format!(" \"{}\"", text(&message.body));
    }
    if message.completion != shadowtap::model::Completion::Complete {
        line += &format!(" {:?}", message.completion);
    }
    line
}
