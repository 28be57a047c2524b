//! The config file as the executable reads it: who wins, what is said when it is wrong, what changes while it runs.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::netns::Place;
use crate::support::process::Finished;
use crate::support::request::exact;
use crate::support::shadowtap::Run;
use crate::support::stage::LOCALHOST;
use crate::support::v2::V2;

/// Needs root: captures live.
mod privileged;

/// A config file in a directory of its own.
pub struct Config {
    path: PathBuf,
    _dir: TempDir,
}

impl Config {
    #[track_caller]
    pub fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Self { path: dir.path().join("c.toml"), _dir: dir };
        config.write(text);
        config
    }

    #[track_caller]
    pub fn write(&self, text: &str) {
        std::fs::write(&self.path, text).expect("own directory");
    }

    pub fn path(&self) -> &str {
        self.path.to_str().expect("a path in UTF-8")
    }

    /// `PATH:LINE: KEY: `, as errors begin.
    fn at(&self, line: usize, key: &str) -> String {
        format!("{}:{line}: {key}: ", self.path())
    }
}

#[track_caller]
fn run(args: &[&str]) -> Finished {
    Run::new(args).finish(PATIENCE)
}

/// What `config show --json` says of a key.
#[track_caller]
pub fn setting(finished: &Finished, key: &str) -> Value {
    let object: Value = serde_json::from_slice(&finished.stdout).expect("JSON");
    let settings = object["settings"].as_array().expect("settings").iter();
    settings.clone().find(|s| s["key"] == key).unwrap_or_else(|| panic!("no {key}")).clone()
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let config = Config::new("\ntimeout = \"3s\"\n");
    let show = || Run::new(["config", "show", "--json", "mirror"]);
    let timeout = |run: Run| {
        let shown = setting(&run.finish(PATIENCE).expect_code(0), "timeout");
        (shown["value"].clone(), shown["source"].clone(), shown)
    };
    let (value, source, _) = timeout(show());
    assert_eq!((value, source), ("30s".into(), "default".into()));
    let in_file = || show().args(["--config", config.path()]);
    let (value, source, all) = timeout(in_file());
    assert_eq!((value, source, &all["line"]), ("3s".into(), "file".into(), &2.into()));
    let in_env = || in_file().env("SHADOWTAP_TIMEOUT", "2s");
    let (value, source, all) = timeout(in_env());
    assert_eq!((value, source), ("2s".into(), "environment".into()));
    assert_eq!(all["variable"], "SHADOWTAP_TIMEOUT");
    let (value, source, _) = timeout(in_env().args(["--timeout", "1s"]));
    assert_eq!((value, source), ("1s".into(), "flag".into()));
    // The file itself can be named by the environment.
    let (value, ..) = timeout(show().env("SHADOWTAP_CONFIG", config.path()));
    assert_eq!(value, "3s");
}

