//! `convert` of the real executable: what goes from format to format, what is said to be lost, and other
//! people's tools on what it wrote.

mod load_tools;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::netns::Place;
use crate::support::process::{Finished, contains};
use crate::support::request::{Request, exact};
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[track_caller]
fn file(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("own directory");
    path
}

#[track_caller]
fn run(args: &[&str]) -> Finished {
    Run::new(args).finish(PATIENCE)
}

/// Converts, and checks the sum; what was said as JSON.
#[track_caller]
fn convert(from: &Path, to: &Path) -> Value {
    let done = run(&["convert", text(from), text(to), "--json", "--keep-secrets"]).expect_code(0);
    let said: Value = serde_json::from_slice(&done.stdout).expect("one JSON object");
    let counts = &said["converted"];
    let number = |name: &str| counts[name].as_u64().expect("a number");
    let left_out = total(&counts["left_out"]);
    assert_eq!(number("read"), number("requests") + number("responses") + left_out, "{said:#}");
    assert_eq!(number("waiting"), 0);
    let written = number("requests") + number("responses");
    for (name, count) in counts["lost"].as_object().expect("an object") {
        assert!(count.as_u64().expect("a number") <= written, "{name}: {said:#}");
    }
    said
}

fn total(tally: &Value) -> u64 {
    tally.as_object().expect("an object").values().filter_map(Value::as_u64).sum()
}

/// What `inspect` says of the whole messages of a file: method, target, version, fields in order, body, time. How
/// often each is there; `keys` are those compared.
#[track_caller]
fn messages(path: &Path, keys: &[&str]) -> BTreeMap<String, usize> {
    let listed = run(&["inspect", text(path), "--json", "--responses"]).expect_code(0);
    let mut found = BTreeMap::new();
    for entry in fixtures::json_lines(&listed.stdout) {
        if entry["complete"] == true {
            let parts: Vec<String> = keys.iter().map(|key| entry[*key].to_string()).collect();
            *found.entry(parts.join(" ")).or_default() += 1;
        }
    }
    found
}

/// What every format keeps.
const KEPT: [&str; 9] = [
    "kind",
    "time_ns",
    "method",
    "target",
    "version",
    "status",
    "reason",
    "headers",
    "body_sha256",
];
/// What WARC and HAR keep beside it.
const ALL: [&str; 15] = [
    "kind",
    "time_ns",
    "method",
    "target",
    "version",
    "status",
    "reason",
    "headers",
    "body_sha256",
    "conn",
    "index",
    "client",
    "server",
    "request_index",
    "anomalies",
];

#[test]
fn every_fixture_goes_through_every_format_and_comes_back() {
    let dir = directory();
    let path = |name: &str| dir.path().join(name);
    for name in fixtures::names() {
        let pcap = fixtures::path(&format!("{name}.pcap"));
        let step = |number: usize, ending: &str| path(&format!("{name}-{number}.{ending}"));
        let first = step(1, "warc");
        let said = convert(&pcap, &first);
        let whole = messages(&pcap, &ALL);
        assert_eq!(messages(&first, &ALL), whole, "{name}: pcap to warc");
        assert_eq!(whole.values().sum::<usize>() as u64, written(&said), "{name}");

        let gor = step(2, "gor");
        convert(&first, &gor);
        assert_eq!(messages(&gor, &KEPT), messages(&first, &KEPT), "{name}: warc to gor");
        let second = step(3, "warc");
        let said = convert(&gor, &second);
        assert_eq!(total(&said["converted"]["left_out"]), 0, "{name}");
        assert_eq!(messages(&second, &KEPT), messages(&first, &KEPT), "{name}: gor to warc");

        // Without the detour all is kept but interim responses and those whose request is not there.
        for (from, keys) in [(&first, &ALL[..]), (&second, &KEPT[..])] {
            let har = path(&format!("{name}-{}.har", keys.len()));
            let said = convert(from, &har);
            let back = path(&format!("{name}-{}.warc", keys.len()));
            let left_out = &said["converted"]["left_out"];
            let unpaired = ["interim_response", "response_without_request"];
            let unpaired: u64 = unpaired.iter().filter_map(|cause| left_out[*cause].as_u64()).sum();
            assert_eq!(total(left_out), unpaired, "{name}: {left_out}");
            convert(&har, &back);
            let (mut before, after) = (messages(from, keys), messages(&back, keys));
            for (message, count) in &after {
                let had =
                    before.get_mut(message).unwrap_or_else(|| panic!("{name}: new: {message}"));
                *had -= count;
            }
            assert_eq!(before.values().sum::<usize>() as u64, unpaired, "{name}: {before:?}");
            assert!(
                before.iter().all(|(message, count)| *count == 0 || message.contains("response"))
            );
        }
    }
}

