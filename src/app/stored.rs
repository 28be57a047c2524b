//! The formats of recordings behind one reader: WARC, .gor, HAR, access logs.
//!
//! In: an opened recording. Out: its items, whatever its format. What goes on from one file to the next
//! (numbers of connections) is kept for each format.

use std::io;
use std::ops::RangeInclusive;

use crate::capture::file::{Input, Kind as Format};
use crate::http::{Role, extent};
use crate::model::ledger::{CHANGED, Changed, Passed};
use crate::model::{Extent, Tally, Timestamp};
use crate::record::access_log::LogOptions;
use crate::record::gor::Exchanges;
use crate::record::{GorReader, HarReader, Kind, Limits, Links, LogReader, Next, Reader};

/// What goes on from one file to the next.
#[derive(Default)]
pub struct Threads {
    links: Links,
    exchanges: Exchanges,
    har_files: u64,
    log_lines: u64,
}

/// See the module's description.
pub struct Stored {
    reader: StoredReader,
    /// What the readers of other formats go on with.
    threads: Threads,
}

enum StoredReader {
    /// Ours, and other people's.
    Warc(Box<Reader<Input>>),
    /// GoReplay's.
    Gor(Box<GorReader<Input>>),
    /// Browsers'.
    Har(Box<HarReader<Input>>),
    /// Web servers'.
    Log(Box<LogReader<Input>>),
}

impl Stored {
    /// By the input's kind.
    pub fn open(
        input: Input,
        limits: Limits,
        logs: &LogOptions,
        mut threads: Threads,
    ) -> io::Result<Self> {
        let reader = match input.kind() {
            Format::Gor => {
                let exchanges = std::mem::take(&mut threads.exchanges);
                StoredReader::Gor(Box::new(GorReader::new(input, limits, extent_of, exchanges)?))
            }
            Format::Har => {
                StoredReader::Har(Box::new(HarReader::new(input, limits, threads.har_files)?))
            }
            Format::AccessLog => {
                StoredReader::Log(Box::new(LogReader::new(input, logs, threads.log_lines)?))
            }
            _ => {
                let links = std::mem::take(&mut threads.links);
                StoredReader::Warc(Box::new(Reader::following(input, limits, links)?))
            }
        };
        Ok(Self { reader, threads })
    }

    /// The next message or damage; `None` at the end. Of messages outside the range a format may tell no more than that
    /// they are there.
    pub fn read_next(
        &mut self,
        wanted: Option<RangeInclusive<Timestamp>>,
    ) -> io::Result<Option<Next>> {
        let item = match &mut self.reader {
            StoredReader::Warc(reader) => return reader.read_within(wanted),
            StoredReader::Gor(reader) => reader.read_item(),
            StoredReader::Har(reader) => reader.read_item(),
            StoredReader::Log(reader) => reader.read_item(),
        };
        Ok(item?.map(Next::Item))
    }

    /// Records of this file that held no message, by cause.
    pub fn passed(&self) -> Vec<(Passed, u64)> {
        match &self.reader {
            StoredReader::Warc(reader) => vec![(Passed::NoMessage, reader.counts().other)],
            StoredReader::Gor(reader) => {
                let counts = reader.counts();
                vec![(Passed::NoMessage, counts.empty), (Passed::Replayed, counts.replayed)]
            }
            StoredReader::Har(reader) => vec![(Passed::NoMessage, reader.no_message())],
            StoredReader::Log(reader) => {
                let counts = reader.counts();
                vec![
                    (Passed::NoMessage, counts.no_request),
                    (Passed::BodyNotLogged, counts.with_body),
                ]
            }
        }
    }

    /// Messages of this file that were changed in reading, by what was.
    pub fn changed(&self) -> Tally<Changed, CHANGED> {
        match &self.reader {
            StoredReader::Har(reader) => reader.changed(),
            _ => Tally::default(),
        }
    }

    /// Whether a last record was read that its format says is not finished.
    pub fn lacks_separator(&self) -> bool {
        matches!(&self.reader, StoredReader::Gor(reader) if reader.lacks_separator())
    }

    /// Why the server's port is not known, where the format has no place for it.
    pub fn tells_no_ports(&self) -> Option<&'static str> {
        match &self.reader {
            StoredReader::Warc(_) | StoredReader::Har(_) => None,
            StoredReader::Gor(_) => Some("a .gor recording"),
            StoredReader::Log(_) => Some("an access log"),
        }
    }

    /// At the end: what goes on in the next file.
    pub fn into_threads(self) -> Threads {
        let mut threads = self.threads;
        match self.reader {
            StoredReader::Warc(reader) => threads.links = reader.into_links(),
            StoredReader::Gor(reader) => threads.exchanges = reader.into_exchanges(),
            StoredReader::Har(_) => threads.har_files += 1,
            StoredReader::Log(reader) => threads.log_lines = reader.next_conn(),
        }
        threads
    }
}

/// How far a message reaches, by HTTP's rules.
fn extent_of(kind: Kind, bytes: &[u8]) -> Extent {
    let role = match kind {
        Kind::Request => Role::Client,
        Kind::Response => Role::Server,
    };
    extent(bytes, role)
}
