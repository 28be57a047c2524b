//! Recordings beside warcio, the reference reader of WARC files: it takes what we write, and we
//! take what it writes. Needs python3 with venv and the Python package index, the first time.

use std::path::Path;
use std::process::{Command, Output};

use bytes::Bytes;
use shadowtap::model::message::{Field, Span};
use shadowtap::model::{Anomalies, Completion, Endpoint, Message, Start, Timestamp, Version};
use shadowtap::record::{Item, Plan, Reader, RecordedMessage, Recorder, WarcInfo};

/// Targets that are not all URIs, with the URI under which each must be filed.
const TARGETS: [(&[u8], &str); 9] = [
    (b"/plain?x=1", "http://shop:8080/plain?x=1"),
    (b"/with space", "http://shop:8080/with%20space"),
    ("/größe".as_bytes(), "http://shop:8080/gr%C3%B6%C3%9Fe"),
    (b"/quote\"<a>'", "http://shop:8080/quote%22%3Ca%3E'"),
    (b"/100%", "http://shop:8080/100%25"),
    (b"/\x01\x7f\xff", "http://shop:8080/%01%7F%FF"),
    (b"http://other/abs", "http://other/abs"),
    (b"*", "http://shop:8080"),
    (b"nonsense", "http://shop:8080/nonsense"),
];

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

/// A message of the connection `conn`, its spans as the head `raw[..head_len]` has them.
fn message(conn: u64, raw: Vec<u8>, head_len: usize, start: Start, fields: Vec<Field>) -> Message {
    let raw = Bytes::from(raw);
    Message {
        conn,
        index: 0,
        client: Endpoint::new([192, 0, 2, 1].into(), 40_000),
        server: Endpoint::new([192, 0, 2, 2].into(), 8080),
        first_byte: Timestamp::from_nanos(1_700_000_000_123_456_789 + conn),
        last_byte: Timestamp::from_nanos(1_700_000_000_987_654_321 + conn),
        start,
        version: Version::HTTP_11,
        fields,
        body: raw.slice(head_len..),
        body_len: (raw.len() - head_len) as u64,
        raw,
        head_len,
        body_sha256: None,
        chunked: false,
        completion: Completion::Complete,
        anomalies: Anomalies::default(),
        redacted: 0,
    }
}

fn request(conn: u64, method: &[u8], target: &[u8], body: &[u8]) -> Message {
    let line = [method, b" ", target, b" HTTP/1.1\r\n"].concat();
    let head = [&line[..], b"Host: shop:8080\r\n\r\n"].concat();
    let at = line.len();
    let host = Field { name: span(at, at + 4), value: span(at + 6, at + 15) };
    let start = Start::Request {
        method: span(0, method.len()),
        target: span(method.len() + 1, method.len() + 1 + target.len()),
    };
    message(conn, [&head[..], body].concat(), head.len(), start, vec![host])
}

fn response(conn: u64, body: &[u8]) -> Message {
    let head = b"HTTP/1.1 200 OK\r\n\r\n";
    let start = Start::Response { status: 200, reason: span(13, 15), request: Some(0) };
    message(conn, [head, body].concat(), head.len(), start, Vec::new())
}

/// A recording of one exchange for each target, the bodies of all sorts.
fn record(path: &Path, targets: &[&[u8]]) -> Vec<Message> {
    let info = WarcInfo {
        run: "5f3a".into(),
        host: "pod".into(),
        source: "any".into(),
        filter: "tcp port 8080".into(),
        options: vec![("responses".into(), "true".into())],
        started: Timestamp::from_nanos(1_700_000_000_000_000_000),
    };
    let mut recorder = Recorder::create(&Plan::one(path), &info).expect("create");
    let bodies: [&[u8]; 3] = [b"", b"\r\n\r\nWARC/1.1\r\n\r\n", &[0xff; 70_000]];
    let methods: [&[u8]; 3] = [b"GET", b"PROPFIND", b"POST"];
    let mut messages = Vec::new();
    for (n, target) in targets.iter().enumerate() {
        messages.push(request(n as u64, methods[n % 3], target, bodies[n % 3]));
        messages.push(response(n as u64, bodies[(n + 1) % 3]));
    }
    for message in &messages {
        recorder.record(message);
    }
    let (counts, result) = recorder.finish();
    result.expect("finish");
    let n = targets.len() as u64;
    assert_eq!((counts.requests, counts.responses, counts.failed), (n, n, 0));
    messages
}

fn warcio(args: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/warcio.sh");
    Command::new(script).args(args).output().expect("tests/scripts/warcio.sh runs")
}

