//! `convert`: recordings or capture files in another format.
//!
//! In: files as for `inspect`. Out: one file, and what it could not hold. Guaranteed: messages stream, no more of
//! them is held than a format asks for; the file is made whole or not at all (`made`), and readable by its owner
//! only; every message read is in exactly one bucket.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use flate2::write::GzEncoder;
use serde::Serialize;

use super::files::Files;
use super::inspect::say_passed;
use super::intake::Flow;
use super::live::now;
use super::made::Made;
use super::secrets::{Key, Redaction, Secrets};
use super::source::Source;
use super::supervise::run_name;
use super::{Exit, terminal};
use crate::capture::rights;
use crate::cli::ConvertArgs;
use crate::cli::convert_args::FormatArg;
use crate::model::Cause;
use crate::model::ledger::RecordsRead;
use crate::record::pack::Packer;
use crate::record::{Compression, Exported, Exporter, Format, Prepare, WarcInfo};
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
    let key = Key::new(args.secrets.redact_key.as_ref())?;
    let secrets = Secrets::new(&args.secrets, &key, &Redaction::new(&args.redact)?)?;
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
    let cannot = || format!("cannot write {name}");
    let sink = Sink::new(made.writer()?, format);
    let conversion = Conversion::new(exporter, sink, packer_of(format)?, secrets.prepare());
    let (result, summary) = conversion.read(source, &name).with_context(cannot)?;
    let is_stdout = made.is_stdout();
    let got = made.finish().with_context(cannot)?;
    let got = got.map_or_else(|| name.clone(), |path| path.display().to_string());
    if got != name && !args.overwrite {
        terminal::say(&format!("somebody else made {name} meanwhile; the file is {got}"));
    }
    let text = summary.text(kind_of(format), &names, &got);
    match (args.json, is_stdout) {
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
    match ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)) {
        Some((_, format)) => Ok(*format),
        None => bail!(
            "{}: which format is to be written? Give a name that ends in one of {}, or say --format",
            output.display(),
            ENDINGS.map(|(ending, _)| ending).join(" ")
        ),
    }
}

/// Names and what they promise.
const ENDINGS: [(&str, FormatArg); 11] = [
    (".warc", FormatArg::Warc),
    (".warc.gz", FormatArg::WarcGz),
    (".warc.zst", FormatArg::WarcZst),
    (".gor", FormatArg::Gor),
    (".gor.gz", FormatArg::GorGz),
    (".har", FormatArg::Har),
    (".curl", FormatArg::Curl),
    (".sh", FormatArg::Curl),
    (".k6.js", FormatArg::K6),
    (".js", FormatArg::K6),
    (".vegeta", FormatArg::Vegeta),
];

/// Records of a recording are compressed one by one.
fn packer_of(format: FormatArg) -> io::Result<Packer> {
    Packer::new(match format {
        FormatArg::WarcGz => Compression::Gzip,
        FormatArg::WarcZst => Compression::Zstd,
        _ => Compression::Plain,
    })
}

fn kind_of(format: FormatArg) -> Format {
    match format {
        FormatArg::Warc | FormatArg::WarcGz | FormatArg::WarcZst => Format::Warc,
        FormatArg::Gor | FormatArg::GorGz => Format::Gor,
        FormatArg::Har => Format::Har,
        FormatArg::Curl => Format::Curl,
        FormatArg::K6 => Format::K6,
        FormatArg::Vegeta => Format::Vegeta,
    }
}

/// Where bytes go.
enum Sink {
    Plain(Box<dyn Write>),
    Gzip(Box<GzEncoder<Box<dyn Write>>>),
}

impl Sink {
    fn new(file: Box<dyn Write>, format: FormatArg) -> Self {
        match format {
            FormatArg::GorGz => {
                Self::Gzip(Box::new(GzEncoder::new(file, flate2::Compression::default())))
            }
            _ => Self::Plain(file),
        }
    }

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
    packer: Packer,
    /// What the exporter made of one message.
    part: Vec<u8>,
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
    fn new(exporter: Exporter, sink: Sink, packer: Packer, prepare: Prepare) -> Self {
        let pending = Vec::with_capacity(2 * WRITE_AT);
        Self { exporter, sink, prepare, packer, part: Vec::new(), pending }
    }

    /// Reads to the end; `name` is that of the file. The outer error is one of writing; the inner one is of reading, and
    /// what came before it was written.
    fn read(mut self, source: Source, name: &str) -> anyhow::Result<(anyhow::Result<()>, Summary)> {
        self.exporter.begin(&mut self.part, name);
        self.pack()?;
        let (mut records, mut damaged, mut fault) = (RecordsRead::default(), 0, None);
        let result = source.read(|seen, counts| {
            (records, damaged) = (counts.records, counts.damaged);
            for message in seen.messages {
                self.exporter.message(&mut self.part, &(self.prepare)(message));
                fault = self.pack().err();
                if fault.is_some() {
                    return Flow::Enough;
                }
            }
            Flow::More
        });
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        self.exporter.finish(&mut self.part);
        self.pack()?;
        self.write()?;
        let converted = *self.exporter.counts();
        self.sink.finish()?;
        Ok((result, Summary { records, damaged, converted }))
    }

    /// Takes over what the exporter made.
    fn pack(&mut self) -> io::Result<()> {
        if !self.part.is_empty() {
            self.packer.pack(&self.part, &mut self.pending)?;
            self.part.clear();
            self.part.shrink_to(4 * WRITE_AT);
        }
        if self.pending.len() >= WRITE_AT { self.write() } else { Ok(()) }
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
