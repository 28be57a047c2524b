//! v2's answer, read from its bytes: where it ends, what its status is, whether the connection lives on.
//!
//! In: pieces of any size as they come, and the end of the connection. Out: [`Progress`], or the
//! [`Failure`] that names what is wrong. Sockets and clocks are not known here.
//!
//! Guaranteed: linear in the bytes, however they are cut; only a head that came in pieces is kept, of at
//! most [`MAX_HEAD`] bytes; a body is read over, and kept only if that is asked for. Heads are parsed by httparse; framing is RFC 9112
//! section 6.3, for answers. Interim answers (1xx but for 101) are passed over.

use memchr::memchr;

use crate::model::KeptAnswer;
use crate::model::ledger::Failure;

use super::chunks::Chunks;

/// The largest head of an answer.
pub(super) const MAX_HEAD: usize = 256 << 10;
/// Line breaks that may stand before a status line.
const MAX_EMPTY: usize = 64;
/// Fields of an ordinary answer: room for them is on the stack.
const FIELDS: usize = 32;
/// The most fields of an answer.
const MAX_FIELDS: usize = 2048;

/// How far an answer has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// More is to come.
    More,
    /// It is whole. Bytes behind it that nobody asked for make the connection useless.
    Whole {
        /// Whether nothing came behind it.
        is_clean: bool,
    },
}

/// What is being read.
#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Sized(u64),
    Chunked(Chunks),
    UntilClose,
    Over,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct AnswerReader {
    /// What is kept, and how much of the body at most; boxed, since it is rare.
    kept: Option<Box<(KeptAnswer, usize)>>,
    /// Whether HEAD was asked: the answer has no body, whatever its head says.
    is_head_request: bool,
    /// The head so far, when it came in pieces.
    head: Vec<u8>,
    state: State,
    status: u16,
    keeps_alive: bool,
    has_begun: bool,
}

impl AnswerReader {
    /// For the answer to a request with this method.
    pub fn new(method: &[u8]) -> Self {
        Self {
            kept: None,
            is_head_request: method == b"HEAD",
            head: Vec::new(),
            state: State::Head,
            status: 0,
            keeps_alive: false,
            has_begun: false,
        }
    }

    /// Keeps the answer, and so many bytes of its body at most.
    pub fn keep(&mut self, limit: Option<usize>) {
        self.kept = limit.map(|limit| Box::new((KeptAnswer::default(), limit)));
    }

    /// What was kept, once.
    pub fn take_kept(&mut self) -> Option<Box<KeptAnswer>> {
        let kept = self.kept.take()?;
        Some(Box::new(kept.0))
    }

    /// Whether any byte has come.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the final head was read.
    pub fn has_head(&self) -> bool {
        !matches!(self.state, State::Head)
    }

    /// The status code, once there is a head.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection may be used again.
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Reads the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Progress, Failure> {
        self.has_begun |= !bytes.is_empty();
        while matches!(self.state, State::Head) {
            match self.take_head(bytes)? {
                Some(used) => bytes = bytes.get(used..).unwrap_or_default(),
                None => return Ok(Progress::More),
            }
        }
        let rest = match &mut self.state {
            State::Sized(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                keep(&mut self.kept, bytes.get(..taken).unwrap_or_default());
                (*left == 0).then_some(bytes.len() - taken)
            }
            State::Chunked(chunks) => {
                let used = match &mut self.kept {
                    None => chunks.feed(bytes)?,
                    kept => chunks.feed_to(bytes, |data| keep(kept, data))?,
                };
                used.map(|used| bytes.len() - used)
            }
            State::UntilClose => {
                keep(&mut self.kept, bytes);
                None
            }
            State::Head | State::Over => Some(bytes.len()),
        };
        let Some(rest) = rest else { return Ok(Progress::More) };
        self.state = State::Over;
        Ok(Progress::Whole { is_clean: rest == 0 })
    }

