//! `inspect`: what is in recordings or capture files.

use std::io::{self, IsTerminal, Write};

use super::files::Files;
use super::intake::Flow;
use super::source::Source;
use super::{Exit, terminal};
use crate::capture::rights;
use crate::cli::InspectArgs;
use crate::model::ledger::{Passed, RecordsRead};
use crate::model::{Message, Timestamp};
use crate::telemetry::inspect::{push_json, push_table_head, push_table_row};
use crate::telemetry::stats::Stats;
use crate::{config, http, reassemble};

/// Columns of a table that does not go to a terminal.
const WIDTH: usize = 160;

/// Text gathered before it is written.
const WRITE_AT: usize = 64 << 10;

/// Lists or counts the messages of files.
pub fn run(args: &InspectArgs) -> anyhow::Result<Exit> {
    // Bodies are hashed as they pass and never kept: they have no limit here.
    let http = http::Config {
        max_body: None,
        hash_bodies: !args.stats,
        read_responses: true,
        emit_responses: args.responses || args.stats,
        ..http::Config::default()
    };
    let watch = config::watch_file(&args.ports);
    let files = Files::open(&args.files, config::logs(&args.logs)?)?;
    let source = Source::new(files, watch, http, reassemble::Limits::default());
    // What follows reads a file that may be hostile, and needs no right for it.
    rights::drop_all(false)?;
    if args.stats {
        return count(source, args.json);
    }
    let mut listing = Listing::new(args.json, args.responses);
    let mut records = RecordsRead::default();
    let result = source.read(|seen, counts| {
        records = counts.records;
        listing.add(&seen.messages)
    });
    listing.flush();
    say_passed(&records);
    result.map(|()| Exit::Done)
}

fn count(source: Source, json: bool) -> anyhow::Result<Exit> {
    let mut stats = Stats::default();
    let mut records = RecordsRead::default();
    let result = source.read(|seen, counts| {
        records = counts.records;
        seen.messages.iter().for_each(|message| stats.add(message));
        Flow::More
    });
    terminal::put(&if json { stats.json()? } else { stats.table() });
    say_passed(&records);
    result.map(|()| Exit::Done)
}

/// What of a recording is not in the listing, though it holds a message.
pub(super) fn say_passed(records: &RecordsRead) {
    let left_out = [
        (Passed::OtherPort, "are of other ports than -p says"),
        (Passed::NotHttp, "hold no HTTP/1.x message"),
        (Passed::Replayed, "are answers to GoReplay's own replay"),
        (Passed::BodyNotLogged, "have a body, which an access log does not tell"),
    ];
    for (cause, why) in left_out {
        let passed = records.passed.get(cause);
        if passed > 0 {
            terminal::say(&format!("passed over in the recording: {passed} that {why}"));
        }
    }
}

/// Writes messages to stdout as they come.
struct Listing {
    json: bool,
    responses: bool,
    first: Option<Timestamp>,
    width: usize,
    text: Vec<u8>,
    /// Nobody reads any more (a closed pipe): success, there is nothing left to do.
    is_closed: bool,
}

impl Listing {
    fn new(json: bool, responses: bool) -> Self {
        let mut text = Vec::with_capacity(2 * WRITE_AT);
        if !json {
            push_table_head(&mut text);
        }
        let width = terminal_width().unwrap_or(WIDTH);
        Self { json, responses, first: None, width, text, is_closed: false }
    }

    fn add(&mut self, messages: &[Message]) -> Flow {
        for message in messages.iter().filter(|m| self.responses || m.is_request()) {
            let first = *self.first.get_or_insert(message.first_byte);
            match self.json {
                true => push_json(&mut self.text, message),
                false => push_table_row(&mut self.text, message, first, self.width),
            }
        }
        if self.text.len() >= WRITE_AT {
            self.flush();
        }
        if self.is_closed { Flow::Enough } else { Flow::More }
    }

    fn flush(&mut self) {
        let mut out = io::stdout().lock();
        self.is_closed |= out.write_all(&self.text).and_then(|()| out.flush()).is_err();
        self.text.clear();
    }
}

fn terminal_width() -> Option<usize> {
    let out = io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
