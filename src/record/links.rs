//! Which connection a message read from a recording belongs to.
//!
//! In come the heads of records in file order, out come messages with their connection's number:
//! the one recorded, kept apart for each run in the file, or for files of other tools a new one,
//! shared by a request and a response that name each other. Files that are read as one share what is known, also
//! while they are read side by side. Memory is bounded; a foreign pair further apart than [`MAX_LINKS`] records is taken
//! for two connections.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Gives connections their numbers: those recorded, apart for each run, or new ones. One for each file; those made by
/// [`Self::of_next_file`] share what they know.
#[derive(Default)]
pub struct Links {
    known: Arc<Mutex<Known>>,
    /// The run that this file's messages belong to, by its place among those known.
    current: Option<Run>,
}

/// A run of a recorder.
struct Run {
    name: String,
    place: u64,
}

/// What the files share.
#[derive(Default)]
struct Known {
    /// Runs seen, in order; the one without a name is that of foreign files.
    runs: Vec<String>,
    /// Connections handed out to foreign messages.
    next_conn: u64,
    by_id: HashMap<String, u64>,
    order: VecDeque<String>,
}

impl Links {
    /// Those of another file that is read with this one: until it names a run, its messages belong to none.
    pub fn of_next_file(&self) -> Self {
        Self { known: self.known.clone(), current: None }
    }

    /// A `warcinfo` record: the messages behind it belong to the run it names.
    pub fn begin_run(&mut self, block: &[u8]) {
        let line = block.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"run:"));
        let name = String::from_utf8_lossy(line.unwrap_or_default().trim_ascii()).into_owned();
        let place = self.known().place(&name);
        self.current = Some(Run { name, place });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of the run in force.
    fn place(&mut self) -> u64 {
        if self.current.is_none() {
            self.begin_run(b"");
        }
        self.current.as_ref().map_or(0, |run| run.place)
    }

    /// The run in force, where a `warcinfo` record named it.
    pub fn run(&self) -> Option<&str> {
        self.current.as_ref().map(|run| run.name.as_str()).filter(|name| !name.is_empty())
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
        let first_conn = self.place() << RUN_SHIFT;
        let (conn, index, request) = match head.connection {
            Some(conn) => (conn.wrapping_add(first_conn), head.index.unwrap_or(0), head.request),
            None => {
                let (conn, linked) = self.known().foreign(head, first_conn);
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
}

impl Known {
    /// The place of a run.
    fn place(&mut self, name: &str) -> u64 {
        let known = self.runs.iter().position(|other| other == name);
        let place = known.unwrap_or(self.runs.len());
        if known.is_none() && self.runs.len() < MAX_RUNS {
            self.runs.push(name.to_owned());
        }
        place as u64
    }

    /// The connection of a foreign message, and whether it has a counterpart. Tools differ in which
    /// of the two names the other, and in which comes first.
    fn foreign(&mut self, head: &Head, first_conn: u64) -> (u64, bool) {
        let named = head.id.as_ref().and_then(|id| self.by_id.get(id));
        let names = head.concurrent_to.as_ref().and_then(|id| self.by_id.get(id));
        let known = named.or(names).copied();
        let conn = known.unwrap_or_else(|| {
            self.next_conn += 1;
            (self.next_conn - 1).wrapping_add(first_conn)
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
