//! What a command is started with: flags, environment and config file, put together before anything runs.
//!
//! In: the command line. Out: its arguments and where each came from, or why there are none. The file is read here and
//! nowhere else, at most a MiB of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::secrets::{Key, Redaction};
use super::{rewriting, safety};
use crate::cli::rewrite_args::{RewriteArgs, SafetyArgs};
use crate::cli::secret_args::RedactArgs;
use crate::cli::settings::{
    Failure, Mode, Problem, Request, Resolved, Settings, file_of, resolve, strict,
};
use crate::cli::target_args::TargetArgs;
use crate::cli::{Cli, Command};
use crate::config;
use crate::telemetry::logs;

/// A longer file is none of ours.
const MAX_FILE: u64 = 1 << 20;

/// What a run was started with.
#[derive(Clone, Debug)]
pub struct Started {
    /// Each value, with its source.
    pub settings: Settings,
    /// What it would be put together from again; none without a config file.
    pub origin: Option<Origin>,
}

/// What settings are put together from, besides the environment.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The config file.
    pub file: PathBuf,
    /// The command line.
    pub argv: Vec<OsString>,
}

/// Reads the command line, the environment and the config file that they name.
pub fn from_command_line(argv: Vec<OsString>) -> Result<(Cli, Started), Failure> {
    let Some(file) = file_of(&argv) else {
        let (cli, settings) = strict(&argv).map_err(|error| Failure::Usage(Box::new(error)))?;
        return Ok((cli, Started { settings, origin: None }));
    };
    let origin = Origin { file, argv };
    let (cli, settings) = origin.read()?;
    Ok((cli, Started { settings, origin: Some(origin) }))
}

impl Origin {
    /// Reads the file, and puts all of it together.
    pub fn read(&self) -> Result<(Cli, Settings), Failure> {
        let Resolved { cli, settings, .. } = resolve_file(Mode::Run, &self.argv, Some(&self.file))?;
        match cli {
            Some(cli) => Ok((cli, settings)),
            // Nothing that is required is missing, or clap would have said so.
            None => Err(Failure::File(vec![problem(&self.file, "it does not make a command")])),
        }
    }
}

/// Puts a command line and a file together.
pub fn resolve_file(
    mode: Mode,
    argv: &[OsString],
    file: Option<&Path>,
) -> Result<Resolved, Failure> {
    let text = file.map(read).transpose().map_err(|problem| Failure::File(vec![problem]))?;
    let name = file.map(|file| file.display().to_string()).unwrap_or_default();
    let file = text.as_ref().map(|text| (name.as_str(), text.as_str()));
    resolve(&Request { mode, argv, file, validate: &validate })
}

/// The text of a config file.
pub fn read(path: &Path) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(problem(path, &format!("cannot be read ({error})")));
    }
    if bytes.len() as u64 > MAX_FILE {
        return Err(problem(path, "more than 1 MiB; a config file holds flags and nothing else"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        Problem { line: Some(line), ..problem(path, "not UTF-8, which TOML is") }
    })
}

fn problem(path: &Path, what: &str) -> Problem {
    let (file, what) = (path.display().to_string(), what.to_owned());
    Problem { file, line: None, column: None, key: None, what }
}

/// All of them as one message.
pub fn one_error(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    anyhow::anyhow!(lines.join("\n"))
}

/// Whether arguments mean something that can be done, as far as can be told without doing it.
pub fn validate(cli: &Cli) -> Result<(), String> {
    meaning(cli).map_err(|error| format!("{error:#}"))
}

fn meaning(cli: &Cli) -> anyhow::Result<()> {
    logs::check(&cli.log)?;
    match &cli.command {
        Command::Mirror(args) => {
            config::admission(&args.target, &args.matching, &args.sample)?;
            sending(&args.target, &args.rewrite, &args.safety)?;
            config::carry(&args.carry)?;
            redacting(&args.redact, args.recording.secrets.redact_key.as_ref())?;
            config::watch_live(&args.capture)?;
            config::reassembly(&args.limits)?;
        }
        Command::Record(args) => {
            redacting(&args.redact, args.recording.secrets.redact_key.as_ref())?;
            config::watch_live(&args.capture)?;
            config::reassembly(&args.limits)?;
        }
        Command::Replay(args) => {
            super::replay::admission(args)?;
            sending(&args.target, &args.rewrite, &args.safety)?;
            config::carry(&args.carry)?;
            redacting(&args.redact, args.key.redact_key.as_ref())?;
            config::logs(&args.logs)?;
            config::reassembly(&args.limits)?;
            super::replay::pace(args)?;
        }
        Command::Inspect(args) => {
            config::logs(&args.logs)?;
            config::filter(&args.filter)?;
            redacting(&args.redact, args.key.redact_key.as_ref())?;
        }
        Command::Convert(args) => {
            config::logs(&args.logs)?;
            redacting(&args.redact, args.secrets.redact_key.as_ref())?;
        }
        Command::Config(_) | Command::FromGoreplay(_) | Command::Doctor(_) | Command::Demo(_) => {}
    }
    Ok(())
}

/// Where copies go, and what is changed in them.
fn sending(target: &TargetArgs, rewrite: &RewriteArgs, limits: &SafetyArgs) -> anyhow::Result<()> {
    let replays = config::replays(target, "check")?;
    let targets: Vec<_> = replays.into_iter().map(|replay| replay.target).collect();
    safety::allowed(&targets, &limits.allow_target)?;
    rewriting::check(rewrite, limits)
}

fn redacting(args: &RedactArgs, key: Option<&String>) -> anyhow::Result<()> {
    Redaction::check(args)?;
    Key::check(key)
}
