//! Tests of the room as a whole: what is written is read back, and damage is survived.

use bytes::Bytes;

use super::encode::Encoder;
use super::*;
use crate::model::message::{Field, Span};
use crate::model::{
    Anomalies, Anomaly, Cause, Completion, Endpoint, Message, Start, Timestamp, Version,
};

/// A recording's description.
pub fn info() -> WarcInfo {
    WarcInfo { run: "test".into(), source: "lo".into(), ..WarcInfo::default() }
}

/// A request from its bytes, number 3 of connection 7.
pub fn request(raw: &[u8]) -> Message {
    let line = raw.split(|&b| b == b'\r').next().expect("line");
    let method = line.iter().position(|&b| b == b' ').expect("method");
    let target_end = line.iter().rposition(|&b| b == b' ').expect("version");
    message(raw, Start::Request { method: span(0, method), target: span(method + 1, target_end) })
}

/// A response from its bytes, to the request of this index.
pub fn response(raw: &[u8], request: Option<u32>) -> Message {
    let status = std::str::from_utf8(&raw[9..12]).expect("ascii").parse().expect("status");
    message(raw, Start::Response { status, reason: span(13, 13), request })
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

fn message(raw: &[u8], start: Start) -> Message {
    let head_len = raw.windows(4).position(|w| w == b"\r\n\r\n").expect("head") + 4;
    let mut fields = Vec::new();
    let mut at = raw.iter().position(|&b| b == b'\n').expect("line") + 1;
    while at + 2 < head_len {
        let end = at + raw[at..].iter().position(|&b| b == b'\r').expect("line end");
        let colon = at + raw[at..end].iter().position(|&b| b == b':').expect("colon");
        let blank = raw[colon + 1..end].iter().take_while(|&&b| b == b' ').count();
        fields.push(Field { name: span(at, colon), value: span(colon + 1 + blank, end) });
        at = end + 2;
    }
    Message {
        conn: 7,
        index: 3,
        client: "10.0.0.1:40000".parse::<std::net::SocketAddr>().expect("address").into(),
        server: "10.0.0.2:8080".parse::<std::net::SocketAddr>().expect("address").into(),
        first_byte: Timestamp::from_nanos(1_700_000_000_000_000_001),
        last_byte: Timestamp::from_nanos(1_700_000_000_000_000_009),
        start,
        version: Version::HTTP_11,
        fields,
        raw: Bytes::copy_from_slice(raw),
        head_len,
        body: Bytes::copy_from_slice(&raw[head_len..]),
        body_len: (raw.len() - head_len) as u64,
        body_sha256: None,
        chunked: false,
        completion: Completion::Complete,
        anomalies: Anomalies::default(),
        redacted: 0,
    }
}

/// Everything that a recording yields.
pub fn read_all(bytes: &[u8]) -> (Vec<RecordedMessage>, Vec<Damage>) {
    read_limited(bytes, Limits::default())
}

fn read_limited(bytes: &[u8], limits: Limits) -> (Vec<RecordedMessage>, Vec<Damage>) {
    let mut reader = Reader::with_limits(bytes, limits).expect("memory does not fail");
    let (mut messages, mut damages) = (Vec::new(), Vec::new());
    while let Some(item) = reader.read_item().expect("memory does not fail") {
        match item {
            Item::Message(message) => messages.push(message),
            Item::Damage(damage) => damages.push(damage),
        }
    }
    let counts = reader.counts();
    assert_eq!(counts.requests + counts.responses, messages.len() as u64);
    assert_eq!(counts.damages, damages.len() as u64);
    (messages, damages)
}

/// What a recording must give back for a message.
fn as_recorded(message: &Message, offset: u64) -> RecordedMessage {
    RecordedMessage {
        kind: encode::kind_of(message),
        raw: message.raw.clone(),
        conn: message.conn,
        index: message.index,
        client: message.client,
        server: message.server,
        first_byte: message.first_byte,
        last_byte: message.last_byte,
        request: match message.start {
            Start::Request { .. } => None,
            Start::Response { request, .. } => request,
        },
        anomalies: message.anomalies,
        redacted: message.redacted,
        truncated: false,
        offset,
    }
}

/// A recording of these messages, and where each record begins and ends.
fn recording(messages: &[Message]) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let mut encoder = Encoder::new("test");
    let mut file = Vec::new();
    encoder.info(&mut file, &info(), "t.warc", 0);
    let mut places = Vec::new();
    for message in messages {
        let start = file.len();
        encoder.message(&mut file, message, &message.raw);
        places.push(start..file.len());
    }
    (file, places)
}

