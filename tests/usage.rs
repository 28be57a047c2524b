//! What the command line, files and pipes of the real executable do at their edges. Needs no rights.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::ledger::Ledger;
use crate::support::netns::Place;
use crate::support::process::Finished;
use crate::support::request::{Request, exact};
use crate::support::shadowtap::{Run, executable};
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

#[track_caller]
fn run(args: &[&str]) -> Finished {
    Run::new(args).finish(PATIENCE)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A file with these bytes, in a directory of its own.
#[track_caller]
fn file(name: &str, bytes: &[u8]) -> (PathBuf, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("own directory");
    (path, dir)
}

#[track_caller]
fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures::path(name)).expect("a fixture")
}

const TO: &str = "http://127.0.0.1:9";

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let cases: [(&[&str], &str); 17] = [
        (&[], "Usage: shadowtap"),
        (&["mirror"], "--port <PORT>"),
        (&["mirror", "-p", "80"], "--to <URL>"),
        (&["mirror", "-p", "eighty", "--to", TO], "--port"),
        (&["mirror", "-p", "70000", "--to", TO], "--port"),
        (&["mirror", "-p", "0", "--to", TO], "such as 8080"),
        (&["mirror", "-p", "tcp://10.0.0.1:80", "--to", TO], "enableServiceLinks"),
        (&["mirror", "-p", "80", "--to", TO, "--methods", "get"], "capitals"),
        (&["mirror", "-p", "80", "--to", TO, "--drain", "9999999999999s"], "a hundred years"),
        (&["mirror", "-p", "80", "--to", TO, "--nonsense"], "--nonsense"),
        (&["mirror", "-p", "80", "--to", TO, "--ca", "a", "--insecure"], "--insecure"),
        (&["mirror", "-p", "80", "--to", TO, "--concurrency", "0"], "--concurrency"),
        (
            &["mirror", "-p", "80", "--to", TO, "--only", "header x true"],
            "shadowtap: --only: expected an operator, `and`, `or` or the end\n    header x true\n             ^\n",
        ),
        (&["mirror", "-p", "80", "--to", TO, "--except", "path"], "--except: expected an operator"),
        (&["record", "-p", "80"], "--output <FILE>"),
        (&["inspect"], "<FILE>"),
        (&["mirrorr"], "mirror"),
    ];
    for (args, want) in cases {
        let finished = run(args).expect_code(2);
        assert!(finished.stderr.contains(want), "{args:?}: {}", finished.stderr);
        assert_eq!(finished.text(), "", "{args:?}");
    }
}

#[test]
fn a_command_line_of_goreplay_is_printed_as_ours_and_the_exit_code_says_whether_all_of_it() {
    let line = "gor --input-raw :80 --output-http 'v2|10%'";
    let ours = "shadowtap mirror -p 80 --to http://v2 --host target --methods all --percent 10\n";
    assert_eq!(run(&["from-goreplay", line]).expect_code(0).text(), ours);
    let words = [
        "from-goreplay",
        "gor",
        "--input-raw",
        ":80",
        "--output-http",
        "v2|10%",
        "--output-http-redirects",
        "1",
    ];
    let partly = run(&words).expect_code(1);
    assert_eq!(partly.text(), ours);
    assert!(partly.stderr.contains("no form for --output-http-redirects 1: "), "{}", partly.stderr);
    let finished = run(&["from-goreplay", "gor --input-raw ':80"]).expect_code(2);
    assert!(finished.stderr.contains("left open"), "{}", finished.stderr);
    assert_eq!(finished.text(), "");
}

#[test]
fn a_cap_goes_with_a_pace_that_has_times_of_its_own() {
    let (file, _dir) = file("a.pcap", &fixture("keepalive.pcap"));
    for (args, why) in [(["--speed", "max"], "give --rate"), (["--rate", "5/s"], "--max-rate")] {
        let base = ["replay", text(&file), "--to", TO, "--max-rate", "5/s"];
        let finished = run(&[&base[..], &args].concat()).expect_code(2);
        assert!(finished.stderr.contains(why), "{args:?}: {}", finished.stderr);
    }
}

