//! The sending half of a run: from the queue to the replayer.
//!
//! ```text
//! capture or file thread --batches of jobs, each with its due time--> replayer (its own thread)
//! ```
//!
//! The channel has no bound of its own: the queue's budget lets out only so many messages, and a batch has at
//! least one. Its sending half never blocks and needs no runtime. There is no thread in between: at 2,000
//! requests/s each would cost a wake-up for every batch.

use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::Sender;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::intake::{Outlet, Queued};
use super::priority::Priority;
use super::queue::Permit;
use super::schedule::{Pace, Schedule};
use super::shared::Consumer;
use super::supervise::{Ending, Event, spawn};
use crate::replay::{Job, ReplayConfig, Replayer, Stop};

/// A replayer that is set up but not started: no thread, no connection.
pub struct Sending {
    replayer: Replayer,
    stop_tx: watch::Sender<Stop>,
    priority: Priority,
    is_idle: bool,
}

impl Sending {
    /// Sets it up.
    pub fn new(config: &ReplayConfig) -> anyhow::Result<Self> {
        Ok(Self {
            replayer: Replayer::new(config)?,
            stop_tx: watch::channel(Stop::Go).0,
            priority: Priority::default(),
            is_idle: false,
        })
    }

    /// Sends at idle priority, until it is told to come to an end.
    pub fn at_idle_priority(mut self, is_idle: bool) -> Self {
        self.is_idle = is_idle;
        self
    }

    /// Where its counts can be read.
    pub fn consumer(&self) -> Consumer {
        let counts = self.replayer.counts();
        Consumer::Target(Box::new(move || counts.snapshot()))
    }

    /// How to tell it to come to an end; after the first signal it has `drain` to do so.
    pub fn ending(&self, drain: Duration) -> impl Fn(Ending) + use<> {
        let (stop_tx, priority) = (self.stop_tx.clone(), self.priority.clone());
        move |how| {
            priority.raise();
            let stop = match how {
                Ending::Drain => Stop::DrainUntil(Instant::now() + drain),
                Ending::Now => Stop::Now,
            };
            stop_tx.send_replace(stop);
        }
    }

    /// Starts the replayer. Returns where batches go in; the end is reported as an event.
    pub fn spawn(self, pace: Pace, event_tx: Sender<Event>) -> anyhow::Result<Outlet> {
        let (job_tx, job_rx) = mpsc::unbounded_channel();
        // One thread for the loop and all requests: cheaper than handing them between threads.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let Self { replayer, stop_tx, priority, is_idle } = self;
        let replay = move || {
            if is_idle {
                priority.lower();
            }
            runtime.block_on(replayer.run(job_rx, stop_tx.subscribe()));
            Ok(())
        };
        spawn("replay", event_tx, Event::ConsumerEnded, replay)?;
        let mut schedule = Schedule::new(pace);
        Ok(Box::new(move |batch| job_tx.send(jobs(batch, &mut schedule)).is_ok()))
    }
}

fn jobs(batch: Vec<Queued>, schedule: &mut Schedule) -> Vec<Job<Permit>> {
    let now = Instant::now();
    let job = |(message, guard)| Job { due: schedule.due(&message, now), message, guard };
    batch.into_iter().map(job).collect()
}
