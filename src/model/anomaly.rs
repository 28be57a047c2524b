//! Named oddities of a message: what was ambiguous, lenient or contradictory about it.

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::tally::{Cause, causes};

causes!(
    /// Something about a message that a strict reader would have refused or read otherwise.
    Anomaly, ANOMALIES {
        /// Both Transfer-Encoding and Content-Length (RFC 9112 6.3): read as chunked.
        BothLengths = "both_lengths",
        /// Several different Content-Length values: the first is taken.
        SeveralLengths = "several_lengths",
        /// The same Content-Length more than once.
        RepeatedLength = "repeated_length",
        /// A Content-Length that is not a number: the message is taken to have no body.
        InvalidLength = "invalid_length",
        /// Transfer-Encoding whose last coding is not chunked.
        ChunkedNotLast = "chunked_not_last",
        /// Transfer-Encoding in a message of HTTP/1.0, which has none: its framing is faulty (RFC 9112 6.1).
        CodingInHttp10 = "coding_in_http10",
        /// A chunk size or chunk line that is not what RFC 9112 7.1 says.
        InvalidChunk = "invalid_chunk",
        /// A header field continued on the next line (obs-fold, RFC 9112 5.2).
        ObsFold = "obs_fold",
        /// A line that ends in LF without CR.
        BareLf = "bare_lf",
        /// White space between a field name and its colon.
        SpaceBeforeColon = "space_before_colon",
        /// A field name with characters outside `token`, or a line without a colon.
        InvalidField = "invalid_field",
        /// White space or other odd characters within the request target.
        OddTarget = "odd_target",
        /// A version other than HTTP/1.0 and HTTP/1.1.
        OddVersion = "odd_version",
        /// A start line that a strict parser refuses for another reason.
        OddStartLine = "odd_start_line",
        /// Empty lines before the start line (RFC 9112 2.2).
        LeadingEmptyLine = "leading_empty_line",
        /// Two segments carried different bytes for the same sequence numbers.
        OverlapConflict = "overlap_conflict",
        /// Bytes inside the message were never captured.
        Gap = "gap",
        /// The connection was reset or ended before the message did.
        ClosedEarly = "closed_early",
        /// The head is larger than the limit, or has more fields.
        HeadTooLarge = "head_too_large",
        /// The message was given up to stay within the memory limit.
        Evicted = "evicted",
        /// Nothing more came for so long that the message was given up.
        TimedOut = "timed_out",
        /// The capture ended before the message did.
        CaptureEnded = "capture_ended",
        /// The server answered finally before the request was complete.
        AnsweredEarly = "answered_early",
        /// A byte within the message or beside it was urgent (RFC 9293 3.8.5) and is left out: so v1's
        /// kernel gives it to every program that does not ask for it in line (`SO_OOBINLINE`).
        UrgentData = "urgent_data",
    }
);

/// A set of anomalies.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Anomalies(u32);

impl Anomalies {
    /// Adds one.
    pub fn insert(&mut self, anomaly: Anomaly) {
        self.0 |= 1 << anomaly.index();
    }

    /// Whether it is in the set.
    pub fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & (1 << anomaly.index()) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds all of another set.
    pub fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The members, in declaration order.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.iter().copied().filter(move |&a| self.contains(a))
    }

    /// Whether the message's framing could be read in two ways: a front and a back server may
    /// disagree about where it ends (request smuggling).
    pub fn is_ambiguous(self) -> bool {
        [
            Anomaly::BothLengths,
            Anomaly::SeveralLengths,
            Anomaly::InvalidLength,
            Anomaly::ChunkedNotLast,
            Anomaly::CodingInHttp10,
            Anomaly::InvalidChunk,
        ]
        .into_iter()
        .any(|a| self.contains(a))
    }
}

impl FromIterator<Anomaly> for Anomalies {
    fn from_iter<I: IntoIterator<Item = Anomaly>>(iter: I) -> Self {
        let mut set = Self::default();
        for anomaly in iter {
            set.insert(anomaly);
        }
        set
    }
}

/// As a JSON array of names.
impl Serialize for Anomalies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for anomaly in self.iter() {
            seq.serialize_element(anomaly.name())?;
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_anomaly_has_a_bit_of_its_own() {
        const { assert!(ANOMALIES <= 32) };
        let all: Anomalies = Anomaly::ALL.iter().copied().collect();
        assert_eq!(all.iter().count(), ANOMALIES);
    }
}
