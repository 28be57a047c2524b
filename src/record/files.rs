//! The files of a recording: made, finished, and deleted when there are too many.
//!
//! In: names, and what to do about files that are there. Out: open files, of which the writer knows nothing but
//! that they are written at their end. Guaranteed: a file is made anew (O_EXCL, mode 0600) under its
//! name and `.partial`, and gets its own name, whole and on the disk, in one step that replaces nothing; a name
//! that is taken gets a number. Only files that this run finished, and that are still those, are ever
//! deleted, the oldest first. A finished file that cannot be cut to its last whole record or cannot get its name
//! waits, marked as it is, and is tried again.

mod making;
mod naming;
mod series;
mod system;

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::trouble::RecordError;

pub use series::Series;

/// What a recording is written to: a file, or in tests something that fails on purpose.
pub trait Store: Write {
    /// Makes the file end at this length, and the next write begin there.
    fn cut_back(&mut self, len: u64) -> io::Result<()>;
    /// Returns when what was written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Whether somebody removed it, so that what is written goes nowhere.
    fn is_removed(&self) -> bool;
}

impl Store for File {
    fn cut_back(&mut self, len: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(len))?;
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn is_removed(&self) -> bool {
        self.metadata().is_ok_and(|meta| meta.is_file() && meta.nlink() == 0)
    }
}

/// Where a recording's files come from.
pub trait Files {
    /// A file.
    type Store: Store;
    /// Makes the next file. Gives the name that it will have.
    fn begin(&mut self) -> Result<(Self::Store, PathBuf), RecordError>;
    /// Gives the file its name, once it ends with what it holds and is on the disk. An error is that the disk does
    /// not have it.
    fn finish(&mut self, file: Self::Store, holds: Holds) -> Result<Ended, RecordError>;
    /// Tries again with the files that wait.
    fn retry(&mut self) -> Retried;
    /// Whether any waits.
    fn has_waiting(&self) -> bool;
    /// Why the first of those that wait has not its name. It is given up.
    fn give_up(&mut self) -> Option<RecordError>;
    /// Removes a file that holds nothing.
    fn discard(&mut self, file: Self::Store);
    /// Files and messages deleted so far because there were too many.
    fn deleted(&self) -> (u64, u64);
}

/// What is in a finished file.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Bytes, up to the end of its last whole record.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Responses.
    pub responses: u64,
}

impl Holds {
    /// Requests and responses.
    pub fn messages(&self) -> u64 {
        self.requests + self.responses
    }
}

/// What became of a file that the disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has its name.
    Named,
    /// It cannot have it now, and waits for [`Files::retry`]. Why is said.
    Waits,
}

/// What became of files that waited for their names.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Retried {
    /// So many have theirs now.
    pub named: u64,
    /// The disk turned out not to have these.
    pub lost: Vec<Holds>,
}

/// What to do when the file is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Refuse to start.
    Refuse,
    /// Lose what is in it.
    Overwrite,
}

/// How much of what was finished is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// So many files.
    Files(u64),
    /// So many bytes.
    Bytes(u64),
}

#[cfg(test)]
mod tests;
