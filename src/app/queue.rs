//! The queue's budget: how many messages and bytes may be between capture and their end.
//!
//! In: the cost of a message. Out: a [`Permit`] that is held until the message is over, or a refusal.
//! Guaranteed: at no moment more than `messages` and `bytes` are out (one message larger than `bytes`
//! alone is let through when nothing else is out, so that a file cannot hang on it). Costs two
//! atomic additions a message; nobody waits for a lock unless it must wait anyway. Who waits is woken when
//! half is free, not for each place: so that two threads work in long stretches and do not share each turn.
//!
//! Several consumers have a budget each ([`Budgets`]), so that one that hangs holds nothing of the others'.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What to do when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// Wait until there is room: a file can wait, and nothing of it is lost.
    Block,
    /// Give the newest message up and count it: a live interface must not wait, v1 never does.
    DropNewest,
}

/// Messages that may wait by default behind a live capture: what more waits, comes late.
pub const LIVE: usize = 4096;
/// From a file: whoever reads it works in few long stretches, and leaves the processor to those who send in between. To a
/// file: it need not be soon.
pub const FILE: usize = 1 << 15;

/// How often somebody who waits for room looks whether it is still of use.
const LOOK: Duration = Duration::from_millis(50);

/// How long one consumer may hold up another that has nothing left to do.
const HELD_UP: Duration = Duration::from_secs(1);

/// See the module's description.
#[derive(Debug)]
pub struct Budget {
    messages: usize,
    bytes: usize,
    used_messages: AtomicUsize,
    used_bytes: AtomicUsize,
    waiters: AtomicUsize,
    lock: Mutex<()>,
    freed: Condvar,
}

/// What is out when those who wait are woken, of a limit.
fn low_water(limit: usize) -> usize {
    limit / 2
}

/// A message's share of the budget; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of so many messages and bytes.
    pub fn new(messages: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            messages: messages.max(1),
            bytes,
            used_messages: AtomicUsize::new(0),
            used_bytes: AtomicUsize::new(0),
            waiters: AtomicUsize::new(0),
            lock: Mutex::new(()),
            freed: Condvar::new(),
        })
    }

    /// A share for a message of this size, or `None` when there is no room.
    pub fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        let before = self.used_messages.fetch_add(1, Ordering::AcqRel);
        let bytes_before = self.used_bytes.fetch_add(bytes, Ordering::AcqRel);
        let permit = Permit { budget: Arc::clone(self), bytes };
        let fits = before < self.messages && bytes_before.saturating_add(bytes) <= self.bytes;
        // Dropping the permit gives the share back.
        (fits || before == 0).then_some(permit)
    }

    /// Waits until room may have been made, or so long.
    fn wait(&self, most: Duration) {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.freed.wait_timeout(guard, most).unwrap_or_else(PoisonError::into_inner));
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Messages and bytes out now.
    pub fn used(&self) -> (usize, usize) {
        (self.used_messages.load(Ordering::Acquire), self.used_bytes.load(Ordering::Acquire))
    }
}

/// The budgets of several consumers of the same messages.
pub struct Budgets(Vec<Share>);

/// A consumer's.
struct Share {
    budget: Arc<Budget>,
    /// Whether it made no room while others waited for it: it is not waited for until half of it is free.
    is_stuck: bool,
}

/// A message's shares of several budgets, in their order: none where there was no room.
#[derive(Debug)]
pub struct Permits {
    /// Of the first consumer, which is mostly the only one.
    pub first: Option<Permit>,
    /// Of the others.
    pub others: Vec<Option<Permit>>,
}

impl Permits {
    fn any(&self) -> bool {
        self.iter().any(Option::is_some)
    }

    fn iter(&self) -> impl Iterator<Item = &Option<Permit>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Option<Permit>> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }
}

