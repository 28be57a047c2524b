//! The words of WARC/1.1 as shadowtap uses them: field names, dates, record identifiers, digests.
//!
//! In and out: values to bytes and back, nothing else; no file is touched. What is written parses
//! back to the same value. Whole records are made in `encode` and taken apart in `head`.
//!
//! Fields beyond the standard, which allows them and tells readers to ignore what they do not know
//! (ISO 28500:2017, 4): all begin with `Shadowtap-`, see [`field`].

use sha2::{Digest, Sha256};

use crate::model::{Endpoint, Timestamp};

/// What every record begins with.
pub const VERSION: &str = "WARC/1.1";

/// Names of the fields that WARC has no name for.
pub mod field {
    /// The client's endpoint, `ip:port` or `[ip]:port`.
    pub const CLIENT: &str = "Shadowtap-Client";
    /// The server's endpoint.
    pub const SERVER: &str = "Shadowtap-Server";
    /// Number of the connection in its run, from 0.
    pub const CONNECTION: &str = "Shadowtap-Connection";
    /// Number of the message among those of its kind in the connection, from 0.
    pub const INDEX: &str = "Shadowtap-Index";
    /// Of a response: the index of the request it answers, where that is known.
    pub const REQUEST: &str = "Shadowtap-Request";
    /// Packet time of the segment with the last byte, as `WARC-Date` is of the first.
    pub const LAST_BYTE: &str = "Shadowtap-Last-Byte";
    /// Of a response: seconds from the last byte of its request to its own first byte, where both are known.
    pub const TO_FIRST_BYTE: &str = "Shadowtap-Time-To-First-Byte";
    /// The same to its own last byte.
    pub const TO_LAST_BYTE: &str = "Shadowtap-Time-To-Last-Byte";
    /// What was odd about the message, names separated by commas; absent when nothing was.
    pub const ANOMALIES: &str = "Shadowtap-Anomalies";
    /// How many secrets of the message are replaced by their hashes; absent when none is.
    pub const REDACTED: &str = "Shadowtap-Redacted";
}

/// Which of the two an HTTP message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// A request.
    Request,
    /// A response.
    Response,
}

impl Kind {
    /// The record's `WARC-Type`, and its `msgtype`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// Why a record holds less than the whole message (ISO 28500:2017, 5.13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Truncated {
    /// It is larger than a limit.
    Length,
    /// It took too long.
    Time,
    /// The connection, or the capture, ended before.
    Disconnect,
    /// Anything else.
    Unspecified,
}

impl Truncated {
    /// As in `WARC-Truncated`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Time => "time",
            Self::Disconnect => "disconnect",
            Self::Unspecified => "unspecified",
        }
    }
}

/// What the first record of a file says about the recording (`warcinfo`).
#[derive(Clone, Debug, Default)]
pub struct WarcInfo {
    /// Identifies the run; record identifiers are derived from it, so it must not repeat.
    pub run: String,
    /// Name of the host that captured.
    pub host: String,
    /// The interfaces or the file captured from.
    pub source: String,
    /// The capture filter in force; empty when there is none.
    pub filter: String,
    /// Settings that shaped the recording, as (name, value).
    pub options: Vec<(String, String)>,
    /// When the recording began, by the clock of the host.
    pub started: Timestamp,
}

