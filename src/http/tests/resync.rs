//! After a hole, and from the middle: the next sure message start, and nothing weaker.

use super::*;

#[test]
fn a_hole_in_a_body_of_known_length_costs_that_message_only() {
    let mut wire = Wire::new();
    wire.c("POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\nab").c_gap(5).c("hij").c(get("/2"));
    wire.expect(&["#0 POST /1 \"ab\" incomplete [gap]", "#1 GET /2"]);
    // To its very end, and over its end.
    let mut wire = Wire::new();
    wire.c("POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\nab").c_gap(8).c(get("/2"));
    wire.expect(&["#0 POST /1 \"ab\" incomplete [gap]", "#1 GET /2"]);
    let mut wire = Wire::new();
    wire.c("POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\nab").c_gap(9).c("ET /2 HTTP/1.1\r\n\r\n");
    wire.c(get("/3")).expect(&["#0 POST /1 \"ab\" incomplete [gap]", "#1 GET /3"]);
}

#[test]
fn a_hole_in_chunk_data_costs_that_message_only() {
    let mut wire = Wire::new();
    wire.c("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01").c_gap(4).c("6789\r\n");
    wire.c("0\r\n\r\n").c(get("/2"));
    wire.expect(&["#0 POST /1 \"01\" incomplete [gap]", "#1 GET /2"]);
}

#[test]
fn a_hole_in_chunk_framing_is_left_at_the_next_message() {
    let mut wire = Wire::new();
    wire.c("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01").c_gap(12);
    wire.c("rest of a chunk\r\n0\r\n\r\n").c(get("/2"));
    wire.expect(&["#0 POST /1 \"01\" incomplete [gap]", "#1 GET /2"]);
}

#[test]
fn a_hole_in_a_head_is_left_at_the_next_message() {
    let mut wire = Wire::new();
    wire.c("GET /1 HTTP/1.1\r\nHost: a\r\nCoo").c_gap(100).c("more: x\r\n\r\n").c(get("/2"));
    wire.expect(&["#0 GET /1 incomplete [gap]", "#1 GET /2"]);
    // Not even the start line was there.
    let mut wire = Wire::new();
    wire.c("GET /1 HT").c_gap(100).c("more: x\r\n\r\n").c(get("/2"));
    wire.expect(&["#0 GET /2"]);
}

#[test]
fn a_hole_between_messages_may_hold_some() {
    let mut wire = Wire::new();
    wire.c(get("/1")).s(ok("1")).c_gap(500).s(ok("lost one")).c(get("/3")).s(ok("3"));
    wire.expect(&[
        "#0 GET /1",
        "#0 200 \"1\" for 0",
        "#1 200 \"lost one\" for -",
        "#1 GET /3",
        "#2 200 \"3\" for 1",
    ]);
}

#[test]
fn a_request_in_several_segments_is_a_sure_start_too() {
    let mut wire = Wire::new();
    wire.c(get("/1")).c_gap(9);
    for piece in ["GET /2 HT", "TP/1.1\r\nHost: a\r", "\n\r", "\nGET /3 HTTP/1.1\r\n\r\n"] {
        wire.c(piece);
    }
    wire.expect(&["#0 GET /1", "#1 GET /2", "#2 GET /3"]);
}

#[test]
fn a_candidate_that_fails_gives_way_to_the_next_segment() {
    let mut wire = Wire::new();
    // The tail of a form: begins like a request line, and has no line end for long.
    wire.c(get("/1")).c_gap(9).c("name value and no end of line");
    for n in 0..100 {
        wire.c(format!("part{n} of the same line, "));
    }
    wire.c(get("/2"));
    wire.expect(&["#0 GET /1", "#1 GET /2"]);
}

#[test]
fn nothing_weaker_than_a_whole_valid_head_at_a_segment_start() {
    for tail in [
        "GET /2 HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /2 HTTP/1.2\r\n\r\n",
        "GET /2 HTTP/2.0\r\n\r\n",
        "GET /2\r\n\r\n",
        "\r\nGET /2 HTTP/1.1\r\n\r\n",
        "xGET / 2 HTTP/1.1\r\n\r\n",
    ] {
        let mut wire = Wire::new();
        wire.c(get("/1")).c_gap(9).c(tail).c(get("/3"));
        wire.expect(&["#0 GET /1", "#1 GET /3"]);
    }
    let mut wire = Wire::new();
    wire.c(get("/1")).c_gap(9).c_within(get("/2")).c("x").c_within(get("/2")).c(get("/3"));
    wire.expect(&["#0 GET /1", "#1 GET /3"]);
}

