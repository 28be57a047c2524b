//! The entries of a HAR document, found one by one: `{"log": {..., "entries": [ENTRY, ...], ...}, ...}`.
//!
//! In: any `Read`. Out: the bytes of one entry after the other. Guaranteed: no more than one entry is in memory, and
//! none larger than the limit; time is linear; what is no JSON around the entries is an error that
//! names line and column. Whether an entry is what it should be is found by who takes it apart.

use std::io::{self, ErrorKind, Read};

use memchr::memchr_iter;

use super::super::window::Window;

/// Bytes of a key between the document's start and its entries.
const MAX_KEY: usize = 1024;

/// A place in a text, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its line.
    pub line: u64,
    /// The byte in it.
    pub column: u64,
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// An entry of so many bytes, see [`Scanner::bytes`]. Goes on behind it with [`Scanner::consume`].
    Entry(usize),
    /// An entry over the limit, which was skipped.
    TooLarge(u64),
    /// Nothing more.
    End,
}

/// Where in the document the scanner is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Start,
    /// Within an object of this depth: 0 is the document, 1 is `log`.
    Key {
        depth: u8,
        is_first: bool,
    },
    Entry {
        is_first: bool,
    },
    /// Behind the document.
    End,
    /// Everything was looked at.
    Over,
}

/// See the module's description.
pub struct Scanner<R> {
    window: Window<R>,
    max_entry: usize,
    at: At,
    place: Place,
    has_entries: bool,
}

impl<R: Read> Scanner<R> {
    /// Reads from here.
    pub fn new(input: R, max_entry: u64) -> io::Result<Self> {
        Ok(Self {
            window: Window::new(input)?,
            max_entry: usize::try_from(max_entry).unwrap_or(usize::MAX),
            at: At::Start,
            place: Place { line: 1, column: 1 },
            has_entries: false,
        })
    }

    /// The next entry. Behind an error there is nothing.
    pub fn next_entry(&mut self) -> io::Result<Found> {
        let found = self.find();
        if found.is_err() {
            self.at = At::Over;
        }
        found
    }

    /// What is in memory, from the entry's first byte on.
    pub fn bytes(&self) -> &[u8] {
        self.window.bytes()
    }

    /// Where the window begins.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// Where the window begins, as line and column.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Goes on behind so many bytes.
    pub fn consume(&mut self, len: usize) {
        let passed = self.window.bytes().get(..len).unwrap_or_default();
        match memchr::memrchr(b'\n', passed) {
            Some(last) => {
                self.place.line += memchr_iter(b'\n', passed).count() as u64;
                self.place.column = (passed.len() - last) as u64;
            }
            None => self.place.column += passed.len() as u64,
        }
        self.window.consume(len);
    }

    fn find(&mut self) -> io::Result<Found> {
        loop {
            match self.at {
                At::Start => {
                    if self.window.ensure(3)? && self.window.bytes().starts_with(b"\xef\xbb\xbf") {
                        self.window.consume(3);
                    }
                    self.expect(b'{')?;
                    self.at = At::Key { depth: 0, is_first: true };
                }
                At::Key { depth, is_first } => self.key(depth, is_first)?,
                At::Entry { is_first } => {
                    let next = self.peek("an entry or `]`")?;
                    match next {
                        b']' => {
                            self.consume(1);
                            self.at = At::Key { depth: 1, is_first: false };
                            continue;
                        }
                        b',' if !is_first => self.consume(1),
                        _ if is_first => {}
                        _ => return Err(self.unlike("`,` or `]` behind an entry")),
                    }
                    if self.peek("an entry")? == b']' {
                        return Err(self.unlike("an entry"));
                    }
                    self.at = At::Entry { is_first: false };
                    return Ok(match self.value(self.max_entry)? {
                        (len, 0) => Found::Entry(len),
                        (_, dropped) => Found::TooLarge(dropped),
                    });
                }
                At::End => {
                    self.at = At::Over;
                    return self.rest_is_blank();
                }
                At::Over => return Ok(Found::End),
            }
        }
    }

