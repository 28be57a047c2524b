//! The recording beside the sending: every message that `record` would take, whatever becomes of its copy.
//!
//! In: messages, before their fate as copies is decided. Out: batches on a channel to the record thread, sharing the
//! messages' bytes. Guaranteed: it has a budget of its own, so that neither a disk that hangs nor a v2 that hangs
//! takes anything of the other's; what finds no room here is counted here; nothing waits.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::queue::{Budget, Permit};
use super::shared::CaptureCounts;
use crate::model::Message;
use crate::shape::Admission;

/// See the module's description.
pub struct Aside {
    admission: Admission,
    budget: Arc<Budget>,
    batch: Vec<(Message, Permit)>,
    batch_tx: Sender<Vec<(Message, Permit)>>,
    is_gone: bool,
    offered: u64,
    requests_shed: u64,
    responses_shed: u64,
}

impl Aside {
    /// For a recording that takes these messages, with so much room on the way to it.
    pub fn new(
        admission: Admission,
        budget: Arc<Budget>,
        batch_tx: Sender<Vec<(Message, Permit)>>,
    ) -> Self {
        Self {
            admission,
            budget,
            batch: Vec::new(),
            batch_tx,
            is_gone: false,
            offered: 0,
            requests_shed: 0,
            responses_shed: 0,
        }
    }

    /// Takes a message, if it is one to be recorded. What is our own copy counts where the fate of requests
    /// does.
    pub fn take(&mut self, message: &Message) {
        let is_request = message.is_request();
        if is_request && self.admission.refuse(message).is_some() {
            return;
        }
        let permit = if self.is_gone { None } else { self.budget.try_take(message.cost()) };
        match permit {
            Some(permit) => {
                self.offered += 1;
                self.batch.push((message.clone(), permit));
            }
            None if is_request => self.requests_shed += 1,
            None => self.responses_shed += 1,
        }
    }

    /// Fills in what was counted here.
    pub fn count(&self, counts: &mut CaptureCounts) {
        counts.offered = self.offered;
        counts.requests_shed = self.requests_shed;
        counts.responses_shed = self.responses_shed;
    }

    /// Sends what was taken, once its counts are published.
    pub fn send(&mut self) {
        if !self.batch.is_empty() && self.batch_tx.send(std::mem::take(&mut self.batch)).is_err() {
            // Its thread failed, which the run says. The sending goes on.
            self.is_gone = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::request;
    use crate::config;
    use crate::model::Completion;

    #[test]
    fn it_takes_what_record_takes_and_counts_what_finds_no_room() {
        let (batch_tx, batch_rx) = crossbeam_channel::unbounded();
        let mut aside = Aside::new(config::recording(), Budget::new(2, 1 << 20), batch_tx);
        let post = request(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        let marked = request(b"GET /m HTTP/1.1\r\nX-Shadowtap: r-1\r\n\r\n");
        // What is not whole is recorded as that.
        let mut part = post.clone();
        part.completion = Completion::Incomplete;
        for message in [&marked, &post, &part, &post] {
            aside.take(message);
        }
        let counted = |aside: &Aside| {
            let mut counts = CaptureCounts::default();
            aside.count(&mut counts);
            (counts.offered, counts.requests_shed, counts.responses_shed)
        };
        assert_eq!(counted(&aside), (2, 1, 0));
        aside.send();
        let batch = batch_rx.try_recv().expect("a batch");
        assert_eq!(batch.len(), 2);
        assert_eq!(batch[0].0.raw.as_ptr(), post.raw.as_ptr(), "the bytes are shared");
        drop((batch, batch_rx));
        aside.take(&post);
        aside.send();
        aside.take(&post);
        assert_eq!(counted(&aside), (3, 2, 0), "nobody takes any more");
    }
}
