//! JSON lines, version 1: one object on each line (docs/middleware.md).
//!
//! In: requests and answers. Out: their lines; what the lines of a program say; and a request with the parts that a program
//! changed. Texts of a head are told as ISO-8859-1, so that every byte has its character; bodies in Base64, without chunk
//! framing. What a program gives back as it was told stays as it was captured, byte for byte.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{BODY, Changed, Id, Line, Said, digits, id};
use crate::model::{KeptAnswer, Message, Start};

/// The version that is spoken.
const VERSION: u64 = 1;

/// What a program gave of a request; what it did not give stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Parts {
    method: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    headers: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    body: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct Request<'a> {
    v: u64,
    r#type: &'static str,
    id: String,
    conn: u64,
    index: u32,
    time: String,
    client: String,
    server: String,
    method: String,
    target: String,
    version: String,
    headers: Vec<(String, String)>,
    body: &'a str,
    head: &'a str,
}

#[derive(Serialize)]
struct Answer<'a> {
    v: u64,
    r#type: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    status: u16,
    headers: Vec<(String, String)>,
    body: &'a str,
    body_len: u64,
}

#[derive(Deserialize)]
struct Given {
    v: Option<u64>,
    r#type: String,
    id: String,
    method: Option<String>,
    target: Option<String>,
    headers: Option<Vec<(String, String)>>,
    body: Option<String>,
    raw: Option<String>,
}

pub(super) fn request(out: &mut Vec<u8>, id: Id, request: &Message) {
    let line = Request {
        v: VERSION,
        r#type: "request",
        id: digits(id),
        conn: request.conn,
        index: request.index,
        time: format!("{:?}", request.first_byte),
        client: request.client.to_string(),
        server: request.server.to_string(),
        method: text(request.method()),
        target: text(request.target()),
        version: request.version.to_string(),
        headers: request.headers().map(|(name, value)| (text(name), text(value))).collect(),
        body: &STANDARD.encode(&request.body),
        head: &STANDARD.encode(request.head()),
    };
    push(out, &line);
}

pub(super) fn v1_answer(out: &mut Vec<u8>, id: Id, response: &Message) {
    let body = response.body.get(..BODY).unwrap_or(&response.body);
    let line = Answer {
        v: VERSION,
        r#type: "original_response",
        id: digits(id),
        time: Some(format!("{:?}", response.first_byte)),
        took_us: None,
        status: response.status().unwrap_or_default(),
        headers: response.headers().map(|(name, value)| (text(name), text(value))).collect(),
        body: &STANDARD.encode(body),
        body_len: response.body_len,
    };
    push(out, &line);
}

pub(super) fn v2_answer(out: &mut Vec<u8>, id: Id, answer: &KeptAnswer, took: Duration) {
    let line = Answer {
        v: VERSION,
        r#type: "replayed_response",
        id: digits(id),
        time: None,
        took_us: Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        status: answer.status,
        headers: answer.fields.iter().map(|(name, value)| (text(name), text(value))).collect(),
        body: &STANDARD.encode(&answer.body),
        body_len: answer.body_len,
    };
    push(out, &line);
}

fn push(out: &mut Vec<u8>, line: &impl Serialize) {
    // Texts and numbers, to memory: neither fails.
    let _ = serde_json::to_writer(&mut *out, line);
    out.push(b'\n');
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// What a line says.
pub(super) fn line(line: &[u8]) -> Result<Line, &'static str> {
    let given: Given =
        serde_json::from_slice(line).map_err(|_| "it is no JSON object with `type` and `id`")?;
    if given.v.is_some_and(|v| v != VERSION) {
        return Err("its version is not 1");
    }
    let id = id(&given.id).ok_or("its identifier is not one of ours")?;
    let said = match given.r#type.as_str() {
        "original_response" | "replayed_response" => return Ok(Line::Echo),
        "pass" => Said::Pass,
        "drop" => Said::Drop,
        "request" => match &given.raw {
            Some(raw) => Said::Raw(STANDARD.decode(raw).map_err(|_| "its `raw` is not Base64")?),
            None => Said::Parts(parts(given)?),
        },
        _ => return Err("its type is none of `pass`, `drop` and `request`"),
    };
    Ok(Line::About(id, said))
}

