//! What is written is read back, what browsers write is read as HTTP/1.1, and any bytes end.

use serde_json::{Value, json};

use super::*;
use crate::model::ledger::Changed;
use crate::model::testing::{Random, seeds};
use crate::model::{Anomaly, Endpoint};
use crate::record::export::{Exporter, Format};
use crate::record::tests::{info, request, response};
use crate::record::{Item, Limits, RecordedMessage};

fn document(messages: &[Message]) -> (Vec<u8>, Exported) {
    let mut out = Vec::new();
    let mut exporter = Exporter::new(Format::Har, info());
    exporter.begin(&mut out, "a.har");
    for message in messages {
        exporter.message(&mut out, message);
        assert!(exporter.counts().is_balanced());
    }
    exporter.finish(&mut out);
    assert!(exporter.counts().is_balanced() && exporter.counts().waiting == 0);
    (out, *exporter.counts())
}

fn read(text: &[u8]) -> (Vec<Item>, HarReader<&[u8]>) {
    let limits = Limits { max_block_bytes: 1 << 20 };
    let mut reader = HarReader::new(text, limits, 0).expect("memory");
    let mut items = Vec::new();
    while let Some(item) = reader.read_item().expect("a document") {
        items.push(item);
    }
    (items, reader)
}

fn messages(text: &[u8]) -> Vec<RecordedMessage> {
    let message = |item| match item {
        Item::Message(message) => message,
        Item::Damage(damage) => panic!("{damage}"),
    };
    read(text).0.into_iter().map(message).collect()
}

#[track_caller]
fn assert_same(got: &RecordedMessage, want: &Message) {
    assert_eq!(got.raw.escape_ascii().to_string(), want.raw.escape_ascii().to_string());
    assert_eq!((got.conn, got.index), (want.conn, want.index));
    assert_eq!((got.client, got.server), (want.client, want.server));
    assert_eq!((got.first_byte, got.last_byte), (want.first_byte, want.last_byte));
    assert_eq!((got.anomalies, got.truncated), (want.anomalies, false));
}

