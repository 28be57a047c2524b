//! Messages that were not seen whole: recorded as what they are, read as that, never sent.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use shadowtap::http::{Config, Provenance, Role, parse_whole};
use shadowtap::model::{Anomalies, Anomaly, Completion, Endpoint, Message, Timestamp};
use shadowtap::record::{Plan, Recorder, WarcInfo};

use crate::support::PATIENCE;
use crate::support::fixtures::json_lines;
use crate::support::netns::Place;
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

/// A message of which so much was seen, and what was odd about it.
fn part(conn: u64, raw: &'static str, role: Role, anomalies: &[Anomaly]) -> Message {
    let end = Endpoint::new([127, 0, 0, 1].into(), 80);
    let from = Provenance {
        conn,
        index: 0,
        client: end,
        server: end,
        first_byte: Timestamp::from_parts(1_700_000_000, 0),
        last_byte: Timestamp::from_parts(1_700_000_000, 0),
        request: (role == Role::Server).then_some(0),
        anomalies: anomalies.iter().copied().collect::<Anomalies>(),
        is_whole: anomalies.is_empty(),
    };
    parse_whole(Bytes::from(raw), role, from, &Config::default()).expect("a message")
}

/// A recording of whole and cut messages.
#[track_caller]
fn recorded(path: &Path) {
    let info = WarcInfo { run: "run".into(), ..WarcInfo::default() };
    let mut recorder = Recorder::create(&Plan::one(path), &info).expect("create");
    let (client, server) = (Role::Client, Role::Server);
    let mut large = part(3, "POST /large HTTP/1.1\r\nContent-Length: 9\r\n\r\n", client, &[]);
    (large.completion, large.body_len) = (Completion::TooLarge, 9);
    for message in [
        part(0, "GET /whole HTTP/1.1\r\nHost: x\r\n\r\n", client, &[]),
        part(0, "HTTP/1.1 200 OK\r\n\r\nuntil", server, &[Anomaly::ClosedEarly]),
        part(
            1,
            "POST /cut HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
            client,
            &[Anomaly::CaptureEnded],
        ),
        part(2, "GET /head HTTP/1.1\r\nHost: x\r\nCoo", client, &[Anomaly::Gap]),
        large,
    ] {
        recorder.record(&message);
    }
    let (counts, result) = recorder.finish();
    result.expect("finish");
    assert_eq!((counts.requests, counts.responses, counts.truncated), (4, 1, 4));
}

#[track_caller]
fn warcio_accepts(path: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/warcio.sh");
    let output = Command::new(script).arg("check").arg(path).output().expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}

#[test]
fn a_part_is_marked_listed_as_that_and_never_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.warc");
    recorded(&path);
    warcio_accepts(&path);
    let text = String::from_utf8(std::fs::read(&path).expect("it")).expect("ASCII");
    let why: Vec<_> = text.split("WARC-Truncated: ").skip(1).map(|rest| &rest[..6]).collect();
    assert_eq!(why, ["discon", "discon", "unspec", "length"]);

    let run = Run::new(["inspect", "--json", "--responses"]).args([&path]);
    let listed = json_lines(&run.finish(PATIENCE).expect_code(0).stdout);
    let complete: Vec<_> = listed.iter().map(|message| message["complete"].as_bool()).collect();
    assert_eq!(complete, [true, false, false, false, false].map(Some), "{listed:?}");

    let v2 = V2::start(&Place::Host, LOCALHOST);
    let run = Run::new(["replay", "--speed", "max", "--methods", "all", "--to", &v2.url()]);
    let ledger = run.args(["--json"]).args([&path]).finish(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/records/read"), 6, "{:#}", ledger.0);
    assert_eq!(ledger.count("/records/messages"), 5, "{:#}", ledger.0);
    assert_eq!(ledger.count("/requests/refused/incomplete"), 3, "{:#}", ledger.0);
    assert_eq!(ledger.count("/requests/queued"), 1, "{:#}", ledger.0);
    let targets: Vec<_> = v2.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/whole"]);
}

#[test]
fn what_another_tool_marks_is_no_whole_message_either() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.warc");
    let block = "GET /foreign HTTP/1.1\r\nHost: x\r\n\r\n";
    let record = |number: u32, field: &str| {
        format!(
            "WARC/1.0\r\nWARC-Type: request\r\nWARC-Record-ID: <urn:x:{number}>\r\n{field}\
             Content-Type: application/http; msgtype=request\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n",
            block.len()
        )
    };
    let fields = ["WARC-Truncated: length\r\n", "", "WARC-Truncated: time\r\n"];
    let file: Vec<_> = (0..).zip(fields).map(|(number, field)| record(number, field)).collect();
    std::fs::write(&path, file.concat()).expect("own directory");
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let run = Run::new(["replay", "--speed", "max", "--json", "--to", &v2.url()]).args([&path]);
    let ledger = run.finish(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/refused/incomplete"), 2, "{:#}", ledger.0);
    assert_eq!(v2.received().len(), 1);
}

/// Needs root: captures live.
mod privileged {
    use std::io::Write;
    use std::net::TcpStream;

    use super::*;
    use crate::support::alone;
    use crate::support::stage::{Stage, capturing, converse};

    #[test]
    fn live_parts_are_recorded_beside_what_is_whole_and_the_ledger_knows_them() {
        let _alone = alone();
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let port = stage.v1.port().to_string();
        let run = Run::new(["record", "-i", "lo", "-p", &port, "--json", "--max-body", "1KiB"]);
        let recorder = capturing(run.args(["-o"]).args([&file]).start());
        let tail = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let large = format!("POST /large {tail}Content-Length: 2000\r\n\r\n{}", "x".repeat(2000));
        converse(&stage.client, stage.v1.addr(), &large);
        converse(&stage.client, stage.v1.addr(), &format!("GET /whole {tail}\r\n"));
        let mut cut = TcpStream::connect(stage.v1.addr()).expect("v1 accepts");
        cut.write_all(b"POST /cut HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            .expect("sent");
        drop(cut);

        let ledger = recorder.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/requests/captured"), 3, "{:#}", ledger.0);
        assert_eq!(ledger.count("/recording/requests"), 3, "{:#}", ledger.0);
        assert_eq!(ledger.count("/recording/truncated"), 2, "{:#}", ledger.0);
        assert_eq!(ledger.count("/recording/failed"), 0, "{:#}", ledger.0);
        warcio_accepts(&file);
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("it")).into_owned();
        for (target, why) in [("/large", "length"), ("/cut", "disconnect")] {
            let records = text.split("WARC/1.1\r\n");
            let mut of = records.filter(|record| record.contains(&format!("POST {target} ")));
            let record = of.next().expect("it is there");
            assert!(record.contains(&format!("WARC-Truncated: {why}\r\n")), "{record}");
        }
        let replayed = stage.replay(file.to_str().expect("UTF-8")).finish(PATIENCE);
        let ledger = replayed.expect_code(0).ledger();
        assert_eq!(ledger.count("/requests/refused/incomplete"), 2, "{:#}", ledger.0);
        let targets: Vec<_> = stage.v2.requests().into_iter().map(|r| r.target).collect();
        assert_eq!(targets, ["/whole"]);
        assert!(text.contains("Shadowtap-Time-To-First-Byte: 0."), "{text}");
    }
}
