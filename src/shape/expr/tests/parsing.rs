//! What is an expression, what is none, and at which character that shows.

use super::*;
use crate::model::testing::{Random, seeds};
use crate::shape::expr::{MAX_DEPTH, MAX_LEN};

#[test]
fn these_are_expressions() {
    for text in [
        "header x-shadow == true",
        "header end-user == bbo",
        "header user-agent ^= kube-probe",
        "header x-shadow",
        "not header x-shadow",
        "header x-shadow==true",
        "header x^=a",
        "  method  ==  GET  ",
        "method in GET,HEAD",
        "method in (GET, HEAD) and path == /",
        "path ~~ /api/**",
        "path ~~ '/api/**'",
        r#"path =~ "^/orders/(\d+)$""#,
        "path =~ ^/orders/[0-9]+$",
        r#"header x == "a \" b""#,
        "(path == / or path == /b) and not (method == PUT)",
        "not not header x",
        "client in 10.0.0.0/8, fd00::/8 and header x",
        "client == ::1",
        "client != 10.0.0.1",
        "body.size > 1MiB",
        "body.size in 1KiB..2KiB,0",
        "json $.a.b[0] == 1",
        "json $['a b'][\"c\"] == 'x'",
        "json $",
        "status == 500",
        "status in 500..599",
        "status in 5xx,404",
        "status >= 400",
        "query q == ''",
        "query 'a b' == c",
        "cookie session",
        "host == shop.example",
        "header x == tr\u{fc}e\nand header y",
        "header order == and1 and header not or header or",
    ] {
        assert!(Expr::parse(text).is_ok(), "{text}: {}", Expr::parse(text).unwrap_err());
    }
}

/// An expression with `↑` before the character at which it is wrong.
#[track_caller]
fn wrong(marked: &str, what: &str) {
    let (before, after) = marked.split_once('\u{2191}').unwrap();
    let text = format!("{before}{after}");
    let error = match Expr::parse(&text) {
        Err(error) => error,
        Ok(parsed) => unreachable!("{text} is taken for {parsed:?}"),
    };
    assert_eq!(error.at, before.len(), "{text}: {error}");
    assert!(error.what.contains(what), "{text}: {error}");
}

#[test]
fn what_is_wrong_is_named_at_its_character() {
    for (marked, what) in [
        ("↑", "expected method, path, host"),
        ("  ↑", "expected method"),
        ("↑foo == 1", "expected method"),
        ("header↑", "the name of a field"),
        ("header ↑== 1", "the name of a field"),
        ("header ↑a:b == 1", "the name of a field"),
        ("cookie ↑(x)", "the name of a cookie"),
        ("header x ↑true", "expected an operator, `and`, `or` or the end"),
        ("header x ↑= true", "equality is written =="),
        ("header x ==↑", "expected a value"),
        ("header x == ↑)", "expected a value"),
        ("header x == ↑and header y", "`and` is one only in quotes"),
        ("header x == a ↑b", "expected an operator, `and`, `or`"),
        ("header x and ↑", "expected method"),
        ("header x and ↑and header y", "expected method"),
        ("header x ↑&& header y", "written as words"),
        ("header x ↑, header y", "expected an operator"),
        ("(header x↑", "expected `)`"),
        ("(header x ↑header y)", "expected an operator"),
        ("header x↑)", "expected an operator"),
        ("header x == ↑\"abc", "this quote is not closed"),
        ("query ↑'abc", "this quote is not closed"),
        ("path =~ ^/a↑(b|c)", "stands in quotes"),
        ("path =~ ↑\"a(b\"", "not a regular expression: unclosed group"),
        ("path =~ ↑\"a{1000}{1000}{1000}\"", "takes more than"),
        ("path ↑and method == GET", "an operator that `path` has"),
        ("path ↑> 3", "an operator that `path` has"),
        ("method == ↑get", "in capitals"),
        ("method in GET, ↑put", "in capitals"),
        ("method in (GET ↑PUT)", "expected `,` or `)`"),
        ("method in GET,↑", "expected a value"),
        ("client ↑^= 10", "an operator that `client` has: == != in"),
        ("client in ↑10.0.0.0/33", "expected an address or a network"),
        ("client in 10.0.0.0/8, ↑localhost", "expected an address or a network"),
        ("body.size > ↑1MiX", "expected a size"),
        ("body.size in ↑2KiB..1KiB", "expected a size"),
        ("body.size < ↑0", "nothing is less"),
        ("status == ↑50", "expected a status"),
        ("status in 5xx, ↑0xx", "expected a status"),
        ("status↑", "an operator that `status` has"),
        ("header x < ↑much", "expected a number"),
        ("json ↑a.b == 1", "expected a path from the root"),
        ("json $.a.↑ == 1", "the name of a member"),
        ("json $.a[↑x] == 1", "the number of an item"),
        ("json $.a[↑'x == 1", "the number of an item"),
        ("header x == ü and ↑ü", "expected method"),
    ] {
        wrong(marked, what);
    }
}

