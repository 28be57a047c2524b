//! Capture files: pcap and pcapng, plain or compressed, from a path or standard input.
//!
//! In: any stream of bytes. Out: frames with time and link type, in the order of the file. Guarantees
//! bounded memory (one record), no allocation per frame, and that everything before a fault is
//! delivered: a file that ends within a record is not an error but a [`Cut`], a length that cannot
//! be true is an error that names the byte. Neither sorting by time nor filtering happens here.
//!
//! The record framing is our own: libpcap refuses a pcapng whose interfaces differ in link type,
//! and parsers that return blocks as values allocate for each and lose the byte offset.

mod fields;
mod fuzz;
mod input;
mod pcap;
mod pcapng;
mod sniff;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::Range;

use crate::model::{Frame, LinkType, Timestamp};

#[doc(hidden)]
pub use fuzz::fuzz_capture_file;
pub use input::{Compression, Input};
pub use sniff::{Kind, SNIFF_LEN, sniff};

/// The largest frame that is believed. libpcap's own limit is 256 KiB; offload may give more.
pub const MAX_FRAME: usize = 16 << 20;

/// Why a file could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file, or no right to read it.
    #[error("cannot open {name}: {source}")]
    Open {
        /// As the user gave it.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// Reading or decompressing failed on the way.
    #[error("cannot read {name} at byte {offset}: {source}")]
    Read {
        /// As the user gave it.
        name: String,
        /// Where, after decompression.
        offset: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// Its first bytes are those of no capture format.
    #[error(
        "{name} is not a capture: {looks_like}; accepted are pcap, pcapng, WARC, .gor, HAR and \
         access logs (--log-format for others), plain or compressed with gzip or zstd"
    )]
    NotACapture {
        /// As the user gave it.
        name: String,
        /// What the first bytes look like.
        looks_like: String,
    },
    /// A length or number in it cannot be true; what comes behind cannot be found.
    #[error("{name} is corrupt at byte {offset}: {what}; everything before it was read")]
    Corrupt {
        /// As the user gave it.
        name: String,
        /// Where the record begins, after decompression.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

/// The end of a file that was cut off within a record, as when the capture was killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Where the unfinished record begins, after decompression.
    pub offset: u64,
    /// How many bytes of it are there.
    pub bytes: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, bytes } = self;
        write!(f, "cut off within the record at byte {offset}, of which {bytes} bytes are there")
    }
}

/// A frame still lying in the input's buffer.
#[derive(Debug)]
struct Located {
    time: Timestamp,
    link: LinkType,
    wire_len: u32,
    /// Its bytes, see [`Input::at`].
    bytes: Range<usize>,
}

/// What a format's reader finds next.
enum Next {
    Frame(Located),
    /// The end of the stream; whether the record that would come is cut is seen from what is left.
    End,
    /// The end of the stream within a record that was already passed in part.
    Cut(Cut),
}

#[derive(Debug)]
enum Format {
    Pcap(pcap::Reader),
    PcapNg(pcapng::Reader),
    /// Over, or cut off within the file header.
    Ended,
}

/// A capture file being read.
#[derive(Debug)]
pub struct CaptureFile {
    input: Input,
    format: Format,
    cut: Option<Cut>,
}

impl CaptureFile {
    /// Opens a file by its path, or standard input as `-`.
    pub fn open(path_or_dash: &str) -> Result<Self, FileError> {
        Self::new(Input::open(path_or_dash)?)
    }

    /// Reads the file header. The input must not have been read from.
    pub fn new(mut input: Input) -> Result<Self, FileError> {
        let format = match input.kind() {
            Kind::Pcap => pcap::Reader::new(&mut input)?.map(Format::Pcap),
            Kind::PcapNg => Some(Format::PcapNg(pcapng::Reader::default())),
            _ => {
                let looks_like = sniff::looks_like(input.available());
                return Err(FileError::NotACapture { name: input.name().into(), looks_like });
            }
        };
        let mut file = Self { input, format: Format::Ended, cut: None };
        match format {
            Some(format) => file.format = format,
            None => file.end(),
        }
        Ok(file)
    }

    /// The next frame; nothing at the end. After an error there is nothing more.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        let next = match &mut self.format {
            Format::Pcap(reader) => reader.next(&mut self.input),
            Format::PcapNg(reader) => reader.next(&mut self.input),
            Format::Ended => return Ok(None),
        };
        match next {
            Ok(Next::Frame(Located { time, link, wire_len, bytes })) => {
                Ok(Some(Frame { time, link, bytes: self.input.at(bytes), wire_len }))
            }
            Ok(Next::End) => {
                self.end();
                Ok(None)
            }
            Ok(Next::Cut(cut)) => {
                (self.format, self.cut) = (Format::Ended, Some(cut));
                Ok(None)
            }
            Err(error) => {
                self.format = Format::Ended;
                Err(error)
            }
        }
    }

    /// How the file was cut off, known once its end is reached.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// How far it has been read, in bytes after decompression.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The name for messages: the path, or `standard input`.
    pub fn name(&self) -> &str {
        self.input.name()
    }

    /// Notes how the file ends.
    fn end(&mut self) {
        self.format = Format::Ended;
        let (offset, bytes) = (self.input.offset(), self.input.available().len() as u64);
        if bytes > 0 || self.input.is_torn() {
            self.cut = Some(Cut { offset, bytes });
        }
    }
}
