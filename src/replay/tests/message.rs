//! Messages as the HTTP reader makes them, from text.

use bytes::Bytes;

use crate::model::message::{Field, Span};
use crate::model::{Anomalies, Completion, Endpoint, Message, Start, Timestamp, Version};

/// The request in `raw`, as the first of connection `conn`.
#[track_caller]
pub fn request(conn: u64, raw: impl AsRef<[u8]>) -> Message {
    let raw = Bytes::copy_from_slice(raw.as_ref());
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_len = match parsed.parse(&raw).expect("a request") {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => panic!("the head has no end"),
    };
    let span = |part: &[u8]| {
        let start = (part.as_ptr() as usize).saturating_sub(raw.as_ptr() as usize) as u32;
        Span { start, end: start + part.len() as u32 }
    };
    let field =
        |h: &httparse::Header| Field { name: span(h.name.as_bytes()), value: span(h.value) };
    let fields = parsed.headers.iter().map(field).collect();
    let start = Start::Request {
        method: span(parsed.method.expect("method").as_bytes()),
        target: span(parsed.path.expect("target").as_bytes()),
    };
    let version = Version { major: 1, minor: parsed.version.expect("version") };
    let mut message = Message {
        conn,
        index: 0,
        client: Endpoint::new([10, 0, 0, 1].into(), 40000),
        server: Endpoint::new([10, 0, 0, 2].into(), 80),
        first_byte: Timestamp::ZERO,
        last_byte: Timestamp::ZERO,
        start,
        version,
        fields,
        head_len,
        body: raw.slice(head_len..),
        body_len: 0,
        body_sha256: None,
        chunked: false,
        completion: Completion::Complete,
        anomalies: Anomalies::default(),
        redacted: 0,
        raw,
    };
    if message.has_token("transfer-encoding", "chunked") {
        message.chunked = true;
        message.body = dechunked(message.wire_body()).into();
    }
    message.body_len = message.body.len() as u64;
    message
}

/// `GET path` of connection `conn`.
pub fn get(conn: u64, path: &str) -> Message {
    request(conn, format!("GET {path} HTTP/1.1\r\nHost: v1\r\nAccept: */*\r\n\r\n"))
}

/// A chunked body without its framing; trailer fields are passed over.
#[track_caller]
pub fn dechunked(mut wire: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let status = httparse::parse_chunk_size(wire).expect("a chunk size");
        let httparse::Status::Complete((at, size)) = status else { panic!("chunk size cut off") };
        let size = size as usize;
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&wire[at..at + size]);
        wire = &wire[at + size + 2..];
    }
}
