//! The client: a few keep-alive connections to v1, each in a thread of its own, plain sockets.
//!
//! In: v1's address and how many requests. Out: what it saw. It knows nothing of the mirror.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::plan::{Step, plan};

/// v1 answers within milliseconds; a client that waits longer than this waits in vain.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest head of an answer.
const MAX_HEAD: usize = 16 << 10;

/// What a client saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Answers, by the `Server` field they were signed with.
    pub answers: BTreeMap<String, u64>,
    /// Those with a status other than 2xx.
    pub errors: u64,
    /// From each step's first byte to its last answer, unsorted.
    pub waits: Vec<Duration>,
}

/// Sends that many requests and reads the answers.
pub fn run(v1: SocketAddr, requests: u32) -> anyhow::Result<Seen> {
    let start = Instant::now();
    let talk = |steps: Vec<Step>| {
        thread::Builder::new().name("client".into()).spawn(move || talk(v1, &steps, start))
    };
    let used = plan(requests, v1).into_iter().filter(|steps| !steps.is_empty());
    let threads: Vec<_> = used.map(talk).collect::<Result<_, _>>()?;
    let mut all = Seen::default();
    for thread in threads {
        let Ok(seen) = thread.join() else { bail!("the client failed") };
        let seen = seen.context("the client cannot talk to v1")?;
        for (server, count) in seen.answers {
            *all.answers.entry(server).or_default() += count;
        }
        all.errors += seen.errors;
        all.waits.extend(seen.waits);
    }
    Ok(all)
}

/// One connection's steps.
fn talk(v1: SocketAddr, steps: &[Step], start: Instant) -> anyhow::Result<Seen> {
    let mut stream = TcpStream::connect(v1)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut read = Vec::new();
    let mut seen = Seen::default();
    for step in steps {
        thread::sleep((start + step.at).saturating_duration_since(Instant::now()));
        let began = Instant::now();
        for piece in &step.pieces {
            stream.write_all(piece.as_bytes())?;
        }
        for _ in 0..step.requests {
            let answer = answer(&mut stream, &mut read)?;
            *seen.answers.entry(answer.server).or_default() += 1;
            seen.errors += u64::from(answer.status / 100 != 2);
        }
        seen.waits.push(began.elapsed());
    }
    Ok(seen)
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    server: String,
}

/// Reads one answer; what was read beyond it stays in `read`.
fn answer(stream: &mut impl Read, read: &mut Vec<u8>) -> anyhow::Result<Answer> {
    let mut more = [0; 4096];
    loop {
        if let Some((answer, len)) = parse(read)? {
            read.drain(..len);
            return Ok(answer);
        }
        match stream.read(&mut more)? {
            0 => bail!("it closed the connection before it had answered"),
            len => read.extend_from_slice(&more[..len]),
        }
    }
}

/// The answer at the front and its length, once it is whole. The service always gives a length.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_len) = head.parse(bytes)? else {
        anyhow::ensure!(bytes.len() <= MAX_HEAD, "the head of its answer does not end");
        return Ok(None);
    };
    let field = |name: &str| {
        let field = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        field.map(|field| String::from_utf8_lossy(field.value).into_owned())
    };
    let body_len: usize = field("content-length").context("an answer without length")?.parse()?;
    let answer = Answer {
        status: head.code.unwrap_or_default(),
        server: field("server").unwrap_or_else(|| "nobody".into()),
    };
    Ok((bytes.len() - head_len >= body_len).then_some((answer, head_len + body_len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"HTTP/1.1 200 OK\r\nServer: a/1\r\nContent-Length: 2\r\n\r\n{}\
                         HTTP/1.1 404 Not Found\r\nserver: a/1\r\ncontent-length: 0\r\n\r\n";

    /// Gives one byte at a time.
    struct Slow(&'static [u8]);

    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let len = buf.len().min(1);
            self.0.read(&mut buf[..len])
        }
    }

    #[test]
    fn answers_are_read_one_by_one_however_they_come() {
        let mut read = Vec::new();
        let mut slow = Slow(TWO);
        for status in [200, 404] {
            let answer = answer(&mut slow, &mut read).expect("an answer");
            assert_eq!(answer, Answer { status, server: "a/1".into() });
        }
        assert!(answer(&mut slow, &mut read).is_err(), "the end");
        let mut whole = TWO.to_vec();
        for status in [200, 404] {
            assert_eq!(answer(&mut &b""[..], &mut whole).expect("an answer").status, status);
        }
        assert!(whole.is_empty());
    }

    #[test]
    fn an_endless_head_is_refused() {
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; MAX_HEAD]].concat();
        assert!(parse(&endless).is_err());
    }
}
