//! What JSON is edited to, byte for byte.

use super::super::edits::edited;
use super::*;
use crate::model::testing::{Random, seeds};

fn path(text: &str) -> JsonPath {
    text.parse().expect(text)
}

/// The document with these removed, or these set.
fn changed(document: &str, removed: &[&str], set: &[(&str, &str)]) -> Option<String> {
    let removed: Vec<_> = removed.iter().map(|text| path(text)).collect();
    let set: Vec<_> = set.iter().map(|(text, value)| (path(text), *value)).collect();
    let mut rules = Vec::new();
    for path in &removed {
        rules.push(Rule { place: Where::Path(path), act: Act::Remove });
    }
    for (path, value) in &set {
        rules.push(Rule { place: Where::Path(path), act: Act::Set(value.as_bytes()) });
    }
    let edits = edits(document.as_bytes(), &rules)?;
    String::from_utf8(edited(document.as_bytes(), &edits)).ok()
}

#[test]
fn members_are_removed_with_their_comma() {
    for (document, paths, want) in [
        (r#"{"a":1,"b":2,"c":3}"#, &["$.a"][..], r#"{"b":2,"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.b"], r#"{"a":1,"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.c"], r#"{"a":1,"b":2}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.a", "$.b"], r#"{"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.a", "$.c"], r#"{"b":2}"#),
        (r#"{"a":1,"b":2,"c":3}"#, &["$.b", "$.c"], r#"{"a":1}"#),
        (r#"{"a":1,"b":2}"#, &["$.a", "$.b"], "{}"),
        ("{ \"a\" : 1 ,\r\n\t\"b\":2 }", &["$.a"], "{ \"b\":2 }"),
        ("{ \"a\" : 1 ,\r\n\t\"b\":2 }", &["$.b"], "{ \"a\" : 1  }"),
        ("{ \"a\" : 1 ,\r\n\t\"b\":2 }", &["$.a", "$.b"], "{  }"),
        (r#"{"a":1,"a":2,"b":1e5}"#, &["$.a"], r#"{"b":1e5}"#),
        (r#"{"a":{"b":[1,{"c":2}],"c":3}}"#, &["$.a.b[1].c"], r#"{"a":{"b":[1,{}],"c":3}}"#),
        ("[1, 2, 3]", &["$[0]", "$[2]"], "[2]"),
        ("[1, 2, 3]", &["$[*]"], "[]"),
        (r#"{"i":[{"x":1,"y":2},{"x":3}]}"#, &["$.i[*].x"], r#"{"i":[{"y":2},{}]}"#),
        (r#"{"a.b":1,"a":{"b":2}}"#, &["$['a.b']"], r#"{"a":{"b":2}}"#),
        (r#"{"\u0061":1,"b":2}"#, &["$.a"], r#"{"b":2}"#),
        (r#"{"a":1.50}"#, &["$.x", "$.a.b", "$[0]"], r#"{"a":1.50}"#),
        // What is within what goes, goes with it.
        (r#"{"a":{"b":1},"c":2}"#, &["$.a.b", "$.a"], r#"{"c":2}"#),
    ] {
        assert_eq!(changed(document, paths, &[]).as_deref(), Some(want), "{document} {paths:?}");
    }
}

#[test]
fn members_are_set_in_their_place_or_added_behind_the_last() {
    for (document, set, want) in [
        (r#"{"a": 1.0 , "b":2}"#, &[("$.a", "\"x\"")][..], r#"{"a": "x" , "b":2}"#),
        (r#"{"a":{"b":1},"c":[0]}"#, &[("$.a", "null")], r#"{"a":null,"c":[0]}"#),
        (r#"{"a":1}"#, &[("$.b", "2"), ("$.c", "3")], r#"{"a":1,"b":2,"c":3}"#),
        (r#"{ }"#, &[("$.b", "2"), ("$.c", "3")], r#"{"b":2,"c":3 }"#),
        ("{\"a\":1\n}", &[("$.b", "2")], "{\"a\":1,\"b\":2\n}"),
        (r#"{"a":1,"a":2}"#, &[("$.a", "3")], r#"{"a":3,"a":3}"#),
        (r#"{"a":[1,2]}"#, &[("$.a[1]", "9"), ("$.a[7]", "9")], r#"{"a":[1,9]}"#),
        (r#"{"a":[{},{"x":1}]}"#, &[("$.a[*].x", "9")], r#"{"a":[{"x":9},{"x":9}]}"#),
        // There is no object to set it in.
        (r#"{"a":1}"#, &[("$.b.c", "2"), ("$.a.c", "2")], r#"{"a":1}"#),
        (r#"[1]"#, &[("$.b", "2")], r#"[1]"#),
        (r#"7"#, &[("$.b", "2")], r#"7"#),
        (r#"{"a":{}}"#, &[("$.a['\"']", "2")], r#"{"a":{"\"":2}}"#),
    ] {
        assert_eq!(changed(document, &[], set).as_deref(), Some(want), "{document} {set:?}");
    }
}

#[test]
fn what_is_no_json_is_told() {
    for wrong in [
        "",
        "{",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "01",
        "1.",
        "-",
        "1e",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\n\"",
        "{} {}",
        "[1 2]",
        "{\"a\":1,}",
        "\u{feff}{}",
        "'a'",
        "nul",
    ] {
        assert_eq!(changed(wrong, &["$.a"], &[]), None, "{wrong}");
    }
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(changed(&deep(DEPTH), &["$.a"], &[]).is_some());
    assert!(changed(&deep(DEPTH + 1), &["$.a"], &[]).is_none());
    assert!(changed(&"[".repeat(1 << 20), &["$.a"], &[]).is_none());
}

#[test]
fn a_path_that_is_none_is_an_error_that_says_where() {
    for (text, what) in [
        ("a.b", "character 1: expected a path from the root"),
        ("$", "the whole document"),
        ("$.", "character 3: expected the name of a member"),
        ("$.ü..b", "character 5: expected the name of a member"),
        ("$a", "character 2: expected a dot"),
        ("$[x]", "character 3: expected the number of an item"),
        ("$[0", "character 3: expected the number of an item"),
        ("$.a['b]", "character 5: expected the number of an item"),
    ] {
        let error = text.parse::<JsonPath>().expect_err(text);
        assert!(error.contains(what), "{text}: {error}");
    }
}

#[test]
fn values_of_json_are_found_where_they_lie() {
    let text = br#" {"a": {"id" : 17, "n\u0061me": "x\"y"}, "list":[{"id":"p"},{"id":-2.5e3}], "id": true} "#;
    let found = |path: &str| -> Vec<String> {
        let path = self::path(path);
        let ranges = find(text, &path, 256).into_iter();
        ranges
            .map(|range| String::from_utf8_lossy(text.get(range).expect("within")).into())
            .collect()
    };
    assert_eq!(found("$.a.id"), ["17"]);
    assert_eq!(found("$['a'].name"), [r#""x\"y""#]);
    assert_eq!(found("$.list[1]['id']"), ["-2.5e3"]);
    assert_eq!(found("$.list[*].id"), [r#""p""#, "-2.5e3"]);
    assert_eq!(found("$.*.id"), ["17"]);
    assert_eq!(found("$.id"), ["true"]);
    assert_eq!((found("$.list.id"), found("$.a[0]"), found("$.no")), (vec![], vec![], vec![]));
    assert_eq!(content(br#""x\"\u00e9""#).expect("text"), "x\"é".as_bytes());
    assert_eq!((content(b"17"), content(b"null")), (Some(b"17".to_vec()), None));
    assert_eq!(quoted("a\"é\n".as_bytes()), "\"a\\\"é\\n\"".as_bytes());
    assert_eq!(quoted(b"\xff\""), b"\"\xff\\\"\"");
}

#[test]
fn what_is_no_json_as_a_whole_has_no_values() {
    let path = path("$.a");
    for text in [
        "",
        "{",
        r#"{"a":1"#,
        r#"{"a":1}}"#,
        r#"{"a":1,}"#,
        r#"{"a":x}"#,
        r#"{"a" 1}"#,
        r#"{"a":"b}"#,
        r#"{"a":"b\"#,
        "[1,]",
    ] {
        assert_eq!(find(text.as_bytes(), &path, 256).len(), 0, "{text}");
    }
    let nested =
        |depth: usize| format!("{{\"a\":1,\"b\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(find(nested(127).as_bytes(), &path, 256).len(), 1);
    assert_eq!(find(nested(128).as_bytes(), &path, 256).len(), 0);
    assert_eq!(find(nested(1 << 20).as_bytes(), &path, 256).len(), 0);
}

#[test]
fn a_value_of_json_is_what_serde_says_it_is_and_no_text_makes_it_panic() {
    let path = path("$.*");
    let mut whole = 0;
    for seed in seeds(20_000) {
        let mut random = Random::new(seed);
        let words: [&[u8]; 14] = [
            b"{",
            b"}",
            b"\"a\"",
            b":",
            b",",
            b"[",
            b"]",
            b"1",
            b"-1.5e2",
            b"true",
            b" ",
            b"\"\\u0041\\\"\"",
            b"\"",
            b"\\",
        ];
        let text: Vec<u8> =
            (0..1 + random.below(9)).flat_map(|_| random.pick(&words).to_vec()).collect();
        let text = if random.one_in(2) { [b"{\"k\":", &text[..], b"}"].concat() } else { text };
        let found = find(&text, &path, 256);
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&text);
        if let Ok(serde_json::Value::Object(object)) = &parsed {
            whole += 1;
            // Of names that occur twice both are found.
            assert!(found.len() >= object.len(), "{}", text.escape_ascii());
        }
        if parsed.is_ok() {
            for range in found {
                let value = text.get(range).expect("within the text");
                assert!(serde_json::from_slice::<serde_json::Value>(value).is_ok());
            }
        }
    }
    assert!(whole > 100, "{whole}");
}

/// A document made at random.
fn document(random: &mut Random, depth: usize, out: &mut String) {
    let gap = |random: &mut Random| *random.pick(&["", "", " ", "\n\t"]);
    match random.below(if depth > 3 { 4 } else { 7 }) {
        0 => out.push_str(random.pick::<&str>(&["1", "-0.50", "1e+5", "12345678901234567890.0"])),
        1 => out.push_str(random.pick::<&str>(&["true", "null", "false"])),
        2 | 3 => out.push_str(random.pick::<&str>(&["\"x\"", "\"\\u00fc\\n\"", "\"a,}]\""])),
        kind => {
            let is_object = kind > 4;
            out.push(if is_object { '{' } else { '[' });
            out.push_str(gap(random));
            for n in 0..random.below(4) {
                if n > 0 {
                    out.push(',');
                    out.push_str(gap(random));
                }
                if is_object {
                    // No name twice: other readers keep one of them only.
                    let names = [["\"a\"", "\"\\u0061\""], ["\"b\""; 2], ["\"c\""; 2]];
                    let names: &[&str] = names.get(n).map_or(&[""], |names| names);
                    out.push_str(random.pick::<&str>(names));
                    out.push_str(gap(random));
                    out.push(':');
                    out.push_str(gap(random));
                }
                document(random, depth + 1, out);
                out.push_str(gap(random));
            }
            out.push(if is_object { '}' } else { ']' });
        }
    }
}

#[test]
fn whatever_is_removed_or_set_json_stays_json() {
    const PATHS: [&str; 8] = ["$.a", "$.b", "$.c.a", "$[0]", "$[1].a", "$.a[*]", "$[*].b", "$.b.b"];
    let (mut set_some, mut removed_some) = (0, 0);
    for seed in seeds(5000) {
        let mut random = Random::new(seed);
        let mut text = String::new();
        document(&mut random, 0, &mut text);
        let removed: Vec<&str> = (0..random.below(3)).map(|_| *random.pick(&PATHS)).collect();
        let without = changed(&text, &removed, &[]).expect(&text);
        let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text);
        assert!(is_json(&text).is_ok(), "seed {seed}: {text}");
        assert!(is_json(&without).is_ok(), "seed {seed}: {text} {removed:?} {without}");
        let at = *random.pick(&PATHS);
        let with = changed(&without, &[], &[(at, "\"new\"")]).expect(&without);
        let value = is_json(&with).expect(&with);
        removed_some += usize::from(without != text);
        // As another reader finds it: where nothing wild is in the path.
        let pointer =
            at.replace("[0]", "/0").replace("[1]", "/1").replace(['$'], "").replace('.', "/");
        if with != without && !at.contains('*') {
            set_some += 1;
            assert_eq!(
                value.pointer(&pointer).and_then(|v| v.as_str()),
                Some("new"),
                "seed {seed}: {with}"
            );
        }
        if with == without && !at.contains('*') {
            let value = is_json(&without).expect(&without);
            assert_eq!(value.pointer(&pointer), None, "seed {seed}: {without}");
        }
    }
    if seeds(5000).count() >= 5000 {
        assert!(set_some > 200 && removed_some > 200, "{set_some} {removed_some}");
    }
}
