//! The second pass over a head that httparse refused: what servers accept all the same.
//!
//! In: a whole head. Out: [`Head`] with an anomaly for each thing forgiven, or `None` when the start
//! line is not HTTP/1.x at all. Forgiven: folded lines (RFC 9112 5.2), white space before the colon
//! (5.1), odd bytes in names, values, target and reason, lines without a colon, versions 1.2 to 1.9,
//! more than one space in the start line.

use super::head::{Head, MAX_FIELDS, Role, StartLine};
use crate::model::message::{Field, Span};
use crate::model::{Anomalies, Anomaly, Version};

/// Parses a head leniently.
pub(super) fn parse(bytes: &[u8], role: Role) -> Option<Head> {
    let mut lines = Lines { bytes, at: 0 };
    let first = lines.next()?;
    let mut anomalies = Anomalies::default();
    let (start, version) = start_line(bytes, first, role, &mut anomalies)?;
    let mut fields: Vec<Field> = Vec::new();
    for line in lines {
        if line.start == line.end {
            break;
        }
        field_line(bytes, line, &mut fields, &mut anomalies);
        if fields.len() > MAX_FIELDS {
            anomalies.insert(Anomaly::HeadTooLarge);
            drop_surplus(bytes, &mut fields);
        }
    }
    Some(Head { start, version, fields, anomalies })
}

/// Gives up the last of too many fields, unless it may say how the body is framed: those are kept a
/// few more times.
fn drop_surplus(bytes: &[u8], fields: &mut Vec<Field>) {
    const FRAMING: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"upgrade"];
    let name = fields.last().and_then(|field| bytes.get(field.name.range())).unwrap_or_default();
    let is_framing = FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing));
    if !is_framing || fields.len() > MAX_FIELDS + 64 {
        fields.pop();
    }
}

/// Whether every line after the first is a field with a token for a name, or folded: no line has to be
/// passed over, and only values, target or reason can be odd.
pub(super) fn has_sound_fields(bytes: &[u8]) -> bool {
    let lines = Lines { bytes, at: 0 }.skip(1);
    let mut fields =
        lines.map_while(|line| bytes.get(line.range()).filter(|text| !text.is_empty()));
    fields.all(|text| match memchr::memchr(b':', text) {
        _ if matches!(text.first(), Some(b' ' | b'\t')) => true,
        Some(colon) => text.get(..colon).is_some_and(|n| !n.is_empty() && n.iter().all(is_tchar)),
        None => false,
    })
}

/// The lines of a head as spans without their line ends.
struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..len)?;
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let span = span(self.at, self.at + text.len());
        self.at += len + 1;
        Some(span)
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

fn start_line(
    bytes: &[u8],
    line: Span,
    role: Role,
    anomalies: &mut Anomalies,
) -> Option<(StartLine, Version)> {
    match role {
        Role::Client => request_line(bytes, line, anomalies),
        Role::Server => status_line(bytes, line, anomalies),
    }
}

/// `method SP target SP HTTP/1.x`: the method ends at the first space, the version begins after the
/// last one, and whatever lies between is the target, spaces included.
fn request_line(
    bytes: &[u8],
    line: Span,
    anomalies: &mut Anomalies,
) -> Option<(StartLine, Version)> {
    let text = bytes.get(line.range())?;
    let method_len = text.iter().position(|b| *b == b' ' || *b == b'\t')?;
    let method = text.get(..method_len).filter(|m| !m.is_empty() && m.iter().all(is_tchar))?;
    let trimmed = text.trim_ascii_end();
    let version_at = trimmed.iter().rposition(|b| *b == b' ' || *b == b'\t')? + 1;
    let version = version(trimmed.get(version_at..)?)?;
    let between = text.get(method.len()..version_at)?;
    let target = between.trim_ascii();
    let target_at = method.len() + between.len() - between.trim_ascii_start().len();
    if target.is_empty() {
        return None;
    }
    if between.len() != target.len() + 2 || trimmed.len() != text.len() {
        anomalies.insert(Anomaly::OddStartLine);
    }
    if target.iter().any(|b| *b <= b' ' || *b == 0x7f || *b >= 0x80) {
        anomalies.insert(Anomaly::OddTarget);
    }
    note_version(version, anomalies);
    let base = line.start as usize;
    let start = StartLine::Request {
        method: span(base, base + method.len()),
        target: span(base + target_at, base + target_at + target.len()),
    };
    Some((start, version))
}

