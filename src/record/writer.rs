//! A recording being written: whole records into files, whatever the disk does.
//!
//! In come messages, out go WARC files. Guaranteed: each file begins with a `warcinfo` record and ends
//! behind its last whole record after every write, failed or not; every message given is counted once, as
//! written when a file has it, as failed when it could not be stored, or when somebody removed its
//! file before it was finished. A failed write (disk full) or a file that cannot be made does not end the recording: what comes
//! is given up and counted, and every second the next try is made, also to name a finished file that could not get its
//! name. A recording that is dropped before its first message leaves no file. When to flush is the owner's decision, see `task`; what files
//! there are is that of [`Files`].
//!
//! A write hands over many whole records at once, each in its stored form, so that a file can be cut behind any.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::ledger::RecordCounts;
use crate::model::{Completion, Message, Timestamp};

use super::encode::{Encoder, kind_of};
use super::files::{Ended, Existing, Files, Holds, Keep, Series, Store};
use super::names::{NameError, Names};
use super::pack::{Compression, Packer};
use super::trouble::RecordError;
use super::warc::{Kind, WarcInfo};

/// Bytes gathered before they are written without being asked.
const WRITE_AT: usize = 1 << 20;
/// Capacity of a buffer that is kept from one write to the next.
const KEEP_CAPACITY: usize = 4 << 20;
/// How long a recording that cannot write waits for its next try.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// When a file is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rotate {
    /// With so many bytes.
    pub bytes: Option<u64>,
    /// So long after it was begun.
    pub age: Option<Duration>,
}

impl Rotate {
    /// Whether there will be more files than one.
    pub fn is_on(&self) -> bool {
        self.bytes.is_some() || self.age.is_some()
    }
}

/// How a recording is to be written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file, or the pattern of its files' names.
    pub output: PathBuf,
    /// How records are stored.
    pub compression: Compression,
    /// What to do when a file is there.
    pub existing: Existing,
    /// When the next file begins.
    pub rotate: Rotate,
    /// How many finished files are kept.
    pub keep: Option<Keep>,
}

impl Plan {
    /// One file, stored as its name says, that must not exist yet.
    pub fn one(output: &Path) -> Self {
        Self {
            output: output.to_owned(),
            compression: Compression::of_name(output).unwrap_or_default(),
            existing: Existing::Refuse,
            rotate: Rotate::default(),
            keep: None,
        }
    }

    /// Its files.
    pub fn series(&self) -> Result<Series, NameError> {
        let names = Names::new(&self.output, self.rotate.is_on())?;
        Ok(Series::new(names, self.existing).keep(self.keep))
    }
}

/// A recording being written.
pub struct Recorder<F: Files = Series> {
    files: F,
    rotate: Rotate,
    info: WarcInfo,
    encoder: Encoder,
    packer: Packer,
    /// The record at hand, not compressed.
    record: Vec<u8>,
    /// Whole records in their stored form, not yet written.
    pending: Vec<u8>,
    /// Where each of them ends in `pending`, and what it is.
    ends: Vec<(usize, Kind)>,
    current: Option<Current<F::Store>>,
    /// Files begun so far.
    begun: u32,
    counts: RecordCounts,
    trouble: Option<RecordError>,
    /// Why the disk does not have the first file that it does not have.
    unfinished: Option<RecordError>,
    /// Until then nothing is tried.
    retry_at: Option<Instant>,
    /// When files without their names are tried again.
    names_at: Option<Instant>,
    retry_every: Duration,
}

/// The file being written.
#[derive(Debug)]
struct Current<S> {
    store: S,
    path: PathBuf,
    since: Instant,
    /// Its first record, until it is written.
    head: Vec<u8>,
    /// Its length up to its last whole record.
    good: u64,
    /// Whether it may be longer than `good`, because cutting it back failed.
    dirty: bool,
    requests: u64,
    responses: u64,
}

impl<F: Files> fmt::Debug for Recorder<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({:?}, {:?})", self.packer, self.counts)
    }
}

