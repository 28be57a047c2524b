//! The files that a command reads, in the order in which they were given.
//!
//! In: paths, `-` for standard input. Out: one opened file after the other, told apart by their
//! content. Guaranteed: every file was opened and its first bytes looked at before anything is read
//! (rights are dropped in between, and a wrong name is said at once); only one is held in memory,
//! beside pipes, which cannot be opened twice. Captures and recordings are not mixed: a connection
//! may go on from one capture into the next, and a recording has none left to go on. Nor are recordings that
//! have connections (WARC) and those that have none (.gor).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek};

use anyhow::{Context, bail};

use super::follow::{Following, Stop};
use super::shared::Reading;
use crate::capture::file::{CaptureFile, FileError, Input, Kind};
use crate::record::access_log::LogOptions;

/// A file, ready to be read.
pub enum Opened {
    /// Frames.
    Capture(Box<CaptureFile>),
    /// Messages.
    Recording(Box<Input>),
}

/// What files have in common that are read as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// pcap and pcapng.
    Captures,
    /// WARC.
    Recordings,
    /// .gor.
    Gor,
    /// HAR.
    Har,
    /// Access logs.
    Log,
}

impl Family {
    /// Whether requests of one connection are known to be that.
    pub fn has_connections(self) -> bool {
        matches!(self, Self::Captures | Self::Recordings | Self::Har)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Captures => "a capture",
            Self::Recordings => "a recording",
            Self::Gor => "a .gor recording",
            Self::Har => "a HAR document",
            Self::Log => "an access log",
        })
    }
}

impl Opened {
    /// By its content, unless somebody said that it is an access log.
    fn new(input: Input, logs: &LogOptions) -> Result<Self, FileError> {
        let is_log = logs.format.is_some() && input.kind() != Kind::Empty;
        let input = if is_log { input.taken_for(Kind::AccessLog) } else { input };
        match input.kind() {
            Kind::Warc | Kind::Gor | Kind::Har | Kind::AccessLog => {
                Ok(Self::Recording(Box::new(input)))
            }
            _ => Ok(Self::Capture(Box::new(CaptureFile::new(input)?))),
        }
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        match self {
            Self::Capture(file) => file.name(),
            Self::Recording(input) => input.name(),
        }
    }

    fn family(&self) -> Family {
        match self {
            Self::Capture(_) => Family::Captures,
            Self::Recording(input) => match input.kind() {
                Kind::Gor => Family::Gor,
                Kind::Har => Family::Har,
                Kind::AccessLog => Family::Log,
                _ => Family::Recordings,
            },
        }
    }
}

/// A file whose turn has not come.
enum Waiting {
    /// The first one, and what can be read only once.
    Ready(Opened),
    /// A regular file, at its start again: costs a descriptor, and no memory.
    Later(String, File),
}

/// See the module's description.
pub struct Files {
    waiting: VecDeque<Waiting>,
    names: String,
    family: Family,
    logs: LogOptions,
    reading: Reading,
    /// Whether the last one is read on as it grows.
    is_followed: bool,
}

/// A regular file of which it is counted how far it was read.
struct Counted(File, Reading);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(buffer)?;
        self.1.add_read(len as u64);
        Ok(len)
    }
}

