//! A file is made: under its name and `.partial`, or, where it could not be renamed later, under its own name.
//!
//! In: names to try. Out: an open file, and where it is and shall be. Guaranteed: it is made anew (O_EXCL, mode 0600)
//! or, with `--overwrite`, in place of the one that the user named; nothing else is replaced, no `.partial` either that
//! somebody left.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::series::Series;
use super::system::{create_new, may_write, open_to_write};
use crate::record::names::{Names, partial};
use crate::record::trouble::RecordError;

/// Names tried for one file at most.
pub(super) const TRIES: u32 = 1_000_000;

/// The file in the making.
#[derive(Debug)]
pub(super) struct Making {
    /// Where it is now.
    pub(super) at: PathBuf,
    /// Where it will be.
    pub(super) path: PathBuf,
    pub(super) begun: jiff::Timestamp,
    /// Which file of this run it is: clocks may step back.
    pub(super) nth: u64,
}

impl Series {
    /// Makes a file of the first name that is free.
    pub(super) fn make(&mut self) -> Result<(File, Making), RecordError> {
        let (begun, nth) = (jiff::Timestamp::now(), self.next_nth());
        let mut number = self.names.next_number(begun);
        let last = number.saturating_add(TRIES);
        loop {
            let path = self.names.name(begun, number);
            let at = if self.can_rename { partial(&path) } else { path.clone() };
            let fail = |cause| RecordError::Create { path: at.clone(), cause };
            let taken = match fs::symlink_metadata(&path) {
                Ok(_) => Some(path.clone()),
                Err(error) if error.kind() == ErrorKind::NotFound => match create_new(&at) {
                    Ok(file) => {
                        self.names.took(begun, number);
                        return Ok((file, Making { at, path, begun, nth }));
                    }
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Some(at.clone()),
                    Err(error) => return Err(fail(error)),
                },
                Err(error) => return Err(fail(error)),
            };
            if let Some(taken) = taken.filter(|_| self.names.is_one() || number == last) {
                return Err(RecordError::Exists(taken));
            }
            number = number.saturating_add(1);
        }
    }

    /// Makes the one file, whatever is there.
    pub(super) fn make_over(&mut self) -> Result<(File, Making), RecordError> {
        let (begun, nth) = (jiff::Timestamp::now(), self.next_nth());
        let name = self.names.name(begun, 1);
        // Somebody else's link may lead to a file that is not to be lost.
        let user = rustix::process::geteuid().as_raw();
        if fs::symlink_metadata(&name).is_ok_and(|meta| meta.is_symlink() && meta.uid() != user) {
            let cause = io::Error::new(ErrorKind::PermissionDenied, "it is a link of another user");
            return Err(RecordError::Create { path: name, cause });
        }
        // Not the link is replaced but what it leads to.
        let path = fs::canonicalize(&name).unwrap_or(name);
        let can_rename = self.can_rename && path.parent().is_none_or(may_write);
        if fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            return open_in_place(path, begun, nth);
        }
        if !can_rename {
            let made = open_in_place(path, begun, nth)?;
            let emptied = made.0.set_len(0);
            let own = emptied.and_then(|()| made.0.set_permissions(Permissions::from_mode(0o600)));
            own.map_err(|cause| RecordError::Create { path: made.1.path.clone(), cause })?;
            return Ok(made);
        }
        let (file, at) = create_beside(&path, begun)?;
        Ok((file, Making { at, path, begun, nth }))
    }
}

/// Makes the `.partial` of this name. One that is there may be all that is left of a recording that was killed:
/// a number is added then.
fn create_beside(path: &Path, begun: jiff::Timestamp) -> Result<(File, PathBuf), RecordError> {
    let names = Names::literal(path)?;
    let first = partial(path);
    for number in 1..=TRIES {
        let at = partial(&names.name(begun, number));
        match create_new(&at) {
            Ok(file) => {
                if number > 1 {
                    tracing::warn!(
                        "{} is left as it is, whoever made it; until it is whole, the new file is {}",
                        first.display(),
                        at.display()
                    );
                }
                return Ok((file, at));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(RecordError::Create { path: at, cause }),
        }
    }
    Err(RecordError::Exists(first))
}

/// A device or a pipe is written as it is: it can be neither replaced nor cut back.
fn open_in_place(
    path: PathBuf,
    begun: jiff::Timestamp,
    nth: u64,
) -> Result<(File, Making), RecordError> {
    let file = open_to_write(&path);
    let file = file.map_err(|cause| RecordError::Create { path: path.clone(), cause })?;
    Ok((file, Making { at: path.clone(), path, begun, nth }))
}
