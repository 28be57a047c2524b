//! One file after the other: when the next begins, and how the one at hand ends.
//!
//! In: what the recorder has gathered, and the time. Out: files begun and finished, and the counts of what they hold.
//! Guaranteed: a file begins with a `warcinfo` record; what was counted as written and turns out not to be there (the
//! disk lost it, somebody removed it) is counted as failed instead.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Recorder;
use super::current::Current;
use crate::model::Timestamp;
use crate::record::files::{Ended, Files, Holds, Store};
use crate::record::trouble::RecordError;

impl<F: Files> Recorder<F> {
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
    pub(super) fn rotate_at(&self) -> Option<Instant> {
        let (age, current) = (self.rotate.age?, self.current.as_ref()?);
        (current.messages() > 0 || self.has_pending()).then(|| current.since + age)
    }

    /// Whether what is pending is more than the file may hold, or the file is too old for it.
    pub(super) fn is_full(&self) -> bool {
        let Some(current) = &self.current else { return false };
        let is_empty = current.messages() == 0 && self.ends.is_empty();
        let bytes = current.good + (current.head.len() + self.pending.len()) as u64;
        let is_large = self.rotate.bytes.is_some_and(|most| bytes > most);
        let is_old = self.rotate.age.is_some_and(|age| current.since.elapsed() >= age);
        !is_empty && (is_large || is_old)
    }

    /// Writes what is pending for this file and ends it.
    pub(super) fn next_file(&mut self) {
        self.flush();
        self.retry_names();
        if let Err(trouble) = self.finish_file() {
            tracing::error!("{trouble}");
            self.unfinished.get_or_insert(trouble);
        }
    }

    /// Ends the file at hand, if there is one. An error is that the disk does not have it.
    pub(super) fn finish_file(&mut self) -> Result<(), RecordError> {
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
    pub(super) fn retry_names(&mut self) {
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
    pub(super) fn lose(&mut self, holds: Holds) {
        self.counts.requests -= holds.requests;
        self.counts.responses -= holds.responses;
        self.counts.bytes -= holds.bytes;
        self.counts.failed += holds.messages();
    }

    /// What was in a file that somebody removed is not in the recording.
    pub(super) fn notice_removal(&mut self) {
        let Some(current) = self.current.take_if(|current| current.store.is_removed()) else {
            return;
        };
        let (path, messages) = (current.path.clone(), current.messages());
        self.lose(current.holds());
        tracing::error!("{}", RecordError::Removed { path, messages });
        self.files.discard(current.store);
    }

    /// Writes what is pending to the file at hand, or to the next one where there is none. Each record is counted.
    pub(super) fn write_pending(&mut self) -> Result<(), RecordError> {
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
    pub(super) fn open(&mut self) -> Result<(), RecordError> {
        if self.current.is_some() {
            return Ok(());
        }
        let (store, path) = self.files.begin()?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        if self.begun > 0 {
            self.info.started = now();
        }
        let (mut record, mut head) = (Vec::new(), self.packer.preamble().to_vec());
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

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
