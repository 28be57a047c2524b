//! Rules on real messages: each source and each sink with exact bytes, who waits for whom, and what is missing.

use bytes::Bytes;

use crate::http::{Config, Provenance, Role, parse_whole};
use crate::model::testing::{Random, seeds};
use crate::model::{Anomalies, Endpoint, KeptAnswer, Message, Timestamp};
use crate::shape::{Carried, Carrier, CarryRules};

/// A play of requests and answers; times are milliseconds.
struct Play {
    carrier: Carrier,
    taken: u64,
}

fn message(conn: u64, index: u32, at: u64, raw: &[u8], role: Role) -> Message {
    let end = Endpoint::new([10, 0, 0, 1].into(), 80);
    let at = Timestamp::from_parts(100 + at / 1000, (at % 1000) as u32 as u64 * 1_000_000);
    let from = Provenance {
        conn,
        index,
        // Two connections each are one client's.
        client: Endpoint::new([10, 0, 1, (conn / 2) as u8].into(), 40_000 + conn as u16),
        server: end,
        first_byte: at,
        last_byte: at,
        request: Some(index),
        anomalies: Anomalies::default(),
        is_whole: true,
    };
    let raw = Bytes::copy_from_slice(raw);
    parse_whole(raw, role, from, &Config::default()).expect("a message")
}

/// What a transport keeps of an answer.
fn kept(raw: &[u8]) -> KeptAnswer {
    let message = message(0, 0, 0, raw, Role::Server);
    let field = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    KeptAnswer {
        status: message.status().expect("a response"),
        fields: message.headers().map(field).collect(),
        body: message.body.to_vec(),
        body_len: message.body_len,
    }
}

fn answer(fields: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {len}\r\n\r\n{body}").into()
}

impl Play {
    fn new(rules: &[&str]) -> Self {
        let rules = CarryRules::parse(rules).unwrap_or_else(|wrong| panic!("{wrong}"));
        Self { carrier: Carrier::new(rules), taken: 0 }
    }

    /// A request that is taken over.
    fn ask(&mut self, conn: u64, index: u32, at: u64, raw: &str) -> (u64, Message) {
        let request = message(conn, index, at, raw.as_bytes(), Role::Client);
        self.taken += 1;
        self.carrier.taken(&request, self.taken);
        (self.taken, request)
    }

    /// One that says nothing of interest.
    fn plain(&mut self, conn: u64, index: u32, at: u64) -> u64 {
        self.ask(conn, index, at, "GET / HTTP/1.1\r\n\r\n").0
    }

    fn v1(&mut self, conn: u64, index: u32, at: u64, raw: &[u8]) {
        self.carrier.v1_answered(&message(conn, index, at, raw, Role::Server));
    }

    fn v2(&mut self, n: u64, raw: &[u8]) {
        self.carrier.over(n, Some(&kept(raw)));
    }

    /// What leaves, which waits for nobody.
    #[track_caller]
    fn sent(&mut self, (n, request): (u64, Message)) -> String {
        assert_eq!(self.carrier.waits_for(&request, n), None);
        let sent = self.carrier.change(request, n);
        is_itself(&sent);
        String::from_utf8_lossy(&sent.raw).into_owned()
    }

    fn counts(&self) -> (u64, u64) {
        let Carried { carried, missing, .. } = self.carrier.counts();
        (carried, missing)
    }
}

/// What the message says of itself is what a reader finds in its bytes.
#[track_caller]
fn is_itself(sent: &Message) {
    let read = message(sent.conn, sent.index, 0, &sent.raw, Role::Client);
    let text = sent.raw.escape_ascii().to_string();
    assert_eq!((&read.fields, read.start), (&sent.fields, sent.start), "{text}");
    assert_eq!((read.head_len, &read.body), (sent.head_len, &sent.body), "{text}");
    assert_eq!((read.body_len, read.completion), (sent.body_len, sent.completion), "{text}");
}

