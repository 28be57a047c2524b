//! The state of one direction of a connection, between pieces.
//!
//! Data only: what is being collected and how far it was looked at. `connection` decides.

use super::head::{self, Role};
use super::open::Open;
use super::sniff;
use crate::model::ledger::Skipped;
use crate::model::{Anomalies, Piece, Timestamp};

/// Where one direction is.
#[derive(Debug)]
pub(super) enum State {
    /// Between messages: the next byte begins one.
    Start {
        /// Whether an empty line came already.
        after_empty: bool,
    },
    /// Within a head that is not whole yet.
    Head(Box<Partial>),
    /// Within a head over the limit, of which nothing is kept any more.
    Oversized(HeadEnd),
    /// Within a body.
    Body(Box<Open>),
    /// Looking for a sure message start; a candidate that is not whole yet, if there is one.
    Search(Option<Box<Partial>>),
    /// No more HTTP comes here; bytes are counted under this cause.
    Ended(Skipped),
}

impl Default for State {
    fn default() -> Self {
        Self::Start { after_empty: false }
    }
}

impl State {
    /// Whether no message is under way, as far as can be told. A side that is only looked at for a
    /// message start has none, unless what was found there looks like a response.
    pub fn is_between(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Ended(_) | Self::Search(None) => true,
            Self::Search(Some(partial)) => partial.role != Some(Role::Server),
            Self::Head(_) | Self::Oversized(_) | Self::Body(_) => false,
        }
    }

    /// Memory held, in bytes.
    pub fn held(&self) -> usize {
        match self {
            Self::Start { .. } | Self::Oversized(_) | Self::Search(None) | Self::Ended(_) => 0,
            Self::Head(partial) | Self::Search(Some(partial)) => partial.held(),
            Self::Body(open) => open.held(),
        }
    }
}

/// Looks for the end of a head without keeping it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeadEnd {
    /// Within a line.
    InLine,
    /// Behind a line's end.
    AfterLf,
    /// Behind a line's end and a CR.
    AfterLfCr,
}

impl HeadEnd {
    /// Goes on behind these bytes.
    pub fn after(bytes: &[u8]) -> Self {
        match bytes {
            [.., b'\n'] => Self::AfterLf,
            [.., b'\n', b'\r'] => Self::AfterLfCr,
            _ => Self::InLine,
        }
    }

    /// How many of the bytes belong to the head, if it ends here.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            *self = match (*self, byte) {
                (Self::AfterLf | Self::AfterLfCr, b'\n') => return Some(at),
                (Self::AfterLf, b'\r') => Self::AfterLfCr,
                (_, b'\n') => Self::AfterLf,
                _ => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    Self::InLine
                }
            };
        }
        None
    }
}

/// Later segment starts remembered as candidates while one is being collected. Few, so that bytes
/// that only look like heads are looked at a bounded number of times.
const MAX_CANDIDATES: usize = 16;

/// Up to this length an unfinished first line is checked with every piece.
const SHORT_LINE: usize = 128;

/// A segment within what is collected that can begin a message.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    start: usize,
    len: usize,
    at: Timestamp,
}

/// A head that is being collected.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub bytes: Vec<u8>,
    /// Whose message it would be; `None` when it cannot begin one.
    pub role: Option<Role>,
    /// Where the search for its end goes on.
    scanned: usize,
    /// Whether the first line is there and was found plausible.
    is_line_checked: bool,
    has_newline: bool,
    /// Later segments that can begin a message: other candidates, should this one fail.
    later: Vec<Candidate>,
    /// Length of the segment that this candidate begins with.
    first_len: usize,
    pub first_byte: Timestamp,
    pub last_byte: Timestamp,
    pub anomalies: Anomalies,
}

/// How far a head is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Its end is not there yet.
    More,
    /// It ends after so many bytes.
    Whole(usize),
    /// It is larger than the limit; it ends after so many bytes, if it does.
    TooLarge(Option<usize>),
    /// It is not the head of a message.
    NotHttp,
}

impl Partial {
    /// Collects from here on. `role` is the side's, where it is known.
    pub fn new(piece: Piece<'_>, role: Option<Role>, anomalies: Anomalies) -> Self {
        let role = sniff::begins(piece.bytes, role);
        let (first_byte, first_len) = (piece.at, piece.bytes.len());
        let mut partial = Self { first_byte, first_len, role, anomalies, ..Self::default() };
        partial.append(piece);
        partial
    }

    /// As [`Self::append`], and notes the piece as another candidate if it can be one. `role` is the
    /// side's, where it is known.
    pub fn append_candidate(&mut self, piece: Piece<'_>, role: Option<Role>) {
        if piece.segment_start && sniff::begins(piece.bytes, role).is_some() {
            // The latest one is always among them.
            self.later.truncate(MAX_CANDIDATES - 1);
            let (start, len, at) = (self.bytes.len(), piece.bytes.len(), piece.at);
            self.later.push(Candidate { start, len, at });
        }
        self.append(piece);
    }

    /// Whether the first line is whole in one segment.
    pub fn is_line_in_one_segment(&self) -> bool {
        memchr::memchr(b'\n', &self.bytes).is_some_and(|end| end < self.first_len)
    }

    /// Whether a segment began at this byte.
    pub fn is_start(&self, at: usize) -> bool {
        self.later.iter().any(|candidate| candidate.start == at)
    }

    pub fn append(&mut self, piece: Piece<'_>) {
        self.anomalies.merge(piece.anomalies);
        self.has_newline = self.has_newline || memchr::memchr(b'\n', piece.bytes).is_some();
        self.bytes.extend_from_slice(piece.bytes);
        self.last_byte = piece.at;
    }

    pub fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.later.capacity() * size_of::<Candidate>()
    }

    /// Whether the end of the head is there. Every byte is looked at a bounded number of times,
    /// however small the pieces are.
    pub fn progress(&mut self, max_head: usize) -> Progress {
        let end = head::find_end(&self.bytes, &mut self.scanned);
        if let Some(end) = end
            && end <= max_head
        {
            return Progress::Whole(end);
        }
        let is_telling = self.has_newline || self.bytes.len() <= SHORT_LINE;
        if self.role.is_some() && !self.is_line_checked && is_telling {
            self.is_line_checked = self.has_newline;
            self.role = sniff::begins(&self.bytes, self.role);
        }
        if self.role.is_none() {
            Progress::NotHttp
        } else if end.is_some() || self.bytes.len() > max_head {
            Progress::TooLarge(end)
        } else {
            Progress::More
        }
    }

    /// Gives up the first candidate for the next segment's start: how many bytes were dropped, and
    /// whether a candidate is left. `role` is the side's, where it is known.
    pub fn next_candidate(&mut self, role: Option<Role>) -> (usize, bool) {
        if self.later.is_empty() {
            return (self.bytes.len(), false);
        }
        let Candidate { start: dropped, len, at } = self.later.remove(0);
        self.bytes.drain(..dropped);
        for candidate in &mut self.later {
            candidate.start = candidate.start.saturating_sub(dropped);
        }
        self.first_len = len;
        self.scanned = 0;
        self.has_newline = memchr::memchr(b'\n', &self.bytes).is_some();
        self.is_line_checked = false;
        self.role = sniff::begins(&self.bytes, role);
        self.first_byte = at;
        (dropped, true)
    }
}
