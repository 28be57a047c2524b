//! The vocabulary that every room shares: addresses, sequence numbers, time, frames, segments,
//! stream events, messages and the ledger.
//!
//! Nothing here reads a clock, opens a socket or prints. A room may use this module and no other
//! room; the doors between rooms are opened in `app`.

pub mod addr;
pub mod anomaly;
mod answer;
mod asked;
pub mod frame;
pub mod ledger;
pub mod marker;
pub mod message;
mod own;
pub mod secret;
pub mod segment;
pub mod seq;
pub mod stream;
pub mod tally;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
mod times;
pub mod watch;
pub mod zstd;

pub use addr::{Endpoint, FlowKey, Side};
pub use anomaly::{Anomalies, Anomaly};
pub use answer::KeptAnswer;
pub use asked::Asked;
pub use frame::{Frame, LinkType};
pub use marker::MARKER_FIELD;
pub use message::{Answered, Completion, Extent, Message, Start, StatusSeen, Version};
pub use own::OwnConnections;
pub use secret::{SECRET_DIGITS, SECRET_PREFIX, is_replaced_secret, replaced_secrets};
pub use segment::{Flags, IGNORED, Ignored, Segment};
pub use seq::SeqNum;
pub use stream::{CLOSE_REASONS, CloseReason, FlowInfo, Gap, Piece, StreamHandler};
pub use tally::{Cause, Tally};
pub use time::Timestamp;
pub use times::Times;
pub use watch::{Servers, Watch};
