//! IP fragments, kept until their datagram is whole.
//!
//! In: fragments of either version, in any order. Out: whole datagrams. One datagram is put together
//! by etherparse's `IpDefragBuf`; the table around it is ours, because the bounds are: bytes,
//! datagrams and age in packet time. At a bound the oldest datagram goes, so that a flood of
//! fragments only shortens how long others may wait. The rules are Linux's (`inet_fragment.c`): a
//! fragment that lies within what is there is a copy and changes nothing, one that overlaps in
//! part ends its datagram (RFC 5722). What is inside the datagram is left to the walk.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use etherparse::defrag::IpDefragBuf;
use etherparse::{IpFragOffset, IpNumber};

use crate::model::{Ignored, Timestamp};

use super::layer::{Context, Protocol};
use super::span::Span;

/// Ranges with holes between them in one datagram. Honest fragments come nearly in order; without
/// a bound each fragment would cost more than the one before it.
const MAX_RANGES: usize = 64;
/// How long a finished datagram's key is remembered, so that a second sighting of its fragments
/// (both ends of a link captured) does not begin it anew and later mix with a reused identification.
/// Identifications cannot come round sooner below 650,000 datagrams/s between two hosts.
const REMEMBER: Duration = Duration::from_millis(100);

/// Bounds on the memory for fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Payload bytes kept in all datagrams together.
    pub max_bytes: usize,
    /// Datagrams kept, finished ones that are remembered for a moment included.
    pub max_datagrams: usize,
    /// How long a datagram may wait for its last fragment, in packet time. Shorter than the 30 s of
    /// Linux: the 65,536 identifications of IPv4 come round within seconds on a fast link, and the
    /// rest of a lost datagram must not be mixed with the next one of that number (RFC 4963).
    pub max_age: Duration,
}

impl Default for FragmentLimits {
    /// 4 MiB, 4096 datagrams, 2 s.
    fn default() -> Self {
        Self { max_bytes: 4 << 20, max_datagrams: 4096, max_age: Duration::from_secs(2) }
    }
}

/// Which datagram a fragment belongs to (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    /// IPv4 only: the protocol is part of the key. 0 for IPv6, where it is not.
    protocol: u8,
    encapsulation: u64,
}

impl Key {
    /// The key of an IPv4 fragment.
    pub fn v4(ip: &Protocol, id: u32, context: &Context) -> Self {
        Self { protocol: ip.number, ..Self::v6(ip, id, context) }
    }

    /// The key of an IPv6 fragment.
    pub fn v6(ip: &Protocol, id: u32, context: &Context) -> Self {
        let encapsulation = context.encapsulation;
        Self { src: ip.src, dst: ip.dst, id, protocol: 0, encapsulation }
    }
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Which datagram it belongs to.
    pub key: Key,
    /// What the datagram carries, if this is its first fragment.
    pub protocol: Protocol,
    /// Where it lies in the datagram.
    pub offset: IpFragOffset,
    /// Whether more fragments lie behind it.
    pub more: bool,
    /// Its part of the payload.
    pub payload: Span<'a>,
    /// What was around it.
    pub context: Context,
}

impl Piece<'_> {
    /// Whether it was not captured to its end, so that its datagram can never be whole.
    pub fn is_snapped(&self) -> bool {
        self.payload.cut() > 0
    }
}

/// A datagram put together.
#[derive(Debug)]
pub(super) struct Whole {
    /// What it carries.
    pub protocol: Protocol,
    /// The payload.
    pub data: Vec<u8>,
    /// What was around its last fragment.
    pub context: Context,
}

#[derive(Debug)]
enum State {
    /// Waiting for more.
    Open(IpDefragBuf),
    /// Put together at that time.
    Whole(Timestamp),
    /// Given up at that time.
    Lost(Timestamp),
}

#[derive(Debug)]
struct Entry {
    /// When its first fragment came.
    started: Timestamp,
    /// As the fragment at offset 0 says it: only that one counts (RFC 8200 section 4.5).
    protocol: Option<u8>,
    state: State,
}

impl Entry {
    fn new(started: Timestamp) -> Self {
        let buffer = IpDefragBuf::new(IpNumber(0), Vec::new(), Vec::new());
        Self { started, protocol: None, state: State::Open(buffer) }
    }

    fn is_stale(&self, now: Timestamp, max_age: Duration) -> bool {
        match self.state {
            State::Open(_) => now.since(self.started) > max_age,
            State::Whole(since) | State::Lost(since) => now.since(since) > REMEMBER,
        }
    }

    /// Bytes allocated for payload.
    fn bytes(&self) -> usize {
        match &self.state {
            State::Open(buffer) => buffer.data().capacity(),
            State::Whole(_) | State::Lost(_) => 0,
        }
    }
}

/// All datagrams that are not whole yet.
#[derive(Debug)]
pub(super) struct Fragments {
    limits: FragmentLimits,
    entries: HashMap<Key, Entry, ahash::RandomState>,
    /// Keys with the start of their entry, oldest first; a pair whose entry began at another time
    /// is out of date.
    order: VecDeque<(Key, Timestamp)>,
    /// Sum of [`Entry::bytes`].
    bytes: usize,
    /// Datagrams given up with fragments inside.
    abandoned: u64,
}

