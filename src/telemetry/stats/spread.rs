//! How sizes are spread: an HDR histogram with three significant digits; and v1's times.
//!
//! In: numbers. Out: a few quantiles. Guaranteed: constant memory; what is larger than the limit counts as it.
//! v1's times go from the last byte of a request to the first and to the last of its final response;
//! requests wait for theirs as [`Asked`] has it.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::model::{Asked, Message, Times};

/// Largest size told from larger ones: 1 TiB.
const LARGEST: u64 = 1 << 40;

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
#[derive(Debug, Default)]
pub struct V1Times {
    /// Requests without a response so far.
    waiting: Asked,
    /// To the first byte of the final response.
    pub first_byte: Times,
    /// To its last byte.
    pub last_byte: Times,
}

impl V1Times {
    /// Takes a message, requests before their responses.
    pub fn add(&mut self, message: &Message) {
        let Some(status) = message.status() else {
            self.waiting.add(message.conn, message.index, message.last_byte);
            return;
        };
        // Informational responses come before the final one (RFC 9110 15.2).
        let request = message.answers().filter(|_| status >= 200);
        let asked = request.and_then(|index| self.waiting.answered(message.conn, index));
        if let Some(asked) = asked {
            self.first_byte.add(message.first_byte.since(asked));
            self.last_byte.add(message.last_byte.since(asked));
        }
    }
}
