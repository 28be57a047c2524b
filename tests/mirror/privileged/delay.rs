//! The delay from a request's last packet to its arrival at v2, when nothing else goes on.
//!
//! Two witnesses on one clock: tcpdump's time of the packet with the request, and the recording
//! server's time of its first byte. What v2's thread takes to wake up is in the figure. On a shared machine it
//! says little; `scripts/show-delay.sh` measures a release build.

use std::collections::HashMap;
use std::time::Duration;

use crate::support::load::Load;
use crate::support::stage::{Stage, capturing, patience_for, report, setting};
use crate::support::tcpdump::{Capture, Tcpdump};
use crate::support::{PATIENCE, alone};

/// Packet time in nanoseconds of each request, by its target. Each request is one packet.
#[track_caller]
fn packet_times(capture: &Capture) -> HashMap<String, u64> {
    let mut file = pcap::Capture::from_file(&capture.file).expect("the capture");
    let mut times = HashMap::new();
    while let Ok(packet) = file.next_packet() {
        let Some(at) = memchr::memmem::find(packet.data, b"GET /") else { continue };
        let line = packet.data[at + 4..].split(|&b| b == b' ').next().unwrap_or_default();
        let target = String::from_utf8_lossy(line).into_owned();
        let time = packet.header.ts;
        let nanos = time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
        times.insert(target, nanos);
    }
    times
}

/// Sends requests far apart and gives their delays, sorted.
#[track_caller]
fn delays(stage: &Stage) -> Vec<Duration> {
    let count = setting("SHADOWTAP_DELAYS", 50);
    let filter = format!("tcp dst port {}", stage.v1.port());
    let tcpdump = Tcpdump::start(&stage.here, stage.interface, &filter, stage.neighbour);
    let mirror = capturing(stage.mirror().start());
    // 29 a second: no multiple of any timer's period.
    let load = Load { count, rate: 29, connections: 1, posts_percent: 0, ..stage.load() };
    load.run().expect_no_errors();
    stage.v2.wait_for(count, patience_for(count));
    mirror.terminate(PATIENCE).expect_code(0).ledger().assert_balanced();
    let times = packet_times(&tcpdump.stop());
    let mut delays: Vec<_> = stage
        .v2
        .received()
        .iter()
        .map(|received| {
            let sent = times.get(&received.request.target).expect("its packet");
            Duration::from_nanos(received.at_ns.checked_sub(*sent).expect("v2 after v1"))
        })
        .collect();
    delays.sort_unstable();
    assert_eq!(delays.len(), count);
    delays
}

#[test]
fn show_delay_is_far_below_that_of_batched_capture() {
    let _alone = alone();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    for (name, stage) in [("loopback", Stage::loopback()), ("veth", Stage::veth())] {
        let delays = delays(&stage);
        let quantile = |q: f64| delays[((delays.len() - 1) as f64 * q) as usize];
        report(&format!(
            "delay to v2, idle, {name}: p50 {:?}, p90 {:?}, p99 {:?}, largest {:?} of {} (Linux {})",
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            quantile(1.0),
            delays.len(),
            kernel.trim(),
        ));
        // Not the promise, which a loaded machine cannot keep: only that nothing waits for a timer
        // that it should not wait for.
        assert!(quantile(0.5) < Duration::from_millis(50), "{name}: {delays:?}");
    }
}
