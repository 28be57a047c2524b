//! The text of a rule: from which place of v2's answers to which place of requests.
//!
//! ```text
//! cookies                                             every cookie, by its name
//! cookie NAME                                         that one
//! SOURCE -> SINK
//!   SOURCE  json $.path | header NAME ["template {}"] | cookie NAME | regex RE
//!   SINK    header NAME ["template {}"] | cookie NAME | path | query NAME | form NAME | json $.path
//! ```
//!
//! Guaranteed: what cannot be read is an error that shows the place and says what is expected there.

use std::fmt;

use regex::bytes::Regex;

use super::super::JsonPath;
use super::super::rewrite::parse::field_name;

/// Rules, parsed.
#[derive(Clone, Debug)]
pub struct Rules(pub(super) Vec<Rule>);

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub source: Source,
    pub sink: Sink,
}

impl Rule {
    /// Whether it takes cookies to cookies.
    pub fn is_of_cookies(&self) -> bool {
        matches!(self.source, Source::Cookies | Source::Cookie(_))
            && matches!(self.sink, Sink::Cookies | Sink::Cookie(_))
    }
}

/// Where in an answer.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Every Set-Cookie.
    Cookies,
    Cookie(String),
    Header(String, Template),
    Json(JsonPath),
    /// The first group, in the body.
    Regex(Regex),
}

/// Where in a request.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    /// Every cookie.
    Cookies,
    Cookie(String),
    Header(String, Template),
    /// A whole segment of the path.
    Path,
    Query(String),
    Form(String),
    Json(JsonPath),
}

/// What stands around a value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    /// Where the value lies in a text; the case of letters around it does not count (RFC 9110 section 11.1).
    pub fn find(&self, text: &[u8]) -> Option<std::ops::Range<usize>> {
        let end = text.len().checked_sub(self.after.len())?;
        let is_around = self.before.len() <= end
            && text.get(..self.before.len())?.eq_ignore_ascii_case(&self.before)
            && text.get(end..)?.eq_ignore_ascii_case(&self.after);
        is_around.then_some(self.before.len()..end)
    }
}

/// A rule that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleError {
    rule: String,
    /// The character at which it is wrong, from 0.
    at: usize,
    what: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, at, what } = self;
        write!(f, "at character {}: {what}\n  {rule}\n  {:at$}^", at + 1, "")
    }
}

impl std::error::Error for RuleError {}

/// Wrong at this byte of the text in hand.
struct Wrong(usize, String);

impl Rules {
    /// Reads each of them.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, RuleError> {
        let rule = |text: &S| {
            let text = text.as_ref();
            rule(text).map_err(|Wrong(at, what)| {
                let before = text.get(..at).unwrap_or(text);
                RuleError { rule: text.to_owned(), at: before.chars().count(), what }
            })
        };
        Ok(Self(texts.iter().map(rule).collect::<Result<_, _>>()?))
    }

    /// Whether any of them looks into bodies of answers.
    pub(super) fn read_bodies(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule.source, Source::Json(_) | Source::Regex(_)))
    }
}

fn rule(text: &str) -> Result<Rule, Wrong> {
    let Some(arrow) = text.rfind("->") else { return short(text) };
    let (source, sink) = text.split_at_checked(arrow).unwrap_or((text, ""));
    let source = source_of(Words { text: source, at: 0 })?;
    let sink = Words { text: sink, at: "->".len() };
    let sink = sink_of(sink).map_err(|Wrong(at, what)| Wrong(at + arrow, what))?;
    Ok(Rule { source, sink })
}

/// A rule without an arrow.
fn short(text: &str) -> Result<Rule, Wrong> {
    let mut words = Words { text, at: 0 };
    match words.word() {
        (_, "cookies") => {
            words.end()?;
            Ok(Rule { source: Source::Cookies, sink: Sink::Cookies })
        }
        (_, "cookie") => {
            let name = words.name("the name of a cookie")?;
            Ok(Rule { source: Source::Cookie(name.clone()), sink: Sink::Cookie(name) })
        }
        (_, "json" | "header" | "regex") => Err(Wrong(
            text.trim_end().len(),
            "expected `->` and where the value goes, such as `-> header Authorization \"Bearer {}\"`"
                .into(),
        )),
        (at, other) => Err(Wrong(
            at,
            format!("no rule begins with `{other}`; {SOURCES}, or `cookies` for all of them"),
        )),
    }
}

const SOURCES: &str = "values come from `json $.path`, `header NAME`, `cookie NAME` or `regex RE`";
const SINKS: &str =
    "values go to `header NAME`, `cookie NAME`, `path`, `query NAME`, `form NAME` or `json $.path`";

