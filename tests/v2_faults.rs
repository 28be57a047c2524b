//! A v2 that refuses, resets, hangs or talks nonsense: v1 does not notice, memory stays flat, and every
//! request is in a bucket that names the cause.

/// Needs root: captures live.
mod privileged {
    use std::time::Duration;

    use crate::support::ledger::Ledger;
    use crate::support::load::Load;
    use crate::support::request::exact;
    use crate::support::shadowtap::Shadowtap;
    use crate::support::stage::{LOCALHOST, Stage, assert_logged, capturing, setting};
    use crate::support::v2::{Behaviour, Refusing};
    use crate::support::{PATIENCE, alone, wait_until};

    /// Requests in each case, at 1,000 a second.
    const COUNT: usize = 1_000;

    /// What a mirror may hold beside its bounded queues: those of a quiet one are about 76 MB, of which
    /// 64 MB are the capture ring.
    const FLAT_KIB: u64 = 40 * 1024;

    /// A load of bodies up to 200 KB while v2 misbehaves: v1's answers and log are complete, memory
    /// stays within bounds, all sums hold, nothing was lost on the way in.
    #[track_caller]
    fn v1_does_not_notice(stage: &Stage, to: &str, args: &[&str]) -> Ledger {
        let run = stage.mirror_to(to).args(["--methods", "all"]).args(args);
        let mirror = capturing(run.start());
        let before = mirror.process.rss_kib();
        let count = setting("SHADOWTAP_REQUESTS", COUNT);
        let sent = Load { count, ..stage.load() }.run().expect_no_errors();
        assert_logged(&sent, &stage.v1.log_of(count, PATIENCE));
        let grown = mirror.process.rss_kib().saturating_sub(before);
        assert!(grown < FLAT_KIB, "memory grew by {grown} KiB from {before} KiB");
        assert!(is_up(&mirror), "it gave up");
        let ledger = mirror.terminate(PATIENCE + PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert!(ledger.is_lossless(), "{:#}", ledger.0);
        assert_eq!(ledger.count("/requests/captured"), count as u64);
        ledger
    }

    fn is_up(mirror: &Shadowtap) -> bool {
        mirror.process.proc("status").contains("State:")
    }

    /// A reset may come before the connection counts as made or after it; both are named.
    #[track_caller]
    fn failed_by_reset(ledger: &Ledger) -> u64 {
        ledger.count("/targets/0/failed/reset") + ledger.count("/targets/0/failed/connect")
    }

    /// Every captured request was queued and failed for this cause.
    #[track_caller]
    fn assert_all_failed(ledger: &Ledger, cause: &str) {
        let failed = ledger.count(&format!("/targets/0/failed/{cause}"));
        assert_eq!(failed, ledger.count("/requests/queued"), "{cause}: {:#}", ledger.0);
        assert_eq!(failed, ledger.count("/requests/captured"), "{cause}: {:#}", ledger.0);
    }

    #[test]
    fn refused() {
        let _alone = alone();
        let stage = Stage::loopback();
        let nobody = Refusing::new(&stage.here, LOCALHOST);
        let to = format!("http://{}", nobody.addr);
        let ledger = v1_does_not_notice(&stage, &to, &["--breaker", "0"]);
        assert_all_failed(&ledger, "refused");
    }

    #[test]
    fn a_dead_v2_is_left_alone_but_for_probes() {
        let _alone = alone();
        let stage = Stage::loopback();
        let nobody = Refusing::new(&stage.here, LOCALHOST);
        let to = format!("http://{}", nobody.addr);
        let ledger = v1_does_not_notice(&stage, &to, &["--breaker", "10"]);
        let refused = ledger.count("/targets/0/failed/refused");
        let left_alone = ledger.count("/targets/0/shed/breaker");
        assert_eq!(refused + left_alone, ledger.count("/requests/captured"), "{:#}", ledger.0);
        // Ten until it breaks, those that were under way then, and the probes.
        assert!((10..200).contains(&refused), "{:#}", ledger.0);
    }

    #[test]
    fn unreachable() {
        let _alone = alone();
        // No such neighbour in the pod's network: connecting fails after --connect-timeout at the latest.
        let stage = Stage::veth();
        let args = ["--connect-timeout", "20ms", "--timeout", "5s", "--breaker", "0"];
        let ledger = v1_does_not_notice(&stage, "http://10.77.0.99:80", &args);
        assert_all_failed(&ledger, "connect");
    }

    #[test]
    fn reset_as_soon_as_accepted() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::ResetOnAccept);
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &["--breaker", "0"]);
        assert_eq!(failed_by_reset(&ledger), ledger.count("/requests/captured"), "{:#}", ledger.0);
        assert_eq!(stage.v2.requests().len(), 0);
    }

    #[test]
    fn reset_in_place_of_an_answer() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::ResetAfterRequest);
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &[]);
        assert_all_failed(&ledger, "reset");
    }

    #[test]
    fn garbage() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::Garbage);
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &[]);
        assert_all_failed(&ledger, "invalid_answer");
    }

    #[test]
    fn an_answer_cut_off() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::CutAnswer);
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &[]);
        assert_all_failed(&ledger, "broken_answer");
    }

    #[test]
    fn hanging_for_longer_than_the_timeout() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::Hang(Duration::from_secs(30)));
        let args = ["--timeout", "100ms", "--drain", "1m"];
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &args);
        assert_all_failed(&ledger, "timeout");
    }

    /// With the defaults of timeout and queue: what does not get its turn waits, within the queue.
    #[test]
    fn hanging_for_longer_than_the_run() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::Hang(Duration::from_secs(3600)));
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &["--drain", "100ms"]);
        // One at a time for each of v1's connections: the order within a connection is kept.
        let connections = stage.load().connections as u64;
        assert_eq!(ledger.count("/targets/0/shed/cut_off"), connections);
        let waited = ledger.count("/requests/queued") - connections;
        assert_eq!(ledger.count("/targets/0/shed/drain_deadline"), waited);
    }

    #[test]
    fn overload_sheds_the_newest_by_name_and_bounds_what_waits() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::Hang(Duration::from_secs(3600)));
        let args = ["--queue", "8", "--concurrency", "4", "--drain", "100ms"];
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &args);
        assert_eq!(ledger.count("/requests/queued"), 8, "{:#}", ledger.0);
        let shed = ledger.count("/requests/refused/shed_queue_full");
        assert_eq!(shed, ledger.count("/requests/captured") - 8);
        assert_eq!(ledger.count("/targets/0/shed/cut_off"), 4);
        assert_eq!(ledger.count("/targets/0/shed/drain_deadline"), 4);
        assert_eq!(stage.v2.requests().len(), 4);
    }

    #[test]
    fn bytes_that_wait_are_bounded_too() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::Hang(Duration::from_secs(3600)));
        let args = ["--queue-bytes", "64KiB", "--concurrency", "2", "--drain", "100ms"];
        let ledger = v1_does_not_notice(&stage, &stage.v2.url(), &args);
        let queued = ledger.count("/requests/queued");
        assert!(queued < 600, "{queued} in 64 KiB");
        let shed = ledger.count("/requests/refused/shed_queue_full");
        assert_eq!(shed, ledger.count("/requests/captured") - queued);
    }

    #[test]
    fn a_v2_that_comes_back_gets_what_comes_then() {
        let _alone = alone();
        let stage = Stage::loopback();
        stage.v2.behave(Behaviour::ResetOnAccept);
        let mirror = capturing(stage.mirror().args(["--methods", "all", "--breaker", "0"]).start());
        let load = Load { count: 100, prefix: "/before".into(), ..stage.load() };
        load.run().expect_no_errors();
        // Every copy of the first load has failed when v2 has refused a connection for each.
        wait_until("100 resets", PATIENCE, || stage.v2.connections() >= 100);
        stage.v2.behave(Behaviour::Answer);
        let load = Load { prefix: "/after".into(), ..load };
        let sent = load.run().expect_no_errors();
        stage.v2.wait_for(100, PATIENCE);
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        exact(&sent.requests, &stage.v2.requests());
        assert_eq!(failed_by_reset(&ledger), 100);
        assert_eq!(ledger.count("/targets/0/answered/2xx"), 100);
    }
}
