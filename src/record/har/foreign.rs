//! What a browser stored, as the HTTP/1.1 message it stands for.
//!
//! In: an entry's request or response without our own fields. Out: the bytes of a message, and whether some of it is
//! missing. Browsers store what HTTP/2 sent and what they decoded, so pseudo fields go, Host is made, the
//! framing is that of the body which is there: each such change is counted by name, once for a message. An error is
//! what makes the entry a damage.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::model::ledger::{CHANGED, Changed};
use crate::model::{Endpoint, Tally};

use super::super::recorded::DamageKind;
use super::entry::{
    Content, Few, MAX_FIELDS, Pair, PostData, Request, Response, authority_of, head, latin1_bytes,
    request_line, status_line, target_of,
};

/// A request; `None` when it is none of HTTP (`data:`, `blob:`, an extension's).
pub fn request(
    request: &Request,
    changed: &mut Tally<Changed, CHANGED>,
) -> Result<Option<(Bytes, bool)>, DamageKind> {
    let scheme = request.url.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_http = ["http", "https", "ws", "wss"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    if !is_http || !is_token(request.method.as_bytes()) {
        return Ok(None);
    }
    let mut fields = Fields::of(&request.headers)?;
    if !fields.has("host") {
        fields.made_host = true;
        let named = request.headers.list.iter().find(|h| h.name.eq_ignore_ascii_case(":authority"));
        let host = named.map_or(authority_of(&request.url), |header| header.value.as_str());
        fields.list.insert(0, ("Host".into(), one_line(host)));
    }
    let body =
        request.post_data.as_ref().map_or(Ok(None), |data| body_of(data, fields.length()))?;
    let said = request.body_size.unwrap_or(0.0) > 0.0 || fields.length().is_some_and(|len| len > 0);
    // Which browsers keep of an upload: nothing, or its name.
    let is_missing = body.is_none() && said;
    let body = body.unwrap_or_default();
    if !is_missing {
        let has_body = !body.is_empty() || ["POST", "PUT", "PATCH"].contains(&&*request.method);
        fields.frame(body.len(), has_body);
    }
    let version = fields.version(&request.http_version);
    let target = target_of(&request.url);
    let target: Vec<u8> = match target.strip_prefix('?') {
        Some(_) => [b"/", target.as_bytes()].concat(),
        None => target.as_bytes().to_vec(),
    };
    // White space and line ends would end the target.
    let target: Vec<u8> = target.into_iter().flat_map(escaped).collect();
    let mut raw = fields.into_head(&request_line(&request.method, &target, version), changed);
    raw.extend_from_slice(&body);
    Ok(Some((raw.into(), is_missing)))
}

/// A response.
pub fn response(
    response: &Response,
    to_head: bool,
    changed: &mut Tally<Changed, CHANGED>,
) -> Result<(Bytes, bool), DamageKind> {
    let mut fields = Fields::of(&response.headers)?;
    let stored = content(&response.content)?;
    let has_none = to_head || response.status < 200 || matches!(response.status, 204 | 304);
    let is_missing = stored.is_none() && response.content.size > 0.0 && !has_none;
    let body = if has_none { Vec::new() } else { stored.unwrap_or_default() };
    if !is_missing && !has_none {
        fields.decode();
        fields.frame(body.len(), true);
    }
    let version = fields.version(&response.http_version);
    let reason = one_line(&response.status_text);
    let line = status_line(version, response.status, &reason);
    let mut raw = fields.into_head(&line, changed);
    raw.extend_from_slice(&body);
    Ok((raw.into(), is_missing))
}

/// The bytes of a response's body; `None` when they were not stored.
pub fn content(content: &Content) -> Result<Option<Vec<u8>>, DamageKind> {
    content.text.as_deref().map(|text| bytes(text, content.encoding.as_deref())).transpose()
}

/// The bytes that a text stands for.
fn bytes(text: &str, encoding: Option<&str>) -> Result<Vec<u8>, DamageKind> {
    match encoding {
        Some("base64") => STANDARD.decode(text).map_err(|_| DamageKind::Base64),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

/// The bytes of a request's body; `None` when they were not stored.
fn body_of(data: &PostData, length: Option<u64>) -> Result<Option<Vec<u8>>, DamageKind> {
    match &data.text {
        // Chromium writes a body that is no UTF-8 with a character for each byte. The length tells.
        Some(text) if !text.is_ascii() && Some(text.len() as u64) != length => {
            let told = latin1_bytes(text).filter(|bytes| Some(bytes.len() as u64) == length);
            match told {
                Some(bytes) => Ok(Some(bytes)),
                None => bytes(text, data.encoding.as_deref()).map(Some),
            }
        }
        Some(text) => bytes(text, data.encoding.as_deref()).map(Some),
        None if data.mime_type.starts_with("application/x-www-form-urlencoded") => {
            if data.params.is_cut {
                return Err(DamageKind::Fields);
            }
            let pair = |p: &Pair| format!("{}={}", p.name, p.value);
            let pairs: Vec<String> = data.params.list.iter().map(pair).collect();
            Ok(Some(pairs.join("&").into_bytes()))
        }
        None => Ok(None),
    }
}

/// Where the server listens, as far as an entry tells.
pub fn server(address: Option<&str>, url: &str) -> Endpoint {
    let ip = address.and_then(|ip| ip.trim_matches(['[', ']']).parse().ok());
    let is_secure = url.starts_with("https:") || url.starts_with("wss:");
    let authority = authority_of(url);
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let port = port.unwrap_or(if is_secure { 443 } else { 80 });
    Endpoint::new(ip.unwrap_or([0, 0, 0, 0].into()), port)
}

/// Header fields on their way to HTTP/1.1, and what had to be changed.
#[derive(Default)]
struct Fields {
    list: Vec<(String, String)>,
    dropped_pseudo: bool,
    dropped_invalid: bool,
    made_host: bool,
    other_version: bool,
    framed: bool,
    decoded: bool,
}

impl Fields {
    fn of(headers: &Few<Pair>) -> Result<Self, DamageKind> {
        let mut fields = Self::default();
        for Pair { name, value } in &headers.list {
            if name.starts_with(':') {
                fields.dropped_pseudo = true;
            } else if !is_token(name.as_bytes()) {
                fields.dropped_invalid = true;
            } else if name.eq_ignore_ascii_case("set-cookie") {
                // Several, which some browsers store as one with a line for each.
                let lines = value.split('\n').map(|line| (name.clone(), one_line(line)));
                // One more than there may be: that is how it is known below.
                let room = (MAX_FIELDS + 1).saturating_sub(fields.list.len());
                fields.list.extend(lines.take(room));
            } else {
                let line = one_line(value);
                fields.dropped_invalid |= line != *value;
                fields.list.push((name.clone(), line));
            }
        }
        match headers.is_cut || fields.list.len() > MAX_FIELDS {
            true => Err(DamageKind::Fields),
            false => Ok(fields),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// The value of Content-Length.
    fn length(&self) -> Option<u64> {
        let field = self.list.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-length"))?;
        field.1.trim().parse().ok()
    }

    /// Makes the framing that of a body of this length.
    fn frame(&mut self, len: usize, has_body: bool) {
        let before = self.list.len();
        self.list.retain(|(name, _)| !name.eq_ignore_ascii_case("transfer-encoding"));
        self.framed |= self.list.len() != before;
        let right = len.to_string();
        let mut is_there = false;
        self.list.retain_mut(|(name, value)| {
            if !name.eq_ignore_ascii_case("content-length") {
                return true;
            }
            if is_there {
                return false;
            }
            is_there = true;
            self.framed |= *value != right;
            value.clone_from(&right);
            true
        });
        if !is_there && has_body {
            self.framed = true;
            self.list.push(("Content-Length".into(), right));
        }
    }

    /// Says no longer that the body is compressed.
    fn decode(&mut self) {
        let before = self.list.len();
        self.list.retain(|(name, _)| !name.eq_ignore_ascii_case("content-encoding"));
        self.decoded |= self.list.len() != before;
    }

    fn version(&mut self, stored: &str) -> &'static str {
        match stored.to_ascii_uppercase().as_str() {
            "HTTP/1.0" => "HTTP/1.0",
            "HTTP/1.1" => "HTTP/1.1",
            _ => {
                self.other_version = true;
                "HTTP/1.1"
            }
        }
    }

    /// The head; what was changed is counted.
    fn into_head(self, line: &[u8], changed: &mut Tally<Changed, CHANGED>) -> Vec<u8> {
        for (is_so, what) in [
            (self.dropped_pseudo, Changed::PseudoHeaders),
            (self.dropped_invalid, Changed::InvalidHeader),
            (self.made_host, Changed::HostMade),
            (self.other_version, Changed::HttpVersion),
            (self.framed, Changed::Framing),
            (self.decoded, Changed::ContentEncoding),
        ] {
            if is_so {
                changed.count(what);
            }
        }
        head(line, self.list.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

fn is_token(name: &[u8]) -> bool {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !name.is_empty() && name.iter().all(is_part)
}

/// The text with line ends and NUL as spaces.
fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }).collect()
}

/// A byte of a target, percent-encoded where it may not stand there.
fn escaped(byte: u8) -> Vec<u8> {
    match byte {
        0..=b' ' | 0x7f.. => format!("%{byte:02X}").into_bytes(),
        _ => vec![byte],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_a_target_has_no_spaces() {
        assert_eq!(one_line(" a\r\nb\0c "), "a  b c");
        assert_eq!("/ é".bytes().flat_map(escaped).collect::<Vec<_>>(), b"/%20%C3%A9");
    }
}
