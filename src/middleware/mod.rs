//! An external program that is asked what becomes of each request, over its stdin and stdout.
//!
//! In: requests at their turn, and where the program wants to see them v1's and v2's answers. Out: for each request that it
//! is to leave as it is, changed, or not at all; or the bucket in which it ends. Guaranteed: a request that was written to the
//! program waits for its answer no longer than the timeout; a program that reads nothing for as long is ended; one that ended
//! is started anew, with growing pauses; whatever it prints, memory is bounded by the requests that wait, `ANSWERS` and one
//! line; it is never left behind, neither running nor as a zombie.
//!
//! ```text
//! who asks --requests, answers--> task --lines--> program --lines--> task --what becomes of it--> who asked
//! ```
//!
//! Left to others: which requests are asked about and when (`replay`), and whether what the program makes of one is a
//! request (`app`). The lines are those of `json.rs` or `gor.rs`; docs/middleware.md says what is in them.

mod child;
mod gor;
mod json;
mod lines;
mod program;
mod task;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::model::{KeptAnswer, Message};

pub use child::StartError;
pub use program::{Program, ProgramCounts};

/// Bytes of an answer's body that a program is shown at most.
pub const BODY: usize = 1 << 20;

/// Bytes of answers that may wait to be written to a program; beyond that it is not told of them.
const ANSWERS: usize = 32 << 20;

/// What identifies a request on a line: the connection's number and its own within it, in 24 hexadecimal digits, as in a
/// converted .gor file.
pub type Id = (u64, u32);

/// How a program is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// JSON lines.
    Json,
    /// GoReplay's hexadecimal lines.
    Gor,
}

/// Which program, and how.
#[derive(Clone, Debug)]
pub struct ProgramConfig {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// How long it may take for an answer, from when the request was written to it.
    pub timeout: Duration,
    /// Where its requests go: told in its environment.
    pub target: String,
    /// The longest line it may print, in bytes.
    pub longest_line: usize,
}

/// What a program wants a request to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// These bytes, head and framed body.
    Raw(Vec<u8>),
    /// This head, its empty line included, and this body, not framed yet.
    Parts {
        /// The head.
        head: Vec<u8>,
        /// The body.
        body: Vec<u8>,
    },
}

/// What a program said about a request, as decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    /// As it was.
    Pass,
    /// Not to be sent.
    Drop,
    /// To be these bytes.
    Raw(Vec<u8>),
    /// To be the same with these parts.
    Parts(json::Parts),
}

/// A line of a program, as decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Line {
    /// What becomes of a request.
    About(Id, Said),
    /// Something that needs no answer: an echo of an answer it was shown.
    Echo,
}

impl Protocol {
    fn request(self, out: &mut Vec<u8>, id: Id, request: &Message) {
        match self {
            Self::Json => json::request(out, id, request),
            Self::Gor => gor::request(out, id, request),
        }
    }

    fn v1_answer(self, out: &mut Vec<u8>, id: Id, response: &Message) {
        match self {
            Self::Json => json::v1_answer(out, id, response),
            Self::Gor => gor::v1_answer(out, id, response),
        }
    }

    fn v2_answer(self, out: &mut Vec<u8>, id: Id, answer: &KeptAnswer, took: Duration) {
        match self {
            Self::Json => json::v2_answer(out, id, answer, took),
            Self::Gor => gor::v2_answer(out, id, answer, took),
        }
    }

    /// A line without its end; why it is none.
    fn line(self, line: &[u8]) -> Result<Line, &'static str> {
        match self {
            Self::Json => json::line(line),
            Self::Gor => gor::line(line),
        }
    }
}

/// What a program said about a request, made into what the request is to be: `None` for as it was.
fn changed(said: Said, request: &Message) -> Result<Option<Changed>, &'static str> {
    match said {
        Said::Pass | Said::Drop => Ok(None),
        Said::Raw(raw) if raw == request.raw => Ok(None),
        Said::Raw(raw) => Ok(Some(Changed::Raw(raw))),
        Said::Parts(parts) => json::rebuilt(parts, request),
    }
}

/// An identifier's digits.
fn digits((conn, index): Id) -> String {
    format!("{conn:016x}{index:08x}")
}

/// The identifier that these digits are.
fn id(digits: &str) -> Option<Id> {
    let (conn, index) = digits.split_at_checked(16)?;
    let is_hex = digits.len() == 24 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let conn = u64::from_str_radix(conn, 16).ok()?;
    let index = u32::from_str_radix(index, 16).ok()?;
    is_hex.then_some((conn, index))
}
