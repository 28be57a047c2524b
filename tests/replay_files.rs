//! `replay` of capture files: the same exact set every time, and it ends by itself.
//!
//! Files come from tcpdump beside live traffic, on an interface and on `any` (Linux cooked v2), and
//! from `fixtures/`. Truth is what client and server know.

use std::path::Path;
use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::netns::Place;
use crate::support::request::{difference, exact};
use crate::support::shadowtap::Run;
use crate::support::stage::{LOCALHOST, assert_all_answered, patience_for};
use crate::support::v2::V2;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A pipe that stays open is live traffic: what is whole is sent at once, and a signal ends the run
/// although no further byte ever comes.
#[test]
fn a_pipe_is_replayed_as_it_comes_and_does_not_hold_up_a_stop() {
    use rustix::process::Signal;
    use std::io::Write;

    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let run = Run::new(["replay", text(&pipe), "--speed", "max", "--to", &v2.url(), "--json"]);
        let replay = run.args(["--methods", "all", "--drain", "200ms"]).start();
        let mut writer = std::fs::File::options().write(true).open(&pipe).expect("the pipe");
        let capture = std::fs::read(fixtures::path("keepalive.pcap")).expect("the fixture");
        writer.write_all(&capture).expect("it is read");
        let expected = fixtures::requests("keepalive");
        v2.wait_for(expected.len(), PATIENCE);
        assert_has_no_rights(&replay);
        replay.process.signal(signal);
        let done = replay.finish(PATIENCE).expect_code(code);
        exact(&expected, &v2.requests());
        done.ledger().assert_balanced();
        drop(writer);
    }
}

/// Reading a file that may be hostile needs no right.
#[track_caller]
fn assert_has_no_rights(shadowtap: &crate::support::shadowtap::Shadowtap) {
    let pid = shadowtap.process.pid().as_raw_nonzero();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs") {
        let path = task.expect("a thread").path().join("status");
        let status = std::fs::read_to_string(path).expect("a thread's status");
        for set in ["CapPrm:", "CapEff:"] {
            let line = status.lines().find(|line| line.starts_with(set)).expect(set);
            assert!(line.ends_with("\t0000000000000000"), "{line}");
        }
    }
}

