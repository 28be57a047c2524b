//! The reassembler's own time: it goes with packet time, but never backwards.
//!
//! In: packet times as the capture has them. Out: a time that only grows. A packet a little older than
//! the one before (interfaces and processors are merged in no strict order) does not move it. Where
//! packet time really jumps back (the next file of a series, a clock set back), it goes on from there:
//! else nothing would ever be overdue until the old time is reached again.

use std::time::Duration;

use crate::model::Timestamp;

/// Time in steps of 2^20 ns, for what is kept of every connection. Wraps after 52 days, which is why
/// times are only compared that lie less than 26 days apart: see [`MAX_STEP`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tick(u32);

impl Tick {
    /// Time that has passed since then.
    pub fn age(self, now: Self) -> Duration {
        Duration::from_nanos(u64::from(now.0.wrapping_sub(self.0)) << TICK_BITS)
    }

    /// Whether it is later than another one.
    pub fn is_after(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) as i32 > 0
    }
}

const TICK_BITS: u32 = 20;

/// Ticks go on by no more than this between two packets, and no connection is remembered for longer
/// without one: else one would seem young again when ticks wrap.
pub(super) const MAX_STEP: Duration = Duration::from_secs(10 * 24 * 3600);

/// Packets may be out of order by this much without being a jump.
const JITTER: Duration = Duration::from_secs(1);

/// So many packets in a row from before are a jump, one alone is a stray.
const RUN: u32 = 16;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Highest packet time since the last jump.
    latest: Timestamp,
    now: Timestamp,
    /// Time lived through, in nanoseconds: as `now`, but without leaps over [`MAX_STEP`].
    lived: u64,
    /// Packets in a row that were too old.
    old: u32,
}

impl Clock {
    /// The time after a packet of time `at`.
    pub fn advance(&mut self, at: Timestamp) -> Timestamp {
        if at >= self.latest {
            let step = at.since(self.latest);
            self.now = self.now + step;
            // Wrapping: only differences matter.
            self.lived = self.lived.wrapping_add(step.min(MAX_STEP).as_nanos() as u64);
            self.latest = at;
            self.old = 0;
        } else if at + JITTER < self.latest {
            self.old += 1;
            if self.old >= RUN {
                self.latest = at;
                self.old = 0;
            }
        } else {
            self.old = 0;
        }
        self.now
    }

    /// The same time as [`Clock::advance`] gave last, for what is kept of connections.
    pub fn tick(&self) -> Tick {
        Tick((self.lived >> TICK_BITS) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(s: u64) -> Timestamp {
        Timestamp::from_parts(s, 0)
    }

    #[test]
    fn a_stray_packet_from_the_past_does_not_move_it() {
        let mut clock = Clock::default();
        clock.advance(secs(1000));
        assert_eq!(clock.advance(secs(10)), secs(1000));
        assert_eq!(clock.advance(secs(1001)), secs(1001));
    }

    #[test]
    fn ticks_wrap_and_a_leap_makes_nothing_young() {
        let mut clock = Clock::default();
        clock.advance(secs(1_700_000_000));
        for leap in [1, 600, 40 * 24 * 3600, 4_000 * 24 * 3600] {
            let (then, now) = (clock.tick(), clock.now);
            clock.advance(now + Duration::from_secs(leap));
            assert!(clock.tick().is_after(then) && !then.is_after(clock.tick()));
            let age = then.age(clock.tick()).as_secs_f64();
            assert!((age - leap.min(MAX_STEP.as_secs()) as f64).abs() < 0.1, "{leap}: {age}");
        }
        for _ in 0..20 {
            let then = clock.tick();
            clock.advance(clock.now + MAX_STEP);
            assert!(clock.tick().is_after(then), "also across the wrap");
        }
    }

    #[test]
    fn after_a_real_jump_back_it_goes_on() {
        let mut clock = Clock::default();
        clock.advance(secs(1000));
        for _ in 0..RUN {
            assert_eq!(clock.advance(secs(10)), secs(1000));
        }
        assert_eq!(clock.advance(secs(12)), secs(1002));
    }
}
