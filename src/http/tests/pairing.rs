//! Responses and their requests: interim answers, HEAD, 204, 304, CONNECT, Upgrade, Expect.

use super::*;

#[test]
fn pipelined_responses_answer_in_order() {
    let mut wire = Wire::new();
    wire.c(get("/0") + &get("/1")).c("HEAD /2 HTTP/1.1\r\n\r\n").c(get("/3") + &get("/4"));
    wire.messages.clear();
    let bodiless = "Content-Length: 99\r\n\r\n";
    wire.s(ok("a") + &format!("HTTP/1.1 304 Not Modified\r\n{bodiless}"));
    wire.s(format!("HTTP/1.1 200 OK\r\n{bodiless}HTTP/1.1 204 No\r\n\r\n") + &ok("e"));
    wire.expect(&[
        "#0 200 \"a\" for 0",
        "#1 304 for 1",
        "#2 200 for 2",
        "#3 204 for 3",
        "#4 200 \"e\" for 4",
    ]);
}

#[test]
fn a_connection_ends_once_behind_its_last_request_and_only_if_it_had_any() {
    let mut wire = Wire::new();
    wire.c(get("/0")).s(ok("a"));
    assert_eq!(wire.reader.ended(), [0; 0], "more may come");
    wire.c_fin();
    assert_eq!(wire.reader.ended(), [0]);
    wire.s_fin().close(CloseReason::Fin);
    assert_eq!(wire.reader.ended(), [0; 0], "it was told");
    let mut reset = Wire::new();
    reset.c(get("/0")).s_fin();
    assert_eq!(reset.reader.ended(), [0; 0], "the server cannot end it alone");
    reset.close(CloseReason::Reset);
    assert_eq!(reset.reader.ended(), [0]);
    let mut empty = Wire::new();
    empty.c_fin().close(CloseReason::Fin);
    assert_eq!(empty.reader.ended(), [0; 0]);
}

