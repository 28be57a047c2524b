//! How a mirror ends: signals, limits, time; with and without traffic; and what it says on its way.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::support::load::Load;
use crate::support::netns::Pod;
use crate::support::request::exact;
use crate::support::shadowtap::{Run, Shadowtap};
use crate::support::stage::{Stage, assert_all_answered, capturing};
use crate::support::v2::Behaviour;

/// The bound for an interface without traffic.
const PROMPT: Duration = Duration::from_millis(100);

/// From the signal to the end of the process, and its exit code.
#[track_caller]
fn end_by(shadowtap: Shadowtap, signal: Signal) -> (Duration, Option<i32>) {
    let start = Instant::now();
    shadowtap.process.signal(signal);
    let finished = shadowtap.finish(PATIENCE);
    let took = start.elapsed();
    finished.ledger().assert_balanced();
    // Now and then the kernel tells its multicast groups (IPv6 with an extension header).
    assert_eq!(finished.ledger().count("/packets/decoded"), 0, "it was not quiet");
    (took, finished.code())
}

#[test]
fn without_traffic_a_signal_ends_it_within_100_ms() {
    let pod = Pod::new();
    let start = |interface| {
        let run = Run::new(["mirror", "-i", interface, "-p", "80", "--to", "http://127.0.0.1:9"]);
        capturing(run.args(["--json"]).place(&pod.pod.place).start())
    };
    for interface in ["lo", "any"] {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
            // The best of three: what is measured is the program, not the machine's other work.
            let tries: Vec<_> = (0..3).map(|_| end_by(start(interface), signal)).collect();
            assert!(tries.iter().all(|(_, got)| *got == Some(code)), "{signal:?}: {tries:?}");
            let best = tries.iter().map(|(took, _)| *took).min().expect("three tries");
            assert!(best < PROMPT, "{signal:?} on {interface}: {tries:?}");
        }
    }
}

#[test]
fn a_signal_ends_it_after_what_is_queued_was_sent() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::Slow(Duration::from_millis(20)));
        let run = stage.mirror().args(["--methods", "all", "--concurrency", "4"]);
        let mirror = capturing(run.args(["--drain", "30s"]).start());
        let sent = Load { count: 200, rate: 2000, ..stage.load() }.run().expect_no_errors();
        assert!(stage.v2.requests().len() < 200, "nothing is left to drain");
        mirror.process.signal(signal);
        let ledger = mirror.finish(PATIENCE).expect_code(code).ledger();
        exact(&sent.requests, &stage.v2.requests());
        assert_all_answered(&ledger, 200);
    }
}

#[test]
fn what_cannot_be_sent_in_time_is_counted_by_cause() {
    let stage = Stage::loopback();
    stage.v2.behave(Behaviour::Hang(Duration::from_secs(3600)));
    let run = stage.mirror().args(["--methods", "all", "--concurrency", "4", "--drain", "200ms"]);
    let mirror = capturing(run.start());
    Load { count: 100, ..stage.load() }.run().expect_no_errors();
    stage.v2.wait_for(4, PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/queued"), 100);
    assert_eq!(ledger.count("/targets/0/shed/cut_off"), 4);
    assert_eq!(ledger.count("/targets/0/shed/drain_deadline"), 96);
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_ledger_is_still_printed() {
    let stage = Stage::loopback();
    stage.v2.behave(Behaviour::Hang(Duration::from_secs(3600)));
    let run = stage.mirror().args(["--methods", "all", "--drain", "1h"]);
    let mirror = capturing(run.start());
    Load { count: 20, ..stage.load() }.run().expect_no_errors();
    stage.v2.wait_for(16, PATIENCE);
    mirror.process.signal(Signal::INT);
    mirror.wait_stderr("a second signal ends at once", PATIENCE);
    let start = Instant::now();
    mirror.process.signal(Signal::INT);
    let finished = mirror.finish(PATIENCE).expect_code(130);
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
    let ledger = finished.ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/queued"), 20);
    assert_eq!(ledger.total("/targets/0/shed"), 20);
}

#[test]
fn a_duration_ends_it_without_a_packet() {
    let pod = Pod::new();
    let run = Run::new(["mirror", "-i", "lo", "-p", "80", "--to", "http://127.0.0.1:9", "--json"]);
    let finished = run.args(["--duration", "300ms"]).place(&pod.pod.place).finish(PATIENCE);
    let took = finished.took;
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    let ledger = finished.expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/packets/decoded"), 0);
}

#[test]
fn a_limit_is_exact_and_ends_it() {
    let stage = Stage::loopback();
    let run = stage.mirror().args(["--methods", "all", "--limit", "10"]);
    let mirror = capturing(run.start());
    // One connection: which requests are the first ten is certain.
    let load = Load { count: 100, connections: 1, ..stage.load() };
    let sent = load.run().expect_no_errors();
    let ledger = mirror.finish(PATIENCE).expect_code(0).ledger();
    exact(&sent.requests[..10], &stage.v2.requests());
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/captured"), 10);
    assert_eq!(ledger.count("/targets/0/answered/2xx"), 10);
}

#[test]
fn every_ten_seconds_it_says_how_it_goes() {
    let stage = Stage::loopback();
    let mirror = capturing(stage.mirror().args(["--methods", "all"]).start());
    Load { count: 50, ..stage.load() }.run().expect_no_errors();
    mirror.wait_stderr("00:00:10 captured 50 (", PATIENCE);
    mirror.wait_stderr("answered 50, failed 0, waiting 0; 0 lost", PATIENCE);
    mirror.terminate(PATIENCE).expect_code(0);
}

/// In a pod whose network has no name server: v2's name cannot be resolved, now or later.
#[test]
fn a_v2_whose_name_does_not_resolve_is_no_reason_not_to_start() {
    let stage = Stage::veth();
    let run = stage.mirror_to("http://v2.invalid:8080").args(["--methods", "all"]);
    let mirror = capturing(run.start());
    Load { count: 50, ..stage.load() }.run().expect_no_errors();
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/queued"), 50);
    assert_eq!(ledger.count("/targets/0/failed/resolve"), 50, "{:#}", ledger.0);
}
