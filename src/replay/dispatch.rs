//! The loop that takes jobs over, sends each in its turn, and accounts for all of them.
//!
//! In: batches of jobs, and the wish to stop. Out: calls of the transport, at most `concurrency`
//! at once, and counts published after each turn of the loop. Guaranteed: at every moment the
//! published counts hold `taken = answered + failed + shed + in_flight`; at the end `in_flight` is
//! 0, and every job that entered the channel before it was closed is in one bucket. One future for
//! each request in flight, none for idle connections, all within one task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lru::LruCache;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::model::ledger::{Failure, ShedLater, StatusClass, TargetCounts};
use crate::model::{KeptAnswer, Message};

use super::asking::{Asking, MiddlewareCounts, Said, Turn, next_said};
use super::breaker::Pass;
use super::carry::{CarryCounts, Carrying};
use super::lanes::Lanes;
use super::replayer::{CountsHandle, Published, Rules};
use super::timer::Timer;
use super::transport::{Answer, Transport};
use super::{Batch, Job, OnBreak, Order, Prepare, Prepared, Stop};

/// How long, after everything was given up, jobs that are still on their way into the channel are
/// waited for, so that they are counted here. The app closes the channel long before.
const STRAGGLERS: Duration = Duration::from_millis(500);

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Broken connections that are remembered for `--on-break stop`, those of the last requests.
const BROKEN: std::num::NonZeroUsize = std::num::NonZeroUsize::new(1 << 16).unwrap();

/// A request that is over.
struct Over<G> {
    turn: Turn<G>,
    start: Instant,
    /// `Err` when the program is at fault.
    result: Result<Result<Answer, Failure>, ()>,
}

/// The loop's state.
pub(super) struct Dispatcher<T, G> {
    transport: Arc<T>,
    /// Jobs, each with its number among those taken over.
    lanes: Lanes<(u64, Job<G>)>,
    /// Requests at the transport.
    under_way: FuturesUnordered<BoxFuture<'static, Over<G>>>,
    /// Connections of which a request failed or was shed, for [`OnBreak::Stop`].
    broken: LruCache<u64, ()>,
    /// Requests given to the transport so far: the number in the marker.
    sent: u64,
    /// Jobs taken over so far: the number of each, and its lane, without an order.
    taken: u64,
    rules: Rules,
    pub prepare: Option<Prepare>,
    counts: TargetCounts,
    published: CountsHandle,
    /// Whether the transport may have idle connections.
    may_idle: bool,
    /// Who changes requests by what v2 answered to others.
    pub carrying: Option<Carrying>,
    /// Who says what becomes of each request.
    pub asking: Option<Asking<G>>,
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
    pub fn new(transport: T, rules: Rules, published: CountsHandle) -> Self {
        let counts = published.with(|published| published.counts.clone());
        Self {
            transport: Arc::new(transport),
            lanes: Lanes::new(),
            under_way: FuturesUnordered::new(),
            broken: LruCache::new(BROKEN),
            sent: 0,
            taken: 0,
            rules,
            prepare: None,
            counts,
            published,
            may_idle: false,
            carrying: None,
            asking: None,
        }
    }

    /// See [`Replayer::run`].
    pub async fn run(
        mut self,
        mut batch_rx: mpsc::UnboundedReceiver<Batch<G>>,
        stop_rx: watch::Receiver<Stop>,
    ) -> TargetCounts {
        let (end, until) = self.serve(&mut batch_rx, stop_rx.clone()).await;
        if end == End::GivenUp {
            self.give_up(&mut batch_rx).await;
        }
        self.publish();
        self.end_middleware(until, stop_rx).await;
        self.publish();
        self.published.snapshot()
    }

