//! How long requests took: HDR histograms of send lag, service time and latency from the due time.
//!
//! In: the moments of each request. Out: [`Timing`], a few quantiles of each. Guaranteed: constant memory.

use tokio::time::Instant;

use crate::model::ledger::{StatusClass, Timing};
use crate::model::{Cause, Times};

/// See the module's description.
pub(super) struct Stopwatch {
    lag: Times,
    service: Times,
    latency: Times,
    by_class: Vec<(StatusClass, Times)>,
}

impl Stopwatch {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self {
            lag: Times::new(),
            service: Times::new(),
            latency: Times::new(),
            by_class: Vec::new(),
        }
    }

    /// A request was started.
    pub fn started(&mut self, due: Option<Instant>, at: Instant) {
        if let Some(due) = due {
            self.lag.add(at.saturating_duration_since(due));
        }
    }

    /// A request was answered to the last byte.
    pub fn answered(
        &mut self,
        class: StatusClass,
        due: Option<Instant>,
        start: Instant,
        end: Instant,
    ) {
        let service = end.saturating_duration_since(start);
        self.service.add(service);
        if let Some(due) = due {
            self.latency.add(end.saturating_duration_since(due));
        }
        match self.by_class.iter_mut().find(|(other, _)| *other == class) {
            Some((_, times)) => times.add(service),
            None => {
                let mut times = Times::new();
                times.add(service);
                self.by_class.push((class, times));
            }
        }
    }

    /// What was measured so far.
    pub fn timing(&self) -> Timing {
        let mut by_class: Vec<_> =
            self.by_class.iter().map(|(class, times)| (class.name(), times.quantiles())).collect();
        by_class.sort_unstable_by_key(|(name, _)| *name);
        Timing {
            send_lag: self.lag.quantiles(),
            service: self.service.quantiles(),
            latency: self.latency.quantiles(),
            by_class,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn latency_counts_from_the_due_time_and_service_from_the_start() {
        let due = Instant::now();
        let after = |ms| due + Duration::from_millis(ms);
        let mut watch = Stopwatch::new();
        for ms in 1..=100 {
            watch.started(Some(due), after(ms));
            watch.answered(StatusClass::Success, Some(due), after(ms), after(ms + 10));
        }
        watch.started(None, after(0));
        watch.answered(StatusClass::ServerError, None, after(0), after(30));
        let timing = watch.timing();
        let near = |us: u64, ms: u64| us.abs_diff(ms * 1000) <= ms;
        assert!(
            near(timing.send_lag.p50_us, 50) && near(timing.send_lag.max_us, 100),
            "{timing:?}"
        );
        assert!(near(timing.service.p50_us, 10) && near(timing.service.max_us, 30), "{timing:?}");
        assert!(near(timing.latency.p99_us, 109) && timing.latency.count == 100, "{timing:?}");
        let classes: Vec<_> = timing.by_class.iter().map(|(n, q)| (*n, q.count)).collect();
        assert_eq!(classes, [("2xx", 100), ("5xx", 1)]);
    }
}
