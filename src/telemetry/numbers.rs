//! Numbers for people: thousands separators, sizes, durations, plurals.
//!
//! Pure functions from a number to text. JSON never goes through here.

use std::time::Duration;

/// With commas between thousands: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// With its noun: `1 request`, `2 requests`.
pub fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(n))
}

/// A size in binary units: `17 B`, `1.5 KiB`, `64.0 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // What would be rounded to 1024.0 belongs to the next unit.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A length of time: `350 ms`, `41.2 s`, `1 h 02 min 03 s`.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..60 => format!("{}.{} s", seconds, length.subsec_millis() / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min {:02} s", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// Events in a length of time, per second; 0 when no time passed.
pub fn rate(n: u64, length: Duration) -> f64 {
    if length.is_zero() { 0.0 } else { n as f64 / length.as_secs_f64() }
}

/// A rate for people: one decimal below 100, none above.
pub fn per_second(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}/s") } else { format!("{}/s", count(rate.round() as u64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let shown = [0, 7, 999, 1000, 12_345, 1_234_567, u64::MAX].map(count);
        let expected =
            ["0", "7", "999", "1,000", "12,345", "1,234,567", "18,446,744,073,709,551,615"];
        assert_eq!(shown, expected);
        assert_eq!([counted(1, "request"), counted(2, "request")], ["1 request", "2 requests"]);
    }

    #[test]
    fn sizes_change_their_unit_in_time() {
        let shown = [0, 1023, 1024, 1536, 1_048_575, 1 << 20, 64 << 20, 5 << 40].map(bytes);
        let expected =
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 MiB", "64.0 MiB", "5.0 TiB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn durations_and_rates_keep_what_matters() {
        let shown = [350, 41_290, 83_000, 3_723_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(shown, ["350 ms", "41.2 s", "1 min 23 s", "1 h 02 min 03 s"]);
        assert_eq!(per_second(rate(5, Duration::from_secs(2))), "2.5/s");
        assert_eq!(per_second(rate(12_345, Duration::from_secs(1))), "12,345/s");
        assert_eq!(rate(5, Duration::ZERO), 0.0);
    }
}
