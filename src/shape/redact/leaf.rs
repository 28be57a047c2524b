//! Patterns in a leaf of JSON: looked for in what it says, replaced where it is written.
//!
//! In: a string between its quotes, or a number. Out: the same with what was found covered. Guaranteed: escapes count as
//! what they stand for, and none is cut; every other byte stays; linear time.

use std::borrow::Cow;
use std::ops::Range;

use super::super::json::{Leaf, quoted};
use super::cover::Cover;
use super::patterns::{self, Pattern};

/// The leaf with what patterns find in it covered; nothing where they find nothing.
pub(super) fn covered(
    cover: &Cover,
    wanted: &[Pattern],
    leaf: Leaf,
    text: &[u8],
) -> Option<Vec<u8>> {
    let said = match leaf {
        Leaf::Bool => return None,
        Leaf::Number => Cow::Borrowed(text),
        Leaf::String | Leaf::Name => said(text),
    };
    let found = patterns::find(&said, wanted);
    if found.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (place, written) in found.iter().zip(written(text, &found)) {
        out.extend_from_slice(text.get(at..written.start).unwrap_or_default());
        let value = cover.pattern(said.get(place.clone()).unwrap_or_default());
        match leaf {
            Leaf::Number | Leaf::Bool => out.extend_from_slice(&value),
            Leaf::String | Leaf::Name => {
                let quoted = quoted(&value);
                out.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default());
            }
        }
        at = written.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    Some(out)
}

/// The text with what escapes stand for.
fn said(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some((len, unit)) = unit(text, at) {
        at += len;
        out.extend_from_slice(unit.encode_utf8_or_byte(&mut [0; 4]));
    }
    Cow::Owned(out)
}

/// Where these parts of what is said are written; they are in order.
fn written(text: &[u8], found: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut places = Vec::with_capacity(found.len());
    let (mut at, mut said_at) = (0, 0);
    let mut start = None;
    let mut next = found.iter();
    let mut wanted = next.next();
    while let Some(place) = wanted {
        if said_at >= place.start && start.is_none() {
            start = Some(at);
        }
        if said_at >= place.end {
            places.push(start.take().unwrap_or(at)..at);
            wanted = next.next();
            continue;
        }
        let Some((len, unit)) = unit(text, at) else { break };
        at += len;
        said_at += unit.encode_utf8_or_byte(&mut [0; 4]).len();
    }
    if let Some(start) = start {
        places.push(start..at);
    }
    places
}

/// A byte as it stands there, or the character of an escape.
enum Unit {
    Byte(u8),
    Char(char),
}

impl Unit {
    fn encode_utf8_or_byte<'b>(&self, buffer: &'b mut [u8; 4]) -> &'b [u8] {
        match *self {
            Self::Byte(byte) => {
                buffer.fill(byte);
                buffer.split_at(1).0
            }
            Self::Char(c) => c.encode_utf8(buffer).as_bytes(),
        }
    }
}

/// What is written at this place, and how long it is.
fn unit(text: &[u8], at: usize) -> Option<(usize, Unit)> {
    let rest = text.get(at..)?;
    let (&first, behind) = rest.split_first()?;
    if first != b'\\' {
        return Some((1, Unit::Byte(first)));
    }
    let hex = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    Some(match behind.first() {
        Some(b'u') => {
            let units = [hex(0), hex(6)].into_iter().map_while(|unit| unit);
            match char::decode_utf16(units).next() {
                Some(Ok(c)) => (6 * c.len_utf16(), Unit::Char(c)),
                // A lone surrogate is part of no name.
                _ => (6.min(rest.len()), Unit::Char('\u{fffd}')),
            }
        }
        Some(b'b') => (2, Unit::Byte(8)),
        Some(b'f') => (2, Unit::Byte(12)),
        Some(b'n') => (2, Unit::Byte(b'\n')),
        Some(b'r') => (2, Unit::Byte(b'\r')),
        Some(b't') => (2, Unit::Byte(b'\t')),
        Some(&other) => (2, Unit::Byte(other)),
        None => (1, Unit::Byte(first)),
    })
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, Mac};

    use super::super::rules::RedactWith;
    use super::*;

    fn masked(leaf: Leaf, text: &str) -> Option<String> {
        let Ok(mac) = Hmac::new_from_slice(b"a key") else { return None };
        let cover = Cover { mac, with: RedactWith::Mask };
        let all = [Pattern::Card, Pattern::Email, Pattern::Jwt];
        let out = covered(&cover, &all, leaf, text.as_bytes())?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn an_escape_is_what_it_stands_for_and_is_never_cut() {
        for (text, want) in [
            (r"hi\nbob@example.org", Some(r"hi\nxxx@xxxxxxx.xxx")),
            (r"caf\u00e9bob@e.org\n", Some(r"xxxxxxxx@x.xxx\n")),
            (r"bob\u0040e.org\\", Some(r"xxx@x.xxx\\")),
            (r"\u0062ob@e.\u006frg, a@b.de", Some("xxx@x.xxx, x@x.xx")),
            (r"\ud83d\ude00 a@b.de \ud83d", Some(r"\ud83d\ude00 x@x.xx \ud83d")),
            (r"\u00341111111\u002d11111111", Some("99999999-99999999")),
            (r"\/\b\f\r\t\\\u0000", None),
            ("plain", None),
        ] {
            assert_eq!(masked(Leaf::String, text).as_deref(), want, "{text}");
        }
        assert_eq!(masked(Leaf::Number, "4111111111111111").as_deref(), Some("9999999999999999"));
        assert_eq!(masked(Leaf::Bool, "true"), None);
    }
}
