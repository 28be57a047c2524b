//! Which connection a message read from a recording belongs to.
//!
//! In come the heads of records in file order, out come messages with their connection's number:
//! the one recorded, kept apart for each run in the file, or for files of other tools a new one,
//! shared by a request and a response that name each other. Memory is bounded; a foreign pair
//! further apart than [`MAX_LINKS`] records is taken for two connections.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::head::Head;
use super::recorded::RecordedMessage;
use super::warc::{Kind, RecordId};

/// Foreign records whose connection is remembered, to find their counterpart.
const MAX_LINKS: usize = 1024;
/// In a file put together from several runs, connections of the nth are numbered from n << 40.
const RUN_SHIFT: u32 = 40;
/// Runs told apart in one file; the numbers of later ones collide.
const MAX_RUNS: usize = 1 << 16;

/// Gives connections their numbers: those recorded, apart for each run, or new ones.
#[derive(Default)]
pub struct Links {
    /// Runs seen, in order; messages belong to `current`.
    runs: Vec<String>,
    current: u64,
    /// Connections handed out to foreign messages.
    next_conn: u64,
    by_id: HashMap<String, u64>,
    order: VecDeque<String>,
}

impl Links {
    /// A `warcinfo` record: the messages behind it belong to the run it names.
    pub fn begin_run(&mut self, block: &[u8]) {
        let line = block.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"run:"));
        let run = String::from_utf8_lossy(line.unwrap_or_default().trim_ascii()).into_owned();
        let known = self.runs.iter().position(|other| *other == run);
        let place = known.unwrap_or(self.runs.len());
        if known.is_none() && self.runs.len() < MAX_RUNS {
            self.runs.push(run);
        }
        self.current = place as u64;
    }

    /// The next file begins: until it names a run, its messages belong to none of those before.
    pub fn end_file(&mut self) {
        self.begin_run(b"");
    }

    /// The run in force, where a `warcinfo` record named it.
    pub fn run(&self) -> Option<&str> {
        let place = usize::try_from(self.current).ok()?;
        self.runs.get(place).map(String::as_str).filter(|run| !run.is_empty())
    }

    /// Whether a message's identifier is the one it must have in this run; `None` when the file is
    /// not one of ours.
    pub fn is_ours(&self, kind: Kind, head: &Head) -> Option<bool> {
        let run = self.run()?;
        let (Some(conn), Some(index), Some(id)) = (head.connection, head.index, &head.id) else {
            return Some(false);
        };
        let mut expected = Vec::with_capacity(64);
        RecordId::message(run, kind, conn, index).push(&mut expected);
        Some(id.as_bytes() == expected)
    }

    /// The message of a record.
    pub fn message(&mut self, kind: Kind, head: &Head, raw: Bytes, offset: u64) -> RecordedMessage {
        let first_byte = head.date.unwrap_or_default();
        let (conn, index, request) = match head.connection {
            Some(conn) => {
                let conn = conn.wrapping_add(self.current << RUN_SHIFT);
                (conn, head.index.unwrap_or(0), head.request)
            }
            None => {
                let (conn, linked) = self.foreign(head);
                (conn, 0, linked.then_some(0))
            }
        };
        RecordedMessage {
            kind,
            raw,
            conn,
            index,
            client: head.client(),
            server: head.server(),
            first_byte,
            last_byte: head.last_byte.unwrap_or(first_byte),
            request: request.filter(|_| kind == Kind::Response),
            anomalies: head.anomalies,
            redacted: head.redacted,
            truncated: head.truncated,
            offset,
        }
    }

    /// The connection of a foreign message, and whether it has a counterpart. Tools differ in which
    /// of the two names the other, and in which comes first.
    fn foreign(&mut self, head: &Head) -> (u64, bool) {
        let named = head.id.as_ref().and_then(|id| self.by_id.get(id));
        let names = head.concurrent_to.as_ref().and_then(|id| self.by_id.get(id));
        let known = named.or(names).copied();
        let conn = known.unwrap_or_else(|| {
            self.next_conn += 1;
            (self.next_conn - 1).wrapping_add(self.current << RUN_SHIFT)
        });
        for id in [&head.id, &head.concurrent_to].into_iter().flatten() {
            if self.by_id.insert(id.clone(), conn).is_none() {
                self.order.push_back(id.clone());
            }
        }
        while self.order.len() > MAX_LINKS {
            if let Some(oldest) = self.order.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
        (conn, known.is_some() || head.concurrent_to.is_some())
    }
}
