//! The places of a request at which a rule's value may stand.
//!
//! In: a request. Out: its [`Place`]s, each with the value that stands there, decoded as its place asks; and how another
//! value is written there. Guaranteed: at most [`MAX_PLACES`]; places of one part do not overlap, but for cookies of the
//! same name, which share none. A body with a Content-Encoding, or whose framing can be read in two ways, has no places.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::super::json;
use super::key::{Key, Slot};
use super::rule::{Rule, Rules, Sink};
use super::source::split;
use super::{MAX_PLACES, MAX_VALUE, url};
use crate::model::{Completion, Message, Start};

/// A value in a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Which rule looks there.
    pub rule: usize,
    /// The cookie's name, where that is a part of the rule.
    pub scope: Vec<u8>,
    /// What stands there.
    pub value: Vec<u8>,
    /// Where: in the head, or in the body without chunk framing.
    pub part: Part,
    pub range: Range<usize>,
    form: Form,
    /// Whether the rule names the very place: any value there is meant.
    pub is_named: bool,
    /// The cookie whose value it is.
    pub whole: Option<Cookie>,
}

/// The part of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Head,
    Body,
}

/// A cookie among those of its field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cookie {
    /// Which of them.
    at: usize,
    /// Where each of them lies.
    all: Arc<[Range<usize>]>,
    /// The field's line, with its end.
    line: Range<usize>,
}

/// What goes when these cookies do: each with a separator, and with the last one of a field its line.
pub(super) fn without(gone: &[Cookie]) -> Vec<Range<usize>> {
    let places: BTreeSet<_> = gone.iter().map(|cookie| (cookie.line.start, cookie.at)).collect();
    let range = |cookie: &Cookie| {
        let is_gone = |at: &usize| places.contains(&(cookie.line.start, *at));
        let Some(kept) = (0..cookie.all.len()).rev().find(|at| !is_gone(at)) else {
            return Some(cookie.line.clone());
        };
        Some(match kept > cookie.at {
            true => cookie.all.get(cookie.at)?.start..cookie.all.get(cookie.at + 1)?.start,
            // Nothing stays behind the last one that does.
            false => cookie.all.get(kept)?.end..cookie.all.last()?.end,
        })
    };
    gone.iter().filter_map(range).collect()
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// In a header field.
    Field,
    /// As a part of a multipart body.
    Multipart,
    Url,
    JsonString,
    JsonNumber,
}

impl Place {
    /// The cookie, where its name is a part of the rule.
    pub fn slot(&self) -> Slot {
        Slot::named(&self.scope)
    }

    /// What stands for the value here.
    pub fn key(&self, rule: &Rule) -> Key {
        Key::value(self.rule, rule, self.slot(), &self.value)
    }

    /// How this value is written here; `None` if it cannot be.
    pub fn written(&self, value: &[u8]) -> Option<Vec<u8>> {
        let has_line_end = value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0));
        match self.form {
            Form::Field if has_line_end || value.contains(&b';') && !self.scope.is_empty() => None,
            Form::Multipart if has_line_end => None,
            // No segment at all, or another one.
            Form::Url if matches!(value, b"" | b"." | b"..") => None,
            Form::Field | Form::Multipart => Some(value.to_vec()),
            Form::Url => Some(url::encoded(value)),
            Form::JsonNumber if json::is_number(value) => Some(value.to_vec()),
            Form::JsonString | Form::JsonNumber => Some(json::quoted(value)),
        }
    }
}

