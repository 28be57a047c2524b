//! A head whose lines can be changed, each on its own.
//!
//! In: a message. Out: its head with what rules changed, every other byte as it was: order, case, spacing, folding, the
//! lines that are no fields.

use std::borrow::Cow;
use std::ops::Range;

use super::super::lines::{ending, fields_start, name_and_value, next_line};
use crate::model::Message;
use crate::model::message::Start;

/// A field line, folded or not, with its line break; or a line that is none, which has no name.
pub(in crate::shape) struct Line<'m> {
    text: Cow<'m, [u8]>,
    name: Range<usize>,
    value: Range<usize>,
}

impl<'m> Line<'m> {
    fn new(text: impl Into<Cow<'m, [u8]>>) -> Self {
        let text = text.into();
        let (name, value) = name_and_value(&text).unwrap_or_default();
        Self { text, name, value }
    }

    pub fn is(&self, name: &str) -> bool {
        self.name.len() == name.len()
            && self
                .text
                .get(self.name.clone())
                .is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
    }

    pub fn value(&self) -> &[u8] {
        self.text.get(self.value.clone()).unwrap_or_default()
    }

    fn put(&mut self, place: Range<usize>, bytes: &[u8]) {
        let text = &self.text;
        let front = text.get(..place.start).unwrap_or_default();
        let behind = text.get(place.end..).unwrap_or_default();
        *self = Self::new([front, bytes, behind].concat());
    }

    /// Puts another value in its place; spacing stays.
    pub fn set_value(&mut self, value: &[u8]) {
        self.put(self.value.clone(), value);
    }

    /// Puts another name in its place.
    pub fn set_name(&mut self, name: &str) {
        self.put(self.name.clone(), name.as_bytes());
    }
}

/// See the module's description.
pub(in crate::shape) struct Head<'m> {
    before: &'m [u8],
    pub target: Cow<'m, [u8]>,
    behind: &'m [u8],
    pub lines: Vec<Line<'m>>,
    ending: &'static [u8],
    pub is_changed: bool,
}

impl<'m> Head<'m> {
    /// Of a request; `None` where its target is not in its head.
    pub fn of(message: &'m Message) -> Option<Self> {
        let head = message.head();
        let Start::Request { target, .. } = message.start else { return None };
        let start = fields_start(head);
        let ending = ending(head);
        let end = head.len().saturating_sub(ending.len());
        let fields = head.get(..end)?;
        let mut lines = Vec::with_capacity(message.fields.len() + 4);
        let mut at = start;
        while let Some(line) = next_line(fields, at) {
            at = (line.end + 1).min(fields.len());
            lines.push(Line::new(fields.get(line.start..at)?));
        }
        Some(Self {
            before: head.get(..target.range().start)?,
            target: Cow::Borrowed(head.get(target.range())?),
            behind: head.get(target.range().end..start)?,
            lines,
            ending,
            is_changed: false,
        })
    }

    /// The lines of this name.
    pub fn named(&mut self, name: &str) -> impl Iterator<Item = &mut Line<'m>> {
        self.lines.iter_mut().filter(move |line| line.is(name))
    }

    /// Takes the lines of this name out, but for so many of the first.
    pub fn remove(&mut self, name: &str, mut but: usize) {
        let before = self.lines.len();
        self.lines.retain(|line| {
            let is_it = line.is(name);
            let is_kept = !is_it || but > 0;
            but -= usize::from(is_it && is_kept);
            is_kept
        });
        self.is_changed |= self.lines.len() < before;
    }

    /// Adds a field behind the last.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        self.is_changed = true;
        let line = [name.as_bytes(), b": ", value, self.ending].concat();
        self.lines.push(Line::new(line));
    }

    /// Makes each Content-Length say this.
    pub fn set_length(&mut self, len: usize) {
        let text = len.to_string();
        self.is_changed = true;
        self.named("content-length").for_each(|line| line.set_value(text.as_bytes()));
    }

    /// Adds the head's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        for part in [self.before, &self.target, self.behind] {
            out.extend_from_slice(part);
        }
        for line in &self.lines {
            out.extend_from_slice(&line.text);
        }
        out.extend_from_slice(self.ending);
    }
}
