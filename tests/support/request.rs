//! One request as every party can know it, and the comparison of two sets of them.
//!
//! In: what was sent or logged, and what arrived. Out: nothing, or a panic that names the first few
//! requests that are missing, extra, duplicated or changed.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

/// A request, identified by what must not change on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// The method token.
    pub method: String,
    /// The request target as in the request line.
    pub target: String,
    /// SHA-256 of the body without chunk framing.
    pub body_sha256: [u8; 32],
}

impl Request {
    /// From its parts, hashing the body.
    pub fn new(method: &str, target: &str, body: &[u8]) -> Self {
        Self { method: method.into(), target: target.into(), body_sha256: sha256(body) }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} body {}", self.method, self.target, &hex(&self.body_sha256)[..12])
    }
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Panics unless both are the same multiset: nothing missing, nothing extra, nothing twice.
#[track_caller]
pub fn exact(expected: &[Request], got: &[Request]) {
    if let Some(difference) = difference(expected, got) {
        panic!("{difference}");
    }
}

/// How the two multisets differ, in words; `None` when they do not.
pub fn difference(expected: &[Request], got: &[Request]) -> Option<String> {
    let mut counts: BTreeMap<&Request, (usize, usize)> = BTreeMap::new();
    for request in expected {
        counts.entry(request).or_default().0 += 1;
    }
    for request in got {
        counts.entry(request).or_default().1 += 1;
    }
    let mut missing = Vec::new();
    let mut extra = Vec::new();
    let mut duplicated = Vec::new();
    for (request, (want, have)) in counts {
        match (want, have) {
            _ if want == have => {}
            (0, _) => extra.push(request),
            _ if have > want => duplicated.push(request),
            _ => missing.push(request),
        }
    }
    if missing.is_empty() && extra.is_empty() && duplicated.is_empty() {
        return None;
    }
    let mut text = format!("expected {} requests, got {}", expected.len(), got.len());
    for (name, requests) in [("missing", missing), ("extra", extra), ("duplicated", duplicated)] {
        if let Some(first) = requests.get(..requests.len().min(5)).filter(|r| !r.is_empty()) {
            text += &format!("\n  {name}: {}, first: {first:?}", requests.len());
        }
    }
    Some(text)
}
