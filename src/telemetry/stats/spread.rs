//! How sizes are spread: an HDR histogram with three significant digits; and v1's times.
//!
//! In: numbers. Out: a few quantiles. Guaranteed: constant memory; what is larger than the limit counts as it.
//! v1's times go from the last byte of a request to the first and to the last of its final response. Of the
//! requests the last [`MAX_WAITING`] are remembered until their response.

use std::num::NonZeroUsize;

use hdrhistogram::Histogram;
use lru::LruCache;
use serde::Serialize;

use crate::model::{Message, Times, Timestamp};

/// Largest size told from larger ones: 1 TiB.
const LARGEST: u64 = 1 << 40;
/// Requests that wait for their response.
const MAX_WAITING: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// A set of sizes.
#[derive(Clone, Debug)]
pub struct Spread(Histogram<u32>);

impl Default for Spread {
    fn default() -> Self {
        // Fails only for bounds that make no sense.
        let bounded = Histogram::new_with_bounds(1, LARGEST, 3);
        Self(bounded.unwrap_or_else(|_| unreachable!("1 to 1 << 40 with 3 digits")))
    }
}

/// Quantiles of sizes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// How many there were.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// 90 in 100 are not larger.
    pub p90: u64,
    /// 99 in 100.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// Takes a size.
    pub fn add(&mut self, size: u64) {
        self.0.saturating_record(size);
    }

    /// As sizes.
    pub fn sizes(&self) -> Sizes {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Sizes { count: self.0.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: self.0.max() }
    }
}

/// v1's times.
#[derive(Debug)]
pub struct V1Times {
    /// When the last byte of each request was seen, by connection and index.
    waiting: LruCache<(u64, u32), Timestamp>,
    /// To the first byte of the final response.
    pub first_byte: Times,
    /// To its last byte.
    pub last_byte: Times,
}

impl Default for V1Times {
    fn default() -> Self {
        let waiting = LruCache::new(MAX_WAITING);
        Self { waiting, first_byte: Times::new(), last_byte: Times::new() }
    }
}

impl V1Times {
    /// Takes a message, requests before their responses.
    pub fn add(&mut self, message: &Message) {
        let Some(status) = message.status() else {
            self.waiting.put((message.conn, message.index), message.last_byte);
            return;
        };
        // Informational responses come before the final one (RFC 9110 15.2).
        let request = message.answers().filter(|_| status >= 200);
        let asked = request.and_then(|index| self.waiting.pop(&(message.conn, index)));
        if let Some(asked) = asked {
            self.first_byte.add(message.first_byte.since(asked));
            self.last_byte.add(message.last_byte.since(asked));
        }
    }
}
