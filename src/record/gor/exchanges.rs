//! Which connection a message of a .gor file gets: the file knows none.
//!
//! In: identifiers, in the file's order. Out: numbers of connections, each with one request and what
//! answers it. Files that are read as one share them: a response may be in the next. Memory is bounded: a response further than [`MAX_OPEN`] requests behind its own has a connection
//! without it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

/// Requests that are remembered for their responses.
const MAX_OPEN: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// See the module's description. Clones are those of other files that are read with this one.
#[derive(Clone, Default)]
pub struct Exchanges(Arc<Mutex<Known>>);

/// What the files share.
struct Known {
    next: u64,
    /// Connection, and responses so far.
    open: LruCache<Box<[u8]>, (u64, u32)>,
}

impl Default for Known {
    fn default() -> Self {
        Self { next: 0, open: LruCache::new(MAX_OPEN) }
    }
}

impl Exchanges {
    /// A request's own. An identifier that comes again is another request.
    pub(super) fn request(&self, id: &[u8]) -> u64 {
        self.with(|known| {
            let conn = known.number();
            known.open.push(id.into(), (conn, 0));
            conn
        })
    }

    /// That of the request that it answers, its number in it, and whether there is one. Behind an interim
    /// response another comes.
    pub(super) fn response(&self, id: &[u8], is_interim: bool) -> (u64, u32, bool) {
        self.with(|known| known.response(id, is_interim))
    }

    fn with<T>(&self, of: impl FnOnce(&mut Known) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn response(&mut self, id: &[u8], is_interim: bool) -> (u64, u32, bool) {
        let known = match is_interim {
            true => self.open.get_mut(id).map(|(conn, count)| {
                *count += 1;
                (*conn, *count - 1)
            }),
            false => self.open.pop(id),
        };
        match known {
            Some((conn, index)) => (conn, index, true),
            None => (self.number(), 0, false),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}
