//! Ways to send: one after the other, pipelined, in pieces, slowly; what cannot be copied; what is given up.

use super::bodies::{binary, chunked};
use super::{Abort, Case, Fate, How, named};

/// Three requests, of which each ends where the next begins.
fn three(name: &'static str) -> Case {
    let get = named(name, b"GET /NAME/1 HTTP/1.1\r\nHost: v1\r\n\r\n");
    let sized = named(name, b"POST /NAME/2 HTTP/1.1\r\nHost: v1\r\nContent-Length: 5\r\n\r\nhello");
    let in_chunks = named(
        name,
        b"PUT /NAME/3 HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n\
          5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
    );
    Case { name, requests: vec![get, sized, in_chunks], how: How::InTurn, fate: Fate::Copied }
}

/// A POST of so many bytes.
fn large(name: &'static str, len: usize) -> Case {
    let head = format!("POST /{name} HTTP/1.1\r\nHost: v1\r\nContent-Length: {len}\r\n\r\n");
    Case::new(name, [head.as_bytes(), &binary(len)].concat())
}

/// With more requests of one kind behind it.
fn many(name: &'static str, count: usize) -> Case {
    let get = |n| format!("GET /{name}/{n} HTTP/1.1\r\nHost: v1\r\n\r\n").into_bytes();
    Case { requests: (0..count).map(get).collect(), ..three(name) }
}

pub fn cases() -> impl Iterator<Item = Case> {
    copied().into_iter().chain(not_replayable()).chain(aborted())
}

fn copied() -> Vec<Case> {
    let mut http10 = three("keep-alive-1.0");
    http10.requests = (0..3)
        .map(|n| format!("GET /old/{n} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").into_bytes())
        .collect();
    vec![
        http10,
        three("in-turn"),
        three("together").how(How::Together(b"")),
        three("empty-lines-before").how(How::Together(b"\r\n\n\r\n")),
        three("every-byte").how(How::Pieces(1, 0)),
        three("every-byte-slowly").how(How::Pieces(1, 1)),
        three("by-three").how(How::Pieces(3, 0)),
        three("by-seven-slowly").how(How::Pieces(7, 3)),
        three("by-fifty").how(How::Pieces(50, 5)),
        many("fifty-in-turn", 50),
        many("fifty-together", 50).how(How::Together(b"")),
        many("thousand-together", 1_000).how(How::Together(b"")),
        many("cut-oddly", 20).how(How::Pieces(41, 1)),
        large("slow-body", 20_000).how(How::Pieces(700, 3)),
        large("large-in-pieces", 1 << 20).how(How::Pieces(9_999, 0)),
        Case::new("chunks-in-pieces", {
            let head = b"POST /chunks-in-pieces HTTP/1.1\r\nHost: v1\r\ntransfer-encoding: chunked\r\n\r\n";
            [&head[..], &chunked(&binary(3_000), 11)].concat()
        })
        .how(How::Pieces(13, 0)),
    ]
}

fn not_replayable() -> Vec<Case> {
    const TEXTS: [(&str, &[u8]); 4] = [
        ("connect", b"CONNECT v1:443 HTTP/1.1\r\nHost: v1:443\r\n\r\n"),
        (
            "websocket",
            b"GET /NAME HTTP/1.1\r\nHost: v1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        (
            "h2c",
            b"GET /NAME HTTP/1.1\r\nHost: v1\r\nConnection: Upgrade, HTTP2-Settings\r\n\
            Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        ),
        (
            "upgrade-post",
            b"POST /NAME HTTP/1.1\r\nHost: v1\r\nupgrade: x/1\r\nContent-Length: 2\r\n\r\nok",
        ),
    ];
    TEXTS.map(|(name, text)| Case::of(name, text).fate(Fate::NotReplayable)).into()
}

fn aborted() -> Vec<Case> {
    const TEXTS: [(&str, Abort, &[u8]); 8] = [
        ("abort-head", Abort::Fin, b"GET /NAME HTTP/1.1\r\nHost: v1\r\nA: "),
        ("abort-head-reset", Abort::Rst, b"GET /NAME HTTP/1.1\r\nHost: v1\r\n"),
        ("abort-empty-line", Abort::Fin, b"GET /NAME HTTP/1.1\r\nHost: v1\r\n\r"),
        ("abort-body", Abort::Fin, b"POST /NAME HTTP/1.1\r\nContent-Length: 9\r\n\r\n12345678"),
        ("abort-body-reset", Abort::Rst, b"POST /NAME HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"),
        ("abort-no-body", Abort::Rst, b"POST /NAME HTTP/1.1\r\nContent-Length: 9\r\n\r\n"),
        (
            "abort-chunk",
            Abort::Rst,
            b"PUT /NAME HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx",
        ),
        (
            "abort-trailers",
            Abort::Fin,
            b"PUT /NAME HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n",
        ),
    ];
    let mut cases: Vec<Case> = TEXTS
        .iter()
        .map(|(name, how, text)| Case::of(name, text).fate(Fate::Aborted(*how)))
        .collect();
    let mut behind = three("abort-behind-others");
    behind.requests.push(b"GET /abort-behind-others/4 HTTP/1.1\r\nHost".to_vec());
    cases.push(behind.fate(Fate::Aborted(Abort::Fin)));
    cases
}
