//! Another body for a message, framed as the one that was there.
//!
//! In: the head's fields and a new body. Out: what Content-Length is to say, or the body as one chunk with the trailer
//! section that was there (sizes and extensions of the captured chunks are gone with them). A message whose framing two
//! servers may read differently keeps its body: no length would be right for both.

use super::redact::FindTrailers;
use crate::model::Message;

/// What the body is written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// `Content-Length`, or nothing where there is no body.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// How this message's body is framed, if another may be put in its place.
pub(super) fn framing(message: &Message) -> Option<Framing> {
    if message.anomalies.is_ambiguous() {
        return None;
    }
    Some(if message.chunked { Framing::Chunked } else { Framing::Length })
}

/// Whether the body is coded (RFC 9110 section 8.4), so that its text cannot be seen.
pub(super) fn is_coded(message: &Message) -> bool {
    let is_coding = |value: &[u8]| {
        let value = value.trim_ascii();
        !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")
    };
    let named = |name: &[u8]| {
        name.eq_ignore_ascii_case(b"content-encoding")
            || name.eq_ignore_ascii_case(b"transfer-encoding")
    };
    message.headers().filter(|(name, _)| named(name)).any(|(_, value)| {
        let items = value.split(|&b| b == b',');
        items
            .filter(|item| is_coding(item))
            .any(|item| !item.trim_ascii().eq_ignore_ascii_case(b"chunked"))
    })
}

/// Whether the fields say that the body is JSON.
pub(super) fn says_json(message: &Message) -> bool {
    let value = message.header("content-type").unwrap_or_default();
    let kind = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    let lower = kind.to_ascii_lowercase();
    lower == b"application/json" || lower.ends_with(b"+json") || lower.ends_with(b"/json")
}

/// Whether it may be JSON: it says so, or begins as an object or array does.
pub(super) fn may_be_json(message: &Message) -> bool {
    let first = message.body.iter().find(|b| !b.is_ascii_whitespace());
    says_json(message) || matches!(first, Some(b'{' | b'['))
}

/// Adds the body in chunks: one, and the trailer section of the message.
pub(super) fn push_chunked(
    out: &mut Vec<u8>,
    message: &Message,
    body: &[u8],
    find_trailers: FindTrailers,
) {
    if !body.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n");
    let wire = message.wire_body();
    let trailers = find_trailers(wire).and_then(|at| wire.get(at..));
    out.extend_from_slice(trailers.unwrap_or(b"\r\n"));
}
