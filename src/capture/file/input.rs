//! A stream of bytes with a window on it: read in large pieces, decompressed when its content says so.
//!
//! In: a path, standard input, or any reader. Out: a contiguous window that grows to what is asked
//! for, and the offset of its first byte. Guarantees that a pipe is never read further than needed
//! to go on: a frame is there as soon as its last byte is. Of a damaged compressed stream all but at
//! most 4 KiB before the damage is given. Bounding what is asked for is left to the formats. It is also an ordinary [`BufRead`] for readers of other formats.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::ops::Range;

use flate2::bufread::MultiGzDecoder;

use super::FileError;
use super::sniff::{GOR_SNIFF_LEN, HAR_SNIFF_LEN, Kind, LOG_SNIFF_LEN, SNIFF_LEN, by_name, sniff};
use crate::model::zstd::Frames;

/// Bytes asked from the system at once.
const READ_SIZE: usize = 512 << 10;

/// Bytes asked from a decompressor at once. On damage it gives nothing of what the same call made before,
/// so this is also the most of the good part that damage can cost.
const DECOMPRESSED_STEP: usize = 4 << 10;

/// How a file was compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// gzip, of any number of members.
    Gzip,
    /// zstd, of any number of frames.
    Zstd,
}

/// An opened file or stream, decompressed.
pub struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    compression: Option<Compression>,
    kind: Kind,
    buffer: Vec<u8>,
    /// The part of the buffer that was read but not consumed.
    window: Range<usize>,
    /// Offset of the window's start in the (decompressed) stream.
    offset: u64,
    has_ended: bool,
    is_torn: bool,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, compression, offset, .. } = self;
        write!(f, "Input({name}, {kind:?}, {compression:?}, at byte {offset})")
    }
}

impl Input {
    /// Opens a file by its path, or standard input as `-`.
    pub fn open(path_or_dash: &str) -> Result<Self, FileError> {
        if path_or_dash == "-" {
            return Self::from_reader("standard input", io::stdin());
        }
        let opened = File::open(path_or_dash);
        let name = path_or_dash.to_owned();
        match opened {
            Ok(file) => Self::from_reader(&name, file),
            Err(source) => Err(FileError::Open { name, source }),
        }
    }

