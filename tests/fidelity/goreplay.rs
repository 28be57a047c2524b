//! One test for each way in which GoReplay loses, doubles or changes a captured request.
//!
//! The numbers are those of the list of its failures; what concerns link layers, files and replay is
//! tested where those live.

use std::time::Duration;

use shadowtap::http::Config;
use shadowtap::model::{Completion, Flags};
use shadowtap::reassemble::Limits;

use super::{Capture, Packet, Talk, show};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn goreplay_01_pipelined_requests_in_one_segment() {
    let mut talk = Talk::new();
    talk.c(get("/1") + &get("/2")).c(post("/3", "x") + &get("/4")).c(get("/5")).c(get("/6"));
    talk.expect(&["GET /1", "GET /2", "POST /3 \"x\"", "GET /4", "GET /5", "GET /6"]);
    let indices: Vec<u32> = talk.capture.requests().iter().map(|m| m.index).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4, 5], "each has a number of its own");
}

#[test]
fn goreplay_02_the_acknowledgment_changes_inside_a_request() {
    let mut talk = Talk::new();
    talk.c("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nab").s("HTTP/1.1 102 Processing\r\n\r\n");
    talk.c("cd").s(OK).c("ef").c(get("/next"));
    talk.expect(&["POST / \"abcdef\"", "GET /next"]);
}

#[test]
fn goreplay_03_a_request_line_longer_than_a_segment() {
    let mut talk = Talk::new();
    let target = format!("/{}", "x".repeat(2400));
    for piece in get(&target).as_bytes().chunks(1000) {
        talk.c(piece);
    }
    // And one written in very small pieces.
    for piece in get("/small").as_bytes().chunks(3) {
        talk.c(piece);
    }
    talk.expect(&[&format!("GET {target}"), "GET /small"]);
}

#[test]
fn goreplay_04_a_header_block_split_anywhere() {
    let text = post("/", "0123456789");
    for cut in 1..text.len() {
        let mut talk = Talk::new();
        talk.c(&text[..cut]).c(&text[cut..]);
        talk.expect(&["POST / \"0123456789\""]);
    }
    let mut talk = Talk::new();
    talk.c("POST / HTTP/1.1\r\nContent-Len").c("gth: 10\r\n\r\n").c("0123456789");
    talk.expect(&["POST / \"0123456789\""]);
}

#[test]
fn goreplay_05_chunked_bodies_however_they_are_cut() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut talk = Talk::new();
    talk.c(format!("{head}3\r\nabc\r\n0\r\n")).c("\r\n");
    talk.c(format!("{head}3\r\nabc\r\n0\r\nUndeclared: trailer\r\n\r\n"));
    // Data that ends like the body, at the end of a segment.
    talk.c(format!("{head}a\r\nabcde0\r\n\r\n")).c("\r\n0\r\n\r\n");
    talk.c(format!("{head}3\r\nabc\r\n0;x=1\r\n\r\n"));
    talk.expect(&[
        "POST / \"abc\"",
        "POST / \"abc\"",
        "POST / \"abcde0\\r\\n\\r\\n\"",
        "POST / \"abc\"",
    ]);
}

#[test]
fn goreplay_06_retransmission_with_other_boundaries() {
    let text = post("/", "0123456789") + &get("/next");
    let bytes = text.as_bytes();
    for (a, b) in [(10, 30), (20, 60), (5, 61), (1, 80)] {
        let mut talk = Talk::new();
        let (seq, ack) = talk.next;
        let cut = |from: usize, to: usize| {
            Packet::new(true, seq.wrapping_add(from as u32), ack, &bytes[from..to])
        };
        for packet in [cut(0, a), cut(0, b), cut(b + 2, b + 6), cut(a, b + 4), cut(b - 1, 84)] {
            talk.capture.push(&packet);
        }
        talk.capture.push(&cut(70, bytes.len()));
        talk.next.0 = seq.wrapping_add(bytes.len() as u32);
        talk.expect(&["POST / \"0123456789\"", "GET /next"]);
    }
}

