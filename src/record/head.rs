//! The head of a WARC record: version line and named fields, WARC/1.0 and WARC/1.1.
//!
//! In come the bytes of a head, out come the fields that matter here. Field names are compared
//! without regard to case, a line that begins with white space continues the one before, fields
//! that are not known are skipped. A head that contradicts itself, or lacks what a reader cannot do
//! without, is refused. Values from a file are not trusted: what does not parse counts as absent.

use std::net::IpAddr;

use crate::model::{Anomalies, Anomaly, Cause, Endpoint, Timestamp};

use super::warc::{Kind, field, parse_date, parse_endpoint};

/// Fields of a head; more is refused.
const MAX_FIELDS: usize = 256;

/// What kind of record it is, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordType {
    /// Describes the file.
    Info,
    /// An HTTP message.
    Message(Kind),
    /// Anything else: metadata, resource, revisit, a DNS response, ...
    Other,
}

/// The fields of a record that matter here.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// `WARC-Type`, in lower case.
    pub record_type: String,
    /// `WARC-Record-ID`.
    pub id: Option<String>,
    /// `WARC-Date`.
    pub date: Option<Timestamp>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// `Content-Type`, in lower case.
    pub content_type: String,
    /// `WARC-Concurrent-To`, the first.
    pub concurrent_to: Option<String>,
    /// `WARC-Target-URI`.
    pub target_uri: String,
    /// `WARC-IP-Address`.
    pub ip: Option<IpAddr>,
    /// `WARC-Block-Digest`.
    pub digest: Option<String>,
    /// Whether the block is less than the whole message: `WARC-Truncated`, or a segment.
    pub truncated: bool,
    /// [`field::CLIENT`].
    pub client: Option<Endpoint>,
    /// [`field::SERVER`].
    pub server: Option<Endpoint>,
    /// [`field::CONNECTION`].
    pub connection: Option<u64>,
    /// [`field::INDEX`].
    pub index: Option<u32>,
    /// [`field::REQUEST`].
    pub request: Option<u32>,
    /// [`field::LAST_BYTE`].
    pub last_byte: Option<Timestamp>,
    /// [`field::ANOMALIES`].
    pub anomalies: Anomalies,
    /// [`field::REDACTED`].
    pub redacted: u32,
}

impl Head {
    /// Reads a head, its closing empty line included or not; `None` when it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes
            .split(|&b| b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .peekable();
        let version = lines.next()?.trim_ascii_end();
        let minor = version.strip_prefix(b"WARC/1.")?;
        if minor.is_empty() || !minor.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut head = Self::default();
        let mut count = 0;
        while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
            count += 1;
            if count > MAX_FIELDS {
                return None;
            }
            let colon = line.iter().position(|&b| b == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            let mut value = value.get(1..)?.trim_ascii().to_vec();
            while let Some(more) =
                lines.next_if(|line| line.starts_with(b" ") || line.starts_with(b"\t"))
            {
                value.push(b' ');
                value.extend_from_slice(more.trim_ascii());
            }
            let name = std::str::from_utf8(name).ok()?.trim().to_ascii_lowercase();
            head.set(&name, String::from_utf8_lossy(value.trim_ascii()).into_owned())?;
        }
        (!head.record_type.is_empty() && head.length.is_some()).then_some(head)
    }

    /// Takes one field; `None` when it contradicts an earlier one or cannot be lived with.
    fn set(&mut self, name: &str, value: String) -> Option<()> {
        match name {
            "content-length" => {
                let length = parse_number(&value)?;
                if self.length.is_some_and(|earlier| earlier != length) {
                    return None;
                }
                self.length = Some(length);
            }
            "warc-type" => self.record_type = value.to_ascii_lowercase(),
            "warc-record-id" => self.id = Some(value),
            "warc-date" => self.date = parse_date(&value),
            "content-type" => self.content_type = value.to_ascii_lowercase(),
            "warc-concurrent-to" => {
                self.concurrent_to.get_or_insert(value);
            }
            "warc-target-uri" => self.target_uri = value,
            "warc-ip-address" => self.ip = value.parse().ok(),
            "warc-block-digest" => self.digest = Some(value),
            "warc-truncated" | "warc-segment-number" => self.truncated = true,
            _ => self.set_own(name, &value),
        }
        Some(())
    }

    /// The fields of [`field`].
    fn set_own(&mut self, name: &str, value: &str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is(field::CLIENT) {
            self.client = parse_endpoint(value);
        } else if is(field::SERVER) {
            self.server = parse_endpoint(value);
        } else if is(field::CONNECTION) {
            self.connection = parse_number(value);
        } else if is(field::INDEX) {
            self.index = value.parse().ok();
        } else if is(field::REQUEST) {
            self.request = value.parse().ok();
        } else if is(field::LAST_BYTE) {
            self.last_byte = parse_date(value);
        } else if is(field::REDACTED) {
            self.redacted = value.parse().unwrap_or(0);
        } else if is(field::ANOMALIES) {
            let known = |name: &str| Anomaly::ALL.iter().copied().find(|a| a.name() == name.trim());
            self.anomalies = value.split(',').filter_map(known).collect();
        }
    }

