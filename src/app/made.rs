//! The file that a conversion makes: whole under its name, or not there.
//!
//! In: its name and what is read. Out: an open file, finished or given up. Guaranteed: what is read is never what is
//! written, by whatever names (links too); a regular file is made beside its name as `.partial`, as a
//! recording's is ([`Series`]), and gets its name when it is whole and on the disk: until then what was there
//! stays as it is, and where that cannot be, nothing is begun. A file that is given up, or cannot get its name, is
//! removed; nothing else ever is. Devices, pipes and standard output are written as they are.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::record::files::{Files, Series};
use crate::record::names::{Names, partial};
use crate::record::{Existing, RecordError};

/// See the module's description. Given up unless [`Self::finish`] is called.
pub enum Made {
    /// Standard output.
    Stdout,
    /// A device or a pipe.
    InPlace(File),
    /// A regular file.
    File(Box<Making>),
}

/// A regular file in the making.
pub struct Making {
    series: Series,
    file: File,
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
        if known.as_ref().is_some_and(|meta| !meta.is_file()) {
            let file = OpenOptions::new().write(true).open(path);
            let file = file.with_context(|| format!("cannot open {}", path.display()))?;
            return Ok(Self::InPlace(file));
        }
        let existing = if overwrite { Existing::Overwrite } else { Existing::Refuse };
        let mut series = Series::new(Names::literal(path)?, existing);
        if overwrite && known.is_some() && !series.can_replace() {
            bail!(
                "{} cannot be replaced by a whole file: only root's right lets this user write its directory, and \
                 that is given up before anything is read; remove the file first, or choose another directory",
                path.display()
            );
        }
        let (file, _) = series.begin()?;
        Ok(Self::File(Box::new(Making { series, file })))
    }

    /// Whether it is standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// What to write to.
    pub fn writer(&self) -> io::Result<Box<dyn io::Write>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::InPlace(file) => Box::new(file.try_clone()?),
            Self::File(making) => Box::new(making.file.try_clone()?),
        })
    }

    /// Puts it on the disk and gives it its name; which one that is, since somebody may have taken the wanted one
    /// meanwhile. None where it has none of its own.
    pub fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let Self::File(mut making) = self else { return Ok(None) };
        match making.series.finish_at_once(&making.file) {
            Ok(path) => Ok(Some(path)),
            // Its words are those of a recording, which would try again.
            Err(RecordError::Write { cause, .. } | RecordError::Name { cause, .. }) => {
                Err(cause.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.series.remove_unfinished(&self.file);
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[track_caller]
    fn listed(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    #[track_caller]
    fn written(path: &Path, overwrite: bool) -> Made {
        let made = Made::create(path, &[], overwrite).expect("own directory");
        made.writer().expect("a descriptor").write_all(b"new").expect("written");
        made
    }

    #[test]
    fn what_cannot_get_its_name_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.har");
        let made = written(&path, true);
        assert_eq!(listed(dir.path()), ["a.har.partial"]);
        // No file can take the name of a directory.
        fs::create_dir(&path).expect("own directory");
        made.finish().expect_err("it is a directory");
        assert_eq!(listed(dir.path()), ["a.har"]);
        drop(written(&dir.path().join("b.har"), false));
        assert_eq!(listed(dir.path()), ["a.har"]);
    }

    #[test]
    fn a_name_that_somebody_took_meanwhile_is_said_with_its_number() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.har");
        let made = written(&path, false);
        fs::write(&path, "somebody's").expect("own directory");
        let got = made.finish().expect("another name");
        assert_eq!(got, Some(dir.path().join("a_002.har")));
        assert_eq!(fs::read(&path).expect("it"), b"somebody's");
        assert_eq!(listed(dir.path()), ["a.har", "a_002.har"]);
    }
}
