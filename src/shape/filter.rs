//! Which messages somebody wants to see: by method, path, status, field, connection.
//!
//! In: messages in order. Out: whether each is wanted. A response has neither method nor path: where these
//! are asked for, it is wanted if its request was. Memory is bounded: of the requests that were wanted the last
//! [`MAX_REQUESTS`] are remembered, until their final response. Time is left to whoever knows the first message.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;

use lru::LruCache;

use crate::model::Message;

/// Requests whose responses may still come: those of a few seconds.
const MAX_REQUESTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// A text with `*` for any bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern(String);

impl Pattern {
    /// As written.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether all of the text fits.
    pub fn fits(&self, text: &[u8]) -> bool {
        let mut parts = self.0.as_bytes().split(|&b| b == b'*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // Each part as early as it can be: what is left for the last one is as long as it can be.
        for part in parts {
            let Some(at) = memchr::memmem::find(rest, part) else { return false };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        rest.ends_with(last)
    }
}

/// What is wanted; what is empty leaves nothing out.
#[derive(Default)]
pub struct Filter {
    /// Methods, compared with regard to case.
    pub methods: Vec<String>,
    /// Paths.
    pub paths: Vec<Pattern>,
    /// Statuses.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// Fields by name, and what their value must be; all of them.
    pub fields: Vec<(String, Option<Pattern>)>,
    /// Connections by number.
    pub connections: Vec<u64>,
    /// Requests of the wanted methods and paths, for the responses to come.
    asked: Option<LruCache<(u64, u32), ()>>,
}

impl Filter {
    /// Whether this message is wanted.
    pub fn wants(&mut self, message: &Message) -> bool {
        // First, since it is remembered.
        let is_asked = self.is_asked(message);
        is_asked
            && (self.connections.is_empty() || self.connections.contains(&message.conn))
            && self.wants_status(message)
            && self.fields.iter().all(|(name, value)| has_field(message, name, value.as_ref()))
    }

    fn wants_status(&self, message: &Message) -> bool {
        let has = |status| self.statuses.iter().any(|range| range.contains(&status));
        self.statuses.is_empty() || message.status().is_some_and(has)
    }

    /// Whether the request, or the one that the response answers, is of a wanted method and path.
    fn is_asked(&mut self, message: &Message) -> bool {
        if self.methods.is_empty() && self.paths.is_empty() {
            return true;
        }
        let asked = self.asked.get_or_insert_with(|| LruCache::new(MAX_REQUESTS));
        let Some(status) = message.status() else {
            let path = message.path_and_query();
            let is_asked = (self.methods.is_empty()
                || self.methods.iter().any(|method| method.as_bytes() == message.method()))
                && (self.paths.is_empty() || self.paths.iter().any(|want| fits_path(want, path)));
            if is_asked {
                asked.put((message.conn, message.index), ());
            }
            return is_asked;
        };
        let Some(request) = message.answers() else { return false };
        match status {
            // Informational responses come before the final one (RFC 9110 15.2).
            ..200 => asked.contains(&(message.conn, request)),
            _ => asked.pop(&(message.conn, request)).is_some(),
        }
    }
}

fn fits_path(want: &Pattern, path: &[u8]) -> bool {
    let end = memchr::memchr(b'?', path).filter(|_| !want.0.contains('?'));
    want.fits(path.get(..end.unwrap_or(path.len())).unwrap_or_default())
}

fn has_field(message: &Message, name: &str, value: Option<&Pattern>) -> bool {
    message.values(name.as_bytes()).any(|text| value.is_none_or(|value| value.fits(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_text_or_not() {
        for (pattern, text, want) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("", "", true),
            ("*", "", true),
            ("/a*", "/a/b/c", true),
            ("*/c", "/a/b/c", true),
            ("/*/c", "/a/b/c", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "ac", false),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
            ("a*b", "a*b", true),
            ("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(text.as_bytes()), want, "{pattern} {text}");
        }
    }

    #[test]
    fn a_query_counts_where_it_is_asked_for() {
        let fits = |pattern, path: &str| fits_path(&Pattern::new(pattern), path.as_bytes());
        assert!(fits("/a", "/a?b=c") && fits("/a?b=*", "/a?b=c") && !fits("/a?b=*", "/a"));
    }
}
