//! `from-goreplay`: a command line of GoReplay as one of shadowtap.
//!
//! In: the command line, as it stands in a script or a manifest. Out: the shadowtap command on stdout, in one line and
//! quoted for a shell; on stderr each part that has no form, with the reason, and notes where both differ. Exit
//! code 0: all of it was translated; 1: not all. Nothing is run and nothing is opened. Guaranteed: the command is one that
//! shadowtap takes.

mod check;
mod flags;
mod line;
mod plan;
mod put;
mod values;

#[cfg(test)]
mod tests;

use anyhow::bail;

use self::plan::Plan;
use super::{Exit, terminal};
use crate::cli::FromGoreplayArgs;

/// What became of a command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Translated {
    /// The command, where there is one.
    pub words: Option<Vec<String>>,
    /// What has no form, and why.
    pub missing: Vec<(String, String)>,
    /// What is not quite the same.
    pub notes: Vec<String>,
}

/// Prints the equivalent command.
pub fn run(args: &FromGoreplayArgs) -> anyhow::Result<Exit> {
    let translated = match args.line.as_slice() {
        [one] => translate(line::words(one)?)?,
        words => translate(words.to_vec())?,
    };
    for note in &translated.notes {
        terminal::say(&format!("note: {note}"));
    }
    for (part, why) in &translated.missing {
        terminal::say(&format!("no form for {part}: {why}"));
    }
    if let Some(words) = &translated.words {
        terminal::put(&quoted(words)?);
    }
    let is_whole = translated.missing.is_empty() && translated.words.is_some();
    Ok(if is_whole { Exit::Done } else { Exit::Partly })
}

/// The command for these words.
pub fn translate(words: Vec<String>) -> anyhow::Result<Translated> {
    let line = line::parse(words)?;
    let mut plan = Plan::default();
    for given in line.given {
        flags::apply(&mut plan, &given);
    }
    plan.missing.extend(line.missing);
    Ok(plan.finish())
}

/// In one line, as a shell reads it.
fn quoted(words: &[String]) -> anyhow::Result<String> {
    if words.iter().any(|word| word.contains(['\n', '\r'])) {
        bail!("a value has a line break, which no shadowtap flag takes");
    }
    Ok(shlex::try_join(words.iter().map(String::as_str))?)
}
