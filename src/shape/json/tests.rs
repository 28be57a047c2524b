//! What JSON is edited to, byte for byte.

use super::super::edits::edited;
use super::*;
use crate::model::testing::{Random, seeds};

fn path(text: &str) -> JsonPath {
    JsonPath::parse(text).expect(text)
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
        (r#"{"a":{}}"#, &[("$.a.\"", "2")], r#"{"a":{"\"":2}}"#),
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
        ("a.b", "character 1: it does not begin with $"),
        ("$", "the whole document"),
        ("$.", "character 3: a name is missing"),
        ("$.ü..b", "character 5: a name is missing"),
        ("$a", "character 2: expected a dot"),
        ("$[x]", "character 2: expected [0]"),
        ("$[0", "character 2: expected [0]"),
        ("$.a['b]", "character 4: expected [0]"),
    ] {
        let error = JsonPath::parse(text).expect_err(text);
        assert!(error.contains(what), "{text}: {error}");
    }
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
