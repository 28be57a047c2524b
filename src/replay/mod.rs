//! Messages to v2: the order of connections, the time each is due, the transport.
//!
//! In: [`Batch`]es of [`Job`]s over a tokio channel, each a whole request with the moment it is due
//! and a guard that holds its share of the queue, v1's answers where somebody [carries](Carry) values, and the captured connections that ended. Out: the requests at v2, and
//! [`TargetCounts`](crate::model::ledger::TargetCounts) that account for every one of them.
//!
//! Guaranteed: no request is sent twice; requests of one captured connection leave one after the
//! other, in the order in which they came, each after the answer to the one before; a request
//! that hangs holds up its own connection only; a guard lives until its request is over; memory
//! is bounded by the guards and, for answers, by one read buffer for each request in flight; where answers are looked at, by what is kept of each (
//! [`Carry::keeps`]) as well. Somebody outside may have a say in each request ([`Middleware`]).
//!
//! ```text
//! Job --> lanes (order, due time) --> dispatcher (concurrency, counts, stop) --> transport --> v2
//! ```
//!
//! Left to others: which requests may be sent at all (`shape`), how much may wait (the guards),
//! when a request is due and when to stop (`app`).

mod asking;
mod body;
mod breaker;
mod carry;
mod config;
mod dispatch;
mod dry_run;
mod failure;
mod http2;
mod http2_request;
mod http_client;
mod lanes;
mod replayer;
mod request;
mod resolve;
mod target;
#[cfg(test)]
mod tests;
mod timer;
mod timing;
mod tls;
mod transport;
mod wire;

use tokio::time::Instant;

use std::sync::Arc;

use crate::model::Message;
use crate::model::ledger::ShedLater;

pub use asking::{Middleware, MiddlewareCounts};
pub use carry::{Carry, CarryCounts};
pub use config::{Client, HostHeader, OnBreak, Order, Proxy, ReplayConfig, ReplayError, Trust};
pub use replayer::{CountsHandle, Replayer};
pub use target::{Target, TargetError};

/// What is done to a request before it leaves: on the replay thread, at its turn, whatever sends it. `Err` is the bucket
/// of one that is not to be sent.
pub type Prepare = Arc<dyn Fn(Message) -> Result<Prepared, ShedLater> + Send + Sync>;

/// A request as it is to leave.
pub struct Prepared {
    /// The request.
    pub message: Message,
    /// Whether rules were passed over, since its body could not be read.
    pub passed_over: bool,
}

/// One request to send.
#[derive(Clone, Debug)]
pub struct Job<G> {
    /// The request as captured. Jobs with the same `conn` are sent in the order they are given.
    pub message: Message,
    /// Not to be sent before this moment; `None` for as soon as its turn comes.
    pub due: Option<Instant>,
    /// Dropped when the request is over, however it ended: gives back its share of the queue.
    pub guard: G,
}

/// What happened, in this order: jobs, v1's answers, and then the ends of connections.
#[derive(Clone, Debug)]
pub struct Batch<G> {
    /// Requests to send.
    pub jobs: Vec<Job<G>>,
    /// Answers of v1 to these jobs or to those before them, where somebody wants them.
    pub answers: Vec<(Message, G)>,
    /// Captured connections from which no more jobs will come: theirs to v2 are closed behind the last.
    pub ended: Vec<u64>,
    /// Dropped when `ended` was looked at.
    pub guard: Option<G>,
}

impl<G> From<Vec<Job<G>>> for Batch<G> {
    fn from(jobs: Vec<Job<G>>) -> Self {
        Self { jobs, answers: Vec::new(), ended: Vec::new(), guard: None }
    }
}

/// What the replayer is asked to do, given through a `tokio::sync::watch` channel.
///
/// Without any of it the replayer ends when its job channel is closed and everything is answered,
/// however long that takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stop {
    /// Go on.
    #[default]
    Go,
    /// Go on until this moment, each request at its time. What still waits then is shed
    /// as `drain_deadline`, what is under way is aborted and shed as `cut_off`.
    DrainUntil(Instant),
    /// End at once, with the same two buckets.
    Now,
}
