//! Plain traffic on loopback, veth and `any`: what is seen, how much of it, and how soon.

use std::io::Write;
use std::time::{Duration, Instant};

use shadowtap::capture::live::LiveConfig;

use super::lab::{Lab, PEER, POD, Seen, collect, config, exchange, open, step};

/// How long the part of a frame before the TCP header is, for IPv4 without options.
fn before_tcp(seen: &Seen) -> usize {
    match seen.link {
        1 => 14 + 20,
        276 => 20 + 20,
        other => panic!("link type {other}"),
    }
}

fn port(seen: &Seen, at: usize) -> u16 {
    let at = before_tcp(seen) + at;
    u16::from_be_bytes([seen.bytes[at], seen.bytes[at + 1]])
}

/// Every frame toward port 80 whole, every frame from it cut to its headers, nothing else.
#[track_caller]
fn assert_requests_whole_and_answers_cut(seen: &[Seen], request: &str) {
    let (to, from): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|s| port(s, 2) == 80);
    assert!(to.iter().all(|s| s.bytes.len() == s.wire_len as usize), "a request is cut");
    assert_eq!(to.iter().filter(|s| s.contains(request)).count(), 1, "seen once");
    assert!(from.iter().all(|s| port(s, 0) == 80), "a foreign port");
    let headers = if seen[0].link == 1 { 128 } else { 128 + 20 };
    let data: Vec<&&Seen> = from.iter().filter(|s| s.wire_len > 1000).collect();
    assert!(!data.is_empty(), "no answer");
    assert!(data.iter().all(|s| s.bytes.len() == headers), "{:?}", data[0].bytes.len());
}

#[test]
fn on_loopback_each_request_is_seen_once_and_answers_by_their_headers() {
    let Some(lab) = Lab::new() else { return };
    let mut capture = open(&lab, &config(&["lo"], &[80]));
    exchange(&lab, &lab.pod, [127, 0, 0, 1], 81, "other port");
    exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /lo");
    let seen = collect(&mut capture, "GET /lo");
    assert_requests_whole_and_answers_cut(&seen, "GET /lo");
    assert_eq!(capture.drops().kernel, 0);
}

#[test]
fn on_veth_requests_are_whole_and_times_have_nanoseconds() {
    let Some(lab) = Lab::new() else { return };
    let mut capture = open(&lab, &config(&["eth0"], &[80]));
    exchange(&lab, &lab.peer, POD, 81, "other port");
    exchange(&lab, &lab.peer, POD, 80, "GET /veth");
    let seen = collect(&mut capture, "GET /veth");
    assert_requests_whole_and_answers_cut(&seen, "GET /veth");
    assert!(seen.iter().any(|s| s.time % 1000 != 0), "microseconds only");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("clock");
    assert!(now.as_nanos().abs_diff(u128::from(seen[0].time)) < 60_000_000_000);
}

#[test]
fn on_any_both_loopback_and_veth_are_seen_with_cooked_v2() {
    let Some(lab) = Lab::new() else { return };
    let mut capture = open(&lab, &config(&["any"], &[80]));
    assert_eq!(capture.interfaces().map(|(_, link)| link.0).collect::<Vec<_>>(), [276]);
    exchange(&lab, &lab.peer, POD, 81, "other port");
    exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /lo");
    exchange(&lab, &lab.peer, POD, 80, "GET /veth");
    let seen = collect(&mut capture, "GET /veth");
    assert_requests_whole_and_answers_cut(&seen, "GET /lo");
    assert_requests_whole_and_answers_cut(&seen, "GET /veth");
}

#[test]
fn several_interfaces_and_ports_are_captured_together() {
    let Some(lab) = Lab::new() else { return };
    let mut capture = open(&lab, &config(&["lo", "eth0", "lo"], &[80, 8080]));
    assert_eq!(capture.interfaces().count(), 2);
    exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /one");
    exchange(&lab, &lab.peer, POD, 8080, "GET /two");
    let mut seen = collect(&mut capture, "GET /one");
    if !seen.iter().any(|s| s.contains("GET /two")) {
        seen.extend(collect(&mut capture, "GET /two"));
    }
    assert_eq!(seen.iter().filter(|s| s.contains("GET /")).count(), 2);
}

