//! The chunked coding of an answer (RFC 9112 section 7.1), read over; who wants its data gets it.
//!
//! In: pieces of any size. Out: where the last chunk's trailer section ends. Guaranteed: constant memory; a
//! size that is no hexadecimal number of at most 64 bits is an error; each line is bounded.

use crate::model::ledger::Failure;

/// The longest chunk line or trailer section, in bytes: extensions and trailers, mostly abuse.
const MAX_LINES: u32 = 64 << 10;

/// Where in the coding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    /// Before or within the digits of a size; whether there was one.
    #[default]
    SizeStart,
    Size,
    /// Behind the digits: white space, an extension, CR.
    SizeRest,
    Data,
    /// The line break behind the data.
    DataEnd,
    /// At the start of a trailer line: an empty one is the end.
    TrailerStart,
    Trailer,
}

/// See the module's description.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// The size of the chunk, or what is left of its data.
    left: u64,
    /// Bytes of lines since the last data.
    line: u32,
}

impl Chunks {
    /// Reads the next bytes. Gives how many belong to the body once it is at its end.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        self.feed_to(bytes, |_| ())
    }

    /// The same, and hands on the data that is in them.
    pub fn feed_to(
        &mut self,
        bytes: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<Option<usize>, Failure> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.place == Place::Data {
                let there = bytes.len() - at;
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(there);
                self.left -= taken as u64;
                data(bytes.get(at..at + taken).unwrap_or_default());
                at += taken;
                if self.left == 0 {
                    (self.place, self.line) = (Place::DataEnd, 0);
                }
                continue;
            }
            at += 1;
            self.line += 1;
            if self.line > MAX_LINES {
                return Err(Failure::InvalidAnswer);
            }
            if self.step(byte)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// One byte of a line. True at the end of the body.
    fn step(&mut self, byte: u8) -> Result<bool, Failure> {
        self.place = match (self.place, byte) {
            (Place::SizeStart | Place::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let shifted = self.left.checked_mul(16).ok_or(Failure::InvalidAnswer)?;
                self.left = shifted | u64::from(digit);
                Place::Size
            }
            (Place::Size | Place::SizeRest, b'\n') if self.left == 0 => Place::TrailerStart,
            (Place::Size | Place::SizeRest, b'\n') => Place::Data,
            (Place::Size, b';' | b' ' | b'\t' | b'\r') | (Place::SizeRest, _) => Place::SizeRest,
            (Place::DataEnd, b'\r') => Place::DataEnd,
            (Place::DataEnd, b'\n') => Place::SizeStart,
            (Place::TrailerStart, b'\r') => Place::TrailerStart,
            (Place::TrailerStart, b'\n') => return Ok(true),
            (Place::Trailer, b'\n') => Place::TrailerStart,
            (Place::TrailerStart | Place::Trailer, _) => Place::Trailer,
            _ => return Err(Failure::InvalidAnswer),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_in_any_pieces() {
        for text in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "a;x=\"y\"\r\n0123456789\r\n00\r\nT: v\r\nU: w\r\n\r\n",
            "1\nx\n0\n\n",
        ] {
            for size in 1..=text.len() {
                let (mut chunks, mut seen, mut end) = (Chunks::default(), 0, None);
                for piece in format!("{text}HTTP").as_bytes().chunks(size) {
                    if let Some(used) = chunks.feed(piece).expect(text) {
                        end = Some(seen + used);
                        break;
                    }
                    seen += piece.len();
                }
                assert_eq!(end, Some(text.len()), "{text:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_is_no_size_is_an_error() {
        for text in ["\r\n", "x\r\n", "-1\r\n", "1x\r\n", "11111111111111111\r\n", "1\r\nab"] {
            assert_eq!(
                Chunks::default().feed(text.as_bytes()),
                Err(Failure::InvalidAnswer),
                "{text:?}"
            );
        }
    }

    #[test]
    fn lines_are_bounded() {
        let long = format!("1;{}", "x".repeat(MAX_LINES as usize));
        assert_eq!(Chunks::default().feed(long.as_bytes()), Err(Failure::InvalidAnswer));
        let many = format!("0\r\n{}", "T: v\r\n".repeat(20_000));
        assert_eq!(Chunks::default().feed(many.as_bytes()), Err(Failure::InvalidAnswer));
    }
}
