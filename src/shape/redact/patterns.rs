//! Secrets told by how they look: card numbers, e-mail addresses, JSON Web Tokens.
//!
//! In: any bytes. Out: where they stand, in order. Linear time. Card numbers are 13 to 19 digits that begin with 2 to 6
//! (ISO/IEC 7812) and pass Luhn's check, in groups parted by single spaces, dashes or pluses if so.

use std::ops::Range;

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// Card numbers.
    Card,
    /// E-mail addresses, with `%40` for the sign too.
    Email,
    /// JSON Web Tokens (RFC 7519), signed or not.
    Jwt,
}

/// Where any of these stands, in order, none within another.
pub(super) fn find(bytes: &[u8], patterns: &[Pattern]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for pattern in patterns {
        match pattern {
            Pattern::Card => cards(bytes, &mut found),
            Pattern::Email => emails(bytes, &mut found),
            Pattern::Jwt => tokens(bytes, &mut found),
        }
    }
    found.sort_by_key(|place| (place.start, place.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for place in found {
        match joined.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => joined.push(place),
        }
    }
    joined
}

/// Lengths of card numbers.
const CARD: std::ops::RangeInclusive<usize> = 13..=19;

fn cards(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while at < bytes.len() {
        // A group begins: no digit before it.
        if !is_digit(at) || (at > 0 && is_digit(at - 1)) {
            at += 1;
            continue;
        }
        match card_at(bytes, at) {
            Some(end) => {
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
}

/// The end of the longest card number that begins here, at the end of a group.
fn card_at(bytes: &[u8], start: usize) -> Option<usize> {
    if !matches!(bytes.get(start), Some(b'2'..=b'6')) {
        return None;
    }
    let (mut digits, mut best) = (Vec::with_capacity(19), None);
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let is_next_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        match byte {
            b'0'..=b'9' => {
                digits.push(byte - b'0');
                if digits.len() > *CARD.end() {
                    break;
                }
                if !is_next_digit && CARD.contains(&digits.len()) && passes_luhn(&digits) {
                    best = Some(at + 1);
                }
            }
            b' ' | b'-' | b'+' if is_next_digit => {}
            _ => break,
        }
        at += 1;
    }
    best
}

/// ISO/IEC 7812-1 annex B.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(n, &digit)| match (n % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// RFC 5321 section 4.5.3.1.
const LOCAL_PART: usize = 64;
const DOMAIN: usize = 255;

fn emails(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    let is_local = |b: &u8| b.is_ascii_alphanumeric() || b"._%+-".contains(b) || *b >= 0x80;
    let is_domain = |b: &u8| b.is_ascii_alphanumeric() || b".-".contains(b) || *b >= 0x80;
    let mut past = 0;
    for sign in memchr::memchr2_iter(b'@', b'%', bytes) {
        let behind = match bytes.get(sign..) {
            Some([b'@', ..]) => sign + 1,
            Some([b'%', b'4', b'0', ..]) => sign + 3,
            _ => continue,
        };
        if sign < past {
            continue;
        }
        let from = past.max(sign.saturating_sub(LOCAL_PART));
        let before = bytes.get(from..sign).unwrap_or_default();
        let local = before.iter().rev().take_while(|b| is_local(b)).count();
        let rest = bytes.get(behind..).unwrap_or_default();
        let len = rest.iter().take(DOMAIN).take_while(|b| is_domain(b)).count();
        let domain = rest.get(..len).unwrap_or_default();
        // A full stop behind it ends a sentence.
        let len = len - domain.iter().rev().take_while(|b| matches!(b, b'.' | b'-')).count();
        let domain = domain.get(..len).unwrap_or_default();
        let is_name = memchr::memchr(b'.', domain).is_some_and(|dot| dot > 0);
        if local > 0 && is_name {
            past = behind + len;
            found.push(sign - local..past);
        }
    }
}

fn tokens(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    let run = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        let is_digit = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        from + rest.iter().take_while(is_digit).count()
    };
    let is_dot = |at: usize| bytes.get(at) == Some(&b'.');
    let mut past = 0;
    // `{"` in base64url.
    for start in memchr::memmem::find_iter(bytes, b"eyJ") {
        if start < past {
            continue;
        }
        let header = run(start);
        past = header;
        if !is_dot(header) {
            continue;
        }
        let payload = run(header + 1);
        past = payload;
        if payload > header + 2 && is_dot(payload) {
            past = run(payload + 1);
            found.push(start..past);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pattern: Pattern) -> Vec<String> {
        let text = text.as_bytes();
        let places = find(text, &[pattern]).into_iter();
        places
            .map(|place| String::from_utf8_lossy(text.get(place).unwrap_or_default()).into())
            .collect()
    }

    #[test]
    fn card_numbers_pass_luhn() {
        for (text, want) in [
            ("card=4111111111111111&x", &["4111111111111111"][..]),
            ("4111 1111 1111 1111", &["4111 1111 1111 1111"]),
            ("5500-0000-0000-0004, 378282246310005", &["5500-0000-0000-0004", "378282246310005"]),
            ("4111+1111+1111+1111", &["4111+1111+1111+1111"]),
            ("a4111111111111111b", &["4111111111111111"]),
            ("2024 4111111111111111", &["4111111111111111"]),
            ("4111111111111112", &[]),
            ("1700000000000000000", &[]),
            ("41111111111111111111111", &[]),
            ("4111  1111 1111 1111", &[]),
            ("6011000990139424", &["6011000990139424"]),
        ] {
            assert_eq!(found(text, Pattern::Card), want, "{text}");
        }
    }

    #[test]
    fn addresses_have_a_name_and_a_domain() {
        for (text, want) in [
            ("mail: a.b+c@example.org.", &["a.b+c@example.org"][..]),
            ("a%40b.example&c=d%40e.org", &["a%40b.example", "d%40e.org"]),
            ("<x@y.z>,<u@v.w>", &["x@y.z", "u@v.w"]),
            ("a@b @c.d e@ @", &[]),
            ("a@b@c.de", &["b@c.de"]),
            ("ü@ö.de", &["ü@ö.de"]),
        ] {
            assert_eq!(found(text, Pattern::Email), want, "{text}");
        }
    }

    #[test]
    fn tokens_have_three_parts() {
        for (text, want) in [
            ("Bearer eyJhbGciOi.eyJzdWI.c2ln-_", &["eyJhbGciOi.eyJzdWI.c2ln-_"][..]),
            ("\"eyJhbGciOi.eyJzdWI.\"", &["eyJhbGciOi.eyJzdWI."]),
            ("eyJhbGciOi.eyJzdWI", &[]),
            ("eyJ..x", &[]),
        ] {
            assert_eq!(found(text, Pattern::Jwt), want, "{text}");
        }
        let long = "eyJ".repeat(1 << 18);
        assert_eq!(found(&long, Pattern::Jwt), [""; 0]);
    }
}
