//! Recordings (WARC, .gor, HAR, access logs) as a source of messages, several merged by time.
//!
//! In: recordings. Out: their messages, taken apart. Guaranteed: every record read is counted,
//! as a message or by the cause for which it gave none; a damaged part is said with the file's name,
//! and counted; no more of them is in memory than a batch, which has a limit in bytes. A run that several files hold parts of keeps its connections.
//! Of what may be live (a pipe, a file that is followed) the time of the latest message is told, since the next may be long in coming.

use super::faults::Faults;
use super::files::Files;
use super::intake::Flow;
use super::merge::{Merge, Step};
use super::pipeline::Seen;
use super::rounds::Range;
use super::shared::CaptureCounts;
use super::stored::{Stored, Threads};
use crate::http::{Config, Provenance, Role, parse_whole, trailers_at};
use crate::model::ledger::{Passed, RecordsRead};
use crate::model::{Cause, Message, Timestamp, Watch, replaced_secrets};
use crate::record::{Item, Kind, Limits, Next, RecordedMessage};

/// Bytes of messages that are handed on together at most; one more than fits may be among them.
const BATCH_BYTES: usize = 4 << 20;
/// Messages passed over before whoever reads is asked whether to go on.
const MOST_OUTSIDE: u64 = 4096;

/// See the module's description.
pub struct Recordings {
    http: Config,
    ports: Vec<u16>,
    /// What of the files need not be looked at closely; knows when the first message began.
    range: Range,
    threads: Threads,
    records: RecordsRead,
    damaged: u64,
}

impl Recordings {
    /// Of the messages, those to the ports of `watch`.
    pub fn new(watch: Watch, http: Config) -> Self {
        let (threads, records) = (Threads::default(), RecordsRead::default());
        let range = Range::default();
        Self { http, ports: watch.ports, range, threads, records, damaged: 0 }
    }

    /// Messages outside this range may be counted and passed over.
    pub fn skip_outside(&mut self, range: Range) {
        // Which port a message is to, and whether it is one, is known when it was looked at.
        if self.ports.is_empty() {
            self.range = range;
        }
    }

    /// Reads them to the end of the last, or until the sink has enough.
    pub fn read(
        &mut self,
        files: &mut Files,
        faults: &mut Faults,
        sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
    ) -> Flow {
        if let Some(what) = files.family().tells_no_ports().filter(|_| !self.ports.is_empty()) {
            tracing::warn!(
                "{}: {what} does not tell ports; -p passes over all of it",
                files.names()
            );
        }
        let mut threads = std::mem::take(&mut self.threads);
        let flow = loop {
            let group = files.next_group();
            if group.is_empty() {
                break Flow::More;
            }
            let full = files.batch_of(&group);
            let merge = Merge::new(files, group, self.limits(), &mut threads);
            if self.merged(merge, full, faults, sink) == Flow::Enough {
                break Flow::Enough;
            }
        };
        self.threads = threads;
        match flow {
            Flow::More => sink(Seen { is_end: true, ..Seen::default() }, self.all_counts()),
            Flow::Enough => Flow::Enough,
        }
    }

    /// Reads what is read as one; hands on so many messages at once.
    fn merged(
        &mut self,
        mut merge: Merge<'_>,
        full: usize,
        faults: &mut Faults,
        sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
    ) -> Flow {
        let mut batch = Batch { is_live: full == 1, ..Batch::default() };
        while let Some((file, step)) = merge.next(self.range.times().as_ref()) {
            let name = merge.name(file);
            match step {
                Step::Next(Next::Item(Item::Message(stored))) => {
                    if let Some(message) = self.message(stored, name) {
                        self.range.begin(Some(message.first_byte));
                        if self.http.tell_statuses {
                            batch.seen.statuses.extend(message.status_seen());
                        }
                        batch.add(message);
                    }
                }
                Step::Next(Next::Item(Item::Damage(damage))) => {
                    self.damaged += 1;
                    tracing::warn!("{name}: {damage}");
                }
                Step::Next(Next::Outside(kind)) => {
                    self.records.read += 1;
                    self.records.messages += 1;
                    batch.pass(kind);
                }
                Step::End(reader) => self.end(name, &reader),
                Step::Fault(reader, fault) => {
                    // What came before it is handed on before the fault is said.
                    if let Some(reader) = reader {
                        self.end(name, &reader);
                    }
                    let is_enough =
                        sink(self.take(&mut batch), self.counts(&merge)) == Flow::Enough;
                    faults.note(fault, merge.has_more());
                    if is_enough {
                        return Flow::Enough;
                    }
                }
            }
            if batch.is_full(full)
                && sink(self.take(&mut batch), self.counts(&merge)) == Flow::Enough
            {
                return Flow::Enough;
            }
        }
        sink(self.take(&mut batch), self.counts(&merge))
    }

