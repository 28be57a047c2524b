//! What arrives at v2 over the wire transport is what was captured, byte for byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::model::ledger::{Failure, ShedLater, StatusClass};
use crate::model::{Anomaly, FlowKey, Message, OwnConnections};
use crate::replay::{HostHeader, Job, OnBreak, Order, ReplayConfig};

use super::message::{get, request};
use super::v2::{Reply, V2, answer};
use super::{config, replay, replay_jobs, within};

/// The bytes that arrive when this one message is sent; v2 answers once they have `len` bytes.
async fn bytes_of(config: impl Fn(&str) -> ReplayConfig, message: Message, len: usize) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let v2 = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let mut seen = vec![0; len];
        stream.read_exact(&mut seen).await.expect("all of it");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("answer");
        // Anything more would be wrong too.
        stream.read_to_end(&mut seen).await.expect("the end");
        seen
    });
    let counts = replay(&config(&url), vec![message]).await;
    assert_eq!(counts.answered.get(StatusClass::Success), 1, "{counts:?}");
    within(v2).await.expect("join")
}

/// Sends `head` and `body`, and asserts that exactly that arrives, with the marker.
async fn arrives_unchanged(head: &str, body: &[u8]) {
    let message = request(1, [head.as_bytes(), body].concat());
    let (fields, ending) = match head.strip_suffix("\r\n") {
        Some(fields) => (fields, "\r\n"),
        None => (head.strip_suffix('\n').expect("an empty line"), "\n"),
    };
    let marked = format!("{fields}X-Shadowtap: test-1{ending}{ending}");
    let expected = [marked.as_bytes(), body].concat();
    let seen = bytes_of(config, message, expected.len()).await;
    assert!(seen == expected, "{}\n became\n{}", head.escape_debug(), seen.escape_ascii());
}

#[tokio::test]
async fn heads_arrive_byte_for_byte() {
    for head in [
        "GET / HTTP/1.1\r\nHost: v1\r\n\r\n",
        "get /a/../b//c?x=%2f&y=|[]{}^\\ HTTP/1.1\r\nhOsT:v1\r\nB: 2 \r\nA:\t1\r\na: 3\r\n\r\n",
        "FOO * HTTP/1.1\r\nX_Under: 1\r\nEmpty:\r\n\r\n",
        "GET http://v1:80/x?y HTTP/1.1\r\nHost: v1\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n",
        "GET /ü HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\nHost: v1\n\n",
        "GET / HTTP/1.1\r\nHost: v1\r\nConnection: close\r\n\r\n",
    ] {
        arrives_unchanged(head, b"").await;
    }
}

#[tokio::test]
async fn bodies_arrive_byte_for_byte() {
    let sized =
        |len: usize| format!("POST / HTTP/1.1\r\nHost: v1\r\nContent-Length: {len}\r\n\r\n");
    for len in [0, 1, 4096, 4097, 3 << 20] {
        let body: Vec<u8> = (0..len).map(|i| (i * 7 / 3) as u8).collect();
        arrives_unchanged(&sized(len), &body).await;
    }
    let chunked = "PUT / HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n";
    arrives_unchanged(chunked, b"3\r\nabc\r\n002;x=\"y\"\r\nde\r\n0\r\nT: v\r\n\r\n").await;
    let expects = "PUT / HTTP/1.1\r\nHost: v1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    arrives_unchanged(expects, b"hi").await;
}

#[tokio::test]
async fn host_and_client_address_are_changed_on_request() {
    let config = |to: &str| ReplayConfig {
        host: HostHeader::Named("v2.example".into()),
        realip: Some("X-Real-IP".into()),
        ..config(to)
    };
    let expected = "GET / HTTP/1.1\r\nHost: v2.example\r\nAccept: */*\r\nX-Real-IP: 10.0.0.1\r\n\
                    X-Shadowtap: test-1\r\n\r\n";
    let seen = bytes_of(config, get(1, "/"), expected.len()).await;
    assert_eq!(String::from_utf8_lossy(&seen), expected);
}

