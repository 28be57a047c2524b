//! `--carry`: a session of one instance of a real application succeeds on another, and fails without.
//!
//! The application is `tests/scripts/shop.py` on Flask: login by a form, a signed session cookie, CSRF tokens in HTML, ids made by the
//! server, bearer tokens out of JSON. Truth is the log of each instance.

use crate::support::PATIENCE;
use crate::support::shadowtap::Run;

/// What a session of the shop needs.
const RULES: [&str; 6] = [
    "cookies",
    r#"regex name="csrf" value="([^"]+)" -> form csrf"#,
    "json $.id -> path",
    "json $.id -> query after",
    "json $.id -> json $.id",
    r#"json $.token -> header Authorization "Bearer {}""#,
];

#[test]
fn a_rule_that_cannot_be_read_ends_it_at_once_and_is_shown() {
    let replay = ["replay", "no-such-file", "--to", "http://127.0.0.1:1"];
    let mirror = ["mirror", "-p", "1", "--to", "http://127.0.0.1:1"];
    // A recording, so that it is the rule that is wrong.
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("a.gor");
    std::fs::write(&file, "1 a 1700000000000000000 1\nGET / HTTP/1.1\r\n\r\n\n🐵🙈🙉\n")
        .expect("written");
    let mut replay = replay.map(str::to_owned);
    replay[1] = file.to_str().expect("UTF-8").to_owned();
    let shown = "\n  json $.id -> pth\n               ^";
    for run in [Run::new(replay.clone()), Run::new(mirror.map(str::to_owned))] {
        let finished = run.args(["--carry", "json $.id -> pth"]).finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains(shown), "{}", finished.stderr);
        assert!(finished.stderr.contains("--carry: at character 14: nothing is called `pth`"));
    }
    let run = Run::new(replay).env("SHADOWTAP_CARRY", "cookies\njson $.id -> pth");
    assert!(run.finish(PATIENCE).expect_code(2).stderr.contains(shown), "of several the wrong one");
}

/// Needs root: captures live.
mod privileged {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::RULES;
    use crate::support::ledger::Ledger;
    use crate::support::netns::Place;
    use crate::support::process::{Finished, Process};
    use crate::support::shadowtap::Run;
    use crate::support::stage::{LOCALHOST, capturing, report};
    use crate::support::{PATIENCE, require_root, wait_until};

    /// How often each line of a shop's log occurs: `METHOD ROUTE STATUS`.
    type Log = BTreeMap<String, usize>;

    /// Sessions at once, and requests of each.
    const USERS: usize = 6;
    const EACH: usize = 11;

    fn python(args: &[&str]) -> Command {
        let mut command =
            Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/flask.sh"));
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/shop.py")).args(args);
        command
    }

    /// An instance.
    struct Shop {
        port: String,
        log: PathBuf,
        _process: Process,
    }

    impl Shop {
        #[track_caller]
        fn start(dir: &Path, first_id: &str) -> Self {
            require_root();
            let port = Place::Host.free_port(LOCALHOST);
            let log = dir.join(format!("{first_id}.log"));
            let args = ["serve", &port.to_string(), first_id, log.to_str().expect("UTF-8")];
            let process = Process::start(python(&args));
            let at = SocketAddr::new(LOCALHOST, port);
            // Flask may have to be installed first.
            wait_until("the shop opens", 8 * PATIENCE, || Place::Host.connects(at));
            Self { port: port.to_string(), log, _process: process }
        }

        fn url(&self) -> String {
            format!("http://127.0.0.1:{}", self.port)
        }

        /// All that was asked since the last call.
        #[track_caller]
        fn asked(&self) -> Log {
            let text = std::fs::read_to_string(&self.log).expect("its log");
            std::fs::write(&self.log, "").expect("its log");
            text.lines().fold(Log::new(), |mut log, line| {
                *log.entry(line.to_owned()).or_default() += 1;
                log
            })
        }

        #[track_caller]
        fn visit(&self) {
            let visit = Process::start(python(&["visit", &self.port, &USERS.to_string()]));
            visit.finish(PATIENCE).expect_code(0);
        }
    }

    /// The log of so many sessions that succeed.
    fn success() -> Log {
        let lines = [
            ("GET /login 200", 1),
            ("POST /login 303", 1),
            ("GET / 200", 1),
            ("POST /orders 201", 2),
            ("GET /orders/<int:number> 200", 2),
            ("POST /api/token 200", 1),
            ("GET /api/orders 200", 1),
            ("PUT /api/orders/<int:number> 200", 1),
            ("POST /logout 204", 1),
        ];
        assert_eq!(lines.iter().map(|(_, each)| each).sum::<usize>(), EACH);
        lines.map(|(line, each)| (line.to_owned(), each * USERS)).into()
    }

