//! A view into a stream of any length: bytes are looked at before they are consumed.
//!
//! In comes any `Read`, plain, gzip or zstd by content; out come its bytes with their offset. Holds no
//! more than twice what was asked to be looked at plus one block. A broken compressed stream ends it, with the cause
//! kept; an error of the reader below is an error.

use std::io::{self, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use crate::model::zstd::Frames;

/// Bytes read at once.
const BLOCK: usize = 256 << 10;
/// How a gzip member begins (RFC 1952 2.3.1), with its only method.
pub const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// How a zstd frame begins (RFC 8878 3.1.1).
pub const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How a skippable frame ends its magic number; its first byte is any from 0x50 to 0x5f.
const SKIPPABLE_MAGIC: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The first bytes that were read to find out what the stream is, and the rest behind them.
type Whole<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

enum Source<R> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Whole<R>>>>),
    Zstd(Box<Frames<BufReader<Whole<R>>>>),
}

/// Whether a stream that begins like this is zstd.
fn is_zstd(first: &[u8]) -> bool {
    first == ZSTD_MAGIC || matches!(first, [0x50..=0x5f, rest @ ..] if *rest == SKIPPABLE_MAGIC)
}

/// The stream and the part of it that is in memory.
pub struct Window<R> {
    source: Source<R>,
    /// What was read, and room behind it: a reader that gives little at once costs no clearing of the rest.
    buffer: Vec<u8>,
    /// Bytes of `buffer` already consumed.
    start: usize,
    /// Where in `buffer` the room begins.
    end: usize,
    /// Bytes of the stream before `buffer`.
    base: u64,
    ended: bool,
    broken: Option<io::Error>,
}

impl<R: Read> Window<R> {
    /// Looks at the first bytes to tell how it is compressed.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut first = Vec::with_capacity(ZSTD_MAGIC.len());
        input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first)?;
        let (is_gzip, is_zstd) = (first.starts_with(&GZIP_MAGIC), is_zstd(&first));
        let whole = io::Cursor::new(first).chain(input);
        let source = if is_gzip {
            Source::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(BLOCK, whole))))
        } else if is_zstd {
            let buffered = BufReader::with_capacity(BLOCK, whole);
            Source::Zstd(Box::new(Frames::new(buffered)?))
        } else {
            Source::Plain(whole)
        };
        Ok(Self {
            source,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            ended: false,
            broken: None,
        })
    }

    /// What is in memory and not consumed.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Offset in the (decompressed) stream of the first byte not consumed.
    pub fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Reads until at least `len` bytes can be looked at; `false` when the stream ends before.
    pub fn ensure(&mut self, len: usize) -> io::Result<bool> {
        while self.bytes().len() < len {
            if !self.read_block()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets go of the first `len` bytes in memory.
    pub fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// Skips bytes without keeping them; how many there were to skip.
    pub fn skip(&mut self, len: u64) -> io::Result<u64> {
        let mut left = len;
        while left > 0 && self.ensure(1)? {
            let step = self.bytes().len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.consume(step);
            left -= step as u64;
        }
        Ok(len - left)
    }

    /// Why the stream ended early, once.
    pub fn take_broken(&mut self) -> Option<io::Error> {
        self.broken.take()
    }

    /// Reads a block behind what is in memory; `false` at the end.
    fn read_block(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        // Moving costs no more than what was consumed since, however far somebody looks ahead.
        if self.start >= self.end / 2 {
            self.base += self.start as u64;
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.end < BLOCK {
                self.buffer.truncate(4 * BLOCK);
                self.buffer.shrink_to(4 * BLOCK);
            }
        }
        let wanted = self.end + BLOCK;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let room = self.buffer.get_mut(self.end..wanted).unwrap_or_default();
        let mut decompressed = |result| match result {
            Err(error) if is_damage(&error) => {
                self.broken = Some(error);
                Ok(0)
            }
            result => result,
        };
        let result = match &mut self.source {
            Source::Plain(input) => read(input, room),
            Source::Gzip(decoder) => decompressed(read(decoder, room)),
            // It names no kind for what is no zstd; what the reader below says has a code of the system's.
            Source::Zstd(decoder) => match read(decoder, room) {
                Err(error)
                    if error.kind() == ErrorKind::Other && error.raw_os_error().is_none() =>
                {
                    decompressed(Err(ErrorKind::InvalidData.into()))
                }
                result => decompressed(result),
            },
        };
        let n = *result.as_ref().unwrap_or(&0);
        self.end += n;
        self.ended = n == 0;
        result.map(|n| n > 0)
    }
}

fn read(input: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What the decoder says of bytes that are no gzip, or no whole gzip.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}
