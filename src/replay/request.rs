//! A captured request as the client library takes it.
//!
//! In: a message, the target, and what to do with Host. Out: a request, or the reason why this
//! client cannot express it; it is then not sent at all rather than sent changed.
//!
//! Kept: method (any token), target bytes, version 1.0 or 1.1, field values byte for byte,
//! duplicates and their order, the order of distinct field names, body bytes, whether the body was
//! chunked, a Content-Length of 0, `Connection: close`, `TE`.
//!
//! Changed, because it says something about v1's connection and not about the request:
//! - `Expect: 100-continue` is left out: the body follows at once (RFC 9110 10.1.1 allows that,
//!   and without the field v2 need not answer 100);
//! - `Upgrade`, `HTTP2-Settings` and the Connection options that name them are left out: the
//!   client could not speak the other protocol (RFC 9110 7.8: a server may ignore Upgrade);
//! - Content-Length is computed anew, in its place, once.
//!
//! Changed, because this client cannot do otherwise:
//! - field names are in lower case, and fields with the same name stand together, at the place of
//!   the first; there is one space after the colon and none behind the value; a folded value
//!   (RFC 9112 5.2) is on one line;
//! - a request without Accept gets `accept: */*`, one without Host gets the target's;
//! - an absolute-form target becomes origin-form; bytes of a target that cannot stand in a URL
//!   (space, quotes, angle brackets, non-ASCII, ...) are percent-encoded;
//! - the sizes of chunks, chunk extensions and trailer fields are lost;
//! - on a connection on which v2 answered with HTTP/1.0, requests go on as HTTP/1.0, with
//!   Content-Length in place of chunks, and `connection: keep-alive` behind the marker.
//!
//! Not sendable: a target with `.` or `..` segments, with a backslash in the path or a `#`, `*`
//! and authority-form targets, CONNECT, a method, field name or value with bytes that HTTP does
//! not allow there, a version other than 1.0 and 1.1, a message that was not captured whole.

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, UPGRADE,
};
use reqwest::{Body, Method, Request, Url};
use thiserror::Error;

use crate::model::{Completion, MARKER_FIELD, Message, Version};

use super::Target;
use super::body::ChunkedBody;

/// The marker field.
static MARKER: HeaderName = HeaderName::from_static(MARKER_FIELD);
/// Goes with `Upgrade: h2c` (RFC 7540 3.2.1).
static HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Why the client cannot express a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum Unsendable {
    #[error("it was not captured whole")]
    Incomplete,
    #[error("its method is CONNECT or not a token")]
    Method,
    #[error("its target would not reach v2 as it was")]
    Target,
    #[error("its version is neither 1.0 nor 1.1")]
    Version,
    #[error("one of its fields has bytes that HTTP does not allow")]
    Field,
}

/// What is changed in every request.
pub(super) struct Edits {
    /// What goes into Host: `None` for what was captured.
    pub host: Option<HeaderValue>,
    /// The field that takes the client's address.
    pub realip: Option<HeaderName>,
}

/// How the body is framed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// No body, and nothing that says so, or a Content-Length of 0 where there was one.
    None,
    /// Content-Length.
    Length,
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// The request to send to `target` for this message, with `marker` as its last field.
pub(super) fn build(
    message: &Message,
    target: &Target,
    edits: &Edits,
    marker: HeaderValue,
) -> Result<Request, Unsendable> {
    if message.completion != Completion::Complete {
        return Err(Unsendable::Incomplete);
    }
    let version = match message.version {
        Version::HTTP_10 => reqwest::Version::HTTP_10,
        Version::HTTP_11 => reqwest::Version::HTTP_11,
        _ => return Err(Unsendable::Version),
    };
    let method = Method::from_bytes(message.method()).map_err(|_| Unsendable::Method)?;
    if method == Method::CONNECT {
        return Err(Unsendable::Method);
    }
    let framing = framing(message);
    let mut request = Request::new(method, url(message.target(), target)?);
    *request.version_mut() = version;
    *request.headers_mut() = fields(message, target, edits, framing, marker)?;
    *request.body_mut() = match framing {
        Framing::None => None,
        Framing::Length => Some(Body::from(message.body.clone())),
        Framing::Chunked => Some(Body::wrap(ChunkedBody::new(message.body.clone()))),
    };
    Ok(request)
}

/// How to frame the body. HTTP/1.0 knows no chunks (RFC 9112 6.1).
fn framing(message: &Message) -> Framing {
    if message.chunked && message.version == Version::HTTP_11 {
        Framing::Chunked
    } else if message.body.is_empty() {
        Framing::None
    } else {
        Framing::Length
    }
}

