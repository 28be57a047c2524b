//! `convert`: recordings or capture files in another format.
//!
//! In: files as for `inspect`. Out: one file, and what it could not hold. Guaranteed: messages stream, no more of
//! them is held than a format asks for; an existing file is not overwritten unasked, and never one of
//! those read; what is made is readable by its owner only; a failure leaves no half-made file behind under a new name;
//! every message read is in exactly one bucket.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use flate2::write::GzEncoder;
use serde::Serialize;

use super::files::Files;
use super::inspect::say_passed;
use super::intake::Flow;
use super::live::now;
use super::secrets::Secrets;
use super::source::Source;
use super::supervise::run_name;
use super::{Exit, terminal};
use crate::capture::rights;
use crate::cli::ConvertArgs;
use crate::cli::convert_args::FormatArg;
use crate::model::Cause;
use crate::model::ledger::RecordsRead;
use crate::record::{Exported, Exporter, Format, Prepare, WarcInfo};
use crate::{config, http, reassemble};

/// Bytes gathered before they are written.
const WRITE_AT: usize = 1 << 20;

/// Converts files.
pub fn run(args: &ConvertArgs) -> anyhow::Result<Exit> {
    let (inputs, Some(output)) = args.split() else { bail!("no file to write was given") };
    let format = format_of(args.format, &output)?;
    let files = Files::open(inputs, config::logs(&args.logs)?)?;
    let (names, name) = (files.names().to_owned(), output.display().to_string());
    let http = http::Config {
        max_body: Some(args.max_body),
        read_responses: true,
        emit_responses: true,
        ..http::Config::default()
    };
    let secrets = Secrets::new(&args.secrets)?;
    let watch = config::watch_file(&args.ports);
    let source = Source::new(files, watch, http, reassemble::Limits::default());
    // Before the rights are dropped: afterwards even root may not write everywhere.
    let made = Made::create(&output, inputs, args.overwrite)?;
    rights::drop_all(false)?;
    let info = WarcInfo {
        run: run_name(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        source: names.clone(),
        options: vec![("convert".into(), names.clone()), ("secrets".into(), secrets.name().into())],
        started: now(),
        ..WarcInfo::default()
    };
    let exporter = Exporter::new(kind_of(format), info);
    terminal::say(secrets.notice());
    let sink = made.writer(format)?;
    let result = Conversion::new(exporter, sink, secrets.prepare(), &name).read(source);
    let (result, summary) = match result {
        Ok(done) => done,
        Err(error) => {
            made.remove();
            return Err(error.context(format!("cannot write {name}")));
        }
    };
    let text = summary.text(kind_of(format), &names, &name);
    match (args.json, made.is_stdout()) {
        (true, false) => terminal::put(&serde_json::to_string(&summary)?),
        (true, true) => terminal::say(&serde_json::to_string(&summary)?),
        (false, _) => terminal::say(&text),
    }
    say_passed(&summary.records);
    if !summary.converted.is_balanced() {
        bail!("the counts are wrong: {:?}", summary.converted);
    }
    result.map(|()| Exit::Done)
}

/// By the flag, else by the file's name.
fn format_of(flag: Option<FormatArg>, output: &Path) -> anyhow::Result<FormatArg> {
    if let Some(format) = flag {
        return Ok(format);
    }
    let name = output.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let endings = [
        (".warc", FormatArg::Warc),
        (".gor", FormatArg::Gor),
        (".gor.gz", FormatArg::GorGz),
        (".har", FormatArg::Har),
        (".curl", FormatArg::Curl),
        (".sh", FormatArg::Curl),
    ];
    match endings.iter().find(|(ending, _)| name.ends_with(ending)) {
        Some((_, format)) => Ok(*format),
        None => bail!(
            "{}: which format is to be written? Give a name that ends in .warc, .gor, .gor.gz, .har, .curl or \
             .sh, or say --format",
            output.display()
        ),
    }
}

fn kind_of(format: FormatArg) -> Format {
    match format {
        FormatArg::Warc => Format::Warc,
        FormatArg::Gor | FormatArg::GorGz => Format::Gor,
        FormatArg::Har => Format::Har,
        FormatArg::Curl => Format::Curl,
    }
}

/// The file in the making.
enum Made {
    Stdout,
    File { file: File, path: PathBuf, is_new: bool },
}

impl Made {
    fn create(path: &Path, inputs: &[String], overwrite: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let cannot = || format!("cannot create {}", path.display());
        let known = std::fs::metadata(path).ok();
        if let Some(known) = &known {
            let same = |input: &&String| {
                let id = match input.as_str() {
                    "-" => {
                        rustix::fs::fstat(io::stdin()).ok().map(|stat| (stat.st_dev, stat.st_ino))
                    }
                    _ => std::fs::metadata(input).ok().map(|meta| (meta.dev(), meta.ino())),
                };
                id == Some((known.dev(), known.ino()))
            };
            if let Some(input) = inputs.iter().find(same).filter(|_| known.is_file()) {
                let input = if input == "-" { "standard input" } else { input };
                bail!("{} and {input} are the same file; choose another name", path.display());
            }
        }
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        let file = match overwrite || known.as_ref().is_some_and(|meta| !meta.is_file()) {
            true => options.create(true).truncate(true).open(path),
            false => options.create_new(true).open(path),
        };
        let file = match file {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "{} exists already and is not overwritten; choose another name, or say --overwrite",
                path.display()
            ),
            file => file.with_context(cannot)?,
        };
        // Of a file that was there the mode is still the old one.
        if file.metadata().is_ok_and(|meta| meta.is_file()) {
            file.set_permissions(Permissions::from_mode(0o600)).with_context(cannot)?;
        }
        Ok(Self::File { file, path: path.to_owned(), is_new: known.is_none() })
    }

    fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    fn writer(&self, format: FormatArg) -> anyhow::Result<Sink> {
        let plain: Box<dyn Write> = match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::File { file, .. } => Box::new(file.try_clone()?),
        };
        Ok(match format {
            FormatArg::GorGz => {
                Sink::Gzip(Box::new(GzEncoder::new(plain, flate2::Compression::default())))
            }
            _ => Sink::Plain(plain),
        })
    }

    /// Takes a file away that is of no use to anybody.
    fn remove(&self) {
        if let Self::File { path, is_new: true, .. } = self
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!("{} is not finished and cannot be removed: {error}", path.display());
        }
    }
}

