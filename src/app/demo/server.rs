//! The payment service on a socket: hyper, in a thread of its own, with a log of its own.
//!
//! In: a bound listener. Out: answers, and a [`Journal`] entry for each request, written before its
//! answer leaves. hyper reads the requests here, so what the log says was not read by the code that
//! is being shown.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, SERVER, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::journal::{Entry, Journal};
use super::service::{Answer, Payments, Release};
use crate::model::MARKER_FIELD;

/// The largest body that is read.
const MAX_BODY: usize = 64 << 10;

/// A listener on the loopback interface that nobody serves yet.
pub struct Bound {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Bound {
    /// On this port, or a free one for 0.
    pub fn new(port: u16) -> anyhow::Result<Self> {
        let bind = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            io::Result::Ok(Self { listener, address })
        };
        bind().with_context(|| format!("cannot listen on port {port} of the loopback interface"))
    }

    /// Serves it until the process ends. Returns the service's log.
    pub fn serve(self, release: Release) -> anyhow::Result<Journal> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let journal = Journal::default();
        let for_thread = journal.clone();
        let serve = move || {
            let local = tokio::task::LocalSet::new();
            if let Err(error) = local.block_on(&runtime, accept(self, release, for_thread)) {
                tracing::error!("{} accepts no more connections: {error}", release.signature());
            }
        };
        std::thread::Builder::new()
            .name(release.signature().into())
            .spawn(serve)
            .context("cannot start a thread")?;
        Ok(journal)
    }
}

async fn accept(bound: Bound, release: Release, journal: Journal) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(bound.listener)?;
    let payments = Rc::new(RefCell::new(Payments::new(release)));
    loop {
        let (stream, client) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = Rc::new(Connection {
            client,
            server: bound.address,
            payments: Rc::clone(&payments),
            journal: journal.clone(),
            requests: RefCell::new(0),
        });
        let io = TokioIo::new(Tee { stream, client, journal: journal.clone() });
        let answer = service_fn(move |request| Rc::clone(&connection).answer(request));
        tokio::task::spawn_local(async move {
            // A client that goes away in the middle is no event here.
            if let Err(error) = http1::Builder::new().serve_connection(io, answer).await {
                tracing::debug!("connection from {client}: {error}");
            }
        });
    }
}

/// What the requests of one connection have in common.
struct Connection {
    client: SocketAddr,
    server: SocketAddr,
    payments: Rc<RefCell<Payments>>,
    journal: Journal,
    requests: RefCell<u32>,
}

impl Connection {
    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> anyhow::Result<Response<Full<Bytes>>> {
        let began = Instant::now();
        let index = self.requests.replace_with(|n| *n + 1);
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        let release = self.payments.borrow().release();
        tokio::time::sleep(release.delay()).await;
        let Answer { status, body: answer } =
            self.payments.borrow_mut().answer(head.method.as_str(), head.uri.path(), &body);
        let id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        self.journal.note(Entry {
            client: self.client,
            server: self.server,
            index,
            method: head.method.to_string(),
            target: head.uri.to_string(),
            id: id.unwrap_or_default().to_owned(),
            chunked: head.headers.contains_key(TRANSFER_ENCODING),
            body_len: body.len() as u64,
            body_sha256: hex(&Sha256::digest(&body)),
            is_copy: head.headers.contains_key(MARKER_FIELD),
            status,
            answer: answer.clone(),
            took: began.elapsed(),
        });
        let response = Response::builder()
            .status(status)
            .header(SERVER, release.signature())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(answer))?;
        Ok(response)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A connection whose bytes are also noted, as they come.
struct Tee {
    stream: TcpStream,
    client: SocketAddr,
    journal: Journal,
}

impl AsyncRead for Tee {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        self.journal.note_bytes(self.client, new);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tee {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
