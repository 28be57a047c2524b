//! What is remembered of requests until their final response: the URI under which both are filed, and when the
//! request was whole.
//!
//! In: requests in order. Out: what is known of one, by its place. Guaranteed: bounded by count and by bytes; the oldest
//! are forgotten first, and a response whose request is forgotten is filed under the server's own URI.

use std::collections::{HashMap, VecDeque};

use crate::model::Timestamp;

/// Requests remembered: those of a few seconds.
const MAX_REQUESTS: usize = 65_536;
/// Bytes of URIs remembered.
const MAX_URI_BYTES: usize = 16 << 20;

/// A message's place: connection, and index of the request in it.
pub type Place = (u64, u32);

/// What is remembered of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Its `WARC-Target-URI`.
    pub uri: Box<[u8]>,
    /// Packet time of its last byte, if that was seen.
    pub last_byte: Option<Timestamp>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Asked {
    by_place: HashMap<Place, Request, ahash::RandomState>,
    order: VecDeque<Place>,
    bytes: usize,
}

impl Asked {
    /// Remembers a request.
    pub fn remember(&mut self, place: Place, request: Request) {
        self.bytes += request.uri.len();
        if let Some(old) = self.by_place.insert(place, request) {
            self.bytes -= old.uri.len();
        } else {
            self.order.push_back(place);
        }
        while self.order.len() > MAX_REQUESTS || self.bytes > MAX_URI_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.recall(oldest, true);
        }
    }

    /// What is known of a request; forgotten if this was the last time.
    pub fn recall(&mut self, place: Place, last_time: bool) -> Option<Request> {
        if !last_time {
            return self.by_place.get(&place).cloned();
        }
        let request = self.by_place.remove(&place)?;
        self.bytes -= request.uri.len();
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &[u8]) -> Request {
        Request { uri: uri.into(), last_byte: None }
    }

    #[test]
    fn the_memory_has_both_its_limits() {
        let mut asked = Asked::default();
        for conn in 0..=MAX_REQUESTS as u64 {
            asked.remember((conn, 0), of(b"u"));
        }
        assert_eq!((asked.order.len(), asked.bytes), (MAX_REQUESTS, MAX_REQUESTS));
        assert_eq!((asked.recall((0, 0), true), asked.by_place.len()), (None, MAX_REQUESTS));
        let large = vec![b'u'; MAX_URI_BYTES];
        asked.remember((1, 1), of(&large));
        assert_eq!((asked.by_place.len(), asked.bytes), (1, MAX_URI_BYTES));
        asked.remember((1, 2), of(b"u"));
        assert_eq!((asked.by_place.len(), asked.bytes), (1, 1));
        asked.remember((1, 2), of(b"uri"));
        assert_eq!((asked.by_place.len(), asked.bytes), (1, 3));
    }
}
