//! Parts of a multipart body (RFC 2046, RFC 7578): what each is called, what it says it is, where its content lies.
//!
//! In: a Content-Type, and a body. Out: parts, one by one. Guaranteed: linear time, and no memory that grows with their number. A body that two readers
//! may take apart in different ways is none: a delimiter within a line, or with anything behind it, another one behind the
//! last, no boundary or two.

use std::ops::Range;

use super::super::lines::{name_and_value, next_line};
use super::super::query::decoded;
use super::bodies::Kinds;

/// A part.
#[derive(Default)]
pub(super) struct Part {
    /// Every name that a reader may take for its own.
    pub names: Vec<Vec<u8>>,
    /// What it says it is.
    pub kinds: Kinds,
    /// Whether its content is written in another way than plain.
    pub is_coded: bool,
    /// Where its content lies in the body.
    pub content: Range<usize>,
}

/// The boundary that a Content-Type of multipart names; `None` where it names none, or more.
pub(super) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"boundary=";
    let lower = content_type.to_ascii_lowercase();
    let mut places = memchr::memmem::find_iter(&lower, NAME);
    let at = places.next()? + NAME.len();
    if places.next().is_some() {
        return None;
    }
    let rest = content_type.get(at..)?;
    let boundary = match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|&b| b == b'"').next()?,
        None => rest.split(|b| matches!(b, b';' | b' ' | b'\t' | b'\r' | b'\n' | b',')).next()?,
    };
    (!boundary.is_empty()).then(|| boundary.to_vec())
}

/// Gives each part; `None` where the body is not of that form, or a part was not to somebody's liking.
pub(super) fn each_part(
    body: &[u8],
    boundary: &[u8],
    mut give: impl FnMut(Part) -> Option<()>,
) -> Option<()> {
    let delimiter = [b"--", boundary].concat();
    let mut places = memchr::memmem::find_iter(body, &delimiter);
    // Where the part before the next delimiter begins.
    let mut start = None;
    loop {
        let at = places.next()?;
        let before = body.get(..at)?;
        if !(before.is_empty() || before.ends_with(b"\n")) {
            return None;
        }
        if let Some(start) = start {
            let line_end = if before.ends_with(b"\r\n") { 2 } else { 1 };
            give(part(body, start..at.checked_sub(line_end)?)?)?;
        }
        let behind = body.get(at + delimiter.len()..)?;
        if behind.starts_with(b"--") {
            break;
        }
        let gap = behind.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
        if behind.get(gap) != Some(&b'\n') {
            return None;
        }
        start = Some(at + delimiter.len() + gap + 1);
    }
    places.next().is_none().then_some(())
}

/// Its fields, and behind the first empty line its content.
fn part(body: &[u8], place: Range<usize>) -> Option<Part> {
    // Where there is no content the delimiter's own line break ends the fields.
    let text = body.get(..place.end)?;
    let mut part = Part::default();
    let mut at = place.start;
    loop {
        let rest = text.get(at..)?;
        let is_over = at >= text.len() || rest == b"\r" || rest.starts_with(b"\n");
        if is_over || rest.starts_with(b"\r\n") {
            let gap = rest.iter().take(2).take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let gap = if rest.starts_with(b"\n") { 1 } else { gap };
            part.content = at + gap..place.end;
            return Some(part);
        }
        let line = next_line(text, at)?;
        at = line.end + 1;
        let line = text.get(line)?;
        let Some((name, value)) = name_and_value(line) else { continue };
        let (name, value) = (line.get(name)?.to_ascii_lowercase(), line.get(value)?);
        match name.as_slice() {
            b"content-disposition" => push_names(value, &mut part.names),
            b"content-type" => part.kinds.add(value),
            b"content-transfer-encoding" => {
                let plain: [&[u8]; 3] = [b"7bit", b"8bit", b"binary"];
                part.is_coded |= !plain.iter().any(|plain| value.eq_ignore_ascii_case(plain));
            }
            _ => {}
        }
        at = at.min(text.len());
    }
}

