//! Logs of each kind, and any bytes at all.

use super::*;
use crate::model::testing::{Random, seeds};

fn read(log: &[u8], options: &LogOptions) -> (Vec<Item>, LogCounts) {
    let conns = Arc::new(AtomicU64::new(5));
    let mut reader = LogReader::new(io::Cursor::new(log.to_vec()), options, conns).expect("memory");
    let mut items = Vec::new();
    while let Some(item) = reader.read_item().expect("memory does not fail") {
        items.push(item);
    }
    (items, reader.counts())
}

fn shown(items: &[Item]) -> Vec<String> {
    let show = |item: &Item| match item {
        Item::Message(m) => {
            let raw = String::from_utf8_lossy(&m.raw);
            format!("{} {:?} {} {raw}", m.conn, m.first_byte, m.client)
        }
        Item::Damage(damage) => damage.to_string(),
    };
    items.iter().map(show).collect()
}

#[test]
fn requests_without_body_come_with_their_times_and_fields() {
    let log = b"10.0.0.9 - - [10/Oct/2000:13:55:36 -0700] \"GET /a?b HTTP/1.0\" 200 5 \"http://r/\" \"M (x)\"\r\n\
        10.0.0.9 - - [10/Oct/2000:13:55:37 -0700] \"POST /p HTTP/1.1\" 200 5 \"-\" \"-\"\n\
        \n10.0.0.9 - - [10/Oct/2000:13:55:37 -0700] \"\\x16\\x03\\x01\" 400 0 \"-\" \"-\"\n\
        what is this\n\
        ::1 - u [01/Jan/1970:01:00:01 +0100] \"DELETE /d HTTP/2.0\" 204 0";
    let (items, counts) = read(log, &LogOptions::default());
    let want = [
        "5 971211336.000000000 10.0.0.9:0 GET /a?b HTTP/1.0\r\nHost: localhost\r\n\
         Referer: http://r/\r\nUser-Agent: M (x)\r\n\r\n",
        "at byte 236: a line that is not of the log's format (see --log-format), 13 bytes skipped",
        "6 1.000000000 [::1]:0 DELETE /d HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    assert_eq!(shown(&items), want);
    assert_eq!(counts, LogCounts { with_body: 1, no_request: 1 });
}

#[test]
fn a_format_of_ones_own_gives_host_fields_and_finer_times() {
    let format = "$msec $request_time $host $request_method $uri $args \"$http_x_forwarded_for\" $content_length";
    let options = LogOptions {
        format: Some(LogFormat::parse(format).expect("a format")),
        host: Some("unused".into()),
    };
    let log = b"1700000000.250 0.125 a.b GET /x c=d \"1.2.3.4\\x0d\\x0aEvil: 1\" -\n\
        1700000000.250 0.125 a.b GET /x - \"-\" 17\n\
        1700000000.250 0.125 - GET /x - \"-\" 0\n";
    let (items, counts) = read(log, &options);
    let want = [
        "5 1700000000.125000000 0.0.0.0:0 GET /x?c=d HTTP/1.1\r\nHost: a.b\r\n\
         X-Forwarded-For: 1.2.3.4  Evil: 1\r\n\r\n",
        "6 1700000000.125000000 0.0.0.0:0 GET /x HTTP/1.1\r\nHost: unused\r\n\r\n",
    ];
    assert_eq!(shown(&items), want);
    assert_eq!(counts, LogCounts { with_body: 1, no_request: 0 });
}

#[test]
fn a_line_over_the_limit_is_one_damage() {
    let good = "10.0.0.9 - - [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let log = format!("{good}{}\n{good}", "x".repeat(1 << 20));
    let (items, _) = read(log.as_bytes(), &LogOptions::default());
    let shown = shown(&items);
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[1].contains("larger than the limit, 1048577 bytes skipped"), "{}", shown[1]);
}

#[test]
fn any_bytes_are_read_to_their_end_and_each_byte_once() {
    let parts: [&[u8]; 8] = [
        b"10.0.0.9 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 200 5 \"-\" \"x\"\n",
        b"\"",
        b"\\",
        b"[10/Oct/2000:13:55:36 -0700] ",
        b"\\x0a",
        b"\n",
        b" - - ",
        b"\xff\x00",
    ];
    for seed in seeds(300) {
        let mut random = Random::new(seed);
        let mut log = Vec::new();
        for _ in 0..random.below(40) {
            match random.below(4) {
                0 => log.push(random.below(256) as u8),
                _ => log.extend_from_slice(parts[random.below(8)]),
            }
        }
        let (items, counts) = read(&log, &LogOptions::default());
        let lines = log.split(|&b| b == b'\n').count() as u64;
        assert!(items.len() as u64 + counts.with_body + counts.no_request <= lines, "seed {seed}");
        for item in &items {
            if let Item::Message(message) = item {
                assert!(message.raw.ends_with(b"\r\n\r\n"), "seed {seed}");
            }
        }
    }
}
