//! Requests that wait for their response, each with the time at which it was whole.
//!
//! In: requests, and which of them was answered. Out: when that one had been asked. Guaranteed: memory for the last
//! [`MOST`] requests; the one that has waited longest is forgotten first.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::Timestamp;

/// Requests whose responses may still come: those of a few seconds.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// See the module's description.
#[derive(Debug)]
pub struct Asked(LruCache<(u64, u32), Timestamp, ahash::RandomState>);

impl Default for Asked {
    fn default() -> Self {
        Self(LruCache::with_hasher(MOST, ahash::RandomState::new()))
    }
}

impl Asked {
    /// A request of this connection and index, whole at this time.
    pub fn add(&mut self, conn: u64, request: u32, at: Timestamp) {
        self.0.put((conn, request), at);
    }

    /// When the request of this index was whole; it no longer waits.
    pub fn answered(&mut self, conn: u64, request: u32) -> Option<Timestamp> {
        self.0.pop(&(conn, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once_and_the_oldest_is_forgotten() {
        let mut asked = Asked::default();
        for conn in 0..=MOST.get() as u64 {
            asked.add(conn, 3, Timestamp::from_nanos(conn));
        }
        assert_eq!(asked.answered(0, 3), None, "forgotten");
        assert_eq!(asked.answered(1, 2), None, "another one");
        assert_eq!(asked.answered(1, 3), Some(Timestamp::from_nanos(1)));
        assert_eq!(asked.answered(1, 3), None, "twice");
    }
}
