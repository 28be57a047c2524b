//! Which share of the requests goes on: `--percent`, `--sample-by`, `--seed`.
//!
//! In: a request. Out: whether it is among the share. Guaranteed: the choice is a function of the seed and of what
//! the request bears, and of nothing else, so it is the same in every run, on every machine, live and from a
//! file; who is in stays in when the share grows. By a key, all requests with the same value are in or out.
//!
//! The definition, for whoever wants to compute it: hash = SipHash-2-4 of the bytes below under the 16-byte key
//! `seed as u64, little endian` and eight zero bytes; in if hash < floor(percent / 100 x 2^64), both in IEEE 754
//! doubles. The bytes are
//!
//! - by header, cookie or query: the value as it stands in the request, without white space around it;
//! - by client: its address in 16 bytes, an IPv4 address as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2);
//! - by connection: the client's address so and its port in big endian, then the server's;
//! - without a key, or where the request has none: as by connection, then the packet time of the request's first
//!   byte in nanoseconds since 1970, 8 bytes, big endian;
//! - in either of the last two, of a request of which no connection is known (its client has no port: .gor, access logs, most HAR):
//!   then its number within the files, 8 bytes, big endian.
//!
//! The number of the request within its connection is not hashed: it depends on when the capture began. So
//! requests that begin in one segment (pipelined) share one fate.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;
use std::str::FromStr;

use memchr::memchr_iter;
use siphasher::sip::SipHasher24;
use thiserror::Error;

use crate::model::{Endpoint, Message};

/// What a choice holds for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SampleKey {
    /// Each request for itself.
    #[default]
    Request,
    /// All with the same first value of this field.
    Header(String),
    /// All with the same first cookie of this name.
    Cookie(String),
    /// All with the same first query parameter of this name.
    Query(String),
    /// All of one client address.
    Client,
    /// All of one pair of endpoints.
    Connection,
}

/// What is wrong with the value of `--sample-by`.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "`{0}` is nothing to sample by; give header:NAME, cookie:NAME, query:NAME, client or connection, such as \
     header:X-User-Id"
)]
pub struct SampleKeyError(String);

impl FromStr for SampleKey {
    type Err = SampleKeyError;

    fn from_str(text: &str) -> Result<Self, SampleKeyError> {
        let wrong = || SampleKeyError(text.to_owned());
        let is_token = |name: &str| {
            let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            !name.is_empty() && name.bytes().all(is_tchar)
        };
        let is_parameter = |name: &str| !name.is_empty() && !name.contains(['&', '=', '#', ' ']);
        match text.trim().split_once(':') {
            None if text.trim() == "client" => Ok(Self::Client),
            None if text.trim() == "connection" => Ok(Self::Connection),
            Some(("header", name)) if is_token(name.trim()) => {
                Ok(Self::Header(name.trim().to_owned()))
            }
            Some(("cookie", name)) if is_token(name.trim()) => {
                Ok(Self::Cookie(name.trim().to_owned()))
            }
            Some(("query", name)) if is_parameter(name.trim()) => {
                Ok(Self::Query(name.trim().to_owned()))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for SampleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("request"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Client => f.write_str("client"),
            Self::Connection => f.write_str("connection"),
        }
    }
}

impl SampleKey {
    /// The value that the request bears; an empty one is none.
    fn value<'a>(&self, request: &'a Message) -> Option<&'a [u8]> {
        let value = match self {
            Self::Header(name) => request.header(name),
            Self::Cookie(name) => cookie(request, name.as_bytes()),
            Self::Query(name) => parameter(request.path_and_query(), name.as_bytes()),
            Self::Request | Self::Client | Self::Connection => None,
        };
        value.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty())
    }
}

/// The value of the first cookie of this name (RFC 6265 section 4.2), quotes and all.
fn cookie<'a>(request: &'a Message, name: &[u8]) -> Option<&'a [u8]> {
    let fields = request.headers().filter(|(field, _)| field.eq_ignore_ascii_case(b"cookie"));
    fields.flat_map(|(_, value)| value.split(|&b| b == b';')).find_map(|pair| named(pair, name))
}

/// The value of the first parameter of this name, as it stands there.
fn parameter<'a>(target: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = memchr::memchr(b'?', target)? + 1;
    let query = target.get(start..)?;
    query.split(|&b| b == b'&').find_map(|pair| named(pair, name))
}

/// The value of `name=value`, if that is its name.
fn named<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let equals = memchr_iter(b'=', pair).next()?;
    let (left, right) = pair.split_at_checked(equals)?;
    (left.trim_ascii() == name).then(|| right.get(1..).unwrap_or_default())
}

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Sampler {
    percent: f64,
    seed: u64,
    key: SampleKey,
    /// Requests go on whose hash is smaller.
    threshold: u128,
    hasher: SipHasher24,
}

impl Sampler {
    /// This share, from 0 to 100, of what has the same key.
    pub fn new(percent: f64, seed: u64, key: SampleKey) -> Self {
        let hasher = SipHasher24::new_with_keys(seed, 0);
        // Exact: a power of two changes no digit. What is no number becomes 0.
        let threshold = (percent.clamp(0.0, 100.0) / 100.0 * 2f64.powi(64)) as u128;
        Self { percent, seed, key, threshold, hasher }
    }

    /// Whether the request is among the share.
    pub fn takes(&self, request: &Message) -> bool {
        u128::from(self.of_request(request)) < self.threshold
    }

    /// The hash of these bytes.
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash(bytes)
    }

    fn of_request(&self, request: &Message) -> u64 {
        if let Some(value) = self.key.value(request) {
            return self.hash(value);
        }
        let client = octets(request.client.ip);
        if self.key == SampleKey::Client {
            return self.hash(&client);
        }
        let mut hasher = self.hasher;
        for Endpoint { ip, port } in [request.client, request.server] {
            hasher.write(&octets(ip));
            hasher.write(&port.to_be_bytes());
        }
        if self.key != SampleKey::Connection {
            hasher.write(&request.first_byte.as_nanos().to_be_bytes());
        }
        // No connection is known, so it has one of its own. Times may be no finer than a second there, and a client's requests
        // of that second are not one.
        if request.client.port == 0 {
            hasher.write(&request.conn.to_be_bytes());
        }
        hasher.finish()
    }
}

/// An address in 16 bytes.
fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// For the start line: `10% by header:x-user-id (seed 0)`.
impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}% by {} (seed {})", self.percent, self.key, self.seed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
