//! What arrives at v2 with reqwest is what was captured, as far as that client can.

use sha2::{Digest, Sha256};

use crate::model::Message;
use crate::model::ledger::{Failure, StatusClass};
use crate::replay::{Client, HostHeader, ReplayConfig};

use super::message::{dechunked, get, request};
use super::replay;
use super::v2::{Reply, Seen, V2, answer};

fn config(to: &str) -> ReplayConfig {
    ReplayConfig { client: Client::Reqwest, ..super::config(to) }
}

/// What arrives when this one message is sent.
async fn arrives(message: Message) -> Seen {
    let v2 = V2::ok().await;
    let counts = replay(&config(&v2.url()), vec![message]).await;
    assert_eq!(counts.answered.get(StatusClass::Success), 1, "{counts:?}");
    v2.only()
}

#[tokio::test]
async fn the_head_arrives_in_order_and_the_marker_is_last() {
    let seen = arrives(request(
        1,
        "PATCH /a?b=%2f HTTP/1.1\r\nX-First: 1\r\nHost: v1.example\r\nUser-Agent: test\r\n\
         Accept: text/html\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\nX_Under: 2\r\n\r\n",
    ))
    .await;
    assert_eq!(seen.line(), "PATCH /a?b=%2f HTTP/1.1");
    assert_eq!(
        seen.fields(),
        [
            "x-first: 1",
            "host: v1.example",
            "user-agent: test",
            "accept: text/html",
            "accept-encoding: gzip",
            "cookie: a=b",
            "x_under: 2",
            "x-shadowtap: test-1",
        ]
    );
    assert_eq!(seen.body, b"");
}

#[tokio::test]
async fn nothing_is_added_but_accept_host_and_marker() {
    let seen = arrives(request(1, "GET / HTTP/1.1\r\nHost: v1\r\n\r\n")).await;
    assert_eq!(seen.fields(), ["host: v1", "accept: */*", "x-shadowtap: test-1"]);
    let seen = arrives(request(1, "GET / HTTP/1.0\r\nAccept: a\r\n\r\n")).await;
    assert_eq!(seen.line(), "GET / HTTP/1.0");
    assert!(seen.values("host")[0].starts_with("127.0.0.1:"), "{seen:?}");
    assert_eq!(seen.fields()[1..], ["accept: a", "x-shadowtap: test-1"]);
}

#[tokio::test]
async fn duplicates_are_kept_in_order_at_the_place_of_the_first() {
    let seen =
        arrives(request(1, "GET / HTTP/1.1\r\nA: 1\r\nHost: v1\r\nB: 2\r\na: 3\r\nA: 1\r\n\r\n"))
            .await;
    assert_eq!(seen.fields()[..5], ["a: 1", "a: 3", "a: 1", "host: v1", "b: 2"]);
}

#[tokio::test]
async fn odd_values_arrive_byte_for_byte() {
    let mut raw = b"GET / HTTP/1.1\r\nHost: v1\r\nLatin: caf\xe9 \xff\r\nEmpty:\r\n".to_vec();
    raw.extend_from_slice(b"Tab: a\tb\r\nUtf: \xc3\xbc\r\nAccept: */*\r\n\r\n");
    let seen = arrives(request(1, raw)).await;
    assert_eq!(seen.values("latin"), ["caf\u{e9} \u{ff}"]);
    assert_eq!(seen.values("empty"), [""]);
    assert_eq!(seen.values("tab"), ["a\tb"]);
    assert_eq!(seen.values("utf"), ["\u{c3}\u{bc}"]);
}

#[tokio::test]
async fn a_folded_value_is_on_one_line() {
    let mut message = request(1, "GET / HTTP/1.1\r\nHost: v1\r\nFolded: a;;; b\r\n\r\n");
    let folded = String::from_utf8_lossy(&message.raw).replace(";;;", "\r\n\t");
    message.raw = folded.into_bytes().into();
    assert_eq!(arrives(message).await.values("folded"), ["a  \t b"]);
}

#[tokio::test]
async fn what_concerns_v1s_connection_only_is_left_out() {
    let seen = arrives(request(
        1,
        "POST / HTTP/1.1\r\nHost: v1\r\nExpect: 100-continue\r\nConnection: Upgrade, TE\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\nTE: trailers\r\nContent-Length: 2\r\n\
         X-Shadowtap: forged-7\r\nAccept: */*\r\n\r\nhi",
    ))
    .await;
    let expected = [
        "host: v1",
        "connection: TE",
        "te: trailers",
        "content-length: 2",
        "accept: */*",
        "x-shadowtap: test-1",
    ];
    assert_eq!(seen.fields(), expected);
    assert_eq!(seen.body, b"hi");
}

