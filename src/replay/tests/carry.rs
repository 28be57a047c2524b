//! Answers that are kept, requests that change by them, and those that wait for them.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

use crate::model::ledger::{Failure, ShedLater, TargetCounts};
use crate::model::{KeptAnswer, Message};
use crate::replay::{Carry, CarryCounts, Client, Job, ReplayConfig, Replayer, Stop};

use super::message::{get, request};
use super::v2::{Reply, V2, answer};
use super::{config, within};

/// What a [`Notes`] saw.
#[derive(Default)]
struct Seen {
    over: Vec<(u64, Option<KeptAnswer>)>,
}

/// Keeps answers; a request to `/after/N` waits for the `N`th and leaves with its answer's body as its path.
struct Notes {
    seen: Arc<Mutex<Seen>>,
    keeps: usize,
}

fn number(message: &Message) -> Option<u64> {
    std::str::from_utf8(message.target().strip_prefix(b"/after/")?).ok()?.parse().ok()
}

impl Notes {
    fn answer(&self, n: u64) -> Option<Option<KeptAnswer>> {
        let seen = self.seen.lock().expect("seen");
        seen.over.iter().find(|(other, _)| *other == n).map(|(_, answer)| answer.clone())
    }
}

impl Carry for Notes {
    fn keeps(&self) -> usize {
        self.keeps
    }

    fn taken(&mut self, _: &Message, _: u64) {}

    fn v1_answered(&mut self, _: &Message) {}

    fn waits_for(&mut self, message: &Message, _: u64) -> Option<u64> {
        number(message).filter(|&n| self.answer(n).is_none())
    }

    fn change(&mut self, message: Message, _: u64) -> Message {
        let body =
            number(&message).and_then(|n| self.answer(n)).flatten().map(|answer| answer.body);
        match body {
            None => message,
            Some(body) => get(message.conn, &format!("/{}", String::from_utf8_lossy(&body))),
        }
    }

    fn over(&mut self, n: u64, answer: Option<&KeptAnswer>) {
        self.seen.lock().expect("seen").over.push((n, answer.cloned()));
    }

    fn counts(&self) -> CarryCounts {
        CarryCounts { carried: 1, missing: 2, unread: 3, evicted: 4 }
    }
}

/// Sends these with somebody who keeps so much of each answer.
async fn sent(config: &ReplayConfig, keeps: usize, messages: Vec<Message>) -> (TargetCounts, Seen) {
    let seen = Arc::default();
    let notes = Notes { seen: Arc::clone(&seen), keeps };
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    let (_stop_tx, stop_rx) = watch::channel(Stop::Go);
    let replayer = Replayer::new(config).expect("replayer").carrying(Some(Box::new(notes)));
    let jobs = messages.into_iter().map(|message| Job { message, due: None, guard: () });
    batch_tx.send(jobs.collect::<Vec<_>>().into()).expect("send");
    drop(batch_tx);
    let counts = within(tokio::spawn(replayer.run(batch_rx, stop_rx))).await.expect("no panic");
    let seen = std::mem::take(&mut *seen.lock().expect("seen"));
    (counts, seen)
}

