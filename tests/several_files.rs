//! `inspect` and `replay` of several files in one call: rotated captures, recordings one after another.
//!
//! In: fixtures cut in pieces, and files made here. Truth is what the whole file gives. Needs no rights.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::netns::Place;
use crate::support::process::Finished;
use crate::support::request::exact;
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

/// Fixtures with more frames than this take too long to be cut behind each.
const MOST_FRAMES: usize = 120;

/// Bytes of a pcap file's header.
const FILE_HEAD: usize = 24;
/// Bytes of a record's header.
const RECORD_HEAD: usize = 16;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Files in a directory that lasts as long as this.
struct Dir(TempDir);

impl Dir {
    #[track_caller]
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    #[track_caller]
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("own directory");
        path
    }
}

/// A little-endian pcap taken apart: its header, and its records.
struct Parts {
    head: Vec<u8>,
    records: Vec<Vec<u8>>,
}

impl Parts {
    #[track_caller]
    fn of(fixture: &str) -> Self {
        let bytes = std::fs::read(fixtures::path(fixture)).expect("a fixture");
        assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1], "{fixture}: little-endian, microseconds");
        let (head, mut rest) = bytes.split_at(FILE_HEAD);
        let mut records = Vec::new();
        while !rest.is_empty() {
            let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
            let (record, behind) = rest.split_at(RECORD_HEAD + len);
            records.push(record.to_vec());
            rest = behind;
        }
        Self { head: head.to_vec(), records }
    }

    /// A file of some of the records.
    fn some(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        [self.head.clone(), self.records[range].concat()].concat()
    }

    /// Two files, the second from this record on.
    fn cut(&self, at: usize) -> [Vec<u8>; 2] {
        [self.some(0..at), self.some(at..self.records.len())]
    }
}

fn inspect(files: &[&Path]) -> Finished {
    let run = Run::new(["inspect", "--json", "--responses"]);
    run.args(files.iter().map(|path| path.as_os_str())).finish(PATIENCE)
}

#[track_caller]
fn messages(files: &[&Path]) -> Vec<Value> {
    fixtures::json_lines(&inspect(files).expect_code(0).stdout)
}

#[test]
fn a_capture_cut_behind_any_frame_gives_the_same_messages() {
    let dir = Dir::new();
    let mut cuts = 0;
    for name in fixtures::names() {
        let parts = Parts::of(&format!("{name}.pcap"));
        if parts.records.len() > MOST_FRAMES {
            continue;
        }
        let whole = messages(&[&fixtures::path(&format!("{name}.pcap"))]);
        for at in 0..=parts.records.len() {
            let [first, second] = parts.cut(at);
            let (first, second) = (dir.file("a", &first), dir.file("b", &second));
            assert_eq!(messages(&[&first, &second]), whole, "{name} cut before frame {at}");
            cuts += 1;
        }
    }
    assert!(cuts > 500, "only {cuts} cuts were tried");
}

#[test]
fn pieces_of_every_kind_are_one_capture() {
    let dir = Dir::new();
    let parts = Parts::of("keepalive.pcap");
    let frames = parts.records.len();
    let third = frames / 3;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &parts.some(third..2 * third)).expect("memory");
    let first = dir.file("a", &parts.some(0..third));
    let second = dir.file("b.gz", &gzip.finish().expect("memory"));
    let third = dir.file("c", &parts.some(2 * third..frames));
    let whole = messages(&[&fixtures::path("keepalive.pcap")]);
    assert_eq!(messages(&[&first, &second, &third]), whole);
    let run = Run::new(["inspect", "--json", "--responses", text(&first), "-", text(&third)]);
    let done = run.stdin(&second).finish(PATIENCE).expect_code(0);
    assert_eq!(fixtures::json_lines(&done.stdout), whole, "standard input in the middle");
}

#[test]
fn all_pieces_are_replayed_and_summed_in_one_ledger() {
    let dir = Dir::new();
    let parts = Parts::of("pipelined.pcap");
    let [first, second] = parts.cut(parts.records.len() / 2);
    let (first, second) = (dir.file("a", &first), dir.file("b", &second));
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let run = Run::new(["replay", text(&first), text(&second), "--to", &v2.url(), "--json"]);
    let done = run.args(["--methods", "all", "--speed", "max"]).finish(PATIENCE).expect_code(0);
    exact(&fixtures::requests("pipelined"), &v2.requests());
    let ledger = done.ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/packets/received"), parts.records.len() as u64);
    assert!(done.stderr.contains(&format!("{} and {}", text(&first), text(&second))));
}

#[test]
fn a_piece_cut_off_is_said_by_its_name_and_the_next_goes_on() {
    let dir = Dir::new();
    let parts = Parts::of("keepalive.pcap");
    let [mut first, second] = parts.cut(parts.records.len() / 2);
    // Half a record more, as when the disk was full.
    first.extend(&parts.records[0][..20]);
    let (first, second) = (dir.file("full-disk", &first), dir.file("next", &second));
    let done = inspect(&[&first, &second]).expect_code(0);
    let whole = messages(&[&fixtures::path("keepalive.pcap")]);
    assert_eq!(fixtures::json_lines(&done.stdout), whole);
    let said = format!("{}: cut off within the record", text(&first));
    assert!(done.stderr.contains(&said), "{}", done.stderr);
    assert!(!done.stderr.contains(&format!("{}:", text(&second))), "{}", done.stderr);
}

