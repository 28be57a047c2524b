//! From command line, environment and config file to the arguments that the command runs with.
//!
//! Twice parsed: first what was typed, with nothing required, to know what the file may add; then all of it by clap's
//! own definition, so that value parsers, conflicts and requirements are the flags' own. What then is wrong is
//! traced to keys of the file where it is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::blame::{self, Outcome};
use super::document::{self, Entry, Words};
use super::effective::Settings;
use super::keys;
use super::merge::{Merged, merge, takes_bool};
use super::problem::{Failure, Problem, one_line};
use crate::cli::Cli;

/// So many problems of one file are said at most: it is none of ours then, and each takes its time.
const MAX_PROBLEMS: usize = 100;

/// What for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// To run: what is required must be there.
    Run,
    /// To show: nothing is required.
    Show,
    /// To check the file alone: nothing is required, and the environment has no say.
    Check,
}

/// What is to be put together.
pub struct Request<'a> {
    /// What for.
    pub mode: Mode,
    /// The command line, with the program's name.
    pub argv: &'a [OsString],
    /// The file's name, as the user gave it, and its text.
    pub file: Option<(&'a str, &'a str)>,
    /// Whether the arguments make sense beyond what each alone may be.
    pub validate: &'a dyn Fn(&Cli) -> Result<(), String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Resolved {
    /// The arguments; none where something required is missing and that was allowed.
    pub cli: Option<Cli>,
    /// The same, each with its source.
    pub settings: Settings,
    /// Keys that are required and that nobody gave.
    pub missing: Vec<String>,
}

/// The definition of the command line as it is for this.
pub fn definition(mode: Mode) -> Command {
    definition_for(mode, None)
}

/// The same for what was typed. Its help shows nothing that the environment holds.
fn definition_for(mode: Mode, typed: Option<&ArgMatches>) -> Command {
    let mut cli = Cli::command();
    if mode == Mode::Check {
        cli = cli.mut_args(|arg| arg.env(Resettable::Reset));
    }
    if mode != Mode::Run {
        cli = cli.mut_subcommands(|command| command.mut_args(|arg| lenient(arg, mode)));
    }
    let typed = typed.and_then(ArgMatches::subcommand);
    cli = cli.mut_subcommands(|command| {
        let own = typed.filter(|(name, _)| *name == command.get_name()).map(|(_, own)| own);
        command.mut_args(|arg| one_a_line(arg, own))
    });
    cli = hidden(cli);
    cli.build();
    cli
}

/// In the environment several rules are parted by line breaks. Anywhere else one is one, whatever it holds.
fn one_a_line(arg: clap::Arg, typed: Option<&ArgMatches>) -> clap::Arg {
    let source = |typed: &ArgMatches| typed.value_source(arg.get_id().as_str());
    let is_from_environment = typed.and_then(source) == Some(ValueSource::EnvVariable);
    match arg.get_value_delimiter() {
        Some('\n') if !is_from_environment => arg.value_delimiter(Resettable::Reset),
        _ => arg,
    }
}

fn hidden(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(hidden)
}

fn lenient(arg: clap::Arg, mode: Mode) -> clap::Arg {
    let is_needed = arg.is_required_set() && keys::shape(&arg) == keys::Shape::One;
    let arg = arg.required(false);
    match mode {
        // Without it there would be no arguments to look at: anything will do.
        Mode::Check if is_needed => arg.env(Resettable::Reset).default_value("-"),
        Mode::Check => arg.env(Resettable::Reset),
        Mode::Run | Mode::Show => arg,
    }
}

/// What was typed, with the environment: nothing is required, and everything goes with everything.
fn given(argv: &[OsString], mode: Mode) -> Result<ArgMatches, clap::Error> {
    let mode = if mode == Mode::Run { Mode::Show } else { mode };
    let alone = |arg: clap::Arg| {
        let arg = one_a_line(lenient(arg, mode), None);
        arg.conflicts_with(Resettable::Reset).requires(Resettable::Reset)
    };
    let mut cli = Cli::command();
    if mode == Mode::Check {
        cli = cli.mut_args(|arg| arg.env(Resettable::Reset));
    }
    cli.mut_subcommands(|command| command.mut_args(alone)).try_get_matches_from(argv)
}

/// The config file that a command line or the environment names.
pub fn file_of(argv: &[OsString]) -> Option<PathBuf> {
    // What is wrong with it is said where it is parsed in earnest.
    let matches = given(argv, Mode::Show).ok()?;
    let (_, command) = matches.subcommand()?;
    command.try_get_one::<PathBuf>("config").ok().flatten().cloned()
}

