//! The values that an answer gives.
//!
//! In: the fields and the body of an answer, v1's or v2's. Out: [`Given`] values, each under its rule and its slot: the
//! values of two answers to the same request are compared slot by slot. Guaranteed: at most [`MAX_PLACES`] values, none longer
//! than [`MAX_VALUE`].

use super::super::json;
use super::key::Slot;
use super::rule::{Rule, Rules, Source};
use super::{MAX_PLACES, MAX_VALUE, coding, date, url};

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Given {
    /// Which rule takes it.
    pub rule: usize,
    /// Which of several under that rule.
    pub slot: Slot,
    /// The value; `None` for a cookie that is deleted.
    pub value: Option<Vec<u8>>,
}

/// What an answer gives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Gifts {
    pub given: Vec<Given>,
    /// Whether a rule wanted to look into the body, and not all of it could be looked at.
    pub is_unread: bool,
}

/// An answer as it is looked at.
pub(super) struct Answer<'a> {
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    pub body: &'a [u8],
    /// Whether that is all of it.
    pub is_whole: bool,
}

impl Answer<'_> {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let is_named = |(n, _): &&(&[u8], &[u8])| n.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(is_named).map(|(_, value)| *value)
    }
}

/// See the module's description.
pub(super) fn gifts(rules: &Rules, answer: &Answer<'_>) -> Gifts {
    let mut gifts = Gifts::default();
    let codings: Vec<_> = answer.values("content-encoding").collect();
    let (body, is_decoded) = match rules.read_bodies() {
        true => coding::decoded(answer.body, &codings),
        false => Default::default(),
    };
    gifts.is_unread = rules.read_bodies() && !(answer.is_whole && is_decoded);
    let is_html = answer
        .values("content-type")
        .any(|value| value.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"text/html")));
    for (number, Rule { source, .. }) in rules.0.iter().enumerate() {
        let mut gift = |slot: Slot, value: Option<Vec<u8>>| {
            let is_short = value.as_ref().is_none_or(|value| value.len() <= MAX_VALUE);
            if is_short && gifts.given.len() < MAX_PLACES {
                gifts.given.push(Given { rule: number, slot, value });
            }
        };
        match source {
            Source::Cookies => {
                cookies(answer).for_each(|(name, value)| gift(Slot::named(name), value));
            }
            Source::Cookie(wanted) => cookies(answer)
                .filter(|(name, _)| *name == wanted.as_bytes())
                .for_each(|(name, value)| gift(Slot::named(name), value)),
            Source::Header(name, template) => {
                for (at, value) in answer.values(name).enumerate() {
                    let found = template.find(value).and_then(|range| value.get(range));
                    found
                        .into_iter()
                        .for_each(|value| gift(Slot::number(at), Some(value.to_vec())));
                }
            }
            Source::Json(path) => {
                for (at, range) in json::find(&body, path, MAX_PLACES).into_iter().enumerate() {
                    let value = body.get(range).and_then(json::content);
                    value.into_iter().for_each(|value| gift(Slot::number(at), Some(value)));
                }
            }
            Source::Regex(regex) => {
                let found = regex.captures_iter(&body).filter_map(|found| found.get(1));
                for (at, value) in found.take(MAX_PLACES).enumerate() {
                    let value = match is_html {
                        true => url::without_references(value.as_bytes()),
                        false => value.as_bytes().to_vec(),
                    };
                    gift(Slot::number(at), Some(value));
                }
            }
        }
    }
    gifts
}

/// Cookies that an answer sets (RFC 6265 section 5.2): name, and value or none for one that it deletes.
fn cookies<'a>(answer: &'a Answer<'a>) -> impl Iterator<Item = (&'a [u8], Option<Vec<u8>>)> {
    // Against v2's own clock: nothing here has one.
    let now = answer.values("date").next().and_then(date::parse).unwrap_or((2000, 0, 1, 0));
    answer.values("set-cookie").filter_map(move |value| {
        let mut parts = value.split(|&b| b == b';');
        let (name, value) = split(parts.next()?, b'=')?;
        let (mut max_age, mut expires) = (None, None);
        for part in parts {
            let (key, value) = split(part, b'=').unwrap_or((part.trim_ascii(), b""));
            if key.eq_ignore_ascii_case(b"max-age") {
                let is_number = |text: &&str| text.trim_start_matches('-').parse::<u64>().is_ok();
                let text = std::str::from_utf8(value).ok().filter(is_number);
                max_age = text.map(|text| text.starts_with('-') || text.bytes().all(|b| b == b'0'));
            } else if key.eq_ignore_ascii_case(b"expires") {
                expires = date::parse(value).map(|at| at <= now);
            }
        }
        // RFC 6265 section 5.3: Max-Age counts before Expires.
        let is_deleted = max_age.or(expires).unwrap_or(false);
        Some((name, (!is_deleted).then(|| value.to_vec())))
    })
}

/// What stands before and behind this byte, without white space around either; nothing without a name.
pub(super) fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (name, value) = text.split_at_checked(memchr::memchr(at, text)?)?;
    let name = name.trim_ascii();
    (!name.is_empty()).then_some((name, value.get(1..)?.trim_ascii()))
}
