//! The chunked transfer coding (RFC 9112 section 7.1), decoded incrementally.
//!
//! In: bytes of the body in any pieces. Out: the data of the chunks, and where the body ends.
//! Guaranteed: linear time, no memory of its own; a size line or trailer section beyond the limit is
//! invalid. Extensions and trailer fields are passed over (they stay in the raw bytes).

/// Longest chunk-size line, extensions included. Generous: nginx and Apache stop at 8 KiB or less.
const MAX_LINE: u32 = 16 << 10;

/// Largest trailer section.
const MAX_TRAILERS: u32 = 64 << 10;

/// Where in the coding the next byte lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// In the digits of a chunk size.
    Size { value: u64, digits: u32 },
    /// Behind the digits: white space or extensions, up to the line's end.
    Extension { value: u64, line: u32 },
    /// In a chunk's data.
    Data { left: u64 },
    /// After a chunk's data: CR LF.
    DataEnd { seen_cr: bool },
    /// In the trailer section, at the given column of a line (a lone CR does not count).
    Trailer { column: u32, total: u32 },
    /// Behind the last byte.
    Done,
}

/// What became of some input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fed {
    /// All of it was part of the body, which goes on.
    More,
    /// The body ended after this many bytes.
    Done(usize),
    /// Not the chunked coding, at this byte.
    Invalid(usize),
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Whether the byte before was a CR, also across pieces.
    last_was_cr: bool,
    /// Whether a line ended in LF without CR.
    pub bare_lf: bool,
}

impl Chunked {
    pub fn new() -> Self {
        Self { state: State::Size { value: 0, digits: 0 }, last_was_cr: false, bare_lf: false }
    }

    /// Reads on. `data` receives the chunks' data in order.
    pub fn feed(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Fed {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if let State::Data { left } = self.state {
                let here = input.get(at..).unwrap_or_default();
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(here.len());
                data(here.get(..take).unwrap_or_default());
                at += take;
                self.skip_data(take as u64);
                continue;
            }
            match self.step(byte) {
                Some(next) => self.state = next,
                None => return Fed::Invalid(at),
            }
            self.last_was_cr = byte == b'\r';
            at += 1;
            if self.state == State::Done {
                return Fed::Done(at);
            }
        }
        Fed::More
    }

    /// A hole of this length: fine inside one chunk's data, else the framing is lost.
    pub fn gap(&mut self, len: u64) -> bool {
        match self.state {
            State::Data { left } if len <= left => {
                self.skip_data(len);
                true
            }
            _ => false,
        }
    }

    fn skip_data(&mut self, len: u64) {
        if let State::Data { left } = self.state {
            let left = left.saturating_sub(len);
            self.state = match left {
                0 => State::DataEnd { seen_cr: false },
                left => State::Data { left },
            };
        }
    }

    /// The state after one byte outside chunk data; `None` when it must not stand here.
    fn step(&mut self, byte: u8) -> Option<State> {
        match (self.state, byte) {
            (State::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from(char::from(byte).to_digit(16)?);
                let value = value.checked_mul(16)?.checked_add(digit)?;
                (digits < MAX_LINE).then_some(State::Size { value, digits: digits + 1 })
            }
            (State::Size { digits: 0, .. }, _) => None,
            (State::Size { value, .. }, b'\n') => self.end_of_size(value),
            (State::Size { value, digits }, b'\r' | b';' | b' ' | b'\t') => {
                Some(State::Extension { value, line: digits })
            }
            (State::Size { .. }, _) => None,
            (State::Extension { value, .. }, b'\n') => self.end_of_size(value),
            (State::Extension { value, line }, _) => {
                (line < MAX_LINE).then_some(State::Extension { value, line: line + 1 })
            }
            (State::DataEnd { seen_cr: false }, b'\r') => Some(State::DataEnd { seen_cr: true }),
            (State::DataEnd { seen_cr }, b'\n') => {
                self.bare_lf |= !seen_cr;
                Some(State::Size { value: 0, digits: 0 })
            }
            (State::DataEnd { .. }, _) => None,
            (State::Trailer { column: 0, .. }, b'\n') => Some(State::Done),
            (State::Trailer { total, .. }, b'\n') => {
                (total < MAX_TRAILERS).then_some(State::Trailer { column: 0, total: total + 1 })
            }
            (State::Trailer { column, total }, _) => (total < MAX_TRAILERS).then(|| {
                // A lone CR begins no line: with the LF behind it, it is the empty one.
                let column = if column == 0 && byte == b'\r' { 0 } else { column + 1 };
                State::Trailer { column, total: total + 1 }
            }),
            // `feed` takes care of these two.
            (State::Data { .. } | State::Done, _) => None,
        }
    }

