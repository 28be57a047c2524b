//! HTTP/2 to a real HTTP/2 server: what arrives, on how many connections, and what becomes of trouble.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::model::ledger::Failure;
use crate::model::{FlowKey, Message, OwnConnections};
use crate::replay::{Client, HostHeader, ReplayConfig, Trust};

use super::message::{get, request};
use super::replay;
use super::tls::server_named;
use super::v2::{Reply, V2 as Http1};

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    /// `scheme://authority/path`, from the pseudo-header fields.
    uri: String,
    fields: Vec<String>,
    body: Bytes,
}

/// A running server. Its tasks end with the test's runtime.
pub(super) struct V2 {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The client's end of each connection.
    peers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl V2 {
    /// Answers 200 with a short body. Says goodbye on a connection after `most` requests.
    async fn start(tls: Option<TlsAcceptor>, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let v2 = Self { port, seen: Arc::default(), peers: Arc::default() };
        let (seen, peers) = (v2.seen.clone(), v2.peers.clone());
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                peers.lock().expect("peers").push(peer);
                let (seen, tls) = (seen.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, seen, most).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, seen, most).await;
                            }
                        }
                    }
                });
            }
        });
        v2
    }

    pub(super) async fn plain() -> Self {
        Self::start(None, usize::MAX).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("seen").clone()
    }

    fn accepted(&self) -> usize {
        self.peers.lock().expect("peers").len()
    }
}

