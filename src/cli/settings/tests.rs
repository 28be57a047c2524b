//! The translation: from keys to what the flags would have said.

use std::ffi::OsString;

use super::effective::{Source, Value};
use super::resolve::{Mode, Request, Resolved, check_all, definition, resolve, strict};
use super::{Failure, keys};
use crate::cli::{Cli, Command};

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
}

/// Puts them together without the environment.
fn with(line: &str, text: &str) -> Result<Resolved, String> {
    in_mode(Mode::Check, line, text)
}

fn in_mode(mode: Mode, line: &str, text: &str) -> Result<Resolved, String> {
    let argv = words(&format!("shadowtap {line}"));
    let file = Some(("c.toml", text));
    resolve(&Request { mode, argv: &argv, file, validate: &validate }).map_err(|f| f.text())
}

/// No mirror of 13 or 14 requests.
fn validate(cli: &Cli) -> Result<(), String> {
    let Command::Mirror(args) = &cli.command else { return Ok(()) };
    match (args.capture.limit, args.target.host.as_str()) {
        (Some(13 | 14), _) => Err("--limit: an unlucky number".into()),
        (_, "nowhere") => Err("--host `nowhere` is no name".into()),
        _ => Ok(()),
    }
}

fn get(resolved: &Resolved, key: &str) -> (Value, Source) {
    let setting = resolved.settings.get(key).unwrap_or_else(|| panic!("no {key}"));
    (setting.value.clone(), setting.source.clone())
}

fn one(text: &str) -> Value {
    Value::One(text.to_owned())
}

fn file(line: usize) -> Source {
    Source::File { line }
}

/// Values of every kind that a flag may want.
const SAMPLES: [&str; 14] = [
    "8080",
    "5s",
    "64MiB",
    "2x",
    "500/s",
    "10%",
    "http://v2:8080",
    "safe",
    "true",
    "404",
    "env:KEY",
    "X-Name: value",
    "/a=/b",
    "GET",
];

/// A value that this flag takes.
fn sample(command: &str, key: &str) -> String {
    let cli = definition(Mode::Check);
    let arg = keys::find(cli.find_subcommand(command).expect(command), key).expect(key);
    let own = arg.get_possible_values();
    let own = own.iter().map(|value| value.get_name().to_owned());
    let mut tries = own.chain(SAMPLES.map(str::to_owned));
    let fits = |value: &String| {
        let text = format!("[{command}]\n{key} = {value:?}");
        check_all("c.toml", &text).is_ok()
    };
    tries.find(fits).unwrap_or_else(|| panic!("{command} --{key}: add a value it takes to SAMPLES"))
}

/// The key's line in a file, and the same as flags.
fn line_and_flag(command: &str, key: &str) -> (String, String) {
    let cli = definition(Mode::Check);
    let arg = keys::find(cli.find_subcommand(command).expect(command), key).expect(key);
    let flag = arg.get_long().map(|long| format!("--{long}="));
    match keys::shape(arg) {
        keys::Shape::Switch => (format!("{key} = true"), format!("--{key}")),
        keys::Shape::Count => (format!("{key} = 2"), format!("--{key} --{key}")),
        keys::Shape::One => {
            let value = sample(command, key).replace(' ', "");
            (format!("{key} = {value:?}"), format!("{}{value}", flag.unwrap_or_default()))
        }
        keys::Shape::Many => {
            let value = sample(command, key).replace(' ', "");
            let flag = flag.unwrap_or_default();
            (format!("{key} = [{value:?}, {value:?}]"), format!("{flag}{value} {flag}{value}"))
        }
    }
}

#[test]
fn every_flag_of_every_command_can_stand_in_a_file() {
    let cli = definition(Mode::Check);
    let mut count = 0;
    for command in keys::configurable(&cli) {
        let name = command.get_name();
        for key in keys::keys(command) {
            let (mut text, mut flags) = line_and_flag(name, key);
            let mut by_file = with(name, &format!("[{name}]\n{text}"));
            // What it needs beside it is named by the error.
            if let Err(error) = &by_file {
                let needed = error.rsplit("--").next().and_then(|rest| rest.split(' ').next());
                let (line, flag) = line_and_flag(name, needed.expect("the name of a flag"));
                (text, flags) = (format!("{text}\n{line}"), format!("{flags} {flag}"));
                by_file = with(name, &format!("[{name}]\n{text}"));
            }
            let by_file = by_file.unwrap_or_else(|error| panic!("{name} {key}: {error}"));
            let by_flag = with(&format!("{name} {flags}"), "").expect(key);
            assert_eq!(get(&by_file, key), (get(&by_flag, key).0, file(2)), "{name} {key}");
            assert_eq!(get(&by_flag, key).1, Source::Flag, "{name} {key}");
            assert_ne!(get(&by_file, key).0, Value::None, "{name} {key}");
            let at_the_top = with(name, &text).expect(key);
            assert_eq!(get(&at_the_top, key), (get(&by_flag, key).0, file(1)), "{name} {key}");
            count += 1;
        }
    }
    assert!(count > 100, "only {count} keys");
}