/// See the module's description.
pub(super) fn places(rules: &Rules, request: &Message) -> Vec<Place> {
    let mut finder = Finder { request, places: Vec::new() };
    for (number, Rule { sink, .. }) in rules.0.iter().enumerate() {
        let is_kept = request.completion == Completion::Complete;
        let has_plain_body = is_kept
            && !request.body.is_empty()
            && request.header("content-encoding").is_none()
            && !request.anomalies.is_ambiguous();
        match sink {
            Sink::Cookies => finder.cookies(number, None),
            Sink::Cookie(name) => finder.cookies(number, Some(name)),
            Sink::Header(name, template) => {
                for field in &request.fields {
                    let value = field.value.range();
                    if request.slice(field.name).eq_ignore_ascii_case(name.as_bytes())
                        && let Some(range) = template.find(request.slice(field.value))
                    {
                        let range = value.start + range.start..value.start + range.end;
                        finder.add(number, Part::Head, range, Form::Field, true);
                    }
                }
            }
            Sink::Path => finder.path(number),
            Sink::Query(name) => finder.query(number, name),
            Sink::Form(name) if has_plain_body => finder.form(number, name),
            Sink::Json(path) if has_plain_body => {
                for range in json::find(&request.body, path, MAX_PLACES) {
                    let is_string = request.body.get(range.start) == Some(&b'"');
                    let form = if is_string { Form::JsonString } else { Form::JsonNumber };
                    finder.add(number, Part::Body, range, form, true);
                }
            }
            Sink::Form(_) | Sink::Json(_) => {}
        }
    }
    finder.places
}

struct Finder<'a> {
    request: &'a Message,
    places: Vec<Place>,
}