#[test]
fn the_table_says_the_same_and_masks_what_may_be_a_secret() {
    let config = Config::new("proxy = \"http://bob:hunter2@p:3128\"\ninsecure = true\n");
    let args = ["config", "show", "mirror", "--config", config.path(), "--ca", "x.pem", "-p", "80"];
    let table = run(&args).expect_code(0).text();
    let line = |key: &str| {
        let line = table.lines().find(|line| line.starts_with(&format!("{key} ")));
        line.unwrap_or_else(|| panic!("no {key} in {table}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("proxy"), format!("proxy http://***@p:3128 {}:1", config.path()));
    assert_eq!(line("port"), "port 80 flag");
    assert_eq!(line("methods"), "methods safe default");
    assert!(!table.contains("hunter2"), "{table}");
    let left = format!("insecure ({}:2) is left out: it does not go with ca", config.path());
    assert!(table.contains(&left), "{table}");
}

#[test]
fn what_is_wrong_in_a_file_exits_2_with_line_and_key_and_nothing_runs() {
    let to = "to = \"http://127.0.0.1:9\"\nport = 80\n";
    for (text, line, key, want) in [
        ("max-lagg = \"1s\"", 3, "max-lagg", "did you mean `max-lag`?"),
        ("timeout = 5", 3, "timeout", "5s or 200ms"),
        ("json = \"yes\"", 3, "json", "expected true or false"),
        ("methods = \"get\"", 3, "methods", "capitals"),
        ("concurrency = 0", 3, "concurrency", "at least 1"),
        ("ca = \"x\"\ninsecure = true", 4, "insecure", "cannot be used with"),
    ] {
        let config = Config::new(&format!("{to}{text}\n"));
        let finished = run(&["mirror", "--config", config.path()]).expect_code(2);
        let stderr = &finished.stderr;
        assert!(
            stderr.contains(&config.at(line, key)) && stderr.contains(want),
            "{text}: {stderr}"
        );
        assert_eq!(finished.text(), "", "{text}");
        // `check` says the same.
        let checked = run(&["config", "check", config.path()]).expect_code(2).text();
        assert!(
            checked.contains(&config.at(line, key)) && checked.contains(want),
            "{text}: {checked}"
        );
    }
    let finished = run(&["mirror", "--config", "/does/not/exist.toml"]).expect_code(2);
    assert!(
        finished.stderr.contains("/does/not/exist.toml: cannot be read"),
        "{}",
        finished.stderr
    );
    let large = Config::new(&format!("{to}# {}\n", "x".repeat(1 << 20)));
    let finished = run(&["mirror", "--config", large.path()]).expect_code(2);
    assert!(finished.stderr.contains("more than 1 MiB"), "{}", finished.stderr);
}

#[test]
fn check_finds_what_no_run_would_accept() {
    let config = Config::new(
        "to = \"http://v2\"\nset-header = \"nonsense\"\nrewrite-path = \"( => x\"\nredact = [\"foo bar\"]\n\
         set-json = \"x\"\nremove-header = \"Content-Length\"\nredact-key = \"hunter2hunter2hunter2\"\n\
         add-header = \"A: env:NO_SUCH_VARIABLE\"\nset-query = \"a=file:/does/not/exist\"\n",
    );
    let text = run(&["config", "check", config.path()]).expect_code(2).text();
    for (line, key, want) in [
        (2, "set-header", "NAME: VALUE"),
        (3, "rewrite-path", "unclosed group"),
        (4, "redact", "no kind of rule"),
        (5, "set-json", "$.path=VALUE"),
        (6, "remove-header", "framing is made right"),
        (7, "redact-key", "env:NAME or file:PATH"),
    ] {
        let at = config.at(line, key);
        let said = text.split(&at).nth(1).unwrap_or_else(|| panic!("no {key}: {text}"));
        assert!(said.contains(want), "{key}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    // Places are not looked at: they may be there where it runs.
    assert!(!text.contains("add-header") && !text.contains("set-query"), "{text}");
    let config = Config::new("to = \"http://v2\"\nallow-target = \"other\"\n");
    let text = run(&["config", "check", config.path()]).expect_code(2).text();
    assert!(text.contains("none of the allowed targets (other)"), "{text}");
    for command in ["record", "inspect", "convert"] {
        let config = Config::new(&format!("[{command}]\nredact = \"foo bar\"\n"));
        let text = run(&["config", "check", config.path()]).expect_code(2).text();
        assert!(text.contains(&config.at(2, "redact")), "{text}");
    }
}

#[test]
fn what_may_be_a_secret_is_shown_nowhere() {
    let config = Config::new(
        "proxy = \"http://bob:hunter2@p:3128\"\nset-header = [\"env: hunter2\", \"A: env:B\"]\n\
         except = 'path ~~ \"/token/**\" and header authorization == \"Bearer hunter2\"'\n\
         only = ['header \"x-api-key\" == hunter2', 'json $[\"password\"] == hunter2 and method == GET']\n",
    );
    for json in [&["--json"][..], &[]] {
        let run = Run::new(["config", "show", "mirror", "--config", config.path()]).args(json);
        let shown = run.finish(PATIENCE).expect_code(0).text();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("A: env:B") && shown.contains("== *** and method == GET"),
            "{shown}"
        );
    }
    for command in ["mirror", "replay"] {
        let help = Run::new([command, "--help"]).env("SHADOWTAP_PROXY", "http://u:hunter2@h");
        let help = help.env("SHADOWTAP_ONLY", "header authorization == hunter2");
        let text = help.env("SHADOWTAP_LOG", "hunter2").finish(PATIENCE).expect_code(0).text();
        assert!(!text.contains("hunter2") && text.contains("SHADOWTAP_PROXY"), "{text}");
    }
    let wrong = ["mirror", "-p", "80", "--to", "http://u:hunter2@h@0%"];
    let refused = run(&wrong).expect_code(2);
    assert!(
        refused.stderr.contains("@0%") && !refused.stderr.contains("hunter2"),
        "{}",
        refused.stderr
    );
}

#[test]
fn check_says_everything_at_once_and_what_a_command_needs_beyond_the_file() {
    let config = Config::new("tto = 1\nring = \"big\"\n[replay]\nspeed = \"fast\"\n");
    let text = run(&["config", "check", config.path()]).expect_code(2).text();
    for (line, key) in [(1, "tto"), (2, "ring"), (4, "speed")] {
        assert!(text.contains(&config.at(line, key)), "{text}");
    }
    assert_eq!(text.lines().count(), 3, "{text}");
    config.write("to = \"http://v2\"\nfiles = [\"a.pcap\"]\nrate = \"1/s..2/s\"\n");
    let text = run(&["config", "check", config.path(), "--for", "mirror"]).expect_code(0).text();
    assert!(text.contains(": ok") && text.contains("environment: port"), "{text}");
    // A ramp without its length is wrong for the only command that knows it; one file is enough for some.
    let text = run(&["config", "check", config.path()]).expect_code(2).text();
    assert!(text.contains(&config.at(3, "rate")) && text.lines().count() == 1, "{text}");
    let finished = run(&["config", "check", config.path(), "--for", "demo"]).expect_code(2);
    assert!(finished.stderr.contains("mirror, record, replay"), "{}", finished.stderr);
}

#[test]
fn the_example_of_the_docs_is_a_config_file() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let docs = std::fs::read_to_string(path).expect("the docs");
    let examples: Vec<_> =
        docs.split("```toml\n").skip(1).filter_map(|text| text.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let config = Config::new(example);
        assert_eq!(
            run(&["config", "check", config.path()]).expect_code(0).text(),
            format!("{}: ok\n", config.path())
        );
        for command in ["mirror", "record", "replay"] {
            let args = ["config", "check", config.path(), "--for", command];
            assert_eq!(
                run(&args).expect_code(0).text().lines().count(),
                1,
                "{command} lacks nothing"
            );
        }
    }
}

#[test]
fn a_replay_takes_all_of_it_from_the_file() {
    let v2 = V2::start(&Place::Host, LOCALHOST);
    let pcap = fixtures::path("keepalive.pcap");
    let config = Config::new(&format!(
        "to = \"{}\"\nmethods = \"all\"\nrecord = \"only mirror has this\"\n[replay]\nspeed = \"max\"\njson = true\n\
         files = [{:?}]\n",
        v2.url(),
        pcap.to_str().expect("a path in UTF-8")
    ));
    let ledger = run(&["replay", "--config", config.path()]).expect_code(0).ledger();
    let want = fixtures::requests("keepalive");
    exact(&want, &v2.requests());
    assert_eq!(ledger.count("/requests/captured"), want.len() as u64);
}
