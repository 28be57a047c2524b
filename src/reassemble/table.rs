//! The flow table: connections by 4-tuple, and two orders of age.
//!
//! Guaranteed: a lookup is one keyed hash (crafted 4-tuples cannot collide on purpose); adding,
//! finding the oldest and removing cost O(1); a packet of a known connection touches its own entry
//! only. One order is of open connections, the other of those that are over and only remembered. A
//! connection that was active since it was put in line goes to the back when it comes to the front.

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::clock::Tick;
use super::flow::Flow;
use crate::model::{FlowKey, Side};

/// No slot: the end of a list.
const NIL: u32 = u32::MAX;

/// Which order of age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Connections that go on.
    Open,
    /// Connections that are over and only remembered.
    Over,
}

/// Neighbours in an order of age, and when the place was taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    older: u32,
    younger: u32,
    since: Tick,
}

#[derive(Clone, Copy, Debug)]
struct List {
    oldest: u32,
    youngest: u32,
}

const EMPTY: List = List { oldest: NIL, youngest: NIL };

/// The table grows by this part of itself, and no less than so many slots: doubling would leave half of
/// it empty. Where memory is moved by pages (Linux), growing copies nothing.
const GROWTH: (usize, usize) = (64, 64);

/// See the module's description.
pub(super) struct Table<F> {
    slots: Slab<Flow<F>>,
    index: HashTable<u32>,
    hasher: RandomState,
    open: List,
    over: List,
    generation: u32,
    /// Connections whose key includes the encapsulation.
    scoped: usize,
}

impl<F> Table<F> {
    pub fn new() -> Self {
        Self {
            slots: Slab::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
            open: EMPTY,
            over: EMPTY,
            generation: 0,
            scoped: 0,
        }
    }

    /// Connections in the table, those only remembered included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// A hash of a 4-tuple, a sender and an encapsulation, for the SYN cache.
    pub fn hash_opening(&self, key: &FlowKey, side: Side, encapsulation: u64) -> u64 {
        self.hasher.hash_one((key, side, encapsulation))
    }

    /// Whether any connection shares its 4-tuple with another.
    pub fn has_scoped(&self) -> bool {
        self.scoped > 0
    }

    pub fn find(&self, key: &FlowKey, scope: u64) -> Option<u32> {
        let hash = self.hasher.hash_one((key, scope));
        let is_it = |&slot: &u32| {
            self.get(slot).is_some_and(|flow| flow.scope() == scope && flow.key.full() == *key)
        };
        self.index.find(hash, is_it).copied()
    }

    pub fn get(&self, slot: u32) -> Option<&Flow<F>> {
        self.slots.get(slot as usize)
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Flow<F>> {
        self.slots.get_mut(slot as usize)
    }

    /// The connection in a slot, if it is still the one of that generation.
    pub fn redeem(&mut self, slot: u32, generation: u32) -> Option<&mut Flow<F>> {
        self.get_mut(slot).filter(|flow| flow.generation == generation)
    }

    /// Adds a connection at the young end; its key and scope must not be in the table.
    pub fn insert(&mut self, mut flow: Flow<F>, now: Tick) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        flow.generation = self.generation;
        self.scoped += usize::from(flow.is_scoped);
        let hash = self.hasher.hash_one((flow.key.full(), flow.scope()));
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(GROWTH.1.max(self.slots.len() / GROWTH.0));
        }
        let slot = self.slots.insert(flow) as u32;
        self.append(Order::Open, slot, now);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, slot, |&slot| {
            slots
                .get(slot as usize)
                .map_or(0, |flow| hasher.hash_one((flow.key.full(), flow.scope())))
        });
        slot
    }

    /// Notes that the connection is over: from now on it ages among the remembered.
    pub fn mark_over(&mut self, slot: u32, now: Tick) {
        self.unlink(Order::Open, slot);
        self.append(Order::Over, slot, now);
    }

    /// Removes a connection.
    pub fn remove(&mut self, slot: u32) -> Option<Flow<F>> {
        let order = if self.get(slot)?.is_over() { Order::Over } else { Order::Open };
        self.unlink(order, slot);
        let flow = self.slots.try_remove(slot as usize)?;
        self.scoped = self.scoped.saturating_sub(usize::from(flow.is_scoped));
        let hash = self.hasher.hash_one((flow.key.full(), flow.scope()));
        if let Ok(entry) = self.index.find_entry(hash, |&s| s == slot) {
            entry.remove();
        }
        Some(flow)
    }

    /// The oldest connection of an order, after those active since they were put in line went to
    /// the back: at most a few at a call, so that a call's cost is bounded.
    pub fn oldest(&mut self, order: Order, now: Tick) -> Option<u32> {
        const LOOKS: usize = 8;
        for _ in 0..LOOKS {
            let slot = self.list(order).oldest;
            let flow = self.slots.get(slot as usize)?;
            if !flow.last.is_after(flow.link.since) {
                return Some(slot);
            }
            self.unlink(order, slot);
            self.append(order, slot, now);
        }
        Some(self.list(order).oldest).filter(|&slot| slot != NIL)
    }

    /// Slots of all connections.
    pub fn slots(&self) -> Vec<u32> {
        self.slots.iter().map(|(slot, _)| slot as u32).collect()
    }

    fn list(&mut self, order: Order) -> &mut List {
        match order {
            Order::Open => &mut self.open,
            Order::Over => &mut self.over,
        }
    }

    fn append(&mut self, order: Order, slot: u32, now: Tick) {
        let youngest = self.list(order).youngest;
        if let Some(flow) = self.slots.get_mut(slot as usize) {
            flow.link = Link { older: youngest, younger: NIL, since: now };
        }
        match self.slots.get_mut(youngest as usize) {
            Some(before) => before.link.younger = slot,
            None => self.list(order).oldest = slot,
        }
        self.list(order).youngest = slot;
    }

    fn unlink(&mut self, order: Order, slot: u32) {
        let Some(Link { older, younger, .. }) = self.slots.get(slot as usize).map(|e| e.link)
        else {
            return;
        };
        match self.slots.get_mut(older as usize) {
            Some(before) => before.link.younger = younger,
            None => self.list(order).oldest = younger,
        }
        match self.slots.get_mut(younger as usize) {
            Some(behind) => behind.link.older = older,
            None => self.list(order).youngest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stays_small() {
        // 64 bytes is what the HTTP reader keeps of an idle connection, with a bool in it.
        type Kept = ([u64; 7], u32, bool);
        assert_eq!(size_of::<Kept>(), 64);
        assert!(size_of::<Flow<Kept>>() <= 184, "{}", size_of::<Flow<Kept>>());
    }
}
