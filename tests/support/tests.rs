//! The harness tried on itself: only a harness that is right can find the program wrong.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use super::fixtures;
use super::load::Load;
use super::netns::Place;
use super::nginx::{Logged, Nginx};
use super::process::Process;
use super::request::{Request, difference, exact};
use super::v2::{Behaviour, Refusing, V2};
use super::{PATIENCE, alone};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn request(id: u32) -> Request {
    Request::new("GET", &format!("/{id}"), b"")
}

#[test]
fn equal_multisets_are_exact_in_any_order() {
    exact(&[request(1), request(2), request(2)], &[request(2), request(1), request(2)]);
}

#[test]
fn a_difference_names_what_is_missing_extra_and_duplicated() {
    let text = difference(
        &[request(1), request(2), request(3)],
        &[request(2), request(2), request(3), request(4)],
    );
    let text = text.expect("they differ");
    assert!(text.contains("missing: 1, first: [GET /1 body e3b0c44298fc]"), "{text}");
    assert!(text.contains("extra: 1, first: [GET /4"), "{text}");
    assert!(text.contains("duplicated: 1, first: [GET /2"), "{text}");
}

#[test]
fn a_changed_body_is_missing_and_extra() {
    let text = difference(&[Request::new("POST", "/", b"a")], &[Request::new("POST", "/", b"b")]);
    let text = text.expect("they differ");
    assert!(text.contains("missing: 1") && text.contains("extra: 1"), "{text}");
}

/// What the client says it sent and what nginx says it was asked, without the bodies.
fn without_bodies(requests: &[Request]) -> Vec<(String, String)> {
    let mut all: Vec<_> = requests.iter().map(|r| (r.method.clone(), r.target.clone())).collect();
    all.sort();
    all
}

fn as_logged(log: &[Logged]) -> Vec<(String, String)> {
    let mut all: Vec<_> = log.iter().map(|l| (l.method.clone(), l.target.clone())).collect();
    all.sort();
    all
}

#[test]
fn nginx_logs_exactly_what_the_load_generator_sent() {
    let _alone = alone();
    let nginx = Nginx::start(&Place::Host, &[LOCALHOST]);
    let load = Load { count: 4000, rate: 4000, ..Load::new(nginx.addr()) };
    let sent = load.run().expect_no_errors();
    assert_eq!(nginx.errors(), "");
    let log = nginx.stop();
    assert_eq!(sent.requests.len(), 4000);
    assert_eq!(without_bodies(&sent.requests), as_logged(&log));
    assert!(log.iter().any(|l| l.request_length > 200_000), "the largest body was never drawn");
    assert!(log.iter().any(|l| l.method == "POST" && l.content_length.is_none()), "none chunked");
    assert!(log.iter().all(|l| l.connection_requests <= 250), "connections were not kept alive");
}

#[test]
fn v2_records_exactly_what_the_load_generator_sent() {
    let _alone = alone();
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let load = Load { count: 4000, rate: 4000, ..Load::new(v2.addr) };
    let sent = load.run().expect_no_errors();
    v2.wait_for(4000, PATIENCE);
    exact(&sent.requests, &v2.requests());
    assert_eq!(v2.connections(), load.connections);
}

#[test]
fn v2_misbehaves_as_told() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let one = Load { count: 1, connections: 1, posts_percent: 0, ..Load::new(v2.addr) };
    let cases = [
        (Behaviour::ResetOnAccept, "reset"),
        (Behaviour::ResetAfterRequest, "reset"),
        (Behaviour::Garbage, "invalid"),
        (Behaviour::CutAnswer, "unexpected end"),
        (Behaviour::Hang(Duration::from_millis(1)), "aborted"),
    ];
    for (behaviour, error) in cases {
        v2.behave(behaviour);
        let sent = one.run();
        let text = sent.errors.first().expect("an error").to_lowercase();
        assert!(text.contains(error), "{behaviour:?}: {text}");
    }
    v2.behave(Behaviour::Slow(Duration::from_millis(30)));
    assert!(one.run().expect_no_errors().latency(1.0) >= Duration::from_millis(30));
    let refusing = Refusing::new(&Place::Host, LOCALHOST);
    let sent = Load { to: refusing.addr, ..one }.run();
    assert!(sent.errors[0].to_lowercase().contains("refused"), "{:?}", sent.errors);
}

#[test]
fn a_hanging_v2_ends_at_once_when_dropped() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    v2.behave(Behaviour::Hang(Duration::from_secs(3600)));
    let load = Load { count: 1, connections: 1, ..Load::new(v2.addr) };
    let client = std::thread::spawn(move || load.run());
    v2.wait_for(1, PATIENCE);
    drop(v2);
    assert_eq!(client.join().expect("the client does not panic").errors.len(), 1);
}

#[test]
fn a_process_is_watched_signalled_and_taken_apart() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap 'echo done; exit 7' TERM; echo ready >&2; while :; do sleep 0.01; done",
    ]);
    let process = Process::start(command);
    process.wait_stderr("ready", PATIENCE);
    assert!(process.rss_kib() > 0);
    process.signal(rustix::process::Signal::TERM);
    let finished = process.finish(PATIENCE).expect_code(7);
    assert_eq!(finished.text(), "done\n");
}

