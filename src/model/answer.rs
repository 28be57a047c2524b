//! An answer of v2 that was kept, since somebody wants to look at it.
//!
//! Out of a transport, the same from each of them: status, header fields in order, and the body without chunk framing, as far as
//! it was asked for. Interim answers and trailer fields are not kept.

/// See the module's description.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeptAnswer {
    /// The status code.
    pub status: u16,
    /// Header fields in order, duplicates kept: name in the case it came in (lower over HTTP/2), value without the white
    /// space around it.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body without chunk framing, before content decoding: its first bytes where it is longer than what was asked for.
    pub body: Vec<u8>,
    /// How long the body is in all.
    pub body_len: u64,
}

impl KeptAnswer {
    /// Whether not all of the body is here.
    pub fn is_cut(&self) -> bool {
        self.body_len > self.body.len() as u64
    }

    /// Takes the next bytes of the body, of which so many are kept in all.
    pub fn push(&mut self, bytes: &[u8], limit: usize) {
        self.body_len = self.body_len.saturating_add(bytes.len() as u64);
        let room = limit.saturating_sub(self.body.len());
        self.body.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// The values of the named field in order, compared without regard to case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_limit_is_kept_and_what_is_cut_says_so() {
        let mut answer = KeptAnswer::default();
        answer.push(b"abc", 5);
        answer.push(b"de", 5);
        assert_eq!((answer.body.as_slice(), answer.is_cut()), (&b"abcde"[..], false));
        answer.push(b"fg", 5);
        assert_eq!((answer.body.as_slice(), answer.body_len), (&b"abcde"[..], 7));
        assert!(answer.is_cut());
    }
}
