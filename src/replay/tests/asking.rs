//! Somebody outside who has a say: what is asked and told in which order, and that every request is counted once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::model::ledger::{ShedLater, TargetCounts};
use crate::model::message::Span;
use crate::model::{KeptAnswer, Message, Start};
use crate::replay::{
    Batch, Job, Middleware, MiddlewareCounts, OnBreak, Order, ReplayConfig, Replayer, Stop,
};

use super::message::get;
use super::v2::{V2, answer};
use super::{config, until, within};

/// Says by the path what becomes of a request: `/drop`, `/late`, `/hang`, `/slow` (once it is let); of `/other` another. Notes
/// everything.
#[derive(Clone, Default)]
struct Notes {
    seen: Arc<Mutex<Vec<String>>>,
    let_go: Arc<Notify>,
}

impl Notes {
    fn note(&self, text: String) {
        self.seen.lock().expect("seen").push(text);
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("seen").clone()
    }
}

impl Middleware for Notes {
    fn ask(&mut self, request: Message) -> BoxFuture<'static, Result<Message, ShedLater>> {
        let path = String::from_utf8_lossy(request.target()).into_owned();
        self.note(format!("ask {path}"));
        let let_go = Arc::clone(&self.let_go);
        async move {
            match path.as_str() {
                "/drop" => Err(ShedLater::MiddlewareDropped),
                "/late" => Err(ShedLater::MiddlewareTimeout),
                "/hang" => std::future::pending().await,
                "/slow" => {
                    let_go.notified().await;
                    Ok(request)
                }
                "/other" => Ok(get(request.conn, "/another")),
                _ => Ok(request),
            }
        }
        .boxed()
    }

    fn wants_v1(&self) -> bool {
        true
    }

    fn keeps(&self) -> Option<usize> {
        Some(2)
    }

    fn v1_answered(&mut self, (conn, _): (u64, u32), response: Message, _: Box<dyn Send>) {
        self.note(format!("v1 {conn} {}", response.status().unwrap_or_default()));
    }

    fn v2_answered(&mut self, (conn, _): (u64, u32), answer: KeptAnswer, _: Duration) {
        self.note(format!("v2 {conn} {}", String::from_utf8_lossy(&answer.body)));
    }

    fn counts(&self) -> MiddlewareCounts {
        MiddlewareCounts { changed: 1, restarts: 2, bad_lines: 3, late: 4, untold: 5 }
    }

    fn end(&mut self, until: Option<Instant>) -> BoxFuture<'static, ()> {
        self.note(format!("end {}", until.is_some()));
        async {}.boxed()
    }
}

/// v1's answer to the request of this connection.
fn v1_answer(conn: u64, status: u16) -> Message {
    let start = Start::Response { status, reason: Span::default(), request: Some(0) };
    Message { start, ..get(conn, "/") }
}

fn job(conn: u64, path: &str) -> Job<Arc<()>> {
    Job { message: get(conn, path), due: None, guard: Arc::new(()) }
}

struct Running {
    notes: Notes,
    batch_tx: mpsc::UnboundedSender<Batch<Arc<()>>>,
    stop_tx: watch::Sender<Stop>,
    task: tokio::task::JoinHandle<TargetCounts>,
}

impl Running {
    fn start(config: &ReplayConfig) -> Self {
        let notes = Notes::default();
        let (batch_tx, batch_rx) = mpsc::unbounded_channel();
        let (stop_tx, stop_rx) = watch::channel(Stop::Go);
        let replayer =
            Replayer::new(config).expect("replayer").asking(Some(Box::new(notes.clone())));
        Self { notes, batch_tx, stop_tx, task: tokio::spawn(replayer.run(batch_rx, stop_rx)) }
    }

    fn give(&self, jobs: Vec<Job<Arc<()>>>, answers: Vec<Message>) {
        let answers = answers.into_iter().map(|answer| (answer, Arc::new(()))).collect();
        let batch = Batch { jobs, answers, ended: Vec::new(), guard: None };
        assert!(self.batch_tx.send(batch).is_ok(), "the replayer takes batches");
    }

    async fn end(self) -> (TargetCounts, Vec<String>) {
        drop(self.batch_tx);
        let counts = within(self.task).await.expect("no panic");
        assert_eq!(counts.in_flight, 0, "{counts:?}");
        (counts, self.notes.seen())
    }
}

#[tokio::test]
async fn answers_are_told_behind_their_request_and_before_the_next_of_its_connection() {
    let v2 = V2::start(|seen| answer(200, seen.target())).await;
    let running = Running::start(&ReplayConfig { concurrency: 1, ..config(&v2.url()) });
    // As a file is read: v1's answers are there before it is the requests' turn.
    let mut second = job(1, "/b");
    second.message.index = 1;
    let jobs = vec![job(1, "/a"), second, job(2, "/other")];
    running.give(jobs, vec![v1_answer(1, 200), v1_answer(2, 404), v1_answer(3, 500)]);
    let (counts, seen) = running.end().await;
    assert_eq!(counts.answered.total(), 3, "{counts:?}");
    let at = |text: &str| seen.iter().position(|seen| seen == text).expect(text);
    assert!(at("ask /a") < at("v1 1 200") && at("v1 1 200") < at("ask /b"), "{seen:?}");
    assert!(
        at("v2 1 /a") < at("ask /b")
            && at("v1 2 404") < at("v2 2 /a")
            && at("ask /other") < at("v1 2 404"),
        "{seen:?}"
    );
    assert_eq!(seen.last().map(String::as_str), Some("end false"));
    assert_eq!(seen.len(), 3 + 2 + 3 + 1, "nothing of what was not sent: {seen:?}");
    let targets: Vec<_> = v2.seen().iter().map(|seen| seen.target().to_owned()).collect();
    assert!(targets.contains(&"/another".to_owned()), "{targets:?}");
    let told = (counts.middleware_changed, counts.middleware_restarts, counts.middleware_bad_lines);
    assert_eq!((told, counts.middleware_late, counts.middleware_untold), ((1, 2, 3), 4, 5));
}

