//! A message's head: start line and fields, as spans of the bytes, strict first and then lenient.
//!
//! In: the bytes of a whole head, its closing empty line included. Out: [`Head`], or `None` when this
//! is no HTTP/1.x head at all. Guaranteed: spans lie within the input; linear time. httparse decides
//! first; what it refuses gets the second pass of `lenient`, and the head then carries anomalies.

use super::{lenient, sniff};
use crate::model::message::{Field, Span};
use crate::model::{Anomalies, Anomaly, Version};

/// Most header fields of a head; nginx and Apache allow about 100.
pub(super) const MAX_FIELDS: usize = 4096;

/// Fields parsed on the stack; more need an allocation.
const FEW_FIELDS: usize = 48;

/// Who sends: decides what the start line looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Requests.
    Client,
    /// Responses.
    Server,
}

/// The start line, without what only the connection knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartLine {
    /// Method and target.
    Request {
        /// The method token.
        method: Span,
        /// The target.
        target: Span,
    },
    /// Status code and reason phrase.
    Response {
        /// Status code.
        status: u16,
        /// Reason phrase.
        reason: Span,
    },
}

/// A parsed head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The start line.
    pub start: StartLine,
    /// The version.
    pub version: Version,
    /// The fields in order.
    pub fields: Vec<Field>,
    /// What a strict reader would have refused.
    pub anomalies: Anomalies,
}

/// Parses a whole head: strictly, and where that fails leniently.
pub fn parse(bytes: &[u8], role: Role) -> Option<Head> {
    let mut head = match strict(bytes, role) {
        Some(head) => head,
        None => lenient::parse(bytes, role)?,
    };
    if let StartLine::Request { method, .. } = head.start
        && method.range().len() > sniff::MAX_METHOD
    {
        return None;
    }
    if has_bare_lf(bytes) {
        head.anomalies.insert(Anomaly::BareLf);
    }
    Some(head)
}

/// Parses the beginning of a head, up to some line's end: for messages that are never whole.
pub(super) fn parse_beginning(lines: &[u8], role: Role) -> Option<Head> {
    lenient::parse(lines, role)
}

/// Parses a whole head that may be believed out of step: strictly, or leniently where only a value, the
/// target or the reason holds what a strict parser refuses and the version is 1.0 or 1.1.
pub(super) fn sure(bytes: &[u8], role: Role) -> Option<Head> {
    let forgiven = [Anomaly::OddTarget, Anomaly::InvalidField, Anomaly::ObsFold];
    strict(bytes, role).or_else(|| {
        let head = lenient::parse(bytes, role)?;
        let is_sure = head.anomalies.iter().all(|anomaly| forgiven.contains(&anomaly));
        (is_sure && lenient::has_sound_fields(bytes)).then_some(head)
    })
}

/// Parses a whole head as httparse does without leniency: version 1.0 or 1.1, valid tokens.
pub(super) fn strict(bytes: &[u8], role: Role) -> Option<Head> {
    let mut few = [httparse::EMPTY_HEADER; FEW_FIELDS];
    match parse_into(bytes, role, &mut few) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
            parse_into(bytes, role, &mut many).ok().flatten()
        }
        parsed => parsed.ok().flatten(),
    }
}

fn parse_into<'b>(
    bytes: &'b [u8],
    role: Role,
    headers: &mut [httparse::Header<'b>],
) -> Result<Option<Head>, httparse::Error> {
    let (start, minor, fields) = match role {
        Role::Client => {
            let mut request = httparse::Request::new(headers);
            if request.parse(bytes)? != httparse::Status::Complete(bytes.len()) {
                return Ok(None);
            }
            let (Some(method), Some(target)) = (request.method, request.path) else {
                return Ok(None);
            };
            let method = span_of(bytes, method.as_bytes());
            let target = span_of(bytes, target.as_bytes());
            let fields = fields_of(bytes, request.headers);
            (StartLine::Request { method, target }, request.version, fields)
        }
        Role::Server => {
            let mut response = httparse::Response::new(headers);
            if response.parse(bytes)? != httparse::Status::Complete(bytes.len()) {
                return Ok(None);
            }
            let status = response.code.unwrap_or(0);
            let reason = match response.reason {
                // Also what httparse says of a reason with bytes of 0x80 and above, which RFC 9112
                // section 4 allows.
                Some("") | None => lenient::reason(bytes),
                Some(reason) => span_of(bytes, reason.as_bytes()),
            };
            let fields = fields_of(bytes, response.headers);
            (StartLine::Response { status, reason }, response.version, fields)
        }
    };
    let version = if minor == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    Ok(Some(Head { start, version, fields, anomalies: Anomalies::default() }))
}

