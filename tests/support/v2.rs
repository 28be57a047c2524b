//! v2: a server that records every request it gets, or misbehaves on demand.
//!
//! A thread for each connection; bodies are drained and hashed as fast as they come. What it records is what
//! came off its own socket. Dropping it closes every connection and joins every thread.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use super::netns::Place;
use super::request::Request;
use super::wire::{self, Reader};

/// What v2 does with a request or a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Answers 200 at once.
    Answer,
    /// Answers 200 this long after the request was read.
    Slow(Duration),
    /// Reads the request and says nothing for this long, then closes.
    Hang(Duration),
    /// Resets every connection as soon as it is accepted.
    ResetOnAccept,
    /// Reads the request, then resets.
    ResetAfterRequest,
    /// Answers with bytes that are not HTTP, then closes.
    Garbage,
    /// Promises a body of 100 bytes, sends 10, and closes.
    CutAnswer,
    /// The same, and resets.
    ResetWithinAnswer,
    /// Answers 200 as if the connection went on, and closes it.
    AnswerAndClose,
    /// Answers 200 in chunks, in writes of one byte.
    ByteByByte,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// What it was.
    pub request: Request,
    /// Its head, as on the wire.
    pub head: Vec<u8>,
    /// Wall-clock nanoseconds since the epoch when its first byte was read.
    pub at_ns: u64,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Received {
    /// A header field's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        wire::field(&self.head, name).map(|v| String::from_utf8_lossy(v).into_owned())
    }
}

/// A running v2.
pub struct V2 {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    place: Place,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    behaviour: Behaviour,
    received: Vec<Received>,
    connections: usize,
    open: HashMap<usize, TcpStream>,
    stopping: bool,
}

impl V2 {
    /// Starts one in this place on a free port of this address.
    #[track_caller]
    pub fn start(place: &Place, ip: IpAddr) -> Self {
        Self::start_on(place, SocketAddr::new(ip, 0))
    }

    /// The same on a given port.
    #[track_caller]
    pub fn start_on(place: &Place, addr: SocketAddr) -> Self {
        let listener = place.run(|| TcpListener::bind(addr)).expect("an address to listen on");
        let addr = listener.local_addr().expect("bound");
        let state = State {
            behaviour: Behaviour::Answer,
            received: Vec::new(),
            connections: 0,
            open: HashMap::new(),
            stopping: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = Some(std::thread::spawn(move || accept(&listener, &for_acceptor)));
        Self { addr, shared, acceptor, place: place.clone() }
    }

    /// The value for `--to`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Changes what it does from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
        self.shared.changed.notify_all();
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// How many of them it has not closed.
    pub fn open(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Everything received so far, in the order in which requests were complete.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// The requests received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().received.iter().map(|r| r.request.clone()).collect()
    }

    /// Waits until that many requests have come.
    #[track_caller]
    pub fn wait_for(&self, count: usize, patience: Duration) {
        let few = |state: &mut State| state.received.len() < count;
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), patience, few)
            .unwrap_or_else(PoisonError::into_inner);
        let got = state.received.len();
        drop(state);
        assert!(!timeout.timed_out(), "v2 got {got} of {count} requests within {patience:?}");
    }
}

impl Drop for V2 {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.stopping = true;
            for stream in state.open.values() {
                stream.shutdown(Shutdown::Both).ok();
            }
        }
        self.shared.changed.notify_all();
        // Wakes the acceptor, which then sees that it must stop.
        let wake = self.place.connects(self.addr);
        if let Some(acceptor) = self.acceptor.take().filter(|_| wake) {
            acceptor.join().ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits that long, or until the server is stopped.
    fn pause(&self, time: Duration) {
        let running = |state: &mut State| !state.stopping;
        drop(self.changed.wait_timeout_while(self.lock(), time, running));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    loop {
        let accepted = listener.accept();
        let mut state = shared.lock();
        if state.stopping {
            break;
        }
        let Ok((stream, _)) = accepted else { continue };
        let number = state.connections;
        state.connections += 1;
        if state.behaviour == Behaviour::ResetOnAccept {
            reset(&stream);
            continue;
        }
        let Ok(handle) = stream.try_clone() else { continue };
        state.open.insert(number, handle);
        drop(state);
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || {
            // An error is the peer's end of the connection; what came whole is recorded.
            serve(&stream, number, &shared).ok();
            // Then the last handle is the one below: it is closed before it counts as such.
            drop(stream);
            shared.lock().open.remove(&number);
        }));
    }
    for thread in threads {
        thread.join().ok();
    }
}

fn serve(stream: &TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream);
    let mut writer = stream;
    loop {
        let mut at_ns = 0;
        let Some(head) = reader.head(|| at_ns = now_ns())? else { return Ok(()) };
        let [method, target, _] = wire::start_line(&head).ok_or(io::ErrorKind::InvalidData)?;
        if wire::field(&head, "expect").is_some() {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let (_, body_sha256) = reader.body(wire::framing(&head), true)?;
        let is_head = method == "HEAD";
        let request = Request { method, target, body_sha256 };
        let behaviour = {
            let mut state = shared.lock();
            state.received.push(Received { request, head, at_ns, connection });
            state.behaviour
        };
        shared.changed.notify_all();
        match behaviour {
            Behaviour::Answer => answer(writer, is_head)?,
            Behaviour::Slow(time) => {
                shared.pause(time);
                answer(writer, is_head)?;
            }
            Behaviour::Hang(time) => {
                shared.pause(time);
                return Ok(());
            }
            Behaviour::ResetOnAccept | Behaviour::ResetAfterRequest => {
                // The RST goes out when the caller drops the last handle.
                reset(stream);
                return Ok(());
            }
            Behaviour::Garbage => return writer.write_all(b"\x16\x00\xffnot http at all\r\n\r\n"),
            Behaviour::CutAnswer => return writer.write_all(CUT),
            Behaviour::ResetWithinAnswer => {
                writer.write_all(CUT)?;
                reset(stream);
                return Ok(());
            }
            Behaviour::AnswerAndClose => return answer(writer, is_head),
            Behaviour::ByteByByte => {
                for byte in CHUNKED {
                    writer.write_all(&[*byte])?;
                }
            }
        }
    }
}

/// An answer that lacks 90 bytes.
const CUT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789";

/// An answer in two chunks, with a trailer.
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n\
    3;a=b\r\nok\n\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";

fn answer(mut writer: &TcpStream, is_head: bool) -> io::Result<()> {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
    writer.write_all(if is_head { &whole[..whole.len() - 3] } else { whole })
}

/// Closing will now send RST instead of FIN.
fn reset(stream: &TcpStream) {
    set_socket_linger(stream, Some(Duration::ZERO)).ok();
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A port that refuses connections for as long as this lives: bound, but not listening.
pub struct Refusing {
    /// Where nothing listens.
    pub addr: SocketAddr,
    _socket: rustix::fd::OwnedFd,
}

impl Refusing {
    /// Takes a port in this place.
    #[track_caller]
    pub fn new(place: &Place, ip: IpAddr) -> Self {
        let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = place.run(|| socket(family, SocketType::STREAM, None)).expect("a socket");
        bind(&socket, &SocketAddr::new(ip, 0)).expect("a free port");
        let name = getsockname(&socket).expect("bound");
        let addr = SocketAddr::try_from(name).expect("an internet address");
        Self { addr, _socket: socket }
    }
}
