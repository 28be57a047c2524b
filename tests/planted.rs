//! Secrets planted wherever a message may hold one, and looked for wherever anything may leave: v2 over every transport,
//! files of every format, everything that is printed, logged or left for others to read.

mod h2;

use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::rewriting::{capture_of, v2};
use crate::support::PATIENCE;
use crate::support::process::{Finished, contains};
use crate::support::raw::{Next, RawServer};
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;

/// What begins every secret. A pattern finds those with a domain.
const SECRET: &[u8] = b"planted";

/// The same in base64, wherever in its groups of three it begins, and in a hex dump.
const CODED: [&[u8]; 4] = [b"cGxhbnRl", b"bGFudGVk", b"YW50ZW", b"70 6c 61 6e 74"];

const RULES: [&str; 14] = [
    "--redact",
    "header x-session",
    "--redact",
    "query key",
    "--redact",
    "json-name pin",
    "--redact",
    "json $.b",
    "--redact",
    "form pass",
    "--redact",
    "pattern email",
    "--log",
    "debug",
];

/// How many of [`requests`] can be looked into.
const READABLE: usize = 6;

fn with_length(head: &str, body: &str) -> String {
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A secret in each place; the last is coded, so that nothing can be looked for in it.
fn requests() -> [String; READABLE + 1] {
    let part = |fields: &str, content: &str| format!("--B\r\n{fields}\r\n\r\n{content}\r\n");
    let form = "Content-Disposition: form-data;";
    let multipart = [
        part(&format!("{form}\r\n name=\"pass\""), "planted-multipart"),
        part("Content-Type: application/json", "{\"pin\":\"planted-part\"}"),
        part(&format!("{form} name=z"), "z"),
    ];
    let post = |path: &str, kind: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: v1\r\nContent-Type: {kind}\r\n")
    };
    let chunk = "{\"pin\":\"planted-chunk\"}";
    [
        "GET /?key=planted-query&y=1 HTTP/1.1\r\nHost: v1\r\nX-Session: planted-field\r\n\
         Referer: http://v1/?key=planted-referer\r\n\r\n"
            .to_owned(),
        with_length(
            &post("/j", "application/json"),
            "{\"a\":{\"Pin\":\"planted-name\"},\"b\":\"planted-path\",\"c\":\"\\nplanted@example.org\"}",
        ),
        with_length(&post("/f", "application/x-www-form-urlencoded"), "x=1&pass=planted%2dform"),
        with_length(&post("/k", "application/x-www-form-urlencoded"), "{\"b\":\"planted-curl\"}"),
        with_length(
            &post("/m", "multipart/form-data; boundary=B"),
            &(multipart.concat() + "--B--\r\n"),
        ),
        format!(
            "{}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\nX-Session: planted-trailer\r\n\r\n",
            post("/c", "application/json"),
            chunk.len()
        ),
        with_length(
            &(post("/z", "application/json") + "Content-Encoding: gzip\r\n"),
            "planted-coded",
        ),
    ]
}

/// What v1 answers to each of them.
fn answer() -> String {
    with_length(
        "HTTP/1.1 302 Found\r\nLocation: /in?key=planted-location\r\nX-Session: planted-answer\r\n\
         Content-Type: application/json\r\n",
        "{\"pin\":\"planted-body\",\"d\":1}",
    )
}

fn capture() -> (PathBuf, TempDir) {
    let answer = answer();
    let requests = requests();
    let exchanges: Vec<_> =
        requests.iter().map(|request| (request.as_str(), answer.as_str())).collect();
    capture_of(&exchanges)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn leaks(bytes: &[u8]) -> bool {
    contains(bytes, SECRET) || CODED.iter().any(|coded| contains(bytes, coded))
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    assert!(!leaks(bytes), "{what}: {}", String::from_utf8_lossy(bytes));
}

/// Nothing on stdout or stderr.
#[track_caller]
fn assert_quiet(what: &str, finished: &Finished) {
    assert_clean(what, &finished.stdout);
    assert_clean(what, finished.stderr.as_bytes());
}

/// A file's bytes, decompressed.
fn plain(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("a file");
    let mut plain = Vec::new();
    if bytes.starts_with(b"\x1f\x8b") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).expect("gzip");
        return plain;
    }
    bytes
}

