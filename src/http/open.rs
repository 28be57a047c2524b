//! A message of which the head was read: collects, hashes and counts its body.
//!
//! In: the parsed head, then bytes of the body and holes. Out: a [`Message`]. Guaranteed: a body over
//! the limit is not kept (its memory is given back at once) but still followed to its end, so that
//! the messages behind it are found; nor is what follows a hole: what is kept, hashed and counted as its body is always the message's beginning; nothing is allocated on the word of a Content-Length alone.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::chunked::{Chunked, Fed};
use super::framing::{self, BodyLength};
use super::head::{Head, StartLine};
use super::reader::Config;
use crate::model::{
    Anomalies, Anomaly, Completion, FlowInfo, Message, Piece, Side, Start, Timestamp,
};

/// Memory reserved at once for a body whose length is known: enough for most, harmless if it lies.
const MAX_RESERVE: u64 = 64 << 10;

/// How much larger than its data a chunked body may be on the wire and still be kept.
const MAX_CHUNK_OVERHEAD: u64 = 1 << 20;

/// How every response begins (RFC 9112 section 4).
const STATUS_LINE: &[u8] = b"HTTP/";

#[derive(Debug)]
enum Body {
    Known { left: u64 },
    Chunked(Chunked),
    UntilClose,
}

/// What the connection knows of a message besides its head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub start: Start,
    pub index: u32,
    pub client: Side,
    pub first_byte: Timestamp,
    pub last_byte: Timestamp,
    pub anomalies: Anomalies,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Open {
    pub origin: Origin,
    pub expects_continue: bool,
    /// Whether it is a response of which the request was missed, so that it may have no body
    /// whatever its fields say.
    pub is_doubtful: bool,
    /// How many of the body's first bytes are those of a status line.
    alike: usize,
    head: Head,
    raw: Vec<u8>,
    head_len: usize,
    body: Body,
    is_chunked: bool,
    decoded: Vec<u8>,
    body_len: u64,
    hasher: Option<Sha256>,
    is_kept: bool,
    is_too_large: bool,
    is_missing_bytes: bool,
    /// Bytes delivered for this message so far, head included.
    pub wire: u64,
}

impl Open {
    pub fn new(
        origin: Origin,
        head: Head,
        bytes: &[u8],
        length: BodyLength,
        config: &Config,
    ) -> Self {
        let body = match length {
            BodyLength::Known(left) => Body::Known { left },
            BodyLength::Chunked => Body::Chunked(Chunked::new()),
            BodyLength::UntilClose => Body::UntilClose,
            BodyLength::Tunnel => Body::Known { left: 0 },
        };
        let limit = config.max_body.unwrap_or(0);
        let announced = if let BodyLength::Known(length) = length { length } else { 0 };
        let is_too_large = config.max_body.is_some_and(|max| announced > max);
        // Nobody takes the bodies of responses that are not put out.
        let is_wanted = matches!(origin.start, Start::Request { .. }) || config.emit_responses;
        let reserve = match config.max_body {
            Some(_) if is_wanted && !is_too_large => announced.min(limit).min(MAX_RESERVE) as usize,
            _ => 0,
        };
        let mut raw = Vec::with_capacity(bytes.len() + reserve);
        raw.extend_from_slice(bytes);
        Self {
            origin,
            expects_continue: false,
            is_doubtful: false,
            alike: 0,
            head,
            raw,
            head_len: bytes.len(),
            is_chunked: matches!(body, Body::Chunked(_)),
            body,
            decoded: Vec::new(),
            body_len: 0,
            hasher: config.hash_bodies.then(Sha256::new),
            is_kept: config.max_body.is_some() && is_wanted && !is_too_large,
            is_too_large,
            is_missing_bytes: false,
            wire: bytes.len() as u64,
        }
    }