async fn serve<S>(stream: S, seen: Arc<Mutex<Vec<Seen>>>, most: usize)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (over_tx, mut over_rx) = tokio::sync::mpsc::unbounded_channel();
    let left = Arc::new(AtomicUsize::new(most));
    let service = service_fn(move |request: Request<Incoming>| {
        let (seen, over_tx, left) = (seen.clone(), over_tx.clone(), left.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            let field =
                |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
                    format!("{name}: {}", value.as_bytes().escape_ascii())
                };
            seen.lock().expect("seen").push(Seen {
                method: head.method.to_string(),
                uri: head.uri.to_string(),
                fields: head.headers.iter().map(field).collect(),
                body,
            });
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                over_tx.send(()).expect("the connection stands");
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new());
    let mut connection = std::pin::pin!(connection.serve_connection(TokioIo::new(stream), service));
    let is_over = tokio::select! {
        _ = &mut connection => true,
        _ = over_rx.recv() => false,
    };
    if !is_over {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

fn config(to: &str) -> ReplayConfig {
    ReplayConfig { client: Client::Http2, ..super::config(to) }
}

/// What arrives of this message.
async fn arrives(message: Message) -> Seen {
    let v2 = V2::plain().await;
    let counts = replay(&config(&v2.url()), vec![message]).await;
    assert_eq!(counts.answered.total(), 1, "{counts:?}");
    let seen = v2.seen();
    assert_eq!(seen.len(), 1);
    seen[0].clone()
}

#[tokio::test]
async fn a_request_keeps_what_http2_has_a_place_for() {
    let seen = arrives(request(
        1,
        b"PATCH /a/../b//c?d=%2f|e HTTP/1.1\r\nX-First: 1\r\nHost: v1.example:81\r\nCookie: a=b\r\n\
          X_Under: caf\xe9\r\nX-First: 2\r\nContent-Length: 2\r\nX-Shadowtap: forged-7\r\n\r\nhi",
    ))
    .await;
    assert_eq!(seen.method, "PATCH");
    assert_eq!(seen.uri, "http://v1.example:81/a/../b//c?d=%2f|e");
    let expected = [
        "x-first: 1",
        "x-first: 2",
        "cookie: a=b",
        "x_under: caf\\xe9",
        "content-length: 2",
        "x-shadowtap: test-1",
    ];
    assert_eq!((&seen.fields[..], &seen.body[..]), (&expected.map(String::from)[..], &b"hi"[..]));
}

#[tokio::test]
async fn what_concerns_v1s_connection_only_is_left_out() {
    let seen = arrives(request(
        1,
        "POST / HTTP/1.1\r\nHost: v1\r\nConnection: Upgrade, X-Hop, TE\r\nUpgrade: h2c\r\nX-Hop: 1\r\n\
         HTTP2-Settings: AAMA\r\nTE: trailers\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n\
         Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
    ))
    .await;
    assert_eq!(seen.fields, ["te: trailers", "x-shadowtap: test-1"]);
    assert_eq!(seen.body, "hi!");
    let seen = arrives(request(1, "GET / HTTP/1.1\r\nHost: v1\r\nTE: gzip\r\n\r\n")).await;
    assert_eq!(seen.fields, ["x-shadowtap: test-1"]);
}

#[tokio::test]
async fn a_length_of_zero_is_neither_invented_nor_lost() {
    for (field, want) in [("", 1), ("Content-Length: 0\r\n", 2)] {
        let seen = arrives(request(1, format!("POST / HTTP/1.1\r\nHost: v1\r\n{field}\r\n"))).await;
        assert_eq!(seen.fields.len(), want, "{seen:?}");
    }
}

#[tokio::test]
async fn the_authority_is_the_captured_host_the_targets_or_the_one_named() {
    let v2 = V2::plain().await;
    let mut config = config(&format!("{}/shadow", v2.url()));
    config.realip = Some("X-Real-IP".into());
    let with = request(1, "GET /a HTTP/1.1\r\nHost: v1:81\r\nHost: two\r\n\r\n");
    let without = request(2, "GET /ü\" HTTP/1.0\r\n\r\n");
    for host in [HostHeader::Original, HostHeader::Target, HostHeader::Named("x.example".into())] {
        config.host = host;
        assert_eq!(replay(&config, vec![with.clone()]).await.answered.total(), 1);
        assert_eq!(replay(&config, vec![without.clone()]).await.answered.total(), 1);
    }
    let seen: Vec<String> = v2.seen().into_iter().map(|seen| seen.uri).collect();
    let (with, without) = ("/shadow/a", "/shadow/%C3%BC%22");
    let target = v2.url();
    let expected = [
        format!("http://v1:81{with}"),
        format!("{target}{without}"),
        format!("{target}{with}"),
        format!("{target}{without}"),
        format!("http://x.example{with}"),
        format!("http://x.example{without}"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(v2.seen()[0].fields, ["x-real-ip: 10.0.0.1", "x-shadowtap: test-1"]);
}

#[tokio::test]
async fn what_http2_cannot_express_is_unsendable_and_nothing_arrives() {
    let v2 = V2::plain().await;
    let messages = [
        request(1, "CONNECT v1:443 HTTP/1.1\r\nHost: v1\r\n\r\n"),
        request(2, "GET /a#b HTTP/1.1\r\nHost: v1\r\n\r\n"),
        request(3, "GET / HTTP/1.1\r\nHost: no authority\r\n\r\n"),
    ];
    let counts = replay(&config(&v2.url()), messages.to_vec()).await;
    assert_eq!(counts.failed.get(Failure::Unsendable), 3, "{counts:?}");
    assert_eq!(v2.accepted(), 0);
    let asterisk = request(1, "OPTIONS * HTTP/1.1\r\nHost: v1\r\n\r\n");
    assert_eq!(replay(&config(&v2.url()), vec![asterisk]).await.answered.total(), 1);
}

#[tokio::test]
async fn all_requests_share_a_connection_in_the_order_of_their_own() {
    let v2 = V2::plain().await;
    let message = |n: u64| get(n % 20, &format!("/{}/{}", n % 20, n / 20));
    let counts = replay(&config(&v2.url()), (0..200).map(message).collect()).await;
    assert_eq!((counts.answered.total(), v2.accepted()), (200, 1));
    let uris: Vec<String> = v2.seen().into_iter().map(|seen| seen.uri).collect();
    for conn in 0..20 {
        let prefix = format!("http://v1/{conn}/");
        let order: Vec<&str> = uris.iter().filter_map(|uri| uri.strip_prefix(&prefix)).collect();
        assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let body = vec![b'x'; 3_000_000];
    let head = format!("PUT / HTTP/1.1\r\nHost: v1\r\nContent-Length: {}\r\n\r\n", body.len());
    let seen = arrives(request(1, [head.as_bytes(), &body].concat())).await;
    assert!(seen.body == body, "{} bytes", seen.body.len());
}

#[tokio::test]
async fn behind_a_goodbye_comes_a_new_connection() {
    let v2 = V2::start(None, 1).await;
    let config = config(&v2.url());
    let counts = replay(&config, (0..5).map(|n| get(1, &format!("/{n}"))).collect()).await;
    assert_eq!(counts.answered.total() + counts.failed.total(), 5);
    // A request that meets the goodbye on its way may have been seen: it is not sent again.
    assert_eq!(counts.failed.total(), counts.failed.get(Failure::Reset), "{counts:?}");
    assert_eq!(v2.seen().len() as u64, counts.answered.total());
    assert!(v2.accepted() >= 2, "{}", v2.accepted());
}

/// A v2 behind TLS that offers these protocols, and the settings to reach it.
async fn tls(protocols: &[&[u8]]) -> (V2, ReplayConfig, tempfile::NamedTempFile) {
    let (mut server, pem, _) = server_named("localhost");
    server.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let v2 = V2::start(Some(TlsAcceptor::from(Arc::new(server))), usize::MAX).await;
    let mut config = config(&format!("https://localhost:{}", v2.port));
    config.trust = Trust::Authorities(pem.path().to_owned());
    (v2, config, pem)
}

#[tokio::test]
async fn over_tls_it_is_agreed_on_by_alpn() {
    let (v2, config, _pem) = tls(&[b"h2", b"http/1.1"]).await;
    assert_eq!(replay(&config, vec![get(1, "/"), get(1, "/")]).await.answered.total(), 2);
    assert_eq!(v2.seen()[0].uri, "https://v1/");
    let offers: [&[&[u8]]; 2] = [&[b"http/1.1"], &[]];
    for offered in offers {
        let (v2, config, _pem) = tls(offered).await;
        let counts = replay(&config, vec![get(1, "/")]).await;
        assert_eq!(counts.failed.get(Failure::Tls), 1, "{offered:?}: {counts:?}");
        assert_eq!(v2.seen().len(), 0);
    }
}

/// The failure of a GET at a server that does not speak HTTP/2 and replies so to the preface.
async fn failure_at(reply: fn() -> Reply) -> Failure {
    let v2 = Http1::start(move |_| reply()).await;
    let counts = replay(&config(&v2.url()), vec![get(1, "/")]).await;
    let all: &[Failure] = crate::model::tally::Cause::ALL;
    let found: Vec<_> = all.iter().filter(|&&cause| counts.failed.get(cause) == 1).collect();
    assert_eq!((found.len(), counts.failed.total()), (1, 1), "{counts:?}");
    *found[0]
}

#[tokio::test]
async fn trouble_is_counted_by_its_cause() {
    let no_http2 =
        || Reply::Write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec());
    assert_eq!(failure_at(no_http2).await, Failure::InvalidAnswer);
    assert_eq!(failure_at(|| Reply::Close(Vec::new())).await, Failure::Reset);
    assert_eq!(failure_at(|| Reply::Reset(Vec::new())).await, Failure::Reset);
    // Accepts by itself, and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let mut hanging = config(&format!("http://{}", silent.local_addr().expect("address")));
    hanging.head_timeout = Duration::from_millis(50);
    let counts = replay(&hanging, vec![get(1, "/")]).await;
    assert_eq!(counts.failed.get(Failure::Timeout), 1, "{counts:?}");
    let counts = replay(&config("http://127.0.0.1:1"), vec![get(1, "/")]).await;
    assert_eq!(counts.failed.get(Failure::Refused), 1, "{counts:?}");
}

/// Reads until the first HEADERS frame is whole: the preface, then frames (RFC 9113 section 4.1).
async fn read_headers(stream: &mut TcpStream) {
    stream.read_exact(&mut [0; 24]).await.expect("the preface");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        stream.read_exact(&mut payload).await.expect("the rest of it");
        if head[3] == 1 {
            return;
        }
    }
}

#[tokio::test]
async fn a_request_that_v2_did_not_take_up_when_it_said_goodbye_is_told_from_a_reset() {
    // SETTINGS; GOAWAY with this last stream and this reason.
    let goodbye = |last: u8, reason: u8| {
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let head = [0, 0, 8, 7, 0, 0, 0, 0, 0];
        [&settings[..], &head, &[0, 0, 0, last, 0, 0, 0, reason]].concat()
    };
    for (last, reason, failure) in
        [(0, 0, Failure::GoAway), (1, 0, Failure::Reset), (0, 11, Failure::Reset)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let v2 = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accept");
            read_headers(&mut stream).await;
            stream.write_all(&goodbye(last, reason)).await.expect("written");
        });
        let counts = replay(&config(&url), vec![get(1, "/")]).await;
        assert_eq!(counts.failed.get(failure), 1, "{last} {reason}: {counts:?}");
        v2.await.expect("join");
    }
}

#[tokio::test]
async fn beside_a_capture_the_connection_is_known_as_our_own() {
    let v2 = V2::plain().await;
    let own = OwnConnections::default();
    let mut config = config(&v2.url());
    config.own = Some(own.clone());
    assert_eq!(replay(&config, vec![get(1, "/")]).await.answered.total(), 1);
    let peer = v2.peers.lock().expect("peers")[0];
    let here = SocketAddr::from(([127, 0, 0, 1], v2.port));
    assert!(own.contains(&FlowKey::new(peer.into(), here.into()).0), "{peer}");
}
