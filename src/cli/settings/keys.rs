//! Which keys a config file may have: read off clap's definition of the commands.
//!
//! A key is a flag's long name, or the name of a positional argument (`files`). A command that takes `--config`
//! may be configured, and has a table of its own by its name.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The flag that names the file.
const CONFIG: &str = "config";

/// How far a mistyped key may be from one that there is.
const FAR: usize = 3;

/// What a key takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// True or false.
    Switch,
    /// How often it is given.
    Count,
    /// One value.
    One,
    /// One or several.
    Many,
}

/// The key of this argument; none where a file has no say.
pub fn key(arg: &Arg) -> Option<&str> {
    let name = arg.get_long().or_else(|| arg.is_positional().then(|| arg.get_id().as_str()))?;
    (!matches!(name, "help" | "version" | CONFIG)).then_some(name)
}

/// What the argument's key takes.
pub fn shape(arg: &Arg) -> Shape {
    let is_many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => Shape::Switch,
        ArgAction::Count => Shape::Count,
        ArgAction::Append => Shape::Many,
        _ if is_many => Shape::Many,
        _ => Shape::One,
    }
}

/// The commands that may be configured by a file.
pub fn configurable(cli: &Command) -> impl Iterator<Item = &Command> {
    cli.get_subcommands().filter(|command| takes_config(command))
}

/// Whether a file may configure this command.
pub fn takes_config(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some(CONFIG))
}

/// The argument with that key.
pub fn find<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| key(arg) == Some(name))
}

/// The keys of a command.
pub fn keys(command: &Command) -> impl Iterator<Item = &str> {
    command.get_arguments().filter_map(key)
}

/// The keys of the command with that name.
pub fn keys_of<'c>(cli: &'c Command, name: &str) -> impl Iterator<Item = &'c str> {
    cli.find_subcommand(name).into_iter().flat_map(keys)
}

/// Keys without which the command does not run, and that nobody gave.
pub fn missing(command: &Command, given: &ArgMatches) -> Vec<String> {
    let is_given = |arg: &Arg| {
        let source = given.value_source(arg.get_id().as_str());
        source.is_some_and(|source| source != ValueSource::DefaultValue)
    };
    let is_missing = |arg: &&Arg| arg.is_required_set() && !is_given(arg);
    command.get_arguments().filter(is_missing).filter_map(key).map(str::to_owned).collect()
}

/// The one that was probably meant.
pub fn nearest<'a>(name: &str, keys: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace('_', "-");
    // The distance takes time in both lengths: nobody mistypes so much.
    if name.len() > 64 {
        return None;
    }
    let near = |key: &'a str| {
        let distance = strsim::osa_distance(&name, key);
        (distance <= FAR.min(name.len().max(key.len()) / 2)).then_some((distance, key))
    };
    keys.filter_map(near).min().map(|(_, key)| key)
}