    /// A file is over.
    fn end(&mut self, name: &str, reader: &Stored) {
        add_passed(&mut self.records, reader);
        if reader.lacks_separator() {
            tracing::warn!("{name}: the last record has no separator; it was read all the same");
        }
        say_changed(name, reader);
    }

    /// What was recorded with a larger `--max-body` must be readable with the same.
    fn limits(&self) -> Limits {
        let default = Limits::default().max_block_bytes;
        let wanted =
            self.http.max_body.map_or(0, |max| max.saturating_mul(2).saturating_add(1 << 20));
        Limits { max_block_bytes: default.max(wanted) }
    }

    /// What was read and not yet handed on, and when all began.
    fn take(&self, batch: &mut Batch) -> Seen {
        Seen { first: self.range.first(), ..batch.take() }
    }

    /// Those of the files that are over, and of those that are being read.
    fn counts(&self, merge: &Merge<'_>) -> CaptureCounts {
        let mut counts = self.all_counts();
        for reader in merge.readers() {
            add_passed(&mut counts.records, reader);
        }
        counts
    }

    /// Those of the files that are over.
    fn all_counts(&self) -> CaptureCounts {
        let (records, damaged) = (self.records, self.damaged);
        CaptureCounts { records, damaged, ..CaptureCounts::default() }
    }

    /// The stored message taken apart; `None`, and counted, when it is not to a watched port or no
    /// HTTP message.
    fn message(&mut self, stored: RecordedMessage, name: &str) -> Option<Message> {
        self.records.read += 1;
        if !self.ports.is_empty() && !self.ports.contains(&stored.server.port) {
            self.records.passed.count(Passed::OtherPort);
            return None;
        }
        let role = match stored.kind {
            Kind::Request => Role::Client,
            Kind::Response => Role::Server,
        };
        let from = Provenance {
            conn: stored.conn,
            index: stored.index,
            client: stored.client,
            server: stored.server,
            first_byte: stored.first_byte,
            last_byte: stored.last_byte,
            request: stored.request,
            anomalies: stored.anomalies,
            is_whole: !stored.truncated,
        };
        let raw = stored.raw.clone();
        let Some(mut message) = parse_whole(stored.raw, role, from, &self.http) else {
            self.records.passed.count(Passed::NotHttp);
            tracing::warn!("{name}: at byte {}: not an HTTP/1.x message", stored.offset);
            return None;
        };
        self.records.messages += 1;
        // A format without a word for it (.gor, HAR) still has the replaced values themselves.
        message.redacted = stored.redacted.max(replaced_in(&message, &raw));
        Some(message)
    }
}

/// Adds what a file held beside messages, and how its messages were changed.
fn add_passed(records: &mut RecordsRead, reader: &Stored) {
    for (cause, passed) in reader.passed() {
        records.read += passed;
        records.passed.add(cause, passed);
    }
    records.changed.merge(&reader.changed());
}

/// What was read and not yet handed on.
#[derive(Default)]
struct Batch {
    seen: Seen,
    bytes: usize,
    /// Whether the time of the latest message is told. Of files that are whole it is not: messages are there when they are whole,
    /// and one that was long under way may be among those to come.
    is_live: bool,
    latest: Timestamp,
}

impl Batch {
    fn add(&mut self, message: Message) {
        self.bytes += message.cost();
        if self.is_live {
            self.latest = self.latest.max(message.last_byte);
            self.seen.now = Some(self.latest);
        }
        self.seen.messages.push(message);
    }

    fn pass(&mut self, kind: Kind) {
        match kind {
            Kind::Request => self.seen.out_of_range += 1,
            Kind::Response => self.seen.responses_out_of_range += 1,
        }
    }

    fn is_full(&self, messages: usize) -> bool {
        let Seen { out_of_range, responses_out_of_range, .. } = self.seen;
        self.seen.messages.len() >= messages
            || self.bytes >= BATCH_BYTES
            || out_of_range + responses_out_of_range >= MOST_OUTSIDE
    }

    fn take(&mut self) -> Seen {
        self.bytes = 0;
        std::mem::take(&mut self.seen)
    }
}

/// Replaced values in the head and in the trailer section, which is where secrets are replaced. `raw` is the message
/// with its body, kept or not.
fn replaced_in(message: &Message, raw: &[u8]) -> u32 {
    let body = raw.get(message.head_len..).unwrap_or_default();
    let trailers = if message.chunked { trailers_at(body) } else { None };
    let trailers = trailers.and_then(|at| body.get(at..)).unwrap_or_default();
    replaced_secrets(message.head()).saturating_add(replaced_secrets(trailers))
}

/// What of a file's messages is not as it was stored, since that was no HTTP/1.1.
fn say_changed(name: &str, reader: &Stored) {
    let changed = reader.changed();
    let words: Vec<_> = changed
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{} {count}", what.name()))
        .collect();
    if !words.is_empty() {
        tracing::warn!(
            "{name}: messages that were changed to be HTTP/1.1 (docs/recordings.md): {}",
            words.join(", ")
        );
    }
}