fn replay(file: &Path, to: &str) -> Run {
    let args = ["replay", text(file), "--to", to, "--methods", "all", "--speed", "max", "--json"];
    Run::new(args).args(RULES)
}

#[test]
fn v2_gets_none_over_any_transport_and_no_log_tells() {
    let (file, _dir) = capture();
    for with in ["hash", "mask", "drop"] {
        let how = ["--redact-with", with];
        let server = v2();
        let sent = |run: Run| {
            let finished = run.args(how).finish(PATIENCE).expect_code(0);
            assert_quiet(with, &finished);
            let ledger = finished.ledger();
            ledger.assert_balanced();
            assert_eq!(ledger.count("/targets/0/shed/unredacted"), 1, "{:#}", ledger.0);
            assert_eq!(ledger.count("/targets/0/answered/2xx"), READABLE as u64, "{:#}", ledger.0);
        };
        sent(replay(&file, &server.url()));
        sent(replay(&file, "http://v2.invalid").args(["--proxy", &server.url()]));
        let taken = server.taken();
        assert_eq!(taken.len(), 2 * READABLE, "{with}");
        for taken in &taken {
            assert_clean(with, &taken.bytes);
        }
        assert!(contains(&taken[0].bytes, b"y=1"), "{with}");
        let h2 = h2::Server::start();
        sent(replay(&file, &h2.url()).args(["--http2"]));
        let seen = h2.seen();
        assert_eq!(seen.len(), READABLE, "{with}");
        for request in &seen {
            assert_clean(with, request);
        }
        let dry = replay(&file, &server.url()).args(how).args(["--dry-run"]).finish(PATIENCE);
        let dry = dry.expect_code(0);
        assert_quiet(with, &dry);
        assert!(contains(&dry.stdout, b"shadowtap-dry-run: request=6 "), "{with}");
    }
}

#[test]
fn inspect_and_convert_write_none_in_any_format() {
    let (file, dir) = capture();
    let listings: [&[&str]; 5] =
        [&[], &["--json"], &["--body"], &["--body", "--json"], &["--stats", "--json"]];
    for (n, listing) in listings.into_iter().enumerate() {
        let run = || Run::new(["inspect", text(&file), "--responses"]).args(listing);
        let shown = run().args(RULES).finish(PATIENCE).expect_code(0);
        assert_quiet(&format!("{listing:?}"), &shown);
        assert!(contains(&shown.stdout, b"/j") && contains(&shown.stdout, b"/m"), "{listing:?}");
        // The rules are what keeps them back.
        let plain = run().finish(PATIENCE).expect_code(0);
        assert!(n == 4 || leaks(&plain.stdout), "{listing:?}");
    }
    for name in [
        "a.warc",
        "a.warc.gz",
        "a.warc.zst",
        "a.gor",
        "a.gor.gz",
        "a.har",
        "a.curl",
        "a.k6.js",
        "a.vegeta",
    ] {
        for with in ["hash", "mask", "drop"] {
            let to = dir.path().join(format!("{with}-{name}"));
            let run = Run::new(["convert", text(&file), text(&to), "--redact-with", with]);
            let done = run.args(RULES).finish(PATIENCE).expect_code(0);
            assert_quiet(name, &done);
            let mut file = to.clone();
            if name.ends_with(".zst") {
                file = dir.path().join(format!("{with}-unpacked.warc"));
                Run::new(["convert", text(&to), text(&file)]).finish(PATIENCE).expect_code(0);
            }
            let written = plain(&file);
            assert_clean(name, &written);
            assert!(contains(&written, b"y=1"), "{name}");
        }
        let to = dir.path().join(name);
        Run::new(["convert", text(&file), text(&to)]).finish(PATIENCE).expect_code(0);
        assert!(name.ends_with(".zst") || leaks(&plain(&to)), "{name}");
    }
}