#[tokio::test]
async fn each_captured_connection_has_one_at_v2_and_without_order_any_serves() {
    let v2 = V2::ok().await;
    let messages = || (0..20).map(|i| get(i % 4, "/")).collect();
    let counts = replay(&config(&v2.url()), messages()).await;
    assert_eq!((counts.answered.total(), v2.accepted()), (20, 4));
    let config = ReplayConfig { order: Order::None, concurrency: 1, ..config(&v2.url()) };
    let counts = replay(&config, messages()).await;
    assert_eq!((counts.answered.total(), v2.accepted()), (20, 5));
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let v2 = V2::ok().await;
    let config = ReplayConfig { max_idle: 2, concurrency: 1, ..config(&v2.url()) };
    let counts = replay(&config, (0..20).map(|i| get(i % 4, "/")).collect()).await;
    assert_eq!((counts.answered.total(), v2.accepted()), (20, 20), "of four, two are kept");
}

#[tokio::test]
async fn an_ambiguous_request_goes_on_a_connection_of_its_own() {
    let v2 = V2::ok().await;
    let mut odd = get(1, "/odd");
    odd.anomalies.insert(Anomaly::RepeatedLength);
    assert!(!odd.anomalies.is_ambiguous());
    odd.anomalies.insert(Anomaly::BothLengths);
    let counts = replay(&config(&v2.url()), vec![get(1, "/a"), odd, get(1, "/b")]).await;
    assert_eq!(counts.answered.total(), 3, "{counts:?}");
    let connections: Vec<usize> = v2.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 0]);
}

#[tokio::test]
async fn http_1_0_closes_unless_it_says_otherwise() {
    let v2 = V2::start(|_| {
        Reply::Write(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n".into(),
        )
    })
    .await;
    let old = || request(1, "GET / HTTP/1.0\r\n\r\n");
    replay(&config(&v2.url()), vec![old(), old()]).await;
    assert_eq!(v2.accepted(), 2);
    let kept = || request(1, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    replay(&config(&v2.url()), vec![kept(), kept()]).await;
    assert_eq!(v2.accepted(), 3);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_out_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 1000];
            stream.read_exact(&mut some).await.expect("the beginning");
            let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(refusal).await.expect("answer");
            // Neither read on nor closed.
            std::mem::forget(stream);
        }
    });
    let body = vec![b'x'; 20 << 20];
    let head = format!("POST / HTTP/1.1\r\nHost: v1\r\nContent-Length: {}\r\n\r\n", body.len());
    let large = request(1, [head.as_bytes(), &body].concat());
    let counts = replay(&config(&url), vec![large.clone(), large]).await;
    assert_eq!(counts.answered.get(StatusClass::ClientError), 2, "{counts:?}");
}

#[tokio::test]
async fn an_answer_in_one_byte_pieces_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        let mut buf = [0; 4096];
        while stream.read(&mut buf).await.is_ok_and(|len| len > 0) {
            let text =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
            for byte in text {
                stream.write_all(&[*byte]).await.expect("one byte");
                tokio::task::yield_now().await;
            }
        }
    });
    let counts = replay(&config(&url), (0..20).map(|_| get(1, "/")).collect()).await;
    assert_eq!(counts.answered.total(), 20, "{counts:?}");
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_the_connection() {
    let v2 =
        V2::start(|_| Reply::Write(b"HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n".into())).await;
    let counts = replay(&config(&v2.url()), vec![get(1, "/"), get(1, "/")]).await;
    assert_eq!(counts.answered.total(), 2, "{counts:?}");
    assert_eq!(v2.accepted(), 2);
}