fn written(said: &Value) -> u64 {
    let number = |name: &str| said["converted"][name].as_u64().expect("a number");
    number("requests") + number("responses")
}

#[test]
fn har_validator_accepts_what_is_written() {
    let dir = directory();
    let mut files = Vec::new();
    for name in fixtures::names() {
        let har = dir.path().join(format!("{name}.har"));
        convert(&fixtures::path(&format!("{name}.pcap")), &har);
        files.push(har);
    }
    let odd = "1 8e091765ae902fef8a2b7d9d 1700000000000000001 5\n\
        OPTIONS * HTTP/1.0\r\nHost: a b\r\nX\u{e9}: \u{1}\r\n\r\n\n🐵🙈🙉\n";
    let har = dir.path().join("odd.har");
    convert(&file(&dir, "odd.gor", odd), &har);
    files.push(har);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/har-validator.sh");
    let output = Command::new(script).args(&files).output().expect("the script runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{wrong}");
}

#[test]
fn the_output_is_ours_alone_and_nothing_is_overwritten() {
    let dir = directory();
    let pcap = fixtures::path("post.pcap");
    let copy = file(&dir, "copy.pcap", std::fs::read(&pcap).expect("a fixture"));
    for name in [
        "a.warc",
        "a.warc.gz",
        "a.warc.zst",
        "a.gor",
        "a.gor.gz",
        "a.har",
        "a.curl",
        "a.sh",
        "a.k6.js",
        "a.vegeta",
        "100%.har",
    ] {
        let out = dir.path().join(name);
        let done = run(&["convert", text(&pcap), text(&out)]).expect_code(0);
        assert!(done.stderr.contains("messages read ="), "{}", done.stderr);
        let mode = std::fs::metadata(&out).expect("the file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
        let before = std::fs::read(&out).expect("the file");
        let again = run(&["convert", text(&pcap), text(&out)]).expect_code(2);
        assert!(again.stderr.contains("exists already"), "{}", again.stderr);
        assert_eq!(std::fs::read(&out).expect("the file"), before);
        run(&["convert", text(&pcap), text(&out), "--overwrite"]).expect_code(0);
    }
    let same = run(&["convert", text(&copy), text(&copy), "--format", "har", "--overwrite"]);
    assert!(same.expect_code(2).stderr.contains("the same file"));
    assert_eq!(std::fs::read(&copy).expect("a file"), std::fs::read(&pcap).expect("a fixture"));
    let nameless = dir.path().join("nameless");
    let done = run(&["convert", text(&pcap), text(&nameless)]).expect_code(2);
    assert!(done.stderr.contains("--format"), "{}", done.stderr);
    assert!(!nameless.exists());
    let full = run(&["convert", text(&pcap), "/dev/full", "--format", "gor"]).expect_code(2);
    assert!(full.stderr.contains("cannot write /dev/full"), "{}", full.stderr);
    let alone = run(&["convert", text(&pcap)]).expect_code(2);
    assert!(alone.stderr.contains("FILE"), "{}", alone.stderr);
}

#[test]
fn a_file_is_made_whole_or_not_at_all() {
    let dir = directory();
    let pcap = fixtures::path("post.pcap");
    let listed = || {
        let entries = std::fs::read_dir(dir.path()).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("it").file_name()).collect();
        names.sort();
        names
    };
    let old = file(&dir, "a.har", "old");
    // A fault of the input that is known only when the output is open.
    let none = file(&dir, "none.log", "noise\n");
    let overwrite =
        ["convert", text(&none), text(&old), "--overwrite", "--redact-key", "env:NONE_SUCH"];
    run(&overwrite).expect_code(2);
    assert_eq!(std::fs::read(&old).expect("a file"), b"old");
    // While it is made it is another file: whoever reads the old one is not disturbed.
    let mut reader = std::fs::File::open(&old).expect("a file");
    run(&["convert", text(&pcap), text(&old), "--overwrite"]).expect_code(0);
    let mut read = String::new();
    reader.read_to_string(&mut read).expect("the old file");
    assert_eq!(read, "old");
    assert!(std::fs::read(&old).expect("a file").starts_with(b"{\"log\""));
    assert_eq!(listed(), ["a.har", "none.log"], "nothing is left behind");
    // One that somebody else makes is not taken over.
    file(&dir, "b.har.partial", "mine");
    let taken = run(&["convert", text(&pcap), text(&dir.path().join("b.har"))]).expect_code(2);
    assert!(taken.stderr.contains("b.har.partial exists already"), "{}", taken.stderr);
    // A link stays one, and what it leads to is replaced.
    let link = dir.path().join("link.har");
    std::os::unix::fs::symlink(&old, &link).expect("a link");
    let before = std::fs::read(&old).expect("a file");
    run(&["convert", text(&fixtures::path("ipv6.pcap")), text(&link), "--overwrite"])
        .expect_code(0);
    assert!(std::fs::symlink_metadata(&link).expect("it").is_symlink());
    assert_ne!(std::fs::read(&old).expect("a file"), before);
}

