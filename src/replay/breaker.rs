//! The breaker: a v2 to which no connection can be made is left alone for a while, and probed.
//!
//! In: how requests ended. Out: whether the next one may go. Guaranteed: while v2 is taken for dead at most
//! one request goes at a time, as a probe, after pauses that double from [`PAUSE`] to [`LONGEST`]; the first
//! that is not refused ends it. Pure: time is given.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::ledger::Failure;

/// The first pause.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);

/// What is thought of v2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Alive; so many connections in a row could not be made.
    Alive(u32),
    /// Dead: nothing goes until then.
    Dead { until: Instant, pause: Duration },
    /// One request is under way to find out.
    Probing { pause: Duration },
}

/// See the module's description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breaker {
    after: Option<u32>,
    state: State,
}

impl Breaker {
    /// Breaks after so many failures in a row; `None` for never.
    pub fn new(after: Option<u32>) -> Self {
        Self { after, state: State::Alive(0) }
    }

    /// Whether a request may go now.
    pub fn lets_pass(&mut self, now: Instant) -> bool {
        match self.state {
            State::Alive(_) => true,
            State::Dead { until, pause } if now >= until => {
                self.state = State::Probing { pause };
                true
            }
            State::Dead { .. } | State::Probing { .. } => false,
        }
    }

    /// How a request ended: what the failure was, if it was one.
    pub fn ended(&mut self, failure: Option<Failure>, now: Instant) {
        let Some(after) = self.after else { return };
        let is_dead = matches!(
            failure,
            Some(Failure::Resolve | Failure::Refused | Failure::Connect | Failure::Tls)
        );
        self.state = match self.state {
            State::Alive(n) if is_dead && n + 1 >= after => {
                tracing::warn!(
                    "v2 does not take connections: what is due meanwhile is shed, as `breaker`"
                );
                State::Dead { until: now + PAUSE, pause: PAUSE }
            }
            State::Alive(n) if is_dead => State::Alive(n + 1),
            State::Probing { pause } if is_dead => {
                let pause = (pause * 2).min(LONGEST);
                State::Dead { until: now + pause, pause }
            }
            // Those that were under way when it broke say nothing new.
            dead @ State::Dead { .. } if is_dead => dead,
            State::Alive(_) => State::Alive(0),
            State::Dead { .. } | State::Probing { .. } => {
                tracing::info!("v2 takes connections again");
                State::Alive(0)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_v2_is_left_alone_probed_and_trusted_again() {
        let (start, refused) = (Instant::now(), Some(Failure::Refused));
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(Some(3));
        breaker.ended(refused, start);
        breaker.ended(refused, start);
        breaker.ended(Some(Failure::Timeout), start);
        assert!(breaker.lets_pass(start), "not in a row");
        (0..5).for_each(|_| breaker.ended(refused, start));
        assert!(!breaker.lets_pass(start));
        assert!(breaker.lets_pass(after(1)) && !breaker.lets_pass(after(1)), "one probe");
        breaker.ended(refused, after(1));
        assert!(!breaker.lets_pass(after(2)), "the pause has doubled");
        assert!(breaker.lets_pass(after(3)));
        breaker.ended(None, after(3));
        assert!(breaker.lets_pass(after(3)) && breaker.lets_pass(after(3)));
    }

    #[test]
    fn pauses_have_a_limit_and_without_a_number_nothing_breaks() {
        let (mut now, refused) = (Instant::now(), Some(Failure::Connect));
        let mut breaker = Breaker::new(Some(1));
        for _ in 0..20 {
            breaker.ended(refused, now);
            now += LONGEST;
            assert!(breaker.lets_pass(now));
        }
        let mut never = Breaker::new(None);
        (0..1000).for_each(|_| never.ended(refused, now));
        assert!(never.lets_pass(now));
    }
}
