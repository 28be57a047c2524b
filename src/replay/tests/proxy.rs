//! Through a forward proxy: plain requests in absolute-form, TLS in a tunnel, and a proxy in trouble.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::model::ledger::Failure;
use crate::replay::{Client, Proxy, ReplayConfig, Trust};

use super::message::{get, request};
use super::replay;
use super::tls::v2_named;
use super::v2::{V2, read_request};

/// A small forward proxy. Its tasks end with the test's runtime.
struct Forward {
    port: u16,
    /// Heads it was sent.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Forward {
    async fn start(allows_tunnels: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(forward(stream, kept.clone(), allows_tunnels));
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("heads").clone()
    }

    /// Settings to reach a target through it, with a password.
    fn to(&self, target: &str) -> ReplayConfig {
        let proxy = Proxy::parse(&format!("http://me:secret@127.0.0.1:{}", self.port));
        let proxy = Some(proxy.expect("a proxy"));
        ReplayConfig { client: Client::Reqwest, proxy, ..super::config(target) }
    }
}

/// Serves a client: tunnels, or requests one after the other, each on a connection of its own.
async fn forward(mut client: TcpStream, heads: Arc<Mutex<Vec<String>>>, allows_tunnels: bool) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = read_request(&mut client, &mut buffer).await {
        heads.lock().expect("heads").push(head.clone());
        let target = head.split(' ').nth(1).expect("a target").to_owned();
        if head.starts_with("CONNECT ") {
            if !allows_tunnels {
                let _ = client.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").await;
                return;
            }
            let mut v2 = TcpStream::connect(&target).await.expect("v2");
            client.write_all(b"HTTP/1.1 200 Go\r\n\r\n").await.expect("the client reads");
            let _ = tokio::io::copy_bidirectional(&mut client, &mut v2).await;
            return;
        }
        let rest = target.strip_prefix("http://").expect("absolute-form");
        let (authority, path) = rest.split_once('/').expect("a path");
        let mut v2 = TcpStream::connect(authority).await.expect("v2");
        let head = head.replacen(&target, &format!("/{path}"), 1);
        v2.write_all(&[head.as_bytes(), &body].concat()).await.expect("v2 reads");
        let mut answer = [0; 4096];
        let len = v2.read(&mut answer).await.expect("v2 answers in one piece");
        client.write_all(&answer[..len]).await.expect("the client reads");
    }
}

#[tokio::test]
async fn a_plain_request_goes_through_it_in_absolute_form() {
    let (v2, proxy) = (V2::ok().await, Forward::start(false).await);
    let mut config = proxy.to(&v2.url());
    config.realip = Some("X-Real-IP".into());
    let post = "POST /a?b HTTP/1.1\r\nHost: v1\r\nContent-Length: 2\r\n\r\nhi";
    let counts = replay(&config, vec![request(1, post), get(1, "/2")]).await;
    assert_eq!(counts.answered.total(), 2, "{counts:?}");
    let first = &proxy.heads()[0];
    let line = format!("POST {}/a?b HTTP/1.1\r\n", v2.url());
    assert!(first.starts_with(&line), "{first}");
    assert!(
        first.to_lowercase().contains("\r\nproxy-authorization: basic bwu6c2vjcmv0\r\n"),
        "{first}"
    );
    let seen = v2.seen();
    assert_eq!((seen[0].line(), &seen[0].body[..]), ("POST /a?b HTTP/1.1", &b"hi"[..]));
    assert_eq!(seen[0].values("host"), ["v1"]);
    assert_eq!(seen[0].values("x-real-ip"), ["10.0.0.1"]);
    assert_eq!(seen[1].values("x-shadowtap"), ["test-2"]);
}

#[tokio::test]
async fn tls_goes_through_it_in_a_tunnel() {
    let proxy = Forward::start(true).await;
    let (v2, pem, _) = v2_named("localhost").await;
    let mut config = proxy.to(&format!("https://localhost:{}", v2.addr.port()));
    config.trust = Trust::Authorities(pem.path().to_owned());
    let counts = replay(&config, vec![get(1, "/"), get(1, "/2")]).await;
    assert_eq!(counts.answered.total(), 2, "{counts:?}");
    let heads = proxy.heads();
    assert!(heads.iter().all(|head| head.starts_with("CONNECT localhost:")), "{heads:?}");
    assert_eq!(v2.seen()[1].target(), "/2");
}

#[tokio::test]
async fn a_proxy_in_trouble_is_no_connection() {
    let v2 = V2::ok().await;
    let refusing = Forward::start(false).await;
    let config = refusing.to(&format!("https://localhost:{}", v2.addr.port()));
    let config = ReplayConfig { trust: Trust::Anything, ..config };
    let counts = replay(&config, vec![get(1, "/")]).await;
    assert_eq!(counts.failed.get(Failure::Connect), 1, "{counts:?}");
    let dead = Proxy::parse("http://127.0.0.1:1").expect("a proxy");
    let mut config = refusing.to(&v2.url());
    (config.proxy, config.connect_retries) = (Some(dead), 1);
    let counts = replay(&config, vec![get(1, "/")]).await;
    assert_eq!(counts.failed.get(Failure::Refused), 1, "{counts:?}");
    assert_eq!(v2.accepted(), 0);
}

#[test]
fn a_proxy_is_a_url_and_its_secret_is_not_shown() {
    for wrong in ["proxy:3128", "socks5://proxy:1080", "", "http://"] {
        let error = Proxy::parse(wrong).expect_err(wrong).to_string();
        assert!(error.contains("expected http://host:port"), "{wrong}: {error}");
    }
    let proxy = Proxy::parse("https://me:secret@proxy:3128").expect("a proxy");
    assert!(!format!("{proxy:?}").contains("secret"));
}
