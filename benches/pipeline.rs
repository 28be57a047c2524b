//! The rooms of the capture side, each alone and all in a row, over generated captures in memory; and the rules on a request.
//!
//! `cargo bench`. Figures are per frame, segment or request, and per byte of all frames (for
//! `reassemble` and `http`: of payload); `memcpy` copies the frames of `pipeline` and is the floor.
//! What each run must yield is asserted once before it is timed.

// Bench targets are not API: criterion's macros write undocumented functions.
#![allow(missing_docs)]

mod traffic;

use std::hint::black_box;
use std::io::Cursor;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shadowtap::app::pipeline::Pipeline;
use shadowtap::capture::file::{CaptureFile, Input};
use shadowtap::decode::Decoder;
use shadowtap::http::{Config, HttpReader, Provenance, Role, parse_whole};
use shadowtap::model::{
    CloseReason, Endpoint, FlowInfo, FlowKey, Gap, Message, Piece, Side, StreamHandler, Timestamp,
    Watch,
};
use shadowtap::reassemble::{Limits, Reassembler};
use shadowtap::shape::Rules;
use shadowtap::shape::expr::{Expr, Truth};

use traffic::{Capture, Heard, Kind, Rng, exchanges, uploads};

/// Messages are taken out as often as the program does, after so many frames.
const BATCH: usize = 256;
/// Connections side by side where their number is not what is measured.
const CONNECTIONS: usize = 100;
/// Exchanges on each.
const ROUNDS: usize = 500;

fn throughput(elements: usize, bytes: usize) -> Throughput {
    Throughput::ElementsAndBytes { elements: elements as u64, bytes: bytes as u64 }
}

/// What `mirror` reads: requests whole, of responses only that they come.
fn requests() -> Config {
    Config::default()
}

/// What `record` reads: both.
fn responses_too() -> Config {
    Config { read_responses: true, emit_responses: true, ..Config::default() }
}

fn decode(c: &mut Criterion) {
    let capture = Capture::new(&exchanges(Kind::Get, Heard::Both, CONNECTIONS, 100));
    let run = || {
        let mut decoder = Decoder::default();
        capture.frames().filter(|frame| black_box(decoder.decode(frame)).is_ok()).count()
    };
    assert_eq!(run(), capture.len());
    let mut group = c.benchmark_group("decode");
    group.throughput(throughput(capture.len(), capture.bytes().len()));
    group.bench_function("ethernet_ipv4_tcp", |b| b.iter(run));
    group.finish();
}

/// Counts what is delivered, and looks at nothing.
#[derive(Default)]
struct Counter {
    bytes: usize,
    gaps: usize,
}

impl StreamHandler for Counter {
    type Flow = ();
    fn opened(&mut self, _: &FlowInfo) {}
    fn data(&mut self, _: &FlowInfo, _: &mut (), _: Side, piece: Piece<'_>) {
        self.bytes += black_box(piece.bytes).len();
    }
    fn gap(&mut self, _: &FlowInfo, _: &mut (), _: Side, _: Gap) {
        self.gaps += 1;
    }
    fn conflict(&mut self, _: &FlowInfo, _: &mut (), _: Side) {}
    fn finished(&mut self, _: &FlowInfo, _: &mut (), _: Side, _: Timestamp) {}
    fn closed(&mut self, _: &FlowInfo, _: (), _: Timestamp, _: CloseReason) {}
    fn held(&self, _: &()) -> usize {
        0
    }
}

/// Bytes delivered and holes given up. Captures of requests only are read as such: the bytes that they
/// acknowledge would be holes otherwise.
fn reassembled(capture: &Capture, heard: Heard) -> (usize, usize) {
    let both = heard == Heard::Both;
    let limits = Limits { flows: 1 << 20, ..Limits::default() };
    let mut reassembler = Reassembler::new(Counter::default(), Watch::everything(), both, limits);
    for segment in capture.segments() {
        reassembler.push(&segment).expect("every connection is watched");
    }
    reassembler.finish();
    let counter = reassembler.handler();
    (counter.bytes, counter.gaps)
}

