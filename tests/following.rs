//! `--follow` of the real executable: files that grow while they are read, and how that ends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::netns::Place;
use crate::support::request::exact;
use crate::support::shadowtap::{Run, Shadowtap};
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

/// A recording in the making.
struct Growing {
    dir: TempDir,
    name: String,
    file: File,
    bytes: Vec<u8>,
}

impl Growing {
    /// Of the messages of a fixture, compressed or not as the name says; nothing is written yet.
    #[track_caller]
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let whole = dir.path().join(format!("whole-{name}"));
        let pcap = fixtures::path("keepalive.pcap");
        let convert = ["convert", text(&pcap), text(&whole)];
        Run::new(convert).finish(PATIENCE).expect_code(0);
        let bytes = std::fs::read(whole).expect("just made");
        let file = File::create(dir.path().join(format!("{name}.partial"))).expect("own directory");
        Self { dir, name: name.into(), file, bytes }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// Writes on, up to the place where this part of the recording begins.
    #[track_caller]
    fn write_to(&mut self, at: usize) {
        let part: Vec<u8> = self.bytes.drain(..at).collect();
        self.file.write_all(&part).expect("own directory");
    }

    /// Writes what is left, and gives the file its name.
    #[track_caller]
    fn finish(&mut self) {
        self.write_to(self.bytes.len());
        std::fs::rename(self.dir.path().join(format!("{}.partial", self.name)), self.path())
            .expect("own directory");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Where a recording goes on behind warcinfo and so many other records; in another format, behind as many exchanges.
#[track_caller]
fn record(bytes: &[u8], number: usize) -> usize {
    let begins = |mark: &[u8]| memchr::memmem::find_iter(bytes, mark).collect::<Vec<_>>();
    match bytes {
        [b'W', ..] => begins(b"WARC/1.1\r\n")[number],
        // Each gzip member begins as ours do, and so does each zstd frame.
        [0x1f, ..] => begins(b"\x1f\x8b\x08\0\0\0\0\0\x04\xff")[number],
        [0x28, ..] => begins(b"\x28\xb5\x2f\xfd")[number],
        [b'{', ..] => begins(b"{\"startedDateTime\"")[number / 2],
        _ => begins("\n🐵🙈🙉\n".as_bytes())[number - 2] + "\n🐵🙈🙉\n".len(),
    }
}

#[track_caller]
fn inspect(path: &Path) -> Shadowtap {
    Run::new(["inspect", "--follow", "--json", text(path)]).start()
}

#[test]
fn a_recording_is_listed_as_it_grows_until_it_has_its_name() {
    for name in ["a.warc", "a.warc.gz", "a.warc.zst", "a.gor", "a.har"] {
        let mut growing = Growing::new(name);
        // warcinfo and the first exchange, to the last byte.
        let (first, second) = (record(&growing.bytes, 3), record(&growing.bytes, 5));
        growing.write_to(first);
        let listing = inspect(&growing.path());
        let targets: Vec<String> = fixtures::requests("keepalive")
            .into_iter()
            .map(|request| format!("\"target\":\"{}\"", request.target))
            .collect();
        listing.process.wait_stdout(&targets[0], PATIENCE);
        // In two parts, the border within a record.
        growing.write_to(second - first - 100);
        growing.write_to(100);
        listing.process.wait_stdout(&targets[1], PATIENCE);
        growing.finish();
        let done = listing.finish(PATIENCE).expect_code(0);
        assert_eq!(done.text().lines().count(), targets.len(), "{name}: {}", done.text());
        assert!(!done.stderr.contains("skipped"), "{name}: {}", done.stderr);
    }
}

#[test]
fn a_recording_is_replayed_as_it_grows() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let mut growing = Growing::new("a.warc");
    let first = record(&growing.bytes, 3);
    growing.write_to(first);
    let path = growing.path();
    let flags = ["--to", &v2.url(), "--speed", "max", "--json"];
    let replay = Run::new(["replay", "--follow", text(&path)]).args(flags).start();
    v2.wait_for(1, PATIENCE);
    growing.finish();
    let done = replay.finish(PATIENCE).expect_code(0);
    exact(&fixtures::requests("keepalive"), &v2.requests());
    let ledger = done.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.count("/requests/captured"), ledger.count("/damaged")), (5, 0));
}