#[tokio::test]
async fn of_one_request_v1_answers_first_where_it_answers_in_time() {
    let v2 = V2::start(|seen| answer(200, seen.target())).await;
    let running = Running::start(&config(&v2.url()));
    let notes = running.notes.clone();
    let nth = |conn: u64, index: u32| {
        let mut job = job(conn, &format!("/{index}"));
        job.message.index = index;
        job
    };
    let seen = |text: &str| notes.seen().iter().any(|seen| seen == text);
    // v2 is first.
    running.give(vec![nth(1, 0), nth(2, 0), nth(3, 0)], Vec::new());
    until("v2 answers", || v2.seen().len() == 3).await;
    running.give(Vec::new(), vec![v1_answer(1, 201)]);
    until("both are told", || seen("v2 1 /0")).await;
    assert!(!seen("v2 2 /0") && !seen("v2 3 /0"), "{:?}", notes.seen());
    // It goes on without v1's answer; it ends.
    running.give(vec![nth(2, 1)], Vec::new());
    let ended = Batch { jobs: Vec::new(), answers: Vec::new(), ended: vec![3], guard: None };
    assert!(running.batch_tx.send(ended).is_ok());
    until("they are told", || seen("v2 2 /0") && seen("v2 3 /0")).await;
    let (_, seen) = running.end().await;
    let at = |text: &str| seen.iter().position(|seen| seen == text).expect(text);
    assert!(at("v1 1 201") < at("v2 1 /0") && at("v2 2 /0") < at("ask /1"), "{seen:?}");
    assert!(at("v2 2 /1") < at("end false"), "{seen:?}");
}

#[tokio::test]
async fn each_request_is_counted_once_and_one_that_is_dropped_stops_no_connection() {
    let v2 = V2::start(|_| answer(200, "ok")).await;
    let config = ReplayConfig { on_break: OnBreak::Stop, ..config(&v2.url()) };
    let running = Running::start(&config);
    let jobs = [(1, "/drop"), (1, "/a"), (2, "/late"), (2, "/b"), (3, "/c")];
    running.give(jobs.map(|(conn, path)| job(conn, path)).into(), Vec::new());
    let (counts, _) = running.end().await;
    let shed = |cause| counts.shed.get(cause);
    assert_eq!((shed(ShedLater::MiddlewareDropped), shed(ShedLater::MiddlewareTimeout)), (1, 1));
    assert_eq!((shed(ShedLater::PredecessorFailed), counts.answered.total()), (1, 2), "{counts:?}");
}

#[tokio::test]
async fn one_that_is_asked_about_holds_up_its_connection_only_and_keeps_its_place() {
    let v2 = V2::start(|_| answer(200, "ok")).await;
    let running = Running::start(&config(&v2.url()));
    running.give(vec![job(1, "/slow"), job(1, "/after"), job(2, "/other")], Vec::new());
    until("the other connection goes on", || v2.seen().len() == 1).await;
    assert_eq!(running.notes.seen().iter().filter(|seen| seen.starts_with("ask")).count(), 2);
    running.notes.let_go.notify_one();
    let (counts, _) = running.end().await;
    assert_eq!(counts.answered.total(), 3);
    let targets: Vec<_> = v2.seen().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/another", "/slow", "/after"]);
}

#[tokio::test]
async fn what_is_asked_about_counts_as_under_way_and_is_too_late_behind_max_lag() {
    let v2 = V2::start(|_| answer(200, "ok")).await;
    let max_lag = Some(Duration::from_millis(50));
    let config = ReplayConfig { concurrency: 1, max_lag, order: Order::None, ..config(&v2.url()) };
    let running = Running::start(&config);
    let now = Instant::now();
    let due = |path: &str| Job { due: Some(now), ..job(1, path) };
    running.give(vec![due("/slow"), due("/behind")], Vec::new());
    let late = now + Duration::from_millis(60);
    until("the time has passed", || Instant::now() > late).await;
    running.notes.let_go.notify_one();
    let (counts, seen) = running.end().await;
    assert_eq!((counts.shed.get(ShedLater::Lag), v2.seen().len()), (2, 0), "{counts:?}");
    assert!(!seen.contains(&"ask /behind".to_owned()), "no room for it: {seen:?}");
}

#[tokio::test]
async fn a_stop_while_requests_are_asked_about_sheds_them_as_not_sent() {
    let v2 = V2::start(|_| answer(200, "ok")).await;
    for stop in [Stop::Now, Stop::DrainUntil(Instant::now())] {
        let running = Running::start(&config(&v2.url()));
        running.give(vec![job(1, "/hang"), job(1, "/b"), job(2, "/hang")], vec![v1_answer(1, 200)]);
        let notes = running.notes.clone();
        until("both are asked about", || notes.seen().len() >= 3).await;
        running.stop_tx.send(stop).expect("the replayer listens");
        let (counts, seen) = running.end().await;
        let shed = (counts.shed.get(ShedLater::DrainDeadline), counts.shed.total());
        assert_eq!(shed, (3, 3), "{counts:?}");
        assert_eq!(seen.last().map(String::as_str), Some("end true"), "{seen:?}");
    }
    assert!(v2.seen().is_empty());
}
