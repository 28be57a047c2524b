//! The sequence numbers of recent SYNs, in a table of fixed size.
//!
//! A SYN alone must allocate nothing: a flood of them would push live connections out. So the first
//! sequence number of a connection that is just being opened is kept here, one slot for each hash;
//! a later SYN with the same slot overwrites it, and the connection then counts as seen from the middle.

use crate::model::SeqNum;

/// Slots; a power of two. 16,384 handshakes under way at once are 192 KiB.
const SLOTS: usize = 1 << 14;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct SynCache {
    /// Allocated with the first SYN. Tag (upper hash bits, never 0) and initial sequence number.
    slots: Vec<(u64, SeqNum)>,
}

impl SynCache {
    /// Remembers the initial sequence number under a hash of 4-tuple and sender.
    pub fn insert(&mut self, hash: u64, isn: SeqNum) {
        if self.slots.is_empty() {
            self.slots = vec![(0, SeqNum(0)); SLOTS];
        }
        if let Some(slot) = self.slots.get_mut(Self::slot(hash)) {
            *slot = (hash | 1, isn);
        }
    }

    /// The initial sequence number of that handshake, if it is still there.
    pub fn get(&self, hash: u64) -> Option<SeqNum> {
        self.slots.get(Self::slot(hash)).filter(|(tag, _)| *tag == hash | 1).map(|&(_, isn)| isn)
    }

    /// Forgets it: the connection is in the flow table now.
    pub fn remove(&mut self, hash: u64) {
        if let Some(slot) = self.slots.get_mut(Self::slot(hash))
            && slot.0 == hash | 1
        {
            slot.0 = 0;
        }
    }

    fn slot(hash: u64) -> usize {
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
        cache.insert(a, SeqNum(7));
        assert_eq!((cache.get(a), cache.get(b)), (Some(SeqNum(7)), None));
        cache.insert(b, SeqNum(8));
        assert_eq!((cache.get(a), cache.get(b)), (None, Some(SeqNum(8))));
        cache.remove(b);
        assert_eq!(cache.get(b), None);
    }
}
