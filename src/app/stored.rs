//! The formats of recordings behind one reader: WARC, .gor, HAR, access logs.
//!
//! In: an opened recording. Out: its items, whatever its format. What files that are read as one share
//! (numbers of connections) is kept for each format.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::capture::file::{Input, Kind as Format};
use crate::http::{Role, extent};
use crate::model::ledger::{CHANGED, Changed, Passed};
use crate::model::{Extent, Tally, Timestamp};
use crate::record::access_log::LogOptions;
use crate::record::gor::Exchanges;
use crate::record::{GorReader, HarReader, Kind, Limits, Links, LogReader, Next, Reader};

/// What files that are read as one share.
#[derive(Default)]
pub struct Threads {
    links: Links,
    exchanges: Exchanges,
    har_files: u64,
    log_conns: Arc<AtomicU64>,
}

/// See the module's description.
pub enum Stored {
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
        threads: &mut Threads,
    ) -> io::Result<Self> {
        Ok(match input.kind() {
            Format::Gor => {
                let exchanges = threads.exchanges.clone();
                Self::Gor(Box::new(GorReader::new(input, limits, extent_of, exchanges)?))
            }
            Format::Har => {
                let file = threads.har_files;
                threads.har_files += 1;
                Self::Har(Box::new(HarReader::new(input, limits, file)?))
            }
            Format::AccessLog => {
                let conns = threads.log_conns.clone();
                Self::Log(Box::new(LogReader::new(input, logs, conns)?))
            }
            _ => {
                let links = threads.links.of_next_file();
                Self::Warc(Box::new(Reader::following(input, limits, links)?))
            }
        })
    }

    /// The next message or damage; `None` at the end. Of messages outside the range a format may tell no more than that
    /// they are there.
    pub fn read_next(
        &mut self,
        wanted: Option<RangeInclusive<Timestamp>>,
    ) -> io::Result<Option<Next>> {
        let item = match self {
            Self::Warc(reader) => return reader.read_within(wanted),
            Self::Gor(reader) => reader.read_item(),
            Self::Har(reader) => reader.read_item(),
            Self::Log(reader) => reader.read_item(),
        };
        Ok(item?.map(Next::Item))
    }

    /// Records of this file that held no message, by cause.
    pub fn passed(&self) -> Vec<(Passed, u64)> {
        match self {
            Self::Warc(reader) => vec![(Passed::NoMessage, reader.counts().other)],
            Self::Gor(reader) => {
                let counts = reader.counts();
                vec![(Passed::NoMessage, counts.empty), (Passed::Replayed, counts.replayed)]
            }
            Self::Har(reader) => vec![(Passed::NoMessage, reader.no_message())],
            Self::Log(reader) => {
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
        match self {
            Self::Har(reader) => reader.changed(),
            _ => Tally::default(),
        }
    }

    /// Whether a last record was read that its format says is not finished.
    pub fn lacks_separator(&self) -> bool {
        matches!(self, Self::Gor(reader) if reader.lacks_separator())
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
