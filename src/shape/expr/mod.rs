//! Expressions about requests: `--only 'header x-shadow == true and not path ~~ "/admin/**"'`.
//!
//! In: an expression as typed, then requests. Out: whether the expression holds for each, as far as that can be
//! told before v1's status is known. Guaranteed: parsed once; an error names the character; length and depth are
//! limited; time is linear in the request for each test (regular expressions too); nothing is allocated but for
//! values that are percent-encoded, hosts in capitals and JSON strings with escapes; the body is read as JSON only when
//! a test of a JSON field is reached. Pure. The grammar is in docs/shaping.md.

mod error;
mod json;
mod lexer;
mod operator;
mod parser;
mod subject;
mod value;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests;

use std::ops::RangeInclusive;

use super::JsonPath;
pub use error::ExprError;
use subject::Text;
use value::{Network, Value};

use crate::model::Message;

/// Bytes of an expression at most.
pub const MAX_LEN: usize = 8192;
/// Parentheses and `not` within each other at most.
pub const MAX_DEPTH: usize = 32;

/// What an expression says of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Truth {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// That depends on v1's status, which is not known yet.
    Unknown,
}

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Expr(Node);

#[derive(Clone, Debug)]
enum Node {
    /// All of them.
    And(Vec<Node>),
    /// Any of them.
    Or(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

/// One question about a request. A negated operator is [`Node::Not`] of it.
#[derive(Clone, Debug)]
enum Test {
    /// Any value of the subject fits; without a value: there is one.
    Text(Text, Option<Value>),
    /// The same of a field of a JSON body.
    Json(JsonPath, Option<Value>),
    /// The client's address is in one of these.
    Client(Vec<Network>),
    /// The body's length is in one of these.
    Size(Vec<RangeInclusive<u64>>),
    /// v1's status is in one of these.
    Status(Vec<RangeInclusive<u64>>),
}

impl Expr {
    /// The expression as typed.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        parser::parse(text).map(Self)
    }

    /// Whether the path fits any of these globs.
    pub fn paths(globs: &[String]) -> Result<Self, ExprError> {
        let fits = |glob: &String| {
            let value = Value::glob(glob).map_err(|why| ExprError::new(glob, 0, why))?;
            Ok(Node::Test(Test::Text(Text::Path, Some(value))))
        };
        Ok(Self(Node::Or(globs.iter().map(fits).collect::<Result<_, _>>()?)))
    }

    /// Whether it has a test of v1's status.
    pub fn needs_status(&self) -> bool {
        self.0.needs_status()
    }

    /// Whether it holds for this request, to which v1 answered so.
    pub fn holds(&self, request: &Message, status: Option<u16>) -> Truth {
        self.0.holds(request, status)
    }
}

impl Node {
    fn needs_status(&self) -> bool {
        match self {
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().any(Self::needs_status),
            Self::Not(node) => node.needs_status(),
            Self::Test(test) => matches!(test, Test::Status(_)),
        }
    }

    fn holds(&self, request: &Message, status: Option<u16>) -> Truth {
        match self {
            Self::And(nodes) => Truth::all(nodes.iter().map(|node| node.holds(request, status))),
            Self::Or(nodes) => !Truth::all(nodes.iter().map(|node| !node.holds(request, status))),
            Self::Not(node) => !node.holds(request, status),
            Self::Test(test) => test.holds(request, status),
        }
    }
}

impl Test {
    fn holds(&self, request: &Message, status: Option<u16>) -> Truth {
        let fits = |value: &Option<Value>, text: &[u8]| {
            value.as_ref().is_none_or(|value| value.fits(text))
        };
        Truth::from(match self {
            Self::Text(subject, value) => subject.any(request, |text| fits(value, text)),
            Self::Json(path, value) => json::any(path, &request.body, value.as_ref()),
            Self::Client(networks) => {
                let ip = request.client.ip.to_canonical();
                // Where a file does not tell it.
                !ip.is_unspecified() && networks.iter().any(|network| network.contains(ip))
            }
            Self::Size(ranges) => is_in(ranges, request.body_len),
            Self::Status(ranges) => match status {
                None => return Truth::Unknown,
                Some(status) => is_in(ranges, status.into()),
            },
        })
    }
}

fn is_in(ranges: &[RangeInclusive<u64>], number: u64) -> bool {
    ranges.iter().any(|range| range.contains(&number))
}

impl Truth {
    /// Whether all of these hold; the first that does not is the last that is asked.
    pub fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::Yes;
        for truth in truths {
            match truth {
                Self::Yes => {}
                Self::No => return Self::No,
                Self::Unknown => all = Self::Unknown,
            }
        }
        all
    }
}

impl From<bool> for Truth {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}
