//! The sending half of a run: from the queue to the replayer.
//!
//! ```text
//! capture or file thread --batches of jobs, each with its due time--> replayers (one thread for all)
//! ```
//!
//! The channel has no bound of its own: the queue's budget lets out only so many messages, and a batch has at
//! least one. Its sending half never blocks and needs no runtime. Each target has a budget of its own: what found
//! no room there while others had some is shed from it alone, as `queue_full`. There is no thread in between: at 2,000
//! requests/s each would cost a wake-up for every batch.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Sender, bounded};
use futures_util::future::{Either, FutureExt, join_all, select};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::carrying::carrying;
use super::intake::{Outlet, Queued};
use super::middleware;
use super::priority;
use super::queue::{Budget, Permit, Permits};
use super::schedule::Timetable;
use super::shared::Consumer;
use super::supervise::{Ending, Event, spawn};
use crate::model::Message;
use crate::model::ledger::ShedLater;
use crate::replay::{Batch, Job, Prepare, ReplayConfig, Replayer, Stop};
use crate::shape::CarryRules;

/// Bytes of ended connections between capture and replayers at most. Of those beyond it nobody is told: theirs to
/// v2 close when they have been idle for long.
const ENDED: usize = 1 << 20;

/// Replayers that are set up but not started, one for each target: no thread, no connection.
pub struct Sending {
    replayers: Vec<Replayer>,
    /// Copies for which each had no room.
    full: Vec<Arc<AtomicU64>>,
    stop_tx: watch::Sender<Stop>,
    is_idle: bool,
    /// Where each sends to, and the program that is asked about its requests, if there is one.
    targets: Vec<String>,
    middleware: Option<middleware::Plan>,
}

impl Sending {
    /// Sets it up.
    pub fn new(configs: &[ReplayConfig]) -> anyhow::Result<Self> {
        Ok(Self {
            replayers: configs.iter().map(Replayer::new).collect::<Result<_, _>>()?,
            full: configs.iter().map(|_| Arc::default()).collect(),
            stop_tx: watch::channel(Stop::Go).0,
            is_idle: false,
            targets: configs.iter().map(|config| config.target.to_string()).collect(),
            middleware: None,
        })
    }

    /// Lets v2's answers change the requests behind them, at each target by its own. v1's answers must come in, too.
    pub fn carrying(mut self, rules: Option<&CarryRules>) -> Self {
        if let Some(rules) = rules {
            let carry = |replayer: Replayer| replayer.carrying(Some(carrying(rules)));
            self.replayers = self.replayers.into_iter().map(carry).collect();
        }
        self
    }

    /// Asks a program about each request, which is started by [`Self::spawn`].
    pub fn asking(mut self, middleware: Option<middleware::Plan>) -> Self {
        self.middleware = middleware;
        self
    }

    /// Sends at idle priority, until it is told to come to an end.
    pub fn at_idle_priority(mut self, is_idle: bool) -> Self {
        self.is_idle = is_idle;
        self
    }

    /// Does this to each request before it leaves.
    pub fn prepared(mut self, prepare: Option<Prepare>) -> Self {
        let replayers = self.replayers.into_iter();
        self.replayers = replayers.map(|replayer| replayer.prepared(prepare.clone())).collect();
        self
    }

