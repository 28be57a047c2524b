//! One message as a line: of a table for a terminal, or of JSON for a program.
//!
//! In come messages, out come bytes appended to a buffer of the caller's, each line with its end;
//! no tree of values is built on the way. Bytes of the wire are shown as latin-1 in JSON (each byte
//! one character), and escaped in the table: nothing captured can command a terminal.

use std::io::Write as _;

use sha2::{Digest, Sha256};

use crate::model::{Anomalies, Cause, Completion, Message, Start, Timestamp};

use super::body;
use super::numbers::bytes;

/// SHA-256 of nothing.
const EMPTY_SHA256: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Columns of the table before the one that takes what room is left.
const FIXED_COLUMNS: usize = 42;
/// Columns that the target gets at least.
const MIN_TARGET: usize = 16;

/// Appends the message as a line of JSON, so much of its body with it if it is wanted.
pub fn push_json(out: &mut Vec<u8>, message: &Message, most_body: Option<usize>) {
    let kind = if message.is_request() { "request" } else { "response" };
    push(out, format_args!("{{\"kind\":\"{kind}\",\"conn\":{}", message.conn));
    push(out, format_args!(",\"index\":{}", message.index));
    push(out, format_args!(",\"time_ns\":{}", message.first_byte.as_nanos()));
    push(out, format_args!(",\"client\":\"{}\"", message.client));
    push(out, format_args!(",\"server\":\"{}\"", message.server));
    match message.start {
        Start::Request { .. } => {
            out.extend_from_slice(b",\"method\":");
            push_latin1(out, message.method());
            out.extend_from_slice(b",\"target\":");
            push_latin1(out, message.target());
        }
        Start::Response { status, reason, request } => {
            push(out, format_args!(",\"status\":{status},\"reason\":"));
            push_latin1(out, message.slice(reason));
            match request {
                Some(index) => push(out, format_args!(",\"request_index\":{index}")),
                None => out.extend_from_slice(b",\"request_index\":null"),
            }
        }
    }
    push(out, format_args!(",\"version\":\"{}\",\"headers\":[", message.version));
    for (place, (name, value)) in message.headers().enumerate() {
        out.extend_from_slice(if place == 0 { b"[" } else { b",[" });
        push_latin1(out, name);
        out.push(b',');
        push_latin1(out, value);
        out.push(b']');
    }
    push(out, format_args!("],\"body_len\":{},\"body_sha256\":", message.body_len));
    push_digest(out, body_digest(message));
    push(out, format_args!(",\"complete\":{},\"anomalies\":[", is_complete(message)));
    for (place, anomaly) in message.anomalies.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        push(out, format_args!("{comma}\"{}\"", anomaly.name()));
    }
    out.push(b']');
    if message.redacted > 0 {
        push(out, format_args!(",\"redacted\":{}", message.redacted));
    }
    if let Some(most) = most_body {
        body::push_json(out, message, most);
    }
    out.extend_from_slice(b"}\n");
}

/// The head of the table.
pub fn push_table_head(out: &mut Vec<u8>) {
    push(
        out,
        format_args!(
            "{:>11} {:>6} {:<4} {:<7} {:>9} {}\n",
            "TIME", "CONN", "KIND", "METHOD", "BODY", "TARGET"
        ),
    );
}

/// Appends the message as a line of the table; times are shown since `first`.
pub fn push_table_row(out: &mut Vec<u8>, message: &Message, first: Timestamp, width: usize) {
    let seconds = message.first_byte.since(first).as_secs_f64();
    let (kind, what, text) = match message.start {
        Start::Request { .. } => ("req", printable(message.method()), printable(message.target())),
        Start::Response { status, reason, .. } => {
            ("resp", status.to_string(), printable(message.slice(reason)))
        }
    };
    let size = bytes(message.body_len);
    let room = width.saturating_sub(FIXED_COLUMNS).max(MIN_TARGET);
    let note = note(message);
    let note = shorten(&note, room.saturating_sub(MIN_TARGET));
    let gap = if note.is_empty() { "" } else { "  " };
    let text = shorten(&text, room.saturating_sub(note.chars().count() + gap.len()));
    let what = shorten(&what, 7);
    push(
        out,
        format_args!(
            "{seconds:>11.6} {:>6} {kind:<4} {what:<7} {size:>9} {text}{gap}{note}\n",
            message.conn
        ),
    );
}