#[test]
fn an_error_shows_the_line_with_a_caret_below_the_character() {
    let shown = |text: &str| Expr::parse(text).unwrap_err().to_string();
    let error = shown("header x and\n\tüber == 1 or path");
    let lines: Vec<_> = error.lines().skip(1).collect();
    assert_eq!(lines, ["     über == 1 or path", "     ^"]);
    let long = format!("header {} nonsense {}", "x".repeat(300), "y".repeat(300));
    let error = shown(&long);
    let mut lines = error.lines().skip(1);
    let (line, caret) = lines.next().zip(lines.next()).unwrap();
    assert!(line.chars().count() < 140 && line.starts_with("    ...x"), "{error}");
    let column = caret.chars().count() - 1;
    assert!(line.chars().skip(column).collect::<String>().starts_with("nonsense"), "{error}");
}

#[test]
fn length_and_depth_are_limited() {
    let nested = |depth| format!("{}header x{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expr::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(Expr::parse(&nested(MAX_DEPTH + 1)).unwrap_err().at, MAX_DEPTH);
    let negated = |depth| format!("{}header x", "not ".repeat(depth));
    assert!(Expr::parse(&negated(MAX_DEPTH)).is_ok());
    assert_eq!(Expr::parse(&negated(MAX_DEPTH + 1)).unwrap_err().at, 4 * MAX_DEPTH);
    // One behind the other is not deep.
    assert!(Expr::parse(&["(header x)"; 500].join(" or ")).is_ok());
    let of = |len: usize| format!("header {}", "x".repeat(len - 7));
    assert!(Expr::parse(&of(MAX_LEN)).is_ok());
    assert_eq!(Expr::parse(&of(MAX_LEN + 1)).unwrap_err().at, MAX_LEN);
    let path = |steps: usize| format!("json ${}", ".a".repeat(steps));
    assert!(Expr::parse(&path(64)).is_ok() && Expr::parse(&path(65)).is_err());
}

/// Any bytes, and bytes made of what expressions are made of: no panic, and every error is at a character.
#[test]
fn any_bytes_are_an_expression_or_an_error() {
    let parts = [
        "header",
        "query",
        "cookie",
        "json",
        "$.a[0]",
        "status",
        "5xx",
        "client",
        "10.0.0.0/8",
        "body.size",
        "1MiB",
        "..",
        "path",
        "method",
        "GET",
        "host",
        "and",
        "or",
        "not",
        "in",
        "(",
        ")",
        ",",
        "==",
        "!=",
        "^=",
        "$=",
        "*=",
        "=~",
        "!~",
        "~~",
        "<",
        ">",
        "=",
        "\"",
        "'",
        "\\",
        "[",
        "]",
        "$",
        "**",
        "x",
        "é",
        "\u{1f600}",
        "\n",
        "\0",
        " ",
        " ",
        " ",
    ];
    let probe = request("GET /a?b=c HTTP/1.1\nHost: h\nx: 1", b"{\"a\": [1]}");
    let mut parsed = 0;
    for seed in seeds(20_000) {
        let mut random = Random::new(seed);
        let text = match random.one_in(4) {
            true => {
                let len = random.below(60);
                String::from_utf8_lossy(&random.bytes(len)).into_owned()
            }
            false => (0..random.below(14)).map(|_| *random.pick(&parts)).collect(),
        };
        match Expr::parse(&text) {
            Ok(expr) => {
                parsed += 1;
                expr.holds(&probe, None);
                assert_ne!(expr.holds(&probe, Some(500)), Truth::Unknown, "{text}");
            }
            Err(error) => {
                assert!(text.is_char_boundary(error.at), "{text}: {error}");
                assert_eq!(error.to_string().lines().count(), 3, "{text}: {error}");
            }
        }
    }
    assert!(parsed > 50, "only {parsed} were expressions");
}
