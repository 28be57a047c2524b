//! Requests over time, in intervals that grow with the span.
//!
//! In: the times of requests, in any order. Out: how many there were in each interval. Bounded: at most
//! [`MOST`] intervals; when the span outgrows them, each becomes twice as long.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::model::Timestamp;

/// Intervals at most.
const MOST: u64 = 60;

/// See the module's description.
#[derive(Clone, Debug)]
pub struct OverTime {
    /// Seconds of an interval.
    pub interval: u64,
    /// Requests by the number of their interval since 1970.
    counts: BTreeMap<u64, u64>,
}

impl Default for OverTime {
    fn default() -> Self {
        Self { interval: 1, counts: BTreeMap::new() }
    }
}

impl OverTime {
    /// Counts a request.
    pub fn count(&mut self, at: Timestamp) {
        let second = at.as_nanos() / 1_000_000_000;
        *self.counts.entry(second / self.interval).or_default() += 1;
        while self.span() > MOST {
            self.interval *= 2;
            let mut wider = BTreeMap::new();
            for (interval, n) in std::mem::take(&mut self.counts) {
                *wider.entry(interval / 2).or_default() += n;
            }
            self.counts = wider;
        }
    }

    /// Intervals from the first request to the last.
    fn span(&self) -> u64 {
        let ends = self.counts.first_key_value().zip(self.counts.last_key_value());
        ends.map_or(0, |((first, _), (last, _))| last - first + 1)
    }

    /// Each interval, the empty ones too: the second since 1970 with which it begins, its requests.
    pub fn intervals(&self) -> impl Iterator<Item = (u64, u64)> {
        let first = self.counts.first_key_value().map_or(0, |(first, _)| *first);
        (first..first + self.span()).map(|interval| {
            (interval * self.interval, self.counts.get(&interval).copied().unwrap_or(0))
        })
    }
}

/// As the length of an interval, the beginning of the first, and the counts.
impl Serialize for OverTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_struct("OverTime", 3)?;
        all.serialize_field("interval_s", &self.interval)?;
        all.serialize_field("from_s", &self.intervals().next().map(|(from, _)| from))?;
        let requests: Vec<u64> = self.intervals().map(|(_, n)| n).collect();
        all.serialize_field("requests", &requests)?;
        all.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{Random, seeds};

    #[test]
    fn intervals_grow_with_the_span_and_nothing_is_lost() {
        for seed in seeds(50) {
            let mut random = Random::new(seed);
            let mut over_time = OverTime::default();
            let bits = random.below(30);
            let span = 1 + random.below(1 << bits);
            let times: Vec<u64> =
                (0..200).map(|_| 1_700_000_000 + random.below(span) as u64).collect();
            for &at in &times {
                over_time.count(Timestamp::from_parts(at, 5));
            }
            let intervals: Vec<_> = over_time.intervals().collect();
            assert!(intervals.len() as u64 <= MOST, "seed {seed}");
            for (from, n) in intervals {
                let within = from..from + over_time.interval;
                let want = times.iter().filter(|at| within.contains(at)).count() as u64;
                assert_eq!(n, want, "seed {seed}");
            }
            assert_eq!(over_time.intervals().map(|(_, n)| n).sum::<u64>(), 200, "seed {seed}");
        }
        assert_eq!(OverTime::default().intervals().count(), 0);
    }
}
