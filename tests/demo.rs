//! `shadowtap demo` as a person runs it: live as root and with the file capability alone, recorded
//! without any right, interrupted in the middle.

use std::time::Duration;

use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::process::Finished;
use crate::support::shadowtap::Run;

/// The JSON object of `demo --json`, whose ledger sums and says that nothing was lost.
#[track_caller]
fn result(finished: &Finished) -> Value {
    let ledger = finished.ledger();
    ledger.assert_balanced();
    assert!(ledger.is_lossless(), "{:#}", ledger.0);
    serde_json::from_slice(&finished.stdout).expect("one JSON object and nothing else")
}

/// Asserts that v2 got exactly these requests, each marked, and v1 none that was.
#[track_caller]
fn assert_exact(result: &Value, requests: u64) {
    let demo = &result["demo"];
    assert_eq!(demo["exact"], true, "{demo:#}");
    assert_eq!(
        (&demo["same"], &demo["missing"], &demo["extra"]),
        (&requests.into(), &0.into(), &0.into())
    );
    for (service, marked) in [("v1", 0), ("v2", requests)] {
        let side = &demo[service];
        assert_eq!(side["requests"], requests, "{service}");
        assert_eq!(side["with_marker"], marked, "{service}");
        assert!(side["chunked"].as_u64() > Some(0), "{service}: {side}");
    }
    let payment = |key: &str| demo["payment"][key].as_str().expect(key).to_owned();
    assert!(payment("request_v2").contains("\r\nX-Shadowtap: "), "the marker is visible");
    assert!(!payment("request_v1").contains("X-Shadowtap"));
    assert!(payment("request_v1").starts_with("POST /pay HTTP/1.1\r\nHost: "));
    assert_ne!(payment("answer_v1"), payment("answer_v2"), "v2 is wrong in one field");
    let (captured, sent) = (&result["ledger"]["requests"], &result["ledger"]["targets"][0]);
    assert_eq!((&captured["captured"], &captured["queued"]), (&requests.into(), &requests.into()));
    assert_eq!(sent["answered"]["2xx"], requests);
}

#[test]
fn a_number_of_requests_out_of_range_is_refused() {
    for number in ["0", "100001", "many"] {
        let refused = Run::new(["demo", "--requests", number]).finish(PATIENCE).expect_code(2);
        assert!(refused.stderr.contains("--requests"), "{}", refused.stderr);
    }
}

mod privileged {
    use rustix::process::Signal;

    use super::*;
    use crate::support::shadowtap::User;
    use crate::support::{alone, require_root};

    /// Long enough for 300 requests at the demo's rate on a loaded machine.
    const LIVE: Duration = Duration::from_secs(20);

    #[test]
    fn live_v2_gets_exactly_what_v1_got() {
        require_root();
        let _alone = alone();
        let run = Run::new(["demo", "--json", "--requests", "300"]);
        let result = result(&run.finish(LIVE).expect_code(0));
        assert_exact(&result, 300);
        let demo = &result["demo"];
        assert_eq!((&demo["live"], &demo["finished"]), (&true.into(), &true.into()));
        // The client has seen answers of v1 and of nobody else.
        assert_eq!(
            demo["client"],
            serde_json::json!({"answers": {"payments/1": 300}, "errors": 0})
        );
    }

    #[test]
    fn the_page_tells_it_to_a_person() {
        let _alone = alone();
        let run = Run::new(["demo", "--requests", "100"]).user(User::NetRaw);
        let finished = run.finish(LIVE).expect_code(0);
        let page = finished.text();
        for text in [
            "live on the loopback interface",
            "$ shadowtap mirror -i lo -p ",
            "100 answers to its requests: 100 signed `Server: payments/1`, 0 by anyone else",
            "+ X-Shadowtap: ",
            "`fee` differs: ",
            "0 lost",
        ] {
            assert!(page.contains(text), "no {text:?} in\n{page}");
        }
        let last = page.lines().last();
        let verdict = "EXACT: v2 got the 100 requests that v1 got, none missing, none extra";
        assert!(last.is_some_and(|line| line.starts_with(verdict)), "{page}");
        let widest = page.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{widest:?} columns:\n{page}");
    }

    #[test]
    fn without_the_right_it_says_so_and_shows_a_recording() {
        let run = |args: &[&str]| Run::new(args).user(User::NoRights).finish(LIVE).expect_code(0);
        let finished = run(&["demo", "--json"]);
        let result = result(&finished);
        assert_exact(&result, 60);
        assert_eq!(result["demo"]["live"], false);
        assert!(result["demo"]["client"].is_null(), "no client runs");
        let stderr = &finished.stderr;
        assert!(stderr.contains("no permission to capture from lo"), "{stderr}");
        assert!(stderr.contains("sudo setcap cap_net_raw+p /"), "{stderr}");
        assert!(stderr.contains("shown from a recording, not live"), "{stderr}");
        let page = run(&["demo"]).text();
        assert!(page.contains("from a RECORDING: nothing below was captured live"), "{page}");
        assert!(page.contains("EXACT: v2 got the 60 requests"), "{page}");
    }

    #[test]
    fn an_interrupt_ends_it_cleanly_with_the_ledger() {
        require_root();
        let run = Run::new(["demo", "--json", "--requests", "100000"]).start();
        run.wait_stderr("the client sends 100000 requests", PATIENCE);
        run.process.signal(Signal::INT);
        let finished = run.finish(LIVE).expect_code(130);
        let result = result(&finished);
        assert_eq!(result["demo"], serde_json::json!({"finished": false}));
    }
}