#[test]
fn no_request_begins_within_a_response() {
    let mut wire = Wire::new();
    wire.c(get("/1")).s("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").c_gap(3);
    wire.c(get("/2")).s("defghij").c(get("/3"));
    wire.expect(&["#0 GET /1", "#0 200 \"abcdefghij\" for 0", "#1 GET /3"]);
}

#[test]
fn a_hole_in_a_response_leaves_the_requests_alone() {
    let mut wire = Wire::new();
    wire.c(get("/1")).s("HTTP/1.1 200 OK\r\nContent-Le").s_gap(50).s("tail");
    wire.c(get("/2")).s(ok("2"));
    wire.expect(&["#0 GET /1", "#0 200 for 0 incomplete [gap]", "#1 GET /2", "#1 200 \"2\" for 1"]);
}

#[test]
fn a_body_until_close_with_a_hole_is_never_whole() {
    let mut wire = Wire::new();
    wire.c(get("/")).s("HTTP/1.0 200 OK\r\n\r\nabc").s_gap(1).s("def").s_fin();
    wire.expect(&["#0 GET /", "#0 200 \"abc\" for 0 incomplete [gap]"]);
    let mut wire = Wire::new();
    wire.c(get("/")).s("HTTP/1.0 200 OK\r\n\r\nabc").s_gap(1).s_fin();
    wire.expect(&["#0 GET /", "#0 200 \"abc\" for 0 incomplete [gap]"]);
}

#[test]
fn pairing_is_not_guessed_while_requests_may_be_missing() {
    let mut wire = Wire::new();
    // The client pipelines, so what was in the hole may still be answered.
    wire.c(get("/1") + &get("/2")).s(ok("1")).s(ok("2")).c_gap(40).c("HEAD /4 HTTP/1.1\r\n\r\n");
    wire.messages.clear();
    wire.s(ok("3")).s("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").s_fin();
    wire.expect(&["#2 200 \"3\" for -", "#3 200 for - incomplete [gap closed_early]"]);
}

#[test]
fn a_lost_head_request_does_not_swallow_what_follows_its_answer() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    // The next response in a segment of its own.
    let mut wire = Wire::new();
    wire.c(get("/1")).s(ok("1")).c_gap(40).s(head).s(ok("next"));
    wire.messages.drain(..2);
    wire.expect(&["#1 200 for - incomplete [gap]", "#2 200 \"next\" for -"]);
    // The next request.
    let mut wire = Wire::new();
    wire.c(get("/1")).s(ok("1")).c_gap(40).s(head).c(get("/3")).s(ok("3"));
    wire.messages.drain(..2);
    wire.expect(&["#1 200 for - incomplete [gap]", "#1 GET /3", "#2 200 \"3\" for 1"]);
}

/// The client was never captured; the server from its first byte, or from the middle.
fn answers_alone(is_from_start: bool) -> Wire {
    let mut wire = Wire::open(both(), Some(CLIENT), is_from_start);
    if is_from_start {
        // What the server acknowledged and nobody saw.
        wire.c_gap(100);
    }
    wire
}

#[test]
fn a_response_whose_request_was_missed_is_whole_where_it_says_so_itself() {
    let json = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n";
    for is_from_start in [true, false] {
        let mut wire = answers_alone(is_from_start);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nHT\r\n0\r\n\r\n";
        wire.s(ok("one") + &ok("two")).s(chunked).s("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n");
        // Byte by byte, and beginning nearly like a status line.
        for byte in ok("like HTTP/1.1").bytes() {
            wire.s([byte]);
        }
        wire.s(ok("HTTP-like")).s(json.to_owned() + "until the end").s_fin();
        wire.expect(&[
            "#0 200 \"one\" for -",
            "#1 200 \"two\" for -",
            "#2 200 \"HT\" for -",
            "#3 304 for -",
            "#4 200 \"like HTTP/1.1\" for -",
            "#5 200 \"HTTP-like\" for -",
            "#6 200 \"until the end\" for -",
        ]);
    }
}

