//! What rules change in a copy before it goes to v2.
//!
//! In: a whole request. Out: its bytes as the rules want them, to be read again as a message; or that nothing changed; or
//! why there can be no such request. Guaranteed: every byte that no rule names stays (order, case, spacing, folding, chunk
//! framing unless the body changes); the body's framing is right; no rule adds a line or a request, whatever stands in
//! values, files or captures; linear time (what regular expressions may look at again and again has a limit), and no more memory
//! than a few times the request.
//!
//! The order is fixed, whatever the order of the flags; rules of one kind go in the order in which they were given:
//!
//! 1. the Idempotency-Key;
//! 2. header fields: renamed, removed, replaced by regular expression, set, added;
//! 3. the target: path and query by regular expression, parameters removed, parameters set;
//! 4. the JSON body: members removed (all see the document as it came), members set.

pub(super) mod head;
pub mod parse;
mod target;
mod value;

use std::borrow::Cow;

use regex::bytes::Regex;
use sha2::{Digest, Sha256};

use self::head::Head;
pub use self::parse::Replace;
pub use self::value::{Source, Value};
use super::body::{self, Framing};
use super::edits::edited;
use super::json::{self, Act, JsonPath, Rule, Where};
use super::lines::is_value;
use super::redact::FindTrailers;
use crate::model::Message;

/// A longer target or value is not made.
const LONGEST: usize = 64 << 10;

/// Bytes that regular expressions may look at in one request behind their first matches: each further one is looked for
/// from the end of the one before, and may take a look at all that is left, so that many in a long text are no linear time.
/// Every text of 2 KiB may match at each byte, one of 64 KiB 64 times.
const LOOKED_AT: usize = 4 << 20;

/// What becomes of the Idempotency-Key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IdempotencyKey {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Strip,
    /// Another takes its place, the same for the same: retries stay retries, and v2's provider sees none of v1's.
    Rewrite,
}

/// What a member of a document is set to.
#[derive(Clone, Debug)]
pub enum MemberValue {
    /// This JSON.
    Json(Vec<u8>),
    /// A text, as a string.
    Text(Value),
}

impl MemberValue {
    /// A text that is JSON is that; every other is a string.
    pub fn of(text: &str) -> Self {
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Self::Json(text.trim().into()),
            Err(_) => Self::Json(json::quoted(text.as_bytes())),
        }
    }

    fn json(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Json(json) => Cow::Borrowed(json),
            Self::Text(value) => {
                Cow::Owned(json::quoted(String::from_utf8_lossy(&value.get()).as_bytes()))
            }
        }
    }
}

