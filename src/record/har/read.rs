//! HAR documents read back: ours to the same bytes, those of browsers as the HTTP/1.1 they stand for.
//!
//! In: any `Read`. Out: a request and, where there is one, its response from each entry; damages for
//! entries that are none. Guaranteed: memory is a few times the text of one entry, which has a limit, however many small
//! fields it is made of; no message is larger than the limit of one, none is made up from what is damaged; a text that is no HAR
//! document ends it with an error that names line and column.

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::model::ledger::{CHANGED, Changed};
use crate::model::{Anomalies, Anomaly, Cause, Endpoint, Tally, Timestamp};

use super::super::recorded::{Damage, DamageKind, Item, Limits, RecordedMessage};
use super::super::warc::{Kind, parse_date, parse_endpoint};
use super::entry::{
    Entry, Exact, Few, Pair, Request, Response, bytes_of, head, request_line, status_line,
    target_of,
};
use super::foreign;
use super::scan::{Found, Scanner};

/// Connections of the nth file of several are numbered from n << 40, those that the file does not number
/// from half of that on.
const FILE_SHIFT: u32 = 40;
const UNNUMBERED: u64 = 1 << 39;

/// Reads a document from front to back.
pub struct HarReader<R> {
    scanner: Scanner<R>,
    /// Bytes of a message at most.
    max_message: u64,
    /// Number of this file among several.
    file: u64,
    /// Connections handed out to entries that tell none.
    unnumbered: u64,
    /// A response that comes behind its request, or why there is none.
    ready: Option<Item>,
    no_message: u64,
    changed: Tally<Changed, CHANGED>,
}

impl<R: Read> HarReader<R> {
    /// Reads from here; `file` is the number of HAR files read before.
    pub fn new(input: R, limits: Limits, file: u64) -> io::Result<Self> {
        // Base64 and escapes make an entry larger than what it holds.
        let max_entry = limits.max_block_bytes.saturating_mul(3).saturating_add(1 << 20);
        Ok(Self {
            scanner: Scanner::new(input, max_entry)?,
            max_message: limits.max_block_bytes,
            file,
            unnumbered: 0,
            ready: None,
            no_message: 0,
            changed: Tally::default(),
        })
    }

    /// The next message or damage; `None` at the end. An error is one of the input or the document.
    pub fn read_item(&mut self) -> io::Result<Option<Item>> {
        if let Some(response) = self.ready.take() {
            return Ok(Some(response));
        }
        loop {
            let len = match self.scanner.next_entry()? {
                Found::Entry(len) => len,
                Found::TooLarge(len) => {
                    let offset = self.scanner.offset().saturating_sub(len);
                    let kind = DamageKind::TooLarge;
                    return Ok(Some(Item::Damage(Damage { kind, offset, len })));
                }
                Found::End => return Ok(None),
            };
            let (offset, place) = (self.scanner.offset(), self.scanner.place());
            let bytes = self.scanner.bytes().get(..len).unwrap_or_default();
            let entry = serde_json::from_slice::<Entry>(bytes);
            self.scanner.consume(len);
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let line = place.line + (error.line() as u64).saturating_sub(1);
                    let before = if error.line() <= 1 { place.column - 1 } else { 0 };
                    let column = before + error.column() as u64;
                    let kind = DamageKind::Entry { line, column };
                    return Ok(Some(Item::Damage(Damage { kind, offset, len: len as u64 })));
                }
            };
            match self.exchange(entry, offset, len as u64) {
                Ok(Some(request)) => return Ok(Some(Item::Message(request))),
                Ok(None) => self.no_message += 1,
                Err(kind) => {
                    let damage = Damage { kind, offset, len: len as u64 };
                    return Ok(Some(Item::Damage(damage)));
                }
            }
        }
    }

    /// Entries that held no HTTP message: `data:` URIs and the like.
    pub fn no_message(&self) -> u64 {
        self.no_message
    }

    /// Messages that were changed to be HTTP/1.1, by what was.
    pub fn changed(&self) -> Tally<Changed, CHANGED> {
        self.changed
    }

    /// The request of an entry, with its response, or what is wrong with that, kept for the next call.
    fn exchange(
        &mut self,
        entry: Entry,
        offset: u64,
        len: u64,
    ) -> Result<Option<RecordedMessage>, DamageKind> {
        let times = Times::of(&entry);
        let Entry { request, response, server_ip_address, .. } = entry;
        let read = match &request.shadowtap {
            Some(exact) => Some((our_request(&request, exact)?, false)),
            None => foreign::request(&request, &mut self.changed)?,
        };
        let Some((raw, truncated)) = read else { return Ok(None) };
        self.is_small(&raw)?;
        let mut asked = RecordedMessage {
            kind: Kind::Request,
            raw,
            conn: 0,
            index: 0,
            client: Endpoint::new([0, 0, 0, 0].into(), 0),
            server: foreign::server(server_ip_address.as_deref(), &request.url),
            first_byte: times.began,
            last_byte: times.sent,
            request: None,
            redacted: 0,
            anomalies: Anomalies::default(),
            truncated,
            offset,
        };
        match &request.shadowtap {
            Some(exact) => self.place(&mut asked, exact),
            None => {
                let base = self.file << FILE_SHIFT;
                asked.conn = base.wrapping_add(UNNUMBERED).wrapping_add(self.unnumbered);
                self.unnumbered += 1;
            }
        }
        if response.status >= 100 {
            let answer = self.answer(&response, &request.method, &asked, &times);
            self.ready = Some(match answer {
                Ok(answer) => Item::Message(answer),
                Err(kind) => Item::Damage(Damage { kind, offset, len }),
            });
        }
        Ok(Some(asked))
    }

    /// The response to a request.
    fn answer(
        &mut self,
        response: &Response,
        method: &str,
        asked: &RecordedMessage,
        times: &Times,
    ) -> Result<RecordedMessage, DamageKind> {
        let (raw, truncated) = match &response.shadowtap {
            Some(exact) => (our_response(response, exact)?, false),
            None => foreign::response(response, method == "HEAD", &mut self.changed)?,
        };
        self.is_small(&raw)?;
        let mut answer = RecordedMessage {
            kind: Kind::Response,
            raw,
            truncated,
            first_byte: times.answered,
            last_byte: times.ended,
            request: Some(asked.index),
            ..asked.clone()
        };
        if let Some(exact) = &response.shadowtap {
            self.place(&mut answer, exact);
        }
        Ok(answer)
    }

    /// As of a record, whatever the entry was made of.
    fn is_small(&self, raw: &Bytes) -> Result<(), DamageKind> {
        match raw.len() as u64 > self.max_message {
            true => Err(DamageKind::TooLarge),
            false => Ok(()),
        }
    }

    /// What our own fields say of a message.
    fn place(&self, message: &mut RecordedMessage, exact: &Exact) {
        message.conn = (self.file << FILE_SHIFT).wrapping_add(exact.connection);
        message.index = exact.index;
        if message.kind == Kind::Response {
            message.request = exact.request;
        }
        message.client = parse_endpoint(&exact.client).unwrap_or(message.client);
        message.server = parse_endpoint(&exact.server).unwrap_or(message.server);
        message.first_byte = parse_date(&exact.first_byte).unwrap_or(message.first_byte);
        message.last_byte = parse_date(&exact.last_byte).unwrap_or(message.last_byte);
        let named = |name: &String| Anomaly::ALL.iter().copied().find(|a| a.name() == name);
        message.anomalies = exact.anomalies.list.iter().filter_map(named).collect();
    }
}

