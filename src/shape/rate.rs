//! How many requests go on in a second: `--max-rate`, a token bucket.
//!
//! In: the packet time of each request that would go on. Out: whether it may. Guaranteed: of requests within any
//! stretch of T seconds at most rate x (T + 1) go on, and never two without a token; time is that of the packets, so
//! a live run and a file of the same packets agree; a clock that jumps either way gives away one bucket at most
//! and never shuts the gate. No clock, no memory beyond three numbers.

use std::fmt;
use std::time::Duration;

use crate::model::Timestamp;

/// What a full bucket holds: so much time's worth of requests, and one at least.
const DEPTH: u64 = 1_000_000_000;

/// Packets of several connections come out of order by so much at most; a clock that goes back by more was set.
const BACK: Duration = Duration::from_secs(10);

/// See the module's description.
#[derive(Clone, Debug)]
pub struct RateCap {
    /// Nanoseconds for each request.
    interval: u64,
    /// Nanoseconds saved, at most the depth.
    credit: u64,
    /// Packet time of the last request that went on.
    last: Option<Timestamp>,
    /// How many times as fast as captured requests are sent.
    factor: f64,
    /// Gaps between requests that are sent are cut to this.
    max_gap: Option<Duration>,
}

impl RateCap {
    /// So many a second, on the average of a second; the bucket is full.
    pub fn new(per_second: f64) -> Self {
        // What is no rate becomes the slowest or fastest there is.
        let interval = ((1e9 / per_second).round() as u64).max(1);
        Self { interval, credit: interval.max(DEPTH), last: None, factor: 1.0, max_gap: None }
    }

    /// For sending so many times as fast as captured, long gaps cut: the cap is on what is sent in a second of
    /// sending.
    pub fn at_pace(mut self, factor: f64, max_gap: Option<Duration>) -> Self {
        (self.factor, self.max_gap) = (factor, max_gap);
        self
    }

    /// Takes over what another had saved and when, a full bucket of its own at most.
    pub fn go_on_from(&mut self, older: &Self) {
        self.credit = older.credit.min(self.interval.max(DEPTH));
        self.last = older.last;
    }

    /// Whether a request of this time may go on; if so it took its token.
    pub fn takes(&mut self, at: Timestamp) -> bool {
        let last = *self.last.get_or_insert(at);
        if last.since(at) > BACK {
            self.last = Some(at);
        }
        let passed = self.max_gap.map_or(at.since(last), |most| at.since(last).min(most));
        // Saturates at both ends.
        let earned = (passed.as_nanos() as f64 / self.factor) as u64;
        let credit = self.credit.saturating_add(earned).min(self.interval.max(DEPTH));
        let Some(left) = credit.checked_sub(self.interval) else { return false };
        self.credit = left;
        self.last = self.last.max(Some(at));
        true
    }
}

