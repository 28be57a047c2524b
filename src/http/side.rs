//! The state of one direction of a connection, between pieces.
//!
//! Data only: what is being collected and how far it was looked at. `connection` decides.

use super::head::{self, Role};
use super::open::Open;
use super::sniff;
use crate::model::ledger::Skipped;
use crate::model::{Anomalies, Anomaly, Piece, Timestamp};

/// Where one direction is.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Between messages: the next byte begins one.
    #[default]
    Start,
    /// Within a head that is not whole yet.
    Head(Box<Partial>),
    /// Within a body.
    Body(Box<Open>),
    /// Looking for a sure message start; a candidate that is not whole yet, if there is one.
    Search(Option<Box<Partial>>),
    /// No more HTTP comes here; bytes are counted under this cause.
    Ended(Skipped),
}

impl State {
    /// Whether no message is under way, as far as can be told.
    pub fn is_between(&self) -> bool {
        matches!(self, Self::Start | Self::Search(None) | Self::Ended(_))
    }

    /// Memory held, in bytes.
    pub fn held(&self) -> usize {
        match self {
            Self::Start | Self::Search(None) | Self::Ended(_) => 0,
            Self::Head(partial) | Self::Search(Some(partial)) => partial.held(),
            Self::Body(open) => open.held(),
        }
    }
}

/// Later segment starts remembered as candidates while one is being collected. Few, so that bytes
/// that only look like heads are looked at a bounded number of times.
const MAX_CANDIDATES: usize = 16;

/// Up to this length an unfinished first line is checked with every piece.
const SHORT_LINE: usize = 128;

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
    /// Where later segments began, and when: other candidates, should this one fail.
    starts: Vec<(usize, Timestamp)>,
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
    /// It is larger than the limit.
    TooLarge,
    /// It is not the head of a message.
    NotHttp,
}

impl Partial {
    /// Collects from here on. `role` is the side's, where it is known.
    pub fn new(piece: Piece<'_>, role: Option<Role>, anomalies: Anomalies) -> Self {
        let role = sniff::begins(piece.bytes, role);
        let mut partial = Self { first_byte: piece.at, role, anomalies, ..Self::default() };
        partial.append(piece);
        partial.starts.clear();
        partial
    }

    pub fn append(&mut self, piece: Piece<'_>) {
        if piece.segment_start && self.starts.len() < MAX_CANDIDATES {
            self.starts.push((self.bytes.len(), piece.at));
        }
        if piece.conflict {
            self.anomalies.insert(Anomaly::OverlapConflict);
        }
        self.has_newline = self.has_newline || memchr::memchr(b'\n', piece.bytes).is_some();
        self.bytes.extend_from_slice(piece.bytes);
        self.last_byte = piece.at;
    }

    pub fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.starts.capacity() * 16
    }

    /// Whether the end of the head is there. Every byte is looked at a bounded number of times,
    /// however small the pieces are.
    pub fn progress(&mut self, max_head: usize) -> Progress {
        if let Some(end) = head::find_end(&self.bytes, &mut self.scanned) {
            return if end > max_head { Progress::TooLarge } else { Progress::Whole(end) };
        }
        if self.bytes.len() > max_head {
            return Progress::TooLarge;
        }
        if !self.is_line_checked && (self.has_newline || self.bytes.len() <= SHORT_LINE) {
            self.is_line_checked = self.has_newline;
            self.role = sniff::begins(&self.bytes, self.role);
        }
        if self.role.is_some() { Progress::More } else { Progress::NotHttp }
    }

    /// Gives up the first candidate for the next segment's start: how many bytes were dropped, and
    /// whether a candidate is left. `role` is the side's, where it is known.
    pub fn next_candidate(&mut self, role: Option<Role>) -> (usize, bool) {
        if self.starts.is_empty() {
            return (self.bytes.len(), false);
        }
        let (dropped, at) = self.starts.remove(0);
        self.bytes.drain(..dropped);
        for (start, _) in &mut self.starts {
            *start = start.saturating_sub(dropped);
        }
        self.scanned = 0;
        self.has_newline = memchr::memchr(b'\n', &self.bytes).is_some();
        self.is_line_checked = false;
        self.role = sniff::begins(&self.bytes, role);
        self.first_byte = at;
        (dropped, true)
    }
}
