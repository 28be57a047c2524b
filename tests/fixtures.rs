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
    for name in fixtures::names() {
        let listed = inspect(&format!("{name}.pcap"), &["--responses"]);
        for want in fixtures::expected(&name).iter().filter(|want| want["status"].is_u64()) {
            let request = listed.iter().find(|have| {
                have["kind"] == "request"
                    && have["client"] == want["client"]
                    && have["target"] == want["target"]
                    && have["method"] == want["method"]
                    && (want.get("index").is_none() || have["index"] == want["index"])
            });
            let request = request.unwrap_or_else(|| panic!("{name}: no request {want}"));
            let response = listed.iter().find(|have| {
                have["kind"] == "response"
                    && have["conn"] == request["conn"]
                    && have["request_index"] == request["index"]
                    && have["status"].as_u64().is_some_and(|status| status >= 200)
            });
            let response = response.unwrap_or_else(|| panic!("{name}: no response to {want}"));
            assert_eq!(response["status"], want["status"], "{name}: {want}");
        }
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
        // Received may be more: the kernel's own IPv6 messages have extension headers too.
        assert!(ledger.count("/packets/decoded") <= sent as u64, "more frames than were sent");
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