/// What is remarkable about a message: that it is not whole, and its anomalies.
fn note(message: &Message) -> String {
    let mut words = Vec::new();
    match message.completion {
        Completion::Complete => {}
        Completion::Incomplete => words.push("incomplete"),
        Completion::TooLarge => words.push("body_too_large"),
    }
    let anomalies: Anomalies = message.anomalies;
    words.extend(anomalies.iter().map(Cause::name));
    if words.is_empty() { String::new() } else { format!("[{}]", words.join(" ")) }
}

/// Whether every byte of the message was seen, kept or not.
fn is_complete(message: &Message) -> bool {
    message.completion != Completion::Incomplete
}

/// The digest of the body: the one computed while it passed, or of the body where it was kept.
fn body_digest(message: &Message) -> Option<[u8; 32]> {
    if message.body_sha256.is_some() {
        message.body_sha256
    } else if message.body_len == 0 {
        Some(EMPTY_SHA256)
    } else if message.body.len() as u64 == message.body_len {
        Some(Sha256::digest(&message.body).into())
    } else {
        None
    }
}

/// Printable ASCII as it is, everything else as an escape.
pub fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// At most `width` characters, the last of them a mark when something is missing.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { kept } else { kept + "…" }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector does not fail.
    let _ = out.write_fmt(text);
}

fn push_digest(out: &mut Vec<u8>, digest: Option<[u8; 32]>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let Some(digest) = digest else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'"');
    for byte in digest {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
    out.push(b'"');
}

