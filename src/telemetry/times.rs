//! How long requests took, as lines of the ledger's table.
//!
//! In: [`Timing`] of one target, and how long v1 took where that is known. Out: one line for each time that was measured, all in milliseconds.

use std::fmt::Write;

use crate::model::ledger::{Quantiles, Timing};

/// The lines; empty when nothing was measured.
pub fn lines(timing: &Timing, v1: &Quantiles) -> String {
    let of_class = timing.by_class.iter().map(|(class, times)| (format!("  {class}"), times));
    let all = [("send lag".to_owned(), &timing.send_lag), ("service".to_owned(), &timing.service)];
    let last =
        [("latency from due".to_owned(), &timing.latency), ("v1, as captured".to_owned(), v1)];
    let measured = all.into_iter().chain(of_class).chain(last).filter(|(_, times)| times.count > 0);
    let mut out = String::new();
    for (name, times) in measured {
        let Quantiles { p50_us, p90_us, p99_us, p999_us, max_us, .. } = *times;
        if out.is_empty() {
            let _ = writeln!(
                out,
                "\n{:<13}{:<16} {:>9} {:>9} {:>9} {:>9} {:>9}",
                "times in ms", "", "p50", "p90", "p99", "p99.9", "max"
            );
        }
        let _ = write!(out, "{:<13}{name:<16}", "");
        for us in [p50_us, p90_us, p99_us, p999_us, max_us] {
            let _ = write!(out, " {:>9.2}", us as f64 / 1000.0);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_that_was_measured_has_a_line() {
        let times = |us| Quantiles {
            count: 2,
            p50_us: us,
            p90_us: 2 * us,
            p99_us: 3 * us,
            p999_us: 4 * us,
            max_us: 5_000_000,
        };
        let timing = Timing {
            service: times(1234),
            by_class: vec![("2xx", times(1000))],
            latency: times(2000),
            ..Timing::default()
        };
        let expected = "
times in ms                         p50       p90       p99     p99.9       max
             service               1.23      2.47      3.70      4.94   5000.00
               2xx                 1.00      2.00      3.00      4.00   5000.00
             latency from due      2.00      4.00      6.00      8.00   5000.00
             v1, as captured       0.50      1.00      1.50      2.00   5000.00
";
        let v1 = times(500);
        assert_eq!(lines(&timing, &v1), expected, "{}", lines(&timing, &v1));
        assert_eq!(lines(&Timing::default(), &Quantiles::default()), "");
    }
}
