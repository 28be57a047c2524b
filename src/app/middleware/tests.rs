//! Real programs, most of them of one line of shell: what becomes of requests, of answers, and of the programs.

use std::path::Path;

use rustix::process::{Pid, test_kill_process};
use serde_json::Value;

use super::*;
use crate::app::tests::message;
use crate::http::Role;

/// The longest a test waits for anything that must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn request(conn: u64, raw: &[u8]) -> Message {
    Message { conn, ..message(raw, Role::Client) }
}

fn get(conn: u64, path: &str) -> Message {
    request(conn, format!("GET {path} HTTP/1.1\r\nhost:  v1\r\nCookie: a=ÿ\r\n\r\n").as_bytes())
}

/// A post of so many bytes.
fn post(conn: u64, len: usize) -> Message {
    let body = "x".repeat(len);
    request(conn, format!("POST / HTTP/1.1\r\nContent-Length: {len}\r\n\r\n{body}").as_bytes())
}

fn args(command: &str, protocol: ProtocolArg, timeout: Duration) -> MiddlewareArgs {
    MiddlewareArgs {
        middleware: Some(command.to_owned()),
        middleware_protocol: protocol,
        middleware_sees: SeesArg::All,
        middleware_timeout: timeout,
    }
}

/// A program, and the runtime that it needs.
struct Lab {
    runtime: Runtime,
    middleware: Box<dyn Middleware>,
}

impl Lab {
    /// Of a shell script.
    #[track_caller]
    fn sh(script: &str, protocol: ProtocolArg, timeout: Duration) -> Self {
        let command = shlex::try_join(["sh", "-c", script]).expect("a script");
        Self::of(&args(&command, protocol, timeout))
    }

    #[track_caller]
    fn of(args: &MiddlewareArgs) -> Self {
        let plan = Plan::new(args, PATIENCE, 1 << 16).expect("right").expect("a program");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let middleware = plan.start("http://v2".into(), &runtime, false).expect("it starts");
        Self { runtime, middleware }
    }

    /// Asks about these at once; what was said about each.
    fn ask(&mut self, requests: Vec<Message>) -> Vec<Result<Message, ShedLater>> {
        let asked: Vec<_> = requests.into_iter().map(|r| self.middleware.ask(r)).collect();
        let all = futures_util::future::join_all(asked);
        self.runtime
            .block_on(async { tokio::time::timeout(4 * PATIENCE, all).await })
            .expect("answers")
    }

    fn ask_one(&mut self, request: Message) -> Result<Message, ShedLater> {
        self.ask(vec![request]).pop().expect("one")
    }

    #[track_caller]
    fn end(&mut self, within: Duration) {
        let ended = self.middleware.end(Some(Instant::now() + within));
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, ended).await })
            .expect("it ends");
    }
}

#[test]
fn what_a_program_gives_back_as_it_was_told_stays_byte_for_byte() {
    for protocol in [ProtocolArg::Json, ProtocolArg::Gor] {
        let mut lab = Lab::of(&args("cat", protocol, PATIENCE));
        let folded = b"GET / HTTP/1.1\r\nA:b\r\n c\r\nX :\t\x80\r\nx: 1\r\n\r\n";
        let chunked = b"PUT /\xc3\xa9?%ff HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;e=1\r\n\0\xff\r\n0\r\nT: 1\r\n\r\n";
        let requests = vec![get(1, "/"), request(2, folded), request(3, chunked), post(4, 1 << 16)];
        let said = lab.ask(requests.clone());
        for (asked, said) in requests.iter().zip(said) {
            let said = said.expect("it goes");
            assert_eq!((said.raw, said.body), (asked.raw.clone(), asked.body.clone()));
        }
        assert_eq!(lab.middleware.counts(), MiddlewareCounts::default());
        lab.end(PATIENCE);
    }
}

