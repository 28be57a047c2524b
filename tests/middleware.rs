//! `--middleware`: programs between shadowtap and v2, on real traffic and on its recording: what v2 gets, what is counted, and
//! what becomes of the programs.
//!
//! The programs are those that docs/middleware shows, GoReplay's own library (`gor` of PyPI, unchanged), and a few lines of shell.

use std::path::{Path, PathBuf};

use crate::support::PATIENCE;
use crate::support::shadowtap::Run;

/// A file of the repository.
fn shown(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// A recording of these requests, each of a connection of its own.
#[track_caller]
fn recording(dir: &Path, requests: &[String]) -> PathBuf {
    let file = dir.join("a.gor");
    let records = requests.iter().enumerate().map(|(n, request)| {
        format!("1 {n:024x} {} 0\n{request}\n🐵🙈🙉\n", 1_700_000_000_000_000_000 + n)
    });
    std::fs::write(&file, records.collect::<String>()).expect("own directory");
    file
}

fn replay(file: &Path, to: &str) -> Run {
    let file = file.to_str().expect("UTF-8");
    Run::new(["replay", file, "--to", to, "--methods", "all", "--speed", "max", "--json"])
}

#[test]
fn a_program_that_cannot_be_started_ends_it_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = recording(dir.path(), &["GET / HTTP/1.1\r\n\r\n".into()]);
    for (args, want) in [
        (
            ["--middleware", "/no/such/program -x"],
            "--middleware: cannot start `/no/such/program`: No such file",
        ),
        (["--middleware", "cat 'a"], "a quote is not closed"),
        (["--middleware-protocol", "xml"], "possible values: json, gor"),
        (["--middleware-timeout", "soon"], "--middleware-timeout"),
    ] {
        let finished = replay(&file, "http://127.0.0.1:1").args(args).finish(PATIENCE);
        let finished = finished.expect_code(2);
        assert!(finished.stderr.contains(want), "{args:?}: {}", finished.stderr);
        assert_eq!(finished.text(), "", "nothing was begun");
    }
}

#[test]
fn what_a_program_says_on_stderr_is_in_the_log_but_not_all_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = recording(dir.path(), &["GET / HTTP/1.1\r\n\r\n".into()]);
    let script =
        r"sh -c 'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo said $i >&2; done; exec cat'";
    let dry = replay(&file, "http://127.0.0.1:1").args(["--middleware", script, "--dry-run"]);
    let finished = dry.env("SHADOWTAP_LOG", "info").finish(PATIENCE).expect_code(0);
    let text = &finished.stderr;
    assert!(text.contains("sh: said 1\n") && text.contains("more lines are left out"), "{text}");
    assert!(text.matches("sh: said").count() < 100, "{text}");
    assert!(finished.text().contains("GET / HTTP/1.1"), "a dry run asks, too");
}