/// The rules, of each kind in their order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What becomes of the Idempotency-Key.
    pub idempotency_key: IdempotencyKey,
    /// Fields that get another name.
    pub renamed_fields: Vec<(String, String)>,
    /// Fields that go.
    pub removed_fields: Vec<String>,
    /// Fields whose values are replaced where a regular expression fits.
    pub replaced_fields: Vec<(String, Replace)>,
    /// Fields that are to stand there once, with a value.
    pub set_fields: Vec<(String, Value)>,
    /// Fields that are added, whatever there is.
    pub added_fields: Vec<(String, Value)>,
    /// What is replaced in path and query.
    pub replaced_paths: Vec<Replace>,
    /// Query parameters that go.
    pub removed_parameters: Vec<String>,
    /// Query parameters that are to stand there once.
    pub set_parameters: Vec<(String, Value)>,
    /// Members of JSON bodies that go.
    pub removed_members: Vec<JsonPath>,
    /// Members of JSON bodies that are set.
    pub set_members: Vec<(JsonPath, MemberValue)>,
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rewritten {
    /// No rule fitted.
    Same {
        /// Whether rules for JSON were passed over, since the body could not be read.
        passed_over: bool,
    },
    /// Its bytes now.
    Changed {
        /// All of them.
        raw: Vec<u8>,
        /// Whether rules for JSON were passed over, since the body could not be read.
        passed_over: bool,
    },
    /// The rules would make something of it that is no request.
    Invalid(&'static str),
}

/// Rules ready to be used.
pub struct Rewriter {
    rules: Rules,
    /// How many of the members that are set go in one pass: none of them touches another.
    groups: Vec<usize>,
    find_trailers: FindTrailers,
}

type Invalid = &'static str;

impl Rewriter {
    /// With these rules; more than 64 for JSON of one kind are too many.
    pub fn new(rules: Rules, find_trailers: FindTrailers) -> Result<Self, String> {
        if rules.removed_members.len().max(rules.set_members.len()) > json::MOST {
            return Err(format!("there are more than {} rules of one kind for JSON", json::MOST));
        }
        let mut groups: Vec<usize> = Vec::new();
        let mut first = 0;
        for (n, (path, _)) in rules.set_members.iter().enumerate() {
            let group = rules.set_members.get(first..n).unwrap_or_default();
            if n == 0 || group.iter().any(|(other, _)| other.touches(path)) {
                first = n;
                groups.push(0);
            }
            if let Some(last) = groups.last_mut() {
                *last += 1;
            }
        }
        Ok(Self { rules, groups, find_trailers })
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        let r = &self.rules;
        usize::from(r.idempotency_key != IdempotencyKey::Keep)
            + r.renamed_fields.len()
            + r.removed_fields.len()
            + r.replaced_fields.len()
            + r.set_fields.len()
            + r.added_fields.len()
            + r.replaced_paths.len()
            + r.removed_parameters.len()
            + r.set_parameters.len()
            + r.removed_members.len()
            + r.set_members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The request as the rules want it.
    pub fn apply(&self, message: &Message) -> Rewritten {
        match self.changed(message) {
            Ok((Some(raw), passed_over)) => Rewritten::Changed { raw, passed_over },
            Ok((None, passed_over)) => Rewritten::Same { passed_over },
            Err(why) => Rewritten::Invalid(why),
        }
    }

    fn changed(&self, message: &Message) -> Result<(Option<Vec<u8>>, bool), Invalid> {
        let Some(mut head) = Head::of(message) else { return Err("it is no request") };
        let mut left = LOOKED_AT;
        self.idempotency_key(&mut head);
        self.fields(&mut head, &mut left)?;
        self.target(&mut head, &mut left)?;
        let (body, passed_over) = self.body(message)?;
        let framing = body::framing(message);
        if let (Some(body), Some(Framing::Length)) = (&body, framing)
            && body.len() != message.body.len()
        {
            head.set_length(body.len());
        }
        if !head.is_changed && body.is_none() {
            return Ok((None, passed_over));
        }
        let mut raw = Vec::with_capacity(message.raw.len() + 256);
        head.write(&mut raw);
        match (body, framing) {
            (None, _) => raw.extend_from_slice(message.wire_body()),
            (Some(_), None) => return Err("the framing of its body can be read in two ways"),
            (Some(body), Some(Framing::Length)) => raw.extend_from_slice(&body),
            (Some(body), Some(Framing::Chunked)) => {
                body::push_chunked(&mut raw, message, &body, self.find_trailers);
            }
        }
        Ok((Some(raw), passed_over))
    }

    fn idempotency_key(&self, head: &mut Head<'_>) {
        const NAME: &str = "idempotency-key";
        match self.rules.idempotency_key {
            IdempotencyKey::Keep => {}
            IdempotencyKey::Strip => head.remove(NAME, 0),
            IdempotencyKey::Rewrite => {
                let mut is_changed = false;
                for line in head.named(NAME) {
                    let key = another_key(line.value());
                    line.set_value(&key);
                    is_changed = true;
                }
                head.is_changed |= is_changed;
            }
        }
    }

    fn fields(&self, head: &mut Head<'_>, left: &mut usize) -> Result<(), Invalid> {
        for (old, new) in &self.rules.renamed_fields {
            let mut is_changed = false;
            for line in head.named(old) {
                line.set_name(new);
                is_changed = true;
            }
            head.is_changed |= is_changed;
        }
        for name in &self.rules.removed_fields {
            head.remove(name, 0);
        }
        for (name, replace) in &self.rules.replaced_fields {
            let mut is_changed = false;
            for line in head.named(name) {
                // On one line, so that nothing of a fold comes out of a capture.
                if let Some(value) = replaced(replace, &unfolded(line.value()), left)? {
                    if !is_value(&value) {
                        return Err("a field would get a control character");
                    }
                    line.set_value(&value);
                    is_changed = true;
                }
            }
            head.is_changed |= is_changed;
        }
        for (name, value) in &self.rules.set_fields {
            let value = value.get();
            let Some(first) = head.named(name).next() else {
                head.add(name, &value);
                continue;
            };
            if *first.value() != *value {
                first.set_value(&value);
                head.is_changed = true;
            }
            head.remove(name, 1);
        }
        for (name, value) in &self.rules.added_fields {
            head.add(name, &value.get());
        }
        Ok(())
    }

    fn target(&self, head: &mut Head<'_>, left: &mut usize) -> Result<(), Invalid> {
        let mut is_changed = false;
        for replace in &self.rules.replaced_paths {
            let Some(place) = target::path_and_query(&head.target) else { break };
            let text = head.target.get(place.clone()).unwrap_or_default();
            if let Some(path) = replaced(replace, text, left)? {
                let front = head.target.get(..place.start).unwrap_or_default();
                let begins = match front {
                    [] => path.starts_with(b"/"),
                    _ => matches!(path.first(), None | Some(b'/' | b'?')),
                };
                if !begins {
                    return Err("its path would not begin with a slash");
                }
                head.target = [front, &path].concat().into();
                is_changed = true;
            }
        }
        for name in &self.rules.removed_parameters {
            if let Some(changed) = target::remove_parameter(&head.target, name) {
                head.target = changed.into();
                is_changed = true;
            }
        }
        for (name, value) in &self.rules.set_parameters {
            if let Some(changed) = target::set_parameter(&head.target, name, &value.get()) {
                head.target = changed.into();
                is_changed = true;
            }
        }
        if !is_changed {
            return Ok(());
        }
        head.is_changed = true;
        if head.target.len() > LONGEST {
            return Err("its target would be too long");
        }
        match head.target.iter().any(|&b| b <= b' ' || b == 0x7f) {
            true => Err("its target would have a space or a control character"),
            false => Ok(()),
        }
    }

    /// The new body, if it changes, and whether rules were passed over.
    fn body(&self, message: &Message) -> Result<(Option<Vec<u8>>, bool), Invalid> {
        let has_rules =
            !self.rules.removed_members.is_empty() || !self.rules.set_members.is_empty();
        if !has_rules || message.body.is_empty() || !body::may_be_json(message) {
            return Ok((None, false));
        }
        if body::is_coded(message) {
            return Ok((None, true));
        }
        let removed = self.rules.removed_members.iter();
        let removed: Vec<_> =
            removed.map(|path| Rule { place: Where::Path(path), act: Act::Remove }).collect();
        let mut body = Cow::Borrowed(&message.body[..]);
        if !removed.is_empty() && !pass(&mut body, &removed) {
            return Ok((None, true));
        }
        let mut members = self.rules.set_members.iter();
        for &len in &self.groups {
            let group: Vec<_> =
                members.by_ref().take(len).map(|(path, value)| (path, value.json())).collect();
            let rules: Vec<_> = group
                .iter()
                .map(|(path, value)| Rule { place: Where::Path(path), act: Act::Set(value) })
                .collect();
            if !pass(&mut body, &rules) {
                return Ok((None, true));
            }
        }
        Ok(match body {
            Cow::Borrowed(_) => (None, false),
            Cow::Owned(body) if body == message.body => (None, false),
            Cow::Owned(body) => (Some(body), false),
        })
    }
}

/// One pass over a document; false when it is none.
fn pass(body: &mut Cow<'_, [u8]>, rules: &[Rule<'_>]) -> bool {
    let Some(edits) = json::edits(body, rules) else { return false };
    if !edits.is_empty() {
        *body = Cow::Owned(edited(body, &edits));
    }
    true
}

/// What stands there once everything that fits is replaced; `None` where nothing does. `left` is what may be looked at behind
/// matches.
fn replaced(replace: &Replace, text: &[u8], left: &mut usize) -> Result<Option<Vec<u8>>, Invalid> {
    let regex: &Regex = &replace.regex;
    if !regex.is_match(text) {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(text.len() + replace.replacement.len());
    let mut at = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.extend_from_slice(text.get(at..whole.start()).unwrap_or_default());
        captures.expand(&replace.replacement, &mut out);
        at = whole.end();
        if out.len() > LONGEST {
            return Err("a rule would make something too long");
        }
        let Some(less) = left.checked_sub(text.len().saturating_sub(at)) else {
            return Err("a regular expression fits too often in a text of that length");
        };
        *left = less;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    Ok(Some(out).filter(|out| out != text))
}

/// A value on one line: each fold is a space (RFC 9112 section 5.2).
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let lines: Vec<_> = value.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).collect();
    Cow::Owned(lines.join(&b' '))
}

