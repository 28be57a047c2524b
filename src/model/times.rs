//! Many durations in constant memory: an HDR histogram of microseconds, with three significant digits.
//!
//! In: durations. Out: a few quantiles. What lasts longer than [`LONGEST`] counts as that long.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::ledger::Quantiles;

/// The longest time that is told from longer ones: 12 days.
const LONGEST: Duration = Duration::from_micros(1 << 40);

/// See the module's description.
#[derive(Debug)]
pub struct Times(Histogram<u32>);

impl Times {
    /// None yet.
    pub fn new() -> Self {
        // Fails only for bounds that make no sense.
        let bounded = Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3);
        Self(bounded.unwrap_or_else(|_| unreachable!("1 us to 12 days with 3 digits")))
    }

    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What they are so far.
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Quantiles {
            count: self.0.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.0.max(),
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_for_ever_is_counted_as_the_longest() {
        let mut times = Times::new();
        times.add(LONGEST * 3);
        assert!(times.quantiles().max_us >= LONGEST.as_micros() as u64);
    }
}