/// Parses a command line without a file.
pub fn strict(argv: &[OsString]) -> Result<(Cli, Settings), clap::Error> {
    // What is wrong with it is said below.
    let typed = given(argv, Mode::Run).ok();
    let mut cli = definition_for(Mode::Run, typed.as_ref());
    let matches = cli.try_get_matches_from_mut(argv)?;
    let settings = settings_of(&cli, &matches, None, &BTreeMap::new());
    Ok((Cli::from_arg_matches(&matches)?, settings))
}

/// Parses a command line that is none of this process: the environment has no say. Says in one line what is wrong.
pub fn alone(argv: &[String]) -> Result<Cli, String> {
    let matches = definition(Mode::Check).try_get_matches_from(argv);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    cli.map_err(|error| one_line(&error))
}

fn settings_of(
    cli: &Command,
    matches: &ArgMatches,
    file: Option<&str>,
    lines: &BTreeMap<String, usize>,
) -> Settings {
    let nothing =
        Settings { command: String::new(), file: None, settings: vec![], left_out: vec![] };
    let Some((name, matches)) = matches.subcommand() else { return nothing };
    let plain = Cli::command();
    let plain = plain.find_subcommand(name);
    let is_hidden = |arg: &clap::Arg| {
        let arg =
            plain.and_then(|plain| plain.get_arguments().find(|a| a.get_id() == arg.get_id()));
        arg.is_some_and(clap::Arg::is_hide_env_values_set)
    };
    match cli.find_subcommand(name) {
        Some(command) => Settings::of(command, is_hidden, matches, file, lines),
        None => nothing,
    }
}

/// Puts flags, environment and file together for one command.
pub fn resolve(request: &Request<'_>) -> Result<Resolved, Failure> {
    let usage = |error| Failure::Usage(Box::new(error));
    let typed = given(request.argv, request.mode).map_err(usage)?;
    let (file, text) = request.file.unwrap_or_default();
    let entries = check_all(file, text).map_err(Failure::File)?;
    let mut attempt = Attempt::new(request, &typed);
    let mut problems = Vec::new();
    let mut entries: Vec<&Entry> = entries.iter().filter(|entry| attempt.is_for(entry)).collect();
    loop {
        let (merged, outcome) = attempt.run(&entries);
        let Some(wrong) = outcome.wrong() else {
            if !problems.is_empty() {
                return Err(Failure::File(problems));
            }
            return attempt.done(merged, outcome).map_err(usage);
        };
        let blamed = blame::blame(&entries, &merged, &wrong, |rest| attempt.run(rest).1);
        if blamed.is_empty() {
            return match (problems.is_empty(), outcome) {
                (false, _) => Err(Failure::File(problems)),
                (true, Outcome::Unusable(error)) => Err(usage(error)),
                // It is not the file's: whoever runs the command says so in its own words.
                (true, outcome) => attempt.done(merged, outcome).map_err(usage),
            };
        }
        problems.extend(
            blamed.iter().map(|entry| problem(file, entry, wrong.without_flag(&entry.key))),
        );
        entries.retain(|entry| !blamed.iter().any(|blamed| std::ptr::eq(*blamed, *entry)));
    }
}

fn problem(file: &str, entry: &Entry, what: String) -> Problem {
    let (line, key) = (Some(entry.line), Some(entry.key.clone()));
    Problem { file: file.to_owned(), line, column: None, key, what }
}

/// One try with some of the entries.
struct Attempt<'a> {
    request: &'a Request<'a>,
    typed: &'a ArgMatches,
    cli: Command,
    name: &'a str,
}

impl<'a> Attempt<'a> {
    fn new(request: &'a Request<'a>, typed: &'a ArgMatches) -> Self {
        let name = typed.subcommand_name().unwrap_or_default();
        Self { request, typed, cli: definition_for(request.mode, Some(typed)), name }
    }

    /// Whether the entry is meant for this command.
    fn is_for(&self, entry: &Entry) -> bool {
        entry.table.as_ref().is_none_or(|table| table == self.name)
    }

    fn run(&mut self, entries: &[&Entry]) -> (Merged, Outcome) {
        let empty = ArgMatches::default();
        let typed = self.typed.subcommand_matches(self.name).unwrap_or(&empty);
        let merged = match self.cli.find_subcommand(self.name) {
            Some(command) => merge(command, typed, entries),
            None => merge(&Command::default(), typed, entries),
        };
        let matches = match self.cli.try_get_matches_from_mut(&merged.argv) {
            Ok(matches) => matches,
            Err(error) => return (merged, Outcome::Unusable(error)),
        };
        let cli = match Cli::from_arg_matches(&matches) {
            Ok(cli) => Some(cli),
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => None,
            Err(error) => return (merged, Outcome::Unusable(error)),
        };
        let verdict = cli.as_ref().map_or(Ok(()), |cli| (self.request.validate)(cli));
        (merged, Outcome::Parsed(Box::new((matches, cli)), verdict))
    }

