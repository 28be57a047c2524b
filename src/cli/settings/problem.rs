//! What is wrong with a config file: where, what, and what to write instead.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1; none where it is about the whole file.
    pub line: Option<usize>,
    /// Its place in the line, from 1, where the syntax is wrong.
    pub column: Option<usize>,
    /// The key.
    pub key: Option<String>,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, "{number}:")?;
        }
        if let Some(key) = &self.key {
            write!(f, " {key}:")?;
        }
        write!(f, " {}", self.what)
    }
}

/// Why there is nothing to run.
#[derive(Debug)]
pub enum Failure {
    /// The file is at fault, in each of these.
    File(Vec<Problem>),
    /// The command line or the environment is; or help was asked for.
    Usage(Box<clap::Error>),
}

impl Failure {
    /// The same for a person, one line a problem.
    pub fn text(&self) -> String {
        match self {
            Self::File(problems) => {
                problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
            }
            Self::Usage(error) => one_line(error),
        }
    }
}

/// What clap says, without its frame of usage and tips, in one line.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = ["\n\nUsage:", "\n\nFor more"].iter().filter_map(|frame| text.find(frame)).min();
    let text = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