    /// Takes jobs and sends them, until there are no more or it is time to give up. Says by when everything must have ended.
    async fn serve(
        &mut self,
        batch_rx: &mut mpsc::UnboundedReceiver<Batch<G>>,
        mut stop_rx: watch::Receiver<Stop>,
    ) -> (End, Option<Instant>) {
        let (mut open, mut stoppable) = (true, true);
        let mut deadline = None;
        // None: the system is out of descriptors. The runtime's timer must do then.
        let mut timer = Timer::new().ok();
        // What was asked before this began counts too.
        stop_rx.mark_changed();
        // These two outlive a turn: to wait anew costs a lock each.
        let mut asked = pin!(asked(stop_rx));
        let mut sweep = pin!(sleep_until(Instant::now() + SWEEP));
        loop {
            self.start();
            self.publish();
            if !open && self.lanes.is_empty() && self.at_work() == 0 {
                return (End::Finished, deadline);
            }
            let next_due = self.lanes.next_due().filter(|_| self.has_room());
            let next_late = self.next_late().filter(|_| !self.has_room());
            tokio::select! {
                biased;
                stop = asked.as_mut(), if stoppable => match stop {
                    None => stoppable = false,
                    Some((stop, stop_rx)) => {
                        match stop {
                            Stop::Go => {}
                            Stop::Now => return (End::GivenUp, Some(Instant::now())),
                            Stop::DrainUntil(when) => deadline = Some(when),
                        }
                        asked.set(self::asked(stop_rx));
                    }
                },
                () = wait_until(deadline) => return (End::GivenUp, deadline),
                () = wait_exactly(&mut timer, next_due) => {}
                () = wait_until(next_late) => {}
                Some(over) = self.under_way.next() => {
                    self.finish(over);
                    while let Some(Some(over)) = self.under_way.next().now_or_never() {
                        self.finish(over);
                    }
                }
                said = next_said(&mut self.asking) => self.said(said),
                batch = batch_rx.recv(), if open => match batch {
                    Some(batch) => self.take_over(batch),
                    None => open = false,
                },
                () = sweep.as_mut(), if self.may_idle => {
                    let now = Instant::now();
                    self.may_idle = self.transport.sweep(now);
                    sweep.as_mut().reset(now + SWEEP);
                }
            }
        }
    }

    /// Whether another request may be given to the transport.
    fn has_room(&self) -> bool {
        self.at_work() < self.rules.concurrency
    }

    /// Requests under way, and those that are asked about.
    fn at_work(&self) -> usize {
        self.under_way.len() + self.asking.as_ref().map_or(0, Asking::len)
    }

    /// Puts jobs in their lanes, and ends those from which no more will come.
    fn take_over(&mut self, batch: Batch<G>) {
        for job in batch.jobs {
            if !is_in_share(job.message.conn, self.rules.share) {
                self.counts.shed.count(ShedLater::SampledOut);
                continue;
            }
            self.counts.in_flight += 1;
            self.taken += 1;
            let lane = match self.rules.order {
                Order::Connection => job.message.conn,
                Order::None => self.taken,
            };
            if let Some(carrying) = &mut self.carrying {
                carrying.carry().taken(&job.message, self.taken);
            }
            if let Some(asking) = &mut self.asking {
                asking.taken(&job.message);
            }
            self.lanes.push(lane, job.due, (self.taken, job));
        }
        for (answer, guard) in batch.answers {
            if let Some(carrying) = &mut self.carrying {
                carrying.carry().v1_answered(&answer);
            }
            if let Some(asking) = &mut self.asking {
                asking.v1_answered(answer, guard);
            }
        }
        if self.rules.order == Order::Connection {
            for conn in batch.ended {
                if self.lanes.end(conn) {
                    self.end(conn);
                }
            }
        }
    }

    /// A captured connection has ended, and all of its requests are over.
    fn end(&mut self, conn: u64) {
        self.broken.pop(&conn);
        if let Some(asking) = &mut self.asking {
            asking.ended(conn);
        }
        self.transport.ended(conn);
    }

    /// When the next of those that wait for room is late beyond `max_lag`.
    fn next_late(&self) -> Option<Instant> {
        self.lanes.earliest()?.checked_add(self.rules.max_lag?)
    }

    /// Starts every request that may go now, and sheds what waited too long, whether there is room or not.
    fn start(&mut self) {
        if self.lanes.is_empty() {
            return;
        }
        let now = Instant::now();
        while self.has_room() || self.next_late().is_some_and(|late| late < now) {
            let Some((lane, due, (number, job))) = self.lanes.take(now) else { return };
            if let Some(carrying) = &mut self.carrying
                && carrying.holds(lane, &job.message, number)
            {
                self.lanes.put_back(lane, due, (number, job));
                continue;
            }
            let Job { mut message, guard, .. } = job;
            let id = (message.conn, message.index);
            let keep = self.asking.as_ref().and_then(Asking::keeps);
            let mut turn = Turn { lane, job: number, id, due, is_probe: false, keep, guard };
            match self.passes(lane, due, now) {
                Ok(pass) => turn.is_probe = pass == Pass::Probe,
                Err(cause) => {
                    if let Some(asking) = &mut self.asking {
                        asking.dropped(id);
                    }
                    self.shed(turn, cause);
                    continue;
                }
            }
            if let Some(carrying) = &mut self.carrying {
                message = carrying.carry().change(message, number);
                turn.keep = turn.keep.max(Some(carrying.carry().keeps()));
            }
            match &mut self.asking {
                Some(asking) => asking.ask(turn, message),
                None => self.send(turn, message, now),
            }
        }
    }

