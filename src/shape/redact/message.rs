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
use super::super::lines::fields_start;
use super::bodies::Unreadable;
use super::parameters::{self, Text};
use super::{Redactor, patterns};
use crate::model::message::Start;
use crate::model::{Completion, Message};

/// A body with its edits, where there are any, and what of it goes on the wire.
type Bodies<'m> = (Option<Vec<u8>>, Cow<'m, [u8]>);

impl Redactor {
    /// The message without its secrets; [`Message::redacted`] counts them. A body that cannot be looked into is left out.
    pub fn redact(&self, message: Message) -> Message {
        self.try_redact(message).unwrap_or_else(|without_body| *without_body)
    }

    /// The same; `Err` with what is left where the body had to be left out.
    pub fn try_redact(&self, mut message: Message) -> Result<Message, Box<Message>> {
        if message.body.is_empty() && message.body_len > 0 && self.rules.has_bodies() {
            // Of a body that is not here nothing can be told, and a digest can be guessed from.
            message.body_sha256 = None;
        }
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
        let trailer_edits = trailers.map_or_else(Vec::new, |start| {
            self.with_patterns(&wire, start..wire.len(), self.edits(&wire, start))
        });
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
        let mut edits = match message.start {
            Start::Request { target, .. } => {
                let (queries, place) = (&self.rules.queries, target.range());
                let text = message.target();
                let edits = parameters::edits(text, place.start, Text::Url, queries, &self.cover);
                self.with_patterns(head, place, edits)
            }
            Start::Response { reason, .. } => self.with_patterns(head, reason.range(), Vec::new()),
        };
        let fields = self.edits(head, start);
        edits.append(&mut self.with_patterns(head, start..head.len(), fields));
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
