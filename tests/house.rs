//! The house is as it says it is: the dependency rule between rooms, headers, sizes of files, and that each
//! case of the fidelity table has its test.
//!
//! In: the text of every file below `src/`, and the table of docs/fidelity.md. Comments are left out before paths are looked for, test
//! modules are not: what a room's tests lean on is a door too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms. Each may use `model` and itself.
const ROOMS: [&str; 10] = [
    "capture",
    "decode",
    "reassemble",
    "http",
    "shape",
    "replay",
    "middleware",
    "record",
    "compare",
    "telemetry",
];

/// What belongs to no room: it may use everything (`app` wires, `config` gives flags their meaning).
const WIRING: [&str; 4] = ["app", "config", "main", "lib"];

/// Lines a file may have before its tests.
const LONGEST: usize = 600;

/// A source file: its path below `src/`, its text.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// The room, or the file's own name at the top.
    fn room(&self) -> String {
        let first = self.path.components().next().expect("a path has a first component");
        let name = Path::new(first.as_os_str()).file_stem().expect("a name");
        name.to_string_lossy().into_owned()
    }
}

#[track_caller]
fn sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src/") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let path = path.strip_prefix(&root).expect("below src/").to_owned();
                files.push(File { path, text });
            }
        }
    }
    assert!(files.len() > 50, "only {} files found", files.len());
    files
}

/// The text without its comments (a `//` within a string ends the line too, which hides no path).
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect()
}

