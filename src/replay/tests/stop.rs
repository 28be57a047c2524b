//! Ends of every kind: after each, every job is in one bucket and nothing is in flight.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::model::ledger::{ShedLater, TargetCounts};
use crate::replay::{Batch, CountsHandle, Job, ReplayConfig, Replayer, Stop};

use super::message::get;
use super::v2::{Reply, V2, answer};
use super::{config, until, within};

/// A replayer at work.
struct Running {
    batch_tx: mpsc::UnboundedSender<Batch<()>>,
    stop_tx: watch::Sender<Stop>,
    counts: CountsHandle,
    task: JoinHandle<TargetCounts>,
}

impl Running {
    fn start(config: &ReplayConfig) -> Self {
        let (batch_tx, batch_rx) = mpsc::unbounded_channel();
        let (stop_tx, stop_rx) = watch::channel(Stop::Go);
        let replayer = Replayer::new(config).expect("replayer");
        let counts = replayer.counts();
        Self { batch_tx, stop_tx, counts, task: tokio::spawn(replayer.run(batch_rx, stop_rx)) }
    }

    async fn give(&self, jobs: Vec<Job<()>>) {
        self.batch_tx.send(jobs.into()).expect("the replayer takes jobs");
    }

    fn ask(&self, stop: Stop) {
        self.stop_tx.send(stop).expect("the replayer listens");
    }

    /// Closes the channel and waits for the end.
    async fn end(self) -> TargetCounts {
        drop(self.batch_tx);
        let counts = within(self.task).await.expect("join");
        assert_eq!(counts.in_flight, 0, "{counts:?}");
        assert_eq!(self.counts.snapshot(), counts, "what was published last is the end");
        counts
    }
}

fn job(conn: u64, path: &str) -> Job<()> {
    Job { message: get(conn, path), due: None, guard: () }
}

/// Hangs on `/hang`, answers everything else.
async fn sometimes_hanging() -> V2 {
    V2::start(|seen| if seen.target() == "/hang" { Reply::Hang } else { answer(200, "ok") }).await
}

/// (answered, failed, drain_deadline, cut_off)
fn ends(counts: &TargetCounts) -> (u64, u64, u64, u64) {
    let shed = |cause| counts.shed.get(cause);
    (
        counts.answered.total(),
        counts.failed.total(),
        shed(ShedLater::DrainDeadline),
        shed(ShedLater::CutOff),
    )
}

#[tokio::test]
async fn at_the_end_of_input_everything_is_finished() {
    let v2 = V2::ok().await;
    let running = Running::start(&config(&v2.url()));
    let soon = Some(Instant::now() + Duration::from_millis(100));
    running.give(vec![job(1, "/a"), Job { due: soon, ..job(1, "/b") }, job(2, "/c")]).await;
    assert_eq!(ends(&running.end().await), (3, 0, 0, 0));
    assert!(v2.seen().iter().any(|s| s.target() == "/b" && Some(s.at) >= soon));
}

#[tokio::test]
async fn draining_keeps_due_times_and_sheds_what_is_due_too_late() {
    let v2 = V2::ok().await;
    let running = Running::start(&config(&v2.url()));
    let after = |millis| Some(Instant::now() + Duration::from_millis(millis));
    let soon = after(50);
    let hour = after(3_600_000);
    let jobs = (1..=5).map(|n| Job { due: if n < 3 { soon } else { hour }, ..job(n, "/x") });
    running.give(jobs.collect()).await;
    until("they wait", || running.counts.snapshot().in_flight >= 3).await;
    running.ask(Stop::DrainUntil(Instant::now() + Duration::from_millis(500)));
    assert_eq!(ends(&running.end().await), (2, 0, 3, 0));
    assert!(v2.seen().iter().all(|seen| Some(seen.at) >= soon), "none left before its time");
}

