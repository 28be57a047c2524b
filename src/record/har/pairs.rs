//! Requests and responses that wait for each other: an entry of HAR holds both.
//!
//! In: messages in any order. Out: exchanges, as soon as both are there. Memory is bounded: beyond its limits the
//! message that has waited longest goes without its counterpart.

use lru::LruCache;

use crate::model::{Message, Start};

/// Messages that wait at most.
const MAX_WAITING: usize = 65_536;
/// Their bytes.
const MAX_BYTES: usize = 64 << 20;

/// A request, a response, or both.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The request.
    pub request: Option<Message>,
    /// Its final response.
    pub response: Option<Message>,
}

/// Connection, and index of the request in it.
type Place = (u64, u32);

/// See the module's description.
#[derive(Debug)]
pub struct Pairs {
    waiting: LruCache<Place, Message>,
    bytes: usize,
}

impl Default for Pairs {
    fn default() -> Self {
        Self { waiting: LruCache::unbounded(), bytes: 0 }
    }
}

impl Pairs {
    /// Takes a request, or a response that says which request it answers; gives what is ready now.
    pub fn add(&mut self, message: &Message) -> Vec<Exchange> {
        let place = match message.start {
            Start::Response { request: Some(request), .. } => (message.conn, request),
            Start::Request { .. } | Start::Response { request: None, .. } => {
                (message.conn, message.index)
            }
        };
        let mut ready = Vec::new();
        if let Some(other) = self.waiting.pop(&place) {
            self.bytes -= other.cost();
            // Two of a kind at one place: a file whose numbers repeat.
            if other.is_request() == message.is_request() {
                ready.push(alone(other));
            } else {
                let mut exchange = alone(other);
                put(&mut exchange, message.clone());
                ready.push(exchange);
                return ready;
            }
        }
        self.bytes += message.cost();
        self.waiting.put(place, message.clone());
        while self.waiting.len() > MAX_WAITING || self.bytes > MAX_BYTES {
            let Some(oldest) = self.pop() else { break };
            ready.push(oldest);
        }
        ready
    }

    /// The one that has waited longest, without its counterpart.
    pub fn pop(&mut self) -> Option<Exchange> {
        let (_, message) = self.waiting.pop_lru()?;
        self.bytes -= message.cost();
        Some(alone(message))
    }

    /// How many wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }
}

fn alone(message: Message) -> Exchange {
    let mut exchange = Exchange::default();
    put(&mut exchange, message);
    exchange
}

fn put(exchange: &mut Exchange, message: Message) {
    match message.is_request() {
        true => exchange.request = Some(message),
        false => exchange.response = Some(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{request, response};

    #[test]
    fn both_orders_make_an_exchange_and_limits_let_go() {
        let asked = request(b"GET / HTTP/1.1\r\n\r\n");
        let answer = response(b"HTTP/1.1 200 OK\r\n\r\n", Some(3));
        let mut pairs = Pairs::default();
        for (first, second) in [(&asked, &answer), (&answer, &asked)] {
            assert!(pairs.add(first).is_empty());
            let ready = pairs.add(second);
            assert!(ready.len() == 1 && ready[0].request.is_some() && ready[0].response.is_some());
        }
        assert!(pairs.add(&asked).is_empty());
        let again = pairs.add(&asked);
        assert!(again.len() == 1 && again[0].response.is_none(), "a number that repeats");
        for conn in 0..=MAX_WAITING as u64 {
            pairs.add(&Message { conn: conn + 100, ..asked.clone() });
        }
        assert_eq!(pairs.waiting() as usize, MAX_WAITING);
        while pairs.pop().is_some() {}
        assert_eq!((pairs.bytes, pairs.waiting()), (0, 0));
    }
}
