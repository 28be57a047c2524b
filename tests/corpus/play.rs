//! The corpus through shadowtap, and the score: live, out of a recording, and cut at every byte.

/// Needs root: captures live.
mod privileged {
    use std::collections::HashMap;
    use std::io::{self, Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::time::Duration;

    use rustix::net::sockopt::set_socket_linger;

    use super::super::{Abort, Case, Fate, How, corpus};
    use crate::support::ledger::Ledger;
    use crate::support::raw::{Asked, Next, RawServer};
    use crate::support::shadowtap::Run;
    use crate::support::stage::{LOCALHOST, capturing, report};
    use crate::support::{PATIENCE, alone, require_root};

    /// Slow pieces take a block of the ring each: room for a capture that waits for the CPU for a second. What
    /// a full ring drops is for other tests to say.
    const RING: [&str; 2] = ["--ring", "256MiB"];

    /// The bound.
    const AT_LEAST: usize = 90;

    /// Answers with 200, framed in one way or another.
    fn answer(asked: &Asked<'_>) -> io::Result<Next> {
        let mut stream = asked.stream;
        if asked.head.method() == b"CONNECT" || !asked.head.items("upgrade").is_empty() {
            stream.write_all(
                b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            )?;
            return Ok(Next::Tunnel);
        }
        let closes = asked.head.closes();
        let text: &[u8] = match asked.number % 3 {
            _ if asked.head.method() == b"HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            0 => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
            1 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n",
            _ if closes => b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
            _ => b"HTTP/1.1 204 No Content\r\n\r\n",
        };
        stream.write_all(text)?;
        Ok(if closes { Next::Close } else { Next::Go })
    }

    /// Plays one connection, and waits until v1 has answered what it got whole.
    #[track_caller]
    fn play(case: &Case, v1: &RawServer) {
        let mut stream = TcpStream::connect(v1.addr).expect("v1 accepts");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let before = v1.answered();
        let is_aborted = matches!(case.fate, Fate::Aborted(_));
        let whole = case.requests.len() - usize::from(is_aborted);
        let answered = |n| assert!(v1.answers(before + n, PATIENCE), "{}: {n}", case.name);
        let mut write = |bytes: &[u8]| stream.write_all(bytes).expect(case.name);
        match case.how {
            How::InTurn => {
                for (n, request) in case.requests.iter().enumerate() {
                    write(request);
                    answered((n + 1).min(whole));
                }
            }
            How::Together(prefix) => write(&[prefix, &case.requests.concat()].concat()),
            How::Pieces(size, pause) => {
                for piece in case.requests.concat().chunks(size) {
                    write(piece);
                    // Pacing: nobody waits for this but the wire.
                    std::thread::sleep(Duration::from_millis(pause));
                }
            }
            How::Cut(at) => {
                let all = case.requests.concat();
                write(&all[..at]);
                write(&all[at..]);
            }
            How::Continue => {
                let request = &case.requests[0];
                let end = memchr::memmem::find(request, b"\r\n\r\n").expect("a head") + 4;
                write(&request[..end]);
                let mut interim = [0; 25];
                stream.read_exact(&mut interim).expect("100 Continue");
                stream.write_all(&request[end..]).expect(case.name);
            }
        }
        answered(whole);
        finish(stream, case.fate);
    }

    fn finish(mut stream: TcpStream, fate: Fate) {
        match fate {
            Fate::Aborted(Abort::Rst) => {
                set_socket_linger(&stream, Some(Duration::ZERO)).expect("a socket");
                return;
            }
            Fate::NotReplayable => stream.write_all(b"\x16\x03\x01\0\x05other").expect("a tunnel"),
            Fate::Copied | Fate::Aborted(Abort::Fin) => {}
        }
        // v1 may have closed already.
        stream.shutdown(Shutdown::Write).ok();
        stream.read_to_end(&mut Vec::new()).ok();
    }

    /// Without the marker, which must be the last field line, with the ending of the empty line behind it.
    fn unmarked(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut at = 0;
        let mut last = 0..0;
        loop {
            let end = at + memchr::memchr(b'\n', &bytes[at..])? + 1;
            if matches!(&bytes[at..end], b"\n" | b"\r\n") {
                let (line, ending) = (&bytes[last.clone()], &bytes[at..end]);
                let text = line.strip_suffix(ending)?.strip_prefix(b"X-Shadowtap: ")?;
                let is_marker = text.iter().all(|b| b.is_ascii_graphic());
                return is_marker.then(|| [&bytes[..last.start], &bytes[last.end..]].concat());
            }
            (last, at) = (at..end, end);
        }
    }

    /// Panics unless v2 took what v1 took, byte for byte and in order, and nothing else. Gives the score.
    #[track_caller]
    fn score(name: &str, cases: &[Case], v1: &RawServer, v2: &RawServer) -> usize {
        let mut at_v1: HashMap<Vec<u8>, usize> = HashMap::new();
        for taken in v1.taken() {
            *at_v1.entry(taken.bytes).or_default() += 1;
        }
        let mut at_v2: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let mut wrong = Vec::new();
        for (place, taken) in v2.taken().into_iter().enumerate() {
            match unmarked(&taken.bytes) {
                Some(bytes) => at_v2.entry(bytes).or_default().push(place),
                None => wrong.push(format!("unmarked: {}", start_of(&taken.bytes))),
            }
        }
        let (mut copied, mut of) = (0, 0);
        for case in cases {
            let mut last = None;
            for request in case.copied() {
                assert!(at_v1.contains_key(request), "{}: v1 did not take it so", case.name);
                of += 1;
                match at_v2.remove(request).as_deref() {
                    Some(&[place]) if last < Some(place) => {
                        copied += 1;
                        last = Some(place);
                    }
                    found => wrong.push(format!("{}: {found:?}, {}", case.name, start_of(request))),
                }
            }
        }
        wrong.extend(at_v2.keys().map(|bytes| format!("not asked: {}", start_of(bytes))));
        let connections = cases.len();
        report(&format!(
            "{name}: {copied} of {of} requests, on {connections} connections, reached v2 byte for byte"
        ));
        assert!(wrong.is_empty(), "{copied} of {of}; {wrong:#?}");
        of
    }

    fn start_of(bytes: &[u8]) -> String {
        bytes[..bytes.len().min(200)].escape_ascii().to_string()
    }

    /// Every request is in the bucket that its case says.
    #[track_caller]
    fn assert_counted(ledger: &Ledger, cases: &[Case], is_replay: bool) {
        ledger.assert_balanced();
        assert!(ledger.is_lossless(), "{:#}", ledger.0);
        let with = |is: fn(&Fate) -> bool| cases.iter().filter(|c| is(&c.fate)).count() as u64;
        let refused = [
            ("not_replayable", with(|fate| *fate == Fate::NotReplayable)),
            ("incomplete", with(|fate| matches!(fate, Fate::Aborted(_)))),
        ];
        // What cannot be sent again, or is not whole, is written down all the same.
        let mut written = 0;
        for (bucket, count) in refused {
            let counted = ledger.count(&format!("/requests/refused/{bucket}"));
            let want = if is_replay { count } else { 0 };
            assert_eq!(counted, want, "{bucket}: {:#}", ledger.0);
            written += count - want;
        }
        let of: usize = cases.iter().map(|case| case.copied().len()).sum();
        assert_eq!(ledger.count("/requests/queued"), of as u64 + written, "{:#}", ledger.0);
    }

    /// Every method to v2, with time enough: how late it may be is not the question here.
    fn to_v2(run: Run, v2: &RawServer) -> Run {
        run.args(["--to", &v2.url(), "--methods", "all", "--max-lag", "1m", "--json"])
    }

    #[track_caller]
    fn live(name: &str, cases: &[Case]) -> usize {
        require_root();
        let (v1, v2) = (RawServer::start(LOCALHOST, answer), RawServer::start(LOCALHOST, answer));
        let port = v1.addr.port().to_string();
        let run = Run::new(["mirror", "-i", "lo", "-p", &port, "--priority", "normal"]);
        let mirror = capturing(to_v2(run.args(RING), &v2).start());
        cases.iter().for_each(|case| play(case, &v1));
        // Whether they all come is for the score to say.
        v2.answers(cases.iter().map(|case| case.copied().len()).sum(), PATIENCE);
        let ledger = mirror.terminate(PATIENCE).expect_code(0).ledger();
        let of = score(name, cases, &v1, &v2);
        assert_counted(&ledger, cases, true);
        assert_eq!(ledger.count("/targets/0/answered/2xx"), of as u64, "{:#}", ledger.0);
        of
    }

    #[test]
    fn every_whole_request_reaches_v2_byte_for_byte() {
        let _alone = alone();
        let cases = corpus();
        assert!(cases.len() > AT_LEAST);
        assert!(live("live", &cases) >= AT_LEAST);
    }

    #[test]
    fn a_recording_of_it_is_replayed_byte_for_byte() {
        let _alone = alone();
        require_root();
        let cases = corpus();
        let (v1, v2) = (RawServer::start(LOCALHOST, answer), RawServer::start(LOCALHOST, answer));
        let port = v1.addr.port().to_string();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("corpus.warc");
        let file = file.to_str().expect("a path in UTF-8");
        let run = Run::new(["record", "-i", "lo", "-p", &port, "-o", file, "--json"]);
        let run = run.args(["--keep-secrets"]);
        let recorder = capturing(run.args(RING).start());
        cases.iter().for_each(|case| play(case, &v1));
        assert_counted(&recorder.terminate(PATIENCE).expect_code(0).ledger(), &cases, false);
        let run = Run::new(["replay", file, "--speed", "max"]);
        let ledger = to_v2(run, &v2).finish(PATIENCE).expect_code(0).ledger();
        let of = score("recorded", &cases, &v1, &v2);
        assert_counted(&ledger, &cases, true);
        assert_eq!(ledger.count("/targets/0/answered/2xx"), of as u64, "{:#}", ledger.0);
    }

    /// Two requests on a connection, the first chunked with a trailer, cut in two at every byte.
    #[test]
    fn cut_anywhere_it_is_the_same() {
        let _alone = alone();
        let text = |n: usize| {
            let chunked = format!(
                "POST /{n}/a HTTP/1.1\r\nHost: v1\r\nA: x\r\n y\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"
            );
            vec![chunked.into_bytes(), format!("GET /{n}/b HTTP/1.1\r\nA: b\r\n\r\n").into_bytes()]
        };
        let len = text(100).concat().len();
        let cases: Vec<Case> = (1..len)
            .map(|cut| Case {
                name: "cut",
                requests: text(100 + cut),
                how: How::Cut(cut),
                fate: Fate::Copied,
            })
            .collect();
        assert_eq!(live("cut anywhere", &cases), 2 * cases.len());
    }
}