impl Share {
    fn try_take(&mut self, bytes: usize) -> Option<Permit> {
        if self.is_stuck {
            self.is_stuck = self.budget.used().0 > self.budget.messages / 2;
        }
        self.budget.try_take(bytes)
    }
}

impl Budgets {
    /// For so many consumers, each with room for so many messages; the bytes, which are memory, are divided
    /// among them.
    pub fn new(consumers: usize, messages: usize, bytes: usize) -> Self {
        let consumers = consumers.max(1);
        let share = |_| Share { budget: Budget::new(messages, bytes / consumers), is_stuck: false };
        Self((0..consumers).map(share).collect())
    }

    /// Shares for a message of this size, or `None` when nobody has room.
    pub fn try_take(&mut self, bytes: usize) -> Option<Permits> {
        let mut budgets = self.0.iter_mut().map(|share| share.try_take(bytes));
        let first = budgets.next().flatten();
        let permits = Permits { first, others: budgets.collect() };
        permits.any().then_some(permits)
    }

    /// Whether nobody need be waited for.
    pub fn suffice(&self, permits: &Permits) -> bool {
        let mut shares = self.0.iter().zip(permits.iter());
        permits.any() && shares.all(|(share, permit)| permit.is_some() || share.is_stuck)
    }

    /// Shares for a message of this size, waiting for them if need be; `None` when `is_over` says that
    /// waiting is of no use any more. A consumer without room is passed over from `due` on, if there is another
    /// that has room; and if nothing is ever due, when it has held up another for long.
    pub fn take(
        &mut self,
        bytes: usize,
        due: Option<Instant>,
        is_over: impl Fn() -> bool,
    ) -> Option<Permits> {
        let mut permits = Permits { first: None, others: Vec::new() };
        permits.others.resize_with(self.0.len().saturating_sub(1), || None);
        let mut held_up = None;
        loop {
            for (share, permit) in self.0.iter_mut().zip(permits.iter_mut()) {
                *permit = permit.take().or_else(|| share.try_take(bytes));
            }
            if self.suffice(&permits) {
                return Some(permits);
            }
            let Some(wait) = self.patience(&permits, due, &mut held_up) else {
                return Some(permits);
            };
            if is_over() {
                return None;
            }
            let mut shares = self.0.iter().zip(permits.iter());
            if let Some((full, _)) = shares.find(|(_, permit)| permit.is_none()) {
                full.budget.wait(wait);
            }
        }
    }

