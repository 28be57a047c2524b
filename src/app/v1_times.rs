//! How long v1 took for the requests that were queued, where its responses are in the files too.
//!
//! In: requests as they are queued, answers as they are seen. Out: quantiles of the packet time from a
//! request's last byte to its response's last byte: what the service time is at v2. Guaranteed: memory is that of
//! [`Asked`].

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::ledger::Quantiles;
use crate::model::{Answered, Asked, Message, Times};

/// The quantiles so far, for whoever reports them.
#[derive(Clone, Default)]
pub struct V1Report(Arc<Mutex<Times>>);

impl V1Report {
    /// What they are so far.
    pub fn quantiles(&self) -> Quantiles {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).quantiles()
    }
}

/// See the module's description.
pub struct V1Times {
    waiting: Asked,
    report: V1Report,
}

impl V1Times {
    /// Nothing waits.
    pub fn new(report: V1Report) -> Self {
        Self { waiting: Asked::default(), report }
    }

    /// A request is queued.
    pub fn queued(&mut self, request: &Message) {
        self.waiting.add(request.conn, request.index, request.last_byte);
    }

    /// A request was answered; one that was not queued counts for nothing.
    pub fn answered(&mut self, answered: Answered) {
        if let Some(asked) = self.waiting.answered(answered.conn, answered.request) {
            let mut times = self.report.0.lock().unwrap_or_else(PoisonError::into_inner);
            times.add(answered.at.since(asked));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::request;
    use crate::model::Timestamp;

    #[test]
    fn the_time_of_a_queued_request_is_counted_once() {
        let report = V1Report::default();
        let mut times = V1Times::new(report.clone());
        let mut get = request(b"GET / HTTP/1.1\r\n\r\n");
        (get.conn, get.index, get.last_byte) = (7, 3, Timestamp::from_parts(100, 0));
        times.queued(&get);
        let at = Timestamp::from_parts(100, 2_000_000);
        for (conn, request) in [(7, 2), (8, 3), (7, 3), (7, 3)] {
            times.answered(Answered { conn, request, at });
        }
        let quantiles = report.quantiles();
        assert_eq!((quantiles.count, quantiles.p50_us / 10), (1, 200));
    }
}
