//! What is not HTTP/1.x is recognised and counted, never mangled.

use super::*;

#[test]
fn other_protocols_are_named_by_their_first_bytes() {
    for (bytes, protocol) in [
        (&b"\x16\x03\x01\x00\x05hello"[..], "tls"),
        (b"\x16", "tls"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"),
        (b"GET /old\r\n", "http09"),
        (b"GET /old HTTP\r\n\r\n", "http09"),
        (b"SSH-2.0-OpenSSH\r\n", "unknown"),
        (b"*1\r\n$4\r\nPING\r\n", "unknown"),
        (b"\0\0\0\x01", "unknown"),
        (b"GET / HTTP/3.0\r\n\r\n", "http09"),
    ] {
        let mut wire = Wire::new();
        wire.c(bytes).s("anything at all").c(get("/x")).close(CloseReason::Fin);
        wire.expect(&[]);
        assert_eq!(wire.protocols(), [protocol], "{}", bytes.escape_ascii());
        assert_eq!(wire.skipped().len(), 1);
    }
}

#[test]
fn the_same_is_said_however_the_bytes_arrive() {
    for (bytes, protocol) in [
        (&b"\x16\x03\x01\x00\x05hello"[..], "tls"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"),
        (b"GET /old\r\n", "http09"),
    ] {
        let mut wire = Wire::new();
        for byte in bytes {
            wire.c([*byte]);
        }
        assert_eq!(wire.close(CloseReason::Fin).protocols(), [protocol]);
    }
}

#[test]
fn a_server_that_speaks_first_is_no_http_server() {
    let mut wire = Wire::new();
    wire.s("220 mail.example ESMTP\r\n").c("EHLO me\r\n").s("250 ok\r\n").c(get("/x"));
    wire.close(CloseReason::Fin).expect(&[]);
    assert_eq!((wire.protocols(), wire.skipped().len()), (vec!["unknown"], 1));
}

#[test]
fn an_http09_answer_after_an_http1_request_is_skipped() {
    let mut wire = Wire::new();
    wire.c(get("/1")).s("<html>no status line</html>").c(get("/2")).s(ok("2"));
    wire.expect(&["#0 GET /1", "#1 GET /2", "#0 200 \"2\" for 1"]);
    assert_eq!(wire.skipped(), ["resync:27"]);
}

#[test]
fn http_that_turns_into_something_else_is_skipped() {
    let mut wire = Wire::new();
    wire.c(get("/1")).s(ok("1")).c("\x01\x02\x03garbage").c(get("/2"));
    wire.expect(&["#0 GET /1", "#0 200 \"1\" for 0", "#1 GET /2"]);
    assert_eq!(wire.skipped(), ["resync:10"]);
}
