//! Secrets of recordings, and `inspect` over them: what is written, what is said, what comes out again.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use shadowtap::http::{Config, Provenance, Role, parse_whole, trailers_at};
use shadowtap::model::{Anomalies, Endpoint, Message, Timestamp};
use shadowtap::record::encode::Encoder;
use shadowtap::record::{Exporter, Format, WarcInfo};
use shadowtap::shape::Redactor;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::fixtures::json_lines;
use crate::support::netns::Place;
use crate::support::process::{Finished, contains};
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

/// Connection, whether a request, milliseconds, bytes.
type Exchange = (u64, Role, u64, &'static str);

const EXCHANGES: [Exchange; 6] = [
    (
        0,
        Role::Client,
        0,
        "GET /orders/17?x=1 HTTP/1.1\r\nHost: v1\r\nAuthorization: Bearer tokentoken\r\n\r\n",
    ),
    (
        0,
        Role::Server,
        20,
        "HTTP/1.1 200 OK\r\nSet-Cookie: sid=sessionsession; Path=/\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        1,
        Role::Client,
        1000,
        "GET /orders/18 HTTP/1.1\r\nHost: v1\r\nCookie: sid=sessionsession\r\nAccept: text/html\r\n\r\n",
    ),
    (1, Role::Server, 1030, "HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\n\x00\x01\x02"),
    (2, Role::Client, 5000, "GET /health HTTP/1.1\r\nHost: v1\r\n\r\n"),
    (2, Role::Server, 5010, "HTTP/1.1 204 No Content\r\n\r\n"),
];

fn message((conn, role, millis, raw): Exchange) -> Message {
    let at = Timestamp::from_nanos(1_700_000_000_000_000_000 + millis * 1_000_000);
    let from = Provenance {
        conn,
        index: 0,
        client: Endpoint::new([192, 0, 2, 1].into(), 40_000),
        server: Endpoint::new([192, 0, 2, 2].into(), 8080),
        first_byte: at,
        last_byte: at,
        request: (role == Role::Server).then_some(0),
        anomalies: Anomalies::default(),
        is_whole: true,
    };
    parse_whole(Bytes::from(raw), role, from, &Config::default()).expect("a message")
}

/// A recording of the exchanges as `record` writes it.
fn recording(is_redacted: bool) -> (PathBuf, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.warc");
    let redactor = Redactor::new(b"the key of the tests", trailers_at).expect("any key");
    let mut encoder = Encoder::new("run");
    let info = WarcInfo { run: "run".into(), ..WarcInfo::default() };
    let mut file = Vec::new();
    encoder.info(&mut file, &info, "a.warc", 0);
    for message in EXCHANGES.map(message) {
        let stored = if is_redacted { redactor.redact(message) } else { message };
        encoder.message(&mut file, &stored, &stored.raw);
    }
    std::fs::write(&path, file).expect("own directory");
    (path, dir)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[track_caller]
fn inspect(path: &Path, args: &[&str]) -> Finished {
    Run::new(["inspect", text(path)]).args(args).finish(PATIENCE).expect_code(0)
}

#[test]
fn a_replay_counts_the_requests_whose_secrets_were_replaced_and_says_what_helps() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    for (is_redacted, want) in [(true, 2), (false, 0)] {
        let (path, _dir) = recording(is_redacted);
        let bytes = std::fs::read(&path).expect("the recording");
        assert_eq!(contains(&bytes, b"sessionsession"), !is_redacted);
        assert_eq!(contains(&bytes, b"Shadowtap-Redacted: 1\r\n"), is_redacted);
        for json in [true, false] {
            let mut run = Run::new(["replay", text(&path), "--to", &v2.url(), "--speed", "max"]);
            if json {
                run = run.args(["--json"]);
            }
            let finished = run.finish(PATIENCE).expect_code(0);
            let said = if json { finished.stderr.clone() } else { finished.text() };
            let hint = "2 requests carry secrets that were replaced";
            assert_eq!(said.matches(hint).count(), usize::from(is_redacted), "{said}");
            assert_eq!(said.contains("record with --keep-secrets"), is_redacted, "{said}");
            if json {
                let ledger = finished.ledger();
                assert_eq!(ledger.count("/requests/secrets_replaced"), want, "{:#}", ledger.0);
                ledger.assert_balanced();
            }
        }
    }
    let sent = v2.received();
    let hashed: Vec<_> =
        sent.iter().filter_map(|request| request.header("authorization")).collect();
    assert!(hashed[0].starts_with("Bearer shadowtap-secret-"), "{hashed:?}");
    assert_eq!(hashed[2], "Bearer tokentoken", "{hashed:?}");
}

#[test]
fn replaced_secrets_behind_a_body_are_counted_whatever_the_format() {
    let raw = "POST /upload HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\
        X-Api-Key: keykeykey\r\n\r\n";
    let redactor = Redactor::new(b"the key of the tests", trailers_at).expect("any key");
    let stored = redactor.redact(message((0, Role::Client, 0, raw)));
    assert_eq!((stored.redacted, contains(&stored.raw, b"keykeykey")), (1, false));
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let dir = tempfile::tempdir().expect("a directory");
    for (format, name) in [(Format::Warc, "a.warc"), (Format::Gor, "a.gor"), (Format::Har, "a.har")]
    {
        let mut exporter =
            Exporter::new(format, WarcInfo { run: "run".into(), ..WarcInfo::default() });
        let mut file = Vec::new();
        exporter.begin(&mut file, name);
        exporter.message(&mut file, &stored);
        exporter.finish(&mut file);
        let path = dir.path().join(name);
        std::fs::write(&path, file).expect("own directory");
        let flags = ["--to", &v2.url(), "--speed", "max", "--methods", "all", "--json"];
        let run = Run::new(["replay", text(&path)]).args(flags).finish(PATIENCE).expect_code(0);
        let ledger = run.ledger();
        assert_eq!(ledger.count("/requests/secrets_replaced"), 1, "{name}: {:#}", ledger.0);
        assert!(run.stderr.contains("1 request carries"), "{name}: {}", run.stderr);
    }
}

#[test]
fn inspect_shows_replaced_secrets_as_a_session() {
    let (path, _dir) = recording(true);
    let all = json_lines(&inspect(&path, &["--json", "--responses"]).stdout);
    let field = |message: &Value, name: &str| {
        let headers = message["headers"].as_array().expect("headers").clone();
        let found = headers.into_iter().find(|field| field[0] == name).expect("a field");
        found[1].as_str().expect("text").to_owned()
    };
    let set = field(&all[1], "Set-Cookie");
    let sent = field(&all[2], "Cookie");
    assert_eq!(set, format!("{sent}; Path=/"));
    assert_eq!((&all[0]["redacted"], &all[4]["redacted"]), (&1.into(), &Value::Null));
}

#[test]
fn filters_choose_among_messages_and_say_how_many_they_left_out() {
    let (path, _dir) = recording(false);
    let cases: [(&[&str], &[&str], &str); 14] = [
        (&["--method", "GET"], &["/orders/17?x=1", "/orders/18", "/health"], ""),
        (&["--method", "POST,PUT"], &[], "3 requests, 0 responses"),
        (&["--path", "/orders/*"], &["/orders/17?x=1", "/orders/18"], "1 request, 0 responses"),
        (&["--path", "/orders/17"], &["/orders/17?x=1"], "2 requests"),
        (&["--path", "*?x=*"], &["/orders/17?x=1"], "2 requests"),
        (&["--path", "/health", "--path", "*18"], &["/orders/18", "/health"], "1 request"),
        (
            &["--path", "/orders/*", "--responses"],
            &["/orders/17?x=1", "200", "/orders/18", "503"],
            "1 request, 1 response",
        ),
        (&["--status", "5xx,204"], &["503", "204"], "3 requests, 1 response"),
        (&["--status", "5xx", "--path", "/health"], &[], "3 requests, 3 responses"),
        (&["--header", "accept:text/*"], &["/orders/18"], "2 requests"),
        (&["--header", "Host", "--header", "cookie"], &["/orders/18"], "2 requests"),
        (&["--connection", "1,2"], &["/orders/18", "/health"], "1 request"),
        (&["--from", "1s", "--until", "2s"], &["/orders/18"], "2 requests"),
        (
            &["--from", "2023-11-14T22:13:21Z", "--responses"],
            &["/orders/18", "503", "/health", "204"],
            "1 request, 1 response",
        ),
    ];
    for (args, want, left_out) in cases {
        let finished = inspect(&path, &[args, &["--json"]].concat());
        let shown = |message: Value| match message["kind"].as_str() {
            Some("request") => message["target"].as_str().expect("a target").to_owned(),
            _ => message["status"].to_string(),
        };
        let found: Vec<_> = json_lines(&finished.stdout).into_iter().map(shown).collect();
        assert_eq!(found, want, "{args:?}");
        let said = finished.stderr.contains("left out by the filters");
        assert_eq!(said, !left_out.is_empty(), "{args:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(left_out), "{args:?}: {}", finished.stderr);
        // The table has the same, and so have the counts.
        let table = inspect(&path, args).text();
        assert_eq!(table.lines().count(), 1 + want.len(), "{args:?}: {table}");
    }
    let stats = inspect(&path, &["--path", "/orders/*", "--stats", "--json"]);
    let stats: Value = serde_json::from_slice(&stats.stdout).expect("JSON");
    assert_eq!((&stats["requests"], &stats["responses"]), (&2.into(), &2.into()));
    assert_eq!(stats["paths"], serde_json::json!({"/orders/{id}": 2}));
    assert_eq!(stats["v1_first_byte"]["count"], 2);
    for (args, want) in [(["--status", "abc"], "5xx"), (["--header", ":x"], "NAME:VALUE")] {
        let finished =
            Run::new(["inspect", text(&path)]).args(args).finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains(want), "{}", finished.stderr);
    }
}

#[test]
fn bodies_are_printed_below_their_messages() {
    let (path, _dir) = recording(false);
    let table = inspect(&path, &["--responses", "--body"]).text();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines[3], "    hello", "{table}");
    assert!(lines[6].starts_with("    00000000  00 01 02 "), "{table}");
    assert_eq!(lines.len(), 9, "{table}");
    let cut = inspect(&path, &["--responses", "--body", "--json", "--max-body-print", "2"]);
    let cut = json_lines(&cut.stdout);
    assert_eq!((&cut[1]["body"], &cut[1]["body_cut"]), (&"he".into(), &true.into()));
    assert_eq!((&cut[0]["body"], &cut[0]["body_cut"]), (&"".into(), &false.into()));
}

