//! What a text, a number or an address is compared with.
//!
//! In: values as typed, parsed once. Out: whether what a request has fits them. Texts are bytes: what is captured need not be
//! UTF-8. Regular expressions are those of the `regex` crate, found anywhere in the text, in linear time.

use std::cmp::Ordering;
use std::net::IpAddr;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

/// Memory that a compiled regular expression may take, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// A number as in a JSON document or a header field.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Whole, and compared exactly.
    Int(i128),
    /// Any other.
    Float(f64),
}

/// A word or a quoted text.
#[derive(Clone, PartialEq, Debug)]
pub struct Literal {
    /// Its bytes.
    pub text: Vec<u8>,
    /// Whether it stood in quotes: in JSON it means a string, and nothing else.
    pub is_quoted: bool,
}

/// What a value of a subject must be like.
#[derive(Clone, Debug)]
pub enum Value {
    /// One of these.
    OneOf(Vec<Literal>),
    /// It begins so.
    Begins(Vec<u8>),
    /// It ends so.
    Ends(Vec<u8>),
    /// This is in it.
    Contains(Box<Finder<'static>>),
    /// This is found in it.
    Regex(Regex),
    /// It is a number, and so compared with this one.
    Order(Comparison, Number),
}

/// `<`, `<=`, `>`, `>=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// Less, or equal if that is included.
    Less {
        /// Whether equal will do.
        or_equal: bool,
    },
    /// More, or equal if that is included.
    More {
        /// Whether equal will do.
        or_equal: bool,
    },
}

impl Value {
    /// Whether this text is like that.
    pub fn fits(&self, text: &[u8]) -> bool {
        match self {
            Self::OneOf(literals) => literals.iter().any(|literal| literal.text == text),
            Self::Begins(prefix) => text.starts_with(prefix),
            Self::Ends(suffix) => text.ends_with(suffix),
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::Regex(regex) => regex.is_match(text),
            Self::Order(comparison, number) => {
                Number::parse(text).is_some_and(|text| comparison.holds(text, *number))
            }
        }
    }

    /// Texts in which this regular expression is found.
    pub fn regex(pattern: &str, ignore_case: bool) -> Result<Self, String> {
        let regex = RegexBuilder::new(pattern)
            .case_insensitive(ignore_case)
            .size_limit(MAX_REGEX)
            .dfa_size_limit(MAX_REGEX)
            .build();
        regex.map(Self::Regex).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("a regular expression that takes more than {MAX_REGEX} bytes")
            }
            // Its last line says what, the others show where with a caret of their own.
            error => {
                let text = error.to_string();
                let what = text.lines().next_back().unwrap_or_default();
                let what = what.strip_prefix("error: ").unwrap_or(what);
                format!("not a regular expression: {what}")
            }
        })
    }

    /// Texts that this glob fits: `*` stands for any bytes but `/`, `**` for any, `/**/` for `/` too.
    pub fn glob(pattern: &str) -> Result<Self, String> {
        match pattern.split_once('*') {
            None => {
                let text = pattern.as_bytes().to_owned();
                return Ok(Self::OneOf(vec![Literal { text, is_quoted: false }]));
            }
            Some((prefix, "*")) => return Ok(Self::Begins(prefix.as_bytes().to_owned())),
            _ => {}
        }
        let mut regex = "^".to_owned();
        let mut rest = pattern;
        while !rest.is_empty() {
            let wildcards =
                [("/**/", "/(?:(?s-u:.*)/)?"), ("**", "(?s-u:.*)"), ("*", "(?s-u:[^/]*)")];
            let found =
                wildcards.iter().find_map(|(sign, regex)| Some((rest.strip_prefix(sign)?, regex)));
            if let Some((behind, wildcard)) = found {
                regex.push_str(wildcard);
                rest = behind;
                continue;
            }
            let end = rest.char_indices().skip(1).find(|(_, c)| matches!(c, '*' | '/'));
            let (plain, behind) =
                rest.split_at_checked(end.map_or(rest.len(), |(at, _)| at)).unwrap_or((rest, ""));
            regex.push_str(&regex::escape(plain));
            rest = behind;
        }
        regex.push('$');
        Self::regex(&regex, false)
    }
}

impl Number {
    /// The number that this text is.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim();
        if let Ok(int) = text.parse() {
            return Some(Self::Int(int));
        }
        // Words such as `inf` are none.
        text.parse().ok().filter(|float: &f64| float.is_finite()).map(Self::Float)
    }

    fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    /// How they compare.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(&other)),
            (one, other) => one.float().partial_cmp(&other.float()),
        }
    }
}

impl Comparison {
    /// Whether the first is so against the second.
    pub fn holds(self, one: Number, other: Number) -> bool {
        match (self, one.compare(other)) {
            (_, None) => false,
            (Self::Less { or_equal } | Self::More { or_equal }, Some(Ordering::Equal)) => or_equal,
            (Self::Less { .. }, Some(order)) => order == Ordering::Less,
            (Self::More { .. }, Some(order)) => order == Ordering::Greater,
        }
    }
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    is_v4: bool,
    bits: u128,
    /// How many of the last bits may be any.
    free: u32,
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().ok()?;
        let width: u32 = if ip.is_ipv4() { 32 } else { 128 };
        let free = width.checked_sub(prefix.unwrap_or(width))?;
        Some(Self { is_v4: ip.is_ipv4(), bits: bits(ip), free })
    }

    /// Whether this address is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        // All bits of a `u128` cannot be shifted away at once.
        let differing = (bits(ip) ^ self.bits).checked_shr(self.free).unwrap_or(0);
        ip.is_ipv4() == self.is_v4 && differing == 0
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