#[test]
fn every_fixture_has_its_expectation_and_is_small() {
    let names = fixtures::names();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        let expected = fixtures::expected(&name);
        assert!(!expected.is_empty(), "{name} yields nothing");
        fixtures::assert_yields(&expected, &expected);
        assert!(!fixtures::requests(&name).is_empty(), "{name} has no whole request");
        let size = fixtures::path(&format!("{name}.pcap")).metadata().expect("a file").len();
        assert!(size <= 200 * 1024, "{name} has {size} bytes");
    }
}

#[test]
#[should_panic(expected = "target differs")]
fn a_request_other_than_expected_is_found() {
    let expected = fixtures::expected("keepalive");
    let mut got = expected.clone();
    got[3]["target"] = "/else".into();
    fixtures::assert_yields(&expected, &got);
}

/// Needs root: network namespaces, captures, other users.
mod privileged {
    use super::*;
    use crate::support::netns::Pod;
    use crate::support::shadowtap::{Run, User};
    use crate::support::tcpdump::Tcpdump;

    #[test]
    fn a_pod_carries_v1_traffic_and_reaches_v2_over_both_ip_versions() {
        let pod = Pod::new();
        let nginx = Nginx::start(&pod.pod.place, &[pod.pod.ip.into(), pod.pod.ip6.into()]);
        for &addr in &nginx.addrs {
            let place = pod.client.place.clone();
            let load = Load { place, count: 200, rate: 2000, ..Load::new(addr) };
            load.run().expect_no_errors();
        }
        assert_eq!(nginx.log_of(400, PATIENCE).len(), 400);
        let v2 = V2::start(&pod.v2.place, pod.v2.ip.into());
        assert!(pod.pod.place.connects(v2.addr), "the pod reaches v2");
        assert!(!Place::Host.connects(v2.addr), "the host does not");
    }

    #[test]
    fn tcpdump_has_every_byte_that_was_sent() {
        let _alone = alone();
        let pod = Pod::new();
        let nginx = Nginx::start(&pod.pod.place, &[pod.pod.ip.into()]);
        for (interface, reachable) in [("eth0", pod.client.ip.into()), ("any", LOCALHOST)] {
            let filter = format!("tcp dst port {}", nginx.port());
            let tcpdump = Tcpdump::start(&pod.pod.place, interface, &filter, reachable);
            let place = pod.client.place.clone();
            let sent = Load { place, count: 500, rate: 1000, ..Load::new(nginx.addr()) }.run();
            let capture = tcpdump.stop();
            let bytes = std::fs::read(&capture.file).expect("the capture");
            for request in &sent.expect_no_errors().requests {
                let line = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
                let found = memchr::memmem::find(&bytes, line.as_bytes()).is_some();
                assert!(found, "{interface}: {line} is not in the capture");
            }
        }
    }

    #[test]
    fn injected_frames_are_seen_at_the_links_other_end() {
        let pod = Pod::new();
        let far_end = pod.add_span();
        for (name, filter) in [
            ("vlan", "vlan 42"),
            ("qinq", "vlan 100 and vlan 200"),
            ("fragments", "ip[6:2] & 0x1fff != 0"),
            ("ipv6-extension", "ip6[6] = 0"),
        ] {
            let tcpdump = Tcpdump::start(&pod.pod.place, "span0", filter, far_end.into());
            let sent = fixtures::inject(name, &pod.client.place, "span0");
            let captured = tcpdump.stop().frames();
            assert!(captured > 3, "{name}: {captured} of {sent}");
            assert_eq!(captured, matching(name, filter), "{name}: of {sent}");
        }
    }

    /// How many frames of a fixture a filter passes, when there is no wire between.
    fn matching(name: &str, filter: &str) -> usize {
        let file = fixtures::path(&format!("{name}.pcap"));
        let mut file = pcap::Capture::from_file(file).expect("a capture");
        file.filter(filter, true).expect("a filter");
        let mut count = 0;
        while file.next_packet().is_ok() {
            count += 1;
        }
        count
    }

    #[test]
    fn the_executable_runs_as_a_non_root_user_with_or_without_net_raw() {
        let pod = Pod::new();
        for user in [User::Same, User::NetRaw, User::NoRights] {
            let run = Run::new(["--version"]).place(&pod.pod.place).user(user);
            run.finish(PATIENCE).expect_code(0);
        }
    }

    /// `User::NetRaw` must be what it says, or the tests of rights prove nothing.
    #[test]
    fn the_bounding_set_is_what_the_user_says() {
        let status = |bounding: &str| {
            let mut command = Place::Host.command("setpriv");
            command.args(["--reuid", "65532", "--regid", "65532", "--clear-groups"]);
            command.args([bounding, "--", "cat", "/proc/self/status"]);
            Process::start(command).finish(PATIENCE).expect_code(0).text()
        };
        let net_raw = status("--bounding-set=-all,+net_raw");
        assert!(net_raw.contains("CapBnd:\t0000000000002000"), "{net_raw}");
        assert!(net_raw.contains("CapPrm:\t0000000000000000"), "{net_raw}");
        let nothing = status("--bounding-set=-all");
        assert!(nothing.contains("CapBnd:\t0000000000000000"), "{nothing}");
        assert!(nothing.contains("Uid:\t65532\t65532\t65532\t65532"), "{nothing}");
    }
}
