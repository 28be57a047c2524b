//! What rules name in a body: members of JSON, fields of forms and of multipart, and what patterns find.
//!
//! In: a message. Out: edits of its body, or that it cannot be looked into. Guaranteed: nothing passes because of what the
//! fields say, or do not say, of a body: one that begins as JSON is looked at as JSON, one without a type as a form too, and of
//! several types each counts. What was JSON is JSON afterwards.

use std::ops::Range;

use super::super::body;
use super::super::edits::{Edit, merged};
use super::super::json::{self, Act, Leaf, Rule, Where};
use super::parameters::{self, Text};
use super::rules::RedactWith;
use super::{Redactor, leaf, multipart, patterns};
use crate::model::Message;

/// A body that cannot be looked into.
pub(super) struct Unreadable;

/// Multipart within multipart, so deep.
const DEPTH: usize = 4;

/// What Content-Type fields say: all of them together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Kinds {
    has_some: bool,
    is_json: bool,
    is_urlencoded: bool,
    is_plain: bool,
    is_multipart: bool,
    /// Of those that are multipart.
    boundaries: Vec<Option<Vec<u8>>>,
}

impl Kinds {
    /// Takes the value of another field.
    pub fn add(&mut self, value: &[u8]) {
        let lower = value.to_ascii_lowercase();
        let says = |text: &str| memchr::memmem::find(&lower, text.as_bytes()).is_some();
        self.has_some |= !value.is_empty();
        self.is_json |= says("json");
        self.is_urlencoded |= says("x-www-form-urlencoded");
        self.is_plain |= says("text/plain");
        if says("multipart/") {
            self.is_multipart = true;
            let boundary = multipart::boundary(value);
            if !self.boundaries.contains(&boundary) {
                self.boundaries.push(boundary);
            }
        }
    }

    fn of(message: &Message) -> Self {
        let mut kinds = Self::default();
        let is_it = |name: &[u8]| name.eq_ignore_ascii_case(b"content-type");
        message.headers().filter(|(name, _)| is_it(name)).for_each(|(_, value)| kinds.add(value));
        kinds
    }

    /// Whether nothing stands against its being anything.
    fn is_open(&self) -> bool {
        !self.has_some || self.is_plain
    }

    /// The only boundary.
    fn boundary(&self) -> Option<&[u8]> {
        match self.boundaries.as_slice() {
            [boundary] => boundary.as_deref(),
            _ => None,
        }
    }
}

/// What is to be replaced.
#[derive(Default)]
struct Found {
    /// By rules that name it.
    named: Vec<Edit>,
    /// By patterns, in documents.
    matched: Vec<Edit>,
    /// Those documents: patterns were looked for leaf by leaf.
    documents: Vec<Range<usize>>,
}

impl Found {
    /// Adds what lies behind it.
    fn append(&mut self, mut behind: Self) {
        self.named.append(&mut behind.named);
        self.matched.append(&mut behind.matched);
        self.documents.append(&mut behind.documents);
    }
}

impl Redactor {
    /// What is to be replaced in the body.
    pub(super) fn body_edits(&self, message: &Message) -> Result<Vec<Edit>, Unreadable> {
        let body = &message.body;
        if body.is_empty() || !self.rules.has_bodies() {
            return Ok(Vec::new());
        }
        let kinds = Kinds::of(message);
        if body::is_coded(message) {
            let may_have_fields =
                kinds.is_open() || kinds.is_json || kinds.is_urlencoded || kinds.is_multipart;
            let is_looked_at =
                !self.rules.patterns.is_empty() || self.has_fields() && may_have_fields;
            return if is_looked_at { Err(Unreadable) } else { Ok(Vec::new()) };
        }
        Ok(self.with_matches(body, self.content(body, 0..body.len(), &kinds, DEPTH)?))
    }

    /// Whether rules name fields of bodies.
    fn has_fields(&self) -> bool {
        self.rules.has_json() || !self.rules.forms.is_empty()
    }

    /// Looks at a body, or at the content of a part of one; `depth` is how much deeper it may go.
    fn content(
        &self,
        body: &[u8],
        place: Range<usize>,
        kinds: &Kinds,
        depth: usize,
    ) -> Result<Found, Unreadable> {
        let mut found = Found::default();
        let text = body.get(place.clone()).unwrap_or_default();
        if text.is_empty() {
            return Ok(found);
        }
        if kinds.is_multipart {
            match self.parts(body, place.clone(), kinds, depth) {
                Some(parts) => found = parts,
                None if self.has_fields() => return Err(Unreadable),
                // Patterns alone are looked for in any bytes.
                None => {}
            }
        }
        let is_document = self.document(text, place.start, kinds, &mut found)?;
        let is_whole = depth == DEPTH;
        if kinds.is_urlencoded || is_whole && !is_document && kinds.is_open() {
            let forms = &self.rules.forms;
            let edits = parameters::edits(text, place.start, Text::Form, forms, &self.cover);
            let cover =
                |piece: Range<usize>| self.cover.parameter(body.get(piece).unwrap_or_default());
            found.named = merged(std::mem::take(&mut found.named), &edits, cover);
        }
        Ok(found)
    }

