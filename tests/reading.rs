//! What reading a stored file costs, counted by the allocator, whatever somebody put into it; and what is still seen of a
//! recording of which only a range of times is wanted.

use std::io::{self, Read};

use bytes::Bytes;
use shadowtap::http::{Config, Provenance, Role, parse_whole};
use shadowtap::model::{Anomalies, Endpoint, Timestamp};
use shadowtap::record::encode::Encoder;
use shadowtap::record::{DamageKind, HarReader, Item, Kind, Limits, Next, Reader, WarcInfo};

use crate::support::PATIENCE;
use crate::support::heap::most_during;
use crate::support::netns::Place;
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

/// A beginning, a part that comes again and again, and an end.
struct Repeated {
    begin: &'static [u8],
    part: &'static [u8],
    times: usize,
    end: &'static [u8],
    at: usize,
}

impl Read for Repeated {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let parts = self.part.len() * self.times;
        let mut filled = 0;
        while filled < out.len() {
            let left = match self.at {
                at if at < self.begin.len() => &self.begin[at..],
                at if at < self.begin.len() + parts => {
                    &self.part[(at - self.begin.len()) % self.part.len()..]
                }
                at => &self.end[(at - self.begin.len() - parts).min(self.end.len())..],
            };
            let len = left.len().min(out.len() - filled);
            if len == 0 {
                break;
            }
            out[filled..filled + len].copy_from_slice(&left[..len]);
            (self.at, filled) = (self.at + len, filled + len);
        }
        Ok(filled)
    }
}

#[test]
fn a_har_entry_of_tiny_parts_costs_a_few_times_its_text() {
    const TEXT: usize = 8 << 20;
    let before =
        br#"{"log":{"entries":[{"request":{"method":"GET","url":"http://h/"}},{"request":"#;
    let request = |list: &'static str| [&before[..], list.as_bytes()].concat().leak() as &[u8];
    let cases: [(&[u8], &[u8], &[u8]); 4] = [
        (
            request(r#"{"method":"GET","url":"http://h/","headers":[{"name":"a"}"#),
            br#",{"name":"a"}"#,
            b"]}}]}}",
        ),
        (
            request(
                r#"{"method":"GET","url":"http://h/","headers":[]},"response":{"status":200,"headers":[{"name":"Set-Cookie","value":""#,
            ),
            br"\n",
            br#""}]}}]}}"#,
        ),
        (
            request(
                r#"{"method":"PUT","url":"http://h/","postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a"}"#,
            ),
            br#",{"name":"a"}"#,
            b"]}}}]}}",
        ),
        (
            request(
                r#"{"method":"GET","url":"http://h/","_shadowtap":{"connection":0,"index":0,"client":"","server":"","firstByte":"","lastByte":"","anomalies":["""#,
            ),
            br#","""#,
            b"]}}}]}}",
        ),
    ];
    for (begin, part, end) in cases {
        let times = TEXT / part.len();
        let document = Repeated { begin, part, times, end, at: 0 };
        let (found, most) = most_during(|| {
            let mut reader = HarReader::new(document, Limits::default(), 0).expect("memory");
            let mut found = Vec::new();
            while let Some(item) = reader.read_item().expect("a document") {
                found.push(match item {
                    Item::Message(_) => None,
                    Item::Damage(damage) => Some(damage.kind),
                });
            }
            found
        });
        let name = String::from_utf8_lossy(part);
        assert_eq!(found.first(), Some(&None), "{name}");
        assert_eq!(found.last(), Some(&Some(DamageKind::Fields)), "{name}: {found:?}");
        assert!(most < 5 * TEXT, "{name}: {most} bytes for {TEXT} of text");
    }
}

/// When the nth exchange of [`recording`] began.
fn at(second: u64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + second) * 1_000_000_000)
}

/// Exchanges, one a second, with bodies of this length.
fn recording(exchanges: u64, body: usize) -> Vec<u8> {
    let mut encoder = Encoder::new("run");
    let mut file = Vec::new();
    let info = WarcInfo { run: "run".into(), ..WarcInfo::default() };
    encoder.info(&mut file, &info, "a.warc", 0);
    let text = "x".repeat(body);
    for conn in 0..exchanges {
        for (role, line) in [
            (Role::Client, format!("PUT /{conn} HTTP/1.1\r\nHost: v1")),
            (Role::Server, "HTTP/1.1 200 OK".to_owned()),
        ] {
            let raw = format!("{line}\r\nContent-Length: {body}\r\n\r\n{text}");
            let from = Provenance {
                conn,
                index: 0,
                client: Endpoint::new([192, 0, 2, 1].into(), 40_000),
                server: Endpoint::new([192, 0, 2, 2].into(), 8080),
                first_byte: at(conn),
                last_byte: at(conn),
                request: (role == Role::Server).then_some(0),
                anomalies: Anomalies::default(),
                is_whole: true,
            };
            let message = parse_whole(Bytes::from(raw), role, from, &Config::default());
            let message = message.expect("a message");
            encoder.message(&mut file, &message, &message.raw);
        }
    }
    file
}

