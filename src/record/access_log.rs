//! Access logs of web servers read as the requests they tell of.
//!
//! In: any `Read` with a line for each request, and its format. Out: requests without body (GET, HEAD, OPTIONS, TRACE, DELETE)
//! with the fields that the log has, at their times; damages for lines of another format. Guaranteed:
//! memory is one line, up to [`MAX_LINE`]; a request with a body is passed over and counted, since nobody
//! knows what was in it. Responses are not made up.

mod format;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::model::{Anomalies, Endpoint, Timestamp};

use super::recorded::{Damage, DamageKind, Item, RecordedMessage};
use super::warc::{Kind, parse_date};
use super::window::Window;
pub use format::LogFormat;
use format::Values;

/// Bytes of a line; a longer one is damage.
pub const MAX_LINE: usize = 64 << 10;

/// What Host says where the log does not.
pub const DEFAULT_HOST: &str = "localhost";

/// Methods whose requests have no body, as a rule.
const BODYLESS: [&[u8]; 5] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"DELETE"];

/// How a log is to be read.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The format; without it, one of the usual ones.
    pub format: Option<LogFormat>,
    /// What Host says where the log does not.
    pub host: Option<String>,
}

/// Lines that gave no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogCounts {
    /// Requests with a body.
    pub with_body: u64,
    /// Lines of connections on which no request came.
    pub no_request: u64,
}

/// Reads a log from front to back.
pub struct LogReader<R> {
    window: Window<R>,
    formats: Vec<LogFormat>,
    host: String,
    conns: Arc<AtomicU64>,
    counts: LogCounts,
}

/// What a line tells.
enum Told {
    Request(Box<RecordedMessage>),
    WithBody,
    NoRequest,
}

impl<R: Read> LogReader<R> {
    /// Reads from here; `conns` are the connections so far of all files that are read as one.
    pub fn new(input: R, options: &LogOptions, conns: Arc<AtomicU64>) -> io::Result<Self> {
        Ok(Self {
            window: Window::new(input)?,
            formats: match &options.format {
                Some(format) => vec![format.clone()],
                None => LogFormat::usual(),
            },
            host: options.host.clone().unwrap_or_else(|| DEFAULT_HOST.to_owned()),
            conns,
            counts: LogCounts::default(),
        })
    }

    /// The next request or damage; `None` at the end. An error is one of the input itself.
    pub fn read_item(&mut self) -> io::Result<Option<Item>> {
        loop {
            let offset = self.window.offset();
            let Some((line_len, passed)) = self.line()? else { return Ok(None) };
            let Some(line_len) = line_len else {
                let kind = DamageKind::TooLarge;
                return Ok(Some(Item::Damage(Damage { kind, offset, len: passed })));
            };
            let line = self.window.bytes().get(..line_len).unwrap_or_default().to_vec();
            self.window.consume(usize::try_from(passed).unwrap_or(usize::MAX));
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                continue;
            }
            match self.told(line, offset) {
                Some(Told::Request(mut message)) => {
                    message.conn = self.conns.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(Item::Message(*message)));
                }
                Some(Told::WithBody) => self.counts.with_body += 1,
                Some(Told::NoRequest) => self.counts.no_request += 1,
                None => {
                    let kind = DamageKind::Line;
                    return Ok(Some(Item::Damage(Damage { kind, offset, len: passed })));
                }
            }
        }
    }

    /// Lines that gave no message so far.
    pub fn counts(&self) -> LogCounts {
        self.counts
    }

    /// The length of the line at the window's start and that with its end; of one over the limit, which was skipped,
    /// only what was passed.
    fn line(&mut self) -> io::Result<Option<(Option<usize>, u64)>> {
        let (mut searched, mut skipped) = (0, 0);
        loop {
            let bytes = self.window.bytes();
            let rest = bytes.get(searched..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map(|at| searched + at);
            let (len, passed, is_over) = match end {
                Some(end) => (end, end + 1, true),
                None => (bytes.len(), bytes.len(), false),
            };
            let is_long = len > MAX_LINE || skipped > 0;
            if is_long {
                self.window.consume(passed);
                skipped += passed as u64;
                searched = 0;
            } else {
                searched = len;
            }
            let is_over = is_over || !self.window.ensure(searched + 1)?;
            match is_over {
                true if is_long => return Ok(Some((None, skipped))),
                true if passed == 0 => return Ok(None),
                true => return Ok(Some((Some(len), passed as u64))),
                false => {}
            }
        }
    }

    /// What a line tells; `None` when it is not of the format.
    fn told(&self, line: &[u8], offset: u64) -> Option<Told> {
        let values = self.formats.iter().find_map(|format| format.values(line))?;
        let logged = time_of(&values)?;
        let Some(line) = Line::of(&values) else { return Some(Told::NoRequest) };
        let length = get(&values, "content_length").or(get(&values, "http_content_length"));
        let has_body = length.and_then(number).is_some_and(|length| length > 0.0)
            || get(&values, "http_transfer_encoding").is_some();
        if !BODYLESS.contains(&line.method) || has_body {
            return Some(Told::WithBody);
        }
        // Servers write the line when they have answered.
        let took = get(&values, "request_time").and_then(number).unwrap_or(0.0);
        let took = Duration::try_from_secs_f64(took).unwrap_or_default();
        let client = get(&values, "remote_addr").and_then(text).and_then(|ip| ip.parse().ok());
        let nowhere = Endpoint::new([0, 0, 0, 0].into(), 0);
        let began = logged - took;
        Some(Told::Request(Box::new(RecordedMessage {
            kind: Kind::Request,
            raw: self.request(&line, &values),
            conn: 0,
            index: 0,
            client: client.map_or(nowhere, |ip| Endpoint::new(ip, 0)),
            server: nowhere,
            first_byte: began,
            last_byte: began,
            request: None,
            redacted: 0,
            anomalies: Anomalies::default(),
            truncated: false,
            offset,
        })))
    }

    /// The bytes of the request: Host first, then the fields that the log has.
    fn request(&self, line: &Line<'_>, values: &Values<'_>) -> Bytes {
        let mut raw = [line.method, &line.target, line.version].join(&b' ');
        raw.extend_from_slice(b"\r\n");
        let host = get(values, "http_host").or(get(values, "host"));
        push_field(&mut raw, "Host", host.unwrap_or(self.host.as_bytes()));
        for (variable, value) in values {
            let Some(name) = variable.strip_prefix("http_") else { continue };
            // A length of 0 is all that it can be here.
            if !["host", "content_length"].contains(&name) {
                push_field(&mut raw, &field_name(name), value);
            }
        }
        raw.extend_from_slice(b"\r\n");
        raw.into()
    }
}