fn parts(given: Given) -> Result<Parts, &'static str> {
    const WIDE: &str = "a text of its head has a character beyond U+00FF";
    let bytes = |text: String| {
        text.chars().map(u8::try_from).collect::<Result<Vec<u8>, _>>().map_err(|_| WIDE)
    };
    let field = |(name, value)| bytes(name).and_then(|name| Ok((name, bytes(value)?)));
    let headers = given
        .headers
        .map(|fields| fields.into_iter().map(field).collect::<Result<Vec<_>, &'static str>>());
    let body = given.body.map(|body| STANDARD.decode(body).map_err(|_| "its `body` is not Base64"));
    Ok(Parts {
        method: given.method.map(bytes).transpose()?,
        target: given.target.map(bytes).transpose()?,
        headers: headers.transpose()?,
        body: body.transpose()?,
    })
}

/// The request with these parts; `None` where they are what it has.
pub(super) fn rebuilt(parts: Parts, request: &Message) -> Result<Option<Changed>, &'static str> {
    let Parts { method, target, headers, body } = parts;
    let method = method.filter(|method| method != request.method());
    let target = target.filter(|target| target != request.target());
    let headers = headers.filter(|fields| {
        let same = fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        !same.eq(request.headers())
    });
    let body = body.filter(|body| *body != request.body);
    let head = match (&method, &target, &headers) {
        (None, None, None) => request.head().to_vec(),
        (_, _, None) => with_start_line(method.as_deref(), target.as_deref(), request)?,
        (_, _, Some(fields)) => {
            let mut head = start_line(method.as_deref(), target.as_deref(), request)?;
            push_fields(&mut head, fields, request)?;
            head
        }
    };
    match body {
        Some(body) => Ok(Some(Changed::Parts { head, body })),
        None if head == request.head() => Ok(None),
        None => Ok(Some(Changed::Raw([head.as_slice(), request.wire_body()].concat()))),
    }
}

/// Its head with another method or target, all else as captured.
fn with_start_line(
    method: Option<&[u8]>,
    target: Option<&[u8]>,
    request: &Message,
) -> Result<Vec<u8>, &'static str> {
    let Start::Request { method: old_method, target: old_target } = request.start else {
        return Err("it is no request");
    };
    start_line(method, target, request)?;
    let head = request.head();
    let part = |range: std::ops::Range<usize>| head.get(range).unwrap_or_default();
    let (old_method, old_target) = (old_method.range(), old_target.range());
    Ok([
        part(0..old_method.start),
        method.unwrap_or(request.method()),
        part(old_method.end..old_target.start),
        target.unwrap_or(request.target()),
        part(old_target.end..head.len()),
    ]
    .concat())
}

/// A start line of these, checked.
fn start_line(
    method: Option<&[u8]>,
    target: Option<&[u8]>,
    request: &Message,
) -> Result<Vec<u8>, &'static str> {
    if method.is_some_and(|method| !is_token(method)) {
        return Err("its method is no token");
    }
    if target.is_some_and(|target| {
        target.is_empty() || target.iter().any(|&b| is_control(b) || b == b' ')
    }) {
        return Err("its target has a space or a control character");
    }
    let version = format!(" HTTP/{}\r\n", request.version);
    let method = method.unwrap_or(request.method());
    let target = target.unwrap_or(request.target());
    Ok([method, b" ", target, version.as_bytes()].concat())
}

fn push_fields(
    head: &mut Vec<u8>,
    fields: &[(Vec<u8>, Vec<u8>)],
    request: &Message,
) -> Result<(), &'static str> {
    // A value may be what was captured whatever is in it: folded, say.
    let captured: HashSet<_> = request.headers().collect();
    for (name, value) in fields {
        let is_captured = captured.contains(&(name.as_slice(), value.as_slice()));
        if !is_captured && (!is_token(name) || value.iter().any(|&b| is_control(b) && b != b'\t')) {
            return Err("a field's name is no token, or its value has a control character");
        }
        for part in [name, &b": "[..], value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    Ok(())
}

fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// Whether this is a token (RFC 9110 section 5.6.2).
fn is_token(name: &[u8]) -> bool {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !name.is_empty() && name.iter().all(is_part)
}
