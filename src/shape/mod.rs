//! Which messages go on, and how they are changed.
//!
//! In: a [`Message`](crate::model::Message). Out: the same message, or the ledger bucket in which it
//! ends. Pure: no clock, no socket.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admit;
mod body;
mod carry;
mod edits;
pub mod expr;
mod filter;
mod framed;
mod json;
mod lines;
mod methods;
mod query;
mod rate;
mod redact;
pub mod rewrite;
mod rules;
mod sample;

pub use admit::{Admission, Verdict};
pub use carry::{Carried, Carrier, RuleError, Rules as CarryRules};
pub use filter::{Filter, Pattern};
pub use framed::framed;
pub use json::JsonPath;
pub use methods::{Methods, MethodsError};
pub use rate::RateCap;
pub use redact::{FindTrailers, RedactRule, RedactWith, Redactor};
pub use rules::Rules;
pub use sample::{SampleKey, SampleKeyError, Sampler};
