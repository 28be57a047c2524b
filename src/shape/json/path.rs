//! Where in a JSON document something is: `$.order.items[0].id`.
//!
//! In: the text of a path. Out: its steps, or at which byte it is none and what was expected there. The path language is the part
//! of RFC 9535 (JSONPath) that names members, items and all children; guaranteed: no more than [`MAX_STEPS`] steps.

use std::str::FromStr;

/// Steps of a path at most.
const MAX_STEPS: usize = 64;

/// One step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Step {
    /// The member of an object.
    Name(String),
    /// The item of an array, from 0.
    Index(usize),
    /// Every member or item.
    Any,
}

impl Step {
    /// Whether it leads to the member of this name.
    pub fn is_member(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(wanted) => wanted.as_bytes() == name,
            Self::Index(_) => false,
            Self::Any => true,
        }
    }

    /// Whether it leads to this item.
    pub fn is_item(&self, index: usize) -> bool {
        match self {
            Self::Name(_) => false,
            Self::Index(wanted) => *wanted == index,
            Self::Any => true,
        }
    }
}

/// Where in a document: `$.a.b`, `$.a[0]`, `$.a[*].b`, `$.*.b`, `$["a.b"]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonPath(Vec<Step>);

/// At which byte a text is no path, and what was expected there.
pub type Wrong = (usize, &'static str);

impl JsonPath {
    /// The path that a text begins with, and how long it is there. `$` alone is one: the document.
    ///
    /// # Errors
    ///
    /// At which byte it is none, and what was expected there.
    pub fn prefix(text: &str) -> Result<(Self, usize), Wrong> {
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err((0, "expected a path from the root: $.order.items[0]"));
        };
        let mut steps = Vec::new();
        loop {
            let at = text.len() - rest.len();
            let (step, behind) = match rest.as_bytes().first() {
                Some(b'.') => member(rest).ok_or((
                    at + 1,
                    "expected the name of a member; others than plain ones in [\"...\"]",
                ))?,
                Some(b'[') => bracket(rest).ok_or((
                    at + 1,
                    "expected the number of an item, `*` or a name in quotes, and `]`",
                ))?,
                _ => return Ok((Self(steps), at)),
            };
            steps.push(step);
            rest = behind;
            if steps.len() > MAX_STEPS {
                return Err((at, "the path has too many steps"));
            }
        }
    }

    /// A text that is a path to its end, into the document.
    ///
    /// # Errors
    ///
    /// At which byte it is none, and what was expected there.
    pub fn whole(text: &str) -> Result<Self, Wrong> {
        let (path, len) = Self::prefix(text)?;
        match len == text.len() {
            true if path.0.is_empty() => Err((len, "`$` is the whole document: a step is missing")),
            true => Ok(path),
            false => Err((len, "expected a dot or a bracket")),
        }
    }

    pub(in super::super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether one leads through the other, or both to the same.
    pub(in super::super) fn touches(&self, other: &Self) -> bool {
        let meets =
            |(a, b): (&Step, &Step)| a == b || matches!((a, b), (Step::Any, _) | (_, Step::Any));
        self.0.iter().zip(&other.0).all(meets)
    }

    /// The name that is set in an object, if it ends with one.
    pub(super) fn last_name(&self) -> Option<&str> {
        match self.0.last() {
            Some(Step::Name(name)) => Some(name),
            _ => None,
        }
    }
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::whole(text).map_err(|(at, what)| {
            let at = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
            format!(
                "`{text}`, character {at}: {what}; paths are such as $.user.name, $.items[0] and $.items[*].id"
            )
        })
    }
}

/// The step of `.name` or `.*`, and what is behind it.
fn member(text: &str) -> Option<(Step, &str)> {
    let text = text.strip_prefix('.')?;
    if let Some(behind) = text.strip_prefix('*') {
        return Some((Step::Any, behind));
    }
    let is_end = |c: char| c.is_whitespace() || ".[]()=!<>^$*~'\",".contains(c);
    let (name, behind) = text.split_at_checked(text.find(is_end).unwrap_or(text.len()))?;
    (!name.is_empty()).then(|| (Step::Name(name.to_owned()), behind))
}

/// The step of `[0]`, `[*]` or `["name"]`, and what is behind it.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let text = text.strip_prefix('[')?;
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (name, behind) = text.get(1..)?.split_once(&format!("{quote}]"))?;
        return Some((Step::Name(name.to_owned()), behind));
    }
    match text.split_once(']')? {
        ("*", behind) => Some((Step::Any, behind)),
        (index, behind) => Some((Step::Index(index.trim().parse().ok()?), behind)),
    }
}