/// Each `name` of a Content-Disposition, as it stands there and as a reader may decode it.
fn push_names(value: &[u8], names: &mut Vec<Vec<u8>>) {
    let lower = value.to_ascii_lowercase();
    for at in memchr::memmem::find_iter(&lower, b"name") {
        // Not the end of `filename`.
        let before = at.checked_sub(1).and_then(|at| lower.get(at));
        if before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            continue;
        }
        let rest = value.get(at + b"name".len()..).unwrap_or_default();
        let (is_extended, rest) = match rest.strip_prefix(b"*") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let Some(rest) = rest.trim_ascii_start().strip_prefix(b"=") else { continue };
        let rest = rest.trim_ascii_start();
        let name = match rest.split_first() {
            Some((quote @ (b'"' | b'\''), quoted)) => unquoted(quoted, *quote),
            _ => rest
                .split(|b| *b == b';' || b.is_ascii_whitespace())
                .next()
                .unwrap_or_default()
                .to_vec(),
        };
        if is_extended {
            // RFC 8187: charset'language'value.
            let text = name.rsplit(|&b| b == b'\'').next().unwrap_or_default();
            names.push(decoded(text).into_owned());
        }
        names.push(decoded(&name).into_owned());
        names.push(name);
    }
}

/// What stands before the closing quote, without backslashes.
fn unquoted(text: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut is_escaped = false;
    for &byte in text {
        match byte {
            b'\\' if !is_escaped => is_escaped = true,
            _ if byte == quote && !is_escaped => break,
            _ => {
                out.push(byte);
                is_escaped = false;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contents of the parts of that name.
    fn found(body: &[u8], boundary: &[u8], name: &[u8]) -> Option<Vec<String>> {
        let mut found = Vec::new();
        each_part(body, boundary, |part| {
            if part.names.iter().any(|own| own == name) {
                let content = body.get(part.content)?;
                found.push(String::from_utf8_lossy(content).into_owned());
            }
            Some(())
        })?;
        Some(found)
    }

    fn of(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn parts_are_found_by_name() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n\
            --b \r\ncontent-disposition: form-data; filename=\"x\"; name=c\r\nContent-Type: x/y\r\n\r\n\r\ntwo\r\n\
            --b\r\nContent-Disposition: form-data;\r\n name=\"d\"\r\n\r\nthree\r\n\
            --b\r\nContent-Disposition: form-data; Name = \"e\\\"f%67\"\r\n\r\nfour\r\n\
            --b\r\nContent-Disposition: form-data; name*=utf-8''%68\n\nfive\n\
            --b\r\nContent-Disposition: form-data; name=i\r\n\r\n\r\n--b\r\n\r\n no fields\r\n--b--\r\n";
        for (name, want) in [
            (&b"a"[..], &["one"][..]),
            (b"c", &["\r\ntwo"]),
            (b"d", &["three"]),
            (b"e\"fg", &["four"]),
            (b"h", &["five"]),
            (b"i", &[""]),
            (b"x", &[]),
        ] {
            assert_eq!(found(body, b"b", name), of(want), "{}", name.escape_ascii());
        }
        assert_eq!(boundary(b"Multipart/form-data; Boundary=\"x y\""), Some(b"x y".to_vec()));
        assert_eq!(boundary(b"multipart/form-data; boundary=xY;z"), Some(b"xY".to_vec()));
    }

    #[test]
    fn what_may_be_taken_apart_in_two_ways_is_no_multipart() {
        for body in [
            "--b\r\nno end",
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx--b\r\n\r\ny\r\n--b--",
            "--b\r\n\r\nx\r\n--bc\r\n\r\ny\r\n--b--",
            "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n--b--",
            "",
        ] {
            assert!(each_part(body.as_bytes(), b"b", |_| Some(())).is_none(), "{body:?}");
        }
        for kind in ["multipart/form-data", "multipart/form-data; boundary=a; boundary=b"] {
            assert_eq!(boundary(kind.as_bytes()), None, "{kind}");
        }
    }
}