    /// Takes any reader. The name is for messages.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Result<Self, FileError> {
        let outer = Self::sniffed(name, Box::new(reader), None)?;
        let compression = match outer.kind {
            Kind::Gzip => Compression::Gzip,
            Kind::Zstd => Compression::Zstd,
            _ => return Ok(outer),
        };
        let read = outer.available().to_vec();
        let whole = Cursor::new(read).chain(outer.reader);
        let buffered = BufReader::with_capacity(READ_SIZE, whole);
        let decompressed: Box<dyn Read + Send> = match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(buffered)),
            Compression::Zstd => match Frames::new(buffered) {
                Ok(decoder) => Box::new(decoder),
                Err(source) => {
                    return Err(FileError::Read { name: name.into(), offset: 0, source });
                }
            },
        };
        Self::sniffed(name, decompressed, Some(compression))
    }

    /// Looks what the bytes of a reader are.
    fn sniffed(
        name: &str,
        reader: Box<dyn Read + Send>,
        compression: Option<Compression>,
    ) -> Result<Self, FileError> {
        let mut input = Self {
            name: name.to_owned(),
            reader,
            compression,
            kind: Kind::Empty,
            buffer: vec![0; READ_SIZE],
            window: 0..0,
            offset: 0,
            has_ended: false,
            is_torn: false,
        };
        input.fill(SNIFF_LEN)?;
        input.kind = sniff(input.available());
        match input.kind {
            Kind::Gor => {
                input.fill(GOR_SNIFF_LEN)?;
                input.kind = sniff(input.available());
            }
            Kind::Har => {
                input.fill(HAR_SNIFF_LEN)?;
                input.kind = sniff(input.available());
            }
            Kind::Unknown => input.kind = input.sniff_line()?,
            _ => {}
        }
        if input.kind == Kind::Unknown {
            input.kind = by_name(name);
        }
        Ok(input)
    }

    /// Looks at the first line of what may be text; no further, since a pipe may be live.
    fn sniff_line(&mut self) -> Result<Kind, FileError> {
        let is_text = |b: &u8| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n' | 0x80..);
        loop {
            let seen = self.available();
            let is_over = seen.contains(&b'\n') || seen.len() >= LOG_SNIFF_LEN;
            if is_over || !seen.iter().all(is_text) || !self.fill(seen.len() + 1)? {
                return Ok(sniff(self.available()));
            }
        }
    }

    /// Takes the content for this format, whatever it looks like.
    pub fn taken_for(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What its content is, once decompressed.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How it was compressed.
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the next unread byte lies in the decompressed stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What has been read ahead.
    pub fn available(&self) -> &[u8] {
        self.buffer.get(self.window.clone()).unwrap_or_default()
    }

    /// Whether a compressed stream ended before its end mark.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Reads until `needed` bytes are available; false when the stream has no more so many.
    #[inline]
    pub(super) fn fill(&mut self, needed: usize) -> Result<bool, FileError> {
        if self.window.len() >= needed {
            return Ok(true);
        }
        self.refill(needed)
    }

    #[cold]
    fn refill(&mut self, needed: usize) -> Result<bool, FileError> {
        // What is moved is less than a record, what is read then is large.
        self.buffer.copy_within(self.window.clone(), 0);
        self.window = 0..self.window.len();
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        let step = if self.compression.is_some() { DECOMPRESSED_STEP } else { usize::MAX };
        while self.window.len() < needed && !self.has_ended {
            let end = self.window.end.saturating_add(step).min(self.buffer.len());
            let free = self.buffer.get_mut(self.window.end..end).unwrap_or_default();
            match self.reader.read(free) {
                Ok(0) => self.has_ended = true,
                Ok(len) => self.window.end += len.min(free.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    (self.has_ended, self.is_torn) = (true, true);
                }
                Err(source) => {
                    self.has_ended = true;
                    let offset = self.offset + self.window.len() as u64;
                    return Err(FileError::Read { name: self.name.clone(), offset, source });
                }
            }
        }
        Ok(self.window.len() >= needed)
    }

    /// Goes on behind the next `len` bytes, which must be available.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        let len = len.min(self.window.len());
        self.window.start += len;
        self.offset += len as u64;
    }

    /// Goes on behind the next `len` bytes without keeping them; false when the stream ends first.
    pub(super) fn skip(&mut self, mut len: u64) -> Result<bool, FileError> {
        while len > 0 {
            if !self.fill(1)? {
                return Ok(false);
            }
            let step = usize::try_from(len).unwrap_or(usize::MAX).min(self.window.len());
            self.advance(step);
            len -= step as u64;
        }
        Ok(true)
    }

    /// Names the place of `len` bytes that lie `skip` bytes into the window; see [`Self::at`].
    #[inline]
    pub(super) fn place(&self, skip: usize, len: usize) -> Range<usize> {
        let start = self.window.start + skip;
        start..start + len
    }

    /// The bytes of that place: valid until the next fill.
    #[inline]
    pub(super) fn at(&self, place: Range<usize>) -> &[u8] {
        self.buffer.get(place).unwrap_or_default()
    }

    /// An error about the record that begins at the window's start.
    pub(super) fn corrupt(&self, what: impl Into<String>) -> FileError {
        FileError::Corrupt { name: self.name.clone(), offset: self.offset, what: what.into() }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill(1).map_err(io::Error::other)?;
        if self.is_torn && self.window.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(self.available())
    }

    fn consume(&mut self, amount: usize) {
        self.advance(amount);
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buf)?;
        self.consume(len);
        Ok(len)
    }
}
