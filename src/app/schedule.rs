//! The schedule: when each request is due.
//!
//! In: requests in the order they are handed on. Out: the moment each is due, or none where nothing can be
//! late. Guaranteed: every moment is reckoned from one origin, so the millionth request drifts no more than
//! the first; what cannot be expressed is the far future, not an overflow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Message, Timestamp};

/// The furthest that a due time lies ahead.
const FAR: Duration = Duration::from_secs(u32::MAX as u64);

/// When requests are due.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// Live traffic: due the moment it is handed on.
    Live,
    /// `--speed max`: as soon as its turn comes, which is never late.
    Max,
    /// At the captured spacing, so many times as fast.
    Captured {
        /// How many times as fast.
        factor: f64,
        /// Gaps between requests count as this long at most, in captured time.
        max_gap: Option<Duration>,
    },
    /// At a rate of its own, whatever was captured.
    Rate(Rate),
}

/// Requests a second: constant, or growing (or falling) evenly to another rate and constant from then on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// At the start, a second.
    pub from: f64,
    /// At the end, a second.
    pub to: f64,
    /// How long it takes from one to the other.
    pub over: Duration,
}

impl Rate {
    /// How many requests are due within so long from the start.
    pub fn within(&self, duration: Duration) -> u64 {
        let (mut few, mut many) = (0, 1 << 62);
        while few < many {
            let middle = few + (many - few) / 2;
            match self.seconds(middle) < duration.as_secs_f64() {
                true => few = middle + 1,
                false => many = middle,
            }
        }
        few
    }

    /// Seconds from the start to the `n`th request (from 0).
    fn seconds(&self, n: u64) -> f64 {
        let (n, over) = (n as f64, self.over.as_secs_f64());
        let ramp = (self.from + self.to) / 2.0 * over;
        if n >= ramp {
            return over + (n - ramp) / self.to;
        }
        // n(t) = from t + slope t^2 / 2, solved for t in the form that keeps its digits when the slope is small.
        let slope = (self.to - self.from) / over;
        2.0 * n / (self.from + (self.from * self.from + 2.0 * slope * n).max(0.0).sqrt())
    }
}

/// A schedule that whoever decides what to queue can look into, on the thread that keeps to it: nobody waits
/// for the lock.
#[derive(Clone)]
pub struct Timetable(Arc<Mutex<Schedule>>);

impl Timetable {
    /// Begins with the first request.
    pub fn new(pace: Pace) -> Self {
        Self(Arc::new(Mutex::new(Schedule::new(pace))))
    }

    /// When this request is due, handed on at `now`.
    pub fn due(&self, message: &Message, now: Instant) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).due(message, now)
    }

    /// When this request would be due if it were the next to be handed on.
    pub fn look(&self, message: &Message) -> Option<Instant> {
        let mut copy = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copy.due(message, Instant::now())
    }
}

/// See the module's description.
#[derive(Clone, Copy)]
pub struct Schedule {
    pace: Pace,
    /// When the first request was due.
    start: Option<Instant>,
    /// Packet times of the first and of the last request.
    first: Timestamp,
    last: Timestamp,
    /// Captured time that was cut out of long gaps.
    cut: Duration,
    /// Requests so far.
    count: u64,
}

impl Schedule {
    /// Begins with the first request.
    pub fn new(pace: Pace) -> Self {
        let (first, last) = (Timestamp::ZERO, Timestamp::ZERO);
        Self { pace, start: None, first, last, cut: Duration::ZERO, count: 0 }
    }

    /// When this request is due, handed on at `now`.
    pub fn due(&mut self, message: &Message, now: Instant) -> Option<Instant> {
        if self.start.is_none() {
            (self.start, self.first, self.last) =
                (Some(now), message.first_byte, message.first_byte);
        }
        let start = self.start?;
        let seconds = match self.pace {
            Pace::Live => return Some(now),
            Pace::Max => return None,
            Pace::Captured { factor, max_gap } => {
                self.captured(message.first_byte, max_gap).as_secs_f64() / factor
            }
            Pace::Rate(rate) => rate.seconds(self.count),
        };
        self.count += 1;
        Some(start + Duration::try_from_secs_f64(seconds).map_or(FAR, |after| after.min(FAR)))
    }

