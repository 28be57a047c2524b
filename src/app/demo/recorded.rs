//! The demo without the right to capture: a recording of its own client and v1, replayed at v2.
//!
//! In: v2's listener; the recording and the log that v1 wrote while it was made, both built in
//! (`fixtures/make-demo.sh` makes them). Out: the [`Story`]. Of v1, what it got is from that log; the
//! bytes of requests and v1's answers are read from the recording, since v1 does not run now.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context;

use super::commands;
use super::journal::Entry;
use super::server::Bound;
use super::service::Release;
use super::story::{Ending, Origin, Story, find_payment};
use crate::app::files::Files;
use crate::app::follow::Stop;
use crate::app::intake::Flow;
use crate::app::source::Source;
use crate::app::terminal::say;
use crate::app::{Exit, replay};
use crate::capture::file::Input;
use crate::cli::DemoArgs;
use crate::model::{MARKER_FIELD, Message, Start, Watch};
use crate::{http, reassemble};

/// Where it lies in the source tree.
const NAME: &str = "fixtures/demo.pcap";

static PCAP: &[u8] = include_bytes!("../../../fixtures/demo.pcap");
static V1_LOG: &str = include_str!("../../../fixtures/demo.expected.jsonl");

/// Runs it.
pub fn run(args: &DemoArgs, v2: Bound) -> anyhow::Result<Ending> {
    let mut v1 = v1_log().context("the log of the recording is broken")?;
    let (command, replay_args) = commands::replay(NAME, v2.address)?;
    say(&format!("demo: v2 listens on {}", v2.address));
    let at_v2 = v2.serve(Release::V2)?;
    let files = Files::one(Input::from_reader(NAME, PCAP)?)?;
    let running = replay::start(&replay_args, files, Stop::default(), None)?;
    let result = running.wait();
    let ledger = running.run.ledger(args.json)?;
    let snapshot = running.run.shared().snapshot();
    // SIGTERM only makes it quicker: the file was read to its end long before.
    if !matches!(result, Ok(Exit::Done)) {
        return Ok(Ending::CutShort { result, ledger });
    }
    let v2 = at_v2.entries();
    let recorded = Recorded::read()?;
    for entry in &mut v1 {
        recorded.complete(entry);
    }
    let payment = find_payment(&v1, &v2, |e| recorded.wire(e), |e| at_v2.wire(e));
    let origin = Origin::Recorded;
    Ok(Ending::Finished(Box::new(Story { origin, command, v1, v2, payment, snapshot, ledger })))
}

fn v1_log() -> Option<Vec<Entry>> {
    V1_LOG.lines().map(Entry::from_line).collect()
}

/// What the recording tells of v1, by connection and number within it.
#[derive(Default)]
struct Recorded {
    requests: HashMap<(SocketAddr, u32), Message>,
    answers: HashMap<(SocketAddr, u32), Message>,
}

impl Recorded {
    fn read() -> anyhow::Result<Self> {
        let http =
            http::Config { read_responses: true, emit_responses: true, ..http::Config::default() };
        let input = Input::from_reader(NAME, PCAP)?;
        let limits = reassemble::Limits::default();
        let source = Source::new(Files::one(input)?, Watch::everything(), http, limits);
        let mut recorded = Self::default();
        source.read(|seen, _| {
            seen.messages.into_iter().for_each(|message| recorded.add(message));
            Flow::More
        })?;
        Ok(recorded)
    }

    fn add(&mut self, message: Message) {
        let client = SocketAddr::new(message.client.ip, message.client.port);
        match message.start {
            Start::Request { .. } => {
                self.requests.insert((client, message.index), message);
            }
            Start::Response { request: Some(index), .. } => {
                self.answers.insert((client, index), message);
            }
            Start::Response { .. } => {}
        }
    }

    /// Fills in what v1's log does not tell.
    fn complete(&self, entry: &mut Entry) {
        let key = (entry.client, entry.index);
        let (Some(request), Some(answer)) = (self.requests.get(&key), self.answers.get(&key))
        else {
            return;
        };
        entry.chunked = request.chunked;
        entry.is_copy = request.header(MARKER_FIELD).is_some();
        entry.answer = String::from_utf8_lossy(&answer.body).into_owned();
        entry.took = answer.first_byte.since(request.last_byte);
    }

    fn wire(&self, entry: &Entry) -> Option<Vec<u8>> {
        self.requests.get(&(entry.client, entry.index)).map(|request| request.raw.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recording is evidence only if its two witnesses agree: v1's log, and the wire.
    #[test]
    fn the_recording_holds_what_v1_logged_and_answered() {
        let recorded = Recorded::read().expect("the recording");
        let mut v1 = v1_log().expect("v1's log");
        assert!(v1.len() >= 40, "{} requests", v1.len());
        assert_eq!((recorded.requests.len(), recorded.answers.len()), (v1.len(), v1.len()));
        for entry in &mut v1 {
            recorded.complete(entry);
            let request = &recorded.requests[&(entry.client, entry.index)];
            assert_eq!(request.method(), entry.method.as_bytes());
            assert_eq!(request.target(), entry.target.as_bytes());
            assert_eq!(request.body_len, entry.body_len);
            assert!(entry.answer.starts_with('{') && !entry.is_copy, "{entry:?}");
        }
        assert!(v1.iter().any(|entry| entry.chunked));
        assert!(PCAP.len() <= 60 << 10, "small enough to be built in");
    }
}
