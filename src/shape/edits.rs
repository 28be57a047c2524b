//! Parts of some bytes, what is to stand there, and where everything else lies afterwards.
//!
//! In: edits in order, none within another. Out: the bytes with them, and the way from old places to new ones.

use std::ops::Range;

use crate::model::message::{Field, Span};

/// A part of the bytes, and what to put there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Edit {
    pub place: Range<usize>,
    pub value: Vec<u8>,
}

impl Edit {
    /// This at that place.
    pub fn new(place: Range<usize>, value: impl Into<Vec<u8>>) -> Self {
        Self { place, value: value.into() }
    }
}

/// Adds the bytes with their edits.
pub(super) fn push_edited(out: &mut Vec<u8>, bytes: &[u8], edits: &[Edit]) {
    let mut at = 0;
    for Edit { place, value } in edits {
        out.extend_from_slice(bytes.get(at..place.start).unwrap_or_default());
        out.extend_from_slice(value);
        at = place.end;
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
}

/// The bytes with their edits.
pub(super) fn edited(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + edits.len() * 32);
    push_edited(&mut out, bytes, edits);
    out
}

/// Puts edits of two kinds in order. Where they meet, the first kind stands; of the second what lies outside it is
/// left, each piece with the value that `piece` gives.
pub(super) fn merged(
    first: Vec<Edit>,
    second: &[Edit],
    mut piece: impl FnMut(Range<usize>) -> Vec<u8>,
) -> Vec<Edit> {
    if second.is_empty() {
        return first;
    }
    let mut more = Vec::new();
    let mut next = 0;
    for edit in second {
        while first.get(next).is_some_and(|other| other.place.end <= edit.place.start) {
            next += 1;
        }
        let mut at = edit.place.start;
        let mut is_cut = false;
        for other in first.iter().skip(next) {
            if other.place.start >= edit.place.end {
                break;
            }
            is_cut = true;
            if at < other.place.start {
                more.push(Edit::new(at..other.place.start, piece(at..other.place.start)));
            }
            at = at.max(other.place.end);
        }
        match is_cut {
            false => more.push(edit.clone()),
            true if at < edit.place.end => {
                more.push(Edit::new(at..edit.place.end, piece(at..edit.place.end)));
            }
            true => {}
        }
    }
    let mut all = first;
    all.append(&mut more);
    all.sort_by_key(|edit| (edit.place.start, edit.place.end));
    all
}

/// Where bytes lie behind the edits.
pub(super) struct Shifts<'e> {
    edits: &'e [Edit],
    /// Bytes come minus bytes gone, up to and with each edit.
    by: Vec<i64>,
}

impl<'e> Shifts<'e> {
    pub fn new(edits: &'e [Edit]) -> Self {
        let by = edits.iter().scan(0, |by, edit| {
            *by += edit.value.len() as i64 - edit.place.len() as i64;
            Some(*by)
        });
        Self { edits, by: by.collect() }
    }

    /// Puts a field's spans where its bytes are now. False where an edit cuts one: it took the field's
    /// colon or its name, and what is left is no field.
    pub fn apply(&self, field: &mut Field) -> bool {
        !self.is_gone(field.name) && self.span(&mut field.name) && self.span(&mut field.value)
    }

    /// Puts a span where its bytes are now; false where an edit cuts it.
    pub fn span(&self, Span { start, end }: &mut Span) -> bool {
        let moved = self.at(*start).zip(self.at(*end));
        moved.map(|moved| (*start, *end) = moved).is_some()
    }

    /// Whether an edit takes all of these bytes.
    fn is_gone(&self, Span { start, end }: Span) -> bool {
        let (start, end) = (start as usize, end as usize);
        let first = self.edits.partition_point(|edit| edit.place.end < end);
        let holds = |edit: &Edit| edit.place.start <= start && end <= edit.place.end;
        start < end && self.edits.get(first).is_some_and(holds)
    }

    fn at(&self, place: u32) -> Option<u32> {
        let from = place as usize;
        let before = self.edits.partition_point(|edit| edit.place.end <= from);
        if self.edits.get(before).is_some_and(|edit| edit.place.start < from) {
            return None;
        }
        let by = before.checked_sub(1).and_then(|last| self.by.get(last)).copied().unwrap_or(0);
        u32::try_from(i64::from(place) + by).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_kinds_the_first_stands_and_the_second_fills_what_is_left() {
        let edit = |place: Range<usize>, text: &str| Edit::new(place, text);
        let first = vec![edit(2..4, "A"), edit(6..8, "B")];
        let second = [edit(0..1, "x"), edit(3..7, "y"), edit(9..10, "z")];
        let all = merged(first, &second, |place| vec![b'p'; place.len()]);
        let want =
            [edit(0..1, "x"), edit(2..4, "A"), edit(4..6, "pp"), edit(6..8, "B"), edit(9..10, "z")];
        assert_eq!(all, want);
        assert_eq!(edited(b"0123456789", &all), b"x1AppB8z");
    }
}
