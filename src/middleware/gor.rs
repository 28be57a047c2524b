//! GoReplay's lines: `hex(TYPE SP ID SP TIMESTAMP SP LATENCY LF PAYLOAD)`, in lower case.
//!
//! In: requests (type 1), v1's answers (2) and v2's (3). Out: their lines; and what the lines of a program say. Of these only
//! type 1 counts: the request is to be that payload. A program has no word for a request that is not to be sent: it says
//! nothing of it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;

use super::{BODY, Id, Line, Said, digits, id};
use crate::model::{KeptAnswer, Message};

pub(super) fn request(out: &mut Vec<u8>, id: Id, request: &Message) {
    message(out, '1', id, request, request.raw.len());
}

pub(super) fn v1_answer(out: &mut Vec<u8>, id: Id, response: &Message) {
    message(out, '2', id, response, response.head_len.saturating_add(BODY));
}

/// As v2 sent it, but for its framing: the body is whole, and as long as Content-Length says.
pub(super) fn v2_answer(out: &mut Vec<u8>, id: Id, answer: &KeptAnswer, took: Duration) {
    let reason = StatusCode::from_u16(answer.status).ok();
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
    let mut payload = format!("HTTP/1.1 {} {reason}\r\n", answer.status).into_bytes();
    for (name, value) in &answer.fields {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            payload.extend_from_slice(format!("Content-Length: {}", answer.body_len).as_bytes());
        } else {
            payload.extend_from_slice(name);
            payload.extend_from_slice(b": ");
            payload.extend_from_slice(value);
        }
        payload.extend_from_slice(b"\r\n");
    }
    payload.extend_from_slice(b"\r\n");
    payload.extend_from_slice(&answer.body);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let meta = meta('3', id, now.saturating_sub(took).as_nanos(), took);
    push(out, &meta, &payload);
}

fn message(out: &mut Vec<u8>, kind: char, id: Id, message: &Message, most: usize) {
    let lasted = message.last_byte.since(message.first_byte);
    let meta = meta(kind, id, message.first_byte.as_nanos().into(), lasted);
    push(out, &meta, message.raw.get(..most).unwrap_or(&message.raw));
}

fn meta(kind: char, id: Id, at: u128, lasted: Duration) -> String {
    let mut meta = String::with_capacity(64);
    // Writing to a text does not fail.
    let _ = writeln!(meta, "{kind} {} {at} {}", digits(id), lasted.as_nanos());
    meta
}

fn push(out: &mut Vec<u8>, meta: &str, payload: &[u8]) {
    out.reserve(2 * (meta.len() + payload.len()) + 1);
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    for byte in meta.bytes().chain(payload.iter().copied()) {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    out.push(b'\n');
}

/// What a line says.
pub(super) fn line(line: &[u8]) -> Result<Line, &'static str> {
    let mut bytes = bytes(line).ok_or("it is not hexadecimal")?;
    let end = memchr::memchr(b'\n', &bytes).ok_or("there is no line break behind its meta")?;
    let meta = bytes.get(..end).and_then(|meta| std::str::from_utf8(meta).ok());
    let mut words = meta.unwrap_or_default().split(' ');
    match (words.next(), words.next().and_then(id)) {
        (Some("2" | "3"), _) => Ok(Line::Echo),
        (Some("1"), Some(id)) => {
            bytes.drain(..=end);
            Ok(Line::About(id, Said::Raw(bytes)))
        }
        (Some("1"), None) => Err("its identifier is not one of ours"),
        _ => Err("its type is none of 1, 2 and 3"),
    }
}

fn bytes(hex: &[u8]) -> Option<Vec<u8>> {
    let hex = hex.trim_ascii();
    let half = |digit: &u8| char::from(*digit).to_digit(16);
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(half(high)? << 4 | half(low)?).ok(),
        _ => None,
    };
    hex.chunks(2).map(byte).collect()
}