#[test]
fn any_message_comes_back_byte_for_byte() {
    let all: Vec<u8> = (0..=255).collect();
    let mut chunked = request(
        b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n",
    );
    chunked.chunked = true;
    chunked.body = bytes::Bytes::from_static(b"abc");
    chunked.anomalies.insert(Anomaly::UrgentData);
    let requests = [
        request(
            b"GET /a?b=c&d HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2\r\nX: \r\nCookie: a=b; c\r\n\r\n",
        ),
        request(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
        request(b"GET http://p/x#y HTTP/1.0\r\nHost:h\r\nA:   b \r\n\r\n"),
        request(b"GET /\xff\xc3\xa9\x01\" HTTP/1.1\r\nHost: h\xe9\r\n\r\n"),
        request(b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\na\"\\\n\xc3\xa9x"),
        request(&[b"POST / HTTP/1.1\r\nContent-Type: x/y\r\n\r\n", &all[..]].concat()),
        chunked,
    ];
    let answers = [
        response(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b; Path=/\r\n\r\nhello",
            None,
        ),
        response(b"HTTP/1.1 404 \r\nLocation: /z\r\n\r\n", None),
        response(b"HTTP/1.0 200  two  spaces\r\n\r\nuntil the close \xff", None),
    ];
    let mut sent = Vec::new();
    for (index, mut message) in (0..).zip(requests) {
        message.index = index;
        message.last_byte = Timestamp::from_nanos(message.first_byte.as_nanos() + 1_500_000);
        sent.push(message);
        if let Some(answer) = answers.get(index as usize) {
            let start = match answer.start {
                Start::Response { status, reason, .. } => {
                    Start::Response { status, reason, request: Some(index) }
                }
                start => start,
            };
            sent.push(Message { start, index, ..answer.clone() });
        }
    }
    let (text, counts) = document(&sent);
    assert_eq!((counts.requests, counts.responses, counts.left_out.total()), (7, 3, 0));
    let json: Value = serde_json::from_slice(&text).expect("one JSON document");
    assert_eq!(json["log"]["entries"].as_array().map(Vec::len), Some(7));
    let first = &json["log"]["entries"][0];
    assert_eq!(first["request"]["url"], "http://h/a?b=c&d");
    assert_eq!(first["request"]["queryString"][1], json!({"name": "d", "value": ""}));
    assert_eq!(first["response"]["content"]["text"], "hello");
    assert!(first["request"]["_shadowtap"]["head"].is_null(), "{first:#}");
    assert_eq!(json["log"]["entries"][1]["request"]["_shadowtap"]["target"], "*");
    assert_eq!(json["log"]["entries"][2]["response"]["content"]["encoding"], "base64");
    // Compressed too, as everything that is read.
    let got = messages(&text);
    assert_eq!(got.len(), sent.len());
    for (got, want) in got.iter().zip(&sent) {
        assert_same(got, want);
    }
}

#[test]
fn what_an_entry_cannot_hold_is_counted() {
    let asked = request(b"GET / HTTP/1.1\r\n\r\n");
    let (text, counts) = document(&[
        asked.clone(),
        response(b"HTTP/1.1 100 Continue\r\n\r\n", Some(3)),
        response(b"HTTP/1.1 200 OK\r\n\r\n", Some(3)),
        response(b"HTTP/1.1 200 OK\r\n\r\n", Some(4)),
        response(b"HTTP/1.1 200 OK\r\n\r\n", None),
    ]);
    assert_eq!((counts.read, counts.written()), (5, 2));
    assert_eq!(counts.left_out.get(LeftOut::Interim), 1);
    assert_eq!(counts.left_out.get(LeftOut::NoRequest), 2);
    assert_eq!(messages(&text).len(), 2);
    let (empty, _) = document(&[]);
    assert!(messages(&empty).is_empty());
}

/// As Chromium's developer tools export it, cut to what matters.
fn chromium() -> Value {
    let header = |name: &str, value: &str| json!({"name": name, "value": value});
    json!({"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "pages": [],
    "entries": [{
        "_connectionId": "1512", "_initiator": {"type": "script"}, "_priority": "High", "cache": {},
        "connection": "443", "serverIPAddress": "[2001:db8::1]",
        "startedDateTime": "2026-03-01T10:20:30.123Z", "time": 100.5,
        "timings": {"blocked": 2.0, "dns": -1, "ssl": -1, "connect": -1, "send": 0.5, "wait": 80.0, "receive": 18.0, "_queued": 1.0},
        "request": {"method": "POST", "url": "https://shop.example/api?x=1#top", "httpVersion": "http/2.0",
            "headers": [header(":authority", "shop.example"), header(":method", "POST"), header(":path", "/api?x=1"),
                header(":scheme", "https"), header("content-length", "99"), header("cookie", "a=b; c=d"),
                header("accept", "*/*")],
            "queryString": [header("x", "1")], "cookies": [{"name": "a", "value": "b", "expires": "1969"}],
            "headersSize": -1, "bodySize": 9, "postData": {"mimeType": "application/json", "text": "{\"é\": 1}"}},
        "response": {"status": 200, "statusText": "", "httpVersion": "http/2.0", "cookies": [],
            "headers": [header("content-encoding", "br"), header("content-type", "text/plain"), header("set-cookie", "a=1\nb=2")],
            "content": {"size": 5, "mimeType": "text/plain", "text": "aGVsbG8=", "encoding": "base64"},
            "redirectURL": "", "headersSize": -1, "bodySize": -1, "_transferSize": 300, "_error": null}
    }, {
        "startedDateTime": "2026-03-01T10:20:31.000Z", "time": 0, "timings": {"send": 0, "wait": 0, "receive": 0},
        "request": {"method": "GET", "url": "data:image/png;base64,AAAA", "httpVersion": "", "headers": [],
            "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0},
        "response": {"status": 200, "statusText": "OK", "httpVersion": "", "headers": [], "cookies": [],
            "content": {"size": 3, "mimeType": "image/png"}, "redirectURL": "", "headersSize": -1, "bodySize": 0}
    }, {
        "startedDateTime": "2026-03-01T10:20:32.000+01:00", "time": -1, "timings": {"send": 0, "wait": 0, "receive": 0},
        "request": {"method": "GET", "url": "http://h:81", "httpVersion": "HTTP/1.1", "headers": [header("Host", "h:81")],
            "queryString": [], "cookies": [], "headersSize": 20, "bodySize": 0},
        "response": {"status": 0, "statusText": "", "httpVersion": "", "headers": [], "cookies": [],
            "content": {"size": 0, "mimeType": "x-unknown"}, "redirectURL": "", "headersSize": -1, "bodySize": -1,
            "_error": "net::ERR_ABORTED"}
    }, {
        "startedDateTime": "2026-03-01T10:20:33.000Z", "time": 1, "timings": {"send": 0, "wait": 0, "receive": 1},
        "request": {"method": "PUT", "url": "http://h/up load", "httpVersion": "HTTP/1.1",
            "headers": [header("Host", "h"), header("Content-Length", "70000")], "bodySize": 70000},
        "response": {"status": 204, "statusText": "No Content", "httpVersion": "HTTP/1.1",
            "headers": [], "content": {"size": 0, "mimeType": ""}}
    }]}})
}

#[test]
fn what_chromium_exports_is_read_as_the_http_1_1_it_stands_for() {
    let text = serde_json::to_vec_pretty(&chromium()).expect("JSON");
    let (items, reader) = read(&text);
    let got: Vec<_> = items
        .into_iter()
        .map(|item| match item {
            Item::Message(message) => message,
            Item::Damage(damage) => panic!("{damage}"),
        })
        .collect();
    let texts: Vec<_> = got.iter().map(|m| String::from_utf8_lossy(&m.raw).into_owned()).collect();
    assert_eq!(
        texts,
        [
            "POST /api?x=1 HTTP/1.1\r\nHost: shop.example\r\ncontent-length: 9\r\ncookie: a=b; c=d\r\n\
             accept: */*\r\n\r\n{\"é\": 1}",
            "HTTP/1.1 200 \r\ncontent-type: text/plain\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
             Content-Length: 5\r\n\r\nhello",
            "GET / HTTP/1.1\r\nHost: h:81\r\n\r\n",
            "PUT /up%20load HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ]
    );
    let truncated: Vec<_> = got.iter().map(|m| m.truncated).collect();
    assert_eq!(truncated, [false, false, false, true, false], "an upload is not stored");
    assert_eq!(got[0].server, Endpoint::new("2001:db8::1".parse().expect("an address"), 443));
    let began = 1_772_360_430_123_000_000;
    let times: Vec<_> = [&got[0], &got[1]]
        .iter()
        .flat_map(|m| [m.first_byte.as_nanos() - began, m.last_byte.as_nanos() - began])
        .collect();
    assert_eq!(times, [0, 2_500_000, 82_500_000, 100_500_000]);
    assert_eq!((got[0].conn, got[1].conn, got[1].request), (got[0].conn, got[0].conn, Some(0)));
    assert_ne!(got[0].conn, got[2].conn);
    assert_eq!(reader.no_message(), 1);
    let changed = reader.changed();
    for (what, count) in [
        (Changed::PseudoHeaders, 1),
        (Changed::HostMade, 1),
        (Changed::HttpVersion, 2),
        (Changed::Framing, 2),
        (Changed::ContentEncoding, 1),
        (Changed::InvalidHeader, 0),
    ] {
        assert_eq!(changed.get(what), count, "{what:?}");
    }
}

#[test]
fn an_entry_that_is_none_is_said_with_its_place_and_the_others_are_read() {
    let good = r#"{"request":{"method":"GET","url":"http://h/"}}"#;
    let text = format!(
        "{{\"log\":{{\"entries\":[{good},\n  {{\"request\": {{}}}},\n{{\"a\" 1}},{good}]}}}}"
    );
    let (items, _) = read(text.as_bytes());
    let shown: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Message(_) => "a message".to_owned(),
            Item::Damage(damage) => damage.to_string(),
        })
        .collect();
    let want = [
        "a message",
        "at line 2, column 16: no entry of a HAR document, 15 bytes skipped",
        "at line 3, column 6: no entry of a HAR document, 7 bytes skipped",
        "a message",
    ];
    assert_eq!(shown, want);
}

