//! Which connection a message of a .gor file gets: the file knows none.
//!
//! In: identifiers, in the file's order. Out: numbers of connections, each with one request and what
//! answers it. Memory is bounded: a response further than [`MAX_OPEN`] requests behind its own has a connection
//! without it.

use std::num::NonZeroUsize;

use lru::LruCache;

/// Requests that are remembered for their responses.
const MAX_OPEN: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// See the module's description.
pub struct Exchanges {
    next: u64,
    open: LruCache<Box<[u8]>, u64>,
}

impl Default for Exchanges {
    fn default() -> Self {
        Self { next: 0, open: LruCache::new(MAX_OPEN) }
    }
}

impl Exchanges {
    /// A request's own. An identifier that comes again is another request.
    pub(super) fn request(&mut self, id: &[u8]) -> u64 {
        let conn = self.number();
        self.open.push(id.into(), conn);
        conn
    }

    /// That of the request that it answers, and whether there is one.
    pub(super) fn response(&mut self, id: &[u8]) -> (u64, bool) {
        match self.open.pop(id) {
            Some(conn) => (conn, true),
            None => (self.number(), false),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}
