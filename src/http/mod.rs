//! Stream events to HTTP/1.x messages (RFC 9112), both directions, requests paired with responses.
//!
//! In: the calls of [`StreamHandler`](crate::model::StreamHandler). Out: [`Message`]s in the order in
//! which they were completed, and [`HttpCounts`]. Guaranteed: a message is called complete only when
//! every byte of it was delivered; framing is never guessed, and after a hole reading goes on only
//! at a sure message start; time is linear in the bytes read; memory has a limit for head and body.
//! What a strict parser refuses but a server may accept is kept and named in
//! [`Message::anomalies`]. Left to others: what to do with a message.
//!
//! [`Message`]: crate::model::Message
//! [`Message::anomalies`]: crate::model::Message::anomalies
//! [`HttpCounts`]: crate::model::ledger::HttpCounts

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod chunked;
mod connection;
mod exchange;
mod framing;
mod fuzz;
mod head;
mod in_step;
mod lenient;
mod methods;
mod open;
mod pairing;
mod reader;
mod search;
mod side;
mod sniff;
mod whole;

#[doc(hidden)]
pub use fuzz::{fuzz_request_stream, fuzz_response_stream};
pub use head::{Head, Role, parse as parse_head};
pub use reader::{Config, HttpReader};
pub use whole::{Provenance, extent, parse_whole, trailers_at};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]
mod tests;
