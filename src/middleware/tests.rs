//! What lines of programs are taken for.

use super::{Line, Protocol, Said, digits, id};

fn said(protocol: Protocol, line: &[u8]) -> Result<Line, &'static str> {
    protocol.line(line)
}

#[test]
fn an_identifier_is_24_digits_and_comes_back() {
    for of in [(0, 0), (7, 3), (u64::MAX, u32::MAX), (1 << 63, 1)] {
        assert_eq!(digits(of).len(), 24);
        assert_eq!(id(&digits(of)), Some(of));
    }
    for wrong in
        ["", "00000000000000070000000", "0000000000000007000000030", "+00000000000000700000003"]
    {
        assert_eq!(id(wrong), None, "{wrong}");
    }
    assert_eq!(id("00000000000000é000000003"), None, "a character across the cut");
}

#[test]
fn of_gor_lines_only_requests_count_and_what_is_wrong_is_named() {
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let of = |text: &str| said(Protocol::Gor, hex(text).as_bytes());
    let raw = b"GET / HTTP/1.1\r\n\r\n\n".to_vec();
    let want = Ok(Line::About((7, 3), Said::Raw(raw)));
    assert_eq!(of("1 000000000000000700000003 1700 25\nGET / HTTP/1.1\r\n\r\n\n"), want);
    assert_eq!(of("1 000000000000000700000003\nGET / HTTP/1.1\r\n\r\n\n"), want, "meta cut short");
    let upper = hex("1 000000000000000700000003 1\nGET / HTTP/1.1\r\n\r\n\n").to_uppercase();
    assert_eq!(said(Protocol::Gor, format!(" {upper} ").as_bytes()), want);
    assert_eq!(of("2 x 1 1\nHTTP/1.1 200 OK\r\n\r\n"), Ok(Line::Echo));
    assert_eq!(of("3 000000000000000700000003 1 1\n"), Ok(Line::Echo));
    for (wrong, why) in [
        (hex("4 000000000000000700000003 1 1\n"), "none of 1, 2 and 3"),
        (hex("1 abc 1 1\nx"), "identifier"),
        (hex("1 000000000000000700000003 1 1"), "no line break"),
        (hex("1 0\n") + "a", "not hexadecimal"),
        ("31203z".to_owned(), "not hexadecimal"),
        (String::new(), "no line break"),
    ] {
        let error = said(Protocol::Gor, wrong.as_bytes()).expect_err(&wrong);
        assert!(error.contains(why), "{wrong}: {error}");
    }
}

#[test]
fn of_json_lines_what_is_wrong_is_named() {
    let of = |line: &str| said(Protocol::Json, line.as_bytes());
    const ID: &str = r#""id":"000000000000000700000003""#;
    assert_eq!(
        of(&format!(r#"{{"v":1,"type":"pass",{ID}}}"#)),
        Ok(Line::About((7, 3), Said::Pass))
    );
    assert_eq!(
        of(&format!(r#"{{"type":"drop",{ID},"x":{{}}}}"#)),
        Ok(Line::About((7, 3), Said::Drop))
    );
    assert_eq!(
        of(&format!(r#"{{"type":"request",{ID},"raw":"YQ==","target":"/not-looked-at"}}"#)),
        Ok(Line::About((7, 3), Said::Raw(b"a".to_vec())))
    );
    assert_eq!(of(&format!(r#"{{"type":"replayed_response",{ID}}}"#)), Ok(Line::Echo));
    for (wrong, why) in [
        (format!(r#"{{"v":2,"type":"pass",{ID}}}"#), "version"),
        (format!(r#"{{"type":"pas",{ID}}}"#), "type"),
        (r#"{"type":"pass","id":"7"}"#.to_owned(), "identifier"),
        (r#"{"type":"pass"}"#.to_owned(), "no JSON object"),
        ("pass".to_owned(), "no JSON object"),
        (format!(r#"{{"type":"request",{ID},"body":"é"}}"#), "`body` is not Base64"),
        (format!(r#"{{"type":"request",{ID},"raw":"?"}}"#), "`raw` is not Base64"),
        (format!(r#"{{"type":"request",{ID},"target":"/\u0416"}}"#), "beyond U+00FF"),
        (format!(r#"{{"type":"request",{ID},"headers":[["A","\u2014"]]}}"#), "beyond U+00FF"),
        (format!(r#"{{"type":"request",{ID},"headers":{{"a":"b"}}}}"#), "no JSON object"),
    ] {
        let error = of(&wrong).expect_err(&wrong);
        assert!(error.contains(why), "{wrong}: {error}");
    }
}
