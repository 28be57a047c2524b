//! The sequence numbers of recent SYNs and SYN+ACKs, in a table of fixed size.
//!
//! Neither may allocate anything: a flood of SYNs, which the server answers one by one, would push
//! live connections out. So the first sequence number of a side is kept here, one slot for each hash;
//! a later one with the same slot overwrites it, and the connection then counts as seen from the middle.

use crate::model::SeqNum;

/// Slots; a power of two. 16,384 handshakes' sides under way at once are 256 KiB.
const SLOTS: usize = 1 << 14;

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
            self.slots = vec![EMPTY; SLOTS];
        }
        if let Some(slot) = self.slots.get_mut(Self::place(hash)) {
            *slot = Slot { tag: hash | 1, opening };
        }
    }

    /// The opening of that side, if it is still there.
    pub fn get(&self, hash: u64) -> Option<Opening> {
        let slot = self.slots.get(Self::place(hash))?;
        (slot.tag == hash | 1).then_some(slot.opening)
    }

    /// Forgets it: the connection is in the flow table now.
    pub fn remove(&mut self, hash: u64) {
        if let Some(slot) = self.slots.get_mut(Self::place(hash))
            && slot.tag == hash | 1
        {
            slot.tag = 0;
        }
    }

    fn place(hash: u64) -> usize {
        // The upper bits choose the slot; the whole hash is the tag.
        (hash >> 48) as usize & (SLOTS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_by_hash_and_forgets_when_overwritten() {
        let mut cache = SynCache::default();
        let (a, b) = (0x1111_0000_0000_0002, 0x1111_0000_0000_0004);
        assert_eq!(cache.get(a), None);
        let opening = |isn| Opening { isn: SeqNum(isn), is_answer: false };
        cache.insert(a, opening(7));
        assert_eq!((cache.get(a), cache.get(b)), (Some(opening(7)), None));
        cache.insert(b, opening(8));
        assert_eq!((cache.get(a), cache.get(b)), (None, Some(opening(8))));
        cache.remove(b);
        assert_eq!(cache.get(b), None);
    }
}
