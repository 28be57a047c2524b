//! The two formats of recordings behind one reader: WARC and .gor.
//!
//! In: an opened recording. Out: its items, whatever its format. What goes on from one file to the next
//! (numbers of connections) is kept for each format.

use std::io;

use crate::capture::file::{Input, Kind as Format};
use crate::http::{Role, extent};
use crate::model::Extent;
use crate::model::ledger::Passed;
use crate::record::gor::Exchanges;
use crate::record::{GorReader, Item, Kind, Limits, Links, Reader};

/// What goes on from one file to the next.
#[derive(Default)]
pub struct Threads {
    links: Links,
    exchanges: Exchanges,
}

/// See the module's description.
pub enum Stored {
    /// Ours, and other people's.
    Warc(Box<Reader<Input>>, Exchanges),
    /// GoReplay's.
    Gor(Box<GorReader<Input>>, Links),
}

impl Stored {
    /// By the input's content.
    pub fn open(input: Input, limits: Limits, threads: Threads) -> io::Result<Self> {
        let Threads { links, exchanges } = threads;
        Ok(match input.kind() {
            Format::Gor => {
                let reader = GorReader::new(input, limits, extent_of, exchanges)?;
                Self::Gor(Box::new(reader), links)
            }
            _ => Self::Warc(Box::new(Reader::following(input, limits, links)?), exchanges),
        })
    }

    /// The next message or damage; `None` at the end.
    pub fn read_item(&mut self) -> io::Result<Option<Item>> {
        match self {
            Self::Warc(reader, _) => reader.read_item(),
            Self::Gor(reader, _) => reader.read_item(),
        }
    }

    /// Records of this file that held no message, by cause.
    pub fn passed(&self) -> [(Passed, u64); 2] {
        let (no_message, replayed) = match self {
            Self::Warc(reader, _) => (reader.counts().other, 0),
            Self::Gor(reader, _) => (reader.counts().empty, reader.counts().replayed),
        };
        [(Passed::NoMessage, no_message), (Passed::Replayed, replayed)]
    }

    /// Whether a last record was read that its format says is not finished.
    pub fn lacks_separator(&self) -> bool {
        matches!(self, Self::Gor(reader, _) if reader.lacks_separator())
    }

    /// Whether the format has a place for the server's port.
    pub fn tells_ports(&self) -> bool {
        matches!(self, Self::Warc(..))
    }

    /// At the end: what goes on in the next file.
    pub fn into_threads(self) -> Threads {
        match self {
            Self::Warc(reader, exchanges) => Threads { links: reader.into_links(), exchanges },
            Self::Gor(reader, links) => Threads { links, exchanges: reader.into_exchanges() },
        }
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