#[test]
fn interim_responses_belong_to_the_request_that_waits() {
    let mut wire = Wire::new();
    wire.c("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    wire.s("HTTP/1.1 100 Continue\r\nX: odd length\r\n\r\n").c("abc");
    wire.s("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").s(ok("done"));
    wire.expect(&["#0 100 for 0", "#0 POST / \"abc\"", "#1 103 for 0", "#2 200 \"done\" for 0"]);
}

#[test]
fn a_refused_expectation_may_be_followed_by_the_next_request() {
    for answer in ["HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", &ok("fine")] {
        let mut wire = Wire::new();
        wire.c("POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 50\r\n\r\n");
        wire.s(answer).c(get("/next")).s(ok("x"));
        let lines: Vec<String> = wire.messages.iter().map(show).collect();
        assert_eq!(lines[1], "#0 POST / incomplete [answered_early]");
        assert_eq!(lines[2], "#1 GET /next");
        assert_eq!(lines[3], "#1 200 \"x\" for 1");
    }
}

#[test]
fn a_refused_expectation_may_be_followed_by_the_body_all_the_same() {
    let mut wire = Wire::new();
    wire.c("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    wire.s("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").c("abc").c(get("/next"));
    wire.expect(&["#0 401 for 0", "#0 POST / \"abc\"", "#1 GET /next"]);
}

#[test]
fn without_an_answer_the_body_is_what_the_length_says() {
    let mut wire = Wire::new();
    let body = get("/in-the-body");
    let length = body.len();
    wire.c(format!("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"));
    wire.c(&body);
    assert_eq!(wire.messages.len(), 1);
    assert_eq!(wire.messages[0].body, body);
}

#[test]
fn an_early_answer_does_not_end_the_request() {
    let mut wire = Wire::new();
    wire.c("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc").s(ok("early")).c("def");
    wire.expect(&["#0 200 \"early\" for 0", "#0 POST / \"abcdef\""]);
}

#[test]
fn connect_with_a_2xx_is_a_tunnel() {
    let mut wire = Wire::new();
    wire.c("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").s("HTTP/1.1 200 Connected\r\n\r\n\x16\x03");
    wire.c("\x16\x03\x01").c(get("/inside")).s(ok("inside"));
    wire.expect(&["#0 CONNECT a:443", "#0 200 for 0"]);
    assert!(wire.skipped().iter().all(|s| s.starts_with("upgraded:")), "{:?}", wire.skipped());
}

#[test]
fn connect_that_is_refused_goes_on() {
    let mut wire = Wire::new();
    wire.c("CONNECT a:443 HTTP/1.1\r\n\r\n").s("HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\nno");
    wire.c(get("/next"));
    wire.expect(&["#0 CONNECT a:443", "#0 405 \"no\" for 0", "#1 GET /next"]);
}

#[test]
fn connect_ends_the_http_part_when_the_answer_is_not_read() {
    let mut wire = Wire::with(Config::default());
    wire.c("CONNECT a:443 HTTP/1.1\r\n\r\n").c(get("/inside"));
    wire.expect(&["#0 CONNECT a:443"]);
}

#[test]
fn websocket_ends_the_http_part() {
    let mut wire = Wire::new();
    wire.c("GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    wire.s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02hi");
    wire.c(get("/looks-like-http")).s(ok("so does this"));
    wire.expect(&["#0 GET /chat", "#0 101 for 0"]);
    assert!(wire.skipped().iter().all(|s| s.starts_with("upgraded:")), "{:?}", wire.skipped());
    wire.close(CloseReason::Fin);
}

#[test]
fn an_upgrade_is_recognised_when_its_answer_is_not_read() {
    let mut wire = Wire::with(Config::default());
    wire.c("GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    wire.c("\x01\x02binary").c(get("/inside"));
    wire.expect(&["#0 GET /chat"]);
    assert!(wire.skipped()[0].starts_with("upgraded:"), "{:?}", wire.skipped());
}

#[test]
fn an_upgrade_that_is_refused_goes_on() {
    let upgrade = "GET /1 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let mut wire = Wire::new();
    wire.c(upgrade).s(ok("no")).c(get("/2")).s(ok("x"));
    wire.expect(&["#0 GET /1", "#0 200 \"no\" for 0", "#1 GET /2", "#1 200 \"x\" for 1"]);
    let mut wire = Wire::with(Config::default());
    wire.c(upgrade).c(get("/2")).expect(&["#0 GET /1", "#1 GET /2"]);
}

#[test]
fn h2c_ends_the_http_part_after_the_request_that_asked_for_it() {
    let mut wire = Wire::new();
    wire.c("POST /up HTTP/1.1\r\nUpgrade: h2c\r\nContent-Length: 6\r\n\r\nabc");
    wire.s("HTTP/1.1 101 Switching Protocols\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    wire.c("def").c("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").c(get("/inside"));
    wire.expect(&["#0 101 for 0", "#0 POST /up \"abcdef\""]);
    assert!(wire.skipped().iter().all(|s| s.starts_with("upgraded:")), "{:?}", wire.skipped());
}

#[test]
fn a_response_without_a_request_has_none() {
    let mut wire = Wire::new();
    wire.s("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").s_fin();
    wire.expect(&["#0 408 for -"]);
}

#[test]
fn requests_alone_are_read_when_the_server_is_not() {
    let mut wire = Wire::with(Config::default());
    wire.c(get("/1")).c("HEAD /2 HTTP/1.1\r\n\r\n").c(post("/3", "x"));
    wire.expect(&["#0 GET /1", "#1 HEAD /2", "#2 POST /3 \"x\""]);
    assert_eq!(wire.held(), 0);
}

#[test]
fn an_idle_connection_holds_nothing() {
    let mut wire = Wire::new();
    for _ in 0..3 {
        wire.c(get("/") + &get("/")).s(ok("a") + &ok("b"));
        assert_eq!(wire.held(), 0);
    }
}

#[test]
fn a_final_status_is_told_with_its_head_where_it_is_wanted() {
    let told = |wire: &mut Wire| {
        let statuses = wire.reader.statuses();
        statuses.iter().map(|seen| (seen.request, seen.status)).collect::<Vec<_>>()
    };
    for emit_responses in [false, true] {
        let mut wire = Wire::with(Config { tell_statuses: true, emit_responses, ..both() });
        wire.c("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
        wire.s("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n");
        assert_eq!(told(&mut wire), []);
        // Before the request is whole, before its own head is, and long before its body.
        wire.s("HTTP/1.1 413 Too Large\r\nContent-Le");
        assert_eq!(told(&mut wire), []);
        wire.s("ngth: 100\r\n\r\n");
        assert_eq!(told(&mut wire), [(0, 413)]);
        wire.c("abc").s([b'x'; 100]);
        assert_eq!(told(&mut wire), []);
        wire.c(get("/1") + &get("/2")).s(ok("a") + "HTTP/1.1 304 Not Modified\r\n\r\n");
        assert_eq!(told(&mut wire), [(1, 200), (2, 304)]);
    }
    let mut wire = Wire::new();
    wire.c(get("/0")).s(ok("a"));
    assert_eq!(told(&mut wire), [], "nobody wants to know");
}
