//! The file being written: whole records put behind each other, and cut back to where a write failed.
//!
//! In: records in their stored form, many at once. Out: how many of them the file has. Guaranteed: what counts as
//! written is in the file whole; where a write failed in the middle of a record, the file is cut back to the end of
//! the last whole one, at once or before the next write. When it is finished is decided elsewhere (`turn`).

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::Instant;

use crate::record::files::{Holds, Store};
use crate::record::warc::Kind;

/// The file being written.
#[derive(Debug)]
pub(super) struct Current<S> {
    pub(super) store: S,
    pub(super) path: PathBuf,
    pub(super) since: Instant,
    /// Its first record, until it is written.
    pub(super) head: Vec<u8>,
    /// Its length up to its last whole record.
    pub(super) good: u64,
    /// Whether it may be longer than `good`, because cutting it back failed.
    pub(super) dirty: bool,
    pub(super) requests: u64,
    pub(super) responses: u64,
}

impl<S: Store> Current<S> {
    pub(super) fn messages(&self) -> u64 {
        self.requests + self.responses
    }

    pub(super) fn holds(&self) -> Holds {
        Holds { bytes: self.good, requests: self.requests, responses: self.responses }
    }

    /// Writes these records, behind the file's first one, and counts those that are in the file.
    pub(super) fn write(&mut self, pending: &[u8], ends: &[(usize, Kind)]) -> io::Result<()> {
        let result = self.try_write(pending, ends);
        if result.is_err() {
            self.dirty = true;
            // The next write tries again; until then the reader copes with a cut record.
            let _ = self.mend();
        }
        result
    }

    fn try_write(&mut self, pending: &[u8], ends: &[(usize, Kind)]) -> io::Result<()> {
        self.mend()?;
        if !self.head.is_empty() {
            self.store.write_all(&self.head)?;
            self.good = self.head.len() as u64;
            self.head = Vec::new();
        }
        let (written, result) = write_counted(&mut self.store, pending);
        let mut whole = 0;
        for &(end, kind) in ends.iter().take_while(|(end, _)| *end <= written) {
            whole = end;
            match kind {
                Kind::Request => self.requests += 1,
                Kind::Response => self.responses += 1,
            }
        }
        self.good += whole as u64;
        result
    }

    /// Cuts the file back to its last whole record where a failed write left more.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        if self.dirty {
            self.store.cut_back(self.good)?;
            self.dirty = false;
        }
        Ok(())
    }
}

/// Writes all of it, or as much as goes: how many bytes went, and what stopped it.
fn write_counted(store: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match store.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
