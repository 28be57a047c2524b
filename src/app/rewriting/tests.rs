//! What leaves, byte for byte: each rule, rules together, and what no rule may do.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::app::tests::message;
use crate::cli::secret_args::{RedactArgs, RedactWithArg};
use crate::model::testing::{Random, seeds};

mod redacting;

/// Flags as typed: `--set-header 'A: b'` is `("set-header", "A: b")`.
type Flag<'a> = (&'a str, &'a str);

fn args(flags: &[Flag<'_>]) -> (RewriteArgs, SafetyArgs, RedactArgs) {
    let (mut rewrite, mut safety, mut redact) =
        (RewriteArgs::default(), SafetyArgs::default(), RedactArgs::default());
    for (flag, text) in flags {
        let list = match *flag {
            "set-header" => &mut rewrite.set_header,
            "add-header" => &mut rewrite.add_header,
            "remove-header" => &mut rewrite.remove_header,
            "rename-header" => &mut rewrite.rename_header,
            "rewrite-header" => &mut rewrite.rewrite_header,
            "rewrite-path" => &mut rewrite.rewrite_path,
            "set-query" => &mut rewrite.set_query,
            "remove-query" => &mut rewrite.remove_query,
            "set-json" => &mut rewrite.set_json,
            "remove-json" => &mut rewrite.remove_json,
            "redact" => &mut redact.redact,
            "redact-with" => {
                redact.redact_with = match *text {
                    "mask" => RedactWithArg::Mask,
                    "drop" => RedactWithArg::Drop,
                    _ => RedactWithArg::Hash,
                };
                continue;
            }
            "idempotency-key" => {
                safety.idempotency_key = match *text {
                    "strip" => IdempotencyKeyArg::Strip,
                    _ => IdempotencyKeyArg::Rewrite,
                };
                continue;
            }
            _ => panic!("no flag {flag}"),
        };
        list.push((*text).to_owned());
    }
    (rewrite, safety, redact)
}

fn ready(flags: &[Flag<'_>]) -> anyhow::Result<Prepare> {
    let (rewrite, safety, redact) = args(flags);
    let redaction = Redaction::new(&redact)?;
    let key = Key::new(None)?;
    Ok(prepare(&rewrite, &safety, &redaction, &key)?.expect("rules"))
}

/// What leaves of this request, and whether rules were passed over.
#[track_caller]
fn leaves(flags: &[Flag<'_>], raw: &str) -> Result<(String, bool), ShedLater> {
    let prepare = ready(flags).unwrap_or_else(|error| panic!("{flags:?}: {error:#}"));
    let prepared = prepare(message(raw.as_bytes(), Role::Client))?;
    let Prepared { message: after, passed_over } = prepared;
    assert_consistent(&after);
    Ok((String::from_utf8(after.raw.to_vec()).expect("UTF-8"), passed_over))
}

/// What a message says of itself is what a reader finds in its bytes.
#[track_caller]
fn assert_consistent(after: &Message) {
    let read = message(&after.raw, Role::Client);
    let why = after.raw.escape_ascii().to_string();
    assert_eq!((&read.fields, read.start), (&after.fields, after.start), "{why}");
    assert_eq!((read.head_len, &read.body), (after.head_len, &after.body), "{why}");
    assert_eq!((read.chunked, read.body_len), (after.chunked, after.body_len), "{why}");
    assert_eq!(read.completion, Completion::Complete, "{why}");
}

#[track_caller]
fn becomes(flags: &[Flag<'_>], raw: &str, want: &str) {
    assert_eq!(leaves(flags, raw), Ok((want.to_owned(), false)), "{flags:?}");
}

/// The same of the part between `GET ` and ` HTTP/1.1`.
#[track_caller]
fn target_becomes(flags: &[Flag<'_>], target: &str, want: &str) {
    let raw = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: v1\r\n\r\n");
    becomes(flags, &raw(target), &raw(want));
}

/// The same of a body with a length.
#[track_caller]
fn body_becomes(flags: &[Flag<'_>], body: &str, want: &str) {
    let raw = |body: &str| {
        let head = "POST / HTTP/1.1\r\ncontent-LENGTH:  ";
        format!("{head}{}\r\nContent-Type: application/json\r\n\r\n{body}", body.len())
    };
    becomes(flags, &raw(body), &raw(want));
}

const HEAD: &str =
    "GET / HTTP/1.1\r\nhOST:  v1 \r\nA:1\r\nb : x\r\n y\r\na: 2\r\nodd line\r\nE:\r\n\r\n";

#[test]
fn fields_are_changed_and_every_other_byte_stays() {
    let changed = |old: &str, new: &str| {
        assert!(HEAD.contains(old), "{old}");
        HEAD.replacen(old, new, 1)
    };
    let both =
        |old: &str, new: &str, old2: &str, new2: &str| changed(old, new).replacen(old2, new2, 1);
    for (flags, want) in [
        (&[("set-header", "host: v2:81")][..], changed("hOST:  v1 \r\n", "hOST:  v2:81 \r\n")),
        (&[("set-header", "a: 3")], both("A:1", "A:3", "a: 2\r\n", "")),
        (&[("set-header", "B: z")], changed("b : x\r\n y", "b : z")),
        (&[("set-header", "E: z")], changed("E:", "E:z")),
        (&[("set-header", "New:")], changed("E:\r\n", "E:\r\nNew: \r\n")),
        (&[("set-header", "X-New:  a: b ")], changed("E:\r\n", "E:\r\nX-New: a: b\r\n")),
        (&[("add-header", "a: 3")], changed("E:\r\n", "E:\r\na: 3\r\n")),
        (&[("remove-header", "A")], both("A:1\r\n", "", "a: 2\r\n", "")),
        (&[("remove-header", "b")], changed("b : x\r\n y\r\n", "")),
        (&[("remove-header", "none")], HEAD.to_owned()),
        (&[("rename-header", "a: Z")], both("A:1", "Z:1", "a: 2", "Z: 2")),
        (&[("rename-header", "B: Z")], changed("b : x", "Z : x")),
        (&[("rewrite-header", r"host: v(\d) => v2-$1")], changed("v1 ", "v2-1 ")),
        (&[("rewrite-header", "b: ^x y$ => z")], changed("b : x\r\n y", "b : z")),
        (&[("rewrite-header", "b: none => z")], HEAD.to_owned()),
        (&[("rewrite-header", r"a: \d =>")], both("A:1", "A:", "a: 2", "a: ")),
        // In the documented order, not in that of the flags.
        (
            &[("set-header", "Z: 9"), ("rename-header", "a: Z"), ("remove-header", "e")],
            both("A:1", "Z:9", "a: 2\r\n", "").replacen("E:\r\n", "", 1),
        ),
        (
            &[("add-header", "N: 1"), ("add-header", "N: 2")],
            changed("E:\r\n", "E:\r\nN: 1\r\nN: 2\r\n"),
        ),
    ] {
        becomes(flags, HEAD, &want);
    }
    // The message's own line ending, and a literal that looks like a place.
    becomes(
        &[("add-header", "N: literal:env:X")],
        "\r\nGET / HTTP/1.0\n\n",
        "\r\nGET / HTTP/1.0\nN: env:X\n\n",
    );
}

#[test]
fn a_target_is_changed_in_origin_form_and_in_absolute_form() {
    let path = |rule| [("rewrite-path", rule)];
    target_becomes(&path("^/v1/(.*) => /v2/$1"), "/v1/a/../b?x=%2f", "/v2/a/../b?x=%2f");
    target_becomes(
        &path("^/v1/(?P<rest>.*)$ => /v2/${rest}b"),
        "http://v1/v1/a",
        "http://v1/v2/ab",
    );
    target_becomes(&path("a => b"), "/aXa?a=a", "/bXb?b=b");
    target_becomes(&path(r"\?.* =>"), "/a?b=c", "/a");
    target_becomes(&path("^/x => /y"), "/a", "/a");
    target_becomes(&path(". => /y"), "*", "*");
    target_becomes(&path("^ => /y"), "http://v1", "http://v1/y");
    target_becomes(&path("a => $$"), "/a", "/$");
    target_becomes(&[("rewrite-path", "^/a => /b"), ("rewrite-path", "^/b => /c")], "/a", "/c");

    let set = |rule| [("set-query", rule)];
    target_becomes(&set("k=v w"), "/", "/?k=v%20w");
    target_becomes(&set("k=v&x=1"), "/?a=1&&b", "/?a=1&&b&k=v%26x%3D1");
    target_becomes(&set("k=v"), "/?a=1&k&b=2&k=3&%6B=4", "/?a=1&k=v&b=2");
    target_becomes(&set("k="), "/?%6b=1&a", "/?%6b=&a");
    target_becomes(&set("k=v"), "http://v1?a", "http://v1?a&k=v");
    target_becomes(&set("k=v"), "/a?", "/a?k=v");
    target_becomes(&set("a b=c"), "/#f", "/?a%20b=c#f");
    target_becomes(&set("k=v"), "*", "*");

    let remove = |name| [("remove-query", name)];
    target_becomes(&remove("k"), "/?k=1", "/");
    target_becomes(&remove("k"), "/?k=1&a=%20&k&b=2#k=1", "/?a=%20&b=2#k=1");
    target_becomes(&remove("k"), "/k?kk=1&k2", "/k?kk=1&k2");
    target_becomes(
        &[("rewrite-path", "^/v1 => /v2"), ("remove-query", "a"), ("set-query", "b=2")],
        "/v1?a=1&c",
        "/v2?c&b=2",
    );
}

#[test]
fn a_body_is_changed_where_rules_say_so_and_its_framing_follows() {
    body_becomes(
        &[("set-json", "$.a=longer than it was")],
        r#"{ "a": 1, "n": 1.0 }"#,
        r#"{ "a": "longer than it was", "n": 1.0 }"#,
    );
    body_becomes(
        &[("set-json", "$.a={\"b\":[]}"), ("set-json", "$.a.b[0]=1")],
        r#"{"a":1}"#,
        r#"{"a":{"b":[]}}"#,
    );
    body_becomes(
        &[("set-json", "$.a={\"b\":[0]}"), ("set-json", "$.a.b[0]=1")],
        r#"{}"#,
        r#"{"a":{"b":[1]}}"#,
    );
    body_becomes(
        &[("remove-json", "$.a"), ("set-json", "$.a=\"2\"")],
        r#"{"a":1,"b":2}"#,
        r#"{"b":2,"a":"2"}"#,
    );
    body_becomes(&[("set-json", "$.a=1")], r#"{"a":1}"#, r#"{"a":1}"#);
    // Chunked: one chunk, with the trailers that were there.
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = format!("{head}3;x=y\r\n{{\"a\r\n4\r\n\":1}}\r\n000;z\r\nT: 1\r\n\r\n");
    becomes(
        &[("set-json", "$.a=23456")],
        &chunked,
        &format!("{head}b\r\n{{\"a\":23456}}\r\n0\r\nT: 1\r\n\r\n"),
    );
    becomes(&[("set-json", "$.a=1"), ("remove-header", "no")], &chunked, &chunked);
    // What cannot be read is passed over, and said.
    let coded = "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
    let broken =
        "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n{\"a\":1";
    for raw in [coded, broken] {
        assert_eq!(leaves(&[("set-json", "$.a=2")], raw), Ok((raw.to_owned(), true)));
    }
    let plain = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b";
    becomes(&[("set-json", "$.a=2")], plain, plain);
}

#[test]
fn what_would_be_no_request_is_not_sent() {
    let invalid = Err(ShedLater::RewriteInvalid);
    let get = "GET /a?q=1 HTTP/1.1\r\nHost: v1\r\nR: a\x01b\r\n\r\n";
    for flags in [
        [("rewrite-path", "a => a b")],
        [("rewrite-path", "^/ => x")],
        [("rewrite-path", ". => 0123456789")],
    ] {
        let raw = if flags[0].1.ends_with('9') {
            format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(10_000))
        } else {
            get.to_owned()
        };
        assert_eq!(leaves(&flags, &raw), invalid, "{flags:?}");
    }
    // Two lengths: no body would be right for both servers.
    let two = "POST / HTTP/1.1\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n";
    assert_eq!(leaves(&[("set-json", "$.a=22")], two), invalid);
}

#[test]
fn nothing_adds_a_line_whatever_stands_in_a_value() {
    // Of a folded field the captures hold no line break.
    let raw = "GET / HTTP/1.1\r\nA: x\r\n Evil: 1\r\n\r\n";
    becomes(
        &[("rewrite-header", "a: (?s)(.*) => <$1>")],
        raw,
        "GET / HTTP/1.1\r\nA: <x Evil: 1>\r\n\r\n",
    );
    for (flag, text) in [
        ("set-header", "A: b\r\nEvil: 1"),
        ("set-header", "A: \0b"),
        ("add-header", "A\r\nEvil: 1"),
        ("rewrite-path", "a => x\rb"),
        ("set-query", "a=\nb"),
    ] {
        let error = format!("{:#}", ready(&[(flag, text)]).err().expect(text));
        assert!(!error.contains("Evil: 1\n"), "{error}");
    }
}

#[test]
fn a_rule_that_makes_no_sense_is_an_error_that_says_what_would() {
    for (flag, text, want) in [
        ("set-header", "X-Env", "NAME: VALUE"),
        ("set-header", ": x", "no field name"),
        ("set-header", "Content-Length: 5", "framing is made right"),
        ("remove-header", "transfer-encoding", "framing is made right"),
        ("rename-header", "A: X-Shadowtap", "tells copies"),
        ("add-header", "Upgrade: h2c", "cannot leave HTTP"),
        ("remove-header", "a b", "no field name"),
        ("rename-header", "A", "OLD: NEW"),
        ("rewrite-header", "A: x", "REGEX => REPLACEMENT"),
        ("rewrite-path", "^/a", "REGEX => REPLACEMENT"),
        ("rewrite-path", "( => x", "unclosed group"),
        ("rewrite-path", "(a) => $1b", "write ${1}b"),
        ("rewrite-path", "(a) => $2", "no group `2`"),
        ("rewrite-path", "(a) => $name", "no group `name`"),
        ("rewrite-path", "(a) => $", "write $$"),
        ("set-query", "a", "NAME=VALUE"),
        ("remove-query", " ", "parameter's name is missing"),
        ("set-json", "$.a", "$.path=VALUE"),
        ("set-json", "a=1", "expected a path from the root"),
        ("remove-json", "$..a", "character 3"),
        ("set-header", "A: env:SHADOWTAP_NO_SUCH", "no environment variable SHADOWTAP_NO_SUCH"),
        ("set-header", "A: file:/nonexistent", "cannot read /nonexistent"),
        ("redact", "headers A", "no kind of rule"),
        ("redact", "pattern iban", "card, email and jwt"),
        ("redact", "json a", "expected a path from the root"),
        ("redact", "query", "names nothing"),
    ] {
        let error = format!("{:#}", ready(&[(flag, text)]).err().expect(text));
        assert!(error.contains(want) && error.contains(&format!("--{flag}")), "{text}: {error}");
    }
    let (rewrite, safety, _) = args(&[]);
    let key = Key::new(None).expect("random numbers");
    let none = prepare(&rewrite, &safety, &Redaction::default(), &key).expect("no rules");
    assert!(none.is_none(), "no rules cost nothing");
}

#[test]
fn an_idempotency_key_becomes_another_the_same_for_the_same() {
    let raw = |key: &str| format!("POST / HTTP/1.1\r\nIdempotency-Key: {key}\r\n\r\n");
    becomes(&[("idempotency-key", "strip")], &raw("k"), "POST / HTTP/1.1\r\n\r\n");
    let key = |of: &str| {
        let (text, _) = leaves(&[("idempotency-key", "rewrite")], &raw(of)).expect("sent");
        text.lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("Idempotency-Key: "))
            .expect("a key")
            .to_owned()
    };
    let one = key("8e03978e-40d5-43dd-bc93-6894a57f9324");
    assert_eq!(one, key("8e03978e-40d5-43dd-bc93-6894a57f9324"));
    assert_ne!(one, key("8e03978e-40d5-43dd-bc93-6894a57f9325"));
    assert_eq!(key("\"8e03978e-40d5-43dd-bc93-6894a57f9324\""), format!("\"{one}\""));
    assert_eq!((one.len(), &one[14..15], one.matches('-').count()), (36, "8", 4), "{one}");
}

/// A request made at random: lines that rules know and lines that they do not.
fn made(random: &mut Random) -> (Vec<String>, String) {
    const NAMES: [&str; 8] = ["Host", "hOST", "A", "a", "B", "X-User", "Cookie", "odd"];
    let mut lines = Vec::new();
    for n in 0..random.below(12) {
        let name = *random.pick(&NAMES);
        let colon = *random.pick(&[": ", ":", " : ", ":\t"]);
        let end = *random.pick(&["\r\n", "\r\n", " \r\n", "\n", "\r\n folded\r\n"]);
        lines.push(format!("{name}{colon}v{n}{end}"));
    }
    let target =
        *random.pick(&["/v1/a?k=1&u=%20", "/", "http://v1/v1/x?u", "/v1?k&k=2", "*", "/x#k"]);
    (lines, target.to_owned())
}

/// The name of a line, in lower case.
fn name_of(line: &str) -> String {
    line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[test]
fn whatever_the_rules_untouched_lines_stay_and_the_message_is_what_they_say() {
    let told = [AtomicBool::new(true), AtomicBool::new(true)];
    for seed in seeds(3000) {
        let random = &mut Random::new(seed);
        let (lines, target) = made(random);
        let pick =
            |random: &mut Random| (*random.pick(&["Host", "A", "B", "X-User", "New"])).to_owned();
        let mut flags = Vec::new();
        let (removed, set, added, renamed) =
            (pick(random), pick(random), pick(random), pick(random));
        let [has_removed, has_set, has_added, has_renamed, has_query, has_json] =
            std::array::from_fn(|_| random.one_in(2));
        let (set_text, added_text, renamed_text) =
            (format!("{set}: set"), format!("{added}: added"), format!("{renamed}: Renamed"));
        for (is_there, flag, text) in [
            (has_removed, "remove-header", removed.as_str()),
            (has_set, "set-header", &set_text),
            (has_added, "add-header", &added_text),
            (has_renamed, "rename-header", &renamed_text),
            (has_query, "set-query", "k=new value"),
            (has_json, "set-json", "$.a=\"new\""),
            (true, "rewrite-path", "^/v1 => /v2"),
        ] {
            if is_there {
                flags.push((flag, text));
            }
        }
        let body = *random.pick(&["", "{\"a\":1,\"b\":2.50}", "{ }", "not json"]);
        let is_chunked = random.one_in(3) && !body.is_empty();
        let framed = |body: &str| match (body, is_chunked) {
            ("", _) => String::new(),
            (body, true) => format!("{:x}\r\n{body}\r\n0\r\nT: x\r\n\r\n", body.len()),
            (body, false) => body.to_owned(),
        };
        let framing = |body: &str| match (body, is_chunked) {
            ("", _) => String::new(),
            (_, true) => "Transfer-Encoding: chunked\r\n".to_owned(),
            (body, false) => format!("Content-Length: {}\r\n", body.len()),
        };
        let write = |target: &str, lines: &[String], body: &str| {
            format!(
                "POST {target} HTTP/1.1\r\n{}{}\r\n{}",
                framing(body),
                lines.concat(),
                framed(body)
            )
        };
        let raw = write(&target, &lines, body);

        // The same by another way: line by line, as the documentation says.
        let mut want: Vec<String> = lines.clone();
        if has_renamed {
            for line in &mut want {
                if name_of(line) == renamed.to_ascii_lowercase() {
                    let colon = line.find(':').expect("a colon");
                    let name_len = line[..colon].trim_end().len();
                    *line = format!("Renamed{}", &line[name_len..]);
                }
            }
        }
        if has_removed {
            want.retain(|line| name_of(line) != removed.to_ascii_lowercase());
        }
        if has_set {
            let is_it = |line: &String| name_of(line) == set.to_ascii_lowercase();
            match want.iter().position(is_it) {
                Some(first) => {
                    let line = &want[first];
                    let start = line.find(':').expect("a colon") + 1;
                    let start = start + line[start..].find('v').expect("a value");
                    let end = line.trim_end().len();
                    want[first] = format!("{}set{}", &line[..start], &line[end..]);
                    let mut n = 0;
                    want.retain(|line| {
                        n += 1;
                        !is_it(line) || n - 1 <= first
                    });
                }
                None => want.push(format!("{set}: set\r\n")),
            }
        }
        if has_added {
            want.push(format!("{added}: added\r\n"));
        }
        let mut new_target = match target.split_once("//") {
            Some((front, rest)) => {
                let (host, path) = rest.split_at(rest.find('/').expect("a path"));
                let path =
                    path.strip_prefix("/v1").map_or(path.to_owned(), |rest| format!("/v2{rest}"));
                format!("{front}//{host}{path}")
            }
            None => target.strip_prefix("/v1").map_or(target.clone(), |rest| format!("/v2{rest}")),
        };
        if has_query && target != "*" {
            new_target = match new_target.as_str() {
                "/v2/a?k=1&u=%20" => "/v2/a?k=new%20value&u=%20",
                "/" => "/?k=new%20value",
                "http://v1/v2/x?u" => "http://v1/v2/x?u&k=new%20value",
                "/v2?k&k=2" => "/v2?k=new%20value",
                "/x#k" => "/x?k=new%20value#k",
                other => panic!("{other}"),
            }
            .to_owned();
        }
        let new_body = match (has_json, body) {
            (true, "{ }") => "{\"a\":\"new\" }",
            (true, "{\"a\":1,\"b\":2.50}") => "{\"a\":\"new\",\"b\":2.50}",
            _ => body,
        };
        let want = write(&new_target, &want, new_body);
        let (rewrite, safety, _) = args(&flags);
        let rules = rules(&rewrite, &safety, &mut Values::default()).expect("rules");
        let rewriter = Rewriter::new(rules, trailers_at).expect("few rules");
        let after = prepared(message(raw.as_bytes(), Role::Client), None, &rewriter, &told)
            .unwrap_or_else(|cause| panic!("seed {seed}: {cause:?}: {raw}"));
        assert_consistent(&after.message);
        let text = String::from_utf8(after.message.raw.to_vec()).expect("ASCII");
        assert_eq!(text, want, "seed {seed}: {flags:?}\n{raw}");
    }
}
