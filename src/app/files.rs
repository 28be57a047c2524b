//! The files that a command reads, in the order in which they were given.
//!
//! In: paths, `-` for standard input. Out: files to be opened one after the other, or by their time, told apart by their
//! content. Guaranteed: every file was opened and its first bytes looked at before anything is read
//! (rights are dropped in between, and a wrong name is said at once); one that waits costs a descriptor and no memory,
//! but for pipes, which cannot be opened twice. Captures and recordings are not mixed: a connection
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

/// Frames or messages that are read at once from files that are whole.
const BATCH: usize = 256;

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
    /// Why it is not known to which port a message was, where the format has no place for that.
    pub fn tells_no_ports(self) -> Option<&'static str> {
        match self {
            Self::Captures | Self::Recordings | Self::Har => None,
            Self::Gor => Some("a .gor recording"),
            Self::Log => Some("an access log"),
        }
    }

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

    /// It is another kind of file than it was when all were looked at.
    pub fn has_changed(&self) -> anyhow::Error {
        anyhow::anyhow!("{} has changed while it waited", self.name())
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
pub enum Waiting {
    /// What can be read only once, or is open already.
    Ready(Opened),
    /// A regular file: costs a descriptor, and no memory.
    Later(String, File),
}

impl Waiting {
    /// The name for messages.
    pub fn name(&self) -> &str {
        match self {
            Self::Ready(opened) => opened.name(),
            Self::Later(name, _) => name,
        }
    }
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
            [] => Self::one_as(input, logs)?,
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
        let (waiting, family) = look_at(first, &logs)?;
        let mut files = Self::with(waiting, family, logs, reading);
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
        Self::one_as(input, LogOptions::default())
    }

    fn one_as(input: Input, logs: LogOptions) -> Result<Self, FileError> {
        let opened = Opened::new(input, &logs)?;
        let family = opened.family();
        Ok(Self::with(Waiting::Ready(opened), family, logs, Reading::default()))
    }

    fn with(first: Waiting, family: Family, logs: LogOptions, reading: Reading) -> Self {
        let names = first.name().to_owned();
        let waiting = VecDeque::from([first]);
        Self { waiting, names, family, logs, reading, is_followed: false }
    }

    fn push(&mut self, path: &str) -> anyhow::Result<()> {
        let (waiting, family) = look_at(path, &self.logs)?;
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

    /// Those to be read as one: all, but one that is followed comes behind the others. None behind the last.
    pub fn next_group(&mut self) -> Vec<Waiting> {
        let behind = usize::from(self.is_followed && self.waiting.len() > 1);
        self.waiting.drain(..self.waiting.len() - behind).collect()
    }

    /// The next one; nothing behind the last.
    pub fn next_file(&mut self) -> Option<Waiting> {
        self.waiting.pop_front()
    }

    /// Its turn has come: it is read from its start.
    pub fn open_waiting(&self, waiting: Waiting) -> Result<Opened, FileError> {
        match waiting {
            Waiting::Ready(opened) => Ok(opened),
            Waiting::Later(name, file) => {
                let file = Counted(rewound(&name, file)?, self.reading.clone());
                Opened::new(Input::from_reader(&name, file)?, &self.logs)
            }
        }
    }

    /// The same file for a look at what it begins with; `None` where looking would take it away. It must be dropped
    /// before the file's turn comes.
    pub fn look_at(&self, waiting: &Waiting) -> Result<Option<Opened>, FileError> {
        let Waiting::Later(name, file) = waiting else { return Ok(None) };
        let again = file.try_clone().map_err(|error| cannot_open(name, error))?;
        let input = Input::from_reader(name, rewound(name, again)?)?;
        Opened::new(input, &self.logs).map(Some)
    }

    /// How much of these to read before what it completed is handed on, in frames or messages. A pipe may be live
    /// traffic, and so may one that is followed: of those the next may be long in coming.
    pub fn batch_of(&self, group: &[Waiting]) -> usize {
        let is_live = self.is_followed && self.waiting.is_empty();
        let is_whole =
            |waiting: &Waiting| std::fs::metadata(waiting.name()).is_ok_and(|meta| meta.is_file());
        if !is_live && group.iter().all(is_whole) { BATCH } else { 1 }
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

/// Opens a file and looks at its first bytes; a regular one is read from the start when its turn comes.
fn look_at(path: &str, logs: &LogOptions) -> anyhow::Result<(Waiting, Family)> {
    let is_regular = path != "-" && std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    if !is_regular {
        let opened = Opened::new(Input::open(path)?, logs)?;
        let family = opened.family();
        return Ok((Waiting::Ready(opened), family));
    }
    let file = File::open(path).map_err(|error| cannot_open(path, error))?;
    let again = file.try_clone().map_err(|error| cannot_open(path, error))?;
    let opened = Opened::new(Input::from_reader(path, again)?, logs)?;
    Ok((Waiting::Later(path.to_owned(), file), opened.family()))
}

/// At its start: all that is opened of one file shares a place in it.
fn rewound(name: &str, mut file: File) -> Result<File, FileError> {
    file.rewind().map_err(|error| cannot_open(name, error))?;
    Ok(file)
}

fn cannot_open(name: &str, source: io::Error) -> FileError {
    FileError::Open { name: name.to_owned(), source }
}
