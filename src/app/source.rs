//! Files as a source of messages: captures (pcap, pcapng) or recordings (WARC, .gor), by their content.
//!
//! Several files are read in the given order as one: connections of a capture go on in the next.
//! Guaranteed: everything before a fault is delivered; a fault ends its own file only and is an error
//! behind the last; a file that is only cut off at its end is no error, but said, by its name.

use std::time::Duration;

use anyhow::bail;
use crossbeam_channel::Sender;

use super::files::{Family, Files, Opened};
use super::intake::{Flow, Intake};
use super::pipeline::{Pipeline, Seen};
use super::recordings::Recordings;
use super::shared::{CaptureCounts, Shared};
use super::supervise::{Event, spawn};
use crate::capture::file::CaptureFile;
use crate::cli::units::Rounds;
use crate::http::Config;
use crate::model::{Message, Timestamp, Watch};
use crate::reassemble::Limits;

/// Frames or records read from a file before what they completed is handed on. From a pipe it is one: the
/// next may be long in coming.
const BATCH: usize = 256;

/// How much to read at once: a pipe may be live traffic.
pub(super) fn batch_of(name: &str) -> usize {
    if std::fs::metadata(name).is_ok_and(|meta| meta.is_file()) { BATCH } else { 1 }
}

/// Opened files, and what turns them into messages.
pub struct Source {
    files: Files,
    reading: Reading,
    /// The names, to open them again, and how often they are read.
    again: Option<(Vec<String>, Rounds)>,
}

/// What goes on from one file to the next.
enum Reading {
    /// Frames.
    Captures(Box<Pipeline>),
    /// Messages.
    Recordings(Box<Recordings>),
}

impl Source {
    /// What these files hold.
    pub fn new(files: Files, watch: Watch, http: Config, limits: Limits) -> Self {
        let reading = match files.family() {
            Family::Captures => Reading::Captures(Box::new(Pipeline::new(watch, http, limits))),
            Family::Recordings | Family::Gor => {
                Reading::Recordings(Box::new(Recordings::new(watch, http)))
            }
        };
        Self { files, reading, again: None }
    }

    /// Reads the files of these names again and again. Each round is captured time behind the one before.
    pub fn repeated(mut self, names: &[String], rounds: Rounds) -> Self {
        self.again = Some((names.to_vec(), rounds));
        self
    }

    /// The names for messages.
    pub fn names(&self) -> &str {
        self.files.names()
    }

    /// Starts a thread that reads the files into the intake and reports their end as an event.
    pub fn spawn(
        self,
        mut intake: Intake,
        shared: Shared,
        event_tx: Sender<Event>,
    ) -> anyhow::Result<()> {
        // The channel is closed before the end is reported: the consumer can come to its own.
        let read = move || {
            self.read(|seen, counts| match shared.is_stopped() {
                true => Flow::Enough,
                false => intake.take(seen, counts),
            })
        };
        spawn("file", event_tx, Event::CaptureEnded, read)
    }

    /// Reads to the end, or until the sink has enough. What was unfinished comes last.
    pub fn read(mut self, mut sink: impl FnMut(Seen, CaptureCounts) -> Flow) -> anyhow::Result<()> {
        let Some((names, rounds)) = self.again.take() else {
            return self.round(&mut sink).map(drop);
        };
        let mut shift = Shift::default();
        let mut round = 0;
        loop {
            let mut shifted = |mut seen: Seen, counts| {
                seen.messages.iter_mut().for_each(|message| shift.apply(message, round));
                seen.ended.iter_mut().for_each(|conn| *conn = Shift::conn(*conn, round));
                sink(seen, counts)
            };
            if self.round(&mut shifted)? == Flow::Enough {
                return Ok(());
            }
            round += 1;
            let is_last = matches!(rounds, Rounds::Times(times) if round >= times);
            if is_last || shift.is_empty() {
                return Ok(());
            }
            self.files = Files::open(&names)?;
        }
    }

