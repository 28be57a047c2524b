//! The breaker: a v2 to which no connection can be made is left alone for a while, and probed.
//!
//! In: how requests ended. Out: whether the next one may go. Guaranteed: while v2 is taken for dead at most
//! one request goes at a time, as a probe, after pauses that double from [`PAUSE`] to [`LONGEST`]; the first
//! probe that is not refused ends it. What was begun before says nothing of v2 as it is now. Pure: time is
//! given.

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

/// Whether a request may go, and as what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pass {
    /// Like any other.
    Go,
    /// To find out whether v2 is alive.
    Probe,
    /// It may not.
    No,
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
    pub fn lets_pass(&mut self, now: Instant) -> Pass {
        match self.state {
            State::Alive(_) => Pass::Go,
            State::Dead { until, pause } if now >= until => {
                self.state = State::Probing { pause };
                Pass::Probe
            }
            State::Dead { .. } | State::Probing { .. } => Pass::No,
        }
    }

    /// How a request ended: what the failure was, if it was one.
    pub fn ended(&mut self, failure: Option<Failure>, is_probe: bool, now: Instant) {
        let Some(after) = self.after else { return };
        let is_probing = matches!(self.state, State::Probing { .. });
        if is_probe != is_probing && !matches!(self.state, State::Alive(_)) {
            return;
        }
        let is_dead = matches!(
            failure,
            Some(Failure::Resolve | Failure::Refused | Failure::Connect | Failure::Tls)
        );
        self.state = match self.state {
            // It never came to connecting: the next request is the probe.
            State::Probing { pause } if failure == Some(Failure::Unsendable) => {
                State::Dead { until: now, pause }
            }
            alive if failure == Some(Failure::Unsendable) => alive,
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
            State::Probing { .. } => {
                tracing::info!("v2 takes connections again");
                State::Alive(0)
            }
            // Those that were under way when it broke say nothing.
            dead @ State::Dead { .. } => dead,
            State::Alive(_) => State::Alive(0),
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
        breaker.ended(refused, false, start);
        breaker.ended(refused, false, start);
        breaker.ended(Some(Failure::Timeout), false, start);
        assert_eq!(breaker.lets_pass(start), Pass::Go, "not in a row");
        (0..5).for_each(|_| breaker.ended(refused, false, start));
        assert_eq!(breaker.lets_pass(start), Pass::No);
        let one = (breaker.lets_pass(after(1)), breaker.lets_pass(after(1)));
        assert_eq!(one, (Pass::Probe, Pass::No));
        breaker.ended(refused, true, after(1));
        assert_eq!(breaker.lets_pass(after(2)), Pass::No, "the pause has doubled");
        assert_eq!(breaker.lets_pass(after(3)), Pass::Probe);
        breaker.ended(None, true, after(3));
        assert_eq!(
            (breaker.lets_pass(after(3)), breaker.lets_pass(after(3))),
            (Pass::Go, Pass::Go)
        );
    }

    #[test]
    fn only_the_probe_decides() {
        let (start, refused) = (Instant::now(), Some(Failure::Refused));
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(Some(1));
        breaker.ended(refused, false, start);
        breaker.ended(None, false, start);
        assert_eq!(breaker.lets_pass(start), Pass::No, "that one had its connection before");
        assert_eq!(breaker.lets_pass(after(1)), Pass::Probe);
        breaker.ended(None, false, after(1));
        breaker.ended(refused, false, after(1));
        assert_eq!(breaker.lets_pass(after(30)), Pass::No, "the probe is still under way");
        breaker.ended(Some(Failure::Unsendable), true, after(30));
        assert_eq!(breaker.lets_pass(after(30)), Pass::Probe, "the last one found nothing out");
        breaker.ended(refused, true, after(30));
        assert_eq!(breaker.lets_pass(after(31)), Pass::No);
    }

    #[test]
    fn pauses_have_a_limit_and_without_a_number_nothing_breaks() {
        let (mut now, refused) = (Instant::now(), Some(Failure::Connect));
        let mut breaker = Breaker::new(Some(1));
        breaker.ended(refused, false, now);
        for _ in 0..20 {
            now += LONGEST;
            assert_eq!(breaker.lets_pass(now), Pass::Probe);
            breaker.ended(refused, true, now);
        }
        let mut never = Breaker::new(None);
        (0..1000).for_each(|_| never.ended(refused, false, now));
        assert_eq!(never.lets_pass(now), Pass::Go);
    }
}