#[test]
fn every_fixture_is_replayed_exactly() {
    let mut files: Vec<_> =
        fixtures::names().into_iter().map(|name| (format!("{name}.pcap"), name)).collect();
    files.push(("keepalive.pcapng".into(), "keepalive".into()));
    for (file, name) in files {
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let path = fixtures::path(&file);
        let run = Run::new(["replay", text(&path), "--to", &v2.url(), "--json"]);
        let run = run.args(["--methods", "all", "--speed", "max"]);
        let ledger = run.finish(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        let whole = fixtures::requests(&name);
        if let Some(difference) = difference(&whole, &v2.requests()) {
            panic!("{file}: {difference}\n{:#}", ledger.0);
        }
        assert_eq!(ledger.count("/requests/queued"), whole.len() as u64, "{file}");
    }
}

#[test]
fn a_loop_sends_the_file_again_and_again() {
    for (file, name) in [("keepalive.pcap", "keepalive"), ("midstream.pcap", "midstream")] {
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let path = fixtures::path(file);
        let run = Run::new(["replay", text(&path), "--to", &v2.url(), "--loop", "3", "--json"]);
        let run = run.args(["--speed", "max", "--methods", "all"]);
        let ledger = run.finish(PATIENCE).expect_code(0).ledger();
        let once = fixtures::requests(name);
        exact(&[once.clone(), once.clone(), once.clone()].concat(), &v2.requests());
        assert_all_answered(&ledger, 3 * once.len());
    }
    let run = Run::new(["replay", "-", "--to", "http://127.0.0.1:1", "--loop", "2"]);
    let refused = run.finish(PATIENCE).expect_code(2);
    assert!(refused.stderr.contains("standard input can be read only once"), "{refused:?}");
}

/// A file's requests go on in captured order although they wait for the responses in it.
#[test]
fn a_rule_on_the_status_sends_what_v1_answered_so_at_the_same_times() {
    for name in ["keepalive", "wrk", "pipelined", "head-304", "expect-continue", "chunked"] {
        let path = fixtures::path(&format!("{name}.pcap"));
        let sent = |only: &[&str]| {
            let v2 = V2::start(&Place::Host, LOCALHOST);
            let run = Run::new(["replay", text(&path), "--to", &v2.url(), "--json"]);
            let run = run.args(["--methods", "all", "--speed", "max", "--concurrency", "1"]);
            let ledger = run.args(only.iter().copied()).finish(PATIENCE).expect_code(0).ledger();
            ledger.assert_balanced();
            (v2.requests(), ledger)
        };
        let (all, plain) = sent(&[]);
        let (answered, ledger) = sent(&["--only", "status in 100..999"]);
        assert_eq!(ledger.count("/requests/captured"), plain.count("/requests/captured"), "{name}");
        exact(&all, &answered);
        let v1_times = |ledger: &crate::support::ledger::Ledger| ledger.0["v1"]["count"].clone();
        assert_eq!(v1_times(&ledger), v1_times(&plain), "{name}");
        let (other, ledger) = sent(&["--except", "status in 100..999"]);
        assert_eq!(
            (other.len(), ledger.total("/requests/refused/filtered")),
            (0, all.len() as u64)
        );
    }
}

#[test]
fn what_is_out_of_the_range_of_time_is_counted_and_not_sent() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let file = fixtures::path("wrk.pcap");
    let whole = fixtures::requests("wrk").len() as u64;
    let sent = |range: &[&str]| {
        let run = Run::new(["replay", text(&file), "--to", &v2.url(), "--speed", "max", "--json"]);
        let run = run.args(["--methods", "all"]);
        let ledger = run.args(range.iter().copied()).finish(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        let out = ledger.count("/requests/refused/out_of_range");
        assert_eq!(ledger.count("/requests/queued") + out, whole);
        ledger.count("/requests/queued")
    };
    assert_eq!(sent(&["--from", "2001-01-01T00:00:00Z"]), whole);
    assert_eq!(sent(&["--until", "2001-01-01T00:00:00Z"]), 0);
    let first = sent(&["--until", "1ms"]);
    assert!(0 < first && first < whole, "{first} of {whole}");
    assert_eq!(sent(&["--from", "1ms"]) + first, whole, "nothing lies on the border");
}

#[test]
fn a_loop_over_a_range_sends_that_part_each_time_and_ends_where_there_is_none() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let file = fixtures::path("wrk.pcap");
    let whole = fixtures::requests("wrk").len() as u64;
    let replay = |args: &[&str]| {
        let run = Run::new(["replay", text(&file), "--to", &v2.url(), "--json"]);
        run.args(["--speed", "max"]).args(args.iter().copied()).finish(PATIENCE)
    };
    let args = ["--until", "1ms", "--loop", "3", "--methods", "all"];
    let ledger = replay(&args).expect_code(0).ledger();
    ledger.assert_balanced();
    let sent = ledger.count("/targets/0/answered/2xx");
    assert!(0 < sent && sent.is_multiple_of(3) && sent < 3 * whole, "{sent}");
    assert_eq!(ledger.count("/requests/refused/out_of_range"), 3 * whole - sent);
    for nothing in [["--until", "2001-01-01T00:00:00Z"], ["--methods", "DELETE"]] {
        let refused = replay(&[&["--loop", "forever"][..], &nothing].concat()).expect_code(2);
        assert!(refused.stderr.contains("--loop forever would not end"), "{}", refused.stderr);
        assert_eq!(refused.ledger().count("/requests/captured"), whole, "{nothing:?}");
    }
}

#[test]
fn each_target_gets_a_copy_or_its_share_of_the_connections() {
    let (all, some) = (V2::start(&Place::Host, LOCALHOST), V2::start(&Place::Host, LOCALHOST));
    let file = fixtures::path("wrk.pcap");
    let share = format!("{}@50%", some.url());
    let run = Run::new(["replay", text(&file), "--to", &all.url(), "--to", &share, "--json"]);
    let run = run.args(["--speed", "max", "--methods", "all"]);
    let ledger = run.finish(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    let whole = fixtures::requests("wrk");
    exact(&whole, &all.requests());
    let out = ledger.count("/targets/1/shed/sampled_out");
    assert_eq!(some.requests().len() as u64 + out, whole.len() as u64);
    assert!(out > 0 && !some.requests().is_empty(), "{out} sampled out");
    for wrong in ["http://a@0%", "http://a@200%", "http://a@x%"] {
        let run = Run::new(["replay", text(&file), "--to", wrong]);
        let refused = run.finish(PATIENCE).expect_code(2);
        assert!(refused.stderr.contains("such as @25%"), "{wrong}: {refused:?}");
    }
}

#[test]
fn a_limit_is_exact() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let file = fixtures::path("keepalive.pcap");
    let run = Run::new(["replay", text(&file), "--to", &v2.url(), "--limit", "3", "--json"]);
    let ledger = run.args(["--speed", "max"]).finish(PATIENCE).expect_code(0).ledger();
    exact(&fixtures::requests("keepalive")[..3], &v2.requests());
    assert_all_answered(&ledger, 3);
}