impl Recorder {
    /// Makes the first file, with its `warcinfo` record. The output must name files, see [`Plan::series`].
    pub fn create(plan: &Plan, info: &WarcInfo) -> Result<Self, RecordError> {
        let series = plan.series()?;
        let mut recorder = Self::begin(series, info, plan.compression, plan.rotate)?;
        recorder.counts.file = plan.output.display().to_string();
        Ok(recorder)
    }
}

/// A recording that was not finished: a start that failed. Its name is free for the next try, unless there is a
/// message in the file.
impl<F: Files> Drop for Recorder<F> {
    fn drop(&mut self) {
        if let Some(current) = self.current.take_if(|current| current.messages() == 0) {
            self.files.discard(current.store);
        }
    }
}

impl<F: Files> Recorder<F> {
    /// Begins a recording with its first file.
    pub fn begin(
        files: F,
        info: &WarcInfo,
        compression: Compression,
        rotate: Rotate,
    ) -> Result<Self, RecordError> {
        let mut recorder = Self {
            files,
            rotate,
            info: info.clone(),
            encoder: Encoder::new(&info.run),
            packer: Packer::new(compression).map_err(RecordError::Memory)?,
            record: Vec::new(),
            pending: Vec::with_capacity(WRITE_AT + WRITE_AT / 4),
            ends: Vec::new(),
            current: None,
            begun: 0,
            counts: RecordCounts::default(),
            trouble: None,
            unfinished: None,
            retry_at: None,
            names_at: None,
            retry_every: RETRY_EVERY,
        };
        recorder.write_pending()?;
        Ok(recorder)
    }

    /// Takes a message into the recording. One that is not whole, or whose body was not kept, is
    /// counted as failed: the files hold whole messages only.
    pub fn record(&mut self, message: &Message) {
        let body_missing = message.body_len > 0 && message.wire_body().is_empty();
        let is_whole = message.completion == Completion::Complete && !body_missing;
        if !is_whole || self.is_paused() {
            self.counts.failed += 1;
            return;
        }
        self.counts.redacted += u64::from(message.redacted > 0);
        self.record.clear();
        self.encoder.message(&mut self.record, message, &message.raw);
        // Where that fails, so does the flush, which says why.
        let _ = self.open();
        let start = self.pending.len();
        if let Err(cause) = self.packer.pack(&self.record, &mut self.pending) {
            self.counts.failed += 1;
            self.trouble = Some(RecordError::Memory(cause));
            return;
        }
        self.record.shrink_to(KEEP_CAPACITY);
        if self.is_full() {
            let first = self.pending.split_off(start);
            self.next_file();
            let _ = self.open();
            self.pending.extend_from_slice(&first);
        }
        self.ends.push((self.pending.len(), kind_of(message)));
        // After trouble, the first one is the try.
        if self.pending.len() >= WRITE_AT || self.trouble.is_some() {
            self.flush();
        }
    }

