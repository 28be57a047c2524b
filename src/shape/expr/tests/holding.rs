//! For which requests an expression holds.

use super::*;

/// Each of these holds for the request, or does not.
#[track_caller]
fn table(request: &Message, rows: &[(&str, bool)]) {
    for (expr, want) in rows {
        assert_eq!(holds(expr, request), Truth::from(*want), "{expr}");
    }
}

fn plain() -> Message {
    let head = "GET /api/v1/orders?id=7&id=8&q=a%20b+c&flag&%71x=%zz HTTP/1.1\n\
                Host: Shop.Example:8080\n\
                X-Shadow: true\n\
                X-Multi: one\n\
                x-multi: two\n\
                Count: 12\n\
                Ratio: 0.5\n\
                Empty:\n\
                Cookie: session=s1; theme=dark\n\
                User-Agent: kube-probe/1.30\n\
                Cookie: session=s2";
    request(head, b"")
}

#[test]
fn method_and_path() {
    table(
        &plain(),
        &[
            ("method == GET", true),
            ("method != GET", false),
            ("method in PUT,GET", true),
            ("method in (PUT, POST)", false),
            ("method == 'GE'", false),
            ("method =~ ^G", true),
            ("method =~ ^g", false),
            ("path == /api/v1/orders", true),
            ("path == '/api/v1/orders?id=7'", false),
            ("path ^= /api", true),
            ("path $= orders", true),
            ("path *= v1", true),
            ("path *= v2", false),
            (r"path =~ /v\d+/", true),
            (r"path =~ ^v\d", false),
            (r"path !~ /v\d+/", false),
            (r"path !~ '/v\d{2}/'", true),
        ],
    );
    let absolute = request("GET http://other.example:81/a/b?c HTTP/1.1\nHost: shop.example", b"");
    table(&absolute, &[("path == /a/b", true), ("host == other.example", true), ("query c", true)]);
    // What is captured need not be text.
    let mut odd = request("GET /\u{fc} HTTP/1.1", b"");
    odd.raw = odd.raw.iter().map(|&b| if b == 0xc3 { 0xff } else { b }).collect::<Vec<_>>().into();
    table(&odd, &[("path ~~ /*", true), ("path ~~ '/**'", true), (r"path =~ '^/(?-u:.)'", true)]);
}

#[test]
fn a_glob_fits_the_whole_path() {
    for (glob, path, want) in [
        ("/a", "/a", true),
        ("/a", "/a/b", false),
        ("/a/*", "/a/b", true),
        ("/a/*", "/a/", true),
        ("/a/*", "/a/b/c", false),
        ("/a/**", "/a/b/c", true),
        ("/a/**", "/a/", true),
        ("/a/**", "/a", false),
        ("/a**", "/abc/d", true),
        ("/a/**/d", "/a/b/c/d", true),
        ("/a/**/d", "/a/d", true),
        ("/a/**/d", "/a/bd", false),
        ("/a/**/d", "/ad", false),
        ("/*/b", "/a/b", true),
        ("/*/b", "/a/c/b", false),
        ("**.js", "/a/b.js", true),
        ("**.js", "/a/b.jsx", false),
        ("/*.js", "/bxjs", false),
        ("/v?/[a]", "/v1/a", false),
        ("**", "", true),
    ] {
        let message = request(&format!("GET {path} HTTP/1.1"), b"");
        assert_eq!(holds(&format!("path ~~ '{glob}'"), &message), want.into(), "{glob} {path}");
        let paths = Expr::paths(&["/none".to_owned(), glob.to_owned()]).unwrap();
        assert_eq!(paths.holds(&message, None), want.into(), "--path {glob} {path}");
    }
}

