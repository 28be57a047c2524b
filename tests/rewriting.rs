//! What rules change on the way to v2, what is redacted, and what is refused: seen at v2, byte for byte.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::ledger::Ledger;
use crate::support::process::{Finished, contains};
use crate::support::raw::{Next, RawServer};
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A v2 that keeps every byte it gets.
pub fn v2() -> RawServer {
    RawServer::start(LOCALHOST, |asked| {
        std::io::Write::write_all(
            &mut &*asked.stream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        )?;
        Ok(Next::Go)
    })
}

/// A capture of one connection with these requests, one to a segment, answers left out.
fn capture(requests: &[&str]) -> (PathBuf, TempDir) {
    capture_of(&requests.iter().map(|request| (*request, "")).collect::<Vec<_>>())
}

/// The same with their answers.
pub fn capture_of(exchanges: &[(&str, &str)]) -> (PathBuf, TempDir) {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let mut file = Vec::new();
    // LINKTYPE_RAW.
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101u32] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let mut frame = |from_client: bool, seq: u32, ack: u32, flags: u8, data: &[u8]| {
        let (client, server) = ([10, 0, 0, 2], [10, 0, 0, 1]);
        let (source, target) = if from_client { (client, server) } else { (server, client) };
        let (from_port, to_port): (u16, u16) =
            if from_client { (40_000, 80) } else { (80, 40_000) };
        let len = u16::try_from(40 + data.len()).expect("one segment");
        let mut packet = vec![0x45, 0];
        packet.extend_from_slice(&len.to_be_bytes());
        packet.extend_from_slice(&[0, 1, 0x40, 0, 64, 6, 0, 0]);
        packet.extend_from_slice(&[source, target].concat());
        packet.extend_from_slice(&from_port.to_be_bytes());
        packet.extend_from_slice(&to_port.to_be_bytes());
        packet.extend_from_slice(&seq.to_be_bytes());
        packet.extend_from_slice(&ack.to_be_bytes());
        packet.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend_from_slice(data);
        for word in [1_700_000_000, 0, u32::from(len), u32::from(len)] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    };
    frame(true, 99, 0, SYN, b"");
    frame(false, 499, 100, SYN | ACK, b"");
    frame(true, 100, 500, ACK, b"");
    let (mut seq, mut ack) = (100, 500);
    for (request, answer) in exchanges {
        frame(true, seq, ack, ACK, request.as_bytes());
        seq += u32::try_from(request.len()).expect("short");
        frame(false, ack, seq, ACK, answer.as_bytes());
        ack += u32::try_from(answer.len()).expect("short");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.pcap");
    std::fs::write(&path, file).expect("own directory");
    (path, dir)
}

const REQUESTS: [&str; 3] = [
    "GET /v1/a/../b?token=secret&x=%2f HTTP/1.1\r\nHost: v1\r\nX-Old:  a\r\nCookie: a=b;\r\n c=d\r\n\r\n",
    "POST http://v1/v1/orders HTTP/1.1\r\nhost: v1\r\nX-REMOVE: 1\r\nContent-Type: application/json\r\n\
     content-length: 33\r\n\r\n{ \"user\": {\"id\": 1.0}, \"env\":\"p\"}",
    "PUT /v1/c HTTP/1.1\r\nHost: v1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n{\"us\r\n\
     10\r\ner\":{},\"env\":\"p\"\r\n1\r\n}\r\n0\r\nT: 1\r\n\r\n",
];

const RULES: [&str; 18] = [
    "--set-header",
    "Authorization: env:V2_TOKEN",
    "--rename-header",
    "X-Old: X-New",
    "--remove-header",
    "x-remove",
    "--rewrite-path",
    "^/v1/(.*) => /v2/$1",
    "--remove-query",
    "token",
    "--set-query",
    "shadow=1",
    "--set-json",
    "$.user.plan=free",
    "--remove-json",
    "$.env",
    "--set-header",
    "host: v2",
];

/// What v2 is to get, with `RUN` in place of the run's name.
fn wanted() -> [String; 3] {
    let end = |n: u32| format!("X-Shadowtap: RUN-{n}\r\n\r\n");
    [
        format!(
            "GET /v2/a/../b?x=%2f&shadow=1 HTTP/1.1\r\nHost: v2\r\nX-New:  a\r\nCookie: a=b;\r\n c=d\r\n\
             Authorization: tokentoken\r\n{}",
            end(1)
        ),
        format!(
            "POST http://v1/v2/orders?shadow=1 HTTP/1.1\r\nhost: v2\r\nContent-Type: application/json\r\n\
             content-length: 36\r\nAuthorization: tokentoken\r\n{}{{ \"user\": {{\"id\": 1.0,\"plan\":\"free\"}}}}",
            end(2)
        ),
        format!(
            "PUT /v2/c?shadow=1 HTTP/1.1\r\nHost: v2\r\nTransfer-Encoding: chunked\r\nAuthorization: tokentoken\r\n{}\
             18\r\n{{\"user\":{{\"plan\":\"free\"}}}}\r\n0\r\nT: 1\r\n\r\n",
            end(3)
        ),
    ]
}