impl Finder<'_> {
    /// Adds a place, if a value stands there.
    fn add(&mut self, rule: usize, part: Part, range: Range<usize>, form: Form, is_named: bool) {
        if self.places.len() == MAX_PLACES {
            return;
        }
        let bytes = match part {
            Part::Head => self.request.head(),
            Part::Body => &self.request.body,
        };
        let raw = bytes.get(range.clone()).unwrap_or_default();
        let value = match form {
            Form::Field | Form::Multipart => Some(raw.to_vec()),
            Form::Url => Some(url::decoded(raw, is_named)),
            Form::JsonString | Form::JsonNumber => json::content(raw),
        };
        let value = value.filter(|value| !value.is_empty() && value.len() <= MAX_VALUE);
        if let Some(value) = value {
            let scope = Vec::new();
            self.places.push(Place {
                rule,
                scope,
                value,
                part,
                range,
                form,
                is_named,
                whole: None,
            });
        }
    }

    /// Cookies of this name, or all (RFC 6265 section 4.2).
    fn cookies(&mut self, rule: usize, name: Option<&str>) {
        let request = self.request;
        let head = request.head();
        for field in &request.fields {
            if !request.slice(field.name).eq_ignore_ascii_case(b"cookie") {
                continue;
            }
            let value = field.value.range();
            let pieces: Arc<[_]> = pieces(head, value.clone()).into();
            for (at, piece) in pieces.iter().enumerate() {
                let text = head.get(piece.clone()).unwrap_or_default();
                let Some((cookie, inner)) = split(text, b'=') else { continue };
                if name.is_some_and(|name| cookie != name.as_bytes()) {
                    continue;
                }
                let before = self.places.len();
                let start = piece.end - inner.len();
                self.add(rule, Part::Head, start..piece.end, Form::Field, name.is_some());
                let Some(place) = self.places.get_mut(before) else { continue };
                place.scope = cookie.to_vec();
                let line_end = memchr::memchr(b'\n', head.get(value.end..).unwrap_or_default());
                let line = field.name.range().start..value.end + line_end.map_or(0, |len| len + 1);
                place.whole = Some(Cookie { at, all: Arc::clone(&pieces), line });
            }
        }
    }

    /// Where in the head the target's path begins and ends, and its query.
    fn target(&self) -> Option<(Range<usize>, Range<usize>)> {
        let Start::Request { target, .. } = self.request.start else { return None };
        let whole = target.range();
        let path = self.request.path_and_query();
        let start = whole.end.checked_sub(path.len())?;
        // An absolute form may have none.
        (self.request.head().get(start..whole.end)? == path).then_some(())?;
        let is_end = |b: &u8| *b == b'#';
        let len = path.iter().position(is_end).unwrap_or(path.len());
        let query = path.iter().take(len).position(|&b| b == b'?').unwrap_or(len);
        Some((start..start + query, (start + query + 1).min(start + len)..start + len))
    }

    fn path(&mut self, rule: usize) {
        let Some((path, _)) = self.target() else { return };
        for segment in parts(self.request.head(), path, b'/') {
            self.add(rule, Part::Head, segment, Form::Url, false);
        }
    }

    fn query(&mut self, rule: usize, name: &str) {
        let Some((_, query)) = self.target() else { return };
        self.parameters(rule, Part::Head, query, name);
    }

    /// `name=value` pairs with this name.
    fn parameters(&mut self, rule: usize, part: Part, within: Range<usize>, name: &str) {
        let bytes = match part {
            Part::Head => self.request.head(),
            Part::Body => &self.request.body,
        };
        for pair in parts(bytes, within, b'&') {
            let text = bytes.get(pair.clone()).unwrap_or_default();
            let Some(sign) = memchr::memchr(b'=', text) else { continue };
            if url::decoded(text.get(..sign).unwrap_or_default(), true) == name.as_bytes() {
                self.add(rule, part, pair.start + sign + 1..pair.end, Form::Url, true);
            }
        }
    }

    fn form(&mut self, rule: usize, name: &str) {
        let kind = self.request.header("content-type").unwrap_or_default();
        let (media, rest) = split(kind, b';').unwrap_or((kind.trim_ascii(), b""));
        if media.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            self.parameters(rule, Part::Body, 0..self.request.body.len(), name);
        } else if media.eq_ignore_ascii_case(b"multipart/form-data") {
            let boundary = rest.split(|&b| b == b';').filter_map(|part| split(part, b'='));
            let boundary = boundary.filter(|(key, _)| key.eq_ignore_ascii_case(b"boundary"));
            let quotes = |b: &u8| *b != b'"';
            let boundary = boundary.map(|(_, value)| value).next().unwrap_or_default();
            let boundary: Vec<u8> = boundary.iter().copied().filter(quotes).collect();
            if !boundary.is_empty() {
                self.multipart(rule, name, &[b"--", boundary.as_slice()].concat());
            }
        }
    }

    /// Parts of this name (RFC 7578).
    fn multipart(&mut self, rule: usize, name: &str, delimiter: &[u8]) {
        let body = self.request.body.clone();
        let wanted = format!("name=\"{name}\"");
        let mut delimiters = memchr::memmem::find_iter(&body, delimiter).peekable();
        while let Some(start) = delimiters.next() {
            let start = start + delimiter.len();
            let Some(&next) = delimiters.peek() else { break };
            let part = body.get(start..next).unwrap_or_default();
            let Some(head_len) = memchr::memmem::find(part, b"\r\n\r\n") else { continue };
            let head = part.get(..head_len).unwrap_or_default();
            // Not `filename="..."`.
            let is_wanted = memchr::memmem::find_iter(head, wanted.as_bytes()).any(|at| {
                at.checked_sub(1).and_then(|at| head.get(at)).is_some_and(|b| b" ;\t".contains(b))
            });
            let content = start + head_len + 4..next.saturating_sub(2);
            if is_wanted && content.start < content.end {
                self.add(rule, Part::Body, content, Form::Multipart, true);
            }
        }
    }
}

/// The parts of a range between these bytes.
fn parts(bytes: &[u8], within: Range<usize>, at: u8) -> Vec<Range<usize>> {
    let mut start = within.start;
    let text = bytes.get(within).unwrap_or_default();
    let part = |part: &[u8]| {
        let range = start..start + part.len();
        start = range.end + 1;
        range
    };
    text.split(|&b| b == at).map(part).collect()
}

/// The cookies of a field's value, without the white space around them.
fn pieces(head: &[u8], value: Range<usize>) -> Vec<Range<usize>> {
    let trimmed = |range: Range<usize>| {
        let text = head.get(range.clone()).unwrap_or_default();
        let start = range.start + text.len() - text.trim_ascii_start().len();
        start..start + text.trim_ascii().len()
    };
    parts(head, value, b';').into_iter().map(trimmed).filter(|piece| !piece.is_empty()).collect()
}
