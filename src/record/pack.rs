//! One record into the form in which it is stored: as it is, a gzip member, or a zstd frame.
//!
//! In: the bytes of a whole record. Out: its stored form, appended to a buffer of the caller's. Each
//! record is compressed by itself, as WARC's annex D asks: a file can be cut behind any of them, and
//! other tools find each by its offset. At the fastest useful levels: this runs beside a live service. The
//! compressor's state is kept from one record to the next, so that none costs an allocation.

use std::fmt;
use std::io::{self, Cursor};
use std::path::Path;

use flate2::{Compress, FlushCompress, Status};

use super::dictionary::Dictionary;

/// gzip's fastest level.
const GZIP_LEVEL: u32 = 1;
/// zstd's fastest ordinary level.
const ZSTD_LEVEL: i32 = 1;
/// What a member begins with (RFC 1952 2.3): deflate, no flags, no time, fastest, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

/// How records are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// As they are.
    #[default]
    Plain,
    /// A gzip member each.
    Gzip,
    /// A zstd frame each.
    Zstd,
}

/// Names of files that say they hold something else than WARC, or another compression.
const OTHERS: [&str; 14] = [
    "pcap", "pcapng", "cap", "gor", "har", "json", "jsonl", "csv", "xz", "bz2", "lz4", "br", "zip",
    "tgz",
];

impl Compression {
    /// What a file of this name holds: told by its last extension, plain by default. `None` for a name
    /// that promises what is not written.
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "gz" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            other if OTHERS.contains(&other) => None,
            _ => Some(Self::Plain),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "WARC",
            Self::Gzip => "WARC, gzip",
            Self::Zstd => "WARC, zstd",
        })
    }
}

/// See the module's description.
pub struct Packer {
    state: State,
    dictionary: Option<Dictionary>,
}

enum State {
    Plain,
    Gzip(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Plain => "Packer(plain)",
            State::Gzip(_) => "Packer(gzip)",
            State::Zstd(_) => "Packer(zstd)",
        })
    }
}

impl Packer {
    /// One for a recording.
    pub fn new(compression: Compression) -> io::Result<Self> {
        Self::with_dictionary(compression, None)
    }

    /// One for a recording whose records are packed with this dictionary, as far as zstd packs them.
    pub fn with_dictionary(
        compression: Compression,
        dictionary: Option<&Dictionary>,
    ) -> io::Result<Self> {
        let dictionary = dictionary.filter(|_| compression == Compression::Zstd);
        let state = match compression {
            Compression::Plain => State::Plain,
            Compression::Gzip => {
                State::Gzip(Compress::new(flate2::Compression::new(GZIP_LEVEL), false))
            }
            Compression::Zstd => {
                let bytes = dictionary.map_or(&[][..], Dictionary::bytes);
                let mut compressor = zstd::bulk::Compressor::with_dictionary(ZSTD_LEVEL, bytes)?;
                // As gzip has: what is damaged shall be noticed.
                compressor.include_checksum(true)?;
                State::Zstd(compressor)
            }
        };
        Ok(Self { state, dictionary: dictionary.cloned() })
    }

    /// What stands before a file's first record.
    pub fn preamble(&self) -> &[u8] {
        self.dictionary.as_ref().map_or(&[], Dictionary::frame)
    }

    /// Appends the stored form of a record. On an error, which only lack of memory can be, `out` is as it was.
    pub fn pack(&mut self, record: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        let result = match &mut self.state {
            State::Plain => {
                out.extend_from_slice(record);
                Ok(())
            }
            State::Gzip(compress) => member(compress, record, out),
            State::Zstd(compressor) => frame(compressor, record, out),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

/// Appends a gzip member.
fn member(compress: &mut Compress, record: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    compress.reset();
    out.extend_from_slice(&GZIP_HEADER);
    let (mut taken, mut end) = (0, out.len());
    loop {
        // Room for this record and no more: what is given is filled with zeros first, `compress_vec` does so with all
        // that the buffer has, a megabyte at times. Whatever it is given, deflate needs room to end.
        let rest = record.get(taken..).unwrap_or_default();
        out.resize(end + rest.len() + rest.len() / 16 + 64, 0);
        let room = out.get_mut(end..).unwrap_or_default();
        let before = (compress.total_in(), compress.total_out());
        let status =
            compress.compress(rest, room, FlushCompress::Finish).map_err(io::Error::other)?;
        let moved = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        taken = taken.saturating_add(moved(compress.total_in(), before.0));
        end = end.saturating_add(moved(compress.total_out(), before.1)).min(out.len());
        if status == Status::StreamEnd {
            break;
        }
    }
    out.truncate(end);
    out.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
    // Modulo 2^32, as the format has it.
    out.extend_from_slice(&(record.len() as u32).to_le_bytes());
    Ok(())
}

/// Appends a zstd frame.
fn frame(
    compressor: &mut zstd::bulk::Compressor<'static>,
    record: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<()> {
    out.reserve(zstd::zstd_safe::compress_bound(record.len()));
    let start = out.len() as u64;
    let mut behind = Cursor::new(out);
    behind.set_position(start);
    compressor.compress_to_buffer(record, &mut behind)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const ALL: [Compression; 3] = [Compression::Plain, Compression::Gzip, Compression::Zstd];

    fn unpack(compression: Compression, packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            Compression::Plain => {
                out.extend_from_slice(packed);
                Ok(out.len())
            }
            Compression::Gzip => flate2::read::GzDecoder::new(packed).read_to_end(&mut out),
            Compression::Zstd => {
                let decoder = zstd::Decoder::with_buffer(packed).expect("a decoder");
                decoder.single_frame().read_to_end(&mut out)
            }
        }
        .expect("whole");
        out
    }

    #[test]
    fn each_record_stands_alone_whatever_its_size() {
        let noise = |len: usize| -> Vec<u8> {
            (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
        };
        let records =
            [vec![], vec![b'x'], b"WARC/1.1 ".repeat(100), noise(70_000), vec![0; 5 << 20]];
        for compression in ALL {
            let mut packer = Packer::new(compression).expect("a packer");
            let mut out = b"before".to_vec();
            for record in &records {
                let start = out.len();
                packer.pack(record, &mut out).expect("packed");
                assert_eq!(&unpack(compression, &out[start..]), record, "{compression:?}");
            }
            assert!(out.starts_with(b"before"));
            let len: usize = records.iter().map(Vec::len).sum();
            assert!(compression == Compression::Plain || out.len() < len / 2, "{compression:?}");
        }
    }

    #[test]
    fn the_name_tells_the_form_and_one_that_promises_another_format_is_refused() {
        let of = |name: &str| Compression::of_name(Path::new(name));
        for plain in ["a.warc", "a", "a.WARC", "dir.gz/a", "a.20261121", ".gz", "a.dump"] {
            assert_eq!(of(plain), Some(Compression::Plain), "{plain}");
        }
        for gzip in ["a.warc.gz", "a.gz", "a.WARC.GZ"] {
            assert_eq!(of(gzip), Some(Compression::Gzip), "{gzip}");
        }
        assert_eq!(of("a.warc.zst"), Some(Compression::Zstd));
        for other in ["a.pcap", "a.gor", "a.har", "a.warc.xz", "a.JSON"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