#[test]
fn a_program_is_told_requests_and_the_answers_to_them_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("told");
    let mut lab = Lab::sh(&format!("tee {}", file.display()), ProtocolArg::Json, PATIENCE);
    let body = "y".repeat(BODY + 1);
    let raw = format!("HTTP/1.1 201 Made\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let response = Message { conn: 7, ..message(raw.as_bytes(), Role::Server) };
    let asked = lab.middleware.ask(get(7, "/a"));
    lab.middleware.v1_answered((7, 0), response, Box::new(()));
    let answer = KeptAnswer {
        status: 404,
        fields: vec![(b"A".to_vec(), b"\xe9".to_vec())],
        body: b"abc".to_vec(),
        body_len: 5,
    };
    lab.middleware.v2_answered((7, 0), answer, Duration::from_micros(12));
    lab.runtime.block_on(asked).expect("it goes");
    lab.end(PATIENCE);
    let text = std::fs::read_to_string(file).expect("what was told");
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let [request, v1, v2] = &lines[..] else { panic!("{lines:?}") };
    for (line, kind) in [(request, "request"), (v1, "original_response"), (v2, "replayed_response")]
    {
        assert_eq!((&line["v"], &line["type"]), (&1.into(), &kind.into()));
        assert_eq!(line["id"], "000000000000000700000000");
    }
    assert_eq!(request["headers"], serde_json::json!([["host", "v1"], ["Cookie", "a=Ã¿"]]));
    assert_eq!((&request["method"], &request["target"]), (&"GET".into(), &"/a".into()));
    assert_eq!((&v1["status"], &v1["body_len"]), (&201.into(), &(BODY + 1).into()));
    assert_eq!(v1["body"].as_str().map(str::len), Some(BODY.div_ceil(3) * 4), "bounded");
    assert_eq!((&v2["status"], &v2["body"]), (&404.into(), &"YWJj".into()));
    assert_eq!((&v2["body_len"], &v2["took_us"]), (&5.into(), &12.into()));
    assert_eq!(v2["headers"], serde_json::json!([["A", "é"]]));
    assert_eq!(lab.middleware.counts().bad_lines, 0);
}

#[test]
fn gor_lines_are_those_of_goreplay() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("told");
    let mut lab = Lab::sh(&format!("tee {}", file.display()), ProtocolArg::Gor, PATIENCE);
    let asked = lab.middleware.ask(request(7, b"GET / HTTP/1.1\r\n\r\n"));
    let response = message(b"HTTP/1.1 204 No Content\r\n\r\n", Role::Server);
    lab.middleware.v1_answered((7, 0), response, Box::new(()));
    let answer = KeptAnswer {
        status: 200,
        fields: vec![(b"Transfer-Encoding".to_vec(), b"chunked".to_vec())],
        body: b"ab".to_vec(),
        body_len: 2,
    };
    lab.middleware.v2_answered((7, 0), answer, Duration::from_nanos(9));
    lab.runtime.block_on(asked).expect("it goes");
    lab.end(PATIENCE);
    let text = std::fs::read_to_string(file).expect("what was told");
    let lines: Vec<String> = text.lines().map(unhex).collect();
    let id = "000000000000000700000000";
    assert_eq!(lines[0], format!("1 {id} 0 0\nGET / HTTP/1.1\r\n\r\n"));
    assert_eq!(lines[1], format!("2 {id} 0 0\nHTTP/1.1 204 No Content\r\n\r\n"));
    let (meta, payload) = lines[2].split_once('\n').expect("a meta");
    assert!(meta.starts_with(&format!("3 {id} 1")) && meta.ends_with(" 9"), "{meta}");
    assert_eq!(payload, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
    assert!(!text.contains(|c: char| c.is_ascii_uppercase()), "lower case");
}