/// xorshift64*: enough for tests, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn bytes(&mut self, max: u64) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn endpoint(&mut self) -> Endpoint {
        let ip = match self.below(3) {
            0 => std::net::IpAddr::from((self.next() as u32).to_be_bytes()),
            1 => std::net::IpAddr::from((u128::from(self.next()) << 64).to_be_bytes()),
            _ => std::net::Ipv4Addr::from(self.next() as u32).to_ipv6_mapped().into(),
        };
        Endpoint::new(ip, self.next() as u16)
    }

    /// A target of any bytes that do not end the line.
    fn target(&mut self) -> Vec<u8> {
        let mut target = self.bytes(40);
        target.retain(|b| !b"\r\n".contains(b));
        [b"/".to_vec(), target].concat()
    }

    fn message(&mut self) -> Message {
        // Bodies that look like records are bodies all the same.
        let body = match self.below(4) {
            0 => Vec::new(),
            1 => b"\r\n\r\nWARC/1.1\r\nWARC-Type: request\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
                .to_vec(),
            2 => self.bytes(20),
            _ => self.bytes(3000),
        };
        let mut message = if self.below(2) == 0 {
            let line =
                [b"POST ", &self.target()[..], b" HTTP/1.1\r\nHost: x\r\n\r\n", &body].concat();
            request(&line)
        } else {
            let number = (self.below(2) == 0).then(|| self.next() as u32);
            response(&[b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", &body[..]].concat(), number)
        };
        message.conn = self.next() >> 20;
        message.index = self.next() as u32;
        message.client = self.endpoint();
        message.server = self.endpoint();
        message.first_byte = Timestamp::from_nanos(self.next());
        message.last_byte = Timestamp::from_nanos(self.next());
        message.redacted = self.below(3) as u32;
        let odd = self.next();
        message.anomalies =
            Anomaly::ALL.iter().copied().filter(|a| odd & (1 << (2 * a.index())) == 0).collect();
        message
    }
}

#[test]
fn random_messages_come_back_as_they_were_written() {
    for seed in 1..=30 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let count = random.below(60);
        let messages: Vec<Message> = (0..count).map(|_| random.message()).collect();
        let (file, places) = recording(&messages);
        let expected: Vec<RecordedMessage> = messages
            .iter()
            .zip(&places)
            .map(|(message, place)| as_recorded(message, place.start as u64))
            .collect();
        assert_eq!(read_all(&file), (expected.clone(), Vec::new()), "seed {seed}");

        // The same, each record a gzip member of its own.
        let cuts: Vec<usize> = places.iter().map(|place| place.start).chain([file.len()]).collect();
        let mut zipped = Vec::new();
        let mut from = 0;
        for cut in cuts {
            let mut member =
                flate2::write::GzEncoder::new(&mut zipped, flate2::Compression::fast());
            std::io::Write::write_all(&mut member, &file[from..cut]).expect("memory");
            member.finish().expect("memory");
            from = cut;
        }
        assert!(is_warc(&file) && is_warc(&zipped));
        assert_eq!(read_all(&zipped), (expected, Vec::new()), "seed {seed}");
    }
}

