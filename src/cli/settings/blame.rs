//! Which keys of the file are at fault when all arguments together make no sense.
//!
//! A key is at fault if without it that is no longer what is wrong. So nothing needs to be known of what clap or a later
//! check looks at.

use clap::error::ContextKind;
use clap::{ArgMatches, error::ErrorKind};

use super::document::Entry;
use super::merge::Merged;
use super::problem::one_line;
use super::resolve::without_flag;
use crate::cli::Cli;

/// What came of putting some keys and flags together.
pub enum Outcome {
    /// They are arguments; and whether those make sense.
    Parsed(Box<(ArgMatches, Option<Cli>)>, Result<(), String>),
    /// They are not.
    Unusable(clap::Error),
}

/// What is wrong: to be compared, and to be said.
#[derive(PartialEq, Eq)]
pub struct Wrong {
    kind: Option<ErrorKind>,
    /// The arguments that it is about; usage and tips, which change with every argument, are left out.
    about: String,
    text: String,
}

impl Outcome {
    /// What is wrong with it, if anything.
    pub fn wrong(&self) -> Option<Wrong> {
        match self {
            Self::Parsed(_, Ok(())) => None,
            Self::Parsed(_, Err(text)) => {
                Some(Wrong { kind: None, about: String::new(), text: text.clone() })
            }
            Self::Unusable(error) => {
                let about =
                    [ContextKind::InvalidArg, ContextKind::PriorArg, ContextKind::InvalidValue]
                        .map(|kind| error.get(kind).map(|value| format!("{value:?}")));
                let (kind, about) = (Some(error.kind()), format!("{about:?}"));
                Some(Wrong { kind, about, text: one_line(error) })
            }
        }
    }
}

impl Wrong {
    /// In words, where the key says which flag.
    pub fn without_flag(&self, key: &str) -> String {
        without_flag(&self.text, key)
    }
}

/// The entries at fault. `attempt` says what would be without one of them.
pub fn blame<'e>(
    entries: &[&'e Entry],
    merged: &Merged,
    wrong: &Wrong,
    mut attempt: impl FnMut(&[&Entry]) -> Outcome,
) -> Vec<&'e Entry> {
    let mut blamed = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        // Those that have no say anyway are not at fault.
        if merged.lines.get(&entry.key) != Some(&entry.line) {
            continue;
        }
        let mut rest = entries.to_vec();
        rest.remove(at);
        if attempt(&rest).wrong().as_ref() != Some(wrong) {
            blamed.push(*entry);
        }
    }
    blamed
}
