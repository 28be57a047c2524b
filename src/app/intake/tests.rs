//! Messages made by hand through the intake: buckets and their sums, limits, what waits for v1's status, ends of connections.

use super::*;
use crate::app::tests::request;
use crate::model::{Completion, Start, StatusSeen, Timestamp};
use crate::shape::{Methods, RateCap, SampleKey, Sampler};

fn intake(
    limit: Option<u64>,
    messages: usize,
) -> (Intake, crossbeam_channel::Receiver<Vec<Queued>>, Shared) {
    let (batch_tx, batch_rx) = crossbeam_channel::bounded(messages);
    let shared = Shared::default();
    let admission = Admission {
        marker: crate::model::MARKER_FIELD,
        methods: Methods::Safe,
        is_replay: true,
        holds_ambiguous: true,
        rules: Default::default(),
        sampler: None,
        cap: None,
    };
    let budgets = Budgets::new(1, messages, 1 << 20);
    let outlet: Outlet = Box::new(move |batch, _| batch_tx.send(batch).is_ok());
    let intake = Intake::new(outlet, budgets, WhenFull::DropNewest, admission, shared.clone());
    (intake.limit(limit), batch_rx, shared)
}

#[test]
fn every_request_is_in_one_bucket() {
    let (mut intake, batch_rx, shared) = intake(None, 2);
    let marked = request(b"GET /m HTTP/1.1\r\nX-Shadowtap: r-1\r\n\r\n");
    let post = request(b"POST / HTTP/1.1\r\n\r\n");
    let connect = request(b"CONNECT a:1 HTTP/1.1\r\n\r\n");
    let get = || request(b"GET / HTTP/1.1\r\n\r\n");
    let all = vec![get(), marked, post, connect, get(), get()];
    assert_eq!(intake.take(all.into(), CaptureCounts::default()), Flow::More);
    let snapshot = shared.snapshot();
    assert_eq!(snapshot.contradictions(), Vec::<String>::new());
    assert_eq!((snapshot.requests.captured, snapshot.requests.queued), (6, 2));
    for cause in
        [Refused::Marker, Refused::MethodHeldBack, Refused::NotReplayable, Refused::QueueFull]
    {
        assert_eq!(snapshot.requests.refused.get(cause), 1, "{cause:?}");
    }
    assert_eq!(batch_rx.try_recv().expect("a batch").len(), 2);
}

#[test]
fn a_recording_takes_what_is_not_whole_and_a_replay_does_not() {
    for is_recording in [true, false] {
        let (intake, batch_rx, shared) = intake(None, 10);
        let mut intake = intake.with_responses(true);
        if is_recording {
            intake.admission = crate::config::recording();
        }
        let get = || request(b"GET / HTTP/1.1\r\n\r\n");
        let mut parts = [get(), get()];
        parts[0].completion = Completion::Incomplete;
        parts[1].completion = Completion::TooLarge;
        let mut answer = get();
        let reason = crate::model::message::Span::default();
        answer.start = Start::Response { status: 200, reason, request: Some(0) };
        answer.completion = Completion::Incomplete;
        let all = parts.into_iter().chain([get(), answer]).collect::<Vec<_>>();
        intake.take(all.into(), CaptureCounts::default());
        let snapshot = shared.snapshot();
        assert_eq!(snapshot.contradictions(), Vec::<String>::new());
        let queued = if is_recording { 3 } else { 1 };
        assert_eq!((snapshot.requests.captured, snapshot.requests.queued), (3, queued));
        assert_eq!(batch_rx.try_recv().expect("a batch").len() as u64, queued + 1);
    }
}

#[test]
fn what_is_sampled_out_takes_no_token_and_each_has_its_bucket() {
    let (mut intake, batch_rx, shared) = intake(None, 100);
    // Of these users one is in, the other is not.
    let sampler = Sampler::new(50.0, 0, SampleKey::Header("u".into()));
    (intake.admission.sampler, intake.admission.cap) = (Some(sampler), Some(RateCap::new(2.0)));
    let of_a = || request(b"GET /a HTTP/1.1\r\nu: a\r\n\r\n");
    let of_c = || request(b"GET /c HTTP/1.1\r\nu: c\r\n\r\n");
    let all = vec![of_a(), of_c(), of_a(), of_c(), of_a(), of_c()];
    intake.take(all.into(), CaptureCounts::default());
    let requests = shared.snapshot().requests;
    assert_eq!(shared.snapshot().contradictions(), Vec::<String>::new());
    assert_eq!(requests.refused.get(Refused::SampledOut), 3);
    assert_eq!((requests.queued, requests.refused.get(Refused::OverRate)), (2, 1));
    assert_eq!(batch_rx.try_recv().expect("a batch").len(), 2);
}

