//! One command line of the flags and the file: which keys of the file have a say, and with which words.
//!
//! The order is flag, environment, the command's own table, the top of the file, default. Whoever is stronger wins, also
//! against a weaker key that does not go with what it says.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::document::{Entry, Words};
use super::effective::LeftOut;
use super::keys::{self, Shape};

/// See the module's description.
pub struct Merged {
    /// The command line.
    pub argv: Vec<OsString>,
    /// Keys of the file that have a say, with their lines.
    pub lines: BTreeMap<String, usize>,
    /// Those that give way.
    pub left_out: Vec<LeftOut>,
}

/// Merges what was given to the command (flags, environment) with the entries of a file.
pub fn merge(command: &Command, given: &ArgMatches, entries: &[&Entry]) -> Merged {
    let mut ruling: Vec<&Arg> =
        command.get_arguments().filter(|arg| is_given(arg, given)).collect();
    // A switch that says no overrides the file's, and goes with everything.
    let says_no: Vec<&Arg> = command.get_arguments().filter(|arg| is_no(arg, given)).collect();
    let (mut lines, mut left_out, mut words) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut overridden: Vec<&str> = says_no.iter().filter_map(|arg| keys::key(arg)).collect();
    for layer in [true, false] {
        let mut taken = Vec::new();
        for entry in entries.iter().filter(|entry| entry.table.is_some() == layer) {
            let Some(arg) = keys::find(command, &entry.key) else { continue };
            let is_ruled = |ruling: &Arg| ruling.get_id() == arg.get_id();
            if overridden.contains(&entry.key.as_str()) || ruling.iter().any(|arg| is_ruled(arg)) {
                continue;
            }
            let Ok(given) = entry.given.words(keys::shape(arg), takes_bool(arg)) else { continue };
            let is_on = given != Words::Switch(false);
            let against = ruling.iter().find(|ruling| are_in_conflict(command, ruling, arg));
            if let Some(against) = against.filter(|_| is_on) {
                let because_of = keys::key(against).unwrap_or_default().to_owned();
                left_out.push(LeftOut { key: entry.key.clone(), line: entry.line, because_of });
                continue;
            }
            lines.insert(entry.key.clone(), entry.line);
            words.push((arg, given));
            taken.push((arg, is_on, entry.key.as_str()));
        }
        ruling.extend(taken.iter().filter(|(_, is_on, _)| *is_on).map(|(arg, ..)| *arg));
        overridden.extend(taken.iter().map(|(_, _, key)| *key));
    }
    Merged { argv: argv(command, given, &words), lines, left_out }
}

/// Whether an option takes `true` and `false` as words.
pub fn takes_bool(arg: &Arg) -> bool {
    let values = arg.get_value_parser().possible_values();
    values.is_some_and(|mut values| values.any(|value| value.matches("true", false)))
}

fn is_explicit(arg: &Arg, given: &ArgMatches) -> bool {
    matches!(
        given.value_source(arg.get_id().as_str()),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

fn is_switched_off(arg: &Arg, given: &ArgMatches) -> bool {
    let value = given.try_get_one::<bool>(arg.get_id().as_str());
    keys::shape(arg) == Shape::Switch && value.ok().flatten() == Some(&false)
}

fn is_given(arg: &Arg, given: &ArgMatches) -> bool {
    is_explicit(arg, given) && !is_switched_off(arg, given)
}

fn is_no(arg: &Arg, given: &ArgMatches) -> bool {
    is_explicit(arg, given) && is_switched_off(arg, given)
}

fn are_in_conflict(command: &Command, a: &Arg, b: &Arg) -> bool {
    let has = |of: &Arg, other: &Arg| {
        let conflicts = command.get_arg_conflicts_with(of);
        conflicts.iter().any(|arg| arg.get_id() == other.get_id())
    };
    has(a, b) || has(b, a)
}

/// The file's words, then what was typed in the order in which it was, then what has no flag. The environment is
/// read again by whoever parses this.
fn argv(command: &Command, given: &ArgMatches, words: &[(&Arg, Words)]) -> Vec<OsString> {
    let mut argv: Vec<OsString> = vec!["shadowtap".into(), command.get_name().into()];
    let mut positional: Vec<OsString> = Vec::new();
    for (arg, words) in words {
        let flag = arg.get_long().map(|long| format!("--{long}"));
        match (words, flag) {
            (Words::Switch(false), _) => {}
            (Words::Switch(true), flag) => argv.extend(flag.map(OsString::from)),
            (Words::Count(times), flag) => {
                let flag = flag.unwrap_or_default();
                argv.extend((0..*times).map(|_| OsString::from(&flag)));
            }
            (Words::Values(values), Some(flag)) => {
                argv.extend(values.iter().map(|value| format!("{flag}={value}").into()));
            }
            (Words::Values(values), None) => positional.extend(values.iter().map(OsString::from)),
        }
    }
    let (typed, files) = typed(command, given);
    argv.extend(typed);
    positional.extend(files);
    if !positional.is_empty() {
        argv.push("--".into());
        argv.extend(positional);
    }
    argv
}

/// What was typed: flags, and what has none.
fn typed(command: &Command, given: &ArgMatches) -> (Vec<OsString>, Vec<OsString>) {
    let (mut flags, mut positional) = (Vec::new(), Vec::new());
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        if given.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let raw = given.try_get_raw(id).ok().flatten().into_iter().flatten();
        let Some(long) = arg.get_long() else {
            positional.extend(raw.map(OsString::from));
            continue;
        };
        let flag = OsString::from(format!("--{long}"));
        let at = given.indices_of(id).into_iter().flatten().chain(std::iter::repeat(usize::MAX));
        match keys::shape(arg) {
            Shape::Switch => flags.push((usize::MAX, flag)),
            Shape::Count => {
                let times = given.try_get_one::<u8>(id).ok().flatten().copied().unwrap_or_default();
                flags.extend((0..times).map(|_| (usize::MAX, flag.clone())));
            }
            Shape::One | Shape::Many => flags.extend(raw.zip(at).map(|(value, at)| {
                let mut word = flag.clone();
                word.push("=");
                word.push(value);
                (at, word)
            })),
        }
    }
    flags.sort_by_key(|(at, _)| *at);
    (flags.into_iter().map(|(_, word)| word).collect(), positional)
}
