//! Framing of both directions, as RFC 9112 section 6.3 lists it, and what is odd but read.

use super::*;

#[test]
fn pipelined_requests_in_one_segment() {
    Wire::new().c(get("/1") + &post("/2", "two") + &get("/3")).expect(&[
        "#0 GET /1",
        "#1 POST /2 \"two\"",
        "#2 GET /3",
    ]);
}

#[test]
fn chunked_with_extensions_and_trailers() {
    let mut wire = Wire::new();
    wire.c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.c("4;x=1\r\nWiki\r\n5\r\npedia\r\n0;last\r\nTrailer: yes\r\n\r\n").c(get("/next"));
    wire.expect(&["#0 POST / \"Wikipedia\"", "#1 GET /next"]);
    let message = &wire.messages[0];
    assert_eq!(message.header("trailer"), None);
    assert!(message.wire_body().ends_with(b"0;last\r\nTrailer: yes\r\n\r\n"));
}

#[test]
fn a_request_without_a_length_has_no_body() {
    Wire::new().c("POST /p HTTP/1.1\r\n\r\n").c(get("/n")).expect(&["#0 POST /p", "#1 GET /n"]);
}

#[test]
fn responses_end_by_length_by_chunks_or_with_the_connection() {
    let mut wire = Wire::new();
    wire.c(get("/1") + &get("/2") + &get("/3"));
    wire.messages.clear();
    wire.s(ok("one"))
        .s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n");
    wire.s("HTTP/1.0 200 OK\r\n\r\nuntil").s(" the end").s_fin();
    wire.expect(&[
        "#0 200 \"one\" for 0",
        "#1 200 \"two\" for 1",
        "#2 200 \"until the end\" for 2",
    ]);
}

#[test]
fn what_came_in_place_of_a_body_that_was_never_sent_is_not_kept_as_one() {
    let mut wire = Wire::new();
    wire.c("POST /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 900\r\n\r\n");
    wire.s("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    wire.c("GET /2 HTTP/1.1\r\nCoo").c("kie: a=secret\r\n\r\n").c_fin();
    wire.expect(&["#0 417 for 0", "#0 POST /1 incomplete [closed_early]"]);
}

#[test]
fn a_body_that_ends_with_the_connection_needs_a_clean_end() {
    for (why, anomaly) in [
        (CloseReason::Reset, "closed_early"),
        (CloseReason::EndOfCapture, "capture_ended"),
        (CloseReason::Idle, "timed_out"),
        (CloseReason::Evicted, "evicted"),
    ] {
        let mut wire = Wire::new();
        wire.c(get("/"));
        wire.messages.clear();
        let line = format!("#0 200 \"abc\" for 0 incomplete [{anomaly}]");
        wire.s("HTTP/1.1 200 OK\r\n\r\nabc").close(why).expect(&[&line]);
    }
}

#[test]
fn an_empty_body_until_close_is_whole() {
    let mut wire = Wire::new();
    wire.c(get("/")).s("HTTP/1.0 200 OK\r\n\r\n").s_fin();
    wire.expect(&["#0 GET /", "#0 200 for 0"]);
}

#[test]
fn known_lengths_cut_short_are_incomplete() {
    let mut wire = Wire::new();
    wire.c("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc").c_fin();
    wire.expect(&["#0 POST / \"abc\" incomplete [closed_early]"]);
    let mut wire = Wire::new();
    wire.c("GET / HTTP/1.1\r\nHost: a\r\nX:").close(CloseReason::EndOfCapture);
    wire.expect(&["#0 GET / incomplete [capture_ended]"]);
    // Not even a start line: no message.
    let mut wire = Wire::new();
    wire.c("GET / HT").close(CloseReason::EndOfCapture).expect(&[]);
    assert_eq!(wire.skipped(), ["resync:8"]);
}

#[test]
fn what_is_ambiguous_is_read_one_way_and_named() {
    for (fields, body, line) in [
        (
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "1\r\nx\r\n0\r\n\r\n",
            "#0 POST / \"x\" [both_lengths]",
        ),
        ("Content-Length: 3\r\nContent-Length: 4", "abc", "#0 POST / \"abc\" [several_lengths]"),
        ("Content-Length: 3, 3", "abc", "#0 POST / \"abc\" [repeated_length]"),
        ("Content-Length: 0x3", "", "#0 POST / [invalid_length]"),
        ("Transfer-Encoding: chunked, gzip", "", "#0 POST / [chunked_not_last]"),
    ] {
        let mut wire = Wire::new();
        wire.c(format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n{body}")).c(get("/next"));
        wire.expect(&[line, "#1 GET /next"]);
    }
}

#[test]
fn a_coding_in_http_1_0_is_read_and_named_both_ways() {
    let mut wire = Wire::new();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    wire.c(format!("POST / HTTP/1.0\r\nConnection: keep-alive\r\n{chunked}")).c(get("/next"));
    wire.s(format!("HTTP/1.0 200 OK\r\n{chunked}")).s(ok("next"));
    wire.expect(&[
        "#0 POST / \"x\" [coding_in_http10]",
        "#1 GET /next",
        "#0 200 \"x\" for 0 [coding_in_http10]",
        "#1 200 \"next\" for 1",
    ]);
    assert!(wire.messages[0].anomalies.is_ambiguous());
}

#[test]
fn what_is_odd_but_read_is_named() {
    for (text, line) in [
        ("GET / HTTP/1.1\nHost: a\n\n", "#0 GET / [bare_lf]"),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "#0 GET / [obs_fold]"),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "#0 GET / [leading_empty_line]"),
        ("GET http://a/b?c HTTP/1.1\r\n\r\n", "#0 GET http://a/b?c"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "#0 OPTIONS *"),
        ("PROPFIND /d HTTP/1.1\r\n\r\n", "#0 PROPFIND /d"),
        ("M-SEARCH * HTTP/1.1\r\n\r\n", "#0 M-SEARCH *"),
        ("get /lower HTTP/1.0\r\n\r\n", "#0 get /lower"),
        ("GET /a b HTTP/1.1\r\n\r\n", "#0 GET /a b [odd_target]"),
        ("GET /{}|\\^`\"<> HTTP/1.1\r\n\r\n", "#0 GET /{}|\\\\^`\\\"<>"),
        ("GET / HTTP/1.9\r\n\r\n", "#0 GET / [odd_version]"),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", "#0 GET / [space_before_colon]"),
        ("GET / HTTP/1.1\r\nnonsense\r\n\r\n", "#0 GET / [invalid_field]"),
    ] {
        let mut wire = Wire::new();
        wire.c(text).c(get("/next"));
        wire.expect(&[line, "#1 GET /next"]);
    }
}

