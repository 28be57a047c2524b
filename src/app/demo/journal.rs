//! A service's own log: each request as the service read it, and what it answered.
//!
//! In: entries from the server, and the bytes it read from its sockets. Out: the entries, and one
//! request's bytes as they came. Guaranteed: bounded; what is over the limits is not kept, so that it
//! will be missed in the comparison rather than fill the memory.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::memmem;
use serde_json::{Value, json};

/// Entries kept at most: twice what the client may be told to send.
const MAX_ENTRIES: usize = 200_000;

/// Bytes of sockets kept at most, over all connections: only one request of them is shown.
const MAX_WIRE_BYTES: usize = 4 << 20;

/// One request, as a service logged it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The client's end of the connection.
    pub client: SocketAddr,
    /// The service's end.
    pub server: SocketAddr,
    /// Number of the request within its connection, from 0.
    pub index: u32,
    /// Method.
    pub method: String,
    /// Request target.
    pub target: String,
    /// `X-Request-Id`, by which the request is found among the bytes; empty where there is none.
    pub id: String,
    /// Whether the body came in chunks.
    pub chunked: bool,
    /// Length of the body.
    pub body_len: u64,
    /// SHA-256 of the body, in hexadecimal.
    pub body_sha256: String,
    /// Whether it carried the marker of a copy.
    pub is_copy: bool,
    /// Status of the answer.
    pub status: u16,
    /// Body of the answer.
    pub answer: String,
    /// From the request's head to its answer.
    pub took: Duration,
}

impl Entry {
    /// As a line of JSON, with the keys of `inspect --json`.
    pub fn to_line(&self) -> String {
        json!({
            "kind": "request", "client": self.client, "server": self.server, "index": self.index,
            "method": self.method, "target": self.target, "version": "1.1",
            "body_len": self.body_len, "body_sha256": self.body_sha256, "complete": true,
            "status": self.status,
        })
        .to_string()
    }

    /// From such a line. What the line does not tell is empty.
    pub fn from_line(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        let number = |key: &str| value.get(key)?.as_u64();
        Some(Self {
            client: text("client")?.parse().ok()?,
            server: text("server")?.parse().ok()?,
            index: u32::try_from(number("index")?).ok()?,
            method: text("method")?,
            target: text("target")?,
            id: String::new(),
            chunked: false,
            body_len: number("body_len")?,
            body_sha256: text("body_sha256")?,
            is_copy: false,
            status: u16::try_from(number("status")?).ok()?,
            answer: String::new(),
            took: Duration::ZERO,
        })
    }

    /// What makes it the same request as another one.
    pub fn identity(&self) -> (&str, &str, &str) {
        (&self.method, &self.target, &self.body_sha256)
    }
}

#[derive(Default)]
struct Kept {
    entries: Vec<Entry>,
    wires: HashMap<SocketAddr, Vec<u8>>,
    wire_bytes: usize,
}

/// The log while its service runs; clones are the same log.
#[derive(Clone, Default)]
pub struct Journal {
    kept: Arc<(Mutex<Kept>, Condvar)>,
}

impl Journal {
    /// Adds a request.
    pub fn note(&self, entry: Entry) {
        let mut kept = self.lock();
        if kept.entries.len() < MAX_ENTRIES {
            kept.entries.push(entry);
        }
        self.kept.1.notify_all();
    }

    /// Adds bytes read from this client's connection.
    pub fn note_bytes(&self, client: SocketAddr, bytes: &[u8]) {
        let mut kept = self.lock();
        if kept.wire_bytes + bytes.len() <= MAX_WIRE_BYTES {
            kept.wire_bytes += bytes.len();
            kept.wires.entry(client).or_default().extend_from_slice(bytes);
        }
    }

    /// Waits until there are so many requests; false when there are not within `patience`.
    pub fn wait_for(&self, count: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut kept = self.lock();
        while kept.entries.len() < count {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            let waited = self.kept.1.wait_timeout(kept, left);
            kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// All of them.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    /// The bytes of this request as they were read, if they were kept and its id is unique.
    pub fn wire(&self, entry: &Entry) -> Option<Vec<u8>> {
        let kept = self.lock();
        cut_out(kept.wires.get(&entry.client)?, entry).map(<[u8]>::to_vec)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From the request line before its id to the end of its body, which must not be chunked.
fn cut_out<'a>(wire: &'a [u8], entry: &Entry) -> Option<&'a [u8]> {
    if entry.id.is_empty() {
        return None;
    }
    let at = memmem::find(wire, format!(": {}\r\n", entry.id).as_bytes())?;
    let line = format!("{} {} HTTP/1.1\r\n", entry.method, entry.target);
    let start = memmem::rfind(wire.get(..at)?, line.as_bytes())?;
    let head_len = memmem::find(wire.get(start..)?, b"\r\n\r\n")? + 4;
    let body_len = usize::try_from(entry.body_len).ok()?;
    wire.get(start..start + head_len + body_len)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An entry for tests.
    pub fn entry(method: &str, target: &str, hash: &str) -> Entry {
        let line = json!({
            "client": "127.0.0.1:4000", "server": "127.0.0.1:80", "index": 3, "method": method,
            "target": target, "body_len": 2, "body_sha256": hash, "status": 200,
        });
        Entry::from_line(&line.to_string()).expect("an entry")
    }

    #[test]
    fn a_line_gives_the_entry_it_was_made_from() {
        let entry = entry("POST", "/pay", "ab");
        assert_eq!(Entry::from_line(&entry.to_line()), Some(entry));
        assert_eq!(Entry::from_line("{}"), None);
    }

    #[test]
    fn a_request_is_cut_out_of_what_its_connection_sent() {
        let mut entry = entry("POST", "/pay", "ab");
        entry.id = "r-2".into();
        let journal = Journal::default();
        let request = |id: &str| format!("POST /pay HTTP/1.1\r\nx-request-id: {id}\r\n\r\nab");
        assert_eq!(journal.wire(&entry), None);
        for id in ["r-1", "r-2", "r-20"] {
            journal.note_bytes(entry.client, request(id).as_bytes());
        }
        assert_eq!(journal.wire(&entry), Some(request("r-2").into_bytes()));
        entry.id = "r-3".into();
        assert_eq!(journal.wire(&entry), None);
    }

    #[test]
    fn waiting_ends_with_the_entry_or_with_the_patience() {
        let journal = Journal::default();
        assert!(!journal.wait_for(1, Duration::from_millis(1)));
        let other = journal.clone();
        let writer = std::thread::spawn(move || other.note(entry("GET", "/", "")));
        assert!(journal.wait_for(1, Duration::from_secs(10)));
        writer.join().expect("joins");
        assert_eq!(journal.count(), 1);
    }
}
