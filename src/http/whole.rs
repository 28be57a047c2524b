//! A whole message that was stored as bytes (a recording), taken apart again.
//!
//! In: all bytes of one message, and what is known of it from elsewhere. Out: a [`Message`] as it was
//! when captured, or `None` when the bytes are no HTTP/1.x message. The body is what follows the
//! head; where that is not what the head announces, the message is not whole. Of one that was not stored whole the
//! head may be cut too. And [`extent`]: how far
//! a message reaches whose end was not stored.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::chunked::{self, Chunked, Fed};
use super::framing::{self, Answers, BodyLength};
use super::head::{self, Role, StartLine};
use super::reader::Config;
use crate::model::{Anomalies, Completion, Endpoint, Extent, Message, Start, Timestamp};

/// What the bytes themselves do not tell.
#[derive(Clone, Copy, Debug)]
pub struct Provenance {
    /// Number of the connection.
    pub conn: u64,
    /// Number of the message in it.
    pub index: u32,
    /// The client's endpoint.
    pub client: Endpoint,
    /// The server's endpoint.
    pub server: Endpoint,
    /// Packet time of the first byte.
    pub first_byte: Timestamp,
    /// Packet time of the last byte.
    pub last_byte: Timestamp,
    /// Of a response: the request it answers.
    pub request: Option<u32>,
    /// What was odd about it.
    pub anomalies: Anomalies,
    /// Whether all of it was stored.
    pub is_whole: bool,
}

/// See the module's description. Bodies beyond `config.max_body` make the message `TooLarge`.
pub fn parse_whole(raw: Bytes, role: Role, from: Provenance, config: &Config) -> Option<Message> {
    let end = head::find_end(&raw, &mut 0);
    let (head_len, parsed) = match end {
        Some(len) => (len, head::parse(raw.get(..len)?, role)?),
        // All there is of the head, up to its last whole line.
        None if !from.is_whole => {
            let lines = raw.get(..=memchr::memrchr(b'\n', &raw)?)?;
            (raw.len(), head::parse_beginning(lines, role)?)
        }
        None => return None,
    };
    let head_bytes = raw.get(..head_len)?;
    let mut anomalies = parsed.anomalies;
    let (start, length) = match parsed.start {
        StartLine::Request { method, target } => {
            let length = framing::of_request(head_bytes, &parsed, &mut anomalies);
            (Start::Request { method, target }, length)
        }
        StartLine::Response { status, reason } => {
            let length = framing::of_response(head_bytes, &parsed, Answers::Other, &mut anomalies);
            (Start::Response { status, reason, request: from.request }, length)
        }
    };
    anomalies.merge(from.anomalies);
    let on_wire = raw.slice(head_len..);
    let is_chunked = length == BodyLength::Chunked && !on_wire.is_empty();
    let (body, is_whole) = match length {
        _ if is_chunked => dechunk(&on_wire),
        BodyLength::Known(len) => {
            // The answer to a HEAD announces a body and has none.
            let may_lack = role == Role::Server && on_wire.is_empty();
            let fits = may_lack || len == on_wire.len() as u64;
            (on_wire, fits)
        }
        _ => (on_wire, true),
    };
    let is_whole = is_whole && from.is_whole;
    let body_len = body.len() as u64;
    let is_too_large = config.max_body.is_some_and(|max| body_len > max);
    let completion = match (is_whole, is_too_large) {
        (false, _) => Completion::Incomplete,
        (true, true) => Completion::TooLarge,
        (true, false) => Completion::Complete,
    };
    let is_kept = config.max_body.is_some() && !is_too_large;
    Some(Message {
        conn: from.conn,
        index: from.index,
        client: from.client,
        server: from.server,
        first_byte: from.first_byte,
        last_byte: from.last_byte,
        start,
        version: parsed.version,
        fields: parsed.fields,
        body_sha256: config.hash_bodies.then(|| Sha256::digest(&body).into()),
        // A slice would keep all of it in memory.
        raw: if is_kept { raw } else { Bytes::copy_from_slice(head_bytes) },
        head_len,
        body: if is_kept { body } else { Bytes::new() },
        body_len,
        chunked: is_chunked,
        completion,
        anomalies,
        redacted: 0,
    })
}

/// The data of a chunked body, and whether its end was there.
fn dechunk(on_wire: &[u8]) -> (Bytes, bool) {
    let mut data = Vec::with_capacity(on_wire.len());
    let fed = Chunked::new().feed(on_wire, |chunk| data.extend_from_slice(chunk));
    (Bytes::from(data), fed == Fed::Done(on_wire.len()))
}

/// Where the trailer section begins in a chunked body as on the wire.
pub fn trailers_at(wire_body: &[u8]) -> Option<usize> {
    chunked::trailers_at(wire_body)
}

