//! Whether a captured request is handed on, and if not, in which bucket it ends.
//!
//! The order of the questions is part of the ledger's meaning: a request ends in the first bucket
//! that fits it, in the order marker, not whole, not a request that can be repeated, ambiguous,
//! method, sample, rate.

use super::{Methods, RateCap, Sampler};
use crate::model::ledger::Refused;
use crate::model::{Completion, Message};

/// What may be handed on.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Name of the field that marks a copy of ours.
    pub marker: &'static str,
    /// Methods that may go on.
    pub methods: Methods,
    /// Whether what is handed on will be sent, not only written down: then requests that are not whole, or
    /// cannot be sent again, are held back.
    pub is_replay: bool,
    /// Whether requests that two servers may read differently are held back too.
    pub holds_ambiguous: bool,
    /// The share of what is left that goes on; all of it without.
    pub sampler: Option<Sampler>,
    /// How much of that in a second; without, however much it is.
    pub cap: Option<RateCap>,
}

impl Admission {
    /// In place of an older one, in whose bucket no token grows by that.
    pub fn instead_of(mut self, older: &Self) -> Self {
        if let (Some(cap), Some(older)) = (&mut self.cap, &older.cap) {
            cap.go_on_from(older);
        }
        self
    }

    /// The bucket in which this request ends; `None` when it goes on.
    pub fn refuse(&mut self, request: &Message) -> Option<Refused> {
        if request.header(self.marker).is_some() {
            return Some(Refused::Marker);
        }
        if !self.is_replay {
            return None;
        }
        match request.completion {
            Completion::Complete => {}
            Completion::Incomplete => return Some(Refused::Incomplete),
            Completion::TooLarge => return Some(Refused::BodyTooLarge),
        }
        if request.method() == b"CONNECT" || request.header("upgrade").is_some() {
            return Some(Refused::NotReplayable);
        }
        if self.holds_ambiguous && request.anomalies.is_ambiguous() {
            return Some(Refused::Ambiguous);
        }
        if !self.methods.allow(request.method()) {
            return Some(Refused::MethodHeldBack);
        }
        if self.sampler.as_ref().is_some_and(|sampler| !sampler.takes(request)) {
            return Some(Refused::SampledOut);
        }
        // Last, since it takes a token; live, a request is sent when its last byte was seen.
        let is_over = self.cap.as_mut().is_some_and(|cap| !cap.takes(request.last_byte));
        is_over.then_some(Refused::OverRate)
    }
}
