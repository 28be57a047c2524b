//! Sessions across versions: a value of v2's answer takes the place of v1's in later requests.
//!
//! In: rules such as `cookies` or `json $.token -> header Authorization "Bearer {}"`, the requests as they are taken
//! over, v1's answers and v2's. Out: which request must wait for which answer, and requests with v2's values in them.
//! What a session is need not be known: for one request, the value in v1's answer and the one in v2's are a pair, and
//! wherever a later request carries v1's at the place that the rule names, v2's is put there. Pure: no clock, no socket.
//!
//! Guaranteed: every other byte of a request stays, and its framing is right; time is linear in the bytes of each
//! message; memory is bounded ([`table`], [`exchanges`]); the same messages in the same order give the same result.
//!
//! | file | what it knows |
//! |---|---|
//! | `rule.rs` | the text of a rule |
//! | `url.rs`, `date.rs` | how values are written |
//! | `coding.rs` | Content-Encoding of an answer |
//! | `source.rs` | the values that an answer gives |
//! | `sink.rs` | the places of a request |
//! | `key.rs` | what stands for a value that may be long |
//! | `edit.rs` | a request with other bytes at some places |
//! | `table.rs` | who gave which value, and what v2 gave in its place |
//! | `exchanges.rs` | requests of which v1's answer or v2's is still to come |
//! | `carrier.rs` | all of it together |

mod carrier;
mod coding;
mod date;
mod edit;
mod exchanges;
mod key;
mod rule;
mod sink;
mod source;
mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod url;

pub use carrier::{Carried, Carrier};
pub use rule::{RuleError, Rules};

/// The longest value that is carried: longer ones are no tokens.
const MAX_VALUE: usize = 8 << 10;
/// Values taken from one answer, and places looked at in one request, at most.
const MAX_PLACES: usize = 256;