#[test]
fn overwriting_loses_nothing_that_nobody_named() {
    let dir = directory();
    let (old, partial) = (file(&dir, "a.har", "old"), file(&dir, "a.har.partial", "recorded"));
    let pcap = fixtures::path("post.pcap");
    let done = run(&["convert", text(&pcap), text(&old), "--overwrite"]).expect_code(0);
    assert!(done.stderr.contains("a.har.partial"), "it is said: {}", done.stderr);
    assert_eq!(std::fs::read(&partial).expect("it"), b"recorded");
    assert!(std::fs::read(&old).expect("it").starts_with(b"{\"log\""));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 2);
}

mod privileged {
    use std::fs;

    use super::*;

    #[test]
    fn what_cannot_be_replaced_by_a_whole_file_is_not_emptied() {
        let dir = directory();
        let (old, pcap) = (file(&dir, "a.har", "old"), fixtures::path("post.pcap"));
        std::os::unix::fs::chown(dir.path(), Some(65_532), Some(65_532)).expect("root");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("root");
        let done = run(&["convert", text(&pcap), text(&old), "--overwrite"]).expect_code(2);
        assert!(done.stderr.contains("cannot be replaced"), "{}", done.stderr);
        assert_eq!(fs::read(&old).expect("it"), b"old");
        // Nothing is lost where there was nothing.
        let new = dir.path().join("b.har");
        run(&["convert", text(&pcap), text(&new), "--overwrite"]).expect_code(0);
        assert!(fs::read(&new).expect("it").starts_with(b"{\"log\""));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 2);
    }
}

