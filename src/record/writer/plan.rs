//! How a recording is to be written, as its user said.
//!
//! Values only. Whether the output can name files is seen in [`Plan::series`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::record::dictionary::Dictionary;
use crate::record::files::{Existing, Keep, Series};
use crate::record::names::{NameError, Names};
use crate::record::pack::Compression;

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
    /// What zstd packs them with, to the same file's beginning.
    pub dictionary: Option<Dictionary>,
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
            dictionary: None,
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