#[tokio::test]
async fn the_head_has_a_time_limit_of_its_own() {
    let v2 = V2::start(|seen| match seen.target() {
        "/slow-body" => Reply::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".into()),
        _ => Reply::Hang,
    })
    .await;
    let limits = |head, all| ReplayConfig {
        head_timeout: Duration::from_millis(head),
        timeout: Duration::from_millis(all),
        ..config(&v2.url())
    };
    let start = std::time::Instant::now();
    let counts = replay(&limits(50, 20_000), vec![get(1, "/hang")]).await;
    assert_eq!(counts.failed.get(Failure::Timeout), 1, "{counts:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "not by the limit of the whole");
    let counts = replay(&limits(50, 300), vec![get(1, "/slow-body")]).await;
    assert_eq!(counts.failed.get(Failure::Timeout), 1, "{counts:?}");
}

#[tokio::test]
async fn own_connections_are_registered_before_they_are_made() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let own = OwnConnections::default();
    let config = ReplayConfig { own: Some(own.clone()), ..config(&url) };
    let v2 = tokio::spawn(async move {
        let (mut stream, peer) = listener.accept().await.expect("accept");
        let here = stream.local_addr().expect("address");
        let is_known = own.contains(&FlowKey::new(peer.into(), here.into()).0);
        let mut buf = [0; 1000];
        let _ = stream.read(&mut buf).await.expect("the request");
        stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.expect("answer");
        is_known
    });
    let counts = replay(&config, vec![get(1, "/")]).await;
    assert_eq!(counts.answered.total(), 1, "{counts:?}");
    assert!(v2.await.expect("join"));
}

#[tokio::test]
async fn a_unix_socket_is_a_target_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("v2.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("bind");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let mut buf = [0; 1000];
        while stream.read(&mut buf).await.is_ok_and(|len| len > 0) {
            stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.expect("answer");
        }
    });
    let to = format!("unix:{}", path.display());
    let counts = replay(&config(&to), vec![get(1, "/"), get(1, "/")]).await;
    assert_eq!((counts.answered.total(), counts.target), (2, to));
    let nobody = format!("unix:{}", folder.path().join("nobody").display());
    let counts = replay(&config(&nobody), vec![get(1, "/")]).await;
    assert_eq!(counts.failed.get(Failure::Connect), 1, "{counts:?}");
}

#[tokio::test]
async fn what_is_too_late_is_shed_as_lag() {
    let v2 = V2::ok().await;
    let config = ReplayConfig { max_lag: Some(Duration::from_secs(5)), ..config(&v2.url()) };
    let now = tokio::time::Instant::now();
    let ago = |seconds| now.checked_sub(Duration::from_secs(seconds));
    let jobs = [ago(60), ago(1), None].map(|due| Job { message: get(1, "/"), due, guard: () });
    let counts = replay_jobs(&config, jobs.into()).await;
    assert_eq!((counts.shed.get(ShedLater::Lag), counts.answered.total()), (1, 2), "{counts:?}");
    assert_eq!((counts.timing.send_lag.count, counts.timing.service.count), (1, 2));
    assert!(counts.timing.send_lag.p50_us >= 1_000_000);
}

#[tokio::test]
async fn a_break_ends_its_connection_when_asked_to() {
    let v2 = V2::start(|seen| match seen.target() {
        "/bad" => Reply::Reset(vec![]),
        _ => answer(200, "ok"),
    })
    .await;
    let messages = || vec![get(1, "/a"), get(1, "/bad"), get(1, "/b"), get(2, "/c"), get(1, "/d")];
    let counts = replay(&config(&v2.url()), messages()).await;
    assert_eq!((counts.answered.total(), counts.failed.total()), (4, 1), "{counts:?}");
    let config = ReplayConfig { on_break: OnBreak::Stop, ..config(&v2.url()) };
    let counts = replay(&config, messages()).await;
    assert_eq!((counts.answered.total(), counts.failed.total()), (2, 1), "{counts:?}");
    assert_eq!(counts.shed.get(ShedLater::PredecessorFailed), 2, "{counts:?}");
}
