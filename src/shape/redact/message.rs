//! A whole message redacted: its target, its fields, its body, its trailer section, and the framing that goes with it.
//!
//! In: a message, whole or not. Out: the same without what the rules name. Guaranteed: its spans fit its bytes; a body
//! of another length is framed anew (see [`super::super::body`]). A body that has to be looked into and cannot be read (coded,
//! no JSON although it looks like it, ambiguous framing) is left out rather than let through: who sends must not send
//! such a message at all.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::body::{self, Framing};
use super::super::edits::{Edit, Shifts, edited, merged, push_edited};
use super::super::json::{self, Act, Leaf, Rule, Where};
use super::super::lines::fields_start;
use super::super::query::{Pair, pairs};
use super::super::rewrite::query_of;
use super::rules::RedactWith;
use super::{Redactor, multipart, patterns};
use crate::model::message::Start;
use crate::model::{Completion, Message};

/// A body that cannot be looked into.
struct Unreadable;

/// A body with its edits, where there are any, and what of it goes on the wire.
type Bodies<'m> = (Option<Vec<u8>>, Cow<'m, [u8]>);

impl Redactor {
    /// The message without its secrets; [`Message::redacted`] counts them. A body that cannot be looked into is left out.
    pub fn redact(&self, message: Message) -> Message {
        self.try_redact(message).unwrap_or_else(|without_body| *without_body)
    }

    /// The same; `Err` with what is left where the body had to be left out.
    pub fn try_redact(&self, message: Message) -> Result<Message, Box<Message>> {
        match self.body_edits(&message) {
            Ok(edits) => match self.redacted(message, &edits) {
                Ok(message) => Ok(message),
                Err(message) => Err(Box::new(self.without_body(*message))),
            },
            Err(Unreadable) => Err(Box::new(self.without_body(message))),
        }
    }

    /// The message with these edits in its body; as it came where they cannot be framed.
    fn redacted(&self, message: Message, body_edits: &[Edit]) -> Result<Message, Box<Message>> {
        let Some((body, wire)) = self.wire(&message, body_edits) else {
            return Err(Box::new(message));
        };
        let mut head_edits = self.head_edits(&message);
        let secrets = head_edits.len() + body_edits.len();
        if !message.chunked {
            let by = body.as_ref().map_or(0, |body| body.len() as i64 - message.body.len() as i64);
            head_edits = with_length(&message, head_edits, by);
        }
        let trailers = message.chunked.then(|| (self.find_trailers)(&wire)).flatten();
        let trailer_edits = trailers.map_or_else(Vec::new, |start| self.edits(&wire, start));
        let count = secrets + trailer_edits.len();
        if count == 0 {
            return Ok(message);
        }
        let mut raw = Vec::with_capacity(message.raw.len() + count * super::VALUE_LEN);
        push_edited(&mut raw, message.head(), &head_edits);
        let head_len = raw.len();
        push_edited(&mut raw, &wire, &trailer_edits);
        let is_kept = !wire.is_empty();
        drop(wire);
        let mut message = put_head(message, &head_edits);
        message.raw = Bytes::from(raw);
        message.head_len = head_len;
        if let Some(body) = body {
            message.body_len = message.body_len + body.len() as u64 - message.body.len() as u64;
            message.body_sha256 = message.body_sha256.map(|_| Sha256::digest(&body).into());
            message.body = Bytes::from(body);
        }
        if is_kept && !message.chunked {
            message.body = message.raw.slice(head_len..);
        }
        Ok(counted(message, count))
    }

