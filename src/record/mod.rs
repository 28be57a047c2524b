//! Recordings: HTTP messages written to and read from WARC files (ISO 28500), and files of other tools.
//!
//! In come messages from the capture side, out comes a file that every WARC tool reads; and
//! the other way, a file in, messages as they were on the wire out. [`warc`] holds the words of the
//! format, [`encode`] makes one record, [`pack`] compresses it (with a [`dictionary`], if there is one), [`writer`] puts records into files and survives their
//! trouble ([`trouble`] names it), [`files`] makes and finishes files, [`names`] names them, [`task`] is the thread around it, [`reader`] reads.
//! [`gor`] is GoReplay's format, [`har`] that of browsers, [`access_log`] what web servers log, [`export`] writes all of
//! them and counts what each cannot hold.
//! `docs/recordings.md` describes the formats for users. Splitting a message's bytes into head and body
//! is the `http` room's work.

pub mod access_log;
mod asked;
mod curl;
pub mod dictionary;
pub mod encode;
pub mod export;
pub mod files;
pub mod gor;
pub mod har;
mod head;
mod links;
mod load_tools;
pub mod names;
pub mod pack;
pub mod reader;
pub mod recorded;
pub mod task;
pub mod trouble;
pub mod uri;
pub mod warc;
mod window;
pub mod writer;

pub use access_log::{LogFormat, LogReader};
pub use dictionary::Dictionary;
pub use export::{Exported, Exporter, Format};
pub use files::{Existing, Keep};
pub use gor::GorReader;
pub use har::HarReader;
pub use links::Links;
pub use pack::Compression;
pub use reader::{Next, Reader, is_warc};
pub use recorded::{Damage, DamageKind, Item, Limits, ReadCounts, RecordedMessage};
pub use task::{Prepare, RecordTask};
pub use trouble::RecordError;
pub use warc::{Kind, WarcInfo};
pub use writer::{Plan, Recorder, Rotate};

#[cfg(test)]
mod tests;
