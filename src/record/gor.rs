//! Recordings of GoReplay (.gor) read: `HEADER LF PAYLOAD SEPARATOR`, over and over.
//!
//! In comes any `Read`, out come requests and responses as GoReplay stored them, and damages where the
//! file is not what it should be. Guaranteed: constant memory (one record, up to [`Limits`]), linear
//! time; behind a damage, reading goes on at the next separator that a header follows.
//!
//! The format has neither lengths nor escapes: a body may hold a separator, and headers too. So the
//! message is asked how far it reaches ([`Extent`]; the caller knows HTTP), and its record ends there if
//! a separator does stand there. Else (GoReplay cuts long bodies) it ends at the first separator that a header or
//! the file's end follows. GoReplay itself loses a last record without separator; here it is read
//! where the message says that it is whole, and [`GorReader::lacks_separator`] says so.
//!
//! There are no connections in such a file: each request gets one of its own, shared with the response
//! that bears the same identifier.

mod exchanges;
mod fuzz;
mod header;
#[cfg(test)]
mod tests;
mod write;

use std::io::{self, Read};

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::model::{Anomalies, Endpoint, Extent};

pub use exchanges::Exchanges;
#[doc(hidden)]
pub use fuzz::fuzz_gor;
use header::{Header, Holds, MAX_HEADER, SEPARATOR};
pub use write::GorWriter;

use super::recorded::{Damage, DamageKind, Item, Limits, RecordedMessage};
use super::warc::Kind;
use super::window::Window;

/// How often a message is asked for its extent: a chunked body says only behind each separator in it
/// that it goes on. One with more is taken to end as its separators say.
const MAX_ASKED: u32 = 16;

/// Says how far the message with which these bytes begin reaches.
pub type ExtentOf = fn(Kind, &[u8]) -> Extent;

/// Records that hold no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GorCounts {
    /// Responses of a replay.
    pub replayed: u64,
    /// Records without payload.
    pub empty: u64,
}

/// Reads a .gor recording from front to back.
pub struct GorReader<R> {
    window: Window<R>,
    max_record: usize,
    extent_of: ExtentOf,
    separator: Finder<'static>,
    exchanges: Exchanges,
    counts: GorCounts,
    lacks_separator: bool,
}

/// Where the payload of a record ends, counted from the record's start.
enum End {
    /// At this separator.
    At(usize),
    /// There, and the file with it.
    Unterminated(usize),
    /// Nowhere in the file.
    Cut,
    /// Not within the limit; so far there is none.
    TooLarge(usize),
}

/// What a search finds.
enum Found {
    Separator(usize),
    EndOfFile,
    Limit,
}

/// Whether a response is an informational one, behind which the final one comes (RFC 9110 15.2).
fn is_interim(payload: &[u8]) -> bool {
    let status = payload.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    matches!(status, Some([b'1', rest @ ..]) if rest != b"01")
}

impl<R: Read> GorReader<R> {
    /// Reads from here. `exchanges` are shared by the files that are read as one.
    pub fn new(
        input: R,
        limits: Limits,
        extent_of: ExtentOf,
        exchanges: Exchanges,
    ) -> io::Result<Self> {
        Ok(Self {
            window: Window::new(input)?,
            max_record: usize::try_from(limits.max_block_bytes).unwrap_or(usize::MAX),
            extent_of,
            separator: Finder::new(SEPARATOR),
            exchanges,
            counts: GorCounts::default(),
            lacks_separator: false,
        })
    }

    /// The next message or damage; `None` at the end. An error is one of the input itself.
    pub fn read_item(&mut self) -> io::Result<Option<Item>> {
        loop {
            let Some(header) = self.header()? else {
                return match self.window.bytes().is_empty() {
                    true => Ok(self.broken()),
                    false => self.skip(DamageKind::NotARecord, 0).map(Some),
                };
            };
            let (payload_end, record_len) = match self.end_of(&header)? {
                End::At(separator) => (separator, separator + SEPARATOR.len()),
                End::Unterminated(end) => {
                    self.lacks_separator = true;
                    (end, self.window.bytes().len())
                }
                End::Cut => return self.skip(DamageKind::Cut, usize::MAX).map(Some),
                End::TooLarge(from) => return self.skip(DamageKind::TooLarge, from).map(Some),
            };
            let message = self.message(&header, payload_end);
            self.window.consume(record_len);
            if let Some(message) = message {
                return Ok(Some(Item::Message(message)));
            }
        }
    }

