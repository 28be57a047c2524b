//! `config`: checks a config file, shows what is in force.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::bail;

use super::settings::{one_error, read, resolve_file};
use super::settings_report::{object, table};
use super::{Exit, state_file, terminal};
use crate::cli::config_args::{CheckArgs, ConfigArgs, ConfigCommand, ShowArgs};
use crate::cli::settings::{
    Failure, Mode, Problem, check_all, configurable, definition, file_of, keys_of,
};

/// Does it.
pub fn run(args: &ConfigArgs) -> anyhow::Result<Exit> {
    match &args.command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Show(args) => show(args),
    }
}

fn check(args: &CheckArgs) -> anyhow::Result<Exit> {
    let names = commands(args.command.as_deref())?;
    let file = args.file.display().to_string();
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    match read(&args.file).map_err(|problem| vec![problem]).and_then(|text| check_all(&file, &text))
    {
        Err(wrong) => problems = wrong,
        Ok(_) => match &args.command {
            Some(name) => match resolved(name, &args.file) {
                Ok(missing) if missing.is_empty() => {}
                Ok(missing) => notes.push(format!(
                    "not in it, and needed by `{name}` as flags or in the environment: {}",
                    missing.join(", ")
                )),
                Err(wrong) => problems = wrong,
            },
            None => problems = check_together(&names, &args.file),
        },
    }
    if problems.is_empty() {
        terminal::put(&format!("{file}: ok\n"));
        notes.iter().for_each(|note| terminal::put(&format!("{file}: {note}\n")));
        return Ok(Exit::Done);
    }
    problems.iter().for_each(|problem| terminal::put(&problem.to_string()));
    Ok(Exit::Failed)
}

/// The commands that a file may configure, or the one that is asked for.
fn commands(wanted: Option<&str>) -> anyhow::Result<Vec<String>> {
    let cli = definition(Mode::Check);
    let names: Vec<_> = configurable(&cli).map(|command| command.get_name().to_owned()).collect();
    match wanted {
        Some(name) if !names.iter().any(|known| known == name) => {
            bail!(
                "--for `{name}` is no command that a file configures; say one of {}",
                names.join(", ")
            )
        }
        Some(name) => Ok(vec![name.to_owned()]),
        None => Ok(names),
    }
}

/// What is missing for the command, or what is wrong.
fn resolved(name: &str, file: &Path) -> Result<Vec<String>, Vec<Problem>> {
    let argv: [OsString; 2] = ["shadowtap".into(), name.into()];
    match resolve_file(Mode::Check, &argv, Some(file)) {
        Ok(resolved) => Ok(resolved.missing),
        Err(Failure::File(problems)) => Err(problems),
        Err(failure) => {
            let (file, what) = (file.display().to_string(), failure.text());
            Err(vec![Problem { file, line: None, column: None, key: None, what }])
        }
    }
}

/// What is wrong with the keys together. A key at the top is wrong when it is for each command that knows it: it may be
/// meant for one of them.
fn check_together(names: &[String], file: &Path) -> Vec<Problem> {
    let cli = definition(Mode::Check);
    let mut found: BTreeMap<(Option<usize>, Option<String>), (usize, Problem)> = BTreeMap::new();
    for problem in names.iter().filter_map(|name| resolved(name, file).err()).flatten() {
        let place = (problem.line, problem.key.clone());
        found.entry(place).or_insert((0, problem)).0 += 1;
    }
    let tables = tables(file);
    let is_wrong = |(times, problem): &(usize, Problem)| {
        let Some(key) = &problem.key else { return true };
        let own = problem.line.is_some_and(|line| tables.contains(&line));
        let knowing = names.iter().filter(|name| keys_of(&cli, name).any(|known| known == key));
        own || *times >= knowing.count()
    };
    found.into_values().filter(is_wrong).map(|(_, problem)| problem).collect()
}

/// Lines of keys that are in a table of a command.
fn tables(file: &Path) -> Vec<usize> {
    let text = read(file).unwrap_or_default();
    let entries = check_all(&file.display().to_string(), &text).unwrap_or_default();
    entries.iter().filter(|entry| entry.table.is_some()).map(|entry| entry.line).collect()
}

fn show(args: &ShowArgs) -> anyhow::Result<Exit> {
    let (object, json) = match args.pid {
        Some(pid) => (state_file::read(pid)?, args.json),
        None => {
            // Of what is shown, not of the command.
            let is_json = |word: &&OsString| *word == "--json";
            let json = args.json || args.words.iter().any(|word| is_json(&word));
            (would_be(args.words.iter().filter(|word| !is_json(word)))?, json)
        }
    };
    match json {
        true => terminal::put(&serde_json::to_string(&object)?),
        false => terminal::put(&table(&object)),
    }
    Ok(Exit::Done)
}

/// What a command would run with.
fn would_be<'a>(words: impl Iterator<Item = &'a OsString>) -> anyhow::Result<serde_json::Value> {
    let mut argv: Vec<OsString> = vec!["shadowtap".into()];
    argv.extend(words.cloned());
    let is_named = argv.get(1).is_some_and(|word| !word.as_encoded_bytes().starts_with(b"-"));
    if is_named {
        let name = argv.get(1).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !commands(None)?.contains(&name) {
            bail!(
                "`{name}` is no command with a config file; say mirror, record, replay, inspect or convert"
            );
        }
    } else {
        argv.insert(1, "mirror".into());
    }
    let file = file_of(&argv);
    match resolve_file(Mode::Show, &argv, file.as_deref()) {
        Ok(resolved) => Ok(object(&resolved.settings)),
        Err(Failure::File(problems)) => Err(one_error(&problems)),
        Err(Failure::Usage(error)) => error.exit(),
    }
}
