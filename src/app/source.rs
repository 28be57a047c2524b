//! A file as a source of messages: a capture (pcap, pcapng) or a recording (WARC), by its content.
//!
//! Guaranteed: everything before a fault is delivered, then the fault is an error; a file that is
//! only cut off at its end is no error, but said.

use std::thread;

use anyhow::Context;
use crossbeam_channel::Sender;

use super::intake::{Flow, Intake};
use super::pipeline::Pipeline;
use super::shared::{CaptureCounts, Shared};
use super::supervise::Event;
use crate::capture::file::{CaptureFile, Input, Kind};
use crate::http::{Config, Provenance, Role, parse_whole};
use crate::model::{Message, Watch};
use crate::reassemble::Limits;
use crate::record;

/// Frames or records read before what they completed is handed on.
const BATCH: usize = 256;

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
        let reader = record::Reader::new(input).with_context(|| format!("cannot read {name}"))?;
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
        let read = move || {
            let result = self.read(|messages, counts| match shared.is_stopped() {
                true => Flow::Enough,
                false => intake.take(messages, counts),
            });
            // The channel is closed before the end is reported: the consumer can come to its own.
            drop(intake);
            let _ = event_tx.send(Event::CaptureEnded(result));
        };
        thread::Builder::new().name("file".into()).spawn(read).context("cannot start a thread")?;
        Ok(())
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
    let fault = loop {
        match read_frames(&mut file, &mut pipeline) {
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
fn read_frames(file: &mut CaptureFile, pipeline: &mut Pipeline) -> anyhow::Result<bool> {
    for _ in 0..BATCH {
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
        let mut batch = Vec::with_capacity(BATCH);
        let fault = loop {
            match reader.read_item() {
                Ok(Some(record::Item::Message(stored))) => batch.extend(self.message(stored)),
                Ok(Some(record::Item::Damage(damage))) => {
                    tracing::warn!("{}: {damage}", self.name);
                }
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
            if batch.len() >= BATCH
                && sink(std::mem::take(&mut batch), CaptureCounts::default()) == Flow::Enough
            {
                return Ok(());
            }
        };
        sink(batch, CaptureCounts::default());
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
