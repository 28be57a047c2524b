//! Every cause of failure, by a server that really misbehaves so; and what counts as an answer.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::model::ledger::{Failure, StatusClass, TargetCounts};
use crate::model::tally::Cause;

use super::config;
use super::message::{get, request};
use super::v2::{Reply, V2, answer};
use crate::model::Message;
use crate::replay::{Client, ReplayConfig};

/// Sends these messages with either client, which must come to the same counts.
async fn replay(config: &ReplayConfig, messages: Vec<Message>) -> TargetCounts {
    let with = |client| ReplayConfig { client, ..config.clone() };
    let reqwest = super::replay(&with(Client::Reqwest), messages.clone()).await;
    let wire = super::replay(&with(Client::Wire), messages).await;
    assert_eq!((reqwest.answered, reqwest.failed), (wire.answered, wire.failed), "{config:?}");
    wire
}

/// The only failure, if that is all there is.
#[track_caller]
fn only_failure(counts: &TargetCounts) -> Failure {
    assert_eq!((counts.taken(), counts.failed.total()), (1, 1), "{counts:?}");
    let found = Failure::ALL.iter().find(|&&cause| counts.failed.get(cause) == 1);
    *found.expect("one is 1")
}

/// The failure of one GET at a server that replies so.
async fn failure_of(reply: fn() -> Reply) -> Failure {
    let v2 = V2::start(move |_| reply()).await;
    let counts = replay(&config(&v2.url()), vec![get(1, "/")]).await;
    assert_eq!(v2.seen().len(), 2, "sent exactly once by either");
    only_failure(&counts)
}

#[tokio::test]
async fn an_answer_counts_by_its_status() {
    let v2 = V2::start(|seen| {
        answer(seen.target().trim_start_matches('/').parse().expect("a status"), "x")
    })
    .await;
    let messages = [200, 201, 301, 404, 500, 999].map(|status| get(1, &format!("/{status}")));
    let counts = replay(&config(&v2.url()), messages.to_vec()).await;
    let by_class: Vec<u64> = counts.answered.iter().map(|(_, n)| n).collect();
    assert_eq!(by_class, [0, 2, 1, 1, 1, 1]);
    assert_eq!(counts.taken(), 6);
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let v2 = V2::start(|_| {
        Reply::Write(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
              HTTP/1.1 204 No Content\r\n\r\n"
                .to_vec(),
        )
    })
    .await;
    let counts = replay(&config(&v2.url()), vec![get(1, "/"), get(1, "/")]).await;
    assert_eq!(counts.answered.get(StatusClass::Success), 2, "{counts:?}");
}

#[tokio::test]
async fn an_answer_that_ends_with_the_connection_is_whole() {
    let v2 = V2::start(|_| Reply::Close(b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec())).await;
    let counts = replay(&config(&v2.url()), vec![get(1, "/"), get(1, "/")]).await;
    assert_eq!((counts.answered.total(), v2.accepted()), (2, 4), "{counts:?}");
}

#[tokio::test]
async fn a_name_without_address_is_resolve() {
    let counts = replay(&config("http://name.invalid"), vec![get(1, "/")]).await;
    assert_eq!(only_failure(&counts), Failure::Resolve);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let addr = listener.local_addr().expect("address");
    drop(listener);
    let counts = replay(&config(&format!("http://{addr}")), vec![get(1, "/")]).await;
    assert_eq!(only_failure(&counts), Failure::Refused);
}

#[tokio::test]
async fn an_unreachable_address_is_connect() {
    // A TCP connection cannot be made to a broadcast address.
    let counts = replay(&config("http://255.255.255.255"), vec![get(1, "/")]).await;
    assert_eq!(only_failure(&counts), Failure::Connect);
}

#[tokio::test]
async fn a_server_that_does_not_take_connections_is_connect() {
    // The backlog is full, so the kernel drops further SYNs.
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("bind");
    let listener = socket.listen(1).expect("listen");
    let addr = listener.local_addr().expect("address");
    let mut held = Vec::new();
    for _ in 0..8 {
        let connect = tokio::net::TcpStream::connect(addr);
        match tokio::time::timeout(Duration::from_millis(100), connect).await {
            Ok(stream) => held.push(stream.expect("connect")),
            Err(_) => break,
        }
    }
    let mut config = config(&format!("http://{addr}"));
    config.connect_timeout = Duration::from_millis(200);
    assert_eq!(only_failure(&replay(&config, vec![get(1, "/")]).await), Failure::Connect);
}