/// What is in the file, in words; `wanted` are the seconds that are.
fn read_within(file: &[u8], wanted: Option<(u64, u64)>) -> Vec<String> {
    let wanted = wanted.map(|(from, until)| at(from)..=at(until));
    let mut reader = Reader::new(file).expect("memory");
    let mut found = Vec::new();
    while let Some(next) = reader.read_within(wanted.clone()).expect("no fault in memory") {
        found.push(match next {
            Next::Item(Item::Message(message)) => format!("{:?} {}", message.kind, message.conn),
            Next::Item(Item::Damage(damage)) => damage.to_string(),
            Next::Outside(kind) => format!("outside: {kind:?}"),
        });
    }
    let counts = reader.counts();
    let messages = found.iter().filter(|word| !word.contains("skipped")).count() as u64;
    assert_eq!(counts.requests + counts.responses, messages);
    found
}

#[test]
fn outside_the_wanted_range_every_message_is_counted_and_every_hole_is_found() {
    let whole = recording(4, 10);
    let outside = [Kind::Request, Kind::Response].map(|kind| format!("outside: {kind:?}"));
    let words = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
    let within = words("Request 1, Response 1, Request 2, Response 2");
    let all = [&outside[..], &within, &outside].concat();
    assert_eq!(read_within(&whole, Some((1, 2))), all);
    assert_eq!(read_within(&whole, None).len(), 8);

    // Bytes are gone from a record outside, or from the end: the same is said as when all is read.
    let second_response = memchr::memmem::find_iter(&whole, b"HTTP/1.1 200 OK").nth(3).expect("it");
    let mut holed = whole.clone();
    holed.drain(second_response..second_response + 7);
    for file in [holed, whole[..whole.len() - 20].to_vec()] {
        let damages = |found: Vec<String>| -> Vec<String> {
            found.into_iter().filter(|word| word.contains("skipped")).collect()
        };
        let got = damages(read_within(&file, Some((1, 2))));
        assert_eq!(got, damages(read_within(&file, None)));
        assert_eq!(got.len(), 1);
    }
    // A byte that is another is noticed where it is looked at.
    let mut changed = whole;
    changed[second_response + 20] ^= 1;
    assert_eq!(read_within(&changed, Some((1, 2))), all);
    assert!(read_within(&changed, Some((3, 3))).iter().any(|word| word.contains("digest")));
}

#[test]
fn a_damaged_separator_outside_the_wanted_range_is_passed_as_within() {
    let whole = recording(4, 10);
    let second = memchr::memmem::find_iter(&whole, b"WARC/1.1\r\n").nth(4).expect("it");
    let mut damaged = whole.clone();
    damaged[second - 4..second].copy_from_slice(b"XXXX");
    let within = read_within(&damaged, None);
    assert_eq!(within, read_within(&whole, None), "it is the separator's own");
    assert_eq!(read_within(&damaged, Some((2, 3))), read_within(&whole, Some((2, 3))));
}

#[test]
fn what_is_after_the_first_is_after_the_first_message_of_all() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.warc");
    // The first request was missed: the first message is its response, a second before the next request.
    let whole = recording(3, 1);
    let records: Vec<_> = memchr::memmem::find_iter(&whole, b"WARC/1.1\r\n").collect();
    std::fs::write(&path, [&whole[..records[1]], &whole[records[2]..]].concat()).expect("own");
    let path = path.to_str().expect("UTF-8");
    let lines = |args: &[&str]| {
        let run = Run::new(["inspect", path, "--json"]).args(args.iter().copied());
        run.finish(PATIENCE).expect_code(0).text().lines().count()
    };
    for (until, requests, all) in [("500ms", 0, 1), ("1s", 1, 3), ("2s", 2, 5)] {
        assert_eq!(lines(&["--until", until]), requests, "{until}");
        assert_eq!(
            lines(&["--until", until, "--method", "PUT"]),
            requests,
            "{until}, not skipping"
        );
        assert_eq!(lines(&["--until", until, "-p", "8080"]), requests, "{until}, of a port");
        assert_eq!(lines(&["--until", until, "--responses"]), all, "{until}, with responses");
        let v2 = V2::start(&Place::Host, LOCALHOST);
        let args = ["replay", path, "--to", &v2.url(), "--methods", "all", "--speed", "max"];
        Run::new(args).args(["--until", until]).finish(PATIENCE).expect_code(0);
        assert_eq!(v2.received().len(), requests, "{until}, replayed");
    }
    // The table's times are since the same message.
    let table = Run::new(["inspect", path]).finish(PATIENCE).expect_code(0).text();
    assert!(table.lines().nth(1).is_some_and(|row| row.trim().starts_with("1.000000")), "{table}");
}

/// Runs a program, and prints the most KiB that it had in memory.
const MOST_MEMORY: &str = "import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss if status == 0 else 'failed')";

#[test]
fn large_messages_are_held_a_few_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.warc");
    // 256 of them are read at once where they are small.
    std::fs::write(&path, recording(150, 1 << 20)).expect("own directory");
    let path = path.to_str().expect("UTF-8");
    for args in [&["--stats", "--json"][..], &["--responses", "--body", "--max-body-print", "10B"]]
    {
        let mut python = std::process::Command::new("python3");
        python.args(["-c", MOST_MEMORY]).arg(crate::support::shadowtap::executable());
        let output = python.args(["inspect", path]).args(args).output().expect("python3");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let kib: u64 = said.trim().parse().unwrap_or_else(|_| panic!("{output:?}"));
        assert!(kib < 64 << 10, "{args:?}: {kib} KiB");
    }
    let stats = Run::new(["inspect", path, "--stats", "--json"]).finish(PATIENCE).expect_code(0);
    let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
    assert_eq!((&stats["requests"], &stats["responses"]), (&150.into(), &150.into()));
}