#[test]
fn a_bad_value_is_answered_with_the_flag_and_an_example() {
    let cases = [
        ("--ring", "lots", "64MiB"),
        ("--max-body", "-1", "--max-body"),
        ("--queue-bytes", "1 elephant", "64MiB"),
        ("--duration", "5", "200ms"),
        ("--timeout", "soon", "5s"),
        ("--drain", "1parsec", "5s"),
        ("--methods", "GET,P OST", "GET,POST"),
        ("--server", "localhost", "any"),
        ("--to", "ftp://v2", "http://"),
        ("--to", "v2:8080", "http://"),
        ("--host", "a b", "v2.example:8080"),
        ("--host", "", "v2.example:8080"),
        ("--host", "http://v2", "v2.example:8080"),
        ("--percent", "101", "such as 10 or 0.5"),
        ("--max-rate", "200", "200/s"),
    ];
    for (flag, value, example) in cases {
        let mut args = vec!["mirror", "-i", "lo", "-p", "80"];
        if flag != "--to" {
            args.extend(["--to", TO]);
        }
        let with_value = format!("{flag}={value}");
        args.push(&with_value);
        let finished = run(&args).expect_code(2);
        let name = flag.trim_start_matches('-');
        assert!(finished.stderr.contains(name), "{with_value}: {}", finished.stderr);
        assert!(finished.stderr.contains(example), "{with_value}: {}", finished.stderr);
        assert_eq!(finished.text(), "", "{with_value}");
    }
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let pcap = fixtures::path("keepalive.pcap");
    for speed in ["0", "-1x", "fast"] {
        let speed = format!("--speed={speed}");
        let finished = run(&["replay", text(&pcap), "--to", &v2.url(), &speed]).expect_code(2);
        assert!(finished.stderr.contains("--speed"), "{}", finished.stderr);
        assert!(finished.stderr.contains("0.5x"), "{}", finished.stderr);
    }
}

#[test]
fn help_and_version_exit_0() {
    for command in ["mirror", "record", "replay", "inspect", "convert", "config", "doctor", "demo"]
    {
        let help = run(&[command, "--help"]).expect_code(0);
        assert!(help.text().contains(&format!("Usage: shadowtap {command}")), "{}", help.text());
    }
    let version = run(&["--version"]).expect_code(0).text();
    assert_eq!(version, format!("shadowtap {}\n", env!("CARGO_PKG_VERSION")));
}

/// Both commands that read files, with the file's place left open.
fn readers() -> [Vec<String>; 2] {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    [words("inspect FILE --json"), words(&format!("replay FILE --to {TO} --json"))]
}

#[test]
fn a_file_that_is_not_there_or_not_a_capture_exits_2_by_name() {
    let (empty, _a) = file("empty.pcap", b"");
    let (foreign, _b) = file("foreign.bin", b"\x7fELF and so on, for more than a header's length");
    let (prose, _c) = file("notes.txt", b"GET / HTTP/1.1\r\nHost: not a capture\r\n\r\n");
    let missing = foreign.with_file_name("missing.pcap");
    let directory = foreign.parent().expect("a directory");
    for reader in readers() {
        for path in [&missing, directory, &empty, &foreign, &prose] {
            let args: Vec<_> =
                reader.iter().map(|w| if w == "FILE" { text(path) } else { w }).collect();
            let finished = run(&args).expect_code(2);
            assert!(finished.stderr.contains(text(path)), "{args:?}: {}", finished.stderr);
            assert_eq!(finished.text(), "", "{args:?}");
        }
    }
}

#[test]
fn a_truncated_capture_gives_all_before_the_cut_and_says_so() {
    for (name, kind) in [("keepalive.pcap", "pcap"), ("keepalive.pcapng", "pcapng")] {
        let whole = fixture(name);
        let mut counts = BTreeSet::new();
        // Cut within every twentieth byte of the file, the file header included.
        for len in (30..whole.len() - 1).step_by(whole.len() / 20) {
            let (path, _dir) = file(&format!("cut.{kind}"), &whole[..len]);
            let finished = run(&["inspect", text(&path), "--json"]).expect_code(0);
            let listed = fixtures::json_lines(&finished.stdout);
            let complete = listed.iter().filter(|message| message["complete"] == true).count();
            counts.insert(complete);
            let is_at_border = finished.stderr.is_empty();
            assert!(is_at_border || finished.stderr.contains("cut off"), "{}", finished.stderr);
        }
        assert!(counts.contains(&0) && counts.contains(&4), "{name}: {counts:?}");
    }
}

#[test]
fn a_truncated_capture_is_replayed_up_to_the_cut() {
    let whole = fixture("keepalive.pcap");
    let (path, _dir) = file("cut.pcap", &whole[..whole.len() - 1]);
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let args = ["replay", text(&path), "--to", &v2.url(), "--speed", "max", "--json"];
    let finished = run(&args).expect_code(0);
    exact(&fixtures::requests("keepalive"), &v2.requests());
    assert!(finished.stderr.contains("cut off within the record at byte"), "{}", finished.stderr);
    assert_eq!(finished.ledger().assert_balanced().count("/targets/0/answered/2xx"), 5);
}

