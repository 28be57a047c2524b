//! Order within a connection, due times, concurrency, and the use of connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::model::ledger::{Failure, ShedLater};
use crate::replay::{Batch, Job, Replayer, Stop};

use super::message::get;
use super::v2::{Reply, V2, answer};
use super::{config, replay, replay_jobs, until, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_a_connection_arrive_in_order_whatever_the_others_do() {
    const CONNECTIONS: u64 = 200;
    const EACH: u64 = 20;
    const CONCURRENCY: usize = 16;
    let v2 = V2::ok().await;
    let mut config = config(&v2.url());
    config.concurrency = CONCURRENCY;
    let messages =
        (0..EACH).flat_map(|i| (0..CONNECTIONS).map(move |c| get(c, &format!("/{c}/{i}"))));
    let counts = replay(&config, messages.collect()).await;
    assert_eq!(counts.answered.total(), CONNECTIONS * EACH, "{counts:?}");
    let mut next: HashMap<u64, u64> = HashMap::new();
    for seen in v2.seen() {
        let mut numbers = seen.target().split('/').skip(1).map(|n| n.parse().expect("number"));
        let (conn, i): (u64, u64) = (numbers.next().expect("conn"), numbers.next().expect("index"));
        let expected = next.entry(conn).or_default();
        assert_eq!(i, *expected, "connection {conn}");
        *expected += 1;
    }
    assert_eq!(next.values().sum::<u64>(), CONNECTIONS * EACH);
    assert_eq!(v2.accepted() as u64, CONNECTIONS, "each has a connection of its own");
}

#[tokio::test]
async fn no_more_than_the_allowed_number_is_in_flight() {
    let v2 = V2::start(|_| Reply::Hang).await;
    let mut config = config(&v2.url());
    (config.concurrency, config.timeout) = (3, Duration::from_millis(500));
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    let (stop_tx, stop_rx) = watch::channel(Stop::Go);
    let replayer = Replayer::new(&config).expect("replayer");
    let counts = replayer.counts();
    let running = tokio::spawn(replayer.run(batch_rx, stop_rx));
    let jobs = (0..10).map(|c| Job { message: get(c, "/"), due: None, guard: () });
    batch_tx.send(jobs.collect::<Vec<_>>().into()).expect("send");
    until("all three hang", || v2.seen().len() == 3).await;
    assert_eq!(counts.snapshot().in_flight, 10);
    assert_eq!(counts.snapshot().failed.total(), 0);
    until("the next three have their turn", || v2.seen().len() == 6).await;
    assert!(counts.snapshot().failed.get(Failure::Timeout) >= 3);
    stop_tx.send(Stop::Now).expect("stop");
    drop(batch_tx);
    assert_eq!(within(running).await.expect("join").taken(), 10);
}

#[tokio::test]
async fn a_request_that_hangs_holds_up_its_own_connection_only() {
    let v2 = V2::start(|seen| match seen.target() {
        "/hang" => Reply::Hang,
        _ => answer(200, "ok"),
    })
    .await;
    let mut config = config(&v2.url());
    config.timeout = Duration::from_millis(500);
    let mut messages = vec![get(0, "/hang"), get(0, "/after")];
    messages.extend((0..200).map(|i| get(1 + i % 5, "/free")));
    let counts = replay(&config, messages).await;
    assert_eq!((counts.failed.get(Failure::Timeout), counts.answered.total()), (1, 201));
    let order: Vec<String> = v2.seen().iter().map(|s| s.target().to_owned()).collect();
    assert_eq!(order.last().map(String::as_str), Some("/after"), "it alone had to wait");
}

#[tokio::test]
async fn nothing_leaves_before_it_is_due() {
    let v2 = V2::ok().await;
    let start = Instant::now();
    // Given in another order than they are due.
    let dues = [60u64, 20, 40, 0];
    let job = |ms: u64| Job {
        message: get(ms, &format!("/{ms}")),
        due: Some(start + Duration::from_millis(ms)),
        guard: (),
    };
    let counts = replay_jobs(&config(&v2.url()), dues.map(job).into()).await;
    assert_eq!(counts.answered.total(), 4);
    let seen = v2.seen();
    let order: Vec<&str> = seen.iter().map(|s| s.target()).collect();
    assert_eq!(order, ["/0", "/20", "/40", "/60"]);
    for seen in &seen {
        let due: u64 = seen.target().trim_start_matches('/').parse().expect("number");
        assert!(seen.at >= start + Duration::from_millis(due), "{due} came early");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let v2 = V2::ok().await;
    let counts = replay(&config(&v2.url()), (0..300).map(|i| get(i % 2, "/")).collect()).await;
    assert_eq!(counts.answered.total(), 300);
    assert!(v2.accepted() <= 6, "{} connections for two at a time", v2.accepted());
}

#[tokio::test]
async fn what_waits_too_long_is_shed_although_nothing_ends() {
    let v2 = V2::start(|_| Reply::Hang).await;
    let mut config = config(&v2.url());
    (config.concurrency, config.max_lag) = (1, Some(Duration::from_millis(50)));
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    let (_stop_tx, stop_rx) = watch::channel(Stop::Go);
    let replayer = Replayer::new(&config).expect("replayer");
    let counts = replayer.counts();
    let running = tokio::spawn(replayer.run(batch_rx, stop_rx));
    let due = Instant::now();
    let job = |conn| Job { message: get(conn, "/"), due: Some(due), guard: () };
    batch_tx.send([1, 2, 2, 2, 3].map(job).to_vec().into()).expect("send");
    let lag = || counts.snapshot().shed.get(ShedLater::Lag);
    until("all but the one that hangs are shed", || lag() == 4).await;
    assert_eq!((counts.snapshot().in_flight, v2.accepted()), (1, 1));
    assert!(due.elapsed() >= Duration::from_millis(50));
    running.abort();
}

#[tokio::test]
async fn a_connection_to_v2_closes_with_the_captured_one_behind_its_last_answer() {
    let v2 = V2::start(|seen| match seen.target() {
        "/hang" => Reply::Hang,
        _ => answer(200, "ok"),
    })
    .await;
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    let (_stop_tx, stop_rx) = watch::channel(Stop::Go);
    let replayer = Replayer::new(&config(&v2.url())).expect("replayer");
    let counts = replayer.counts();
    let running = tokio::spawn(replayer.run(batch_rx, stop_rx));
    let job = |conn, path| Job { message: get(conn, path), due: None, guard: () };
    let (jobs, answered) =
        ((0..50).map(|conn| job(conn % 10, "/")).collect(), || counts.snapshot().answered.total());
    // Ended before anything was sent, and one of them after; one never ends, one is under way.
    let ended = (0..8).collect();
    batch_tx.send(Batch { jobs, answers: vec![], ended, guard: None }).expect("send");
    until("all are answered", || answered() == 50).await;
    until("those that ended are closed", || v2.closed() == 8).await;
    let jobs = vec![job(9, "/hang")];
    let batch = Batch { jobs, answers: vec![], ended: vec![8, 77], guard: None };
    batch_tx.send(batch).expect("send");
    until("the last that ended is closed", || v2.closed() == 9).await;
    assert_eq!(v2.accepted(), 10, "each had one for all its requests");
    until("it hangs", || v2.seen().len() == 51).await;
    assert_eq!(v2.closed(), 9, "what is under way stays");
    running.abort();
}

/// Counts how many of it are gone.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_guard_lives_until_its_request_is_over() {
    let v2 = V2::start(|seen| match seen.target() {
        "/hang" => Reply::Hang,
        _ => answer(200, "ok"),
    })
    .await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    let (stop_tx, stop_rx) = watch::channel(Stop::Go);
    let running =
        tokio::spawn(Replayer::new(&config(&v2.url())).expect("replayer").run(batch_rx, stop_rx));
    let job =
        |conn, path| Job { message: get(conn, path), due: None, guard: Guard(dropped.clone()) };
    let jobs = vec![job(1, "/hang"), job(1, "/waits"), job(2, "/a"), job(2, "/b")];
    batch_tx.send(jobs.into()).expect("send");
    until("the answered ones are over", || dropped.load(Ordering::SeqCst) == 2).await;
    stop_tx.send(Stop::Now).expect("stop");
    drop(batch_tx);
    within(running).await.expect("join");
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
}