fn fields_of(bytes: &[u8], headers: &[httparse::Header<'_>]) -> Vec<Field> {
    headers
        .iter()
        .map(|header| Field {
            name: span_of(bytes, header.name.as_bytes()),
            value: span_of(bytes, header.value),
        })
        .collect()
}

/// Where `part`, which httparse took out of `whole`, lies in it.
fn span_of(whole: &[u8], part: &[u8]) -> Span {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    let end = start.wrapping_add(part.len());
    // An empty part has its place too, where it points into the head.
    if start > whole.len() || end > whole.len() {
        return Span::default();
    }
    Span { start: start as u32, end: end as u32 }
}

fn has_bare_lf(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes)
        .any(|at| at.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\r'))
}

/// Finds the end of a head: one past its closing empty line. `from` is where an earlier call stopped
/// looking, and is moved on, so that bytes are looked at once however they arrive.
pub(super) fn find_end(bytes: &[u8], from: &mut usize) -> Option<usize> {
    while let Some(found) = memchr::memchr(b'\n', bytes.get(*from..)?) {
        let line_end = *from + found;
        match (bytes.get(line_end + 1), bytes.get(line_end + 2)) {
            (Some(b'\n'), _) => return Some(line_end + 2),
            (Some(b'\r'), Some(b'\n')) => return Some(line_end + 3),
            // Not yet told: look at this line's end again when there is more.
            (None, _) | (Some(b'\r'), None) => {
                *from = line_end;
                return None;
            }
            _ => *from = line_end + 1,
        }
    }
    *from = bytes.len();
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\nEmpty:\r\n\r\n";

    #[test]
    fn a_plain_head_is_spans_of_its_bytes() {
        let head = parse(GET, Role::Client).unwrap();
        let StartLine::Request { method, target } = head.start else { unreachable!() };
        assert_eq!((&GET[method.range()], &GET[target.range()]), (&b"GET"[..], &b"/a"[..]));
        let fields: Vec<_> =
            head.fields.iter().map(|f| (&GET[f.name.range()], &GET[f.value.range()])).collect();
        assert_eq!(fields, [(&b"Host"[..], &b"x"[..]), (b"Empty", b"")]);
        assert!(head.anomalies.is_empty());
    }

    #[test]
    fn a_reason_is_kept_whatever_its_bytes() {
        for want in [&b"OK"[..], b"", b"Fine, \xe4ll right", "S\u{fc}\u{df}".as_bytes()] {
            let bytes = [b"HTTP/1.1 200 ", want, b"\r\nA: b\r\n\r\n"].concat();
            let head = parse(&bytes, Role::Server).unwrap();
            let StartLine::Response { status: 200, reason } = head.start else { unreachable!() };
            assert_eq!(&bytes[reason.range()], want);
            assert!(head.anomalies.is_empty(), "{:?}", head.anomalies);
        }
    }

    #[test]
    fn the_end_is_found_once_however_the_bytes_arrive() {
        for (text, end) in
            [(&b"A\r\nb: c\r\n\r\nrest"[..], 11), (b"A\n\nrest", 3), (b"A\n\r\nrest", 4)]
        {
            let mut from = 0;
            let first = (0..=text.len()).find_map(|n| find_end(&text[..n], &mut from));
            assert_eq!(first, Some(end), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn many_fields_are_fine_up_to_the_limit() {
        let with = |n: usize| {
            let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
            for _ in 0..n {
                bytes.extend_from_slice(b"a: b\r\n");
            }
            bytes.extend_from_slice(b"\r\n");
            parse(&bytes, Role::Client)
        };
        assert_eq!(with(MAX_FIELDS).unwrap().fields.len(), MAX_FIELDS);
        let more = with(MAX_FIELDS + 1).unwrap();
        assert_eq!(more.fields.len(), MAX_FIELDS);
        assert!(more.anomalies.contains(Anomaly::HeadTooLarge));
    }

    #[test]
    fn out_of_step_only_values_and_targets_may_be_odd() {
        for text in [
            "GET / HTTP/1.1\r\nA: b\r\n\r\n",
            "GET /a b HTTP/1.0\r\nA: \u{1f}\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        ] {
            assert!(sure(text.as_bytes(), Role::Client).is_some(), "{text:?}");
        }
        for text in [
            "GET / HTTP/1.2\r\nA: b\r\n\r\n",
            "GET  / HTTP/1.1\r\nA: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\nA b: c\r\n\r\n",
            "GET / HTTP/1.1\r\nno field\r\n\r\n",
            "GET / HTTP/1.1\r\n: c\r\n\r\n",
        ] {
            assert!(sure(text.as_bytes(), Role::Client).is_none(), "{text:?}");
        }
    }

    #[test]
    fn bare_lf_is_named() {
        let head = parse(b"GET / HTTP/1.1\nHost: x\n\n", Role::Client).unwrap();
        assert!(head.anomalies.contains(Anomaly::BareLf));
    }
}