    /// Writes what was gathered. What cannot be written is counted as failed and given up, so that
    /// nobody waits for a full disk; [`Self::trouble`] then says why.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.trouble = self.write_pending().err();
        self.retry_at = self.trouble.is_some().then(|| Instant::now() + self.retry_every);
        self.pending.clear();
        self.pending.shrink_to(KEEP_CAPACITY);
        self.ends.clear();
    }

    /// Does what is due: ends the file that is old enough (the next one begins with the next message), and tries
    /// again to name files that have not got their names.
    pub fn keep_up(&mut self) {
        let now = Instant::now();
        if self.rotate_at().is_some_and(|at| at <= now) {
            self.next_file();
        }
        if self.names_at.is_some_and(|at| at <= now) {
            self.retry_names();
        }
    }

    /// When there is something to do without a message.
    pub fn due_at(&self) -> Option<Instant> {
        [self.rotate_at(), self.names_at].into_iter().flatten().min()
    }

    /// When the file at hand is old enough; `None` while there is no message in it.
    fn rotate_at(&self) -> Option<Instant> {
        let (age, current) = (self.rotate.age?, self.current.as_ref()?);
        (current.messages() > 0 || self.has_pending()).then(|| current.since + age)
    }

    /// Writes what is left and waits until the disk has it.
    pub fn finish(mut self) -> (RecordCounts, Result<(), RecordError>) {
        self.flush();
        let trouble = self.trouble.take();
        let finished = self.finish_file();
        self.retry_names();
        let first = trouble.or(self.unfinished.take()).or(finished.err());
        let first = first.or_else(|| self.files.give_up());
        (std::mem::take(&mut self.counts), first.map_or(Ok(()), Err))
    }

    /// Its files.
    #[cfg(test)]
    pub(super) fn files_mut(&mut self) -> &mut F {
        &mut self.files
    }

    /// Whether there is anything that a flush would write.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What the files hold and what they could not take. `offered` and the shed are not known here.
    pub fn counts(&self) -> &RecordCounts {
        &self.counts
    }

    /// Why the last write failed; `None` when it succeeded.
    pub fn trouble(&self) -> Option<&RecordError> {
        self.trouble.as_ref()
    }

    fn is_paused(&self) -> bool {
        self.retry_at.is_some_and(|at| Instant::now() < at)
    }

    /// Whether what is pending is more than the file may hold, or the file is too old for it.
    fn is_full(&self) -> bool {
        let Some(current) = &self.current else { return false };
        let is_empty = current.messages() == 0 && self.ends.is_empty();
        let bytes = current.good + (current.head.len() + self.pending.len()) as u64;
        let is_large = self.rotate.bytes.is_some_and(|most| bytes > most);
        let is_old = self.rotate.age.is_some_and(|age| current.since.elapsed() >= age);
        !is_empty && (is_large || is_old)
    }

    /// Writes what is pending for this file and ends it.
    fn next_file(&mut self) {
        self.flush();
        self.retry_names();
        if let Err(trouble) = self.finish_file() {
            tracing::error!("{trouble}");
            self.unfinished.get_or_insert(trouble);
        }
    }

    /// Ends the file at hand, if there is one. An error is that the disk does not have it.
    fn finish_file(&mut self) -> Result<(), RecordError> {
        self.notice_removal();
        let Some(current) = self.current.take() else { return Ok(()) };
        if current.good == 0 {
            self.files.discard(current.store);
            return Ok(());
        }
        let holds = current.holds();
        let result = self.files.finish(current.store, holds);
        match &result {
            Ok(Ended::Named) => self.counts.files += 1,
            Ok(Ended::Waits) => self.names_at = Some(Instant::now() + self.retry_every),
            Err(_) => self.lose(holds),
        }
        (self.counts.deleted_files, self.counts.deleted) = self.files.deleted();
        result.map(|_| ())
    }

    /// Tries again to name the files that have not got their names.
    fn retry_names(&mut self) {
        if !self.files.has_waiting() {
            return;
        }
        let retried = self.files.retry();
        self.counts.files += retried.named;
        retried.lost.into_iter().for_each(|holds| self.lose(holds));
        (self.counts.deleted_files, self.counts.deleted) = self.files.deleted();
        self.names_at = self.files.has_waiting().then(|| Instant::now() + self.retry_every);
    }

    /// What was counted as written is not there.
    fn lose(&mut self, holds: Holds) {
        self.counts.requests -= holds.requests;
        self.counts.responses -= holds.responses;
        self.counts.bytes -= holds.bytes;
        self.counts.failed += holds.messages();
    }

    /// What was in a file that somebody removed is not in the recording.
    fn notice_removal(&mut self) {
        let Some(current) = self.current.take_if(|current| current.store.is_removed()) else {
            return;
        };
        let (path, messages) = (current.path.clone(), current.messages());
        self.lose(current.holds());
        tracing::error!("{}", RecordError::Removed { path, messages });
        self.files.discard(current.store);
    }

    /// Writes what is pending to the file at hand, or to the next one where there is none. Each record is counted.
    fn write_pending(&mut self) -> Result<(), RecordError> {
        self.notice_removal();
        if let Err(trouble) = self.open() {
            self.counts.failed += self.ends.len() as u64;
            return Err(trouble);
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        let (good, requests, responses) = (current.good, current.requests, current.responses);
        let result = current.write(&self.pending, &self.ends);
        let (requests, responses) = (current.requests - requests, current.responses - responses);
        self.counts.bytes += current.good - good;
        self.counts.requests += requests;
        self.counts.responses += responses;
        self.counts.failed += self.ends.len() as u64 - requests - responses;
        result.map_err(|cause| RecordError::Write { path: current.path.clone(), cause })
    }

    /// Makes the next file, if there is none.
    fn open(&mut self) -> Result<(), RecordError> {
        if self.current.is_some() {
            return Ok(());
        }
        let (store, path) = self.files.begin()?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        if self.begun > 0 {
            self.info.started = now();
        }
        let (mut record, mut head) = (Vec::new(), Vec::new());
        self.encoder.info(&mut record, &self.info, &name, self.begun);
        self.packer.pack(&record, &mut head).map_err(RecordError::Memory)?;
        self.begun += 1;
        self.current = Some(Current {
            store,
            path,
            since: Instant::now(),
            head,
            good: 0,
            dirty: false,
            requests: 0,
            responses: 0,
        });
        Ok(())
    }
}