/// Needs root: captures live.
mod privileged {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::Mutex;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, test_kill_process};

    use super::{recording, replay, shown};
    use crate::support::ledger::Ledger;
    use crate::support::netns::Place;
    use crate::support::raw::{Head, Next, RawServer};
    use crate::support::shadowtap::{Run, Shadowtap, User};
    use crate::support::stage::{LOCALHOST, Stage, capturing, converse};
    use crate::support::v2::V2;
    use crate::support::{PATIENCE, require_root, wait_until};

    /// Rounds of [`asked`].
    const ROUNDS: usize = 20;

    /// The requests of a round, on one connection.
    fn asked(round: usize) -> [String; 4] {
        let body = format!("{{\"n\": {round}, \"email\": \"user{round}@real.example\"}}");
        let len = body.len();
        [
            format!("GET /a/{round}?x=%2f HTTP/1.1\r\nhost:  v1\r\nX-Odd: \u{e9}\r\n\r\n"),
            format!("GET /health/{round} HTTP/1.1\r\nHost: v1\r\n\r\n"),
            format!(
                "POST /b/{round} HTTP/1.1\r\nHost: v1\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
            ),
            format!("GET /last/{round} HTTP/1.1\r\nHost: v1\r\nConnection: close\r\n\r\n"),
        ]
    }

    /// A server that answers everything with 200.
    fn server() -> RawServer {
        RawServer::start(LOCALHOST, |asked| {
            (&mut &*asked.stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            Ok(if asked.head.closes() { Next::Close } else { Next::Go })
        })
    }

    fn mirror(v1: &RawServer, v2: &RawServer) -> Run {
        let port = v1.addr.port().to_string();
        let run = Run::new(["mirror", "-i", "lo", "-p", &port, "--to", &v2.url(), "--json"]);
        run.args(["--methods", "all", "--middleware-timeout", "20s"])
    }

    /// What a server got, sorted, without our marker.
    fn got(v2: &RawServer) -> Vec<String> {
        let without = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
            let lines =
                text.split_inclusive("\r\n").filter(|line| !line.starts_with("X-Shadowtap"));
            lines.collect::<String>()
        };
        let mut all: Vec<_> = v2.taken().iter().map(|taken| without(&taken.bytes)).collect();
        all.sort();
        all
    }

    /// What v2 is to get when a program of docs/middleware was asked.
    fn shaped(by: &str, document: impl Fn(usize) -> String) -> Vec<String> {
        let field = format!("X-Shaped-By: {by}\r\n");
        let of = |round: usize| {
            let body = document(round);
            let len = body.len();
            [
                format!(
                    "GET /a/{round}?x=%2f HTTP/1.1\r\nhost: v1\r\nX-Odd: \u{e9}\r\n{field}\r\n"
                ),
                format!(
                    "POST /b/{round} HTTP/1.1\r\nHost: v1\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n{field}\r\n{body}"
                ),
                format!(
                    "GET /last/{round} HTTP/1.1\r\nHost: v1\r\nConnection: close\r\n{field}\r\n"
                ),
            ]
        };
        let mut all: Vec<_> = (0..ROUNDS).flat_map(of).collect();
        all.sort();
        all
    }

    #[test]
    fn the_examples_shape_live_traffic_and_its_recording_alike() {
        require_root();
        let python = |n: usize| format!("{{\"n\": {n}, \"email\": \"test@example.org\"}}");
        let node = |n: usize| format!("{{\"n\":{n},\"email\":\"test@example.org\"}}");
        for (command, want) in [
            (format!("python3 {}", shown("docs/middleware/shape.py")), shaped("python", python)),
            (format!("node '{}'", shown("docs/middleware/shape.mjs")), shaped("node", node)),
        ] {
            let (v1, v2) = (server(), server());
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("a.warc");
            let args = ["--middleware", &command, "--record", file.to_str().expect("UTF-8")];
            let shadowtap = capturing(mirror(&v1, &v2).args(args).start());
            for round in 0..ROUNDS {
                converse(&Place::Host, v1.addr, &asked(round).concat());
            }
            wait_until("v2 has it", PATIENCE, || v2.taken().len() >= want.len());
            let ledger = shadowtap.terminate(PATIENCE).expect_code(0).ledger();
            assert_counts(&ledger);
            assert_eq!(got(&v2), want, "{command}");

            let v2 = server();
            let again = replay(&file, &v2.url()).args(["--middleware", &command]);
            let again = again.args(["--middleware-timeout", "20s"]).finish(PATIENCE).expect_code(0);
            assert_counts(&again.ledger());
            assert_eq!(got(&v2), want, "from the recording: {command}");
        }
    }

    /// Of each round three were changed and one dropped.
    #[track_caller]
    fn assert_counts(ledger: &Ledger) {
        ledger.assert_balanced();
        let rounds = ROUNDS as u64;
        assert_eq!(ledger.count("/requests/queued"), 4 * rounds, "{:#}", ledger.0);
        assert_eq!(ledger.count("/targets/0/answered/2xx"), 3 * rounds, "{:#}", ledger.0);
        assert_eq!(ledger.count("/targets/0/shed/middleware_dropped"), rounds);
        assert_eq!(ledger.count("/targets/0/middleware_changed"), 3 * rounds);
        for none in ["restarts", "bad_lines", "late", "untold"] {
            assert_eq!(ledger.count(&format!("/targets/0/middleware_{none}")), 0, "{none}");
        }
    }

    /// The sample of gor's own README, word for word.
    const README: &str = r#"
# coding: utf-8
import sys
from gor.middleware import AsyncioGor


def on_request(proxy, msg, **kwargs):
    proxy.on('response', on_response, idx=msg.id, req=msg)

def on_response(proxy, msg, **kwargs):
    proxy.on('replay', on_replay, idx=kwargs['req'].id, req=kwargs['req'], resp=msg)

def on_replay(proxy, msg, **kwargs):
    replay_status = proxy.http_status(msg.http)
    resp_status = proxy.http_status(kwargs['resp'].http)
    if replay_status != resp_status:
        sys.stderr.write('replay status [%s] diffs from response status [%s]\n' % (replay_status, resp_status))
    else:
        sys.stderr.write('replay status is same as response status\n')
    sys.stderr.flush()

if __name__ == '__main__':
    proxy = AsyncioGor()
    proxy.on('request', on_request)
    proxy.run()
