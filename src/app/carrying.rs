//! Where the rules of `--carry` (`shape`) meet the requests that leave (`replay`).
//!
//! In: the rules. Out: somebody for each replayer who changes its requests by what its v2 answered. Nothing else is done here: each
//! room says what it does itself.

#[cfg(test)]
mod tests;

use crate::model::{KeptAnswer, Message};
use crate::replay::{Carry, CarryCounts};
use crate::shape::{Carried, Carrier, CarryRules};

/// For one target.
struct Carrying(Carrier);

/// Somebody who carries what these rules say.
pub fn carrying(rules: &CarryRules) -> Box<dyn Carry> {
    Box::new(Carrying(Carrier::new(rules.clone())))
}

impl Carry for Carrying {
    fn keeps(&self) -> usize {
        self.0.keeps()
    }

    fn taken(&mut self, request: &Message, n: u64) {
        self.0.taken(request, n);
    }

    fn v1_answered(&mut self, response: &Message) {
        self.0.v1_answered(response);
    }

    fn waits_for(&mut self, request: &Message, n: u64) -> Option<u64> {
        self.0.waits_for(request, n)
    }

    fn change(&mut self, request: Message, n: u64) -> Message {
        self.0.change(request, n)
    }

    fn over(&mut self, n: u64, answer: Option<&KeptAnswer>) {
        self.0.over(n, answer);
    }

    fn counts(&self) -> CarryCounts {
        let Carried { carried, missing, unread, evicted } = self.0.counts();
        CarryCounts { carried, missing, unread, evicted }
    }
}
