//! Fields of a multipart form (RFC 7578): where the contents of those of a name lie.
//!
//! In: the Content-Type and the body. Out: places in the body. Linear time.

use std::ops::Range;

/// The boundary that a Content-Type names; `None` where it is none of multipart.
pub(super) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let lower = content_type.to_ascii_lowercase();
    if !lower.trim_ascii_start().starts_with(b"multipart/") {
        return None;
    }
    let at = memchr::memmem::find(&lower, b"boundary=")? + b"boundary=".len();
    let rest = content_type.get(at..)?;
    let boundary = match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|&b| b == b'"').next()?,
        None => rest.split(|b| matches!(b, b';' | b' ' | b'\t' | b'\r')).next()?,
    };
    (!boundary.is_empty()).then(|| boundary.to_vec())
}

/// The contents of each part whose name is wanted; `None` where the body is not of that form.
pub(super) fn parts(
    body: &[u8],
    boundary: &[u8],
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Option<Vec<Range<usize>>> {
    let delimiter = [b"--", boundary].concat();
    let finder = memchr::memmem::Finder::new(&delimiter);
    let mut at = finder.find(body)? + delimiter.len();
    let mut found = Vec::new();
    // `--` behind the last.
    while !body.get(at..)?.starts_with(b"--") {
        let end = at + finder.find(body.get(at..)?)?;
        let part = body.get(at..end)?;
        let (head_len, gap) = match memchr::memmem::find(part, b"\r\n\r\n") {
            Some(len) => (len, 4),
            None => (memchr::memmem::find(part, b"\n\n")?, 2),
        };
        if name_of(part.get(..head_len)?).is_some_and(|name| is_wanted(&name)) {
            let content = part.get(head_len + gap..)?;
            let line_end =
                if content.ends_with(b"\r\n") { 2 } else { usize::from(content.ends_with(b"\n")) };
            let start = at + head_len + gap;
            found.push(start..(end - line_end).max(start));
        }
        at = end + delimiter.len();
    }
    Some(found)
}

/// The `name` of a part's Content-Disposition.
fn name_of(head: &[u8]) -> Option<Vec<u8>> {
    let lower = head.to_ascii_lowercase();
    let field = memchr::memmem::find(&lower, b"content-disposition:")?;
    let rest = lower.get(field..)?;
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let line = rest.get(..end)?;
    // Not the end of `filename=`.
    let at = memchr::memmem::find_iter(line, b"name=").find(|&at| {
        at.checked_sub(1).and_then(|at| line.get(at)).is_some_and(|b| !b.is_ascii_alphanumeric())
    })?;
    let value = head.get(field + at + b"name=".len()..field + end)?;
    Some(match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|&b| b == b'"').next()?.to_vec(),
        None => value.split(|b| matches!(b, b';' | b' ' | b'\r')).next()?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_name() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n\
            --b\r\ncontent-disposition: form-data; filename=\"x\"; name=c\r\nContent-Type: x/y\r\n\r\n\r\ntwo\r\n--b--\r\n";
        let found = |name: &[u8]| {
            let places = parts(body, b"b", |n| n == name)?;
            Some(
                places
                    .into_iter()
                    .map(|p| body.get(p).unwrap_or_default().to_vec())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(found(b"a"), Some(vec![b"one".to_vec()]));
        assert_eq!(found(b"c"), Some(vec![b"\r\ntwo".to_vec()]));
        assert_eq!(found(b"x"), Some(vec![]));
        assert_eq!(parts(b"--b\r\nno end", b"b", |_| true), None);
        assert_eq!(boundary(b"Multipart/form-data; Boundary=\"x y\""), Some(b"x y".to_vec()));
        assert_eq!(boundary(b"multipart/form-data; boundary=xY;z"), Some(b"xY".to_vec()));
        assert_eq!(boundary(b"text/plain; boundary=x"), None);
    }
}