#[test]
fn tokens_of_v2_stand_in_no_log() {
    let (file, _dir) = capture();
    // Nobody listens there: the error of the transport names what it was about.
    let closed = std::net::TcpListener::bind((LOCALHOST, 0)).expect("a port");
    let to = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    for transport in [&["--proxy", to.as_str()][..], &["--http2"], &[]] {
        let run = replay(&file, &to).args(["--set-query", "token=env:V2_TOKEN"]).args(transport);
        let run = run.args(["--set-header", "Authorization: env:V2_TOKEN"]);
        let finished = run.env("V2_TOKEN", "planted-token").finish(PATIENCE).expect_code(0);
        assert_quiet(&format!("{transport:?}"), &finished);
        assert!(finished.stderr.contains("DEBUG"), "{transport:?}: {}", finished.stderr);
    }
}

/// Needs root: captures live.
mod privileged {
    use super::*;
    use crate::support::netns::Place;
    use crate::support::stage::{capturing, converse};

    /// A v1 with secrets of its own.
    fn v1() -> RawServer {
        RawServer::start(LOCALHOST, |asked| {
            std::io::Write::write_all(&mut &*asked.stream, answer().as_bytes())?;
            Ok(Next::Close)
        })
    }

    #[test]
    fn live_none_reaches_a_disk_v2_or_whoever_asks() {
        let (v1, server) = (v1(), v2());
        let dir = tempfile::tempdir().expect("a directory");
        let (beside, alone) = (dir.path().join("a.warc"), dir.path().join("b.warc.gz"));
        let port = v1.addr.port().to_string();
        let watched = ["-i", "lo", "-p", port.as_str(), "--json"];
        let to = server.url();
        let mirror = Run::new(["mirror", "--to", &to, "--methods", "all"]).args(watched);
        let mirror = mirror
            .args(["--record", text(&beside), "--set-header", "X-V2: env:V2_TOKEN"])
            .args(["--except", "header x-none == a or header x-auth == 'planted rule'"])
            .args(RULES)
            .env("V2_TOKEN", "v2-own");
        let mirror = capturing(mirror.start());
        let record = Run::new(["record", "-o", text(&alone)]).args(watched).args(RULES);
        let record = capturing(record.start());
        for request in requests() {
            assert!(leaks(converse(&Place::Host, v1.addr, &request).as_bytes()));
        }
        assert!(server.answers(READABLE, PATIENCE), "{}", mirror.process.stderr_so_far());
        let pid = mirror.process.pid().as_raw_nonzero().to_string();
        for json in [&["--json"][..], &[]] {
            let shown = Run::new(["config", "show", "--pid", &pid]).args(json);
            let shown = shown.finish(PATIENCE).expect_code(0);
            assert_quiet("config show", &shown);
            assert!(shown.text().contains("header x-auth == ***"), "{}", shown.text());
        }
        let (mirror, record) = (mirror.terminate(PATIENCE), record.terminate(PATIENCE));
        for finished in [mirror, record] {
            let finished = finished.expect_code(0);
            assert_quiet("the end", &finished);
            finished.ledger().assert_balanced();
            let requests = finished.ledger().count("/recording/requests");
            assert_eq!(requests, READABLE as u64 + 1, "{:#}", finished.ledger().0);
        }
        let taken = server.taken();
        assert_eq!(taken.len(), READABLE);
        for taken in taken {
            assert_clean("v2", &taken.bytes);
            assert!(contains(&taken.bytes, b"X-V2: v2-own"));
        }
        for file in [beside, alone] {
            let stored = plain(&file);
            assert_clean(text(&file), &stored);
            assert!(contains(&stored, b"y=1") && contains(&stored, b"302 Found"));
        }
    }
}
