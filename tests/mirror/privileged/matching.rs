//! `--only`, `--except`, `--path`: what v2 gets of live traffic, exactly, and that a capture file of the same traffic gives the
//! same requests.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::ledger::Ledger;
use crate::support::netns::Place;
use crate::support::request::{Request, exact};
use crate::support::shadowtap::Run;
use crate::support::stage::{LOCALHOST, Stage, capturing, converse};
use crate::support::tcpdump::Tcpdump;
use crate::support::v2::{Behaviour, V2};

/// Connections of a round, each with four requests at once.
const CONNECTIONS: usize = 25;

/// What the `number`th connection asks: v1 answers 200 to the first and third, 503 to the others.
fn asked(number: usize) -> [(Request, String); 4] {
    let get = |path: &str, fields: &str| {
        let target = format!("/{path}/{number}?page=2");
        let head = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
        (Request::new("GET", &target, b""), head)
    };
    let body = format!("{{\"order\": {{\"id\": {number}}}}}");
    let (target, length) = (format!("/orders/{number}"), body.len());
    let post = format!(
        "POST {target} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    [
        get("shadow", "x-shadow: true\r\n"),
        get("broken", "X-Shadow: true\r\nEnd-User: bbo\r\n"),
        (Request::new("POST", &target, body.as_bytes()), post),
        get("broken/last", "Connection: close\r\n"),
    ]
}

/// All of it over v1; gives what was asked, of each connection.
#[track_caller]
fn ask(stage: &Stage) -> Vec<[Request; 4]> {
    (0..CONNECTIONS)
        .map(|number| {
            let asked = asked(number);
            let wire: String = asked.iter().map(|(_, wire)| wire.as_str()).collect();
            let answers = converse(&stage.client, stage.v1.addr(), &wire);
            assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
            assert_eq!(answers.matches("HTTP/1.1 503").count(), 2, "{answers}");
            asked.map(|(request, _)| request)
        })
        .collect()
}

/// Rules, which of the four requests of each connection go on, and the buckets of the others.
struct Case {
    args: &'static [&'static str],
    sent: &'static [usize],
    filtered: usize,
    held_back: usize,
}

#[track_caller]
fn assert_counts(ledger: &Ledger, case: &Case) {
    ledger.assert_balanced();
    let count = |name: &str| ledger.count(&format!("/requests/{name}"));
    let of_each = |n: usize| (n * CONNECTIONS) as u64;
    assert_eq!(count("captured"), of_each(4), "{:#}", ledger.0);
    assert_eq!(count("queued"), of_each(case.sent.len()), "{:#}", ledger.0);
    assert_eq!(count("refused/filtered"), of_each(case.filtered), "{:#}", ledger.0);
    assert_eq!(count("refused/method_held_back"), of_each(case.held_back), "{:#}", ledger.0);
    assert_eq!(ledger.total("/targets/0/answered"), of_each(case.sent.len()), "{:#}", ledger.0);
}

/// Each captured connection has one of its own to v2, and keeps its order there.
#[track_caller]
fn assert_in_order(v2: &V2, sent: &[Vec<Request>]) {
    let mut of_connection: BTreeMap<usize, Vec<Request>> = BTreeMap::new();
    for received in v2.received() {
        of_connection.entry(received.connection).or_default().push(received.request);
    }
    for requests in of_connection.values() {
        assert!(sent.contains(requests), "{requests:?}");
    }
}

