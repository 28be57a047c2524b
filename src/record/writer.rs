//! A recording being written: whole records into a file, whatever the disk does.
//!
//! In come messages, out goes a WARC file. Guaranteed: an existing file is never overwritten
//! unasked; the file is readable by its owner only; it ends behind its last whole record after
//! every write, failed or not; every message given is counted once, as written when the file has
//! it, as failed when it could not be stored. A failed write (disk full) does not end the
//! recording: the next write tries again. When to flush is the owner's decision, see `task`.
//!
//! A write hands over many whole records at once. What lies between encoding and writing is one
//! buffer, where compression of each record finds its place, and one file, where rotation does.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::ledger::RecordCounts;
use crate::model::{Completion, Message};

use super::encode::{Encoder, kind_of};
use super::warc::{Kind, WarcInfo};

/// Bytes gathered before they are written without being asked.
const WRITE_AT: usize = 1 << 20;
/// Capacity of the buffer that is kept from one write to the next.
const KEEP_CAPACITY: usize = 4 << 20;

/// What to do when the file is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Refuse to start.
    Refuse,
    /// Lose what is in it.
    Overwrite,
}

/// Why a recording cannot begin or go on.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file is there already.
    #[error("{} exists already and is not overwritten; choose another name, or say --overwrite", .0.display())]
    Exists(PathBuf),
    /// The file cannot be created.
    #[error("cannot create {}: {}", .path.display(), named(.cause))]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {}", .path.display(), named(.cause))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// The system's error, with what to do about it where that is known.
fn named(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::StorageFull => "; recording goes on when there is room",
        ErrorKind::QuotaExceeded => "; recording goes on when the quota allows",
        ErrorKind::NotFound => "; is the directory there?",
        ErrorKind::ReadOnlyFilesystem => "; choose a directory that can be written",
        ErrorKind::PermissionDenied => "; choose a directory that this user may write",
        _ => "",
    };
    format!("{error}{advice}")
}

/// What a recording is written to: a file, or in tests something that fails on purpose.
pub trait Store: Write {
    /// Makes the file end at this length, and the next write begin there.
    fn cut_back(&mut self, len: u64) -> io::Result<()>;
    /// Returns when what was written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Store for File {
    fn cut_back(&mut self, len: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(len))?;
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A recording being written.
#[derive(Debug)]
pub struct Recorder<S = File> {
    store: S,
    path: PathBuf,
    encoder: Encoder,
    /// Whole records not yet written.
    pending: Vec<u8>,
    /// Where each of them ends in `pending`, and what it is.
    ends: Vec<(usize, Kind)>,
    /// Length of the file up to its last whole record.
    good: u64,
    /// Whether the file may be longer than `good`, because cutting it back failed.
    dirty: bool,
    counts: RecordCounts,
    trouble: Option<RecordError>,
}

impl Recorder {
    /// Creates the file (mode 0600) and writes its `warcinfo` record.
    pub fn create(path: &Path, info: &WarcInfo, existing: Existing) -> Result<Self, RecordError> {
        let fail = |cause: io::Error| match cause.kind() {
            ErrorKind::AlreadyExists => RecordError::Exists(path.to_path_buf()),
            _ => RecordError::Create { path: path.to_path_buf(), cause },
        };
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        match existing {
            Existing::Refuse => options.create_new(true),
            Existing::Overwrite => options.create(true).truncate(true),
        };
        let file = options.open(path).map_err(fail)?;
        // Of a file that was there the mode is still the old one.
        if file.metadata().is_ok_and(|meta| meta.is_file()) {
            file.set_permissions(Permissions::from_mode(0o600)).map_err(fail)?;
        }
        Self::begin(file, path, info)
    }
}

impl<S: Store> Recorder<S> {
    /// Begins a recording in an empty store.
    pub fn begin(store: S, path: &Path, info: &WarcInfo) -> Result<Self, RecordError> {
        let mut encoder = Encoder::new(&info.run);
        let mut pending = Vec::with_capacity(WRITE_AT + WRITE_AT / 4);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        encoder.info(&mut pending, info, &name, 0);
        let counts = RecordCounts { file: path.display().to_string(), ..RecordCounts::default() };
        let mut recorder = Self {
            store,
            path: path.to_path_buf(),
            encoder,
            pending,
            ends: Vec::new(),
            good: 0,
            dirty: false,
            counts,
            trouble: None,
        };
        recorder.flush();
        match recorder.trouble.take() {
            None => Ok(recorder),
            Some(trouble) => Err(trouble),
        }
    }

    /// Takes a message into the recording. One that is not whole, or whose body was not kept, is
    /// counted as failed: the file holds whole messages only.
    pub fn record(&mut self, message: &Message) {
        let body_missing = message.body_len > 0 && message.wire_body().is_empty();
        if message.completion != Completion::Complete || body_missing {
            self.counts.failed += 1;
            return;
        }
        self.counts.redacted += u64::from(message.redacted > 0);
        self.encoder.message(&mut self.pending, message, &message.raw);
        self.ends.push((self.pending.len(), kind_of(message)));
        if self.pending.len() >= WRITE_AT {
            self.flush();
        }
    }