#[test]
fn a_replay_of_a_file_that_goes_quiet_ends_by_the_time_given() {
    for pace in [["--speed", "1x"], ["--speed", "max"], ["--rate", "100/s"]] {
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let mut growing = Growing::new("a.warc");
        let first = record(&growing.bytes, 3);
        growing.write_to(first);
        let path = growing.path();
        let flags = ["--to", &v2.url(), "--duration", "1s", "--json"];
        let replay = Run::new(["replay", "--follow", text(&path)]).args(pace).args(flags);
        let done = replay.finish(PATIENCE).expect_code(0);
        let (least, most) = (Duration::from_millis(900), Duration::from_secs(4));
        assert!(done.took >= least && done.took < most, "{pace:?}: {:?}", done.took);
        assert_eq!(v2.received().len(), 1);
        let ledger = done.ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/targets/0/answered/2xx"), 1, "{pace:?}: {}", ledger.0);
    }
}

#[test]
fn a_replay_of_a_file_that_goes_quiet_ends_at_a_signal() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let mut growing = Growing::new("a.warc");
        let first = record(&growing.bytes, 3);
        growing.write_to(first);
        let path = growing.path();
        let flags = ["--to", &v2.url(), "--drain", "60s", "--json"];
        let replay = Run::new(["replay", "--follow", text(&path)]).args(flags).start();
        v2.wait_for(1, PATIENCE);
        let told = Instant::now();
        replay.process.signal(signal);
        let done = replay.finish(PATIENCE).expect_code(code);
        // 100 ms, and what a busy machine needs to end a process and tell so.
        assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
        let ledger = done.ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/targets/0/answered/2xx"), 1, "{}", ledger.0);
    }
}

/// Requests a minute apart, the first never answered, as .gor text.
fn one_hangs(requests: u64) -> String {
    let mut text = String::new();
    let separator = "\n🐵🙈🙉\n";
    for n in 0..requests {
        let at = 1_700_000_000_000_000_000 + n * 60_000_000_000;
        text += &format!("1 {n:024x} {at} 0\nGET /{n} HTTP/1.1\r\nHost: a\r\n\r\n{separator}");
        if n > 0 {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            text += &format!("2 {n:024x} {} 1000000\n{answer}{separator}", at + 1_000_000);
        }
    }
    text
}

/// A replay of those whose requests v1 answered with 200, out of a file in the making of this kind.
fn replay_answered(dir: &TempDir, kind: &str, requests: u64, v2: &V2) -> Shadowtap {
    let gor = dir.path().join("all.gor");
    std::fs::write(&gor, one_hangs(requests)).expect("own directory");
    let partial = dir.path().join(format!("a.{kind}.partial"));
    match kind {
        "gor" => drop(std::fs::copy(&gor, &partial).expect("own directory")),
        _ => {
            let whole = dir.path().join("whole.warc");
            Run::new(["convert", text(&gor), text(&whole)]).finish(PATIENCE).expect_code(0);
            std::fs::rename(whole, &partial).expect("own directory");
        }
    }
    replay_those_answered(&dir.path().join(format!("a.{kind}")), v2)
}

fn replay_those_answered(path: &Path, v2: &V2) -> Shadowtap {
    let flags = ["--to", &v2.url(), "--speed", "max", "--only", "status == 200", "--json"];
    Run::new(["replay", "--follow", text(path)]).args(flags).start()
}

