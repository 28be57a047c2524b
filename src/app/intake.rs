//! From the pipeline to the queue: the fate of each captured message is decided and counted here.
//!
//! In: messages, and the ends of connections. Out: batches on a bounded channel, each message with its
//! permit, and the ends behind them. Guaranteed: every request is in exactly one bucket of
//! [`RequestCounts`]; counts are published before the batch that they count is sent; a live capture
//! never waits here.

use std::time::{Duration, Instant};

use super::aside::Aside;
use super::newest::Newer;
use super::pipeline::Seen;
use super::queue::{Budgets, Permits, WhenFull};
use super::schedule::{Pace, Schedule, Timetable};
use super::shared::{CaptureCounts, Shared};
use super::v1_times::V1Times;
use super::waiting::{Outcome, Waiting};
use crate::model::ledger::{Refused, RequestCounts};
use crate::model::{Answered, Message};
use crate::shape::{Admission, Verdict};

/// A message on its way, with its shares of the queue.
pub type Queued = (Message, Permits);

/// Where batches go: a channel to whoever takes the messages, and behind them the connections that ended,
/// where they are asked for. Gives false when nobody does any more. It must not block: it has a place for every
/// message that the budget lets out.
pub type Outlet = Box<dyn FnMut(Vec<Queued>, Vec<u64>) -> bool + Send>;

/// The ends of connections wait so long for a batch to go with, since each batch costs a wake-up, and so
/// many of them.
const ENDS_WAIT: Duration = Duration::from_millis(100);
const ENDS_MOST: usize = 1024;

/// Whether to go on capturing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Go on.
    More,
    /// `--limit` is reached, or nobody takes messages any more.
    Enough,
}

/// See the module's description.
pub struct Intake {
    outlet: Outlet,
    budgets: Budgets,
    when_full: WhenFull,
    /// When what is queued will be due, where one target shall not wait for another beyond that.
    timetable: Option<Timetable>,
    admission: Admission,
    /// Where a newer one comes from while it runs.
    newer: Option<Newer<Admission>>,
    /// Requests to queue at most.
    limit: Option<u64>,
    /// How long requests are due from the first one to queue, and when those queued so far were: ahead of the
    /// timetable by the batch in hand.
    duration: Option<(Duration, Schedule)>,
    /// Whether that is over.
    is_over: bool,
    /// Whether responses are handed on too.
    wants_responses: bool,
    /// Whether the ends of connections are handed on.
    wants_ends: bool,
    /// Connections that ended, and since when the first waits.
    ended: Vec<u64>,
    ended_at: Option<Instant>,
    /// The recording beside it.
    aside: Option<Aside>,
    v1_times: Option<V1Times>,
    /// Requests that wait for v1's status, where a rule asks for it.
    waiting: Option<Waiting>,
    requests: RequestCounts,
    offered: u64,
    responses_shed: u64,
    shared: Shared,
}

impl Intake {
    /// An intake at the front of that outlet.
    pub fn new(
        outlet: Outlet,
        budgets: Budgets,
        when_full: WhenFull,
        admission: Admission,
        shared: Shared,
    ) -> Self {
        Self {
            outlet,
            budgets,
            when_full,
            timetable: None,
            admission,
            newer: None,
            limit: None,
            duration: None,
            is_over: false,
            wants_responses: false,
            wants_ends: false,
            ended: Vec::new(),
            ended_at: None,
            aside: None,
            v1_times: None,
            waiting: None,
            requests: RequestCounts::default(),
            offered: 0,
            responses_shed: 0,
            shared,
        }
    }

    /// Takes over a newer admission when there is one, between two batches.
    pub fn with_newer(mut self, newer: Newer<Admission>) -> Self {
        self.newer = Some(newer);
        self
    }

    /// Queues so many requests at most, then says that it is enough.
    pub fn limit(mut self, limit: Option<u64>) -> Self {
        self.limit = limit;
        self
    }

    /// Queues requests that are due at this pace within so long from the first one, then says that it is enough.
    pub fn duration(mut self, duration: Option<Duration>, pace: Pace) -> Self {
        self.duration = duration.map(|duration| (duration, Schedule::new(pace)));
        self
    }