/// Four small messages, one of them with a body that looks like records.
fn small() -> Vec<Message> {
    let nested = b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n\r\n\r\nWARC/1.1\r\nWARC-Type: request\r\n\
        Content-Type: application/http\r\nContent-Length: 1\r\n\r\nX\r\n\r\n";
    let mut messages = vec![
        request(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"),
        response(b"HTTP/1.1 200 OK\r\n\r\nbody", Some(3)),
        request(nested),
        response(b"HTTP/1.1 204 No Content\r\n\r\n", None),
    ];
    for (place, message) in messages.iter_mut().enumerate() {
        message.conn = place as u64;
    }
    messages
}

#[test]
fn a_recording_cut_at_any_byte_yields_all_that_is_whole_and_nothing_else() {
    let messages = small();
    let (file, places) = recording(&messages);
    for cut in 0..=file.len() {
        // The two line ends behind the block belong to the record, but nothing is lost with them.
        let whole = places.iter().filter(|place| place.end - 4 <= cut).count();
        let (found, damages) = read_all(&file[..cut]);
        let expected: Vec<RecordedMessage> = messages
            .iter()
            .zip(&places)
            .take(whole)
            .map(|(message, place)| as_recorded(message, place.start as u64))
            .collect();
        assert_eq!(found, expected, "cut at {cut}");
        let begun = places.iter().rfind(|place| place.start < cut && cut < place.end - 4);
        if let Some(place) = begun {
            let offset = place.start as u64;
            let len = cut as u64 - offset;
            assert_eq!(damages, [Damage { kind: DamageKind::Cut, offset, len }], "cut at {cut}");
        } else if places.iter().any(|place| place.start <= cut) {
            assert_eq!(damages, [], "cut at {cut}");
        }
    }
}

#[test]
fn one_changed_byte_anywhere_never_invents_and_costs_at_most_its_neighbour() {
    let messages = small();
    let (file, places) = recording(&messages);
    let (expected, _) = read_all(&file);
    for at in 0..file.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= change;
            let (found, damages) = read_all(&damaged);
            for message in &found {
                // A field of the head may have changed: no digest covers it. The block never does.
                assert!(expected.iter().any(|other| other.raw == message.raw), "at {at}");
            }
            let hit = places.iter().position(|place| place.contains(&at));
            let lost = expected.len() - found.len().min(expected.len());
            assert!(lost <= 1, "at {at} change {change}: lost {lost} {damages:?}");
            if hit.is_none() {
                assert_eq!(lost, 0, "at {at} change {change}: hit no message {damages:?}");
            }
        }
    }
}

#[test]
fn a_wrong_length_costs_one_record_only() {
    let messages = small();
    let (file, places) = recording(&messages);
    let text = b"Content-Length: 28";
    let at = file.windows(text.len()).position(|w| w == text).expect("the first request's");
    for wrong in [b"00", b"27", b"29", b"99"] {
        let mut damaged = file.clone();
        damaged[at + 16..at + 18].copy_from_slice(wrong);
        let (found, damages) = read_all(&damaged);
        let offset = places[0].start as u64;
        let len = places[0].len() as u64;
        assert_eq!(damages, [Damage { kind: DamageKind::Length, offset, len }]);
        assert_eq!(found.len(), 3);
    }
}

#[test]
fn bytes_between_records_are_skipped_and_reported_with_their_place() {
    let (file, places) = recording(&small());
    let garbage = vec![b'g'; 700_000];
    let middle = places[1].start;
    let damaged = [&file[..middle], &garbage, b"\r\nWARC/1.\r\n", &file[middle..]].concat();
    let (found, damages) = read_all(&damaged);
    let (offset, len) = (middle as u64, garbage.len() as u64 + 11);
    assert_eq!(damages, [Damage { kind: DamageKind::NotARecord, offset, len }]);
    assert_eq!(found.len(), 4);
    assert_eq!(damages[0].to_string(), format!("at byte {offset}: no record, {len} bytes skipped"));
}