#[test]
fn fields_cookies_and_parameters_of_which_any_value_will_do() {
    table(
        &plain(),
        &[
            ("header x-shadow", true),
            ("header X-SHADOW == true", true),
            ("header x-shadow == True", false),
            ("not header x-shadow", false),
            ("not header x-none", true),
            ("header x-none == a", false),
            ("header x-none != a", true),
            ("header x-none !~ a", true),
            ("header x-multi == one", true),
            ("header x-multi == two", true),
            ("header x-multi != two", false),
            ("header x-multi == three", false),
            ("header x-multi in three,two", true),
            ("header empty", true),
            ("header empty == ''", true),
            ("header user-agent ^= kube-probe", true),
            ("header user-agent ~~ 'kube-probe/*'", true),
            ("header count > 9", true),
            ("header count > 12", false),
            ("header count >= 12", true),
            ("header count < 12.5", true),
            ("header count <= 11", false),
            ("header ratio < 1", true),
            ("header x-shadow > 0", false),
            ("header x-none < 5", false),
            ("cookie session == s1", true),
            ("cookie session == s2", true),
            ("cookie theme == dark", true),
            ("cookie session", true),
            ("cookie sess", false),
            ("cookie Session", false),
            ("query id == 7", true),
            ("query id == 8", true),
            ("query id != 8", false),
            ("query id > 7", true),
            ("query q == 'a b c'", true),
            ("query flag", true),
            ("query flag == ''", true),
            ("query qx == %zz", true),
            ("query ID", false),
            ("query i", false),
        ],
    );
}

#[test]
fn the_host_is_compared_without_port_and_case() {
    table(
        &plain(),
        &[
            ("host", true),
            ("host == shop.example", true),
            ("host == SHOP.example", true),
            ("host in a,SHOP.EXAMPLE", true),
            ("host == shop.example:8080", false),
            ("host $= .EXAMPLE", true),
            ("host ^= Shop.", true),
            ("host ~~ '*.Example'", true),
            ("host =~ '^SHOP[.]'", true),
            ("header host == Shop.Example:8080", true),
        ],
    );
    let v6 = request("GET / HTTP/1.1\nHost: [::1]:80", b"");
    table(&v6, &[("host == '[::1]'", true)]);
    table(&request("GET / HTTP/1.0", b""), &[("host", false), ("host != a", true)]);
}

#[test]
fn the_client_and_its_network() {
    let mut message = plain();
    table(
        &message,
        &[
            ("client in 10.0.0.0/8", true),
            ("client in 10.1.2.0/30", true),
            ("client in 10.1.2.4/30", false),
            ("client in 192.168.0.0/16, 10.1.2.3", true),
            ("client == 10.1.2.3", true),
            ("client != 10.1.2.3", false),
            ("client in 0.0.0.0/0", true),
            ("client in ::/0", false),
        ],
    );
    message.client.ip = "::ffff:10.1.2.3".parse().unwrap();
    table(&message, &[("client in 10.0.0.0/8", true), ("client in ::/0", false)]);
    message.client.ip = "fd00::5".parse().unwrap();
    table(
        &message,
        &[
            ("client in fd00::/8", true),
            ("client == fd00::5", true),
            ("client in ::/0", true),
            ("client in 10.0.0.0/8", false),
        ],
    );
    message.client.ip = [0, 0, 0, 0].into();
    table(&message, &[("client in 0.0.0.0/0", false), ("not client in 0.0.0.0/0", true)]);
}

#[test]
fn the_size_of_the_body_counts_kept_or_not() {
    let mut message = plain();
    table(&message, &[("body.size == 0", true), ("body.size > 0", false)]);
    message.body_len = 1 << 20;
    table(
        &message,
        &[
            ("body.size == 1MiB", true),
            ("body.size > 1MiB", false),
            ("body.size >= 1MiB", true),
            ("body.size < 1MiB", false),
            ("body.size <= 1MiB", true),
            ("body.size != 1MiB", false),
            ("body.size in 1KiB..2MiB", true),
            ("body.size in 1KiB..2KiB", false),
        ],
    );
}

