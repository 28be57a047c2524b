//! Cases that take the whole way from segment to message, where no other file has them. What holds
//! which case is listed in `docs/fidelity.md`.

use std::net::IpAddr;
use std::time::Duration;

use shadowtap::model::{Anomaly, Completion, Endpoint, Flags, Segment, SeqNum};

use super::{Capture, Packet, Talk, show};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn bytes_delivered_stand_whatever_comes_later() {
    let mut talk = Talk::new();
    let first = talk.lost_c(get("/one"));
    talk.capture.push(&first);
    // The same numbers with other bytes, longer: only what is new is read.
    let mut other = first.clone();
    other.bytes = get("/two").into_bytes();
    other.bytes.extend(get("/next").as_bytes());
    talk.capture.push(&other);
    talk.next.0 = talk.next.0.wrapping_add(get("/next").len() as u32);
    talk.expect(&["GET /one", "GET /next"]);
    let requests = talk.capture.requests();
    assert!(requests[0].anomalies.is_empty(), "it was whole before the other bytes came");
    assert!(requests[1].anomalies.contains(Anomaly::OverlapConflict));
    assert_eq!(talk.capture.reassembler.counts().conflicts, 1);
}

#[test]
fn of_delivered_bytes_that_come_again_as_others_the_message_is_named() {
    for (again, is_named) in [(&b"abcd"[..], false), (b"abXd", true), (b"abXdef", true)] {
        let mut talk = Talk::new();
        let head = "POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\n";
        talk.c(head);
        let first = talk.lost_c("abcd");
        let mut other = first.clone();
        other.bytes = again.to_vec();
        talk.capture.push(&first);
        talk.capture.push(&other);
        talk.c("efgh").c(get("/next"));
        talk.expect(&["POST / \"abcdefgh\"", "GET /next"]);
        let named: Vec<_> = talk.capture.requests().iter().map(|r| r.anomalies).collect();
        assert_eq!(named[0].contains(Anomaly::OverlapConflict), is_named, "{again:?}");
        assert!(named[1].is_empty());
        assert_eq!(talk.capture.reassembler.counts().conflicts, u64::from(is_named));
    }
}

#[test]
fn bytes_of_a_whole_message_that_come_again_as_others_name_no_other_one() {
    let mut talk = Talk::new();
    let first = talk.lost_c(get("/one"));
    talk.capture.push(&first);
    let mut other = first.clone();
    other.bytes = get("/two").into_bytes();
    talk.capture.push(&other);
    talk.c(get("/next"));
    talk.expect(&["GET /one", "GET /next"]);
    assert!(talk.capture.requests().iter().all(|request| request.anomalies.is_empty()));
    assert_eq!(talk.capture.reassembler.counts().conflicts, 1);
}

#[test]
fn of_waiting_segments_with_differing_bytes_the_message_is_named() {
    let mut talk = Talk::new();
    let begin = talk.lost_c("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n");
    let body = talk.lost_c("abcd");
    let mut other = body.clone();
    other.bytes = b"abXX".to_vec();
    // Both wait for the head; the first to come stands.
    for packet in [&body, &other, &begin] {
        talk.capture.push(packet);
    }
    talk.c(get("/next"));
    talk.expect(&["POST / \"abcd\"", "GET /next"]);
    let requests = talk.capture.requests();
    assert!(requests[0].anomalies.contains(Anomaly::OverlapConflict));
    assert!(requests[1].anomalies.is_empty());
}

#[test]
fn an_overlap_of_the_same_bytes_is_nothing_odd() {
    let mut talk = Talk::new();
    let text = get("/one");
    let (seq, ack) = talk.next;
    talk.lost_c(&text);
    for (from, to) in [(0, 20), (10, 30), (5, text.len())] {
        let packet =
            Packet::new(true, seq.wrapping_add(from as u32), ack, &text.as_bytes()[from..to]);
        talk.capture.push(&packet);
    }
    talk.expect(&["GET /one"]);
    assert!(talk.capture.requests()[0].anomalies.is_empty());
}

