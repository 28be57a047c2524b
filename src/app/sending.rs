//! The sending half of a run: from the queue over the bridge to the replayer.
//!
//! ```text
//! capture or file thread --batches--> bridge thread --batches of jobs--> replayer (its own thread)
//! ```
//!
//! The channel has no bound of its own: the queue's budget lets out only so many messages, and a batch has at
//! least one. The bridge owns the crossbeam receiver and only moves batches: a blocking receive has no place in
//! an async task, and nothing slow may hold a slot of the channel that the capture thread needs.

use std::thread;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::intake::Queued;
use super::queue::Permit;
use super::shared::Consumer;
use super::supervise::{Ending, Event, spawn};
use crate::model::{Message, Timestamp};
use crate::replay::{Job, ReplayConfig, Replayer, Stop};

/// Batches that may wait between bridge and replayer. What waits in all is bounded by the queue's
/// budget; this only has to be deep enough that neither side stands idle.
const BRIDGE_DEPTH: usize = 64;

/// When a request is due.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as it is there: live traffic, and `--speed max`.
    AtOnce,
    /// At the captured spacing, so many times as fast.
    Captured(f64),
}

/// A replayer that is set up but not started: no thread, no connection.
pub struct Sending {
    replayer: Replayer,
    stop_tx: watch::Sender<Stop>,
}

impl Sending {
    /// Sets it up.
    pub fn new(config: &ReplayConfig) -> anyhow::Result<Self> {
        Ok(Self { replayer: Replayer::new(config)?, stop_tx: watch::channel(Stop::Go).0 })
    }

    /// Where its counts can be read.
    pub fn consumer(&self) -> Consumer {
        let counts = self.replayer.counts();
        Consumer::Target(Box::new(move || counts.snapshot()))
    }

    /// How to tell it to come to an end; after the first signal it has `drain` to do so.
    pub fn ending(&self, drain: Duration) -> impl Fn(Ending) + use<> {
        let stop_tx = self.stop_tx.clone();
        move |how| {
            let stop = match how {
                Ending::Drain => Stop::DrainUntil(Instant::now() + drain),
                Ending::Now => Stop::Now,
            };
            stop_tx.send_replace(stop);
        }
    }

    /// Starts bridge and replayer. Returns where batches go in; the end is reported as an event.
    pub fn spawn(self, pace: Pace, event_tx: Sender<Event>) -> anyhow::Result<Sender<Vec<Queued>>> {
        // capture or file thread --batches--> bridge
        let (batch_tx, batch_rx) = unbounded();
        // bridge --batches of jobs--> replayer
        let (job_tx, job_rx) = mpsc::channel(BRIDGE_DEPTH);
        let bridge = move || bridge(&batch_rx, &job_tx, pace);
        thread::Builder::new()
            .name("bridge".into())
            .spawn(bridge)
            .context("cannot start a thread")?;
        // One thread for the loop and all requests: cheaper than handing them between threads.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let Self { replayer, stop_tx } = self;
        let replay = move || {
            runtime.block_on(replayer.run(job_rx, stop_tx.subscribe()));
            Ok(())
        };
        spawn("replay", event_tx, Event::ConsumerEnded, replay)?;
        Ok(batch_tx)
    }
}

/// Moves batches until either end is closed.
fn bridge(batch_rx: &Receiver<Vec<Queued>>, job_tx: &mpsc::Sender<Vec<Job<Permit>>>, pace: Pace) {
    let mut schedule = Schedule { pace, origin: None };
    for batch in batch_rx {
        let jobs = batch
            .into_iter()
            .map(|(message, guard)| Job { due: schedule.due(&message), message, guard })
            .collect();
        if job_tx.blocking_send(jobs).is_err() {
            return;
        }
    }
}

/// The due times of a run, all relative to one moment: no drift.
struct Schedule {
    pace: Pace,
    /// Packet time of the first request, and when it was due.
    origin: Option<(Timestamp, Instant)>,
}

impl Schedule {
    fn due(&mut self, message: &Message) -> Option<Instant> {
        let Pace::Captured(factor) = self.pace else { return None };
        let (first, start) = *self.origin.get_or_insert((message.first_byte, Instant::now()));
        // A factor so small that the time cannot be expressed means never: the far future.
        let after = message.first_byte.since(first).as_secs_f64() / factor;
        let far = Duration::from_secs(u64::from(u32::MAX));
        Some(start + Duration::try_from_secs_f64(after).map_or(far, |after| after.min(far)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::request;

    #[test]
    fn due_times_are_the_captured_spacing_by_the_factor() {
        let at = |seconds: u64| {
            let mut message = request(b"GET / HTTP/1.1\r\n\r\n");
            message.first_byte = Timestamp::from_parts(seconds, 0);
            message
        };
        for (factor, want) in [(1.0, 10), (2.0, 5), (0.5, 20)] {
            let mut schedule = Schedule { pace: Pace::Captured(factor), origin: None };
            let start = schedule.due(&at(100)).expect("due");
            let later = schedule.due(&at(110)).expect("due");
            assert_eq!(later - start, Duration::from_secs(want), "{factor}x");
            assert_eq!(schedule.due(&at(90)), Some(start), "an earlier one is due at the start");
        }
        let mut schedule = Schedule { pace: Pace::Captured(1e-300), origin: None };
        let start = schedule.due(&at(0)).expect("due");
        assert!(schedule.due(&at(1)).expect("due") > start, "no overflow");
        assert!(Schedule { pace: Pace::AtOnce, origin: None }.due(&at(1)).is_none());
    }
}