#[tokio::test]
async fn at_the_drain_deadline_waiting_and_under_way_are_told_apart() {
    let v2 = sometimes_hanging().await;
    let running = Running::start(&config(&v2.url()));
    let jobs = vec![
        job(1, "/hang"),
        job(1, "/behind"),
        job(1, "/behind"),
        job(2, "/ok"),
        job(3, "/hang"),
        job(4, "/ok"),
    ];
    running.give(jobs).await;
    until("two hang, two are answered", || {
        v2.seen().len() == 4 && running.counts.snapshot().answered.total() == 2
    })
    .await;
    let start = Instant::now();
    running.ask(Stop::DrainUntil(start + Duration::from_millis(100)));
    assert_eq!(ends(&running.end().await), (2, 0, 2, 2));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(5), "{took:?}");
    until("the aborted connections are closed", || v2.closed() >= 2).await;
}

#[tokio::test]
async fn a_second_stop_ends_the_drain_at_once() {
    let v2 = sometimes_hanging().await;
    let running = Running::start(&config(&v2.url()));
    running.give(vec![job(1, "/hang"), job(1, "/behind")]).await;
    until("it hangs", || v2.seen().len() == 1).await;
    running.ask(Stop::DrainUntil(Instant::now() + Duration::from_secs(3600)));
    running.ask(Stop::Now);
    assert_eq!(ends(&running.end().await), (0, 0, 1, 1));
}

#[tokio::test]
async fn a_stop_asked_for_before_the_start_counts() {
    let v2 = V2::ok().await;
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    batch_tx.send(vec![job(1, "/"), job(2, "/")].into()).expect("send");
    drop(batch_tx);
    let (_stop_tx, stop_rx) = watch::channel(Stop::Now);
    let replayer = Replayer::new(&config(&v2.url())).expect("replayer");
    assert_eq!(ends(&within(replayer.run(batch_rx, stop_rx)).await), (0, 0, 2, 0));
    assert_eq!(v2.accepted(), 0);
}

#[tokio::test]
async fn after_a_stop_the_rest_of_the_channel_is_counted_and_no_one_blocks() {
    let v2 = sometimes_hanging().await;
    let running = Running::start(&config(&v2.url()));
    running.ask(Stop::Now);
    let batch_tx = running.batch_tx.clone();
    // More batches than the channel holds: the sender would block if no one took them.
    let feeder = tokio::spawn(async move {
        for conn in 0..20 {
            batch_tx.send(vec![job(conn, "/"), job(conn, "/")].into()).expect("taken");
        }
    });
    within(feeder).await.expect("join");
    assert_eq!(ends(&running.end().await), (0, 0, 40, 0));
}

#[tokio::test]
async fn a_channel_that_is_never_closed_cannot_keep_it_from_ending() {
    let v2 = V2::ok().await;
    let running = Running::start(&config(&v2.url()));
    running.ask(Stop::Now);
    let counts = within(running.task).await.expect("join");
    assert_eq!(counts.taken(), 0);
    assert!(running.batch_tx.send(vec![job(1, "/")].into()).is_err(), "refused from now on");
}

#[tokio::test]
async fn the_published_sums_hold_at_every_moment() {
    const JOBS: u64 = 2000;
    let v2 = V2::start(|seen| match seen.target().len() % 3 {
        0 => Reply::Reset(vec![]),
        _ => answer(200, "ok"),
    })
    .await;
    let running = Running::start(&config(&v2.url()));
    let paths = ["/a", "/ab", "/abc"];
    running.give((0..JOBS).map(|i| job(i % 50, paths[(i % 3) as usize])).collect()).await;
    until("all are over", || {
        let counts = running.counts.snapshot();
        assert!(counts.taken() == JOBS || counts.taken() == 0, "{counts:?}");
        counts.taken() == JOBS && counts.in_flight == 0
    })
    .await;
    let (answered, failed, waited, cut) = ends(&running.end().await);
    assert_eq!((answered + failed, waited, cut), (JOBS, 0, 0));
    assert!(answered > 0 && failed > 0);
}