impl Files {
    /// Opens them all. With a format in `logs` all of them are access logs.
    pub fn open(paths: &[String], logs: LogOptions) -> anyhow::Result<Self> {
        let files = Self::counted(paths, logs, Reading::default())?;
        let size = |path: &String| match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() && path != "-" => Some(meta.len()),
            _ => None,
        };
        // With a pipe among them nobody knows how much there is.
        let sizes: Option<u64> = paths.iter().map(size).sum();
        files.reading.add_size(sizes.unwrap_or(0));
        Ok(files)
    }

    /// Opens them all; the last one is read on as it grows, until it is finished or somebody says stop. Waits for the
    /// first bytes of that one.
    pub fn open_following(paths: &[String], logs: LogOptions, stop: Stop) -> anyhow::Result<Self> {
        let Some((last, before)) = paths.split_last() else { bail!("no file was given") };
        if last == "-" {
            bail!("--follow needs a file; standard input is read as it comes anyway");
        }
        let follow =
            Following::open(last, stop).with_context(|| format!("cannot follow {last}"))?;
        let input = Input::from_reader(last, follow)?;
        let mut files = match before {
            [] => Self::with(input, logs, Reading::default())?,
            _ => {
                let mut files = Self::counted(before, logs, Reading::default())?;
                let opened = Opened::new(input, &files.logs)?;
                files.check(last, opened.family())?;
                files.waiting.push_back(Waiting::Ready(opened));
                files.names = format!("{} and {last}", files.names);
                files
            }
        };
        files.is_followed = true;
        Ok(files)
    }

    /// Opens them once more, to be read behind these.
    pub fn open_again(&self, paths: &[String]) -> anyhow::Result<Self> {
        Self::counted(paths, self.logs.clone(), self.reading.clone())
    }

    fn counted(paths: &[String], logs: LogOptions, reading: Reading) -> anyhow::Result<Self> {
        let Some((first, rest)) = paths.split_first() else { bail!("no file was given") };
        if paths.iter().filter(|path| *path == "-").count() > 1 {
            bail!("`-` was given twice, but standard input can be read only once");
        }
        let mut files = Self::with(open_counted(first, &reading)?, logs, reading)?;
        for path in rest {
            files.push(path)?;
        }
        match rest {
            [] => {}
            [second] => files.names = format!("{} and {second}", files.names),
            _ => files.names = format!("{} and {} more files", files.names, rest.len()),
        }
        Ok(files)
    }

    /// A single one that is open already.
    pub fn one(input: Input) -> Result<Self, FileError> {
        Self::with(input, LogOptions::default(), Reading::default())
    }

    fn with(input: Input, logs: LogOptions, reading: Reading) -> Result<Self, FileError> {
        let first = Opened::new(input, &logs)?;
        let (names, family) = (first.name().to_owned(), first.family());
        let waiting = VecDeque::from([Waiting::Ready(first)]);
        Ok(Self { waiting, names, family, logs, reading, is_followed: false })
    }

    fn push(&mut self, path: &str) -> anyhow::Result<()> {
        let regular = std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && path != "-");
        let opened = match regular {
            true => None,
            false => Some(Opened::new(Input::open(path)?, &self.logs)?),
        };
        let (waiting, family) = match opened {
            Some(opened) => {
                let family = opened.family();
                (Waiting::Ready(opened), family)
            }
            None => look_at(path, &self.logs)?,
        };
        self.check(path, family)?;
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// All must be of one kind.
    fn check(&self, path: &str, family: Family) -> anyhow::Result<()> {
        if family != self.family {
            let (names, first) = (&self.names, self.family);
            bail!("{path} is {family}, {names} is {first}; give files of one kind in one call");
        }
        Ok(())
    }

    /// The next one; nothing behind the last. An error is about that file only.
    pub fn next_file(&mut self) -> Option<Result<Opened, FileError>> {
        let waiting = self.waiting.pop_front()?;
        Some(match waiting {
            Waiting::Ready(opened) => Ok(opened),
            Waiting::Later(name, file) => {
                let file = Counted(file, self.reading.clone());
                Input::from_reader(&name, file).and_then(|input| Opened::new(input, &self.logs))
            }
        })
    }

    /// How far they have been read.
    pub fn reading(&self) -> Reading {
        self.reading.clone()
    }

    /// Whether the last of them is followed.
    pub fn is_followed(&self) -> bool {
        self.is_followed
    }

    /// How many are still to come.
    pub fn left(&self) -> usize {
        self.waiting.len()
    }

    /// What they are.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How access logs are to be read.
    pub fn logs(&self) -> &LogOptions {
        &self.logs
    }

    /// All of them in a few words, for messages.
    pub fn names(&self) -> &str {
        &self.names
    }
}

/// Opens a file; of a regular one it is counted how far it is read.
fn open_counted(path: &str, reading: &Reading) -> Result<Input, FileError> {
    let is_regular = path != "-" && std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    match File::open(path) {
        Ok(file) if is_regular => Input::from_reader(path, Counted(file, reading.clone())),
        _ => Input::open(path),
    }
}

/// Opens a regular file and looks at its first bytes; it is read from the start when its turn comes.
fn look_at(path: &str, logs: &LogOptions) -> anyhow::Result<(Waiting, Family)> {
    let cannot = || format!("cannot open {path}");
    let mut file = File::open(path).with_context(cannot)?;
    let input = Input::from_reader(path, file.try_clone().with_context(cannot)?)?;
    let opened = Opened::new(input, logs)?;
    // The two share one position in the file.
    file.rewind().with_context(cannot)?;
    Ok((Waiting::Later(path.to_owned(), file), opened.family()))
}
