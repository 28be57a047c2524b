//! TCP sequence numbers (RFC 9293 section 3.4): 32 bits, compared by signed distance.

use std::ops::Add;

/// A TCP sequence number. There is deliberately no `Ord`: order only means something within
/// half the number space, which is what [`SeqNum::distance`] gives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// How far `self` lies after `other`, in bytes; negative when it lies before.
    ///
    /// Any two numbers have a distance; for numbers 2^31 apart it is `i32::MIN`. Never panics.
    pub const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;
    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_crosses_the_wrap() {
        let before = SeqNum(u32::MAX - 1);
        let after = before + 4;
        assert_eq!(after, SeqNum(2));
        assert_eq!(after.distance(before), 4);
        assert_eq!(before.distance(after), -4);
    }

    #[test]
    fn the_far_half_is_negative() {
        assert_eq!(SeqNum(1 << 31).distance(SeqNum(0)), i32::MIN);
        assert_eq!(SeqNum((1 << 31) - 1).distance(SeqNum(0)), i32::MAX);
    }
}