/// Where bytes go.
enum Sink {
    Plain(Box<dyn Write>),
    Gzip(Box<GzEncoder<Box<dyn Write>>>),
}

impl Sink {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.write_all(bytes),
            Self::Gzip(writer) => writer.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut writer) => writer.flush(),
            Self::Gzip(writer) => writer.finish()?.flush(),
        }
    }
}

/// Messages on their way.
struct Conversion {
    exporter: Exporter,
    sink: Sink,
    /// What is done to each message before it is written.
    prepare: Prepare,
    pending: Vec<u8>,
}

/// What was read and what was written.
#[derive(Serialize)]
struct Summary {
    /// Records of the recordings read.
    records: RecordsRead,
    /// Parts of them that could not be read.
    damaged: u64,
    /// The messages in them.
    converted: Exported,
}

impl Conversion {
    fn new(exporter: Exporter, sink: Sink, prepare: Prepare, name: &str) -> Self {
        let mut conversion =
            Self { exporter, sink, prepare, pending: Vec::with_capacity(2 * WRITE_AT) };
        conversion.exporter.begin(&mut conversion.pending, name);
        conversion
    }

    /// Reads to the end. The outer error is one of writing; the inner one is of reading, and what came before it
    /// was written.
    fn read(mut self, source: Source) -> anyhow::Result<(anyhow::Result<()>, Summary)> {
        let (mut records, mut damaged, mut fault) = (RecordsRead::default(), 0, None);
        let result = source.read(|seen, counts| {
            (records, damaged) = (counts.records, counts.damaged);
            for message in seen.messages {
                self.exporter.message(&mut self.pending, &(self.prepare)(message));
                if self.pending.len() >= WRITE_AT {
                    fault = self.write().err();
                }
                if fault.is_some() {
                    return Flow::Enough;
                }
            }
            Flow::More
        });
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        self.exporter.finish(&mut self.pending);
        self.write()?;
        let converted = *self.exporter.counts();
        self.sink.finish()?;
        Ok((result, Summary { records, damaged, converted }))
    }

    fn write(&mut self) -> io::Result<()> {
        let result = self.sink.put(&self.pending);
        self.pending.clear();
        self.pending.shrink_to(4 * WRITE_AT);
        result
    }
}

impl Summary {
    /// For a person: the sum, and each loss by its name.
    fn text(&self, format: Format, from: &str, to: &str) -> String {
        let Exported { read, requests, responses, left_out, lost, .. } = &self.converted;
        let mut text = format!(
            "{from} to {to} ({}): {read} messages read = {requests} requests and {responses} responses written + \
             {} left out",
            format.name(),
            left_out.total()
        );
        for (cause, count) in left_out.iter().filter(|(_, count)| *count > 0) {
            text += &format!("\n  left out, {}: {count}", cause.name());
        }
        for (what, count) in lost.iter().filter(|(_, count)| *count > 0) {
            text += &format!("\n  written without {}: {count}", what.name());
        }
        if self.damaged > 0 {
            text += &format!("\n  parts of the input that could not be read: {}", self.damaged);
        }
        text
    }
}
