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

mod current;
mod plan;
mod turn;

use std::fmt;
use std::time::{Duration, Instant};

use crate::model::ledger::RecordCounts;
use crate::model::{Completion, Message};

use super::encode::{Encoder, kind_of};
use super::files::{Files, Series};
use super::pack::Packer;
use super::trouble::RecordError;
use super::warc::{Kind, WarcInfo};
use current::Current;

pub use plan::{Plan, Rotate};

/// Bytes gathered before they are written without being asked.
const WRITE_AT: usize = 1 << 20;
/// Capacity of a buffer that is kept from one write to the next.
const KEEP_CAPACITY: usize = 4 << 20;
/// How long a recording that cannot write waits for its next try.
const RETRY_EVERY: Duration = Duration::from_secs(1);

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

impl<F: Files> fmt::Debug for Recorder<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({:?}, {:?})", self.packer, self.counts)
    }
}

impl Recorder {
    /// Makes the first file, with its `warcinfo` record. The output must name files, see [`Plan::series`].
    pub fn create(plan: &Plan, info: &WarcInfo) -> Result<Self, RecordError> {
        let series = plan.series()?;
        let packer = Packer::with_dictionary(plan.compression, plan.dictionary.as_ref());
        let packer = packer.map_err(RecordError::Memory)?;
        let mut recorder = Self::begin(series, info, packer, plan.rotate)?;
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
        packer: Packer,
        rotate: Rotate,
    ) -> Result<Self, RecordError> {
        let mut recorder = Self {
            files,
            rotate,
            info: info.clone(),
            encoder: Encoder::new(&info.run),
            packer,
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

    /// Takes a message into the recording. One that is called whole, but whose body nobody kept, is counted as
    /// failed: only one that is known not to be whole is marked so in the file.
    pub fn record(&mut self, message: &Message) {
        let is_whole = message.completion == Completion::Complete;
        let body_missing = message.body_len > 0 && message.wire_body().is_empty();
        if (is_whole && body_missing) || self.is_paused() {
            self.counts.failed += 1;
            return;
        }
        self.counts.redacted += u64::from(message.redacted > 0);
        self.counts.truncated += u64::from(!is_whole);
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
}

#[cfg(test)]
mod tests;
