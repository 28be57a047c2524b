//! Messages into records of a .gor file, as GoReplay's own reader takes them.
//!
//! In: whole messages. Out: `HEADER LF PAYLOAD SEPARATOR`, appended to a buffer of the caller's. Guaranteed: a
//! request and what answers it bear the same identifier, and no other request of the file does; times
//! are to the nanosecond, the message's bytes are those captured. The format has no escapes: a message
//! that holds a separator is written as it is and counted.

use std::io::Write as _;

use memchr::memmem;

use crate::model::{Message, Start};

use super::super::export::{
    Exported, Lost, has_captured_anomalies, has_endpoints, is_behind_another,
};
use super::header::SEPARATOR;

/// Set in the identifier of a response whose request is not known: no request has it.
const ALONE: u64 = 1 << 63;

/// See the module's description.
#[derive(Clone, Copy, Debug, Default)]
pub struct GorWriter;

impl GorWriter {
    /// Appends the message's record.
    pub fn message(&mut self, out: &mut Vec<u8>, message: &Message, counts: &mut Exported) {
        // 24 digits: connection and index, which GoReplay takes for ports, address and number.
        let (kind, conn, index) = match message.start {
            Start::Request { .. } => (1, message.conn, message.index),
            Start::Response { request: Some(request), .. } => (2, message.conn, request),
            Start::Response { request: None, .. } => (2, message.conn | ALONE, message.index),
        };
        let at = message.first_byte.as_nanos();
        let lasted = message.last_byte.since(message.first_byte).as_nanos();
        // Writing to a vector does not fail.
        let _ = writeln!(out, "{kind} {conn:016x}{index:08x} {at} {lasted}");
        out.extend_from_slice(&message.raw);
        out.extend_from_slice(SEPARATOR);
        counts.wrote(message);
        for (is_lost, what) in [
            (has_endpoints(message), Lost::Endpoints),
            (is_behind_another(message), Lost::Connection),
            (has_captured_anomalies(message), Lost::Anomalies),
            (memmem::find(&message.raw, SEPARATOR).is_some(), Lost::Separator),
        ] {
            if is_lost {
                counts.lost.count(what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{request, response};

    fn written(message: &Message, counts: &mut Exported) -> String {
        let mut out = Vec::new();
        GorWriter.message(&mut out, message, counts);
        String::from_utf8(out).expect("utf-8")
    }

    #[test]
    fn request_and_response_share_an_identifier_of_24_digits() {
        let mut counts = Exported::default();
        let asked = written(&request(b"GET / HTTP/1.1\r\n\r\n"), &mut counts);
        assert_eq!(
            asked,
            "1 000000000000000700000003 1700000000000000001 8\nGET / HTTP/1.1\r\n\r\n\n🐵🙈🙉\n"
        );
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        let answered = written(&response(answer, Some(3)), &mut counts);
        assert!(answered.starts_with("2 000000000000000700000003 "), "{answered}");
        let alone = written(&response(answer, None), &mut counts);
        assert!(alone.starts_with("2 800000000000000700000003 "), "{alone}");
        assert_eq!((counts.requests, counts.responses), (1, 2));
        assert_eq!((counts.lost.get(Lost::Endpoints), counts.lost.get(Lost::Separator)), (3, 0));
    }

    #[test]
    fn a_separator_within_a_message_is_named() {
        let mut counts = Exported::default();
        let body = "a\n🐵🙈🙉\nb";
        let raw = format!("PUT / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert!(written(&request(raw.as_bytes()), &mut counts).contains(body));
        assert_eq!(counts.lost.get(Lost::Separator), 1);
    }
}
