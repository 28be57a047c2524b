//! `name=value&name=value`, as in a query and in a form (WHATWG URL, application/x-www-form-urlencoded).
//!
//! In: its bytes. Out: where each name and value lies. Names are compared decoded; nothing else is changed.

use std::borrow::Cow;
use std::ops::Range;

/// Where a parameter lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pair {
    pub name: Range<usize>,
    /// Empty, and behind the name, where there is no `=`.
    pub value: Range<usize>,
}

impl Pair {
    /// Name, sign and value.
    pub fn all(&self) -> Range<usize> {
        self.name.start..self.value.end
    }

    /// Whether this is its name, once decoded.
    pub fn is(&self, text: &[u8], name: &[u8]) -> bool {
        *decoded(text.get(self.name.clone()).unwrap_or_default()) == *name
    }
}

/// The parameters in order, empty ones too.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = Pair> {
    let mut start = 0;
    text.split(|&b| b == b'&').map(move |part| {
        let (from, end) = (start, start + part.len());
        start = end + 1;
        let sign = memchr::memchr(b'=', part);
        let name_end = sign.map_or(end, |sign| from + sign);
        let value = sign.map_or(end, |sign| from + sign + 1);
        Pair { name: from..name_end, value: value..end }
    })
}

/// Without percent-encoding, `+` as a space.
pub(super) fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = behind.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(byte),
        }
        rest = behind;
    }
    Cow::Owned(out)
}

/// Adds a text with everything percent-encoded that could end a parameter or mean something in a query.
pub(super) fn push_encoded(out: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~!$'()*,;:@/?".contains(&byte) {
            out.push(byte);
            continue;
        }
        out.push(b'%');
        for digit in [byte >> 4, byte & 15] {
            out.push(DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_decoded() {
        let text = b"a=1&&b&%61+b=2&c==3&=4";
        let names: Vec<_> = pairs(text)
            .map(|p| decoded(text.get(p.name).unwrap_or_default()).into_owned())
            .collect();
        let want: [&[u8]; 6] = [b"a", b"", b"b", b"a b", b"c", b""];
        assert_eq!(names, want);
        let values: Vec<_> = pairs(text).map(|p| text.get(p.value).unwrap_or_default()).collect();
        let want: [&[u8]; 6] = [b"1", b"", b"", b"2", b"=3", b"4"];
        assert_eq!(values, want);
        assert_eq!(*decoded(b"%zz%4"), *b"%zz%4");
    }

    #[test]
    fn what_could_end_a_parameter_is_encoded() {
        let mut out = Vec::new();
        push_encoded(&mut out, "a&b=c d%+#ü/".as_bytes());
        assert_eq!(out, b"a%26b%3Dc%20d%25%2B%23%C3%BC/");
    }
}