    /// Reads all files once.
    fn round(
        &mut self,
        sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
    ) -> anyhow::Result<Flow> {
        let mut fault = None;
        let mut faults = 0_usize;
        while let Some(opened) = self.files.next_file() {
            match opened.map_err(Into::into).and_then(|file| self.reading.file(file, sink)) {
                Ok(Flow::More) => {}
                Ok(Flow::Enough) => return Ok(Flow::Enough),
                Err(error) => {
                    if self.files.left() > 0 {
                        tracing::error!("{error:#}; going on with the next file");
                    }
                    faults += 1;
                    fault = Some(error);
                }
            }
        }
        let mut flow = Flow::More;
        if let Reading::Captures(pipeline) = &mut self.reading {
            pipeline.finish();
            flow = hand_on(pipeline, sink);
        }
        match fault {
            None => Ok(flow),
            Some(fault) if faults == 1 => Err(fault),
            Some(fault) => {
                bail!("{faults} files could not be read to their end; the last: {fault:#}")
            }
        }
    }
}

/// Puts each round behind the one before: its times, and its connections, which are others.
#[derive(Default)]
struct Shift {
    /// First and last time of the first round.
    span: Option<(Timestamp, Timestamp)>,
}

impl Shift {
    /// Between the last message of a round and the first of the next.
    const PAUSE: Duration = Duration::from_millis(1);
    /// Connections of a recording bear their own numbers; no file has so many.
    const CONNECTIONS: u32 = 40;

    fn apply(&mut self, message: &mut Message, round: u64) {
        let at = message.first_byte;
        if round == 0 {
            let (first, last) = self.span.get_or_insert((at, at));
            (*first, *last) = ((*first).min(at), (*last).max(at));
            return;
        }
        let Some((first, last)) = self.span else { return };
        let rounds = u32::try_from(round).unwrap_or(u32::MAX);
        let by = (last.since(first) + Self::PAUSE).saturating_mul(rounds);
        message.first_byte = message.first_byte + by;
        message.last_byte = message.last_byte + by;
        message.conn = Self::conn(message.conn, round);
    }

    /// The connection's number in that round.
    fn conn(conn: u64, round: u64) -> u64 {
        conn.wrapping_add(round << Self::CONNECTIONS)
    }

    /// Whether the first round gave nothing: no other will.
    fn is_empty(&self) -> bool {
        self.span.is_none()
    }
}

impl Reading {
    /// Reads one file to its end.
    fn file(
        &mut self,
        opened: Opened,
        sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
    ) -> anyhow::Result<Flow> {
        match (self, opened) {
            (Self::Captures(pipeline), Opened::Capture(file)) => {
                read_capture(*file, pipeline, sink)
            }
            (Self::Recordings(recordings), Opened::Recording(input)) => {
                recordings.read(*input, sink)
            }
            // A file that was replaced between the look at it and its turn.
            (_, opened) => bail!("{} has changed while it waited", opened.name()),
        }
    }
}

fn hand_on(pipeline: &mut Pipeline, sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow) -> Flow {
    let seen = pipeline.seen();
    let (packets, streams, http) = pipeline.counts();
    sink(seen, CaptureCounts { packets, streams, http, ..CaptureCounts::default() })
}

fn read_capture(
    mut file: CaptureFile,
    pipeline: &mut Pipeline,
    sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
) -> anyhow::Result<Flow> {
    let batch = batch_of(file.name());
    loop {
        let more = read_frames(&mut file, pipeline, batch);
        // What came before a fault is handed on before the fault is.
        if hand_on(pipeline, sink) == Flow::Enough {
            return Ok(Flow::Enough);
        }
        if !more? {
            break;
        }
    }
    if let Some(cut) = file.cut() {
        tracing::warn!("{}: {cut}; everything before it was read", file.name());
    }
    Ok(Flow::More)
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
