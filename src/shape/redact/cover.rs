//! What takes a secret's place outside header fields: a hash that keeps its shape, or a mask.
//!
//! In: a value. Out: another of the same shape: each ASCII letter a letter of the same case, each digit a digit, other
//! characters of text a small letter, punctuation as it was. Equal values give equal ones under the same key.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::super::json::{Leaf, quoted};
use super::super::query::{decoded, push_encoded};
use super::rules::RedactWith;

/// What is put where something is masked.
pub(super) const MASK: &str = "***";

/// Covers values.
#[derive(Clone)]
pub(super) struct Cover {
    pub mac: Hmac<Sha256>,
    pub with: RedactWith,
}

impl Cover {
    /// The same for the same, in the same shape. With `keeps_escapes`, `%40` stays.
    fn hash(&self, value: &[u8], keeps_escapes: bool) -> Vec<u8> {
        let seed =
            self.mac.clone().chain_update(b"shape\0").chain_update(value).finalize().into_bytes();
        let mut block = seed;
        let mut used = 0;
        let mut counter = 0u64;
        let mut next = || {
            if used == block.len() {
                counter += 1;
                let mac = self.mac.clone().chain_update(seed).chain_update(counter.to_be_bytes());
                block = mac.finalize().into_bytes();
                used = 0;
            }
            used += 1;
            block.get(used - 1).copied().unwrap_or(0)
        };
        let mut out = Vec::with_capacity(value.len());
        let mut rest = value;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            match byte {
                b'%' if keeps_escapes && is_escape(behind) => {
                    out.push(byte);
                    out.extend(behind.iter().take(2));
                    rest = behind.get(2..).unwrap_or_default();
                }
                // No leading zero where there was none: it may be a number.
                b'1'..=b'9' if out.is_empty() => out.push(b'1' + next() % 9),
                b'0'..=b'9' => out.push(b'0' + next() % 10),
                b'a'..=b'z' => out.push(b'a' + next() % 26),
                b'A'..=b'Z' => out.push(b'A' + next() % 26),
                // The rest of a character.
                0x80..0xc0 => {}
                0xc0.. => out.push(b'a' + next() % 26),
                // Control characters are no shape.
                0..0x20 | 0x7f => out.push(b'_'),
                _ => out.push(byte),
            }
        }
        out
    }

    /// Of a text.
    pub fn text(&self, value: &[u8]) -> Vec<u8> {
        match self.with {
            RedactWith::Hash => self.hash(value, false),
            RedactWith::Mask | RedactWith::Drop => MASK.into(),
        }
    }

    /// Of a parameter's value, percent-encoded as before.
    pub fn parameter(&self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_encoded(&mut out, &self.text(&decoded(value)));
        out
    }

    /// Of what a pattern found. Nothing is taken out: what it stands in could break.
    pub fn pattern(&self, value: &[u8]) -> Vec<u8> {
        match self.with {
            RedactWith::Hash => self.hash(value, true),
            RedactWith::Mask | RedactWith::Drop => {
                let masked = |b: &u8| match b {
                    b'0'..=b'9' => b'9',
                    b'%' | b'.' | b'@' | b' ' | b'-' | b'+' => *b,
                    _ => b'x',
                };
                escaped_as_is(value, masked)
            }
        }
    }

    /// Of a leaf of JSON.
    pub fn leaf(&self, leaf: Leaf, text: &[u8]) -> Option<Vec<u8>> {
        match leaf {
            Leaf::Name => None,
            Leaf::Bool => (text != b"false").then(|| b"false".to_vec()),
            Leaf::Number if self.with == RedactWith::Hash => {
                // The exponent stays: it could make the number too large for any reader.
                let len = text.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(text.len());
                let (digits, exponent) = text.split_at_checked(len)?;
                let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
                let sign = digits.get(..digits.len() - unsigned.len())?;
                let covered = match unsigned.strip_prefix(b"0") {
                    Some(fraction) => [b"0", &self.hash(fraction, false)[..]].concat(),
                    None => self.hash(unsigned, false),
                };
                Some([sign, &covered, exponent].concat())
            }
            Leaf::Number => Some(b"0".to_vec()),
            Leaf::String if text.is_empty() => None,
            Leaf::String => {
                let whole = [b"\"", text, b"\""].concat();
                // A lone surrogate: as it stands.
                let plain = serde_json::from_slice::<String>(&whole);
                let plain = plain.map_or_else(|_| text.to_vec(), String::into_bytes);
                let covered = quoted(String::from_utf8_lossy(&self.text(&plain)).as_bytes());
                covered.get(1..covered.len() - 1).map(<[u8]>::to_vec)
            }
        }
    }
}

fn is_escape(behind: &[u8]) -> bool {
    matches!(behind, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

/// Each byte as `masked` says, percent-encoded ones as they are.
fn escaped_as_is(value: &[u8], masked: impl Fn(&u8) -> u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, behind)) = rest.split_first() {
        if *byte == b'%' && is_escape(behind) {
            out.push(b'%');
            out.extend(behind.iter().take(2));
            rest = behind.get(2..).unwrap_or_default();
            continue;
        }
        out.push(masked(byte));
        rest = behind;
    }
    out
}
