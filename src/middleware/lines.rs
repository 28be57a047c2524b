//! What a program prints, cut into lines.
//!
//! In: bytes as they come. Out: whole lines without their ends, or that one was too long, which is then read over.
//! Guaranteed: no more than the longest line is kept, and each byte is looked at once.

/// See the module's description.
#[derive(Debug)]
pub(super) struct Lines {
    longest: usize,
    kept: Vec<u8>,
    /// Whether the line at hand is too long.
    is_over: bool,
}

impl Lines {
    pub fn new(longest: usize) -> Self {
        Self { longest, kept: Vec::new(), is_over: false }
    }

    /// Takes the next bytes; `Err` stands for a line that was too long.
    pub fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(Result<&[u8], ()>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (front, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            bytes = rest.get(1..).unwrap_or_default();
            self.add(front);
            match std::mem::take(&mut self.is_over) {
                true => line(Err(())),
                false => line(Ok(self.kept.strip_suffix(b"\r").unwrap_or(&self.kept))),
            }
            self.kept.clear();
            // Of a long line nothing is left for the many short ones.
            self.kept.shrink_to(64 << 10);
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        self.is_over |= self.kept.len().saturating_add(bytes.len()) > self.longest;
        match self.is_over {
            true => self.kept.clear(),
            false => self.kept.extend_from_slice(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(longest: usize, pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let (mut lines, mut out) = (Lines::new(longest), Vec::new());
        for piece in pieces {
            lines.push(piece, |line| out.push(line.ok().map(<[u8]>::to_vec)));
            assert!(lines.kept.len() <= longest);
        }
        out
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_cut() {
        let text = b"one\r\n\ntoo long\n12345\nlast";
        let want = [Some(b"one".to_vec()), Some(vec![]), None, Some(b"12345".to_vec())];
        for cut in 0..=text.len() {
            let (front, behind) = text.split_at(cut);
            assert_eq!(lines(5, &[front, behind]), want, "cut at {cut}");
        }
    }
}