/// Appends a JSON string in which each byte is the character of the same number.
pub(super) fn push_latin1(out: &mut Vec<u8>, bytes: &[u8]) {
    let is_plain = |b: &u8| matches!(b, 0x20..=0x7e) && !matches!(b, b'"' | b'\\');
    out.push(b'"');
    let mut rest = bytes;
    while let Some(odd) = rest.iter().position(|b| !is_plain(b)) {
        let (plain, behind) = rest.split_at(odd);
        out.extend_from_slice(plain);
        for &byte in behind.iter().take(1) {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\t' => out.extend_from_slice(b"\\t"),
                // Controls, those of latin-1 too: a terminal may obey them.
                0..0x20 | 0x7f..0xa0 => push(out, format_args!("\\u{byte:04x}")),
                _ => out.extend_from_slice(char::from(byte).encode_utf8(&mut [0; 2]).as_bytes()),
            }
        }
        rest = behind.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::message::{Field, Span};
    use crate::model::{Anomaly, Endpoint, Version};
    use bytes::Bytes;

    fn find(raw: &[u8], part: &[u8]) -> Span {
        let start = raw.windows(part.len().max(1)).position(|w| w == part).unwrap_or(0);
        Span { start: start as u32, end: (start + part.len()) as u32 }
    }

    fn message(raw: &[u8], start: Start, fields: &[(&[u8], &[u8])]) -> Message {
        let fields = fields
            .iter()
            .map(|(name, value)| Field { name: find(raw, name), value: find(raw, value) });
        Message {
            conn: 4,
            index: 2,
            client: Endpoint::new([10, 0, 0, 1].into(), 40000),
            server: Endpoint::new([0u16, 0, 0, 0, 0, 0, 0, 1].into(), 80),
            first_byte: Timestamp::from_nanos(1_700_000_000_000_000_001),
            last_byte: Timestamp::from_nanos(1_700_000_000_000_000_001),
            start,
            version: Version::HTTP_11,
            fields: fields.collect(),
            raw: Bytes::copy_from_slice(raw),
            head_len: raw.len(),
            body: Bytes::new(),
            body_len: 0,
            body_sha256: None,
            chunked: false,
            completion: Completion::Complete,
            anomalies: Anomalies::default(),
            redacted: 0,
        }
    }

    /// A request for the tests of this room.
    pub fn request(method: &[u8], target: &[u8]) -> Message {
        let raw = [method, b" ", target, b" HTTP/1.1\r\n\r\n"].concat();
        let end = method.len() as u32;
        let target = Span { start: end + 1, end: end + 1 + target.len() as u32 };
        message(&raw, Start::Request { method: Span { start: 0, end }, target }, &[])
    }

    /// A response for the tests of this room.
    pub fn response(status: u16) -> Message {
        let raw = b"HTTP/1.1 200 Fine\r\n\r\n";
        let reason = find(raw, b"Fine");
        message(raw, Start::Response { status, reason, request: Some(2) }, &[])
    }

    fn json(message: &Message) -> String {
        let mut out = Vec::new();
        push_json(&mut out, message, None);
        String::from_utf8(out).expect("utf-8")
    }

    #[test]
    fn a_request_is_one_json_object_with_its_fields_as_on_the_wire() {
        let raw =
            b"GET /x HTTP/1.1\r\nHost: a\r\nX-\xe9: \"q\\\x07\x9b\xff\"\r\nF: b\r\n c\r\n\r\n";
        let start = Start::Request { method: find(raw, b"GET"), target: find(raw, b"/x") };
        let mut message = message(
            raw,
            start,
            &[(b"Host", b"a"), (b"X-\xe9", b"\"q\\\x07\x9b\xff\""), (b"F", b"b\r\n c")],
        );
        message.anomalies.insert(Anomaly::ObsFold);
        message.anomalies.insert(Anomaly::InvalidField);
        let expected = concat!(
            r#"{"kind":"request","conn":4,"index":2,"time_ns":1700000000000000001,"#,
            r#""client":"10.0.0.1:40000","server":"[::1]:80","method":"GET","target":"/x","#,
            r#""version":"1.1","headers":[["Host","a"],["X-é","\"q\\\u0007\u009bÿ\""],"#,
            r#"["F","b\r\n c"]],"body_len":0,"body_sha256":"#,
            r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","#,
            r#""complete":true,"anomalies":["obs_fold","invalid_field"]}"#,
            "\n"
        );
        assert_eq!(json(&message), expected);
    }

    #[test]
    fn a_response_has_status_reason_and_the_index_of_its_request() {
        let mut message = response(404);
        message.completion = Completion::Incomplete;
        message.body_len = 7;
        let text = json(&message);
        let part =
            r#""server":"[::1]:80","status":404,"reason":"Fine","request_index":2,"version""#;
        assert!(text.contains(part), "{text}");
        assert!(text.contains(r#""body_len":7,"body_sha256":null,"complete":false"#), "{text}");
        message.body_len = 1;
        message.body = Bytes::from_static(b"a");
        message.start = match message.start {
            Start::Response { status, reason, .. } => {
                Start::Response { status, reason, request: None }
            }
            start => start,
        };
        let text = json(&message);
        assert!(text.contains(r#""request_index":null"#), "{text}");
        assert!(text.contains(r#""body_sha256":"ca978112ca1bbdcafac231b39a23dc4d"#), "{text}");
    }

    #[test]
    fn any_bytes_are_valid_json_that_decodes_to_latin1() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        push_latin1(&mut out, &bytes);
        let decoded: String = serde_json::from_slice(&out).expect("valid JSON");
        assert!(decoded.chars().map(u32::from).eq(0..=255));
        assert!(out.iter().all(|b| !b.is_ascii_control()));
        assert_eq!(EMPTY_SHA256, <[u8; 32]>::from(Sha256::digest(b"")));
    }

    #[test]
    fn a_row_fits_the_terminal_and_cannot_command_it() {
        let mut message = request(b"GET", &[b"/\x1b[2J".as_slice(), &[b'a'; 300]].concat());
        message.anomalies.insert(Anomaly::OddTarget);
        message.completion = Completion::Incomplete;
        message.body_len = 1536;
        for width in [0, 60, 80, 120, 400] {
            let mut out = Vec::new();
            push_table_head(&mut out);
            push_table_row(&mut out, &message, message.first_byte, width);
            let text = String::from_utf8(out).expect("utf-8");
            let row = text.lines().nth(1).expect("row");
            let columns = row.chars().count();
            assert!(columns <= width.max(FIXED_COLUMNS + MIN_TARGET), "{width}: {row}");
            assert!(!row.contains('\x1b'), "{row}");
        }
        let mut out = Vec::new();
        push_table_head(&mut out);
        push_table_row(&mut out, &message, message.first_byte, 80);
        push_table_row(&mut out, &response(200), message.first_byte, 80);
        let expected = "       TIME   CONN KIND METHOD       BODY TARGET
   0.000000      4 req  GET       1.5 KiB /\\x1b[2Jaaaaa…  [incomplete odd_targe…
   0.000000      4 resp 200           0 B Fine
";
        let text = String::from_utf8(out).expect("utf-8");
        assert_eq!(text, expected, "{text}");
    }
}