/// `HTTP/1.x SP status SP reason`; the reason may be missing, with or without its space.
fn status_line(
    bytes: &[u8],
    line: Span,
    anomalies: &mut Anomalies,
) -> Option<(StartLine, Version)> {
    let text = bytes.get(line.range())?;
    let version = version(text.get(..8)?)?;
    let rest = text.get(8..)?;
    let code = rest.trim_ascii_start();
    let spaces = rest.len() - code.len();
    let digits = code.get(..3)?;
    if spaces == 0 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0u16, |n, d| n * 10 + u16::from(d - b'0'));
    let after = code.get(3..)?;
    if status < 100 || after.first().is_some_and(|b| *b != b' ' && *b != b'\t') {
        return None;
    }
    if spaces > 1 {
        anomalies.insert(Anomaly::OddStartLine);
    }
    note_version(version, anomalies);
    let base = line.start as usize + 8 + spaces + 3;
    let reason = after.trim_ascii();
    let lead = after.len() - after.trim_ascii_start().len();
    let reason = match reason.len() {
        0 => Span::default(),
        len => span(base + lead, base + lead + len),
    };
    Some((StartLine::Response { status, reason }, version))
}

/// The reason phrase of a response's head, as it was sent.
pub(super) fn reason(bytes: &[u8]) -> Span {
    let line = Lines { bytes, at: 0 }.find(|line| !line.range().is_empty());
    match line.and_then(|line| status_line(bytes, line, &mut Anomalies::default())) {
        Some((StartLine::Response { reason, .. }, _)) => reason,
        _ => Span::default(),
    }
}

fn version(text: &[u8]) -> Option<Version> {
    match text {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => {
            Some(Version { major: 1, minor: minor - b'0' })
        }
        _ => None,
    }
}

fn note_version(version: Version, anomalies: &mut Anomalies) {
    if version.minor > 1 {
        anomalies.insert(Anomaly::OddVersion);
    }
}

fn field_line(bytes: &[u8], line: Span, fields: &mut Vec<Field>, anomalies: &mut Anomalies) {
    let Some(text) = bytes.get(line.range()) else { return };
    if matches!(text.first(), Some(b' ' | b'\t')) {
        match fields.last_mut() {
            Some(field) => fold(text, line, field),
            None => anomalies.insert(Anomaly::InvalidField),
        }
        anomalies.insert(Anomaly::ObsFold);
        return;
    }
    let Some(colon) = memchr::memchr(b':', text) else {
        anomalies.insert(Anomaly::InvalidField);
        return;
    };
    let raw_name = text.get(..colon).unwrap_or_default();
    let name = raw_name.trim_ascii_end();
    if name.len() != raw_name.len() {
        anomalies.insert(Anomaly::SpaceBeforeColon);
    }
    if name.is_empty() || !name.iter().all(is_tchar) {
        anomalies.insert(Anomaly::InvalidField);
    }
    let raw_value = text.get(colon + 1..).unwrap_or_default();
    let value = trim_ows(raw_value);
    if value.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f) {
        anomalies.insert(Anomaly::InvalidField);
    }
    let base = line.start as usize;
    let lead = raw_value.iter().take_while(|b| **b == b' ' || **b == b'\t').count();
    let value_at = if value.is_empty() { colon + 1 } else { colon + 1 + lead };
    fields.push(Field {
        name: span(base, base + name.len()),
        value: span(base + value_at, base + value_at + value.len()),
    });
}

/// A folded line makes the field's value reach to its end, line break and all.
fn fold(text: &[u8], line: Span, field: &mut Field) {
    let trimmed = trim_ows(text);
    if trimmed.is_empty() {
        return;
    }
    let lead = text.iter().take_while(|b| **b == b' ' || **b == b'\t').count();
    let end = line.start + (lead + trimmed.len()) as u32;
    if field.value.start == field.value.end {
        field.value.start = line.start + lead as u32;
    }
    field.value.end = end;
}