    fn done(&self, merged: Merged, outcome: Outcome) -> Result<Resolved, clap::Error> {
        let (matches, cli) = match outcome {
            Outcome::Parsed(parsed, _) => *parsed,
            Outcome::Unusable(error) => return Err(error),
        };
        let file = self.request.file.map(|(name, _)| name);
        let mut settings = settings_of(&self.cli, &matches, file, &merged.lines);
        settings.left_out = merged.left_out;
        let strict = definition(Mode::Run);
        let missing = strict.find_subcommand(self.name).zip(matches.subcommand_matches(self.name));
        let missing = missing.map_or_else(Vec::new, |(command, m)| keys::missing(command, m));
        Ok(Resolved { cli, settings, missing })
    }
}

/// Checks each key of the file by itself, for every command: whether it is known, and whether its value may be.
pub fn check_all(file: &str, text: &str) -> Result<Vec<Entry>, Vec<Problem>> {
    let mut cli = definition(Mode::Check);
    let names: BTreeSet<String> =
        keys::configurable(&cli).map(|command| command.get_name().to_owned()).collect();
    let entries = document::read(file, text, &names.iter().map(String::as_str).collect())?;
    let mut problems = Vec::new();
    for entry in &entries {
        if let Err(what) = check(&mut cli, &names, entry) {
            problems.push(problem(file, entry, what));
        }
        if problems.len() == MAX_PROBLEMS {
            break;
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

fn check(cli: &mut Command, names: &BTreeSet<String>, entry: &Entry) -> Result<(), String> {
    let meant: Vec<&String> = names
        .iter()
        .filter(|name| entry.table.as_ref().is_none_or(|table| table == *name))
        .collect();
    let mut tries = Vec::new();
    for name in meant {
        let Some(command) = cli.find_subcommand(name) else { continue };
        let Some(arg) = keys::find(command, &entry.key) else { continue };
        let words = entry.given.words(keys::shape(arg), takes_bool(arg))?;
        let flag = arg.get_long().map(|long| format!("--{long}"));
        let mut argv = vec!["shadowtap".to_owned(), name.clone()];
        match (words, flag) {
            (Words::Values(values), Some(flag)) => {
                argv.extend(values.iter().map(|value| format!("{flag}={value}")));
            }
            // As many as the command takes is seen when all is put together.
            (Words::Values(_), None) | (Words::Switch(_) | Words::Count(_), _) => continue,
        }
        tries.push(argv);
    }
    if !names.iter().any(|name| is_known(cli, name, entry)) {
        return Err(unknown(cli, names, entry));
    }
    for argv in tries {
        match cli.try_get_matches_from_mut(argv) {
            // Alone it may lack what it needs.
            Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
                return Err(without_flag(&one_line(&error), &entry.key));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_known(cli: &Command, name: &str, entry: &Entry) -> bool {
    entry.table.as_ref().is_none_or(|table| table == name)
        && cli.find_subcommand(name).is_some_and(|c| keys::find(c, &entry.key).is_some())
}

/// What to say of a key that there is not.
fn unknown(cli: &Command, names: &BTreeSet<String>, entry: &Entry) -> String {
    let of = |name: &String| cli.find_subcommand(name).into_iter().flat_map(keys::keys);
    let Some(table) = &entry.table else {
        let tables = names.iter().map(String::as_str);
        let near = match entry.given {
            document::Given::Table => keys::nearest(&entry.key, tables),
            _ => keys::nearest(&entry.key, names.iter().flat_map(of)),
        };
        let is_table = entry.given == document::Given::Table;
        let what = if is_table { "no command of this name has settings" } else { "unknown key" };
        return with_hint(what, near);
    };
    let others: Vec<_> =
        names.iter().filter(|name| of(name).any(|key| key == entry.key)).cloned().collect();
    match others.as_slice() {
        [] => with_hint("unknown key", keys::nearest(&entry.key, of(table))),
        others => format!("`{table}` has no such key; {} has", others.join(", ")),
    }
}

fn with_hint(what: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("{what}; did you mean `{near}`?"),
        None => format!("{what}; the keys are the long flags of `shadowtap COMMAND --help`"),
    }
}

/// The message without the flag, where the key says the same.
pub fn without_flag(text: &str, key: &str) -> String {
    let flag = format!("--{key}");
    if let Some(rest) = text.strip_prefix(&flag) {
        return rest.trim_start_matches(':').trim_start().to_owned();
    }
    let quoted = format!(" for '{flag}");
    match text
        .split_once(&quoted)
        .and_then(|(before, rest)| Some((before, rest.split_once('\'')?.1)))
    {
        Some((before, rest)) => format!("{before}{rest}"),
        None => text.to_owned(),
    }
}
