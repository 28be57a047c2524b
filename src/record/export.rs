//! Messages into a file of another format, and what that format cannot hold.
//!
//! In: messages, one by one. Out: bytes of the file, appended to a buffer of the caller's; nothing is
//! written here. Guaranteed: each message is counted once, as written or by the cause for which it was
//! left out; what a written message lost is counted by its name. Memory is that of the format: none, or the
//! messages that wait for their counterpart ([`super::har`]).

use serde::Serialize;

use crate::model::tally::causes;
use crate::model::{Anomaly, Completion, Endpoint, Message, Start, Tally};

use super::curl;
use super::encode::Encoder;
use super::gor::GorWriter;
use super::har::HarWriter;
use super::load_tools::{self, Tool};
use super::warc::WarcInfo;

causes!(
    /// Why a message is not in the file.
    LeftOut, LEFT_OUT {
        /// Not seen whole: cut off, or with a hole.
        Incomplete = "incomplete",
        /// Its body is larger than `--max-body`.
        BodyTooLarge = "body_too_large",
        /// A response, where the format holds requests alone.
        Response = "response",
        /// An informational response (1xx): the format holds one response for each request.
        Interim = "interim_response",
        /// A response whose request is not there, where the format has no place for it.
        NoRequest = "response_without_request",
        /// Bytes that the format has no words for.
        Inexpressible = "inexpressible",
    }
);

causes!(
    /// What of a written message the format has no place for.
    Lost, LOST {
        /// The addresses of client and server.
        Endpoints = "endpoints",
        /// That it came behind another message of its connection.
        Connection = "connection",
        /// The times; of a text for people they are in a remark only.
        Times = "times",
        /// What was odd about it, where the bytes alone do not show it.
        Anomalies = "anomalies",
        /// GoReplay takes a separator within a message for its end (shadowtap does not).
        Separator = "separator_in_message",
        /// The sizes of its chunks, and its trailer fields.
        Chunks = "chunks",
        /// That Host was not its first field.
        HostNotFirst = "host_not_first",
        /// Spacing, spelling of names and line ends of its head, or fields that are none.
        HeadSpelling = "head_spelling",
        /// The order of its fields.
        FieldOrder = "field_order",
        /// That a field stood there more than once: its values became one.
        Repeated = "repeated_fields",
        /// Its target as it was: a URI has no word for it, or another one.
        Target = "target",
        /// That it was HTTP/1.0.
        Version = "version",
    }
);

/// A file format that messages can be written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// WARC/1.1.
    Warc,
    /// GoReplay's.
    Gor,
    /// HAR 1.2.
    Har,
    /// A shell script of curl commands.
    Curl,
    /// A script for k6.
    K6,
    /// Targets for vegeta.
    Vegeta,
}

impl Format {
    /// Its name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warc => "WARC",
            Self::Gor => ".gor",
            Self::Har => "HAR",
            Self::Curl => "a script of curl commands",
            Self::K6 => "a script for k6",
            Self::Vegeta => "targets for vegeta",
        }
    }
}

/// Where messages ended: `read = requests + responses + left_out + waiting`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Exported {
    /// Messages given.
    pub read: u64,
    /// Requests written.
    pub requests: u64,
    /// Responses written.
    pub responses: u64,
    /// Messages that are not in the file, by cause.
    pub left_out: Tally<LeftOut, LEFT_OUT>,
    /// Of those written, how many lost what. Beside the sum.
    pub lost: Tally<Lost, LOST>,
    /// Messages that wait for their counterpart; none at the end.
    pub waiting: u64,
}

impl Exported {
    /// Messages that are in the file.
    pub fn written(&self) -> u64 {
        self.requests + self.responses
    }

    /// Whether the sum holds.
    pub fn is_balanced(&self) -> bool {
        self.read == self.written() + self.left_out.total() + self.waiting
    }

    /// Counts a message as written.
    pub(super) fn wrote(&mut self, message: &Message) {
        match message.start {
            Start::Request { .. } => self.requests += 1,
            Start::Response { .. } => self.responses += 1,
        }
    }
}