fn source_of(mut words: Words<'_>) -> Result<Source, Wrong> {
    Ok(match words.word() {
        (_, "json") => Source::Json(words.path()?),
        (_, "header") => {
            let name = words.field()?;
            Source::Header(name, words.template()?)
        }
        (_, "cookie") => Source::Cookie(words.name("the name of a cookie")?),
        (_, "regex") => Source::Regex(words.regex()?),
        (at, "cookies") => {
            return Err(Wrong(at, "`cookies` stands alone; `cookie NAME -> ...` takes one".into()));
        }
        (at, other) => return Err(Wrong(at, format!("nothing is called `{other}`: {SOURCES}"))),
    })
}

fn sink_of(mut words: Words<'_>) -> Result<Sink, Wrong> {
    Ok(match words.word() {
        (_, "header") => {
            let (at, _) = words.rest();
            let name = words.field()?;
            // What decides framing is made right for what is sent, whatever a rule takes from where.
            field_name(&name).map_err(|why| Wrong(at, why))?;
            Sink::Header(name, words.template()?)
        }
        (_, "cookie") => Sink::Cookie(words.name("the name of a cookie")?),
        (_, "path") => {
            words.end()?;
            Sink::Path
        }
        (_, "query") => Sink::Query(words.name("the name of a parameter")?),
        (_, "form") => Sink::Form(words.name("the name of a field")?),
        (_, "json") => Sink::Json(words.path()?),
        (at, other) => return Err(Wrong(at, format!("nothing is called `{other}`: {SINKS}"))),
    })
}

/// A text, read word by word.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    /// What is left, without white space around it, and where it begins.
    fn rest(&self) -> (usize, &'a str) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        (self.at + rest.len() - rest.trim_start().len(), rest.trim())
    }

    fn word(&mut self) -> (usize, &'a str) {
        let (at, rest) = self.rest();
        let word = rest.split(char::is_whitespace).next().unwrap_or_default();
        self.at = at + word.len();
        (at, word)
    }

    fn end(&self) -> Result<(), Wrong> {
        match self.rest() {
            (_, "") => Ok(()),
            (at, rest) => {
                Err(Wrong(at, format!("nothing is expected here, and there is `{rest}`")))
            }
        }
    }

    /// A name: all that is left, in quotes or not.
    fn name(&mut self, what: &str) -> Result<String, Wrong> {
        let (at, rest) = self.rest();
        let is_quoted = rest.len() > 1 && rest.starts_with('"') && rest.ends_with('"');
        let name = if is_quoted { rest.trim_matches('"') } else { rest };
        if name.is_empty() {
            return Err(Wrong(at, format!("expected {what}")));
        }
        if !is_quoted && let Some(space) = rest.find(char::is_whitespace) {
            return Err(Wrong(at + space, format!("{what} has no spaces; put it in quotes")));
        }
        Ok(name.to_owned())
    }

    /// The name of a header field (RFC 9110 section 5.1).
    fn field(&mut self) -> Result<String, Wrong> {
        let (at, name) = self.word();
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_part) {
            return Err(Wrong(at, "expected the name of a header field".into()));
        }
        Ok(name.to_owned())
    }

    /// What stands around a value, in quotes; nothing if nothing is left.
    fn template(&mut self) -> Result<Template, Wrong> {
        let (at, rest) = self.rest();
        if rest.is_empty() {
            return Ok(Template::default());
        }
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let Some((before, after)) = quoted.and_then(|text| text.split_once("{}")) else {
            let what = "expected a template in double quotes, with {} for the value: \"Bearer {}\"";
            return Err(Wrong(at, what.into()));
        };
        Ok(Template { before: before.into(), after: after.into() })
    }

    fn path(&mut self) -> Result<JsonPath, Wrong> {
        let (at, rest) = self.rest();
        JsonPath::whole(rest).map_err(|(offset, what)| Wrong(at + offset, what.into()))
    }

    fn regex(&mut self) -> Result<Regex, Wrong> {
        let (at, rest) = self.rest();
        if rest.is_empty() {
            return Err(Wrong(at, "expected a regular expression".into()));
        }
        let regex = Regex::new(rest).map_err(|error| {
            let why = error.to_string();
            let why =
                why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Wrong(at, format!("no regular expression: {why}"))
        })?;
        if regex.captures_len() < 2 {
            let what = "the regular expression has no group: put what is the value in parentheses";
            return Err(Wrong(at, what.into()));
        }
        Ok(regex)
    }
}