#[track_caller]
fn text(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {stderr}{stdout}", output.status);
    assert_eq!(stderr, "", "warcio complains");
    String::from_utf8(output.stdout).expect("utf-8")
}

fn read(path: &Path) -> Vec<RecordedMessage> {
    let mut reader = Reader::new(std::fs::File::open(path).expect("open")).expect("read");
    let mut found = Vec::new();
    while let Some(item) = reader.read_item().expect("read") {
        match item {
            Item::Message(message) => found.push(message),
            Item::Damage(damage) => panic!("{damage}"),
        }
    }
    found
}

#[test]
fn warcio_reads_a_recording_and_verifies_every_digest() {
    let dir = tempfile::tempdir().expect("tempdir");
    // Of a compressed file each record must be a member of its own, or warcio refuses it.
    for name in ["a.warc", "a.warc.gz"] {
        let path = dir.path().join(name);
        record(&path, &TARGETS.map(|(target, _)| target));
        warcio_verifies(path.to_str().expect("utf-8"));
    }
}

#[test]
fn zstd_decompresses_a_recording_to_the_plain_one() {
    let dir = tempfile::tempdir().expect("tempdir");
    let [plain, packed] = ["a.warc", "a.warc.zst"].map(|name| dir.path().join(name));
    let targets = TARGETS.map(|(target, _)| target);
    record(&plain, &targets);
    record(&packed, &targets);
    let zstd = |args: &[&str]| {
        let output = Command::new("zstd").args(args).arg(&packed).output();
        output.expect("zstd is installed (scripts/setup.sh test)")
    };
    let tested = zstd(&["-t"]);
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    // The files' own names are in their first records.
    let text = String::from_utf8_lossy(&zstd(&["-d", "-c"]).stdout).replace("a.warc.zst", "a.warc");
    let expected = String::from_utf8_lossy(&std::fs::read(&plain).expect("read")).into_owned();
    assert_eq!(text.len(), expected.len());
    assert!(text == expected);
    // One frame for each record.
    let listed = zstd(&["-l", "-v"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let frames = format!("Frames: {}", 1 + 2 * TARGETS.len());
    let frames_of = listed.replace("# Zstandard ", "");
    assert!(frames_of.contains(&frames), "{listed}");
}

#[track_caller]
fn warcio_verifies(file: &str) {
    let checked = text(warcio(&["check", "--verbose", file]));
    assert_eq!(checked.matches("digest pass").count(), 1 + 2 * TARGETS.len(), "{checked}");
    assert_eq!(checked.matches("digest").count(), 1 + 2 * TARGETS.len(), "{checked}");

    let fields = "warc-type,warc-target-uri,warc-ip-address,warc-date,http:status";
    let index = text(warcio(&["index", "--fields", fields, file]));
    let lines: Vec<serde_json::Value> =
        index.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!(lines.len(), 1 + 2 * TARGETS.len());
    assert_eq!(lines[0]["warc-type"], "warcinfo");
    for ((_, uri), pair) in TARGETS.iter().zip(lines[1..].chunks(2)) {
        assert_eq!(
            (&pair[0]["warc-type"], &pair[1]["warc-type"]),
            (&"request".into(), &"response".into())
        );
        for line in pair {
            assert_eq!(line["warc-target-uri"], *uri);
            assert_eq!(line["warc-ip-address"], "192.0.2.2");
        }
        assert_eq!(pair[1]["http:status"], "200");
    }
    assert_eq!(lines[1]["warc-date"], "2023-11-14T22:13:20.123456789Z");
}

#[test]
fn a_recording_rewritten_by_warcio_gives_the_same_messages() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (plain, zipped) = (dir.path().join("a.warc"), dir.path().join("b.warc.gz"));
    // warcio parses heads to write them again, and then cannot write a target outside ASCII.
    let targets = TARGETS.map(|(target, _)| target);
    let ascii: Vec<&[u8]> = targets.into_iter().filter(|target| target.is_ascii()).collect();
    let messages = record(&plain, &ascii);
    let names = [plain.to_str().expect("utf-8"), zipped.to_str().expect("utf-8")];
    text(warcio(&["recompress", names[0], names[1]]));
    let original = read(&plain);
    assert!(original.iter().map(|m| &m.raw).eq(messages.iter().map(|m| &m.raw)));
    let mut rewritten = read(&zipped);
    for (message, original) in rewritten.iter_mut().zip(&original) {
        message.offset = original.offset;
    }
    assert_eq!(rewritten, original);
}
