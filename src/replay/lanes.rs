//! Order: which request may go next.
//!
//! In: jobs, each with the number of its captured connection and perhaps the moment it is due.
//! Out: jobs that may be sent now. Guaranteed: of each connection at most one job is out at a
//! time, in the order in which they came, none before it is due; connections take turns, those with
//! due times by them, the others in the order in which they became able to go. A lane exists only while
//! it has work. Pure: no clock, no sockets; left to others are how many may be out at once and the
//! telling of time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use ahash::AHashMap;
use tokio::time::Instant;

/// The work of one captured connection.
struct Lane<T> {
    /// Jobs waiting, the next one first, each with its due time.
    waiting: VecDeque<(Option<Instant>, T)>,
    /// Whether no more will come.
    is_ended: bool,
}

/// All connections that have work. Each is in one of three states: its next job may go at any time
/// (`ready`), from some moment on (`timed`), or one of its jobs is out (neither).
pub(super) struct Lanes<T> {
    lanes: AHashMap<u64, Lane<T>>,
    /// Connections whose next job has no due time.
    ready: VecDeque<u64>,
    /// Connections whose next job has one, the earliest first: (due, order of arrival, connection).
    timed: BinaryHeap<Reverse<(Instant, u64, u64)>>,
    /// Breaks ties between equal due times by order of arrival.
    arrivals: u64,
    /// Jobs waiting in all lanes.
    waiting: usize,
}

impl<T> Lanes<T> {
    /// No work yet.
    pub fn new() -> Self {
        Self {
            lanes: AHashMap::new(),
            ready: VecDeque::new(),
            timed: BinaryHeap::new(),
            arrivals: 0,
            waiting: 0,
        }
    }

    /// Adds a job behind those of the same connection.
    pub fn push(&mut self, conn: u64, due: Option<Instant>, job: T) {
        self.waiting += 1;
        if let Some(lane) = self.lanes.get_mut(&conn) {
            lane.waiting.push_back((due, job));
            return;
        }
        let waiting = VecDeque::from([(due, job)]);
        self.lanes.insert(conn, Lane { waiting, is_ended: false });
        self.line_up(conn, due);
    }

    /// The next job that may go at `now`, with its connection, which gives no other until
    /// [`Self::done`], and its due time.
    pub fn take(&mut self, now: Instant) -> Option<(u64, Option<Instant>, T)> {
        let conn = match self.timed.peek() {
            Some(&Reverse((due, _, conn))) if due <= now => {
                self.timed.pop();
                conn
            }
            _ => self.ready.pop_front()?,
        };
        let (due, job) = self.lanes.get_mut(&conn)?.waiting.pop_front()?;
        self.waiting -= 1;
        Some((conn, due, job))
    }

    /// The job that was taken goes back: the connection gives it, and no other, once [`Self::done`] was said.
    pub fn put_back(&mut self, conn: u64, due: Option<Instant>, job: T) {
        if let Some(lane) = self.lanes.get_mut(&conn) {
            lane.waiting.push_front((due, job));
            self.waiting += 1;
        }
    }

    /// The job of this connection that was out is over. Says whether the connection is, too: it has ended, and
    /// nothing waits.
    pub fn done(&mut self, conn: u64) -> bool {
        let Some(lane) = self.lanes.get(&conn) else { return false };
        match lane.waiting.front() {
            Some(&(due, _)) => self.line_up(conn, due),
            None => return self.lanes.remove(&conn).is_some_and(|lane| lane.is_ended),
        }
        false
    }

    /// No more jobs of this connection will come. Says whether it is over: nothing waits, and no job is out.
    pub fn end(&mut self, conn: u64) -> bool {
        match self.lanes.get_mut(&conn) {
            Some(lane) => lane.is_ended = true,
            None => return true,
        }
        false
    }

    /// When the next job is due, if none may go before that.
    pub fn next_due(&self) -> Option<Instant> {
        if !self.ready.is_empty() {
            return None;
        }
        self.earliest()
    }

    /// The earliest due time of those that are the next of their connection.
    pub fn earliest(&self) -> Option<Instant> {
        self.timed.peek().map(|Reverse((due, _, _))| *due)
    }

    /// Gives up every job that waits, and says how many there were.
    pub fn clear(&mut self) -> usize {
        self.lanes.clear();
        self.ready.clear();
        self.timed.clear();
        std::mem::take(&mut self.waiting)
    }

