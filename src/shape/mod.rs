//! Which messages go on, and how they are changed.
//!
//! In: a [`Message`](crate::model::Message). Out: the same message, or the ledger bucket in which it
//! ends. Pure: no clock, no socket.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admit;
mod filter;
mod methods;
mod rate;
mod redact;
mod sample;

pub use admit::Admission;
pub use filter::{Filter, Pattern};
pub use methods::{Methods, MethodsError};
pub use rate::RateCap;
pub use redact::{FindTrailers, Redactor};
pub use sample::{SampleKey, SampleKeyError, Sampler};
