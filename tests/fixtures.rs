//! Every capture in `fixtures/`, read from the file and put on a live wire, yields what the servers and clients
//! that made it knew.

use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::fixtures;
use crate::support::shadowtap::Run;

/// What `inspect --json` says of a file, with further arguments.
#[track_caller]
fn inspect(file: &str, args: &[&str]) -> Vec<serde_json::Value> {
    let path = fixtures::path(file);
    let mut all = vec!["inspect", "--json", path.to_str().expect("a path")];
    all.extend(args);
    let done = Run::new(all).finish(PATIENCE).expect_code(0);
    fixtures::json_lines(&done.stdout)
}

#[test]
fn every_fixture_yields_what_its_makers_knew() {
    let names = fixtures::names();
    assert!(names.len() >= 20, "fixtures are missing: {names:?}");
    for name in names {
        eprintln!("{name}");
        fixtures::assert_yields(&fixtures::expected(&name), &inspect(&format!("{name}.pcap"), &[]));
    }
    fixtures::assert_yields(&fixtures::expected("keepalive"), &inspect("keepalive.pcapng", &[]));
}

#[test]
fn ports_restrict_a_capture_to_their_servers() {
    let all = inspect("keepalive.pcap", &[]).len();
    assert_eq!(inspect("keepalive.pcap", &["-p", "8081"]).len(), all);
    assert_eq!(inspect("keepalive.pcap", &["-p", "8080,443"]), Vec::<serde_json::Value>::new());
}

#[test]
fn responses_are_paired_with_their_requests() {
    let statuses = |name: &str| -> Vec<u64> {
        fixtures::expected(name).iter().filter_map(|entry| entry["status"].as_u64()).collect()
    };
    for name in ["keepalive", "head-304", "pipelined"] {
        let messages = inspect(&format!("{name}.pcap"), &["--responses"]);
        let final_status = |request: &serde_json::Value| {
            let answer = messages.iter().find(|m| {
                m["kind"] == "response"
                    && m["conn"] == request["conn"]
                    && m["request_index"] == request["index"]
                    && m["status"].as_u64() >= Some(200)
            });
            answer.and_then(|m| m["status"].as_u64()).expect("every request here was answered")
        };
        let requests = messages.iter().filter(|m| m["kind"] == "request");
        let mut got: Vec<_> = requests.map(final_status).collect();
        let mut want = statuses(name);
        got.sort_unstable();
        want.sort_unstable();
        assert_eq!(got, want, "{name}");
    }
}

mod privileged {
    use super::*;
    use crate::support::netns::Pod;
    use crate::support::request::exact;
    use crate::support::v2::V2;

    /// Frames of a fixture on a live wire, through the program's own packet filter, to v2.
    #[track_caller]
    fn live(name: &str) {
        let pod = Pod::new();
        let machine = &pod.pod;
        pod.add_span();
        let v2 = V2::start(&pod.v2.place, pod.v2.ip.into());
        let args =
            ["mirror", "-p", "8080,8081", "-i", "span0", "--server", "any", "--methods", "all"];
        let mirror =
            Run::new(args).args(["--to", &v2.url(), "--json"]).place(&machine.place).start();
        mirror.wait_stderr("mirroring", PATIENCE);
        let expected = fixtures::requests(name);
        assert!(!expected.is_empty(), "{name} expects nothing");
        let sent = fixtures::inject(name, &pod.client.place, "span0");
        v2.wait_for(expected.len(), Duration::from_secs(10));
        let done = mirror.terminate(PATIENCE).expect_code(0);
        exact(&expected, &v2.requests());
        let ledger = crate::support::ledger::Ledger::parse(&done.stdout);
        ledger.assert_balanced();
        assert!(ledger.count("/packets/received") <= sent as u64, "more frames than were sent");
        assert_eq!(ledger.count("/requests/queued"), expected.len() as u64);
    }

    #[test]
    fn tagged_frames_pass_the_packet_filter() {
        live("vlan");
    }

    #[test]
    fn doubly_tagged_frames_pass_the_packet_filter() {
        live("qinq");
    }

    #[test]
    fn fragments_pass_the_packet_filter() {
        live("fragments");
    }

    #[test]
    fn extension_headers_pass_the_packet_filter() {
        live("ipv6-extension");
    }
}
