//! The share is exact, the same everywhere, and grows; golden values are of an implementation in another language,
//! which knew the module's description and nothing else.

use bytes::Bytes;

use super::*;
use crate::model::message::{Field, Span, Start, Version};
use crate::model::testing::Random;
use crate::model::{Anomalies, Completion, Timestamp};

const NANOS: u64 = 1_700_000_000_000_000_001;

/// A request with this head, of a client and at a time that the golden values know.
fn request(head: &str) -> Message {
    let span = |part: &str| {
        let start = part.as_ptr() as usize - head.as_ptr() as usize;
        Span { start: start as u32, end: (start + part.len()) as u32 }
    };
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let fields = lines.map(|(name, value)| Field { name: span(name), value: span(value) });
    Message {
        conn: 7,
        index: 0,
        client: Endpoint::new([192, 0, 2, 1].into(), 40_000),
        server: Endpoint::new([10, 0, 0, 1].into(), 80),
        first_byte: Timestamp::from_nanos(NANOS),
        last_byte: Timestamp::from_nanos(NANOS),
        start: Start::Request { method: span(method), target: span(target) },
        version: Version::HTTP_11,
        fields: fields.collect(),
        raw: Bytes::copy_from_slice(head.as_bytes()),
        head_len: head.len(),
        body: Bytes::new(),
        body_len: 0,
        body_sha256: None,
        chunked: false,
        completion: Completion::Complete,
        anomalies: Anomalies::default(),
        redacted: 0,
    }
}

fn get() -> Message {
    request("GET / HTTP/1.1\r\n\r\n")
}

fn by(key: &str) -> Sampler {
    Sampler::new(50.0, 0, key.parse().unwrap())
}

/// Of these numbers of users, those who are in.
fn users(percent: f64, seed: u64, numbers: std::ops::Range<u32>) -> Vec<u32> {
    let sampler = Sampler::new(percent, seed, SampleKey::Header("x".into()));
    let is_in =
        |n: &u32| u128::from(sampler.hash(format!("user-{n}").as_bytes())) < sampler.threshold;
    numbers.filter(is_in).collect()
}

#[test]
fn of_a_million_keys_a_tenth_is_in_and_stays_in_when_it_grows() {
    let ten = users(10.0, 0, 0..1_000_000);
    let twenty = users(20.0, 0, 0..1_000_000);
    // Within 0.1 percentage points, and exactly those that another program counts.
    assert!(ten.len().abs_diff(100_000) < 1_000 && twenty.len().abs_diff(200_000) < 1_000);
    assert_eq!((ten.len(), twenty.len()), (99_886, 199_435));
    let mut grown = twenty.iter();
    assert!(ten.iter().all(|user| grown.any(|other| other == user)), "a superset");
    let other = users(10.0, 1, 0..1_000_000);
    assert!(other.len().abs_diff(100_000) < 1_000);
    let both = other.iter().filter(|user| ten.binary_search(user).is_ok()).count();
    assert!(both.abs_diff(10_000) < 500, "another seed is another choice: {both}");
}

#[test]
fn the_hashes_are_those_of_every_machine() {
    let hash = |seed, bytes: &[u8]| Sampler::new(1.0, seed, SampleKey::Request).hash(bytes);
    assert_eq!(hash(0, b"alice"), 0x7621_1b47_297f_a5ef);
    assert_eq!(hash(1, b"alice"), 0x6419_3cc4_9e8d_ae01);
    assert_eq!(hash(u64::MAX, b"alice"), 0x045e_14af_a922_a3ea);
    assert_eq!(users(10.0, 0, 0..60), [15, 43, 53]);
    assert_eq!(users(20.0, 0, 0..60), [0, 15, 31, 43, 46, 53, 55, 56, 57]);
    let sampler = Sampler::new(1.0, 0, SampleKey::Request);
    assert_eq!(sampler.of_request(&get()), 0x3313_f373_aac7_1e1b);
    // No port, no connection: its number, 7, counts.
    let mut lone = get();
    lone.client.port = 0;
    assert_eq!(sampler.of_request(&lone), 0x4fab_0087_6794_2d55);
    assert_eq!(by("connection").of_request(&lone), 0xdc9f_296d_d5db_97a7);
    assert_eq!(by("connection").of_request(&get()), 0x271c_2afb_d2fd_8008);
    assert_eq!(by("client").of_request(&get()), 0x22a4_d4a2_6b67_8a41);
    let mut near = get();
    near.client.ip = "2001:db8::1".parse().unwrap();
    assert_eq!(by("client").of_request(&near), 0x5403_64c9_ec7d_db4e);
    near.client.ip = "::ffff:192.0.2.1".parse().unwrap();
    assert_eq!(by("client").of_request(&near), by("client").of_request(&get()), "one client");
}