#[test]
fn a_request_without_an_answer_holds_up_no_followed_recording() {
    for kind in ["warc", "gor"] {
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let dir = tempfile::tempdir().expect("a directory");
        let replay = replay_answered(&dir, kind, 9, &v2);
        v2.wait_for(8, PATIENCE);
        let ledger = replay.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/requests/captured"), 9, "{kind}: {:#}", ledger.0);
        assert_eq!(ledger.count("/requests/refused/no_v1_answer"), 1, "{kind}");
        assert_eq!(ledger.count("/targets/0/answered/2xx"), 8, "{kind}");
    }
}

#[test]
fn what_waits_for_a_status_when_a_followed_file_is_stopped_is_accounted_for() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let dir = tempfile::tempdir().expect("a directory");
    // Whether the second is answered nobody knows yet. It was read by the time that the first is let on.
    let message = |kind: u8, n: u64, at: u64, text: &str| {
        let at = 1_700_000_000_000_000_000 + at;
        format!("{kind} {n:024x} {at} 0\n{text}\r\n\r\n\n🐵🙈🙉\n")
    };
    let messages = [
        message(1, 0, 0, "GET /0 HTTP/1.1\r\nHost: a"),
        message(1, 1, 1_000_000, "GET /1 HTTP/1.1\r\nHost: a"),
        message(2, 0, 2_000_000, "HTTP/1.1 200 OK\r\nContent-Length: 0"),
    ];
    std::fs::write(dir.path().join("a.gor.partial"), messages.concat()).expect("own directory");
    let replay = replay_those_answered(&dir.path().join("a.gor"), &v2);
    v2.wait_for(1, PATIENCE);
    let ledger = replay.terminate(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/records/messages"), 3);
    assert_eq!(ledger.count("/requests/captured"), 2, "{:#}", ledger.0);
    assert_eq!(ledger.count("/requests/refused/no_v1_answer"), 1, "{:#}", ledger.0);
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let mut growing = Growing::new("a.warc");
    let partial = growing.dir.path().join("a.warc.partial");
    std::fs::remove_file(&partial).expect("own directory");
    let listing = inspect(&growing.path());
    listing.process.wait_stderr("waiting for", PATIENCE);
    growing.file = File::create(&partial).expect("own directory");
    let first = record(&growing.bytes, 3);
    growing.write_to(first);
    // Found by the name that it has in the making.
    listing.process.wait_stdout("\"index\":0", PATIENCE);
    growing.finish();
    let done = listing.finish(PATIENCE).expect_code(0);
    assert_eq!(done.text().lines().count(), 5, "{}", done.text());

    // Nobody waits for ever: a signal ends it, with a word.
    let waiting = inspect(&growing.dir.path().join("other.warc"));
    waiting.process.wait_stderr("waiting for", PATIENCE);
    waiting.process.signal(Signal::INT);
    let done = waiting.finish(PATIENCE).expect_code(2);
    assert!(done.stderr.contains("other.warc"), "{}", done.stderr);
}

#[test]
fn a_capture_is_followed_until_a_signal() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.pcap");
    let bytes = std::fs::read(fixtures::path("keepalive.pcap")).expect("a fixture");
    let mut file = File::create(&path).expect("own directory");
    // Somewhere within the first exchanges, most likely within a packet.
    let half = bytes.len() / 2;
    file.write_all(&bytes[..half]).expect("own directory");
    let requests = fixtures::requests("keepalive");
    let target = |n: usize| format!("\"target\":\"{}\"", requests[n].target);
    let listing = inspect(&path);
    listing.process.wait_stdout(&target(0), PATIENCE);
    file.write_all(&bytes[half..]).expect("own directory");
    listing.process.wait_stdout(&target(4), PATIENCE);
    listing.process.signal(Signal::INT);
    let done = listing.finish(PATIENCE).expect_code(0);
    assert_eq!(done.text().lines().count(), requests.len());

    // What is only known at the end comes then.
    let stats = Run::new(["inspect", "--follow", "--stats", "--json", text(&path)]).start();
    stats.process.wait_stderr("following", PATIENCE);
    let done = stats.terminate(PATIENCE).expect_code(0);
    assert_eq!(fixtures::json_lines(&done.stdout)[0]["requests"], 5, "{}", done.text());
}

#[test]
fn what_cannot_be_followed_is_said() {
    let refused = |args: &[&str]| {
        Run::new(["inspect", "--follow"])
            .args(args.iter().copied())
            .finish(PATIENCE)
            .expect_code(2)
            .stderr
    };
    let said = refused(&["-"]);
    assert!(said.contains("--follow needs a file"), "{said}");
    let said = refused(&["/nonexistent/a.warc"]);
    assert!(said.contains("cannot follow /nonexistent/a.warc"), "{said}");
}
