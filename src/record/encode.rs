//! One message or the file's description into one WARC record.
//!
//! In come messages, out come the bytes of whole records, appended to a buffer of the
//! caller's; nothing is written here. A record's block is given beside its message, so that what
//! is stored may differ from what was captured (redaction) without a word changed here. The only
//! memory kept between records is that of requests (`asked`), for the responses to come; it is bounded. A message
//! that is not whole says so in its record (`WARC-Truncated`), which then holds its beginning.

use std::io::Write as _;

use sha2::{Digest, Sha256};

use crate::model::{Anomaly, Completion, Message, Start, Timestamp};

use super::asked::{Asked, Request};
use super::uri;
use super::warc::{
    Kind, RecordId, Truncated, VERSION, WarcInfo, field, push_date, push_digest, push_seconds,
};

/// Makes records. One for each run, so that every file of it shares identifiers.
#[derive(Debug)]
pub struct Encoder {
    run: String,
    asked: Asked,
    digest: Vec<u8>,
}

impl Encoder {
    /// For the run of this name.
    pub fn new(run: &str) -> Self {
        Self { run: run.to_string(), asked: Asked::default(), digest: Vec::new() }
    }

    /// Appends the `warcinfo` record that opens a file; `file` counts the files of the run.
    pub fn info(&mut self, out: &mut Vec<u8>, info: &WarcInfo, file_name: &str, file: u32) {
        let mut block = Vec::with_capacity(512);
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                push_field(&mut block, name, one_line(value).as_bytes());
            }
        };
        line("software", concat!("shadowtap/", env!("CARGO_PKG_VERSION")));
        line("format", "WARC File Format 1.1");
        line(
            "conformsTo",
            "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        );
        line("hostname", &info.host);
        line("run", &info.run);
        line("source", &info.source);
        line("filter", &info.filter);
        for (name, value) in &info.options {
            line("option", &format!("{name}={value}"));
        }
        begin(out, "warcinfo", RecordId::info(&self.run, file));
        push_with(out, "WARC-Date", |out| push_date(out, info.started));
        push_field(out, "WARC-Filename", one_line(file_name).as_bytes());
        self.end(out, "application/warc-fields", &block);
    }

    /// Appends the record of a message whose stored form is `block`.
    pub fn message(&mut self, out: &mut Vec<u8>, message: &Message, block: &[u8]) {
        let kind = kind_of(message);
        begin(out, kind.name(), RecordId::message(&self.run, kind, message.conn, message.index));
        push_with(out, "WARC-Date", |out| push_date(out, message.first_byte));
        let request = match message.start {
            Start::Request { .. } => None,
            Start::Response { request, .. } => request,
        };
        if let Some(index) = request {
            let id = RecordId::message(&self.run, Kind::Request, message.conn, index);
            push_with(out, "WARC-Concurrent-To", |out| id.push(out));
        }
        let asked = self.target_uri(out, message, request);
        push_display(out, "WARC-IP-Address", message.server.ip);
        push_display(out, field::CLIENT, message.client);
        push_display(out, field::SERVER, message.server);
        push_display(out, field::CONNECTION, message.conn);
        push_display(out, field::INDEX, message.index);
        if let Some(index) = request {
            push_display(out, field::REQUEST, index);
        }
        push_with(out, field::LAST_BYTE, |out| push_date(out, message.last_byte));
        if let Some(asked) = asked {
            times(out, message, asked);
        }
        if !message.anomalies.is_empty() {
            use crate::model::Cause as _;
            let names: Vec<&str> = message.anomalies.iter().map(|anomaly| anomaly.name()).collect();
            push_field(out, field::ANOMALIES, names.join(",").as_bytes());
        }
        if message.redacted > 0 {
            push_display(out, field::REDACTED, message.redacted);
        }
        if let Some(why) = truncated(message) {
            push_field(out, "WARC-Truncated", why.name().as_bytes());
        }
        let content_type = match kind {
            Kind::Request => "application/http;msgtype=request",
            Kind::Response => "application/http;msgtype=response",
        };
        self.end(out, content_type, block);
    }

    /// The URI of a request, or of the request that a response answers. Of a response: when that request's last
    /// byte was seen, if it was.
    fn target_uri(
        &mut self,
        out: &mut Vec<u8>,
        message: &Message,
        request: Option<u32>,
    ) -> Option<Timestamp> {
        out.extend_from_slice(b"WARC-Target-URI: ");
        let asked = match message.start {
            Start::Request { .. } => {
                let start = out.len();
                uri::push_target_uri(out, message);
                let uri = out.get(start..).unwrap_or_default().into();
                let is_whole = message.completion != Completion::Incomplete;
                let last_byte = is_whole.then_some(message.last_byte);
                self.asked.remember((message.conn, message.index), Request { uri, last_byte });
                None
            }
            Start::Response { status, .. } => {
                let key = request.map(|index| (message.conn, index));
                // Informational responses come before the final one (RFC 9110 15.2).
                match key.and_then(|key| self.asked.recall(key, status >= 200)) {
                    Some(asked) => {
                        out.extend_from_slice(&asked.uri);
                        asked.last_byte
                    }
                    None => {
                        uri::push_server_uri(out, message.server);
                        None
                    }
                }
            }
        };
        out.extend_from_slice(b"\r\n");
        asked
    }

    /// The last fields, the block, and the two empty lines that end a record.
    fn end(&mut self, out: &mut Vec<u8>, content_type: &str, block: &[u8]) {
        self.digest.clear();
        push_digest(&mut self.digest, &Sha256::digest(block).into());
        push_field(out, "WARC-Block-Digest", &self.digest);
        push_field(out, "Content-Type", content_type.as_bytes());
        push_display(out, "Content-Length", block.len());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(block);
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// How long the server took, from the last byte of what it was asked.
fn times(out: &mut Vec<u8>, response: &Message, asked: Timestamp) {
    push_with(out, field::TO_FIRST_BYTE, |out| push_seconds(out, asked, response.first_byte));
    if response.completion != Completion::Incomplete {
        push_with(out, field::TO_LAST_BYTE, |out| push_seconds(out, asked, response.last_byte));
    }
}

/// Why a message is not whole. A hole comes first, since nothing behind it is kept, whatever came then.
fn truncated(message: &Message) -> Option<Truncated> {
    let has = |anomaly| message.anomalies.contains(anomaly);
    match message.completion {
        Completion::Complete => None,
        Completion::TooLarge => Some(Truncated::Length),
        Completion::Incomplete if has(Anomaly::Gap) => Some(Truncated::Unspecified),
        Completion::Incomplete if has(Anomaly::HeadTooLarge) => Some(Truncated::Length),
        Completion::Incomplete if has(Anomaly::TimedOut) => Some(Truncated::Time),
        Completion::Incomplete if has(Anomaly::ClosedEarly) || has(Anomaly::CaptureEnded) => {
            Some(Truncated::Disconnect)
        }
        Completion::Incomplete => Some(Truncated::Unspecified),
    }
}

/// Whether a message is a request or a response.
pub fn kind_of(message: &Message) -> Kind {
    if message.is_request() { Kind::Request } else { Kind::Response }
}

fn begin(out: &mut Vec<u8>, record_type: &str, id: RecordId) {
    out.extend_from_slice(VERSION.as_bytes());
    out.extend_from_slice(b"\r\n");
    push_field(out, "WARC-Type", record_type.as_bytes());
    push_with(out, "WARC-Record-ID", |out| id.push(out));
}

fn push_with(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    value(out);
    out.extend_from_slice(b"\r\n");
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_with(out, name, |out| out.extend_from_slice(value));
}

fn push_display(out: &mut Vec<u8>, name: &str, value: impl std::fmt::Display) {
    // Writing to a vector does not fail.
    push_with(out, name, |out| drop(write!(out, "{value}")));
}

/// A value that cannot end its line.
fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{request, response};

    fn encoded(encoder: &mut Encoder, message: &Message) -> String {
        let mut out = Vec::new();
        encoder.message(&mut out, message, &message.raw);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn a_request_record_has_every_field_in_its_place() {
        let mut message = request(b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n");
        message.anomalies.insert(Anomaly::OddTarget);
        let expected = "WARC/1.1\r\nWARC-Type: request\r\n\
            WARC-Record-ID: <urn:uuid:ID>\r\n\
            WARC-Date: 2023-11-14T22:13:20.000000001Z\r\n\
            WARC-Target-URI: http://x/a%20b\r\nWARC-IP-Address: 10.0.0.2\r\n\
            Shadowtap-Client: 10.0.0.1:40000\r\nShadowtap-Server: 10.0.0.2:8080\r\n\
            Shadowtap-Connection: 7\r\nShadowtap-Index: 3\r\n\
            Shadowtap-Last-Byte: 2023-11-14T22:13:20.000000009Z\r\n\
            Shadowtap-Anomalies: odd_target\r\n\
            WARC-Block-Digest: sha256:DIGEST\r\n\
            Content-Type: application/http;msgtype=request\r\nContent-Length: 30\r\n\r\n\
            GET /a b HTTP/1.1\r\nHost: x\r\n\r\n\r\n\r\n";
        let mut id = Vec::new();
        RecordId::message("r", Kind::Request, 7, 3).push(&mut id);
        let mut digest = Vec::new();
        push_digest(&mut digest, &Sha256::digest(&message.raw).into());
        let expected = expected
            .replace("<urn:uuid:ID>", &String::from_utf8_lossy(&id))
            .replace("sha256:DIGEST", &String::from_utf8_lossy(&digest));
        assert_eq!(encoded(&mut Encoder::new("r"), &message), expected);
    }

    #[test]
    fn a_response_points_at_its_request_and_bears_its_uri() {
        let mut encoder = Encoder::new("r");
        let asked = request(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
        encoded(&mut encoder, &asked);
        let mut id = Vec::new();
        RecordId::message("r", Kind::Request, 7, 3).push(&mut id);
        let link = format!("WARC-Concurrent-To: {}\r\n", String::from_utf8_lossy(&id));
        // An informational response first, the final one next, and one more than there should be.
        let heads: [&[u8]; 3] = [
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ];
        let uris = ["http://h/x", "http://h/x", "http://10.0.0.2:8080/"];
        for (head, uri) in heads.into_iter().zip(uris) {
            let record = encoded(&mut encoder, &response(head, Some(3)));
            assert!(record.contains(&link), "{record}");
            assert!(record.contains(&format!("WARC-Target-URI: {uri}\r\n")), "{record}");
            assert!(record.contains("Shadowtap-Request: 3\r\n"), "{record}");
        }
        let lone = encoded(&mut encoder, &response(b"HTTP/1.1 200 OK\r\n\r\n", None));
        assert!(!lone.contains("Concurrent") && !lone.contains("Shadowtap-Request"), "{lone}");
    }

    #[test]
    fn a_response_says_how_long_the_server_took() {
        let nanos = Timestamp::from_nanos;
        let record = |asked: &Message, answer: &Message| {
            let mut encoder = Encoder::new("r");
            encoded(&mut encoder, asked);
            encoded(&mut encoder, answer)
        };
        let (first, last) =
            ("\r\nShadowtap-Time-To-First-Byte: ", "\r\nShadowtap-Time-To-Last-Byte: ");
        let mut asked = request(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut answer = response(b"HTTP/1.1 200 OK\r\n\r\n", Some(3));
        asked.last_byte = nanos(5_000_000_000);
        (answer.first_byte, answer.last_byte) = (nanos(5_000_000_007), nanos(17_500_000_000));
        let text = record(&asked, &answer);
        assert!(text.contains(&format!("{first}0.000000007\r\n")), "{text}");
        assert!(text.contains(&format!("{last}12.500000000\r\n")), "{text}");
        // It began to answer before it had been asked to the end.
        (answer.first_byte, answer.last_byte) = (nanos(3_999_999_999), nanos(5_000_000_000));
        let text = record(&asked, &answer);
        assert!(text.contains(&format!("{first}-1.000000001\r\n")), "{text}");
        assert!(text.contains(&format!("{last}0.000000000\r\n")), "{text}");
        // The end of the answer was not seen, that of the request neither, the request not at all.
        answer.completion = Completion::Incomplete;
        let text = record(&asked, &answer);
        assert!(text.contains(first) && !text.contains(last), "{text}");
        asked.completion = Completion::Incomplete;
        assert!(!record(&asked, &answer).contains("Shadowtap-Time"));
        answer.start = response(b"HTTP/1.1 200 OK\r\n\r\n", Some(4)).start;
        assert!(!record(&asked, &answer).contains("Shadowtap-Time"));
    }

    #[test]
    fn a_message_that_is_not_whole_says_why() {
        let mut message = request(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
        let why = |message: &Message| {
            let text = encoded(&mut Encoder::new("r"), message);
            let value = text.split("\r\nWARC-Truncated: ").nth(1);
            value.and_then(|value| value.split('\r').next()).map(str::to_owned)
        };
        assert_eq!(why(&message), None);
        message.anomalies.insert(Anomaly::ClosedEarly);
        assert_eq!(why(&message), None, "the body went on to there");
        message.completion = Completion::TooLarge;
        assert_eq!(why(&message).as_deref(), Some("length"));
        message.completion = Completion::Incomplete;
        for (anomalies, want) in [
            (&[][..], "unspecified"),
            (&[Anomaly::ClosedEarly], "disconnect"),
            (&[Anomaly::CaptureEnded], "disconnect"),
            (&[Anomaly::TimedOut], "time"),
            (&[Anomaly::Evicted], "unspecified"),
            (&[Anomaly::HeadTooLarge], "length"),
            (&[Anomaly::ClosedEarly, Anomaly::Gap], "unspecified"),
        ] {
            message.anomalies = anomalies.iter().copied().collect();
            assert_eq!(why(&message).as_deref(), Some(want), "{anomalies:?}");
        }
    }

    #[test]
    fn a_value_of_several_lines_stays_one_line() {
        let info = WarcInfo {
            run: "r".into(),
            filter: "tcp\r\nWARC-Type: x".into(),
            options: vec![("max-body".into(), "16MiB".into())],
            ..WarcInfo::default()
        };
        let mut out = Vec::new();
        Encoder::new("r").info(&mut out, &info, "a\nb.warc", 0);
        let record = String::from_utf8(out).expect("utf-8");
        assert!(record.contains("\r\nWARC-Filename: a b.warc\r\n"), "{record}");
        assert!(record.contains("\r\nfilter: tcp  WARC-Type: x\r\n"), "{record}");
        assert!(record.contains("\r\noption: max-body=16MiB\r\n"), "{record}");
        assert!(!record.contains("hostname"), "{record}");
    }
}
