//! TLS towards v2: who is believed, and by which name.

use std::io::Write;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::model::ledger::{Failure, TargetCounts};
use crate::replay::{ReplayError, Replayer, Trust};

use super::message::{get, request};
use super::v2::{V2, answer};
use super::{config, replay};

/// Shows one certificate and remembers the names it was asked for.
#[derive(Debug)]
pub struct OneCert {
    key: Arc<CertifiedKey>,
    asked: Mutex<Vec<Option<String>>>,
}

impl ResolvesServerCert for OneCert {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.asked.lock().expect("asked").push(hello.server_name().map(str::to_owned));
        Some(self.key.clone())
    }
}

/// What a server with a certificate for this name needs, the certificate as a PEM file, and what it was asked.
pub fn server_named(name: &str) -> (rustls::ServerConfig, tempfile::NamedTempFile, Arc<OneCert>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let key = provider.key_provider.load_private_key(key).expect("key");
    let resolver = Arc::new(OneCert {
        key: Arc::new(CertifiedKey::new(vec![made.cert.der().clone()], key)),
        asked: Mutex::default(),
    });
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(resolver.clone());
    let mut pem = tempfile::NamedTempFile::new().expect("file");
    pem.write_all(made.cert.pem().as_bytes()).expect("write");
    (server, pem, resolver)
}

/// A v2 with a certificate for this name, the certificate as a PEM file, and what it was asked.
pub async fn v2_named(name: &str) -> (V2, tempfile::NamedTempFile, Arc<OneCert>) {
    let (server, pem, resolver) = server_named(name);
    let acceptor = TlsAcceptor::from(Arc::new(server));
    (V2::start_with(Some(acceptor), |_| answer(200, "ok")).await, pem, resolver)
}

/// Two GETs to this server under this name.
async fn two_gets(v2: &V2, name: &str, trust: Trust) -> TargetCounts {
    let mut config = config(&format!("https://{name}:{}", v2.addr.port()));
    config.trust = trust;
    replay(&config, vec![get(1, "/"), get(1, "/")]).await
}

#[tokio::test]
async fn a_named_authority_is_believed_for_its_own_name() {
    let (v2, pem, asked) = v2_named("localhost").await;
    let trust = Trust::Authorities(pem.path().to_owned());
    let counts = two_gets(&v2, "localhost", trust).await;
    assert_eq!(counts.answered.total(), 2, "{counts:?}");
    assert_eq!(asked.asked.lock().expect("asked")[0].as_deref(), Some("localhost"));
    assert_eq!(v2.seen()[0].values("host"), ["v1"], "the name of TLS is not that of Host");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_tls() {
    let (v2, pem, _) = v2_named("other.example").await;
    let trust = Trust::Authorities(pem.path().to_owned());
    let counts = two_gets(&v2, "localhost", trust).await;
    assert_eq!(counts.failed.get(Failure::Tls), 2, "{counts:?}");
    assert_eq!(v2.seen().len(), 0);
}

#[tokio::test]
async fn an_unknown_authority_is_tls_unless_all_are_believed() {
    let (v2, _, _) = v2_named("localhost").await;
    let (_, stranger, _) = v2_named("localhost").await;
    let trust = Trust::Authorities(stranger.path().to_owned());
    let counts = two_gets(&v2, "localhost", trust).await;
    assert_eq!(counts.failed.get(Failure::Tls), 2, "{counts:?}");
    let counts = two_gets(&v2, "127.0.0.1", Trust::Anything).await;
    assert_eq!(counts.answered.total(), 2, "{counts:?}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        // One answers in its own tongue, the next hangs up.
        for first in [true, false] {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let _ = stream.read(&mut [0; 1024]).await;
            if first {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        }
    });
    let mut config = config(&format!("https://127.0.0.1:{port}"));
    config.trust = Trust::Anything;
    let counts = replay(&config, vec![get(1, "/"), get(1, "/")]).await;
    assert_eq!(counts.failed.get(Failure::Tls), 2, "{counts:?}");
}

#[tokio::test]
async fn a_large_body_goes_through_tls() {
    let (v2, pem, _) = v2_named("localhost").await;
    let mut config = config(&format!("https://localhost:{}", v2.addr.port()));
    config.trust = Trust::Authorities(pem.path().to_owned());
    let body = vec![b'x'; 300_000];
    let head = format!("POST / HTTP/1.1\r\nHost: v1\r\nContent-Length: {}\r\n\r\n", body.len());
    let counts = replay(&config, vec![request(1, [head.as_bytes(), &body].concat())]).await;
    assert_eq!(counts.answered.total(), 1, "{counts:?}");
    assert_eq!(v2.only().body, body);
}

#[tokio::test]
async fn a_bad_file_of_authorities_says_which_and_why() {
    let mut config = config("https://localhost");
    config.trust = Trust::Authorities("/nonexistent/ca.pem".into());
    let says = |result: Result<Replayer, ReplayError>| match result {
        Err(err) => err.to_string(),
        Ok(_) => panic!("it should not have been taken"),
    };
    assert!(says(Replayer::new(&config)).contains("/nonexistent/ca.pem"));
    let empty = tempfile::NamedTempFile::new().expect("file");
    config.trust = Trust::Authorities(empty.path().to_owned());
    assert!(says(Replayer::new(&config)).contains("there is no certificate in it"));
}
