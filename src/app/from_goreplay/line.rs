//! A command line taken apart as the shell and Go's `flag` package do.
//!
//! In: text, or words. Out: flags in order with their values; what cannot be a flag. `-flag` is `--flag`, a value may
//! stand behind `=` or be the next word, a switch has none but behind `=`, and nothing behind the first other word is read.

use anyhow::{Context, bail};

use super::flags;

/// A flag as it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// Its name, without hyphens.
    pub name: String,
    /// Its value; of a switch `true` or `false`.
    pub value: String,
}

impl Given {
    /// As somebody may have typed it.
    pub fn shown(&self) -> String {
        match flags::find(&self.name) {
            Some(flag) if flag.is_switch && self.value == "true" => format!("--{}", self.name),
            _ => format!("--{} {}", self.name, self.value),
        }
    }
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Line {
    /// The flags.
    pub given: Vec<Given>,
    /// What is none, and why that matters.
    pub missing: Vec<(String, String)>,
}

/// What to give.
const EXAMPLE: &str = "give GoReplay's command line in quotes, such as 'gor --input-raw :8080 --output-http http://v2'";

/// The words of a text, as a POSIX shell parts them.
pub fn words(text: &str) -> anyhow::Result<Vec<String>> {
    // A line that goes on in the next, which shlex takes for a word.
    let text = text.replace("\\\r\n", "").replace("\\\n", "");
    shlex::split(&text).with_context(|| format!("a quote or a backslash is left open; {EXAMPLE}"))
}

/// See the module's description.
pub fn parse(words: Vec<String>) -> anyhow::Result<Line> {
    let mut words = words.into_iter().peekable();
    skip_program(&mut words)?;
    let mut line = Line::default();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or_default();
        if name.is_empty() {
            let rest = std::iter::once(word).chain(words).collect::<Vec<_>>().join(" ");
            if rest != "--" {
                let why = match rest.starts_with("file-server") {
                    true => "GoReplay's demonstration server; `shadowtap demo` shows all of it",
                    false => "no flag of GoReplay, which reads none behind it either",
                };
                line.missing.push((format!("`{rest}`"), why.into()));
            }
            break;
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let value = match (flags::find(name), value) {
            (Some(_), Some(value)) => value,
            (Some(flag), None) if flag.is_switch => "true".into(),
            (Some(_), None) => {
                words.next().with_context(|| format!("--{name} has no value; {EXAMPLE}"))?
            }
            (None, value) => {
                let value = value.or_else(|| words.next_if(|next| !next.starts_with('-')));
                let shown = value.map(|value| format!(" {value}")).unwrap_or_default();
                line.missing
                    .push((format!("--{name}{shown}"), "GoReplay 2.0 has no such flag".into()));
                continue;
            }
        };
        line.given.push(Given { name: name.to_owned(), value });
    }
    if line.given.is_empty() && line.missing.is_empty() {
        bail!("there is no flag; {EXAMPLE}");
    }
    Ok(line)
}

/// Passes over `sudo -E`, `env`, `A=b` and the program's name, if they are there.
fn skip_program(words: &mut std::iter::Peekable<std::vec::IntoIter<String>>) -> anyhow::Result<()> {
    let mut is_wrapped = false;
    while let Some(word) = words.peek() {
        let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = name.strip_suffix(".exe").unwrap_or(name);
        match name {
            "gor" | "goreplay" => {
                words.next();
                return Ok(());
            }
            "sudo" | "env" | "exec" | "nohup" => is_wrapped = true,
            _ if word.starts_with('-') && !is_wrapped => return Ok(()),
            _ if is_wrapped || is_assignment(word) => {}
            _ => bail!("`{word}` is not GoReplay; {EXAMPLE}"),
        }
        words.next();
    }
    bail!("there is no flag; {EXAMPLE}")
}

/// `NAME=value` before a program.
fn is_assignment(word: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}