#[test]
fn a_response_whose_request_was_missed_is_not_whole_where_it_may_answer_a_head() {
    let next = ok("next");
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    for is_from_start in [true, false] {
        // Of any length, with the next response in the same segment or in its own: never whole.
        for length in 1..=next.len() {
            for is_split in [true, false] {
                let mut wire = answers_alone(is_from_start);
                match is_split {
                    true => wire.s(head(length)).s(&next),
                    false => wire.s(head(length) + &next),
                };
                wire.close(CloseReason::Fin);
                let first = &wire.messages[0];
                assert_eq!(first.completion, Completion::Incomplete, "{length} {is_split}");
            }
        }
        // Nothing came behind it; or empty lines.
        for behind in ["", "\r\n", "\r\nHTTP/1.1 "] {
            let mut wire = answers_alone(is_from_start);
            wire.s(head(2)).s(behind).s_fin().close(CloseReason::Fin);
            assert_eq!(wire.messages[0].completion, Completion::Incomplete, "{behind:?}");
        }
    }
}

#[test]
fn a_response_whose_request_was_missed_is_not_whole_where_it_may_answer_a_connect() {
    for is_from_start in [true, false] {
        let mut wire = answers_alone(is_from_start);
        wire.s("HTTP/1.1 200 Connection established\r\n\r\n\x16\x03\x03").s_fin();
        wire.expect(&["#0 200 for - incomplete [gap]"]);
        // Any other status is none.
        let mut wire = answers_alone(is_from_start);
        wire.s("HTTP/1.1 404 No\r\n\r\nnot here").s_fin();
        wire.expect(&["#0 404 \"not here\" for -"]);
    }
}

#[test]
fn from_the_middle_the_first_whole_request_and_everything_after() {
    for client in [Some(CLIENT), None] {
        let mut wire = Wire::from_the_middle(client);
        wire.c("tail of a body").s("tail of an answer").c(get("/1")).s(ok("1")).c(post("/2", "x"));
        wire.expect(&["#0 GET /1", "#0 200 \"1\" for 0", "#1 POST /2 \"x\""]);
        assert_eq!(wire.reader.counts().skipped.total(), 31);
    }
}

#[test]
fn from_the_middle_a_response_tells_who_is_who() {
    let mut wire = Wire::from_the_middle(None);
    wire.s(ok("0")).c(get("/1")).s(ok("1"));
    wire.expect(&["#0 200 \"0\" for -", "#0 GET /1", "#1 200 \"1\" for 0"]);
}

#[test]
fn from_the_middle_nothing_is_invented() {
    let mut wire = Wire::from_the_middle(None);
    wire.c("\x16\x03\x01\x02").s("\x16\x03\x03").c("hello there HTTP/1.1").c("{\"a\": 1}\r\n\r\n");
    wire.close(CloseReason::Fin).expect(&[]);
}

#[test]
fn a_server_that_only_seems_to_begin_an_answer_does_not_stop_the_search() {
    let mut wire = Wire::from_the_middle(None);
    // Text that could be the start of a request line hangs on the server's side.
    wire.s("word and another").c(get("/1"));
    wire.expect(&["#0 GET /1"]);
}

#[test]
fn length_and_hash_of_a_body_with_a_hole_are_those_of_what_stands_before_it() {
    use sha2::{Digest, Sha256};
    let chunked = "POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\na\r\n01";
    for max_body in [None, Some(100)] {
        let mut wire = Wire::with(Config { max_body, hash_bodies: true, ..Config::default() });
        wire.c("POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\nab").c_gap(5).c("hij");
        wire.c(chunked).c_gap(4).c("6789\r\n0\r\n\r\n").c(post("/3", "whole"));
        let got: Vec<_> = wire.messages.iter().map(|m| (m.body_len, m.body_sha256)).collect();
        let want = ["ab", "01", "whole"]
            .map(|body| (body.len() as u64, Some(<[u8; 32]>::from(Sha256::digest(body)))));
        assert_eq!(got, want, "{max_body:?}");
    }
}

#[test]
fn the_first_message_of_all_is_known_though_it_is_not_put_out() {
    let config = Config { read_responses: true, emit_responses: false, ..Config::default() };
    let mut wire = Wire::open(config, Some(CLIENT), false);
    assert_eq!(wire.reader.first(), None);
    wire.s(ok("")).c(get("/1"));
    let request = wire.messages.first().map(|message| message.first_byte);
    assert_eq!(wire.messages.len(), 1);
    assert!(wire.reader.first().is_some_and(|first| Some(first) < request));
}