    /// Whoever was asked about a request has said what becomes of it.
    fn said(&mut self, (turn, said): Said<G>) {
        let now = Instant::now();
        match said {
            // Asking has taken its time.
            Ok(_) if self.is_late(turn.due, now) => self.end_unsent(turn, ShedLater::Lag, now),
            Ok(message) => self.send(turn, message, now),
            Err(cause) => self.end_unsent(turn, cause, now),
        }
    }

    /// Gives a request to the transport. The rules come behind all else, so that nothing which they redact leaves.
    fn send(&mut self, turn: Turn<G>, message: Message, now: Instant) {
        let message = match self.prepare(message) {
            Ok(message) => message,
            Err(cause) => return self.end_unsent(turn, cause, now),
        };
        self.sent += 1;
        self.counts.ambiguous_sent += u64::from(message.anomalies.is_ambiguous());
        let (transport, n) = (Arc::clone(&self.transport), self.sent);
        let published = turn.due.is_some().then(|| self.published.clone());
        self.under_way.push(Box::pin(async move {
            // Only now does it leave: others were before it in this turn.
            let start = Instant::now();
            if let Some(published) = published {
                published.with(|published| published.watch.started(turn.due, start));
            }
            let exchange = transport.exchange(message, n, start, turn.keep);
            // The fault of one request must not end the others.
            let result = AssertUnwindSafe(exchange).catch_unwind().await.map_err(drop);
            Over { turn, start, result }
        }));
    }

    /// Sheds a request whose turn had come, and which may have been to find out if v2 is alive.
    fn end_unsent(&mut self, turn: Turn<G>, cause: ShedLater, now: Instant) {
        // A probe that never came to connecting says nothing of v2.
        self.rules.breaker.ended(Some(Failure::Unsendable), turn.is_probe, now);
        self.shed(turn, cause);
    }

    fn shed(&mut self, turn: Turn<G>, cause: ShedLater) {
        self.counts.in_flight -= 1;
        self.counts.shed.count(cause);
        drop(turn.guard);
        self.release(turn.job, None);
        // What the middleware drops it wants not to be there: nothing failed.
        self.over_in(turn.lane, cause != ShedLater::MiddlewareDropped);
    }

    /// The request as it is to leave, or why it does not.
    fn prepare(&mut self, message: Message) -> Result<Message, ShedLater> {
        let Some(prepare) = &self.prepare else { return Ok(message) };
        // The fault of one request must not end the others.
        let prepared = catch_unwind(AssertUnwindSafe(|| prepare(message)));
        let Prepared { message, passed_over } = prepared.unwrap_or_else(|_| {
            tracing::error!("a request was lost to a fault of the program");
            Err(ShedLater::RewriteInvalid)
        })?;
        self.counts.rules_passed_over += u64::from(passed_over);
        Ok(message)
    }

    /// As what a request is sent whose turn has come, or why it is not.
    fn passes(&mut self, lane: u64, due: Option<Instant>, now: Instant) -> Result<Pass, ShedLater> {
        if self.rules.on_break == OnBreak::Stop && self.broken.get(&lane).is_some() {
            return Err(ShedLater::PredecessorFailed);
        }
        if self.is_late(due, now) {
            return Err(ShedLater::Lag);
        }
        // Only what is due at a time of its own can miss it.
        match due.map_or(Pass::Go, |_| self.rules.breaker.lets_pass(now)) {
            Pass::No => Err(ShedLater::Breaker),
            pass => Ok(pass),
        }
    }

    fn is_late(&self, due: Option<Instant>, now: Instant) -> bool {
        let lag = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        self.rules.max_lag.is_some_and(|most| lag > most)
    }

