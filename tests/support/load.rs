//! The client of v1: keep-alive connections, a fixed rate, and exact knowledge of what was sent.
//!
//! GET and POST; bodies from 200 B to 200 KB from a heavy-tailed, seeded distribution with a small
//! mean, some of them chunked; a unique id in every path. Bodies come from a catalogue that is made
//! and hashed before the first request, so that the generator is cheap while it runs. Requests are due at
//! fixed times whatever became of the ones before, and latency counts from then.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::netns::Place;
use super::request::{Request, sha256};
use super::wire::{self, Reader};

/// What to send. Make one with [`Load::new`] and set its fields.
#[derive(Clone)]
pub struct Load {
    /// v1.
    pub to: SocketAddr,
    /// Where the client is.
    pub place: Place,
    /// How many requests.
    pub count: usize,
    /// Requests a second, over all connections.
    pub rate: u32,
    /// Connections, each a thread.
    pub connections: usize,
    /// Of the choice of methods and bodies.
    pub seed: u64,
    /// POST requests in a hundred; the others are GET.
    pub posts_percent: u64,
    /// Chunked bodies in a hundred POST requests.
    pub chunked_percent: u64,
    /// Large bodies are left out above this.
    pub max_body: usize,
    /// What every path begins with, to tell several runs apart.
    pub prefix: String,
}

/// What became of it.
#[derive(Default)]
pub struct Sent {
    /// Requests that v1 answered with 2xx.
    pub requests: Vec<Request>,
    /// Everything else, in words.
    pub errors: Vec<String>,
    /// From when a request was due to the end of its answer, sorted.
    pub latencies: Vec<Duration>,
    /// From the first due time to the last answer.
    pub took: Duration,
}

impl Sent {
    /// A quantile of the latencies, 0.5 for the median.
    pub fn latency(&self, quantile: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * quantile) as usize).copied().unwrap_or_default()
    }

    /// Panics if any request failed.
    #[track_caller]
    pub fn expect_no_errors(self) -> Self {
        let first: Vec<_> = self.errors.iter().take(5).collect();
        assert!(self.errors.is_empty(), "{} of v1's requests failed: {first:?}", self.errors.len());
        self
    }
}

impl Load {
    /// A thousand requests at 1,000 a second over 16 connections.
    pub fn new(to: SocketAddr) -> Self {
        Self {
            to,
            place: Place::Host,
            count: 1000,
            rate: 1000,
            connections: 16,
            seed: 1,
            posts_percent: 50,
            chunked_percent: 20,
            max_body: 200_000,
            prefix: String::new(),
        }
    }

    /// Sends it all and waits for the answers.
    #[track_caller]
    pub fn run(&self) -> Sent {
        let bodies = Arc::new(Body::catalogue(self.seed, self.max_body));
        // A moment, so that every thread is there when the first request is due.
        let start = Instant::now() + Duration::from_millis(50);
        let threads: Vec<_> = (0..self.connections)
            .map(|number| {
                let mut client = Client::new(self.clone(), number, Arc::clone(&bodies));
                std::thread::spawn(move || {
                    client.load.place.enter();
                    client.run(start);
                    client.sent
                })
            })
            .collect();
        let mut all = Sent::default();
        for thread in threads {
            let sent = thread.join().expect("the client does not panic");
            all.requests.extend(sent.requests);
            all.errors.extend(sent.errors);
            all.latencies.extend(sent.latencies);
        }
        all.took = start.elapsed();
        all.latencies.sort_unstable();
        all
    }
}

/// A body, ready to be sent.
struct Body {
    bytes: Vec<u8>,
    chunked: Vec<u8>,
    sha256: [u8; 32],
}

impl Body {
    const SMALLEST: usize = 200;

    /// 256 bodies; P(larger than x) = 200 B / x, so that half are below 400 B and the mean is about
    /// 1.5 KB. The smallest and the largest are among them.
    fn catalogue(seed: u64, largest: usize) -> Vec<Self> {
        let mut random = Random(seed);
        (0..256_usize)
            .map(|rank| {
                let size = if rank == 255 { largest } else { Self::SMALLEST * 256 / (256 - rank) };
                let size = size.min(largest);
                let bytes: Vec<u8> = (0..size).map(|_| b' ' + random.below(95) as u8).collect();
                Self { chunked: chunked(&bytes, &mut random), sha256: sha256(&bytes), bytes }
            })
            .collect()
    }
}

