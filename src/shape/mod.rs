//! Which messages go on, and how they are changed.
//!
//! In: a [`Message`](crate::model::Message). Out: the same message, or the ledger bucket in which it
//! ends. Pure: no clock, no socket.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admit;
pub mod expr;
mod filter;
mod methods;
mod redact;
mod rules;

pub use admit::{Admission, Verdict};
pub use filter::{Filter, Pattern};
pub use methods::{Methods, MethodsError};
pub use redact::{FindTrailers, Redactor};
pub use rules::Rules;
