//! How a message's body is delimited: RFC 9112 section 6.3, all its cases.
//!
//! In: a parsed head and, for a response, what it answers. Out: [`BodyLength`], and anomalies where
//! two readers could disagree. The one documented reading of what is ambiguous: Transfer-Encoding
//! beats Content-Length, in HTTP/1.0 too; of several Content-Lengths the first counts; an invalid one counts
//! as none.

use super::head::{Head, StartLine};
use crate::model::message::Span;
use crate::model::{Anomalies, Anomaly, Version};

/// How the end of the body is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyLength {
    /// So many bytes; 0 for no body.
    Known(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Everything until the connection is closed.
    UntilClose,
    /// None: the connection is a tunnel from here on, or speaks another protocol.
    Tunnel,
}

/// The method of the request that a response answers, as far as framing is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answers {
    /// HEAD: no body whatever the fields say.
    Head,
    /// CONNECT: a 2xx makes the connection a tunnel.
    Connect,
    /// Any other method, or unknown.
    Other,
}

/// The body of a request.
///
/// Cases of section 6.3, by number: 1, 2 and 8 are about responses only; 3 both lengths; 4 chunked,
/// or Transfer-Encoding without it; 5 invalid Content-Length; 6 valid Content-Length; 7 neither.
pub(super) fn of_request(bytes: &[u8], head: &Head, anomalies: &mut Anomalies) -> BodyLength {
    let coding = transfer_encoding(bytes, head, anomalies);
    let length = content_length(bytes, head, anomalies);
    match coding {
        Coding::Chunked => {
            if length != Length::Absent {
                anomalies.insert(Anomaly::BothLengths);
            }
            BodyLength::Chunked
        }
        Coding::Other => {
            // The end cannot be told (a server answers 400 or 501): go by Content-Length, if any.
            anomalies.insert(Anomaly::ChunkedNotLast);
            BodyLength::Known(length.value())
        }
        Coding::None => BodyLength::Known(length.value()),
    }
}

/// The body of a response, by the method it answers.
///
/// Cases: 1 HEAD, 1xx, 204, 304; 2 CONNECT; 3 to 6 as for requests; 8 until close. (7 is requests'.)
pub(super) fn of_response(
    bytes: &[u8],
    head: &Head,
    answers: Answers,
    anomalies: &mut Anomalies,
) -> BodyLength {
    let StartLine::Response { status, .. } = head.start else { return BodyLength::Known(0) };
    if status == 101 || (answers == Answers::Connect && (200..300).contains(&status)) {
        return BodyLength::Tunnel;
    }
    if answers == Answers::Head || matches!(status, 100..=199 | 204 | 304) {
        return BodyLength::Known(0);
    }
    let length = content_length(bytes, head, anomalies);
    match transfer_encoding(bytes, head, anomalies) {
        Coding::Chunked => {
            if length != Length::Absent {
                anomalies.insert(Anomaly::BothLengths);
            }
            BodyLength::Chunked
        }
        Coding::Other => {
            anomalies.insert(Anomaly::ChunkedNotLast);
            BodyLength::UntilClose
        }
        Coding::None => match length {
            Length::Value(length) => BodyLength::Known(length),
            Length::Absent | Length::Invalid => BodyLength::UntilClose,
        },
    }
}

/// Values of all fields of that name, in order.
pub(super) fn values<'b>(
    bytes: &'b [u8],
    head: &'b Head,
    name: &'b str,
) -> impl Iterator<Item = &'b [u8]> {
    let slice = |span: Span| bytes.get(span.range()).unwrap_or_default();
    head.fields
        .iter()
        .filter(move |field| slice(field.name).eq_ignore_ascii_case(name.as_bytes()))
        .map(move |field| slice(field.value))
}