#[test]
fn what_is_read_is_never_what_is_written() {
    let dir = directory();
    let pcap = std::fs::read(fixtures::path("post.pcap")).expect("a fixture");
    let input = file(&dir, "a.warc.partial", &pcap);
    let [soft, hard] = ["soft.har", "hard.har"].map(|name| dir.path().join(name));
    std::os::unix::fs::symlink(&input, &soft).expect("a link");
    std::fs::hard_link(&input, &hard).expect("a link");
    let other = fixtures::path("ipv6.pcap");
    for output in [&soft, &hard, &dir.path().join("a.warc"), &input] {
        let args =
            ["convert", text(&other), text(&input), text(output), "--overwrite", "--format", "har"];
        let refused = run(&args).expect_code(2);
        assert!(refused.stderr.contains("the same file"), "{}", refused.stderr);
        assert!(refused.stderr.contains("choose another name"), "{}", refused.stderr);
    }
    // Appending to what is read would go on for ever.
    let mut appending = Command::new("sh");
    appending.args(["-c", "exec \"$0\" convert \"$1\" - --format gor >> \"$1\""]);
    appending.arg(crate::support::shadowtap::executable()).arg(&input);
    let output = appending.output().expect("sh");
    assert_eq!(output.status.code(), Some(2));
    assert!(contains(&output.stderr, b"standard output goes to"), "{output:?}");
    assert_eq!(std::fs::read(&input).expect("the input"), pcap);
}