#[test]
fn a_changed_body_is_dropped_by_its_digest() {
    let (mut file, places) = recording(&small());
    let end = places[1].end;
    file[end - 5] = b'Y'; // "body" -> "bodY"
    let (found, damages) = read_all(&file);
    let (offset, len) = (places[1].start as u64, places[1].len() as u64);
    assert_eq!(damages, [Damage { kind: DamageKind::Digest, offset, len }]);
    assert_eq!(found.iter().map(|message| message.conn).collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn a_block_at_the_limit_is_read_and_one_over_it_is_skipped() {
    let messages = small();
    let (file, places) = recording(&messages);
    let largest = messages[2].raw.len() as u64;
    let (found, damages) = read_limited(&file, Limits { max_block_bytes: largest });
    assert_eq!((found.len(), damages.len()), (4, 0));
    let (found, damages) = read_limited(&file, Limits { max_block_bytes: largest - 1 });
    let (offset, len) = (places[2].start as u64, places[2].len() as u64);
    assert_eq!(damages, [Damage { kind: DamageKind::TooLarge, offset, len }]);
    assert_eq!(found.iter().map(|message| message.conn).collect::<Vec<_>>(), [0, 1, 3]);
}

#[test]
fn an_endless_head_is_given_up() {
    let mut file = b"WARC/1.1\r\n".to_vec();
    file.extend(std::iter::repeat_n(b'x', 3 << 20));
    let len = file.len() as u64;
    let damage = Damage { kind: DamageKind::NotARecord, offset: 0, len };
    assert_eq!(read_all(&file), (Vec::new(), vec![damage]));
}

#[test]
fn a_broken_gzip_stream_yields_what_comes_before_and_says_so() {
    let (file, places) = recording(&small());
    let mut zipped = Vec::new();
    for part in [&file[..places[1].end], &file[places[1].end..]] {
        let mut member = flate2::write::GzEncoder::new(&mut zipped, flate2::Compression::fast());
        std::io::Write::write_all(&mut member, part).expect("memory");
        member.finish().expect("memory");
    }
    let (found, damages) = read_all(&zipped[..zipped.len() - 20]);
    assert!(found.len() >= 2, "{found:?}");
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].kind, DamageKind::Compression);
    let with_garbage = [&zipped[..], b"garbage"].concat();
    let (found, damages) = read_all(&with_garbage);
    assert_eq!((found.len(), damages.len(), damages[0].kind), (4, 1, DamageKind::Compression));
}

