//! Expressions: what is one (`parsing`), and for which requests it holds (`holding`).

mod holding;
mod parsing;

use bytes::Bytes;

use super::{Expr, Truth};
use crate::model::message::{Field, Span};
use crate::model::{Anomalies, Completion, Endpoint, Message, Start, Timestamp, Version};

/// A request with this head, whose lines end in LF, and this body.
pub fn request(head: &str, body: &[u8]) -> Message {
    let span = |part: &str| {
        let start = part.as_ptr() as usize - head.as_ptr() as usize;
        Span { start: start as u32, end: (start + part.len()) as u32 }
    };
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = words.next().zip(words.next()).unwrap_or_default();
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        Field { name: span(name), value: span(value.trim()) }
    };
    let raw = Bytes::from([head.as_bytes(), body].concat());
    Message {
        conn: 0,
        index: 0,
        client: Endpoint::new([10, 1, 2, 3].into(), 40_000),
        server: Endpoint::new([10, 0, 0, 1].into(), 80),
        first_byte: Timestamp::ZERO,
        last_byte: Timestamp::ZERO,
        start: Start::Request { method: span(method), target: span(target) },
        version: Version::HTTP_11,
        fields: lines.map(field).collect(),
        body: raw.slice(head.len()..),
        raw,
        head_len: head.len(),
        body_len: body.len() as u64,
        body_sha256: None,
        chunked: false,
        completion: Completion::Complete,
        anomalies: Anomalies::default(),
        redacted: 0,
    }
}

/// Whether the expression holds for this request, whose status is not known.
#[track_caller]
pub fn holds(expr: &str, request: &Message) -> Truth {
    Expr::parse(expr).unwrap_or_else(|error| unreachable!("{error}")).holds(request, None)
}