#[test]
fn a_body_that_looks_like_heads_is_a_body() {
    let inner = get("/inner") + "Transfer-Encoding: chunked\r\n\r\n" + &post("/deeper", "x");
    let mut wire = Wire::new();
    wire.c(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", inner.len()));
    // In segments of its own, each beginning like a request.
    wire.c(get("/inner")).c("Transfer-Encoding: chunked\r\n\r\n").c(post("/deeper", "x"));
    wire.c(get("/next"));
    assert_eq!(wire.messages.len(), 2);
    assert_eq!(wire.messages[0].body, inner);
    let mut wire = Wire::new();
    let answer = ok("HTTP/1.1 500 No\r\n\r\n");
    wire.c(get("/")).s(&answer[..39]).s(&answer[39..]).s("").c(get("/next")).s(ok("x"));
    let (first, last) = (&wire.messages[1], &wire.messages[3]);
    assert_eq!(
        (first.body.as_ref(), show(last).as_str()),
        (&b"HTTP/1.1 500 No\r\n\r\n"[..], "#1 200 \"x\" for 1")
    );
}

#[test]
fn chunk_data_that_looks_like_the_end_is_data() {
    let mut wire = Wire::new();
    wire.c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab0\r\n\r\nc");
    wire.expect(&[]);
    wire.c("d\r\n0\r\n\r\n").expect(&["#0 POST / \"ab0\\r\\n\\r\\ncd\""]);
}

#[test]
fn broken_chunks_are_named_and_reading_goes_on_at_the_next_message() {
    let mut wire = Wire::new();
    wire.c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX\r\n");
    wire.c(get("/next"));
    wire.expect(&["#0 POST / \"abc\" incomplete [invalid_chunk]", "#1 GET /next"]);
}

#[test]
fn status_codes_that_are_not_registered() {
    let mut wire = Wire::new();
    wire.c(get("/1") + &get("/2")).s("HTTP/1.1 520 Odd\r\nContent-Length: 1\r\n\r\nx");
    wire.s("HTTP/1.1 999\r\nContent-Length: 0\r\n\r\n");
    wire.expect(&["#0 GET /1", "#1 GET /2", "#0 520 \"x\" for 0", "#1 999 for 1"]);
}