impl<S: Store> Current<S> {
    fn messages(&self) -> u64 {
        self.requests + self.responses
    }

    fn holds(&self) -> Holds {
        Holds { bytes: self.good, requests: self.requests, responses: self.responses }
    }

    /// Writes these records, behind the file's first one, and counts those that are in the file.
    fn write(&mut self, pending: &[u8], ends: &[(usize, Kind)]) -> io::Result<()> {
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
    fn mend(&mut self) -> io::Result<()> {
        if self.dirty {
            self.store.cut_back(self.good)?;
            self.dirty = false;
        }
        Ok(())
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
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
    use std::cell::{Ref, RefCell, RefMut};
    use std::rc::Rc;

    use super::*;
    use crate::record::files::Retried;
    use crate::record::tests::{info, read_all, request};

    const ALL: [Compression; 3] = [Compression::Plain, Compression::Gzip, Compression::Zstd];

    /// A file on a disk of limited size, on which cutting back can be made to fail.
    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
        stuck: bool,
        removed: bool,
        lies: bool,
        nameless: bool,
    }

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Disk>>);

    impl Shared {
        fn with_room(room: usize) -> Self {
            Self(Rc::new(RefCell::new(Disk { room, ..Disk::default() })))
        }

        fn set(&self) -> RefMut<'_, Disk> {
            self.0.borrow_mut()
        }