/// Live, from the capture file and from the recording of the same traffic.
#[track_caller]
fn sends_exactly(case: &Case) {
    let stage = Stage::loopback();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let recording = dir.path().join("traffic.warc");
    let recording = recording.to_str().expect("a path in UTF-8");
    let filter = format!("tcp port {}", stage.v1.port());
    let tcpdump = Tcpdump::start(&stage.here, stage.interface, &filter, stage.neighbour);
    let run = stage.mirror().args(["--record", recording]);
    let mirror = capturing(run.args(case.args.iter().copied()).start());
    let asked = ask(&stage);
    let pick = |requests: &[Request; 4]| case.sent.iter().map(|&at| requests[at].clone()).collect();
    let sent: Vec<Vec<Request>> = asked.iter().map(pick).collect();
    stage.v2.wait_for(CONNECTIONS * case.sent.len(), PATIENCE);
    let log = stage.v1.log_of(4 * CONNECTIONS, PATIENCE);
    assert_eq!(log.len(), 4 * CONNECTIONS, "v1 was asked once");
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    assert_counts(&ledger, case);
    exact(&sent.concat(), &stage.v2.requests());
    assert_in_order(&stage.v2, &sent);
    let capture = tcpdump.stop();
    let capture = capture.file.to_str().expect("a path in UTF-8");
    for file in [capture, recording] {
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let port = stage.v1.port().to_string();
        let run = Run::new(["replay", file, "-p", &port, "--to", &v2.url(), "--json"]);
        let run = run.args(["--speed", "max"]).args(case.args.iter().copied());
        let ledger = run.finish(PATIENCE).expect_code(0).ledger();
        assert_counts(&ledger, case);
        exact(&sent.concat(), &v2.requests());
        assert_in_order(&v2, &sent);
    }
}

#[test]
fn only_what_asks_for_it() {
    let args = &["--only", "header x-shadow == true"];
    sends_exactly(&Case { args, sent: &[0, 1], filtered: 1, held_back: 1 });
}

#[test]
fn never_what_another_header_excludes() {
    let args = &["--except", "header end-user == bbo"];
    sends_exactly(&Case { args, sent: &[0, 3], filtered: 1, held_back: 1 });
}

#[test]
fn writes_are_blocked_by_their_method_and_rules_choose_among_the_rest() {
    sends_exactly(&Case { args: &[], sent: &[0, 1, 3], filtered: 0, held_back: 1 });
    let args = &["--methods", "all", "--except", "method in POST,PUT", "--path", "/broken/**"];
    sends_exactly(&Case { args, sent: &[1, 3], filtered: 2, held_back: 0 });
    let args = &["--methods", "all", "--only", "json $.order.id < 1000 and client in 127.0.0.0/8"];
    sends_exactly(&Case { args, sent: &[2], filtered: 3, held_back: 0 });
}

#[test]
fn a_rule_on_v1s_status_waits_for_it() {
    let args = &["--methods", "all", "--only", "status in 5xx"];
    sends_exactly(&Case { args, sent: &[1, 3], filtered: 2, held_back: 0 });
    const ONLY: &str = "status == 200 and header x-shadow or path ^= /broken/last";
    let args = &["--methods", "all", "--only", ONLY];
    sends_exactly(&Case { args, sent: &[0, 3], filtered: 2, held_back: 0 });
}

#[test]
fn what_v1_answers_too_late_or_never_is_counted() {
    let stage = Stage::loopback();
    let v1 = V2::start(&stage.here, LOCALHOST);
    let port = v1.addr.port().to_string();
    let run = Run::new(["mirror", "-i", "lo", "-p", &port, "--to", &stage.v2.url(), "--json"]);
    let run = run.args(["--only", "status == 200", "--timeout", "300ms"]);
    let mirror = capturing(run.start());
    let ask = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut stream = stage.client.run(|| TcpStream::connect(v1.addr)).expect("v1 accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(head.as_bytes()).expect("v1 reads");
        // v1 closes when nothing more can come.
        stream.shutdown(Shutdown::Write).expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, or none, and its end");
        answer
    };
    v1.behave(Behaviour::Slow(Duration::from_millis(900)));
    assert!(ask("/late").starts_with("HTTP/1.1 200"));
    v1.behave(Behaviour::Hang(Duration::from_millis(10)));
    assert_eq!(ask("/never"), "");
    v1.behave(Behaviour::Answer);
    assert!(ask("/in-time").starts_with("HTTP/1.1 200"));
    stage.v2.wait_for(1, PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    exact(&[Request::new("GET", "/in-time", b"")], &stage.v2.requests());
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/captured"), 3);
    assert_eq!(ledger.count("/requests/refused/no_v1_answer"), 2, "{:#}", ledger.0);
}
