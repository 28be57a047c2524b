//! Whether bytes can begin an HTTP/1.x message, and if not, what they are.
//!
//! In: the first bytes of a stream or of a segment. Out: a role or a protocol. Guaranteed: never says
//! "no" to a beginning that `head::parse` would accept once it is whole.

use super::head::Role;
use super::lenient::is_tchar;
use crate::model::ledger::Protocol;

/// Longest method token taken for one. The longest registered has 17 characters; this is lenient.
pub(super) const MAX_METHOD: usize = 1024;

/// The role whose start line these bytes begin, if any: a status line or a request line. With `role`
/// given only that one is considered. Bytes too few to tell count as yes.
pub(super) fn begins(bytes: &[u8], role: Option<Role>) -> Option<Role> {
    let is_response = is_status_line(bytes);
    match role {
        Some(Role::Server) => is_response.then_some(Role::Server),
        Some(Role::Client) => is_request_line(bytes).then_some(Role::Client),
        None if is_response => Some(Role::Server),
        None => is_request_line(bytes).then_some(Role::Client),
    }
}

fn is_status_line(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let shared = bytes.len().min(START.len());
    let digit = bytes.get(START.len()).is_none_or(u8::is_ascii_digit);
    let space = bytes.get(START.len() + 1).is_none_or(|b| *b == b' ');
    bytes.get(..shared) == START.get(..shared) && digit && space
}

fn is_request_line(bytes: &[u8]) -> bool {
    let method = bytes.iter().take(MAX_METHOD + 1).take_while(|b| is_tchar(b)).count();
    if method == 0 || method > MAX_METHOD {
        return false;
    }
    match bytes.get(method) {
        None => return true,
        Some(b' ' | b'\t') => {}
        Some(_) => return false,
    }
    let Some(end) = memchr::memchr(b'\n', bytes) else { return true };
    let line = bytes.get(..end).unwrap_or_default().trim_ascii_end();
    let version = line.len().checked_sub(8).and_then(|at| line.get(at..));
    matches!(version, Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor]) if minor.is_ascii_digit())
}

/// What a stream is that does not begin as HTTP/1.x.
pub(super) fn protocol(bytes: &[u8]) -> Protocol {
    if matches!(bytes, [0x16] | [0x16, 0x03] | [0x16, 0x03, 0..=4, ..]) {
        return Protocol::Tls;
    }
    if bytes.starts_with(b"PRI * HTTP/2.0\r\n") {
        return Protocol::Http2;
    }
    let line = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
    if line.is_some_and(|line| line.trim_ascii_end().starts_with(b"GET /")) {
        return Protocol::Http09;
    }
    Protocol::Unknown
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_a_message_is_accepted() {
        for (text, role) in [
            (&b"PROPFIND /x HTTP/1.1\r\nA: b\r\n\r\n"[..], Role::Client),
            (b"get /a b HTTP/1.0\n\n", Role::Client),
            (b"HTTP/1.1 200 OK\r\n\r\n", Role::Server),
        ] {
            for len in 1..=text.len() {
                assert_eq!(begins(&text[..len], Some(role)), Some(role), "{len}");
            }
            assert_eq!(begins(text, None), Some(role));
        }
    }

    #[test]
    fn other_protocols_are_refused_and_named() {
        for (bytes, protocol_) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], Protocol::Tls),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
            (b"GET /old\r\n", Protocol::Http09),
            (b"EHLO mail\r\n", Protocol::Unknown),
            (b"\x00\x00\x00\x2a", Protocol::Unknown),
        ] {
            assert_eq!(begins(bytes, Some(Role::Client)), None, "{}", bytes.escape_ascii());
            assert_eq!(protocol(bytes), protocol_, "{}", bytes.escape_ascii());
        }
        assert_eq!(begins(b"HTTP/2 200\r\n", Some(Role::Server)), None);
    }
}