fn unhex(line: &str) -> String {
    let digits = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    let bytes = digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect();
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_program_that_says_nothing_costs_each_request_its_time_and_no_more() {
    let mut lab =
        Lab::sh("while read -r x; do :; done", ProtocolArg::Gor, Duration::from_millis(50));
    let begin = std::time::Instant::now();
    let said = lab.ask((0..20).map(|n| get(n, "/")).collect());
    assert!(said.iter().all(|said| matches!(said, Err(ShedLater::MiddlewareTimeout))), "{said:?}");
    assert!(begin.elapsed() >= Duration::from_millis(50));
    assert_eq!(lab.middleware.counts().restarts, 0, "it reads");
    lab.end(PATIENCE);
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing_and_is_counted() {
    let script = r#"read -r a; read -r b; echo "$a"; echo "$b"; echo "$b"; exec cat"#;
    let mut lab = Lab::sh(script, ProtocolArg::Gor, Duration::from_millis(300));
    assert!(matches!(lab.ask_one(get(1, "/")), Err(ShedLater::MiddlewareTimeout)));
    assert!(lab.ask_one(get(2, "/")).is_ok());
    assert!(lab.ask_one(get(3, "/")).is_ok(), "behind both lines for which nothing waits");
    assert_eq!(lab.middleware.counts(), MiddlewareCounts { late: 2, ..Default::default() });
}

#[test]
fn what_was_with_a_program_that_ends_ends_with_it_and_the_next_one_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let flag = dir.path().join("was-here");
    let script = format!("[ -e {0} ] && exec cat; touch {0}; read -r x; exit 3", flag.display());
    let mut lab = Lab::sh(&script, ProtocolArg::Json, PATIENCE);
    assert!(matches!(lab.ask_one(get(1, "/")), Err(ShedLater::MiddlewareDied)));
    assert!(lab.ask_one(get(2, "/")).is_ok(), "it waited for the next one");
    assert_eq!(lab.middleware.counts(), MiddlewareCounts { restarts: 1, ..Default::default() });
}

#[test]
fn where_no_program_stays_requests_end_in_time() {
    let mut lab = Lab::sh("exit 1", ProtocolArg::Json, Duration::from_millis(400));
    let said = lab.ask((0..3).map(|n| get(n, "/")).collect());
    assert!(said.iter().all(|said| matches!(said, Err(ShedLater::MiddlewareDied))), "{said:?}");
    // The pauses grow: 0.1, 0.2, 0.4, ... seconds.
    for n in 0..3 {
        assert!(matches!(lab.ask_one(get(n, "/")), Err(ShedLater::MiddlewareDied)));
    }
    assert!((1..8).contains(&lab.middleware.counts().restarts), "{:?}", lab.middleware.counts());
    lab.end(PATIENCE);
}

#[test]
fn a_program_that_reads_nothing_is_ended_once_its_pipe_is_full() {
    let mut lab = Lab::sh("exec sleep 1000", ProtocolArg::Gor, Duration::from_millis(200));
    let said = lab.ask((0..100).map(|n| post(n, 4096)).collect());
    assert!(said.iter().all(|said| matches!(said, Err(ShedLater::MiddlewareTimeout))), "{said:?}");
    // The next one is not asked before the new program is there: it hangs, too, but has a pipe.
    assert!(matches!(lab.ask_one(get(200, "/")), Err(ShedLater::MiddlewareTimeout)));
    assert_eq!(lab.middleware.counts().restarts, 1);
}

#[test]
fn what_waits_for_a_slow_program_to_read_is_not_late() {
    // Far more than a pipe holds, and longer than any may wait for its answer.
    let mut lab = Lab::sh("sleep 0.3; exec cat", ProtocolArg::Gor, Duration::from_secs(5));
    let said = lab.ask((0..300).map(|n| post(n, 16 << 10)).collect());
    assert!(said.iter().all(Result::is_ok));
    assert_eq!(lab.middleware.counts(), MiddlewareCounts::default());
}

#[test]
fn lines_that_say_nothing_are_counted_and_bounded() {
    let script = "echo nonsense; head -c 400000 /dev/zero | tr '\\0' a; echo; echo; exec cat";
    for protocol in [ProtocolArg::Json, ProtocolArg::Gor] {
        let mut config =
            Plan::new(&args("cat", protocol, PATIENCE), PATIENCE, 0).expect("right").expect("one");
        config.config.longest_line = 300_000;
        config.config.command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let middleware = config.start("http://v2".into(), &runtime, true).expect("it starts");
        let mut lab = Lab { runtime, middleware };
        assert!(lab.ask_one(get(1, "/")).is_ok());
        assert_eq!(
            lab.middleware.counts(),
            MiddlewareCounts { bad_lines: 3, ..Default::default() }
        );
    }
}

fn pid_in(file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(file).ok()?;
    Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
}

#[test]
fn a_program_that_does_not_end_is_killed_with_what_it_started_and_reaped() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = [dir.path().join("own"), dir.path().join("child")];
    let [own, child] = files.each_ref().map(|file| file.display());
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $! > {child}.part; mv {child}.part {child}; echo $$ > {own}.part; mv {own}.part {own}; cat; wait"
    );
    let mut lab = Lab::sh(&script, ProtocolArg::Json, PATIENCE);
    assert!(lab.ask_one(get(1, "/")).is_ok());
    let pids = files.each_ref().map(|file| pid_in(file).expect("it runs"));
    assert!(pids.iter().all(|pid| test_kill_process(*pid).is_ok()));
    lab.end(Duration::from_millis(300));
    assert!(test_kill_process(pids[0]).is_err(), "killed and reaped");
    // Its child is somebody else's to reap.
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pids[1].as_raw_nonzero()));
    let is_over = || stat().map_or(true, |stat| stat.contains(") Z "));
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_over() && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(is_over(), "{:?}", stat());
}

