//! The reassembler's own time: it goes with packet time, but never backwards.
//!
//! In: packet times as the capture has them. Out: a time that only grows. A packet a little older than
//! the one before (interfaces and processors are merged in no strict order) does not move it. Where
//! packet time really jumps back (the next file of a series, a clock set back), it goes on from there:
//! else nothing would ever be overdue until the old time is reached again.

use std::time::Duration;

use crate::model::Timestamp;

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
    /// Packets in a row that were too old.
    old: u32,
}

impl Clock {
    /// The time after a packet of time `at`.
    pub fn advance(&mut self, at: Timestamp) -> Timestamp {
        if at >= self.latest {
            self.now = self.now + at.since(self.latest);
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
    fn after_a_real_jump_back_it_goes_on() {
        let mut clock = Clock::default();
        clock.advance(secs(1000));
        for _ in 0..RUN {
            assert_eq!(clock.advance(secs(10)), secs(1000));
        }
        assert_eq!(clock.advance(secs(12)), secs(1002));
    }
}