    /// Keeps to this schedule when it waits for room.
    pub fn timetable(mut self, timetable: Timetable) -> Self {
        self.timetable = Some(timetable);
        self
    }

    /// Hands responses on too, whole or not, if they are wanted.
    pub fn with_responses(mut self, are_wanted: bool) -> Self {
        self.wants_responses = are_wanted;
        self
    }

    /// Records beside it what is seen.
    pub fn with_aside(mut self, aside: Option<Aside>) -> Self {
        self.aside = aside;
        self
    }

    /// Hands on which connections ended.
    pub fn with_ends(mut self) -> Self {
        self.wants_ends = true;
        self
    }

    /// Notes how long v1 took.
    pub fn with_v1_times(mut self, v1_times: V1Times) -> Self {
        self.v1_times = Some(v1_times);
        self
    }

    /// Lets requests wait here for v1's status.
    pub fn with_waiting(mut self, waiting: Option<Waiting>) -> Self {
        self.waiting = waiting;
        self
    }

    /// Takes messages as they were completed, publishes all counts, and sends what goes on.
    /// `counts` are those of the capture so far; what is decided here is filled in.
    pub fn take(&mut self, seen: Seen, counts: CaptureCounts) -> Flow {
        if let Some(newer) = self.newer.as_mut().and_then(Newer::take) {
            self.admission = newer.instead_of(&self.admission);
            if let Some(waiting) = &mut self.waiting {
                waiting.judge_by(self.admission.rules.clone());
            }
        }
        let mut batch = Vec::with_capacity(seen.messages.len());
        if !self.is_enough() {
            self.requests.captured += seen.out_of_range;
            self.requests.refused.add(Refused::OutOfRange, seen.out_of_range);
        }
        for message in seen.messages {
            // Beyond the limit nothing counts any more: as if the capture had ended before.
            // Who waits is asked when its turn comes.
            if self.is_enough() || (self.waiting.is_none() && self.is_beyond(&message)) {
                break;
            }
            if let Some(aside) = &mut self.aside {
                aside.take(&message);
            }
            if message.is_request() {
                self.request(message, &mut batch, counts);
                continue;
            }
            if let Some(answered) = message.answered() {
                self.answered(answered);
            }
            if self.wants_responses {
                self.response(message, &mut batch, counts);
            }
        }
        seen.answered.into_iter().for_each(|answered| self.answered(answered));
        if let Some(waiting) = &mut self.waiting {
            seen.statuses.into_iter().for_each(|status| waiting.status(status));
            seen.now.into_iter().for_each(|now| waiting.pass_time(now));
            if seen.is_end {
                waiting.end();
            }
            self.decided(&mut batch, counts);
        }
        self.end_connections(seen.ended);
        let sent = self.send(&mut batch, counts);
        if self.is_enough() { Flow::Enough } else { sent }
    }

    fn is_enough(&self) -> bool {
        self.is_over || self.limit.is_some_and(|limit| self.requests.queued >= limit)
    }

    fn is_beyond(&mut self, message: &Message) -> bool {
        if let Some((duration, schedule)) = &self.duration {
            self.is_over |= schedule.after(message).is_some_and(|after| after > *duration);
        }
        self.is_over
    }

    fn answered(&mut self, answered: Answered) {
        let Some(times) = &mut self.v1_times else { return };
        // What waits is not queued yet.
        if !self.waiting.as_mut().is_some_and(|waiting| waiting.answered(answered)) {
            times.answered(answered);
        }
    }

    fn end_connections(&mut self, mut ended: Vec<u64>) {
        if !self.wants_ends {
            return;
        }
        if let Some(waiting) = &mut self.waiting {
            ended.retain(|&conn| !waiting.end_of(conn));
            self.ended.extend(waiting.ended());
        }
        self.ended.extend(ended);
    }

    fn request(&mut self, message: Message, batch: &mut Vec<Queued>, counts: CaptureCounts) {
        let verdict = self.admission.judge(&message);
        if let Verdict::Ends(bucket) = verdict {
            return self.refuse(bucket);
        }
        match &mut self.waiting {
            Some(waiting) => {
                waiting.add(message, verdict == Verdict::Goes);
                self.decided(batch, counts);
            }
            None => self.queue(message, batch, counts),
        }
    }

