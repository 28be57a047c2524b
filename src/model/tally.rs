//! Counters by cause: an enum of named causes and an array of counts, one place for each.

use std::marker::PhantomData;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// A closed set of named causes.
pub trait Cause: Copy + 'static {
    /// Every cause, in the order of the ledger.
    const ALL: &'static [Self];
    /// The cause's name in snake case: the bucket's name in every output.
    fn name(self) -> &'static str;
    /// Its place in [`Self::ALL`].
    fn index(self) -> usize;
}

/// Declares an enum of causes with its names, and implements [`Cause`] for it.
macro_rules! causes {
    ($(#[$meta:meta])* $enum:ident, $count:ident { $($(#[$vmeta:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum $enum { $($(#[$vmeta])* $variant,)+ }

        #[doc = concat!("How many causes there are in [`", stringify!($enum), "`].")]
        pub const $count: usize = [$($name),+].len();

        impl $crate::model::tally::Cause for $enum {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use causes;

/// One counter for each cause of `C`. `N` is the number of causes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally<C, const N: usize> {
    counts: [u64; N],
    causes: PhantomData<C>,
}

impl<C: Cause, const N: usize> Default for Tally<C, N> {
    fn default() -> Self {
        Self { counts: [0; N], causes: PhantomData }
    }
}

impl<C: Cause, const N: usize> Tally<C, N> {
    /// Counts one.
    pub fn count(&mut self, cause: C) {
        self.add(cause, 1);
    }

    /// Counts `n` at once.
    pub fn add(&mut self, cause: C, n: u64) {
        if let Some(count) = self.counts.get_mut(cause.index()) {
            *count += n;
        }
    }

    /// The count of one cause.
    pub fn get(&self, cause: C) -> u64 {
        self.counts.get(cause.index()).copied().unwrap_or(0)
    }

    /// The sum over all causes.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each cause with its count, in the order of the ledger.
    pub fn iter(&self) -> impl Iterator<Item = (C, u64)> + '_ {
        C::ALL.iter().map(|&cause| (cause, self.get(cause)))
    }

    /// Adds another tally, cause by cause.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
    }
}

/// As a JSON object with every bucket by name, zeros included: a reader must not have to guess
/// whether a missing name is a zero.
impl<C: Cause, const N: usize> Serialize for Tally<C, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(N))?;
        for (cause, count) in self.iter() {
            map.serialize_entry(cause.name(), &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    causes!(/// For the test.
    Fruit, FRUITS { /// a
        Apple = "apple", /// b
        Pear = "pear", });

    #[test]
    fn counts_land_in_their_bucket_and_sum() {
        let mut tally: Tally<Fruit, FRUITS> = Tally::default();
        tally.count(Fruit::Pear);
        tally.add(Fruit::Pear, 2);
        assert_eq!((tally.get(Fruit::Apple), tally.get(Fruit::Pear), tally.total()), (0, 3, 3));
        assert_eq!(serde_json::to_string(&tally).expect("json"), r#"{"apple":0,"pear":3}"#);
    }
}