        fn bytes(&self) -> Ref<'_, [u8]> {
            Ref::map(self.0.borrow(), |disk| disk.bytes.as_slice())
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.set();
            let fits = bytes.len().min(disk.room.saturating_sub(disk.bytes.len())).min(100_000);
            if fits == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            disk.bytes.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Store for Shared {
        fn cut_back(&mut self, len: u64) -> io::Result<()> {
            if self.set().stuck {
                return Err(ErrorKind::Other.into());
            }
            self.set().bytes.truncate(usize::try_from(len).expect("small"));
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.set().lies { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn is_removed(&self) -> bool {
            self.0.borrow().removed
        }
    }

    /// Files made beforehand; without one left, none can be made.
    #[derive(Default)]
    struct Disks {
        waiting: Vec<Shared>,
        finished: Rc<RefCell<Vec<Holds>>>,
        nameless: Vec<(Shared, Holds)>,
        discarded: Rc<RefCell<u32>>,
    }

    impl Disks {
        /// As a real file: it gets its name only where it ends as it should.
        fn settle(&mut self, mut file: Shared, holds: Holds) -> Ended {
            let len = file.bytes().len() as u64;
            let is_whole = len == holds.bytes || file.cut_back(holds.bytes).is_ok();
            if is_whole && !file.0.borrow().nameless {
                self.finished.borrow_mut().push(holds);
                return Ended::Named;
            }
            self.nameless.push((file, holds));
            Ended::Waits
        }
    }

    impl Files for Disks {
        type Store = Shared;

        fn begin(&mut self) -> Result<(Shared, PathBuf), RecordError> {
            let path = PathBuf::from("d.warc");
            match self.waiting.is_empty() {
                true => {
                    let cause = ErrorKind::PermissionDenied.into();
                    Err(RecordError::Create { path, cause })
                }
                false => Ok((self.waiting.remove(0), path)),
            }
        }

        fn finish(&mut self, mut file: Shared, holds: Holds) -> Result<Ended, RecordError> {
            let path = PathBuf::from("d.warc");
            file.sync().map_err(|cause| RecordError::Write { path, cause })?;
            Ok(self.settle(file, holds))
        }

        fn retry(&mut self) -> Retried {
            let mut retried = Retried::default();
            for (mut file, holds) in std::mem::take(&mut self.nameless) {
                if file.sync().is_err() {
                    retried.lost.push(holds);
                } else if self.settle(file, holds) == Ended::Named {
                    retried.named += 1;
                }
            }
            retried
        }

        fn has_waiting(&self) -> bool {
            !self.nameless.is_empty()
        }

        fn give_up(&mut self) -> Option<RecordError> {
            let (path, cause) = (PathBuf::from("d.warc"), ErrorKind::Other.into());
            self.nameless.pop().map(|_| RecordError::Torn { path, cause })
        }

        fn discard(&mut self, _: Shared) {
            *self.discarded.borrow_mut() += 1;
        }

        fn deleted(&self) -> (u64, u64) {
            (0, 0)
        }
    }

    #[track_caller]
    fn begin(disks: &[Shared], compression: Compression, rotate: Rotate) -> Recorder<Disks> {
        let disks = Disks { waiting: disks.to_vec(), ..Disks::default() };
        let mut recorder = Recorder::begin(disks, &info(), compression, rotate).expect("begin");
        recorder.retry_every = Duration::ZERO;
        recorder
    }

    fn get() -> Message {
        request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    }

    /// A request that no compression makes much smaller.
    fn noise(len: usize, seed: u64) -> Message {
        let mut raw =
            format!("POST /{seed} HTTP/1.1\r\nContent-Length: {len}\r\n\r\n").into_bytes();
        let random = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let bytes = (0..len as u64).map(|n| random(random(n ^ (seed << 20)) ^ n) as u8);
        raw.extend(bytes);
        request(&raw)
    }

    #[test]
    fn a_full_disk_is_counted_and_named_and_the_file_ends_with_a_whole_record() {
        for (compression, stuck) in ALL.into_iter().flat_map(|c| [(c, false), (c, true)]) {
            for room in (600..4000).step_by(37) {
                let disk = Shared::with_room(1000);
                let mut recorder =
                    begin(std::slice::from_ref(&disk), compression, Rotate::default());
                let info_len = disk.bytes().len();
                disk.set().room = room.max(info_len);
                disk.set().stuck = stuck;
                for seed in 0..8 {
                    recorder.record(&noise(500, seed));
                }
                recorder.flush();
                let trouble = recorder.trouble().map(ToString::to_string).expect("disk is full");
                assert!(trouble.contains("d.warc") && trouble.contains("room"), "{trouble}");
                let first = recorder.counts().requests;
                assert_eq!(first + recorder.counts().failed, 8);
                if !stuck {
                    let (messages, damages) = read_all(&disk.bytes());
                    assert_eq!((messages.len() as u64, damages.len()), (first, 0));
                }

                // With room again the recording goes on behind its last whole record.
                disk.set().room = 1 << 20;
                disk.set().stuck = false;
                recorder.record(&get());
                let (counts, result) = recorder.finish();
                result.expect("there is room");
                let bytes = disk.bytes();
                assert_eq!((counts.requests, counts.bytes), (first + 1, bytes.len() as u64));
                let (messages, damages) = read_all(&bytes);
                assert_eq!((messages.len() as u64, damages.len()), (first + 1, 0));
            }
        }
    }

    #[test]
    fn while_it_is_paused_messages_are_counted_and_not_tried() {
        let disk = Shared::with_room(600);
        let mut recorder =
            begin(std::slice::from_ref(&disk), Compression::Plain, Rotate::default());
        recorder.retry_every = Duration::from_secs(3600);
        recorder.record(&get());
        recorder.flush();
        disk.set().room = 1 << 20;
        recorder.record(&get());
        assert!(!recorder.has_pending() && recorder.trouble().is_some());
        recorder.retry_at = None;
        recorder.record(&get());
        assert!(recorder.trouble().is_none(), "the first one after the pause is the try");
        let (counts, result) = recorder.finish();
        result.expect("there is room");
        assert_eq!((counts.requests, counts.failed), (1, 2));
    }

    #[test]
    fn a_full_file_is_finished_and_each_record_is_in_one_file() {
        let rotate = Rotate { bytes: Some(4000), age: None };
        for compression in ALL {
            let disks: Vec<_> = (0..100).map(|_| Shared::with_room(1 << 20)).collect();
            let mut recorder = begin(&disks, compression, rotate);
            let finished = Rc::clone(&recorder.files.finished);
            let sent: Vec<_> = (0..50).map(|seed| noise(700, seed)).collect();
            sent.iter().for_each(|message| recorder.record(message));
            // One larger than any file may be has one of its own.
            recorder.record(&noise(9000, 99));
            recorder.record(&noise(700, 100));
            let (counts, result) = recorder.finish();
            result.expect("there is room");
            let used: Vec<_> = disks.iter().filter(|disk| !disk.bytes().is_empty()).collect();
            assert!(used.len() > 10, "{compression:?}: {} files", used.len());
            let files = used.len() as u64;
            assert_eq!((counts.files, finished.borrow().len() as u64), (files, files));
            let mut found = Vec::new();
            for (disk, holds) in used.iter().zip(finished.borrow().iter()) {
                let (messages, damages) = read_all(&disk.bytes());
                assert_eq!((damages.len(), messages.len() as u64), (0, holds.messages()));
                assert_eq!(holds.bytes, disk.bytes().len() as u64);
                assert!(holds.bytes <= 4000 || messages.len() == 1, "{holds:?}");
                found.extend(messages.into_iter().map(|message| message.raw));
            }
            assert_eq!(found.len() as u64, counts.requests);
            assert!(found.iter().zip(&sent).all(|(found, sent)| *found == sent.raw));
            assert_eq!(
                counts.bytes,
                finished.borrow().iter().map(|holds| holds.bytes).sum::<u64>()
            );
        }
    }

    #[test]
    fn an_old_file_is_finished_without_traffic_and_the_next_begins_with_a_message() {
        let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
        let rotate = Rotate { bytes: None, age: Some(Duration::ZERO) };
        let mut recorder = begin(&disks, Compression::Plain, rotate);
        recorder.keep_up();
        assert_eq!((recorder.rotate_at(), recorder.counts().files), (None, 0), "it is empty");
        recorder.record(&get());
        assert!(recorder.rotate_at().is_some());
        recorder.keep_up();
        assert_eq!((recorder.counts().files, recorder.counts().requests), (1, 1));
        assert!(disks[1].bytes().is_empty());
        recorder.record(&get());
        let (counts, _) = recorder.finish();
        assert_eq!((counts.files, counts.requests), (2, 2));
    }

    #[test]
    fn where_no_file_can_be_made_it_pauses_and_tries_again() {
        let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
        let rotate = Rotate { bytes: Some(1), age: None };
        let mut recorder = begin(&disks[..1], Compression::Gzip, rotate);
        (0..3).for_each(|seed| recorder.record(&noise(100, seed)));
        recorder.flush();
        let trouble = recorder.trouble().map(ToString::to_string).expect("no second file");
        assert!(trouble.contains("may write"), "{trouble}");
        recorder.files.waiting = vec![disks[1].clone()];
        recorder.record(&noise(100, 3));
        let (counts, result) = recorder.finish();
        result.expect("there is a file again");
        let kept: u64 = disks.iter().map(|disk| read_all(&disk.bytes()).0.len() as u64).sum();
        assert_eq!((counts.requests, counts.failed), (kept, 4 - kept));
        assert!(kept >= 2);
    }

    #[test]
    fn what_was_in_a_file_that_somebody_removed_is_counted_as_failed() {
        let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
        let mut recorder = begin(&disks, Compression::Zstd, Rotate::default());
        (0..3).for_each(|_| recorder.record(&get()));
        recorder.flush();
        assert_eq!(recorder.counts().requests, 3);
        disks[0].set().removed = true;
        recorder.record(&get());
        let (counts, result) = recorder.finish();
        result.expect("the next file is good");
        let len = disks[1].bytes().len() as u64;
        assert_eq!((counts.requests, counts.failed, counts.bytes), (1, 3, len));
    }

    #[test]
    fn what_the_disk_took_and_does_not_have_is_counted_as_failed_and_said_at_the_end() {
        let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
        let rotate = Rotate { bytes: Some(2000), age: None };
        let mut recorder = begin(&disks, Compression::Plain, rotate);
        disks[0].set().lies = true;
        (0..2).for_each(|seed| recorder.record(&noise(1000, seed)));
        let (counts, result) = recorder.finish();
        let len = disks[1].bytes().len() as u64;
        assert_eq!((counts.requests, counts.failed, counts.files), (1, 1, 1));
        assert!(counts.bytes <= len && counts.bytes > 1000, "{} of {len}", counts.bytes);
        assert!(matches!(result, Err(RecordError::Write { .. })), "{result:?}");
    }

    #[test]
    fn a_file_with_part_of_a_record_at_its_end_waits_until_that_is_cut_off() {
        let disks = [Shared::with_room(3000), Shared::with_room(1 << 20)];
        let rotate = Rotate { bytes: Some(100_000), age: Some(Duration::from_secs(3600)) };
        let mut recorder = begin(&disks, Compression::Plain, rotate);
        let finished = Rc::clone(&recorder.files.finished);
        disks[0].set().stuck = true;
        (0..4).for_each(|seed| recorder.record(&noise(1000, seed)));
        recorder.flush();
        recorder.next_file();
        let torn = disks[0].bytes().len() as u64;
        assert!(recorder.counts().bytes < torn && recorder.due_at().is_some());
        assert_eq!((recorder.counts().files, finished.borrow().len()), (0, 0), "it has no name");

        recorder.keep_up();
        assert_eq!((recorder.counts().files, recorder.names_at.is_some()), (0, true));
        disks[0].set().stuck = false;
        recorder.keep_up();
        assert_eq!((recorder.counts().files, recorder.names_at), (1, None));
        let (messages, damages) = read_all(&disks[0].bytes());
        assert_eq!((messages.len() as u64, damages.len()), (recorder.counts().requests, 0));
        let (counts, result) = recorder.finish();
        result.expect("all have their names");
        assert_eq!(counts.requests + counts.failed, 4);
    }

    #[test]
    fn a_file_that_never_gets_its_name_is_said_at_the_end_and_one_that_the_disk_lost_is_counted() {
        for lies in [false, true] {
            let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
            let rotate = Rotate { bytes: Some(2000), age: None };
            let mut recorder = begin(&disks, Compression::Plain, rotate);
            disks[0].set().nameless = true;
            (0..2).for_each(|seed| recorder.record(&noise(1000, seed)));
            recorder.flush();
            assert_eq!((recorder.counts().requests, recorder.counts().files), (2, 0));
            disks[0].set().lies = lies;
            let (counts, result) = recorder.finish();
            let lost = u64::from(lies);
            assert_eq!((counts.requests, counts.failed, counts.files), (2 - lost, lost, 1));
            assert_eq!(result.is_err(), !lies, "{result:?}");
        }
    }

    #[test]
    fn a_recording_that_ends_before_its_first_message_leaves_no_file() {
        for messages in [0, 1] {
            let disk = Shared::with_room(1 << 20);
            let mut recorder = begin(&[disk], Compression::Plain, Rotate::default());
            let discarded = Rc::clone(&recorder.files.discarded);
            (0..messages).for_each(|_| recorder.record(&get()));
            recorder.flush();
            drop(recorder);
            assert_eq!(*discarded.borrow(), 1 - messages);
        }
    }

    #[test]
    fn a_message_that_is_not_whole_is_not_written() {
        let disk = Shared::with_room(1 << 20);
        let mut recorder = begin(&[disk], Compression::Plain, Rotate::default());
        let mut message = get();
        message.completion = Completion::Incomplete;
        recorder.record(&message);
        message.completion = Completion::Complete;
        message.body_len = 5;
        recorder.record(&message);
        let (counts, _) = recorder.finish();
        assert_eq!((counts.requests, counts.failed), (0, 2));
    }
}