/// The first words after each `prefix`, of `prefix{a, b::c}` both `a` and `b`.
fn words_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(heads_of_list(list)),
            None => found.extend(word(rest)),
        }
    }
    found
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first word of each entry of a `use` list, up to the brace that closes it.
fn heads_of_list(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut at_start) = (0, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            _ if c.is_whitespace() => {}
            _ if at_start => {
                heads.extend(word(&list[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    heads
}

/// The names at the top of the crate that this text goes to.
fn doors(file: &File) -> BTreeSet<String> {
    let text = without_comments(&file.text);
    let mut doors = words_after(&text, "crate::");
    // The way out by `super::super::`: a room's name that is no module of the room itself.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file.room());
    let is_own = |name: &String| {
        folder.join(name).exists() || folder.join(name).with_extension("rs").exists()
    };
    let known = |name: &String| {
        ROOMS.contains(&name.as_str()) || ["app", "cli", "config"].contains(&name.as_str())
    };
    doors.extend(words_after(&text, "super::").into_iter().filter(|n| known(n) && !is_own(n)));
    doors
}

/// What a room may use besides itself. `testing` exists in test builds only.
fn allowed(room: &str) -> &'static [&'static str] {
    match room {
        "model" | "cli" => &["testing"],
        "testing" => &[],
        _ => &["model", "testing"],
    }
}

#[test]
fn a_room_knows_the_vocabulary_and_never_its_neighbour() {
    let mut wrong = Vec::new();
    for file in sources() {
        let room = file.room();
        if WIRING.contains(&room.as_str()) {
            continue;
        }
        let is_known =
            ROOMS.contains(&room.as_str()) || ["model", "cli", "testing"].contains(&room.as_str());
        assert!(is_known, "src/{}: a room the rule does not know", file.path.display());
        for door in doors(&file) {
            if door != room && !allowed(&room).contains(&door.as_str()) {
                wrong.push(format!("src/{}: {room} uses {door}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "forbidden doors:\n{}", wrong.join("\n"));
}

#[test]
fn the_rule_sees_every_way_a_door_can_be_written() {
    let file = |text: &str| File { path: "http/side.rs".into(), text: text.into() };
    for (text, want) in [
        ("use crate::decode::Frame;", "decode"),
        ("use crate::{model::Seq, replay::{A, b}};", "replay"),
        ("use crate::{\n    record,\n};", "record"),
        ("fn f(x: crate::capture::Y) {}", "capture"),
        ("use super::super::shape::Methods;", "shape"),
        ("pub(in crate::app) fn f() {}", "app"),
    ] {
        assert!(doors(&file(text)).contains(want), "{text}: {:?}", doors(&file(text)));
    }
    let innocent =
        "//! See [`crate::decode`].\nuse super::head; use my_crate::replay; // crate::app";
    assert_eq!(doors(&file(innocent)), BTreeSet::new());
}

#[test]
fn every_file_opens_with_what_it_is() {
    for file in sources() {
        assert!(file.text.starts_with("//! "), "src/{} has no header", file.path.display());
    }
}

#[test]
fn no_file_is_too_long_to_be_read() {
    for file in sources().iter().filter(|file| !file.path.ends_with("tests.rs")) {
        let lines = lines_before_tests(&file.text);
        let name = file.path.display();
        assert!(lines <= LONGEST, "src/{name} has {lines} lines before its tests: split it");
    }
}

/// Lines up to the inline test module, where there is one.
fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

/// A row of a table in docs/fidelity.md: its first cell, and the tests that its last names.
fn rows_of_the_table(text: &str) -> Vec<(String, Vec<String>)> {
    let is_row = |line: &&str| line.starts_with("| ") && !line.ends_with("| held by |");
    text.lines()
        .filter(is_row)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let last = cells.last().copied().unwrap_or_default();
            let tests = last.split('`').skip(1).step_by(2).flat_map(expanded).collect();
            (cells[0].to_owned(), tests)
        })
        .collect()
}

/// `a::{b, c}` as `a::b` and `a::c`.
fn expanded(path: &str) -> Vec<String> {
    match path.split_once('{') {
        Some((front, names)) => {
            let names = names.trim_end_matches('}').split(',');
            names.map(|name| format!("{front}{}", name.trim())).collect()
        }
        None => vec![path.to_owned()],
    }
}

/// Whether a test stands at this path: in the file of its longest beginning that is one, within the
/// inline modules that the rest names.
fn is_a_test(path: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (root, path) = match path.strip_prefix("integration ") {
        Some(path) => (root.join("tests"), path),
        None => (root.join("src"), path),
    };
    let mut modules: Vec<&str> = path.split("::").collect();
    let Some(name) = modules.pop() else { return false };
    let text = (1..=modules.len()).rev().find_map(|len| {
        let file = root.join(modules[..len].join("/"));
        let read = fs::read_to_string(file.with_extension("rs"));
        Some((len, read.or_else(|_| fs::read_to_string(file.join("mod.rs"))).ok()?))
    });
    let Some((len, mut text)) = text else { return false };
    for module in &modules[len..] {
        let Some(at) = text.find(&format!("mod {module} {{")) else { return false };
        text.drain(..at);
    }
    let Some(at) = text.find(&format!("fn {name}()")) else { return false };
    let above = text[..at].trim_end().lines().rev();
    above.take_while(|line| line.trim().starts_with("#[")).any(|line| line.contains("test"))
}

#[test]
fn every_row_of_the_fidelity_table_names_tests_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fidelity.md");
    let rows = rows_of_the_table(&fs::read_to_string(path).expect("docs/fidelity.md"));
    assert!(rows.len() > 100, "only {} rows found", rows.len());
    let mut wrong = Vec::new();
    for (case, tests) in rows {
        if tests.is_empty() {
            wrong.push(format!("{case}: no test"));
        }
        wrong.extend(tests.iter().filter(|t| !is_a_test(t)).map(|t| format!("{case}: no {t}")));
    }
    assert!(wrong.is_empty(), "docs/fidelity.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    assert!(is_a_test("integration house::a_test_that_is_not_there_is_noticed"));
    assert!(is_a_test("model::ledger::tests::a_missing_request_is_found"));
    for path in [
        "integration house::a_test_that_is_nowhere",
        "integration house::is_a_test",
        "model::ledger::a_missing_request",
        "model::nowhere::tests::a_missing_request_is_found",
        "integration fixtures::unprivileged::tagged_frames_pass_the_packet_filter",
        "",
    ] {
        assert!(!is_a_test(path), "{path}");
    }
    let text = "| case | held by |\n|---|---|\n| one | `a::{b, c}` `d::e` |\n| two | |\n";
    let rows = rows_of_the_table(text);
    assert_eq!(rows[0], ("one".into(), vec!["a::b".into(), "a::c".into(), "d::e".into()]));
    assert_eq!(rows[1], ("two".into(), vec![]));
}
