//! Paths by template: `/orders/17` and `/orders/18` are both `/orders/{id}`.
//!
//! In: paths. Out: counts by template. A segment of digits is `{id}`, a UUID `{uuid}`, eight and more hexadecimal
//! digits with a decimal one among them `{hex}`; the query does not count. Bounded: [`MAX_TEMPLATES`] are told
//! apart, of each so many bytes; requests for any further path are counted together.

use std::collections::HashMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::inspect::printable;

/// Templates told apart.
pub const MAX_TEMPLATES: usize = 1000;
/// Bytes of a path that matter.
const MAX_PATH: usize = 256;
/// A shorter segment of hexadecimal digits may be a word.
const MIN_HEX: usize = 8;

/// See the module's description.
#[derive(Debug, Default)]
pub struct Paths {
    by_template: HashMap<String, u64, ahash::RandomState>,
    /// Requests for any further path.
    pub other: u64,
    /// The template in hand.
    template: String,
}

impl Paths {
    /// Counts a path, its query behind it or not.
    pub fn count(&mut self, path: &[u8]) {
        self.template.clear();
        push_template(&mut self.template, path);
        if let Some(n) = self.by_template.get_mut(&self.template) {
            *n += 1;
        } else if self.by_template.len() < MAX_TEMPLATES {
            self.by_template.insert(self.template.clone(), 1);
        } else {
            self.other += 1;
        }
    }

    /// Templates told apart.
    pub fn len(&self) -> usize {
        self.by_template.len()
    }

    /// The most frequent first; those of the same count by name.
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> =
            self.by_template.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        all.sort_unstable_by(|(name, n), (other, m)| m.cmp(n).then_with(|| name.cmp(other)));
        all
    }
}

/// As an object, the most frequent first, and `(other)` behind where there are more.
impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (template, n) in self.sorted() {
            map.serialize_entry(template, &n)?;
        }
        if self.other > 0 {
            map.serialize_entry(super::OTHER, &self.other)?;
        }
        map.end()
    }
}

fn push_template(out: &mut String, path: &[u8]) {
    let path = path.split(|&b| b == b'?').next().unwrap_or_default();
    let is_cut = path.len() > MAX_PATH;
    let path = path.get(..MAX_PATH).unwrap_or(path);
    for (place, segment) in path.split(|&b| b == b'/').enumerate() {
        if place > 0 {
            out.push('/');
        }
        match variable(segment) {
            Some(name) => out.push_str(name),
            None if segment.iter().all(u8::is_ascii_graphic) => {
                out.push_str(std::str::from_utf8(segment).unwrap_or_default());
            }
            None => out.push_str(&printable(segment)),
        }
    }
    if is_cut {
        out.push('…');
    }
}

/// What stands for a segment that is a number or an identifier, as in a URI template (RFC 6570); `None` for a word.
fn variable(segment: &[u8]) -> Option<&'static str> {
    let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    if !segment.is_empty() && segment.iter().all(u8::is_ascii_digit) {
        return Some("{id}");
    }
    let mut groups = segment.split(|&b| b == b'-');
    let is_group = |len| groups.next().is_some_and(|group| group.len() == len && is_hex(group));
    if segment.len() == 36 && [8, 4, 4, 4, 12].into_iter().all(is_group) {
        return Some("{uuid}");
    }
    let is_number = segment.len() >= MIN_HEX && segment.iter().any(u8::is_ascii_digit);
    (is_number && is_hex(segment)).then_some("{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_one_order_to_the_next_is_left_out() {
        for (path, want) in [
            ("/orders/17", "/orders/{id}"),
            ("/orders/17/items?page=2", "/orders/{id}/items"),
            ("/v1/a", "/v1/a"),
            ("/", "/"),
            ("*", "*"),
            ("//1/", "//{id}/"),
            ("/0123e4567-e89b-12d3-a456-426614174000", "/0123e4567-e89b-12d3-a456-426614174000"),
            ("/123e4567-E89b-12d3-a456-426614174000/x", "/{uuid}/x"),
            ("/deadbeef/deadbee1/deadbe1", "/deadbeef/{hex}/deadbe1"),
            ("/\u{e4}", "/\\xc3\\xa4"),
        ] {
            let mut out = String::new();
            push_template(&mut out, path.as_bytes());
            assert_eq!(out, want, "{path}");
        }
    }

    #[test]
    fn endless_paths_are_counted_in_bounded_memory() {
        let mut paths = Paths::default();
        for n in 0..2 * MAX_TEMPLATES {
            paths.count(format!("/a{n}/{}", "x".repeat(10_000)).as_bytes());
        }
        paths.count(b"/a0/x");
        assert_eq!((paths.len(), paths.other), (MAX_TEMPLATES, MAX_TEMPLATES as u64 + 1));
        assert!(paths.sorted().iter().all(|(name, _)| name.len() <= MAX_PATH + '…'.len_utf8()));
    }
}