#[test]
fn a_program_may_use_its_time_at_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("done");
    let script = format!("cat; exec >&-; sleep 0.2; echo > {}", file.display());
    let mut lab = Lab::sh(&script, ProtocolArg::Json, PATIENCE);
    assert!(lab.ask_one(get(1, "/")).is_ok());
    lab.end(PATIENCE);
    assert!(file.exists());
}

#[test]
fn what_cannot_be_started_says_what_was_tried() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    let start = |command: &str| {
        let plan = Plan::new(&args(command, ProtocolArg::Json, PATIENCE), PATIENCE, 0);
        let started = plan.map(|plan| plan.expect("a program").start("x".into(), &runtime, false));
        let failed = match started {
            Ok(Ok(_)) => panic!("{command} starts"),
            Ok(Err(failed)) | Err(failed) => failed,
        };
        format!("{failed:#}")
    };
    let text = start("/no/such/program --flag");
    assert!(text.contains("cannot start `/no/such/program`: No such file"), "{text}");
    assert!(start("/etc/passwd").contains("Permission denied"));
    assert!(start("cat 'x").contains("a quote is not closed"));
    let none = |command: Option<&str>| {
        let args = MiddlewareArgs { middleware: command.map(str::to_owned), ..Default::default() };
        Plan::new(&args, PATIENCE, 0).expect("right").is_none()
    };
    assert!(none(None) && none(Some(" ")));
    let zero = Plan::new(&args("cat", ProtocolArg::Json, Duration::ZERO), PATIENCE, 0);
    assert!(zero.expect_err("no time").to_string().contains("--middleware-timeout 0"));
}