    /// The connection has ended: whether that is the answer's end.
    pub fn end(&self) -> Result<(), Failure> {
        match self.state {
            State::UntilClose | State::Over => Ok(()),
            State::Head => Err(Failure::Reset),
            State::Sized(_) | State::Chunked(_) => Err(Failure::BrokenAnswer),
        }
    }

    /// Looks for a whole head at the start of `bytes`, or across what was kept and them. Gives the bytes
    /// used when there was one; an interim one leaves the state as it is.
    fn take_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        if self.head.is_empty() {
            return match head_end(bytes, 0) {
                Some(end) => {
                    self.read_head(bytes.get(..end).unwrap_or_default())?;
                    Ok(Some(end))
                }
                None => {
                    self.head.extend_from_slice(bytes);
                    self.check_beginning()
                }
            };
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        match head_end(&self.head, before.saturating_sub(3)) {
            Some(end) => {
                let head = std::mem::take(&mut self.head);
                self.read_head(head.get(..end).unwrap_or_default())?;
                Ok(Some(end.saturating_sub(before)))
            }
            None => self.check_beginning(),
        }
    }

    /// Whether what is kept may become a head.
    fn check_beginning(&self) -> Result<Option<usize>, Failure> {
        let start = self.head.iter().take(MAX_EMPTY).take_while(|&&b| is_break(b)).count();
        let beginning = self.head.get(start..).unwrap_or_default();
        let looks_right = beginning.iter().zip(b"HTTP/1.").all(|(a, b)| a == b);
        if looks_right && self.head.len() <= MAX_HEAD {
            Ok(None)
        } else {
            Err(Failure::InvalidAnswer)
        }
    }

    /// Reads a whole head.
    fn read_head(&mut self, head: &[u8]) -> Result<(), Failure> {
        let kept = &mut self.kept;
        let parsed = match parse(head, &mut [httparse::EMPTY_HEADER; FIELDS], kept) {
            Err(httparse::Error::TooManyHeaders) => {
                parse(head, &mut vec![httparse::EMPTY_HEADER; MAX_FIELDS], kept)
            }
            parsed => parsed,
        };
        let parsed = parsed.map_err(|_| Failure::InvalidAnswer)?;
        let is_interim = parsed.status / 100 == 1 && parsed.status != 101;
        if is_interim {
            return Ok(());
        }
        self.status = parsed.status;
        let has_no_body = self.is_head_request || matches!(parsed.status, 101 | 204 | 304);
        self.state = match parsed.framing {
            _ if has_no_body => State::Over,
            Framing::Length(0) => State::Over,
            Framing::Length(length) => State::Sized(length),
            Framing::Chunked => State::Chunked(Chunks::default()),
            Framing::UntilClose => State::UntilClose,
        };
        let is_delimited = !matches!(self.state, State::UntilClose) && parsed.status != 101;
        self.keeps_alive = is_delimited && parsed.keeps_alive;
        Ok(())
    }
}

/// How a body ends, by the head alone.
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// What matters of a head.
struct Head {
    status: u16,
    framing: Framing,
    keeps_alive: bool,
}