#[test]
fn the_limit_is_exact() {
    let (mut intake, batch_rx, shared) = intake(Some(3), 100);
    let gets: Vec<_> = (0..5).map(|_| request(b"GET / HTTP/1.1\r\n\r\n")).collect();
    assert_eq!(intake.take(gets.into(), CaptureCounts::default()), Flow::Enough);
    assert_eq!(batch_rx.try_recv().expect("a batch").len(), 3);
    assert_eq!(shared.snapshot().requests.captured, 3);
}

#[test]
fn ends_go_behind_the_requests_of_their_batch_and_the_last_at_the_end() {
    let (event_tx, event_rx) = crossbeam_channel::unbounded();
    let (mut intake, _batch_rx, _) = intake(None, 100);
    intake.outlet = Box::new(move |batch, ended| event_tx.send((batch.len(), ended)).is_ok());
    let mut intake = intake.with_ends();
    let mut take = |messages: Vec<Message>, ended: &[u64]| {
        let seen = Seen { ended: ended.to_vec(), ..messages.into() };
        intake.take(seen, CaptureCounts::default())
    };
    take(vec![], &[1]);
    assert!(event_rx.is_empty(), "it waits for a batch to go with");
    take(vec![request(b"GET / HTTP/1.1\r\n\r\n")], &[2]);
    assert_eq!(event_rx.try_recv().expect("a batch"), (1, vec![1, 2]));
    take(vec![], &vec![3; ENDS_MOST]);
    assert_eq!(event_rx.try_recv().expect("many").1.len(), ENDS_MOST);
    take(vec![], &[4]);
    drop(intake);
    assert_eq!(event_rx.try_recv().expect("the last"), (0, vec![4]));
}

#[test]
fn a_duration_is_that_of_the_schedule_also_within_a_batch() {
    let (intake, batch_rx, shared) = intake(None, 100);
    let pace = Pace::Captured { factor: 2.0, max_gap: Some(Duration::from_secs(4)) };
    let mut intake = intake.duration(Some(Duration::from_secs(5)), pace);
    let get = |&at: &u64| {
        let mut message = request(b"GET / HTTP/1.1\r\n\r\n");
        message.first_byte = Timestamp::from_parts(at, 0);
        message
    };
    // Due after 0, 1, 3, 5 and 7 s.
    let gets: Vec<_> = [10, 12, 100, 1000, 2000].iter().map(get).collect();
    assert_eq!(intake.take(gets.into(), CaptureCounts::default()), Flow::Enough);
    assert_eq!(batch_rx.try_recv().expect("a batch").len(), 4);
    assert_eq!(shared.snapshot().requests.captured, 4);
}

/// An intake whose requests wait for v1 to say 200, in this order.
fn waiting_intake(keeps_order: bool) -> (Intake, crossbeam_channel::Receiver<Vec<Queued>>, Shared) {
    let (intake, batch_rx, shared) = intake(None, 10_000);
    let only = crate::shape::expr::Expr::parse("status == 200").expect("an expression");
    let rules = crate::shape::Rules::new(vec![only], Vec::new());
    let room = crate::app::waiting::Room {
        messages: 10_000,
        bytes: 1 << 30,
        patience: Duration::from_secs(60),
        keeps_order,
    };
    let mut intake = intake.with_waiting(Some(Waiting::new(rules.clone(), room)));
    intake.admission.rules = rules;
    (intake, batch_rx, shared)
}

fn get_at(conn: u64, nanos: u64) -> Message {
    let mut message = request(b"GET / HTTP/1.1\r\n\r\n");
    let at = Timestamp::from_nanos(100_000_000_000 + nanos);
    (message.first_byte, message.last_byte, message.conn) = (at, at, conn);
    message
}

fn answer_to(request: &Message, status: u16, millis: u64) -> StatusSeen {
    let at = request.last_byte + Duration::from_millis(millis);
    StatusSeen { conn: request.conn, request: 0, status, at }
}