/// What comes of a document with these entries, in a word each.
fn outcome(entries: &[Value]) -> Vec<String> {
    let text = json!({"log": {"entries": entries}}).to_string();
    let (items, _) = read(text.as_bytes());
    let word = |item: Item| match item {
        Item::Message(message) => format!("{:?}", message.kind),
        Item::Damage(damage) => format!("{:?}", damage.kind),
    };
    items.into_iter().map(word).collect()
}

#[test]
fn an_entry_has_no_more_fields_than_a_message() {
    let pairs = |n: usize| vec![json!({"name": "a", "value": "b"}); n];
    let request =
        |headers: Vec<Value>| json!({"method": "GET", "url": "http://h/", "headers": headers});
    let too_many = "Fields";
    let foreign = |asked: usize, answered: usize| json!({"request": request(pairs(asked)), "response": {"status": 200, "headers": pairs(answered)}});
    let most = entry::MAX_FIELDS;
    assert_eq!(outcome(&[foreign(most, most)]), ["Request", "Response"]);
    assert_eq!(outcome(&[foreign(most, most + 1)]), ["Request", too_many]);
    assert_eq!(outcome(&[foreign(most + 1, 1), foreign(1, 1)]), [too_many, "Request", "Response"]);
    // One field that stands for many.
    let cookies = |n: usize| {
        let value = vec!["a=b"; n].join("\n");
        let headers = vec![json!({"name": "set-cookie", "value": value})];
        json!({"request": request(vec![]), "response": {"status": 200, "headers": headers}})
    };
    assert_eq!(outcome(&[cookies(most)]), ["Request", "Response"]);
    assert_eq!(outcome(&[cookies(most + 1)]), ["Request", too_many]);
    let form = |n: usize| {
        let data = json!({"mimeType": "application/x-www-form-urlencoded", "params": pairs(n)});
        json!({"request": {"method": "POST", "url": "http://h/", "headers": [], "postData": data}})
    };
    assert_eq!(outcome(&[form(most)]), ["Request"]);
    assert_eq!(outcome(&[form(most + 1)]), [too_many]);
    // In ours, too.
    let (text, _) = document(&[request_of_tests()]);
    let mut ours: Value = serde_json::from_slice(&text).expect("JSON");
    let ours = &mut ours["log"]["entries"][0];
    ours["request"]["headers"] = pairs(most + 1).into();
    assert_eq!(outcome(std::slice::from_ref(ours)), [too_many]);
}