/// Another key, the same for the same: in the form of a UUID of version 8 (RFC 9562 section 5.8), since many servers
/// want one, with the quotes that the captured one had.
fn another_key(key: &[u8]) -> Vec<u8> {
    let inner = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\""));
    let digest = Sha256::new().chain_update(b"shadowtap idempotency key\0");
    let digest = digest.chain_update(inner.unwrap_or(key)).finalize();
    let mut text = String::with_capacity(38);
    for (n, byte) in digest.iter().take(16).enumerate() {
        let byte = match n {
            6 => byte & 0x0f | 0x80,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    match inner {
        Some(_) => format!("\"{text}\"").into_bytes(),
        None => text.into_bytes(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What more there is in a text, the less often a rule may fit in it: behind each match all of the rest may be looked at.
    #[test]
    fn what_regular_expressions_look_at_has_a_limit() {
        let to_the_end = parse::replacing("a(?:.*z)? => b").unwrap();
        let made = |len: usize, left: &mut usize| replaced(&to_the_end, &vec![b'a'; len], left);
        let mut left = LOOKED_AT;
        assert_eq!(made(2 << 10, &mut left), Ok(Some(vec![b'b'; 2 << 10])));
        assert_eq!(made(2 << 10, &mut left), Ok(Some(vec![b'b'; 2 << 10])), "and once more");
        assert!(made(2 << 10, &mut left).is_err(), "the limit is one of all rules together");
        for len in [4 << 10, 60 << 10] {
            assert!(made(len, &mut { LOOKED_AT }).is_err_and(|why| why.contains("too often")));
        }
        let mut long = [b'c'; 64 << 10];
        long.iter_mut().step_by(1024).for_each(|byte| *byte = b'a');
        let made = replaced(&to_the_end, &long, &mut { LOOKED_AT });
        assert_eq!(made.map(|made| made.unwrap_or_default().len()), Ok(64 << 10), "64 places");
    }
}
