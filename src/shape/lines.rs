//! A head as lines: where each begins and ends, folded ones whole, and what its name and value are.
//!
//! Lines are looked at as a lenient server does: what stands before the first colon is the name, whatever white space
//! is around it. In: a head. Out: places in it.

use std::ops::Range;

/// Where the fields begin: behind the start line, and the empty ones before it.
pub(super) fn fields_start(head: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = head.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let line = head.get(at..at + len).unwrap_or_default();
        at += len + 1;
        if !line.trim_ascii().is_empty() {
            break;
        }
    }
    at
}

/// The line that begins here, with those that continue it (RFC 9112 section 5.2), up to its LF.
pub(super) fn next_line(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let mut end = start;
    bytes.get(start).copied()?;
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        let Some(len) = memchr::memchr(b'\n', rest) else { return Some(start..bytes.len()) };
        end += len;
        match bytes.get(end + 1) {
            Some(b' ' | b'\t') => end += 1,
            _ => return Some(start..end),
        }
    }
}

/// The line ending of the empty line that closes the head.
pub(super) fn ending(head: &[u8]) -> &'static [u8] {
    if head.ends_with(b"\r\n") { b"\r\n" } else { b"\n" }
}

/// Without white space at its ends, line breaks of folded lines included.
pub(super) fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let text = bytes.get(range.clone()).unwrap_or_default();
    let lead = text.len() - text.trim_ascii_start().len();
    let start = range.start + lead;
    start..start + text.trim_ascii().len()
}

/// Where the name and the value of a field line lie in it; `None` for what has no colon. An empty value stands behind
/// the white space that follows its colon, never behind the line break.
pub(super) fn name_and_value(line: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let colon = memchr::memchr(b':', line)?;
    let value = trimmed(line, colon + 1..line.len());
    if value.is_empty() {
        let rest = line.get(colon + 1..).unwrap_or_default();
        let gap = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let at = colon + 1 + gap;
        return Some((trimmed(line, 0..colon), at..at));
    }
    Some((trimmed(line, 0..colon), value))
}

/// RFC 9110 5.6.2 `tchar`.
pub(super) fn is_tchar(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Whether this is a field name (RFC 9110 section 5.1).
pub(super) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(is_tchar)
}

/// Whether a field may have this value: nothing that ends the line, no other control characters.
pub(super) fn is_value(value: &[u8]) -> bool {
    value.iter().all(|&b| b == b'\t' || (b >= 0x20 && b != 0x7f))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_begin_behind_the_start_line() {
        for (head, want) in [
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", "A: b\r\n\r\n"),
            ("\r\n\nGET / HTTP/1.1\n Cookie: b\n\n", " Cookie: b\n\n"),
            ("no line end", "no line end"),
        ] {
            let start = fields_start(head.as_bytes());
            assert_eq!(head.get(start..), Some(want), "{head:?}");
        }
    }

    #[test]
    fn a_line_is_a_name_and_a_value() {
        for (line, name, value, at) in [
            ("A: b\r\n", "A", "b", 3),
            ("A:b", "A", "b", 2),
            (" A\t : b \r\n c \r\n", "A", "b \r\n c", 6),
            ("A:\r\n", "A", "", 2),
            ("A: \t\r\n", "A", "", 4),
            ("A:\r\n b\r\n", "A", "b", 5),
            (": b", "", "b", 2),
        ] {
            let (name_at, value_at) = name_and_value(line.as_bytes()).unwrap();
            assert_eq!(line.get(name_at), Some(name), "{line:?}");
            assert_eq!((line.get(value_at.clone()), value_at.start), (Some(value), at), "{line:?}");
        }
        assert_eq!(name_and_value(b"no colon\r\n"), None);
    }
}