/// With one rule: v1 and v2 answered so, and a request becomes another.
#[track_caller]
fn becomes(rule: &str, v1: &[u8], v2: &[u8], request: &str, expected: &str) {
    // v1's answer may be seen before v2's is there, or behind it.
    for v1_first in [true, false] {
        let mut play = Play::new(&[rule]);
        let first = play.plain(1, 0, 0);
        if v1_first {
            play.v1(1, 0, 10, v1);
            play.v2(first, v2);
        } else {
            play.v2(first, v2);
            play.v1(1, 0, 10, v1);
        }
        // Another connection of the same client, or not.
        for conn in [1, 7] {
            let asked = play.ask(conn, 9, 20, request);
            assert_eq!(play.sent(asked), expected, "{rule}, v1 first: {v1_first}");
        }
    }
}

const FIELDS: [&str; 2] = ["X-Token: one\r\n", "x-token: other-2\r\n"];

#[test]
fn every_source_gives_its_value() {
    let asked = "GET /?t=one HTTP/1.1\r\nHost: h\r\n\r\n";
    let sent = "GET /?t=other-2 HTTP/1.1\r\nHost: h\r\n\r\n";
    let json = |token: &str| answer("", &format!("{{\"a\":[{{\"t\":\"{token}\"}}]}}"));
    becomes("json $.a[0].t -> query t", &json("one"), &json("other-2"), asked, sent);
    let [one, other] = FIELDS.map(|field| answer(field, ""));
    becomes("header X-Token -> query t", &one, &other, asked, sent);
    let [one, other] =
        ["/o/one", "/o/other-2"].map(|to| answer(&format!("Location: {to}\r\n"), ""));
    becomes("header Location \"/o/{}\" -> query t", &one, &other, asked, sent);
    let cookie = |value: &str| answer(&format!("Set-Cookie: sid={value}; Path=/\r\n"), "");
    becomes("cookie sid -> query t", &cookie("one"), &cookie("other-2"), asked, sent);
    let html = |token: &str| {
        answer("Content-Type: text/html\r\n", &format!("<input name=t value=\"{token}\">"))
    };
    let rule = "regex name=t value=\"([^\"]+)\" -> query t";
    becomes(rule, &html("one"), &html("other&#45;2"), asked, sent);
    let numbers = |id: u32| answer("", &format!("{{\"id\":{id}}}"));
    let asked = "GET /orders/7 HTTP/1.1\r\n\r\n";
    becomes(
        "json $.id -> path",
        &numbers(7),
        &numbers(4711),
        asked,
        "GET /orders/4711 HTTP/1.1\r\n\r\n",
    );
}

