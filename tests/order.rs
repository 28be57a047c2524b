//! Order: on 200 connections each request depends on the one before, and v2 fails a connection that does
//! not keep to it.
//!
//! v2's own reckoning decides: a request must be the next of its captured connection, on the connection to
//! v2 that carried those before it, and nothing may have been sent behind it before it is answered.

/// Needs root: captures live.
mod privileged {
    use std::collections::HashMap;
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use crate::support::ledger::Ledger;
    use crate::support::raw::{Asked, Next, RawServer};
    use crate::support::shadowtap::Run;
    use crate::support::stage::{LOCALHOST, assert_all_answered, capturing, report};
    use crate::support::tcpdump::{Capture, Tcpdump};
    use crate::support::{PATIENCE, alone, require_root};

    const CONNECTIONS: usize = 200;
    const EACH: usize = 50;
    const ALL: usize = CONNECTIONS * EACH;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    fn answer(asked: &Asked<'_>) -> io::Result<Next> {
        let mut stream = asked.stream;
        stream.write_all(OK).map(|()| Next::Go)
    }

    /// How far each captured connection is: its local port at v2, and the number that must come next.
    type Steps = HashMap<String, (SocketAddr, usize)>;

    /// A v2 that answers after so long, and what went against the order.
    struct Strict {
        server: RawServer,
        faults: Arc<Mutex<Vec<String>>>,
    }

    impl Strict {
        fn start(delay: Duration) -> Self {
            let (steps, faults) = (Mutex::new(Steps::new()), Arc::new(Mutex::new(Vec::new())));
            let told = Arc::clone(&faults);
            let server = RawServer::start(LOCALHOST, move |asked| {
                // What v2 is asked to be slow by.
                std::thread::sleep(delay);
                let checked =
                    check(asked, &mut steps.lock().unwrap_or_else(PoisonError::into_inner));
                match checked {
                    Ok(()) => answer(asked),
                    Err(fault) => {
                        told.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
                        Ok(Next::Close)
                    }
                }
            });
            Self { server, faults }
        }

        #[track_caller]
        fn assert_kept(&self, name: &str, ledger: &Ledger) {
            let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            let lag = ledger.count("/targets/0/timing/send_lag/p50_us");
            report(&format!(
                "{name}: {} of {ALL} requests answered, {} against the order; median send lag {lag} us",
                self.server.answered() - faults.len(),
                faults.len()
            ));
            assert!(faults.is_empty(), "{}: {:?}", faults.len(), &faults[..faults.len().min(5)]);
            assert_all_answered(ledger, ALL);
        }
    }

    /// `GET /connection/number`: whether it is the next, where it must be, and alone.
    fn check(asked: &Asked<'_>, steps: &mut Steps) -> Result<(), String> {
        let line = String::from_utf8_lossy(&asked.head.line).into_owned();
        let mut words = line.split(['/', ' ']).skip(2);
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (connection, number) = (word(), word());
        let peer = asked.stream.peer_addr().map_err(|err| err.to_string())?;
        let (at, next) = steps.entry(connection).or_insert((peer, 0));
        if number != next.to_string() {
            return Err(format!("{line}: {next} must come next"));
        }
        if *at != peer {
            return Err(format!("{line}: came from {peer}, those before it from {at}"));
        }
        if asked.is_followed() {
            return Err(format!("{line}: was not answered when more came"));
        }
        *next += 1;
        Ok(())
    }

    /// A client that sends each request when the one before is answered, and thinks for so long between.
    #[track_caller]
    fn drive(v1: SocketAddr, think: Duration) {
        std::thread::scope(|scope| {
            for connection in 0..CONNECTIONS {
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(v1).expect("v1 accepts");
                    stream.set_nodelay(true).expect("a socket");
                    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
                    for number in 0..EACH {
                        let text =
                            format!("GET /{connection}/{number} HTTP/1.1\r\nHost: v1\r\n\r\n");
                        stream.write_all(text.as_bytes()).expect("v1 reads");
                        stream.read_exact(&mut [0; OK.len()]).expect("v1 answers");
                        // Pacing: nobody waits for this but the clock.
                        std::thread::sleep(think);
                    }
                });
            }
        });
    }

    #[track_caller]
    fn live(name: &str, v2: &Strict, args: &[&str]) {
        require_root();
        let v1 = RawServer::start(LOCALHOST, answer);
        let port = v1.addr.port().to_string();
        let run = Run::new(["mirror", "-i", "lo", "-p", &port, "--to", &v2.server.url(), "--json"]);
        // Whether it gets the CPU, and how much may wait, are not the questions here.
        let run = run.args(["--priority", "normal", "--queue", "20000", "--max-lag", "1m"]);
        let mirror = capturing(run.args(args).start());
        drive(v1.addr, Duration::from_millis(10));
        v2.server.answers(ALL, PATIENCE);
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        v2.assert_kept(name, &ledger);
    }

    #[test]
    fn live_each_waits_for_the_answer_to_the_one_before() {
        let _alone = alone();
        live("live", &Strict::start(Duration::ZERO), &[]);
    }

    #[test]
    fn live_with_a_slow_v2_beyond_concurrency() {
        let _alone = alone();
        let v2 = Strict::start(Duration::from_millis(5));
        live("live, slow v2", &v2, &["--concurrency", "16", "--drain", "1m"]);
    }

    /// The same traffic in a file.
    #[track_caller]
    fn captured() -> (Capture, u16) {
        let v1 = RawServer::start(LOCALHOST, answer);
        let filter = format!("tcp port {}", v1.addr.port());
        let here = crate::support::netns::Place::Host;
        let tcpdump = Tcpdump::start(&here, "lo", &filter, LOCALHOST);
        drive(v1.addr, Duration::from_millis(40));
        (tcpdump.stop(), v1.addr.port())
    }

    #[test]
    fn replayed_at_any_speed_and_with_a_slow_v2() {
        let _alone = alone();
        require_root();
        let (capture, port) = captured();
        let (file, port) = (capture.file.to_str().expect("UTF-8"), port.to_string());
        let (none, slow) = (Duration::ZERO, Duration::from_millis(5));
        for (name, delay, args) in [
            ("replay at 1x", none, ["--speed", "1x", "--concurrency", "64"]),
            ("replay at 10x", none, ["--speed", "10x", "--concurrency", "64"]),
            ("replay at max", none, ["--speed", "max", "--concurrency", "64"]),
            ("replay at 10x, slow v2", slow, ["--speed", "10x", "--concurrency", "16"]),
            ("replay at max, slow v2", slow, ["--speed", "max", "--concurrency", "16"]),
        ] {
            let v2 = Strict::start(delay);
            let run = Run::new(["replay", file, "-p", &port, "--to", &v2.server.url(), "--json"]);
            let run = run.args(["--max-lag", "1m"]).args(args);
            let ledger = run.finish(PATIENCE).expect_code(0).ledger();
            v2.assert_kept(name, &ledger);
        }
        // The judge is not blind: without an order it finds what is wrong.
        let v2 = Strict::start(slow);
        let run = Run::new(["replay", file, "-p", &port, "--to", &v2.server.url(), "--json"]);
        run.args(["--order", "none", "--speed", "max"]).finish(PATIENCE).expect_code(0);
        assert!(!v2.faults.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
}
