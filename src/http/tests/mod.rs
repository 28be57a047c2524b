//! Stream events in, messages out, one line each. After every event the sums of the ledger are checked.
//!
//! A request reads `#0 GET /a "body"`, a response `#0 200 "body" for 0` (`for -` when unpaired). What is
//! not whole ends in `incomplete` or `too_large`, and what is odd in `[names]`.

mod bounds;
mod cuts;
mod framing;
mod pairing;
mod resync;
mod strangers;

use super::connection::Connection;
use super::{Config, HttpReader};
use crate::model::{
    Cause, CloseReason, Completion, Endpoint, FlowInfo, FlowKey, Gap, Message, Piece, Side, Start,
    StreamHandler, Timestamp,
};

/// The client's side of the connection under test; the server's is the other.
const CLIENT: Side = Side::Low;

/// What both sides of a connection say, and what the reader makes of it.
pub struct Wire {
    pub reader: HttpReader,
    pub info: FlowInfo,
    flow: Option<Connection>,
    delivered: u64,
    at: u64,
    pub messages: Vec<Message>,
}

/// Both directions read and put out.
pub fn both() -> Config {
    Config { read_responses: true, emit_responses: true, ..Config::default() }
}

impl Wire {
    /// A connection seen from its first byte, both directions read.
    pub fn new() -> Self {
        Self::with(both())
    }

    pub fn with(config: Config) -> Self {
        Self::open(config, Some(CLIENT), true)
    }

    /// A connection that was open before the capture; the client is known by its port, or not.
    pub fn from_the_middle(client: Option<Side>) -> Self {
        Self::open(both(), client, false)
    }

    pub fn open(config: Config, client: Option<Side>, from_start: bool) -> Self {
        let (key, side) = FlowKey::new(
            Endpoint::new([10, 0, 0, 1].into(), 40000),
            Endpoint::new([10, 0, 0, 2].into(), 80),
        );
        assert_eq!(side, CLIENT);
        let info = FlowInfo { conn: 0, key, client, from_start };
        let mut reader = HttpReader::new(config);
        let flow = Some(reader.opened(&info));
        Self { reader, info, flow, delivered: 0, at: 0, messages: vec![] }
    }

    #[track_caller]
    fn piece(&mut self, side: Side, bytes: &[u8], segment_start: bool) -> &mut Self {
        if bytes.is_empty() {
            return self;
        }
        self.at += 1;
        self.delivered += bytes.len() as u64;
        let at = Timestamp::from_nanos(self.at);
        let piece = Piece { at, bytes, segment_start, anomalies: Default::default() };
        self.reader.data(&self.info, self.flow.as_mut().unwrap(), side, piece);
        self.check()
    }

    /// A segment of the client.
    #[track_caller]
    pub fn c(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.piece(CLIENT, bytes.as_ref(), true)
    }

    /// A segment of the server.
    #[track_caller]
    pub fn s(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.piece(CLIENT.peer(), bytes.as_ref(), true)
    }

    /// Bytes of the client that do not begin a segment.
    #[track_caller]
    pub fn c_within(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.piece(CLIENT, bytes.as_ref(), false)
    }

    fn gap(&mut self, side: Side, len: u64) -> &mut Self {
        let gap = Gap { at: Timestamp::from_nanos(self.at), len };
        self.reader.gap(&self.info, self.flow.as_mut().unwrap(), side, gap);
        self.check()
    }

    #[track_caller]
    pub fn c_gap(&mut self, len: u64) -> &mut Self {
        self.gap(CLIENT, len)
    }

    #[track_caller]
    pub fn s_gap(&mut self, len: u64) -> &mut Self {
        self.gap(CLIENT.peer(), len)
    }

    fn fin(&mut self, side: Side) -> &mut Self {
        let at = Timestamp::from_nanos(self.at);
        self.reader.finished(&self.info, self.flow.as_mut().unwrap(), side, at);
        self.check()
    }

    #[track_caller]
    pub fn c_fin(&mut self) -> &mut Self {
        self.fin(CLIENT)
    }

    #[track_caller]
    pub fn s_fin(&mut self) -> &mut Self {
        self.fin(CLIENT.peer())
    }

    #[track_caller]
    pub fn close(&mut self, why: CloseReason) -> &mut Self {
        let at = Timestamp::from_nanos(self.at);
        let flow = self.flow.take().unwrap();
        self.reader.closed(&self.info, flow, at, why);
        self.check();
        assert_eq!(self.reader.counts().open, 0, "nothing is open after the end");
        self
    }

    /// Memory that the reader holds for the connection.
    pub fn held(&self) -> usize {
        self.reader.held(self.flow.as_ref().unwrap())
    }

    /// `delivered = messages + skipped + open`, and every message is what it says.
    #[track_caller]
    fn check(&mut self) -> &mut Self {
        let counts = self.reader.counts();
        assert_eq!(
            self.delivered,
            counts.messages + counts.skipped.total() + counts.open,
            "{counts:?}"
        );
        for message in self.reader.drain() {
            assert!(message.head_len <= message.raw.len());
            assert!(message.first_byte <= message.last_byte);
            if message.completion == Completion::Complete && !message.chunked {
                assert_eq!(message.body, message.wire_body());
            }
            self.messages.push(message);
        }
        self
    }

    /// The messages so far, one line each.
    #[track_caller]
    pub fn expect(&mut self, lines: &[&str]) -> &mut Self {
        let shown: Vec<String> = self.messages.iter().map(show).collect();
        assert_eq!(shown, lines);
        self
    }

    /// Bytes that belong to no message, as `cause:bytes`.
    pub fn skipped(&self) -> Vec<String> {
        let counts = self.reader.counts();
        let some = counts.skipped.iter().filter(|(_, bytes)| *bytes > 0);
        some.map(|(cause, bytes)| format!("{}:{bytes}", cause.name())).collect()
    }

    /// What the connection turned out to speak instead.
    pub fn protocols(&self) -> Vec<&'static str> {
        let counts = self.reader.counts();
        let some = counts.other_protocol.iter().filter(|(_, n)| *n > 0);
        some.map(|(protocol, _)| protocol.name()).collect()
    }
}

/// A message as one line.
pub fn show(message: &Message) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut line = match message.start {
        Start::Request { .. } => {
            format!("#{} {} {}", message.index, text(message.method()), text(message.target()))
        }
        Start::Response { status, .. } => format!("#{} {status}", message.index),
    };
    if message.body_len > 0 {
        line += &format!(" \"{}\"", text(&message.body));
    }
    if let Start::Response { request, .. } = message.start {
        line += &request.map_or(" for -".into(), |index| format!(" for {index}"));
    }
    match message.completion {
        Completion::Complete => {}
        Completion::Incomplete => line += " incomplete",
        Completion::TooLarge => line += " too_large",
    }
    let names: Vec<_> = message.anomalies.iter().map(|anomaly| anomaly.name()).collect();
    if !names.is_empty() {
        line += &format!(" [{}]", names.join(" "));
    }
    line
}

/// A GET of that target.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A POST with a body of known length.
pub fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A 200 with a body of known length.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
