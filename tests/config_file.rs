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
