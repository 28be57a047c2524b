//! The words of HAR 1.2 as they stand in a file: one entry, and our own fields in it.
//!
//! Values only, to JSON and from it. What other writers leave out or set to null has a default; what they add
//! is passed over. Bytes of a head stand as characters of the same number (latin-1), as browsers do it.
//!
//! Lists have a limit ([`Few`]): what is small in the text is not in memory.
//!
//! `_shadowtap` ([`Exact`]) holds what HAR has no place for. Its `head` and `body` are there only where the
//! entry's own fields do not give the same bytes.

use std::borrow::Cow;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Header fields and the like of one message, as many as the `http` room keeps.
pub const MAX_FIELDS: usize = 4096;

/// A request and its response.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When the request began (ISO 8601).
    #[serde(default)]
    pub started_date_time: String,
    /// Milliseconds from there to the end of the response.
    #[serde(default)]
    pub time: Option<f64>,
    /// The request.
    pub request: Request,
    /// The response; status 0 where there is none.
    #[serde(default)]
    pub response: Response,
    /// Nothing is known of caches.
    #[serde(default, skip_deserializing)]
    pub cache: Nothing,
    /// Parts of `time`.
    #[serde(default)]
    pub timings: Timings,
    /// The server's address, in later versions with brackets around IPv6.
    #[serde(rename = "serverIPAddress", default, skip_serializing_if = "Option::is_none")]
    pub server_ip_address: Option<String>,
    /// The connection; others write ports here, or numbers.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
}

/// An empty object.
#[derive(Serialize, Default, Debug)]
pub struct Nothing {}

/// A request.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The method.
    pub method: String,
    /// The absolute URI.
    pub url: String,
    /// `HTTP/1.1`; browsers write `h2`, `http/2.0`, `h3`.
    #[serde(default)]
    pub http_version: String,
    /// Parsed from Cookie, for tools that look here.
    #[serde(default, skip_deserializing)]
    pub cookies: Vec<Pair>,
    /// Header fields in order.
    #[serde(default)]
    pub headers: Few<Pair>,
    /// Parsed from the URI.
    #[serde(default, skip_deserializing)]
    pub query_string: Vec<Pair>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_data: Option<PostData>,
    /// Bytes of the head; -1 where it is not known.
    #[serde(default, skip_deserializing)]
    pub headers_size: i64,
    /// Bytes of the body as sent; -1 where it is not known.
    #[serde(default)]
    pub body_size: Option<f64>,
    /// What is ours.
    #[serde(rename = "_shadowtap", default, skip_serializing_if = "Option::is_none")]
    pub shadowtap: Option<Exact>,
}

/// A response.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The status code.
    #[serde(default)]
    pub status: u16,
    /// The reason phrase.
    #[serde(default)]
    pub status_text: String,
    /// As of a request.
    #[serde(default)]
    pub http_version: String,
    /// Parsed from Set-Cookie.
    #[serde(default, skip_deserializing)]
    pub cookies: Vec<Pair>,
    /// Header fields in order.
    #[serde(default)]
    pub headers: Few<Pair>,
    /// The body.
    #[serde(default)]
    pub content: Content,
    /// The Location field.
    #[serde(rename = "redirectURL", default, skip_deserializing)]
    pub redirect_url: String,
    /// Bytes of the head; -1 where it is not known.
    #[serde(default, skip_deserializing)]
    pub headers_size: i64,
    /// Bytes of the body as sent; -1 where it is not known.
    #[serde(default, skip_deserializing)]
    pub body_size: i64,
    /// What is ours.
    #[serde(rename = "_shadowtap", default, skip_serializing_if = "Option::is_none")]
    pub shadowtap: Option<Exact>,
}

/// A name and its value.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    #[serde(default)]
    pub value: String,
}

/// The body of a request: text, for HAR has nothing else here.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase")]
pub struct PostData {
    /// The Content-Type field.
    #[serde(default)]
    pub mime_type: String,
    /// The body.
    #[serde(default)]
    pub text: Option<String>,
    /// A form, where a tool stores it so.
    #[serde(default, skip_serializing)]
    pub params: Few<Pair>,
    /// `base64`: no part of HAR, but some tools write it as they do for responses.
    #[serde(default, skip_serializing)]
    pub encoding: Option<String>,
}

/// The body of a response, without chunks.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Its length in bytes.
    #[serde(default)]
    pub size: f64,
    /// The Content-Type field.
    #[serde(default)]
    pub mime_type: String,
    /// The body, or its base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `base64`, or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