    /// The log of so many whose values are those of another instance.
    fn failure() -> Log {
        let lines = [
            ("GET /login 200", 1),
            ("POST /login 403", 1),
            ("GET / 401", 1),
            ("POST /orders 401", 2),
            ("GET /orders/<int:number> 401", 2),
            ("POST /api/token 200", 1),
            ("GET /api/orders 401", 1),
            ("PUT /api/orders/<int:number> 401", 1),
            ("POST /logout 401", 1),
        ];
        lines.map(|(line, each)| (line.to_owned(), each * USERS)).into()
    }

    /// The log of so many that lack their bearer tokens: a recording has a hash where requests have them, and the token
    /// itself where the answer's body has it. The shop closes each connection behind one answer, so nothing else tells.
    fn without_tokens() -> Log {
        let refused = |line: String| match line.as_str() {
            "GET /api/orders 200" | "PUT /api/orders/<int:number> 200" => {
                line.replace("200", "401")
            }
            _ => line,
        };
        success().into_iter().map(|(line, count)| (refused(line), count)).collect()
    }

    fn carrying(run: Run) -> Run {
        RULES.iter().fold(run, |run, rule| run.args(["--carry", rule]))
    }

    fn live(command: &str, shop: &Shop) -> Run {
        Run::new([command, "-i", "lo", "-p", &shop.port, "--json"])
    }

    #[track_caller]
    fn answered(finished: Finished, carried: u64, missing: u64) -> Ledger {
        let ledger = finished.expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.total("/targets/0/answered"), (EACH * USERS) as u64, "{:#}", ledger.0);
        assert_eq!(ledger.count("/targets/0/carried"), carried, "{:#}", ledger.0);
        for (name, want) in [("missing", missing), ("unread", 0), ("evicted", 0)] {
            let count = ledger.count(&format!("/targets/0/carry_{name}"));
            assert_eq!(count, want, "{name} in {:#}", ledger.0);
        }
        ledger
    }

    /// All requests but the first page and the token's.
    const CARRIED: u64 = ((EACH - 2) * USERS) as u64;

    #[test]
    fn show_a_recorded_session_succeeds_on_another_instance_with_carry_and_fails_without() {
        let dir = tempfile::tempdir().expect("a directory");
        let (a, b) = (Shop::start(dir.path(), "100"), Shop::start(dir.path(), "987000"));
        for (secrets, expected) in [(&["--keep-secrets"][..], success()), (&[], without_tokens())] {
            let missing = if expected == success() { 0 } else { 2 * USERS as u64 };
            let file = dir.path().join(format!("session{}.warc", secrets.len()));
            let record =
                live("record", &a).args(["-o"]).args([&file]).args(secrets.iter().copied());
            let recorder = capturing(record.start());
            a.visit();
            recorder.terminate(PATIENCE).expect_code(0).ledger().assert_balanced();
            assert_eq!(a.asked(), success());

            let replay = || {
                let run = Run::new([Path::new("replay"), &file]);
                run.args(["--to", &b.url(), "--methods", "all", "--json"])
            };
            for speed in ["max", "1x", "20x"] {
                let finished = carrying(replay()).args(["--speed", speed]).finish(PATIENCE);
                answered(finished, CARRIED, missing);
                assert_eq!(b.asked(), expected, "{speed}, {secrets:?}");
            }
            let finished =
                carrying(replay()).args(["--speed", "max", "--loop", "3"]).finish(PATIENCE);
            let ledger = finished.expect_code(0).ledger();
            assert_eq!(ledger.count("/targets/0/carried"), 3 * CARRIED, "{:#}", ledger.0);
            let thrice = expected.into_iter().map(|(line, n)| (line, 3 * n));
            assert_eq!(b.asked(), thrice.collect::<Log>());

            answered(replay().args(["--speed", "max"]).finish(PATIENCE), 0, 0);
            assert_eq!(b.asked(), failure(), "without --carry, {secrets:?}");
        }
        report(&format!(
            "{USERS} sessions of {EACH} requests, recorded at one shop, replayed at another: all as at the first \
             with --carry, {} refused without",
            failure()
                .iter()
                .filter(|(line, _)| line.contains(" 40"))
                .map(|(_, n)| n)
                .sum::<usize>()
        ));
    }

    #[test]
    fn show_live_sessions_succeed_on_another_instance_with_carry_and_fail_without() {
        let dir = tempfile::tempdir().expect("a directory");
        let (a, b) = (Shop::start(dir.path(), "100"), Shop::start(dir.path(), "987000"));
        for carries in [true, false] {
            let run = live("mirror", &a).args(["--to", &b.url(), "--methods", "all"]);
            let run = run.args(["--priority", "normal"]);
            let mirror = capturing(if carries { carrying(run) } else { run }.start());
            a.visit();
            let finished = mirror.terminate(PATIENCE);
            answered(finished, if carries { CARRIED } else { 0 }, 0);
            assert_eq!(a.asked(), success());
            assert_eq!(b.asked(), if carries { success() } else { failure() });
        }
    }
}