#[test]
fn recordings_are_compressed_record_by_record() {
    let dir = directory();
    let pcap = fixtures::path("chunked.pcap");
    let plain = dir.path().join("a.warc");
    convert(&pcap, &plain);
    let begins = |bytes: &[u8]| memchr::memmem::find_iter(bytes, b"WARC/1.1\r\nWARC-Type").count();
    let whole = begins(&std::fs::read(&plain).expect("a file"));
    for (name, magic) in
        [("a.warc.gz", &[0x1f, 0x8b, 8][..]), ("a.warc.zst", &[0x28, 0xb5, 0x2f, 0xfd])]
    {
        let packed = dir.path().join(name);
        convert(&pcap, &packed);
        assert_eq!(messages(&packed, &ALL), messages(&plain, &ALL), "{name}");
        let bytes = std::fs::read(&packed).expect("a file");
        assert!(bytes.starts_with(magic), "{name}");
        let records = memchr::memmem::find_iter(&bytes, magic).count();
        // By chance there may be more that look like a beginning.
        assert!(records >= whole, "{name}: {records}, {whole} records");
    }
    let zstd = Command::new("zstd").args(["-dc", text(&dir.path().join("a.warc.zst"))]).output();
    let unpacked = zstd.expect("zstd").stdout;
    assert_eq!(begins(&unpacked), whole);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/warcio.sh");
    for args in [["check"], ["index"]] {
        let mut warcio = Command::new(script);
        let output =
            warcio.args(args).arg(dir.path().join("a.warc.gz")).output().expect("the script");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn secrets_are_replaced_once_unless_they_are_to_be_kept() {
    let dir = directory();
    let head = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer opensesame17\r\n\r\n";
    let record = format!("1 8e091765ae902fef8a2b7d9d 1388534400000000001 0\n{head}\n🐵🙈🙉\n");
    let gor = file(&dir, "in.gor", record);
    let (har, warc, kept) =
        (dir.path().join("a.har"), dir.path().join("a.warc"), dir.path().join("kept.har"));
    let stored =
        |path: &Path| String::from_utf8_lossy(&std::fs::read(path).expect("it")).into_owned();
    let value = |text: String| {
        let at = text.find("shadowtap-secret-").expect("a replaced value");
        assert!(!text.contains("opensesame17"), "{text}");
        text[at..at + 17 + 32].to_owned()
    };
    let done = run(&["convert", text(&gor), text(&har)]).expect_code(0);
    assert!(done.stderr.contains("are replaced"), "{}", done.stderr);
    run(&["convert", text(&har), text(&warc)]).expect_code(0);
    assert_eq!(value(stored(&har)), value(stored(&warc)), "what is replaced stays");
    let done = run(&["convert", text(&gor), text(&kept), "--keep-secrets"]).expect_code(0);
    assert!(stored(&kept).contains("opensesame17") && done.stderr.contains("in plain"));
}

#[test]
fn standard_input_is_not_overwritten_and_a_cut_log_is_said() {
    let dir = directory();
    let pcap = file(&dir, "a.pcap", std::fs::read(fixtures::path("post.pcap")).expect("a fixture"));
    let done = Run::new(["convert", "-", text(&pcap), "--format", "har", "--overwrite"])
        .stdin(&pcap)
        .finish(PATIENCE)
        .expect_code(2);
    assert!(done.stderr.contains("the same file"), "{}", done.stderr);
    let now = std::fs::read(&pcap).expect("a file");
    assert_eq!(now, std::fs::read(fixtures::path("post.pcap")).expect("a fixture"));

    let line = "10.0.0.1 - - [01/Jan/2024:00:00:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"x\"\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // What compresses badly, so that there are whole lines before the cut.
    for n in 0..5000_u32 {
        let path = format!("GET /{:08x}", n.wrapping_mul(2_654_435_761));
        gzip.write_all(line.replace("GET /a", &path).as_bytes()).expect("memory");
    }
    let whole = gzip.finish().expect("memory");
    let cut = file(&dir, "access.log.gz", &whole[..whole.len() / 2]);
    let done =
        run(&["convert", text(&cut), text(&dir.path().join("b.warc")), "--json"]).expect_code(2);
    assert!(done.stderr.contains("access.log.gz: unexpected end of file"), "{}", done.stderr);
    let said: Value = serde_json::from_slice(&done.stdout).expect("one JSON object");
    assert!(said["converted"]["requests"].as_u64().expect("a number") > 1000, "{said:#}");
}

#[test]
fn dashes_are_standard_input_and_output_and_gz_is_gzip() {
    let dir = directory();
    let pcap = fixtures::path("post.pcap");
    let plain = dir.path().join("a.gor");
    convert(&pcap, &plain);
    let piped = Run::new(["convert", "-", "-", "--format", "gor"]).stdin(&pcap);
    let piped = piped.finish(PATIENCE).expect_code(0);
    assert!(contains(&piped.stdout, "🐵🙈🙉".as_bytes()));
    assert_eq!(piped.stdout, std::fs::read(&plain).expect("a file"));
    let zipped = dir.path().join("b.gor.gz");
    convert(&pcap, &zipped);
    let mut unzipped = Vec::new();
    let zipped = std::fs::File::open(zipped).expect("a file");
    flate2::read::GzDecoder::new(zipped).read_to_end(&mut unzipped).expect("gzip");
    assert_eq!(unzipped, piped.stdout);
}

#[test]
fn curl_sends_what_the_commands_say() {
    let dir = directory();
    for name in ["methods", "post", "chunked", "keepalive"] {
        let script = dir.path().join(format!("{name}.sh"));
        let said = convert(&fixtures::path(&format!("{name}.pcap")), &script);
        let left_out = &said["converted"]["left_out"];
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let place = v2.url().replace("http://", "");
        file(&dir, ".curlrc", format!("connect-to = \"::{place}\"\noutput = /dev/null\n"));
        let mut sh = Command::new("sh");
        sh.arg(&script).env("CURL_HOME", dir.path()).env("HOME", dir.path());
        let output = sh.output().expect("sh");
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {wrong}");
        let inexpressible = left_out["inexpressible"].as_u64().expect("a number");
        let wanted = fixtures::requests(name);
        assert_eq!(
            wanted.len() as u64,
            inexpressible + said["converted"]["requests"].as_u64().expect("n")
        );
        if inexpressible == 0 {
            exact(&wanted, &v2.requests());
        }
    }
}

#[test]
fn an_access_log_is_replayed_without_what_it_does_not_tell() {
    let dir = directory();
    let line = |request: &str| {
        format!("10.0.0.9 - - [10/Oct/2000:13:55:36 -0700] \"{request}\" 200 5 \"-\" \"M/1 (x)\"\n")
    };
    let requests = ["GET /a?b=%20c HTTP/1.1", "POST /p HTTP/1.1", "HEAD /h HTTP/1.1", "-"];
    let log = requests.map(line).concat() + "noise\n";
    // By its content, whatever its name.
    let log = file(&dir, "traffic", log);
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let args = ["replay", text(&log), "--to", &v2.url(), "--speed", "max", "--json"];
    let done = run(&args).expect_code(0);
    exact(
        &[Request::new("GET", "/a?b=%20c", b""), Request::new("HEAD", "/h", b"")],
        &v2.requests(),
    );
    assert_eq!(v2.received()[0].header("user-agent").as_deref(), Some("M/1 (x)"));
    let ledger = done.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.count("/records/read"), ledger.count("/damaged")), (4, 1));
    assert_eq!(ledger.count("/records/passed/body_not_logged"), 1);
    assert_eq!(ledger.count("/records/passed/no_message"), 1);
    assert!(done.stderr.contains("not of the log's format"), "{}", done.stderr);
    assert!(done.stderr.contains("an access log has no connections"), "{}", done.stderr);

    let own = file(&dir, "own.txt", "1700000000.5|shop|GET|/x\n1700000001.5|shop|PUT|/x\n");
    let warc = dir.path().join("own.warc");
    let format = "$msec|$host|$request_method|$request_uri";
    let done = run(&["convert", text(&own), text(&warc), "--log-format", format]).expect_code(0);
    assert!(done.stderr.contains("1 messages read = 1 requests"), "{}", done.stderr);
    assert!(done.stderr.contains("1 that have a body"), "{}", done.stderr);
    let listed = run(&["inspect", text(&warc), "--json"]).expect_code(0);
    let got = &fixtures::json_lines(&listed.stdout)[0];
    assert_eq!(got["time_ns"], 1_700_000_000_500_000_000_u64);
    assert_eq!(got["headers"][0], serde_json::json!(["Host", "shop"]));
    let bad = run(&["inspect", text(&own), "--log-format", "$request"]).expect_code(2);
    assert!(bad.stderr.contains("$time_local"), "{}", bad.stderr);
}