    /// Where their counts can be read.
    pub fn consumers(&self) -> Vec<Consumer> {
        let consumer = |(replayer, full): (&Replayer, &Arc<AtomicU64>)| {
            let (counts, full) = (replayer.counts(), Arc::clone(full));
            Consumer::Target(Box::new(move || {
                let mut counts = counts.snapshot();
                counts.shed.add(ShedLater::QueueFull, full.load(Ordering::Acquire));
                counts
            }))
        };
        self.replayers.iter().zip(&self.full).map(consumer).collect()
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
    pub fn spawn(self, timetable: Timetable, event_tx: Sender<Event>) -> anyhow::Result<Outlet> {
        // One thread for the loops and all requests: cheaper than handing them between threads.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let Self { mut replayers, full, stop_tx, is_idle, targets, middleware } = self;
        if let Some(plan) = middleware {
            let start = |(replayer, target): (Replayer, String)| {
                Ok(replayer.asking(Some(plan.start(target, &runtime, is_idle)?)))
            };
            replayers =
                replayers.into_iter().zip(targets).map(start).collect::<anyhow::Result<_>>()?;
        }
        let (mut ways, mut runs) = (Vec::new(), Vec::new());
        for (replayer, full) in replayers.into_iter().zip(full) {
            let (batch_tx, batch_rx) = mpsc::unbounded_channel();
            ways.push(Way::new(batch_tx, full));
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
        Ok(Box::new(move |queued, ended| fan_out(queued, ended, &timetable, &mut ways)))
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

/// The way to one target.
struct Way {
    batch_tx: mpsc::UnboundedSender<Batch<Permit>>,
    /// Copies for which it had no room.
    full: Arc<AtomicU64>,
    /// What may be told of ended connections.
    ends: Arc<Budget>,
    /// Jobs of the batch at hand.
    jobs: Vec<Job<Permit>>,
    /// v1's answers in it, where somebody wants them.
    answers: Vec<(Message, Permit)>,
}

impl Way {
    fn new(batch_tx: mpsc::UnboundedSender<Batch<Permit>>, full: Arc<AtomicU64>) -> Self {
        let ends = Budget::new(usize::MAX, ENDED);
        Self { batch_tx, full, ends, jobs: Vec::new(), answers: Vec::new() }
    }

    /// Adds a copy, if there was room for it.
    fn add(
        &mut self,
        permit: Option<Permit>,
        due: Option<Instant>,
        message: impl FnOnce() -> Message,
    ) {
        match permit {
            Some(guard) => self.jobs.push(Job { message: message(), due, guard }),
            // Behind the count of those queued, which is published by now: nobody sees more than the whole.
            None => {
                self.full.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Sends the batch; false when nobody takes it any more.
    fn send(&mut self, mut ended: Vec<u64>) -> bool {
        let jobs = std::mem::take(&mut self.jobs);
        let answers = std::mem::take(&mut self.answers);
        let guard = match ended.len() {
            0 => None,
            len => self.ends.try_take(len * size_of::<u64>()),
        };
        if guard.is_none() {
            ended.clear();
        }
        if jobs.is_empty() && answers.is_empty() && ended.is_empty() {
            return !self.batch_tx.is_closed();
        }
        self.batch_tx.send(Batch { jobs, answers, ended, guard }).is_ok()
    }
}

/// Gives every target that has room a copy of v1's answer; where there is none, its values are not known.
fn answered(message: Message, permits: Permits, first: &mut Way, others: &mut [Way]) {
    let Permits { first: permit, others: permits } = permits;
    for (way, permit) in others.iter_mut().zip(permits) {
        way.answers.extend(permit.map(|permit| (message.clone(), permit)));
    }
    first.answers.extend(permit.map(|permit| (message, permit)));
}

/// Gives every target a copy of what it has room for; false when one of them takes none any more.
fn fan_out(queued: Vec<Queued>, ended: Vec<u64>, timetable: &Timetable, ways: &mut [Way]) -> bool {
    let Some((first, others)) = ways.split_first_mut() else { return false };
    let now = Instant::now();
    first.jobs.reserve_exact(queued.len());
    for (message, permits) in queued {
        if !message.is_request() {
            answered(message, permits, first, others);
            continue;
        }
        let due = timetable.due(&message, now);
        let Permits { first: permit, others: permits } = permits;
        for (way, permit) in others.iter_mut().zip(permits) {
            way.add(permit, due, || message.clone());
        }
        first.add(permit, due, || message);
    }
    let mut is_taken = true;
    for way in others {
        is_taken &= way.send(ended.clone());
    }
    first.send(ended) && is_taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::queue::Budgets;
    use crate::app::schedule::Pace;
    use crate::app::tests::request;

    #[test]
    fn each_target_gets_what_it_has_room_for_and_the_rest_is_counted() {
        let (mut ways, mut rxs) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (batch_tx, batch_rx) = mpsc::unbounded_channel();
            ways.push(Way::new(batch_tx, Arc::default()));
            rxs.push(batch_rx);
        }
        let (mut budgets, timetable) = (Budgets::new(2, 3, 1 << 20), Timetable::new(Pace::Live));
        let mut give = |ended: &[u64]| {
            let message = || request(b"GET / HTTP/1.1\r\n\r\n");
            let room = std::iter::from_fn(|| budgets.try_take(1));
            let queued = room.map(|permits| (message(), permits)).collect();
            assert!(fan_out(queued, ended.to_vec(), &timetable, &mut ways));
            let full = |way: &Way| way.full.load(Ordering::Relaxed);
            (full(&ways[0]), full(&ways[1]))
        };
        assert_eq!(give(&[7]), (0, 0));
        // The second is done with its jobs, the first hangs.
        let batch = rxs[1].try_recv().expect("a batch");
        assert_eq!((batch.jobs.len(), batch.ended), (3, vec![7]));
        drop(batch.jobs);
        assert_eq!(give(&[]), (3, 0));
        assert_eq!(rxs[1].try_recv().expect("a batch").jobs.len(), 3);
        assert_eq!(rxs[0].try_recv().expect("a batch").jobs.len(), 3);
        assert!(rxs[0].try_recv().is_err(), "nothing more for who has no room");
    }
}