#[test]
fn who_is_stronger_wins() {
    let text =
        "limit = 1\nqueue = 2\nmax-body = 3\n[mirror]\nlimit = 4\nqueue = 5\n[record]\nlimit = 9\n";
    let resolved = with("mirror --limit 7", text).expect("settings");
    assert_eq!(get(&resolved, "limit"), (one("7"), Source::Flag));
    assert_eq!(get(&resolved, "queue"), (one("5"), file(6)));
    assert_eq!(get(&resolved, "max-body"), (one("3"), file(3)));
    assert_eq!(get(&resolved, "ring"), (one("64MiB"), Source::Default));
    assert_eq!(get(&resolved, "duration"), (Value::None, Source::Default));
    // A list is replaced, not added to.
    let resolved =
        with("mirror --to http://a", "to = [\"http://b\", \"http://c\"]").expect("settings");
    assert_eq!(get(&resolved, "to").0, Value::Many(vec!["http://a".into()]));
    // A switch of the file can be taken back by the command's own table.
    let resolved = with("mirror", "json = true\n[mirror]\njson = false").expect("settings");
    assert_eq!(get(&resolved, "json"), (Value::Switch(false), file(3)));
}

#[test]
fn a_key_that_does_not_go_with_a_stronger_one_is_left_out() {
    let resolved = with("mirror --ca x.pem", "insecure = true").expect("settings");
    assert_eq!(get(&resolved, "insecure"), (Value::Switch(false), Source::Default));
    let left: Vec<_> =
        resolved.settings.left_out.iter().map(|l| (l.key.as_str(), l.line)).collect();
    assert_eq!(left, [("insecure", 1)]);
    let resolved = with("replay a", "rate = '5/s'\n[replay]\nspeed = '2x'").expect("settings");
    assert_eq!(get(&resolved, "speed").0, one("2x"));
    assert_eq!(get(&resolved, "rate").0, Value::None);
    // Nothing is in the way of a switch that says no.
    let resolved = with("mirror --ca x.pem", "insecure = false").expect("settings");
    assert!(resolved.settings.left_out.is_empty());
    // Of two in one place none is stronger.
    let error =
        with("mirror", "json = true\nca = 'x.pem'\ninsecure = true").expect_err("a conflict");
    assert!(error.contains("c.toml:2: ca: ") && error.contains("c.toml:3: insecure: "), "{error}");
    assert!(!error.contains("json"), "{error}");
}

#[test]
fn what_a_flag_needs_beside_it_a_key_needs_too() {
    let error = with("record", "\nkeep = 20").expect_err("no --rotate");
    assert!(error.starts_with("c.toml:2: keep: ") && error.contains("--rotate"), "{error}");
    with("record", "keep = 20\nrotate = '10m'").expect("settings");
    with("record --rotate 10m", "keep = 20").expect("settings");
}

#[test]
fn what_is_required_and_nowhere_is_clap_s_to_say() {
    let error = in_mode(Mode::Run, "mirror", "json = true").expect_err("no port");
    assert!(error.contains("--port <PORT>") && !error.contains("c.toml"), "{error}");
    let text = "port = 80\nto = 'http://v2'";
    let Command::Mirror(args) =
        in_mode(Mode::Run, "mirror", text).expect("all").cli.expect("all").command
    else {
        panic!("not a mirror")
    };
    assert_eq!((args.capture.ports, args.target.to), (vec![80], vec!["http://v2".to_owned()]));
    let missing = with("mirror", "port = 80").expect("settings").missing;
    assert_eq!(missing, ["to"]);
    assert_eq!(with("replay", "to = 'http://v2'").expect("settings").missing, ["files"]);
    let record = with("record", "port = 80").expect("settings");
    assert!(record.cli.is_some() && record.missing == ["output"], "{:?}", record.missing);
}

