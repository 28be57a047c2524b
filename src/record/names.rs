//! Names of a recording's files: from what the user wrote, a time, and a number where one is needed.
//!
//! In: the output as given (`traffic-%Y%m%dT%H%M%S.warc.gz`). Out: names to try one after the other; whether one
//! is free is not known here. Only the file's name is a pattern, not its directory. Times are UTC.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::fmt::strtime;

/// What the name of a file in the making ends with.
pub const PARTIAL: &str = ".partial";

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Names {
    dir: PathBuf,
    name: OsString,
    /// Whether the name holds times.
    is_pattern: bool,
    /// Whether each name has a number: several files, and no time to tell them apart.
    is_numbered: bool,
}

/// Why an output cannot name files.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// It names no file.
    #[error("{} is no name for a file", .0.display())]
    NoFile(PathBuf),
    /// Its times cannot be read.
    #[error("{} is no pattern of times ({}); write %Y%m%dT%H%M%S, and %% for a percent sign", .0.display(), .1)]
    Pattern(PathBuf, String),
}

impl Names {
    /// For the output as the user wrote it, one file or several.
    pub fn new(output: &Path, several: bool) -> Result<Self, NameError> {
        let mut names = Self::literal(output)?;
        names.is_pattern = names.name.to_str().is_some_and(|name| name.contains('%'));
        names.is_numbered = several && !names.is_pattern;
        let wrong = |why| NameError::Pattern(output.to_owned(), why);
        let sample =
            names.timed(jiff::Timestamp::UNIX_EPOCH).map_err(|error| wrong(error.to_string()))?;
        if sample.is_empty() || sample.as_encoded_bytes().iter().any(|b| b"/\0".contains(b)) {
            return Err(wrong("it gives names with a slash".into()));
        }
        Ok(names)
    }

    /// For one file of exactly this name.
    pub fn literal(output: &Path) -> Result<Self, NameError> {
        let name = output.file_name().filter(|_| !is_dir(output));
        let name = name.ok_or_else(|| NameError::NoFile(output.to_owned()))?.to_owned();
        let dir = output.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { dir, name, is_pattern: false, is_numbered: false })
    }

    /// Whether there is but one name.
    pub fn is_one(&self) -> bool {
        !self.is_pattern && !self.is_numbered
    }

    /// The directory of the files.
    pub fn dir(&self) -> &Path {
        match self.dir.as_os_str().is_empty() {
            true => Path::new("."),
            false => &self.dir,
        }
    }

    /// The first number to try for the next file, of those tried so far.
    pub fn next_number(&self, last: u32) -> u32 {
        if self.is_numbered { last.saturating_add(1) } else { 1 }
    }

    /// The name with this number of a file begun at this time. Sorted, numbers are in their order.
    pub fn name(&self, at: jiff::Timestamp, number: u32) -> PathBuf {
        // It was tried before, with another time.
        let name = self.timed(at).unwrap_or_else(|_| self.name.clone());
        let numbered = match (self.is_numbered, number) {
            (true, _) => with_number(&name, &format!("-{number:06}")),
            (false, 1) => name,
            (false, _) => with_number(&name, &format!("_{number:03}")),
        };
        self.dir.join(numbered)
    }

    fn timed(&self, at: jiff::Timestamp) -> Result<OsString, jiff::Error> {
        match self.name.to_str() {
            Some(name) if self.is_pattern => {
                let at = at.to_zoned(jiff::tz::TimeZone::UTC);
                Ok(strtime::format(name, &at)?.into())
            }
            _ => Ok(self.name.clone()),
        }
    }
}

/// `a/` would be taken for `a`.
fn is_dir(output: &Path) -> bool {
    output.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// The name of a file in the making.
pub fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    name.into()
}

/// Puts a number before the extensions.
fn with_number(name: &OsString, number: &str) -> OsString {
    let text = name.to_string_lossy();
    let lower = text.to_ascii_lowercase();
    let known = [".warc.gz", ".warc.zst", ".warc.zstd"].iter().find(|end| lower.ends_with(**end));
    let extension = match known {
        Some(end) => end.len(),
        None => Path::new(name).extension().map_or(0, |extension| extension.len() + 1),
    };
    let bytes = name.as_encoded_bytes();
    let (stem, extension) = bytes.split_at(bytes.len().saturating_sub(extension));
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec([stem, number.as_bytes(), extension].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_700_000_000).expect("a time")
    }

    #[track_caller]
    fn names(output: &str, several: bool) -> [String; 2] {
        let names = Names::new(Path::new(output), several).expect("a pattern");
        [1, 2].map(|number| names.name(at(), number).to_str().expect("UTF-8").to_owned())
    }

    #[test]
    fn times_are_filled_in_and_numbers_stand_before_the_extensions() {
        let of = |output, several| names(output, several).join(" ");
        assert_eq!(of("d/a.warc", false), "d/a.warc d/a_002.warc");
        assert_eq!(of("d/a.warc.gz", true), "d/a-000001.warc.gz d/a-000002.warc.gz");
        assert_eq!(of("a", true), "a-000001 a-000002");
        assert_eq!(of(".a", true), ".a-000001 .a-000002");
        let timed = "20231114T221320.warc.zst 20231114T221320_002.warc.zst";
        assert_eq!(of("%Y%m%dT%H%M%S.warc.zst", true), timed);
        assert_eq!(of("%d/100%%.warc", false), "%d/100%.warc %d/100%_002.warc");
        let sorted = names("a-%H.warc", true);
        assert!(sorted[0] < sorted[1], "{sorted:?}");
    }

    #[test]
    fn what_is_no_pattern_is_said_with_an_example() {
        for output in ["100%.warc", "%D.warc", "%!"] {
            let error = Names::new(Path::new(output), false).expect_err(output).to_string();
            assert!(error.contains(output) && error.contains("%Y%m%dT%H%M%S"), "{error}");
        }
        for output in ["/", "..", "a/"] {
            assert!(Names::new(Path::new(output), false).is_err(), "{output}");
        }
    }

    #[test]
    fn numbers_go_on_where_they_alone_tell_files_apart() {
        let numbered = Names::new(Path::new("a.warc"), true).expect("a name");
        assert_eq!((numbered.next_number(0), numbered.next_number(7)), (1, 8));
        let timed = Names::new(Path::new("%s.warc"), true).expect("a pattern");
        assert_eq!((timed.next_number(0), timed.next_number(7)), (1, 1));
    }
}