#[test]
fn goreplay_06_a_retransmitted_request_is_not_a_second_one() {
    let mut talk = Talk::new();
    let request = talk.lost_c(get("/once"));
    talk.capture.push(&request);
    talk.capture.push(&request);
    talk.s(OK);
    talk.capture.push(&request);
    let fin = Flags { fin: true, ..Flags::default() };
    let (client, server) = talk.next;
    talk.capture.push(&Packet { flags: fin, ..Packet::new(true, client, server, b"") });
    talk.capture.push(&Packet { flags: fin, ..Packet::new(false, server, client + 1, b"") });
    // Even after the connection is over.
    talk.capture.push(&request);
    talk.expect(&["GET /once"]);
}

#[test]
fn goreplay_07_sequence_numbers_wrap_inside_a_request() {
    for before in 0..90 {
        let mut talk = Talk::starting_at(0u32.wrapping_sub(before), 0u32.wrapping_sub(before));
        let text = post("/", "0123456789");
        for piece in text.as_bytes().chunks(20) {
            talk.c(piece);
        }
        talk.s(OK).c(get("/next"));
        talk.expect(&["POST / \"0123456789\"", "GET /next"]);
    }
}

#[test]
fn goreplay_08_a_segment_of_only_zero_bytes_is_data() {
    let mut talk = Talk::new();
    talk.c("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\na").c([0; 4]).c("b").c(get("/next"));
    talk.expect(&["POST / \"a\\x00\\x00\\x00\\x00b\"", "GET /next"]);
}

#[test]
fn goreplay_09_expect_100_continue() {
    for (expect, interim) in [
        ("100-continue", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("100-Continue", "HTTP/1.1 100 Continue\r\nServer: odd length\r\n\r\n"),
        ("100-CONTINUE", "HTTP/1.1 100 Go on\r\n\r\n"),
    ] {
        let mut talk = Talk::new();
        let head = format!("POST / HTTP/1.1\r\nExpect: {expect}\r\nContent-Length: 4\r\n\r\n");
        talk.c(&head).s(interim).c("body").s(OK).c(get("/next"));
        talk.capture.wait(Duration::from_secs(20));
        // Once, and with its header.
        talk.expect(&["POST / \"body\"", "GET /next"]);
        let requests = talk.capture.requests();
        assert_eq!(requests[0].header("expect"), Some(expect.as_bytes()));
        assert_eq!(talk.capture.reassembler.memory(), 0, "nothing leaks");
    }
}

#[test]
fn goreplay_10_an_unfinished_message_waits_in_packet_time() {
    let mut talk = Talk::new();
    // Old packets: their times are years ago, and minutes apart.
    talk.c("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    talk.capture.wait(Duration::from_secs(300));
    talk.c("cd").expect(&["POST / \"abcd\""]);
    // The end of the file loses nothing that was whole.
    talk.c(get("/last"));
    talk.capture.finish();
    assert_eq!(show(talk.capture.requests()[1]), "GET /last");
}

#[test]
fn goreplay_11_a_large_body_is_whole_or_named_but_never_cut() {
    let body = "x".repeat(6 << 20);
    let mut talk = Talk::new();
    for piece in post("/", &body).as_bytes().chunks(60_000) {
        talk.c(piece);
    }
    talk.c(get("/next"));
    let requests = talk.capture.requests();
    assert_eq!((requests[0].body.len(), requests.len()), (body.len(), 2));
    let config = Config { max_body: Some(5 << 20), ..Config::default() };
    let mut talk = Talk { capture: Capture::with(config, Limits::default()), ..Talk::new() };
    for piece in post("/", &body).as_bytes().chunks(60_000) {
        talk.c(piece);
    }
    talk.c(get("/next"));
    let requests = talk.capture.requests();
    assert_eq!((requests[0].completion, requests[0].body.len()), (Completion::TooLarge, 0));
    assert_eq!(show(requests[1]), "GET /next");
}

#[test]
fn goreplay_12_segments_larger_than_an_mtu_and_snapped_ones() {
    let body = "x".repeat(60_000);
    let mut talk = Talk::new();
    talk.c(post("/super-frame", &body));
    talk.expect(&[&format!("POST /super-frame \"{body}\"")]);
    // Snapped: named, and the next request is found.
    let mut talk = Talk::new();
    let mut packet = talk.lost_c(post("/snapped", &body));
    packet.bytes.truncate(1000);
    packet.cut = (talk.next.0 - packet.seq) - 1000;
    talk.capture.push(&packet);
    talk.s(OK).c(get("/next"));
    talk.s("").capture.wait(Duration::from_millis(300));
    let requests = talk.capture.requests();
    assert_eq!(requests[0].completion, Completion::Incomplete);
    assert_eq!(show(requests[1]), "GET /next");
}

#[test]
fn goreplay_13_a_body_that_looks_like_headers() {
    let mut talk = Talk::new();
    talk.c(post("/", "a: b\r\nTransfer-Encoding: chunked\r\n\r\n")).c(get("/next"));
    talk.expect(&["POST / \"a: b\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n\"", "GET /next"]);
}

#[test]
fn goreplay_13_after_loss_a_body_segment_is_no_request() {
    let inner = get("/inner");
    let mut talk = Talk::new();
    talk.c(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 50 + inner.len()));
    talk.lost_c([b'x'; 50]);
    talk.c(&inner).c(get("/next"));
    talk.s("").capture.wait(Duration::from_millis(300));
    let requests = talk.capture.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].completion, Completion::Incomplete);
    assert_eq!(show(requests[1]), "GET /next");
}

