//! What the dispatcher asks of a transport: one request out, its whole answer in.
//!
//! A transport owns its connections to v2 and knows nothing of order, due times, limits or counts.
//! It may use `message.conn` to give each captured connection one of its own.

use std::future::Future;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::model::ledger::Failure;
use crate::model::{KeptAnswer, Message};

/// A whole answer of v2, read to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// Status code.
    pub status: u16,
    /// When its last byte was read.
    pub at: Instant,
    /// What was kept of it; nothing unless it was asked for.
    pub kept: Option<Box<KeptAnswer>>,
}

/// What is kept of an answer whose head is there; its body is to come.
pub(super) fn kept(status: u16, fields: &HeaderMap) -> Box<KeptAnswer> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())
    };
    let fields = fields.iter().map(field).collect();
    Box::new(KeptAnswer { status, fields, ..KeptAnswer::default() })
}

/// Sends requests to one target.
pub(super) trait Transport: Send + Sync + 'static {
    /// Sends `message` as the `n`th copy of this run and reads the answer to its end, within the
    /// transport's own timeouts, which begin at `start`: now. Sends at most once. Dropping the future ends the exchange.
    /// With `keep` the answer is kept, and so many bytes of its body at most; else it is read over.
    fn exchange(
        &self,
        message: Message,
        n: u64,
        start: Instant,
        keep: Option<usize>,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// No more requests of this captured connection will come, and none is under way.
    fn ended(&self, _conn: u64) {}

    /// Closes what has been idle for too long. Says whether idle connections are left.
    fn sweep(&self, _now: Instant) -> bool {
        false
    }
}
