//! The exact set: what v2 received is what stands in v1's access log, none missing, extra or twice.
//!
//! The tests named `show_` are the show on a larger scale too, see `scripts/show-mirror.sh`.

use crate::support::load::Load;
use crate::support::netns::Pod;
use crate::support::nginx::Nginx;
use crate::support::request::exact;
use crate::support::shadowtap::Run;
use crate::support::stage::{
    Stage, assert_all_answered, assert_logged, capturing, patience_for, report,
};
use crate::support::v2::V2;
use crate::support::{PATIENCE, alone};

/// Mirrors the load, and compares v2, v1's log, the client and the ledger.
#[track_caller]
fn mirrors_exactly(name: &str, stage: &Stage, load: &Load) {
    let mirror = capturing(stage.mirror().args(["--methods", "all"]).start());
    let sent = load.run().expect_no_errors();
    let log = stage.v1.log_of(load.count, PATIENCE);
    stage.v2.wait_for(load.count, patience_for(load.count));
    let (cpu, rss) = (mirror.process.cpu(), mirror.process.rss_kib());
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    assert_logged(&sent, &log);
    exact(&sent.requests, &stage.v2.requests());
    assert_all_answered(&ledger, log.len());
    assert_eq!(stage.v1.errors(), "");
    let posts = || log.iter().filter(|l| l.method == "POST");
    report(&format!(
        "{name}: {} requests in {:.1} s ({} POST, {} of them chunked, the largest {} bytes); v2 received {}, \
         the ledger captured {}, lossless {}; v1 answered at the median in {:?}, 99% in {:?}; \
         shadowtap used {cpu:.2?} of CPU and {rss} KiB",
        log.len(),
        sent.took.as_secs_f64(),
        posts().count(),
        posts().filter(|l| l.content_length.is_none()).count(),
        log.iter().map(|l| l.request_length).max().unwrap_or_default(),
        stage.v2.requests().len(),
        ledger.count("/requests/captured"),
        ledger.is_lossless(),
        sent.latency(0.5),
        sent.latency(0.99),
    ));
}

#[test]
fn show_loopback_v2_receives_exactly_what_v1_was_asked() {
    let _alone = alone();
    let stage = Stage::loopback();
    mirrors_exactly("loopback", &stage, &stage.sized_load(5_000, 1_500));
}

#[test]
fn show_veth_v2_receives_exactly_what_v1_was_asked() {
    let _alone = alone();
    let stage = Stage::veth();
    mirrors_exactly("veth", &stage, &stage.sized_load(5_000, 1_500));
}

/// As a sidecar runs: no interface named, configured by the environment, clients near and far, over
/// both IP versions.
#[test]
fn a_sidecar_on_any_sees_each_request_once() {
    let _alone = alone();
    let pod = Pod::new();
    let (ip, ip6) = (pod.pod.ip.into(), pod.pod.ip6.into());
    let v1 = Nginx::start(&pod.pod.place, &[ip, ip6]);
    let v2 = V2::start(&pod.v2.place, pod.v2.ip6.into());
    let run = Run::new(["mirror", "--json"]).place(&pod.pod.place);
    let run = run.env("SHADOWTAP_PORT", &v1.port().to_string());
    let run = run.env("SHADOWTAP_TO", &v2.url()).env("SHADOWTAP_METHODS", "all");
    let mirror = capturing(run.start());
    let mut sent = Vec::new();
    for (number, place) in [&pod.client.place, &pod.pod.place].into_iter().enumerate() {
        for &to in &v1.addrs {
            let prefix = format!("/{number}/{}", u8::from(to.is_ipv6()));
            let load = Load { place: place.clone(), prefix, count: 300, ..Load::new(to) };
            sent.extend(load.run().expect_no_errors().requests);
        }
    }
    v2.wait_for(sent.len(), PATIENCE);
    let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
    exact(&sent, &v2.requests());
    assert_eq!(v1.log_of(sent.len(), PATIENCE).len(), sent.len());
    assert_all_answered(&ledger, sent.len());
}