fn reassemble(c: &mut Criterion) {
    let plain = || uploads(CONNECTIONS, 300);
    let few = |connections, rounds| exchanges(Kind::Get, Heard::Requests, connections, rounds);
    let captures = [
        ("in_order", plain(), Heard::Both, false),
        ("reordered", traffic::reorder(plain(), 8 * CONNECTIONS, 7), Heard::Both, false),
        ("lossy_1_percent", traffic::lose(plain(), 100, 7), Heard::Both, true),
        ("get_100_flows", few(100, 2_000), Heard::Requests, false),
        ("get_10k_flows", few(10_000, 20), Heard::Requests, false),
        ("get_100k_flows", few(100_000, 2), Heard::Requests, false),
    ];
    let mut group = c.benchmark_group("reassemble");
    for (name, packets, heard, is_lossy) in captures {
        let capture = Capture::new(&packets);
        let payload: usize = packets.iter().map(|packet| packet.payload.len()).sum();
        drop(packets);
        let (bytes, gaps) = reassembled(&capture, heard);
        assert_eq!((bytes, gaps > 0), (payload, is_lossy), "{name}");
        group.throughput(throughput(capture.len(), payload));
        group.bench_function(name, |b| b.iter(|| reassembled(&capture, heard)));
    }
    group.finish();
}

/// Messages found in requests that come one in each piece.
fn framed(requests: &[Vec<u8>], segment: usize) -> usize {
    let [client, server] =
        [(1, 40_000), (2, 80)].map(|(last, port)| Endpoint::new([10, 0, 0, last].into(), port));
    let (key, side) = FlowKey::new(client, server);
    let info = FlowInfo { conn: 0, key, client: Some(side), from_start: true };
    let mut reader = HttpReader::new(self::requests());
    let mut flow = reader.opened(&info);
    let mut found = 0;
    for (number, request) in requests.iter().enumerate() {
        let at = Timestamp::from_nanos(number as u64);
        for bytes in request.chunks(segment) {
            let piece = Piece { at, bytes, segment_start: true, anomalies: Default::default() };
            reader.data(&info, &mut flow, side, piece);
        }
        if number % BATCH == 0 {
            found += black_box(reader.drain()).count();
        }
    }
    found + reader.drain().count()
}

fn http(c: &mut Criterion) {
    let mut group = c.benchmark_group("http");
    for (name, kind, segment) in [
        ("get_500", Kind::Get, 1448),
        ("get_500_in_two_segments", Kind::Get, 250),
        ("post_1k", Kind::Post, 1448),
        ("chunked_1k", Kind::Chunked, 1448),
    ] {
        let mut rng = Rng(1);
        let messages: Vec<_> =
            (0..10_000).map(|number| traffic::request(kind, number, &mut rng)).collect();
        assert_eq!(framed(&messages, segment), messages.len(), "{name}");
        group.throughput(throughput(messages.len(), messages.iter().map(Vec::len).sum()));
        group.bench_function(name, |b| b.iter(|| framed(&messages, segment)));
    }
    group.finish();
}

fn piped(capture: &Capture, http: &Config) -> usize {
    let mut pipeline = Pipeline::new(Watch::everything(), http.clone(), Limits::default());
    let mut found = 0;
    for (number, frame) in capture.frames().enumerate() {
        pipeline.frame(&frame);
        if number % BATCH == 0 {
            found += black_box(pipeline.drain()).count();
        }
    }
    pipeline.finish();
    found + pipeline.drain().count()
}

fn piped_from_file(bytes: &'static [u8], http: &Config) -> usize {
    let input = Input::from_reader("memory", Cursor::new(bytes)).expect("readable");
    let mut file = CaptureFile::new(input).expect("a pcap file");
    let mut pipeline = Pipeline::new(Watch::everything(), http.clone(), Limits::default());
    let (mut found, mut number) = (0, 0);
    while let Some(frame) = file.next_frame().expect("whole") {
        pipeline.frame(&frame);
        number += 1;
        if number % BATCH == 0 {
            found += black_box(pipeline.drain()).count();
        }
    }
    pipeline.finish();
    found + pipeline.drain().count()
}

