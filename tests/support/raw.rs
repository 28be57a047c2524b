//! A lenient server that keeps each request as the bytes it was, and answers as its handler says.
//!
//! In: connections. Out: [`Taken`], a request from its start line to its last byte, trailers included, in
//! the order in which requests were whole. It reads what a forgiving v1 reads: lines ending in LF alone,
//! folded fields, odd characters; Transfer-Encoding before Content-Length, of several lengths the first.
//! Empty lines before a start line belong to no request. Not shadowtap's own reader, on purpose.
//!
//! Dropping it closes every connection and joins every thread.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request as it came.
#[derive(Clone)]
pub struct Taken {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

/// What a handler is told of a request.
pub struct Asked<'a> {
    /// Start line and fields.
    pub head: &'a Head,
    /// Its connection.
    pub stream: &'a TcpStream,
    /// How many requests the server had taken before it.
    pub number: usize,
    /// Whether bytes of the next request are here already.
    pub has_more: bool,
}

impl Asked<'_> {
    /// Whether the client has sent anything behind this request.
    pub fn is_followed(&self) -> bool {
        self.has_more || {
            self.stream.set_nonblocking(true).ok();
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false).ok();
            matches!(peeked, Ok(n) if n > 0)
        }
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The next request is awaited.
    Go,
    /// It is closed.
    Close,
    /// What comes is no HTTP any more: it is read to its end and thrown away.
    Tunnel,
}

/// Answers a request.
pub type Handler = dyn Fn(&Asked<'_>) -> io::Result<Next> + Send + Sync;

/// See the module's description.
pub struct RawServer {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    handler: Box<Handler>,
    state: Mutex<State>,
    changed: Condvar,
    numbers: AtomicUsize,
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    answered: usize,
    open: HashMap<usize, TcpStream>,
    is_stopping: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RawServer {
    /// Starts one on a free port of this address.
    #[track_caller]
    pub fn start(
        ip: IpAddr,
        handler: impl Fn(&Asked<'_>) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a port");
        let addr = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            state: Mutex::default(),
            changed: Condvar::new(),
            numbers: AtomicUsize::new(0),
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = Some(std::thread::spawn(move || accept(&listener, &for_acceptor)));
        Self { addr, shared, acceptor }
    }

    /// The value for `--to`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Everything taken so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.lock().taken.clone()
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        self.shared.lock().answered
    }

    /// Waits until that many were answered; false when they were not by then.
    pub fn answers(&self, count: usize, patience: Duration) -> bool {
        let few = |state: &mut State| state.answered < count;
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), patience, few);
        waited.unwrap_or_else(PoisonError::into_inner).0.answered >= count
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.is_stopping = true;
            for stream in state.open.values() {
                stream.shutdown(Shutdown::Both).ok();
            }
        }
        // Wakes the acceptor, which then sees that it must stop.
        if TcpStream::connect_timeout(&self.addr, Duration::from_secs(1)).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            acceptor.join().ok();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for number in 0.. {
        let accepted = listener.accept();
        let mut state = shared.lock();
        if state.is_stopping {
            break;
        }
        let Ok((stream, _)) = accepted else { continue };
        let Ok(handle) = stream.try_clone() else { continue };
        state.open.insert(number, handle);
        drop(state);
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || {
            // An error is the peer's end of the connection; what came whole is kept.
            serve(&stream, number, &shared).ok();
            shared.lock().open.remove(&number);
        }));
    }
    for thread in threads {
        thread.join().ok();
    }
}

fn serve(stream: &TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader { source: stream, buffer: Vec::new() };
    while let Some((head, bytes)) = reader.request()? {
        let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
        shared.lock().taken.push(Taken { bytes, connection });
        let has_more = !reader.buffer.is_empty();
        let next = (shared.handler)(&Asked { head: &head, stream, number, has_more })?;
        shared.lock().answered += 1;
        shared.changed.notify_all();
        match next {
            Next::Go => {}
            Next::Close => return Ok(()),
            Next::Tunnel => return io::copy(&mut &*stream, &mut io::sink()).map(drop),
        }
    }
    Ok(())
}

/// A start line and its fields: names in lower case, values with folded lines joined.
pub struct Head {
    /// The start line.
    pub line: Vec<u8>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Head {
    /// Of these bytes, which end with an empty line.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|&b| b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
        let line = lines.next().unwrap_or_default().to_vec();
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for text in lines.take_while(|line| !line.is_empty()) {
            if matches!(text.first(), Some(b' ' | b'\t')) {
                if let Some((_, value)) = fields.last_mut() {
                    value.extend_from_slice(text);
                }
                continue;
            }
            let colon = text.iter().position(|&b| b == b':').unwrap_or(text.len());
            let name = text[..colon].trim_ascii_end().to_ascii_lowercase();
            fields.push((name, text.get(colon + 1..).unwrap_or_default().to_vec()));
        }
        Self { line, fields }
    }

