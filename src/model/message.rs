//! One HTTP/1.x message as it was on the wire: start line, fields, body, times, and what is odd
//! about it. All bytes are kept as captured; nothing is normalised.

use std::ops::Range;

use bytes::Bytes;

use super::{Anomalies, Endpoint, Timestamp};

/// A range of bytes within a message's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// As a range of indices.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Bytes between them.
    pub fn len(self) -> usize {
        (self.end as usize).saturating_sub(self.start as usize)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A header field: where its name and its value lie in the head. The value is without the white
/// space around it; a folded value contains its line breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The field name, in the case it was sent.
    pub name: Span,
    /// The field value.
    pub value: Span,
}

/// HTTP version of a message: the two digits of `HTTP/1.1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
}

impl Version {
    /// HTTP/1.0.
    pub const HTTP_10: Self = Self { major: 1, minor: 0 };
    /// HTTP/1.1.
    pub const HTTP_11: Self = Self { major: 1, minor: 1 };
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The start line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// A request line.
    Request {
        /// The method token.
        method: Span,
        /// The request target, untouched.
        target: Span,
    },
    /// A status line.
    Response {
        /// Status code, 100 to 999.
        status: u16,
        /// The reason phrase; may be empty.
        reason: Span,
        /// Index of the request it answers within the connection, where that was seen.
        request: Option<u32>,
    },
}

/// A whole response was seen, and it is known to which request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Number of the connection.
    pub conn: u64,
    /// Index of the request within it.
    pub request: u32,
    /// Packet time of the response's last byte.
    pub at: Timestamp,
}

/// The head of v1's final response was seen, and it is known to which request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusSeen {
    /// Number of the connection.
    pub conn: u64,
    /// Index of the request within it.
    pub request: u32,
    /// The status.
    pub status: u16,
    /// Packet time of the response's first byte.
    pub at: Timestamp,
}

/// Whether the whole message was seen and kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// Every byte of it.
    Complete,
    /// Some of it is missing: cut off, or with a hole. `anomalies` say why.
    Incomplete,
    /// Seen whole, but its body is larger than the limit, so it was not kept.
    TooLarge,
}

/// How far a message reaches that lies before other bytes, by its own words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// So many bytes, the head included; they need not all be there.
    Bytes(u64),
    /// Beyond what is there.
    Beyond,
    /// It does not tell, or is no message.
    Unknown,
}

/// One HTTP/1.x message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Number of the connection in this capture.
    pub conn: u64,
    /// Number of the message among those of its kind in the connection, from 0.
    pub index: u32,
    /// The client's endpoint.
    pub client: Endpoint,
    /// The server's endpoint.
    pub server: Endpoint,
    /// Packet time of the segment with the first byte.
    pub first_byte: Timestamp,
    /// Packet time of the segment with the last byte.
    pub last_byte: Timestamp,
    /// The start line.
    pub start: Start,
    /// HTTP version.
    pub version: Version,
    /// Header fields in order, duplicates kept. Trailer fields are not among them.
    pub fields: Vec<Field>,
    /// The message as captured: the head, and behind it the body with its chunk framing where the
    /// body was kept.
    pub raw: Bytes,
    /// Length of the head in `raw`, its closing empty line included.
    pub head_len: usize,
    /// The body without chunk framing, before content decoding; empty where it was not kept.
    pub body: Bytes,
    /// Length in bytes of the body without chunk framing, kept or not.
    pub body_len: u64,
    /// SHA-256 of the body without chunk framing, where hashing was asked for.
    pub body_sha256: Option<[u8; 32]>,
    /// Whether the body came in chunks (RFC 9112 section 7.1).
    pub chunked: bool,
    /// Whether all of it was seen.
    pub completion: Completion,
    /// What was odd about it.
    pub anomalies: Anomalies,
    /// How many secrets in it are replaced by their hashes; 0 as captured.
    pub redacted: u32,
}

