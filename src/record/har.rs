//! HAR 1.2: HTTP exchanges as one JSON document, written and read entry by entry.
//!
//! In: whole messages, out: bytes of the document, appended to a buffer of the caller's; and the other
//! way, [`read`]. Guaranteed: memory is one entry and the messages that wait for their counterpart
//! (`pairs`); what was written is read back to the same bytes, times and connections, by the
//! `_shadowtap` fields (`entry`), and is valid for those who do not know them.
//!
//! An entry begins with a request. A response whose request is not there, and an informational one, is
//! left out and counted.

mod entry;
mod foreign;
mod pairs;
pub mod read;
mod scan;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::{Cause, Message, Start, Timestamp};

use super::export::{Exported, LeftOut};
use super::{uri, warc};
use entry::{
    Content, Entry, Exact, Few, Nothing, Pair, PostData, Request, Response, Timings, head, latin1,
    request_line, status_line, target_of,
};
use pairs::{Exchange, Pairs};

pub use read::HarReader;

const BEGIN: &str = concat!(
    "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"shadowtap\",\"version\":\"",
    env!("CARGO_PKG_VERSION"),
    "\"},\"entries\":["
);

/// Makes the document.
#[derive(Debug, Default)]
pub struct HarWriter {
    pairs: Pairs,
    has_entries: bool,
}

impl HarWriter {
    /// What stands before the first entry.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(BEGIN.as_bytes());
    }

    /// Takes a message, and appends the entries that are ready.
    pub fn message(&mut self, out: &mut Vec<u8>, message: &Message, counts: &mut Exported) {
        let left_out = match message.start {
            Start::Response { request: None, .. } => Some(LeftOut::NoRequest),
            // 101 is final: what follows is no longer HTTP (RFC 9110 15.2.2).
            Start::Response { status, .. } if status < 200 && status != 101 => {
                Some(LeftOut::Interim)
            }
            _ => None,
        };
        match left_out {
            Some(cause) => counts.left_out.count(cause),
            None => {
                for exchange in self.pairs.add(message) {
                    self.exchange(out, &exchange, counts);
                }
            }
        }
        counts.waiting = self.pairs.waiting();
    }

    /// Appends the entries that wait, and the document's end.
    pub fn finish(&mut self, out: &mut Vec<u8>, counts: &mut Exported) {
        while let Some(exchange) = self.pairs.pop() {
            self.exchange(out, &exchange, counts);
        }
        counts.waiting = 0;
        out.extend_from_slice(b"\n]}}\n");
    }

    fn exchange(&mut self, out: &mut Vec<u8>, exchange: &Exchange, counts: &mut Exported) {
        let Some(request) = &exchange.request else {
            counts.left_out.count(LeftOut::NoRequest);
            return;
        };
        out.extend_from_slice(if self.has_entries { b",\n" } else { b"\n" });
        self.has_entries = true;
        let entry = entry_of(request, exchange.response.as_ref());
        // Writing to a vector does not fail, and every value of an entry has its JSON.
        let _ = serde_json::to_writer(&mut *out, &entry);
        counts.wrote(request);
        if let Some(response) = &exchange.response {
            counts.wrote(response);
        }
    }
}

fn entry_of(request: &Message, response: Option<&Message>) -> Entry {
    let millis = |from: Timestamp, to: Timestamp| to.since(from).as_nanos() as f64 / 1e6;
    let send = millis(request.first_byte, request.last_byte);
    let (wait, receive) = response.map_or((0.0, 0.0), |response| {
        let wait = millis(request.last_byte, response.first_byte);
        (wait, millis(response.first_byte, response.last_byte))
    });
    Entry {
        started_date_time: date(request.first_byte),
        time: Some(send + wait + receive),
        request: request_of(request),
        response: response.map_or_else(no_response, response_of),
        cache: Nothing {},
        timings: Timings {
            send: Some(send),
            wait: Some(wait),
            receive: Some(receive),
            ..Timings::default()
        },
        server_ip_address: Some(request.server.ip)
            .filter(|ip| !ip.is_unspecified())
            .map(|ip| ip.to_string()),
        connection: Some(request.conn.to_string()),
    }
}

