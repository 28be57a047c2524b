//! Why a recording cannot begin or go on, in words that say what to do.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;

use super::names::NameError;

/// Why a recording cannot begin or go on.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The output is no name for files.
    #[error(transparent)]
    Output(#[from] NameError),
    /// A record cannot be compressed.
    #[error("cannot compress a record: {0}")]
    Memory(io::Error),
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
    /// The file is finished, but cannot get its name.
    #[error("{} is finished, but cannot be renamed to {}: {}", .at.display(), .path.display(), named(.cause))]
    Name {
        /// Where it is.
        at: PathBuf,
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is finished, but there is part of a record behind its last whole one that cannot be cut off.
    #[error("{} ends within a record, and what is too much cannot be cut off: {}", .path.display(), named(.cause))]
    Torn {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Somebody removed the file while it was being written.
    #[error("{} was removed while it was being written: {messages} messages are gone with it", .path.display())]
    Removed {
        /// The file.
        path: PathBuf,
        /// Messages that were in it.
        messages: u64,
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