#[test]
fn a_corrupt_capture_gives_all_before_the_fault_and_exits_2() {
    // A record that claims to be larger than any frame can be.
    let mut bytes = fixture("keepalive.pcap");
    bytes.extend_from_slice(&[
        0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f,
    ]);
    bytes.extend_from_slice(&[0; 64]);
    let (path, _dir) = file("corrupt.pcap", &bytes);

    let finished = run(&["inspect", text(&path), "--json"]).expect_code(2);
    fixtures::assert_yields(
        &fixtures::expected("keepalive"),
        &fixtures::json_lines(&finished.stdout),
    );
    assert!(finished.stderr.contains("is corrupt at byte"), "{}", finished.stderr);

    let finished = run(&["inspect", text(&path), "--json", "--stats"]).expect_code(2);
    assert_eq!(fixtures::json_lines(&finished.stdout)[0]["requests"], 5);

    let v2 = V2::start(&Place::Host, LOCALHOST);
    let args = ["replay", text(&path), "--to", &v2.url(), "--speed", "max", "--json"];
    let finished = run(&args).expect_code(2);
    exact(&fixtures::requests("keepalive"), &v2.requests());
    assert!(finished.stderr.contains("is corrupt at byte"), "{}", finished.stderr);
    assert_eq!(finished.ledger().assert_balanced().count("/targets/0/answered/2xx"), 5);
}

#[test]
fn inspect_into_a_pipe_that_closes_is_fine() {
    // Larger than any pipe's buffer: the rest cannot be written once the reader has gone.
    let mut command = Place::Host.command("bash");
    let script = r#"set -o pipefail; "$0" inspect "$1" --json --responses | head -n 1"#;
    let (path, _dir) = file("many.warc", &many_requests(5_000));
    command.args(["-c", script]).arg(executable()).arg(&path).stderr(Stdio::piped());
    let output = command.output().expect("bash");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert_eq!(stderr, "");
    assert_eq!(fixtures::json_lines(&output.stdout).len(), 1);
}

/// A recording of that many requests.
fn many_requests(count: usize) -> Vec<u8> {
    let request = "GET /x HTTP/1.1\r\nHost: v1\r\n\r\n";
    let mut bytes = Vec::new();
    for n in 0..count {
        let record = format!(
            "WARC/1.1\r\nWARC-Type: request\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n\
             WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{n:012}>\r\n\
             WARC-Target-URI: http://v1/x\r\n\
             Content-Type: application/http;msgtype=request\r\nContent-Length: {}\r\n\r\n\
             {request}\r\n\r\n",
            request.len()
        );
        bytes.extend_from_slice(record.as_bytes());
    }
    bytes
}

#[test]
fn json_output_is_json_and_nothing_else() {
    let pcap = fixtures::path("post.pcap");
    let one_object = |finished: &Finished| {
        let values = fixtures::json_lines(&finished.stdout);
        assert_eq!(values.len(), 1, "{}", finished.text());
        assert_eq!(finished.text().trim_end().lines().count(), 1, "{}", finished.text());
        assert!(values[0].is_object());
    };
    one_object(&run(&["inspect", text(&pcap), "--json", "--stats"]).expect_code(0));
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let args = ["replay", text(&pcap), "--to", &v2.url(), "--speed", "max", "--json"];
    one_object(&run(&args).expect_code(0));

    let listed = run(&["inspect", text(&pcap), "--json"]).expect_code(0).text();
    let lines: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(lines.len(), fixtures::expected("post").len());
    let keys = [
        "kind",
        "conn",
        "index",
        "time_ns",
        "client",
        "server",
        "method",
        "target",
        "version",
        "headers",
        "body_len",
        "body_sha256",
        "complete",
        "anomalies",
    ];
    for line in &lines {
        let have: BTreeSet<_> = line.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(have, keys.iter().map(|key| (*key).to_owned()).collect(), "{line}");
    }
}

#[test]
fn a_table_has_a_line_for_each_request() {
    let pcap = fixtures::path("methods.pcap");
    let table = run(&["inspect", text(&pcap)]).expect_code(0).text();
    assert_eq!(table.lines().count(), 1 + fixtures::expected("methods").len(), "{table}");
    assert!(
        table.lines().any(|line| line.contains("TRACE") && line.ends_with("/trace")),
        "{table}"
    );
}