/// A request of ours: its bytes as they were, unless somebody changed the entry's fields.
fn our_request(request: &Request, exact: &Exact) -> Result<Bytes, DamageKind> {
    let target = match &exact.target {
        Some(target) => bytes_of(target),
        None => target_of(&request.url).as_bytes().into(),
    };
    let line = request_line(&request.method, &target, &request.http_version);
    let mut raw = our_head(exact, &line, &request.headers)?;
    match decoded(exact.body.as_deref())? {
        Some(body) => raw.extend_from_slice(&body),
        None => {
            let text = request.post_data.as_ref().and_then(|data| data.text.as_deref());
            raw.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
    }
    Ok(raw.into())
}

fn our_response(response: &Response, exact: &Exact) -> Result<Bytes, DamageKind> {
    let line = status_line(&response.http_version, response.status, &response.status_text);
    let mut raw = our_head(exact, &line, &response.headers)?;
    let body = match decoded(exact.body.as_deref())? {
        Some(body) => Some(body),
        None => foreign::content(&response.content)?,
    };
    raw.extend_from_slice(&body.unwrap_or_default());
    Ok(raw.into())
}

/// The head as stored, else as start line and fields give it.
fn our_head(exact: &Exact, line: &[u8], headers: &Few<Pair>) -> Result<Vec<u8>, DamageKind> {
    if headers.is_cut || exact.anomalies.is_cut {
        return Err(DamageKind::Fields);
    }
    let pairs = headers.list.iter().map(|pair| (pair.name.as_str(), pair.value.as_str()));
    Ok(decoded(exact.head.as_deref())?.unwrap_or_else(|| head(line, pairs)))
}

/// What stands there in base64, if anything does.
fn decoded(base64: Option<&str>) -> Result<Option<Vec<u8>>, DamageKind> {
    base64.map(|text| STANDARD.decode(text).map_err(|_| DamageKind::Base64)).transpose()
}

/// The times of an exchange, as HAR tells them.
struct Times {
    began: Timestamp,
    sent: Timestamp,
    answered: Timestamp,
    ended: Timestamp,
}

impl Times {
    fn of(entry: &Entry) -> Self {
        let began = parse_date(&entry.started_date_time).unwrap_or_default();
        // -1 is not known; a number over a year is none.
        let nanos = |millis: Option<f64>| (millis.unwrap_or(0.0).clamp(0.0, 4e10) * 1e6) as u64;
        let later =
            |from: Timestamp, by: u64| Timestamp::from_nanos(from.as_nanos().saturating_add(by));
        let timings = &entry.timings;
        let waits = [timings.blocked, timings.dns, timings.connect].map(nanos).iter().sum::<u64>();
        let sent = later(began, waits.saturating_add(nanos(timings.send)));
        let answered = later(sent, nanos(timings.wait));
        let ended = later(began, nanos(entry.time)).max(later(answered, nanos(timings.receive)));
        Self { began, sent, answered, ended }
    }
}