fn is_break(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

/// Where the head ends that begins at the start of `bytes`: behind its empty line. The first `seen` bytes
/// were looked at before. Empty lines before the start line do not end it.
fn head_end(bytes: &[u8], seen: usize) -> Option<usize> {
    let start = bytes.iter().take(MAX_EMPTY).take_while(|&&b| is_break(b)).count();
    let mut at = seen.max(start);
    loop {
        let line_end = at + memchr(b'\n', bytes.get(at..)?)?;
        match bytes.get(line_end + 1..)? {
            [b'\n', ..] => return Some(line_end + 2),
            [b'\r', b'\n', ..] => return Some(line_end + 3),
            _ => at = line_end + 1,
        }
    }
}

/// Takes the next bytes of a body that is kept.
fn keep(kept: &mut Option<Box<(KeptAnswer, usize)>>, bytes: &[u8]) {
    if let Some(kept) = kept {
        let (answer, limit) = &mut **kept;
        answer.push(bytes, *limit);
    }
}

/// Parses a whole head, as leniently as clients do. What is kept of it is that of the last one.
fn parse<'a>(
    head: &'a [u8],
    fields: &mut [httparse::Header<'a>],
    kept: &mut Option<Box<(KeptAnswer, usize)>>,
) -> Result<Head, httparse::Error> {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_responses(true);
    let mut response = httparse::Response::new(fields);
    config.parse_response(&mut response, head)?;
    let (mut length, mut codings) = (None, None);
    let (mut closes, mut keeps) = (false, response.version == Some(1));
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let value = parse_length(field.value).ok_or(httparse::Error::HeaderValue)?;
            if length.is_some_and(|other| other != value) {
                return Err(httparse::Error::HeaderValue);
            }
            length = Some(value);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            codings = Some(field.value);
        } else if field.name.eq_ignore_ascii_case("connection") {
            closes |= has_token(field.value, "close");
            keeps |= has_token(field.value, "keep-alive");
        }
    }
    let is_last_chunked = |codings: &[u8]| {
        let last = codings.rsplit(|&b| b == b',').next().unwrap_or_default();
        last.trim_ascii().eq_ignore_ascii_case(b"chunked")
    };
    let framing = match (codings, length) {
        (Some(codings), _) if is_last_chunked(codings) => Framing::Chunked,
        (Some(_), _) | (None, None) => Framing::UntilClose,
        (None, Some(length)) => Framing::Length(length),
    };
    let status = response.code.unwrap_or(0);
    if let Some(kept) = kept {
        let field = |f: &httparse::Header| (f.name.as_bytes().to_vec(), f.value.to_vec());
        (kept.0.status, kept.0.fields) = (status, response.headers.iter().map(field).collect());
    }
    Ok(Head { status, framing, keeps_alive: keeps && !closes })
}

/// A Content-Length: digits only; a list of the same number is that number (RFC 9112 6.3).
fn parse_length(value: &[u8]) -> Option<u64> {
    let mut items = value.split(|&b| b == b',').map(|item| {
        let item = item.trim_ascii();
        let is_number = !item.is_empty() && item.iter().all(u8::is_ascii_digit);
        is_number.then(|| std::str::from_utf8(item).ok()?.parse::<u64>().ok()).flatten()
    });
    let first = items.next()??;
    items.all(|item| item == Some(first)).then_some(first)
}

