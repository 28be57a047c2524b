//! Whether a captured request is handed on, and if not, in which bucket it ends.
//!
//! The order of the questions is part of the ledger's meaning: a request ends in the first bucket
//! that fits it, in the order marker, not whole, not a request that can be repeated, ambiguous,
//! method, rules (`--only`, `--except`, `--path`), sample, rate. The rules come behind the method, since they cost more and ask
//! for what a request is about, not whether it may be sent at all; the rate comes last, since what goes on takes a token.
//!
//! All of them are asked when the request is whole, in captured order, also of one that then waits for v1's status: so share and
//! rate depend on the packets of requests alone, and choose the same live and from any file, whenever v1 answered and whatever
//! changed meanwhile. The price: a request that the status leaves out has taken its token.

use super::expr::Truth;
use super::{Methods, RateCap, Rules, Sampler};
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
    /// Which of them go on.
    pub rules: Rules,
    /// The share of what is left that goes on; all of it without.
    pub sampler: Option<Sampler>,
    /// How much of that in a second; without, however much it is.
    pub cap: Option<RateCap>,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on.
    Goes,
    /// It goes on if the rules still say so when v1's status is known.
    Waits,
    /// It ends here.
    Ends(Refused),
}

impl Admission {
    /// In place of an older one, in whose bucket no token grows by that.
    pub fn instead_of(mut self, older: &Self) -> Self {
        if let (Some(cap), Some(older)) = (&mut self.cap, &older.cap) {
            cap.go_on_from(older);
        }
        self
    }

    /// What becomes of this request, before v1's status is known. Asked once of each, in captured order.
    pub fn judge(&mut self, request: &Message) -> Verdict {
        if let Some(bucket) = self.refuse(request) {
            return Verdict::Ends(bucket);
        }
        let verdict = match self.rules.let_on(request, None) {
            Truth::Yes => Verdict::Goes,
            Truth::No => return Verdict::Ends(Refused::Filtered),
            Truth::Unknown => Verdict::Waits,
        };
        self.share(request).map_or(verdict, Verdict::Ends)
    }

    /// The bucket in which a request ends that is not of the share to be sent; `None` when it is.
    fn share(&mut self, request: &Message) -> Option<Refused> {
        if self.sampler.as_ref().is_some_and(|sampler| !sampler.takes(request)) {
            return Some(Refused::SampledOut);
        }
        // Last, since it takes a token.
        let is_over = self.cap.as_mut().is_some_and(|cap| !cap.takes(request.last_byte));
        is_over.then_some(Refused::OverRate)
    }

    /// The bucket in which this request ends, whatever the rules say; `None` when it goes on.
    pub fn refuse(&self, request: &Message) -> Option<Refused> {
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
        (!self.methods.allow(request.method())).then_some(Refused::MethodHeldBack)
    }
}
