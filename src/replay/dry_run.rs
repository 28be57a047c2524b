//! The transport that sends nothing: what `wire` would send is printed on stdout.
//!
//! Each request is a line, its bytes, and a line break:
//!
//! ```text
//! shadowtap-dry-run: request=1 to=http://v2:8080 at=1704067200.000000000 connection=3 bytes=123
//! GET / HTTP/1.1
//! ...
//! ```
//!
//! `bytes` counts what stands between the end of the line and the line break behind the request, so that a program can
//! split what is printed whatever stands in the bodies. `at` is the packet time of the first byte, in seconds since 1970. No connection is
//! made and no name looked up here. A reader that goes away is not an error.

use std::io::{self, Write};

use tokio::time::Instant;

use super::transport::{Answer, Transport};
use super::wire::Edits;
use super::{ReplayConfig, ReplayError};
use crate::model::Message;
use crate::model::ledger::Failure;

/// See the module's description.
pub(super) struct DryRun {
    edits: Edits,
    target: String,
}

impl DryRun {
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        Ok(Self { edits: Edits::new(config)?, target: config.target.to_string() })
    }

    /// Everything that is printed of a request; `None` for one that could not be sent.
    fn text(&self, message: &Message, n: u64) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        if !self.edits.write_head(message, n, &mut head) {
            return None;
        }
        let body = message.wire_body();
        let line = format!(
            "shadowtap-dry-run: request={n} to={} at={:?} connection={} bytes={}\n",
            self.target,
            message.first_byte,
            message.conn,
            head.len() + body.len()
        );
        Some([line.as_bytes(), &head, body, b"\n"].concat())
    }
}

impl Transport for DryRun {
    async fn exchange(
        &self,
        message: Message,
        n: u64,
        start: Instant,
        _keep: Option<usize>,
    ) -> Result<Answer, Failure> {
        let Some(text) = self.text(&message, n) else { return Err(Failure::Unsendable) };
        let mut out = io::stdout().lock();
        // Nobody is left to read it.
        let _ = out.write_all(&text).and_then(|()| out.flush());
        Ok(Answer { status: 0, at: start, kept: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::super::tests::message::request;
    use super::*;

    #[test]
    fn a_program_can_split_what_is_printed() {
        let config = ReplayConfig::new(Target::parse("http://v2:81/p").expect("a target"), "run");
        let raw = "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nx\n\n";
        let text = DryRun::new(&config).expect("valid").text(&request(7, raw), 5).expect("whole");
        let text = String::from_utf8(text).expect("ASCII");
        let (line, rest) = text.split_once('\n').expect("a line");
        assert!(line.starts_with("shadowtap-dry-run: request=5 to=http://v2:81/p at="), "{line}");
        assert!(line.contains(" connection=7 bytes="), "{line}");
        let bytes: usize = line.rsplit('=').next().and_then(|n| n.parse().ok()).expect("a length");
        let want = "POST /p/a HTTP/1.1\r\nContent-Length: 3\r\nX-Shadowtap: run-5\r\n\r\nx\n\n";
        assert_eq!((&rest[..bytes], &rest[bytes..]), (want, "\n"));
        assert!(
            DryRun::new(&config)
                .expect("valid")
                .text(&request(7, "CONNECT a:1 HTTP/1.1\r\n\r\n"), 1)
                .is_none()
        );
    }
}