#[test]
fn a_key_is_found_where_it_stands_and_the_value_alone_counts() {
    let alice = by("client").hash(b"alice");
    for (key, head) in [
        ("header:x-user", "GET / HTTP/1.1\r\nX-User: alice\r\nX-User: bob\r\n\r\n"),
        ("cookie:u", "GET / HTTP/1.1\r\nCookie: a=b; u=alice ;u=bob\r\n\r\n"),
        ("cookie:u", "GET / HTTP/1.1\r\nCookie: U=b; xu=c\r\ncookie: u=alice\r\n\r\n"),
        ("query:u", "GET /p?a=b&u=alice&u=bob HTTP/1.1\r\n\r\n"),
        ("query:u", "GET http://u=x/p?u=alice HTTP/1.1\r\n\r\n"),
    ] {
        assert_eq!(by(key).of_request(&request(head)), alice, "{key} in {head}");
    }
    let encoded = request("GET /?u=a%20b=c HTTP/1.1\r\n\r\n");
    assert_eq!(by("query:u").of_request(&encoded), by("client").hash(b"a%20b=c"));
}

#[test]
fn without_its_key_a_request_is_chosen_for_itself() {
    let alone = Sampler::new(50.0, 0, SampleKey::Request);
    for (key, head) in [
        ("header:x-user", "GET /x-user HTTP/1.1\r\nX-Users: alice\r\nX-User: \r\n\r\n"),
        ("cookie:u", "GET / HTTP/1.1\r\nCookie: u; =u; u=\r\n\r\n"),
        ("query:u", "GET /u=alice HTTP/1.1\r\n\r\n"),
        ("query:u", "GET /?uu=alice&u&u= HTTP/1.1\r\n\r\n"),
    ] {
        let mut request = request(head);
        assert_eq!(by(key).of_request(&request), alone.of_request(&request), "{key} in {head}");
        let before = by(key).of_request(&request);
        request.first_byte = Timestamp::from_nanos(NANOS + 1);
        assert_ne!(by(key).of_request(&request), before, "its time counts");
    }
}

#[test]
fn a_connection_and_a_client_are_in_as_a_whole_and_each_request_for_itself() {
    let mut random = Random::new(3);
    let [mut alone, mut connections, mut clients] = [0, 0, 0];
    for _ in 0..1_000 {
        let mut request = get();
        request.client.ip = std::net::Ipv4Addr::from(random.u32()).into();
        let first = ["connection", "client"].map(|key| by(key).takes(&request));
        let [connection, client] = first;
        connections += u32::from(connection);
        clients += u32::from(client);
        for n in 0..10 {
            request.first_byte = Timestamp::from_nanos(NANOS + n);
            request.index = n as u32;
            assert_eq!(["connection", "client"].map(|key| by(key).takes(&request)), first);
            alone += u32::from(Sampler::new(50.0, 0, SampleKey::Request).takes(&request));
            // The number of the connection is another in each capture, that of the request too.
            let mut elsewhere = request.clone();
            (elsewhere.conn, elsewhere.index) = (random.u64(), random.u32());
            let one = Sampler::new(50.0, 0, SampleKey::Request);
            assert_eq!(one.takes(&elsewhere), one.takes(&request));
        }
    }
    assert!(connections.abs_diff(500) < 80 && clients.abs_diff(500) < 80);
    assert!(alone.abs_diff(5_000) < 250, "{alone}");
}

/// As in HAR documents of browsers, .gor files and access logs: endpoints and times tell nothing.
#[test]
fn requests_without_a_connection_are_told_apart_by_their_number() {
    for key in ["connection", "header:x"] {
        let taken = |conn: &u64| {
            let mut request = get();
            (request.client, request.conn) = (Endpoint::new([0, 0, 0, 0].into(), 0), *conn);
            by(key).takes(&request)
        };
        let in_all = (0..1_000).filter(taken).count();
        assert!(in_all.abs_diff(500) < 80, "{key}: {in_all}");
    }
}

#[test]
fn nothing_and_everything_are_that() {
    let mut random = Random::new(5);
    for _ in 0..10_000 {
        let mut request = get();
        request.first_byte = Timestamp::from_nanos(random.u64());
        assert!(Sampler::new(100.0, 0, SampleKey::Request).takes(&request));
        assert!(!Sampler::new(0.0, 0, SampleKey::Request).takes(&request));
    }
    let threshold = |percent| Sampler::new(percent, 0, SampleKey::Request).threshold;
    assert_eq!((threshold(100.0), threshold(0.0)), (1 << 64, 0));
    assert_eq!(threshold(10.0), 1_844_674_407_370_955_264);
    assert_eq!((threshold(f64::NAN), threshold(-5.0), threshold(1e300)), (0, 0, 1 << 64));
}

#[test]
fn keys_are_read_and_shown_and_nonsense_is_answered_with_what_would_do() {
    for key in ["header:X-User-Id", "cookie:session", "query:id", "client", "connection"] {
        assert_eq!(key.parse::<SampleKey>().unwrap().to_string(), key);
    }
    assert_eq!("header: x ".parse(), Ok(SampleKey::Header("x".into())));
    for bad in ["", "header", "header:", "header:a b", "cookie:a=b", "query:a&b", "Client", "ip:x"]
    {
        let wrong = bad.parse::<SampleKey>().unwrap_err().to_string();
        assert!(
            wrong.contains(&format!("`{bad}`")) && wrong.contains("header:X-User-Id"),
            "{wrong}"
        );
    }
    let shown = Sampler::new(0.5, 3, "cookie:s".parse().unwrap()).to_string();
    assert_eq!(shown, "0.5% by cookie:s (seed 3)");
}