    /// Memory held, in bytes.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.raw.capacity() + self.decoded.capacity()
    }

    /// Whether nothing of the body has come yet.
    pub fn is_bodiless_yet(&self) -> bool {
        self.wire == self.head_len as u64 && !self.is_missing_bytes
    }

    /// Whether the body is over already (there is none).
    pub fn is_done(&self) -> bool {
        matches!(self.body, Body::Known { left: 0 })
    }

    /// Reads on. Says how many of the bytes belong to this message.
    pub fn feed(&mut self, piece: Piece<'_>, config: &Config) -> Fed {
        self.origin.last_byte = piece.at;
        self.origin.anomalies.merge(piece.anomalies);
        let input = piece.bytes;
        let fed = match &mut self.body {
            Body::Known { left } => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left = left.saturating_sub(take as u64);
                if *left == 0 { Fed::Done(take) } else { Fed::More }
            }
            Body::UntilClose => Fed::More,
            Body::Chunked(chunked) => {
                let (is_kept, is_beyond_hole) = (self.is_kept, self.is_missing_bytes);
                let decoded = &mut self.decoded;
                let (hasher, body_len) = (&mut self.hasher, &mut self.body_len);
                let fed = chunked.feed(input, |data| {
                    if is_beyond_hole {
                        return;
                    }
                    *body_len += data.len() as u64;
                    if let Some(hasher) = hasher {
                        hasher.update(data);
                    }
                    if is_kept {
                        decoded.extend_from_slice(data);
                    }
                });
                if chunked.bare_lf {
                    self.origin.anomalies.insert(Anomaly::BareLf);
                }
                fed
            }
        };
        let taken = match fed {
            Fed::More => input.len(),
            Fed::Done(len) | Fed::Invalid(len) => len,
        };
        let taken = input.get(..taken).unwrap_or_default();
        self.settle_doubt(taken);
        self.take(taken, config);
        fed
    }

    /// What the first bytes behind the head tell of a response whose request was missed.
    ///
    /// RFC 9112 section 6.3 frames a response by its own fields but for two methods of the request. After
    /// HEAD there is no body, and what follows is the next status line: a body that begins with anything
    /// else (or chunk framing, which begins with a digit) is none of HEAD's, and the message is whole when
    /// its own framing says so. One that begins like a status line, or has nothing but empty lines, stays
    /// in doubt for good, whatever comes behind it. After CONNECT a 2xx begins a tunnel, but it has no
    /// length (RFC 9110 section 9.3.6) and describes no content: where neither is there, the doubt stays.
    fn settle_doubt(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if !self.is_doubtful {
                return;
            }
            match STATUS_LINE.get(self.alike) {
                None => return,
                Some(next) if next == byte => self.alike += 1,
                Some(_) if self.alike == 0 && matches!(byte, b'\r' | b'\n') => {}
                Some(_) => {
                    self.is_doubtful = self.may_be_tunnel();
                    self.alike = STATUS_LINE.len();
                }
            }
        }
    }

    /// Whether it may be a 2xx to CONNECT.
    fn may_be_tunnel(&self) -> bool {
        let head = self.raw.get(..self.head_len).unwrap_or_default();
        let is_2xx = matches!(self.head.start, StartLine::Response { status: 200..=299, .. });
        let is_described = framing::values(head, &self.head, "content-type").next().is_some();
        matches!(self.body, Body::UntilClose) && is_2xx && !is_described
    }

    /// Accounts for body bytes as they were on the wire.
    fn take(&mut self, bytes: &[u8], config: &Config) {
        self.wire += bytes.len() as u64;
        if self.is_missing_bytes {
            return;
        }
        if !self.is_chunked {
            self.body_len += bytes.len() as u64;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(bytes);
            }
        }
        if !self.is_kept {
            return;
        }
        self.raw.extend_from_slice(bytes);
        let max = config.max_body.unwrap_or(0);
        let on_wire = (self.raw.len() - self.head_len) as u64;
        if self.body_len > max || on_wire > max.saturating_mul(2).saturating_add(MAX_CHUNK_OVERHEAD)
        {
            self.is_kept = false;
            self.is_too_large = true;
            self.raw.truncate(self.head_len);
            self.raw.shrink_to_fit();
            self.decoded = Vec::new();
        }
    }

    /// A hole. True when it lies inside the message and its end can still be told.
    pub fn gap(&mut self, len: u64) -> bool {
        self.origin.anomalies.insert(Anomaly::Gap);
        self.is_missing_bytes = true;
        match &mut self.body {
            _ if self.is_doubtful => false,
            Body::Known { left } if len <= *left => {
                *left = left.saturating_sub(len);
                true
            }
            Body::Known { .. } => false,
            Body::Chunked(chunked) => chunked.gap(len),
            Body::UntilClose => true,
        }
    }

    /// Whether the end of the connection is this body's end.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.body, Body::UntilClose)
    }

    /// The message, whole unless a reason says otherwise.
    pub fn into_message(mut self, info: &FlowInfo, flaw: Option<Anomaly>) -> Message {
        if let Some(flaw) = flaw {
            self.origin.anomalies.insert(flaw);
        }
        let has_body =
            !matches!(self.body, Body::Known { left: 0 }) || self.wire > self.head_len as u64;
        let is_flawed = flaw.is_some()
            || self.is_missing_bytes
            || self.origin.anomalies.contains(Anomaly::HeadTooLarge)
            || (self.is_doubtful && has_body);
        if self.is_doubtful && has_body {
            self.origin.anomalies.insert(Anomaly::Gap);
        }
        let completion = match (is_flawed, self.is_too_large) {
            (true, _) => Completion::Incomplete,
            (false, true) => Completion::TooLarge,
            (false, false) => Completion::Complete,
        };
        if completion != Completion::Complete {
            // Bytes of a body that may not be its own: of a response that perhaps has none, of a request that was answered
            // before its body came. They may be the next message's, secrets and all.
            if self.is_doubtful || self.expects_continue {
                self.raw.truncate(self.head_len);
                self.decoded.clear();
                self.body_len = 0;
                self.hasher = self.hasher.map(|_| Sha256::new());
            }
            // Room for what never came.
            self.raw.shrink_to_fit();
            self.decoded.shrink_to_fit();
        }
        let raw = Bytes::from(self.raw);
        let body = match (self.is_kept, self.is_chunked) {
            (false, _) => Bytes::new(),
            (true, true) => Bytes::from(self.decoded),
            (true, false) => raw.slice(self.head_len.min(raw.len())..),
        };
        Message {
            conn: info.conn,
            index: self.origin.index,
            client: info.end(self.origin.client),
            server: info.end(self.origin.client.peer()),
            first_byte: self.origin.first_byte,
            last_byte: self.origin.last_byte,
            start: self.origin.start,
            version: self.head.version,
            fields: self.head.fields,
            raw,
            head_len: self.head_len,
            body,
            body_len: self.body_len,
            body_sha256: self.hasher.map(|hasher| hasher.finalize().into()),
            chunked: self.is_chunked,
            completion,
            anomalies: self.origin.anomalies,
            redacted: 0,
        }
    }
}