    /// A key and, unless it leads to the entries, its value; or the object's end.
    fn key(&mut self, depth: u8, is_first: bool) -> io::Result<()> {
        let next = self.peek("a key or `}`")?;
        match next {
            b'}' => {
                self.at = match depth {
                    0 if self.has_entries => At::End,
                    0 => return Err(self.unlike("`log.entries` before the document's end")),
                    _ => At::Key { depth: 0, is_first: false },
                };
                self.consume(1);
                return Ok(());
            }
            b',' if !is_first => self.consume(1),
            _ if is_first => {}
            _ => return Err(self.unlike("`,` or `}`")),
        }
        if self.peek("a key")? != b'"' {
            return Err(self.unlike("a key"));
        }
        let (len, _) = self.value(MAX_KEY)?;
        let key = self.window.bytes().get(..len).unwrap_or_default();
        let (is_log, is_entries) = (key == b"\"log\"", key == b"\"entries\"");
        self.consume(len);
        self.expect(b':')?;
        if depth == 0 && is_log {
            self.expect(b'{')?;
            self.at = At::Key { depth: 1, is_first: true };
        } else if depth == 1 && is_entries {
            self.expect(b'[')?;
            self.has_entries = true;
            self.at = At::Entry { is_first: true };
        } else {
            self.peek("a value")?;
            let (len, _) = self.value(0)?;
            self.consume(len);
            self.at = At::Key { depth, is_first: false };
        }
        Ok(())
    }

    /// Behind the document nothing may stand: another one would be lost.
    fn rest_is_blank(&mut self) -> io::Result<Found> {
        loop {
            let bytes = self.window.bytes();
            let blank = bytes.iter().take_while(|b| b" \t\r\n".contains(b)).count();
            let is_more = blank < bytes.len();
            self.consume(blank);
            if is_more {
                return Err(self.unlike("the end of the document"));
            }
            if !self.window.ensure(1)? {
                return Ok(Found::End);
            }
        }
    }

    /// The first byte that is no white space.
    fn peek(&mut self, wanted: &str) -> io::Result<u8> {
        loop {
            let bytes = self.window.bytes();
            let blank = bytes.iter().take_while(|b| b" \t\r\n".contains(b)).count();
            if let Some(&byte) = bytes.get(blank) {
                self.consume(blank);
                return Ok(byte);
            }
            self.consume(blank);
            if !self.window.ensure(1)? {
                return Err(self.unlike(wanted));
            }
        }
    }

    fn expect(&mut self, wanted: u8) -> io::Result<()> {
        let name = format!("`{}`", char::from(wanted));
        if self.peek(&name)? != wanted {
            return Err(self.unlike(&name));
        }
        self.consume(1);
        Ok(())
    }

    /// The length of the value at the window's start. Beyond `limit` it is not kept: how many bytes of it
    /// were let go comes second, and of what is left nothing is to be consumed.
    fn value(&mut self, limit: usize) -> io::Result<(usize, u64)> {
        let (mut nesting, mut at, mut dropped) = (Nesting::default(), 0, 0);
        loop {
            let end = nesting.end_of(self.window.bytes().get(at..).unwrap_or_default());
            let seen = end.map_or(self.window.bytes().len(), |end| at + end);
            if seen > limit && limit > 0 || dropped > 0 {
                self.consume(seen);
                dropped += seen as u64;
                at = 0;
            } else if limit == 0 && end.is_none() {
                self.consume(seen);
                at = 0;
            } else {
                at = seen;
            }
            if end.is_some() {
                return Ok((at, dropped));
            }
            if !self.window.ensure(at + 1)? {
                return Err(self.error("the file ends within what begins there"));
            }
        }
    }

    fn unlike(&self, wanted: &str) -> io::Error {
        let found = match self.window.bytes().first() {
            Some(byte) => format!("found `{}`", byte.escape_ascii()),
            None => "the file ends there".to_owned(),
        };
        self.error(&format!("expected {wanted}, {found}"))
    }