    /// Counts a request that is over, and lets the next of its connection go.
    fn finish(&mut self, over: Over<G>) {
        self.may_idle = true;
        self.counts.in_flight -= 1;
        let Over { turn, start, result } = over;
        let Turn { lane, job, id, due, is_probe, guard, .. } = turn;
        let is_answered = matches!(result, Ok(Ok(_)));
        let failure = match result {
            Ok(Err(failure)) => Some(failure),
            _ => None,
        };
        // Only what is due at a time of its own is shed by the breaker, or need be.
        if due.is_some() {
            self.rules.breaker.ended(failure, is_probe, Instant::now());
        }
        match result {
            Ok(Ok(_)) if self.rules.is_dry => {
                self.release(job, None);
                self.counts.shed.count(ShedLater::DryRun);
            }
            Ok(Ok(answer)) => {
                let class = StatusClass::of(answer.status);
                self.release(job, answer.kept.as_deref());
                if let (Some(asking), Some(kept)) = (&mut self.asking, answer.kept.as_deref()) {
                    let took = answer.at.saturating_duration_since(start);
                    asking.v2_answered(id, kept, took);
                }
                self.counts.answered.count(class);
                let end = answer.at;
                self.published.with(|published| published.watch.answered(class, due, start, end));
            }
            Ok(Err(failure)) => {
                self.release(job, None);
                self.counts.failed.count(failure);
            }
            Err(()) => {
                self.release(job, None);
                tracing::error!("a request was lost to a fault of the program");
                self.counts.failed.count(Failure::Other);
            }
        }
        drop(guard);
        self.over_in(lane, !is_answered);
    }

    /// A request is over: those that waited for its answer may go.
    fn release(&mut self, number: u64, answer: Option<&KeptAnswer>) {
        let Some(carrying) = &mut self.carrying else { return };
        for lane in carrying.over(number, answer) {
            self.lanes.done(lane);
        }
    }

    /// Lets the next of this lane go.
    fn over_in(&mut self, lane: u64, is_broken: bool) {
        if is_broken && self.rules.on_break == OnBreak::Stop {
            self.broken.put(lane, ());
        }
        if self.lanes.done(lane) {
            self.end(lane);
        }
    }

