//! A captured request as bytes for v2: the captured ones, with the marker as the last field line.
//!
//! In: a message and what the user wants changed. Out: the head as bytes; the body is sent from the
//! message itself, chunk framing, extensions and trailer section as captured. Or the reason why it is not
//! sent at all.
//!
//! Kept: every byte. Changed: the marker is added behind the last field line, with the line ending of the
//! empty line that closes the head; with `--host` the value of the first Host field (one is added where
//! there is none, further ones are left out); with a path in `--to` it is put before the target's; with
//! `--realip-header` one field line more. `Expect: 100-continue` stays, but nobody waits: the body follows
//! at once, as RFC 9110 section 10.1.1 allows.
//!
//! Not sendable: what was not captured whole, and CONNECT, whose answer would begin a tunnel.

use std::ops::Range;

use super::super::{HostHeader, ReplayConfig, ReplayError};
use crate::model::message::Field;
use crate::model::{Completion, Message};

/// The marker as it is written.
const MARKER: &[u8] = b"X-Shadowtap: ";

/// What is changed in every head.
#[derive(Clone, Debug)]
pub(in super::super) struct Edits {
    /// The Host field's value, if not the captured one.
    pub host: Option<String>,
    /// Put before the path of every target; empty for nothing.
    pub prefix: String,
    /// Names this run in the marker.
    pub run: String,
    /// The field that takes the client's address.
    pub realip: Option<String>,
}

impl Edits {
    /// What these settings change.
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let host = match &config.host {
            HostHeader::Original => None,
            HostHeader::Target => Some(config.target.authority().to_owned()),
            HostHeader::Named(name) => Some(name.clone()),
        };
        let is_value = |text: &str| text.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b));
        if let Some(name) = host.as_ref().filter(|name| !is_value(name)) {
            return Err(ReplayError::HostName(name.clone()));
        }
        if !is_value(&config.marker_run) {
            return Err(ReplayError::RunName(config.marker_run.clone()));
        }
        Ok(Self {
            host,
            prefix: config.target.prefix().to_owned(),
            run: config.marker_run.clone(),
            realip: config.realip.clone(),
        })
    }

    /// Whether only the marker is added.
    fn is_marker_only(&self) -> bool {
        self.host.is_none() && self.prefix.is_empty() && self.realip.is_none()
    }

    /// Writes the head of the `n`th copy; false when this message cannot be sent.
    pub fn write_head(&self, message: &Message, n: u64, out: &mut Vec<u8>) -> bool {
        let head = message.head();
        if message.completion != Completion::Complete || message.method() == b"CONNECT" {
            return false;
        }
        let ending = ending(head);
        let fields_end = head.len() - ending.len();
        out.reserve(head.len() + self.run.len() + 64);
        if self.is_marker_only() {
            out.extend_from_slice(head.get(..fields_end).unwrap_or_default());
        } else {
            self.write_changed(message, fields_end, ending, out);
        }
        if let Some(name) = &self.realip {
            out.extend_from_slice(format!("{name}: {}", message.client.ip).as_bytes());
            out.extend_from_slice(ending);
        }
        out.extend_from_slice(MARKER);
        out.extend_from_slice(self.run.as_bytes());
        let mut digits = [0; 20];
        out.push(b'-');
        out.extend_from_slice(decimal(n, &mut digits));
        out.extend_from_slice(ending);
        out.extend_from_slice(ending);
        true
    }

    /// The head without its last line, target and Host as wanted.
    fn write_changed(&self, message: &Message, end: usize, ending: &[u8], out: &mut Vec<u8>) {
        let head = message.head();
        let mut at = 0;
        // Never back: a span that lies elsewhere changes nothing.
        let mut copy_to = |out: &mut Vec<u8>, until: usize, next: usize| {
            out.extend_from_slice(head.get(at..until).unwrap_or_default());
            at = at.max(next);
        };
        if let Some(place) = path_start(message).filter(|_| !self.prefix.is_empty()) {
            copy_to(out, place, place);
            out.extend_from_slice(self.prefix.as_bytes());
        }
        if let Some(host) = &self.host {
            let is_host = |field: &&Field| message.slice(field.name).eq_ignore_ascii_case(b"host");
            let mut hosts = message.fields.iter().filter(is_host);
            match hosts.next() {
                Some(first) => {
                    let Range { start, end } = value_range(head, first);
                    copy_to(out, start, end);
                    out.extend_from_slice(host.as_bytes());
                }
                None => {
                    let line_end = line_end(head, 0);
                    copy_to(out, line_end, line_end);
                    out.extend_from_slice(format!("Host: {host}").as_bytes());
                    out.extend_from_slice(ending);
                }
            }
            for further in hosts {
                let end = line_end(head, value_range(head, further).end);
                copy_to(out, further.name.range().start, end);
            }
        }
        copy_to(out, end, end);
    }
}

/// Where a field's value lies; an empty one stands behind its colon, wherever its span may point.
fn value_range(head: &[u8], field: &Field) -> Range<usize> {
    let (name_end, value) = (field.name.range().end, field.value.range());
    if value.start >= name_end {
        return value;
    }
    let rest = head.get(name_end..).unwrap_or_default();
    let behind = memchr::memchr(b':', rest).map_or(name_end, |colon| name_end + colon + 1);
    behind..behind
}

