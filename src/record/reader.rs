//! Recordings read back: WARC/1.0 and 1.1, ours and other people's, plain, gzip or zstd by content.
//!
//! In comes any `Read`, out come messages as they were written, and damages where the file is not
//! what it should be. Guaranteed: constant memory (one record, up to [`Limits`]); a message is only
//! given out when its record is whole and its sha256 digest, if it has one, fits; after a damage,
//! reading goes on at the next line that begins a record; what was skipped is reported with its
//! offset. Splitting the bytes into head and body is left to the `http` room. Records outside a range of time are
//! passed over faster when asked ([`Reader::read_within`]): their places and ends are checked as ever, their digests are not.
//!
//! Files that lack our fields get sensible values: request and response that name each other share
//! a connection, every other message has one of its own.

use std::io::{self, Read};
use std::ops::RangeInclusive;

use bytes::Bytes;
use memchr::memmem;

use crate::model::Timestamp;

use super::head::{Head, RecordType};
use super::links::Links;
use super::recorded::{Damage, DamageKind, Item, Limits, ReadCounts, RecordedMessage};
use super::warc::{Kind, digest_fits};
use super::window::{GZIP_MAGIC, Window};

/// How a record begins.
const BEGIN: &[u8] = b"WARC/1.";
/// Bytes of a record's head; a longer one is damage.
const MAX_HEAD: usize = 64 << 10;
/// Bytes of the line that names the version.
const MAX_VERSION_LINE: usize = 64;

/// Whether a file that begins like this is WARC, plain or gzip. The first 1024 bytes are enough.
pub fn is_warc(start: &[u8]) -> bool {
    if !start.starts_with(&GZIP_MAGIC) {
        return start.starts_with(BEGIN);
    }
    let mut first = [0; BEGIN.len()];
    flate2::read::GzDecoder::new(start).read_exact(&mut first).is_ok() && first == BEGIN
}

/// Reads a recording from front to back.
pub struct Reader<R> {
    window: Window<R>,
    limits: Limits,
    /// A damage that goes on until a record is found: its kind and where it begins.
    lost: Option<(DamageKind, u64)>,
    /// Whether the place where it may end is the start of a line.
    at_line_start: bool,
    /// What was found behind a damage that is given out first.
    ready: Option<Next>,
    /// Messages of which times are wanted; all without it.
    wanted: Option<RangeInclusive<Timestamp>>,
    links: Links,
    counts: ReadCounts,
}

impl<R: Read> Reader<R> {
    /// Reads from here with the default limits.
    pub fn new(input: R) -> io::Result<Self> {
        Self::with_limits(input, Limits::default())
    }

    /// Reads from here.
    pub fn with_limits(input: R, limits: Limits) -> io::Result<Self> {
        Self::following(input, limits, Links::default())
    }

    /// Reads one file of several, which share their [`Links`].
    pub fn following(input: R, limits: Limits, links: Links) -> io::Result<Self> {
        Ok(Self {
            window: Window::new(input)?,
            limits,
            lost: None,
            at_line_start: false,
            ready: None,
            wanted: None,
            links,
            counts: ReadCounts::default(),
        })
    }

