//! Copies: which requests are copied at all, how a copy is marked, and that none is copied again.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::support::PATIENCE;
use crate::support::load::Load;
use crate::support::request::{Request, exact};
use crate::support::stage::{LOCALHOST, Stage, assert_all_answered, capturing, converse};
use crate::support::v2::V2;

/// A copy that were captured again would be copied again, without end.
#[test]
fn own_connections_are_never_captured_though_v2_listens_on_the_watched_port() {
    let mut stage = Stage::loopback();
    let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    stage.v2 = V2::start_on(&stage.here, SocketAddr::new(other, stage.v1.port()));
    // Another address of this host: v1 may listen on all of them.
    let mirror = stage.mirror().args(["--methods", "all", "--same-target-ok"]);
    let mirror = capturing(mirror.start());
    let sent = stage.load().run().expect_no_errors();
    stage.v2.wait_for(sent.requests.len(), PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    exact(&sent.requests, &stage.v2.requests());
    assert_all_answered(&ledger, sent.requests.len());
    assert!(ledger.count("/packets/ignored/own_connection") > 0, "{:#}", ledger.0);
}

#[test]
fn each_copy_bears_one_marker_last_in_its_head_with_the_run_and_a_number_of_its_own() {
    let stage = Stage::loopback();
    let mirror = capturing(stage.mirror().args(["--methods", "all"]).start());
    let sent = Load { count: 100, ..stage.load() }.run().expect_no_errors();
    stage.v2.wait_for(100, PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    let run = ledger.0["run"].as_str().expect("the run's name").to_owned();
    let mut numbers = HashSet::new();
    for received in stage.v2.received() {
        let head = String::from_utf8(received.head).expect("ASCII").to_lowercase();
        let fields = head.trim_end().lines().last().expect("a last field").to_owned();
        let value = fields.strip_prefix("x-shadowtap: ").expect("the marker is last");
        let (of_run, number) = value.split_once('-').expect("run and number");
        assert_eq!(of_run, run);
        assert!(numbers.insert(number.to_owned()), "{number} twice");
        assert_eq!(head.matches("x-shadowtap:").count(), 1, "{head}");
    }
    assert_eq!(numbers.len(), sent.requests.len());
}

#[test]
fn a_request_that_carries_the_marker_is_refused_and_shown() {
    let stage = Stage::loopback();
    let port = stage.v1.port().to_string();
    let run = crate::support::shadowtap::Run::new(["mirror", "-i", "lo", "-p", &port]);
    let mirror = capturing(run.args(["--to", &stage.v2.url()]).start());
    let marked =
        "GET /hidden HTTP/1.1\r\nHost: a\r\nx-shadowtap: mine-1\r\nConnection: close\r\n\r\n";
    let plain = "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for request in [marked, marked, plain] {
        assert!(converse(&stage.client, stage.v1.addr(), request).starts_with("HTTP/1.1 200"));
    }
    stage.v2.wait_for(1, PATIENCE);
    let finished = mirror.terminate(PATIENCE).expect_code(0);
    exact(&[Request::new("GET", "/plain", b"")], &stage.v2.requests());
    let table = finished.text();
    assert!(table.contains("2 requests carried the marker header"), "{table}");
    let bucket = table.lines().find(|line| line.contains("refused_marker")).expect("the bucket");
    assert!(bucket.trim_end().ends_with(" 2"), "{bucket}");
}

#[test]
fn only_safe_methods_are_sent_unless_told_otherwise() {
    let stage = Stage::loopback();
    let port = stage.v1.port().to_string();
    let run = crate::support::shadowtap::Run::new(["mirror", "-i", "lo", "-p", &port]);
    let mirror = capturing(run.args(["--to", &stage.v2.url()]).start());
    let sent = Load { count: 300, ..stage.load() }.run().expect_no_errors();
    let safe: Vec<Request> = sent.requests.iter().filter(|r| r.method == "GET").cloned().collect();
    let held = sent.requests.len() - safe.len();
    stage.v2.wait_for(safe.len(), PATIENCE);
    mirror.wait_stderr("--methods all", PATIENCE);
    let finished = mirror.terminate(PATIENCE).expect_code(0);
    exact(&safe, &stage.v2.requests());
    assert!(held > 100 && safe.len() > 100, "{held} held back of {}", sent.requests.len());
    assert!(
        finished.stderr.contains("held back and counted (--methods all"),
        "{}",
        finished.stderr
    );
    let table = finished.text();
    let summary =
        format!("{held} requests were held back by their method; --methods all lets them");
    assert!(table.contains(&summary), "{table}");
    assert!(table.contains("\n0 lost\n"), "{table}");
}

#[test]
fn a_list_of_methods_is_exactly_what_is_sent() {
    let stage = Stage::loopback();
    let mirror = capturing(stage.mirror().args(["--methods", "POST"]).start());
    let sent = Load { count: 100, ..stage.load() }.run().expect_no_errors();
    let posts: Vec<_> = sent.requests.iter().filter(|r| r.method == "POST").cloned().collect();
    stage.v2.wait_for(posts.len(), PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    exact(&posts, &stage.v2.requests());
    ledger.assert_balanced();
    let held = ledger.count("/requests/refused/method_held_back");
    assert_eq!(held, 100 - posts.len() as u64);
}

#[test]
fn a_body_over_the_limit_is_counted_and_never_sent() {
    let stage = Stage::loopback();
    let run = stage.mirror().args(["--methods", "all", "--max-body", "1000"]);
    let mirror = capturing(run.start());
    for (path, size) in [("/exact", 1000), ("/over", 1001)] {
        let body = "x".repeat(size);
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        let request = format!("{head}Content-Length: {size}\r\n\r\n{body}");
        assert!(converse(&stage.client, stage.v1.addr(), &request).starts_with("HTTP/1.1 200"));
    }
    stage.v2.wait_for(1, PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    exact(&[Request::new("POST", "/exact", &[b'x'; 1000])], &stage.v2.requests());
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/refused/body_too_large"), 1);
}

#[test]
fn traffic_that_another_host_serves_is_not_mirrored_unless_asked_for() {
    // The capture is at the client: what it sees is served elsewhere.
    for (args, captured) in [(&[][..], 0), (&["--server", "any"], 50)] {
        let mut stage = Stage::veth();
        stage.here = stage.client.clone();
        let mirror = capturing(stage.mirror().args(["--methods", "all"]).args(args).start());
        let sent = Load { count: 50, ..stage.load() }.run().expect_no_errors();
        stage.v2.wait_for(captured, PATIENCE);
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/requests/captured"), captured as u64);
        exact(&sent.requests[..captured], &stage.v2.requests());
    }
}

#[test]
fn loopback_serves_addresses_that_no_interface_has() {
    let mut stage = Stage::loopback();
    stage.v1 =
        crate::support::nginx::Nginx::start(&stage.here, &[[127, 9, 8, 7].into(), LOCALHOST]);
    let mirror = capturing(stage.mirror().args(["--methods", "all"]).start());
    let sent = Load { count: 50, ..stage.load() }.run().expect_no_errors();
    stage.v2.wait_for(50, PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    exact(&sent.requests, &stage.v2.requests());
    assert_all_answered(&ledger, 50);
}