/// For the start line: `200/s`.
impl fmt::Display for RateCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nine digits of the rate, which is that to the nanosecond.
        let rate = (1e9 / self.interval as f64 * 1e3).round() / 1e3;
        write!(f, "{rate}/s")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::testing::Random;

    const SECOND: u64 = 1_000_000_000;

    /// How many of requests at these nanoseconds go on.
    fn taken(cap: &mut RateCap, at: impl IntoIterator<Item = u64>) -> usize {
        at.into_iter().filter(|&ns| cap.takes(Timestamp::from_nanos(1000 * SECOND + ns))).count()
    }

    /// So many a second, evenly, for so many seconds.
    fn even(rate: u64, seconds: u64) -> impl Iterator<Item = u64> {
        (0..rate * seconds).map(move |n| n * SECOND / rate)
    }

    #[test]
    fn what_stays_below_goes_on_and_what_is_over_is_shed_exactly() {
        for rate in [1, 3, 199, 200] {
            assert_eq!(taken(&mut RateCap::new(200.0), even(rate, 20)), rate as usize * 20);
        }
        // The bucket, and 200 for each of 10 seconds; the last instant's is not there yet.
        assert_eq!(taken(&mut RateCap::new(200.0), even(1000, 10)), 200 + 2000 - 1);
        assert_eq!(taken(&mut RateCap::new(200.0), vec![0; 5000]), 200, "all at once");
        // Half a request a second: the first, and one each 2 s.
        let mut slow = RateCap::new(0.5);
        assert_eq!(taken(&mut slow, [0, SECOND, 2 * SECOND - 1, 2 * SECOND, 3 * SECOND]), 2);
    }

    #[test]
    fn no_stretch_of_time_has_more_than_rate_times_one_second_longer() {
        let mut random = Random::new(7);
        let (mut at, mut times) = (0, Vec::new());
        for _ in 0..20_000 {
            let most = if random.one_in(100) { 3_000_000_000 } else { 10_000_000 };
            at += random.below(most) as u64;
            times.push(at);
        }
        let mut cap = RateCap::new(50.0);
        times.retain(|&ns| taken(&mut cap, [ns]) == 1);
        assert!(times.len() > 1000);
        for (n, &from) in times.iter().enumerate() {
            for (count, &until) in times.iter().skip(n).take(500).enumerate() {
                let most = 50.0 * ((until - from) as f64 / SECOND as f64 + 1.0);
                assert!(count as f64 <= most, "{count} from {from} until {until}");
            }
        }
    }

    #[test]
    fn the_cap_is_on_a_second_of_sending() {
        let at = |factor, max_gap| RateCap::new(100.0).at_pace(factor, max_gap);
        // 1,000 captured in each of 10 s: 1 s at 10x, 20 s at 0.5x.
        assert_eq!(taken(&mut at(10.0, None), even(1000, 10)), 100 + 100 - 1);
        assert_eq!(taken(&mut at(0.5, None), even(1000, 10)), 100 + 2000 - 1);
        // Of a gap of 1,000 s a tenth of a second is left: 10 tokens.
        let bursts = || (0..1000).map(|_| 0).chain((0..1000).map(|_| 1000 * SECOND));
        assert_eq!(taken(&mut at(1.0, Some(Duration::from_millis(100))), bursts()), 100 + 10);
        assert_eq!(taken(&mut at(1.0, None), bursts()), 100 + 100);
    }

    #[test]
    fn a_clock_that_jumps_gives_away_a_bucket_at_most_and_shuts_nothing() {
        let mut cap = RateCap::new(10.0);
        assert_eq!(taken(&mut cap, vec![0; 50]), 10);
        // Out of order by a little: no time passed.
        assert_eq!(taken(&mut cap, [SECOND / 10, 0, 0, SECOND / 10, 0]), 1);
        // The far future, and back: it counts from there on.
        assert!(cap.takes(Timestamp::from_nanos(u64::MAX)));
        assert_eq!(taken(&mut cap, vec![0; 50]), 9, "what was left of one bucket");
        assert_eq!(taken(&mut cap, even(10, 5).map(|ns| ns + SECOND / 10)), 50, "as before");
        assert!(!cap.takes(Timestamp::ZERO), "and the far past");
        assert!(cap.takes(Timestamp::from_nanos(SECOND / 10)));
    }

    #[test]
    fn a_cap_in_place_of_another_goes_on_with_what_that_had_left() {
        let mut older = RateCap::new(10.0);
        assert_eq!(taken(&mut older, vec![0; 8]), 8);
        let mut cap = RateCap::new(20.0);
        cap.go_on_from(&older);
        // 0.2 s are left: 4 tokens of 50 ms; and 0.1 s later 2 more.
        assert_eq!(taken(&mut cap, [vec![0; 9], vec![SECOND / 10; 9]].concat()), 6);
    }

    #[test]
    fn nonsense_is_no_panic() {
        for rate in [f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, -1.0, 0.0, 1e300] {
            let mut cap = RateCap::new(rate).at_pace(1e-300, Some(Duration::MAX));
            for at in [0, u64::MAX, 0, 5, u64::MAX] {
                cap.takes(Timestamp::from_nanos(at));
            }
        }
    }
}
