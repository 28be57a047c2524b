//! The capture thread: a live interface through the pipeline into the intake.
//!
//! Guaranteed: it never waits for anything but frames; it sees a wish to stop within one wait even on
//! an interface without traffic; on stopping it still reads what the kernel had captured before.
//! Rights are raised to open the capture and dropped before any thread exists.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rustix::event::{EventfdFlags, eventfd};

use super::intake::{Flow, Intake};
use super::pipeline::Pipeline;
use super::shared::{CaptureCounts, Shared};
use super::supervise::{Event, spawn};
use crate::capture::fault::CaptureError;
use crate::capture::live::{LiveCapture, LiveConfig};
use crate::capture::rights;
use crate::model::Timestamp;

/// The longest wait for a frame before the wish to stop and the passing of time are looked at.
const WAIT: Duration = Duration::from_millis(50);

/// Packets may still be on their way out of the ring for this long.
const RING_DELAY: Duration = Duration::from_millis(100);

/// How often the kernel is asked for its drops.
const DROPS_EVERY: Duration = Duration::from_secs(1);

/// On stopping: how long one quiet moment is, and how long reading goes on at the most.
const QUIET: Duration = Duration::from_millis(12);
const LAST_READ: Duration = Duration::from_millis(60);

/// An open live capture and the means to wake it.
pub struct Live {
    capture: LiveCapture,
    wake: OwnedFd,
}

impl Live {
    /// Raises the right to capture, opens, and drops every right. On the main thread, before any
    /// other thread is started. On an error rights are left: the program ends, and takes away what it made.
    pub fn open(config: &LiveConfig) -> anyhow::Result<Self> {
        rights::raise();
        let mut capture = LiveCapture::open(config)?;
        let left = rights::drop_all(false).context("cannot drop the right to capture")?;
        if left > 0 {
            tracing::warn!("{left} threads keep rights they do not need");
        }
        let wake = eventfd(0, EventfdFlags::CLOEXEC).context("cannot make an eventfd")?;
        capture.wake_on(wake.try_clone().context("cannot duplicate an eventfd")?);
        Ok(Self { capture, wake })
    }

    /// Something that makes the capture thread look whether it is to stop.
    pub fn waker(&self) -> anyhow::Result<impl Fn() + use<>> {
        let wake = self.wake.try_clone().context("cannot duplicate an eventfd")?;
        Ok(move || {
            // It can only fail when the counter is full, and then it is readable as wanted.
            let _ = rustix::io::write(&wake, &1u64.to_ne_bytes());
        })
    }

    /// Starts the capture thread. It reports its end as an event.
    pub fn spawn(
        self,
        pipeline: Pipeline,
        intake: Intake,
        shared: Shared,
        event_tx: crossbeam_channel::Sender<Event>,
    ) -> anyhow::Result<()> {
        let run = move || Task { capture: self.capture, pipeline, intake, shared }.run();
        spawn("capture", event_tx, Event::CaptureEnded, run)
    }
}

/// The capture thread's loop.
struct Task {
    capture: LiveCapture,
    pipeline: Pipeline,
    intake: Intake,
    shared: Shared,
}

impl Task {
    fn run(mut self) -> anyhow::Result<()> {
        let mut drops_at = Instant::now();
        let mut result = Ok(());
        while !self.shared.is_stopped() {
            match self.poll(WAIT) {
                Ok(0) => self.pipeline.advance(now() - RING_DELAY),
                Ok(_) => {}
                Err(fault @ CaptureError::NoneLeft) => {
                    result = Err(fault.into());
                    break;
                }
                Err(fault) => tracing::error!("{fault}"),
            }
            if Instant::now() >= drops_at {
                drops_at = Instant::now() + DROPS_EVERY;
                self.note_drops();
            }
            if self.hand_over() == Flow::Enough {
                break;
            }
        }
        self.read_what_was_captured();
        self.note_drops();
        self.pipeline.finish();
        self.hand_over();
        result
    }

    fn poll(&mut self, timeout: Duration) -> Result<usize, CaptureError> {
        let pipeline = &mut self.pipeline;
        self.capture.poll(timeout, &mut |frame| pipeline.frame(frame))
    }

    /// What the kernel captured before the wish to stop is still ours to account for.
    fn read_what_was_captured(&mut self) {
        self.capture.sleep_on();
        let until = Instant::now() + LAST_READ;
        while Instant::now() < until {
            match self.poll(QUIET) {
                Ok(0) | Err(CaptureError::NoneLeft) => return,
                Ok(_) | Err(_) => {}
            }
            if self.hand_over() == Flow::Enough {
                return;
            }
        }
    }

    fn note_drops(&mut self) {
        let drops = self.capture.drops();
        self.pipeline.note_drops(drops.kernel, drops.interface, self.capture.excluded());
    }

    fn hand_over(&mut self) -> Flow {
        let seen = self.pipeline.seen();
        let (packets, streams, http) = self.pipeline.counts();
        self.intake.take(seen, CaptureCounts { packets, streams, http, ..CaptureCounts::default() })
    }
}

/// The clock that the kernel stamps packets with.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