/// Without the optional white space around it (RFC 9110 5.6.3): spaces and tabs only.
fn trim_ows(text: &[u8]) -> &[u8] {
    let is_ows = |b: &u8| *b == b' ' || *b == b'\t';
    let start = text.iter().take_while(|b| is_ows(b)).count();
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.len() - rest.iter().rev().take_while(|b| is_ows(b)).count();
    rest.get(..end).unwrap_or_default()
}

/// RFC 9110 5.6.2 `tchar`.
pub(super) fn is_tchar(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::head::parse;
    use super::*;

    fn request(text: &str) -> (Vec<(String, String)>, String, Vec<&'static str>) {
        use crate::model::Cause;
        let bytes = text.as_bytes();
        let head = parse(bytes, Role::Client).unwrap();
        let StartLine::Request { target, .. } = head.start else { unreachable!() };
        let show = |s: Span| String::from_utf8_lossy(&bytes[s.range()]).into_owned();
        (
            head.fields.iter().map(|f| (show(f.name), show(f.value))).collect(),
            show(target),
            head.anomalies.iter().map(|a| a.name()).collect(),
        )
    }

    /// Text; target; fields; anomalies.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

    #[test]
    fn what_is_forgiven_is_kept_and_named() {
        let cases: [Case<'_>; 8] = [
            ("GET / HTTP/1.1\r\nA: 1\r\n  2\r\n\r\n", "/", &[("A", "1\r\n  2")], &["obs_fold"]),
            ("GET / HTTP/1.1\r\nA : 1\r\n\r\n", "/", &[("A", "1")], &["space_before_colon"]),
            ("GET / HTTP/1.1\r\nno colon\r\nB: 2\r\n\r\n", "/", &[("B", "2")], &["invalid_field"]),
            ("GET / HTTP/1.1\r\na b: 1\r\n\r\n", "/", &[("a b", "1")], &["invalid_field"]),
            ("GET /a b c HTTP/1.1\r\n\r\n", "/a b c", &[], &["odd_target"]),
            ("GET /é HTTP/1.2\r\n\r\n", "/é", &[], &["odd_target", "odd_version"]),
            ("GET  /  HTTP/1.1\r\n\r\n", "/", &[], &["odd_start_line"]),
            ("GET / HTTP/1.1\r\nA:\r\n x\r\n\r\n", "/", &[("A", "x")], &["obs_fold"]),
        ];
        for (text, target, fields, anomalies) in cases {
            let (got_fields, got_target, got_anomalies) = request(text);
            let got: Vec<_> = got_fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!((got_target.as_str(), got.as_slice()), (target, fields), "{text:?}");
            assert_eq!(got_anomalies, anomalies, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_http_1_is_refused() {
        for text in [
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            " GET / HTTP/1.1\r\n\r\n",
            "G\u{1}T / HTTP/1.1\r\n\r\n",
            "hello\r\n\r\n",
            "GET HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(parse(text.as_bytes(), Role::Client).is_none(), "{text:?}");
        }
    }

    #[test]
    fn status_lines_without_a_reason_and_with_odd_ones() {
        for (text, want) in [
            ("HTTP/1.1 200\r\n\r\n", 200),
            ("HTTP/1.1 299 \r\n\r\n", 299),
            ("HTTP/1.0 520 W\u{e4}h\r\n\r\n", 520),
            ("HTTP/1.1  999 Odd\r\n\r\n", 999),
        ] {
            let head = parse(text.as_bytes(), Role::Server).unwrap();
            let StartLine::Response { status, .. } = head.start else { unreachable!() };
            assert_eq!(status, want, "{text:?}");
        }
        assert!(parse(b"HTTP/1.1 2000 no\r\n\r\n", Role::Server).is_none());
        assert!(parse(b"HTTP/1.1 20\r\n\r\n", Role::Server).is_none());
    }
}
