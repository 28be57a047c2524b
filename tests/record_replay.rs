//! `record`, then `inspect` and `replay`: what was live is in the file, and comes out of it as it was.
//!
//! The recording is compared with a tcpdump of the same traffic, with v1's access log, and with what the
//! client knows; warcio, the reference reader, must accept it.

/// Needs root: captures live.
mod privileged {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use rustix::process::Signal;
    use serde_json::Value;
    use tempfile::TempDir;

    use crate::support::fixtures;
    use crate::support::load::Load;
    use crate::support::process::Finished;
    use crate::support::request::{Request, exact};
    use crate::support::shadowtap::Run;
    use crate::support::stage::{
        Stage, assert_all_answered, assert_logged, capturing, patience_for, report,
    };
    use crate::support::tcpdump::{Capture, Tcpdump};
    use crate::support::{PATIENCE, alone};

    /// A recording, the packets of the same traffic, and what was asked.
    struct Recorded {
        file: PathBuf,
        packets: Capture,
        sent: Vec<Request>,
        finished: Finished,
        _dir: TempDir,
    }

    impl Recorded {
        fn name(&self) -> &str {
            self.file.to_str().expect("UTF-8")
        }
    }

    fn record(stage: &Stage, file: &Path) -> Run {
        let port = stage.v1.port().to_string();
        let run = Run::new(["record", "-i", stage.interface, "-p", &port, "--json", "-o"]);
        run.args([file]).place(&stage.here)
    }

    /// Records the load, one request after the other on each connection, to a file of its own.
    #[track_caller]
    fn recorded(stage: &Stage) -> Recorded {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("traffic.warc");
        let filter = format!("tcp port {}", stage.v1.port());
        let tcpdump = Tcpdump::start(&stage.here, stage.interface, &filter, stage.neighbour);
        let recorder = capturing(record(stage, &file).start());
        let load = stage.sized_load(2_000, 1_000);
        let sent = load.run().expect_no_errors();
        assert_logged(&sent, &stage.v1.log_of(load.count, PATIENCE));
        let packets = tcpdump.stop();
        let finished = recorder.terminate(PATIENCE).expect_code(0);
        Recorded { file, packets, sent: sent.requests, finished, _dir: dir }
    }

    /// What `inspect` lists in a file, responses included, each message under its connection and
    /// number; `conn` (numbered anew by each reader) and packet times (two clocks' roundings) left out.
    #[track_caller]
    fn listed(file: &str) -> BTreeMap<(String, String, u64), Value> {
        let run = Run::new(["inspect", file, "--json", "--responses"]);
        let messages = fixtures::json_lines(&run.finish(PATIENCE).expect_code(0).stdout);
        let text = |message: &Value, key: &str| message[key].as_str().expect("text").to_owned();
        let mut all = BTreeMap::new();
        for mut message in messages {
            let index = message["index"].as_u64().expect("its number");
            let key = (text(&message, "client"), text(&message, "kind"), index);
            let object = message.as_object_mut().expect("an object");
            object.remove("conn");
            object.remove("time_ns");
            assert!(all.insert(key.clone(), message).is_none(), "{key:?} twice");
        }
        all
    }

    #[track_caller]
    fn comes_out_as_it_was(stage: &Stage) {
        let recorded = recorded(stage);
        let count = recorded.sent.len() as u64;
        let ledger = recorded.finished.ledger();
        ledger.assert_balanced();
        assert!(ledger.is_lossless(), "{:#}", ledger.0);
        assert_eq!(ledger.count("/requests/captured"), count);
        assert_eq!(ledger.count("/recording/requests"), count, "{:#}", ledger.0);
        assert_eq!(ledger.count("/recording/responses"), count, "{:#}", ledger.0);
        assert_eq!(ledger.count("/recording/bytes"), recorded.file.metadata().expect("it").len());

        let of_file = listed(recorded.name());
        let of_packets = listed(recorded.packets.file.to_str().expect("UTF-8"));
        assert_eq!(of_file.len() as u64, 2 * count);
        assert_eq!(of_file.len(), of_packets.len());
        for (key, message) in &of_packets {
            assert_eq!(of_file.get(key), Some(message), "{key:?}");
        }
        let requests = of_file.values().filter(|m| m["kind"] == "request").map(fixtures::request);
        exact(&recorded.sent, &requests.collect::<Vec<_>>());

        let run = stage.replay(recorded.name()).finish(patience_for(recorded.sent.len()));
        let ledger = run.expect_code(0).ledger();
        exact(&recorded.sent, &stage.v2.requests());
        assert_all_answered(&ledger, recorded.sent.len());
        warcio_accepts(recorded.name());
        report(&format!(
            "recorded on {}: {count} requests and responses, {} MB; listed, replayed and accepted \
             by warcio, none missing, extra or twice",
            stage.interface,
            recorded.file.metadata().expect("it").len() / 1_000_000
        ));
    }