#[test]
fn what_a_program_makes_of_a_request_is_framed_or_refused() {
    let before = request(1, b"POST /a HTTP/1.1\r\nhost: v1\r\nContent-Length:  2\r\n\r\nab");
    let chunked =
        request(1, b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
    let raw = |text: &str| Changed::Raw(text.as_bytes().to_vec());
    let parts = |head: &str, body: &str| Changed::Parts {
        head: head.as_bytes().to_vec(),
        body: body.as_bytes().to_vec(),
    };
    let te = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (before, changed, want) in [
        // As it is.
        (&before, raw("GET /b HTTP/1.1\r\n\r\n"), Some("GET /b HTTP/1.1\r\n\r\n")),
        // A length that does not fit any more, in its place and with its spacing.
        (
            &before,
            raw("POST /a HTTP/1.1\r\nContent-Length:  2\r\nx: y\r\n\r\nabc"),
            Some("POST /a HTTP/1.1\r\nContent-Length:  3\r\nx: y\r\n\r\nabc"),
        ),
        (
            &before,
            raw("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"),
            Some("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
        ),
        // A body where there was none; a second request is no request.
        (
            &before,
            raw("GET / HTTP/1.1\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"),
            Some("GET / HTTP/1.1\r\nContent-Length: 22\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"),
        ),
        // Two lengths, and a length beside chunks.
        (
            &before,
            raw("POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
            Some("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
        ),
        (
            &chunked,
            raw("PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nxyz"),
            Some("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n"),
        ),
        // Parts: what looks like chunks is a body all the same.
        (
            &chunked,
            parts(te, "0\r\n\r\n"),
            Some("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        ),
        (
            &chunked,
            parts(te, ""),
            Some("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        // No requests.
        (&before, raw(""), None),
        (&before, raw("GET / HTTP/1.1\r\n"), None),
        (&before, raw("HTTP/1.1 200 OK\r\n\r\n"), None),
        (&before, raw("CONNECT a:1 HTTP/1.1\r\n\r\n"), None),
        (&before, raw("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n"), None),
    ] {
        let fitted = fitted(changed.clone(), before);
        let got = fitted.as_ref().map(|fitted| String::from_utf8_lossy(&fitted.raw).into_owned());
        assert_eq!(got.as_deref(), want, "{changed:?}");
        if let Some(fitted) = fitted {
            assert_eq!((fitted.conn, fitted.completion), (1, Completion::Complete));
        }
    }
}

#[test]
fn parts_that_a_program_gives_replace_those_and_nothing_else() {
    let before = request(
        1,
        b"POST /a?b HTTP/1.1\r\nhost:v1\r\nfold: a\r\n b\r\nContent-Length: 2\r\n\r\nab",
    );
    let dir = tempfile::tempdir().expect("a directory");
    for (given, want) in [
        (
            r#""target":"/c""#,
            Ok("POST /c HTTP/1.1\r\nhost:v1\r\nfold: a\r\n b\r\nContent-Length: 2\r\n\r\nab"),
        ),
        (
            r#""method":"PUT""#,
            Ok("PUT /a?b HTTP/1.1\r\nhost:v1\r\nfold: a\r\n b\r\nContent-Length: 2\r\n\r\nab"),
        ),
        (
            r#""body":"Y2Rl""#,
            Ok("POST /a?b HTTP/1.1\r\nhost:v1\r\nfold: a\r\n b\r\nContent-Length: 3\r\n\r\ncde"),
        ),
        (
            r#""headers":[["fold","a\r\n b"],["x","é"]],"body":"YQ==""#,
            Ok("POST /a?b HTTP/1.1\r\nfold: a\r\n b\r\nx: \u{e9}\r\nContent-Length: 1\r\n\r\na"),
        ),
        (r#""raw":"R0VUIC8gSFRUUC8xLjANCg0K""#, Ok("GET / HTTP/1.0\r\n\r\n")),
        (r#""headers":[["x","a\r\nb: c"]]"#, Err(ShedLater::MiddlewareInvalid)),
        (r#""headers":[["x y","a"]]"#, Err(ShedLater::MiddlewareInvalid)),
        (r#""target":"/a b""#, Err(ShedLater::MiddlewareInvalid)),
        (r#""target":"/a\u0000""#, Err(ShedLater::MiddlewareInvalid)),
        (r#""method":"GET /x""#, Err(ShedLater::MiddlewareInvalid)),
        (r#""method":"""#, Err(ShedLater::MiddlewareInvalid)),
    ] {
        let line = format!(r#"{{"v":1,"type":"request","id":"000000000000000100000000",{given}}}"#);
        let file = dir.path().join("line");
        std::fs::write(&file, line + "\n").expect("own directory");
        let script = format!("read -r x; cat {}; cat", file.display());
        let mut lab = Lab::sh(&script, ProtocolArg::Json, PATIENCE);
        let said = lab.ask_one(before.clone());
        let said = said.map(|said| said.raw.iter().copied().map(char::from).collect::<String>());
        assert_eq!(said.as_deref().map_err(|cause| *cause), want, "{given}");
        assert_eq!(lab.middleware.counts().changed, u64::from(want.is_ok()), "{given}");
    }
}

#[test]
fn a_program_that_drops_is_obeyed() {
    let script = r#"while read -r line; do id=${line#*'"id":"'}; echo "{\"type\":\"drop\",\"id\":\"${id%%'"'*}\"}"; done"#;
    let mut lab = Lab::sh(script, ProtocolArg::Json, PATIENCE);
    let said = lab.ask((0..50).map(|n| get(n, "/")).collect());
    assert!(said.iter().all(|said| matches!(said, Err(ShedLater::MiddlewareDropped))));
    assert_eq!(lab.middleware.counts(), MiddlewareCounts::default());
}