/// Whether a comma-separated list has this token.
fn has_token(value: &[u8], token: &str) -> bool {
    value.split(|&b| b == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer in pieces of this size. Gives how it ended, and whether the connection lives.
    fn read(method: &str, bytes: &[u8], size: usize) -> Result<(u16, bool, bool), Failure> {
        let mut reader = AnswerReader::new(method.as_bytes());
        for piece in bytes.chunks(size) {
            if let Progress::Whole { is_clean } = reader.feed(piece)? {
                return Ok((reader.status(), reader.keeps_alive(), is_clean));
            }
        }
        reader.end()?;
        Ok((reader.status(), reader.keeps_alive(), true))
    }

    /// The same result for pieces of every size.
    #[track_caller]
    fn always(method: &str, text: &str, expected: Result<(u16, bool), Failure>) {
        for size in 1..=text.len() {
            let result =
                read(method, text.as_bytes(), size).map(|(status, lives, _)| (status, lives));
            assert_eq!(result, expected, "in pieces of {size}: {text:?}");
        }
    }

    #[test]
    fn every_framing_of_section_6_3_ends_where_it_should() {
        always("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, true)));
        always("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Ok((200, true)));
        always("GET", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", Ok((200, true)));
        let chunked = "Transfer-Encoding: gzip, Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n";
        always("GET", &format!("HTTP/1.1 200 OK\r\n{chunked}"), Ok((200, true)));
        always("GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", Ok((200, false)));
        always("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxyz", Ok((200, false)));
        always("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Ok((200, true)));
        always("GET", "HTTP/1.1 204 No Content\r\n\r\n", Ok((204, true)));
        always("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Ok((304, true)));
        always("GET", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", Ok((200, true)));
    }

    #[test]
    fn what_is_kept_is_the_same_in_any_pieces_and_without_chunk_framing() {
        let length = "Set-Cookie: a=1\r\nset-cookie:  b=2 \r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            "Transfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nT: v\r\n\r\n";
        for (text, fields) in [(length, 3), (chunked, 1), ("X: y\r\n\r\nhello", 1)] {
            let text = format!("HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 201 OK\r\n{text}");
            for (size, limit) in (1..=text.len()).flat_map(|size| [(size, 5), (size, 4)]) {
                let mut reader = AnswerReader::new(b"GET");
                reader.keep(Some(limit));
                for piece in text.as_bytes().chunks(size) {
                    reader.feed(piece).expect(&text);
                }
                let kept = reader.take_kept().expect("kept");
                assert_eq!((kept.status, kept.fields.len()), (201, fields), "{text:?} by {size}");
                assert_eq!(kept.body, &b"hello"[..limit], "{text:?} by {size}");
                assert_eq!((kept.body_len, kept.is_cut()), (5, limit < 5));
                if fields == 3 {
                    let cookies: Vec<_> = kept.values("Set-Cookie").collect();
                    assert_eq!(cookies, [b"a=1", b"b=2"]);
                }
            }
        }
        let mut reader = AnswerReader::new(b"GET");
        reader.feed(b"HTTP/1.1 204 OK\r\n\r\n").expect("an answer");
        assert_eq!(reader.take_kept(), None, "nobody asked");
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let two = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        let last = "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx";
        always("POST", &format!("{two}{last}"), Ok((201, true)));
        always("POST", two, Err(Failure::Reset));
        always("GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Ok((101, false)));
    }

    #[test]
    fn the_connection_lives_as_its_version_and_options_say() {
        let with =
            |version, field| format!("HTTP/1.{version} 200 OK\r\n{field}Content-Length: 0\r\n\r\n");
        always("GET", &with(1, "Connection: close\r\n"), Ok((200, false)));
        always("GET", &with(1, "Connection: x, Close\r\n"), Ok((200, false)));
        let both = "Connection: close\r\nConnection: keep-alive\r\n";
        always("GET", &with(1, both), Ok((200, false)));
        always("GET", &with(0, ""), Ok((200, false)));
        always("GET", &with(0, "Connection: keep-alive\r\n"), Ok((200, true)));
    }

    #[test]
    fn what_ends_too_early_is_named_by_where_it_ended() {
        always("GET", "HTTP/1.1 200 O", Err(Failure::Reset));
        always(
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            Err(Failure::BrokenAnswer),
        );
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf";
        always("GET", chunked, Err(Failure::BrokenAnswer));
        assert_eq!(AnswerReader::new(b"GET").end(), Err(Failure::Reset));
    }

    #[test]
    fn what_is_no_answer_is_invalid() {
        const INVALID: Result<(u16, bool), Failure> = Err(Failure::InvalidAnswer);
        always("GET", "220 smtp ready\r\n", INVALID);
        always("GET", "HTTP/2.0 200 OK\r\n\r\n", INVALID);
        always("GET", "HTTP/1.1 200 OK\r\nContent-Length: lots\r\n\r\n", INVALID);
        always("GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", INVALID);
        always("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", INVALID);
    }

    #[test]
    fn bytes_behind_an_answer_are_noticed() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200";
        assert_eq!(read("GET", text, text.len()), Ok((200, true, false)));
        let text = b"HTTP/1.1 204 N\r\n\r\nbody";
        assert_eq!(read("GET", text, text.len()), Ok((204, true, false)));
    }

    #[test]
    fn a_head_is_bounded_and_read_once_however_it_comes() {
        let large = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; MAX_HEAD]].concat();
        assert_eq!(read("GET", &large, 1000), Err(Failure::InvalidAnswer));
        let many = format!("HTTP/1.1 204 OK\r\n{}\r\n", "A: b\r\n".repeat(1500));
        assert_eq!(read("GET", many.as_bytes(), 7), Ok((204, true, true)));
    }
}
