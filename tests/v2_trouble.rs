//! A v2 that answers in odd ways, closes, resets or restarts in the middle of a run: nothing stalls,
//! everything is counted, and memory stays flat, in a short run here and for ten minutes in
//! `scripts/show-endurance.sh`.

/// Needs root: captures live.
mod privileged {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use crate::support::ledger::Ledger;
    use crate::support::load::{Load, Sent};
    use crate::support::netns::Place;
    use crate::support::raw::{Next, RawServer};
    use crate::support::request::exact;
    use crate::support::shadowtap::{Run, Shadowtap};
    use crate::support::stage::{
        LOCALHOST, Stage, assert_all_answered, capturing, report, setting,
    };
    use crate::support::v2::{Behaviour, V2};
    use crate::support::{PATIENCE, alone, require_root, wait_until};

    /// Requests in each case, at 1,000 a second.
    const COUNT: usize = 1_000;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    /// An address for a v2 that goes and comes back: outside the ports that others are given meanwhile, for
    /// one of them could be a connection to v2 itself.
    #[track_caller]
    fn lasting_address() -> SocketAddr {
        let free = |port: &u16| TcpListener::bind((LOCALHOST, *port)).is_ok();
        // Another run of these tests begins to look elsewhere: its v2 may just be gone.
        let from = 20_000 + std::process::id() as u16 % 100 * 100;
        SocketAddr::new(LOCALHOST, (from..32_000).find(free).expect("a free port"))
    }

    /// At normal priority: whether it gets the CPU is not the question here.
    fn mirror(stage: &Stage, args: &[&str]) -> Shadowtap {
        let run = stage.mirror().args(["--methods", "all", "--priority", "normal"]);
        capturing(run.args(args).start())
    }