    /// Writes what was gathered. What cannot be written is counted as failed and given up, so that
    /// nobody waits for a full disk; [`Self::trouble`] then says why.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let (written, result) = match self.mend() {
            Ok(()) => write_counted(&mut self.store, &self.pending),
            Err(error) => (0, Err(error)),
        };
        self.settle(written, result.is_ok());
        if result.is_err() {
            self.dirty = true;
            // The next write tries again; until then the reader copes with a cut record.
            let _ = self.mend();
        }
        self.trouble = result.err().map(|cause| self.write_error(cause));
        self.pending.clear();
        self.pending.shrink_to(KEEP_CAPACITY);
        self.ends.clear();
    }

    /// Writes what is left and waits until the disk has it.
    pub fn finish(mut self) -> (RecordCounts, Result<(), RecordError>) {
        self.flush();
        let synced = match self.trouble.take() {
            Some(trouble) => Err(trouble),
            None => self.store.sync().map_err(|cause| self.write_error(cause)),
        };
        (self.counts, synced)
    }

    /// Whether there is anything that a flush would write.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What the file holds and what it could not take. `offered` and the shed are not known here.
    pub fn counts(&self) -> &RecordCounts {
        &self.counts
    }

    /// Why the last write failed; `None` when it succeeded.
    pub fn trouble(&self) -> Option<&RecordError> {
        self.trouble.as_ref()
    }

    /// Cuts the file back to its last whole record where a failed write left more.
    fn mend(&mut self) -> io::Result<()> {
        if self.dirty {
            self.store.cut_back(self.good)?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Counts each pending record as written or failed.
    fn settle(&mut self, written: usize, all: bool) {
        let mut whole = if all { written } else { 0 };
        for &(end, kind) in &self.ends {
            if end > written {
                self.counts.failed += 1;
                continue;
            }
            whole = whole.max(end);
            match kind {
                Kind::Request => self.counts.requests += 1,
                Kind::Response => self.counts.responses += 1,
            }
        }
        self.good += whole as u64;
        self.counts.bytes = self.good;
    }

    fn write_error(&self, cause: io::Error) -> RecordError {
        RecordError::Write { path: self.path.clone(), cause }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{info, read_all, request};

    /// A disk of limited size, on which cutting back can be made to fail.
    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
        stuck: bool,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room.saturating_sub(self.bytes.len())).min(100_000);
            if fits == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.bytes.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Store for &mut Disk {
        fn cut_back(&mut self, len: u64) -> io::Result<()> {
            if self.stuck {
                return Err(ErrorKind::Other.into());
            }
            self.bytes.truncate(usize::try_from(len).expect("small"));
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_existing_file_is_refused_and_overwritten_only_when_told() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.warc");
        std::fs::write(&path, "mine").expect("write");
        let refused = Recorder::create(&path, &info(), Existing::Refuse).expect_err("exists");
        assert!(matches!(refused, RecordError::Exists(_)), "{refused}");
        assert!(refused.to_string().contains("exists already"), "{refused}");
        assert_eq!(std::fs::read(&path).expect("read"), b"mine");

        let recorder = Recorder::create(&path, &info(), Existing::Overwrite).expect("create");
        let (counts, result) = recorder.finish();
        result.expect("finish");
        let meta = std::fs::metadata(&path).expect("meta");
        assert_eq!((meta.permissions().mode() & 0o777, meta.len()), (0o600, counts.bytes));
        assert!(std::fs::read(&path).expect("read").starts_with(b"WARC/1.1\r\n"));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let path = Path::new("/nonexistent/a.warc");
        let error = Recorder::create(path, &info(), Existing::Refuse).expect_err("no directory");
        assert!(error.to_string().contains("/nonexistent/a.warc"), "{error}");
        assert!(error.to_string().contains("is the directory there?"), "{error}");
    }

    #[test]
    fn a_full_disk_is_counted_and_named_and_the_file_ends_with_a_whole_record() {
        let message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        for stuck in [false, true] {
            for room in (600..4000).step_by(37) {
                let mut disk = Disk { room: 1000, ..Disk::default() };
                let mut recorder = Recorder::begin(&mut disk, Path::new("d.warc"), &info())
                    .expect("warcinfo fits");
                recorder.store.room = room.max(recorder.store.bytes.len());
                recorder.store.stuck = stuck;
                for _ in 0..8 {
                    recorder.record(&message);
                }
                recorder.flush();
                let trouble = recorder.trouble().map(ToString::to_string).expect("disk is full");
                assert!(trouble.contains("d.warc") && trouble.contains("room"), "{trouble}");
                let first = recorder.counts().requests;
                assert_eq!(first + recorder.counts().failed, 8);

                // With room again the recording goes on behind its last whole record.
                recorder.store.room = 1 << 20;
                recorder.store.stuck = false;
                recorder.record(&message);
                let (counts, result) = recorder.finish();
                result.expect("there is room");
                assert_eq!((counts.requests, counts.bytes), (first + 1, disk.bytes.len() as u64));
                let (messages, damages) = read_all(&disk.bytes);
                assert_eq!((messages.len() as u64, damages.len()), (first + 1, 0));
            }
        }
    }

    #[test]
    fn a_message_that_is_not_whole_is_not_written() {
        let mut disk = Disk { room: 1 << 20, ..Disk::default() };
        let mut recorder = Recorder::begin(&mut disk, Path::new("d.warc"), &info()).expect("begin");
        let mut message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        message.completion = Completion::Incomplete;
        recorder.record(&message);
        message.completion = Completion::Complete;
        message.body_len = 5;
        recorder.record(&message);
        let (counts, _) = recorder.finish();
        assert_eq!((counts.requests, counts.failed), (0, 2));
    }
}
