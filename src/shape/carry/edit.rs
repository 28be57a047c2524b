//! A request with other bytes at some places, its framing right.
//!
//! In: a request, and what is to stand where. Out: the same request with that in it. Guaranteed: every other byte is as it was;
//! Content-Length says how long the body is; chunks keep their borders, extensions and trailers, and one that
//! changed has its size (one that became empty is left out, since it would end the body); the message's spans fit
//! its bytes. A chunked body whose framing cannot be followed is left as it is.

use std::ops::Range;

use bytes::Bytes;

use crate::model::message::{Field, Span};
use crate::model::{Message, Start};

/// Bytes in place of others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Edit {
    pub place: Range<usize>,
    pub with: Vec<u8>,
}

/// See the module's description. The edits of the body are in terms of the body without chunk framing.
pub(super) fn edited(mut request: Message, mut head: Vec<Edit>, mut body: Vec<Edit>) -> Message {
    settle(&mut body);
    let mut wire_body = None;
    if !body.is_empty() {
        let new = spliced(&request.body, &body);
        if request.chunked {
            wire_body =
                rechunked(request.wire_body(), &request.body, &body).map(|wire| (wire, new));
        } else {
            head.extend(lengths(&request, new.len()));
            wire_body = Some((new, Vec::new()));
        }
    }
    settle(&mut head);
    let mut raw = spliced(request.head(), &head);
    let head_len = raw.len();
    let old_body = request.wire_body();
    let has_body = !old_body.is_empty();
    match &wire_body {
        Some((wire, _)) => raw.extend_from_slice(wire),
        None => raw.extend_from_slice(old_body),
    }
    let shift =
        |span: Span| Span { start: shifted(span.start, &head), end: shifted(span.end, &head) };
    if let Start::Request { method, target } = request.start {
        request.start = Start::Request { method: shift(method), target: shift(target) };
    }
    // A line that is gone takes its field with it.
    let is_gone = |field: &Field| {
        let name = field.name.range();
        head.iter().any(|edit| edit.place.start <= name.start && name.end <= edit.place.end)
    };
    request.fields.retain(|field| !is_gone(field));
    for field in &mut request.fields {
        *field = Field { name: shift(field.name), value: shift(field.value) };
    }
    request.raw = Bytes::from(raw);
    request.head_len = head_len;
    match wire_body {
        Some((_, new)) if request.chunked => request.body = Bytes::from(new),
        _ if has_body && !request.chunked => request.body = request.raw.slice(head_len..),
        _ => {}
    }
    if !body.is_empty() {
        (request.body_len, request.body_sha256) = (request.body.len() as u64, None);
    }
    request
}

/// Puts edits in order; of two that overlap the later one begins behind the earlier one.
fn settle(edits: &mut Vec<Edit>) {
    edits.sort_by_key(|edit| (edit.place.start, edit.place.end));
    let mut end = 0;
    for edit in edits.iter_mut() {
        edit.place.start = edit.place.start.max(end);
        edit.place.end = edit.place.end.max(edit.place.start);
        end = edit.place.end;
    }
    edits.retain(|edit| !edit.place.is_empty());
}

fn spliced(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    for edit in edits {
        out.extend_from_slice(bytes.get(at..edit.place.start).unwrap_or_default());
        out.extend_from_slice(&edit.with);
        at = edit.place.end;
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    out
}

/// Where a border between bytes lies behind the edits.
fn shifted(at: u32, edits: &[Edit]) -> u32 {
    let before = edits.iter().take_while(|edit| edit.place.end <= at as usize);
    let (gone, come) =
        before.fold((0, 0), |(gone, come), edit| (gone + edit.place.len(), come + edit.with.len()));
    u32::try_from((at as usize + come).saturating_sub(gone)).unwrap_or(at)
}

/// The body's length, wherever the head says it.
fn lengths(request: &Message, len: usize) -> Vec<Edit> {
    let named = request
        .fields
        .iter()
        .filter(|field| request.slice(field.name).eq_ignore_ascii_case(b"content-length"));
    named.map(|field| Edit { place: field.value.range(), with: len.to_string().into() }).collect()
}

/// The chunks of a body with the edits in them; `None` where they cannot be told.
fn rechunked(wire: &[u8], body: &[u8], edits: &[Edit]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(wire.len() + 64);
    let (mut at, mut offset) = (0, 0);
    loop {
        let line_len = memchr::memchr(b'\n', wire.get(at..)?)? + 1;
        let line = wire.get(at..at + line_len)?;
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(line.get(..digits)?).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            break;
        }
        let data = at + line_len;
        let data_end = data.checked_add(size)?;
        let rest = wire.get(data_end..)?;
        let ending = if rest.starts_with(b"\r\n") { 2 } else { 1 };
        let chunk = offset..offset + size;
        let new = changed(body, chunk.clone(), edits)?;
        if new != wire.get(data..data_end)? {
            if !new.is_empty() {
                out.extend_from_slice(format!("{:x}", new.len()).as_bytes());
                out.extend_from_slice(line.get(digits..)?);
                out.extend_from_slice(&new);
                out.extend_from_slice(rest.get(..ending)?);
            }
        } else {
            out.extend_from_slice(wire.get(at..data_end + ending)?);
        }
        (at, offset) = (data_end + ending, chunk.end);
    }
    out.extend_from_slice(wire.get(at..)?);
    (offset == body.len()).then_some(out)
}

/// A chunk's data with the edits that begin in it, and without what an earlier one has replaced.
fn changed(body: &[u8], chunk: Range<usize>, edits: &[Edit]) -> Option<Vec<u8>> {
    let mut new = Vec::with_capacity(chunk.len());
    let mut at = chunk.start;
    let first = edits.partition_point(|edit| edit.place.end <= chunk.start);
    let here = edits.get(first..)?.iter().take_while(|edit| edit.place.start < chunk.end);
    for Edit { place, with } in here {
        new.extend_from_slice(body.get(at..place.start.max(at))?);
        if place.start >= chunk.start {
            new.extend_from_slice(with);
        }
        at = place.end.min(chunk.end);
    }
    new.extend_from_slice(body.get(at..chunk.end)?);
    Some(new)
}
