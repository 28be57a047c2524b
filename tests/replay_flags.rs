//! The flags that say how requests are sent: what each does can be seen at v2 or in the ledger, and a value
//! that makes no sense exits 2 and says what would.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::ledger::Ledger;
use crate::support::netns::Place;
use crate::support::process::{Finished, contains};
use crate::support::shadowtap::{Run, Shadowtap};
use crate::support::stage::LOCALHOST;
use crate::support::v2::{Behaviour, V2};

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

/// A recorded request: its connection, when it came in milliseconds, and its bytes.
type Recorded<'a> = (u64, u64, &'a str);

/// A recording in a directory of its own.
struct Recording {
    file: PathBuf,
    _dir: TempDir,
}

impl Recording {
    fn new(requests: &[Recorded<'_>]) -> Self {
        let mut bytes = String::new();
        for (index, (connection, ms, raw)) in requests.iter().enumerate() {
            let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
            let (seconds, ms) = (ms / 1_000 % 60, ms % 1_000);
            bytes += &format!(
                "WARC/1.1\r\nWARC-Type: request\r\n\
                 WARC-Date: 2024-01-01T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z\r\n\
                 WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{index:012}>\r\n\
                 WARC-Target-URI: http://v1/x\r\nShadowtap-Client: 10.1.2.3:4567\r\n\
                 Shadowtap-Server: 10.0.0.1:80\r\nShadowtap-Connection: {connection}\r\n\
                 Shadowtap-Index: {index}\r\n\
                 Content-Type: application/http;msgtype=request\r\nContent-Length: {}\r\n\r\n\
                 {raw}\r\n\r\n",
                raw.len()
            );
        }
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("requests.warc");
        std::fs::write(&file, bytes).expect("own directory");
        Self { file, _dir: dir }
    }

    /// So many GETs on one connection, so many milliseconds apart.
    fn gets(count: u64, apart_ms: u64) -> Self {
        let text: Vec<_> =
            (0..count).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: v1\r\n\r\n")).collect();
        let requests: Vec<_> =
            (0..).zip(&text).map(|(n, t)| (1, n * apart_ms, t.as_str())).collect();
        Self::new(&requests)
    }

    /// `replay` of it with every method.
    fn replay(&self, to: &str, args: &[&str]) -> Run {
        let file = self.file.to_str().expect("a path in UTF-8");
        Run::new(["replay", file, "--to", to, "--methods", "all", "--json"]).args(args)
    }

    #[track_caller]
    fn replayed(&self, to: &str, args: &[&str]) -> (Finished, Ledger) {
        let finished = self.replay(to, args).finish(PATIENCE).expect_code(0);
        let ledger = finished.ledger();
        ledger.assert_balanced();
        (finished, ledger)
    }
}

fn v2(behaviour: Behaviour) -> V2 {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    v2.behave(behaviour);
    v2
}

#[track_caller]
fn answered(ledger: &Ledger) -> u64 {
    ledger.count("/targets/0/answered/2xx")
}

#[test]
fn order_says_whether_a_request_waits_for_the_answer_before() {
    let args = |order| ["--order", order, "--speed", "max", "--drain", "10ms", "--timeout", "1h"];
    for (order, under_way) in [("connection", 1), ("none", 5)] {
        let v2 = v2(Behaviour::Hang(FOREVER));
        let replay = Recording::gets(5, 0);
        let replay = replay.replay(&v2.url(), &args(order)).start();
        v2.wait_for(under_way, PATIENCE);
        let ledger = replay.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        let under_way = under_way as u64;
        assert_eq!(ledger.count("/targets/0/shed/cut_off"), under_way, "--order {order}");
        let waited = ledger.count("/requests/queued") - under_way;
        assert_eq!(ledger.count("/targets/0/shed/drain_deadline"), waited, "--order {order}");
        assert_eq!(v2.connections() as u64, under_way, "--order {order}");
    }
}

#[test]
fn out_of_descriptors_the_oldest_idle_connections_make_room() {
    let v2 = v2(Behaviour::Answer);
    let requests: Vec<_> = (0..120).map(|c| (c, 0, "GET / HTTP/1.1\r\nHost: v1\r\n\r\n")).collect();
    let recording = Recording::new(&requests);
    let args = ["--speed", "max", "--concurrency", "4", "--max-idle", "1000", "--breaker", "0"];
    let run = recording.replay(&v2.url(), &args).descriptors(40);
    let ledger = run.finish(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(answered(&ledger), 120, "{:#}", ledger.0);
    assert_eq!(v2.connections(), 120, "each captured connection has its own");
}

#[test]
fn on_break_says_what_becomes_of_those_behind_a_failure() {
    let path = "/targets/0/shed/predecessor_failed";
    for (how, failed, shed) in [("continue", 5, 0), ("stop", 1, 4)] {
        let v2 = v2(Behaviour::Garbage);
        let args = ["--on-break", how, "--speed", "max"];
        let (_, ledger) = Recording::gets(5, 0).replayed(&v2.url(), &args);
        assert_eq!(ledger.count("/targets/0/failed/invalid_answer"), failed, "{:#}", ledger.0);
        assert_eq!(ledger.count(path), shed, "{:#}", ledger.0);
        assert_eq!(v2.received().len() as u64, failed);
    }
}

#[test]
fn max_lag_sheds_what_is_later() {
    let v2 = v2(Behaviour::Slow(Duration::from_secs(2)));
    // The first leaves at once; the others are due with it, and could leave two seconds later.
    let (_, ledger) = Recording::gets(5, 0).replayed(&v2.url(), &["--max-lag", "1s"]);
    assert_eq!((answered(&ledger), ledger.count("/targets/0/shed/lag")), (1, 4), "{:#}", ledger.0);
    v2.behave(Behaviour::Slow(Duration::from_millis(20)));
    let (_, ledger) = Recording::gets(5, 0).replayed(&v2.url(), &["--max-lag", "20s"]);
    assert_eq!(answered(&ledger), 5, "{:#}", ledger.0);
}

#[test]
fn response_timeout_ends_what_has_no_head_by_then() {
    let v2 = v2(Behaviour::Hang(FOREVER));
    let args = ["--response-timeout", "50ms", "--timeout", "1h", "--speed", "max"];
    let (_, ledger) = Recording::gets(3, 0).replayed(&v2.url(), &args);
    assert_eq!(ledger.count("/targets/0/failed/timeout"), 3, "{:#}", ledger.0);
}

#[test]
fn realip_header_adds_the_captured_clients_address() {
    let v2 = v2(Behaviour::Answer);
    Recording::gets(2, 0).replayed(&v2.url(), &["--realip-header", "X-Real-IP"]);
    let seen: Vec<_> = v2.received().iter().map(|r| r.header("x-real-ip")).collect();
    assert_eq!(seen, [Some("10.1.2.3".to_owned()), Some("10.1.2.3".to_owned())]);
    let v2 = self::v2(Behaviour::Answer);
    Recording::gets(1, 0).replayed(&v2.url(), &[]);
    assert_eq!(v2.received()[0].header("x-real-ip"), None);
}

#[test]
fn ambiguous_says_whether_two_lengths_are_sent() {
    let both = "POST /both HTTP/1.1\r\nHost: v1\r\nContent-Length: 9\r\n\
                Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let plain = "GET /plain HTTP/1.1\r\nHost: v1\r\n\r\n";
    let recording = Recording::new(&[(1, 0, plain), (1, 1, both), (1, 2, plain)]);
    let v2 = v2(Behaviour::Answer);
    let (_, ledger) = recording.replayed(&v2.url(), &["--ambiguous", "hold"]);
    assert_eq!(ledger.count("/requests/refused/ambiguous"), 1);
    assert_eq!(ledger.count("/targets/0/ambiguous_sent"), 0);
    assert_eq!((answered(&ledger), v2.connections()), (2, 1));
    assert!(v2.requests().iter().all(|request| request.target == "/plain"));

    let v2 = self::v2(Behaviour::Answer);
    let (_, ledger) = recording.replayed(&v2.url(), &["--ambiguous", "send"]);
    assert_eq!(ledger.count("/requests/refused/ambiguous"), 0);
    assert_eq!(ledger.count("/targets/0/ambiguous_sent"), 1);
    let on: Vec<_> =
        v2.received().iter().map(|r| (r.request.target.clone(), r.connection)).collect();
    // On a connection of its own.
    let expected = [("/plain", 0), ("/both", 1), ("/plain", 0)];
    assert_eq!(on, expected.map(|(target, connection)| (target.to_owned(), connection)));
}

#[test]
fn max_idle_bounds_the_connections_that_are_kept() {
    let get = "GET / HTTP/1.1\r\nHost: v1\r\n\r\n";
    let recording = Recording::new(&[(1, 0, get), (2, 0, get), (1, 0, get), (2, 0, get)]);
    let args = |most| ["--max-idle", most, "--concurrency", "1", "--speed", "max"];
    for (most, connections) in [("1", 4), ("2", 2)] {
        let v2 = v2(Behaviour::Answer);
        let (_, ledger) = recording.replayed(&v2.url(), &args(most));
        assert_eq!((answered(&ledger), v2.connections()), (4, connections), "--max-idle {most}");
    }
}

/// Lower bounds only: a busy machine may take longer.
#[test]
fn rate_and_over_take_their_time_and_leave_nothing_out() {
    let v2 = v2(Behaviour::Answer);
    for (args, at_least_ms) in [
        (&["--rate", "50/s"][..], 20 * 19),
        // 20 requests at (10 + 30) / 2 = 20 a second on average; at 30/s it would be 633 ms.
        (&["--rate", "10/s..30/s", "--over", "1s"][..], 950),
        (&["--rate", "1500/m"][..], 40 * 19),
    ] {
        let (finished, ledger) = Recording::gets(20, 60_000).replayed(&v2.url(), args);
        assert_eq!(answered(&ledger), 20, "{args:?}");
        let took = finished.took;
        assert!(took >= Duration::from_millis(at_least_ms), "{args:?}: {took:?}");
    }
}

#[test]
fn max_gap_cuts_gaps_to_its_length() {
    let v2 = v2(Behaviour::Answer);
    // An hour between each two; PATIENCE is shorter.
    let (finished, ledger) =
        Recording::gets(4, 3_600_000).replayed(&v2.url(), &["--max-gap", "150ms"]);
    assert_eq!(answered(&ledger), 4);
    assert!(finished.took >= Duration::from_millis(450), "{:?}", finished.took);
}

#[test]
fn duration_with_max_gap_is_that_of_the_cut_schedule() {
    let v2 = v2(Behaviour::Answer);
    let args = ["--max-gap", "100ms", "--duration", "250ms"];
    let (_, ledger) = Recording::gets(6, 3_600_000).replayed(&v2.url(), &args);
    // Due at 0, 100 and 200 ms; nothing is cut off.
    assert_eq!((answered(&ledger), ledger.count("/requests/captured")), (3, 3), "{:#}", ledger.0);
}

#[test]
fn what_v1_took_is_said_for_the_requests_that_were_sent() {
    let server = v2(Behaviour::Answer);
    let file = fixtures::path("demo.pcap");
    let times = |methods: &str| {
        let args = ["--to", &server.url(), "--speed", "max", "--methods", methods, "--json"];
        let finished = Run::new(["replay"]).args([file.as_os_str()]).args(args).finish(PATIENCE);
        let ledger = Ledger::parse(&finished.stdout);
        let (queued, timed) = (ledger.count("/requests/queued"), ledger.count("/v1/count"));
        assert_eq!(timed, queued, "each of them was answered by v1");
        assert!(ledger.count("/v1/p50_us") > 0 && ledger.count("/v1/p50_us") < 1_000_000);
        queued
    };
    assert!(times("safe") < times("all"));
}

#[test]
fn a_unix_socket_is_a_target() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("v2.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut seen = Vec::new();
        let mut more = [0; 4096];
        for n in 1..=2 {
            while seen.windows(4).filter(|four| four == b"\r\n\r\n").count() < n {
                let len = stream.read(&mut more).expect("a request");
                assert!(len > 0, "closed after {} bytes", seen.len());
                seen.extend_from_slice(&more[..len]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("an answer");
        }
        seen
    });
    let to = format!("unix:{}", path.to_str().expect("a path in UTF-8"));
    let (_, ledger) = Recording::gets(2, 0).replayed(&to, &["--speed", "max"]);
    assert_eq!(answered(&ledger), 2);
    let seen = server.join().expect("the server does not panic");
    for line in ["GET /0 HTTP/1.1\r\nHost: v1\r\n", "GET /1 HTTP/1.1\r\nHost: v1\r\n"] {
        assert!(contains(&seen, line.as_bytes()), "{}", seen.escape_ascii());
    }
    // Nobody listens any more.
    let (_, ledger) = Recording::gets(2, 0).replayed(&to, &["--speed", "max"]);
    assert_eq!(ledger.count("/targets/0/failed/refused"), 2, "{:#}", ledger.0);
}

#[test]
fn http2_and_a_proxy_are_spoken_when_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = format!("http://{}", listener.local_addr().expect("its address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).expect("a preface");
        // It knows HTTP/1 only: what it answers to HTTP/2 is no answer.
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("it is read");
        // Closing with unread bytes would be a reset.
        stream.read_to_end(&mut Vec::new()).ok();
        preface
    });
    let (_, ledger) = Recording::gets(1, 0).replayed(&to, &["--speed", "max", "--http2"]);
    assert_eq!(&server.join().expect("no panic"), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(ledger.count("/targets/0/failed/invalid_answer"), 1, "{:#}", ledger.0);
    let v2 = v2(Behaviour::Answer);
    let to = "http://v2.invalid:81";
    let args = ["--speed", "max", "--proxy", &v2.url()];
    let (_, ledger) = Recording::gets(2, 0).replayed(to, &args);
    assert_eq!(answered(&ledger), 2);
    let last = v2.requests().pop().expect("a request");
    assert!(last.target.starts_with("http://v2.invalid:81/"), "{last:?}");
}

#[test]
fn a_value_that_makes_no_sense_exits_2_and_says_what_would() {
    const TO: &str = "http://127.0.0.1:9";
    let cases: [(&[&str], &str); 21] = [
        (&["--order", "random"], "connection"),
        (&["--on-break", "panic"], "continue"),
        (&["--max-lag", "10"], "200ms"),
        (&["--response-timeout", "soon"], "5s"),
        (&["--realip-header", "X Real"], "X-Real-IP"),
        (&["--realip-header", ""], "X-Real-IP"),
        (&["--ambiguous", "drop"], "hold"),
        (&["--max-idle", "few"], "--max-idle"),
        (&["--max-idle", "0"], "at least 1"),
        (&["--rate", "500"], "500/s"),
        (&["--rate", "0/s"], "500/s"),
        (&["--rate", "5/s..x"], "100/s..2000/s"),
        (&["--rate", "5/s..9/s"], "--over"),
        (&["--rate", "5/s", "--over", "1m"], "100/s..2000/s"),
        (&["--over", "1m"], "--rate"),
        (&["--rate", "5/s", "--speed", "2x"], "--speed"),
        (&["--max-gap", "1"], "200ms"),
        (&["--max-gap", "1s", "--rate", "5/s"], "--rate"),
        (&["--priority", "normal"], "--priority"),
        (&["--proxy", "v2:3128"], "http://host:port"),
        (&["--proxy", "http://v2:3128", "--http2"], "--http2"),
    ];
    let recording = Recording::gets(1, 0);
    for (args, says) in cases {
        let finished = recording.replay(TO, args).finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains(says), "{args:?}: {}", finished.stderr);
        assert_eq!(finished.text(), "", "{args:?}");
    }
    for to in ["unix:v2.sock", "unix:"] {
        let finished = recording.replay(to, &[]).finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains("unix:/absolute/path"), "{}", finished.stderr);
    }
    for flag in [&["--http2"][..], &["--proxy", "http://v2:3128"]] {
        let finished = recording.replay("unix:/run/v2", flag).finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains("does not go with unix:/run/v2"), "{}", finished.stderr);
    }
    let args = ["mirror", "-i", "lo", "-p", "80", "--to", TO, "--priority", "high"];
    let finished = Run::new(args).finish(PATIENCE).expect_code(2);
    assert!(finished.stderr.contains("idle"), "{}", finished.stderr);
}

