//! What is in force: each key of a command, its value, and who said so.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use serde::Serialize;

use super::keys::{self, Shape};
use super::mask::mask;

/// The values that a command runs with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The command's name.
    pub command: String,
    /// The file that had a say, as the user named it.
    pub file: Option<String>,
    /// Each key, in the order of the command's help.
    pub settings: Vec<Setting>,
    /// Keys of the file that give way.
    pub left_out: Vec<LeftOut>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The flag's long name.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Who gave it.
    pub source: Source,
    shape: Shape,
    is_positional: bool,
    is_hidden: bool,
}

/// A key of the file that gives way, since a stronger source says what does not go with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LeftOut {
    /// The key.
    pub key: String,
    /// Its line.
    pub line: usize,
    /// The key that does not go with it.
    pub because_of: String,
}

/// As the flag would be given it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// None.
    None,
    /// Of a switch.
    Switch(bool),
    /// Of a flag that is counted.
    Count(u8),
    /// One value.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Who gave a value: the weakest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "source", rename_all = "lowercase")]
pub enum Source {
    /// Nobody.
    Default,
    /// The config file.
    File {
        /// Its line.
        line: usize,
    },
    /// The environment.
    Environment {
        /// The variable's name.
        variable: String,
    },
    /// The command line.
    Flag,
}

impl Settings {
    /// What these matches of the command say; `lines` are those of keys that the file gave. `is_hidden` tells which
    /// values nobody is to see.
    pub fn of(
        command: &Command,
        is_hidden: impl Fn(&Arg) -> bool,
        matches: &ArgMatches,
        file: Option<&str>,
        lines: &BTreeMap<String, usize>,
    ) -> Self {
        let setting = |arg: &Arg| {
            let key = keys::key(arg)?.to_owned();
            let source = match lines.get(&key) {
                Some(&line) => Source::File { line },
                None => source(arg, matches),
            };
            Some(Setting {
                value: value(arg, matches),
                source,
                shape: keys::shape(arg),
                is_positional: arg.is_positional(),
                is_hidden: is_hidden(arg),
                key,
            })
        };
        Self {
            command: command.get_name().to_owned(),
            file: file.map(str::to_owned),
            settings: command.get_arguments().filter_map(setting).collect(),
            left_out: Vec::new(),
        }
    }

    /// The setting of that key.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// The command line that says all of it.
    pub fn argv(&self) -> Vec<OsString> {
        let mut argv: Vec<OsString> = vec!["shadowtap".into(), self.command.clone().into()];
        let given = |s: &&Setting| s.source != Source::Default;
        for setting in self.settings.iter().filter(given).filter(|s| !s.is_positional) {
            let flag = format!("--{}", setting.key);
            match &setting.value {
                Value::Switch(true) => argv.push(flag.into()),
                Value::Count(times) => argv.extend((0..*times).map(|_| OsString::from(&flag))),
                value => {
                    argv.extend(value.texts().iter().map(|text| format!("{flag}={text}").into()));
                }
            }
        }
        argv.push("--".into());
        for setting in self.settings.iter().filter(given).filter(|s| s.is_positional) {
            argv.extend(setting.value.texts().into_iter().map(OsString::from));
        }
        argv
    }
}

impl Setting {
    /// The value as it may be shown: secrets masked.
    pub fn shown(&self) -> Value {
        let mask = |text: &String| mask(&self.key, text, self.is_hidden);
        match &self.value {
            Value::One(text) => Value::One(mask(text)),
            Value::Many(texts) => Value::Many(texts.iter().map(mask).collect()),
            other => other.clone(),
        }
    }
}

impl Value {
    /// Each value as text; none of a switch.
    fn texts(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Many(texts) => texts.clone(),
            Self::None | Self::Switch(_) | Self::Count(_) => Vec::new(),
        }
    }
}

fn source(arg: &Arg, matches: &ArgMatches) -> Source {
    match matches.value_source(arg.get_id().as_str()) {
        Some(ValueSource::CommandLine) => Source::Flag,
        Some(ValueSource::EnvVariable) => {
            let variable = arg.get_env().unwrap_or_default().to_string_lossy().into_owned();
            Source::Environment { variable }
        }
        _ => Source::Default,
    }
}

fn value(arg: &Arg, matches: &ArgMatches) -> Value {
    let id = arg.get_id().as_str();
    let shape = keys::shape(arg);
    match shape {
        Shape::Switch => {
            let is = matches.try_get_one::<bool>(id).ok().flatten();
            return Value::Switch(is.copied().unwrap_or_default());
        }
        Shape::Count => {
            let times = matches.try_get_one::<u8>(id).ok().flatten();
            return Value::Count(times.copied().unwrap_or_default());
        }
        Shape::One | Shape::Many => {}
    }
    let raw = matches.try_get_raw(id).ok().flatten();
    let mut texts: Vec<_> =
        raw.into_iter().flatten().map(|raw| raw.to_string_lossy().into_owned()).collect();
    match shape {
        Shape::Many => Value::Many(texts),
        _ => texts.pop().map_or(Value::None, Value::One),
    }
}
