//! Segments to stream events: connections, bytes in order, holes, ends (RFC 9293).
//!
//! In: [`Segment`]s in the order of the capture, and the passing of packet time. Out: calls on a
//! [`StreamHandler`], and [`StreamCounts`]. Guaranteed: every byte is delivered as the receiving
//! kernel would have delivered it, once and in order, or is inside a [`Gap`] that says so; between
//! the two sides a byte comes after everything its sender had acknowledged; every buffer has a limit
//! in bytes, and a flood of SYNs allocates nothing. Left to others: what the bytes mean.
//!
//! [`Segment`]: crate::model::Segment
//! [`Gap`]: crate::model::Gap
//! [`StreamHandler`]: crate::model::StreamHandler
//! [`StreamCounts`]: crate::model::ledger::StreamCounts

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admit;
mod bounds;
mod clock;
mod doubt;
mod engine;
mod flow;
mod fuzz;
mod half;
mod holes;
mod key;
mod rare;
mod syn_cache;
mod table;
mod tail;
mod waiting;

pub use engine::{Limits, Reassembler};
#[doc(hidden)]
pub use fuzz::fuzz_segments;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]
mod tests;