#[test]
fn a_key_that_cannot_be_used_ends_record_before_it_begins() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("a.warc");
    for (key, want) in [
        ("hunter2hunter2hunter2", "env:NAME or file:PATH"),
        ("env:NO_SUCH_KEY", "no environment variable NO_SUCH_KEY"),
        ("file:/nonexistent", "cannot read /nonexistent"),
        ("env:SHORT_KEY", "has 7 bytes"),
        ("env:EMPTY_KEY", "is empty"),
    ] {
        let run =
            Run::new(["record", "-i", "lo", "-p", "80", "--redact-key", key, "-o", text(&file)]);
        let run = run.env("SHORT_KEY", "hunter2").env("EMPTY_KEY", "");
        let finished = run.finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains(want), "{}", finished.stderr);
        assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
        assert!(!file.exists(), "{key}");
    }
    let both = ["record", "-p", "80", "-o", "x", "--keep-secrets", "--redact-key", "env:A"];
    let finished = Run::new(both).finish(PATIENCE).expect_code(2);
    assert!(finished.stderr.contains("--keep-secrets"), "{}", finished.stderr);
    let help = Run::new(["record", "--help"]).env("SHADOWTAP_REDACT_KEY", "env:HUNTER2");
    assert!(!help.finish(PATIENCE).expect_code(0).text().contains("HUNTER2"));
}

