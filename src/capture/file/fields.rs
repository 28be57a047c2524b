//! Numbers in the byte order of a capture file.
//!
//! In: bytes whose number the caller has checked. Out: one field after the other. Behind the end it
//! reads zeros and never panics.

/// The byte order that the writing machine had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Order {
    #[default]
    Little,
    Big,
}

/// Takes fields off the front.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(order: Order, bytes: &'a [u8]) -> Self {
        Self { order, rest: bytes }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes, or what is left of them.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk::<N>() {
            Some((&array, rest)) => {
                self.rest = rest;
                array
            }
            None => {
                self.rest = &[];
                [0; N]
            }
        }
    }

    #[inline]
    pub fn u16(&mut self) -> u16 {
        let array = self.array();
        match self.order {
            Order::Little => u16::from_le_bytes(array),
            Order::Big => u16::from_be_bytes(array),
        }
    }

    #[inline]
    pub fn u32(&mut self) -> u32 {
        let array = self.array();
        match self.order {
            Order::Little => u32::from_le_bytes(array),
            Order::Big => u32::from_be_bytes(array),
        }
    }

    #[inline]
    pub fn u64(&mut self) -> u64 {
        let array = self.array();
        match self.order {
            Order::Little => u64::from_le_bytes(array),
            Order::Big => u64::from_be_bytes(array),
        }
    }
}