fn request_of_tests() -> Message {
    request(b"POST / HTTP/1.1\r\nHost:h\r\nContent-Length: 1\r\n\r\n\xff")
}

#[test]
fn base64_that_is_none_is_a_damage_and_gives_no_message() {
    let bad = "Base64";
    let asked = request_of_tests();
    let raw: &[u8] = b"HTTP/1.1 200 OK\r\nA:b\r\nContent-Length: 1\r\n\r\n\xff";
    let mut answer = response(raw, Some(asked.index));
    answer.conn = asked.conn;
    let (text, _) = document(&[asked, answer]);
    let whole: Value = serde_json::from_slice(&text).expect("JSON");
    let whole = &whole["log"]["entries"][0];
    assert_eq!(outcome(std::slice::from_ref(whole)), ["Request", "Response"]);
    for (place, want) in [
        ("/request/_shadowtap/head", vec![bad]),
        ("/request/_shadowtap/body", vec![bad]),
        ("/response/_shadowtap/head", vec!["Request", bad]),
        ("/response/content/text", vec!["Request", bad]),
    ] {
        let mut broken = whole.clone();
        let value = broken.pointer_mut(place).unwrap_or_else(|| panic!("{place}: {whole:#}"));
        assert!(value.is_string(), "{place}");
        *value = "no base64!".into();
        assert_eq!(outcome(&[broken]), want, "{place}");
    }
    let data = json!({"text": "=", "encoding": "base64"});
    let foreign =
        json!({"request": {"method": "POST", "url": "http://h/", "headers": [], "postData": data}});
    assert_eq!(outcome(&[foreign]), [bad]);
}

#[test]
fn a_message_has_the_limit_of_a_record() {
    let entry = |len: usize| {
        let data = json!({"text": "x".repeat(len)});
        json!({"request": {"method": "PUT", "url": "http://h/", "headers": [], "postData": data}})
    };
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n".len();
    // The limit of these tests is 1 MiB.
    assert_eq!(outcome(&[entry((1 << 20) - head)]), ["Request"]);
    let too_large = "TooLarge";
    assert_eq!(outcome(&[entry((1 << 20) - head + 1)]), [too_large]);
}

#[test]
fn any_bytes_are_read_to_an_end() {
    let whole = serde_json::to_vec(&chromium()).expect("JSON");
    let (ours, _) = document(&[request(b"POST / HTTP/1.1\r\nHost: h\r\n\r\n\xff")]);
    for seed in seeds(300) {
        let mut random = Random::new(seed);
        let mut text = if random.one_in(2) { whole.clone() } else { ours.clone() };
        for _ in 0..1 + random.below(6) {
            let at = random.below(text.len());
            match random.below(4) {
                0 => text.truncate(at),
                1 => drop(text.splice(at..at, random.bytes(3))),
                2 => drop(text.splice(at..(at + 30).min(text.len()), [])),
                _ => text[at] = *random.pick(b"{}[]\",:\\0-e\n\xff"),
            }
            if text.is_empty() {
                break;
            }
        }
        let limits = Limits { max_block_bytes: 1 << 20 };
        let mut reader = HarReader::new(&text[..], limits, 0).expect("memory");
        let mut items = 0;
        // Ends by its end or by an error, and gives nothing behind either.
        while let Ok(Some(_)) = reader.read_item() {
            items += 1;
            assert!(items <= text.len(), "seed {seed}");
        }
        assert!(matches!(reader.read_item(), Ok(None)), "seed {seed}: goes on behind its end");
    }
}