#[test]
fn a_piece_that_is_corrupt_is_an_error_behind_the_last() {
    let dir = Dir::new();
    let parts = Parts::of("keepalive.pcap");
    let [mut first, second] = parts.cut(parts.records.len() / 2);
    first.extend([0xff; 64]);
    let (first, second) = (dir.file("corrupt", &first), dir.file("next", &second));
    let done = inspect(&[&first, &second]).expect_code(2);
    let whole = messages(&[&fixtures::path("keepalive.pcap")]);
    assert_eq!(fixtures::json_lines(&done.stdout), whole, "what is not corrupt is read");
    let named = format!("{} is corrupt at byte", text(&first));
    assert!(done.stderr.contains(&named), "{}", done.stderr);
    assert!(done.stderr.contains("going on with the other files"), "{}", done.stderr);
}

#[test]
fn time_may_go_backwards_between_files() {
    let dir = Dir::new();
    let parts = Parts::of("keepalive.pcap");
    for back in [2_u32, 3600, 400 * 86_400] {
        for at in 0..parts.records.len() {
            let mut earlier = Parts { head: parts.head.clone(), records: parts.records.clone() };
            for record in &mut earlier.records[at..] {
                let seconds = u32::from_le_bytes(record[..4].try_into().expect("four bytes"));
                record[..4].copy_from_slice(&(seconds - back).to_le_bytes());
            }
            let [first, second] = earlier.cut(at);
            let (first, second) = (dir.file("a", &first), dir.file("b", &second));
            let done = inspect(&[&first, &second]).expect_code(0);
            fixtures::assert_yields(
                &fixtures::expected("keepalive"),
                &fixtures::json_lines(&done.stdout),
            );
        }
    }
}

#[test]
fn captures_in_any_order_are_all_read() {
    let names = ["post", "keepalive", "vlan", "any-cooked2"];
    let paths = names.map(|name| fixtures::path(&format!("{name}.pcap")));
    let mut expected: Vec<Value> = names.iter().flat_map(|name| fixtures::expected(name)).collect();
    let mut files: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    // Within a connection the order counts; between them it does not.
    expected.sort_by_key(|entry| entry["client"].to_string());
    for _ in 0..files.len() {
        fixtures::assert_yields(&expected, &messages(&files));
        files.rotate_left(1);
    }
    files.reverse();
    fixtures::assert_yields(&expected, &messages(&files));
}

#[test]
fn what_cannot_be_read_together_is_said_before_anything_is() {
    let dir = Dir::new();
    let capture = fixtures::path("keepalive.pcap");
    let recording = dir.file("a.warc", &warc(&[("request", 80, b"GET / HTTP/1.1\r\n\r\n")]));
    let other = dir.file("b.json", b"{}");
    let (capture, recording, other) = (text(&capture), text(&recording), text(&other));
    let cases: [(&[&str], &str); 5] = [
        (&[capture, recording], "files of one kind in one call"),
        (&[recording, capture], "files of one kind in one call"),
        (&["-", capture, "-"], "standard input can be read only once"),
        (&[capture, "/nowhere/a.pcap"], "cannot open /nowhere/a.pcap"),
        (&[capture, other], "looks like JSON"),
    ];
    for (files, want) in cases {
        for command in [&["inspect"][..], &["replay", "--to", "http://127.0.0.1:9"]] {
            let done = Run::new([command, files].concat()).finish(PATIENCE).expect_code(2);
            assert!(done.stderr.contains(want), "{files:?}: {}", done.stderr);
            assert_eq!(done.text(), "", "{files:?}");
        }
    }
}