    /// The body with its edits, where there are any, and what of it goes on the wire.
    fn wire<'m>(&self, message: &'m Message, edits: &[Edit]) -> Option<Bodies<'m>> {
        if edits.is_empty() {
            return Some((None, Cow::Borrowed(message.wire_body())));
        }
        let body = edited(&message.body, edits);
        let is_whole = message.completion == Completion::Complete;
        let keeps_length = body.len() == message.body.len();
        let wire = match body::framing(message) {
            Some(Framing::Chunked) if is_whole => {
                let mut wire = Vec::with_capacity(body.len() + 64);
                body::push_chunked(&mut wire, message, &body, self.find_trailers);
                wire
            }
            Some(Framing::Length) => body.clone(),
            None if keeps_length && !message.chunked => body.clone(),
            _ => return None,
        };
        Some((Some(body), Cow::Owned(wire)))
    }

    /// What is left where the body has to go.
    fn without_body(&self, message: Message) -> Message {
        let edits = self.head_edits(&message);
        let raw = edited(message.head(), &edits);
        let mut message = put_head(message, &edits);
        message.head_len = raw.len();
        message.raw = Bytes::from(raw);
        message.body = Bytes::new();
        message.body_sha256 = None;
        message.completion = Completion::Incomplete;
        counted(message, edits.len() + 1)
    }

    /// What is to be replaced in target and fields.
    fn head_edits(&self, message: &Message) -> Vec<Edit> {
        let head = message.head();
        let start = fields_start(head);
        let mut edits = Vec::new();
        if let Start::Request { target, .. } = message.start {
            let place = target.range();
            edits = self.target_edits(message.target(), place.start);
            edits = self.with_patterns(head, place, edits);
        }
        let fields = self.edits(head, start);
        edits.append(&mut self.with_patterns(head, start..head.len(), fields));
        edits
    }

    fn target_edits(&self, target: &[u8], offset: usize) -> Vec<Edit> {
        if self.rules.queries.is_empty() {
            return Vec::new();
        }
        let Some(place) = query_of(target) else { return Vec::new() };
        let text = target.get(place.clone()).unwrap_or_default();
        self.pair_edits(text, offset + place.start, &self.rules.queries)
    }

    /// Of parameters that begin at `offset`, those with one of these names.
    fn pair_edits(&self, text: &[u8], offset: usize, names: &[String]) -> Vec<Edit> {
        let at = |place: Range<usize>| offset + place.start..offset + place.end;
        let is_named = |pair: &Pair| names.iter().any(|name| pair.is(text, name.as_bytes()));
        let mut edits = Vec::new();
        let mut is_behind = false;
        for pair in pairs(text) {
            if !is_named(&pair) {
                is_behind = true;
                continue;
            }
            if self.cover.with == RedactWith::Drop {
                let all = pair.all();
                let place = match is_behind {
                    true => all.start - 1..all.end,
                    false => all.start..(all.end + 1).min(text.len()),
                };
                edits.push(Edit::new(at(place), []));
            } else if !pair.value.is_empty() {
                let value = text.get(pair.value.clone()).unwrap_or_default();
                edits.push(Edit::new(at(pair.value), self.cover.parameter(value)));
            }
        }
        edits
    }

    /// These edits, and what patterns find in this part of the bytes.
    fn with_patterns(&self, bytes: &[u8], part: Range<usize>, edits: Vec<Edit>) -> Vec<Edit> {
        if self.rules.patterns.is_empty() {
            return edits;
        }
        let text = bytes.get(part.clone()).unwrap_or_default();
        let cover = |place: Range<usize>| self.cover.pattern(bytes.get(place).unwrap_or_default());
        let found = patterns::find(text, &self.rules.patterns).into_iter();
        let found: Vec<_> = found
            .map(|place| part.start + place.start..part.start + place.end)
            .map(|place| Edit::new(place.clone(), cover(place)))
            .collect();
        merged(edits, &found, cover)
    }

    fn body_edits(&self, message: &Message) -> Result<Vec<Edit>, Unreadable> {
        let body = &message.body;
        if body.is_empty() || !self.rules.has_bodies() {
            return Ok(Vec::new());
        }
        let kind = message.header("content-type").unwrap_or_default();
        let boundary = multipart::boundary(kind);
        let lower = kind.to_ascii_lowercase();
        let is_urlencoded = lower.starts_with(b"application/x-www-form-urlencoded");
        let has_forms = !self.rules.forms.is_empty();
        if body::is_coded(message) {
            let may_be_json = kind.is_empty() || body::says_json(message);
            let is_looked_at = !self.rules.patterns.is_empty()
                || self.rules.has_json() && may_be_json
                || has_forms && (is_urlencoded || boundary.is_some());
            return if is_looked_at { Err(Unreadable) } else { Ok(Vec::new()) };
        }
        let mut edits = Vec::new();
        if has_forms && is_urlencoded {
            edits = self.pair_edits(body, 0, &self.rules.forms);
        } else if let Some(boundary) = boundary.filter(|_| has_forms) {
            edits = self.part_edits(body, &boundary)?;
        } else if self.rules.has_json() && body::may_be_json(message) {
            edits = self.json_edits(body)?;
        }
        Ok(self.with_patterns(body, 0..body.len(), edits))
    }

    fn part_edits(&self, body: &[u8], boundary: &[u8]) -> Result<Vec<Edit>, Unreadable> {
        let is_named = |name: &[u8]| self.rules.forms.iter().any(|n| n.as_bytes() == name);
        let parts = multipart::parts(body, boundary, is_named).ok_or(Unreadable)?;
        let edit = |place: Range<usize>| {
            let value = match self.cover.with {
                RedactWith::Drop => Vec::new(),
                RedactWith::Hash | RedactWith::Mask => {
                    self.cover.text(body.get(place.clone()).unwrap_or_default())
                }
            };
            Edit::new(place, value)
        };
        Ok(parts.into_iter().filter(|place| !place.is_empty()).map(edit).collect())
    }

    fn json_edits(&self, body: &[u8]) -> Result<Vec<Edit>, Unreadable> {
        let cover = |leaf: Leaf, text: &[u8]| self.cover.leaf(leaf, text);
        let act = match self.cover.with {
            RedactWith::Drop => Act::Remove,
            RedactWith::Hash | RedactWith::Mask => Act::Leaves(&cover),
        };
        let paths = self.rules.paths.iter().map(|path| Rule { place: Where::Path(path), act });
        let names = self.rules.names.iter().map(|name| Rule { place: Where::Name(name), act });
        let rules: Vec<_> = paths.chain(names).collect();
        json::edits(body, &rules).ok_or(Unreadable)
    }
}

fn counted(mut message: Message, count: usize) -> Message {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    message.redacted = message.redacted.saturating_add(count);
    message
}

/// The message with its spans where its head's bytes are behind these edits.
fn put_head(mut message: Message, edits: &[Edit]) -> Message {
    let shifts = Shifts::new(edits);
    if let Start::Request { target, .. } = &mut message.start {
        shifts.span(target);
    }
    message.fields.retain_mut(|field| shifts.apply(field));
    message
}

/// These edits, and each Content-Length so much more or less.
fn with_length(message: &Message, edits: Vec<Edit>, by: i64) -> Vec<Edit> {
    if by == 0 {
        return edits;
    }
    let lengths = message.fields.iter().filter_map(|field| {
        let is_it = message.slice(field.name).eq_ignore_ascii_case(b"content-length");
        let value = std::str::from_utf8(message.slice(field.value)).ok().filter(|_| is_it)?;
        // `5, 5` is one length.
        let len: i64 = value.split(',').next()?.trim().parse().ok()?;
        Some(Edit::new(field.value.range(), (len + by).max(0).to_string()))
    });
    let lengths: Vec<_> = lengths.collect();
    merged(lengths, &edits, |_| Vec::new())
}