/// A record identifier: a UUID derived from what the record holds (RFC 9562 5.8, version 8), so
/// that a response can name its request without a table of what was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// Of the `warcinfo` record of a file; `file` counts the files of a run.
    pub fn info(run: &str, file: u32) -> Self {
        Self::derive(run, "warcinfo", 0, file)
    }

    /// Of a message.
    pub fn message(run: &str, kind: Kind, conn: u64, index: u32) -> Self {
        Self::derive(run, kind.name(), conn, index)
    }

    fn derive(run: &str, kind: &str, conn: u64, index: u32) -> Self {
        let mut hash = Sha256::new();
        for part in [run.as_bytes(), b"\0", kind.as_bytes(), b"\0"] {
            hash.update(part);
        }
        hash.update(conn.to_be_bytes());
        hash.update(index.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        Self(id)
    }

    /// Appends `<urn:uuid:…>`.
    pub fn push(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<urn:uuid:");
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        out.push(b'>');
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Appends `sha256:` and the digest in base32 with its padding (RFC 4648 6), as WARC tools write
/// it: warcio takes a digest without padding for base64.
pub fn push_digest(out: &mut Vec<u8>, digest: &[u8; 32]) {
    out.extend_from_slice(b"sha256:");
    for group in digest.chunks(5) {
        let mut word = [0; 8];
        word[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(word);
        let letters = (group.len() * 8).div_ceil(5);
        for place in 0..8 {
            let index = (bits >> (35 - 5 * place)) as usize & 31;
            out.push(if place < letters { BASE32[index] } else { b'=' });
        }
    }
}

/// Whether a `WARC-Block-Digest` value fits the block; `None` for an algorithm or an encoding that
/// is not known here. Base32 with or without padding, and base16, in either case.
pub fn digest_fits(value: &str, block: &[u8]) -> Option<bool> {
    let (algorithm, given) = value.split_once(':')?;
    if !algorithm.eq_ignore_ascii_case("sha256") && !algorithm.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let digest: [u8; 32] = Sha256::digest(block).into();
    let given = given.trim_end_matches('=');
    match given.len() {
        52 => {
            let mut ours = Vec::with_capacity(64);
            push_digest(&mut ours, &digest);
            Some(ours.get(7..59)?.eq_ignore_ascii_case(given.as_bytes()))
        }
        64 => {
            let hex = |byte: &u8| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            let ours: Vec<u8> = digest.iter().flat_map(hex).collect();
            Some(ours.eq_ignore_ascii_case(given.as_bytes()))
        }
        _ => None,
    }
}

/// Appends the time as `2026-01-31T12:00:00.123456789Z`: WARC/1.1 allows up to nine digits.
pub fn push_date(out: &mut Vec<u8>, time: Timestamp) {
    let (seconds, nanos) = (time.as_nanos() / 1_000_000_000, time.as_nanos() % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let parts = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3600, 2, b':'),
        (second / 60 % 60, 2, b':'),
        (second % 60, 2, b'.'),
        (nanos, 9, b'Z'),
    ];
    for (value, width, end) in parts {
        push_digits(out, value, width);
        out.push(end);
    }
}

/// Appends the seconds from one time to another with nine digits behind the point: `0.001500000`, and `-0.000000001`
/// where the other is the earlier one.
pub fn push_seconds(out: &mut Vec<u8>, from: Timestamp, to: Timestamp) {
    use std::io::Write as _;
    if to < from {
        out.push(b'-');
    }
    let nanos = to.as_nanos().abs_diff(from.as_nanos());
    // Writing to a vector does not fail.
    let _ = write!(out, "{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: the calendar
/// repeats every 400 years (an era), which here begin on 1 March so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Appends the lowest `width` decimal digits of a number.
fn push_digits(out: &mut Vec<u8>, value: u64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut rest = value;
    for digit in out.iter_mut().skip(start).rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Reads a `WARC-Date`: full, or shortened to a day, a month or a year as WARC/1.1 allows.
pub fn parse_date(value: &str) -> Option<Timestamp> {
    const REST: &str = "0000-01-01T00:00:00Z";
    let whole = match value.len() {
        4 | 7 | 10 => format!("{value}{}", REST.get(value.len()..)?),
        _ => value.to_string(),
    };
    let time: jiff::Timestamp = whole.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

/// Reads `ip:port` or `[ip]:port`.
pub fn parse_endpoint(value: &str) -> Option<Endpoint> {
    value.parse::<std::net::SocketAddr>().ok().map(Endpoint::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn dates_keep_their_nanoseconds_both_ways() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
            (1_709_251_199_999_999_999, "2024-02-29T23:59:59.999999999Z"),
            (4_107_542_400_123_456_789, "2100-03-01T00:00:00.123456789Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ];
        for (nanos, expected) in cases {
            let time = Timestamp::from_nanos(nanos);
            assert_eq!(text(|out| push_date(out, time)), expected);
            assert_eq!(parse_date(expected), Some(time), "{expected}");
        }
    }

    #[test]
    fn shortened_and_foreign_dates_are_read() {
        let day = Some(Timestamp::from_parts(1_704_067_200, 0));
        for value in ["2024", "2024-01", "2024-01-01", "2024-01-01T00:00:00Z"] {
            assert_eq!(parse_date(value), day, "{value}");
        }
        for value in ["", "yesterday", "1969-12-31T00:00:00Z", "2024-13", "20240"] {
            assert_eq!(parse_date(value), None, "{value}");
        }
    }

    #[test]
    fn the_digest_is_padded_base32_and_is_checked_in_each_encoding() {
        let digest: [u8; 32] = Sha256::digest(b"").into();
        let value = text(|out| push_digest(out, &digest));
        // printf '' | sha256sum | xxd -r -p | base32
        assert_eq!(value, "sha256:4OYMIQUY7QOBJGX36TEJS35ZEQT24QPEMSNZGTFESWMRW6CSXBKQ====");
        let hex = "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for given in [&value, value.trim_end_matches('='), hex] {
            assert_eq!(digest_fits(given, b""), Some(true), "{given}");
            assert_eq!(digest_fits(given, b"x"), Some(false), "{given}");
        }
        assert_eq!(digest_fits("sha1:AAAA", b""), None);
        assert_eq!(digest_fits("sha256:AAAA", b""), None);
    }

    #[test]
    fn identifiers_are_uuids_that_depend_on_every_part() {
        let id = RecordId::message("run", Kind::Request, 1, 2);
        let value = text(|out| id.push(out));
        assert_eq!((value.len(), value.get(..10)), (47, Some("<urn:uuid:")));
        assert_eq!((value.as_bytes()[24], value.as_bytes()[18]), (b'8', b'-'));
        for other in [
            RecordId::message("runs", Kind::Request, 1, 2),
            RecordId::message("run", Kind::Response, 1, 2),
            RecordId::message("run", Kind::Request, 2, 2),
            RecordId::message("run", Kind::Request, 1, 3),
            RecordId::info("run", 2),
        ] {
            assert_ne!(id, other);
        }
    }
}