    /// Records that held no message so far.
    pub fn counts(&self) -> GorCounts {
        self.counts
    }

    /// Whether the last record had no separator behind it, and was read all the same.
    pub fn lacks_separator(&self) -> bool {
        self.lacks_separator
    }

    /// The message of a record; `None`, and counted, when it holds none.
    fn message(&mut self, header: &Header, payload_end: usize) -> Option<RecordedMessage> {
        let payload = self.window.bytes().get(header.len..payload_end).unwrap_or_default();
        let kind = match header.holds {
            Holds::ReplayedResponse => {
                self.counts.replayed += 1;
                return None;
            }
            _ if payload.is_empty() => {
                self.counts.empty += 1;
                return None;
            }
            Holds::Request => Kind::Request,
            Holds::Response => Kind::Response,
        };
        let raw = Bytes::copy_from_slice(payload);
        let (conn, index, is_answer) = match kind {
            Kind::Request => (self.exchanges.request(&header.id), 0, false),
            Kind::Response => self.exchanges.response(&header.id, is_interim(payload)),
        };
        let nowhere = Endpoint::new([0, 0, 0, 0].into(), 0);
        Some(RecordedMessage {
            kind,
            raw,
            conn,
            index,
            client: nowhere,
            server: nowhere,
            first_byte: header.at,
            last_byte: header.at + header.lasted,
            request: is_answer.then_some(0),
            anomalies: Anomalies::default(),
            redacted: 0,
            truncated: false,
            offset: self.window.offset(),
        })
    }

    /// The header at the window's start. Reads no further than its line: a pipe may be live.
    fn header(&mut self) -> io::Result<Option<Header>> {
        loop {
            let bytes = self.window.bytes();
            let line = bytes.get(..MAX_HEADER).unwrap_or(bytes);
            let is_whole = line.contains(&b'\n') || line.len() == MAX_HEADER;
            if is_whole || !self.window.ensure(bytes.len() + 1)? {
                return Ok(Header::parse(self.window.bytes()));
            }
        }
    }

    /// Where the record ends whose header lies at the window's start.
    fn end_of(&mut self, header: &Header) -> io::Result<End> {
        // Of a record without payload the header's line end may be the separator's first byte.
        let mut from = header.len - 1;
        let (mut border, mut asked) = (None, 0);
        loop {
            let at = match self.find(&mut from)? {
                Found::Separator(at) => at,
                Found::Limit => return Ok(border.map_or(End::TooLarge(from), End::At)),
                Found::EndOfFile => return Ok(border.map_or_else(|| self.last(header), End::At)),
            };
            let extent = match asked < MAX_ASKED {
                true => self.extent(header, at),
                false => Extent::Unknown,
            };
            asked = if extent == Extent::Beyond { asked + 1 } else { MAX_ASKED };
            if let Extent::Bytes(len) = extent {
                let told = header.len.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
                if let Some(end) = self.separated(told, at)? {
                    return Ok(end);
                }
            }
            if at <= header.len || (border.is_none() && self.is_border(at)?) {
                border = Some(at);
            }
            match border {
                Some(border) if asked == MAX_ASKED => return Ok(End::At(border)),
                _ => from = at + 1,
            }
        }
    }

    /// How far the message of this record reaches, of which the bytes up to `end` are looked at.
    fn extent(&self, header: &Header, end: usize) -> Extent {
        let kind = match header.holds {
            Holds::Request => Kind::Request,
            Holds::Response | Holds::ReplayedResponse => Kind::Response,
        };
        match self.window.bytes().get(header.len..end) {
            Some(payload) if !payload.is_empty() => (self.extent_of)(kind, payload),
            _ => Extent::Unknown,
        }
    }