"#;

    /// Runs Python with gor, installed by now.
    #[track_caller]
    fn gor(file: &str) -> String {
        let script = shown("tests/scripts/gor.sh");
        let installed = std::process::Command::new(&script).args(["-c", "import gor"]).output();
        let installed = installed.expect("a shell");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        format!("'{script}' '{file}'")
    }

    #[test]
    fn middleware_of_goreplay_runs_unchanged_and_compares_both_answers() {
        require_root();
        let v1 = server();
        let v2 = RawServer::start(LOCALHOST, |asked| {
            let status = if asked.head.items("x-odd").is_empty() { "200 OK" } else { "500 No" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            );
            (&mut &*asked.stream).write_all(answer.as_bytes())?;
            Ok(if asked.head.closes() { Next::Close } else { Next::Go })
        });
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("readme.py");
        std::fs::write(&file, README).expect("own directory");
        let gor_args = ["--middleware-protocol", "gor", "--middleware-sees", "all"];
        let command = gor(file.to_str().expect("UTF-8"));
        let run = mirror(&v1, &v2).args(gor_args).args(["--middleware", &command]);
        let shadowtap = capturing(run.env("SHADOWTAP_LOG", "info").start());
        converse(&Place::Host, v1.addr, &asked(0).concat());
        wait_until("v2 has it", PATIENCE, || v2.taken().len() == 4);
        shadowtap.wait_stderr("replay status [500] diffs from response status [200]", PATIENCE);
        let finished = shadowtap.terminate(PATIENCE).expect_code(0);
        assert_eq!(finished.stderr.matches("is same as").count(), 3, "{}", finished.stderr);
        let ledger = finished.ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.total("/targets/0/answered"), 4, "{:#}", ledger.0);
        assert_eq!(ledger.count("/targets/0/middleware_changed"), 0, "echoes change nothing");
        let mut want = asked(0).to_vec();
        want.sort();
        assert_eq!(got(&v2), want);
    }

    /// A server that gives each login a token of its own, and knows these alone.
    fn login(prefix: &'static str) -> RawServer {
        let given = Mutex::new(BTreeMap::new());
        RawServer::start(LOCALHOST, move |asked| {
            let mut given = given.lock().expect("tokens");
            let (status, body) = if asked.head.method() == b"POST" {
                let token = format!("{prefix}-{}", given.len());
                // As items are given: in lower case.
                given.insert(format!("bearer {token}"), ());
                ("200 OK", format!("{{\"token\": \"{token}\"}}"))
            } else {
                let is_known =
                    asked.head.items("authorization").iter().any(|t| given.contains_key(t));
                (if is_known { "200 OK" } else { "401 No" }, String::new())
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
            (&mut &*asked.stream).write_all(answer.as_bytes())?;
            Ok(if asked.head.closes() { Next::Close } else { Next::Go })
        })
    }

    /// A session at this server: a login, and then so many requests with the token that it gave.
    fn session(v1: &RawServer, requests: usize) {
        use std::io::{BufRead, BufReader, Read};
        let mut stream = std::net::TcpStream::connect(v1.addr).expect("v1 accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        let mut ask = |request: String| {
            stream.write_all(request.as_bytes()).expect("v1 reads");
            let (mut length, mut line) = (0, String::new());
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).expect("an answer");
                if let Some(text) = line.strip_prefix("Content-Length: ") {
                    length = text.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            String::from_utf8(body).expect("UTF-8")
        };
        let answer = ask("POST /login HTTP/1.1\r\nHost: v1\r\nContent-Length: 0\r\n\r\n".into());
        let token = answer.split('"').nth(3).expect("a token").to_owned();
        for n in 0..requests {
            ask(format!("GET /{n} HTTP/1.1\r\nHost: v1\r\nAuthorization: Bearer {token}\r\n\r\n"));
        }
    }

    #[test]
    fn a_token_of_v2_takes_the_place_of_v1s_by_middleware_of_goreplay_live_and_from_a_file() {
        const SESSIONS: u64 = 5;
        require_root();
        let (v1, v2) = (login("one"), login("two"));
        let command = gor(&shown("docs/middleware/session_token.py"));
        let args =
            ["--middleware-protocol", "gor", "--middleware-sees", "all", "--middleware", &command];
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let record = ["--keep-secrets", "--record", file.to_str().expect("UTF-8")];
        let shadowtap = capturing(mirror(&v1, &v2).args(args).args(record).start());
        (0..SESSIONS).for_each(|_| session(&v1, 3));
        wait_until("v2 has it", PATIENCE, || v2.taken().len() as u64 == 4 * SESSIONS);
        let live = shadowtap.terminate(PATIENCE).expect_code(0).ledger();
        let v2 = login("three");
        let again = replay(&file, &v2.url()).args(args).args(["--middleware-timeout", "20s"]);
        let again = again.finish(PATIENCE).expect_code(0).ledger();
        for ledger in [&live, &again] {
            ledger.assert_balanced();
            assert_eq!(ledger.count("/targets/0/answered/2xx"), 4 * SESSIONS, "{:#}", ledger.0);
            assert_eq!(ledger.count("/targets/0/middleware_changed"), 3 * SESSIONS);
        }
        let v2 = login("four");
        let without = replay(&file, &v2.url()).finish(PATIENCE).expect_code(0).ledger();
        assert_eq!(without.count("/targets/0/answered/4xx"), 3 * SESSIONS, "it needs it");
    }

    /// The child of a process.
    #[track_caller]
    fn child_of(shadowtap: &Shadowtap) -> Pid {
        let pid = shadowtap.process.pid().as_raw_nonzero();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
        let text = tasks.map(|task| std::fs::read_to_string(task.path().join("children")));
        let text: String = text.map(|text| text.expect("its children")).collect();
        let child = text.split_whitespace().next().expect("a child");
        Pid::from_raw(child.parse().expect("a number")).expect("a process")
    }

    #[test]
    fn a_program_has_no_rights_nor_descriptors_of_ours_and_ends_with_us() {
        for user in [User::Same, User::NetRaw] {
            let stage = Stage::loopback();
            let run = stage.mirror().args(["--middleware", "cat"]).user(user);
            let shadowtap = capturing(run.start());
            stage.load().run().expect_no_errors();
            let child = child_of(&shadowtap);
            let proc = format!("/proc/{}", child.as_raw_nonzero());
            let status = std::fs::read_to_string(format!("{proc}/status")).expect("its status");
            for line in [
                "CapPrm:\t0000000000000000",
                "CapEff:\t0000000000000000",
                "CapInh:\t0000000000000000",
                "NoNewPrivs:\t1",
            ] {
                assert!(status.contains(line), "{user:?}: no {line} in {status}");
            }
            let mut open: Vec<_> = std::fs::read_dir(format!("{proc}/fd"))
                .expect("its descriptors")
                .map(|entry| entry.expect("one").file_name().into_string().expect("a number"))
                .collect();
            open.sort();
            assert_eq!(open, ["0", "1", "2"], "{user:?}");
            let environment = std::fs::read(format!("{proc}/environ")).expect("its environment");
            let target = format!("SHADOWTAP_MIDDLEWARE_TARGET={}", stage.v2.url());
            assert!(crate::support::process::contains(&environment, target.as_bytes()));
            let finished = shadowtap.terminate(PATIENCE).expect_code(0);
            finished.ledger().assert_balanced();
            assert!(test_kill_process(child).is_err(), "it ended with us");
        }
    }

    #[test]
    fn programs_that_die_hang_or_talk_nonsense_cost_what_is_counted_and_no_more() {
        // Each of ten requests; the fourth ends one program, the sixth another.
        const MORTAL: &str =
            r"sh -c 'i=0; while read -r x; do i=$((i+1)); [ $i = 4 ] && exit 1; echo $x; done'";
        const SILENT: &str = "sh -c 'while read -r x; do :; done'";
        const NONSENSE: &str =
            "sh -c 'echo what; echo; while read -r x; do echo $x; echo $x; done'";
        let requests = (0..10).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: v1\r\n\r\n"));
        let requests: Vec<_> = requests.collect();
        let dir = tempfile::tempdir().expect("a directory");
        let file = recording(dir.path(), &requests);
        for (command, timeout, sent, counts) in [
            (MORTAL, "20s", 8, &[("shed/middleware_died", 2), ("middleware_restarts", 2)][..]),
            (SILENT, "50ms", 0, &[("shed/middleware_timeout", 10), ("middleware_restarts", 0)]),
            (NONSENSE, "20s", 10, &[("middleware_bad_lines", 2)]),
        ] {
            let v2 = V2::start(&Place::Host, LOCALHOST);
            let args =
                ["--middleware", command, "--middleware-protocol", "gor", "--concurrency", "1"];
            let run = replay(&file, &v2.url()).args(args).args(["--middleware-timeout", timeout]);
            let finished = run.finish(PATIENCE).expect_code(0);
            let ledger = finished.ledger();
            ledger.assert_balanced();
            assert_eq!(v2.requests().len(), sent, "{command}: {:#}", ledger.0);
            for (name, want) in counts {
                assert_eq!(ledger.count(&format!("/targets/0/{name}")), *want, "{command}: {name}");
            }
            assert!(finished.stderr.matches("WARN").count() <= 2, "{}", finished.stderr);
        }
    }

    #[test]
    fn a_stop_while_requests_are_with_a_program_counts_each_of_them() {
        let stage = Stage::loopback();
        // Answers the first, keeps all others, and does not end by itself.
        let command =
            "sh -c 'read -r x; echo $x; trap \"\" TERM; while read -r x; do :; done; sleep 1000'";
        let args = ["--middleware", command, "--middleware-protocol", "gor"];
        let args = [&args[..], &["--middleware-timeout", "100s", "--drain", "300ms"]].concat();
        let shadowtap = capturing(stage.mirror().args(args).start());
        let load = crate::support::load::Load {
            count: 20,
            posts_percent: 0,
            connections: 10,
            ..stage.load()
        };
        load.run().expect_no_errors();
        stage.v2.wait_for(1, PATIENCE);
        let child = child_of(&shadowtap);
        let finished = shadowtap.terminate(PATIENCE).expect_code(0);
        assert!(finished.took < Duration::from_secs(30));
        let ledger = finished.ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/requests/captured"), 20);
        assert_eq!(ledger.count("/targets/0/shed/drain_deadline"), 19, "{:#}", ledger.0);
        assert_eq!(ledger.count("/targets/0/answered/2xx"), 1);
        assert!(test_kill_process(child).is_err(), "killed");
    }

    #[test]
    fn a_second_signal_does_not_wait_for_a_program() {
        let stage = Stage::loopback();
        let args = ["--middleware", "sh -c 'cat; sleep 1000'", "--drain", "1000s"];
        let shadowtap = capturing(stage.mirror().args(args).start());
        stage.load().run().expect_no_errors();
        let child = child_of(&shadowtap);
        shadowtap.process.signal(Signal::INT);
        shadowtap.wait_stderr("a second signal ends at once", PATIENCE);
        shadowtap.process.signal(Signal::INT);
        let ledger = shadowtap.finish(PATIENCE).ledger();
        ledger.assert_balanced();
        assert!(test_kill_process(child).is_err());
    }

    #[test]
    fn with_two_targets_each_has_a_program_of_its_own() {
        let stage = Stage::loopback();
        let other = V2::start(&Place::Host, LOCALHOST);
        // Drops what goes to the other one.
        let script = format!(
            r#"sh -c 'case $SHADOWTAP_MIDDLEWARE_TARGET in {}*) exec cat;; esac; while read -r x; do :; done'"#,
            stage.v2.url()
        );
        let args = ["--to", &other.url(), "--middleware", &script];
        let args = [&args[..], &["--middleware-timeout", "100ms"]].concat();
        let shadowtap = capturing(stage.mirror().args(args).start());
        let load = crate::support::load::Load { count: 10, posts_percent: 0, ..stage.load() };
        load.run().expect_no_errors();
        stage.v2.wait_for(10, PATIENCE);
        let ledger = shadowtap.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/targets/0/answered/2xx"), 10);
        assert_eq!(ledger.count("/targets/1/shed/middleware_timeout"), 10, "{:#}", ledger.0);
        assert!(other.requests().is_empty());
    }

    #[test]
    fn what_redact_names_does_not_reach_v2_whatever_the_program_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let file =
            recording(dir.path(), &["GET /?key=planted1 HTTP/1.1\r\nHost: v1\r\n\r\n".into()]);
        let v2 = server();
        // It says the secret itself, in a field of the name that is redacted.
        let raw = "R0VUIC8/a2V5PXBsYW50ZWQyIEhUVFAvMS4xDQpYLUE6IHBsYW50ZWQzDQoNCg==";
        let script = format!(
            r#"sh -c 'read -r x; id=${{x#*\"id\":\"}}; echo "{{\"type\":\"request\",\"id\":\"${{id%%\"*}}\",\"raw\":\"{raw}\"}}"; cat >/dev/null'"#
        );
        let args = ["--middleware", &script, "--redact", "query key", "--redact", "header x-a"];
        let finished = replay(&file, &v2.url()).args(args).finish(PATIENCE).expect_code(0);
        let all = v2.taken().iter().flat_map(|taken| taken.bytes.clone()).collect::<Vec<_>>();
        assert!(Head::parse(&all).items("x-a")[0].starts_with("shadowtap-secret-"));
        assert!(!crate::support::process::contains(&all, b"planted"));
        assert!(!finished.stderr.contains("planted") && !finished.text().contains("planted"));
        assert_eq!(finished.ledger().count("/targets/0/answered/2xx"), 1);
    }
}
