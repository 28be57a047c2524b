//! Requests that wait for v1's status, since a rule asks for it.
//!
//! In: requests, final responses' heads, the passing of packet time. Out: what became of each request, in captured order
//! within a connection. Live nothing else waits; from a file all requests go on in captured order, those of other
//! connections too, so that due times and limits are what they would be without waiting. Guaranteed: no more than so many
//! messages and bytes wait. A file's room that is full is left in the order live requests are until it is half empty; what
//! then finds no room ends. Nothing is decided by when something was read: only packet times count, so that live and file agree.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use ahash::RandomState;
use lru::LruCache;

use crate::model::ledger::Refused;
use crate::model::{Answered, Message, StatusSeen, Timestamp};
use crate::shape::Rules;
use crate::shape::expr::Truth;

/// Statuses of requests that are not whole yet: v1 answered early.
const EARLY: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 14) - 1);

/// What packets within time may still be behind a hole or out of order when time is over.
const GRACE: Duration = Duration::from_secs(1);

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on; v1's response may have ended by now.
    Goes(Box<Message>, Option<Answered>),
    /// It ends.
    Ends(Refused),
}

/// How many may wait, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Messages.
    pub messages: usize,
    /// Bytes.
    pub bytes: usize,
    /// From a request's last byte to its response's first.
    pub patience: Duration,
    /// Whether all go on in captured order: a file.
    pub keeps_order: bool,
}

struct Held {
    message: Box<Message>,
    /// Whether its status is known, and it waits for others before it.
    may_go: bool,
    answered: Option<Answered>,
}

/// A connection of which requests wait.
#[derive(Default)]
struct Conn {
    /// By their numbers, in captured order; among them some that are gone, but never the first.
    all: VecDeque<u64>,
    /// Those whose status is not known; so too.
    open: VecDeque<u64>,
    left: usize,
    is_ended: bool,
}

/// See the module's description.
pub struct Waiting {
    rules: Rules,
    room: Room,
    is_overflowing: bool,
    /// By number, in captured order. The first one's status is never known: it would be gone.
    held: BTreeMap<u64, Held>,
    next: u64,
    bytes: usize,
    conns: HashMap<u64, Conn, RandomState>,
    requests: HashMap<(u64, u32), u64, RandomState>,
    early: LruCache<(u64, u32), (u16, Timestamp), RandomState>,
    latest: Timestamp,
    out: VecDeque<Outcome>,
    ended: Vec<u64>,
}

impl Waiting {
    /// Nothing waits.
    pub fn new(rules: Rules, room: Room) -> Self {
        Self {
            rules,
            room,
            is_overflowing: false,
            held: BTreeMap::new(),
            next: 0,
            bytes: 0,
            conns: HashMap::default(),
            requests: HashMap::default(),
            early: LruCache::with_hasher(EARLY, RandomState::new()),
            latest: Timestamp::ZERO,
            out: VecDeque::new(),
            ended: Vec::new(),
        }
    }

