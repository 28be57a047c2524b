//! Limits: exactly at them and one beyond; hostile senders.

use super::*;

fn limited(max_body: Option<u64>, max_head: usize) -> Wire {
    Wire::with(Config { max_body, max_head, hash_bodies: true, ..both() })
}

#[test]
fn a_body_at_the_limit_is_kept_and_one_beyond_is_not() {
    for chunked in [false, true] {
        let body = |len: usize| {
            let data = "x".repeat(len);
            match chunked {
                false => format!("POST / HTTP/1.1\r\nContent-Length: {len}\r\n\r\n{data}"),
                true => format!(
                    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                     {len:x}\r\n{data}\r\n0\r\n\r\n"
                ),
            }
        };
        let mut wire = limited(Some(100), 1000);
        wire.c(body(100)).c(body(101)).c(get("/next"));
        let [exact, beyond, next] = &wire.messages[..] else { panic!("three messages") };
        assert_eq!((exact.completion, exact.body.len()), (Completion::Complete, 100));
        assert_eq!((beyond.completion, beyond.body.len()), (Completion::TooLarge, 0));
        assert_eq!((beyond.body_len, beyond.raw.len()), (101, beyond.head_len));
        assert!(beyond.body_sha256.is_some() && beyond.body_sha256 != exact.body_sha256);
        assert_eq!(show(next), "#2 GET /next");
        assert!(wire.held() < 200, "{}", wire.held());
    }
}

#[test]
fn nothing_is_held_for_a_body_that_will_not_be_kept() {
    for (max_body, length) in [(Some(100), 1u64 << 40), (None, 1 << 40), (Some(1 << 50), 1 << 40)] {
        let mut wire = limited(max_body, 1000);
        wire.c(format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\nsome"));
        assert!(wire.held() < 100_000, "{}", wire.held());
    }
    // Chunked: given back as soon as the limit is passed.
    let mut wire = limited(Some(1000), 1000);
    wire.c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n");
    wire.c([b'x'; 900]);
    assert!(wire.held() >= 1800);
    wire.c([b'x'; 900]);
    assert!(wire.held() < 1000, "{}", wire.held());
}

#[test]
fn chunks_that_are_nearly_all_framing_have_a_limit_too() {
    let mut wire = limited(Some(1000), 1000);
    wire.c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("1;{}\r\nx\r\n", "e".repeat(15_000));
    for _ in 0..100 {
        wire.c(&chunk);
        assert!(wire.held() < 4 << 20);
    }
    wire.c("0\r\n\r\n").c(get("/next"));
    assert_eq!(wire.messages[0].completion, Completion::TooLarge);
    assert_eq!((wire.messages[0].body_len, wire.messages.len()), (100, 2));
}

#[test]
fn a_head_at_the_limit_is_read_and_one_beyond_is_incomplete() {
    let head = |len: usize| {
        let rest = "GET / HTTP/1.1\r\nA: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(len - rest))
    };
    for in_pieces in [false, true] {
        let mut wire = limited(Some(100), 200);
        for text in [head(200), head(201), get("/next")] {
            let size = if in_pieces { 7 } else { 1000 };
            for piece in text.as_bytes().chunks(size) {
                wire.c(piece);
            }
            assert!(wire.held() < 1000);
        }
        let lines: Vec<String> = wire.messages.iter().map(show).collect();
        assert_eq!(lines[..2], ["#0 GET /", "#1 GET / incomplete [head_too_large]"]);
        assert_eq!(lines.last().unwrap(), "#2 GET /next");
    }
}

#[test]
fn nothing_in_a_head_over_the_limit_is_a_message() {
    let mut wire = limited(Some(100), 200);
    wire.c(format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(300)));
    wire.c("GET /in-a-value HTTP/1.1\r\nB: c\r\n");
    wire.c("GET /in-a-name HTTP/1.1\r\nB: c\r\n").c("\r").c("\n").c(get("/next"));
    wire.expect(&["#0 GET / incomplete [head_too_large]", "#1 GET /next"]);
}

#[test]
fn too_many_fields_are_named_and_framing_goes_on() {
    let mut wire = limited(Some(100), 1 << 20);
    let fields = "a: b\r\n".repeat(5000);
    wire.c(format!("POST / HTTP/1.1\r\n{fields}Content-Length: 3\r\n\r\nabc")).c(get("/next"));
    wire.expect(&["#0 POST / \"abc\" incomplete [head_too_large]", "#1 GET /next"]);
}

#[test]
fn an_endless_line_or_trailer_has_an_end() {
    for endless in ["\r", "x", "x: y\r\n"] {
        let mut wire = limited(Some(100), 1000);
        wire.c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
        for _ in 0..70_000 {
            wire.c(endless);
        }
        assert_eq!(show(&wire.messages[0]), "#0 POST / incomplete [invalid_chunk]");
        assert!(wire.held() < 200_000);
    }
}

#[test]
fn what_looks_like_message_starts_out_of_step_is_held_within_the_head_limit() {
    let mut wire = limited(Some(100), 1000);
    wire.c(get("/1")).c_gap(5);
    for _ in 0..10_000 {
        wire.c("GET / HTTP/1.1\r\nA: b\r\n");
        assert!(wire.held() < 4000, "{}", wire.held());
    }
    // Such a candidate may be the next message: it ends with the limit, and then the next is found.
    for _ in 0..60 {
        wire.c("x".repeat(20));
    }
    wire.c(get("/2"));
    assert_eq!(show(wire.messages.last().unwrap()), "#1 GET /2");
}

#[test]
fn what_is_kept_of_an_idle_connection_stays_small() {
    assert!(size_of::<Connection>() <= 64, "{}", size_of::<Connection>());
}
