//! Generated traffic: the same bytes from the same seed, on every machine.
//!
//! In: how many connections and exchanges, and of what kind. Out: a [`Capture`], Ethernet frames with
//! IPv4 and TCP in memory, and the segments that lie in them. No loss and no reordering unless asked
//! for. Checksums are left empty, as with offload.

mod exchange;
mod packet;

pub use exchange::{Heard, Kind, exchanges, request, uploads};
use packet::ACK;
pub use packet::{Capture, Packet};

/// A small generator (splitmix64): not random enough for secrets, repeatable.
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Mixes the order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// Packets out of order by up to `distance` places, but for those around a beginning or an end: data
/// before its SYN is a connection seen from the middle, which is another thing.
pub fn reorder(mut packets: Vec<Packet>, distance: usize, seed: u64) -> Vec<Packet> {
    let mut rng = Rng(seed);
    for few in packets.chunks_mut(distance) {
        if few.iter().all(|packet| packet.bits == ACK) {
            rng.shuffle(few);
        }
    }
    packets
}

/// One in `one_in` packets with data is gone.
pub fn lose(mut packets: Vec<Packet>, one_in: usize, seed: u64) -> Vec<Packet> {
    let mut rng = Rng(seed);
    packets.retain(|packet| packet.payload.is_empty() || rng.below(one_in) > 0);
    packets
}
