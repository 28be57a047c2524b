//! The sending half of a run: from the queue to the replayer.
//!
//! ```text
//! capture or file thread --batches of jobs, each with its due time--> replayers (one thread for all)
//! ```
//!
//! The channel has no bound of its own: the queue's budget lets out only so many messages, and a batch has at
//! least one. Its sending half never blocks and needs no runtime. There is no thread in between: at 2,000
//! requests/s each would cost a wake-up for every batch.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Sender, bounded};
use futures_util::future::{Either, FutureExt, join_all, select};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::intake::{Outlet, Queued};
use super::priority;
use super::queue::{Budget, Permit};
use super::schedule::{Pace, Schedule};
use super::shared::Consumer;
use super::supervise::{Ending, Event, spawn};
use crate::replay::{Batch, Job, ReplayConfig, Replayer, Stop};

/// Bytes of ended connections between capture and replayers at most. Of those beyond it nobody is told: theirs to
/// v2 close when they have been idle for long.
const ENDED: usize = 1 << 20;

/// Replayers that are set up but not started, one for each target: no thread, no connection.
pub struct Sending {
    replayers: Vec<Replayer>,
    stop_tx: watch::Sender<Stop>,
    is_idle: bool,
}

impl Sending {
    /// Sets it up.
    pub fn new(configs: &[ReplayConfig]) -> anyhow::Result<Self> {
        Ok(Self {
            replayers: configs.iter().map(Replayer::new).collect::<Result<_, _>>()?,
            stop_tx: watch::channel(Stop::Go).0,
            is_idle: false,
        })
    }

    /// Sends at idle priority, until it is told to come to an end.
    pub fn at_idle_priority(mut self, is_idle: bool) -> Self {
        self.is_idle = is_idle;
        self
    }

    /// Where their counts can be read.
    pub fn consumers(&self) -> Vec<Consumer> {
        let consumer = |replayer: &Replayer| {
            let counts = replayer.counts();
            Consumer::Target(Box::new(move || counts.snapshot()))
        };
        self.replayers.iter().map(consumer).collect()
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

    /// Starts the replayers. Returns where batches go in; the end of all is reported as an event.
    pub fn spawn(self, pace: Pace, event_tx: Sender<Event>) -> anyhow::Result<Outlet> {
        // One thread for the loops and all requests: cheaper than handing them between threads.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let Self { replayers, stop_tx, is_idle } = self;
        let (mut batch_txs, mut runs) = (Vec::new(), Vec::new());
        for replayer in replayers {
            let (batch_tx, batch_rx) = mpsc::unbounded_channel();
            batch_txs.push(batch_tx);
            runs.push(replayer.run(batch_rx, stop_tx.subscribe()));
        }
        let all: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(join_all(runs).map(drop));
        if !is_idle {
            let replay = move || {
                runtime.block_on(all);
                Ok(())
            };
            spawn("replay", event_tx, Event::ConsumerEnded, replay)?;
        } else {
            at_idle_priority(runtime, all, stop_tx.subscribe(), event_tx)?;
        }
        let mut schedule = Schedule::new(pace);
        let ends = Budget::new(usize::MAX, ENDED);
        Ok(Box::new(move |queued, mut ended| {
            let guard = ends.try_take(ended.len() * size_of::<u64>()).map(Arc::new);
            if guard.is_none() {
                ended.clear();
            }
            fan_out(Batch { jobs: jobs(queued, &mut schedule), ended, guard }, &batch_txs)
        }))
    }
}

/// Runs at idle priority until it is to come to an end, then at normal priority, in another thread that has
/// waited for it: a thread cannot come back from idle priority.
fn at_idle_priority(
    runtime: Runtime,
    mut all: Pin<Box<dyn Future<Output = ()> + Send>>,
    mut stop_rx: watch::Receiver<Stop>,
    event_tx: Sender<Event>,
) -> anyhow::Result<()> {
    let (rest_tx, rest_rx) = bounded(1);
    let drain = move || {
        // Nothing comes when everything was over before.
        if let Ok((runtime, rest)) = rest_rx.recv() {
            let (runtime, rest): (Runtime, Pin<Box<dyn Future<Output = ()> + Send>>) =
                (runtime, rest);
            runtime.block_on(rest);
        }
        Ok(())
    };
    spawn("drain", event_tx, Event::ConsumerEnded, drain)?;
    let replay = move || {
        priority::lower();
        let stopped = Box::pin(async move {
            // An error: nobody can ask any more.
            if stop_rx.wait_for(|stop| *stop != Stop::Go).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        let is_stopped =
            runtime.block_on(async { matches!(select(stopped, &mut all).await, Either::Left(_)) });
        if is_stopped {
            // Received as long as the other thread lives, which waits for this.
            let _ = rest_tx.send((runtime, all));
        }
    };
    std::thread::Builder::new()
        .name("replay".into())
        .spawn(replay)
        .context("cannot start a thread")?;
    Ok(())
}

/// For one of several targets. A permit is given back when the last is done with it.
type SharedBatch = Batch<Arc<Permit>>;

fn jobs(batch: Vec<Queued>, schedule: &mut Schedule) -> Vec<Job<Arc<Permit>>> {
    let now = Instant::now();
    let job = |(message, permit)| Job {
        due: schedule.due(&message, now),
        message,
        guard: Arc::new(permit),
    };
    batch.into_iter().map(job).collect()
}

/// Gives every target a copy; false when one of them takes none any more.
fn fan_out(batch: SharedBatch, batch_txs: &[mpsc::UnboundedSender<SharedBatch>]) -> bool {
    let Some((last, others)) = batch_txs.split_last() else { return false };
    let mut is_taken = true;
    for batch_tx in others {
        is_taken &= batch_tx.send(batch.clone()).is_ok();
    }
    last.send(batch).is_ok() && is_taken
}
