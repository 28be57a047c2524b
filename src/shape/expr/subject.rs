//! What of a request a text is looked for in: its method, path, host, query parameters, header fields, cookies.
//!
//! In: a request. Out: the values that the subject has, one after the other; none where it is absent. All as captured, but
//! for what is percent-encoded in a query and the case of a host.

use std::borrow::Cow;

use crate::model::Message;

/// See the module's description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text {
    /// The method.
    Method,
    /// The path, without scheme, authority and query.
    Path,
    /// Where the request is to, without the port, in small letters.
    Host,
    /// The query parameters of this name.
    Query(Vec<u8>),
    /// The header fields of this name.
    Header(Vec<u8>),
    /// The cookies of this name.
    Cookie(Vec<u8>),
}

impl Text {
    /// Whether any of the values is as asked.
    pub fn any(&self, request: &Message, mut fits: impl FnMut(&[u8]) -> bool) -> bool {
        match self {
            Self::Method => fits(request.method()),
            Self::Path => fits(split(request.path_and_query()).0),
            Self::Host => host(request).is_some_and(|host| fits(&host)),
            Self::Query(name) => parameters(split(request.path_and_query()).1)
                .any(|(key, value)| *decoded(key) == **name && fits(&decoded(value))),
            Self::Header(name) => request.values(name).any(fits),
            Self::Cookie(name) => request
                .values(b"cookie")
                .flat_map(|field| field.split(|&b| b == b';'))
                .filter_map(|pair| named(pair.trim_ascii(), name))
                .any(fits),
        }
    }
}

/// Path and query.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(at) => target.split_at_checked(at).unwrap_or((target, &[])),
        None => (target, &[][..]),
    };
    (path, query.get(1..).unwrap_or_default())
}

/// Names and values of a query, still encoded; a name without `=` has an empty value.
fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&b| b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (key, value) = pair.split_at_checked(at).unwrap_or((pair, &[]));
        (key, value.get(1..).unwrap_or_default())
    })
}

/// The value of `name=value`, if that is the name.
fn named<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pair.strip_prefix(name)?.strip_prefix(b"=")
}

/// As a form encodes it: `+` is a space, `%2f` a byte. What is no such sequence stays as it is.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match (first, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => first,
        });
    }
    Cow::Owned(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The authority of an absolute target (RFC 9112 section 3.2.2), else the Host field; without port and user.
fn host(request: &Message) -> Option<Cow<'_, [u8]>> {
    let target = request.target();
    let path = request.path_and_query();
    let authority = match memchr::memmem::find(target, b"://") {
        Some(at) if path.len() != target.len() => {
            let behind = target.get(at + 3..).unwrap_or_default();
            let end = behind.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(behind.len());
            let authority = behind.get(..end).unwrap_or_default();
            memchr::memrchr(b'@', authority)
                .map_or(authority, |user| authority.get(user + 1..).unwrap_or_default())
        }
        _ => request.values(b"host").next()?,
    };
    let host = without_port(authority);
    Some(match host.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    })
}

fn without_port(authority: &[u8]) -> &[u8] {
    let port = memchr::memrchr(b':', authority)
        .filter(|at| memchr::memchr(b']', authority.get(*at..).unwrap_or_default()).is_none());
    port.and_then(|at| authority.get(..at)).unwrap_or(authority)
}
