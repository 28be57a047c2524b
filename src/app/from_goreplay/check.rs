//! A translated command, tried on shadowtap's own command line.
//!
//! In: its parts. Out: the words of those that shadowtap takes, and the others by name, each with what it says about them. Guaranteed:
//! the command that comes out is one that starts, as far as can be told without opening or asking anything; the environment
//! has no say.

use crate::app::settings::validate;
use crate::cli::settings::alone;

/// Words that belong together.
#[derive(Debug)]
struct Part {
    /// What GoReplay has in their place, where one flag says it.
    given: Option<String>,
    words: Vec<String>,
    /// Whether there is no command without them.
    is_needed: bool,
}

impl Part {
    fn name(&self) -> String {
        let words = || shlex::try_join(self.words.iter().map(String::as_str));
        self.given.clone().or_else(|| words().ok()).unwrap_or_default()
    }
}

/// A command in the making.
#[derive(Debug, Default)]
pub struct Words(Vec<Part>);

impl Words {
    /// Words without which there is no command.
    pub fn need(&mut self, words: impl IntoIterator<Item = String>) {
        self.add(None, words, true);
    }

    /// A flag, with its value if it has one.
    pub fn extend(&mut self, words: impl IntoIterator<Item = String>) {
        self.add(None, words, false);
    }

    /// The same, in place of this.
    pub fn put(&mut self, given: String, words: impl IntoIterator<Item = String>) {
        self.add(Some(given), words, false);
    }

    fn add(
        &mut self,
        given: Option<String>,
        words: impl IntoIterator<Item = String>,
        is_needed: bool,
    ) {
        let words: Vec<_> = words.into_iter().collect();
        if !words.is_empty() {
            self.0.push(Part { given, words, is_needed });
        }
    }

    /// The command, where there is one, and the parts that are refused, with the reason.
    pub fn checked(self) -> (Option<Vec<String>>, Vec<(String, String)>) {
        let mut is_in: Vec<_> = self.0.iter().map(|part| part.is_needed).collect();
        let words = |is_in: &[bool]| -> Vec<String> {
            let parts = self.0.iter().zip(is_in).filter(|(_, is_in)| **is_in);
            parts.flat_map(|(part, _)| part.words.clone()).collect()
        };
        let mut refused = Vec::new();
        if let Err(why) = accepted(&words(&is_in)) {
            return (None, vec![("the command".into(), refusal(&why))]);
        }
        // One after the other, so that it is known whose fault it is.
        for (n, part) in self.0.iter().enumerate().filter(|(_, part)| !part.is_needed) {
            let mut more = is_in.clone();
            more.iter_mut().skip(n).take(1).for_each(|is_in| *is_in = true);
            match accepted(&words(&more)) {
                Ok(()) => is_in = more,
                Err(why) => refused.push((part.name(), refusal(&why))),
            }
        }
        (Some(words(&is_in)), refused)
    }
}

fn refusal(why: &str) -> String {
    format!("shadowtap refuses it: {}", why.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether shadowtap starts with this.
fn accepted(words: &[String]) -> Result<(), String> {
    validate(&alone(words)?)
}