#[test]
fn compressed_answers_give_their_values_too() {
    let packed = |token: &str, coding: &str| {
        let text = format!("{{\"t\":\"{token}\"}}");
        let body = match coding {
            "zstd" => zstd::encode_all(text.as_bytes(), 1).expect("memory"),
            _ => {
                use std::io::Write as _;
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                gzip.write_all(text.as_bytes()).expect("memory");
                gzip.finish().expect("memory")
            }
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: ");
        [head.as_bytes(), body.len().to_string().as_bytes(), b"\r\n\r\n", &body].concat()
    };
    let (asked, sent) = ("GET /?t=one HTTP/1.1\r\n\r\n", "GET /?t=two HTTP/1.1\r\n\r\n");
    becomes("json $.t -> query t", &packed("one", "gzip"), &packed("two", "zstd"), asked, sent);
    let mut play = Play::new(&["json $.t -> query t"]);
    let first = play.plain(1, 0, 0);
    play.v1(1, 0, 10, &answer("Content-Encoding: br\r\n", "?"));
    play.v2(first, &answer("", "{\"t\":\"x\"}"));
    assert_eq!(play.carrier.counts().unread, 1, "what cannot be read is said");
}

#[test]
fn every_sink_takes_a_value_and_every_other_byte_stays() {
    let [one, other] = FIELDS.map(|field| answer(field, ""));
    let sent = |sink: &str, request: &str, expected: &str| {
        becomes(&format!("header X-Token -> {sink}"), &one, &other, request, expected);
    };
    sent(
        "header Authorization \"Bearer {}\"",
        "GET / HTTP/1.1\r\nA:1\r\nauthorization:  bearer one \r\nB: one\r\n\r\n",
        "GET / HTTP/1.1\r\nA:1\r\nauthorization:  bearer other-2 \r\nB: one\r\n\r\n",
    );
    sent(
        "header X",
        "GET / HTTP/1.0\nX: one\nx:one\n\n",
        "GET / HTTP/1.0\nX: other-2\nx:other-2\n\n",
    );
    sent(
        "cookie sid",
        "GET / HTTP/1.1\r\nCookie: a=one; sid=one;b=2\r\n\r\n",
        "GET / HTTP/1.1\r\nCookie: a=one; sid=other-2;b=2\r\n\r\n",
    );
    sent(
        "path",
        "GET /one/x/%6Fne?one HTTP/1.1\r\n\r\n",
        "GET /other-2/x/other-2?one HTTP/1.1\r\n\r\n",
    );
    sent("path", "GET http://one HTTP/1.1\r\n\r\n", "GET http://one HTTP/1.1\r\n\r\n");
    sent("path", "GET http://one/one HTTP/1.1\r\n\r\n", "GET http://one/other-2 HTTP/1.1\r\n\r\n");
    sent(
        "query t",
        "GET /one?x=one&t=one&t HTTP/1.1\r\n\r\n",
        "GET /one?x=one&t=other-2&t HTTP/1.1\r\n\r\n",
    );
    sent(
        "form t",
        "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=x\r\ncontent-LENGTH:  11\r\nZ: 1\r\n\r\na=one&t=one",
        "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded; charset=x\r\ncontent-LENGTH:  15\r\nZ: 1\r\n\r\na=one&t=other-2",
    );
    let part = |value: &str, len: usize| {
        format!(
            "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=\"xx\"\r\nContent-Length: {len}\r\n\r\n\
             --xx\r\nContent-Disposition: form-data; filename=\"t\"; name=\"f\"\r\n\r\none\r\n\
             --xx\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n{value}\r\n--xx--\r\n"
        )
    };
    let len = part("one", 0).split("\r\n\r\n").skip(1).map(|p| p.len() + 4).sum::<usize>() - 4;
    sent("form t", &part("one", len), &part("other-2", len + 4));
    sent(
        "json $.a.t",
        "PUT / HTTP/1.1\r\nContent-Length: 28\r\n\r\n{\"t\":\"one\", \"a\":{\"t\":\"one\"}}",
        "PUT / HTTP/1.1\r\nContent-Length: 32\r\n\r\n{\"t\":\"one\", \"a\":{\"t\":\"other-2\"}}",
    );
}

#[test]
fn values_are_written_as_their_place_asks() {
    let answers = |value: &str| answer(&format!("X-T: {value}\r\n"), "");
    let (one, other) = (answers("17"), answers("a/b \"c\""));
    let rule = |sink: &str| format!("header X-T -> {sink}");
    becomes(
        &rule("path"),
        &one,
        &other,
        "GET /o/17 HTTP/1.1\r\n\r\n",
        "GET /o/a%2Fb%20%22c%22 HTTP/1.1\r\n\r\n",
    );
    let json = |value: &str| {
        format!("PUT / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{{\"t\":{value}}}", value.len() + 6)
    };
    becomes(&rule("json $.t"), &one, &other, &json("17"), &json("\"a/b \\\"c\\\"\""));
    becomes(&rule("json $.t"), &other, &one, &json("\"a\\/b \\\"c\\\"\""), &json("\"17\""));
    becomes(&rule("json $.t"), &one, &answers("4711"), &json("17"), &json("4711"));
    // Would be another cookie.
    let asked = "GET / HTTP/1.1\r\nCookie: t=17\r\n\r\n";
    becomes(&rule("cookie t"), &one, &answers("1; x=2"), asked, asked);
}

#[test]
fn a_chunked_body_keeps_its_chunks_extensions_and_trailers() {
    let [one, other] = FIELDS.map(|field| answer(field, ""));
    let head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (chunks, expected) in [
        (
            "0b;x=y\r\n{\"t\":\"one\"}\r\n0\r\nT: one\r\n\r\n",
            "f;x=y\r\n{\"t\":\"other-2\"}\r\n0\r\nT: one\r\n\r\n",
        ),
        // The value lies in three chunks, and is all of the second.
        (
            "6\r\n{\"t\":\"\r\n2\r\non\r\n3\r\ne\"}\r\n0\r\n\r\n",
            "6\r\n{\"t\":\"\r\n2\r\non\r\n3\r\ne\"}\r\n0\r\n\r\n",
        ),
    ] {
        let expected = match chunks.starts_with('6') {
            true => "5\r\n{\"t\":\r\n9\r\n\"other-2\"\r\n1\r\n}\r\n0\r\n\r\n".to_owned(),
            false => expected.to_owned(),
        };
        let chunks = match chunks.starts_with('6') {
            true => "5\r\n{\"t\":\r\n3\r\n\"on\r\n2\r\ne\"\r\n1\r\n}\r\n0\r\n\r\n",
            false => chunks,
        };
        becomes(
            "header X-Token -> json $.t",
            &one,
            &other,
            &format!("{head}{chunks}"),
            &format!("{head}{expected}"),
        );
    }
}

#[test]
fn every_cookie_goes_by_its_name_and_a_deleted_one_is_left_out() {
    let v1 =
        answer("Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=1; HttpOnly\r\nSet-Cookie: c=3\r\n", "");
    let date = "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n";
    let past = "Set-Cookie: c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let v2 = answer(&format!("{date}Set-Cookie: a=X\r\nset-cookie: b=Y\r\n{past}"), "");
    let sent = |asked: &str, expected: &str| {
        let request = |cookies: &str| format!("GET / HTTP/1.1\r\n{cookies}B: 2\r\n\r\n");
        becomes("cookies", &v1, &v2, &request(asked), &request(expected));
    };
    sent("Cookie: a=1; b=1; z=1\r\n", "Cookie: a=X; b=Y; z=1\r\n");
    sent("Cookie: a=1; c=3; b=1\r\n", "Cookie: a=X; b=Y\r\n");
    sent("Cookie: a=1; c=3\r\n", "Cookie: a=X\r\n");
    sent("Cookie: c=3; a=2\r\n", "Cookie: a=2\r\n");
    sent("Cookie: a=1; c=3; c=3;c=3\r\n", "Cookie: a=X\r\n");
    sent("Cookie: c=3; c=3;a=1; c=3 ;\r\n", "Cookie: a=X ;\r\n");
    sent("Cookie: c=3\r\n", "");
    sent("cookie:c=3\r\nCookie: c=3;c=3\r\nCookie: b=1\r\n", "Cookie: b=Y\r\n");
    for gone in ["Max-Age=0", "max-age=-1", "Expires=Sat, 21-Nov-2026 09:59:59 GMT"] {
        let v2 = answer(&format!("{date}Set-Cookie: c=x; {gone}\r\n"), "");
        becomes(
            "cookie c",
            &v1,
            &v2,
            "GET / HTTP/1.1\r\nCookie: c=3\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
        );
    }
    for stays in [
        "Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires=Sat, 21 Nov 2026 10:00:01 GMT",
    ] {
        let v2 = answer(&format!("{date}Set-Cookie: c=x; {stays}\r\n"), "");
        let request = |value| format!("GET / HTTP/1.1\r\nCookie: c={value}\r\n\r\n");
        becomes("cookie c", &v1, &v2, &request("3"), &request("x"));
    }
}

#[test]
fn a_request_waits_for_the_answer_that_gives_its_value_and_for_no_other() {
    let mut play = Play::new(&["cookies"]);
    let login = play.plain(1, 0, 0);
    let image = play.plain(2, 0, 1);
    play.v1(1, 0, 10, &answer("Set-Cookie: s=1\r\n", ""));
    play.v1(2, 0, 11, &answer("", ""));
    let with = "GET / HTTP/1.1\r\nCookie: s=1\r\n\r\n";
    let (n, request) = play.ask(3, 0, 20, with);
    let (without, other) = play.ask(4, 0, 20, "GET / HTTP/1.1\r\nCookie: s=2\r\n\r\n");
    let (early, before) = play.ask(5, 0, 9, with);
    assert_eq!(play.carrier.waits_for(&request, n), Some(login));
    assert_eq!(play.carrier.waits_for(&other, without), None);
    assert_eq!(play.carrier.waits_for(&before, early), None, "v1 had not given it yet");
    play.v2(image, &answer("Set-Cookie: s=wrong\r\n", ""));
    assert_eq!(play.carrier.waits_for(&request, n), Some(login));
    play.v2(login, &answer("Set-Cookie: s=2\r\n", ""));
    assert_eq!(play.sent((n, request)), with.replace("s=1", "s=2"));
    assert_eq!(play.counts(), (1, 0));
}

#[test]
fn a_request_without_an_answer_is_waited_for_no_longer_and_its_values_are_missing() {
    let mut play = Play::new(&["cookies", "json $.id -> path"]);
    let login = play.plain(1, 0, 0);
    play.v1(1, 0, 10, &answer("Set-Cookie: s=1\r\n", "{\"id\":7}"));
    let with = "GET /o/7 HTTP/1.1\r\nCookie: s=1; own=5\r\n\r\n";
    let (n, request) = play.ask(1, 1, 20, with);
    assert_eq!(play.carrier.waits_for(&request, n), Some(login));
    play.carrier.over(login, None);
    assert_eq!((play.sent((n, request)).as_str(), play.counts()), (with, (0, 1)));
    // What v1 never gave is not missed where the rule does not name it.
    let asked = play.ask(1, 2, 30, "GET /o/8 HTTP/1.1\r\nCookie: own=5\r\n\r\n");
    play.sent(asked);
    assert_eq!(play.counts(), (0, 1));
    // A request that is not sent at all.
    play.v1(9, 0, 40, &answer("Set-Cookie: s=9\r\n", ""));
    let asked = play.ask(9, 1, 50, "GET / HTTP/1.1\r\nCookie: s=9\r\n\r\n");
    play.sent(asked);
    assert_eq!(play.counts(), (0, 2));
}

#[test]
fn the_last_answer_before_a_request_counts_and_one_to_the_same_client_before_others() {
    let mut play = Play::new(&["header T -> query t"]);
    let [a, b, c] = [(0, 0), (1, 10), (6, 20)].map(|(conn, at)| play.plain(conn, 0, at));
    for (conn, at) in [(0, 5), (1, 15), (6, 25)] {
        play.v1(conn, 0, at, &answer("T: 1\r\n", ""));
    }
    for (n, token) in [(c, "c"), (b, "b"), (a, "a")] {
        play.v2(n, &answer(&format!("T: {token}\r\n"), ""));
    }
    let mut sent = |conn, at| {
        let asked = play.ask(conn, 1, at, "GET /?t=1 HTTP/1.1\r\n\r\n");
        play.sent(asked).get(8..9).map(str::to_owned)
    };
    assert_eq!(sent(1, 12).as_deref(), Some("a"), "the other was later");
    assert_eq!(sent(1, 30).as_deref(), Some("b"));
    assert_eq!(sent(7, 30).as_deref(), Some("c"));
    assert_eq!(sent(8, 17).as_deref(), Some("b"), "of another client, the last");
}

#[test]
fn an_answer_of_v1s_that_comes_before_its_request_counts_as_one_behind_it() {
    let mut play = Play::new(&["cookies"]);
    play.v1(1, 0, 5, &answer("Set-Cookie: s=1\r\n", ""));
    let login = play.plain(1, 0, 0);
    let with = "GET / HTTP/1.1\r\nCookie: s=1\r\n\r\n";
    let (n, request) = play.ask(1, 1, 10, with);
    assert_eq!(play.carrier.waits_for(&request, n), Some(login));
    play.v2(login, &answer("Set-Cookie: s=A\r\n", ""));
    assert_eq!(play.sent((n, request)), with.replace("s=1", "s=A"));
}

#[test]
fn a_cookie_that_only_v2_renews_goes_on_with_v1s() {
    let mut play = Play::new(&["cookies"]);
    let login = play.plain(1, 0, 0);
    play.v1(1, 0, 5, &answer("Set-Cookie: s=1\r\n", ""));
    play.v2(login, &answer("Set-Cookie: s=A\r\n", ""));
    let with = "GET / HTTP/1.1\r\nCookie: s=1\r\n\r\n";
    let (n, request) = play.ask(1, 1, 10, with);
    play.v1(1, 1, 15, &answer("", ""));
    assert!(play.sent((n, request)).contains("s=A"));
    play.v2(n, &answer("Set-Cookie: s=B\r\n", ""));
    let asked = play.ask(0, 0, 20, with);
    assert!(play.sent(asked).contains("s=B"), "the same client");
    let asked = play.ask(9, 0, 20, with);
    assert!(play.sent(asked).contains("s=A"), "another one");
}

#[test]
fn where_v1s_answer_was_not_seen_the_last_value_of_the_connection_counts() {
    let mut play = Play::new(&["cookies", "json $.token -> header X-Token"]);
    let login = play.plain(1, 0, 0);
    play.v2(login, &answer("Set-Cookie: s=A\r\n", "{\"token\":\"T\"}"));
    let with = "GET / HTTP/1.1\r\nCookie: s=1; z=1\r\nX-Token: t\r\n\r\n";
    let asked = play.ask(1, 1, 10, with);
    let expected = "GET / HTTP/1.1\r\nCookie: s=A; z=1\r\nX-Token: T\r\n\r\n";
    assert_eq!(play.sent(asked), expected);
    let asked = play.ask(0, 0, 10, with);
    assert_eq!(play.sent(asked), with, "another connection");
    // Now it is known that v1 gave something else.
    play.v1(1, 0, 5, &answer("Set-Cookie: s=other\r\n", "{\"token\":\"other\"}"));
    let asked = play.ask(1, 2, 20, with);
    assert_eq!(play.sent(asked), with);
}

#[test]
fn a_hash_in_a_recording_stands_for_what_the_body_has_in_plain() {
    let hash = format!("{}{}", crate::model::SECRET_PREFIX, "0a".repeat(16));
    let mut play = Play::new(&["json $.token -> header Authorization \"Bearer {}\""]);
    let login = play.plain(1, 0, 0);
    play.v1(1, 0, 5, &answer("", "{\"token\":\"plain\"}"));
    play.v2(login, &answer("", "{\"token\":\"T\"}"));
    let with = |token: &str| format!("GET / HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n");
    let asked = play.ask(1, 1, 10, &with(&hash));
    assert_eq!(play.sent(asked), with("T"));
    let asked = play.ask(1, 2, 10, &with("something"));
    assert_eq!(play.sent(asked), with("something"), "no hash");
}

#[test]
fn many_answers_with_one_value_read_ahead_leave_each_request_its_own() {
    let mut play = Play::new(&["header T -> query t"]);
    let page = "GET /?t=1 HTTP/1.1\r\n\r\n";
    let asked: Vec<_> = (0..500).map(|n| play.ask(1, n, u64::from(n) * 10, page)).collect();
    for n in 0..500 {
        play.v1(1, n, u64::from(n) * 10 + 5, &answer("T: 1\r\n", ""));
    }
    for (n, request) in asked {
        let expected = if n == 1 { "1".into() } else { format!("v2-{}", n - 1) };
        assert_eq!(play.sent((n, request)), page.replace("t=1", &format!("t={expected}")));
        play.v2(n, &answer(&format!("T: v2-{n}\r\n"), ""));
    }
    assert_eq!(play.counts(), (499, 1));
}

#[test]
fn the_table_is_bounded_and_says_what_it_gave_up() {
    let mut play = Play::new(&["json $[*] -> query t"]);
    let body = |round: u32| {
        let values: Vec<_> =
            (0..200).map(|n| format!("\"{round}-{n}-{}\"", "x".repeat(500))).collect();
        format!("[{}]", values.join(","))
    };
    for round in 0..300 {
        let n = play.plain(1, round, u64::from(round));
        play.v1(1, round, u64::from(round), &answer("", &body(round)));
        play.v2(n, &answer("", &body(round + 1000)));
    }
    let evicted = play.carrier.counts().evicted;
    assert!(evicted > 10_000, "{evicted} of 60,000 values");
    let last = format!("GET /?t=299-7-{} HTTP/1.1\r\n\r\n", "x".repeat(500));
    let asked = play.ask(1, 999, 1000, &last);
    assert_eq!(play.sent(asked), last.replace("t=299", "t=1299"));
}

/// Any messages and any rules: no panic, what is sent is a message with the same parts, and with no gift every byte stays.
#[test]
fn whatever_comes_what_is_sent_is_framed_right() {
    const RULES: [&str; 8] = [
        "cookies",
        "cookie a -> form a",
        "header A -> header A \"b{}\"",
        "json $.a -> path",
        "json $[*] -> query a",
        "regex a=(.) -> json $.a",
        "header A -> json $[*]",
        "header A -> cookie a",
    ];
    let mut changed = 0;
    for seed in seeds(20_000) {
        let mut random = Random::new(seed);
        let list = |random: &mut Random, words: &[&str], between: &str| -> String {
            let words: Vec<_> = (0..random.below(6)).map(|_| *random.pick(words)).collect();
            words.join(between)
        };
        let picked: Vec<_> = (0..1 + random.below(3)).map(|_| *random.pick(&RULES)).collect();
        let mut play = Play::new(&picked);
        let reply = |random: &mut Random| {
            let cookie = ["a=1", "a=2", "b=1; Max-Age=0", "a=; expires=1"];
            let fields =
                format!("Set-Cookie: {}\r\nA: {}\r\n", random.pick(&cookie), 1 + random.below(3));
            answer(
                &fields,
                random.pick::<&str>(&["{\"a\":1}", "{\"a\":\"zz/\"}", "[1,2]", "a=1", "a=9", ""]),
            )
        };
        let first = play.plain(1, 0, 0);
        let (v1, v2) = (reply(&mut random), reply(&mut random));
        play.v1(1, 0, 5, &v1);
        play.v2(first, &v2);
        let kind = *random.pick(&["application/x-www-form-urlencoded", "application/json", "x"]);
        let head = format!(
            "POST /{}?{} HTTP/1.1\r\nA: {}\r\nCookie: {}\r\nContent-Type: {kind}\r\n",
            list(&mut random, &["1", "%31", "a", "2", ""], "/"),
            list(&mut random, &["a=1", "a=2", "%61=%31", "a", "b=1"], "&"),
            list(&mut random, &["b", "1", "2"], ""),
            list(
                &mut random,
                &["a=1", "a=2", "b=1", "c", "", " a=1 "],
                if seed % 2 == 0 { "; " } else { ";" }
            ),
        );
        let body = match random.below(4) {
            0 => list(&mut random, &["a=1", "a=%32", "b=1", "a"], "&"),
            1 => format!("[{}]", list(&mut random, &["1", "\"2\"", "\"\\u0031\"", "[1]"], ", ")),
            2 => {
                format!("{{{}}}", list(&mut random, &["\"a\":1", "\"a\" : \"2\"", "\"b\":3"], ","))
            }
            _ => list(&mut random, &["{", "\"", "a=1", "}", "é", "[1]"], ""),
        };
        let raw = if random.one_in(2) {
            let raw = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
            let mut rest = body.as_bytes();
            let mut raw_body = Vec::new();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(1 + random.below(rest.len()));
                raw_body.extend_from_slice(format!("{:x};e\r\n", piece.len()).as_bytes());
                raw_body.extend_from_slice(piece);
                raw_body.extend_from_slice(b"\r\n");
                rest = behind;
            }
            [raw.as_bytes(), &raw_body, b"0\r\nT: a=1\r\n\r\n"].concat()
        } else {
            [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body.as_bytes()]
                .concat()
        };
        let request = message(1, 1, 10, &raw, Role::Client);
        play.taken += 1;
        play.carrier.taken(&request, play.taken);
        let sent = play.carrier.change(request.clone(), play.taken);
        is_itself(&sent);
        assert_eq!((sent.chunked, sent.completion), (request.chunked, request.completion));
        assert_eq!(play.counts().0, u64::from(sent.raw != request.raw), "seed {seed}");
        changed += play.counts().0;
    }
    assert!(changed > 2_000, "{changed}");
}

/// What v1 gave for requests that v2 does not answer is given up, that of the first ones first.
#[test]
fn nobody_waits_for_what_was_given_up() {
    let mut play = Play::new(&["cookies"]);
    let cookies = |cookie: &str| answer(&format!("Set-Cookie: {cookie}\r\n").repeat(100), "");
    let first = play.plain(0, 0, 0);
    play.v1(0, 0, 0, &cookies("a=first"));
    let asks = "GET / HTTP/1.1\r\nCookie: a=first\r\n\r\n";
    let (n, asked) = play.ask(0, 1, 10, asks);
    assert_eq!(play.carrier.waits_for(&asked, n), Some(first));
    for conn in 2..5000 {
        play.plain(conn, 0, 20);
        play.v1(conn, 0, 20, &cookies("b=same"));
    }
    let evicted = play.carrier.counts().evicted;
    assert!(evicted > 100 && evicted < 200_000, "{evicted}");
    assert_eq!(play.sent((n, asked)), asks);
    assert_eq!(play.counts(), (0, 1));
}