/// The header fields, in order, the marker last.
fn fields(
    message: &Message,
    target: &Target,
    edits: &Edits,
    framing: Framing,
    marker: HeaderValue,
) -> Result<HeaderMap, Unsendable> {
    let mut map = HeaderMap::with_capacity(message.fields.len() + 3);
    let host = &edits.host;
    let mut add = |name: HeaderName, value: HeaderValue| {
        // Refuses beyond 32,768 fields, where `append` would panic.
        map.try_append(name, value).map(drop).map_err(|_| Unsendable::Field)
    };
    if message.header("host").is_none() {
        // The client would add one anyhow, behind the marker.
        add(HOST, host.clone().map_or_else(|| authority(target), Ok)?)?;
    }
    let mut host = Some(host.as_ref());
    let mut length = Some(message.body.len());
    for (name, value) in message.headers() {
        let name = HeaderName::from_bytes(name).map_err(|_| Unsendable::Field)?;
        let captured = || field_value(&message.raw, value);
        let value = match name {
            HOST => match host {
                Some(None) => captured()?,
                Some(Some(named)) => {
                    host = None;
                    named.clone()
                }
                None => continue,
            },
            CONTENT_LENGTH => match length.take() {
                Some(len) if framing != Framing::Chunked => HeaderValue::from(len),
                _ => continue,
            },
            TRANSFER_ENCODING if framing == Framing::Chunked => captured()?,
            CONNECTION => match without_upgrade(value) {
                Some(Cow::Borrowed(_)) => captured()?,
                Some(Cow::Owned(rest)) => field_value(&message.raw, &rest)?,
                None => continue,
            },
            TRANSFER_ENCODING | UPGRADE | EXPECT => continue,
            _ if name == HTTP2_SETTINGS || name == MARKER => continue,
            _ => captured()?,
        };
        add(name, value)?;
    }
    if framing == Framing::Length && length.is_some() {
        add(CONTENT_LENGTH, HeaderValue::from(message.body.len()))?;
    }
    if message.header("accept").is_none() {
        // The client would add it anyhow, behind the marker.
        add(ACCEPT, HeaderValue::from_static("*/*"))?;
    }
    if let Some(name) = &edits.realip {
        let value = HeaderValue::try_from(message.client.ip.to_string());
        add(name.clone(), value.map_err(|_| Unsendable::Field)?)?;
    }
    add(MARKER.clone(), marker)?;
    Ok(map)
}

/// The target's host and port as a field value.
fn authority(target: &Target) -> Result<HeaderValue, Unsendable> {
    HeaderValue::from_str(target.authority()).map_err(|_| Unsendable::Field)
}

/// A field value: the captured bytes themselves, not copied, unless it is folded over several
/// lines; then the line breaks become spaces (RFC 9112 5.2).
pub(super) fn field_value(raw: &Bytes, value: &[u8]) -> Result<HeaderValue, Unsendable> {
    let is_break = |b: &u8| matches!(b, b'\r' | b'\n');
    let within = raw.as_ptr_range().contains(&value.as_ptr());
    let value = if value.iter().any(is_break) {
        value.iter().map(|b| if is_break(b) { b' ' } else { *b }).collect()
    } else if within {
        raw.slice_ref(value)
    } else {
        Bytes::copy_from_slice(value)
    };
    HeaderValue::from_maybe_shared(value).map_err(|_| Unsendable::Field)
}

/// The options of a Connection field without those that offer an upgrade; `None` if none is left.
fn without_upgrade(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let offers = |option: &&[u8]| {
        let option = option.trim_ascii();
        option.eq_ignore_ascii_case(b"upgrade") || option.eq_ignore_ascii_case(b"http2-settings")
    };
    let options = || value.split(|&b| b == b',');
    if !options().any(|option| offers(&option)) {
        return Some(Cow::Borrowed(value));
    }
    let rest: Vec<&[u8]> = options().filter(|option| !offers(option)).collect();
    let rest = rest.join(&b',');
    let rest = rest.trim_ascii();
    if rest.is_empty() { None } else { Some(Cow::Owned(rest.to_vec())) }
}

/// The URL of a request target at v2.
fn url(target: &[u8], to: &Target) -> Result<Url, Unsendable> {
    let path = origin_form(target).ok_or(Unsendable::Target)?;
    let mut text = String::with_capacity(to.origin().len() + to.prefix().len() + path.len() + 16);
    text.push_str(to.origin());
    text.push_str(to.prefix());
    for &byte in path.iter() {
        match byte {
            // Would end the target.
            b'#' => return Err(Unsendable::Target),
            0x21..=0x7e => text.push(char::from(byte)),
            _ => push_encoded(&mut text, byte),
        }
    }
    let url = Url::parse(&text).map_err(|_| Unsendable::Target)?;
    let sent = url.as_str().strip_prefix(to.origin()).ok_or(Unsendable::Target)?;
    let wanted = text.strip_prefix(to.origin()).ok_or(Unsendable::Target)?;
    if is_same_target(sent.as_bytes(), wanted.as_bytes()) {
        Ok(url)
    } else {
        Err(Unsendable::Target)
    }
}