    /// What the record is.
    pub fn record_type(&self) -> RecordType {
        // `application/http; msgtype=request` is also written without its parameter.
        let is_http =
            self.content_type.split(';').next().map(str::trim) == Some("application/http");
        match self.record_type.as_str() {
            "warcinfo" => RecordType::Info,
            "request" if is_http => RecordType::Message(Kind::Request),
            "response" if is_http => RecordType::Message(Kind::Response),
            _ => RecordType::Other,
        }
    }

    /// The server's endpoint: as recorded, else from the address and the URI's port.
    pub fn server(&self) -> Endpoint {
        let port = || uri_port(&self.target_uri).unwrap_or(0);
        self.server.unwrap_or_else(|| Endpoint::new(self.ip.unwrap_or(UNKNOWN), port()))
    }

    /// The client's endpoint; all zero where it is not known.
    pub fn client(&self) -> Endpoint {
        self.client.unwrap_or(Endpoint::new(UNKNOWN, 0))
    }
}

/// What stands for an address that a file does not tell.
const UNKNOWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// Digits only: Rust's own parser also takes a sign.
fn parse_number(value: &str) -> Option<u64> {
    value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse().ok())?
}

/// The port of an absolute http or https URI, given or implied.
fn uri_port(uri: &str) -> Option<u16> {
    // wget 1.19 writes the URI in angle brackets, as the grammar of WARC/1.0 had it.
    let uri = uri.trim_start_matches('<').trim_end_matches('>');
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit('@').next()?;
    let port =
        place.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map(|(_, port)| port);
    match port {
        Some(port) if !port.is_empty() => port.parse().ok(),
        _ if scheme.eq_ignore_ascii_case("http") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_head_is_read_leniently() {
        let head = Head::parse(
            b"WARC/1.0\nwarc-type: Response\ncontent-TYPE:application/http; msgtype=response\n\
              Content-Length: 12\nWARC-Target-URI: <https://h/x:1>\nWARC-IP-Address: ::1\n\
              WARC-Date: 2020-01-01T00:00:00Z\nX-Other: \xff\nWARC-Record-ID:\n <urn:x>\n\n",
        )
        .expect("head");
        assert_eq!(head.record_type(), RecordType::Message(Kind::Response));
        assert_eq!((head.length, head.id.as_deref()), (Some(12), Some("<urn:x>")));
        assert_eq!(head.server().to_string(), "[::1]:443");
        assert_eq!(head.date, Some(Timestamp::from_parts(1_577_836_800, 0)));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let cases: &[&[u8]] = &[
            b"",
            b"WARC/2.0\r\nWARC-Type: x\r\nContent-Length: 0\r\n\r\n",
            b"WARC/1.\r\nWARC-Type: x\r\nContent-Length: 0\r\n\r\n",
            b"WARC/1.1 rocks\r\nWARC-Type: x\r\nContent-Length: 0\r\n\r\n",
            b"WARC/1.1\r\nWARC-Type: x\r\n\r\n",
            b"WARC/1.1\r\nContent-Length: 0\r\n\r\n",
            b"WARC/1.1\r\nWARC-Type: x\r\nContent-Length: +1\r\n\r\n",
            b"WARC/1.1\r\nWARC-Type: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"WARC/1.1\r\nWARC-Type: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"WARC/1.1\r\nWARC-Type: x\r\nContent-Length: 1\r\nno colon\r\n\r\n",
        ];
        for case in cases {
            assert!(Head::parse(case).is_none(), "{}", case.escape_ascii());
        }
        let fields = |n: usize| {
            let more = "X: y\r\n".repeat(n - 2);
            format!("WARC/1.1\r\nWARC-Type: x\r\nContent-Length: 0\r\n{more}\r\n")
        };
        assert!(Head::parse(fields(MAX_FIELDS).as_bytes()).is_some());
        assert!(Head::parse(fields(MAX_FIELDS + 1).as_bytes()).is_none());
    }

    #[test]
    fn the_port_of_a_uri_is_found_or_implied() {
        let cases = [
            ("http://a/", Some(80)),
            ("http://a:8080?x", Some(8080)),
            ("https://u:1@[::1]", Some(443)),
            ("http://[::1]:81/", Some(81)),
            ("http://a:/", Some(80)),
            ("http://a:99999/", None),
            ("dns:a", None),
            ("ftp://a/", None),
        ];
        for (uri, port) in cases {
            assert_eq!(uri_port(uri), port, "{uri}");
        }
    }
}