#[tokio::test]
async fn connection_close_is_passed_on_and_obeyed() {
    let v2 = V2::ok().await;
    let closing = request(1, "GET / HTTP/1.1\r\nHost: v1\r\nConnection: close\r\n\r\n");
    let counts = replay(&config(&v2.url()), vec![closing, get(1, "/")]).await;
    assert_eq!((counts.answered.total(), v2.accepted()), (2, 2));
    assert_eq!(v2.seen()[0].values("connection"), ["close"]);
}

#[tokio::test]
async fn a_length_of_zero_is_neither_invented_nor_lost() {
    for method in ["GET", "POST", "DELETE", "HEAD"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: v1\r\n");
        let without = arrives(request(1, format!("{head}\r\n"))).await;
        assert!(without.values("content-length").is_empty(), "{without:?}");
        assert!(without.values("transfer-encoding").is_empty(), "{without:?}");
        let with = arrives(request(1, format!("{head}Content-Length: 0\r\n\r\n"))).await;
        assert_eq!(with.values("content-length"), ["0"], "{method}");
    }
}

#[tokio::test]
async fn a_get_keeps_its_body() {
    let raw = "GET / HTTP/1.1\r\nHost: v1\r\nContent-Length: 4\r\n\r\nbody";
    let seen = arrives(request(1, raw)).await;
    assert_eq!((seen.values("content-length"), &seen.body[..]), (vec!["4"], &b"body"[..]));
}

#[tokio::test]
async fn a_chunked_body_is_chunked_again() {
    let head = "PUT / HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let seen = arrives(request(1, format!("{head}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"))).await;
    assert_eq!(seen.values("transfer-encoding"), ["chunked"]);
    assert!(seen.values("content-length").is_empty());
    assert_eq!(dechunked(&seen.body), b"abcde");
    let empty = arrives(request(1, format!("{head}0\r\n\r\n"))).await;
    assert_eq!(empty.values("transfer-encoding"), ["chunked"]);
    assert_eq!(empty.body, b"0\r\n\r\n");
}

#[tokio::test]
async fn a_chunked_body_of_http_1_0_gets_a_length() {
    let raw = "PUT / HTTP/1.0\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let seen = arrives(request(1, raw)).await;
    assert_eq!(seen.values("content-length"), ["1"]);
    assert!(seen.values("transfer-encoding").is_empty());
    assert_eq!(seen.body, b"a");
}

#[tokio::test]
async fn a_v2_that_speaks_http_1_0_still_gets_the_whole_body() {
    let v2 = V2::start(|_| {
        Reply::Write(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n".to_vec(),
        )
    })
    .await;
    let raw = "PUT / HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let counts = replay(&config(&v2.url()), (0..4).map(|_| request(1, raw)).collect()).await;
    assert_eq!(counts.answered.total(), 4, "{counts:?}");
    let body = |seen: &Seen| match seen.values("content-length").is_empty() {
        true => dechunked(&seen.body),
        false => seen.body.clone(),
    };
    assert!(v2.seen().iter().all(|seen| body(seen) == b"a"), "{:?}", v2.seen());
}