/// Needs root: captures live.
mod privileged {
    use super::*;
    use crate::support::alone;
    use crate::support::load::Load;
    use crate::support::request::Request;
    use crate::support::stage::{Stage, assert_logged, report};
    use crate::support::tcpdump::{Capture, Tcpdump};

    /// Link types as they stand in a file.
    const ETHERNET: u32 = 1;
    const COOKED_V2: u32 = 276;

    /// Traffic at v1 while tcpdump writes; the capture, and what was asked.
    #[track_caller]
    fn record(stage: &Stage, interface: &str) -> (Capture, Vec<Request>) {
        let filter = format!("tcp port {}", stage.v1.port());
        let reachable = if interface == "any" { LOCALHOST } else { stage.neighbour };
        let tcpdump = Tcpdump::start(&stage.here, interface, &filter, reachable);
        let load = stage.sized_load(1_000, 1_000);
        let sent = load.run().expect_no_errors();
        assert_logged(&sent, &stage.v1.log_of(load.count, PATIENCE));
        (tcpdump.stop(), sent.requests)
    }

    /// Replays it five times, each at a v2 of its own.
    #[track_caller]
    fn five_of_five(stage: &mut Stage, interface: &str, link_type: u32) {
        let (capture, sent) = record(stage, interface);
        let header = std::fs::read(&capture.file).expect("the capture");
        assert_eq!(header[20..24], link_type.to_le_bytes(), "not the link type meant");
        let mut took = Vec::new();
        for _ in 0..5 {
            stage.v2 = V2::start(&stage.here, LOCALHOST);
            let finished = stage.replay(text(&capture.file)).finish(patience_for(sent.len()));
            took.push(finished.took);
            let ledger = finished.expect_code(0).ledger();
            exact(&sent, &stage.v2.requests());
            assert_all_answered(&ledger, sent.len());
        }
        let (count, lost) = (sent.len(), "none missing, extra or twice");
        report(&format!("tcpdump -i {interface}: {count} requests, {lost}, 5 of 5, in {took:.1?}"));
    }

    #[test]
    fn show_a_capture_of_loopback_gives_the_exact_set_five_times_of_five() {
        let _alone = alone();
        five_of_five(&mut Stage::loopback(), "lo", ETHERNET);
    }

    #[test]
    fn show_a_capture_of_veth_gives_the_exact_set_five_times_of_five() {
        let _alone = alone();
        five_of_five(&mut Stage::veth(), "eth0", ETHERNET);
    }

    #[test]
    fn show_a_capture_of_any_gives_the_exact_set_five_times_of_five() {
        let _alone = alone();
        five_of_five(&mut Stage::veth(), "any", COOKED_V2);
        five_of_five(&mut Stage::loopback(), "any", COOKED_V2);
    }

    #[test]
    fn standard_input_gives_the_exact_set_too() {
        let _alone = alone();
        let stage = Stage::loopback();
        let (capture, sent) = record(&stage, "lo");
        let run = stage.replay("-").stdin(&capture.file);
        let ledger = run.finish(patience_for(sent.len())).expect_code(0).ledger();
        exact(&sent, &stage.v2.requests());
        assert_all_answered(&ledger, sent.len());
    }

    #[test]
    fn at_captured_pace_it_takes_as_long_as_the_capture() {
        let stage = Stage::loopback();
        let filter = format!("tcp port {}", stage.v1.port());
        let tcpdump = Tcpdump::start(&stage.here, "lo", &filter, LOCALHOST);
        let sent = Load { count: 200, rate: 200, ..stage.load() }.run().expect_no_errors();
        let capture = tcpdump.stop();
        let to = stage.v2.url();
        for (speed, at_least, at_most) in [("1x", 990, 6_000), ("4x", 245, 4_000)] {
            let run = Run::new(["replay", text(&capture.file), "--to", &to, "--speed", speed]);
            let run = run.args(["--methods", "all", "--json"]).place(&stage.here);
            let finished = run.finish(PATIENCE).expect_code(0);
            let took = finished.took;
            let range = Duration::from_millis(at_least)..Duration::from_millis(at_most);
            assert!(range.contains(&took), "{speed}: {took:?}");
            assert_all_answered(&finished.ledger(), sent.requests.len());
        }
    }
}
