//! The ledger in one line, printed while a run goes on; and in a few words, beside a bar.
//!
//! In come the snapshot of now and the one of the last line, out comes a line without its end: what
//! was captured and how fast, what became of it, what was lost.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::ledger::{Refused, Snapshot};

use super::ledger_table::loss;
use super::numbers::{bytes, count, per_second, rate};

/// How often the line is printed.
pub const EVERY: Duration = Duration::from_secs(10);

/// The line for `now`, `elapsed` after the start; the rate is that since `before`.
pub fn line(elapsed: Duration, now: &Snapshot, before: Option<(Duration, &Snapshot)>) -> String {
    let (since, earlier) = match before {
        Some((at, snapshot)) => (elapsed.saturating_sub(at), snapshot.requests.captured),
        None => (elapsed, 0),
    };
    let requests = &now.requests;
    let fresh = requests.captured.saturating_sub(earlier);
    let mut out = format!(
        "{} captured {} ({}), queued {}",
        clock(elapsed),
        count(requests.captured),
        per_second(rate(fresh, since)),
        count(requests.queued)
    );
    // Writing to a string does not fail.
    let held = requests.refused.get(Refused::MethodHeldBack);
    if held > 0 {
        let _ = write!(out, ", held back {}", count(held));
    }
    let refused = requests.refused.total() - held;
    if refused > 0 {
        let _ = write!(out, ", refused {}", count(refused));
    }
    for target in &now.targets {
        let waiting = target.in_flight + target.in_transit;
        let _ = write!(
            out,
            "; {}: answered {}, failed {}, waiting {}",
            target.target,
            count(target.answered.total()),
            count(target.failed.total()),
            count(waiting)
        );
        if target.shed.total() > 0 {
            let _ = write!(out, ", shed {}", count(target.shed.total()));
        }
    }
    if let Some(recording) = &now.recording {
        let written = recording.requests + recording.responses;
        let _ = write!(out, "; recorded {} ({})", count(written), bytes(recording.bytes));
        if recording.failed > 0 {
            let _ = write!(out, ", not written {}", count(recording.failed));
        }
    }
    let _ = write!(out, "; {}", loss(now));
    out
}

/// The same in a few words: how many of the requests are over, how fast, how late, what went wrong.
pub fn words(elapsed: Duration, now: &Snapshot, before: Option<(Duration, &Snapshot)>) -> String {
    let (since, earlier) = match before {
        Some((at, snapshot)) => (elapsed.saturating_sub(at), over(snapshot)),
        None => (elapsed, 0),
    };
    let done = over(now);
    let mut out =
        format!("{} done ({})", count(done), per_second(rate(done.saturating_sub(earlier), since)));
    // Writing to a string does not fail.
    let lag = now.targets.iter().map(|target| target.timing.send_lag.p99_us).max().unwrap_or(0);
    if lag > 0 {
        let _ = write!(out, ", lag p99 {:.1} ms", lag as f64 / 1000.0);
    }
    let failed: u64 = now.targets.iter().map(|target| target.failed.total()).sum();
    let shed: u64 = now.targets.iter().map(|target| target.shed.total()).sum();
    for (n, what) in [(failed, "failed"), (shed, "shed")] {
        if n > 0 {
            let _ = write!(out, ", {} {what}", count(n));
        }
    }
    let _ = write!(out, "; {}", loss(now));
    out
}

/// Requests, or messages of a recording, that nothing more happens to. With several targets the slowest counts.
pub fn over(now: &Snapshot) -> u64 {
    let copies = now.targets.iter().map(|target| target.taken() - target.in_flight).min();
    let written = now.recording.as_ref().map(|recording| recording.requests + recording.responses);
    copies.or(written).unwrap_or(now.requests.captured)
}

/// `01:02:03`.
fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ledger::{RecordCounts, StatusClass, TargetCounts};

    #[test]
    fn one_line_tells_rate_fate_and_loss() {
        let mut now = Snapshot::default();
        now.requests.captured = 12_345;
        now.requests.queued = 12_000;
        now.requests.refused.add(Refused::MethodHeldBack, 340);
        now.requests.refused.add(Refused::Marker, 5);
        let mut target = TargetCounts { target: "http://v2".into(), ..Default::default() };
        target.answered.add(StatusClass::Success, 11_990);
        target.in_flight = 4;
        now.targets.push(target);
        now.settle();
        let mut before = Snapshot::default();
        before.requests.captured = 2345;
        let at = Duration::from_secs;
        assert_eq!(
            line(at(3670), &now, Some((at(3660), &before))),
            "01:01:10 captured 12,345 (1,000/s), queued 12,000, held back 340, refused 5; \
             http://v2: answered 11,990, failed 0, waiting 10; 0 lost"
        );
        let lag = crate::model::ledger::Quantiles { p99_us: 1250, ..Default::default() };
        now.targets[0].timing.send_lag = lag;
        let mut earlier = before.clone();
        let done = TargetCounts { in_flight: 7, ..Default::default() };
        earlier.targets.push(done);
        assert_eq!(
            words(at(3670), &now, Some((at(3660), &earlier))),
            "11,990 done (1,199/s), lag p99 1.2 ms; 0 lost"
        );
        now.targets.clear();
        now.recording = Some(RecordCounts { requests: 7, bytes: 2048, ..Default::default() });
        now.streams.unseen = 1;
        assert_eq!(
            line(at(10), &now, None),
            "00:00:10 captured 12,345 (1,235/s), queued 12,000, held back 340, refused 5; \
             recorded 7 (2.0 KiB); at least 1 byte of 1 unseen"
        );
    }
}
