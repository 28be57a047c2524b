//! A config file's text, read: keys with their lines and what stands behind them.
//!
//! In: text of at most a MiB. Out: entries in the order of their lines, or every error of the syntax. Of flags nothing is
//! known here but which words are names of commands: those begin tables.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::keys::Shape;
use super::problem::Problem;

/// A key and what stands behind it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The command in whose table it stands; none at the top.
    pub table: Option<String>,
    /// The key.
    pub key: String,
    /// Its line, from 1.
    pub line: usize,
    /// What stands behind it.
    pub given: Given,
}

/// What stands behind a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
    /// True or false.
    Switch(bool),
    /// A word, a number or a time, as a flag would take it; and what TOML calls it.
    Word(String, &'static str),
    /// Several.
    List(Vec<Given>),
    /// Keys of its own.
    Table,
}

/// What a flag would be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Words {
    /// Whether it stands there.
    Switch(bool),
    /// How often it stands there.
    Count(u8),
    /// With these values.
    Values(Vec<String>),
}

/// Reads the text of this file.
pub fn read(file: &str, text: &str, commands: &BTreeSet<&str>) -> Result<Vec<Entry>, Vec<Problem>> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| {
            let at = error.span().map(|span| lines.place(text, span.start));
            let (line, column) = (at.map(|at| at.0), at.map(|at| at.1));
            let what = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            Problem { file: file.to_owned(), line, column, key: None, what }
        };
        return Err(errors.iter().map(problem).collect());
    }
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = lines.place(text, key.span().start).0;
        match value.get_ref() {
            DeValue::Table(own) if commands.contains(key.get_ref().as_ref()) => {
                for (inner, value) in own {
                    let line = lines.place(text, inner.span().start).0;
                    let (table, key) =
                        (Some(key.get_ref().to_string()), inner.get_ref().to_string());
                    entries.push(Entry { table, key, line, given: given(value.get_ref()) });
                }
            }
            value => {
                let key = key.get_ref().to_string();
                entries.push(Entry { table: None, key, line, given: given(value) });
            }
        }
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::Boolean(is) => Given::Switch(*is),
        DeValue::String(text) => Given::Word(text.to_string(), "a string"),
        DeValue::Integer(number) => {
            // A flag knows decimal numbers only.
            let decimal = i64::from_str_radix(number.as_str(), number.radix());
            let text = decimal.map_or_else(|_| number.to_string(), |decimal| decimal.to_string());
            Given::Word(text, "a number")
        }
        DeValue::Float(number) => Given::Word(number.as_str().to_owned(), "a number"),
        DeValue::Datetime(time) => Given::Word(time.to_string(), "a time"),
        DeValue::Array(items) => {
            Given::List(items.iter().map(|item| given(item.get_ref())).collect())
        }
        DeValue::Table(_) => Given::Table,
    }
}

impl Given {
    fn name(&self) -> &'static str {
        match self {
            Self::Switch(_) => "true or false",
            Self::Word(_, name) => name,
            Self::List(_) => "a list",
            Self::Table => "a table",
        }
    }

    /// What a flag of this shape would be given. Where `takes_bool`, true and false are words like others.
    pub fn words(&self, shape: Shape, takes_bool: bool) -> Result<Words, String> {
        let wrong = |want: &str| Err(format!("expected {want}, found {}", self.name()));
        let one = |given: &Self| match given {
            Self::Word(text, _) => Some(text.clone()),
            Self::Switch(is) if takes_bool => Some(is.to_string()),
            _ => None,
        };
        match (shape, self) {
            (Shape::Switch, Self::Switch(is)) => Ok(Words::Switch(*is)),
            (Shape::Switch, _) => wrong("true or false"),
            (Shape::Count, Self::Word(text, _)) => match text.parse() {
                Ok(times) => Ok(Words::Count(times)),
                Err(_) => wrong("a number from 0 to 255"),
            },
            (Shape::Count, _) => wrong("a number from 0 to 255"),
            (Shape::One, value) => match one(value) {
                Some(text) => Ok(Words::Values(vec![text])),
                None => wrong("one value, a string or a number"),
            },
            (Shape::Many, Self::List(items)) => {
                match items.iter().map(one).collect::<Option<Vec<_>>>() {
                    Some(words) => Ok(Words::Values(words)),
                    None => {
                        Err("expected a list of strings or numbers, found other things in it"
                            .into())
                    }
                }
            }
            (Shape::Many, value) => match one(value) {
                Some(text) => Ok(Words::Values(vec![text])),
                None => wrong("a list, or one string or number"),
            },
        }
    }
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Self(std::iter::once(0).chain(ends).collect())
    }

    /// Line and column of a byte, from 1.
    fn place(&self, text: &str, at: usize) -> (usize, usize) {
        let line = self.0.partition_point(|&start| start <= at).max(1);
        let start = self.0.get(line - 1).copied().unwrap_or_default();
        let before = text.get(start..at).map_or(0, |before| before.chars().count());
        (line, before + 1)
    }
}