impl Message {
    /// The bytes of a span of the head; empty if the span lies outside.
    pub fn slice(&self, span: Span) -> &[u8] {
        self.raw.get(span.range()).unwrap_or_default()
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The request's method; empty for a response.
    pub fn method(&self) -> &[u8] {
        match self.start {
            Start::Request { method, .. } => self.slice(method),
            Start::Response { .. } => &[],
        }
    }

    /// The request's target; empty for a response.
    pub fn target(&self) -> &[u8] {
        match self.start {
            Start::Request { target, .. } => self.slice(target),
            Start::Response { .. } => &[],
        }
    }

    /// The request's target without scheme and authority, where it has them; empty for a response.
    pub fn path_and_query(&self) -> &[u8] {
        path_and_query(self.target())
    }

    /// The response's status code; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// Of a response: the index of the request it answers within the connection, where that was seen.
    pub fn answers(&self) -> Option<u32> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { request, .. } => request,
        }
    }

    /// Header fields in order as (name, value), as on the wire.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// The values of the fields of this name, compared without regard to case, as on the wire.
    pub fn values<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        // Most names differ in length: their bytes need not be looked at.
        self.fields
            .iter()
            .filter(|field| field.name.len() == name.len())
            .filter(|field| self.slice(field.name).eq_ignore_ascii_case(name))
            .map(|field| self.slice(field.value))
    }

    /// The first value of the named field, compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.values(name.as_bytes()).next()
    }

    /// The head, its closing empty line included.
    pub fn head(&self) -> &[u8] {
        self.raw.get(..self.head_len).unwrap_or(&self.raw)
    }

    /// The body as on the wire, chunk framing included; empty where it was not kept.
    pub fn wire_body(&self) -> &[u8] {
        self.raw.get(self.head_len..).unwrap_or_default()
    }

    /// Memory this message holds, in bytes: what a queue charges for it.
    pub fn cost(&self) -> usize {
        let separate_body = if self.chunked { self.body.len() } else { 0 };
        size_of::<Self>() + self.raw.len() + separate_body + self.fields.len() * size_of::<Field>()
    }

    /// What this tells as a response: nothing when it is a request, not whole, or not known whose.
    pub fn answered(&self) -> Option<Answered> {
        let Start::Response { request: Some(request), status, .. } = self.start else {
            return None;
        };
        // An interim response is not the answer.
        let is_final = status >= 200 && self.completion == Completion::Complete;
        is_final.then_some(Answered { conn: self.conn, request, at: self.last_byte })
    }

    /// What the head of this tells as a response: nothing when it is a request, an interim response, or not known
    /// whose.
    pub fn status_seen(&self) -> Option<StatusSeen> {
        StatusSeen::new(self.conn, self.start, self.first_byte)
    }

    /// Whether a comma-separated field contains this token, compared without regard to case
    /// (RFC 9110 5.6.1): `Connection: keep-alive, Upgrade` has `upgrade`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name.as_bytes())
            .flat_map(|value| value.split(|&b| b == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

impl StatusSeen {
    /// What a start line tells that was seen at this time.
    pub fn new(conn: u64, start: Start, at: Timestamp) -> Option<Self> {
        let Start::Response { request: Some(request), status, .. } = start else { return None };
        // An interim response is not the answer; 101 is (RFC 9110 section 15.2).
        let is_interim = (100..200).contains(&status) && status != 101;
        (!is_interim).then_some(Self { conn, request, status, at })
    }
}

/// A target without scheme and authority, where it has them (RFC 9112 section 3.2.2).
fn path_and_query(target: &[u8]) -> &[u8] {
    // As nearly all are: no scheme begins so.
    if target.first() == Some(&b'/') {
        return target;
    }
    let is_absolute = |at: &usize| {
        let scheme = target.get(..*at).unwrap_or_default();
        !scheme.is_empty() && scheme.iter().all(u8::is_ascii_alphanumeric)
    };
    let Some(scheme) = memchr::memmem::find(target, b"://").filter(is_absolute) else {
        return target;
    };
    let rest = target.get(scheme + 3..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    match rest.get(end..).unwrap_or_default() {
        b"" => b"/",
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_every_form_of_target() {
        for (target, want) in [
            ("/a?b", "/a?b"),
            ("http://h/a?b", "/a?b"),
            ("HTTPS://h:1", "/"),
            ("http://h?b=/c", "?b=/c"),
            ("*", "*"),
            ("/a://b/c", "/a://b/c"),
            ("h:443", "h:443"),
        ] {
            assert_eq!(path_and_query(target.as_bytes()), want.as_bytes(), "{target}");
        }
    }
}