#[test]
fn files_of_other_tools_get_sensible_values() {
    let record = |kind: &str, id: &str, to: &str, more: &str, block: &str| {
        let to =
            if to.is_empty() { String::new() } else { format!("WARC-Concurrent-To: {to}\r\n") };
        format!(
            "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: {id}\r\n{to}{more}\
             WARC-Date: 2020-01-01T00:00:00Z\r\nWARC-Target-URI: <http://h:81/x>\r\n\
             Content-Type: application/http;msgtype={kind}\r\n\
             Content-Length: {}\r\n\r\n{block}\r\n\r\n",
            block.len()
        )
    };
    let file = [
        // wget: the response names the request before it.
        record("request", "<1>", "", "WARC-IP-Address: 10.0.0.9\r\n", "GET / HTTP/1.1\r\n\r\n"),
        record("response", "<2>", "<1>", "", "HTTP/1.1 200 OK\r\n\r\n"),
        // warcio: the request names the response before it.
        record("response", "<3>", "", "", "HTTP/1.1 200 OK\r\n\r\n"),
        record("request", "<4>", "<3>", "", "GET / HTTP/1.1\r\n\r\n"),
        // Alone, and cut by its writer.
        record("response", "<5>", "", "WARC-Truncated: length\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        record("metadata", "<6>", "<5>", "", "x: y"),
    ]
    .concat();
    let (found, damages) = read_all(file.as_bytes());
    assert_eq!(damages, []);
    let seen: Vec<_> =
        found.iter().map(|m| (m.kind, m.conn, m.index, m.request, m.truncated)).collect();
    let expected = [
        (Kind::Request, 0, 0, None, false),
        (Kind::Response, 0, 0, Some(0), false),
        (Kind::Response, 1, 0, None, false),
        (Kind::Request, 1, 0, None, false),
        (Kind::Response, 2, 0, None, true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(found[0].server.to_string(), "10.0.0.9:81");
    assert_eq!(found[0].client.to_string(), "0.0.0.0:0");
    assert_eq!(found[0].first_byte, Timestamp::from_parts(1_577_836_800, 0));
}

#[test]
fn connections_of_several_runs_in_one_file_stay_apart() {
    let mut file = Vec::new();
    for run in ["a", "b", "a"] {
        let mut encoder = Encoder::new(run);
        encoder.info(&mut file, &WarcInfo { run: run.into(), ..info() }, "t.warc", 0);
        let message = request(b"GET / HTTP/1.1\r\n\r\n");
        encoder.message(&mut file, &message, &message.raw);
    }
    let (found, _) = read_all(&file);
    let conns: Vec<u64> = found.iter().map(|message| message.conn).collect();
    assert_eq!(conns, [7, (1 << 40) + 7, 7]);
}

#[test]
fn a_recorder_of_many_messages_writes_what_is_read_back() {
    let dir = tempfile::tempdir().expect("tempdir");
    for name in ["many.warc", "many.warc.gz", "many.warc.zst"] {
        let path = dir.path().join(name);
        let mut recorder = Recorder::create(&Plan::one(&path), &info()).expect("create");
        let mut random = Random(77);
        let messages: Vec<Message> = (0..3000).map(|_| random.message()).collect();
        for message in &messages {
            recorder.record(message);
        }
        let (counts, result) = recorder.finish();
        result.expect("finish");
        let file = std::fs::read(&path).expect("read");
        assert_eq!((counts.requests + counts.responses, counts.failed), (3000, 0));
        assert_eq!(counts.bytes, file.len() as u64);
        let (found, damages) = read_all(&file);
        assert_eq!(damages, []);
        assert!(found.iter().map(|m| &m.raw).eq(messages.iter().map(|m| &m.raw)));
    }
}

#[test]
fn a_compressed_recording_cut_anywhere_gives_every_record_that_is_whole() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (mut encoder, mut packer) =
            (Encoder::new("test"), pack::Packer::new(compression).expect("one"));
        let (mut file, mut record) = (Vec::new(), Vec::new());
        encoder.info(&mut record, &info(), "t.warc", 0);
        packer.pack(&record, &mut file).expect("packed");
        let mut ends = Vec::new();
        for message in small() {
            record.clear();
            encoder.message(&mut record, &message, &message.raw);
            packer.pack(&record, &mut file).expect("packed");
            ends.push(file.len());
        }
        for cut in 4..=file.len() {
            let (found, damages) = read_all(&file[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert!(
                found.len() >= whole,
                "{compression:?} cut at {cut}: {} of {whole}",
                found.len()
            );
            let at_end = ends.contains(&cut) || ends[0] > cut;
            assert!(at_end || damages.len() == 1, "{compression:?} cut at {cut}: {damages:?}");
            assert!(cut < file.len() || damages.is_empty(), "{damages:?}");
        }
    }
}

#[test]
fn a_cut_recording_with_another_appended_loses_the_cut_record_only() {
    let (first, places) = recording(&small());
    let mut second = Vec::new();
    let mut encoder = Encoder::new("other");
    encoder.info(&mut second, &WarcInfo { run: "other".into(), ..info() }, "u.warc", 0);
    for message in small() {
        encoder.message(&mut second, &message, &message.raw);
    }
    let cut = places[2].end - 30;
    let (found, damages) = read_all(&[&first[..cut], &second[..]].concat());
    let (offset, len) = (places[2].start as u64, (cut - places[2].start) as u64);
    assert_eq!(damages, [Damage { kind: DamageKind::Length, offset, len }]);
    let conns: Vec<u64> = found.iter().map(|message| message.conn).collect();
    let other = 1 << 40;
    assert_eq!(conns, [0, 1, other, other + 1, other + 2, other + 3]);
}

#[test]
fn a_file_made_of_beginnings_is_read_in_one_pass() {
    let line = b"WARC/1.1\r\nWARC-Type: request\r\nContent-Length: 1000000\r\n\
        WARC-Block-Digest: sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\n";
    let file = [&line.repeat(20_000)[..], &b"WARC/1.1\n".repeat(100_000)].concat();
    let started = std::time::Instant::now();
    let (found, damages) = read_all(&file);
    assert_eq!((found.len(), damages.len()), (0, 1));
    assert_eq!(damages[0].len, file.len() as u64);
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}
