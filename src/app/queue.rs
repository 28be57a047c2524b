//! The queue's budget: how many messages and bytes may be between capture and their end.
//!
//! In: the cost of a message. Out: a [`Permit`] that is held until the message is over, or a refusal.
//! Guaranteed: at no moment more than `messages` and `bytes` are out (one message larger than `bytes`
//! alone is let through when nothing else is out, so that a file cannot hang on it). Costs two
//! atomic additions a message; nobody waits for a lock unless it must wait anyway. Who waits is woken when a
//! quarter is free, not for each place: so that two threads hand over batches and not single messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What to do when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// Wait until there is room: a file can wait, and nothing of it is lost.
    Block,
    /// Give the newest message up and count it: a live interface must not wait, v1 never does.
    DropNewest,
}

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
    limit - limit.div_ceil(4)
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

    /// A share for a message of this size, waiting for it if need be; `None` when `is_over` says
    /// that waiting is of no use any more (looked at when room is made and every 50 ms).
    pub fn take(self: &Arc<Self>, bytes: usize, is_over: impl Fn() -> bool) -> Option<Permit> {
        loop {
            if let Some(permit) = self.try_take(bytes) {
                return Some(permit);
            }
            if is_over() {
                return None;
            }
            self.waiters.fetch_add(1, Ordering::SeqCst);
            let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            let wait = std::time::Duration::from_millis(50);
            drop(self.freed.wait_timeout(guard, wait).unwrap_or_else(PoisonError::into_inner));
            self.waiters.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Messages and bytes out now.
    pub fn used(&self) -> (usize, usize) {
        (self.used_messages.load(Ordering::Acquire), self.used_bytes.load(Ordering::Acquire))
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

    #[test]
    fn a_waiter_gets_the_room_that_is_made() {
        let budget = Budget::new(1, 100);
        let first = budget.try_take(1).expect("fits");
        let waiting = {
            let budget = Arc::clone(&budget);
            std::thread::spawn(move || budget.take(1, || false).is_some())
        };
        drop(first);
        assert!(waiting.join().expect("joins"));
        let _held = budget.try_take(1).expect("fits");
        assert!(budget.take(1, || true).is_none(), "waiting ends when it is of no use");
    }
}
