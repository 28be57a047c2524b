//! `replay` and `inspect` of GoReplay's files: what they hold arrives exactly, what is damaged is counted.
//!
//! The files are written here byte for byte as GoReplay writes them; truth is what was put into them.

use std::io::Write;
use std::path::PathBuf;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::netns::Place;
use crate::support::request::{Request, exact};
use crate::support::shadowtap::Run;
use crate::support::stage::{LOCALHOST, assert_all_answered};
use crate::support::v2::V2;

const SEPARATOR: &str = "\n🐵🙈🙉\n";

/// A .gor file in the making.
#[derive(Default)]
struct Gor {
    bytes: Vec<u8>,
    requests: Vec<Request>,
    records: u32,
}

impl Gor {
    fn record(&mut self, kind: u8, payload: &[u8]) {
        let n = self.records;
        // Current and old identifiers, with and without duration.
        let header = match n % 2 {
            0 => format!("{kind} 1f90c35000000000{n:08x} {} 250\n", 1_700_000_000_000_000_000_u64),
            _ => format!("{kind} {n:040x} {}\n", 1_700_000_000_000_000_000_u64),
        };
        self.records += 1;
        self.bytes.extend([header.as_bytes(), payload, SEPARATOR.as_bytes()].concat());
    }

    fn request(&mut self, method: &str, body: &[u8]) {
        let target = format!("/{}?a=%2f|b", self.requests.len());
        let length = match body {
            [] => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: v1\r\n{length}\r\n");
        self.record(1, &[head.as_bytes(), body].concat());
        self.requests.push(Request::new(method, &target, body));
    }

    fn chunked(&mut self, body: &str) {
        let target = format!("/{}", self.requests.len());
        let payload = format!(
            "PUT {target} HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        self.record(1, payload.as_bytes());
        self.requests.push(Request::new("PUT", &target, body.as_bytes()));
    }

    /// Every shape of record that must be read.
    fn of_all_sorts() -> Self {
        let mut gor = Self::default();
        let mut inner = Self::default();
        inner.request("GET", b"");
        for n in 0..40 {
            gor.request("GET", b"");
            gor.record(2, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            gor.record(3, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
            gor.request("POST", &vec![n; 3_000 * usize::from(n)]);
            gor.chunked("some data");
        }
        gor.request("POST", SEPARATOR.as_bytes());
        gor.request("POST", &[b"before", SEPARATOR.as_bytes(), b"after"].concat());
        gor.request("POST", &inner.bytes);
        gor.chunked(&String::from_utf8_lossy(&inner.bytes));
        gor
    }

    /// Leaves the last separator out.
    fn cut_short(mut self) -> Self {
        self.bytes.truncate(self.bytes.len() - SEPARATOR.len());
        self
    }
}

/// The bytes as a file, and what holds it.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("traffic");
    std::fs::write(&path, bytes).expect("own directory");
    (dir, path)
}

fn replay(path: &std::path::Path, v2: &V2) -> Run {
    let run = Run::new(["replay"]).args([path]);
    run.args(["--to", &v2.url(), "--methods", "all", "--speed", "max", "--json"])
}

#[test]
fn a_gor_file_is_replayed_exactly() {
    let gor = Gor::of_all_sorts();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&gor.bytes).expect("memory");
    let gzip = gzip.finish().expect("memory");
    for bytes in [&gor.bytes, &gzip] {
        let (_dir, path) = file(bytes);
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let done = replay(&path, &v2).finish(PATIENCE).expect_code(0);
        exact(&gor.requests, &v2.requests());
        assert!(done.stderr.contains("a .gor recording has no connections"), "{}", done.stderr);
        let ledger = done.ledger();
        assert_all_answered(&ledger, gor.requests.len());
        assert_eq!(ledger.count("/records/read"), u64::from(gor.records));
        assert_eq!(ledger.count("/records/passed/replayed"), 40);
        assert_eq!(ledger.count("/damaged"), 0);
        let connections = v2.received().iter().map(|r| r.connection).max().expect("some") + 1;
        assert!(connections <= 64, "{connections} connections for {}", gor.requests.len());
    }
}

#[test]
fn what_is_cut_or_damaged_is_counted_and_the_rest_is_sent() {
    let mut gor = Gor::of_all_sorts();
    gor.bytes.extend(b"noise in place of a header\nand more\n");
    gor.bytes.extend(SEPARATOR.as_bytes());
    // Cut by GoReplay: its record is whole, its body is not.
    gor.record(1, b"POST /cut HTTP/1.1\r\nHost: v1\r\nContent-Length: 1000\r\n\r\nonly this");
    gor.record(1, b"\x16\x03\x01 is no HTTP");
    gor.request("GET", b"");
    let gor = gor.cut_short();
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let (_dir, path) = file(&gor.bytes);
    let done = replay(&path, &v2).finish(PATIENCE).expect_code(0);
    exact(&gor.requests, &v2.requests());
    let ledger = done.ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/records/read"), u64::from(gor.records));
    assert_eq!((ledger.count("/damaged"), ledger.count("/records/passed/not_http")), (1, 1));
    assert_eq!(ledger.count("/requests/refused/incomplete"), 1);
    assert!(done.stderr.contains("no record, 50 bytes skipped"), "{}", done.stderr);
    assert!(done.stderr.contains("the last record has no separator"), "{}", done.stderr);

    let cut = gor.bytes.len() - 5;
    let (_dir, path) = file(&gor.bytes[..cut]);
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let done = replay(&path, &v2).finish(PATIENCE).expect_code(0);
    exact(&gor.requests[..gor.requests.len() - 1], &v2.requests());
    assert_eq!(done.ledger().count("/damaged"), 2);
    assert!(done.stderr.contains("the file ends within a record"), "{}", done.stderr);
}

#[test]
fn a_gor_file_is_listed_and_its_ports_are_unknown() {
    let gor = Gor::of_all_sorts();
    let (_dir, path) = file(&gor.bytes);
    let inspect = |args: &[&str]| Run::new(["inspect"]).args([&path]).args(args.iter().copied());
    let listed = inspect(&["--json"]).finish(PATIENCE).expect_code(0);
    let requests: Vec<_> =
        fixtures::json_lines(&listed.stdout).iter().map(fixtures::request).collect();
    assert_eq!(requests, gor.requests, "in the file's order");
    let other = inspect(&["-p", "80"]).finish(PATIENCE).expect_code(0);
    assert!(other.stderr.contains("does not tell ports"), "{}", other.stderr);
    let capture = fixtures::path("keepalive.pcap");
    let mixed = Run::new(["inspect"]).args([&path, &capture]).finish(PATIENCE).expect_code(2);
    assert!(mixed.stderr.contains("files of one kind in one call"), "{}", mixed.stderr);
}