/// Needs root: captures live.
mod privileged {
    use super::*;
    use crate::support::stage::capturing;

    /// The scheduling policy of each thread, by the thread's name: field 41 of its `stat`.
    fn policies(shadowtap: &Shadowtap) -> Vec<(String, u32)> {
        let tasks = format!("/proc/{}/task", shadowtap.process.pid().as_raw_nonzero());
        let entries = std::fs::read_dir(tasks).expect("a process").flatten();
        let read = |entry: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let name = stat.split_once('(')?.1.rsplit_once(')')?.0.to_owned();
            // Behind the name the third field comes.
            let policy = stat.rsplit_once(')')?.1.split_whitespace().nth(41 - 3)?.parse().ok()?;
            Some((name, policy))
        };
        entries.filter_map(read).collect()
    }

    #[test]
    fn priority_says_whether_sending_waits_for_everybody_else() {
        for (args, policy) in [
            (&[][..], libc::SCHED_IDLE),
            (&["--priority", "idle"], libc::SCHED_IDLE),
            (&["--priority", "normal"], libc::SCHED_OTHER),
        ] {
            crate::support::require_root();
            let v2 = v2(Behaviour::Answer);
            let run = Run::new(["mirror", "-i", "lo", "-p", "9", "--to", &v2.url(), "--json"]);
            let mirror = capturing(run.args(args).start());
            let wanted = ("replay".to_owned(), policy as u32);
            // The thread lowers itself.
            crate::support::wait_until("its policy", PATIENCE, || {
                policies(&mirror).contains(&wanted)
            });
            let others = policies(&mirror).into_iter().filter(|(name, _)| name != "replay");
            for (name, policy) in others {
                assert_eq!(policy, libc::SCHED_OTHER as u32, "{args:?}: {name}");
            }
            mirror.terminate(PATIENCE).expect_code(0);
        }
    }
}
