//! The files of a run in a directory, from the first to the last, and which of them are deleted.
//!
//! In: names, and how much is kept. Out: [`Files`] as the writer sees them. Guaranteed: only files that this run
//! finished, and that are still those, are ever deleted, the oldest first.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::making::Making;
use super::naming::Waiting;
use super::system::{is_ours, may_write};
use super::{Ended, Existing, Files, Holds, Keep, Retried};
use crate::record::names::Names;
use crate::record::trouble::RecordError;

/// The files of a run in a directory.
#[derive(Debug)]
pub struct Series {
    pub(super) names: Names,
    pub(super) existing: Existing,
    keep: Option<Keep>,
    /// Whether a file can be renamed later: not where only a right lets us write that is given up.
    pub(super) can_rename: bool,
    pub(super) making: Option<Making>,
    /// Finished files without their name, the oldest first.
    pub(super) waiting: VecDeque<Waiting>,
    /// What went wrong with one that waits no more.
    pub(super) given_up: Option<RecordError>,
    finished: VecDeque<Finished>,
    deleted: (u64, u64),
    /// Files begun so far.
    begun: u64,
}

/// A finished file.
#[derive(Debug)]
struct Finished {
    path: PathBuf,
    nth: u64,
    id: (u64, u64),
    holds: Holds,
}

impl Series {
    /// Files of these names.
    pub fn new(names: Names, existing: Existing) -> Self {
        let can_rename = may_write(names.dir());
        Self {
            names,
            existing,
            keep: None,
            can_rename,
            making: None,
            waiting: VecDeque::new(),
            given_up: None,
            finished: VecDeque::new(),
            deleted: (0, 0),
            begun: 0,
        }
    }

    /// Whether more files can be made once every right is given up.
    pub fn can_go_on(&self) -> bool {
        self.can_rename
    }

    /// Whether a file that is there can be replaced by a whole one, and stay until then.
    pub fn can_replace(&self) -> bool {
        let name = self.names.name(jiff::Timestamp::now(), 1);
        let path = fs::canonicalize(&name).unwrap_or(name);
        self.can_rename && path.parent().is_none_or(may_write)
    }

    /// Gives the only file its name, all that was written being whole, or removes it: nobody would try again.
    pub fn finish_at_once(&mut self, file: &File) -> Result<PathBuf, RecordError> {
        let Some(making) = self.making.take() else {
            return Ok(self.names.name(jiff::Timestamp::now(), 1));
        };
        let settled = self.settle_whole(&making, file);
        if settled.is_err() {
            self.making = Some(making);
            self.remove_unfinished(file);
        }
        settled
    }

    /// Removes the file in the making, if there is one and it is still that.
    pub fn remove_unfinished(&mut self, file: &File) {
        let Some(making) = self.making.take() else { return };
        let ours = file.metadata().ok().filter(fs::Metadata::is_file);
        let is_there = |meta: fs::Metadata| is_ours(&making.at, (meta.dev(), meta.ino()));
        if ours.is_some_and(|meta| matches!(is_there(meta), Ok(true))) {
            // Left behind, it is an empty file.
            let _ = fs::remove_file(&making.at);
        }
    }

    /// Deletes the oldest beyond so many.
    pub fn keep(mut self, keep: Option<Keep>) -> Self {
        self.keep = keep;
        self
    }

    /// Which file of this run the next one is.
    pub(super) fn next_nth(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// A file has its name: one more that may be deleted.
    fn named(&mut self, waiting: Waiting, path: PathBuf) {
        let Waiting { making: Making { nth, .. }, id, holds, .. } = waiting;
        // One that waited may be older than others that have theirs.
        let place = self.finished.partition_point(|other| other.nth <= nth);
        self.finished.insert(place, Finished { path, nth, id, holds });
        self.prune();
    }

    /// Deletes the oldest beyond what is kept. One that cannot be deleted is tried again with the next.
    fn prune(&mut self) {
        while let Some(oldest) = self.finished.front().filter(|_| self.is_too_much()) {
            let name = oldest.path.display();
            // Otherwise somebody took it away: it is no longer this run's.
            let is_there = is_ours(&oldest.path, oldest.id);
            let deleted = is_there.and_then(|is_there| match is_there {
                true => fs::remove_file(&oldest.path).map(|()| true),
                false => Ok(false),
            });
            let is_deleted = match deleted {
                Ok(is_deleted) => is_deleted,
                Err(error) => {
                    tracing::warn!("cannot delete {name}, which --keep is done with: {error}");
                    return;
                }
            };
            if is_deleted {
                let messages = oldest.holds.messages();
                self.deleted = (self.deleted.0 + 1, self.deleted.1 + messages);
                tracing::info!(
                    "deleted {name}, the oldest file, with {messages} messages (--keep)"
                );
            }
            self.finished.pop_front();
        }
    }

    fn is_too_much(&self) -> bool {
        match self.keep {
            None => false,
            Some(Keep::Files(most)) => self.finished.len() as u64 > most,
            Some(Keep::Bytes(most)) => {
                self.finished.iter().map(|file| file.holds.bytes).sum::<u64>() > most
            }
        }
    }
}

impl Files for Series {
    type Store = File;

    fn begin(&mut self) -> Result<(File, PathBuf), RecordError> {
        let (file, making) = match self.existing {
            Existing::Overwrite if self.names.is_one() => self.make_over()?,
            _ => self.make()?,
        };
        let path = making.path.clone();
        self.making = Some(making);
        Ok((file, path))
    }

    fn finish(&mut self, file: File, holds: Holds) -> Result<Ended, RecordError> {
        let Some(making) = self.making.take() else { return Ok(Ended::Named) };
        let meta = file.metadata();
        let meta = meta.map_err(|cause| RecordError::Write { path: making.at.clone(), cause })?;
        if !meta.is_file() {
            return Ok(Ended::Named);
        }
        let id = (meta.dev(), meta.ino());
        let mut waiting = Waiting { making, file, id, holds, is_synced: false, why: None };
        match self.settle(&mut waiting) {
            Ok(path) => {
                self.named(waiting, path);
                Ok(Ended::Named)
            }
            Err(error @ RecordError::Write { .. }) => Err(error),
            Err(error) => {
                tracing::error!("{error}; it is tried again each second");
                waiting.why = Some(error);
                self.wait(waiting);
                Ok(Ended::Waits)
            }
        }
    }

    fn retry(&mut self) -> Retried {
        let mut retried = Retried::default();
        for mut waiting in std::mem::take(&mut self.waiting) {
            let at = waiting.making.at.clone();
            if matches!(is_ours(&at, waiting.id), Ok(false)) {
                tracing::error!("{} was taken away before it had its name", at.display());
                retried.lost.push(waiting.holds);
                continue;
            }
            match self.settle(&mut waiting) {
                Ok(path) => {
                    retried.named += 1;
                    tracing::info!("{} has its name now: {}", at.display(), path.display());
                    self.named(waiting, path);
                }
                Err(error @ RecordError::Write { .. }) => {
                    tracing::error!("{error}");
                    retried.lost.push(waiting.holds);
                }
                Err(error) => {
                    waiting.why = Some(error);
                    self.wait(waiting);
                }
            }
        }
        retried
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn give_up(&mut self) -> Option<RecordError> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().find_map(|waiting| waiting.why).or(self.given_up.take())
    }

    fn discard(&mut self, file: File) {
        self.remove_unfinished(&file);
    }

    fn deleted(&self) -> (u64, u64) {
        self.deleted
    }
}