#[test]
fn answers_come_whole_when_asked_for_and_super_frames_too() {
    let Some(lab) = Lab::new() else { return };
    for interface in ["lo", "any"] {
        let config = LiveConfig { responses: true, ..config(&[interface], &[80]) };
        let mut capture = open(&lab, &config);
        exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /whole");
        let seen = collect(&mut capture, "answer to GET /whole");
        assert!(seen.iter().all(|s| s.bytes.len() == s.wire_len as usize), "{interface}");
        assert!(seen.iter().any(|s| s.bytes.len() > 3000), "no frame above the MTU of Ethernet");
    }
}

#[test]
fn a_further_filter_excludes_and_is_counted() {
    let Some(lab) = Lab::new() else { return };
    for interface in ["eth0", "any"] {
        let config = LiveConfig {
            extra_filter: Some(format!("not host {}", std::net::Ipv4Addr::from(PEER))),
            ..config(&[interface, "lo"], &[80])
        };
        let mut capture = open(&lab, &config);
        exchange(&lab, &lab.peer, POD, 80, "GET /excluded");
        exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /kept");
        let seen = collect(&mut capture, "GET /kept");
        assert!(!seen.iter().any(|s| s.contains("GET /excluded")), "{interface}");
        // SYN, its answer, request, answer, and the ends: at least six frames of the one exchange.
        assert!(capture.excluded() >= 6, "{interface}: {}", capture.excluded());
    }
}

#[test]
fn what_arrived_before_the_filter_was_attached_is_not_seen() {
    let Some(lab) = Lab::new() else { return };
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                exchange(&lab, &lab.pod, [127, 0, 0, 1], 81, "noise");
            }
        });
        for _ in 0..5 {
            let mut capture = open(&lab, &config(&["any"], &[80]));
            exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, "GET /first");
            let seen = collect(&mut capture, "GET /first");
            assert!(seen.iter().all(|s| port(s, 0) == 80 || port(s, 2) == 80), "noise got through");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_poll_without_traffic_returns_within_its_timeout_and_at_once_when_woken() {
    let Some(lab) = Lab::new() else { return };
    let mut capture = open(&lab, &config(&["eth0", "lo", "any"], &[80]));
    let start = Instant::now();
    let count = capture.poll(Duration::from_millis(30), &mut |_| {}).expect("poll");
    let waited = start.elapsed();
    assert_eq!(count, 0);
    assert!(
        waited >= Duration::from_millis(30) && waited < Duration::from_millis(130),
        "{waited:?}"
    );

    let (reader, mut writer) = std::io::pipe().expect("pipe");
    capture.wake_on(reader.into());
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(b"!").map(|()| writer).expect("wake"));
        assert_eq!(capture.poll(Duration::from_secs(20), &mut |_| {}).expect("poll"), 0);
    });
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn one_poll_hands_over_a_bounded_batch_and_loses_nothing() {
    let Some(lab) = Lab::new() else { return };
    // Slow traffic takes a block of 256 KiB per millisecond; the ring must hold all of it here.
    let config = LiveConfig { ring_bytes: 128 << 20, ..config(&["lo"], &[80]) };
    let mut capture = open(&lab, &config);
    for n in 0..200 {
        exchange(&lab, &lab.pod, [127, 0, 0, 1], 80, &format!("GET /{n}."));
    }
    let (mut seen, mut largest) = (Vec::new(), 0);
    let start = Instant::now();
    while !seen.iter().any(|s: &Seen| s.contains("GET /199.")) {
        assert!(start.elapsed() < super::lab::DEADLINE);
        largest = largest.max(step(&mut capture, &mut seen));
    }
    assert!(seen.len() > 512 && largest <= 512, "{} frames, {largest} at once", seen.len());
    for n in 0..200 {
        let text = format!("GET /{n}.");
        assert_eq!(seen.iter().filter(|s| s.contains(&text)).count(), 1, "{text}");
    }
}