impl Fragments {
    /// An empty table.
    pub fn new(limits: FragmentLimits) -> Self {
        let (entries, order) = (HashMap::default(), VecDeque::new());
        Self { limits, entries, order, bytes: 0, abandoned: 0 }
    }

    /// Payload bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Datagrams held or remembered.
    pub fn datagrams(&self) -> usize {
        self.entries.len()
    }

    /// Datagrams given up so far: too old, over a bound, or contradicting themselves.
    pub fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// Takes one fragment in; gives the datagram when it was the last one missing.
    pub fn add(&mut self, piece: &Piece<'_>) -> Result<Whole, Ignored> {
        let now = piece.context.time;
        if piece.is_snapped() {
            self.give_up(piece.key, now);
            return Err(Ignored::FragmentDropped);
        }
        self.begin_if_new(piece.key, now);
        let Some(entry) = self.entries.get_mut(&piece.key) else {
            return Err(Ignored::FragmentDropped);
        };
        let buffer = match &mut entry.state {
            State::Open(buffer) => buffer,
            State::Whole(_) => return Err(Ignored::Fragment),
            State::Lost(_) => return Err(Ignored::FragmentDropped),
        };
        let before = buffer.data().capacity();
        let fit = fit(buffer, piece);
        let added =
            fit == Fit::New && buffer.add(piece.offset, piece.more, piece.payload.bytes()).is_ok();
        self.bytes += buffer.data().capacity() - before;
        if fit == Fit::Copy {
            return Err(Ignored::Fragment);
        }
        if !added {
            self.give_up(piece.key, now);
            return Err(Ignored::FragmentDropped);
        }
        if piece.offset.value() == 0 {
            entry.protocol = Some(piece.protocol.number);
        }
        if let Some(whole) = self.finish(piece) {
            return Ok(whole);
        }
        self.shrink(now);
        let is_kept = self.entries.contains_key(&piece.key);
        Err(if is_kept { Ignored::Fragment } else { Ignored::FragmentDropped })
    }

    /// Forgets a datagram that can never be whole; its other fragments are dropped on arrival.
    fn give_up(&mut self, key: Key, now: Timestamp) {
        self.begin_if_new(key, now);
        if let Some(entry) = self.entries.get_mut(&key)
            && let State::Open(_) = entry.state
        {
            self.bytes -= entry.bytes();
            entry.state = State::Lost(now);
            self.abandoned += 1;
        }
        self.shrink(now);
    }

    /// Makes sure that there is an entry, and none from an earlier datagram of that number.
    fn begin_if_new(&mut self, key: Key, now: Timestamp) {
        if let Some(entry) = self.entries.get(&key) {
            if !entry.is_stale(now, self.limits.max_age) {
                return;
            }
            self.remove(&key);
        }
        self.entries.insert(key, Entry::new(now));
        self.order.push_back((key, now));
    }

    /// Takes the datagram out if it is whole.
    fn finish(&mut self, piece: &Piece<'_>) -> Option<Whole> {
        let entry = self.entries.get_mut(&piece.key)?;
        let State::Open(buffer) = &entry.state else { return None };
        if !buffer.is_complete() {
            return None;
        }
        let number = entry.protocol?;
        self.bytes -= entry.bytes();
        let done = State::Whole(piece.context.time);
        let State::Open(buffer) = std::mem::replace(&mut entry.state, done) else { return None };
        let (data, _) = buffer.take_bufs();
        let protocol = Protocol { number, ..piece.protocol };
        Some(Whole { protocol, data, context: piece.context })
    }

    /// Holds the bounds: the oldest goes first.
    fn shrink(&mut self, now: Timestamp) {
        while let Some(&(key, started)) = self.order.front() {
            let is_over = self.bytes > self.limits.max_bytes
                || self.order.len() > self.limits.max_datagrams
                || now.since(started) > self.limits.max_age;
            if !is_over {
                break;
            }
            self.order.pop_front();
            if self.entries.get(&key).is_some_and(|entry| entry.started == started) {
                self.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes();
            self.abandoned += u64::from(matches!(entry.state, State::Open(_)));
        }
    }
}

/// How a fragment lies to those already there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Apart from all of them.
    New,
    /// Within one of them.
    Copy,
    /// Contradicts them, or is none: the datagram is lost.
    Bad,
}

fn fit(buffer: &IpDefragBuf, piece: &Piece<'_>) -> Fit {
    let start = usize::from(piece.offset.byte_offset());
    let end = start + piece.payload.bytes().len();
    let ranges = buffer.sections().iter().map(|r| (usize::from(r.start), usize::from(r.end)));
    let ends_early = !piece.more && ranges.clone().any(|(_, there)| there > end);
    if start == end || ends_early || buffer.sections().len() > MAX_RANGES {
        return Fit::Bad;
    }
    for (from, to) in ranges {
        if start >= from && end <= to {
            return Fit::Copy;
        }
        if start < to && end > from {
            return Fit::Bad;
        }
    }
    Fit::New
}