    /// How long to wait for those without room; `None` for not at all.
    fn patience(
        &mut self,
        permits: &Permits,
        due: Option<Instant>,
        held_up: &mut Option<Instant>,
    ) -> Option<Duration> {
        if !permits.any() {
            return Some(LOOK);
        }
        let now = Instant::now();
        if let Some(due) = due {
            let left = due.saturating_duration_since(now);
            return (!left.is_zero()).then(|| left.min(LOOK));
        }
        // Whoever has room for this message has nothing else left to do.
        let mut shares = self.0.iter().zip(permits.iter());
        if !shares.any(|(share, permit)| permit.is_some() && share.budget.used().0 <= 1) {
            *held_up = None;
            return Some(LOOK);
        }
        if now.saturating_duration_since(*held_up.get_or_insert(now)) < HELD_UP {
            return Some(LOOK);
        }
        for (share, permit) in self.0.iter_mut().zip(permits.iter()) {
            share.is_stuck |= permit.is_none();
        }
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let bytes = self.budget.used_bytes.fetch_sub(self.bytes, Ordering::AcqRel) - self.bytes;
        let messages = self.budget.used_messages.fetch_sub(1, Ordering::AcqRel) - 1;
        if self.budget.waiters.load(Ordering::SeqCst) > 0
            && messages <= low_water(self.budget.messages)
            && bytes <= low_water(self.budget.bytes)
        {
            // Without the lock: a waiter that just misses this looks again by itself.
            self.budget.freed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_limit_fits() {
        let budget = Budget::new(2, 100);
        let a = budget.try_take(50).expect("fits");
        let b = budget.try_take(50).expect("fits exactly");
        assert!(budget.try_take(1).is_none(), "no third message");
        drop(a);
        assert!(budget.try_take(51).is_none(), "too many bytes");
        let c = budget.try_take(50).expect("room again");
        drop((b, c));
        assert_eq!(budget.used(), (0, 0));
    }

    #[test]
    fn one_message_over_the_limit_goes_alone() {
        let budget = Budget::new(4, 100);
        let big = budget.try_take(1000).expect("alone");
        assert!(budget.try_take(1).is_none());
        drop(big);
        assert!(budget.try_take(1).is_some());
    }

    /// Two consumers; the first has nothing to do, the second has all its room taken.
    fn one_hangs() -> (Budgets, Vec<Option<Permit>>) {
        let mut budgets = Budgets::new(2, 4, 1000);
        let taken: Vec<_> = (0..4).map(|_| budgets.take(1, None, || false)).collect();
        let hung = taken.into_iter().flatten().flat_map(|permits| permits.others).collect();
        (budgets, hung)
    }

    #[test]
    fn a_consumer_that_hangs_takes_nothing_of_another() {
        let (mut budgets, hung) = one_hangs();
        let has = |permits: &Permits| (permits.first.is_some(), permits.others[0].is_some());
        let many: Vec<_> = (0..4).filter_map(|_| budgets.try_take(1)).collect();
        assert!(many.iter().all(|permits| has(permits) == (true, false)) && many.len() == 4);
        assert!(budgets.try_take(1).is_none(), "nobody has room");
        drop(hung);
        assert_eq!(budgets.try_take(1).as_ref().map(has), Some((false, true)));
        drop(many);
        let half = budgets.try_take(499).expect("both have room");
        assert!(budgets.try_take(2).is_none(), "each has half of the bytes");
        assert!(budgets.try_take(1).is_some());
        drop(half);
    }

    #[test]
    fn who_hangs_is_waited_for_until_the_message_is_due() {
        let (mut budgets, hung) = one_hangs();
        let due = Instant::now() + Duration::from_millis(30);
        let permits = budgets.take(1, Some(due), || false).expect("the first has room");
        assert!(permits.others[0].is_none() && Instant::now() >= due);
        drop((hung, permits));
        let far = Instant::now() + Duration::from_secs(3600);
        let permits = budgets.take(1, Some(far), || false).expect("all have");
        assert!(permits.others[0].is_some());
    }

    #[test]
    fn without_due_times_who_hangs_is_passed_over_until_half_of_its_room_is_free() {
        let (mut budgets, mut hung) = one_hangs();
        let take = |budgets: &mut Budgets| {
            let permits = budgets.take(1, None, || false).expect("the first has room");
            permits.others.into_iter().next().flatten()
        };
        let start = Instant::now();
        assert!(take(&mut budgets).is_none() && start.elapsed() >= HELD_UP);
        // It is not waited for again, but gets what fits.
        hung.truncate(3);
        hung.push(take(&mut budgets));
        assert!(hung[3].is_some() && budgets.0[1].is_stuck);
        assert!(take(&mut budgets).is_none());
        hung.truncate(1);
        assert!(take(&mut budgets).is_some() && !budgets.0[1].is_stuck);
    }

    #[test]
    fn a_waiter_gets_the_room_that_is_made() {
        let mut budgets = Budgets::new(1, 1, 100);
        let first = budgets.try_take(1).expect("fits");
        let waiting = std::thread::spawn(move || {
            let got = budgets.take(1, None, || false).is_some();
            (budgets, got)
        });
        drop(first);
        let (mut budgets, got) = waiting.join().expect("joins");
        assert!(got);
        let _held = budgets.try_take(1).expect("fits");
        let past = Some(Instant::now());
        assert!(budgets.take(1, past, || true).is_none(), "waiting ends when it is of no use");
    }
}
