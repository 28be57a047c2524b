//! The loop that takes jobs over, sends each in its turn, and accounts for all of them.
//!
//! In: batches of jobs, and the wish to stop. Out: calls of the transport, at most `concurrency`
//! at once, and counts published after each turn of the loop. Guaranteed: at every moment the
//! published counts hold `taken = answered + failed + shed + in_flight`; at the end `in_flight` is
//! 0, and every job that entered the channel before it was closed is in one bucket. One task for
//! each request in flight, none for idle connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ahash::AHashMap;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::model::ledger::{Failure, ShedLater, StatusClass, TargetCounts};

use super::http_client::HttpClient;
use super::lanes::Lanes;
use super::transport::{Answer, Transport};
use super::{Job, ReplayConfig, ReplayError, Stop};

/// How long, after everything was given up, jobs that are still on their way into the channel are
/// waited for, so that they are counted here. The app closes the channel long before.
const STRAGGLERS: Duration = Duration::from_millis(500);

/// A view of a replayer's counts that outlives it.
#[derive(Clone, Debug)]
pub struct CountsHandle(Arc<Mutex<TargetCounts>>);

impl CountsHandle {
    /// The counts as last published: after each turn of the replayer's loop.
    pub fn snapshot(&self) -> TargetCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sends jobs to one target.
pub struct Replayer {
    transport: HttpClient,
    concurrency: usize,
    published: CountsHandle,
}

impl Replayer {
    /// Sets everything up and connects to nothing. Needs no runtime yet.
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let target = config.target.to_string();
        let counts = TargetCounts { target, ..TargetCounts::default() };
        Ok(Self {
            transport: HttpClient::new(config)?,
            concurrency: config.concurrency.max(1),
            published: CountsHandle(Arc::new(Mutex::new(counts))),
        })
    }

    /// A view of the counts, to be taken before [`Self::run`].
    pub fn counts(&self) -> CountsHandle {
        self.published.clone()
    }

    /// Sends what comes out of `batch_rx` until it is closed and everything is answered, or until
    /// `stop_rx` says otherwise. Returns the final counts, in which nothing is in flight.
    ///
    /// A current-thread runtime serves best: at 5,000 requests/s it took 29 us of CPU for each,
    /// with two workers 43 us, spent on wake-ups from one thread to the other. On a runtime with
    /// several threads, spawn this rather than block on it, for the same reason.
    pub async fn run<G: Send + 'static>(
        self,
        batch_rx: mpsc::Receiver<Vec<Job<G>>>,
        stop_rx: watch::Receiver<Stop>,
    ) -> TargetCounts {
        Dispatcher::new(self.transport, self.concurrency, self.published)
            .run(batch_rx, stop_rx)
            .await
    }
}

/// What a request's task ends with: the result, and the guard, which is dropped once it is counted.
type Outcome<G> = (Result<Answer, Failure>, G);

/// The loop's state.
pub(super) struct Dispatcher<T, G> {
    transport: Arc<T>,
    lanes: Lanes<Job<G>>,
    /// Requests at the transport.
    under_way: JoinSet<Outcome<G>>,
    /// Their captured connections.
    conns: AHashMap<Id, u64>,
    /// Requests given to the transport so far: the number in the marker.
    sent: u64,
    concurrency: usize,
    counts: TargetCounts,
    published: CountsHandle,
}

/// Why the loop was left.
#[derive(PartialEq, Eq)]
enum End {
    /// No more jobs, and all of them are over.
    Finished,
    /// The time to drain is over, or there was none.
    GivenUp,
}