    /// Judges by these rules from now on, those that wait, too.
    pub fn judge_by(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The next thing that was decided.
    pub fn next(&mut self) -> Option<Outcome> {
        self.out.pop_front()
    }

    /// A request that goes on, or does when v1's status is known.
    pub fn add(&mut self, message: Message, mut may_go: bool) {
        let (conn, index) = (message.conn, message.index);
        self.latest = self.latest.max(message.last_byte);
        if !may_go && let Some((status, at)) = self.early.pop(&(conn, index)) {
            match self.judge(&message, status, at) {
                Some(bucket) => return self.out.push_back(Outcome::Ends(bucket)),
                None => may_go = true,
            }
        }
        let message = Box::new(message);
        if may_go && !self.is_behind_others(conn) {
            return self.out.push_back(Outcome::Goes(message, None));
        }
        let has_room = self.make_room(message.cost());
        if may_go && !self.is_behind_others(conn) {
            self.out.push_back(Outcome::Goes(message, None));
        } else if has_room {
            self.hold(message, may_go);
        } else {
            self.out.push_back(Outcome::Ends(Refused::QueueFull));
        }
    }

    /// The head of a final response was seen. Responses come in the order of their requests (RFC 9112 section 9.3.2), so
    /// requests before that one get none.
    pub fn status(&mut self, seen: StatusSeen) {
        self.latest = self.latest.max(seen.at);
        let mut is_found = false;
        while let Some(number) = self.first_open(seen.conn, seen.request) {
            let Some(held) = self.held.get(&number) else { break };
            is_found = held.message.index == seen.request;
            let bucket = match is_found {
                true => self.judge(&held.message, seen.status, seen.at),
                false => Some(Refused::NoV1Answer),
            };
            match (bucket, self.held.get_mut(&number)) {
                (None, Some(held)) => held.may_go = true,
                (bucket, _) => self.give_up(number, bucket.unwrap_or(Refused::NoV1Answer)),
            }
        }
        if !is_found {
            self.early.put((seen.conn, seen.request), (seen.status, seen.at));
        }
        self.release(seen.conn);
    }

    /// Takes the first request of the connection whose status is not known, unless it is behind that one.
    fn first_open(&mut self, conn: u64, last: u32) -> Option<u64> {
        let open = &mut self.conns.get_mut(&conn)?.open;
        while let Some(number) = open.pop_front() {
            match self.held.get(&number) {
                Some(held) if held.message.index > last => {
                    open.push_front(number);
                    return None;
                }
                Some(_) => return Some(number),
                None => {}
            }
        }
        None
    }

    /// A whole response was seen; false when its request does not wait.
    pub fn answered(&mut self, answered: Answered) -> bool {
        let number = self.requests.get(&(answered.conn, answered.request));
        let held = number.and_then(|number| self.held.get_mut(number));
        held.map(|held| held.answered = Some(answered)).is_some()
    }

    /// No request of the connection will come any more; false when none of it waits.
    pub fn end_of(&mut self, conn: u64) -> bool {
        self.conns.get_mut(&conn).map(|conn| conn.is_ended = true).is_some()
    }

    /// Connections that ended, and of which nothing waits any more.
    pub fn ended(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.ended)
    }

    /// Packet time is so late.
    pub fn pass_time(&mut self, now: Timestamp) {
        self.expire(now - GRACE);
    }

    /// No response will come any more.
    pub fn end(&mut self) {
        while let Some((&number, held)) = self.held.first_key_value() {
            let conn = held.message.conn;
            self.give_up(number, Refused::NoV1Answer);
            self.release(conn);
        }
        self.early.clear();
    }

    /// The bucket of a request to which v1 answered so; `None` when it goes on.
    fn judge(&self, request: &Message, status: u16, at: Timestamp) -> Option<Refused> {
        if at > request.last_byte + self.room.patience {
            return Some(Refused::NoV1Answer);
        }
        (self.rules.let_on(request, Some(status)) != Truth::Yes).then_some(Refused::Filtered)
    }

    fn is_in_order(&self) -> bool {
        self.room.keeps_order && !self.is_overflowing
    }

    fn is_behind_others(&self, conn: u64) -> bool {
        if self.is_in_order() { !self.held.is_empty() } else { self.conns.contains_key(&conn) }
    }

    fn has_room(&self, cost: usize) -> bool {
        let is_room = self.held.len() < self.room.messages
            && self.bytes.saturating_add(cost) <= self.room.bytes;
        is_room || self.held.is_empty()
    }

    fn make_room(&mut self, cost: usize) -> bool {
        if self.has_room(cost) {
            return true;
        }
        self.expire(self.latest);
        if !self.has_room(cost) && self.is_in_order() {
            self.is_overflowing = true;
            self.release_all();
        }
        self.has_room(cost)
    }