/// A recording as other tools write it: kind, port and block of each record.
fn warc(records: &[(&str, u16, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    for (kind, port, block) in records {
        let head = format!(
            "WARC/1.1\r\nWARC-Type: {kind}\r\nContent-Type: application/http;msgtype={kind}\r\n\
             WARC-Date: 2024-01-01T00:00:00Z\r\nWARC-IP-Address: 10.0.0.2\r\n\
             WARC-Target-URI: http://v1:{port}/\r\nContent-Length: {}\r\n\r\n",
            block.len()
        );
        file.extend([head.as_bytes(), block, b"\r\n\r\n"].concat());
    }
    file
}

/// A record of a .gor recording.
fn gor(kind: u8, id: u64, seconds: u64, message: &str) -> String {
    format!("{kind} {id:024x} {seconds}000000000 0\n{message}\n🐵🙈🙉\n")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: v1\r\n\r\n")
}

#[test]
fn recordings_of_two_pods_and_a_rotation_are_one_by_time() {
    let dir = Dir::new();
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let pod = [gor(1, 1, 11, &get("/1")), gor(1, 3, 13, &get("/3")), gor(1, 6, 16, &get("/6"))];
    let other = [gor(1, 2, 12, &get("/2")), gor(1, 4, 14, &get("/4"))];
    // Its next file: with the answer to a request of the one before.
    let rotated = [gor(2, 4, 15, answer), gor(1, 7, 17, &get("/7"))];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, other.concat().as_bytes()).expect("memory");
    let (rotated, pod) =
        (dir.file("c", rotated.concat().as_bytes()), dir.file("a", pod.concat().as_bytes()));
    let other = dir.file("b", &gzip.finish().expect("memory"));
    let listed = messages(&[&rotated, &pod, &other]);
    let what = |message: &Value| message["target"].as_str().unwrap_or("answer").to_owned();
    let order: Vec<_> = listed.iter().map(what).collect();
    assert_eq!(order, ["/1", "/2", "/3", "/4", "answer", "/6", "/7"]);
    assert_eq!(listed[4]["conn"], listed[3]["conn"], "the answer to /4");
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let run = Run::new(["replay", text(&rotated), text(&pod), "-", "--to", &v2.url(), "--json"]);
    let run = run.args(["--speed", "max", "--concurrency", "1"]).stdin(&other);
    let ledger = run.finish(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.count("/records/read"), ledger.count("/records/messages")), (7, 7));
    let sent = v2.requests();
    let targets: String = sent.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, "/1/2/3/4/6/7");
}

#[test]
fn recordings_without_times_are_read_one_after_another() {
    let dir = Dir::new();
    let request: &[u8] = b"GET /1 HTTP/1.1\r\nHost: v1\r\n\r\n";
    let first = dir.file("a", &warc(&[("request", 80, request), ("request", 80, request)]));
    let second = dir.file("b", &warc(&[("request", 80, request)]));
    let conns: Vec<u64> = messages(&[&first, &second, &first])
        .iter()
        .map(|message| message["conn"].as_u64().expect("a number"))
        .collect();
    let mut distinct = conns.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 5, "each its own connection: {conns:?}");
}

#[test]
fn a_run_in_several_recordings_keeps_its_connections() {
    let dir = Dir::new();
    let piece = |run: &str, index: u32| {
        let request = "GET / HTTP/1.1\r\n\r\n";
        let info = format!("run: {run}\r\n");
        format!(
            "WARC/1.1\r\nWARC-Type: warcinfo\r\nContent-Length: {}\r\n\r\n{info}\r\n\r\n\
             WARC/1.1\r\nWARC-Type: request\r\nContent-Type: application/http\r\n\
             Shadowtap-Connection: 7\r\nShadowtap-Index: {index}\r\nContent-Length: {}\r\n\r\n\
             {request}\r\n\r\n",
            info.len(),
            request.len()
        )
    };
    let pieces = [("one", 0), ("two", 0), ("one", 1)].map(|(run, index)| piece(run, index));
    let files: Vec<PathBuf> =
        ["a", "b", "c"].iter().zip(&pieces).map(|(n, p)| dir.file(n, p.as_bytes())).collect();
    let listed = messages(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let conns: Vec<&Value> = listed.iter().map(|message| &message["conn"]).collect();
    assert_eq!(conns[0], conns[2]);
    assert_ne!(conns[0], conns[1]);
    assert_eq!((&listed[0]["index"], &listed[2]["index"]), (&0.into(), &1.into()));
}

#[test]
fn records_of_a_recording_that_give_no_request_are_counted_by_cause() {
    let dir = Dir::new();
    let request: &[u8] = b"GET /1 HTTP/1.1\r\nHost: v1\r\n\r\n";
    let records: &[(&str, u16, &[u8])] = &[
        ("warcinfo", 80, b"software: other\r\n"),
        ("request", 80, request),
        ("request", 8080, request),
        ("request", 80, b"\x16\x03\x01 is no HTTP"),
        ("metadata", 80, b"a: b\r\n"),
    ];
    let mut cut = warc(records);
    cut.extend(b"WARC/1.1\r\nWARC-Type: request\r\nContent-Le");
    let (first, second) = (dir.file("a", &cut), dir.file("b", &warc(records)));
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let run = Run::new(["replay", text(&first), text(&second), "-p", "80", "--to", &v2.url()]);
    let done = run.args(["--speed", "max", "--json"]).finish(PATIENCE).expect_code(0);
    let ledger = done.ledger();
    ledger.assert_balanced();
    let count = |name: &str| ledger.count(&format!("/records/{name}"));
    assert_eq!((count("read"), count("messages")), (10, 2));
    let causes = ["no_message", "not_http", "other_port"];
    assert_eq!(causes.map(|cause| count(&format!("passed/{cause}"))), [4, 2, 2]);
    assert_eq!((ledger.count("/damaged"), ledger.count("/requests/captured")), (1, 2));
    assert!(done.stderr.contains(&format!("{}: at byte", text(&first))), "{}", done.stderr);
    let listed = Run::new(["inspect", "-p", "80", text(&second)]).finish(PATIENCE).expect_code(0);
    assert!(
        listed.stderr.contains("passed over in the recording: 1 that are of other ports"),
        "{}",
        listed.stderr
    );
}
