//! Requests of which v1's answer or v2's is still to come.
//!
//! In: requests as they are taken over, and when both answers are there. Out: what is known of each. Guaranteed: what is not
//! over is bounded by the queue of whoever sends, and what is remembered about it by [`MAX_OPEN_BYTES`], that of the first given up
//! first and counted; v1's answers that come before their requests are taken over by [`MAX_EARLY`], and [`MAX_EARLY_BYTES`] of
//! what they gave; of those that are over and wait for v1's answer, which may never come, no more than [`MAX_WAITING`] are
//! remembered, of [`MAX_WAITING_BYTES`] bytes, the latest. Of v1's values and of cookies only keys are kept.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use ahash::AHashMap;

use super::key::{Key, Slot};
use super::source::Given;
use super::table::Gift;
use crate::model::Timestamp;

/// Bytes of what v1 gave for requests that v2 has not answered, and of the cookies that they carried.
pub(super) const MAX_OPEN_BYTES: usize = 16 << 20;

/// Requests that are over and whose answer of v1 may still come.
const MAX_WAITING: usize = 1 << 14;
/// Bytes of what v2 gave for them.
const MAX_WAITING_BYTES: usize = 8 << 20;

/// Answers of v1 that are kept for requests still to be taken over.
const MAX_EARLY: usize = 1024;
/// Bytes of what they gave.
const MAX_EARLY_BYTES: usize = 4 << 20;

/// A value of v1's, or a cookie that a request carried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub rule: usize,
    pub slot: Slot,
    pub key: Key,
}

/// What v1's answer to a request gave.
#[derive(Clone, Debug)]
pub(super) struct Gave {
    pub conn: u64,
    pub client: IpAddr,
    /// Packet time of its first byte.
    pub at: Timestamp,
    pub given: Vec<Named>,
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
        self.bytes += size_of_val(&*gave.given);
        self.gave.push_back((request, gave));
        while self.gave.len() > MAX_EARLY || self.bytes > MAX_EARLY_BYTES {
            let Some((_, gone)) = self.gave.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(size_of_val(&*gone.given));
        }
    }

    pub fn take(&mut self, request: &(u64, u32)) -> Option<Gave> {
        // The last one came last.
        let at = self.gave.iter().rposition(|(other, _)| other == request)?;
        let (_, gave) = self.gave.remove(at)?;
        self.bytes = self.bytes.saturating_sub(size_of_val(&*gave.given));
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
    /// The cookies that it carried as captured, where a rule may have to know.
    pub cookies: Vec<Named>,
    /// What v1's answer gave, once it was seen.
    pub v1: Option<Vec<Named>>,
    /// What v2's answer gave, once the request is over.
    pub v2: Option<Vec<Given>>,
}

impl Exchange {
    /// What v2 gave in this slot.
    pub fn gift(&self, rule: usize, slot: Slot) -> Gift {
        let Some(given) = &self.v2 else { return Gift::Pending };
        // The last of several with one name counts (RFC 6265 section 5.3).
        match given.iter().rev().find(|given| given.rule == rule && given.slot == slot) {
            None => Gift::Nothing,
            Some(Given { value: Some(value), .. }) => Gift::Value(value.as_slice().into()),
            Some(_) => Gift::Deleted,
        }
    }

    /// Of what is remembered while v2's answer is to come.
    fn open_bytes(&self) -> usize {
        size_of_val(&*self.cookies) + self.v1.as_deref().map_or(0, size_of_val)
    }

    /// Of what is remembered while v1's answer is to come.
    fn waiting_bytes(&self) -> usize {
        let given = self.v2.as_deref().unwrap_or_default();
        let values = given.iter().filter_map(|given| given.value.as_ref()).map(Vec::len);
        size_of::<Self>() + 64 + size_of_val(given) + values.sum::<usize>()
    }
}

/// What is remembered about a request until v2 has answered it.
pub(super) struct Remembered {
    pub conn: u64,
    pub cookies: Vec<Named>,
    pub v1: Option<Vec<Named>>,
}

/// See the module's description.
#[derive(Default)]
pub(super) struct Exchanges {
    by_number: AHashMap<u64, Exchange>,
    by_request: AHashMap<(u64, u32), u64>,
    /// Those that wait for v2's answer and of which something is remembered, and its bytes.
    open: BTreeSet<u64>,
    open_bytes: usize,
    /// Those that wait for v1's answer, and their bytes.
    waiting: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Exchanges {
    pub fn add(&mut self, n: u64, exchange: Exchange) {
        self.by_request.insert((exchange.conn, exchange.index), n);
        self.note(n, exchange.open_bytes());
        self.by_number.insert(n, exchange);
    }

    /// v1's answer to a request that v2 has not answered gave this.
    pub fn v1_gave(&mut self, n: u64, given: Vec<Named>) {
        let Some(exchange) = self.by_number.get_mut(&n) else { return };
        let before = exchange.open_bytes();
        exchange.v1 = Some(given);
        let bytes = exchange.open_bytes().saturating_sub(before);
        self.note(n, bytes);
    }

    /// What is remembered about the first of those that v2 has not answered, if that is too much of all: to be given up.
    pub fn take_too_much(&mut self) -> Option<(u64, Remembered)> {
        if self.open_bytes <= MAX_OPEN_BYTES {
            return None;
        }
        let n = *self.open.first()?;
        let given_up = self.forget(n)?;
        Some((n, given_up))
    }

    /// v2 has answered: what is remembered about a request until then.
    pub fn forget(&mut self, n: u64) -> Option<Remembered> {
        let exchange = self.by_number.get_mut(&n)?;
        if self.open.remove(&n) {
            self.open_bytes = self.open_bytes.saturating_sub(exchange.open_bytes());
        }
        let cookies = std::mem::take(&mut exchange.cookies);
        // That v1's answer was seen stays known.
        let v1 = exchange.v1.as_mut().map(std::mem::take);
        Some(Remembered { conn: exchange.conn, cookies, v1 })
    }

    fn note(&mut self, n: u64, bytes: usize) {
        if bytes > 0 {
            self.open.insert(n);
            self.open_bytes += bytes;
        }
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
    pub fn remove(&mut self, n: u64) {
        self.forget(n);
        let Some(exchange) = self.by_number.remove(&n) else { return };
        let at = (exchange.conn, exchange.index);
        if self.by_request.get(&at) == Some(&n) {
            self.by_request.remove(&at);
        }
    }

    /// The request is over and waits for v1's answer.
    pub fn wait(&mut self, n: u64) {
        let Some(exchange) = self.by_number.get(&n) else { return };
        let bytes = exchange.waiting_bytes();
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