#[tokio::test]
async fn a_large_binary_body_arrives_whole() {
    let body: Vec<u8> =
        (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sized = format!("POST / HTTP/1.1\r\nHost: v1\r\nContent-Length: {}\r\n\r\n", body.len());
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    let seen = arrives(request(1, [sized.as_bytes(), &body].concat())).await;
    assert_eq!(Sha256::digest(&seen.body), Sha256::digest(&body));
    let raw = [chunked.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let seen = arrives(request(1, raw)).await;
    assert_eq!(Sha256::digest(dechunked(&seen.body)), Sha256::digest(&body));
}

#[tokio::test]
async fn the_host_is_the_captured_the_targets_or_the_one_named() {
    let v2 = V2::ok().await;
    let mut config = config(&v2.url());
    let message = || request(1, "GET / HTTP/1.1\r\nA: b\r\nHost: v1:81\r\nHost: two\r\n\r\n");
    for host in [HostHeader::Original, HostHeader::Target, HostHeader::Named("x.example".into())] {
        config.host = host;
        assert_eq!(replay(&config, vec![message()]).await.answered.total(), 1);
    }
    let hosts: Vec<String> = v2.seen().iter().map(|s| s.values("host").join(",")).collect();
    assert_eq!(hosts, ["v1:81,two".to_owned(), v2.addr.to_string(), "x.example".to_owned()]);
    assert!(v2.seen().iter().all(|s| s.fields()[0] == "a: b"), "in its place");
}

#[tokio::test]
async fn a_prefix_is_put_before_the_path() {
    let v2 = V2::ok().await;
    let config = config(&format!("{}/shadow/", v2.url()));
    let messages = ["/", "/a?b", "//c", "http://v1/d"].map(|path| get(1, path));
    assert_eq!(replay(&config, messages.to_vec()).await.answered.total(), 4);
    let targets: Vec<String> = v2.seen().iter().map(|s| s.target().to_owned()).collect();
    assert_eq!(targets, ["/shadow/", "/shadow/a?b", "/shadow//c", "/shadow/d"]);
}

#[tokio::test]
async fn the_marker_counts_up() {
    let v2 = V2::ok().await;
    let counts = replay(&config(&v2.url()), (0..5).map(|_| get(1, "/")).collect()).await;
    assert_eq!(counts.answered.total(), 5);
    let markers: Vec<String> =
        v2.seen().iter().map(|s| s.fields().last().expect("fields").to_string()).collect();
    assert_eq!(markers, (1..=5).map(|n| format!("x-shadowtap: test-{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn redirects_are_not_followed_and_cookies_not_kept() {
    let v2 = V2::start(|_| {
        Reply::Write(
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\n\
              Content-Length: 0\r\n\r\n"
                .to_vec(),
        )
    })
    .await;
    let counts = replay(&config(&v2.url()), vec![get(1, "/1"), get(1, "/2")]).await;
    assert_eq!(counts.answered.get(StatusClass::Redirection), 2);
    let seen = v2.seen();
    assert_eq!(seen.iter().map(Seen::target).collect::<Vec<_>>(), ["/1", "/2"]);
    assert!(seen.iter().all(|s| s.values("cookie").is_empty() && s.values("referer").is_empty()));
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_use() {
    let v2 = V2::start(|seen| match seen.line().split(' ').next() {
        Some("HEAD") => Reply::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n".to_vec()),
        Some("PUT") => Reply::Write(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        Some("PATCH") => {
            Reply::Write(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_vec())
        }
        _ => answer(200, "ok"),
    })
    .await;
    let messages = ["HEAD", "PUT", "PATCH", "GET"]
        .map(|method| request(1, format!("{method} / HTTP/1.1\r\nHost: v1\r\n\r\n")));
    let counts = replay(&config(&v2.url()), messages.to_vec()).await;
    assert_eq!(counts.answered.total(), 4, "{counts:?}");
    // The pool may have started one more connection while this one was becoming free.
    assert!(v2.seen().iter().all(|s| s.connection <= 1), "{:?}", v2.seen());
}

#[tokio::test]
async fn proxies_from_the_environment_are_not_used() {
    const PROBE: &str = "SHADOWTAP_TEST_PROXY_PROBE";
    if std::env::var_os(PROBE).is_none() {
        // The environment is read when the client is made, so it has to be another process.
        let this = std::env::current_exe().expect("test binary");
        let test = "replay::tests::reqwest::proxies_from_the_environment_are_not_used";
        let dead = "http://127.0.0.1:1";
        let status = tokio::task::spawn_blocking(move || {
            std::process::Command::new(this)
                .args([test, "--exact"])
                .env(PROBE, "1")
                .envs([("HTTP_PROXY", dead), ("http_proxy", dead), ("ALL_PROXY", dead)])
                .env_remove("NO_PROXY")
                .env_remove("no_proxy")
                .output()
        });
        let output = status.await.expect("join").expect("run");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    assert_eq!(arrives(get(1, "/")).await.target(), "/");
}

#[tokio::test]
async fn what_the_client_cannot_express_is_unsendable_and_nothing_arrives() {
    let v2 = V2::ok().await;
    let messages = [
        request(1, "GET /a/../b HTTP/1.1\r\nHost: v1\r\n\r\n"),
        request(2, "OPTIONS * HTTP/1.1\r\nHost: v1\r\n\r\n"),
        request(3, "CONNECT v1:443 HTTP/1.1\r\nHost: v1\r\n\r\n"),
    ];
    let counts = replay(&config(&v2.url()), messages.to_vec()).await;
    assert_eq!(counts.failed.get(Failure::Unsendable), 3, "{counts:?}");
    assert_eq!(v2.accepted(), 0);
}

#[tokio::test]
async fn a_target_too_long_for_the_client_is_unsendable() {
    let v2 = V2::ok().await;
    let counts =
        replay(&config(&v2.url()), vec![get(1, &format!("/{}", "x".repeat(70_000)))]).await;
    assert_eq!(counts.failed.get(Failure::Unsendable), 1, "{counts:?}");
}
