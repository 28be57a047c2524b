//! A captured request as HTTP/2 has it (RFC 9113 section 8).
//!
//! In: a message. Out: the request, or the reason why HTTP/2 cannot express it; it is then not sent.
//!
//! Kept: method, target bytes (`/a/../b`, `//x`, `%2f`), field values byte for byte, the order of
//! distinct names and of fields with the same name, Content-Length where there was one, body bytes.
//!
//! Changed, because HTTP/2 is so: the Host field becomes `:authority` (the first one; with `--host` that name; the
//! target's where there is none); field names are in lower case and the same ones stand together; chunks,
//! their extensions and trailer fields are lost; the version is 2. Left out, as RFC 9113 section 8.2.2 asks:
//! Connection and what it names, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade, HTTP2-Settings, and TE unless it is
//! `trailers`. `Expect: 100-continue` is left out too: the body follows at once. Bytes of a target that no URI has
//! (space, quotes, angle brackets, controls, non-ASCII) are percent-encoded; absolute-form becomes path and query.
//!
//! Not sendable: CONNECT, authority-form, a target with `#`, a Host that is no authority, fields with bytes that
//! HTTP does not allow there, what was not captured whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Uri, Version};

use crate::model::{Completion, MARKER_FIELD, Message};

use super::request::{Unsendable, field_value, origin_form, push_encoded};
use super::{ReplayConfig, ReplayError};

/// What is the same in every request.
pub(super) struct Edits {
    scheme: Scheme,
    /// In place of the captured Host.
    authority: Option<Authority>,
    /// Where there is no Host.
    target: Authority,
    /// Put before every path.
    prefix: String,
    run: String,
    /// The field that takes the client's address.
    realip: Option<HeaderName>,
}

impl Edits {
    /// With this name in place of the captured Host, if there is one.
    pub fn new(config: &ReplayConfig, host: Option<String>) -> Result<Self, ReplayError> {
        let authority = |name: String| {
            Authority::try_from(name.as_str()).map_err(|_| ReplayError::HostName(name))
        };
        let run = config.marker_run.clone();
        HeaderValue::from_str(&run).map_err(|_| ReplayError::RunName(run.clone()))?;
        let field = |name: &String| {
            HeaderName::try_from(name).map_err(|_| ReplayError::FieldName(name.clone()))
        };
        Ok(Self {
            scheme: if config.target.is_tls() { Scheme::HTTPS } else { Scheme::HTTP },
            authority: host.map(authority).transpose()?,
            target: authority(config.target.authority().to_owned())?,
            prefix: config.target.prefix().to_owned(),
            run,
            realip: config.realip.as_ref().map(field).transpose()?,
        })
    }

    /// The `n`th copy.
    pub fn request(&self, message: &Message, n: u64) -> Result<Request<Captured>, Unsendable> {
        if message.completion != Completion::Complete {
            return Err(Unsendable::Incomplete);
        }
        let method = Method::from_bytes(message.method()).map_err(|_| Unsendable::Method)?;
        if method == Method::CONNECT {
            return Err(Unsendable::Method);
        }
        let body = Some(message.body.clone()).filter(|body| !body.is_empty());
        let mut request = Request::new(Captured { rest: body });
        *request.method_mut() = method;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri(message)?;
        *request.headers_mut() = self.fields(message, n)?;
        Ok(request)
    }

    fn uri(&self, message: &Message) -> Result<Uri, Unsendable> {
        let authority = match (&self.authority, message.header("host")) {
            (Some(named), _) => named.clone(),
            (None, Some(host)) => Authority::try_from(host).map_err(|_| Unsendable::Field)?,
            (None, None) => self.target.clone(),
        };
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(authority)
            .path_and_query(self.path(message)?)
            .build()
            .map_err(|_| Unsendable::Target)
    }

    fn path(&self, message: &Message) -> Result<PathAndQuery, Unsendable> {
        if message.target() == b"*" && message.method() == b"OPTIONS" {
            return Ok(PathAndQuery::from_static("*"));
        }
        let path = origin_form(message.target()).ok_or(Unsendable::Target)?;
        let mut text = self.prefix.clone();
        for &byte in path.iter() {
            match byte {
                // Would end the target.
                b'#' => return Err(Unsendable::Target),
                b'"' | b'<' | b'>' | b'`' => push_encoded(&mut text, byte),
                0x21..=0x7e => text.push(char::from(byte)),
                _ => push_encoded(&mut text, byte),
            }
        }
        PathAndQuery::try_from(text).map_err(|_| Unsendable::Target)
    }

    /// The fields in order, the marker last.
    fn fields(&self, message: &Message, n: u64) -> Result<HeaderMap, Unsendable> {
        let mut map = HeaderMap::with_capacity(message.fields.len() + 2);
        let mut add = |name: HeaderName, value: HeaderValue| {
            map.try_append(name, value).map(drop).map_err(|_| Unsendable::Field)
        };
        let mut length = (!message.chunked).then_some(message.body.len());
        for (name, value) in message.headers() {
            if is_about_connection(message, name) {
                continue;
            }
            let name = HeaderName::from_bytes(name).map_err(|_| Unsendable::Field)?;
            let value = match name {
                HOST | EXPECT => continue,
                TE if !value.trim_ascii().eq_ignore_ascii_case(b"trailers") => continue,
                CONTENT_LENGTH => match length.take() {
                    Some(len) => HeaderValue::from(len),
                    None => continue,
                },
                _ if name == MARKER_FIELD => continue,
                _ => field_value(&message.raw, value)?,
            };
            add(name, value)?;
        }
        if let Some(name) = &self.realip {
            let value = HeaderValue::try_from(message.client.ip.to_string());
            add(name.clone(), value.map_err(|_| Unsendable::Field)?)?;
        }
        let marker = HeaderValue::try_from(format!("{}-{n}", self.run));
        add(HeaderName::from_static(MARKER_FIELD), marker.map_err(|_| Unsendable::Field)?)?;
        Ok(map)
    }
}

/// Whether a field says something about v1's connection only (RFC 9113 section 8.2.2). TE is one too, but
/// has a value that HTTP/2 knows.
fn is_about_connection(message: &Message, name: &[u8]) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    let known = [CONNECTION, TRANSFER_ENCODING, UPGRADE];
    known.iter().any(|other| is(other.as_str()))
        || ["keep-alive", "proxy-connection", "http2-settings"].into_iter().any(is)
        || (!is("te") && message.has_token("connection", &String::from_utf8_lossy(name)))
}

/// A captured body. It does not tell its length: the field does, where there was one.
pub(super) struct Captured {
    rest: Option<Bytes>,
}

impl Body for Captured {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.rest.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
    }
}
