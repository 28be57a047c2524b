//! Idle connections to v2, each kept for the captured connection whose requests it carried.
//!
//! Guaranteed: at most as many as allowed are kept, the longest idle is closed first; none is kept longer
//! than [`IDLE`], or than the captured connection where its end is known.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::connect::Registered;
use super::stream::Stream;

/// How long an idle connection is kept.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// A connection to v2.
pub(super) struct Connection {
    pub stream: Stream,
    /// Keeps it out of the capture, by being held.
    pub _registered: Option<Registered>,
    /// When its last answer was whole.
    pub used_at: Instant,
}

/// See the module's description.
pub(super) struct Pool {
    idle: Mutex<LruCache<u64, Connection>>,
    most: usize,
}

impl Pool {
    /// An empty pool for so many.
    pub fn new(most: usize) -> Self {
        Self { idle: Mutex::new(LruCache::unbounded()), most: most.max(1) }
    }

    fn idle(&self) -> MutexGuard<'_, LruCache<u64, Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of this captured one. v2 may have closed it meanwhile.
    pub fn take(&self, conn: u64) -> Option<Connection> {
        self.idle().pop(&conn)
    }

    /// The connection that was used last, whoever used it. v2 may have closed it meanwhile.
    pub fn take_any(&self) -> Option<Connection> {
        self.idle().pop_mru().map(|(_, kept)| kept)
    }

    /// Keeps a connection.
    pub fn put(&self, conn: u64, connection: Connection) {
        let mut idle = self.idle();
        idle.put(conn, connection);
        if idle.len() > self.most {
            idle.pop_lru();
        }
    }

    /// Closes the connection of this captured one, which has ended.
    pub fn close(&self, conn: u64) {
        self.idle().pop(&conn);
    }

    /// Closes the oldest quarter, because there are too many: at once and without a farewell, so that their
    /// ports are free, too. Says whether there was any.
    pub fn make_room(&self) -> bool {
        let mut idle = self.idle();
        let many = idle.len().div_ceil(4);
        for _ in 0..many {
            if let Some((_, oldest)) = idle.pop_lru() {
                oldest.stream.abort();
            }
        }
        many > 0
    }

    /// Closes what has been idle for too long. Says whether any is left.
    pub fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle();
        while let Some((_, oldest)) = idle.peek_lru() {
            if now.saturating_duration_since(oldest.used_at) < IDLE {
                return true;
            }
            idle.pop_lru();
        }
        false
    }
}
