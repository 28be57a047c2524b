//! What is redacted beside the fields that always are: rules as typed, and what takes a value's place.
//!
//! In: `header NAME`, `query NAME`, `form NAME`, `json $.path`, `json-name NAME`, `pattern card|email|jwt`. Out: the
//! rules, sorted by where they look.

use super::super::json::{self, JsonPath};
use super::super::rewrite::parse::field_name;
use super::patterns::Pattern;

/// What takes a value's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RedactWith {
    /// A keyed hash: equal for equal values. In header fields `shadowtap-secret-` and digits; elsewhere each letter
    /// becomes a letter and each digit a digit, so that what reads it still can.
    #[default]
    Hash,
    /// `***`, `0` for a number.
    Mask,
    /// Nothing: field, parameter or member go as a whole.
    Drop,
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RedactRule {
    /// A header field, in the trailer section too.
    Header(String),
    /// A query parameter.
    Query(String),
    /// A field of a form, urlencoded or multipart.
    Form(String),
    /// Members of JSON by path.
    Json(JsonPath),
    /// Members of JSON by name, wherever they stand.
    JsonName(String),
    /// What looks like this, wherever it stands.
    Pattern(Pattern),
}

impl RedactRule {
    /// Reads a rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        const HOW: &str = "write `header NAME`, `query NAME`, `form NAME`, `json $.path`, `json-name NAME` or \
                           `pattern card|email|jwt`";
        let text = text.trim();
        let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(format!("`{text}` names nothing; {HOW}"));
        }
        Ok(match kind {
            "header" => Self::Header(field_name(rest)?),
            "query" => Self::Query(rest.into()),
            "form" => Self::Form(rest.into()),
            "json" => Self::Json(rest.parse()?),
            "json-name" => Self::JsonName(rest.into()),
            "pattern" => Self::Pattern(match rest {
                "card" => Pattern::Card,
                "email" => Pattern::Email,
                "jwt" => Pattern::Jwt,
                _ => {
                    return Err(format!(
                        "there is no pattern `{rest}`; there are card, email and jwt"
                    ));
                }
            }),
            _ => return Err(format!("`{kind}` is no kind of rule; {HOW}")),
        })
    }
}

/// Rules by where they look.
#[derive(Clone, Default, Debug)]
pub(super) struct Sorted {
    pub headers: Vec<String>,
    pub queries: Vec<String>,
    pub forms: Vec<String>,
    pub paths: Vec<JsonPath>,
    pub names: Vec<String>,
    pub patterns: Vec<Pattern>,
}

impl Sorted {
    pub fn new(rules: &[RedactRule]) -> Result<Self, String> {
        let mut sorted = Self::default();
        for rule in rules.iter().cloned() {
            match rule {
                RedactRule::Header(name) => sorted.headers.push(name),
                RedactRule::Query(name) => sorted.queries.push(name),
                RedactRule::Form(name) => sorted.forms.push(name),
                RedactRule::Json(path) => sorted.paths.push(path),
                RedactRule::JsonName(name) => sorted.names.push(name),
                RedactRule::Pattern(pattern) => sorted.patterns.push(pattern),
            }
        }
        match sorted.paths.len() + sorted.names.len() > json::MOST {
            true => Err(format!("there are more than {} rules for JSON", json::MOST)),
            false => Ok(sorted),
        }
    }

    pub fn has_json(&self) -> bool {
        !self.paths.is_empty() || !self.names.is_empty()
    }

    /// Whether any of them looks at bodies.
    pub fn has_bodies(&self) -> bool {
        self.has_json() || !self.forms.is_empty() || !self.patterns.is_empty()
    }
}