    /// Ends everything: what waits is shed, what is under way is aborted, and what is still in the
    /// channel is taken over and shed.
    async fn give_up(&mut self, batch_rx: &mut mpsc::UnboundedReceiver<Batch<G>>) {
        let asked = self.asking.as_mut().map_or(0, Asking::clear);
        let waited = (self.lanes.clear() + asked) as u64;
        self.counts.in_flight -= waited;
        self.counts.shed.add(ShedLater::DrainDeadline, waited);
        // What is over by now is counted as such.
        while let Some(Some(over)) = self.under_way.next().now_or_never() {
            self.finish(over);
        }
        let cut_off = self.under_way.len() as u64;
        self.under_way.clear();
        self.counts.in_flight -= cut_off;
        self.counts.shed.add(ShedLater::CutOff, cut_off);
        self.publish();
        let shed = &mut self.counts.shed;
        let mut give_up = |batch: Batch<G>| {
            shed.add(ShedLater::DrainDeadline, batch.jobs.len() as u64);
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

    /// Lets the middleware come to its end: until then at the latest, or until somebody is in a hurry.
    async fn end_middleware(&mut self, until: Option<Instant>, stop_rx: watch::Receiver<Stop>) {
        let Some(asking) = &mut self.asking else { return };
        let mut ended = asking.end(until);
        let mut asked = pin!(asked(stop_rx));
        loop {
            tokio::select! {
                () = ended.as_mut() => return,
                stop = asked.as_mut() => {
                    let Some((stop, stop_rx)) = stop else { return ended.await };
                    let until = match stop {
                        Stop::Go => None,
                        Stop::DrainUntil(when) => Some(when),
                        Stop::Now => Some(Instant::now()),
                    };
                    if until.is_some() {
                        ended = asking.end(until);
                    }
                    asked.set(self::asked(stop_rx));
                }
            }
        }
    }

    /// Lets others see the counts.
    fn publish(&mut self) {
        if let Some(carrying) = &mut self.carrying {
            let CarryCounts { carried, missing, unread, evicted } = carrying.carry().counts();
            let counts = &mut self.counts;
            (counts.carried, counts.carry_missing) = (carried, missing);
            (counts.carry_unread, counts.carry_evicted) = (unread, evicted);
        }
        if let Some(asking) = &self.asking {
            let MiddlewareCounts { changed, restarts, bad_lines, late, untold } = asking.counts();
            let counts = &mut self.counts;
            (counts.middleware_changed, counts.middleware_restarts) = (changed, restarts);
            (counts.middleware_bad_lines, counts.middleware_late) = (bad_lines, late);
            counts.middleware_untold = untold;
        }
        self.published.with(|Published { counts, .. }| {
            counts.middleware_changed = self.counts.middleware_changed;
            counts.middleware_restarts = self.counts.middleware_restarts;
            counts.middleware_bad_lines = self.counts.middleware_bad_lines;
            counts.middleware_late = self.counts.middleware_late;
            counts.middleware_untold = self.counts.middleware_untold;
            counts.carried = self.counts.carried;
            counts.carry_missing = self.counts.carry_missing;
            counts.carry_unread = self.counts.carry_unread;
            counts.carry_evicted = self.counts.carry_evicted;
            counts.answered = self.counts.answered;
            counts.failed = self.counts.failed;
            counts.shed = self.counts.shed;
            counts.in_flight = self.counts.in_flight;
            counts.ambiguous_sent = self.counts.ambiguous_sent;
            counts.rules_passed_over = self.counts.rules_passed_over;
        });
    }
}

/// Whether a captured connection is among the share that is sent: by its number, so that its requests stay
/// together, and the same in every run.
fn is_in_share(conn: u64, share: f64) -> bool {
    // The finalizer of MurmurHash3: neighbours fall far apart.
    let mut hash = conn ^ 0x9e37_79b9_7f4a_7c15;
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    let unit = ((hash ^ (hash >> 33)) >> 11) as f64 / (1u64 << 53) as f64;
    unit < share
}

/// What is asked next; nothing when nobody can ask any more.
async fn asked(mut stop_rx: watch::Receiver<Stop>) -> Option<(Stop, watch::Receiver<Stop>)> {
    stop_rx.changed().await.ok()?;
    let stop = *stop_rx.borrow_and_update();
    Some((stop, stop_rx))
}

/// Waits for a moment; for ever when there is none.
async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The same, to the microsecond where there is a timer for it.
async fn wait_exactly(timer: &mut Option<Timer>, moment: Option<Instant>) {
    match timer {
        Some(timer) => timer.wait(moment).await,
        None => wait_until(moment).await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::breaker::Breaker;
    use super::super::tests::message::get;
    use super::*;

    /// Panics at `/panic`, answers everything else.
    struct Faulty;

    impl Transport for Faulty {
        async fn exchange(
            &self,
            message: Message,
            _: u64,
            start: Instant,
            _: Option<usize>,
        ) -> Result<Answer, Failure> {
            assert_ne!(message.target(), b"/panic", "on purpose");
            Ok(Answer { status: 200, at: start, kept: None })
        }
    }

    #[test]
    fn a_share_of_the_connections_is_that_share() {
        for share in [0.0, 0.01, 0.25, 0.5, 1.0] {
            let sent = (0..100_000).filter(|&conn| is_in_share(conn, share)).count() as f64;
            assert!((sent / 100_000.0 - share).abs() < 0.01, "{share}: {sent}");
        }
        assert!((0..1000).all(|c| !is_in_share(c, 0.3) || is_in_share(c, 0.4)), "nested");
    }

    #[tokio::test]
    async fn a_fault_of_the_program_costs_one_request_and_is_counted() {
        let guard = Arc::new(());
        let job = |path| Job { message: get(1, path), due: None, guard: guard.clone() };
        let (batch_tx, batch_rx) = mpsc::unbounded_channel();
        let (_stop_tx, stop_rx) = watch::channel(Stop::Go);
        batch_tx.send(vec![job("/panic"), job("/after")].into()).expect("send");
        drop(batch_tx);
        let published = CountsHandle::new("x".into());
        let rules = Rules {
            concurrency: 1,
            order: Order::Connection,
            on_break: OnBreak::Continue,
            max_lag: None,
            share: 1.0,
            breaker: Breaker::new(None),
            is_dry: false,
        };
        let counts = Dispatcher::new(Faulty, rules, published).run(batch_rx, stop_rx).await;
        assert_eq!((counts.failed.get(Failure::Other), counts.answered.total()), (1, 1));
        assert_eq!((counts.in_flight, Arc::strong_count(&guard)), (0, 1));
    }
}