    fn error(&self, what: &str) -> io::Error {
        let Place { line, column } = self.place;
        io::Error::new(
            ErrorKind::InvalidData,
            format!(
                "line {line}, column {column}: {what}; this is no whole HAR document: export it again, or let \
                 `jq . FILE` show what is wrong"
            ),
        )
    }
}

/// Where a JSON value ends, found piece by piece.
#[derive(Debug, Default)]
struct Nesting {
    depth: u64,
    in_text: bool,
    is_escaped: bool,
    has_begun: bool,
}

impl Nesting {
    /// The length of the value's part in these bytes, if it ends in them.
    fn end_of(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.in_text {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => {
                        self.in_text = false;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth <= 1 => {
                    // Of a number or a word, the end is what does not belong to it.
                    return Some(if self.depth == 1 { at + 1 } else { at });
                }
                b'}' | b']' => self.depth -= 1,
                b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 && self.has_begun => {
                    return Some(at);
                }
                _ => {}
            }
            self.has_begun = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str, limit: u64) -> Result<Vec<String>, String> {
        let mut scanner = Scanner::new(text.as_bytes(), limit).expect("memory");
        let mut entries = Vec::new();
        loop {
            match scanner.next_entry().map_err(|error| error.to_string())? {
                Found::Entry(len) => {
                    let entry = String::from_utf8_lossy(&scanner.bytes()[..len]).into_owned();
                    scanner.consume(len);
                    entries.push(entry);
                }
                Found::TooLarge(len) => entries.push(format!("{len} bytes")),
                Found::End => return Ok(entries),
            }
        }
    }

    #[test]
    fn entries_are_found_wherever_they_stand() {
        let text = "\u{feff} {\"a\": [{}, \"}\"], \"log\" : {\"pages\":[{\"x\":\"]\\\"\"}],\"n\":1.5,\n\
            \"entries\" : [ {\"a\":\"}\\\\\"} , 17,\"s\", [1,[2]], null\n],\"b\":true}, \"c\":{}}\n";
        let want = ["{\"a\":\"}\\\\\"}", "17", "\"s\"", "[1,[2]]", "null"];
        assert_eq!(scan(text, 100).expect("a document"), want);
        assert_eq!(scan("{\"log\":{\"entries\":[]}}", 100), Ok(vec![]));
    }

    #[test]
    fn an_entry_over_the_limit_is_skipped() {
        let long = format!(
            "{{\"log\":{{\"entries\":[{{}},{{\"a\":\"{}\"}},{{}}]}}}}",
            "x".repeat(2_000_000)
        );
        assert_eq!(scan(&long, 100), Ok(vec!["{}".into(), "2000008 bytes".into(), "{}".into()]));
    }

    #[test]
    fn what_is_no_document_is_said_with_its_place() {
        for (text, place, what) in [
            ("", "line 1, column 1:", "the file ends there"),
            ("[]", "line 1, column 1:", "expected `{`, found `[`"),
            ("{\n\"log\" 1", "line 2, column 7:", "expected `:`"),
            ("{\"log\":{\"entries\":[{},]}}", "line 1, column 23:", "expected an entry"),
            ("{\"log\":{\"entries\":[{} {}]}}", "line 1, column 23:", "`,` or `]`"),
            ("{\"log\":{\"entries\":[{\n\n", "line 1, column 20:", "ends within what begins"),
            ("{\"log\":{}}", "line 1, column 10:", "`log.entries`"),
            ("{\"log\":{\"entries\":[]}", "line 1, column 22:", "a key or `}`"),
            ("{\"log\":{\"entries\":[]}}\n{}", "line 2, column 1:", "the end of the document"),
        ] {
            let error = scan(text, 100).expect_err(text);
            assert!(error.contains(place) && error.contains(what), "{text}: {error}");
            assert!(error.contains("export it again"), "{error}");
        }
    }
}