/// The line ending of the empty line that closes the head.
fn ending(head: &[u8]) -> &'static [u8] {
    if head.ends_with(b"\r\n") { b"\r\n" } else { b"\n" }
}

/// Behind the line break that follows this place.
fn line_end(head: &[u8], from: usize) -> usize {
    let rest = head.get(from..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(head.len(), |at| from + at + 1)
}

/// Where in the head the target's path begins; `None` for the forms that have none (`*`, authority-form).
fn path_start(message: &Message) -> Option<usize> {
    let target = message.target();
    let within = match target.first()? {
        b'/' => 0,
        _ => {
            let authority = memchr::memmem::find(target, b"://")? + 3;
            authority + memchr::memchr(b'/', target.get(authority..)?)?
        }
    };
    let start = target.as_ptr().addr().checked_sub(message.raw.as_ptr().addr())?;
    Some(start + within)
}

/// The digits of a number.
fn decimal(mut n: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
        first -= 1;
        if n == 0 {
            break;
        }
    }
    digits.get(first..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::message::request;
    use super::*;

    fn edits() -> Edits {
        Edits { host: None, prefix: String::new(), run: "run".into(), realip: None }
    }

    #[track_caller]
    fn becomes(edits: &Edits, head: &str, expected: &str) {
        let mut out = Vec::new();
        assert!(edits.write_head(&request(1, head), 7, &mut out), "{head:?}");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn only_the_marker_is_added_with_the_messages_own_line_ending() {
        let plain = "GET /a/../b?x=%2f HTTP/1.1\r\nhOST:  v1 \r\nA:1\r\na: 2\r\n\r\n";
        let marked = format!("{}X-Shadowtap: run-7\r\n\r\n", &plain[..plain.len() - 2]);
        becomes(&edits(), plain, &marked);
        becomes(&edits(), "GET / HTTP/1.0\n\n", "GET / HTTP/1.0\nX-Shadowtap: run-7\n\n");
        let mixed = "GET / HTTP/1.1\nHost: a\n\r\n";
        becomes(&edits(), mixed, "GET / HTTP/1.1\nHost: a\nX-Shadowtap: run-7\r\n\r\n");
    }

    #[test]
    fn a_host_replaces_the_first_and_ends_the_others() {
        let edits = Edits { host: Some("v2:81".into()), ..edits() };
        let two = "GET / HTTP/1.1\r\nA: 1\r\nHOST: v1\r\nB: 2\r\nhost: x\r\n\r\n";
        let one = "GET / HTTP/1.1\r\nA: 1\r\nHOST: v2:81\r\nB: 2\r\nX-Shadowtap: run-7\r\n\r\n";
        becomes(&edits, two, one);
        let empty = "GET / HTTP/1.1\r\nHost:\r\nHost:\r\nA: 1\r\n\r\n";
        let filled = "GET / HTTP/1.1\r\nHost:v2:81\r\nA: 1\r\nX-Shadowtap: run-7\r\n\r\n";
        becomes(&edits, empty, filled);
        let mut nowhere = request(1, empty);
        for field in &mut nowhere.fields {
            field.value = crate::model::message::Span::default();
        }
        let mut out = Vec::new();
        assert!(edits.write_head(&nowhere, 7, &mut out));
        assert!(out.starts_with(b"GET / HTTP/1.1\r\nHost:v2:81\r\n"), "{}", out.escape_ascii());
        let added = "GET / HTTP/1.0\r\nHost: v2:81\r\nA: 1\r\nX-Shadowtap: run-7\r\n\r\n";
        becomes(&edits, "GET / HTTP/1.0\r\nA: 1\r\n\r\n", added);
    }

    #[test]
    fn a_prefix_stands_before_the_path_of_either_form() {
        let edits = Edits { prefix: "/base".into(), realip: Some("X-Real-IP".into()), ..edits() };
        let rest = "\r\nX-Real-IP: 10.0.0.1\r\nX-Shadowtap: run-7\r\n\r\n";
        for (target, expected) in [
            ("/a?b", "/base/a?b"),
            ("http://v1/a", "http://v1/base/a"),
            ("*", "*"),
            ("//x", "/base//x"),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\n\r\n");
            becomes(&edits, &head, &format!("GET {expected} HTTP/1.1{rest}"));
        }
    }

    #[test]
    fn a_tunnel_and_half_a_message_are_not_sent() {
        let connect = request(1, "CONNECT v1:443 HTTP/1.1\r\n\r\n");
        assert!(!edits().write_head(&connect, 1, &mut Vec::new()));
        let mut half = request(1, "GET / HTTP/1.1\r\n\r\n");
        half.completion = Completion::Incomplete;
        assert!(!edits().write_head(&half, 1, &mut Vec::new()));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for n in [0, 7, 10, 12345, u64::MAX] {
            assert_eq!(decimal(n, &mut [0; 20]), n.to_string().as_bytes());
        }
    }
}