/// What makes the bytes.
enum Writer {
    Warc(Box<Encoder>, Box<WarcInfo>),
    Gor(GorWriter),
    Har(Box<HarWriter>),
    Curl,
    Load(Tool),
}

/// See the module's description.
pub struct Exporter {
    writer: Writer,
    counts: Exported,
}

impl Exporter {
    /// A file of this format; `info` describes it where the format has a place for that.
    pub fn new(format: Format, info: WarcInfo) -> Self {
        let writer = match format {
            Format::Warc => Writer::Warc(Box::new(Encoder::new(&info.run)), Box::new(info)),
            Format::Gor => Writer::Gor(GorWriter),
            Format::Har => Writer::Har(Box::default()),
            Format::Curl => Writer::Curl,
            Format::K6 => Writer::Load(Tool::K6),
            Format::Vegeta => Writer::Load(Tool::Vegeta),
        };
        Self { writer, counts: Exported::default() }
    }

    /// What stands before the first message. `name` is the file's own.
    pub fn begin(&mut self, out: &mut Vec<u8>, name: &str) {
        match &mut self.writer {
            Writer::Warc(encoder, info) => encoder.info(out, info, name, 0),
            Writer::Gor(_) | Writer::Load(Tool::Vegeta) => {}
            Writer::Load(Tool::K6) => out.extend_from_slice(load_tools::K6_BEGIN),
            Writer::Har(writer) => writer.begin(out),
            Writer::Curl => out.extend_from_slice(curl::BEGIN),
        }
    }

    /// Takes a message in.
    pub fn message(&mut self, out: &mut Vec<u8>, message: &Message) {
        self.counts.read += 1;
        if let Some(cause) = not_whole(message) {
            self.counts.left_out.count(cause);
            return;
        }
        let counts = &mut self.counts;
        match &mut self.writer {
            Writer::Warc(encoder, _) => {
                encoder.message(out, message, &message.raw);
                counts.wrote(message);
            }
            Writer::Gor(writer) => writer.message(out, message, counts),
            Writer::Har(writer) => writer.message(out, message, counts),
            Writer::Curl => curl::message(out, message, counts),
            Writer::Load(tool) => load_tools::message(*tool, out, message, counts),
        }
    }

    /// What stands behind the last message.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.writer {
            Writer::Har(writer) => writer.finish(out, &mut self.counts),
            Writer::Load(Tool::K6) => out.extend_from_slice(load_tools::K6_END),
            Writer::Warc(..) | Writer::Gor(_) | Writer::Curl | Writer::Load(Tool::Vegeta) => {}
        }
    }

    /// What became of the messages so far.
    pub fn counts(&self) -> &Exported {
        &self.counts
    }
}

/// Why no format takes the message: files hold whole messages only.
fn not_whole(message: &Message) -> Option<LeftOut> {
    let lacks_body = message.body_len > 0 && message.wire_body().is_empty();
    match message.completion {
        Completion::Incomplete => Some(LeftOut::Incomplete),
        Completion::TooLarge => Some(LeftOut::BodyTooLarge),
        Completion::Complete if lacks_body => Some(LeftOut::BodyTooLarge),
        Completion::Complete => None,
    }
}

/// Whether a message's addresses are known.
pub(super) fn has_endpoints(message: &Message) -> bool {
    let is_known = |end: Endpoint| !end.ip.is_unspecified() || end.port != 0;
    is_known(message.client) || is_known(message.server)
}

/// Whether a message came behind another one of its connection.
pub(super) fn is_behind_another(message: &Message) -> bool {
    match message.start {
        Start::Request { .. } | Start::Response { request: None, .. } => message.index > 0,
        Start::Response { request: Some(request), .. } => request > 0,
    }
}

/// Whether an anomaly is of the capture, so that no look at the bytes finds it again.
pub(super) fn has_captured_anomalies(message: &Message) -> bool {
    message.anomalies.iter().any(|anomaly| {
        matches!(
            anomaly,
            Anomaly::OverlapConflict
                | Anomaly::Gap
                | Anomaly::ClosedEarly
                | Anomaly::Evicted
                | Anomaly::TimedOut
                | Anomaly::CaptureEnded
                | Anomaly::AnsweredEarly
                | Anomaly::UrgentData
        )
    })
}
