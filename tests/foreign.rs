//! Files that other people's tools wrote, read by the real executable: Chromium's HAR, wget's WARC.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::netns::Place;
use crate::support::nginx::Nginx;
use crate::support::process::Finished;
use crate::support::request::{Request, exact, hex, sha256};
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The messages of files, as `inspect` lists them; none may be damaged.
#[track_caller]
fn inspected(files: &[&Path]) -> (Vec<Value>, Finished) {
    let run =
        Run::new(["inspect", "--json", "--responses"]).args(files.iter().map(|file| text(file)));
    let run = run.finish(PATIENCE).expect_code(0);
    assert!(!run.stderr.contains("skipped"), "{}", run.stderr);
    (fixtures::json_lines(&run.stdout), run)
}

fn of_kind<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|message| message["kind"] == kind).collect()
}

/// Replays everything in these files to a new v2.
#[track_caller]
fn replayed(files: &[&Path]) -> (V2, Finished) {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let flags = ["--to", &v2.url(), "--speed", "max", "--methods", "all", "--json"];
    let run = Run::new(["replay"]).args(files.iter().map(|file| text(file))).args(flags);
    let run = run.finish(PATIENCE).expect_code(0);
    run.ledger().assert_balanced();
    (v2, run)
}

/// Header fields without regard to order: developer tools list them by name.
fn sorted(headers: &Value) -> Vec<String> {
    let mut fields: Vec<String> =
        headers.as_array().expect("a list").iter().map(Value::to_string).collect();
    fields.sort();
    fields
}

#[test]
fn what_chromium_exported_is_what_its_server_was_asked() {
    let har = fixtures::path("chromium.har");
    let expected = fixtures::expected("chromium");
    let (messages, _) = inspected(&[&har]);
    let (requests, responses) = (of_kind(&messages, "request"), of_kind(&messages, "response"));
    assert_eq!((requests.len(), responses.len(), expected.len()), (13, 13, 13));
    for ((request, response), want) in requests.iter().zip(&responses).zip(&expected) {
        for key in ["method", "target", "version", "body_len", "body_sha256"] {
            assert_eq!(request[key], want[key], "{key} of {request:#}");
        }
        assert_eq!(sorted(&request["headers"]), sorted(&want["headers"]), "{request:#}");
        assert_eq!((&request["complete"], &response["complete"]), (&true.into(), &true.into()));
        for (key, of_server) in
            [("status", "status"), ("body_len", "answer_len"), ("body_sha256", "answer_sha256")]
        {
            assert_eq!(response[key], want[of_server], "{key} of {response:#}");
        }
        assert_eq!(
            (&request["conn"], &request["index"]),
            (&response["conn"], &response["request_index"])
        );
        assert_eq!(request["server"], "127.0.0.1:8080");
        assert!(request["time_ns"].as_u64() < response["time_ns"].as_u64());
    }
    // What the browser had decoded is the one thing that is not as it was.
    let (v2, run) = replayed(&[&har]);
    let want: Vec<Request> = expected.iter().map(fixtures::request).collect();
    exact(&want, &v2.requests());
    let ledger = run.ledger();
    assert_eq!(ledger.total("/records/changed"), 2, "{:#}", ledger.0);
    for what in ["content_encoding", "framing"] {
        assert_eq!(ledger.count(&format!("/records/changed/{what}")), 1, "{what}");
    }
}

/// The length of a request's head, whose fields have one space before their values.
fn lengths(request: &Value) -> usize {
    let len = |value: &Value| value.as_str().expect("text").chars().count();
    let fields = request["headers"].as_array().expect("a list");
    let fields: usize = fields.iter().map(|field| len(&field[0]) + len(&field[1]) + 4).sum();
    len(&request["method"]) + len(&request["target"]) + " HTTP/1.1\r\n".len() + 1 + fields + 2
}

/// Fetches these paths into a WARC file.
#[track_caller]
fn wget(dir: &Path, name: &str, flags: &[&str], urls: &[String]) {
    let mut wget = Command::new("wget");
    wget.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").expect("a path"));
    wget.args(["--no-config", "-q", "--no-proxy", "-O", "fetched", "--content-on-error"]);
    wget.arg(format!("--warc-file={name}")).args(flags).args(urls);
    let output = wget.output().expect("wget: scripts/setup.sh test installs it");
    // 8: the server said 404, as it was to.
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 8)), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_wget_stored_is_what_nginx_was_asked() {
    let nginx = Nginx::start(&Place::Host, &[LOCALHOST]);
    let dir = tempfile::tempdir().expect("a directory");
    let url = |path: &str| format!("http://{}{path}", nginx.addr());
    let gets = ["/static/page", "/a%20b?c=d&e", "/static/page?again"].map(url);
    wget(dir.path(), "plain", &["--no-warc-compression", "--header=X-Odd: a b"], &gets);
    let posts = ["/upload/one", "/upload/two"].map(url);
    wget(dir.path(), "zipped", &["--post-data=a=1&b=two words"], &posts);
    let address = nginx.addr().to_string();
    let log = nginx.log_of(5, PATIENCE);
    nginx.stop();

    let files = ["plain.warc", "zipped.warc.gz"].map(|name| dir.path().join(name));
    let gzip = std::fs::read(&files[1]).expect("wget's file");
    assert!(gzip.starts_with(&[0x1f, 0x8b]), "compressed by default");
    let files = files.each_ref().map(|file| &**file);
    let (messages, _) = inspected(&files);
    let (requests, responses) = (of_kind(&messages, "request"), of_kind(&messages, "response"));
    assert_eq!((requests.len(), responses.len(), log.len()), (5, 5, 5));
    for ((request, response), line) in requests.iter().zip(&responses).zip(&log) {
        assert_eq!(request["method"], *line.method);
        assert_eq!(request["target"], *line.target);
        assert_eq!(response["status"], line.status);
        assert_eq!(request["server"], address);
        let length: usize = lengths(request) + request["body_len"].as_u64().expect("n") as usize;
        assert_eq!(length as u64, line.request_length, "byte for byte: {request:#}");
        assert_eq!((&request["conn"], &response["request_index"]), (&response["conn"], &0.into()));
    }
    let page = hex(&sha256(&[b'x'; 20_000]));
    assert_eq!(responses[0]["body_sha256"], *page);
    let odd = serde_json::json!(["X-Odd", "a b"]);
    assert!(requests[0]["headers"].as_array().expect("a list").contains(&odd), "{:#}", requests[0]);

    // And through our own format.
    let ours = dir.path().join("ours.warc.zst");
    let convert = ["convert", text(files[0]), text(files[1]), text(&ours), "--keep-secrets"];
    Run::new(convert).finish(PATIENCE).expect_code(0);
    for files in [&files[..], &[&*ours]] {
        let (v2, run) = replayed(files);
        let want: Vec<Request> = log
            .iter()
            .map(|line| {
                let body: &[u8] = if line.method == "POST" { b"a=1&b=two words" } else { b"" };
                Request::new(&line.method, &line.target, body)
            })
            .collect();
        exact(&want, &v2.requests());
        assert_eq!(run.ledger().count("/requests/captured"), 5);
    }
}