/// How far the message reaches with which these bytes begin.
pub fn extent(bytes: &[u8], role: Role) -> Extent {
    let Some(head_len) = head::find_end(bytes, &mut 0) else { return Extent::Unknown };
    let (head_bytes, rest) = bytes.split_at_checked(head_len).unwrap_or((bytes, &[]));
    let Some(head) = head::parse(head_bytes, role) else { return Extent::Unknown };
    let mut anomalies = Anomalies::default();
    let length = match role {
        Role::Client => framing::of_request(head_bytes, &head, &mut anomalies),
        Role::Server => framing::of_response(head_bytes, &head, Answers::Other, &mut anomalies),
    };
    let head_len = head_len as u64;
    match length {
        BodyLength::Known(len) => Extent::Bytes(head_len.saturating_add(len)),
        BodyLength::Chunked => match Chunked::new().feed(rest, |_| {}) {
            Fed::Done(len) => Extent::Bytes(head_len + len as u64),
            Fed::More => Extent::Beyond,
            Fed::Invalid(_) => Extent::Unknown,
        },
        BodyLength::UntilClose | BodyLength::Tunnel => Extent::Unknown,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn nobody() -> Provenance {
        let end = Endpoint::new([127, 0, 0, 1].into(), 1);
        Provenance {
            conn: 3,
            index: 4,
            client: end,
            server: end,
            first_byte: Timestamp::ZERO,
            last_byte: Timestamp::ZERO,
            request: Some(4),
            anomalies: Anomalies::default(),
            is_whole: true,
        }
    }

    fn parse(text: &'static [u8], role: Role) -> Option<Message> {
        parse_whole(Bytes::from_static(text), role, nobody(), &Config::default())
    }

    #[test]
    fn chunks_are_taken_apart_and_the_wire_bytes_kept() {
        let text = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let message = parse(text, Role::Client).unwrap();
        assert_eq!((message.body.as_ref(), message.raw.as_ref()), (&b"abc"[..], &text[..]));
        assert_eq!((message.completion, message.chunked), (Completion::Complete, true));
    }

    #[test]
    fn a_response_to_head_has_no_body_whatever_its_fields_say() {
        for fields in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").leak();
            let message = parse(text.as_bytes(), Role::Server).unwrap();
            assert_eq!((message.body_len, message.completion), (0, Completion::Complete));
        }
    }

    #[test]
    fn a_message_is_whole_only_if_it_has_the_body_it_announces() {
        let completion = |text, role| parse(text, role).unwrap().completion;
        for (text, role, want) in [
            (&b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"[..], Role::Client, true),
            (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", Role::Client, false),
            (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcd", Role::Client, false),
            (b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", Role::Client, false),
            (
                b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
                Role::Client,
                false,
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Role::Server, false),
            (b"HTTP/1.1 200 OK\r\n\r\nuntil the close", Role::Server, true),
        ] {
            let want = if want { Completion::Complete } else { Completion::Incomplete };
            assert_eq!(completion(text, role), want, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_message_tells_how_far_it_reaches() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (text, want) in [
            ("GET / HTTP/1.1\r\n\r\nmore", Extent::Bytes(18)),
            ("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab", Extent::Bytes(47)),
            ("POST / HTTP/1.1\r\nContent-Le", Extent::Unknown),
            (&format!("{chunked}1\r\na\r\n0\r\n\r\nmore"), Extent::Bytes(58)),
            (&format!("{chunked}5\r\na"), Extent::Beyond),
            (&format!("{chunked}zz\r\na"), Extent::Unknown),
            ("nonsense\r\n\r\n", Extent::Unknown),
        ] {
            assert_eq!(extent(text.as_bytes(), Role::Client), want, "{text:?}");
        }
        let until_close = b"HTTP/1.1 200 OK\r\n\r\nabc";
        assert_eq!(extent(until_close, Role::Server), Extent::Unknown);
    }

    #[test]
    fn a_message_that_was_not_stored_whole_may_end_anywhere() {
        let text = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
        let line = text.iter().position(|&b| b == b'\n').unwrap();
        for len in 0..=text.len() {
            let from = Provenance { is_whole: false, ..nobody() };
            let raw = Bytes::copy_from_slice(text.get(..len).unwrap());
            let message = parse_whole(raw.clone(), Role::Client, from, &Config::default());
            let Some(message) = message else {
                assert!(len <= line, "{len}");
                continue;
            };
            assert!(len > line, "{len}");
            assert_eq!((message.completion, &message.raw), (Completion::Incomplete, &raw));
            assert_eq!((message.target(), message.head_len), (&b"/x"[..], len.min(text.len() - 3)));
            let from = Provenance { is_whole: true, ..nobody() };
            let whole = parse_whole(raw, Role::Client, from, &Config::default());
            let whole = whole.map(|message| message.completion);
            let is_there = len >= text.len() - 3;
            assert_eq!(whole.is_some(), is_there, "{len}");
            assert_eq!(whole == Some(Completion::Complete), len == text.len(), "{len}");
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        assert!(parse(b"hello", Role::Client).is_none());
        assert!(parse(b"hello\r\n\r\n", Role::Client).is_none());
    }
}
