//! What changes in a running mirror, and what does not.

use rustix::process::Signal;
use serde_json::Value;

use super::{Config, setting};
use crate::support::PATIENCE;
use crate::support::load::Load;
use crate::support::process::Finished;
use crate::support::shadowtap::{Run, Shadowtap};
use crate::support::stage::{Stage, capturing};

/// So many requests of one method, on one connection.
#[track_caller]
fn send(stage: &Stage, prefix: &str, count: usize, posts_percent: u64) {
    let load = Load { count, posts_percent, connections: 1, prefix: prefix.into(), ..stage.load() };
    load.run().expect_no_errors();
}

#[track_caller]
fn in_force(mirror: &Shadowtap) -> Finished {
    let pid = mirror.process.pid().as_raw_nonzero().to_string();
    Run::new(["config", "show", "--pid", &pid, "--json"]).finish(PATIENCE).expect_code(0)
}

fn config_of(stage: &Stage) -> String {
    format!(
        "port = {}\nto = \"{}\"\ninterface = \"lo\"\njson = true\n",
        stage.v1.port(),
        stage.v2.url()
    )
}

#[test]
fn methods_change_under_way_and_every_request_is_judged_by_one_of_them() {
    let stage = Stage::loopback();
    let base = config_of(&stage);
    let config = Config::new(&base);
    let mirror = capturing(Run::new(["mirror", "--config", config.path()]).start());
    assert_eq!(setting(&in_force(&mirror), "methods")["source"], "default");

    // Behind the POSTs, so that when these are there those are decided.
    send(&stage, "/before", 20, 100);
    send(&stage, "/before", 10, 0);
    stage.v2.wait_for(10, PATIENCE);
    assert_eq!(stage.v2.requests().len(), 10);

    config.write(&format!("{base}methods = \"all\"\ntimeout = \"9s\"\n"));
    mirror.process.signal(Signal::HUP);
    mirror.wait_stderr("methods is now all (was safe)", PATIENCE);
    mirror.wait_stderr("timeout is 9s there, which needs a restart; 30s stays in force", PATIENCE);
    send(&stage, "/after", 20, 100);
    stage.v2.wait_for(30, PATIENCE);
    let shown = in_force(&mirror);
    let methods = setting(&shown, "methods");
    assert_eq!((&methods["value"], &methods["line"]), (&"all".into(), &5.into()));
    assert_eq!(setting(&shown, "timeout")["value"], "30s");

    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/captured"), 50);
    assert_eq!(ledger.count("/requests/refused/method_held_back"), 20);
    assert_eq!(ledger.count("/targets/0/answered/2xx"), 30);
    let received = stage.v2.requests();
    let of = |method: &str, path: &str| {
        received.iter().filter(|r| r.method == method && r.target.starts_with(path)).count()
    };
    assert_eq!((of("GET", "/before"), of("POST", "/before"), of("POST", "/after")), (10, 0, 20));
}

