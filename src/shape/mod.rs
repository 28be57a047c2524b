//! Which messages go on, and how they are changed.
//!
//! In: a [`Message`](crate::model::Message). Out: the same message, or the ledger bucket in which it
//! ends. Pure: no clock, no socket.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admit;
mod carry;
mod filter;
mod methods;
mod redact;

pub use admit::Admission;
pub use carry::{Carried, Carrier, RuleError, Rules as CarryRules};
pub use filter::{Filter, Pattern};
pub use methods::{Methods, MethodsError};
pub use redact::{FindTrailers, Redactor};
