//! The transport that sends the captured bytes as they were, over HTTP/1.x.
//!
//! In: a captured request. Out: the status of its answer, which is read to its end and thrown away unless somebody
//! wants to keep it; or the cause of failure.
//!
//! Guaranteed: v2 gets the bytes that v1 got, with the marker as last field line and what the user changes
//! (see `encode`), nothing else; at most one sending: another connection is tried only when a kept one was
//! found closed before a byte of the request went out; with an order, each captured connection has one of
//! its own; a request whose framing two servers may read differently goes on a connection of its own, closed
//! behind it; an answer that comes before the request is out is taken, and ends the sending.
//!
//! Cannot keep: how the bytes were cut into segments, pipelining (requests go one by one), and the end of
//! the client's side of the connection before the answer.

mod answer;
mod chunks;
mod connect;
mod encode;
mod exchange;
mod pool;
mod stream;

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::model::ledger::Failure;
use crate::model::{Message, Version};

pub(super) use self::connect::{Connector, FAILURE_LIVES};
pub(super) use self::encode::Edits;
use self::exchange::{Ended, Exchange};
use self::pool::{Connection, Pool};
use super::transport::{Answer, Transport};
use super::{Order, ReplayConfig, ReplayError};

/// Bytes read at once from v2.
const READ_SIZE: usize = 16 << 10;
/// Bodies up to this size are copied behind the head, so that one write is enough everywhere.
const COPIED_BODY: usize = 4 << 10;

/// The pause before connecting is tried again; doubled each time.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// See the module's description.
pub(super) struct Wire {
    connector: Connector,
    pool: Pool,
    edits: Edits,
    order: Order,
    /// The longest an exchange may take.
    timeout: Duration,
    /// The longest the head of the answer may take.
    head_timeout: Duration,
    buffers: Mutex<Vec<Buffers>>,
}

/// What an exchange needs while it lasts; used again.
#[derive(Default)]
struct Buffers {
    out: Vec<u8>,
    read: Vec<u8>,
    time: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    /// Loads certificates; connects to nothing.
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let edits = Edits::new(config)?;
        Ok(Self {
            connector: Connector::new(config, b"http/1.1")?,
            pool: Pool::new(config.max_idle),
            edits,
            order: config.order,
            timeout: config.timeout,
            head_timeout: config.head_timeout.min(config.timeout),
            buffers: Mutex::default(),
        })
    }

    async fn send(
        &self,
        message: &Message,
        n: u64,
        buffers: &mut Buffers,
        start: Instant,
        keep: Option<usize>,
    ) -> Result<Answer, Failure> {
        if !self.edits.write_head(message, n, &mut buffers.out) {
            return Err(Failure::Unsendable);
        }
        let mut body = message.wire_body();
        if body.len() <= COPIED_BODY {
            buffers.out.extend_from_slice(body);
            body = &[];
        }
        let deadline = start + self.timeout;
        let mut head_deadline = start + self.head_timeout;
        let is_alone = message.anomalies.is_ambiguous();
        let mut kept = if is_alone { None } else { self.kept(message.conn) };
        loop {
            let is_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(kept) => kept,
                None => {
                    // Boxed: it is rare, and would make every exchange as large as itself.
                    let connection = Box::pin(self.connect(deadline)).await?;
                    head_deadline = deadline.min(connection.used_at + self.head_timeout);
                    connection
                }
            };
            let (out, method) = ([&buffers.out[..], body], message.method());
            let exchange = Exchange::new(&mut connection.stream, out, method, &mut buffers.read);
            let time = buffers.time.get_or_insert_with(|| Box::pin(sleep_until(head_deadline)));
            let exchange = exchange.kept(is_kept).keeping(keep);
            return match exchange.run(time.as_mut(), head_deadline, deadline).await {
                Ended::Answered { answer, keeps_alive } => {
                    if keeps_alive && !is_alone && !closes(message) {
                        connection.used_at = answer.at;
                        self.pool.put(self.key(message.conn, n), connection);
                    }
                    Ok(answer)
                }
                Ended::NothingSent if is_kept => continue,
                Ended::NothingSent => Err(Failure::Reset),
                Ended::Failed(failure) => Err(failure),
            };
        }
    }

    /// An idle connection for a request of this captured one.
    fn kept(&self, conn: u64) -> Option<Connection> {
        match self.order {
            Order::Connection => self.pool.take(conn),
            Order::None => self.pool.take_any(),
        }
    }

    fn key(&self, conn: u64, n: u64) -> u64 {
        match self.order {
            Order::Connection => conn,
            Order::None => n,
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, Failure> {
        let connected = match self.connector.connect_until(deadline).await {
            Err(refusal) if refusal.lacks_sockets && self.pool.make_room() => {
                self.connector.connect_until(deadline).await
            }
            connected => connected,
        };
        let (stream, _registered) = connected?;
        Ok(Connection { stream, _registered, used_at: Instant::now() })
    }
}

/// Whether the request says that it is the last on its connection (RFC 9112 section 9.3).
fn closes(message: &Message) -> bool {
    if message.version < Version::HTTP_11 {
        return !message.has_token("connection", "keep-alive");
    }
    message.has_token("connection", "close")
}

impl Transport for Wire {
    async fn exchange(
        &self,
        message: Message,
        n: u64,
        start: Instant,
        keep: Option<usize>,
    ) -> Result<Answer, Failure> {
        let free = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = free().pop().unwrap_or_default();
        buffers.read.resize(READ_SIZE, 0);
        let result = self.send(&message, n, &mut buffers, start, keep).await;
        if let Err(failure) = &result {
            tracing::debug!(n, ?failure, "no answer");
        }
        // A large head's room is not kept.
        buffers.out.clear();
        buffers.out.shrink_to(READ_SIZE);
        free().push(buffers);
        result
    }

    fn ended(&self, conn: u64) {
        self.pool.close(conn);
    }

    fn sweep(&self, now: Instant) -> bool {
        self.pool.sweep(now)
    }
}
