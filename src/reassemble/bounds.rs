//! What happens when time passes or a limit is reached: holes, memory, the number of connections.
//!
//! Guaranteed: each is a counted event. Where memory runs out, the connection that has held some for
//! the longest time loses what is held, is closed as evicted, and goes on under a new number from the
//! middle: its place in sequence space is kept, so that nothing old can come again as new.

use std::time::Duration;

use super::clock::MAX_STEP;
use super::engine::Reassembler;
use super::flow::{Context, Outcome};
use super::holes::Patience;
use super::table::Order;
use crate::model::{CloseReason, StreamHandler};

/// How often old connections are looked for, in packet time.
const EXPIRY_PERIOD: Duration = Duration::from_millis(250);

impl<H: StreamHandler> Reassembler<H> {
    /// After a connection was touched: its end, its holes, its memory.
    pub(super) fn settle(&mut self, slot: u32, outcome: Outcome) {
        if let Outcome::Over(why) = outcome {
            return self.close(slot, why);
        }
        let (now, tick, grace) = (self.now, self.tick, self.limits.acknowledged_grace);
        let Some(flow) = self.table.get_mut(slot) else { return };
        if flow.held_memory() > self.limits.flow_memory {
            let keep = (self.limits.flow_memory / 2).max(1);
            let mut cx =
                Context { handler: &mut self.handler, counts: &mut self.counts, now, tick };
            if let Outcome::Over(why) = flow.flush(keep, &mut cx) {
                return self.close(slot, why);
            }
        }
        flow.low.tidy();
        flow.high.tidy();
        if flow.is_stuck(now) && !flow.is_queued {
            flow.is_queued = true;
            self.stuck.push_back((now + grace, slot, flow.generation));
        }
        self.charge(slot);
        while self.charged > self.limits.memory && self.evict_holder() {}
    }

    /// The time to look at a connection's holes has come.
    pub(super) fn look_again(&mut self, slot: u32, generation: u32) {
        let patience = Patience {
            acknowledged: self.limits.acknowledged_grace,
            unacknowledged: self.limits.reorder_time,
        };
        let (now, tick) = (self.now, self.tick);
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts, now, tick };
        let Some(flow) = self.table.redeem(slot, generation) else { return };
        flow.is_queued = false;
        if flow.is_over() {
            return;
        }
        let outcome = flow.give_up_overdue(patience, &mut cx);
        self.settle(slot, outcome);
    }

    /// Brings the charge for one connection up to date.
    fn charge(&mut self, slot: u32) {
        let tick = self.tick;
        let Some(flow) = self.table.get_mut(slot) else { return };
        let reader = flow.handler.as_ref().map_or(0, |f| self.handler.held(f));
        let held = flow.held_memory().saturating_add(reader);
        let before = flow.charged();
        let charged = flow.charge(held);
        if charged == before {
            return;
        }
        if before == 0 {
            flow.held_since = tick;
        }
        self.charged = self.charged.saturating_sub(before).saturating_add(charged);
        let (began, ended) = (usize::from(before == 0), usize::from(charged == 0));
        self.holding = self.holding.saturating_add(began).saturating_sub(ended);
        let Some(flow) = self.table.get_mut(slot) else { return };
        if held > 0 && !flow.is_holder {
            flow.is_holder = true;
            self.holders.push_back((tick, slot, flow.generation));
            self.sweep_holders();
        }
    }

    /// Forgets the charge for one connection.
    pub(super) fn discharge(&mut self, slot: u32) {
        let Some(flow) = self.table.get_mut(slot) else { return };
        let before = flow.charged();
        flow.charge(0);
        self.charged = self.charged.saturating_sub(before);
        self.holding = self.holding.saturating_sub(usize::from(before > 0));
    }

    /// Takes those out of line that hold nothing any more, when they are more than half: else each
    /// connection that ever held something would keep its place.
    fn sweep_holders(&mut self) {
        const FEW: usize = 64;
        if self.holders.len() <= FEW.max(2 * self.holding) {
            return;
        }
        let table = &mut self.table;
        self.holders.retain(|&(_, slot, generation)| {
            let Some(flow) = table.redeem(slot, generation) else { return false };
            flow.is_holder = flow.charged() > 0;
            flow.is_holder
        });
        self.holders.shrink_to(FEW.max(2 * self.holders.len()));
    }

    /// Gives up what is held for the connection that has held something for longest; false when none
    /// does.
    fn evict_holder(&mut self) -> bool {
        while let Some((since, slot, generation)) = self.holders.pop_front() {
            let Some(flow) = self.table.redeem(slot, generation) else { continue };
            flow.is_holder = false;
            if flow.charged() == 0 {
                continue;
            }
            if flow.held_since.is_after(since) {
                // It has held nothing in between: its place is further back.
                flow.is_holder = true;
                self.holders.push_back((flow.held_since, slot, generation));
                continue;
            }
            self.evict_in_place(slot);
            return true;
        }
        false
    }

    /// Closes a connection as evicted and opens it again from the middle, under a new number.
    fn evict_in_place(&mut self, slot: u32) {
        let (now, tick) = (self.now, self.tick);
        let mut cx = Context { handler: &mut self.handler, counts: &mut self.counts, now, tick };
        let Some(flow) = self.table.get_mut(slot) else { return };
        let outcome = flow.flush(0, &mut cx);
        flow.low.forget();
        flow.high.forget();
        let (info, reader) = (flow.info(), flow.handler.take());
        self.discharge(slot);
        if let Some(reader) = reader {
            self.handler.closed(&info, reader, now, CloseReason::Evicted);
            self.counts.closed.count(CloseReason::Evicted);
        }
        if outcome != Outcome::Open {
            return self.table.mark_over(slot, tick);
        }
        let Some(flow) = self.table.get_mut(slot) else { return };
        (flow.from_start, flow.conn) = (false, self.next_conn);
        flow.handler = Some(self.handler.opened(&flow.info()));
        self.next_conn = self.next_conn.saturating_add(1);
        self.counts.flows = self.counts.flows.saturating_add(1);
    }

    /// Makes room for one more connection in the table.
    pub(super) fn make_room(&mut self) {
        while self.table.len() >= self.limits.flows.max(1) {
            let over = self.table.oldest(Order::Over, self.tick);
            let Some(slot) = over.or_else(|| self.table.oldest(Order::Open, self.tick)) else {
                return;
            };
            self.close(slot, CloseReason::Evicted);
            self.table.remove(slot);
        }
    }

    /// Forgets connections that are idle, or were over long enough.
    pub(super) fn expire_when_due(&mut self) {
        if self.now < self.next_expiry {
            return;
        }
        self.next_expiry = self.now + EXPIRY_PERIOD;
        self.expire(Order::Over, self.limits.linger);
        self.expire(Order::Open, self.limits.idle);
    }

    fn expire(&mut self, order: Order, after: Duration) {
        let after = after.min(MAX_STEP);
        while let Some(slot) = self.table.oldest(order, self.tick) {
            let is_due = self.table.get(slot).is_some_and(|flow| flow.last.age(self.tick) >= after);
            if !is_due {
                return;
            }
            self.close(slot, CloseReason::Idle);
            self.table.remove(slot);
        }
    }
}