/// A rate is one of captured requests: v1's slow answers earn nothing, and live and file agree.
#[test]
fn the_rate_is_the_same_however_late_v1_answers_live_and_from_a_file() {
    const MILLI: u64 = 1_000_000;
    // Every tenth request is answered after 11 s, some of the others with an error: 50 a second for 30 s.
    let all: Vec<_> = (0..1500).map(|n| get_at(n, n * 20 * MILLI)).collect();
    let late = |n: usize| if n.is_multiple_of(10) { 11_000 } else { 3 };
    let status = |n: usize| if n % 7 == 3 { 500 } else { 200 };
    let mut events: Vec<_> = (0..all.len())
        .flat_map(|n| [(n as u64 * 20, n, false), (n as u64 * 20 + late(n), n, true)])
        .collect();
    events.sort();
    let chosen = |keeps_order: bool, at_once: usize| {
        let (mut intake, batch_rx, shared) = waiting_intake(keeps_order);
        intake.admission.cap = Some(RateCap::new(5.0));
        for part in events.chunks(at_once) {
            let mut seen = Seen::default();
            for &(_, n, is_answer) in part {
                match is_answer {
                    true => seen.statuses.push(answer_to(&all[n], status(n), late(n))),
                    false => seen.messages.push(all[n].clone()),
                }
            }
            intake.take(seen, CaptureCounts::default());
        }
        drop(intake);
        assert_eq!(shared.snapshot().contradictions(), Vec::<String>::new());
        assert_eq!(shared.snapshot().requests.captured, 1500);
        let mut chosen: Vec<_> =
            batch_rx.iter().flatten().map(|(message, _)| message.conn).collect();
        chosen.sort_unstable();
        chosen
    };
    let live = chosen(false, 1);
    for (at, &from) in live.iter().enumerate() {
        for (count, &until) in live.iter().skip(at).enumerate() {
            let most = 5.0 * ((until - from) as f64 * 0.02 + 1.0);
            assert!(count as f64 <= most, "{count} requests from {from} until {until}");
        }
    }
    assert!(live.len() > 100, "{}", live.len());
    assert_eq!(live, chosen(true, 256), "as from a file, read in parts");
    assert_eq!(live, chosen(false, 64), "whatever is seen at once");
}

#[test]
fn what_was_captured_before_a_newer_admission_keeps_its_share() {
    let (intake, batch_rx, shared) = waiting_intake(false);
    let (newest, newer) = crate::app::newest::newest();
    let mut intake = intake.with_newer(newer);
    let all = [get_at(1, 0), get_at(2, 1), get_at(3, 2)];
    intake.take(all[..2].to_vec().into(), CaptureCounts::default());
    let none = Some(Sampler::new(0.0, 0, SampleKey::Request));
    newest.set(Admission { sampler: none, ..intake.admission.clone() });
    let statuses = all.each_ref().map(|request| answer_to(request, 200, 3)).to_vec();
    let seen = Seen { statuses, ..vec![all[2].clone()].into() };
    intake.take(seen, CaptureCounts::default());
    let sent: Vec<_> = batch_rx.try_iter().flatten().map(|(message, _)| message.conn).collect();
    assert_eq!(sent, [1, 2]);
    assert_eq!(shared.snapshot().requests.refused.get(Refused::SampledOut), 1);
}

/// Due times, and what `--duration` cuts off, are those of the captured order, whenever v1's answers came.
#[test]
fn what_waits_for_a_status_keeps_its_place_in_the_schedule() {
    let (intake, batch_rx, shared) = waiting_intake(true);
    let pace = Pace::Captured { factor: 1.0, max_gap: Some(Duration::from_secs(5)) };
    let mut intake = intake.duration(Some(Duration::from_secs(9)), pace);
    let seconds = [100, 101, 150, 152, 200];
    let get = |(conn, at): (usize, &u64)| get_at(conn as u64, (at - 100) * 1_000_000_000);
    let gets = seconds.iter().enumerate().map(get).collect::<Vec<_>>();
    assert_eq!(intake.take(gets.clone().into(), CaptureCounts::default()), Flow::More);
    assert!(batch_rx.is_empty() && shared.snapshot().requests.captured == 0);
    let answer = |n: usize| answer_to(&gets[n], if n == 1 { 404 } else { 200 }, 20_000);
    // The second is left out: the third is due 5 s after the first.
    let statuses = [4, 3, 2, 1, 0].map(answer).to_vec();
    let seen = Seen { statuses, ..Seen::default() };
    assert_eq!(intake.take(seen, CaptureCounts::default()), Flow::Enough);
    let batch = batch_rx.try_recv().expect("a batch");
    let sent: Vec<_> = batch.iter().map(|(message, _)| message.conn).collect();
    assert_eq!(sent, [0, 2, 3], "the last is due after 12 s");
    let requests = shared.snapshot().requests;
    assert_eq!((requests.captured, requests.queued), (4, 3));
    assert_eq!(requests.refused.get(Refused::Filtered), 1);
}

#[test]
fn a_file_waits_for_room_and_loses_nothing() {
    let (mut intake, batch_rx, shared) = intake(None, 2);
    intake.when_full = WhenFull::Block;
    let consumer = std::thread::spawn(move || batch_rx.iter().map(|b| b.len()).sum::<usize>());
    let gets: Vec<_> = (0..500).map(|_| request(b"GET / HTTP/1.1\r\n\r\n")).collect();
    assert_eq!(intake.take(gets.into(), CaptureCounts::default()), Flow::More);
    drop(intake);
    assert_eq!(consumer.join().expect("joins"), 500);
    assert_eq!(shared.snapshot().requests.queued, 500);
}
