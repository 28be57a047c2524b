//! Requests of which v1's answer or v2's is still to come.
//!
//! In: requests as they are taken over, and when both answers are there. Out: what is known of each. Guaranteed: what is not
//! over is bounded by the queue of whoever sends; v1's answers that come before their requests are taken over by [`MAX_EARLY`],
//! and [`MAX_EARLY_BYTES`] of what they gave; of those that are over and wait for v1's answer, which may never come, no more
//! than [`MAX_WAITING`] are remembered, of [`MAX_WAITING_BYTES`] bytes, the latest.

use std::collections::VecDeque;
use std::net::IpAddr;

use ahash::AHashMap;

use super::source::Given;
use super::table::{Gift, Key};
use crate::model::Timestamp;

/// Requests that are over and whose answer of v1 may still come.
const MAX_WAITING: usize = 1 << 14;
/// Bytes of what v2 gave for them.
const MAX_WAITING_BYTES: usize = 8 << 20;

/// Answers of v1 that are kept for requests still to be taken over.
const MAX_EARLY: usize = 1024;
/// Bytes of what they gave.
const MAX_EARLY_BYTES: usize = 4 << 20;

/// What v1's answer to a request gave.
#[derive(Clone, Debug)]
pub(super) struct Gave {
    pub conn: u64,
    pub client: IpAddr,
    /// Packet time of its first byte.
    pub at: Timestamp,
    pub given: Vec<Given>,
}

fn bytes_of(given: &[Given]) -> usize {
    let given = given.iter().map(|given| {
        size_of::<Given>() + given.slot.len() + given.value.as_ref().map_or(0, Vec::len)
    });
    given.sum()
}

/// Answers of v1 to requests that were not taken over, and may be yet: the latest.
#[derive(Default)]
pub(super) struct Early {
    gave: VecDeque<((u64, u32), Gave)>,
    bytes: usize,
}

impl Early {
    pub fn add(&mut self, request: (u64, u32), gave: Gave) {
        if gave.given.is_empty() {
            return;
        }
        self.bytes += bytes_of(&gave.given);
        self.gave.push_back((request, gave));
        while self.gave.len() > MAX_EARLY || self.bytes > MAX_EARLY_BYTES {
            let Some((_, gone)) = self.gave.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes_of(&gone.given));
        }
    }

    pub fn take(&mut self, request: &(u64, u32)) -> Option<Gave> {
        // The last one came last.
        let at = self.gave.iter().rposition(|(other, _)| other == request)?;
        let (_, gave) = self.gave.remove(at)?;
        self.bytes = self.bytes.saturating_sub(bytes_of(&gave.given));
        Some(gave)
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Exchange {
    pub conn: u64,
    pub index: u32,
    pub client: IpAddr,
    /// Packet time of its last byte.
    pub at: Timestamp,
    /// The cookies that it carried as captured, by rule and name, where a rule may have to know.
    pub cookies: Vec<(usize, Vec<u8>, Vec<u8>)>,
    /// What v1's answer gave, once it was seen: key, rule and slot of each value.
    pub v1: Option<Vec<(Key, usize, Vec<u8>)>>,
    /// What v2's answer gave, once the request is over.
    pub v2: Option<Vec<Given>>,
}

impl Exchange {
    /// What v2 gave in this slot.
    pub fn gift(&self, rule: usize, slot: &[u8]) -> Gift {
        let Some(given) = &self.v2 else { return Gift::Pending };
        // The last of several with one name counts (RFC 6265 section 5.3).
        match given.iter().rev().find(|given| given.rule == rule && given.slot == slot) {
            None => Gift::Nothing,
            Some(Given { value: Some(value), .. }) => Gift::Value(value.as_slice().into()),
            Some(_) => Gift::Deleted,
        }
    }

    fn bytes(&self) -> usize {
        let given = bytes_of(self.v2.as_deref().unwrap_or_default());
        let cookies = self.cookies.iter().map(|(_, name, value)| name.len() + value.len() + 64);
        size_of::<Self>() + 64 + given + cookies.sum::<usize>()
    }
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Exchanges {
    by_number: AHashMap<u64, Exchange>,
    by_request: AHashMap<(u64, u32), u64>,
    /// Those that wait for v1's answer, and their bytes.
    waiting: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Exchanges {
    pub fn add(&mut self, n: u64, exchange: Exchange) {
        self.by_request.insert((exchange.conn, exchange.index), n);
        self.by_number.insert(n, exchange);
    }

    /// The number of a request.
    pub fn number(&self, conn: u64, index: u32) -> Option<u64> {
        self.by_request.get(&(conn, index)).copied()
    }

    pub fn get(&mut self, n: u64) -> Option<&mut Exchange> {
        self.by_number.get_mut(&n)
    }

    /// Whether v2's answer may still come.
    pub fn is_open(&self, n: u64) -> bool {
        self.by_number.get(&n).is_some_and(|exchange| exchange.v2.is_none())
    }

    /// Nothing more comes.
    pub fn remove(&mut self, n: u64) -> Option<Exchange> {
        let exchange = self.by_number.remove(&n)?;
        let at = (exchange.conn, exchange.index);
        if self.by_request.get(&at) == Some(&n) {
            self.by_request.remove(&at);
        }
        Some(exchange)
    }

    /// The request is over and waits for v1's answer.
    pub fn wait(&mut self, n: u64) {
        let Some(exchange) = self.by_number.get(&n) else { return };
        let bytes = exchange.bytes();
        self.waiting.push_back((n, bytes));
        self.bytes += bytes;
        // What came meanwhile is forgotten here when its turn comes.
        while self.waiting.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES {
            let Some((n, bytes)) = self.waiting.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes);
            self.remove(n);
        }
    }
}