    /// How long after the first this request would be due if it were the next; `None` where nothing is due.
    pub fn after(mut self, message: &Message) -> Option<Duration> {
        let due = self.due(message, Instant::now())?;
        Some(due.saturating_duration_since(self.start?))
    }

    /// Captured time since the first request, long gaps cut.
    fn captured(&mut self, at: Timestamp, max_gap: Option<Duration>) -> Duration {
        if let Some(most) = max_gap {
            self.cut += at.since(self.last).saturating_sub(most);
        }
        self.last = self.last.max(at);
        at.since(self.first).saturating_sub(self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::request;

    fn at(milliseconds: u64) -> Message {
        let mut message = request(b"GET / HTTP/1.1\r\n\r\n");
        message.first_byte =
            Timestamp::from_parts(100 + milliseconds / 1000, milliseconds % 1000 * 1_000_000);
        message
    }

    /// Milliseconds after the start at which requests captured then are due.
    fn due(pace: Pace, captured: &[u64]) -> Vec<u128> {
        let (now, mut schedule) = (Instant::now(), Schedule::new(pace));
        let mut due = |&ms| schedule.due(&at(ms), now).expect("due") - now;
        captured.iter().map(|ms| due(ms).as_millis()).collect()
    }

    #[test]
    fn due_times_are_the_captured_spacing_by_the_factor() {
        for (factor, want) in [(1.0, 10_000), (2.0, 5_000), (0.5, 20_000)] {
            let pace = Pace::Captured { factor, max_gap: None };
            assert_eq!(due(pace, &[0, 10_000]), [0, want], "{factor}x");
        }
        let pace = Pace::Captured { factor: 1.0, max_gap: None };
        assert_eq!(due(pace, &[10, 5, 20]), [0, 0, 10], "an earlier one is due at the start");
        let far = due(Pace::Captured { factor: 1e-300, max_gap: None }, &[0, 1]);
        assert_eq!(far[1], FAR.as_millis(), "no overflow");
    }

    #[test]
    fn long_gaps_are_cut_and_what_follows_keeps_its_spacing() {
        let pace = Pace::Captured { factor: 2.0, max_gap: Some(Duration::from_secs(1)) };
        let captured = [0, 500, 60_500, 60_600, 60_550, 120_000];
        assert_eq!(due(pace, &captured), [0, 250, 750, 800, 775, 1300]);
    }

    #[test]
    fn a_rate_has_its_own_spacing_and_a_ramp_an_even_slope() {
        let rate = |from, to, over| Pace::Rate(Rate { from, to, over: Duration::from_secs(over) });
        assert_eq!(due(rate(500.0, 500.0, 0), &[0, 9, 9, 9]), [0, 2, 4, 6]);
        let ramp = Rate { from: 100.0, to: 300.0, over: Duration::from_secs(10) };
        // 2,000 requests in the 10 s of the ramp, then 300 a second.
        let near = |n, seconds: f64| (ramp.seconds(n) - seconds).abs() < 1e-9;
        assert!(near(0, 0.0) && near(2000, 10.0) && near(2300, 11.0));
        assert!(near(750, 5.0), "{}", ramp.seconds(750));
        let within = |seconds| ramp.within(Duration::from_secs(seconds));
        assert_eq!([within(0), within(5), within(10), within(11)], [0, 750, 2000, 2300]);
        let falling = Rate { from: 10.0, to: 1.0, over: Duration::from_secs(2) };
        assert!((1..50).all(|n| falling.seconds(n) > falling.seconds(n - 1)));
    }

    #[test]
    fn live_is_due_at_once_and_max_never() {
        let now = Instant::now();
        assert_eq!(Schedule::new(Pace::Live).due(&at(5), now), Some(now));
        assert_eq!(Schedule::new(Pace::Max).due(&at(5), now), None);
    }

    #[test]
    fn the_millionth_request_is_due_to_the_microsecond() {
        let now = Instant::now();
        let pace = Pace::Rate(Rate { from: 20_000.0, to: 20_000.0, over: Duration::ZERO });
        let mut schedule = Schedule::new(pace);
        let message = at(0);
        let last = (0..1_000_000).map(|_| schedule.due(&message, now)).next_back().flatten();
        let exact = now + Duration::from_micros(49_999_950);
        let off = last.expect("due").saturating_duration_since(exact);
        assert!(off < Duration::from_micros(1), "{off:?}");
    }
}