#[test]
fn a_key_that_there_is_not_is_named_with_the_one_that_was_meant() {
    for (text, want) in [
        ("\nmax-lagg = '1s'", "c.toml:2: max-lagg: unknown key; did you mean `max-lag`?"),
        ("max_lag = '1s'", "c.toml:1: max_lag: unknown key; did you mean `max-lag`?"),
        ("[mirror]\n\nMethods = 'all'", "c.toml:3: Methods: unknown key; did you mean `methods`?"),
        (
            "[miror]\nto = 1",
            "c.toml:1: miror: no command of this name has settings; did you mean `mirror`?",
        ),
        (
            "[record]\nto = 'http://v2'",
            "c.toml:2: to: `record` has no such key; mirror, replay has",
        ),
        ("config = 'c'", "c.toml:1: config: unknown key"),
        ("help = true", "c.toml:1: help: unknown key"),
        ("qqqqqqqqqqqq = 1", "c.toml:1: qqqqqqqqqqqq: unknown key; the keys are the long flags"),
    ] {
        let problems = check_all("c.toml", text).expect_err(text);
        let said = Failure::File(problems).text();
        assert!(said.starts_with(want), "{text}: {said}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_the_right_one() {
    for (text, want) in [
        ("json = 1", "json: expected true or false, found a number"),
        ("json = 'yes'", "json: expected true or false, found a string"),
        (
            "timeout = true",
            "timeout: expected one value, a string or a number, found true or false",
        ),
        ("timeout = ['1s']", "timeout: expected one value, a string or a number, found a list"),
        ("timeout = 5", "timeout: invalid value '5': `5` is not a duration"),
        ("order = 'any'", "order: invalid value 'any' [possible values: connection, none]"),
        ("port = [80, [81]]", "port: expected a list of strings or numbers"),
        ("port = 70000", "port: invalid value '70000': `70000` is not a port"),
        ("concurrency = 'x'", "concurrency: invalid value 'x'"),
        ("to.x = 1", "to: expected a list, or one string or number, found a table"),
    ] {
        let problems = check_all("c.toml", text).expect_err(text);
        let said = Failure::File(problems).text();
        assert!(said.starts_with(&format!("c.toml:1: {want}")), "{text}: {said}");
    }
    let resolved = with("mirror", "port = 0x50\nlimit = 1_000\nto = 'x'").expect("settings");
    assert_eq!(get(&resolved, "port").0, Value::Many(vec!["80".into()]));
    assert_eq!(get(&resolved, "limit").0, one("1000"));
    let resolved = with("replay", "from = 2026-11-21T13:20:00Z").expect("settings");
    assert_eq!(get(&resolved, "from").0, one("2026-11-21T13:20:00Z"));
}

#[test]
fn what_is_no_toml_is_named_with_line_and_column() {
    for (text, want) in [
        ("json = true\njson = true", "c.toml:2:1: "),
        ("[mirror]\n  limit = 1\n  limit = 2", "c.toml:3:3: "),
        ("to = \"http", "c.toml:1:"),
        ("json = \n", "c.toml:1:"),
    ] {
        let problems = check_all("c.toml", text).expect_err(text);
        let said = Failure::File(problems).text();
        assert!(said.starts_with(want), "{text}: {said}");
    }
    let nested = "x = ".to_owned() + &"[".repeat(100_000);
    assert!(check_all("c.toml", &nested).is_err(), "deep nesting is refused, not followed");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let problems =
        check_all("c.toml", "joson = 1\ntimeout = 1\nport = 80\nring = 'x'").expect_err("three");
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 2, 4]);
    // What makes no sense beyond the kinds of values, too.
    let text = "port = 80\nhost = 'nowhere'\nlimit = 13";
    let error = with("mirror", text).expect_err("two");
    assert_eq!(error, "c.toml:3: limit: an unlucky number\nc.toml:2: host: `nowhere` is no name");
    // Not the file's fault: whoever runs it says so.
    assert!(with("mirror --limit 13", "limit = 14").is_ok());
}

#[test]
fn settings_say_the_command_line_that_makes_them() {
    let text = "to = ['http://a@25%', 'http://b']\nport = [80, 81]\ninsecure = true\n";
    let resolved = in_mode(Mode::Run, "mirror --methods GET,POST --json", text).expect("settings");
    let (_, again) = strict(&resolved.settings.argv()).expect("a command");
    let values =
        |s: &super::Settings| s.settings.iter().map(|s| s.value.clone()).collect::<Vec<_>>();
    assert_eq!(values(&again), values(&resolved.settings));
    let text = "to = 'http://a'\nfiles = ['a.pcap', '-b.pcap']";
    let resolved = in_mode(Mode::Run, "replay", text).expect("settings");
    let Some(Command::Replay(args)) = resolved.cli.map(|cli| cli.command) else {
        panic!("no replay")
    };
    assert_eq!(args.files, ["a.pcap", "-b.pcap"]);
    let (_, again) = strict(&resolved.settings.argv()).expect("a command");
    assert_eq!(values(&again), values(&resolved.settings));
}