/// How long each part took, in milliseconds; -1 where it is not known.
#[derive(Serialize, Deserialize, Clone, Copy, Default, Debug)]
pub struct Timings {
    /// Waiting for a connection.
    #[serde(default, skip_serializing)]
    pub blocked: Option<f64>,
    /// Resolving the name.
    #[serde(default, skip_serializing)]
    pub dns: Option<f64>,
    /// Connecting.
    #[serde(default, skip_serializing)]
    pub connect: Option<f64>,
    /// First to last byte of the request.
    #[serde(default)]
    pub send: Option<f64>,
    /// To the first byte of the response.
    #[serde(default)]
    pub wait: Option<f64>,
    /// First to last byte of the response.
    #[serde(default)]
    pub receive: Option<f64>,
}

/// What HAR has no place for.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Exact {
    /// Number of the connection.
    pub connection: u64,
    /// Number of the message in it.
    pub index: u32,
    /// Of a response: index of the request it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    /// The client's endpoint.
    pub client: String,
    /// The server's endpoint.
    pub server: String,
    /// Time of the first byte, to the nanosecond.
    pub first_byte: String,
    /// Time of the last byte.
    pub last_byte: String,
    /// The target, where the URI does not give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The whole head in base64, where the entry's fields do not give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The body as sent in base64, chunks included, where the entry does not give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What was odd about the message.
    #[serde(default, skip_serializing_if = "Few::is_empty")]
    pub anomalies: Few<String>,
}

/// The first [`MAX_FIELDS`] of a list. Those behind are read and let go.
#[derive(Serialize, Clone, Debug)]
#[serde(transparent)]
pub struct Few<T> {
    /// Those that are kept.
    pub list: Vec<T>,
    /// Whether there were more.
    #[serde(skip)]
    pub is_cut: bool,
}

impl<T> Few<T> {
    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { list: Vec::new(), is_cut: false }
    }
}

impl<T> FromIterator<T> for Few<T> {
    /// All of them: whoever makes a list knows its length.
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        Self { list: all.into_iter().collect(), is_cut: false }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Few<T>, A::Error> {
        let mut few = Few::default();
        while few.list.len() < MAX_FIELDS {
            match all.next_element()? {
                Some(element) => few.list.push(element),
                None => return Ok(few),
            }
        }
        while all.next_element::<IgnoredAny>()?.is_some() {
            few.is_cut = true;
        }
        Ok(few)
    }
}

/// Bytes as characters of the same number.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The bytes that a text of a head stands for: those of its characters' numbers, or if one has none, its UTF-8.
pub fn bytes_of(text: &str) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return Cow::Borrowed(text.as_bytes());
    }
    latin1_bytes(text).map_or(Cow::Borrowed(text.as_bytes()), Cow::Owned)
}

/// The bytes of the characters' numbers; `None` if one is too large for a byte.
pub fn latin1_bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// A head from its parts.
pub fn head<'a>(line: &[u8], fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut head = line.to_vec();
    head.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        head.extend_from_slice(&bytes_of(name));
        head.extend_from_slice(b": ");
        head.extend_from_slice(&bytes_of(value));
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The request line of an entry; `version` is `HTTP/1.1`.
pub fn request_line(method: &str, target: &[u8], version: &str) -> Vec<u8> {
    [&bytes_of(method), target, version.as_bytes()].join(&b' ')
}

/// The status line of an entry.
pub fn status_line(version: &str, status: u16, reason: &str) -> Vec<u8> {
    [version.as_bytes(), status.to_string().as_bytes(), &bytes_of(reason)].join(&b' ')
}

/// What of an absolute URI is the target in origin-form: path and query, without the fragment.
pub fn target_of(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let behind = behind.split('#').next().unwrap_or(behind);
    match behind.find(['/', '?']) {
        Some(at) => behind.get(at..).unwrap_or("/"),
        None => "/",
    }
}

/// Host and port of an absolute URI, as they stand there, without user and password.
pub fn authority_of(url: &str) -> &str {
    let behind = url.split_once("://").map_or("", |(_, behind)| behind);
    let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
    let authority = behind.get(..end).unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_taken_apart() {
        for (url, authority, target) in [
            ("http://a:8/b?c#d", "a:8", "/b?c"),
            ("https://u:p@[::1]:443", "[::1]:443", "/"),
            ("http://a?x", "a", "?x"),
            ("data:text/plain,hello", "", "/plain,hello"),
            ("", "", "/"),
        ] {
            assert_eq!((authority_of(url), target_of(url)), (authority, target), "{url}");
        }
    }

    #[test]
    fn bytes_are_characters_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(*bytes_of(&latin1(&all)), all);
        assert_eq!(*bytes_of("€"), *"€".as_bytes());
    }
}
