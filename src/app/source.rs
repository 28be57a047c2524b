//! A file as a source of messages: a capture (pcap, pcapng) or a recording (WARC), by its content.
//!
//! Guaranteed: everything before a fault is delivered, then the fault is an error; a file that is
//! only cut off at its end is no error, but said.

use anyhow::Context;
use crossbeam_channel::Sender;

use super::intake::{Flow, Intake};
use super::pipeline::Pipeline;
use super::shared::{CaptureCounts, Shared};
use super::supervise::{Event, spawn};
use crate::capture::file::{CaptureFile, Input, Kind};
use crate::http::{Config, Provenance, Role, parse_whole};
use crate::model::{Message, Watch};
use crate::reassemble::Limits;
use crate::record;

/// Frames or records read from a file before what they completed is handed on. From a pipe it is one: the
/// next may be long in coming.
const BATCH: usize = 256;

/// How much to read at once: a pipe may be live traffic.
fn batch_of(name: &str) -> usize {
    if std::fs::metadata(name).is_ok_and(|meta| meta.is_file()) { BATCH } else { 1 }
}

/// An opened file.
pub enum Source {
    /// Frames.
    Capture(Box<CaptureFile>, Box<Pipeline>),
    /// Messages.
    Recording(Box<record::Reader<Input>>, Box<Recording>),
}

/// What is needed to read a recording.
pub struct Recording {
    name: String,
    http: Config,
    ports: Vec<u16>,
}

impl Source {
    /// Opens a file by its path, or standard input as `-`.
    pub fn open(path: &str, watch: Watch, http: Config, limits: Limits) -> anyhow::Result<Self> {
        Self::new(Input::open(path)?, watch, http, limits)
    }

    /// What an opened input holds.
    pub fn new(input: Input, watch: Watch, http: Config, limits: Limits) -> anyhow::Result<Self> {
        let name = input.name().to_owned();
        if input.kind() != Kind::Warc {
            let file = Box::new(CaptureFile::new(input)?);
            return Ok(Self::Capture(file, Box::new(Pipeline::new(watch, http, limits))));
        }
        // What was recorded with a larger --max-body must be readable with the same.
        let default = record::Limits::default().max_block_bytes;
        let wanted =
            http.max_body.map_or(u64::MAX, |max| max.saturating_mul(2).saturating_add(1 << 20));
        let block = if http.max_body.is_some() { default.max(wanted) } else { default };
        let limits = record::Limits { max_block_bytes: block };
        let reader = record::Reader::with_limits(input, limits)
            .with_context(|| format!("cannot read {name}"))?;
        let recording = Recording { name, http, ports: watch.ports };
        Ok(Self::Recording(Box::new(reader), Box::new(recording)))
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        match self {
            Self::Capture(file, _) => file.name(),
            Self::Recording(_, recording) => &recording.name,
        }
    }

    /// Starts a thread that reads the file into the intake and reports its end as an event.
    pub fn spawn(
        self,
        mut intake: Intake,
        shared: Shared,
        event_tx: Sender<Event>,
    ) -> anyhow::Result<()> {
        // The channel is closed before the end is reported: the consumer can come to its own.
        let read = move || {
            self.read(|messages, counts| match shared.is_stopped() {
                true => Flow::Enough,
                false => intake.take(messages, counts),
            })
        };
        spawn("file", event_tx, Event::CaptureEnded, read)
    }

    /// Reads to the end, or until the sink has enough. What was unfinished comes last.
    pub fn read(self, sink: impl FnMut(Vec<Message>, CaptureCounts) -> Flow) -> anyhow::Result<()> {
        match self {
            Self::Capture(file, pipeline) => read_capture(*file, *pipeline, sink),
            Self::Recording(reader, recording) => recording.read(*reader, sink),
        }
    }
}

fn read_capture(
    mut file: CaptureFile,
    mut pipeline: Pipeline,
    mut sink: impl FnMut(Vec<Message>, CaptureCounts) -> Flow,
) -> anyhow::Result<()> {
    let mut hand_on = |pipeline: &mut Pipeline| {
        let messages = pipeline.drain().collect();
        let (packets, streams, http) = pipeline.counts();
        sink(messages, CaptureCounts { packets, streams, http, ..CaptureCounts::default() })
    };
    let batch = batch_of(file.name());
    let fault = loop {
        match read_frames(&mut file, &mut pipeline, batch) {
            Ok(true) => {
                if hand_on(&mut pipeline) == Flow::Enough {
                    return Ok(());
                }
            }
            Ok(false) => break None,
            Err(fault) => break Some(fault),
        }
    };
    pipeline.finish();
    hand_on(&mut pipeline);
    if let Some(cut) = file.cut() {
        tracing::warn!("{}: {cut}; everything before it was read", file.name());
    }
    fault.map_or(Ok(()), Err)
}

/// Reads a batch of frames; false at the end of the file.
fn read_frames(
    file: &mut CaptureFile,
    pipeline: &mut Pipeline,
    batch: usize,
) -> anyhow::Result<bool> {
    for _ in 0..batch {
        match file.next_frame()? {
            Some(frame) => pipeline.frame(&frame),
            None => return Ok(false),
        }
    }
    Ok(true)
}

impl Recording {
    fn read(
        &self,
        mut reader: record::Reader<Input>,
        mut sink: impl FnMut(Vec<Message>, CaptureCounts) -> Flow,
    ) -> anyhow::Result<()> {
        let full = batch_of(&self.name);
        let mut batch = Vec::with_capacity(full);
        let mut counts = CaptureCounts::default();
        let fault = loop {
            match reader.read_item() {
                Ok(Some(record::Item::Message(stored))) => batch.extend(self.message(stored)),
                Ok(Some(record::Item::Damage(damage))) => {
                    counts.damaged += 1;
                    tracing::warn!("{}: {damage}", self.name);
                }
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
            if batch.len() >= full && sink(std::mem::take(&mut batch), counts) == Flow::Enough {
                return Ok(());
            }
        };
        sink(batch, counts);
        match fault {
            Some(fault) => Err(fault).with_context(|| format!("cannot read on in {}", self.name)),
            None => Ok(()),
        }
    }

    /// The stored message taken apart; `None` (and said) when it is no HTTP message, or not to a
    /// watched port.
    fn message(&self, stored: record::RecordedMessage) -> Option<Message> {
        if !self.ports.is_empty() && !self.ports.contains(&stored.server.port) {
            return None;
        }
        let role = match stored.kind {
            record::Kind::Request => Role::Client,
            record::Kind::Response => Role::Server,
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
        let message = parse_whole(stored.raw, role, from, &self.http);
        if message.is_none() {
            tracing::warn!("{}: at byte {}: not an HTTP/1.x message", self.name, stored.offset);
        }
        message
    }
}
