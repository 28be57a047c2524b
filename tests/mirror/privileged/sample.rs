//! A share of live traffic: by user exactly those that the library says, and of a recording of the same traffic
//! the same requests again; a rate is never exceeded.

use std::collections::BTreeSet;
use std::path::Path;

use shadowtap::shape::{SampleKey, Sampler};

use crate::support::PATIENCE;
use crate::support::ledger::Ledger;
use crate::support::request::{Request, exact};
use crate::support::shadowtap::Run;
use crate::support::stage::{Stage, capturing, converse};
use crate::support::tcpdump::Tcpdump;

/// Of user-0 to user-59 a tenth and a fifth, by seed 0: computed by another program.
const TENTH: [usize; 3] = [15, 43, 53];
const FIFTH: [usize; 9] = [0, 15, 31, 43, 46, 53, 55, 56, 57];
const USERS: usize = 60;
const EACH: usize = 3;

/// Each user asks a few times, each time on a connection of its own, one after the other.
#[track_caller]
fn ask(stage: &Stage) {
    for round in 0..EACH {
        for user in 0..USERS {
            let request = format!(
                "GET /{user}/{round} HTTP/1.1\r\nHost: a\r\nX-User-Id: user-{user}\r\nConnection: close\r\n\r\n"
            );
            let answer = converse(&stage.client, stage.v1.addr(), &request);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
}

/// What these users asked for.
fn of(users: &[usize]) -> Vec<Request> {
    let get = |user: &usize, round| Request::new("GET", &format!("/{user}/{round}"), b"");
    users.iter().flat_map(|user| (0..EACH).map(move |round| get(user, round))).collect()
}

#[track_caller]
fn assert_sampled(ledger: &Ledger, queued: usize) {
    ledger.assert_balanced();
    let captured = (USERS * EACH) as u64;
    assert_eq!(ledger.count("/requests/captured"), captured, "{:#}", ledger.0);
    assert_eq!(ledger.count("/requests/queued"), queued as u64, "{:#}", ledger.0);
    let out = ledger.count("/requests/refused/sampled_out");
    assert_eq!(out, captured - queued as u64, "{:#}", ledger.0);
    assert_eq!(ledger.count("/targets/0/answered/2xx"), queued as u64);
}

/// What a replay of this file sends.
#[track_caller]
fn replayed(stage: &Stage, file: &Path, args: &[&str]) -> (Vec<Request>, Ledger) {
    let before = stage.v2.requests().len();
    let file = file.to_str().expect("a path in UTF-8");
    let ledger = stage.replay(file).args(args).finish(PATIENCE).expect_code(0).ledger();
    (stage.v2.requests().split_off(before), ledger)
}

fn set(requests: &[Request]) -> BTreeSet<String> {
    requests.iter().map(|request| request.target.clone()).collect()
}

#[test]
fn a_tenth_of_the_users_is_mirrored_whole_and_the_same_from_the_capture() {
    let by = ["--percent", "10", "--sample-by", "header:x-user-id"];
    let sampler = Sampler::new(10.0, 0, SampleKey::Header("x-user-id".into()));
    let most = (0.1 * 2f64.powi(64)) as u64;
    let is_in = |user: &usize| sampler.hash(format!("user-{user}").as_bytes()) < most;
    assert_eq!((0..USERS).filter(is_in).collect::<Vec<_>>(), TENTH, "as the library says");

    let stage = Stage::loopback();
    let filter = format!("tcp port {}", stage.v1.port());
    let tcpdump = Tcpdump::start(&stage.here, stage.interface, &filter, stage.neighbour);
    let mirror = capturing(stage.mirror().args(by).start());
    ask(&stage);
    let packets = tcpdump.stop();
    assert_eq!(stage.v1.log_of(USERS * EACH, PATIENCE).len(), USERS * EACH);
    stage.v2.wait_for(TENTH.len() * EACH, PATIENCE);
    let finished = mirror.terminate(PATIENCE).expect_code(0);
    exact(&of(&TENTH), &stage.v2.requests());
    assert_sampled(&finished.ledger(), TENTH.len() * EACH);
    let said = "of these 10% by header:x-user-id (seed 0)";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);

    for (percent, users) in [("10", &TENTH[..]), ("20", &FIFTH)] {
        let args = ["--percent", percent, "--sample-by", "header:x-user-id"];
        let (sent, ledger) = replayed(&stage, &packets.file, &args);
        exact(&of(users), &sent);
        assert_sampled(&ledger, users.len() * EACH);
    }
}

#[test]
fn without_a_key_a_recording_gives_the_choice_that_was_made_live() {
    let stage = Stage::loopback();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("all.warc");
    let share = ["--percent", "50", "--seed", "7"];
    let mirror = stage.mirror().args(share).args(["--record"]).args([&file]);
    let mirror = capturing(mirror.start());
    ask(&stage);
    assert_eq!(stage.v1.log_of(USERS * EACH, PATIENCE).len(), USERS * EACH);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    let live = stage.v2.requests();
    assert_sampled(&ledger, live.len());
    assert_eq!(ledger.count("/recording/requests"), (USERS * EACH) as u64, "all is recorded");
    assert!(live.len().abs_diff(USERS * EACH / 2) < 40, "{}", live.len());

    let (sent, ledger) = replayed(&stage, &file, &share);
    exact(&live, &sent);
    assert_sampled(&ledger, live.len());
    let (more, _) = replayed(&stage, &file, &["--percent", "60", "--seed", "7"]);
    assert!(set(&live).is_subset(&set(&more)) && more.len() > live.len());
    let (other, _) = replayed(&stage, &file, &["--percent", "50", "--seed", "8"]);
    assert_ne!(set(&other), set(&live), "another seed");
}

#[test]
fn more_than_the_rate_is_shed_by_name_and_the_recording_sheds_the_same() {
    let stage = Stage::loopback();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("all.warc");
    let cap = ["--max-rate", "5/s"];
    let mirror = stage.mirror().args(cap).args(["--record"]).args([&file]);
    let mirror = capturing(mirror.start());
    ask(&stage);
    assert_eq!(stage.v1.log_of(USERS * EACH, PATIENCE).len(), USERS * EACH);
    let finished = mirror.terminate(PATIENCE).expect_code(0);
    let (ledger, live) = (finished.ledger(), stage.v2.requests());
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/queued"), live.len() as u64);
    let shed = ledger.count("/requests/refused/shed_over_rate");
    assert_eq!(shed, (USERS * EACH - live.len()) as u64);
    assert!(live.len() >= 5 && shed > 0, "{} sent", live.len());
    assert!(finished.stderr.contains("no more than 5/s"), "{}", finished.stderr);
    let run =
        Run::new(["replay", file.to_str().expect("UTF-8"), "--to", &stage.v2.url(), "--json"]);
    let ledger = run.args(cap).finish(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    exact(&live, &stage.v2.requests().split_off(live.len()));
    assert_eq!(ledger.count("/requests/refused/shed_over_rate"), shed);
}