#[test]
fn rules_and_the_sample_change_under_way_and_every_request_is_judged_by_one_of_them() {
    let stage = Stage::loopback();
    let base = config_of(&stage);
    let config =
        Config::new(&format!("{base}only = [\"path ^= /a\"]\nexcept = [\"path *= never\"]\n"));
    let mirror = capturing(Run::new(["mirror", "--config", config.path()]).start());
    send(&stage, "/b", 10, 0);
    send(&stage, "/a/never", 10, 0);
    send(&stage, "/a", 10, 0);
    stage.v2.wait_for(10, PATIENCE);

    config.write(&format!("{base}only = [\"path ^= /b\"]\npath = [\"/b/**\"]\n"));
    mirror.process.signal(Signal::HUP);
    mirror.wait_stderr("only is now path ^= /b (was path ^= /a)", PATIENCE);
    mirror.wait_stderr("path is now /b/** (was -)", PATIENCE);
    send(&stage, "/a", 10, 0);
    send(&stage, "/bb", 10, 0);
    send(&stage, "/b/never", 10, 0);
    stage.v2.wait_for(20, PATIENCE);

    // v1's status is not read by this run, so that nothing changes: nor does the sample.
    config.write(&format!("{base}only = [\"status == 200\"]\npercent = 0\n"));
    mirror.process.signal(Signal::HUP);
    mirror.wait_stderr("which this run does not read since it was started without", PATIENCE);
    send(&stage, "/b/still", 10, 0);
    stage.v2.wait_for(30, PATIENCE);

    config.write(&format!("{base}percent = 0\n"));
    mirror.process.signal(Signal::HUP);
    mirror.wait_stderr("percent is now 0 (was -)", PATIENCE);
    mirror.wait_stderr("only is now - (was path ^= /b)", PATIENCE);
    send(&stage, "/b", 10, 0);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/captured"), 80, "{:#}", ledger.0);
    assert_eq!(ledger.count("/requests/refused/filtered"), 40, "{:#}", ledger.0);
    assert_eq!(ledger.count("/requests/refused/sampled_out"), 10);
    assert_eq!(ledger.count("/targets/0/answered/2xx"), 30);
    let received = stage.v2.requests();
    let of = |path: &str| received.iter().filter(|r| r.target.starts_with(path)).count();
    assert_eq!((of("/a"), of("/a/never"), of("/b/never"), of("/b/still")), (10, 0, 10, 10));
}

#[test]
fn requests_that_wait_for_v1s_status_are_judged_by_the_rules_that_come_meanwhile() {
    use std::io::Write;

    use crate::support::netns::Place;
    use crate::support::raw::{Next, RawServer};
    use crate::support::stage::{LOCALHOST, converse};

    crate::support::require_root();
    // v1 answers once it is let.
    let (go_tx, go_rx) = std::sync::mpsc::channel::<()>();
    let go_rx = std::sync::Mutex::new(go_rx);
    let v1 = RawServer::start(LOCALHOST, move |asked| {
        go_rx.lock().expect("go").recv().ok();
        (&mut &*asked.stream).write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")?;
        Ok(Next::Close)
    });
    let v2 = crate::support::v2::V2::start(&Place::Host, LOCALHOST);
    let base = format!(
        "port = {}\nto = \"{}\"\ninterface = \"lo\"\njson = true\n",
        v1.addr.port(),
        v2.url()
    );
    let config = Config::new(&format!("{base}only = [\"status == 200\"]\n"));
    let mirror = capturing(Run::new(["mirror", "--config", config.path()]).start());
    let ask = |path: &str| {
        converse(&Place::Host, v1.addr, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask("/waits"));
        crate::support::wait_until("v1 has it", PATIENCE, || v1.taken().len() == 1);
        config.write(&format!("{base}only = [\"status == 404\"]\n"));
        mirror.process.signal(Signal::HUP);
        mirror.wait_stderr("only is now status == 404", PATIENCE);
        go_tx.send(()).expect("v1 waits");
        assert!(waiting.join().expect("an answer").starts_with("HTTP/1.1 404"));
    });
    v2.wait_for(1, PATIENCE);
    // Without such a rule nothing waits any more.
    config.write(&base);
    mirror.process.signal(Signal::HUP);
    mirror.wait_stderr("only is now -", PATIENCE);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask("/goes"));
        v2.wait_for(2, PATIENCE);
        go_tx.send(()).expect("v1 waits");
        waiting.join().expect("an answer");
    });
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/targets/0/answered/2xx"), 2, "{:#}", ledger.0);
    assert_eq!(ledger.total("/requests/refused"), 0);
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let stage = Stage::loopback();
    let base = config_of(&stage);
    let config = Config::new(&format!("{base}methods = \"POST\"\n"));
    let mirror = capturing(Run::new(["mirror", "--config", config.path()]).start());
    let pid = mirror.process.pid().as_raw_nonzero().to_string();
    for (text, why) in [
        ("methods = \"all\"\nambiguus = \"hold\"\n", "did you mean `ambiguous`?"),
        ("methods = \"get\"\n", "capitals"),
        ("methods = \"all\"\nmethods = \"all\"\n", "duplicate key"),
    ] {
        config.write(&format!("{base}{text}"));
        mirror.process.signal(Signal::HUP);
        mirror.wait_stderr(why, PATIENCE);
    }
    std::fs::remove_file(config.path()).expect("own file");
    mirror.process.signal(Signal::HUP);
    mirror.wait_stderr("cannot be read", PATIENCE);
    assert_eq!(mirror.process.stderr_so_far().matches("and nothing changed").count(), 4);
    assert_eq!(setting(&in_force(&mirror), "methods")["value"], "POST");
    send(&stage, "/get", 10, 0);
    send(&stage, "/post", 10, 100);
    stage.v2.wait_for(10, PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    ledger.assert_balanced();
    assert_eq!(ledger.count("/requests/refused/method_held_back"), 10);
    assert_eq!(ledger.count("/targets/0/answered/2xx"), 10);
    assert!(stage.v2.requests().iter().all(|request| request.method == "POST"));
    let gone = Run::new(["config", "show", "--pid", &pid]).finish(PATIENCE).expect_code(2);
    assert!(gone.stderr.contains(&pid), "{}", gone.stderr);
}

#[test]
fn what_runs_without_a_file_is_shown_too_and_its_secrets_are_not() {
    let stage = Stage::loopback();
    let to = stage.v2.url().replace("http://", "http://bob:hunter2@");
    let run = Run::new(["mirror", "-i", "lo", "-p", &stage.v1.port().to_string(), "--json"]);
    let mirror = capturing(run.args(["--to", &stage.v2.url(), "--proxy", &to]).start());
    let shown = in_force(&mirror);
    let object: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!((&object["command"], &object["config"]), (&"mirror".into(), &Value::Null));
    assert_eq!(setting(&shown, "proxy")["value"], stage.v2.url().replace("http://", "http://***@"));
    assert!(!shown.text().contains("hunter2"));
    mirror.terminate(PATIENCE).expect_code(0);
}