    fn hold(&mut self, message: Box<Message>, may_go: bool) {
        let number = self.next;
        self.next += 1;
        self.bytes += message.cost();
        let conn = self.conns.entry(message.conn).or_default();
        conn.left += 1;
        conn.all.push_back(number);
        if !may_go {
            conn.open.push_back(number);
        }
        self.requests.insert((message.conn, message.index), number);
        self.held.insert(number, Held { message, may_go, answered: None });
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((&number, held)) = self.held.first_key_value()
            && held.message.last_byte + self.room.patience < now
        {
            let conn = held.message.conn;
            self.give_up(number, Refused::NoV1Answer);
            self.release(conn);
        }
    }

    fn give_up(&mut self, number: u64, bucket: Refused) {
        if self.take(number).is_some() {
            self.out.push_back(Outcome::Ends(bucket));
        }
    }

    fn take(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        let request = (held.message.conn, held.message.index);
        self.bytes = self.bytes.saturating_sub(held.message.cost());
        if self.requests.get(&request) == Some(&number) {
            self.requests.remove(&request);
        }
        if let Some(conn) = self.conns.get_mut(&request.0) {
            conn.left = conn.left.saturating_sub(1);
            for numbers in [&mut conn.all, &mut conn.open] {
                while numbers.front().is_some_and(|number| !self.held.contains_key(number)) {
                    numbers.pop_front();
                }
            }
            if conn.left == 0 {
                self.ended.extend(conn.is_ended.then_some(request.0));
                self.conns.remove(&request.0);
            }
        }
        Some(held)
    }

    fn go(&mut self, number: u64) {
        if let Some(held) = self.take(number) {
            self.out.push_back(Outcome::Goes(held.message, held.answered));
        }
    }

    /// Lets go what may, after something of this connection changed.
    fn release(&mut self, conn: u64) {
        if self.is_in_order() {
            return self.release_first();
        }
        self.release_conn(conn);
        let is_half_empty =
            self.held.len() <= self.room.messages / 2 && self.bytes <= self.room.bytes / 2;
        if self.is_overflowing && is_half_empty {
            self.is_overflowing = false;
        }
    }

    fn release_first(&mut self) {
        while let Some((&number, held)) = self.held.first_key_value()
            && held.may_go
        {
            self.go(number);
        }
    }

    fn release_conn(&mut self, conn: u64) {
        while let Some(&number) = self.conns.get(&conn).and_then(|conn| conn.all.front())
            && self.held.get(&number).is_some_and(|held| held.may_go)
        {
            self.go(number);
        }
    }

