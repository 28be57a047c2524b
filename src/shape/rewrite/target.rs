//! The request target: where its path and query lie, and what rules make of them.
//!
//! In: a target as sent, in origin-form or absolute-form. Out: another one. `*` and authority-form have neither path nor
//! query and stay as they are.

use std::ops::Range;

use super::super::query::{self, pairs};

/// Where path and query lie, up to a fragment that should not be there; `None` for the forms that have none.
pub(in super::super) fn path_and_query(target: &[u8]) -> Option<Range<usize>> {
    let start = match target.first()? {
        b'/' => 0,
        _ => {
            let scheme = memchr::memmem::find(target, b"://")?;
            if !target.get(..scheme)?.iter().all(u8::is_ascii_alphanumeric) {
                return None;
            }
            let rest = target.get(scheme + 3..)?;
            let len = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            scheme + 3 + len
        }
    };
    Some(start..target.len())
}

/// Where the query lies, without its question mark.
pub(in super::super) fn query_of(target: &[u8]) -> Option<Range<usize>> {
    let place = path_and_query(target)?;
    let mark = memchr::memchr(b'?', target.get(place.clone())?)?;
    let start = place.start + mark + 1;
    let end = memchr::memchr(b'#', target.get(start..)?).map_or(target.len(), |len| start + len);
    Some(start..end)
}

/// The target with this parameter set: the first of its name gets the value, further ones go; without one it is added
/// at the end.
pub(super) fn set_parameter(target: &[u8], name: &str, value: &[u8]) -> Option<Vec<u8>> {
    path_and_query(target)?;
    let mut encoded = Vec::new();
    query::push_encoded(&mut encoded, value);
    let Some(place) = query_of(target) else {
        let end = memchr::memchr(b'#', target).unwrap_or(target.len());
        let (front, behind) = target.split_at_checked(end)?;
        let mut out = [front, b"?"].concat();
        query::push_encoded(&mut out, name.as_bytes());
        out.push(b'=');
        return Some([&out, &encoded[..], behind].concat());
    };
    let text = target.get(place.clone())?;
    let mut out = Vec::with_capacity(text.len() + encoded.len());
    let mut is_set = false;
    let mut is_first = true;
    for pair in pairs(text) {
        let is_it = pair.is(text, name.as_bytes());
        if is_it && is_set {
            continue;
        }
        if !is_first {
            out.push(b'&');
        }
        is_first = false;
        match is_it {
            true => {
                out.extend_from_slice(text.get(pair.name.clone())?);
                out.push(b'=');
                out.extend_from_slice(&encoded);
                is_set = true;
            }
            false => out.extend_from_slice(text.get(pair.all())?),
        }
    }
    if !is_set {
        if !out.is_empty() {
            out.push(b'&');
        }
        query::push_encoded(&mut out, name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(&encoded);
    }
    Some([target.get(..place.start)?, &out, target.get(place.end..)?].concat())
}

/// The target without the parameters of this name; with the last of all the question mark goes too.
pub(super) fn remove_parameter(target: &[u8], name: &str) -> Option<Vec<u8>> {
    let place = query_of(target)?;
    let text = target.get(place.clone())?;
    if !pairs(text).any(|pair| pair.is(text, name.as_bytes())) {
        return None;
    }
    let kept: Vec<&[u8]> = pairs(text)
        .filter(|pair| !pair.is(text, name.as_bytes()))
        .map(|pair| text.get(pair.all()).unwrap_or_default())
        .collect();
    let front = target.get(..place.start - usize::from(kept.is_empty()))?;
    Some([front, &kept.join(&b'&'), target.get(place.end..)?].concat())
}
