//! Reading HTTP/1.1 off a socket, simply and fast: for the recording server and the load generator.
//!
//! Not shadowtap's own reader, on purpose: it must not be the judge of itself. It understands what
//! our own parties send and panics or fails on the rest.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// A buffered reader that can look ahead for the end of a head.
pub struct Reader<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// How a message's body is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Content-Length, or none at all.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

impl<R: Read> Reader<R> {
    /// Around a socket.
    pub fn new(source: R) -> Self {
        Self { source, buffer: vec![0; 128 * 1024], start: 0, end: 0 }
    }

    /// The next head with its empty line, as read; `None` at a clean end. `first_byte` is called
    /// when the head's first byte is there.
    pub fn head(&mut self, first_byte: impl FnOnce()) -> io::Result<Option<Vec<u8>>> {
        if self.start == self.end && !self.fill()? {
            return Ok(None);
        }
        first_byte();
        loop {
            let seen = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memmem::find(seen, b"\r\n\r\n") {
                let head = seen[..at + 4].to_vec();
                self.start += head.len();
                return Ok(Some(head));
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads a body and gives its length and, if wanted, its hash; chunk framing is taken off.
    pub fn body(&mut self, framing: Framing, hash: bool) -> io::Result<(u64, [u8; 32])> {
        let mut sink = Sink { hasher: hash.then(Sha256::new), len: 0 };
        match framing {
            Framing::Length(len) => self.take(len, &mut sink)?,
            Framing::Chunked => loop {
                let line = self.line()?;
                let size = line.split(|&b| b == b';').next().unwrap_or_default();
                let size = std::str::from_utf8(size).ok().map(str::trim);
                let size = size.and_then(|s| u64::from_str_radix(s, 16).ok());
                let size = size.ok_or(io::ErrorKind::InvalidData)?;
                if size == 0 {
                    // Trailers, up to the empty line.
                    while !self.line()?.is_empty() {}
                    break;
                }
                self.take(size, &mut sink)?;
                if !self.line()?.is_empty() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            },
        }
        Ok((sink.len, sink.hasher.map_or([0; 32], |h| h.finalize().into())))
    }

    fn take(&mut self, mut len: u64, sink: &mut Sink) -> io::Result<()> {
        while len > 0 {
            if self.start == self.end && !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let there = self.end - self.start;
            let n = usize::try_from(len).map_or(there, |len| len.min(there));
            sink.push(&self.buffer[self.start..self.start + n]);
            self.start += n;
            len -= n as u64;
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let seen = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memmem::find(seen, b"\r\n") {
                let line = seen[..at].to_vec();
                self.start += at + 2;
                return Ok(line);
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads more; false at the end. What is unread stays.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            if self.start == 0 {
                return Err(io::Error::other("a head larger than the buffer"));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let n = self.source.read(&mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n > 0)
    }
}

struct Sink {
    hasher: Option<Sha256>,
    len: u64,
}

impl Sink {
    fn push(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }
}

/// The value of a field in a head, by its lower-case name, without the white space around it.
pub fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&b| b == b'\n').skip(1).find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}

/// How the body behind this head is delimited.
pub fn framing(head: &[u8]) -> Framing {
    if field(head, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case(b"chunked")) {
        return Framing::Chunked;
    }
    let len = field(head, "content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
    Framing::Length(len.unwrap_or(0))
}

/// The three words of a start line.
pub fn start_line(head: &[u8]) -> Option<[String; 3]> {
    let line = head.split(|&b| b == b'\r').next()?;
    let mut words = line.splitn(3, |&b| b == b' ');
    let mut word = || Some(String::from_utf8_lossy(words.next()?).into_owned());
    Some([word()?, word()?, word()?])
}
