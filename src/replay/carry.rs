//! The place where v2's answers change the requests behind them.
//!
//! In: what happens to each request, in the words of [`Carry`]. Out: whether one must wait for another's answer, and the
//! request as it leaves. Guaranteed: a request waits only for one that was taken over before it, so that none waits
//! for ever: that one is over at the latest when it is shed or its time is up; who waits holds up its own connection and
//! takes no room among those under way. Which values are carried, and where, is known to whoever implements [`Carry`].

use ahash::AHashMap;

use crate::model::{KeptAnswer, Message};

/// Who changes requests by what v2 answered to others. Requests are known by their number: that in which they were
/// taken over, from 1.
///
/// 1. `taken` when a request has come, 2. `v1_answered` when v1's answer to it was seen, if it was, before or behind
///    all else, 3. `waits_for` and `change` when it is its turn, 4. `over` when it was answered, or never will be.
pub trait Carry: Send {
    /// Bytes of each answer's body that are needed at most.
    fn keeps(&self) -> usize;
    /// A request was taken over.
    fn taken(&mut self, request: &Message, n: u64);
    /// v1's answer to a request.
    fn v1_answered(&mut self, response: &Message);
    /// The request whose answer must be there before this one can leave, if there is one: always one with a lower number
    /// that is not over.
    fn waits_for(&mut self, request: &Message, n: u64) -> Option<u64>;
    /// The request as it leaves.
    fn change(&mut self, request: Message, n: u64) -> Message;
    /// A request is over: with an answer, or without.
    fn over(&mut self, n: u64, answer: Option<&KeptAnswer>);
    /// What was done so far.
    fn counts(&self) -> CarryCounts;
}

/// What was done about the values of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CarryCounts {
    /// Requests in which at least one value was replaced.
    pub carried: u64,
    /// Requests with a value for which v2 has given none.
    pub missing: u64,
    /// Answers of v1 or v2 whose body could not be looked at.
    pub unread: u64,
    /// Values given up for want of room.
    pub evicted: u64,
}

/// Somebody who carries, and the lanes whose next request waits for another.
pub(super) struct Carrying {
    carry: Box<dyn Carry>,
    /// Lanes, by the number of the request for which they wait.
    waiting: AHashMap<u64, Vec<u64>>,
}

impl Carrying {
    pub fn new(carry: Box<dyn Carry>) -> Self {
        Self { carry, waiting: AHashMap::new() }
    }

    pub fn carry(&mut self) -> &mut dyn Carry {
        &mut *self.carry
    }

    /// Whether the next request of this lane must wait; [`Self::over`] says when it need not any more.
    pub fn holds(&mut self, lane: u64, request: &Message, n: u64) -> bool {
        let first = self.carry.waits_for(request, n).filter(|&first| first < n);
        if let Some(first) = first {
            self.waiting.entry(first).or_default().push(lane);
        }
        first.is_some()
    }

    /// A request is over. Gives the lanes that waited for it.
    pub fn over(&mut self, n: u64, answer: Option<&KeptAnswer>) -> Vec<u64> {
        self.carry.over(n, answer);
        self.waiting.remove(&n).unwrap_or_default()
    }
}