    /// The next message or damage; `None` at the end. An error is one of the input itself.
    pub fn read_item(&mut self) -> io::Result<Option<Item>> {
        loop {
            match self.read_next()? {
                Some(Next::Item(item)) => return Ok(Some(item)),
                // Nothing is outside of everything.
                Some(Next::Outside(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The same, and of messages outside this range only that they are there.
    pub fn read_within(
        &mut self,
        wanted: Option<RangeInclusive<Timestamp>>,
    ) -> io::Result<Option<Next>> {
        self.wanted = wanted;
        self.read_next()
    }

    fn read_next(&mut self) -> io::Result<Option<Next>> {
        if let Some(next) = self.ready.take() {
            return Ok(Some(self.give(next)));
        }
        loop {
            let (next, offset) = match self.read_record()? {
                Step::Message(message) => {
                    let offset = message.offset;
                    (Next::Item(Item::Message(message)), offset)
                }
                Step::Outside(kind, offset) => (Next::Outside(kind), offset),
                Step::Other(offset) => {
                    self.counts.other += 1;
                    if let Some(damage) = self.end_of_damage(offset) {
                        return Ok(Some(Next::Item(damage)));
                    }
                    continue;
                }
                Step::Damage => continue,
                Step::Cut(offset) => {
                    self.lost.get_or_insert((DamageKind::Cut, offset));
                    continue;
                }
                Step::End => return Ok(self.last_damage().map(Next::Item)),
            };
            return Ok(Some(match self.end_of_damage(offset) {
                Some(damage) => {
                    self.ready = Some(next);
                    Next::Item(damage)
                }
                None => self.give(next),
            }));
        }
    }

    /// What was found so far.
    pub fn counts(&self) -> ReadCounts {
        self.counts
    }

    fn give(&mut self, next: Next) -> Next {
        let kind = match &next {
            Next::Item(Item::Message(message)) => message.kind,
            Next::Outside(kind) => *kind,
            Next::Item(Item::Damage(_)) => return next,
        };
        match kind {
            Kind::Request => self.counts.requests += 1,
            Kind::Response => self.counts.responses += 1,
        }
        next
    }

    /// The damage that ends where a record begins, if there is one.
    fn end_of_damage(&mut self, end: u64) -> Option<Item> {
        let (kind, offset) = self.lost.take()?;
        // With records behind it, it was not the file that ended too early.
        let kind = if kind == DamageKind::Cut { DamageKind::Length } else { kind };
        Some(self.report(Damage { kind, offset, len: end.saturating_sub(offset) }))
    }

    /// The damage that reaches to the end of the stream, if there is one.
    fn last_damage(&mut self) -> Option<Item> {
        let end = self.window.offset();
        let broken = self.window.take_broken().map(|_| (DamageKind::Compression, end));
        let (kind, offset) = match (self.lost.take(), broken) {
            (Some((_, offset)), Some((kind, _))) => (kind, offset),
            (lost, broken) => lost.or(broken)?,
        };
        Some(self.report(Damage { kind, offset, len: end.saturating_sub(offset) }))
    }

    fn report(&mut self, damage: Damage) -> Item {
        self.counts.damages += 1;
        self.counts.damaged_bytes += damage.len;
        Item::Damage(damage)
    }

    /// Reads what lies at the window's start: a record, or bytes that are none.
    fn read_record(&mut self) -> io::Result<Step> {
        self.skip_line_ends()?;
        let offset = self.window.offset();
        if self.window.bytes().is_empty() {
            return Ok(Step::End);
        }
        let head_len = match self.find_head_end()? {
            HeadEnd::At(len) => len,
            HeadEnd::Missing => return self.resync(DamageKind::NotARecord, offset),
            HeadEnd::Cut => return self.cut(offset),
        };
        let head = self.window.bytes().get(..head_len).and_then(Head::parse);
        let Some((head, length)) = head.and_then(|head| head.length.map(|length| (head, length)))
        else {
            return self.resync(DamageKind::NotARecord, offset);
        };
        match usize::try_from(length) {
            Ok(len) if length <= self.limits.max_block_bytes => {
                self.read_block(offset, head_len, &head, len)
            }
            _ => self.skip_block(offset, head_len, &head, length),
        }
    }

    /// A record whose block fits into memory.
    fn read_block(
        &mut self,
        offset: u64,
        head_len: usize,
        head: &Head,
        len: usize,
    ) -> io::Result<Step> {
        let whole = head_len + len;
        if !self.window.ensure(whole)? {
            // Behind a damage, or in a recording of ours, records within what the length spans
            // can be told from somebody's body. In a foreign file they cannot.
            return match self.lost.is_some() || self.links.run().is_some() {
                true => self.resync(DamageKind::Cut, offset),
                false => self.cut(offset),
            };
        }
        self.window.ensure(whole + 4)?;
        // Usually the two line ends are there. Only where they are not it matters what comes behind them: a file
        // that is being written may have nothing there for long.
        if !self.window.bytes().get(whole..).unwrap_or_default().starts_with(b"\r\n\r\n") {
            self.window.ensure(whole + 4 + BEGIN.len())?;
        }
        let bytes = self.window.bytes();
        if !is_record_end(bytes.get(whole..).unwrap_or_default()) {
            // The length cannot be trusted: the next record may lie within what it spans. Nor is
            // the digest computed: a hostile file could ask for that at every line.
            return self.resync(DamageKind::Length, offset);
        }
        let block = bytes.get(head_len..whole).unwrap_or_default();
        if let Some(kind) = self.is_outside(head) {
            // Those behind may name it.
            self.links.message(kind, head, Bytes::new(), offset);
            self.pass_record(whole);
            return Ok(Step::Outside(kind, offset));
        }
        let fits = head.digest.as_deref().and_then(|digest| digest_fits(digest, block));
        if !self.is_trusted(head, fits) {
            return self.resync(DamageKind::NotARecord, offset);
        }
        let step = match head.record_type() {
            _ if fits == Some(false) => {
                self.lost.get_or_insert((DamageKind::Digest, offset));
                Step::Damage
            }
            RecordType::Message(kind) => {
                let raw = Bytes::copy_from_slice(block);
                Step::Message(self.links.message(kind, head, raw, offset))
            }
            RecordType::Info => {
                self.links.begin_run(block);
                Step::Other(offset)
            }
            RecordType::Other => Step::Other(offset),
        };
        self.pass_record(whole);
        Ok(step)
    }

    /// Goes on behind a whole record, and behind its separator where the next record tells that this is one, whatever
    /// became of its bytes. Line ends are passed over before the next record.
    fn pass_record(&mut self, len: usize) {
        self.window.consume(len);
        if self.window.bytes().get(4..).is_some_and(|next| next.starts_with(BEGIN)) {
            self.window.consume(4);
        }
    }

    /// The kind of a message of which nothing more is wanted than that it is there. Behind a damage every record is
    /// looked at.
    fn is_outside(&self, head: &Head) -> Option<Kind> {
        let wanted = self.wanted.as_ref().filter(|_| self.lost.is_none())?;
        match head.record_type() {
            RecordType::Message(kind) if !wanted.contains(&head.date.unwrap_or_default()) => {
                Some(kind)
            }
            _ => None,
        }
    }

    /// Whether a record found behind a damage is one of this file, and not of a file that was
    /// somebody's body: with our own recordings its identifier tells.
    fn is_trusted(&self, head: &Head, fits: Option<bool>) -> bool {
        if self.lost.is_none() {
            return true;
        }
        let proven = fits == Some(true);
        match head.record_type() {
            _ if !self.at_line_start && !proven => false,
            RecordType::Message(kind) => self.links.is_ours(kind, head).unwrap_or(true),
            RecordType::Info | RecordType::Other => proven || self.links.run().is_none(),
        }
    }

    /// A record whose block is over the limit. It is skipped by its length, not searched: it may
    /// hold a WARC file itself, and nothing of that was on the wire here.
    fn skip_block(
        &mut self,
        offset: u64,
        head_len: usize,
        head: &Head,
        length: u64,
    ) -> io::Result<Step> {
        if !self.is_trusted(head, None) {
            return self.resync(DamageKind::NotARecord, offset);
        }
        self.window.consume(head_len);
        if self.window.skip(length)? < length {
            return self.cut(offset);
        }
        if matches!(head.record_type(), RecordType::Message(_)) {
            // Its length was right: what follows begins a line.
            self.at_line_start = true;
            self.lost.get_or_insert((DamageKind::TooLarge, offset));
            return Ok(Step::Damage);
        }
        Ok(Step::Other(offset))
    }

    /// The stream ended within the record that begins at `offset`.
    fn cut(&mut self, offset: u64) -> io::Result<Step> {
        let left = self.window.bytes().len();
        self.window.consume(left);
        Ok(Step::Cut(offset))
    }

    /// Skips to the next place that looks like a record, or to the end. Usually that is the start
    /// of a line; behind a file that was cut and had another appended it is not.
    fn resync(&mut self, kind: DamageKind, offset: u64) -> io::Result<Step> {
        self.lost.get_or_insert((kind, offset));
        let mut before = self.window.bytes().first().copied();
        self.window.consume(1);
        loop {
            let bytes = self.window.bytes();
            let found = memmem::find(bytes, BEGIN);
            let end = found.unwrap_or(bytes.len().saturating_sub(BEGIN.len() - 1));
            if let Some(last) = end.checked_sub(1) {
                before = bytes.get(last).copied();
            }
            self.window.consume(end);
            if found.is_some() {
                self.at_line_start = before == Some(b'\n');
                return Ok(Step::Damage);
            }
            if !self.window.ensure(BEGIN.len())? {
                let left = self.window.bytes().len();
                self.window.consume(left);
                return Ok(Step::Damage);
            }
        }
    }

    fn skip_line_ends(&mut self) -> io::Result<()> {
        while self.window.ensure(1)? {
            let bytes = self.window.bytes();
            let ends = bytes.iter().take_while(|b| b"\r\n".contains(b)).count();
            if ends == 0 {
                break;
            }
            self.window.consume(ends);
        }
        Ok(())
    }

    /// Where the head ends, its empty line included. Stops at the first line that cannot be one
    /// of a head, so that no bytes are searched twice for two beginnings.
    fn find_head_end(&mut self) -> io::Result<HeadEnd> {
        let mut line_start = 0;
        let mut searched = 0;
        loop {
            let bytes = self.window.bytes();
            let common = bytes.len().min(BEGIN.len());
            if bytes.get(..common) != BEGIN.get(..common) {
                return Ok(HeadEnd::Missing);
            }
            let limit = bytes.len().min(MAX_HEAD);
            let rest = bytes.get(searched..limit).unwrap_or_default();
            for end in memchr::memchr_iter(b'\n', rest).map(|at| searched + at) {
                let line = bytes.get(line_start..end).unwrap_or_default();
                match line {
                    b"" | b"\r" => return Ok(HeadEnd::At(end + 1)),
                    _ if line_start == 0 || line.contains(&b':') => {}
                    [b' ' | b'\t', ..] => {}
                    _ => return Ok(HeadEnd::Missing),
                }
                line_start = end + 1;
            }
            if limit == MAX_HEAD || (line_start == 0 && limit > MAX_VERSION_LINE) {
                return Ok(HeadEnd::Missing);
            }
            searched = limit;
            if !self.window.ensure(limit + 1)? {
                return Ok(HeadEnd::Cut);
            }
        }
    }
}

/// What comes next in a file of which only a range of times is wanted.
#[derive(Debug)]
pub enum Next {
    /// A message within the range, or a damage.
    Item(Item),
    /// A message outside of it.
    Outside(Kind),
}

/// What one step of reading found.
enum Step {
    /// A message.
    Message(RecordedMessage),
    /// A message outside the wanted range, at this offset.
    Outside(Kind, u64),
    /// A whole record of another type, at this offset.
    Other(u64),
    /// Something was skipped.
    Damage,
    /// The stream ends within the record at this offset.
    Cut(u64),
    /// The stream is over.
    End,
}

enum HeadEnd {
    At(usize),
    Missing,
    Cut,
}

/// Whether a block ends before these bytes: two line ends follow it (LF alone from some tools),
/// nothing but line ends at the end of the file, or the next record right behind a damaged pair.
fn is_record_end(behind: &[u8]) -> bool {
    behind.starts_with(b"\r\n\r\n")
        || behind.starts_with(b"\n\n")
        || behind.get(4..).is_some_and(|next| next.starts_with(BEGIN))
        || (behind.len() < 4 && behind.iter().all(|b| b"\r\n".contains(b)))
}
