//! Recordings (WARC, .gor, HAR, access logs) as a source of messages, one file after the other.
//!
//! In: opened recordings. Out: their messages, taken apart. Guaranteed: every record read is counted,
//! as a message or by the cause for which it gave none; a damaged part is said with the file's name,
//! and counted. A run that several files hold parts of keeps its connections.

use anyhow::Context;

use super::intake::Flow;
use super::pipeline::Seen;
use super::shared::CaptureCounts;
use super::source::batch_of;
use super::stored::{Stored, Threads};
use crate::capture::file::Input;
use crate::http::{Config, Provenance, Role, parse_whole};
use crate::model::ledger::{Passed, RecordsRead};
use crate::model::{Cause, Message, Watch, replaced_secrets};
use crate::record::access_log::LogOptions;
use crate::record::{Item, Kind, Limits, RecordedMessage};

/// See the module's description.
pub struct Recordings {
    http: Config,
    ports: Vec<u16>,
    logs: LogOptions,
    threads: Threads,
    records: RecordsRead,
    damaged: u64,
}

impl Recordings {
    /// Of the messages, those to the ports of `watch`; `logs` says how access logs are read.
    pub fn new(watch: Watch, http: Config, logs: LogOptions) -> Self {
        let (threads, records) = (Threads::default(), RecordsRead::default());
        Self { http, ports: watch.ports, logs, threads, records, damaged: 0 }
    }

    /// Reads one file to its end, or until the sink has enough.
    pub fn read(
        &mut self,
        input: Input,
        sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
    ) -> anyhow::Result<Flow> {
        let name = input.name().to_owned();
        let threads = std::mem::take(&mut self.threads);
        let mut reader = Stored::open(input, self.limits(), &self.logs, threads)
            .with_context(|| format!("cannot read {name}"))?;
        if let Some(what) = reader.tells_no_ports().filter(|_| !self.ports.is_empty()) {
            tracing::warn!("{name}: {what} does not tell ports; -p passes over all of it");
        }
        let full = batch_of(&name);
        let mut batch = Vec::with_capacity(full);
        let fault = loop {
            match reader.read_item() {
                Ok(Some(Item::Message(stored))) => batch.extend(self.message(stored, &name)),
                Ok(Some(Item::Damage(damage))) => {
                    self.damaged += 1;
                    tracing::warn!("{name}: {damage}");
                }
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
            if batch.len() >= full
                && sink(std::mem::take(&mut batch).into(), self.counts(&reader)) == Flow::Enough
            {
                return Ok(Flow::Enough);
            }
        };
        let counts = self.counts(&reader);
        self.records = counts.records;
        if reader.lacks_separator() {
            tracing::warn!("{name}: the last record has no separator; it was read all the same");
        }
        say_changed(&name, &reader);
        self.threads = reader.into_threads();
        let flow = sink(batch.into(), counts);
        match fault {
            Some(fault) => Err(fault).with_context(|| format!("cannot read on in {name}")),
            None => Ok(flow),
        }
    }

    /// What was recorded with a larger `--max-body` must be readable with the same.
    fn limits(&self) -> Limits {
        let default = Limits::default().max_block_bytes;
        let wanted =
            self.http.max_body.map_or(0, |max| max.saturating_mul(2).saturating_add(1 << 20));
        Limits { max_block_bytes: default.max(wanted) }
    }

    fn counts(&self, reader: &Stored) -> CaptureCounts {
        let mut records = self.records;
        for (cause, passed) in reader.passed() {
            records.read += passed;
            records.passed.add(cause, passed);
        }
        records.changed.merge(&reader.changed());
        CaptureCounts { records, damaged: self.damaged, ..CaptureCounts::default() }
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
        let Some(mut message) = parse_whole(stored.raw, role, from, &self.http) else {
            self.records.passed.count(Passed::NotHttp);
            tracing::warn!("{name}: at byte {}: not an HTTP/1.x message", stored.offset);
            return None;
        };
        self.records.messages += 1;
        // A format without a word for it (.gor) still has the replaced values themselves.
        message.redacted = stored.redacted.max(replaced_secrets(message.head()));
        Some(message)
    }
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
