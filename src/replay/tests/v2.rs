//! A v2 that records every byte of every request, and answers or misbehaves as told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Number of the connection at this server.
    pub connection: usize,
    /// When its last byte was there.
    pub at: Instant,
    /// The head, with its closing empty line.
    pub head: String,
    /// What followed, with chunk framing if it had any.
    pub body: Vec<u8>,
}

impl Seen {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The request target.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The field lines, in order.
    pub fn fields(&self) -> Vec<&str> {
        self.head.lines().skip(1).filter(|line| !line.is_empty()).collect()
    }

    /// The values of a field, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let split = |line| str::split_once(line, ": ");
        let fields = self.fields().into_iter().filter_map(split);
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }
}

/// What to do about a request.
pub enum Reply {
    /// Write this, and wait for the next one.
    Write(Vec<u8>),
    /// Write this and close.
    Close(Vec<u8>),
    /// Write this and reset the connection.
    Reset(Vec<u8>),
    /// Nothing, for ever.
    Hang,
}

/// Shorthand for an answer with this status and body.
pub fn answer(status: u16, body: &str) -> Reply {
    let len = body.len();
    Reply::Write(format!("HTTP/1.1 {status} X\r\nContent-Length: {len}\r\n\r\n{body}").into())
}

type Respond = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A running server. Its tasks end with the test's runtime.
pub struct V2 {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepted: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl V2 {
    /// Answers every request as `respond` says.
    pub async fn start(respond: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, respond).await
    }

    /// Answers 200 with a short body.
    pub async fn ok() -> Self {
        Self::start(|_| answer(200, "ok")).await
    }

    /// The same behind TLS.
    pub async fn start_with(
        tls: Option<tokio_rustls::TlsAcceptor>,
        respond: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let v2 = Self {
            addr: listener.local_addr().expect("address"),
            seen: Arc::default(),
            accepted: Arc::default(),
            closed: Arc::default(),
        };
        let (seen, accepted, closed) = (v2.seen.clone(), v2.accepted.clone(), v2.closed.clone());
        let respond: Arc<Respond> = Arc::new(respond);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = accepted.fetch_add(1, Ordering::SeqCst);
                let (seen, respond, closed) = (seen.clone(), respond.clone(), closed.clone());
                let tls = tls.clone();
                tokio::spawn(async move {
                    stream.set_nodelay(true).expect("nodelay");
                    match tls {
                        None => serve(stream, connection, &seen, &*respond).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, connection, &seen, &*respond).await;
                            }
                        }
                    }
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        v2
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Everything that arrived so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("seen").clone()
    }

    /// The only request that arrived.
    #[track_caller]
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are over.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
}

/// Can be reset, where there is a TCP connection at hand.
pub trait Resettable {
    /// Close sends RST.
    fn reset_on_close(&self);
}

impl Resettable for TcpStream {
    fn reset_on_close(&self) {
        self.set_zero_linger().expect("linger");
    }
}

impl Resettable for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

/// Reads requests and answers them until the client closes.
async fn serve<S: AsyncRead + AsyncWrite + Resettable + Unpin>(
    mut stream: S,
    connection: usize,
    seen: &Mutex<Vec<Seen>>,
    respond: &Respond,
) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = read_request(&mut stream, &mut buffer).await {
        let request = Seen { connection, at: Instant::now(), head, body };
        let reply = respond(&request);
        seen.lock().expect("seen").push(request);
        match reply {
            Reply::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Reset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                stream.reset_on_close();
                return;
            }
            Reply::Hang => {
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
        }
    }
}

/// The next request: its head and what follows it. Latin-1 bytes of the head become characters.
pub async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> Option<(String, Vec<u8>)> {
    let head_len = loop {
        if let Some(at) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let head: String = buffer.drain(..head_len).map(char::from).collect();
    let lower = head.to_lowercase();
    let body_len = if lower.contains("transfer-encoding: chunked") {
        loop {
            if buffer.starts_with(b"0\r\n\r\n") {
                break 5;
            }
            if let Some(at) = memchr::memmem::find(buffer, b"\r\n0\r\n\r\n") {
                break at + 7;
            }
            more(stream, buffer).await?;
        }
    } else {
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |text| text.trim().parse().expect("a length"));
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        length
    };
    Some((head, buffer.drain(..body_len).collect()))
}

/// Reads what there is; `None` at the end of the connection.
async fn more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
