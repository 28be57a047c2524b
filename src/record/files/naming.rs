//! A finished file gets its name, now or later.
//!
//! In: a file that was written, and what it holds. Out: its name. Guaranteed: a file has its name only when it ends
//! with its last whole record and is on the disk; the name replaces nothing. One that cannot have it waits, with its
//! descriptor, and is tried again whenever somebody asks; the oldest of too many is given up, which is said.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;

use rustix::io::Errno;

use super::making::{Making, TRIES};
use super::series::Series;
use super::system::rename_new;
use super::{Existing, Holds, Store};
use crate::record::trouble::RecordError;

/// Finished files that wait for their names at most; each holds a descriptor.
const MAX_WAITING: usize = 64;

/// A file that is finished but for its name or its end.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) making: Making,
    pub(super) file: File,
    pub(super) id: (u64, u64),
    pub(super) holds: Holds,
    pub(super) is_synced: bool,
    /// What went wrong the last time.
    pub(super) why: Option<RecordError>,
}

impl Series {
    /// Makes a finished file end behind its last whole record, waits until it is on the disk, and gives it its name.
    pub(super) fn settle(&mut self, waiting: &mut Waiting) -> Result<PathBuf, RecordError> {
        let Waiting { making, file, holds, is_synced, .. } = waiting;
        let write_error = |cause| RecordError::Write { path: making.at.clone(), cause };
        let mut cut = Ok(());
        if file.metadata().map_err(write_error)?.len() != holds.bytes {
            cut = file.cut_back(holds.bytes);
            *is_synced &= cut.is_err();
        }
        if !*is_synced {
            file.sync().map_err(write_error)?;
            *is_synced = true;
        }
        cut.map_err(|cause| RecordError::Torn { path: making.at.clone(), cause })?;
        self.name_for_good(making)
    }

    /// The same for a file of which all that was written is whole.
    pub(super) fn settle_whole(
        &mut self,
        making: &Making,
        file: &File,
    ) -> Result<PathBuf, RecordError> {
        let write_error = |cause| RecordError::Write { path: making.at.clone(), cause };
        file.sync_all().map_err(write_error)?;
        self.name_for_good(making)
    }

    fn name_for_good(&mut self, making: &Making) -> Result<PathBuf, RecordError> {
        let path = self.name(making)?;
        // The name too shall outlive a power cut; where a directory cannot be synced, nobody can help it.
        let _ = File::open(self.names.dir()).and_then(|dir| dir.sync_all());
        Ok(path)
    }

    /// Gives the file its name, or one with a number where somebody has taken it meanwhile.
    fn name(&mut self, making: &Making) -> Result<PathBuf, RecordError> {
        let Making { at, path, begun, .. } = making;
        if at == path {
            return Ok(path.clone());
        }
        let fail = |cause| RecordError::Name { at: at.clone(), path: path.clone(), cause };
        if self.existing == Existing::Overwrite && self.names.is_one() {
            fs::rename(at, path).map_err(fail)?;
            return Ok(path.clone());
        }
        let mut name = path.clone();
        let first = self.names.next_number(*begun).max(2);
        for number in first..=first.saturating_add(TRIES) {
            match rename_new(at, &name) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => {
                    name = self.names.name(*begun, number);
                    self.names.took(*begun, number);
                }
                Err(error) => return Err(fail(error.into())),
            }
        }
        Err(fail(ErrorKind::AlreadyExists.into()))
    }

    /// Lets a file wait for the next try.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
        if self.waiting.len() > MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            let name = oldest.making.at.display();
            tracing::error!("{name} stays as it is: more than {MAX_WAITING} files wait for names");
            self.given_up = self.given_up.take().or(oldest.why);
        }
    }
}
