//! What the choice of a share costs for each request: without one, by each kind of key, with a cap on the rate.
//!
//! `cargo bench --bench sample`. The request is one as a browser sends it, its key near the end.

// Bench targets are not API: criterion's macros write undocumented functions.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shadowtap::http::{Config, Provenance, Role, parse_whole};
use shadowtap::model::{Anomalies, Endpoint, MARKER_FIELD, Message, Timestamp};
use shadowtap::shape::{Admission, Methods, RateCap, Sampler, Verdict};

const HEAD: &str = "GET /api/orders/17?page=2&sort=date&user=user-4711 HTTP/1.1\r\n\
    Host: shop.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example/api/orders\r\n\
    Connection: keep-alive\r\n\
    Cookie: theme=dark; consent=yes; session=9f86d081884c7d659a2feaa0c55ad015\r\n\
    Sec-Fetch-Mode: cors\r\n\
    X-User-Id: user-4711\r\n\r\n";

/// So many at once: one is too short to be timed.
const REQUESTS: u64 = 1_000;

fn request(number: u64) -> Message {
    let end = |last, port| Endpoint::new([10, 0, 0, last].into(), port);
    let at = Timestamp::from_parts(1_700_000_000, number * 1_000_000);
    let from = Provenance {
        conn: number,
        index: 0,
        client: end(1, 40_000),
        server: end(2, 80),
        first_byte: at,
        last_byte: at,
        request: None,
        anomalies: Anomalies::default(),
        is_whole: true,
    };
    parse_whole(Bytes::from_static(HEAD.as_bytes()), Role::Client, from, &Config::default())
        .expect("a request")
}

fn admission(key: Option<&str>, rate: Option<f64>) -> Admission {
    let sampler = key.map(|key| match key {
        "request" => Sampler::new(10.0, 0, Default::default()),
        key => Sampler::new(10.0, 0, key.parse().expect("a key")),
    });
    Admission {
        marker: MARKER_FIELD,
        methods: Methods::Safe,
        is_replay: true,
        holds_ambiguous: false,
        rules: Default::default(),
        sampler,
        cap: rate.map(RateCap::new),
    }
}

fn sample(c: &mut Criterion) {
    let requests: Vec<Message> = (0..REQUESTS).map(request).collect();
    let mut group = c.benchmark_group("sample");
    group.throughput(Throughput::Elements(REQUESTS));
    for (name, key, rate) in [
        ("without", None, None),
        ("percent", Some("request"), None),
        ("percent_by_header", Some("header:X-User-Id"), None),
        ("percent_by_cookie", Some("cookie:session"), None),
        ("percent_by_query", Some("query:user"), None),
        ("percent_by_client", Some("client"), None),
        ("percent_by_connection", Some("connection"), None),
        ("max_rate", None, Some(200.0)),
    ] {
        let mut admission = admission(key, rate);
        let mut run = || {
            let refused =
                |request: &&Message| admission.judge(black_box(*request)) != Verdict::Goes;
            requests.iter().filter(refused).count()
        };
        assert_eq!(run() > 0, key.is_some() || rate.is_some(), "{name}");
        group.bench_function(name, |b| b.iter(&mut run));
    }
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group!(name = benches; config = settings(); targets = sample);
criterion_main!(benches);
