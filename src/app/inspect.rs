//! `inspect`: what is in recordings or capture files.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use super::files::Files;
use super::follow::Stop;
use super::intake::Flow;
use super::pipeline::Seen;
use super::rounds::Range;
use super::secrets::{Key, Redaction};
use super::source::Source;
use super::{Exit, terminal};
use crate::capture::rights;
use crate::cli::InspectArgs;
use crate::cli::filter_args::FilterArgs;
use crate::model::Message;
use crate::model::ledger::{Passed, RecordsRead};
use crate::shape::{Filter, Redactor};
use crate::telemetry::body;
use crate::telemetry::inspect::{push_json, push_table_head, push_table_row};
use crate::telemetry::numbers::counted;
use crate::telemetry::stats::Stats;
use crate::{config, http, reassemble};

/// Columns of a table that does not go to a terminal.
const WIDTH: usize = 160;

/// A larger body is not kept, and not printed.
const MAX_BODY: u64 = 16 << 20;

/// Text gathered before it is written.
const WRITE_AT: usize = 64 << 10;

/// Lists or counts the messages of files.
pub fn run(args: &InspectArgs) -> anyhow::Result<Exit> {
    let mut wanted = Wanted::new(&args.filter)?;
    let responses = args.responses || !args.filter.statuses.is_empty();
    let key = Key::new(args.key.redact_key.as_ref())?;
    let redactor = Redaction::new(&args.redact)?.only(&key)?;
    // Bodies are hashed as they pass and never kept, and have no limit, unless they are to be printed or looked into.
    let is_kept = args.body || redactor.as_ref().is_some_and(Redactor::reads_bodies) && !args.stats;
    let http = http::Config {
        max_body: is_kept.then_some(MAX_BODY.max(args.max_body_print)),
        hash_bodies: !args.stats,
        read_responses: true,
        emit_responses: responses || args.stats,
        ..http::Config::default()
    };
    let watch = config::watch_file(&args.ports);
    let logs = config::logs(&args.logs)?;
    let files = match args.follow {
        true => {
            // The listing is shown as it grows; what comes at the end comes when somebody ends it.
            let stop = Stop::default();
            stop.on_signals()?;
            let files = Files::open_following(&args.files, logs, stop)?;
            terminal::say(&format!("following {}; Ctrl-C ends it", files.names()));
            files
        }
        false => Files::open(&args.files, logs)?,
    };
    let mut source = Source::new(files, watch, http, reassemble::Limits::default());
    // A response from within the range may answer a request from without.
    if args.filter.methods.is_empty() && args.filter.paths.is_empty() {
        source = source.skipping(wanted.range.clone());
    }
    // What follows reads a file that may be hostile, and needs no right for it.
    rights::drop_all(false)?;
    let result = match args.stats {
        true => count(source, args.json, &mut wanted, redactor.as_ref()),
        false => list(source, Listing::new(args, responses, redactor), &mut wanted),
    };
    wanted.say_left_out();
    result.map(|()| Exit::Done)
}

fn list(source: Source, mut listing: Listing, wanted: &mut Wanted) -> anyhow::Result<()> {
    let mut records = RecordsRead::default();
    let result = source.read(|seen, counts| {
        records = counts.records;
        wanted.pass(&seen, listing.responses);
        listing.add(&seen.messages, wanted)
    });
    listing.flush();
    say_passed(&records);
    result
}

fn count(
    source: Source,
    json: bool,
    wanted: &mut Wanted,
    redactor: Option<&Redactor>,
) -> anyhow::Result<()> {
    let mut stats = Stats::default();
    let mut records = RecordsRead::default();
    let result = source.read(|seen, counts| {
        records = counts.records;
        wanted.pass(&seen, true);
        for message in seen.messages.iter().filter(|message| wanted.includes(message)) {
            stats.add(&shown(message, redactor));
        }
        Flow::More
    });
    terminal::put(&if json { stats.json()? } else { stats.table() });
    say_passed(&records);
    result
}

/// The message as it may be shown: filters look at it as it was.
fn shown<'m>(message: &'m Message, redactor: Option<&Redactor>) -> Cow<'m, Message> {
    match redactor {
        Some(redactor) => Cow::Owned(redactor.redact(message.clone())),
        None => Cow::Borrowed(message),
    }
}

/// What the user wants to see, and how much of the rest there was.
struct Wanted {
    filter: Filter,
    range: Range,
    requests: u64,
    responses: u64,
}

impl Wanted {
    fn new(args: &FilterArgs) -> anyhow::Result<Self> {
        let filter = config::filter(args)?;
        Ok(Self { filter, range: Range::new(args.from, args.until), requests: 0, responses: 0 })
    }

    fn includes(&mut self, message: &Message) -> bool {
        // The filter looks at every request, within the range or not.
        let (is_within, is_wanted) = (self.range.includes(message), self.filter.wants(message));
        if is_within && is_wanted {
            return true;
        }
        match message.is_request() {
            true => self.requests += 1,
            false => self.responses += 1,
        }
        false
    }

    /// What is not among the messages: when all began, and what was passed over. Responses count where they would be
    /// shown.
    fn pass(&mut self, seen: &Seen, responses: bool) {
        self.range.begin(seen.first);
        self.requests += seen.out_of_range;
        self.responses += if responses { seen.responses_out_of_range } else { 0 };
    }

    fn say_left_out(&self) {
        let Self { requests, responses, .. } = *self;
        if requests + responses > 0 {
            let (requests, responses) =
                (counted(requests, "request"), counted(responses, "response"));
            terminal::say(&format!("left out by the filters: {requests}, {responses}"));
        }
    }
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
    /// So much of each body.
    most_body: Option<usize>,
    /// Whether each message is to be seen at once.
    is_live: bool,
    width: usize,
    redactor: Option<Redactor>,
    text: Vec<u8>,
    /// Nobody reads any more (a closed pipe): success, there is nothing left to do.
    is_closed: bool,
}

impl Listing {
    fn new(args: &InspectArgs, responses: bool, redactor: Option<Redactor>) -> Self {
        let mut text = Vec::with_capacity(2 * WRITE_AT);
        if !args.json {
            push_table_head(&mut text);
        }
        let width = terminal_width().unwrap_or(WIDTH);
        let most = usize::try_from(args.max_body_print).unwrap_or(usize::MAX);
        let most_body = args.body.then_some(most);
        let is_live = args.follow || io::stdout().is_terminal();
        let json = args.json;
        Self { json, responses, most_body, is_live, width, redactor, text, is_closed: false }
    }

    fn add(&mut self, messages: &[Message], wanted: &mut Wanted) -> Flow {
        for message in messages.iter().filter(|m| self.responses || m.is_request()) {
            if !wanted.includes(message) {
                continue;
            }
            let message = &shown(message, self.redactor.as_ref());
            if self.json {
                push_json(&mut self.text, message, self.most_body);
                continue;
            }
            // Times are shown since the first message of all, as those of the range are.
            let first = wanted.range.first().unwrap_or(message.first_byte);
            push_table_row(&mut self.text, message, first, self.width);
            if let Some(most) = self.most_body {
                body::push_lines(&mut self.text, message, most);
            }
        }
        if self.text.len() >= WRITE_AT || (self.is_live && !self.text.is_empty()) {
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
