//! The file that a conversion makes: whole under its name, or not there.
//!
//! In: its name and what is read. Out: an open file, finished or given up. Guaranteed: what is read is never what is
//! written, by whatever names (links too); a regular file is made beside its name as `.partial`, as a
//! recording's is ([`Series`]), and gets its name when it is whole and on the disk: until then what was there
//! stays as it is. A file that is given up is removed. Devices, pipes and standard output are written as they are.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};

use crate::record::files::{Ended, Files, Holds, Series};
use crate::record::names::{Names, partial};
use crate::record::{Existing, RecordError};

/// See the module's description. Given up unless [`Self::finish`] is called.
pub enum Made {
    /// Standard output.
    Stdout,
    /// A device or a pipe.
    InPlace(File),
    /// A regular file; nothing once it is finished.
    File(Box<Series>, Option<File>),
}

impl Made {
    /// Makes the file that is to hold what is in these.
    pub fn create(path: &Path, inputs: &[String], overwrite: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            if let Some(input) = inputs.iter().find(|input| is_same(id_of_stdout(), input)) {
                bail!(
                    "standard output goes to {}, which is read; choose another file",
                    name(input)
                );
            }
            return Ok(Self::Stdout);
        }
        refuse_what_is_read(path, inputs)?;
        let known = fs::metadata(path).ok();
        if known.is_some_and(|meta| !meta.is_file()) {
            let file = OpenOptions::new().write(true).open(path);
            let file = file.with_context(|| format!("cannot open {}", path.display()))?;
            return Ok(Self::InPlace(file));
        }
        let existing = if overwrite { Existing::Overwrite } else { Existing::Refuse };
        let mut series = Series::new(Names::literal(path)?, existing);
        let (file, _) = series.begin()?;
        Ok(Self::File(Box::new(series), Some(file)))
    }

    /// Whether it is standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// What to write to.
    pub fn writer(&self) -> io::Result<Box<dyn io::Write>> {
        Ok(match self {
            Self::Stdout | Self::File(_, None) => Box::new(io::stdout()),
            Self::InPlace(file) | Self::File(_, Some(file)) => Box::new(file.try_clone()?),
        })
    }

    /// Puts it on the disk and gives it its name.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let Self::File(series, file) = self else { return Ok(()) };
        let Some(file) = file.take() else { return Ok(()) };
        // All that was written is whole.
        let holds = Holds { bytes: file.metadata()?.len(), ..Holds::default() };
        match series.finish(file, holds) {
            Ok(Ended::Named) => Ok(()),
            Ok(Ended::Waits) => series.give_up().map_or(Ok(()), |why| Err(why.into())),
            // Its words are those of a recording, which would try again.
            Err(RecordError::Write { cause, .. }) => Err(cause.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Self::File(series, file) = self
            && let Some(file) = file.take()
        {
            series.discard(file);
        }
    }
}

/// Neither the file nor what it is called in the making may be among what is read.
fn refuse_what_is_read(path: &Path, inputs: &[String]) -> anyhow::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    for made in [path.to_owned(), partial(path), partial(&target)] {
        let id = fs::metadata(&made).ok().filter(Metadata::is_file).map(|meta| id(&meta));
        if let Some(input) = inputs.iter().find(|input| is_same(id, input)) {
            bail!(
                "{} and {} are the same file; choose another name for what is written",
                made.display(),
                name(input)
            );
        }
    }
    Ok(())
}

/// Device and number: what two names have in common that mean one file.
type Id = (u64, u64);

fn id(meta: &Metadata) -> Id {
    (meta.dev(), meta.ino())
}

fn id_of_stdout() -> Option<Id> {
    let stat = rustix::fs::fstat(io::stdout()).ok()?;
    let is_file = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
    is_file.then_some((stat.st_dev, stat.st_ino))
}

fn is_same(made: Option<Id>, input: &str) -> bool {
    let read = match input {
        "-" => rustix::fs::fstat(io::stdin()).ok().map(|stat| (stat.st_dev, stat.st_ino)),
        _ => fs::metadata(input).ok().map(|meta| id(&meta)),
    };
    made.is_some() && made == read
}

fn name(input: &str) -> &str {
    if input == "-" { "standard input" } else { input }
}
