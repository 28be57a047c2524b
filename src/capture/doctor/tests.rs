//! The checks against listeners on loopback.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// A listener that answers its first connection with these bytes once it has read some; its port.
fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).expect("read");
        assert!(read > 0);
        stream.write_all(bytes).expect("write");
        // Reads to the end, so that closing does not reset what was written.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    port
}

#[test]
fn the_name_of_an_interface_is_checked() {
    assert_eq!(interface("lo").state, State::Ok);
    assert_ne!(interface(ANY).state, State::Fail);
    let missing = interface("nosuch0");
    assert_eq!(missing.state, State::Fail);
    assert!(missing.fix.expect("fix").contains("lo 127.0.0.1"));
}

#[test]
fn any_over_several_interfaces_warns_of_translated_copies() {
    let make =
        |name: &str, up, loopback| Interface { name: name.into(), addresses: vec![], up, loopback };
    let pod = [make("lo", true, true), make("eth0", true, false), make("ifb0", false, false)];
    assert_eq!(any("interface", &pod, "").state, State::Ok);
    let node = [make("lo", true, true), make("eth0", true, false), make("docker0", true, false)];
    let check = any("interface", &node, "lo, eth0, docker0");
    assert_eq!((check.state, check.what.as_str()), (State::Warn, "any: lo, eth0, docker0"));
    assert!(check.fix.expect("advice").contains("the one interface that v1 is behind"));
}

#[test]
fn a_listener_is_found_and_its_absence_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let found = listening(port);
    assert_eq!((found.state, found.what), (State::Warn, format!("port {port}, on 127.0.0.1 only")));
    let everywhere = TcpListener::bind("0.0.0.0:0").expect("bind");
    let port = everywhere.local_addr().expect("address").port();
    assert_eq!(listening(port).state, State::Ok);
    // Port 1 belongs to a service nobody runs.
    assert_eq!(listening(1).state, State::Fail);
}

#[test]
fn tls_is_told_from_plain_http_and_from_neither() {
    for (bytes, state) in [
        (&b"\x16\x03\x03\x00\x5a\x02"[..], State::Fail),
        (b"\x15\x03\x01\x00\x02\x02\x28", State::Fail),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", State::Ok),
        (b"", State::Ok),
        (b"220 mail.example ready\r\n", State::Warn),
    ] {
        let check = speaks_tls(answering(bytes), SOON).expect("listener");
        assert_eq!(check.state, state, "{bytes:?}: {check:?}");
    }
    assert_eq!(speaks_tls(1, SOON), None);
}

#[test]
fn a_silent_listener_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let start = Instant::now();
    let check = speaks_tls(port, Duration::from_millis(50)).expect("listener");
    assert_eq!(check.state, State::Warn);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn v2_is_reached_refused_or_not_resolved() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    assert_eq!(reachable("127.0.0.1", port, SOON).state, State::Ok);
    assert_eq!(reachable("localhost", port, SOON).state, State::Ok);
    let refused = reachable("[::1]", 1, SOON);
    assert_eq!(refused.state, State::Fail);
    assert!(refused.what.contains("[::1]:1"), "{refused:?}");
    let unknown = reachable("no-such-host.invalid", 80, SOON);
    assert_eq!(unknown.state, State::Fail);
    assert!(unknown.what.contains("cannot be resolved"), "{unknown:?}");
}

#[test]
fn the_right_to_capture_comes_with_advice_when_missing() {
    let check = right_to_capture();
    match check.state {
        State::Ok => assert_eq!(check.fix, None),
        _ => assert!(check.fix.is_some_and(|fix| !fix.is_empty())),
    }
    rights::drop_all(false).expect("drop");
    let check = right_to_capture();
    assert_eq!(check.state, State::Fail);
    assert!(check.fix.expect("fix").contains("docker run --cap-add NET_RAW"));
}
