//! Names of a recording's files: from what the user wrote, a time, and a number where one is needed.
//!
//! In: the output as given (`traffic-%Y%m%dT%H%M%S.warc.gz`). Out: names to try one after the other; whether one
//! is free is not known here. Only the file's name is a pattern, not its directory. Times are UTC.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::fmt::strtime;
use lru::LruCache;

/// What the name of a file in the making ends with.
pub const PARTIAL: &str = ".partial";

/// Names with times whose numbers are remembered: more than a day has seconds.
const MAX_REMEMBERED: usize = 100_000;

/// See the module's description.
#[derive(Debug)]
pub struct Names {
    dir: PathBuf,
    name: OsString,
    /// Whether the name holds times.
    is_pattern: bool,
    /// Whether each name has a number: several files, and no time to tell them apart.
    is_numbered: bool,
    /// The highest number so far, and that of each name with times, by the name's hash: two that share one
    /// leave out numbers, no more.
    last: u32,
    by_name: LruCache<u64, u32>,
    hasher: ahash::RandomState,
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
        Ok(Self {
            dir,
            name,
            is_pattern: false,
            is_numbered: false,
            last: 0,
            by_name: LruCache::unbounded(),
            hasher: ahash::RandomState::new(),
        })
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

    /// The first number to try for a file begun at this time: behind every one that such a name had in this
    /// run, so that a deleted file's is not used again, and none is tried twice.
    pub fn next_number(&self, at: jiff::Timestamp) -> u32 {
        match (self.is_numbered, self.is_pattern) {
            (true, _) => self.last.saturating_add(1),
            (_, true) => self.by_name.peek(&self.key(at)).map_or(1, |last| last.saturating_add(1)),
            _ => 1,
        }
    }

    /// Notes that a file begun at this time has this number.
    pub fn took(&mut self, at: jiff::Timestamp, number: u32) {
        self.last = self.last.max(number);
        if self.is_pattern {
            let highest = self.next_number(at).saturating_sub(1).max(number);
            self.by_name.put(self.key(at), highest);
            if self.by_name.len() > MAX_REMEMBERED {
                self.by_name.pop_lru();
            }
        }
    }

    fn key(&self, at: jiff::Timestamp) -> u64 {
        self.hasher.hash_one(self.timed(at).unwrap_or_default())
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
    fn numbers_go_on_for_each_name() {
        let mut numbered = Names::new(Path::new("a.warc"), true).expect("a name");
        assert_eq!(numbered.next_number(at()), 1);
        numbered.took(at(), 7);
        assert_eq!(numbered.next_number(at()), 8);
        let mut timed = Names::new(Path::new("%s.warc"), true).expect("a pattern");
        let later = at() + jiff::SignedDuration::from_secs(1);
        timed.took(at(), 7);
        // One that was passed over comes late.
        timed.took(at(), 3);
        assert_eq!((timed.next_number(at()), timed.next_number(later)), (8, 1));
        timed.took(later, 1);
        // The clock was set back.
        assert_eq!((timed.next_number(at()), timed.next_number(later)), (8, 2));
        let mut one = Names::new(Path::new("a.warc"), false).expect("a name");
        one.took(at(), 1);
        assert_eq!(one.next_number(at()), 1, "there is no other");
    }

    #[test]
    fn the_memory_of_numbers_is_bounded() {
        let mut timed = Names::new(Path::new("%s.warc"), true).expect("a pattern");
        let second = |n| at() + jiff::SignedDuration::from_secs(n);
        (0..=100_000).for_each(|n| timed.took(second(n), 5));
        assert_eq!(timed.by_name.len(), 100_000);
        assert_eq!((timed.next_number(second(0)), timed.next_number(second(1))), (1, 6));
    }
}