/// `%XX`.
pub(super) fn push_encoded(text: &mut String, byte: u8) {
    const HEX: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    text.push('%');
    text.push(HEX[usize::from(byte >> 4)]);
    text.push(HEX[usize::from(byte & 15)]);
}

/// Path and query of a request target in origin-form or absolute-form (RFC 9112 3.2.1, 3.2.2);
/// `None` for the other two forms and for what is no form at all.
pub(super) fn origin_form(target: &[u8]) -> Option<Cow<'_, [u8]>> {
    if target.first() == Some(&b'/') {
        return Some(Cow::Borrowed(target));
    }
    let scheme_end = target.windows(3).position(|three| three == b"://")?;
    let scheme = target.get(..scheme_end)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = target.get(scheme_end + 3..)?;
    match rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')) {
        None => Some(Cow::Borrowed(b"/")),
        Some(at) => match rest.get(at..)? {
            path @ [b'/', ..] => Some(Cow::Borrowed(path)),
            query => Some(Cow::Owned([b"/", query].concat())),
        },
    }
}

/// Whether `sent` is `wanted` but for bytes that were percent-encoded.
fn is_same_target(mut sent: &[u8], mut wanted: &[u8]) -> bool {
    loop {
        match (sent, wanted) {
            ([], []) => return true,
            ([a, sent_rest @ ..], [b, wanted_rest @ ..]) if a == b => {
                (sent, wanted) = (sent_rest, wanted_rest);
            }
            ([b'%', high, low, sent_rest @ ..], [b, wanted_rest @ ..])
                if hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l) == Some(*b) =>
            {
                (sent, wanted) = (sent_rest, wanted_rest);
            }
            _ => return false,
        }
    }
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path and query that would be sent to `http://v2/base`.
    fn sent(target: &str) -> Result<String, Unsendable> {
        let to = Target::parse("http://v2/base").expect("target");
        let url = url(target.as_bytes(), &to)?;
        Ok(url.as_str().trim_start_matches("http://v2").to_owned())
    }

    #[test]
    fn a_target_is_sent_as_it_was() {
        for same in [
            "/",
            "/a/b?c=d&e",
            "//x",
            "/a//b",
            "/%2f%2F%41",
            "/?",
            "/a?",
            "/a?b?c",
            "/a|b^c",
            "/a;b=c,d:e@f!$&'()*+~",
            "/?q=[1]|\\{2}",
            "/%",
            "/%zz",
            "/a...b/.hidden/..x",
        ] {
            assert_eq!(sent(same), Ok(format!("/base{same}")), "{same}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_url_is_percent_encoded() {
        assert_eq!(sent("/a b?c d"), Ok("/base/a%20b?c%20d".into()));
        assert_eq!(sent("/ü"), Ok("/base/%C3%BC".into()));
        assert_eq!(sent("/a\"b<c>"), Ok("/base/a%22b%3Cc%3E".into()));
        assert_eq!(sent("/?it's"), Ok("/base/?it%27s".into()));
        assert_eq!(sent("/a\tb"), Ok("/base/a%09b".into()));
    }

    #[test]
    fn what_would_reach_v2_changed_is_not_sent() {
        for target in
            ["/a/../b", "/a/./b", "/..", "/%2e%2e/b", "/a\\b", "/a#b", "*", "v2:80", "", "a"]
        {
            assert_eq!(sent(target), Err(Unsendable::Target), "{target}");
        }
    }

    #[test]
    fn absolute_form_becomes_origin_form() {
        assert_eq!(sent("http://v1:80/a?b"), Ok("/base/a?b".into()));
        assert_eq!(sent("HTTPS://v1"), Ok("/base/".into()));
        assert_eq!(sent("http://v1?b"), Ok("/base/?b".into()));
        assert_eq!(sent("ftp://v1/a"), Err(Unsendable::Target));
    }

    #[test]
    fn connection_options_that_offer_an_upgrade_are_left_out() {
        let rest = |value: &str| {
            without_upgrade(value.as_bytes()).map(|v| String::from_utf8_lossy(&v).into_owned())
        };
        assert_eq!(rest("keep-alive"), Some("keep-alive".into()));
        assert_eq!(rest("Upgrade"), None);
        assert_eq!(rest("Upgrade, HTTP2-Settings"), None);
        assert_eq!(rest("TE, upgrade , close"), Some("TE, close".into()));
    }
}
