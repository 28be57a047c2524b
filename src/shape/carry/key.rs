//! What stands for a value, and for its place in an answer.
//!
//! In: values and names, however long. Out: 16 bytes for each, of its SHA-256, which are compared in place of it. So what is
//! remembered about an answer depends on how many values it gave, not on their length. Guaranteed: the same for the same, in every
//! run.

use sha2::{Digest, Sha256};

use super::rule::{Rule, Source};

/// Which of several values under one rule: the cookie's name, or a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot([u8; 16]);

impl Slot {
    /// A cookie.
    pub fn named(name: &[u8]) -> Self {
        Self(digest(&[name]))
    }

    /// The nth.
    pub fn number(n: usize) -> Self {
        Self((n as u128).to_be_bytes())
    }
}

/// A value of v1's under a rule, or the last one of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// A value; with the rule that takes every cookie it belongs to the cookie's name.
    pub fn value(number: usize, rule: &Rule, slot: Slot, value: &[u8]) -> Self {
        Self::new(b"v", number, rule, slot, value)
    }

    /// Whatever was given last on this connection.
    pub fn connection(number: usize, rule: &Rule, slot: Slot, conn: u64) -> Self {
        Self::new(b"c", number, rule, slot, &conn.to_be_bytes())
    }

    fn new(kind: &[u8], number: usize, rule: &Rule, Slot(slot): Slot, rest: &[u8]) -> Self {
        let scope = if matches!(rule.source, Source::Cookies) { &slot[..] } else { b"" };
        Self(digest(&[kind, &number.to_be_bytes(), scope, rest]))
    }
}

/// The first 16 bytes of a hash in which no two lists of parts are one text.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    let mut short = [0; 16];
    short.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
    short
}