impl<T: Transport, G: Send + 'static> Dispatcher<T, G> {
    /// Nothing taken over yet.
    pub fn new(transport: T, concurrency: usize, published: CountsHandle) -> Self {
        Self {
            transport: Arc::new(transport),
            lanes: Lanes::new(),
            under_way: JoinSet::new(),
            conns: AHashMap::new(),
            sent: 0,
            concurrency,
            counts: published.snapshot(),
            published,
        }
    }

    /// See [`Replayer::run`].
    pub async fn run(
        mut self,
        mut batch_rx: mpsc::Receiver<Vec<Job<G>>>,
        mut stop_rx: watch::Receiver<Stop>,
    ) -> TargetCounts {
        if self.serve(&mut batch_rx, &mut stop_rx).await == End::GivenUp {
            self.give_up(&mut batch_rx).await;
        }
        self.publish();
        self.counts
    }

    /// Takes jobs and sends them, until there are no more or it is time to give up.
    async fn serve(
        &mut self,
        batch_rx: &mut mpsc::Receiver<Vec<Job<G>>>,
        stop_rx: &mut watch::Receiver<Stop>,
    ) -> End {
        let (mut open, mut stoppable) = (true, true);
        let mut deadline = None;
        // What was asked before this began counts too.
        stop_rx.mark_changed();
        loop {
            self.start();
            self.publish();
            if !open && self.lanes.is_empty() && self.under_way.is_empty() {
                return End::Finished;
            }
            let next_due = self.lanes.next_due().filter(|_| self.has_room());
            tokio::select! {
                biased;
                changed = stop_rx.changed(), if stoppable => match changed {
                    Err(_) => stoppable = false,
                    Ok(()) => match *stop_rx.borrow_and_update() {
                        Stop::Go => {}
                        Stop::Now => return End::GivenUp,
                        Stop::DrainUntil(when) => deadline = Some(when),
                    },
                },
                () = wait_until(deadline) => return End::GivenUp,
                Some(over) = self.under_way.join_next_with_id() => {
                    self.finish(over);
                    while let Some(over) = self.under_way.try_join_next_with_id() {
                        self.finish(over);
                    }
                }
                batch = batch_rx.recv(), if open => match batch {
                    Some(batch) => self.take_over(batch),
                    None => open = false,
                },
                () = wait_until(next_due) => {}
            }
        }
    }

    /// Whether another request may be given to the transport.
    fn has_room(&self) -> bool {
        self.under_way.len() < self.concurrency
    }

    /// Puts jobs in their lanes.
    fn take_over(&mut self, batch: Vec<Job<G>>) {
        for job in batch {
            self.counts.in_flight += 1;
            self.lanes.push(job.message.conn, job.due, job);
        }
    }

    /// Starts every request that may go now.
    fn start(&mut self) {
        if self.lanes.is_empty() {
            return;
        }
        let now = Instant::now();
        while self.has_room() {
            let Some((conn, job)) = self.lanes.take(now) else { return };
            self.sent += 1;
            let (transport, n) = (Arc::clone(&self.transport), self.sent);
            let task = self
                .under_way
                .spawn(async move { (transport.exchange(job.message, n).await, job.guard) });
            self.conns.insert(task.id(), conn);
        }
    }

    /// Counts a request that is over, and lets the next of its connection go.
    fn finish(&mut self, over: Result<(Id, Outcome<G>), JoinError>) {
        self.counts.in_flight -= 1;
        let id = match over {
            Ok((id, (result, guard))) => {
                match result {
                    Ok(answer) => self.counts.answered.count(StatusClass::of(answer.status)),
                    Err(failure) => self.counts.failed.count(failure),
                }
                drop(guard);
                id
            }
            Err(gone) if gone.is_cancelled() => {
                self.counts.shed.count(ShedLater::CutOff);
                gone.id()
            }
            Err(gone) => {
                tracing::error!(error = %gone, "a request was lost to a fault of the program");
                self.counts.failed.count(Failure::Other);
                gone.id()
            }
        };
        if let Some(conn) = self.conns.remove(&id) {
            self.lanes.done(conn);
        }
    }

    /// Ends everything: what waits is shed, what is under way is aborted, and what is still in the
    /// channel is taken over and shed.
    async fn give_up(&mut self, batch_rx: &mut mpsc::Receiver<Vec<Job<G>>>) {
        let waited = self.lanes.clear() as u64;
        self.counts.in_flight -= waited;
        self.counts.shed.add(ShedLater::DrainDeadline, waited);
        self.under_way.abort_all();
        while let Some(over) = self.under_way.join_next_with_id().await {
            self.finish(over);
        }
        self.publish();
        let shed = &mut self.counts.shed;
        let mut give_up = |batch: Vec<Job<G>>| {
            shed.add(ShedLater::DrainDeadline, batch.len() as u64);
        };
        let stragglers = async {
            while let Some(batch) = batch_rx.recv().await {
                give_up(batch);
            }
        };
        if timeout(STRAGGLERS, stragglers).await.is_err() {
            batch_rx.close();
            while let Ok(batch) = batch_rx.try_recv() {
                give_up(batch);
            }
        }
    }

    /// Lets others see the counts.
    fn publish(&self) {
        let mut published = self.published.0.lock().unwrap_or_else(PoisonError::into_inner);
        published.answered = self.counts.answered;
        published.failed = self.counts.failed;
        published.shed = self.counts.shed;
        published.in_flight = self.counts.in_flight;
    }
}

/// Waits for a moment; for ever when there is none.
async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::message::get;
    use super::*;
    use crate::model::Message;

    /// Panics at `/panic`, answers everything else.
    struct Faulty;

    impl Transport for Faulty {
        async fn exchange(&self, message: Message, _: u64) -> Result<Answer, Failure> {
            assert_ne!(message.target(), b"/panic", "on purpose");
            Ok(Answer { status: 200 })
        }
    }

    #[tokio::test]
    async fn a_fault_of_the_program_costs_one_request_and_is_counted() {
        let guard = Arc::new(());
        let job = |path| Job { message: get(1, path), due: None, guard: guard.clone() };
        let (batch_tx, batch_rx) = mpsc::channel(1);
        let (_stop_tx, stop_rx) = watch::channel(Stop::Go);
        batch_tx.send(vec![job("/panic"), job("/after")]).await.expect("send");
        drop(batch_tx);
        let published = CountsHandle(Arc::default());
        let counts = Dispatcher::new(Faulty, 1, published).run(batch_rx, stop_rx).await;
        assert_eq!((counts.failed.get(Failure::Other), counts.answered.total()), (1, 1));
        assert_eq!((counts.in_flight, Arc::strong_count(&guard)), (0, 1));
    }
}