/// In chunks of uneven sizes, now and then with an extension, and with a trailer field.
fn chunked(mut bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 256);
    while !bytes.is_empty() {
        let (chunk, rest) = bytes.split_at(bytes.len().min(1 + random.below(16_384) as usize));
        let extension = if random.below(4) == 0 { ";part=\"a\"" } else { "" };
        write!(out, "{:x}{extension}\r\n", chunk.len()).expect("into memory");
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        bytes = rest;
    }
    out.extend_from_slice(b"0\r\nX-Check: done\r\n\r\n");
    out
}

/// One connection and its share of the load: requests `number`, `number + connections`, ...
struct Client {
    load: Load,
    number: usize,
    bodies: Arc<Vec<Body>>,
    random: Random,
    connection: Option<(TcpStream, Reader<TcpStream>)>,
    wire: Vec<u8>,
    sent: Sent,
}

impl Client {
    fn new(load: Load, number: usize, bodies: Arc<Vec<Body>>) -> Self {
        let random = Random(load.seed ^ ((number as u64 + 1) << 32));
        let (connection, wire, sent) = (None, Vec::new(), Sent::default());
        Self { load, number, bodies, random, connection, wire, sent }
    }

    fn run(&mut self, start: Instant) {
        let interval = Duration::from_secs(1) / self.load.rate.max(1);
        for id in (self.number..self.load.count).step_by(self.load.connections) {
            let due = start + interval * u32::try_from(id).expect("fewer than 2^32 requests");
            // Pacing: nobody waits for this but the clock.
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let request = self.render(id);
            match self.exchange() {
                Ok(200..300) => self.sent.requests.push(request),
                Ok(status) => self.sent.errors.push(format!("{request:?}: status {status}")),
                Err(err) => {
                    self.connection = None;
                    self.sent.errors.push(format!("{request:?}: {err}"));
                }
            }
            self.sent.latencies.push(due.elapsed());
        }
    }

    /// Puts request number `id` into `wire`.
    fn render(&mut self, id: usize) -> Request {
        let Load { to, prefix, posts_percent, chunked_percent, .. } = &self.load;
        let post = self.random.below(100) < *posts_percent;
        let in_chunks = self.random.below(100) < *chunked_percent;
        // A third of the bodies go where they are read before the answer, as applications do.
        let path = match (post, self.random.below(3)) {
            (true, 0) => "upload",
            (true, _) => "pay",
            (false, 0) => "static",
            (false, _) => "orders",
        };
        let target = format!("{prefix}/{path}/{id}?seed={}", self.load.seed);
        let method = if post { "POST" } else { "GET" };
        let rank = self.random.below(self.bodies.len() as u64) as usize;
        let body = post.then(|| &self.bodies[rank]);
        self.wire.clear();
        let out = &mut self.wire;
        write!(
            out,
            "{method} {target} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: load/1\r\nX-Id: {id}\r\n"
        )
        .expect("into memory");
        let sha256 = match body {
            None => {
                out.extend_from_slice(b"\r\n");
                sha256(b"")
            }
            Some(body) if in_chunks => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                out.extend_from_slice(&body.chunked);
                body.sha256
            }
            Some(body) => {
                write!(out, "Content-Length: {}\r\n\r\n", body.bytes.len()).expect("into memory");
                out.extend_from_slice(&body.bytes);
                body.sha256
            }
        };
        Request { method: method.into(), target, body_sha256: sha256 }
    }

    /// Sends `wire` and reads the answer to its end.
    fn exchange(&mut self) -> std::io::Result<u16> {
        if self.connection.is_none() {
            let stream = TcpStream::connect_timeout(&self.load.to, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            self.connection = Some((stream.try_clone()?, Reader::new(stream)));
        }
        let (stream, reader) = self.connection.as_mut().expect("connected above");
        stream.write_all(&self.wire)?;
        let head = reader.head(|| ())?.ok_or(std::io::ErrorKind::ConnectionAborted)?;
        reader.body(wire::framing(&head), false)?;
        if wire::field(&head, "connection").is_some_and(|v| v.eq_ignore_ascii_case(b"close")) {
            self.connection = None;
        }
        let status = wire::start_line(&head).and_then(|[_, status, _]| status.parse().ok());
        status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
    }
}

/// SplitMix64: small, seeded, good enough to choose bodies.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}
