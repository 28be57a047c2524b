//! What is redacted on its way to v2: nothing that a rule names leaves, whatever the fields say of it.

use super::*;

#[test]
fn what_is_redacted_is_masked_dropped_or_hashed_in_its_shape() {
    let raw = "POST /p/4111111111111111?k=s%40cret&a=b HTTP/1.1\r\nX-Key: hunter\r\nMail: <a.b@example.org>\r\n\
        Authorization: Bearer hunter\r\nContent-Type: application/json\r\nContent-Length: 63\r\n\r\n\
        {\"p\":\"h\\u0075nter\",\"n\":{\"Pin\":[1234,true,null]},\"c\":\"a@b.de\",\"z\":1}";
    let raw = raw.replace("63", &raw.split("\r\n\r\n").nth(1).map_or(0, str::len).to_string());
    let rules = [
        ("redact", "header x-key"),
        ("redact", "header authorization"),
        ("redact", "query k"),
        ("redact", "json $.p"),
        ("redact", "json-name pin"),
        ("redact", "pattern card"),
        ("redact", "pattern email"),
    ];
    let with = |how| leaves(&[&rules[..], &[("redact-with", how)]].concat(), &raw).expect("sent").0;
    let masked = "POST /p/9999999999999999?k=***&a=b HTTP/1.1\r\nX-Key: ***\r\nMail: <x.x@xxxxxxx.xxx>\r\n\
        Authorization: Bearer ***\r\nContent-Type: application/json\r\nContent-Length: 61\r\n\r\n\
        {\"p\":\"***\",\"n\":{\"Pin\":[0,false,null]},\"c\":\"x@x.xx\",\"z\":1}";
    let masked =
        masked.replace("61", &masked.split("\r\n\r\n").nth(1).map_or(0, str::len).to_string());
    assert_eq!(with("mask"), masked);
    let dropped = with("drop");
    assert!(
        dropped.starts_with(
            "POST /p/9999999999999999?a=b HTTP/1.1\r\nMail: <x.x@xxxxxxx.xxx>\r\nContent-Type"
        ),
        "{dropped}"
    );
    assert!(dropped.ends_with("\r\n\r\n{\"n\":{},\"c\":\"x@x.xx\",\"z\":1}"), "{dropped}");
    let hashed = with("hash");
    for secret in
        ["hunter", "s%40cret", "4111111111111111", "a.b@example", "1234", "true", "a@b.de"]
    {
        assert!(!hashed.contains(secret), "{secret}: {hashed}");
    }
    assert!(hashed.contains("Authorization: Bearer shadowtap-secret-"), "{hashed}");
    let body: serde_json::Value =
        serde_json::from_str(hashed.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    let is_letters = |text: &str| text.len() == 6 && text.bytes().all(|b| b.is_ascii_lowercase());
    assert!(body["p"].as_str().is_some_and(is_letters), "{body}");
    assert!((1000..10_000).contains(&body["n"]["Pin"][0].as_u64().expect("a number")), "{body}");
}

#[test]
fn forms_are_redacted_urlencoded_and_multipart() {
    let form = |kind: &str, body: &str| {
        format!(
            "POST / HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let flags = |how| [("redact", "form pin"), ("redact-with", how)];
    let url = "application/x-www-form-urlencoded";
    becomes(&flags("mask"), &form(url, "a=1&p%69n=12+34&b"), &form(url, "a=1&p%69n=***&b"));
    becomes(&flags("drop"), &form(url, "pin=1&a=1&pin=2&b&pin"), &form(url, "a=1&b"));
    becomes(&flags("drop"), &form(url, "pin=1&pin"), &form(url, ""));
    let kind = "multipart/form-data; boundary=B";
    let body = |pin: &str| {
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"pin\"\r\n\r\n{pin}\r\n--B\r\n\
            Content-Disposition: form-data; name=\"a\"\r\n\r\n1234\r\n--B--\r\n"
        )
    };
    becomes(&flags("mask"), &form(kind, &body("1234")), &form(kind, &body("***")));
    becomes(&flags("drop"), &form(kind, &body("1234")), &form(kind, &body("")));
}

#[test]
fn a_body_that_cannot_be_looked_into_is_not_sent() {
    let raw = |fields: &str, body: &str| {
        format!("POST / HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    for (rule, fields, body, is_sent) in [
        ("json $.a", "Content-Encoding: gzip\r\n", "zzz", false),
        ("json $.a", "Content-Encoding: gzip\r\nContent-Type: image/png\r\n", "zzz", true),
        ("pattern card", "Content-Encoding: gzip\r\nContent-Type: image/png\r\n", "zzz", false),
        ("json-name a", "Content-Type: application/json\r\n", "{\"a\":", false),
        ("json-name a", "", "{\"a\":1}\n{\"a\":2}", false),
        ("json-name a", "", "a=b", true),
        ("form a", "Content-Type: multipart/form-data; boundary=x\r\n", "--x\r\n", false),
        ("query a", "Content-Encoding: gzip\r\n", "zzz", true),
    ] {
        let raw = raw(fields, body);
        let want = if is_sent { Ok((raw.clone(), false)) } else { Err(ShedLater::Unredacted) };
        assert_eq!(leaves(&[("redact", rule)], &raw), want, "{rule} {fields:?}");
    }
}

#[test]
fn rules_cannot_undo_what_was_redacted_and_tokens_of_v2_are_not_touched() {
    becomes(
        &[
            ("redact", "header A"),
            ("redact-with", "mask"),
            ("rename-header", "A: B"),
            ("set-header", "C: token"),
        ],
        "GET / HTTP/1.1\r\nA: secret\r\n\r\n",
        "GET / HTTP/1.1\r\nB: ***\r\nC: token\r\n\r\n",
    );
}

/// A POST with these fields and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// What becomes of a POST with these fields and this body; `None`: it is not sent.
#[track_caller]
fn posted(rules: &[Flag<'_>], fields: &str, body: &str, want: Option<&str>) {
    let raw = post(fields, body);
    let want = match want {
        Some(want) => Ok((post(fields, want), false)),
        None => Err(ShedLater::Unredacted),
    };
    assert_eq!(leaves(rules, &raw), want, "{fields:?} {body:?}");
}

const MASKED: Flag<'static> = ("redact-with", "mask");
const URLENCODED: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=B\r\n";

#[test]
fn a_body_is_looked_into_whatever_its_type_says() {
    let rules =
        [("redact", "form pin"), ("redact", "json $.pin"), ("redact", "json-name key"), MASKED];
    let plain = "Content-Type: text/plain\r\n";
    let mark = "\u{feff}";
    for (fields, body, want) in [
        // curl -d '{"pin":1}'
        (URLENCODED, "{\"pin\":\"s3\"}", Some("{\"pin\":\"***\"}")),
        (URLENCODED, " [{\"KEY\":\"s3\"}]", Some(" [{\"KEY\":\"***\"}]")),
        (URLENCODED, "{\"pin\":\"s3\"}=", None),
        ("", "a=1&pin=s3", Some("a=1&pin=***")),
        (plain, "a=1&pin=s3", Some("a=1&pin=***")),
        (&format!("{plain}{URLENCODED}"), "a=1&pin=s3", Some("a=1&pin=***")),
        ("", &format!("{mark}{{\"pin\":\"s3\"}}"), Some(&format!("{mark}{{\"pin\":\"***\"}}"))),
        ("Content-Type: application/json\r\n", "\u{1e}{\"pin\":\"s3\"}\n", None),
        ("", "\0{\0\"", None),
        ("Content-Type: text/css\r\n", "a=1&pin=s3", Some("a=1&pin=s3")),
    ] {
        posted(&rules, fields, body, want);
    }
    for kind in ["", plain, URLENCODED, MULTIPART, "Content-Type: application/x-json\r\n"] {
        posted(&rules, &format!("{kind}Content-Encoding: gzip\r\n"), "zzz", None);
    }
}

#[test]
fn of_multipart_no_part_passes_unread() {
    let rules = [("redact", "form pin"), ("redact", "json-name key"), MASKED];
    let part = |fields: &str, content: &str| format!("--B\r\n{fields}\r\n\r\n{content}\r\n");
    let pin = "Content-Disposition: form-data; name=\"pin\"";
    for (fields, content, want) in [
        (pin, "s3", Some("***")),
        ("Content-Disposition: form-data;\r\n name=\"pin\"", "s3", Some("***")),
        ("Content-Disposition: form-data; name=\"p%69n\"; filename=x", "s3", Some("***")),
        ("Content-Disposition: form-data; name=a", "s3", Some("s3")),
        ("Content-Disposition: form-data; name=a", "{\"key\":\"s3\"}", Some("{\"key\":\"***\"}")),
        ("Content-Type: application/json", "{\"key\":\"s3\"}", Some("{\"key\":\"***\"}")),
        ("Content-Type: application/json", "{\"key\":\"s3", None),
        ("Content-Type: application/json\r\nContent-Transfer-Encoding: base64", "eyJr", None),
        ("Content-Type: application/x-www-form-urlencoded", "a&pin=s3", Some("a&pin=***")),
        ("Content-Type: multipart/mixed", "--C\r\n\r\ns3\r\n--C--", None),
    ] {
        let body = |content: &str| part(fields, content) + "--B--\r\n";
        posted(&rules, MULTIPART, &body(content), want.map(body).as_deref());
    }
    let whole = part(pin, "s3") + "--B--\r\n";
    for kind in [
        "Content-Type: multipart/form-data\r\n",
        "Content-Type: multipart/form-data; boundary=C\r\n",
        "Content-Type: multipart/form-data; boundary=B; boundary=C\r\n",
        &format!("{MULTIPART}Content-Type: multipart/form-data; boundary=C\r\n"),
    ] {
        posted(&rules, kind, &whole, None);
        // What patterns look for may stand anywhere.
        posted(&[("redact", "pattern card"), MASKED], kind, &whole, Some(&whole));
    }
    let nested =
        part("Content-Type: multipart/mixed; boundary=C", "--C\r\n\r\n{\"key\":1}\r\n--C--");
    let masked = nested.replace(":1", ":0");
    posted(&rules, MULTIPART, &format!("{nested}--B--"), Some(&format!("{masked}--B--")));
}

#[test]
fn a_parameter_is_covered_wherever_a_url_stands() {
    let rules = [("redact", "query token"), MASKED];
    for (target, want) in [
        ("foo?token=s3", "foo?token=***"),
        ("?token=s3", "?token=***"),
        ("/x?a=1#&token=s3", "/x?a=1#&token=***"),
        ("/x?a=1;token=s3;b", "/x?a=1;token=***;b"),
        ("/x;token=s3/y?b=1", "/x;token=***/y?b=1"),
        ("http://v1/?u=/y?token=s3", "http://v1/?u=/y?token=***"),
    ] {
        target_becomes(&rules, target, want);
        let dropped = [("redact", "query token"), ("redact-with", "drop")];
        let (text, _) = leaves(&dropped, &format!("GET {target} HTTP/1.1\r\n\r\n")).expect("sent");
        assert!(!text.contains("s3") && !text.contains("token"), "{text}");
    }
    let fields = |token: &str| {
        format!(
            "GET / HTTP/1.1\r\nReferer: http://v1/a?b=1&token={token}\r\nX-Original-URL: /?token={token}\r\n\
            Link: <http://v1/?token={token}>; rel=next\r\nX-Other: ?token=s3\r\n\r\n"
        )
    };
    becomes(&rules, &fields("s3"), &fields("***"));
    let answer = |token: &str| {
        format!(
            "HTTP/1.1 302 Found\r\nLocation: https://a/cb#token={token}\r\nRefresh: 0; url=\"/?token={token}\"\r\n\
            Content-Length: 0\r\n\r\n"
        )
    };
    let (_, _, redact) = args(&rules);
    let redaction = Redaction::new(&redact).expect("rules");
    let redactor = redaction.only(&Key::new(None).expect("random")).expect("rules").expect("some");
    let after = redactor.redact(message(answer("s3").as_bytes(), Role::Server));
    assert_eq!(String::from_utf8_lossy(&after.raw), answer("***"));
}

#[test]
fn patterns_leave_json_valid_and_look_into_trailers() {
    let rules = [("redact", "pattern email"), ("redact", "pattern card")];
    let mask = [&rules[..], &[MASKED]].concat();
    for (body, masked) in [
        (r#"{"text":"hi\nbob@example.org"}"#, r#"{"text":"hi\nxxx@xxxxxxx.xxx"}"#),
        (r#"["caf\u00e9bob@e.org","bob\u0040e.org"]"#, r#"["xxxxxxxx@x.xxx","xxx@x.xxx"]"#),
        (r#"{"a@b.de":4111111111111111}"#, r#"{"x@x.xx":9999999999999999}"#),
        ("{\"a\":\"\\nb@c.de\"}\n{\"a\":1}\n", "{\"a\":\"\\nx@x.xx\"}\n{\"a\":1}\n"),
    ] {
        posted(&mask, "", body, Some(masked));
        let (hashed, _) = leaves(&rules, &post("", body)).expect("sent");
        let (_, hashed) = hashed.split_once("\r\n\r\n").expect("a body");
        for document in hashed.lines() {
            serde_json::from_str::<serde_json::Value>(document).expect(hashed);
        }
        assert!(!hashed.contains("bob") && !hashed.contains("b@c"), "{hashed}");
    }
    let chunked = |card: &str| {
        format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: {card}\r\n\r\n"
        )
    };
    becomes(&mask, &chunked("4111111111111111"), &chunked("9999999999999999"));
}

#[test]
fn what_frames_a_message_cannot_be_redacted() {
    for name in ["Transfer-Encoding", "content-length", "Upgrade", "X-Shadowtap"] {
        let error = ready(&[("redact", &format!("header {name}"))]).err().expect(name);
        assert!(format!("{error:#}").contains("cannot be changed by a rule"), "{error:#}");
    }
}
