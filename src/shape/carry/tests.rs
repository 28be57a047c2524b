//! What the parts know, without messages: the text of rules, JSON, URLs, dates, codings. How they play together is
//! tested in `app`, where messages can be made from bytes.

use std::io::Write as _;

use super::exchanges::{Exchange, Exchanges, MAX_OPEN_BYTES, Named};
use super::key::{Key, Slot};
use super::rule::{RuleError, Rules, Sink, Source};
use super::{coding, date, url};
use crate::model::Timestamp;
use crate::model::testing::{Random, seeds};

#[test]
fn every_form_of_a_rule_is_read() {
    let rule = |text: &str| {
        let rules = Rules::parse(&[text]).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        rules.0.into_iter().next().expect("one rule")
    };
    assert!(matches!(rule(" cookies ").source, Source::Cookies));
    for text in ["cookie sid", "cookie \"sid\"", "cookie sid -> cookie sid"] {
        let rule = rule(text);
        assert!(matches!(&rule.source, Source::Cookie(name) if name == "sid"), "{text}");
        assert!(matches!(&rule.sink, Sink::Cookie(name) if name == "sid"), "{text}");
    }
    let bearer = rule(r#"json $.token->header Authorization "Bearer {}""#);
    let Sink::Header(name, template) = bearer.sink else { panic!("a header") };
    assert_eq!((name.as_str(), template.find(b"bearer abc")), ("Authorization", Some(7..10)));
    assert_eq!(template.find(b"Basic abc"), None);
    let location = rule(r#"header Location "/orders/{}" -> path"#);
    let Source::Header(_, template) = location.source else { panic!("a header") };
    assert_eq!(template.find(b"/orders/17"), Some(8..10));
    let regex =
        rule(r#"regex name="csrf" value="([^"]+)" -> form csrf token"#.trim_end_matches(" token"));
    let Source::Regex(regex) = regex.source else { panic!("a regex") };
    assert_eq!(regex.as_str(), r#"name="csrf" value="([^"]+)""#);
    assert!(matches!(rule("cookie csrf -> header X-CSRF").sink, Sink::Header(..)));
    assert!(matches!(rule("json $.id -> query id").sink, Sink::Query(_)));
    assert!(matches!(rule("regex a->(b) -> json $['a b'][0]").sink, Sink::Json(_)));
}

#[test]
fn what_is_wrong_with_a_rule_is_shown_where_it_is() {
    for (text, at, what) in [
        ("", 1, "no rule begins with ``"),
        ("cookie", 7, "expected the name of a cookie"),
        ("cookies all", 9, "nothing is expected here"),
        ("cookies -> path", 1, "`cookies` stands alone"),
        ("session", 1, "no rule begins with `session`"),
        ("json $.a", 9, "expected `->`"),
        ("json a -> path", 6, "expected a path from the root"),
        ("json $.a..b -> path", 10, "expected the name of a member"),
        ("json $ -> path", 7, "a step is missing"),
        ("json $[x] -> path", 8, "the number of an item"),
        ("json $.a -> body", 13, "nothing is called `body`"),
        ("json $.a -> path 2", 18, "nothing is expected here"),
        ("json $.a -> header", 19, "expected the name of a header field"),
        ("json $.a -> header X Bearer", 22, "expected a template in double quotes"),
        ("json $.a -> header Content-Length", 20, "cannot be changed by a rule"),
        ("cookie a -> header transfer-encoding \"{}\"", 20, "its framing is made right"),
        ("json $.a -> header X-Shadowtap", 20, "tells copies from v1's own"),
        ("json $.a -> header Upgrade", 20, "cannot leave HTTP"),
        ("json $.a -> query a b", 20, "has no spaces"),
        ("regex abc -> path", 7, "has no group"),
        ("regex (abc -> path", 7, "unclosed group"),
        ("jsön $.a -> x", 1, "nothing is called `jsön`"),
        ("json $.ä -> x", 13, "nothing is called `x`"),
    ] {
        let wrong: RuleError = Rules::parse(&[text]).expect_err(text);
        let said = wrong.to_string();
        assert!(said.starts_with(&format!("at character {at}: ")), "{text}: {said}");
        assert!(said.contains(what), "{text}: {said}");
        let lines: Vec<_> = said.lines().collect();
        let caret = lines.last().expect("lines").chars().count();
        assert_eq!((lines.len(), caret), (3, at + 2), "{said}");
    }
}

#[test]
fn urls_and_references_are_written_and_read() {
    assert_eq!(url::decoded(b"a%2Fb+c%zz%4", true), b"a/b c%zz%4");
    assert_eq!(url::decoded(b"a+b%20", false), b"a+b ");
    assert_eq!(url::encoded("a/b c~é".as_bytes()), b"a%2Fb%20c~%C3%A9");
    for byte in 0..=255u8 {
        assert_eq!(url::decoded(&url::encoded(&[byte]), true), [byte]);
    }
    let text = b"a&amp;b&#43;&#x2F;&quot;&nbsp;&#xD800;& &;&amp";
    assert_eq!(url::without_references(text), b"a&b+/\"&nbsp;&#xD800;& &;&amp");
}

#[test]
fn dates_are_compared_whatever_their_form() {
    let epoch = date::parse(b"Thu, 01 Jan 1970 00:00:00 GMT").expect("a date");
    assert_eq!(Some(epoch), date::parse(b"Thu, 01-Jan-70 00:00:00 GMT"));
    assert_eq!(date::parse(b"Sun Nov  6 08:49:37 1994"), Some((1994, 10, 6, 31_777)));
    assert!(epoch < date::parse(b"Wed, 01 Jan 2070 00:00:01 GMT").expect("a date"));
    assert_eq!((date::parse(b"soon"), date::parse(b"")), (None, None));
}

#[test]
fn codings_are_undone_and_their_output_is_bounded() {
    let text = b"a token, a token, a token".repeat(10);
    let level = flate2::Compression::fast();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    gzip.write_all(&text).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(&text).expect("memory");
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
    raw.write_all(&text).expect("memory");
    let zstd = zstd::encode_all(&text[..], 1).expect("memory");
    let twice = zstd::encode_all(&gzip[..], 1).expect("memory");
    for (body, codings) in [
        (gzip.clone(), &[&b"gzip"[..]][..]),
        (gzip.clone(), &[b"X-GZIP"]),
        (zlib.finish().expect("memory"), &[b"deflate"]),
        (raw.finish().expect("memory"), &[b"deflate"]),
        (zstd, &[b"zstd"]),
        (twice.clone(), &[b"gzip, zstd"]),
        (twice, &[b"gzip", b"identity, zstd"]),
        (text.clone(), &[]),
        (text.clone(), &[b"identity"]),
    ] {
        let (decoded, is_whole) = coding::decoded(&body, codings);
        assert_eq!((decoded.as_ref(), is_whole), (&text[..], true), "{codings:?}");
    }
    for (body, codings) in
        [(&text[..], &[&b"br"[..]][..]), (&text, &[b"gzip"]), (b"x", &[b"a,b,c,d,e"])]
    {
        assert_eq!(coding::decoded(body, codings), (vec![].into(), false), "{codings:?}");
    }
    let half = gzip.get(..gzip.len() / 2).expect("half");
    assert!(!coding::decoded(half, &[b"gzip"]).1);
    let bomb = zstd::encode_all(&vec![0; 64 << 20][..], 1).expect("memory");
    let (decoded, is_whole) = coding::decoded(&bomb, &[b"zstd"]);
    assert_eq!((decoded.len() as u64, is_whole), (coding::MAX_DECODED, false));
    for seed in seeds(2000) {
        let mut random = Random::new(seed);
        let mut bytes = gzip.clone();
        for _ in 0..3 {
            let at = random.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.u32() as u8;
            }
        }
        for coding in [&b"gzip"[..], b"deflate", b"zstd"] {
            assert!(coding::decoded(&bytes, &[coding]).0.len() <= 4 << 20);
        }
    }
}

/// Whatever the length of values and names, and however long v2 takes.
#[test]
fn what_is_remembered_until_v2_answers_has_a_limit_in_bytes() {
    let rules = Rules::parse(&["cookies"]).expect("a rule");
    let rule = rules.0.first().expect("one");
    let slot = Slot::named(&[b'n'; 1 << 16]);
    let named = Named { rule: 0, slot, key: Key::value(0, rule, slot, &[b'v'; 8 << 10]) };
    let bytes = 300 * size_of_val(&named);
    assert!(bytes <= 300 * 40);
    let mut exchanges = Exchanges::default();
    let mut given_up = 0;
    for n in 1..=10_000 {
        let (client, at) = ([10, 0, 0, 1].into(), Timestamp::ZERO);
        let cookies = vec![named; 100];
        exchanges.add(n, Exchange { conn: n, index: 0, client, at, cookies, v1: None, v2: None });
        exchanges.v1_gave(n, vec![named; 200]);
        while let Some((first, remembered)) = exchanges.take_too_much() {
            given_up += 1;
            let lens = (remembered.cookies.len(), remembered.v1.map(|given| given.len()));
            assert_eq!((first, lens), (given_up, (100, Some(200))));
        }
    }
    assert_eq!(10_000 - given_up, (MAX_OPEN_BYTES / bytes) as u64);
    let first = exchanges.get(1).expect("its answer may come");
    assert_eq!(first.v1.as_deref().map(<[_]>::len), Some(0), "v1's answer was seen");
    let last = exchanges.forget(10_000).expect("it is remembered");
    assert_eq!((last.conn, last.cookies.len()), (10_000, 100));
}