/// The request line that a line of the log tells.
struct Line<'a> {
    method: &'a [u8],
    target: Vec<u8>,
    version: &'a [u8],
}

impl<'a> Line<'a> {
    /// `None` where no request came: a closed connection, TLS on a plain port.
    fn of(values: &'a Values<'a>) -> Option<Self> {
        let (method, target, version) = match get(values, "request") {
            Some(line) => {
                let first = line.iter().position(|&b| b == b' ')?;
                let last = line.iter().rposition(|&b| b == b' ').filter(|&last| last > first)?;
                (line.get(..first)?, line.get(first + 1..last)?.to_vec(), line.get(last + 1..)?)
            }
            None => {
                let method = get(values, "request_method").unwrap_or(b"GET");
                let version = get(values, "server_protocol").unwrap_or(b"HTTP/1.1");
                (method, target_of(values)?, version)
            }
        };
        let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        let is_line = !method.is_empty() && method.iter().all(is_token) && !target.is_empty();
        // A line end would begin a field of its own.
        let is_clean = !target.iter().any(|b| b"\r\n\0".contains(b));
        let version = match version {
            b"HTTP/1.0" => b"HTTP/1.0",
            _ if version.starts_with(b"HTTP/") => b"HTTP/1.1",
            _ => return None,
        };
        (is_line && is_clean).then_some(Self { method, target, version })
    }
}

fn target_of(values: &Values<'_>) -> Option<Vec<u8>> {
    if let Some(target) = get(values, "request_uri") {
        return Some(target.to_vec());
    }
    let path = get(values, "uri")?.to_vec();
    Some(match get(values, "args").or(get(values, "query_string")) {
        Some(args) => [&path, args].join(&b'?'),
        None => path,
    })
}

fn get<'a>(values: &'a Values<'_>, name: &str) -> Option<&'a [u8]> {
    values.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.as_ref())
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn number(value: &[u8]) -> Option<f64> {
    text(value)?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

/// When the line was written, by the most exact that it tells.
fn time_of(values: &Values<'_>) -> Option<Timestamp> {
    if let Some(seconds) = get(values, "msec") {
        let (whole, part) = text(seconds)?.split_once('.').unwrap_or((text(seconds)?, "0"));
        let nanos = format!("{part:0<9}").get(..9)?.parse::<u64>().ok()?;
        return Some(Timestamp::from_parts(whole.parse().ok()?, nanos));
    }
    if let Some(time) = get(values, "time_iso8601") {
        return parse_date(text(time)?);
    }
    let local = text(get(values, "time_local")?)?;
    // 10/Oct/2000:13:55:36 -0700
    let zoned = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", local).ok()?;
    let nanos = zoned.to_timestamp().ok()?.as_nanosecond();
    u64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// `x_forwarded_for` as `X-Forwarded-For`: nginx keeps neither case nor dashes.
fn field_name(variable: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    };
    variable.split('_').map(word).collect::<Vec<_>>().join("-")
}

fn push_field(raw: &mut Vec<u8>, name: &str, value: &[u8]) {
    raw.extend_from_slice(name.as_bytes());
    raw.extend_from_slice(b": ");
    // A line end within a value would begin a field of its own.
    raw.extend(value.iter().map(|&b| if b"\r\n\0".contains(&b) { b' ' } else { b }));
    raw.extend_from_slice(b"\r\n");
}
