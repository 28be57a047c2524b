//! The transport that speaks HTTP/2 (RFC 9113): over TLS by ALPN, else with prior knowledge.
//!
//! In: a captured request. Out: the status of its answer, which is read to the end and thrown away unless
//! somebody wants to keep it; or the cause of failure.
//!
//! Guaranteed: at most one sending; a request that found the connection closed before anything of it was
//! sent goes on a new one. All requests share one connection, which is in the capture's set of own connections
//! before it connects; it is closed after [`IDLE`] without a request.
//!
//! Cannot keep: what HTTP/2 has no place for (see `http2_request`), and a connection of its own for each
//! captured one: their order is kept all the same, since each request waits for the answer to the one before.

use std::error::Error;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Instant, timeout_at};

use crate::model::Message;
use crate::model::ledger::Failure;

use super::http2_request::{Captured, Edits};
use super::transport::{Answer, Transport, kept};
use super::wire::Connector;
use super::{HostHeader, ReplayConfig, ReplayError};

/// How long the connection is kept without a request.
const IDLE: Duration = Duration::from_secs(60);

/// See the module's description.
pub(super) struct Http2 {
    connector: Connector,
    edits: Edits,
    timeout: Duration,
    head_timeout: Duration,
    /// Held while connecting: those who come meanwhile share the result.
    sender: tokio::sync::Mutex<Option<SendRequest<Captured>>>,
    used_at: Mutex<Instant>,
}

impl Http2 {
    /// Loads certificates; connects to nothing.
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let authority = match &config.host {
            HostHeader::Original => None,
            HostHeader::Target => Some(config.target.authority().to_owned()),
            HostHeader::Named(name) => Some(name.clone()),
        };
        Ok(Self {
            connector: Connector::new(config, b"h2")?,
            edits: Edits::new(config, authority)?,
            timeout: config.timeout,
            head_timeout: config.head_timeout.min(config.timeout),
            sender: tokio::sync::Mutex::default(),
            used_at: Mutex::new(Instant::now()),
        })
    }

    async fn send(
        &self,
        message: &Message,
        n: u64,
        deadline: Instant,
        keep: Option<usize>,
    ) -> Result<Answer, Failure> {
        let mut request = self.edits.request(message, n).map_err(|why| {
            tracing::debug!(n, %why, "request cannot be sent");
            Failure::Unsendable
        })?;
        let head_deadline = |now: Instant| deadline.min(now + self.head_timeout);
        let mut is_second = false;
        let mut response = loop {
            let mut sender = self.sender(deadline).await?;
            self.use_now();
            let answer = sender.try_send_request(request);
            let answer = timeout_at(head_deadline(Instant::now()), answer).await;
            match answer.map_err(|_| Failure::Timeout)? {
                Ok(response) => break response,
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_second => (request, is_second) = (unsent, true),
                    _ => return Err(cause(error.error(), Failure::Reset, n)),
                },
            }
        };
        let status = response.status().as_u16();
        let mut kept = keep.map(|limit| (kept(status, response.headers()), limit));
        let read = async {
            while let Some(frame) = response.body_mut().frame().await {
                let frame = frame.map_err(|error| cause(&error, Failure::BrokenAnswer, n))?;
                if let Some(((kept, limit), data)) = kept.as_mut().zip(frame.data_ref()) {
                    kept.push(data, *limit);
                }
            }
            Ok(Answer { status, at: Instant::now(), kept: kept.map(|(kept, _)| kept) })
        };
        timeout_at(deadline, read).await.map_err(|_| Failure::Timeout)?
    }

    /// The connection: the one that is there, or a new one.
    async fn sender(&self, deadline: Instant) -> Result<SendRequest<Captured>, Failure> {
        let connect = async {
            let mut slot = self.sender.lock().await;
            if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
                return Ok(sender.clone());
            }
            let (stream, registered) = self.connector.connect_until(deadline).await?;
            if !stream.has_negotiated(b"h2") {
                tracing::debug!("v2 does not offer HTTP/2");
                return Err(Failure::Tls);
            }
            let made = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
            let (sender, connection) = made.map_err(|error| cause(&error, Failure::Connect, 0))?;
            // Ends by itself when no sender is left and nothing is under way.
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "the connection broke");
                }
                drop(registered);
            });
            *slot = Some(sender.clone());
            Ok(sender)
        };
        timeout_at(deadline, connect).await.map_err(|_| Failure::Timeout)?
    }

    fn use_now(&self) {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Transport for Http2 {
    async fn exchange(
        &self,
        message: Message,
        n: u64,
        start: Instant,
        keep: Option<usize>,
    ) -> Result<Answer, Failure> {
        self.send(&message, n, start + self.timeout, keep).await
    }

    fn sweep(&self, now: Instant) -> bool {
        let Ok(mut sender) = self.sender.try_lock() else { return true };
        let used_at = *self.used_at.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(used_at) >= IDLE {
            *sender = None;
        }
        sender.is_some()
    }
}

/// The cause of an error; `broken` when the connection or the stream came to an end.
fn cause(error: &hyper::Error, broken: Failure, n: u64) -> Failure {
    tracing::debug!(n, %error, cause = ?error.source(), "no answer");
    if error.is_user() {
        return Failure::Unsendable;
    }
    let chain = std::iter::successors(error.source(), |&error| error.source());
    for error in chain {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            // RFC 9113 section 6.8: streams over the last one that it names were not processed.
            let is_graceful = error.reason() == Some(h2::Reason::NO_ERROR);
            if error.is_go_away() && error.is_remote() && is_graceful {
                return Failure::GoAway;
            }
            // What this side complains of is not HTTP/2; what the other side complains of, or reset, is.
            let is_invalid = error.is_library() && !error.is_io();
            return if is_invalid { Failure::InvalidAnswer } else { broken };
        }
        // In TLS 1.3 a server may refuse the client after the handshake.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return Failure::Tls;
        }
    }
    broken
}
