//! Worst cases: work linear in what arrives, memory within its limit.
//!
//! Each case is a function of its size that gives the CPU time it took, for a benchmark; a test runs it
//! small and four times as large and compares generously, so that only a power more is found.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use shadowtap::http::Config;
use shadowtap::model::Completion;
use shadowtap::reassemble::Limits;

use super::testing::Random;
use super::{Capture, Packet, Talk};

fn reading_all_bodies() -> Talk {
    let config = Config { max_body: None, hash_bodies: false, ..Config::default() };
    Talk { capture: Capture::with(config, Limits::default()), ..Talk::new() }
}

/// CPU time of this thread: what else runs on the machine does not count.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = cpu();
    run();
    cpu().saturating_sub(start)
}

/// A head sent one byte in a packet.
pub fn one_byte_packets(head_len: usize) -> Duration {
    let mut talk = Talk::new();
    let text = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(head_len));
    let time = timed(|| {
        for byte in text.as_bytes() {
            talk.c([*byte]);
        }
    });
    assert_eq!(talk.capture.requests()[0].completion, Completion::Complete);
    time
}

/// Headers without an end.
pub fn endless_headers(len: usize) -> Duration {
    let mut talk = Talk::new();
    talk.c("GET / HTTP/1.1\r\n");
    let line = "Name: value of some length\r\n".repeat(50);
    let time = timed(|| {
        for _ in 0..len / line.len() {
            talk.c(&line);
            assert!(talk.capture.reassembler.memory() < 1 << 20);
        }
    });
    assert_eq!(talk.capture.requests()[0].completion, Completion::Incomplete);
    time
}

/// Chunks of one byte.
pub fn tiny_chunks(count: usize) -> Duration {
    let mut talk = reading_all_bodies();
    let chunks = "1\r\nx\r\n".repeat(200);
    let time = timed(|| {
        talk.c("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..count / 200 {
            talk.c(&chunks);
        }
        talk.c("0\r\n\r\n");
    });
    let requests = talk.capture.requests();
    assert_eq!((requests[0].body_len as usize, requests.len()), (count / 200 * 200, 1));
    time
}

/// A body that is only followed.
pub fn large_body(len: usize) -> Duration {
    let mut talk = reading_all_bodies();
    let piece = vec![b'x'; 1 << 16];
    let time = timed(|| {
        talk.c(format!("POST / HTTP/1.1\r\nContent-Length: {len}\r\n\r\n"));
        for _ in 0..len >> 16 {
            talk.c(&piece);
            assert!(talk.capture.reassembler.memory() < 1 << 20);
        }
    });
    assert_eq!(talk.capture.requests()[0].completion, Completion::Complete);
    time
}

/// A window of segments of one byte in reversed order.
pub fn reversed_window(len: u32) -> Duration {
    let limits = Limits { flow_memory: 8 << 20, ..Limits::default() };
    let mut talk = Talk { capture: Capture::with(Config::default(), limits), ..Talk::new() };
    let (client, server) = talk.next;
    timed(|| {
        for n in (0..len).rev() {
            talk.capture.push(&Packet::new(true, client + n, server, b"x"));
            assert!(talk.capture.reassembler.memory() <= 9 << 20);
        }
    })
}

/// Segments that overlap each other in many ways behind a hole.
pub fn overlapping_segments(count: u32) -> Duration {
    let mut talk = Talk::new();
    let (client, server) = talk.next;
    let mut random = Random::new(1);
    let bytes = vec![b'x'; 1400];
    timed(|| {
        for n in 0..count {
            let seq = match n % 3 {
                0 => client + 1 + n,
                1 => client + 1 + (1 << 20) - n,
                _ => client + 1 + random.below(1 << 20) as u32,
            };
            talk.capture.push(&Packet::new(true, seq, server, &bytes));
            assert!(talk.capture.reassembler.memory() <= 9 << 20);
        }
    })
}

/// Segments that each look like the start of a request, out of step.
pub fn false_starts(count: usize) -> Duration {
    let mut talk = Talk::new();
    let mut out_of_step = talk.lost_c("x");
    out_of_step.bytes.clear();
    talk.s("").capture.wait(Duration::from_millis(300));
    let kinds = [
        "GET / HTTP/1.1\r\nA: b\r\n",
        "GET / HTTP/1.1\r\nbad field\r\n\r\n",
        "GET /and no end of line ",
        "POST ",
    ];
    timed(|| {
        for n in 0..count {
            talk.c(kinds[n % if n % 1000 < 500 { 1 } else { kinds.len() }]);
            assert!(talk.capture.reassembler.memory() < 2 << 20);
        }
    })
}

/// Four times the size may take at most this many times as long: linear is 4, quadratic 16.
const GENEROUS: f64 = 9.0;

#[track_caller]
fn is_linear(name: &str, run: impl Fn(usize) -> Duration, size: usize) {
    let best = |size: usize| (0..3).map(|_| run(size)).min().expect("three runs");
    // Other load on the machine only ever adds time: one good comparison is enough.
    let mut ratio = f64::MAX;
    for _ in 0..5 {
        let (small, large) = (best(size), best(4 * size));
        ratio = ratio.min(large.as_secs_f64() / small.as_secs_f64().max(1e-6));
        if ratio < GENEROUS {
            return;
        }
    }
    panic!("{name}: four times the size took {ratio:.1} times as long");
}

#[test]
fn the_worst_cases_are_linear() {
    is_linear("one byte packets", one_byte_packets, 10_000);
    is_linear("endless headers", endless_headers, 500_000);
    is_linear("tiny chunks", tiny_chunks, 20_000);
    is_linear("large body", large_body, 4 << 20);
    is_linear("reversed window", |n| reversed_window(n as u32), 10_000);
    is_linear("overlapping segments", |n| overlapping_segments(n as u32), 1_500);
    is_linear("false starts", false_starts, 4_000);
}

/// The full sizes, with their figures; `SHADOWTAP_COST=1 cargo test the_full_sizes -- --nocapture`.
#[test]
fn the_full_sizes_finish() {
    if std::env::var_os("SHADOWTAP_COST").is_none() {
        assert!(one_byte_packets(20_000) < Duration::from_secs(60));
        return;
    }
    let mut figures = String::new();
    for (name, time) in [
        ("200 KB head, 1 byte a packet", one_byte_packets(200_000)),
        ("10 MB of headers", endless_headers(10 << 20)),
        ("1 M chunks of 1 byte", tiny_chunks(1_000_000)),
        ("100 MB body", large_body(100 << 20)),
        ("8 MB window reversed, 1 byte a packet", reversed_window(8 << 20)),
        ("100,000 overlapping segments", overlapping_segments(100_000)),
        ("1 M false starts", false_starts(1_000_000)),
    ] {
        figures += &format!("{name}: {time:?}\n");
    }
    std::fs::write(std::env::temp_dir().join("shadowtap-cost.txt"), &figures).expect("written");
}
