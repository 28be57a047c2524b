//! Sizes and durations with units, as clap value parsers.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

/// `64MiB`, `200kB`, `1GiB`; a bare number is bytes.
pub fn size(text: &str) -> Result<u64, String> {
    ByteSize::from_str(text.trim())
        .map(|size| size.as_u64())
        .map_err(|_| format!("`{text}` is not a size; write a number with a unit, such as 64MiB"))
}

/// Longer times cannot be added to a clock everywhere.
const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A TCP port from 1 to 65535.
pub fn port(text: &str) -> Result<u16, String> {
    if text.starts_with("tcp://") {
        return Err(format!(
            "`{text}` is what Kubernetes sets for a Service named shadowtap; set enableServiceLinks: false \
             in the pod, or rename the Service"
        ));
    }
    let port = text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| {
        format!("`{text}` is not a port; write a number from 1 to 65535, such as 8080")
    })
}

/// `5s`, `200ms`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text.trim());
    if parsed.as_ref().is_ok_and(|duration| *duration > MAX_DURATION) {
        return Err(format!("`{text}` is more than a hundred years"));
    }
    parsed.map_err(|err| {
        format!(
            "`{text}` is not a duration ({err}); write a number with a unit, such as 5s or 200ms"
        )
    })
}

/// `1x`, `0.25x`, `10` or `max`: how much faster than captured; `None` is as fast as possible.
pub fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let factor = text.strip_suffix('x').unwrap_or(text).parse::<f64>();
    match factor {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Speed::Factor(factor)),
        _ => {
            Err(format!("`{text}` is not a speed; write a factor such as 1x, 0.5x or 10x, or max"))
        }
    }
}

/// The pace of a replay.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Speed {
    /// So many times as fast as captured.
    Factor(f64),
    /// As fast as v2 answers.
    Max,
}

/// A moment in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Of the clock: since 1970.
    At(Duration),
    /// So long after the first request.
    After(Duration),
}

/// `2026-11-21T13:20:00Z` or `5m`: a time of RFC 3339, or so long after the first request.
pub fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(after) = duration(text) {
        return Ok(Moment::After(after));
    }
    let at = jiff::Timestamp::from_str(text.trim()).ok().and_then(|at| {
        let (seconds, nanos) = (at.as_second(), at.subsec_nanosecond());
        Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?))
    });
    at.map(Moment::At).ok_or_else(|| {
        format!("`{text}` is no time; write 2026-11-21T13:20:00Z, or 5m after the first request")
    })
}

/// Statuses from one to the other.
pub type Statuses = std::ops::RangeInclusive<u16>;

/// `404`, `5xx`, `400-499`.
pub fn statuses(text: &str) -> Result<Statuses, String> {
    let status =
        |text: &str| text.parse::<u16>().ok().filter(|status| (100..1000).contains(status));
    let range = match (text.strip_suffix("xx"), text.split_once('-')) {
        (Some(class), _) => class
            .parse()
            .ok()
            .filter(|class| (1..10).contains(class))
            .map(|class: u16| 100 * class..=100 * class + 99),
        (None, Some((from, to))) => status(from).zip(status(to)).map(|(from, to)| from..=to),
        (None, None) => status(text).map(|status| status..=status),
    };
    let range = range.filter(|range| !range.is_empty());
    range.ok_or_else(|| format!("`{text}` is no status; write 404, 5xx or 400-499"))
}

/// How often files are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounds {
    /// So many times.
    Times(u64),
    /// Until told to stop.
    Forever,
}

/// `3`, or `forever`.
pub fn rounds(text: &str) -> Result<Rounds, String> {
    match text.parse::<u64>() {
        Ok(times) if times > 0 => Ok(Rounds::Times(times)),
        _ if text == "forever" => Ok(Rounds::Forever),
        _ => Err(format!("`{text}` is no number of rounds; write 1 or more, or forever")),
    }
}

/// When a recording's next file begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// With so many bytes.
    Bytes(u64),
    /// So long after it was begun.
    Age(Duration),
}

/// `256MiB`, `1G`, or `10m`, `1h`: a size has a capital or a B in its unit, a time has neither.
pub fn full(text: &str) -> Result<Full, String> {
    let unit = text.trim().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim();
    let is_size = unit.contains(|c: char| c.is_ascii_uppercase()) || unit.ends_with('b');
    let full = match is_size {
        true => size(text).ok().map(Full::Bytes),
        false => duration(text).ok().map(Full::Age),
    };
    full.filter(|full| !matches!(full, Full::Bytes(0) | Full::Age(Duration::ZERO))).ok_or_else(
        || format!("`{text}` is neither a size nor a time; write 256MiB, 10m, or both: 256MiB,10m"),
    )
}