#[test]
fn a_browsers_har_is_replayed_and_what_was_changed_is_said() {
    let dir = directory();
    let entry = |method: &str, version: &str, headers: &str, rest: &str| {
        format!(
            r#"{{"startedDateTime":"2026-03-01T10:20:30.123Z","time":1,"request":{{"method":"{method}",
            "url":"https://shop.example/x?y","httpVersion":"{version}","headers":[{headers}]{rest}}}}}"#
        )
    };
    let pseudo = r#"{"name":":authority","value":"shop.example"},{"name":"a","value":"1"}"#;
    let body = r#","bodySize":4,"postData":{"mimeType":"text/plain","text":"body"}"#;
    let entries = [
        entry("GET", "h2", pseudo, ""),
        entry("POST", "HTTP/1.1", r#"{"name":"Content-Length","value":"9"}"#, body),
        entry("PUT", "h3", "", r#","bodySize":9"#),
    ];
    let har = format!("{{\n \"log\": {{\"entries\": [{}, {{}}]}}}}", entries.join(",\n"));
    let path = file(&dir, "browser", har.as_bytes());
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let args = ["replay", text(&path), "--to", &v2.url(), "--methods", "all", "--speed", "max"];
    let done = Run::new(args).args(["--json"]).finish(PATIENCE).expect_code(0);
    exact(
        &[Request::new("GET", "/x?y", b""), Request::new("POST", "/x?y", b"body")],
        &v2.requests(),
    );
    let ledger = done.ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/refused/incomplete"), 1, "a body that was not stored");
    assert_eq!((ledger.count("/damaged"), ledger.count("/records/changed/pseudo_headers")), (1, 1));
    let changes = "pseudo_headers 1, http_version 2, host_made 3, framing 1";
    assert!(done.stderr.contains(changes), "{}", done.stderr);
    assert!(done.stderr.contains("no entry of a HAR document"), "{}", done.stderr);

    let cut = file(&dir, "cut.har", &har.as_bytes()[..har.len() - 3]);
    let done = run(&["inspect", text(&cut)]).expect_code(2);
    assert!(done.stderr.contains("line 7, column"), "{}", done.stderr);
    assert!(done.stderr.contains("export it again"), "{}", done.stderr);
    assert_eq!(done.text().lines().count(), 4, "what came before is shown: {}", done.text());
}
