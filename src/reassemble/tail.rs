//! What is kept of the last bytes delivered in one direction: their number and a checksum.
//!
//! In: bytes as they are delivered; later, bytes for the same sequence numbers. Out: whether the two differ.
//! Guaranteed: 4 bytes a direction, whatever was delivered; equal bytes never differ, and of those that
//! differ 1 in 65,536 is not told (a checksum finds what was changed, not what was made to match).
//!
//! A checksum and no keyed hash, since every byte delivered goes through it: CRC-32 takes 24 ns for 500
//! bytes where `ahash` takes 65.

/// See the module's description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tail {
    /// How many they are; 0 when nothing is known of what stands before the next byte.
    len: u16,
    /// Both halves of their CRC-32 in one.
    sum: u16,
}

impl Tail {
    /// What to keep of these bytes: of very many, the last ones.
    pub fn of(bytes: &[u8]) -> Self {
        let from = bytes.len().saturating_sub(usize::from(u16::MAX));
        let kept = bytes.get(from..).unwrap_or_default();
        let sum = crc32fast::hash(kept);
        Self { len: kept.len() as u16, sum: (sum ^ (sum >> 16)) as u16 }
    }

    /// Whether a segment, of which the first `old` bytes stand before the next one to deliver, has other
    /// bytes where these are. False where it does not have all of them, and of a single byte: probes of
    /// an idle connection repeat the last number with any byte (RFC 9293 3.8.4).
    pub fn differs(self, segment: &[u8], old: i32) -> bool {
        let len = usize::from(self.len);
        let Some(end) = usize::try_from(old).ok().filter(|_| len > 0 && segment.len() > 1) else {
            return false;
        };
        let same = end.checked_sub(len).and_then(|start| segment.get(start..end));
        same.is_some_and(|bytes| Self::of(bytes) != self)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Tail>(), 4);
    }

    #[test]
    fn only_a_segment_that_has_all_of_it_is_compared() {
        let tail = Tail::of(b"abc");
        for (segment, old, differs) in [
            (&b"abc"[..], 3, false),
            (b"aXc", 3, true),
            (b"abcdef", 3, false),
            (b"abXdef", 3, true),
            (b"xxabc", 5, false),
            (b"xxaXc", 5, true),
            // Not all of it, more than there is, or nothing old.
            (b"XX", 2, false),
            (b"XX", 3, false),
            (b"xyz", 9, false),
            (b"xyz", 0, false),
            (b"xyz", -3, false),
        ] {
            assert_eq!(tail.differs(segment, old), differs, "{segment:?} {old}");
        }
        assert!(!Tail::default().differs(b"abc", 3));
        assert!(!Tail::of(b"a").differs(b"X", 1), "a probe");
        assert!(Tail::of(b"a").differs(b"Xb", 1));
    }

    #[test]
    fn of_very_many_the_last_are_kept() {
        let mut bytes = vec![b'x'; 70_000];
        let tail = Tail::of(&bytes);
        assert!(!tail.differs(&bytes, 70_000));
        bytes[69_999] = b'y';
        assert!(tail.differs(&bytes, 70_000));
    }
}