    /// The comma-separated items of all fields of that name, in lower case.
    pub fn items(&self, name: &str) -> Vec<String> {
        let values = self.fields.iter().filter(|(n, _)| n == name.as_bytes());
        let items = values.flat_map(|(_, value)| value.split(|&b| b == b','));
        let text = |item: &[u8]| String::from_utf8_lossy(item.trim_ascii()).to_ascii_lowercase();
        items.map(text).filter(|item| !item.is_empty()).collect()
    }

    /// The method.
    pub fn method(&self) -> &[u8] {
        self.line.split(|b| *b == b' ' || *b == b'\t').next().unwrap_or_default()
    }

    /// Whether the request says that it is the last on its connection.
    pub fn closes(&self) -> bool {
        let options = self.items("connection");
        let is_1_0 = self.line.trim_ascii_end().ends_with(b"HTTP/1.0");
        options.iter().any(|o| o == "close") || is_1_0 && !options.iter().any(|o| o == "keep-alive")
    }

    fn is_chunked(&self) -> bool {
        self.items("transfer-encoding").last().is_some_and(|last| last == "chunked")
    }

    fn length(&self) -> usize {
        self.items("content-length").first().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

/// Collects requests off a socket.
struct Reader<'a> {
    source: &'a TcpStream,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// The next request; `None` at the end of the connection, even within a request.
    fn request(&mut self) -> io::Result<Option<(Head, Vec<u8>)>> {
        while self.buffer.first().is_none_or(|b| matches!(b, b'\r' | b'\n')) {
            let empty = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            self.buffer.drain(..empty);
            if self.buffer.is_empty() && !self.fill()? {
                return Ok(None);
            }
        }
        let mut at = 0;
        while let Some(end) = self.line(at)? {
            let is_empty = matches!(&self.buffer[at..end], b"\n" | b"\r\n");
            at = end;
            if is_empty {
                return self.rest(at);
            }
        }
        Ok(None)
    }

    /// The request whose head ends there.
    fn rest(&mut self, head_end: usize) -> io::Result<Option<(Head, Vec<u8>)>> {
        let head = Head::parse(&self.buffer[..head_end]);
        let expects = !head.items("expect").is_empty();
        if expects && self.buffer.len() == head_end {
            io::Write::write_all(&mut &*self.source, b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let end = match head.is_chunked() {
            true => self.chunks(head_end)?,
            false => self.upto(head_end + head.length())?,
        };
        let Some(end) = end else { return Ok(None) };
        let behind = self.buffer.split_off(end);
        Ok(Some((head, std::mem::replace(&mut self.buffer, behind))))
    }

    /// The end of a chunked body that begins there.
    fn chunks(&mut self, mut at: usize) -> io::Result<Option<usize>> {
        loop {
            let Some(end) = self.line(at)? else { return Ok(None) };
            let line = String::from_utf8_lossy(&self.buffer[at..end]).into_owned();
            let digits = line.split([';', ' ', '\t', '\r', '\n']).next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16);
            let size = size.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            if size == 0 {
                return self.trailers(end);
            }
            let Some(data_end) = self.upto(end + size)? else { return Ok(None) };
            let Some(next) = self.line(data_end)? else { return Ok(None) };
            at = next;
        }
    }

    /// The end of the trailer section that begins there.
    fn trailers(&mut self, mut at: usize) -> io::Result<Option<usize>> {
        while let Some(end) = self.line(at)? {
            if matches!(&self.buffer[at..end], b"\n" | b"\r\n") {
                return Ok(Some(end));
            }
            at = end;
        }
        Ok(None)
    }

    /// The place behind the line that begins there.
    fn line(&mut self, from: usize) -> io::Result<Option<usize>> {
        let mut seen = from;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[seen..]) {
                return Ok(Some(seen + found + 1));
            }
            seen = self.buffer.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// That place, once everything before it is here.
    fn upto(&mut self, end: usize) -> io::Result<Option<usize>> {
        while self.buffer.len() < end {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(end))
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut more = [0; 64 * 1024];
        let n = self.source.read(&mut more)?;
        self.buffer.extend_from_slice(&more[..n]);
        Ok(n > 0)
    }
}