    fn refuse(&mut self, bucket: Refused) {
        self.requests.captured += 1;
        self.requests.refused.count(bucket);
    }

    /// Takes those that do not wait any more.
    fn decided(&mut self, batch: &mut Vec<Queued>, counts: CaptureCounts) {
        while !self.is_enough()
            && let Some(outcome) = self.waiting.as_mut().and_then(Waiting::next)
        {
            match outcome {
                Outcome::Ends(bucket) => self.refuse(bucket),
                Outcome::Goes(message, _) if self.is_beyond(&message) => {}
                Outcome::Goes(message, answered) => {
                    self.queue(*message, batch, counts);
                    answered.into_iter().for_each(|answered| self.answered(answered));
                }
            }
        }
    }

    fn queue(&mut self, message: Message, batch: &mut Vec<Queued>, counts: CaptureCounts) {
        // Counted only with its bucket: waiting for room publishes counts.
        let permit = self.permit(&message, batch, counts);
        if permit.is_none() && self.when_full == WhenFull::Block {
            // Told to stop while waiting: as if the file had ended before this one.
            self.is_over = true;
            return;
        }
        self.requests.captured += 1;
        match permit {
            Some(permit) => {
                self.requests.queued += 1;
                self.requests.secrets_replaced += u64::from(message.redacted > 0);
                self.offered += 1;
                if let Some(times) = &mut self.v1_times {
                    times.queued(&message);
                }
                if let Some((_, schedule)) = &mut self.duration {
                    schedule.due(&message, Instant::now().into());
                }
                batch.push((message, permit));
            }
            None => self.requests.refused.count(Refused::QueueFull),
        }
    }

    fn response(&mut self, message: Message, batch: &mut Vec<Queued>, counts: CaptureCounts) {
        match self.permit(&message, batch, counts) {
            Some(permit) => {
                self.offered += 1;
                batch.push((message, permit));
            }
            None => self.responses_shed += 1,
        }
    }

    fn permit(
        &mut self,
        message: &Message,
        batch: &mut Vec<Queued>,
        counts: CaptureCounts,
    ) -> Option<Permits> {
        let cost = message.cost();
        let permits = self.budgets.try_take(cost);
        let is_enough = match self.when_full {
            WhenFull::DropNewest => true,
            WhenFull::Block => {
                permits.as_ref().is_some_and(|permits| self.budgets.suffice(permits))
            }
        };
        if is_enough {
            return permits;
        }
        drop(permits);
        // What is in hand must go before this one can wait for room.
        self.send(batch, counts);
        let due = self.timetable.as_ref().and_then(|timetable| timetable.look(message));
        let shared = self.shared.clone();
        self.budgets.take(cost, due.map(Into::into), || shared.is_stopped())
    }

    fn send(&mut self, batch: &mut Vec<Queued>, mut counts: CaptureCounts) -> Flow {
        counts.requests = self.requests;
        counts.offered = self.offered;
        counts.responses_shed = self.responses_shed;
        if let Some(aside) = &self.aside {
            aside.count(&mut counts);
        }
        self.shared.publish(counts);
        if let Some(aside) = &mut self.aside {
            aside.send();
        }
        if batch.is_empty() && !self.ends_are_due() {
            return Flow::More;
        }
        self.ended_at = None;
        match (self.outlet)(std::mem::take(batch), std::mem::take(&mut self.ended)) {
            true => Flow::More,
            false => Flow::Enough,
        }
    }

    /// Whether ends must go without a batch.
    fn ends_are_due(&mut self) -> bool {
        if self.ended.is_empty() {
            return false;
        }
        let now = Instant::now();
        let since = *self.ended_at.get_or_insert(now);
        self.ended.len() >= ENDS_MOST || now.saturating_duration_since(since) >= ENDS_WAIT
    }
}

/// Behind a file that was read, much may still be due.
impl Drop for Intake {
    fn drop(&mut self) {
        if !self.ended.is_empty() {
            // False: nobody wants to know.
            let _ = (self.outlet)(Vec::new(), std::mem::take(&mut self.ended));
        }
    }
}

#[cfg(test)]
mod tests;
