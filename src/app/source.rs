//! Files as a source of messages: captures (pcap, pcapng) or recordings (WARC, .gor, HAR, access logs), by their content.
//!
//! Several captures are read in the given order as one: connections go on in the next. Several recordings are merged by time.
//! Guaranteed: everything before a fault is delivered; a fault ends its own file only and is an error
//! behind the last; a file that is only cut off at its end is no error, but said, by its name.

use anyhow::bail;
use crossbeam_channel::Sender;

use super::faults::Faults;
use super::files::{Family, Files, Opened};
use super::intake::{Flow, Intake};
use super::pipeline::{Pipeline, Seen};
use super::recordings::Recordings;
use super::rounds::{Range, Shift};
use super::shared::{CaptureCounts, Shared};
use super::supervise::{Event, spawn};
use crate::capture::file::CaptureFile;
use crate::cli::units::Rounds;
use crate::http::Config;
use crate::model::Watch;
use crate::reassemble::Limits;

/// Opened files, and what turns them into messages.
pub struct Source {
    files: Files,
    reading: Reading,
    /// Which part of them is wanted.
    range: Range,
    again: Option<Again>,
}

/// How to read them more than once.
struct Again {
    /// Their names, to open them again.
    names: Vec<String>,
    rounds: Rounds,
    /// Whether any message was sent so far.
    is_sent: Box<dyn Fn() -> bool + Send>,
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
            _ => Reading::Recordings(Box::new(Recordings::new(watch, http))),
        };
        Self { files, reading, range: Range::default(), again: None }
    }

    /// Of the messages, those of a range of captured time.
    pub fn within(mut self, range: Range) -> Self {
        self = self.skipping(range.clone());
        self.range = range;
        self
    }

    /// Messages outside this range may be counted and not looked at. Those that are will come all the same.
    pub fn skipping(mut self, range: Range) -> Self {
        if let Reading::Recordings(recordings) = &mut self.reading {
            recordings.skip_outside(range);
        }
        self
    }

    /// Reads the files of these names again and again. Each round is captured time behind the one before.
    /// `is_sent` says after a round whether any message was sent so far: without any there is no end.
    pub fn repeated(
        mut self,
        names: &[String],
        rounds: Rounds,
        is_sent: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        self.again = Some(Again { names: names.to_vec(), rounds, is_sent: Box::new(is_sent) });
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
        let is_followed = self.files.is_followed();
        let read = move || {
            self.read(|mut seen, counts| {
                let is_stopped = shared.is_stopped();
                // Of a whole file what was read ahead does not count. One that is followed ends where it is: what waits for
                // v1's answer gets none.
                if is_stopped && !is_followed {
                    return Flow::Enough;
                }
                seen.is_end |= is_stopped;
                match intake.take(seen, counts) {
                    Flow::More if !is_stopped => Flow::More,
                    _ => Flow::Enough,
                }
            })
        };
        spawn("file", event_tx, Event::CaptureEnded, read)
    }

    /// Reads to the end, or until the sink has enough. What was unfinished comes last.
    pub fn read(mut self, mut sink: impl FnMut(Seen, CaptureCounts) -> Flow) -> anyhow::Result<()> {
        let (mut range, mut shift) = (std::mem::take(&mut self.range), Shift::default());
        let again = self.again.take();
        let mut round = 0;
        loop {
            let mut part = |mut seen: Seen, counts| {
                range.apply(&mut seen);
                shift.apply(&mut seen, round);
                sink(seen, counts)
            };
            if self.round(&mut part)? == Flow::Enough {
                return Ok(());
            }
            let Some(Again { names, rounds, is_sent }) = &again else { return Ok(()) };
            round += 1;
            match *rounds {
                Rounds::Times(times) if round >= times || shift.is_empty() => return Ok(()),
                Rounds::Forever if !is_sent() => bail!(
                    "nothing in {} is to be sent, so --loop forever would not end; `inspect` shows what is \
                     there, and --methods, --only, --except, --path, -p, --from and --until decide",
                    self.files.names()
                ),
                _ => self.files = self.files.open_again(names)?,
            }
        }
    }

    /// Reads all files once.
    fn round(
        &mut self,
        sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
    ) -> anyhow::Result<Flow> {
        let mut faults = Faults::default();
        let flow = match &mut self.reading {
            Reading::Captures(pipeline) => {
                read_captures(&mut self.files, pipeline, &mut faults, sink)
            }
            Reading::Recordings(recordings) => recordings.read(&mut self.files, &mut faults, sink),
        };
        match flow {
            Flow::Enough => Ok(Flow::Enough),
            Flow::More => faults.result().map(|()| Flow::More),
        }
    }
}

/// Reads captures one after the other, as one. What is unfinished comes behind the last.
fn read_captures(
    files: &mut Files,
    pipeline: &mut Pipeline,
    faults: &mut Faults,
    sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
) -> Flow {
    while let Some(waiting) = files.next_file() {
        let full = files.batch_of(std::slice::from_ref(&waiting));
        let read = match files.open_waiting(waiting) {
            Ok(Opened::Capture(file)) => read_capture(*file, full, pipeline, sink),
            Ok(opened) => Err(opened.has_changed()),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(Flow::More) => {}
            Ok(Flow::Enough) => return Flow::Enough,
            Err(fault) => faults.note(fault, files.left() > 0),
        }
    }
    pipeline.finish();
    hand_on(pipeline, sink)
}

fn hand_on(pipeline: &mut Pipeline, sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow) -> Flow {
    let seen = pipeline.seen();
    let (packets, streams, http) = pipeline.counts();
    sink(seen, CaptureCounts { packets, streams, http, ..CaptureCounts::default() })
}

fn read_capture(
    mut file: CaptureFile,
    batch: usize,
    pipeline: &mut Pipeline,
    sink: &mut impl FnMut(Seen, CaptureCounts) -> Flow,
) -> anyhow::Result<Flow> {
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
