//! What a run of the demo has to tell, live or recorded.

use crate::app::Exit;
use crate::model::ledger::Snapshot;

use super::client::Seen;
use super::journal::Entry;

/// How a run of the demo came to its end.
pub enum Ending {
    /// As planned.
    Finished(Box<Story>),
    /// By a signal or a fault.
    CutShort {
        /// How the process ends.
        result: anyhow::Result<Exit>,
        /// The ledger at that moment, as text or JSON.
        ledger: String,
    },
}

/// Everything that is shown.
pub struct Story {
    /// Live or recorded.
    pub origin: Origin,
    /// The command that the demo ran.
    pub command: String,
    /// v1's log.
    pub v1: Vec<Entry>,
    /// v2's log.
    pub v2: Vec<Entry>,
    /// One payment as both received and answered it.
    pub payment: Option<Pair>,
    /// The counts.
    pub snapshot: Snapshot,
    /// The ledger, as text or JSON.
    pub ledger: String,
}

/// Where the requests came from.
pub enum Origin {
    /// From the wire, now; and what the client saw meanwhile.
    Live(Seen),
    /// From a recording.
    Recorded,
}

/// One payment at both services.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// As v1 logged it.
    pub v1: Entry,
    /// As v2 logged it.
    pub v2: Entry,
    /// The bytes that v1 received.
    pub v1_wire: Vec<u8>,
    /// The bytes that v2 received.
    pub v2_wire: Vec<u8>,
}

/// The first payment that is not chunked, that both services have logged with its bytes, and that
/// they answered differently; failing that, alike.
pub fn find_payment(
    v1: &[Entry],
    v2: &[Entry],
    wire_v1: impl Fn(&Entry) -> Option<Vec<u8>>,
    wire_v2: impl Fn(&Entry) -> Option<Vec<u8>>,
) -> Option<Pair> {
    let payments = || v1.iter().filter(|entry| entry.method == "POST" && !entry.chunked);
    let pair = |one: &Entry| {
        let two = v2.iter().find(|two| two.identity() == one.identity())?;
        Some(Pair {
            v1: one.clone(),
            v2: two.clone(),
            v1_wire: wire_v1(one)?,
            v2_wire: wire_v2(two)?,
        })
    };
    // A few are enough: every other fee is rounded up.
    let mut pairs = payments().take(64).filter_map(pair).peekable();
    let first = pairs.peek().cloned();
    pairs.find(|pair| pair.v1.answer != pair.v2.answer).or(first)
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::entry;
    use super::*;

    #[test]
    fn a_payment_with_two_answers_is_preferred() {
        let pay = |hash: &str, answer: &str| {
            let mut entry = entry("POST", "/pay", hash);
            entry.answer = answer.into();
            entry
        };
        let mut chunked = pay("0", "x");
        chunked.chunked = true;
        let v1 = [entry("GET", "/", "e"), chunked, pay("1", "same"), pay("2", "88")];
        let v2 = [pay("2", "87"), pay("1", "same"), pay("0", "y")];
        let wire = |entry: &Entry| Some(entry.body_sha256.clone().into_bytes());
        let found = find_payment(&v1, &v2, wire, wire).expect("a payment");
        assert_eq!((found.v1.answer.as_str(), found.v2.answer.as_str()), ("88", "87"));
        let found = find_payment(&v1[..3], &v2, wire, wire).expect("a payment");
        assert_eq!(found.v1.answer, "same");
        assert_eq!(find_payment(&v1, &v2, wire, |_| None), None);
    }
}