/// A replay configured by the environment alone, except for its file.
#[test]
fn every_flag_can_come_from_the_environment() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let v2_url = v2.url();
    let settings = [
        ("SHADOWTAP_TO", v2_url.as_str()),
        ("SHADOWTAP_PORT", "8080,8081"),
        ("SHADOWTAP_METHODS", "POST,PUT"),
        ("SHADOWTAP_HOST", "shadow.example"),
        ("SHADOWTAP_SPEED", "max"),
        ("SHADOWTAP_LIMIT", "2"),
        ("SHADOWTAP_DURATION", "20s"),
        ("SHADOWTAP_TIMEOUT", "5s"),
        ("SHADOWTAP_CONNECT_TIMEOUT", "5s"),
        ("SHADOWTAP_CONCURRENCY", "3"),
        ("SHADOWTAP_DRAIN", "1s"),
        ("SHADOWTAP_INSECURE", "true"),
        ("SHADOWTAP_MAX_BODY", "1MiB"),
        ("SHADOWTAP_QUEUE", "10"),
        ("SHADOWTAP_QUEUE_BYTES", "1MiB"),
        ("SHADOWTAP_MAX_MEMORY", "16MiB"),
        ("SHADOWTAP_JSON", "true"),
        ("SHADOWTAP_LOG", "warn"),
    ];
    let pcap = fixtures::path("post.pcap");
    let mut run = Run::new(["replay", text(&pcap)]);
    for (name, value) in settings {
        run = run.env(name, value);
    }
    let ledger = run.finish(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    let unsafe_ones = |r: &Request| ["POST", "PUT"].contains(&r.method.as_str());
    let wanted: Vec<_> =
        fixtures::requests("post").into_iter().filter(unsafe_ones).take(2).collect();
    exact(&wanted, &v2.requests());
    let hosts: Vec<_> = v2.received().iter().filter_map(|r| r.header("host")).collect();
    assert_eq!(hosts, ["shadow.example", "shadow.example"]);
    assert_eq!(ledger.count("/requests/queued"), 2);
}

/// A value in the environment is judged as one on the command line, and named.
#[test]
fn a_bad_value_in_the_environment_is_a_usage_error() {
    let run = Run::new(["mirror", "-p", "80", "--to", TO]).env("SHADOWTAP_RING", "lots");
    let finished = run.finish(PATIENCE).expect_code(2);
    assert!(finished.stderr.contains("--ring"), "{}", finished.stderr);
    assert!(finished.stderr.contains("64MiB"), "{}", finished.stderr);
}

#[test]
fn the_table_is_printed_without_json_and_sums_are_not_left_to_the_reader() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let pcap = fixtures::path("post.pcap");
    let args = ["replay", text(&pcap), "--to", &v2.url(), "--speed", "max"];
    let finished = run(&args).expect_code(0);
    let held = fixtures::requests("post").len();
    let summary =
        format!("{held} requests were held back by their method; --methods all lets them");
    assert!(finished.text().contains(&summary), "{}", finished.text());
    assert!(finished.text().contains("0 lost"), "{}", finished.text());
    assert!(!finished.text().contains("ledger is wrong"), "{}", finished.text());
    exact(&[], &v2.requests());
}

#[test]
fn standard_input_is_read_when_the_file_is_a_dash() {
    let run = Run::new(["inspect", "-", "--json"]).stdin(&fixtures::path("post.pcap"));
    let listed = fixtures::json_lines(&run.finish(PATIENCE).expect_code(0).stdout);
    fixtures::assert_yields(&fixtures::expected("post"), &listed);
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let run = Run::new(["replay", "-", "--to", &v2.url(), "--speed", "max", "--json"]);
    let finished = run.stdin(&fixtures::path("keepalive.pcapng")).finish(PATIENCE).expect_code(0);
    Ledger::parse(&finished.stdout).assert_balanced();
    exact(&fixtures::requests("keepalive"), &v2.requests());
}

#[test]
fn doctor_finds_each_cause() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let nobody = crate::support::v2::Refusing::new(&Place::Host, LOCALHOST);
    let (port, to) = (nobody.addr.port().to_string(), format!("http://{}", nobody.addr));
    let finished = run(&["doctor", "-i", "nosuch0", "-p", &port, "--to", &to]).expect_code(2);
    let told = finished.text();
    assert!(told.contains("nosuch0") && told.contains("lo"), "{told}");
    for cause in ["interface", &port, &nobody.addr.to_string()] {
        assert!(told.contains(cause), "no {cause} in {told}");
    }
    assert!(told.matches("FAIL").count() >= 2, "{told}");

    let finished = run(&["doctor", "-i", "lo", "--to", &v2.url(), "--json"]);
    let checks = &fixtures::json_lines(&finished.stdout)[0];
    let v2_check = checks.as_array().expect("an array").iter().find(|c| c["name"] == "v2");
    assert_eq!(v2_check.expect("of v2")["state"], "ok", "{checks:#}");
}