#[tokio::test]
async fn no_answer_in_time_is_timeout() {
    let v2 = V2::start(|_| Reply::Hang).await;
    let mut config = config(&v2.url());
    config.timeout = Duration::from_millis(100);
    assert_eq!(only_failure(&replay(&config, vec![get(1, "/")]).await), Failure::Timeout);
}

#[tokio::test]
async fn an_answer_that_does_not_end_in_time_is_timeout() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let v2 = V2::start(|_| Reply::Write(head.to_vec())).await;
    let mut config = config(&v2.url());
    config.timeout = Duration::from_millis(100);
    assert_eq!(only_failure(&replay(&config, vec![get(1, "/")]).await), Failure::Timeout);
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_is_reset() {
    assert_eq!(failure_of(|| Reply::Reset(vec![])).await, Failure::Reset);
    assert_eq!(failure_of(|| Reply::Close(vec![])).await, Failure::Reset);
    assert_eq!(failure_of(|| Reply::Close(b"HTTP/1.1 200 O".to_vec())).await, Failure::Reset);
}

#[tokio::test]
async fn a_connection_reset_at_once_is_connect_or_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let addr = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_zero_linger().expect("linger");
        }
    });
    let counts = super::replay(&config(&format!("http://{addr}")), vec![get(1, "/")]).await;
    // Whether connecting had already succeeded is a matter of microseconds.
    assert!(matches!(only_failure(&counts), Failure::Connect | Failure::Reset), "{counts:?}");
}

#[tokio::test]
async fn a_connection_that_ends_within_the_answer_is_broken_answer() {
    const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf";
    assert_eq!(failure_of(|| Reply::Close(SIZED.to_vec())).await, Failure::BrokenAnswer);
    assert_eq!(failure_of(|| Reply::Close(CHUNKED.to_vec())).await, Failure::BrokenAnswer);
    assert_eq!(failure_of(|| Reply::Reset(SIZED.to_vec())).await, Failure::BrokenAnswer);
}

#[tokio::test]
async fn what_is_not_http_is_invalid_answer() {
    assert_eq!(failure_of(|| Reply::Write(b"220 smtp ready\r\n".to_vec())).await, INVALID);
    assert_eq!(failure_of(|| Reply::Write(vec![0x15, 3, 1, 0, 2, 2, 70])).await, INVALID);
    const LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: lots\r\n\r\n";
    assert_eq!(failure_of(|| Reply::Write(LENGTH.to_vec())).await, INVALID);
    const CHUNK: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(failure_of(|| Reply::Write(CHUNK.to_vec())).await, INVALID);
}

const INVALID: Failure = Failure::InvalidAnswer;

#[tokio::test]
async fn a_failure_does_not_stop_those_after_it() {
    let v2 = V2::start(|seen| match seen.target() {
        "/bad" => Reply::Reset(vec![]),
        _ => answer(200, "ok"),
    })
    .await;
    let counts = replay(&config(&v2.url()), vec![get(1, "/bad"), get(1, "/good")]).await;
    assert_eq!((counts.failed.total(), counts.answered.total()), (1, 1), "{counts:?}");
}

#[tokio::test]
async fn connections_that_v2_closes_while_idle_cost_no_request() {
    // Says nothing of closing, and closes.
    let v2 =
        V2::start(|_| Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()))
            .await;
    for i in 0..20 {
        let counts = super::replay(&config(&v2.url()), vec![get(i, "/")]).await;
        assert_eq!(counts.answered.total(), 1, "{counts:?}");
    }
    let start = tokio::time::Instant::now();
    let job = |i: u32| super::Job {
        message: get(1, &format!("/{i}")),
        due: Some(start + Duration::from_millis(50) * i),
        guard: (),
    };
    let counts = super::replay_jobs(&config(&v2.url()), (0..10).map(job).collect()).await;
    assert_eq!(counts.answered.total(), 10, "{counts:?}");
    assert_eq!(v2.accepted(), 30);
}

#[tokio::test]
async fn a_race_with_v2_closing_never_sends_twice() {
    let v2 =
        V2::start(|_| Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()))
            .await;
    let messages =
        (0..500).map(|i| request(i % 4, format!("POST /{i} HTTP/1.1\r\nHost: v1\r\n\r\n")));
    let counts = super::replay(&config(&v2.url()), messages.collect()).await;
    let mut targets: Vec<String> = v2.seen().iter().map(|s| s.target().to_owned()).collect();
    let arrived = targets.len();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), arrived, "none came twice");
    assert_eq!(counts.taken(), 500);
    assert_eq!(counts.answered.total() + counts.failed.get(Failure::Reset), 500, "{counts:?}");
    assert!(counts.answered.total() <= arrived as u64);
}