#[test]
fn goreplay_14_methods_and_lines_of_every_kind() {
    let mut talk = Talk::new();
    talk.c("PROPFIND /a HTTP/1.1\r\n\r\n").c("PURGE /b HTTP/1.1\r\n\r\n");
    talk.c("FROBNICATE /c HTTP/1.1\r\n\r\n").c("GET /d e HTTP/1.1\r\n\r\n");
    talk.c("\r\nGET /f HTTP/1.1\r\n\r\n").c("GET /g HTTP/1.1\nHost: a\n\n");
    talk.expect(&["PROPFIND /a", "PURGE /b", "FROBNICATE /c", "GET /d e", "GET /f", "GET /g"]);
}

#[test]
fn goreplay_15_responses_of_every_kind() {
    let mut talk = Talk::new();
    talk.c("HEAD /1 HTTP/1.1\r\n\r\n").s("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
    talk.c(get("/2")).s("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n");
    talk.c(get("/3")).s("HTTP/1.1 520 Unregistered\r\nContent-Length: 1\r\n\r\nx");
    talk.c(get("/4")).s("HTTP/1.0 200 OK\r\n\r\nuntil").s(" close");
    let (client, server) = talk.next;
    let fin = Flags { fin: true, ..Flags::default() };
    talk.capture.push(&Packet { flags: fin, ..Packet::new(false, server, client, b"") });
    let responses: Vec<String> =
        talk.capture.messages.iter().filter(|m| !m.is_request()).map(show).collect();
    assert_eq!(responses, ["200", "304", "520 \"x\"", "200 \"until close\""]);
}

#[test]
fn goreplay_18_a_request_behind_fragments_and_tags_is_one_request() {
    // The decoder gives whole datagrams; here: the same connection in several encapsulations, as
    // mixed tagged and untagged frames are.
    let mut talk = Talk::new();
    talk.c(&post("/", "0123456789")[..30]);
    let packet = talk.lost_c(&post("/", "0123456789")[30..]);
    talk.capture.push(&packet);
    talk.capture.push(&packet);
    talk.expect(&["POST / \"0123456789\""]);
}