    /// Looks at JSON; whether it was some.
    fn document(
        &self,
        text: &[u8],
        offset: usize,
        kinds: &Kinds,
        found: &mut Found,
    ) -> Result<bool, Unreadable> {
        let mark = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        if !kinds.is_json && !begins_as_json(text) {
            return Ok(false);
        }
        let (document, offset) = (text.get(mark..).unwrap_or_default(), offset + mark);
        let there = |edits: Vec<Edit>| {
            let moved = |edit: Edit| Edit {
                place: offset + edit.place.start..offset + edit.place.end,
                ..edit
            };
            edits.into_iter().map(moved).collect::<Vec<_>>()
        };
        if self.rules.has_json() {
            let edits = there(self.json_edits(document)?);
            found.named = merged(std::mem::take(&mut found.named), &edits, |_| Vec::new());
        }
        let wanted = &self.rules.patterns;
        let cover = |leaf: Leaf, text: &[u8]| leaf::covered(&self.cover, wanted, leaf, text);
        let Some(matched) = json::leaves(document, &cover) else { return Ok(false) };
        found.matched.extend(there(matched));
        found.documents.push(offset..offset + document.len());
        Ok(true)
    }

    /// Looks at each part of multipart; `None` where it is none, or a part cannot be looked into.
    fn parts(
        &self,
        body: &[u8],
        place: Range<usize>,
        kinds: &Kinds,
        depth: usize,
    ) -> Option<Found> {
        let mut found = Found::default();
        let text = body.get(place.clone())?;
        let depth = depth.checked_sub(1)?;
        let is_named = |name: &Vec<u8>| {
            self.rules.forms.iter().any(|wanted| wanted.as_bytes() == name.trim_ascii())
        };
        multipart::each_part(text, kinds.boundary()?, |part| {
            let content = place.start + part.content.start..place.start + part.content.end;
            if part.names.iter().any(is_named) {
                if !content.is_empty() {
                    let value = match self.cover.with {
                        RedactWith::Drop => Vec::new(),
                        RedactWith::Hash | RedactWith::Mask => {
                            self.cover.text(body.get(content.clone()).unwrap_or_default())
                        }
                    };
                    found.named.push(Edit::new(content, value));
                }
                return Some(());
            }
            let has_fields = part.kinds.is_json || part.kinds.is_urlencoded;
            if part.is_coded && self.has_fields() && (has_fields || part.kinds.is_multipart) {
                return None;
            }
            found.append(self.content(body, content, &part.kinds, depth).ok()?);
            Some(())
        })?;
        Some(found)
    }

    fn json_edits(&self, document: &[u8]) -> Result<Vec<Edit>, Unreadable> {
        let cover = |leaf: Leaf, text: &[u8]| self.cover.leaf(leaf, text);
        let act = match self.cover.with {
            RedactWith::Drop => Act::Remove,
            RedactWith::Hash | RedactWith::Mask => Act::Leaves(&cover),
        };
        let paths = self.rules.paths.iter().map(|path| Rule { place: Where::Path(path), act });
        let names = self.rules.names.iter().map(|name| Rule { place: Where::Name(name), act });
        let rules: Vec<_> = paths.chain(names).collect();
        json::edits(document, &rules).ok_or(Unreadable)
    }

    /// All edits in order: what is named, and what patterns find in the rest.
    fn with_matches(&self, body: &[u8], found: Found) -> Vec<Edit> {
        let Found { named, mut matched, documents } = found;
        let cover = |place: Range<usize>| self.cover.pattern(body.get(place).unwrap_or_default());
        if !self.rules.patterns.is_empty() {
            let mut at = 0;
            for document in documents.into_iter().chain(std::iter::once(body.len()..body.len())) {
                let between = at..document.start;
                let text = body.get(between.clone()).unwrap_or_default();
                for place in patterns::find(text, &self.rules.patterns) {
                    let place = between.start + place.start..between.start + place.end;
                    matched.push(Edit::new(place.clone(), cover(place)));
                }
                at = document.end;
            }
            matched.sort_by_key(|edit| (edit.place.start, edit.place.end));
        }
        merged(named, &matched, cover)
    }
}

/// Whether a text begins as an object or an array does, in whatever encoding JSON is read.
fn begins_as_json(text: &[u8]) -> bool {
    let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    let text = marks.iter().find_map(|mark| text.strip_prefix(*mark)).unwrap_or(text);
    // The zeros of UTF-16 and UTF-32.
    let first = text.iter().find(|b| !b.is_ascii_whitespace() && **b != 0);
    matches!(first, Some(b'{' | b'['))
}
