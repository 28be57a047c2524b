//! What is written for k6 and vegeta: scripts that run, with something that stands in for k6's modules, and targets.

use super::*;

#[test]
fn a_script_for_k6_is_one_and_targets_for_vegeta_hold_each_request() {
    let dir = directory();
    let mut sent = 0;
    for name in ["methods", "post", "chunked", "pipelined"] {
        let pcap = fixtures::path(&format!("{name}.pcap"));
        let script = dir.path().join(format!("{name}.k6.js"));
        let said = convert(&pcap, &script);
        // k6 takes modules; so does node, by this name.
        let module = dir.path().join(format!("{name}.mjs"));
        std::fs::copy(&script, &module).expect("own directory");
        let checked = Command::new("node").arg("--check").arg(&module).output().expect("node");
        assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
        let targets = dir.path().join(format!("{name}.vegeta"));
        let of_vegeta = convert(&pcap, &targets);
        assert_eq!(said["converted"]["requests"], of_vegeta["converted"]["requests"]);
        let lines = fixtures::json_lines(&std::fs::read(&targets).expect("a file"));
        assert_eq!(said["converted"]["requests"], lines.len(), "{name}");
        for line in &lines {
            let keys: Vec<&String> = line.as_object().expect("an object").keys().collect();
            let known =
                |key: &&&String| ["method", "url", "header", "body"].contains(&key.as_str());
            assert!(keys.iter().all(|key| known(&key)), "{line}");
            assert!(line["url"].as_str().is_some_and(|url| url.starts_with("http://")), "{line}");
            assert!(line["header"]["Host"].is_array(), "{line}");
        }
        sent += lines.len();
    }
    assert!(sent > 20, "{sent}");
}

/// A directory in which a script for k6 finds k6's modules, or what stands in for them.
#[track_caller]
fn with_k6() -> TempDir {
    let dir = directory();
    std::fs::create_dir(dir.path().join("node_modules")).expect("own directory");
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/k6");
    std::os::unix::fs::symlink(modules, dir.path().join("node_modules/k6")).expect("own");
    dir
}

/// What a script for k6 sends with so many users: an object for each request.
#[track_caller]
fn sent_by_k6(script: &Path, users: Option<&str>) -> Vec<Value> {
    let module = script.with_extension("mjs");
    std::fs::copy(script, &module).expect("own directory");
    let mut node = Command::new("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/k6/run.mjs")).arg(&module);
    node.env_remove("VUS").envs(users.map(|users| ("VUS", users)));
    let output = node.output().expect("node");
    assert!(output.status.success(), "{users:?}: {}", String::from_utf8_lossy(&output.stderr));
    fixtures::json_lines(&output.stdout)
}

#[test]
fn a_script_for_k6_sends_each_request_once_whatever_the_users() {
    let dir = with_k6();
    let script = dir.path().join("a.k6.js");
    let said = convert(&fixtures::path("methods.pcap"), &script);
    let requests = written(&said) as usize;
    assert!(requests > 2 && requests < 50);
    let alone = sent_by_k6(&script, None);
    assert_eq!(alone.len(), requests);
    for users in ["1", "2", "50", "0", "-3", "2.5", "many"] {
        assert_eq!(sent_by_k6(&script, Some(users)), alone, "{users}");
    }
    let empty = dir.path().join("empty.k6.js");
    let only_responses = "2 8e091765ae902fef8a2b7d9d 1700000000000000001 5\n\
        HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\n🐵🙈🙉\n";
    convert(&file(&dir, "none.gor", only_responses), &empty);
    for users in [None, Some("5")] {
        assert_eq!(sent_by_k6(&empty, users), Vec::<Value>::new());
    }
}