    /// Whether nothing waits. Jobs may still be out.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Puts a connection whose next job is due then where it belongs.
    fn line_up(&mut self, conn: u64, due: Option<Instant>) {
        match due {
            Some(due) => {
                self.arrivals += 1;
                self.timed.push(Reverse((due, self.arrivals, conn)));
            }
            None => self.ready.push_back(conn),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(origin: Instant, ms: u64) -> Option<Instant> {
        Some(origin + Duration::from_millis(ms))
    }

    fn take<T>(lanes: &mut Lanes<T>, now: Instant) -> Option<(u64, T)> {
        lanes.take(now).map(|(conn, _, job)| (conn, job))
    }

    #[test]
    fn a_connection_has_one_job_out_at_a_time_and_others_pass_it() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        lanes.push(1, None, "1a");
        lanes.push(1, None, "1b");
        lanes.push(2, None, "2a");
        assert_eq!(take(&mut lanes, now), Some((1, "1a")));
        assert_eq!(take(&mut lanes, now), Some((2, "2a")));
        assert_eq!(take(&mut lanes, now), None);
        lanes.done(1);
        assert_eq!(take(&mut lanes, now), Some((1, "1b")));
    }

    #[test]
    fn a_lane_exists_only_while_it_has_work() {
        let mut lanes = Lanes::new();
        for conn in 0..1000 {
            lanes.push(conn, None, conn);
            assert!(lanes.take(Instant::now()).is_some());
            lanes.done(conn);
        }
        assert_eq!((lanes.lanes.len(), lanes.is_empty()), (0, true));
    }

    #[test]
    fn a_connection_that_ended_is_over_when_its_last_job_is() {
        let mut lanes = Lanes::new();
        assert!(lanes.end(1), "nothing of it is here");
        lanes.push(2, None, "2a");
        lanes.push(2, None, "2b");
        lanes.push(3, None, "3a");
        assert!(!lanes.end(2));
        let out = std::iter::from_fn(|| take(&mut lanes, Instant::now())).count();
        assert_eq!((out, lanes.done(2), lanes.done(3)), (2, false, false));
        assert_eq!(take(&mut lanes, Instant::now()), Some((2, "2b")));
        assert!(!lanes.end(2), "its last one is out");
        assert!(lanes.done(2));
    }

    #[test]
    fn nothing_goes_before_it_is_due_and_a_late_one_holds_its_lane_only() {
        let zero = Instant::now();
        let mut lanes = Lanes::new();
        lanes.push(1, at(zero, 20), "1a");
        lanes.push(1, at(zero, 0), "1b");
        lanes.push(2, at(zero, 10), "2a");
        assert_eq!((take(&mut lanes, zero), lanes.next_due()), (None, at(zero, 10)));
        let later = zero + Duration::from_millis(15);
        assert_eq!(take(&mut lanes, later), Some((2, "2a")));
        assert_eq!((take(&mut lanes, later), lanes.next_due()), (None, at(zero, 20)));
        let latest = zero + Duration::from_millis(25);
        assert_eq!(take(&mut lanes, latest), Some((1, "1a")));
        assert_eq!(take(&mut lanes, latest), None, "1b waits for the answer to 1a");
        lanes.done(1);
        assert_eq!(take(&mut lanes, latest), Some((1, "1b")));
    }

    #[test]
    fn jobs_due_together_go_in_the_order_they_came() {
        let zero = Instant::now();
        let mut lanes = Lanes::new();
        for conn in [5, 3, 9, 1] {
            lanes.push(conn, at(zero, 1), ());
        }
        let later = zero + Duration::from_millis(1);
        let order: Vec<u64> =
            std::iter::from_fn(|| take(&mut lanes, later)).map(|(c, ())| c).collect();
        assert_eq!(order, [5, 3, 9, 1]);
    }

    #[test]
    fn a_job_that_was_put_back_comes_first_and_not_before_its_lane_is_said_to_be_done() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        lanes.push(1, None, "1a");
        lanes.push(1, None, "1b");
        lanes.push(2, None, "2a");
        let (conn, due, job) = lanes.take(now).expect("one may go");
        lanes.put_back(conn, due, job);
        assert_eq!(take(&mut lanes, now), Some((2, "2a")));
        assert_eq!((take(&mut lanes, now), lanes.is_empty()), (None, false));
        lanes.push(1, None, "1c");
        assert_eq!(take(&mut lanes, now), None);
        assert!(!lanes.end(1) && !lanes.done(1));
        for job in ["1a", "1b", "1c"] {
            assert_eq!(take(&mut lanes, now), Some((1, job)));
            assert_eq!(lanes.done(1), job == "1c");
        }
        lanes.push(3, None, "3a");
        let (conn, due, job) = lanes.take(now).expect("one may go");
        lanes.put_back(conn, due, job);
        assert_eq!(lanes.clear(), 1);
    }

    #[test]
    fn clearing_counts_what_waited_and_drops_it() {
        let guard = std::sync::Arc::new(());
        let mut lanes = Lanes::new();
        for conn in 0..3 {
            lanes.push(conn, None, guard.clone());
            lanes.push(conn, None, guard.clone());
        }
        let (conn, _, out) = lanes.take(Instant::now()).expect("one may go");
        assert_eq!(lanes.clear(), 5);
        assert_eq!(std::sync::Arc::strong_count(&guard), 2, "ours, and the one that is out");
        drop(out);
        lanes.done(conn);
        assert!(lanes.is_empty() && lanes.take(Instant::now()).is_none());
    }
}