    fn end_of_size(&mut self, value: u64) -> Option<State> {
        self.bare_lf |= !self.last_was_cr;
        Some(match value {
            0 => State::Trailer { column: 0, total: 0 },
            left => State::Data { left },
        })
    }
}

/// Where the trailer section begins in a whole body: behind the last chunk's line.
pub(super) fn trailers_at(body: &[u8]) -> Option<usize> {
    let mut chunked = Chunked::new();
    let mut at = 0;
    loop {
        match chunked.state {
            State::Trailer { .. } => return Some(at),
            State::Data { left } => {
                at = at.checked_add(usize::try_from(left).ok()?)?;
                chunked.skip_data(left);
            }
            _ => {
                let byte = *body.get(at)?;
                chunked.state = chunked.step(byte)?;
                chunked.last_was_cr = byte == b'\r';
                at += 1;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> (Vec<u8>, Fed, bool) {
        let mut chunked = Chunked::new();
        let mut out = Vec::new();
        let mut last = Fed::More;
        for piece in pieces {
            last = chunked.feed(piece, |data| out.extend_from_slice(data));
            if last != Fed::More {
                break;
            }
        }
        (out, last, chunked.bare_lf)
    }

    const BODY: &[u8] =
        b"4;x=\"1\"\r\nWiki\r\n5 \r\npedia\r\n00E\r\n in\r\n\r\nchunks.\r\n0\r\nT: v\r\n\r\n";

    #[test]
    fn chunks_extensions_and_trailers() {
        let (out, fed, bare_lf) = decode(&[BODY]);
        assert_eq!(out, b"Wikipedia in\r\n\r\nchunks.");
        assert_eq!((fed, bare_lf), (Fed::Done(BODY.len()), false));
    }

    #[test]
    fn cut_at_every_byte_the_result_is_the_same() {
        for cut in 1..BODY.len() {
            let (out, fed, bare_lf) = decode(&[&BODY[..cut], &BODY[cut..]]);
            assert_eq!(out, b"Wikipedia in\r\n\r\nchunks.", "cut at {cut}");
            assert_eq!((fed, bare_lf), (Fed::Done(BODY.len() - cut), false), "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = BODY.chunks(1).collect();
        assert_eq!(decode(&bytes).0, b"Wikipedia in\r\n\r\nchunks.");
    }

    #[test]
    fn the_trailer_section_begins_behind_the_last_chunks_line() {
        let at = trailers_at(BODY).unwrap();
        assert_eq!(&BODY[at..], b"T: v\r\n\r\n");
        // A line that looks like the last chunk's is data, or a trailer, all the same.
        let body = b"3\r\n0\r\n\r\n00;x\n0\r\nA: b\r\n\r\n";
        assert_eq!(&body[trailers_at(body).unwrap()..], b"0\r\nA: b\r\n\r\n");
        for cut in ["", "5\r\nab", "5\r\nabcde\r\n", "zz\r\n", "ffffffffffffffff\r\na"] {
            assert_eq!(trailers_at(cut.as_bytes()), None, "{cut:?}");
        }
    }

    #[test]
    fn what_follows_the_body_is_left_alone() {
        assert_eq!(decode(&[b"0\r\n\r\nGET / HTTP/1.1"]).1, Fed::Done(5));
    }

    #[test]
    fn bare_lf_is_accepted_and_noted() {
        let (out, fed, bare_lf) = decode(&[b"1\na\n0\n\n"]);
        assert_eq!((out.as_slice(), fed, bare_lf), (b"a".as_slice(), Fed::Done(7), true));
    }

    #[test]
    fn nonsense_is_invalid_where_it_stands() {
        for (input, at) in [
            (&b"\r\n"[..], 0),
            (b"g\r\n", 0),
            (b"-1\r\n", 0),
            (b"1\r\nab", 4),
            (b"11111111111111111\r\n", 16),
        ] {
            assert_eq!(decode(&[input]).1, Fed::Invalid(at), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn lines_and_trailers_have_limits() {
        let mut exact = vec![b'0'];
        exact.push(b';');
        exact.extend(vec![b'x'; MAX_LINE as usize - 1]);
        assert_eq!(decode(&[&exact]).1, Fed::More);
        exact.push(b'x');
        assert_eq!(decode(&[&exact]).1, Fed::Invalid(exact.len() - 1));
    }

    #[test]
    fn a_hole_is_survived_inside_a_chunk_only() {
        let mut chunked = Chunked::new();
        assert_eq!(chunked.feed(b"a\r\n12", |_| ()), Fed::More);
        assert!(chunked.gap(8));
        assert_eq!(chunked.feed(b"\r\n0\r\n\r\n", |_| ()), Fed::Done(7));
        let mut chunked = Chunked::new();
        assert_eq!(chunked.feed(b"a\r\n12", |_| ()), Fed::More);
        assert!(!chunked.gap(9));
    }
}