/// How many finished files of a recording are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// So many.
    Files(u64),
    /// So many bytes of them.
    Bytes(u64),
}

/// `20`, or `10GiB`.
pub fn kept(text: &str) -> Result<Kept, String> {
    let kept = match text.trim().parse::<u64>() {
        Ok(files) => Some(Kept::Files(files)),
        Err(_) => size(text).ok().map(Kept::Bytes),
    };
    kept.filter(|kept| !matches!(kept, Kept::Files(0) | Kept::Bytes(0))).ok_or_else(|| {
        format!("`{text}` is neither a number of files nor a size; write 20, or 10GiB")
    })
}

/// Requests a second, from one rate to another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    /// At the start.
    pub from: f64,
    /// At the end; the same for a constant rate.
    pub to: f64,
}

/// `500/s`, `30/m`, `100/s..2000/s`.
pub fn rates(text: &str) -> Result<Rates, String> {
    let one = |text: &str| {
        let (number, seconds) = match text.trim().split_once('/') {
            Some((number, "s")) => (number, 1.0),
            Some((number, "m")) => (number, 60.0),
            Some((number, "h")) => (number, 3600.0),
            _ => return None,
        };
        let rate = number.trim().parse::<f64>().ok()? / seconds;
        (rate.is_finite() && rate > 0.0).then_some(rate)
    };
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let wrong =
        || format!("`{text}` is not a rate; write 500/s, 30/m, or 100/s..2000/s for a ramp");
    Ok(Rates { from: one(from).ok_or_else(wrong)?, to: one(to).ok_or_else(wrong)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_nonsense_is_answered_with_an_example() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("16384"), Ok(16384));
        assert!(size("lots").is_err_and(|e| e.contains("64MiB")));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert!(duration("5").is_err_and(|e| e.contains("200ms")));
        assert_eq!(speed("0.25x"), Ok(Speed::Factor(0.25)));
        assert_eq!(speed("max"), Ok(Speed::Max));
        assert_eq!(moment("5m"), Ok(Moment::After(Duration::from_secs(300))));
        let at = Duration::from_millis(1_000_000_000_500);
        assert_eq!(moment("2001-09-09T01:46:40.5Z"), Ok(Moment::At(at)));
        assert!(moment("noon").is_err_and(|e| e.contains("2026-11-21T13:20:00Z")));
        assert_eq!((rounds("3"), rounds("forever")), (Ok(Rounds::Times(3)), Ok(Rounds::Forever)));
        assert!(rounds("0").is_err_and(|e| e.contains("forever")));
        assert_eq!(rates("500/s"), Ok(Rates { from: 500.0, to: 500.0 }));
        assert_eq!(rates("30/m..2/s"), Ok(Rates { from: 0.5, to: 2.0 }));
        for bad in ["500", "0/s", "1/s..", "-1/s", "1/d", "inf/s"] {
            assert!(rates(bad).is_err_and(|e| e.contains("500/s")), "{bad}");
        }
        assert_eq!((statuses("404"), statuses("5xx")), (Ok(404..=404), Ok(500..=599)));
        assert_eq!(statuses("301-308"), Ok(301..=308));
        for bad in ["", "99", "1000", "xx", "0xx", "10xx", "500-400", "4x", "-1"] {
            assert!(statuses(bad).is_err_and(|e| e.contains("5xx")), "{bad}");
        }
        assert_eq!(full("256MiB"), Ok(Full::Bytes(256 << 20)));
        assert_eq!(
            (full("1G"), full("5kb")),
            (Ok(Full::Bytes(1_000_000_000)), Ok(Full::Bytes(5000)))
        );
        assert_eq!(full("10m"), Ok(Full::Age(Duration::from_secs(600))));
        assert_eq!(kept("20"), Ok(Kept::Files(20)));
        assert_eq!(kept("10GiB"), Ok(Kept::Bytes(10 << 30)));
        for bad in ["", "0", "256", "0MiB", "0s", "10 parsecs", "-1m"] {
            assert!(full(bad).is_err_and(|e| e.contains("256MiB,10m")), "{bad}");
        }
        for bad in ["", "0", "-1", "some", "0B"] {
            assert!(kept(bad).is_err_and(|e| e.contains("10GiB")), "{bad}");
        }
        for bad in ["0", "-1x", "fast", "nan", "inf"] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }
}