#[tokio::test]
async fn all_transports_keep_an_answer_alike_and_no_more_of_its_body_than_is_wanted() {
    for framing in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        let raw = format!("HTTP/1.1 201 X\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n{framing}");
        let v2 = V2::start(move |_| Reply::Write(raw.clone().into())).await;
        for client in [Client::Wire, Client::Reqwest] {
            for (keeps, body) in [(5, &b"hello"[..]), (4, b"hell"), (0, b"")] {
                let config = ReplayConfig { client, ..config(&v2.url()) };
                let (counts, seen) = sent(&config, keeps, vec![get(1, "/")]).await;
                assert_eq!(counts.answered.total(), 1, "{counts:?}");
                let (n, kept) = seen.over.into_iter().next().expect("one is over");
                let kept = kept.expect("an answer");
                assert_eq!((n, kept.status, kept.body.as_slice()), (1, 201, body));
                assert_eq!((kept.body_len, kept.is_cut()), (5, keeps < 5));
                assert_eq!(kept.values("Set-Cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
            }
        }
    }
    let v2 = super::http2::V2::plain().await;
    let config = ReplayConfig { client: Client::Http2, ..config(&v2.url()) };
    let (_, seen) = sent(&config, 1, vec![get(1, "/")]).await;
    let kept = seen.over.into_iter().next().and_then(|(_, kept)| kept).expect("an answer");
    assert_eq!((kept.status, kept.body.as_slice(), kept.is_cut()), (200, &b"o"[..], true));
}

#[tokio::test]
async fn a_request_waits_for_one_of_another_connection_and_leaves_with_its_answer() {
    let v2 = V2::start(|seen| answer(200, &format!("of{}", seen.target().replace('/', "-")))).await;
    let paths = ["/first", "/after/1", "/second", "/after/3", "/third"];
    let conns = [1, 2, 2, 3, 4];
    let messages = conns.into_iter().zip(paths).map(|(conn, path)| get(conn, path)).collect();
    let (counts, seen) = sent(&config(&v2.url()), 100, messages).await;
    assert_eq!((counts.answered.total(), seen.over.len()), (5, 5), "{counts:?}");
    assert_eq!((counts.carried, counts.carry_missing), (1, 2));
    assert_eq!((counts.carry_unread, counts.carry_evicted), (3, 4));
    let arrived: Vec<_> = v2.seen().iter().map(|seen| seen.target().to_owned()).collect();
    let at = |path: &str| arrived.iter().position(|other| other == path).expect(path);
    assert!(at("/first") < at("/of-first") && at("/of-first") < at("/second"), "{arrived:?}");
    assert!(at("/second") < at("/of-second"), "{arrived:?}");
}

#[tokio::test]
async fn who_waits_goes_on_when_the_other_fails_or_cannot_be_sent() {
    let v2 = V2::start(|seen| match seen.target() {
        "/reset" => Reply::Reset(vec![]),
        _ => answer(200, "ok"),
    })
    .await;
    let unsendable = request(5, "CONNECT v1:443 HTTP/1.1\r\n\r\n");
    let messages = vec![
        get(1, "/reset"),
        get(2, "/after/1"),
        get(3, "/after/5"),
        unsendable,
        get(6, "/x"),
        get(7, "/after/4"),
    ];
    let (counts, seen) = sent(&config(&v2.url()), 10, messages).await;
    assert_eq!((counts.answered.total(), seen.over.len()), (4, 6), "{counts:?}");
    assert_eq!((counts.failed.get(Failure::Reset), counts.failed.get(Failure::Unsendable)), (1, 1));
    let arrived: Vec<_> = v2.seen().iter().map(|seen| seen.target().to_owned()).collect();
    let at = |path: &str| arrived.iter().position(|other| other == path).expect(path);
    assert!(at("/reset") < at("/after/1"), "{arrived:?}");
    // The third names a later one, which could be a circle: it does not wait, and has no answer to change by.
    assert!(arrived.len() == 5 && arrived.contains(&"/after/5".into()), "{arrived:?}");
}

#[tokio::test]
async fn who_waits_takes_no_room_and_is_counted_when_all_is_given_up() {
    let v2 = V2::start(|_| Reply::Hang).await;
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    let (stop_tx, stop_rx) = watch::channel(Stop::Go);
    let notes = Notes { seen: Arc::default(), keeps: 0 };
    let config = ReplayConfig { concurrency: 2, ..config(&v2.url()) };
    let replayer = Replayer::new(&config).expect("replayer").carrying(Some(Box::new(notes)));
    let running = tokio::spawn(replayer.run(batch_rx, stop_rx));
    let messages = [get(1, "/hang"), get(2, "/after/1"), get(2, "/behind"), get(3, "/hang")];
    let jobs = messages.into_iter().map(|message| Job { message, due: None, guard: () });
    batch_tx.send(jobs.collect::<Vec<_>>().into()).expect("send");
    super::until("two hang", || v2.seen().len() == 2).await;
    stop_tx.send(Stop::Now).expect("stop");
    drop(batch_tx);
    let counts = within(running).await.expect("no panic");
    let shed = (counts.shed.get(ShedLater::CutOff), counts.shed.get(ShedLater::DrainDeadline));
    assert_eq!((shed, counts.in_flight), ((2, 2), 0), "{counts:?}");
    assert!(v2.seen().iter().all(|seen| seen.target() == "/hang"));
}