/// The request with `RUN` in place of the run's name.
fn without_run(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).expect("ASCII");
    let (front, rest) = text.split_once("X-Shadowtap: ").expect("the marker");
    let (_, rest) = rest.split_once('-').expect("a number");
    format!("{front}X-Shadowtap: RUN-{rest}")
}

fn replay(file: &Path, to: &str) -> Run {
    Run::new(["replay", text(file), "--to", to, "--methods", "all", "--speed", "max", "--json"])
        .env("V2_TOKEN", "tokentoken")
}

#[test]
fn a_replay_is_rewritten_byte_for_byte_and_a_dry_run_prints_the_same() {
    let (file, _dir) = capture(&REQUESTS);
    let server = v2();
    let finished = replay(&file, &server.url()).args(RULES).finish(PATIENCE).expect_code(0);
    let ledger = finished.ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/targets/0/answered/2xx"), 3, "{:#}", ledger.0);
    let sent: Vec<_> = server.taken().iter().map(|taken| without_run(&taken.bytes)).collect();
    assert_eq!(sent, wanted());
    assert!(!finished.stderr.contains("tokentoken") && !contains(&finished.stdout, b"tokentoken"));

    let dry = replay(&file, &server.url()).args(RULES).args(["--dry-run"]);
    let dry = dry.finish(PATIENCE).expect_code(0);
    let (printed, rest) = split(&dry.stdout);
    let printed: Vec<_> = printed.iter().map(|bytes| without_run(bytes)).collect();
    assert_eq!(printed, wanted());
    let ledger = Ledger::parse(rest);
    ledger.assert_balanced();
    assert_eq!(ledger.count("/targets/0/shed/dry_run"), 3, "{:#}", ledger.0);
    assert_eq!(server.taken().len(), 3, "nothing more was sent");
}

/// What a dry run printed: each request, and the ledger behind them.
fn split(mut stdout: &[u8]) -> (Vec<Vec<u8>>, &[u8]) {
    let mut requests = Vec::new();
    while stdout.starts_with(b"shadowtap-dry-run: ") {
        let end = memchr::memchr(b'\n', stdout).expect("a line");
        let line = String::from_utf8_lossy(&stdout[..end]);
        assert!(line.contains(" at=1700000000.000000000 connection="), "{line}");
        let len: usize =
            line.rsplit('=').next().and_then(|len| len.parse().ok()).expect("a length");
        requests.push(stdout[end + 1..][..len].to_vec());
        assert_eq!(stdout[end + 1 + len], b'\n');
        stdout = &stdout[end + 2 + len..];
    }
    (requests, stdout)
}

#[test]
fn a_dry_run_makes_no_connection() {
    let (file, _dir) = capture(&REQUESTS);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let to = format!("http://{}", listener.local_addr().expect("bound"));
    let finished = replay(&file, &to).args(["--dry-run"]).finish(PATIENCE).expect_code(0);
    assert_eq!(split(&finished.stdout).0.len(), 3);
    assert!(listener.accept().is_err(), "somebody connected");
    let both = replay(&file, &to).args(["--dry-run", "--http2"]).finish(PATIENCE).expect_code(2);
    assert!(both.stderr.contains("--http2"), "{}", both.stderr);
}

#[test]
fn what_the_rules_would_break_is_counted_and_not_sent() {
    let (file, _dir) = capture(&REQUESTS);
    let server = v2();
    let rules = ["--rewrite-path", r"/a/ => /a /", "--set-json", "$.x=1"];
    let finished = replay(&file, &server.url()).args(rules).finish(PATIENCE).expect_code(0);
    let ledger = finished.ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/targets/0/shed/rewrite_invalid"), 1, "{:#}", ledger.0);
    assert_eq!(server.taken().len(), 2);
    assert!(finished.stderr.contains("a space or a control character"), "{}", finished.stderr);
    for (args, want) in [
        (["--set-header", "Content-Length: 1"], "framing is made right"),
        (["--set-header", "A: env:NO_SUCH"], "no environment variable NO_SUCH"),
        (["--allow-target", "other:80"], "none of the allowed targets (other:80)"),
    ] {
        let refused = replay(&file, &server.url()).args(args).finish(PATIENCE).expect_code(2);
        assert!(refused.stderr.contains(want), "{}", refused.stderr);
    }
    let host = server.addr.ip().to_string();
    let allowed = replay(&file, &server.url()).args(["--allow-target", &host]);
    allowed.finish(PATIENCE).expect_code(0);
}

#[test]
fn no_rule_adds_a_line_whatever_its_line_breaks() {
    let (file, dir) = capture(&REQUESTS[..1]);
    let dry = || replay(&file, "http://v2.invalid").args(["--dry-run"]);
    // In the environment there is one on each line.
    let both = dry().env("SHADOWTAP_SET_HEADER", "X-A: 1\nX-B: 2");
    let both = both.env("SHADOWTAP_REDACT", "header cookie\nquery token").finish(PATIENCE);
    let both = both.expect_code(0);
    let sent = without_run(&split(&both.stdout).0[0]);
    assert!(sent.contains("\r\nX-A: 1\r\nX-B: 2\r\n") && !sent.contains("token=secret"), "{sent}");
    assert!(!sent.contains("c=d"), "{sent}");
    // Anywhere else a line break is part of the value, which no field may have.
    let config = dir.path().join("c.toml");
    for (rule, flag) in [
        ("set-header = \"X-A: 1\\nX-B: 2\"", ["--set-header", "X-A: 1\nX-B: 2"]),
        ("add-header = [\"X-A: 1\\r\\nX-B: 2\"]", ["--add-header", "X-A: 1\r\nX-B: 2"]),
        ("remove-header = \"Host\\nCookie\"", ["--remove-header", "Host\nCookie"]),
        ("redact = \"header host\\nheader x\"", ["--redact", "header host\nheader x"]),
    ] {
        std::fs::write(&config, rule).expect("own directory");
        let refused = [dry().args(flag), dry().args(["--config", text(&config)])];
        for refused in refused.map(|run| run.finish(PATIENCE).expect_code(2)) {
            assert!(refused.stderr.contains(flag[0].trim_start_matches('-')), "{}", refused.stderr);
            assert!(refused.stdout.is_empty(), "{rule}");
        }
    }
    // The environment still gives way to a flag.
    let one = dry().env("SHADOWTAP_SET_HEADER", "X-A: 1\nX-B: 2").args(["--set-header", "X-C: 3"]);
    let one = one.finish(PATIENCE).expect_code(0);
    let sent = without_run(&split(&one.stdout).0[0]);
    assert!(sent.contains("X-C: 3") && !sent.contains("X-A"), "{sent}");
}

fn outputs(finished: &Finished) -> impl Iterator<Item = &[u8]> {
    [&finished.stdout[..], finished.stderr.as_bytes()].into_iter()
}

/// Needs root: captures live.
mod privileged {
    use super::*;
    use crate::support::stage::{Stage, capturing, converse};

    const REQUEST: &str = "GET /?card=4111111111111111 HTTP/1.1\r\nHost: v1\r\nAuthorization: v1token\r\nConnection: close\r\n\r\n";

    #[test]
    fn a_token_from_the_environment_is_sent_and_shown_nowhere() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let rules = ["--set-header", "Authorization: env:V2_TOKEN", "--redact", "pattern card"];
        let run = stage.mirror().args(rules).args(["--record", text(&file), "--log", "trace"]);
        let mirror = capturing(run.env("V2_TOKEN", "v2secret").start());
        assert!(!mirror.process.proc("cmdline").contains("v2secret"));
        converse(&stage.client, stage.v1.addr(), REQUEST);
        stage.v2.wait_for(1, PATIENCE);
        let finished = mirror.terminate(PATIENCE).expect_code(0);
        finished.ledger().assert_balanced();
        let sent = stage.v2.received();
        assert_eq!(sent[0].header("authorization").as_deref(), Some("v2secret"));
        assert!(!sent[0].request.target.contains("4111111111111111"), "{}", sent[0].request.target);
        // What is recorded beside it is v1's, without its secrets, and knows nothing of v2's.
        let stored = std::fs::read(&file).expect("the recording");
        assert!(contains(&stored, b"Authorization: shadowtap-secret-"));
        for secret in [&b"v2secret"[..], b"v1token", b"4111111111111111"] {
            assert!(!contains(&stored, secret), "{}", secret.escape_ascii());
            assert!(outputs(&finished).all(|bytes| !contains(bytes, secret)));
        }
    }

    #[test]
    fn v1_itself_is_no_target_unless_the_user_insists() {
        let stage = Stage::loopback();
        let to = format!("http://{}", stage.v1.addr());
        let refused = stage.mirror_to(&to).finish(PATIENCE).expect_code(2);
        assert!(refused.stderr.contains("which is v1's own"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--same-target-ok"), "{}", refused.stderr);
        let mirror = capturing(stage.mirror_to(&to).args(["--same-target-ok"]).start());
        mirror.terminate(PATIENCE).expect_code(0).ledger().assert_balanced();
    }
}