#[test]
fn a_field_of_a_json_body() {
    let body = br#" {"id": 9007199254740993, "n": 1.5, "s": "a\u0062c", "d": "7", "t": true,
        "z": null, "o": {"k": [10, {"deep": "x"}, []]}, "a b": 1, "s": "again"} "#;
    let message = request("POST / HTTP/1.1", body);
    table(
        &message,
        &[
            ("json $", true),
            ("json $.id", true),
            ("json $.id == 9007199254740993", true),
            ("json $.id == 9007199254740992", false),
            ("json $.id > 9007199254740992", true),
            ("json $.n == 1.50", true),
            ("json $.n < 2", true),
            ("json $.n in 3,1.5", true),
            ("json $.s == abc", true),
            ("json $.s == again", true),
            ("json $.s ^= ab", true),
            ("json $.s =~ ^a.c$", true),
            ("json $.d == 7", true),
            ("json $.d == '7'", true),
            ("json $.d > 3", false),
            ("json $.n == '1.5'", false),
            ("json $.t == true", true),
            ("json $.t == 'true'", false),
            ("json $.z", true),
            ("json $.z == null", true),
            ("json $.o", true),
            ("json $.o == x", false),
            ("json $.o != x", true),
            ("json $.o.k[0] == 10", true),
            ("json $.o.k[1].deep == x", true),
            ("json $.o.k[2]", true),
            ("json $.o.k[3]", false),
            ("json $.o.k.deep", false),
            ("json $.o[0]", false),
            ("json $.o.k[*].deep == x", true),
            ("json $.*.k[0] == 10", true),
            ("json $.o.k[*] == 11", false),
            ("json $.o.k[*] != 11", true),
            ("json $.d[*]", false),
            ("json $['a b'] == 1", true),
            ("json $.none", false),
            ("json $.none != 1", true),
        ],
    );
}

#[test]
fn what_is_no_json_has_no_fields() {
    let deep = format!("{{\"a\": 1, \"b\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, want) in [
        (&b""[..], false),
        (b"{\"a\": 1}", true),
        (b"{\"a\": 1} x", false),
        (b"{\"a\": 1", false),
        (b"{\"a\": 1, \"b\": nul}", false),
        (b"a=1", false),
        (b"[{\"a\": 1}]", false),
        (deep.as_bytes(), true),
    ] {
        let message = request("POST / HTTP/1.1", body);
        assert_eq!(holds("json $.a", &message), want.into(), "{:.40?}", body);
    }
}

#[test]
fn and_or_not_and_parentheses() {
    let (yes, no) = ("header x-shadow", "header x-none");
    for (expr, want) in [
        (format!("{yes} and {no}"), false),
        (format!("{yes} or {no}"), true),
        (format!("{yes} or {yes} and {no}"), true),
        (format!("({yes} or {yes}) and {no}"), false),
        (format!("not {no} and {yes}"), true),
        (format!("not ({no} or {yes})"), false),
        (format!("not not {yes}"), true),
        (format!("{no} and {no} or {yes}"), true),
    ] {
        assert_eq!(holds(&expr, &plain()), want.into(), "{expr}");
    }
}

#[test]
fn what_the_status_does_not_decide_is_told_before_it_is_known() {
    use Truth::{No, Unknown, Yes};
    for (expr, before, at_200, at_503) in [
        ("status == 503", Unknown, No, Yes),
        ("status != 503", Unknown, Yes, No),
        ("status in 5xx", Unknown, No, Yes),
        ("status in 500..502,200", Unknown, Yes, No),
        ("status >= 500", Unknown, No, Yes),
        ("status < 5xx", Unknown, Yes, No),
        ("not status == 200", Unknown, No, Yes),
        ("status == 200 and method == PUT", No, No, No),
        ("status == 200 and method == GET", Unknown, Yes, No),
        ("status == 200 or method == GET", Yes, Yes, Yes),
        ("not (status == 200 and method == PUT)", Yes, Yes, Yes),
        ("status == 503 or not status == 503", Unknown, Yes, Yes),
    ] {
        let parsed = Expr::parse(expr).unwrap();
        assert!(parsed.needs_status(), "{expr}");
        let holds = |status| parsed.holds(&plain(), status);
        assert_eq!(
            [holds(None), holds(Some(200)), holds(Some(503))],
            [before, at_200, at_503],
            "{expr}"
        );
    }
    assert!(!Expr::parse("method == GET").unwrap().needs_status());
}