#[test]
fn raw_bytes_in_targets_are_kept() {
    let mut talk = Talk::new();
    talk.c("GET /gr\u{f6}\u{df}e HTTP/1.1\r\n\r\n").c(b"GET /gr\xf6\xdfe HTTP/1.1\r\n\r\n");
    talk.c("GET /a b HTTP/1.1\r\n\r\n").c("GET /{}|\\^`\" HTTP/1.1\r\n\r\n");
    let targets = |talk: &Talk| -> Vec<Vec<u8>> {
        talk.capture.requests().iter().map(|request| request.target().to_vec()).collect()
    };
    talk.s("").capture.wait(Duration::from_millis(300));
    let want: [&[u8]; 4] = ["/gr\u{f6}\u{df}e".as_bytes(), b"/gr\xf6\xdfe", b"/a b", b"/{}|\\^`\""];
    assert_eq!(targets(&talk), want);
}

#[test]
fn probes_and_closed_windows_are_no_data() {
    let mut talk = Talk::new();
    talk.c("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    let (client, server) = talk.next;
    // The client probes a closed window with the byte before, then an idle peer with none.
    talk.capture.push(&Packet::new(true, client - 1, server, b"b"));
    talk.capture.push(&Packet::new(true, client - 1, server, b""));
    talk.capture.push(&Packet::new(true, client - 1, server, b"\0"));
    // And again behind a segment of a single byte, which is all that is known of what was delivered.
    talk.c("c");
    talk.capture.push(&Packet::new(true, client, server, b"\0"));
    talk.c("d").c(get("/next"));
    talk.expect(&["POST / \"abcd\"", "GET /next"]);
    assert!(talk.capture.requests().iter().all(|request| request.anomalies.is_empty()));
    assert_eq!(talk.capture.reassembler.counts().conflicts, 0);
}

/// A segment between any two endpoints.
fn push(capture: &mut Capture, src: Endpoint, dst: Endpoint, packet: &Packet) {
    capture.now = capture.now + capture.step;
    let segment = Segment {
        time: capture.now,
        src,
        dst,
        encapsulation: 0,
        seq: SeqNum(packet.seq),
        ack: packet.ack.map(SeqNum),
        flags: packet.flags,
        urgent: None,
        payload: &packet.bytes,
        cut: packet.cut,
    };
    capture.reassembler.push(&segment).expect("watched");
}

#[test]
fn address_translated_copies_are_two_connections() {
    let mut talk = Talk::new();
    let capture = &mut talk.capture;
    let client = Endpoint::new([10, 0, 0, 1].into(), 40_000);
    for server in [[192, 168, 0, 9], [192, 168, 0, 10]] {
        let server = Endpoint::new(server.into(), 80);
        push(capture, client, server, &Packet::new(true, 1, 1, get("/translated").as_bytes()));
    }
    talk.expect(&["GET /translated", "GET /translated"]);
}

#[test]
fn a_million_syns_push_no_live_connection_out() {
    let mut talk = Talk::new();
    talk.c(get("/before")).s(OK);
    let server = Endpoint::new([10, 0, 0, 2].into(), 80);
    let syn = Flags { syn: true, ..Flags::default() };
    let capture = &mut talk.capture;
    capture.step = Duration::from_micros(1);
    let (flows, memory) = (capture.reassembler.flows(), capture.reassembler.memory());
    for n in 0..1_000_000u32 {
        let ip = IpAddr::from((0xac10_0000 + (n >> 4)).to_be_bytes());
        let src = Endpoint::new(ip, 1024 + (n & 0xf) as u16);
        push(capture, src, server, &Packet { seq: n, flags: syn, ..Packet::default() });
    }
    assert_eq!((capture.reassembler.flows(), capture.reassembler.memory()), (flows, memory));
    talk.c(get("/after"));
    talk.expect(&["GET /before", "GET /after"]);
}

#[test]
fn one_lost_packet_costs_one_message() {
    for lost in 0..6 {
        let mut talk = Talk::new();
        for n in 0..6 {
            let packet = talk.lost_c(get(&format!("/{n}")));
            if n != lost {
                talk.capture.push(&packet);
            }
            talk.s(OK);
        }
        talk.capture.wait(Duration::from_secs(6));
        let got: Vec<String> = talk.capture.requests().into_iter().map(show).collect();
        let want: Vec<String> =
            (0..6).filter(|n| *n != lost).map(|n| format!("GET /{n}")).collect();
        assert_eq!(got, want);
        assert!(talk.capture.requests().iter().all(|r| r.completion == Completion::Complete));
        assert_eq!(talk.capture.reassembler.counts().unseen, get("/0").len() as u64);
    }
}