/// Whether one of the comma-separated values of a field is this token, in any case.
pub(super) fn has_token(bytes: &[u8], head: &Head, name: &str, token: &str) -> bool {
    values(bytes, head, name)
        .flat_map(|value| value.split(|b| *b == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    None,
    Chunked,
    Other,
}

/// HTTP/1.0 does not have the field, so one reader goes by it, another ignores it or refuses the message:
/// section 6.1 calls such framing faulty whatever the field says, `identity` included.
fn transfer_encoding(bytes: &[u8], head: &Head, anomalies: &mut Anomalies) -> Coding {
    let last = values(bytes, head, "transfer-encoding")
        .flat_map(|value| value.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty())
        .last();
    if last.is_some() && head.version == Version::HTTP_10 {
        anomalies.insert(Anomaly::CodingInHttp10);
    }
    match last {
        None => Coding::None,
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
        // Obsolete (RFC 2616 3.6), means no coding at all.
        Some(coding) if coding.eq_ignore_ascii_case(b"identity") => Coding::None,
        Some(_) => Coding::Other,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Absent,
    Invalid,
    Value(u64),
}

impl Length {
    fn value(self) -> u64 {
        match self {
            Self::Value(length) => length,
            Self::Absent | Self::Invalid => 0,
        }
    }
}

fn content_length(bytes: &[u8], head: &Head, anomalies: &mut Anomalies) -> Length {
    let mut first: Option<Length> = None;
    let items = values(bytes, head, "content-length").flat_map(|value| value.split(|b| *b == b','));
    for item in items {
        let length = match parse_length(item.trim_ascii()) {
            Some(length) => Length::Value(length),
            None => {
                anomalies.insert(Anomaly::InvalidLength);
                Length::Invalid
            }
        };
        match first {
            None => first = Some(length),
            Some(earlier) if earlier == length => anomalies.insert(Anomaly::RepeatedLength),
            Some(_) => anomalies.insert(Anomaly::SeveralLengths),
        }
    }
    first.unwrap_or(Length::Absent)
}

/// 1*DIGIT and nothing else: no sign, no space, no overflow.
fn parse_length(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, b| {
        let digit = char::from(*b).to_digit(10)?;
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::head::{Role, parse};
    use super::*;
    use crate::model::Cause;

    fn request(fields: &str) -> (BodyLength, Vec<&'static str>) {
        let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        let head = parse(text.as_bytes(), Role::Client).unwrap();
        let mut anomalies = Anomalies::default();
        let body = of_request(text.as_bytes(), &head, &mut anomalies);
        (body, anomalies.iter().map(|a| a.name()).collect())
    }

    fn response(status: u16, fields: &str, answers: Answers) -> BodyLength {
        let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        let head = parse(text.as_bytes(), Role::Server).unwrap();
        of_response(text.as_bytes(), &head, answers, &mut Anomalies::default())
    }

    #[test]
    fn requests_by_every_case_of_the_rfc() {
        let cases: [(&str, BodyLength, &[&str]); 14] = [
            ("", BodyLength::Known(0), &[]),
            ("Content-Length: 7\r\n", BodyLength::Known(7), &[]),
            ("content-LENGTH:0007\r\n", BodyLength::Known(7), &[]),
            ("Transfer-Encoding: chunked\r\n", BodyLength::Chunked, &[]),
            ("Transfer-Encoding: gzip, Chunked\r\n", BodyLength::Chunked, &[]),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", BodyLength::Chunked, &[]),
            ("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", BodyLength::Known(2), &[]),
            ("Transfer-Encoding: chunked, gzip\r\n", BodyLength::Known(0), &["chunked_not_last"]),
            (
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                BodyLength::Chunked,
                &["both_lengths"],
            ),
            ("Content-Length: 3, 3\r\n", BodyLength::Known(3), &["repeated_length"]),
            (
                "Content-Length: 3\r\nContent-Length: 4\r\n",
                BodyLength::Known(3),
                &["several_lengths"],
            ),
            ("Content-Length: +3\r\n", BodyLength::Known(0), &["invalid_length"]),
            ("Content-Length: 3x\r\n", BodyLength::Known(0), &["invalid_length"]),
            ("Content-Length: 99999999999999999999\r\n", BodyLength::Known(0), &["invalid_length"]),
        ];
        for (fields, body, anomalies) in cases {
            let (got, got_anomalies) = request(fields);
            assert_eq!((got, got_anomalies.as_slice()), (body, anomalies), "{fields:?}");
        }
    }

    #[test]
    fn a_coding_in_http_1_0_is_read_and_named() {
        let name = "coding_in_http10";
        let cases: [(&str, BodyLength, &[&str]); 5] = [
            ("Transfer-Encoding: chunked", BodyLength::Chunked, &[name]),
            ("Transfer-Encoding: identity\r\nContent-Length: 2", BodyLength::Known(2), &[name]),
            ("Transfer-Encoding: gzip", BodyLength::Known(0), &["chunked_not_last", name]),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 2",
                BodyLength::Chunked,
                &["both_lengths", name],
            ),
            ("Content-Length: 2", BodyLength::Known(2), &[]),
        ];
        for (fields, body, names) in cases {
            let text = format!("POST / HTTP/1.0\r\n{fields}\r\n\r\n");
            let head = parse(text.as_bytes(), Role::Client).unwrap();
            let mut anomalies = Anomalies::default();
            assert_eq!(of_request(text.as_bytes(), &head, &mut anomalies), body, "{fields:?}");
            assert_eq!(anomalies.iter().map(|a| a.name()).collect::<Vec<_>>(), names, "{fields:?}");
            assert_eq!(anomalies.is_ambiguous(), !names.is_empty());
        }
        let text = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let head = parse(text.as_bytes(), Role::Server).unwrap();
        let mut anomalies = Anomalies::default();
        let body = of_response(text.as_bytes(), &head, Answers::Other, &mut anomalies);
        assert_eq!(body, BodyLength::Chunked);
        assert!(anomalies.contains(Anomaly::CodingInHttp10));
    }

    #[test]
    fn responses_by_every_case_of_the_rfc() {
        let length = "Content-Length: 5\r\n";
        for (status, fields, answers, body) in [
            (200, length, Answers::Other, BodyLength::Known(5)),
            (200, length, Answers::Head, BodyLength::Known(0)),
            (204, length, Answers::Other, BodyLength::Known(0)),
            (304, length, Answers::Other, BodyLength::Known(0)),
            (100, "", Answers::Other, BodyLength::Known(0)),
            (101, "", Answers::Other, BodyLength::Tunnel),
            (200, "", Answers::Connect, BodyLength::Tunnel),
            (407, length, Answers::Connect, BodyLength::Known(5)),
            (200, "", Answers::Other, BodyLength::UntilClose),
            (200, "Content-Length: x\r\n", Answers::Other, BodyLength::UntilClose),
            (200, "Transfer-Encoding: chunked\r\n", Answers::Other, BodyLength::Chunked),
            (200, "Transfer-Encoding: chunked\r\n", Answers::Head, BodyLength::Known(0)),
            (200, "Transfer-Encoding: gzip\r\n", Answers::Other, BodyLength::UntilClose),
        ] {
            assert_eq!(response(status, fields, answers), body, "{status} {fields:?} {answers:?}");
        }
    }
}