    #[track_caller]
    fn warcio_accepts(file: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/warcio.sh");
        let output = Command::new(script).args(["check", file]).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    }

    #[test]
    fn show_loopback_recorded_listed_and_replayed_exactly() {
        let _alone = alone();
        comes_out_as_it_was(&Stage::loopback());
    }

    #[test]
    fn show_veth_recorded_listed_and_replayed_exactly() {
        let _alone = alone();
        comes_out_as_it_was(&Stage::veth());
    }

    #[test]
    fn the_start_line_says_where_to_and_what_becomes_of_secrets() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let recorder = capturing(record(&stage, &file).start());
        recorder.process.signal(Signal::INT);
        let finished = recorder.finish(PATIENCE).expect_code(130);
        let start = finished.stderr.lines().next().unwrap_or_default();
        assert!(start.contains(file.to_str().expect("UTF-8")), "{start}");
        assert!(start.contains("are replaced by hashes with a random key"), "{start}");
        finished.ledger().assert_balanced();
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("mine");
        std::fs::write(&file, "precious").expect("own directory");
        let finished = record(&stage, &file).finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains("exists already"), "{}", finished.stderr);
        assert_eq!(std::fs::read(&file).expect("still there"), b"precious");
    }

    #[test]
    fn a_recording_that_could_not_begin_leaves_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let run = Run::new(["record", "-i", "nosuch0", "-p", "80", "-o"]).args([&file]);
        let finished = run.finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains("there is no interface"), "{}", finished.stderr);
        assert!(!file.exists(), "a file was left behind");
    }

    #[test]
    fn every_flag_can_come_from_the_environment() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let port = stage.v1.port().to_string();
        let filter = format!("port {port}");
        let mut run = Run::new(["record"]);
        for (name, value) in [
            ("SHADOWTAP_PORT", port.as_str()),
            ("SHADOWTAP_OUTPUT", file.to_str().expect("UTF-8")),
            ("SHADOWTAP_INTERFACE", "lo"),
            ("SHADOWTAP_FILTER", &filter),
            ("SHADOWTAP_SERVER", "127.0.0.1"),
            ("SHADOWTAP_RING", "8MiB"),
            ("SHADOWTAP_LIMIT", "5"),
            ("SHADOWTAP_DURATION", "1m"),
            ("SHADOWTAP_MAX_BODY", "1MiB"),
            ("SHADOWTAP_JSON", "true"),
        ] {
            run = run.env(name, value);
        }
        let recorder = capturing(run.start());
        Load { count: 20, ..stage.load() }.run().expect_no_errors();
        let ledger = recorder.finish(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/recording/requests"), 5, "{:#}", ledger.0);
    }

    #[test]
    fn a_limit_ends_it_with_so_many_requests_in_the_file() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let recorder = capturing(record(&stage, &file).args(["--limit", "10"]).start());
        let sent = Load { count: 50, connections: 1, ..stage.load() }.run().expect_no_errors();
        let ledger = recorder.finish(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/recording/requests"), 10);
        let listed = listed(file.to_str().expect("UTF-8"));
        let requests = listed.values().filter(|m| m["kind"] == "request").map(fixtures::request);
        exact(&sent.requests[..10], &requests.collect::<Vec<_>>());
    }

    #[test]
    fn unsafe_methods_of_a_recording_are_held_back_when_replayed() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc");
        let recorder = capturing(record(&stage, &file).start());
        let sent = Load { count: 60, ..stage.load() }.run().expect_no_errors();
        recorder.terminate(PATIENCE).expect_code(0).ledger().assert_balanced();
        let run = Run::new(["replay", file.to_str().expect("UTF-8"), "--to", &stage.v2.url()]);
        let finished = run.args(["--speed", "max"]).finish(PATIENCE).expect_code(0);
        let safe: Vec<_> = sent.requests.iter().filter(|r| r.method == "GET").cloned().collect();
        exact(&safe, &stage.v2.requests());
        let summary = format!("{} requests were held back by their method", 60 - safe.len());
        assert!(finished.text().contains(&summary), "{}", finished.text());
        assert!(finished.stderr.contains("--methods all"), "{}", finished.stderr);
    }
}