    /// The load while v2 behaves so.
    #[track_caller]
    fn under(stage: &Stage, behaviour: Behaviour) -> (Sent, Ledger) {
        stage.v2.behave(behaviour);
        let mirror = mirror(stage, &["--max-lag", "1m", "--drain", "30s"]);
        let sent = Load { count: COUNT, ..stage.load() }.run().expect_no_errors();
        let ledger = mirror.terminate(PATIENCE + PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert!(ledger.is_lossless(), "{:#}", ledger.0);
        assert_eq!(ledger.count("/requests/captured"), COUNT as u64);
        (sent, ledger)
    }

    /// Long before they have been idle for 60 s.
    #[test]
    fn connections_to_v2_close_with_those_of_v1s_clients() {
        let _alone = alone();
        let stage = Stage::loopback();
        let mirror = mirror(&stage, &[]);
        let connect = || TcpStream::connect(stage.v1.addr()).expect("v1 accepts");
        let ask = |mut stream: &TcpStream| {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: v1\r\n\r\n").expect("v1 reads");
            assert!(stream.read(&mut [0; 512]).expect("v1 answers") > 0);
        };
        let stays = connect();
        ask(&stays);
        for _ in 0..50 {
            ask(&connect());
        }
        stage.v2.wait_for(51, PATIENCE);
        wait_until("one is left", PATIENCE, || stage.v2.open() == 1);
        ask(&stays);
        stage.v2.wait_for(52, PATIENCE);
        assert_eq!(stage.v2.connections(), 51, "the one that stays was kept");
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        assert_all_answered(&ledger, 52);
    }

    #[test]
    fn one_v2_that_hangs_takes_nothing_from_another() {
        let _alone = alone();
        let stage = Stage::loopback();
        let hung = V2::start(&Place::Host, LOCALHOST);
        hung.behave(Behaviour::Hang(Duration::from_secs(3600)));
        let args = ["--queue", "600", "--max-lag", "1h", "--timeout", "1h", "--drain", "1s"];
        let mirror = mirror(&stage, &[&["--to", &hung.url()][..], &args].concat());
        Load { count: COUNT, ..stage.load() }.run().expect_no_errors();
        stage.v2.wait_for(COUNT, PATIENCE);
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        let all = COUNT as u64;
        assert_eq!(ledger.count("/requests/queued"), all, "{:#}", ledger.0);
        assert_eq!(ledger.count("/targets/0/answered/2xx"), all, "{:#}", ledger.0);
        assert_eq!(ledger.count("/targets/1/shed/queue_full"), all - 600, "{:#}", ledger.0);
    }

    #[test]
    fn an_answer_in_pieces_of_one_byte_is_an_answer() {
        let _alone = alone();
        let stage = Stage::loopback();
        let (sent, ledger) = under(&stage, Behaviour::ByteByByte);
        exact(&sent.requests, &stage.v2.requests());
        assert_all_answered(&ledger, COUNT);
    }

    /// What was read of the answer before the reset is lost now and then: then no answer has begun.
    #[test]
    fn a_reset_within_the_answer_is_counted_as_such() {
        let _alone = alone();
        let stage = Stage::loopback();
        let (sent, ledger) = under(&stage, Behaviour::ResetWithinAnswer);
        exact(&sent.requests, &stage.v2.requests());
        let causes = ["broken_answer", "reset"].map(|c| format!("/targets/0/failed/{c}"));
        let failed = causes.each_ref().map(|cause| ledger.count(cause));
        assert_eq!(failed.iter().sum::<u64>(), COUNT as u64, "{:#}", ledger.0);
        assert!(failed[0] > 0, "{failed:?}");
    }

    /// v2 closes each connection while it is idle and says nothing: the next request goes on a new one.
    #[test]
    fn a_connection_closed_while_idle_costs_no_request() {
        const ROUNDS: usize = 50;
        let _alone = alone();
        require_root();
        let v1 = RawServer::start(LOCALHOST, |asked| {
            let mut stream = asked.stream;
            stream.write_all(OK).map(|()| Next::Go)
        });
        let v2 = V2::start(&Place::Host, LOCALHOST);
        v2.behave(Behaviour::AnswerAndClose);
        let port = v1.addr.port().to_string();
        let args = ["mirror", "-i", "lo", "-p", &port, "--to", &v2.url(), "--json"];
        let mirror = capturing(Run::new(args).args(["--priority", "normal"]).start());
        let mut client = TcpStream::connect(v1.addr).expect("v1 accepts");
        for round in 0..ROUNDS {
            let text = format!("GET /idle/{round} HTTP/1.1\r\nHost: v1\r\n\r\n");
            client.write_all(text.as_bytes()).expect("v1 reads");
            client.read_exact(&mut [0; OK.len()]).expect("v1 answers");
            v2.wait_for(round + 1, PATIENCE);
            wait_until("v2 has closed", PATIENCE, || v2.open() == 0);
        }
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        assert_all_answered(&ledger, ROUNDS);
        assert_eq!(v2.connections(), ROUNDS);
    }

    /// Gone for a while, and back on the same port.
    #[test]
    fn a_restart_in_the_middle_costs_what_comes_meanwhile_and_no_more() {
        let _alone = alone();
        let stage = Stage::loopback();
        let addr = lasting_address();
        let first = V2::start_on(&stage.here, addr);
        let run = stage.mirror_to(&first.url()).args(["--methods", "all", "--priority", "normal"]);
        let mirror = capturing(run.args(["--max-lag", "1m", "--breaker", "0"]).start());
        let load = Load { count: COUNT, ..stage.load() };
        let mut sent = load.run().expect_no_errors().requests;
        first.wait_for(COUNT, PATIENCE);
        exact(&sent, &first.requests());
        let meanwhile = std::thread::scope(|scope| {
            let meanwhile =
                scope.spawn(|| Load { prefix: "/meanwhile".into(), ..load.clone() }.run());
            first.wait_for(COUNT + COUNT / 4, PATIENCE);
            drop(first);
            meanwhile.join().expect("the client does not panic").expect_no_errors()
        });
        // The last of them have failed, or are on their way to do so, when v2 is back.
        let again = V2::start_on(&stage.here, addr);
        let after = Load { prefix: "/after".into(), ..load }.run().expect_no_errors();
        sent.extend(meanwhile.requests);
        sent.extend(after.requests.iter().cloned());
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        assert_eq!(ledger.count("/requests/queued"), sent.len() as u64);
        let after_at_v2: Vec<_> =
            again.requests().into_iter().filter(|r| r.target.starts_with("/after")).collect();
        exact(&after.requests, &after_at_v2);
        let failed = ledger.total("/targets/0/failed");
        let causes = ["refused", "reset", "broken_answer", "connect"];
        let known: u64 =
            causes.iter().map(|c| ledger.count(&format!("/targets/0/failed/{c}"))).sum();
        assert_eq!(failed, known, "{:#}", ledger.0);
        assert!(failed > 0 && failed < COUNT as u64, "{failed}");
        assert_eq!(ledger.count("/targets/0/answered/2xx") + failed, sent.len() as u64);
    }

    /// Nothing is asked of it in vain meanwhile, and a request now and then finds out that it is back.
    #[test]
    fn a_v2_taken_for_dead_is_found_again() {
        let _alone = alone();
        let stage = Stage::loopback();
        let addr = lasting_address();
        let run = stage.mirror_to(&format!("http://{addr}"));
        let run = run.args(["--methods", "all", "--priority", "normal", "--breaker", "10"]);
        let mirror = capturing(run.start());
        let mut count = 200;
        Load { count, ..stage.load() }.run().expect_no_errors();
        let v2 = V2::start_on(&stage.here, addr);
        let one = Load { count: 1, connections: 1, ..stage.load() };
        wait_until("an answer", PATIENCE, || {
            count += one.run().expect_no_errors().requests.len();
            !v2.requests().is_empty()
        });
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        ledger.assert_balanced();
        let refused = ledger.count("/targets/0/failed/refused");
        let spared = ledger.count("/targets/0/shed/breaker");
        let answered = ledger.count("/targets/0/answered/2xx");
        assert_eq!(refused + spared + answered, count as u64, "{:#}", ledger.0);
        assert!(refused >= 10 && spared > 0 && answered > 0, "{:#}", ledger.0);
    }

    /// What v2 does in turn, each for a tenth of a warm-up; `None` is a v2 that is gone.
    const TROUBLE: [Option<Behaviour>; 10] = [
        Some(Behaviour::Answer),
        Some(Behaviour::ByteByByte),
        Some(Behaviour::AnswerAndClose),
        Some(Behaviour::Hang(Duration::from_millis(200))),
        Some(Behaviour::ResetWithinAnswer),
        None,
        Some(Behaviour::Slow(Duration::from_millis(5))),
        Some(Behaviour::ResetOnAccept),
        Some(Behaviour::Garbage),
        Some(Behaviour::CutAnswer),
    ];

    /// How much resident memory may grow behind the warm-up, a fifth of the run: two minutes of ten.
    const FLAT_KIB: u64 = 5 * 1024;

    /// All troubles in turn, five times over.
    #[test]
    fn show_endurance_memory_stays_flat_whatever_v2_does() {
        let _alone = alone();
        let seconds = setting("SHADOWTAP_SECONDS", 15);
        let rate = setting("SHADOWTAP_RATE", 1_400);
        let stage = Stage::loopback();
        let addr = lasting_address();
        let run =
            stage.mirror_to(&format!("http://{addr}")).args(["--methods", "all", "--drain", "1m"]);
        // Without the breaker, which would spare it most of this.
        let args = ["--timeout", "100ms", "--max-lag", "1m", "--breaker", "0"];
        let mirror = capturing(run.args(["--priority", "normal"]).args(args).start());
        let rate = u32::try_from(rate).expect("a rate");
        let count = seconds * rate as usize;
        let load = Load { count, rate, max_body: 2_000, ..stage.load() };
        let samples = std::thread::scope(|scope| {
            let sent = scope.spawn(|| load.run().expect_no_errors());
            let samples = trouble(&stage, addr, &mirror, Duration::from_secs(seconds as u64));
            assert_eq!(sent.join().expect("the client does not panic").requests.len(), count);
            samples
        });
        let ledger = mirror.terminate(PATIENCE * 3).expect_code(0).ledger();
        ledger.assert_balanced();
        assert!(ledger.is_lossless(), "{:#}", ledger.0);
        assert_eq!(ledger.count("/requests/captured"), count as u64);
        let failed = ["refused", "reset", "broken_answer", "timeout", "invalid_answer"];
        for cause in failed {
            assert!(
                ledger.count(&format!("/targets/0/failed/{cause}")) > 0,
                "{cause}: {:#}",
                ledger.0
            );
        }
        let (warm, rest) = samples.split_at(samples.len() / 5);
        let peak = |samples: &[u64]| samples.iter().copied().max().unwrap_or_default();
        let (before, after) = (peak(warm), peak(rest));
        report(&format!(
            "endurance: {count} requests in {seconds} s, {} answered, {} failed, {} shed; RSS at most {before} KiB \
             in the first fifth, {after} KiB behind it",
            ledger.total("/targets/0/answered"),
            ledger.total("/targets/0/failed"),
            ledger.total("/targets/0/shed") + ledger.total("/requests/refused"),
        ));
        assert!(after <= before + FLAT_KIB, "RSS grew from {before} KiB to {after} KiB");
    }

    /// Plays the troubles for so long. Gives resident memory in KiB, at even intervals, and shows it every
    /// ten seconds.
    fn trouble(stage: &Stage, addr: SocketAddr, mirror: &Shadowtap, length: Duration) -> Vec<u64> {
        let turns = u32::try_from(5 * TROUBLE.len()).expect("few");
        let start = Instant::now();
        let mut samples = Vec::new();
        let mut shown = 0;
        for (turn, behaviour) in (1..=turns).zip(TROUBLE.iter().cycle()) {
            let v2 = behaviour.map(|behaviour| {
                let v2 = V2::start_on(&stage.here, addr);
                v2.behave(behaviour);
                v2
            });
            let end = start + length / turns * turn;
            while Instant::now() < end {
                // Pacing: how often it is looked at.
                std::thread::sleep(Duration::from_millis(50));
                samples.push(mirror.process.rss_kib());
                let now = start.elapsed().as_secs();
                if now / 10 > shown {
                    shown = now / 10;
                    let rss = samples.last().copied().unwrap_or_default();
                    report(&format!("{now:>4} s  RSS {rss} KiB  {behaviour:?}"));
                }
            }
            drop(v2);
        }
        samples
    }
}