fn pipeline(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline");
    let requests_in_all = CONNECTIONS * ROUNDS;
    for (name, heard, http, per_exchange) in [
        ("get_requests_only", Heard::Requests, requests(), 1),
        ("get_both_ways_requests_kept", Heard::Both, requests(), 1),
        ("get_both_ways_all_kept", Heard::Both, responses_too(), 2),
    ] {
        let capture = Capture::new(&exchanges(Kind::Get, heard, CONNECTIONS, ROUNDS));
        assert_eq!(piped(&capture, &http), requests_in_all * per_exchange, "{name}");
        group.throughput(throughput(requests_in_all, capture.bytes().len()));
        group.bench_function(name, |b| b.iter(|| piped(&capture, &http)));
        if http.emit_responses {
            let file: &'static [u8] = capture.pcap().leak();
            group.bench_function(format!("{name}_pcap"), |b| {
                b.iter(|| piped_from_file(file, &http));
            });
        }
        let mut copy = vec![0; capture.bytes().len()];
        group.bench_function(format!("{name}_memcpy"), |b| {
            b.iter(|| black_box(&mut copy).copy_from_slice(black_box(capture.bytes())));
        });
    }
    group.finish();
}

/// A request as browsers send it, with 12 fields and a few hundred bytes.
fn browsers() -> Message {
    let head = "GET /api/v1/orders/1234/items?page=2&sort=price HTTP/1.1\r\n\
        Host: shop.example:8080\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
        Accept-Language: en-US,en;q=0.5\r\n\
        Accept-Encoding: gzip, deflate, br, zstd\r\n\
        Referer: https://shop.example/orders\r\n\
        Connection: keep-alive\r\n\
        Cookie: theme=dark; session=0123456789abcdef\r\n\
        X-Request-Id: 7f9c24e8b3a14d1f\r\n\
        X-Shadow: true\r\n\
        Sec-Fetch-Mode: cors\r\n\
        Priority: u=4\r\n\r\n";
    let from = Provenance {
        conn: 0,
        index: 0,
        client: Endpoint::new([10, 1, 2, 3].into(), 40_000),
        server: Endpoint::new([10, 0, 0, 1].into(), 80),
        first_byte: Timestamp::ZERO,
        last_byte: Timestamp::ZERO,
        request: None,
        anomalies: Default::default(),
        is_whole: true,
    };
    parse_whole(head.into(), Role::Client, from, &Config::default()).expect("a request")
}

/// 20 rules of every kind that is common; the request passes all, so all are asked.
const RULES: [&str; 20] = [
    "header x-shadow == true",
    "not header end-user == bbo",
    "not header user-agent ^= kube-probe",
    "path ~~ '/api/**'",
    r"path =~ '^/api/v\d+/orders'",
    "not path ~~ '/api/*/admin/**'",
    "method in GET,HEAD",
    "not client in 192.168.0.0/16,172.16.0.0/12",
    "client in 10.0.0.0/8",
    "host == shop.example",
    "host $= .example",
    "query page",
    "query page < 100",
    "not query debug == 1",
    "cookie session",
    "not cookie canary == never",
    "body.size < 1MiB",
    "header accept *= html",
    "not header x-no-shadow",
    "not header authorization ^= Basic or header x-request-id",
];

fn rules(c: &mut Criterion) {
    let request = browsers();
    let parsed = |texts: &[&str]| {
        Rules::new(texts.iter().map(|text| Expr::parse(text).expect("a rule")).collect(), vec![])
    };
    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Elements(1));
    for (name, rules) in [("none", parsed(&[])), ("twenty", parsed(&RULES))] {
        assert_eq!(rules.let_on(&request, None), Truth::Yes, "{name}");
        group.bench_function(name, |b| b.iter(|| rules.let_on(black_box(&request), None)));
    }
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .without_plots()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = settings(); targets = decode, reassemble, http, pipeline, rules);
criterion_main!(benches);