fn request_of(message: &Message) -> Request {
    let mut url = Vec::new();
    uri::push_target_uri(&mut url, message);
    let url = latin1(&url);
    let (method, version) = (latin1(message.method()), format!("HTTP/{}", message.version));
    let headers = fields(message);
    let mut exact = exact(message);
    if target_of(&url).as_bytes() != message.target() {
        exact.target = Some(latin1(message.target()));
    }
    let line = request_line(&method, message.target(), &version);
    exact.head = unless_same(&line, &headers, message);
    let text = String::from_utf8(message.body.to_vec()).ok();
    let is_told = text.is_some() && !message.chunked;
    exact.body = (!is_told).then(|| STANDARD.encode(message.wire_body()));
    Request {
        method,
        http_version: version,
        cookies: cookies(message, "cookie"),
        query_string: query(target_of(&url)),
        post_data: (!message.body.is_empty()).then(|| PostData {
            mime_type: field(message, "content-type"),
            // What is no text stands in `_shadowtap` alone: a wrong text would mislead other tools.
            text: Some(text.unwrap_or_default()),
            ..PostData::default()
        }),
        headers_size: message.head_len as i64,
        body_size: Some(message.wire_body().len() as f64),
        url,
        headers,
        shadowtap: Some(exact),
    }
}

fn response_of(message: &Message) -> Response {
    let (status, reason) = match message.start {
        Start::Response { status, reason, .. } => (status, latin1(message.slice(reason))),
        Start::Request { .. } => (0, String::new()),
    };
    let version = format!("HTTP/{}", message.version);
    let headers = fields(message);
    let mut exact = exact(message);
    exact.head = unless_same(&status_line(&version, status, &reason), &headers, message);
    exact.body = message.chunked.then(|| STANDARD.encode(message.wire_body()));
    let (text, encoding) = match std::str::from_utf8(&message.body) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (STANDARD.encode(&message.body), Some("base64".to_owned())),
    };
    Response {
        status,
        status_text: reason,
        http_version: version,
        cookies: cookies(message, "set-cookie"),
        content: Content {
            size: message.body_len as f64,
            mime_type: field(message, "content-type"),
            text: (!message.body.is_empty()).then_some(text),
            encoding,
        },
        redirect_url: field(message, "location"),
        headers_size: message.head_len as i64,
        body_size: message.wire_body().len() as i64,
        headers,
        shadowtap: Some(exact),
    }
}

/// As browsers write a request that had no answer.
fn no_response() -> Response {
    Response { headers_size: -1, body_size: -1, ..Response::default() }
}

fn exact(message: &Message) -> Exact {
    Exact {
        connection: message.conn,
        index: message.index,
        request: match message.start {
            Start::Request { .. } => None,
            Start::Response { request, .. } => request,
        },
        client: message.client.to_string(),
        server: message.server.to_string(),
        first_byte: date(message.first_byte),
        last_byte: date(message.last_byte),
        anomalies: message.anomalies.iter().map(|anomaly| anomaly.name().to_owned()).collect(),
        ..Exact::default()
    }
}

/// The head, unless start line and fields give the same.
fn unless_same(line: &[u8], headers: &Few<Pair>, message: &Message) -> Option<String> {
    let pairs = headers.list.iter().map(|pair| (pair.name.as_str(), pair.value.as_str()));
    let is_same = head(line, pairs) == message.head();
    (!is_same).then(|| STANDARD.encode(message.head()))
}

fn fields(message: &Message) -> Few<Pair> {
    let pair = |(name, value)| Pair { name: latin1(name), value: latin1(value) };
    message.headers().map(pair).collect()
}

fn field(message: &Message, name: &str) -> String {
    message.header(name).map(latin1).unwrap_or_default()
}

/// Names and values of the cookies in these fields. Attributes of a Set-Cookie stay in the field.
fn cookies(message: &Message, name: &str) -> Vec<Pair> {
    let all = name == "cookie";
    let values = message.values(name.as_bytes());
    let cookies =
        values.flat_map(|value| value.split(|&b| b == b';').take(if all { usize::MAX } else { 1 }));
    cookies.map(<[u8]>::trim_ascii).filter(|c| !c.is_empty()).map(pair_at_equals).collect()
}

fn query(target: &str) -> Vec<Pair> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| pair_at_equals(part.as_bytes())).collect()
}

fn pair_at_equals(text: &[u8]) -> Pair {
    let at = text.iter().position(|&b| b == b'=').unwrap_or(text.len());
    let (name, value) = text.split_at_checked(at).unwrap_or((text, &[]));
    Pair { name: latin1(name), value: latin1(value.get(1..).unwrap_or_default()) }
}

fn date(time: Timestamp) -> String {
    let mut out = Vec::with_capacity(32);
    warc::push_date(&mut out, time);
    latin1(&out)
}
