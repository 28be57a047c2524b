//! The sequence numbers of recent SYNs and SYN+ACKs, in a table of fixed size.
//!
//! Neither may allocate anything: a flood of SYNs, which the server answers one by one, would push
//! live connections out. So the first sequence number of a side is kept here, in one of a few slots
//! for each hash; when they are taken, a later one overwrites the oldest, and that connection then
//! counts as seen from the middle.

use std::ops::Range;

use crate::model::SeqNum;

/// Slots a hash may use: enough that handshakes do not overwrite each other by chance.
const WAYS: usize = 4;

/// Sets of slots; a power of two. 16,384 sides of handshakes under way at once are 256 KiB.
const SETS: usize = 1 << 12;

/// The first packet of one side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Opening {
    /// Its initial sequence number.
    pub isn: SeqNum,
    /// Whether it was a SYN+ACK.
    pub is_answer: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The hash, made odd; 0 when the slot is empty.
    tag: u64,
    opening: Opening,
}

const EMPTY: Slot = Slot { tag: 0, opening: Opening { isn: SeqNum(0), is_answer: false } };

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct SynCache {
    /// Allocated with the first SYN.
    slots: Vec<Slot>,
}

impl SynCache {
    /// Remembers an opening under a hash of 4-tuple, sender and encapsulation.
    pub fn insert(&mut self, hash: u64, opening: Opening) {
        if self.slots.is_empty() {
            self.slots = vec![EMPTY; SETS * WAYS];
        }
        let Some(set) = self.slots.get_mut(Self::place(hash)) else { return };
        // The youngest stands first.
        let at = set.iter().position(|slot| slot.tag == hash | 1 || slot.tag == 0);
        if let Some(older) = set.get_mut(..=at.unwrap_or(WAYS - 1)) {
            older.rotate_right(1);
        }
        if let Some(first) = set.first_mut() {
            *first = Slot { tag: hash | 1, opening };
        }
    }

    /// The opening of that side, if it is still there.
    pub fn get(&self, hash: u64) -> Option<Opening> {
        let set = self.slots.get(Self::place(hash))?;
        set.iter().find(|slot| slot.tag == hash | 1).map(|slot| slot.opening)
    }

    /// Forgets it: the connection is in the flow table now.
    pub fn remove(&mut self, hash: u64) {
        let Some(set) = self.slots.get_mut(Self::place(hash)) else { return };
        if let Some(slot) = set.iter_mut().find(|slot| slot.tag == hash | 1) {
            slot.tag = 0;
        }
    }

    fn place(hash: u64) -> Range<usize> {
        // The upper bits choose the set; the whole hash is the tag.
        let first = ((hash >> 48) as usize & (SETS - 1)) * WAYS;
        first..first + WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_by_hash_and_forgets_when_overwritten() {
        let mut cache = SynCache::default();
        let hash = |n: u64| 0x1111_0000_0000_0000 + 2 * n;
        let opening = |isn| Opening { isn: SeqNum(isn), is_answer: false };
        assert_eq!(cache.get(hash(0)), None);
        for n in 0..=WAYS as u64 {
            cache.insert(hash(n), opening(n as u32));
        }
        assert_eq!(cache.get(hash(0)), None, "the oldest went");
        assert_eq!(cache.get(hash(1)), Some(opening(1)));
        cache.insert(hash(1), opening(99));
        cache.insert(hash(9), opening(9));
        assert_eq!(cache.get(hash(2)), None, "now another was the oldest");
        assert_eq!(cache.get(hash(1)), Some(opening(99)));
        cache.remove(hash(1));
        assert_eq!(cache.get(hash(1)), None);
        cache.insert(hash(5), opening(5));
        assert_eq!(cache.get(hash(3)), Some(opening(3)), "the free slot was taken");
    }
}
