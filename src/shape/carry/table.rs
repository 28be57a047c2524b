//! Who gave which value, and what v2 gave in its place.
//!
//! In: values that v1's answers gave, each with the request it answered; what v2 gave for the same request; values found in
//! later requests. Out: v2's value, or the request whose answer must come first. A value that several answers of v1 gave has
//! several givers: the last one before the request counts, one to the same client address before others. Guaranteed: at
//! most [`MAX_ENTRIES`] values and [`MAX_BYTES`] bytes, the longest unused given up first and counted; of each value the
//! last [`MAX_SETTLED`] givers that v2 has answered, and [`MAX_GIVERS`] in all.

use std::collections::VecDeque;
use std::net::IpAddr;

use lru::LruCache;

use super::key::{Key, Slot};
use crate::model::{Message, Timestamp};

/// Values at most.
pub(super) const MAX_ENTRIES: usize = 1 << 16;
/// Bytes of values and of what is kept about them at most.
pub(super) const MAX_BYTES: usize = 32 << 20;
/// Givers of one value; a file that is read ahead may have many of which v2's answer is to come.
const MAX_GIVERS: usize = 4096;
/// Of these, those of which it has come.
const MAX_SETTLED: usize = 32;
/// Givers that are looked at to find one to the same client.
const MAX_LOOKED_AT: usize = 256;
/// What an entry costs beside its givers.
const ENTRY: usize = 192;

/// What v2 gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Gift {
    /// Its answer is not there yet.
    Pending,
    /// Nothing: no such value in its answer, or no answer.
    Nothing,
    Value(Box<[u8]>),
    /// The cookie was deleted.
    Deleted,
}

/// An answer that gave a value.
#[derive(Clone, Debug)]
pub(super) struct Giver {
    /// Which request it answered, by the number in which that was taken over.
    pub n: u64,
    /// Of several values in the answer, which.
    pub slot: Slot,
    /// To whom.
    pub client: IpAddr,
    /// When the answer began, in packet time; where v1's was not seen, when the request ended.
    pub at: Timestamp,
    /// What v2 gave.
    pub gift: Gift,
    /// Whether v1's answer was seen.
    pub is_seen: bool,
    /// Whether it counts for the same client only: v1's client got the value elsewhere.
    pub is_local: bool,
}

/// What the table says about a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// It is not known.
    Unknown,
    /// It is, and v2 has given nothing for it.
    Nothing,
    /// The answer to this request must come first.
    Waits(u64),
    /// This goes in its place; `None` where the cookie was deleted.
    Gift(Option<Box<[u8]>>),
}

impl Giver {
    fn bytes(&self) -> usize {
        let gift = if let Gift::Value(value) = &self.gift { value.len() } else { 0 };
        size_of::<Self>() + gift
    }
}

/// Those who gave a value, in the order of the requests they answered.
#[derive(Default)]
struct Entry {
    givers: VecDeque<Giver>,
    /// Those that v2 has answered.
    settled: usize,
    bytes: usize,
}

impl Entry {
    fn add(&mut self, giver: Giver) {
        if self.givers.len() == MAX_GIVERS {
            return;
        }
        self.bytes += giver.bytes();
        self.settled += usize::from(giver.gift != Gift::Pending);
        let at = self.givers.partition_point(|other| other.n <= giver.n);
        self.givers.insert(at, giver);
        self.prune();
    }

    /// Those of this request.
    fn of(&mut self, n: u64) -> impl Iterator<Item = &mut Giver> {
        let start = self.givers.partition_point(|giver| giver.n < n);
        self.givers.range_mut(start..).take_while(move |giver| giver.n == n)
    }

    fn settle(&mut self, n: u64, slot: Slot, gift: &Gift) {
        let (mut settled, mut bytes) = (0, 0);
        let ours = |giver: &&mut Giver| giver.slot == slot && giver.gift == Gift::Pending;
        for giver in self.of(n).filter(ours) {
            giver.gift = gift.clone();
            settled += 1;
            bytes += if let Gift::Value(value) = gift { value.len() } else { 0 };
        }
        self.settled += settled;
        self.bytes += bytes;
        self.prune();
    }

    /// Gives up the first ones that v2 has answered, if there are many.
    fn prune(&mut self) {
        while self.settled > MAX_SETTLED {
            let first = self.givers.iter().position(|giver| giver.gift != Gift::Pending);
            let Some(gone) = first.and_then(|first| self.givers.remove(first)) else { break };
            self.settled -= 1;
            self.bytes = self.bytes.saturating_sub(gone.bytes());
        }
    }
}

/// See the module's description.
pub(super) struct Table {
    entries: LruCache<Key, Entry>,
    bytes: usize,
    pub evicted: u64,
}

impl Table {
    pub fn new() -> Self {
        Self { entries: LruCache::unbounded(), bytes: 0, evicted: 0 }
    }

    /// An answer gave this value.
    pub fn add(&mut self, key: &Key, giver: Giver) {
        if self.entries.get(key).is_none() {
            self.bytes += ENTRY;
            self.entries.put(*key, Entry { bytes: ENTRY, ..Entry::default() });
        }
        self.change(key, |entry| entry.add(giver));
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some((_, entry)) = self.entries.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            self.evicted += 1;
        }
    }

    /// v2 has answered the request, and gave this for what its giver has in this slot.
    pub fn settle(&mut self, key: &Key, n: u64, slot: Slot, gift: &Gift) {
        self.change(key, |entry| entry.settle(n, slot, gift));
    }

    /// v1's answer to the request was seen after all.
    pub fn see(&mut self, key: &Key, n: u64) {
        self.change(key, |entry| entry.of(n).for_each(|giver| giver.is_seen = true));
    }

    /// What stands for this value in a request with this number.
    pub fn find(&mut self, key: &Key, request: &Message, n: u64, unseen_only: bool) -> Found {
        let Some(Entry { givers, .. }) = self.entries.get(key) else { return Found::Unknown };
        let counts = |giver: &&Giver| {
            let is_same = giver.client == request.client.ip;
            let is_meant = !(unseen_only && giver.is_seen) && (is_same || !giver.is_local);
            giver.at <= request.first_byte && is_meant && giver.gift != Gift::Nothing
        };
        let end = givers.partition_point(|giver| giver.n < n);
        let last = || givers.range(..end).rev().take(MAX_LOOKED_AT).filter(counts);
        let same = last().find(|giver| giver.client == request.client.ip);
        match same.or_else(|| last().next()) {
            None => Found::Nothing,
            Some(Giver { gift: Gift::Pending, n, .. }) => Found::Waits(*n),
            Some(Giver { gift: Gift::Value(value), .. }) => Found::Gift(Some(value.clone())),
            Some(_) => Found::Gift(None),
        }
    }

    /// Changes an entry, if it is there, and keeps count of all bytes.
    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let before = entry.bytes;
        change(entry);
        self.bytes = (self.bytes + entry.bytes).saturating_sub(before);
    }
}
