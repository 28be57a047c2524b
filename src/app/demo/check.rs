//! Whether v2 got exactly the requests that v1 got.
//!
//! In: the logs of both. Out: how many are the same as multisets of method, target and body hash, and
//! which are not.

use std::collections::BTreeMap;

use super::journal::Entry;

/// Of the requests that do not match, so many are named.
const NAMED: usize = 3;

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Requests that v1 got and v2 got too.
    pub same: u64,
    /// Requests that only v1 got.
    pub missing: u64,
    /// Requests that only v2 got, or got more often.
    pub extra: u64,
    /// Some of those that are missing or extra, in words.
    pub examples: Vec<String>,
}

impl Check {
    /// Whether nothing is missing and nothing is extra, of something.
    pub fn is_exact(&self) -> bool {
        self.same > 0 && self.missing == 0 && self.extra == 0
    }
}

/// Compares v2's requests with v1's.
pub fn compare(v1: &[Entry], v2: &[Entry]) -> Check {
    let mut counts: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for entry in v1 {
        counts.entry(entry.identity()).or_default().0 += 1;
    }
    for entry in v2 {
        counts.entry(entry.identity()).or_default().1 += 1;
    }
    let mut check = Check::default();
    for ((method, target, _), (at_v1, at_v2)) in counts {
        check.same += at_v1.min(at_v2);
        check.missing += at_v1.saturating_sub(at_v2);
        check.extra += at_v2.saturating_sub(at_v1);
        if at_v1 != at_v2 && check.examples.len() < NAMED {
            let text = format!("{method} {target}: v1 got {at_v1}, v2 got {at_v2}");
            check.examples.push(text);
        }
    }
    check
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::entry;
    use super::*;

    #[test]
    fn order_does_not_matter_and_number_does() {
        let [a, b] = [entry("GET", "/orders/1", ""), entry("POST", "/pay", "aa")];
        let v1 = [a.clone(), b.clone(), a.clone()];
        let exact = compare(&v1, &[b.clone(), a.clone(), a.clone()]);
        assert!(exact.is_exact());
        assert_eq!(exact.same, 3);
        let short = compare(&v1, &[a.clone(), b.clone()]);
        assert_eq!((short.same, short.missing, short.extra), (2, 1, 0));
        assert_eq!(short.examples, ["GET /orders/1: v1 got 2, v2 got 1"]);
        let twice = compare(&v1, &[a.clone(), a.clone(), b.clone(), b]);
        assert_eq!((twice.same, twice.missing, twice.extra), (3, 0, 1));
    }

    #[test]
    fn another_body_is_another_request() {
        let check = compare(&[entry("POST", "/pay", "aa")], &[entry("POST", "/pay", "ab")]);
        assert_eq!((check.same, check.missing, check.extra), (0, 1, 1));
        assert!(!check.is_exact());
    }

    #[test]
    fn nothing_proves_nothing() {
        assert!(!compare(&[], &[]).is_exact());
    }
}
