//! Every message cut at every byte, and byte by byte: always the same messages.

use super::*;

/// What a client says, and what its server answers.
const TALKS: [(&str, &str); 9] = [
    (
        "GET /a?b=c HTTP/1.1\r\nHost: x\r\nEmpty:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "POST /p HTTP/1.1\r\nContent-Length: 11\r\n\r\nGET / HTTP/1",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nT: v\r\n\r\n",
    ),
    (
        "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n00\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ),
    (
        "HEAD /h HTTP/1.1\r\n\r\nGET /n HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 304 N\r\n\r\n",
    ),
    (
        "\r\n\nGET /lf HTTP/1.1\nHost: x\n\n\r\nPUT /2 HTTP/1.0\nContent-Length: 1\n\nx",
        "HTTP/1.0 200\n\nuntil the end",
    ),
    (
        "GET /fold HTTP/1.1\r\nA: b\r\n\tc\r\nD : e\r\n\r\n",
        "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "GET /\u{e9} x HTTP/1.1\r\nBad\r\n\r\n",
        "HTTP/1.1 999 W\u{e4}h\r\nTransfer-Encoding: gzip\r\n\r\nxyz",
    ),
    ("GET /up HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n\x01\x02"),
    (
        "POST /bad HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 400 Bad\r\n\r\nno",
    ),
];

/// The messages and the counts, however the bytes arrive: the client's first, then the server's.
fn outcome(client: &[&[u8]], server: &[&[u8]]) -> (Vec<String>, Vec<String>) {
    let mut wire = Wire::with(Config { hash_bodies: true, ..both() });
    for piece in client {
        wire.c(piece);
    }
    for piece in server {
        wire.s(piece);
    }
    wire.c_fin().s_fin().close(CloseReason::Fin);
    let lines = wire.messages.iter().map(|message| {
        let fields: Vec<_> = message.headers().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        format!("{} {:?} {fields:?} {:?}", show(message), message.raw, message.body_sha256)
    });
    (lines.collect(), wire.skipped())
}

#[test]
fn cut_in_two_at_every_byte() {
    for (client, server) in TALKS {
        let (client, server) = (client.as_bytes(), server.as_bytes());
        let whole = outcome(&[client], &[server]);
        assert!(whole.0.len() >= 2, "{whole:?}");
        for cut in 1..client.len() {
            let (a, b) = client.split_at(cut);
            assert_eq!(outcome(&[a, b], &[server]), whole, "client cut at {cut}");
        }
        for cut in 1..server.len() {
            let (a, b) = server.split_at(cut);
            assert_eq!(outcome(&[client], &[a, b]), whole, "server cut at {cut}");
        }
    }
}

#[test]
fn byte_by_byte_and_in_every_size() {
    for (client, server) in TALKS {
        let (client, server) = (client.as_bytes(), server.as_bytes());
        let whole = outcome(&[client], &[server]);
        for size in 1..=client.len().max(server.len()) {
            let c: Vec<&[u8]> = client.chunks(size).collect();
            let s: Vec<&[u8]> = server.chunks(size).collect();
            assert_eq!(outcome(&c, &s), whole, "in pieces of {size}");
        }
    }
}

#[test]
fn out_of_step_too() {
    let text = get("/1") + &post("/2", "body") + &get("/3");
    let lines = ["#0 GET /1", "#1 POST /2 \"body\"", "#2 GET /3"];
    for size in 1..=text.len() {
        let mut wire = Wire::from_the_middle(Some(CLIENT));
        for piece in text.as_bytes().chunks(size) {
            wire.c(piece);
        }
        wire.expect(&lines);
        assert_eq!(wire.skipped(), [""; 0]);
    }
}