    /// Whether a separator stands where the message says it ends; `first` is the first one.
    fn separated(&mut self, told: usize, first: usize) -> io::Result<Option<End>> {
        if told == first {
            return Ok(Some(End::At(told)));
        }
        if told < first || told > self.max_record {
            return Ok(None);
        }
        let is_there = self.window.ensure(told + SEPARATOR.len())?;
        let behind = self.window.bytes().get(told..);
        Ok(match behind {
            Some(behind) if is_there && behind.starts_with(SEPARATOR) => Some(End::At(told)),
            Some(behind) if !is_there && SEPARATOR.starts_with(behind) => {
                Some(End::Unterminated(told))
            }
            _ => None,
        })
    }

    /// The end of a record that no separator ends.
    fn last(&self, header: &Header) -> End {
        let bytes = self.window.bytes();
        let Extent::Bytes(len) = self.extent(header, bytes.len()) else { return End::Cut };
        let told = header.len.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        match bytes.get(told..) {
            // Of the separator a part may be there.
            Some(behind) if SEPARATOR.starts_with(behind) => End::Unterminated(told),
            _ => End::Cut,
        }
    }

    /// The next separator at or behind `from`, which moves over what was searched.
    fn find(&mut self, from: &mut usize) -> io::Result<Found> {
        loop {
            let bytes = self.window.bytes();
            if let Some(at) = self.separator.find(bytes.get(*from..).unwrap_or_default()) {
                *from += at;
                let is_within = *from <= self.max_record;
                return Ok(if is_within { Found::Separator(*from) } else { Found::Limit });
            }
            let len = bytes.len();
            *from = (len + 1).saturating_sub(SEPARATOR.len()).max(*from);
            if *from > self.max_record {
                return Ok(Found::Limit);
            }
            if !self.window.ensure(len + 1)? {
                return Ok(Found::EndOfFile);
            }
        }
    }

    /// Whether a header follows the separator at `at`, or the end of the file.
    fn is_border(&mut self, at: usize) -> io::Result<bool> {
        let next = at + SEPARATOR.len();
        let more = self.window.ensure(next + MAX_HEADER)?;
        let rest = self.window.bytes().get(next..).unwrap_or_default();
        let is_cut_header = !more && !rest.contains(&b'\n');
        Ok(is_cut_header || Header::parse(rest).is_some())
    }

    /// Passes over what is no record, to behind the next separator that a header or the file's end follows;
    /// there is none before `from`.
    fn skip(&mut self, kind: DamageKind, from: usize) -> io::Result<Item> {
        let offset = self.window.offset();
        let mut from = from.min(self.window.bytes().len());
        let mut kind = kind;
        loop {
            let rest = self.window.bytes().get(from..).unwrap_or_default();
            if let Some(at) = self.separator.find(rest).map(|at| from + at) {
                let is_border = self.is_border(at)?;
                self.window.consume(at + if is_border { SEPARATOR.len() } else { 1 });
                if is_border {
                    break;
                }
                from = 0;
                continue;
            }
            // A separator may have begun.
            let searched = (self.window.bytes().len() + 1).saturating_sub(SEPARATOR.len());
            self.window.consume(searched);
            from = 0;
            let left = self.window.bytes().len();
            if !self.window.ensure(left + 1)? {
                self.window.consume(left);
                if kind == DamageKind::NotARecord {
                    kind = DamageKind::Cut;
                }
                break;
            }
        }
        let len = self.window.offset() - offset;
        Ok(Item::Damage(Damage { kind, offset, len }))
    }

    /// At the end: a compressed stream that is broken.
    fn broken(&mut self) -> Option<Item> {
        self.window.take_broken()?;
        let offset = self.window.offset();
        Some(Item::Damage(Damage { kind: DamageKind::Compression, offset, len: 0 }))
    }
}