/// Needs root: captures live.
mod privileged {
    use super::*;
    use crate::support::stage::{Stage, capturing, converse};

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: v1\r\nX-Api-Key: s3cret\r\n\
                           Cookie: a=s3cret\r\nConnection: close\r\n\r\n";

    /// What a recording of one request holds, and what was said.
    #[track_caller]
    fn recorded(args: &[&str]) -> (Vec<u8>, Finished) {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let port = stage.v1.port().to_string();
        let run = Run::new(["record", "-i", "lo", "-p", &port, "--json", "-o", text(&file)]);
        let run = run.args(args).env("THE_KEY", "0123456789abcdef").place(&stage.here);
        let recorder = capturing(run.start());
        converse(&stage.client, stage.v1.addr(), REQUEST);
        let finished = recorder.terminate(PATIENCE).expect_code(0);
        finished.ledger().assert_balanced();
        assert_eq!(finished.ledger().count("/recording/requests"), 1);
        (std::fs::read(&file).expect("the recording"), finished)
    }

    #[test]
    fn secrets_never_reach_the_disk_unless_they_are_to_be_kept() {
        // printf %s s3cret | openssl dgst -sha256 -hmac 0123456789abcdef
        let keyed = b"shadowtap-secret-8448ea517196bc2b722bf76a91835e18\r\n";
        for (args, is_kept, is_keyed) in [
            (&[][..], false, false),
            (&["--redact-key", "env:THE_KEY"], false, true),
            (&["--keep-secrets"], true, false),
        ] {
            let (file, finished) = recorded(args);
            assert_eq!(contains(&file, b"s3cret"), is_kept, "{args:?}");
            assert_eq!(contains(&file, keyed), is_keyed, "{args:?}");
            assert_eq!(contains(&file, b"Shadowtap-Redacted: 2\r\n"), !is_kept, "{args:?}");
            let option =
                if is_kept { "option: secrets=kept\r\n" } else { "option: secrets=replaced\r\n" };
            assert!(contains(&file, option.as_bytes()), "{args:?}");
            assert_eq!(finished.ledger().count("/recording/redacted"), u64::from(!is_kept));
            let start = finished.stderr.lines().next().unwrap_or_default();
            assert_eq!(start.contains("secrets are stored as captured"), is_kept, "{start}");
            assert_eq!(start.contains("are replaced by hashes"), !is_kept, "{start}");
            let said = [&finished.stdout[..], finished.stderr.as_bytes()].concat();
            assert!(!contains(&said, b"s3cret") && !contains(&said, b"0123456789abcdef"));
        }
    }

    #[test]
    fn a_mirror_sends_the_secrets_and_records_their_hashes() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let mirror = capturing(stage.mirror().args(["--record", text(&file)]).start());
        converse(&stage.client, stage.v1.addr(), REQUEST);
        stage.v2.wait_for(1, PATIENCE);
        mirror.terminate(PATIENCE).expect_code(0).ledger().assert_balanced();
        let sent = stage.v2.received();
        assert_eq!(sent[0].header("x-api-key").as_deref(), Some("s3cret"));
        let file = std::fs::read(&file).expect("the recording");
        assert!(!contains(&file, b"s3cret"));
        assert!(contains(&file, b"Shadowtap-Redacted: 2\r\n"));
    }
}