    /// In captured order as far as connections allow it.
    fn release_all(&mut self) {
        let ready: Vec<_> =
            self.held.values().filter(|held| held.may_go).map(|held| held.message.conn).collect();
        for conn in ready {
            self.release_conn(conn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::request;
    use crate::model::testing::Random;
    use crate::shape::expr::Expr;

    const ROOM: Room =
        Room { messages: 4, bytes: 1 << 20, patience: Duration::from_secs(30), keeps_order: false };

    fn waiting(room: Room) -> Waiting {
        let only = Expr::parse("status == 200 or method == PUT").expect("an expression");
        Waiting::new(Rules::new(vec![only], Vec::new()), room)
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    /// The `index`th request of a connection, whole at this second.
    fn asked(conn: u64, index: u32, second: u64) -> Message {
        let mut message = request(b"GET / HTTP/1.1\r\n\r\n");
        (message.conn, message.index, message.last_byte) = (conn, index, at(second));
        message
    }

    fn answer(conn: u64, request: u32, status: u16, second: u64) -> StatusSeen {
        StatusSeen { conn, request, status, at: at(second) }
    }

    /// What was decided: `conn.index`, or the bucket.
    fn decided(waiting: &mut Waiting) -> String {
        let mut words = Vec::new();
        while let Some(outcome) = waiting.next() {
            words.push(match outcome {
                Outcome::Goes(message, _) => format!("{}.{}", message.conn, message.index),
                Outcome::Ends(bucket) => crate::model::Cause::name(bucket).to_owned(),
            });
        }
        words.join(" ")
    }

    #[test]
    fn a_request_goes_on_with_its_status_and_not_before() {
        let mut waiting = waiting(ROOM);
        waiting.add(asked(1, 0, 10), false);
        waiting.add(asked(2, 0, 10), false);
        assert_eq!(decided(&mut waiting), "");
        waiting.status(answer(2, 0, 404, 11));
        waiting.status(answer(1, 0, 200, 12));
        assert_eq!(decided(&mut waiting), "filtered 1.0");
        assert_eq!(waiting.bytes, 0);
        assert!(waiting.conns.is_empty() && waiting.requests.is_empty());
    }

    #[test]
    fn live_a_connection_keeps_its_order_and_others_do_not_wait_for_it() {
        let mut waiting = waiting(ROOM);
        waiting.add(asked(1, 0, 10), false);
        waiting.add(asked(1, 1, 10), true);
        waiting.add(asked(2, 0, 11), true);
        assert_eq!(decided(&mut waiting), "2.0");
        waiting.status(answer(1, 0, 200, 12));
        assert_eq!(decided(&mut waiting), "1.0 1.1");
    }

    #[test]
    fn a_file_keeps_the_order_of_all() {
        let mut waiting = waiting(Room { keeps_order: true, ..ROOM });
        waiting.add(asked(1, 0, 10), false);
        waiting.add(asked(2, 0, 11), true);
        waiting.add(asked(3, 0, 12), false);
        waiting.status(answer(3, 0, 200, 13));
        assert_eq!(decided(&mut waiting), "");
        waiting.status(answer(1, 0, 200, 14));
        assert_eq!(decided(&mut waiting), "1.0 2.0 3.0");
    }

    #[test]
    fn what_v1_passes_over_gets_no_answer() {
        let mut waiting = waiting(ROOM);
        for index in 0..3 {
            waiting.add(asked(1, index, 10), false);
        }
        waiting.status(answer(1, 1, 200, 11));
        assert_eq!(decided(&mut waiting), "no_v1_answer 1.1");
        waiting.end();
        assert_eq!(decided(&mut waiting), "no_v1_answer");
    }

    #[test]
    fn the_time_for_an_answer_is_exact_and_that_of_packets() {
        let mut waiting = waiting(ROOM);
        for conn in 1..=4 {
            waiting.add(asked(conn, 0, 100), false);
        }
        waiting.status(answer(1, 0, 200, 130));
        waiting.status(answer(2, 0, 200, 131));
        assert_eq!(decided(&mut waiting), "1.0 no_v1_answer");
        // What was captured in time may still be under way.
        waiting.pass_time(at(131));
        assert_eq!(decided(&mut waiting), "");
        waiting.status(answer(3, 0, 200, 130));
        waiting.pass_time(at(132));
        assert_eq!(decided(&mut waiting), "3.0 no_v1_answer");
    }

    #[test]
    fn an_answer_before_the_request_is_whole_is_remembered() {
        let mut waiting = waiting(ROOM);
        waiting.status(answer(1, 0, 200, 10));
        waiting.status(answer(1, 1, 500, 10));
        waiting.add(asked(1, 0, 12), false);
        waiting.add(asked(1, 1, 12), false);
        assert_eq!(decided(&mut waiting), "1.0 filtered");
    }

    #[test]
    fn live_the_newest_finds_no_room() {
        let mut waiting = waiting(ROOM);
        for conn in 0..6 {
            waiting.add(asked(conn, 0, 10), false);
        }
        assert_eq!(decided(&mut waiting), "shed_queue_full shed_queue_full");
        // Those whose time is over make room.
        waiting.add(asked(7, 0, 41), false);
        assert_eq!(decided(&mut waiting), ["no_v1_answer"; 4].join(" "));
        let mut narrow = self::waiting(Room { bytes: asked(0, 0, 0).cost() * 2, ..ROOM });
        for conn in 0..3 {
            narrow.add(asked(conn, 0, 10), false);
        }
        assert_eq!(decided(&mut narrow), "shed_queue_full", "two fit");
    }

    #[test]
    fn a_file_that_finds_no_room_goes_on_out_of_order_until_there_is() {
        let mut waiting = waiting(Room { keeps_order: true, ..ROOM });
        waiting.add(asked(1, 0, 10), false);
        for conn in 2..=5 {
            waiting.add(asked(conn, 0, 11), true);
        }
        assert_eq!(decided(&mut waiting), "2.0 3.0 4.0 5.0");
        waiting.add(asked(6, 0, 12), false);
        waiting.status(answer(6, 0, 200, 12));
        // Half empty by now: the order is kept again.
        waiting.add(asked(7, 0, 13), true);
        assert_eq!(decided(&mut waiting), "6.0");
        waiting.status(answer(1, 0, 200, 14));
        assert_eq!(decided(&mut waiting), "1.0 7.0");
    }

    #[test]
    fn the_end_of_a_connection_waits_for_its_requests() {
        let mut waiting = waiting(ROOM);
        waiting.add(asked(1, 0, 10), false);
        assert!(waiting.end_of(1) && !waiting.end_of(2));
        assert_eq!(waiting.ended(), [0; 0]);
        waiting.status(answer(1, 0, 200, 11));
        assert_eq!(waiting.ended(), [1]);
    }

    #[test]
    fn what_is_gone_leaves_nothing_behind_on_a_connection_that_always_has_one_waiting() {
        for (keeps_order, is_answered) in [(true, true), (false, true), (true, false)] {
            let mut waiting = waiting(Room { keeps_order, messages: 64, ..ROOM });
            for index in 0..10_000 {
                waiting.add(asked(1, index, u64::from(index)), false);
                if is_answered && let Some(before) = index.checked_sub(1) {
                    waiting.status(answer(1, before, 200, u64::from(index)));
                }
                waiting.pass_time(at(u64::from(index)));
            }
            let conn = waiting.conns.get(&1).expect("one waits");
            assert!(conn.all.len() <= 64 && conn.open.len() <= 64, "{keeps_order} {is_answered}");
            assert_eq!(waiting.held.len(), conn.left);
        }
    }

    /// Random traffic: each request is decided once, and in its connection's order.
    #[test]
    fn every_request_is_decided_once() {
        let mut random = Random::new(7);
        for keeps_order in [false, true] {
            let room = Room { messages: 16, keeps_order, ..ROOM };
            let (mut waiting, mut next) = (waiting(room), [0u32; 5]);
            let (mut added, mut outcomes, mut last) = (0, 0, [None; 5]);
            for second in 0..20_000 {
                let conn = random.below(5);
                let index = &mut next[conn];
                let conn = conn as u64;
                match random.below(3) {
                    0 => {
                        waiting.add(asked(conn, *index, second), random.one_in(4));
                        *index += 1;
                        added += 1;
                    }
                    1 => {
                        let request = index.saturating_sub(random.below(4) as u32);
                        let status = *random.pick(&[200, 404]);
                        waiting.status(answer(conn, request, status, second));
                    }
                    _ => waiting.pass_time(at(second)),
                }
                if second == 19_999 {
                    waiting.end();
                }
                while let Some(outcome) = waiting.next() {
                    outcomes += 1;
                    if let Outcome::Goes(message, _) = outcome {
                        let last = &mut last[message.conn as usize];
                        assert!(last.is_none_or(|last| last < message.index), "{keeps_order}");
                        *last = Some(message.index);
                    }
                }
            }
            assert_eq!((added, waiting.bytes), (outcomes, 0), "{keeps_order}");
            assert!(waiting.conns.is_empty() && waiting.requests.is_empty());
        }
    }
}
