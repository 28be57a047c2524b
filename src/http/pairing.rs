//! Which request a response answers.
//!
//! In: requests and responses of one connection in order, and the news that some were missed. Out: the
//! request's number and what its method means for framing, or that neither is known. Guaranteed:
//! nothing is guessed: while it is unknown which requests wait, a response has none.

use std::collections::VecDeque;

use super::framing::Answers;

/// Requests that may wait for their responses; more are a flood, and pairing is given up.
const MAX_PENDING: usize = 1 << 16;

/// A request that waits for its response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pending {
    index: u32,
    answers: Answers,
}

/// What was missed, so that it is not known which requests wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Missed {
    Nothing,
    /// Responses: some of those that wait may be answered.
    Responses,
    /// What was before the capture.
    Beginning,
    /// Requests: others than those noted may wait.
    Requests,
}

/// What is known of the request that a response answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Answered {
    /// Its number.
    pub request: Option<u32>,
    /// What its method means for the response's framing.
    pub answers: Answers,
    /// Whether that is certain: not when the request may have been a HEAD in a hole, or before the capture.
    pub is_certain: bool,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Pairing {
    /// The oldest that waits; more than one is rare.
    first: Option<Pending>,
    #[allow(clippy::box_collection, reason = "an idle connection must stay small")]
    more: Option<Box<VecDeque<Pending>>>,
    /// Requests begun so far. Here, since there is room: an idle connection must stay small.
    pub requests: u32,
    missed: Missed,
    /// Whether the client ever sent a request before the last one was answered.
    is_pipelining: bool,
    /// Whether a final response came since requests were missed.
    is_answered_since: bool,
    /// Whether a request was seen to which a response has no body whatever its fields say.
    has_bodiless: bool,
}

impl Pairing {
    pub fn new(from_start: bool) -> Self {
        let missed = if from_start { Missed::Nothing } else { Missed::Beginning };
        Self {
            first: None,
            more: None,
            requests: 0,
            missed,
            is_pipelining: false,
            is_answered_since: false,
            has_bodiless: false,
        }
    }

    /// Memory held beyond the struct itself, in bytes.
    pub fn held(&self) -> usize {
        let queue = |more: &VecDeque<Pending>| more.capacity() * size_of::<Pending>();
        self.more.as_ref().map_or(0, |more| queue(more) + size_of::<VecDeque<Pending>>())
    }

    /// Bytes of the client's side, or of the server's, may have held messages that were missed.
    pub fn miss(&mut self, is_client: bool) {
        let missed = if is_client { Missed::Requests } else { Missed::Responses };
        self.missed = self.missed.max(missed);
        // What the server sent in its hole may well have been the answer.
        self.is_answered_since = !is_client;
    }

    /// A request. It ends the uncertainty if what was missed must be answered by now: no response is
    /// under way, one came since, and the client is not one that does not wait for them.
    pub fn request(&mut self, index: u32, method: &[u8], is_server_idle: bool) {
        if self.missed == Missed::Nothing {
            self.is_pipelining |= self.first.is_some();
        } else {
            let is_over = self.missed != Missed::Requests || self.is_answered_since;
            if !is_server_idle || self.is_pipelining || !is_over {
                return self.add_unpaired(index, method);
            }
            self.clear();
            self.missed = Missed::Nothing;
        }
        self.add(index, method);
    }

    /// While requests are missing, others are not noted: none can be told from the other.
    fn add_unpaired(&mut self, index: u32, method: &[u8]) {
        match self.missed {
            Missed::Requests => self.clear(),
            _ => self.add(index, method),
        }
    }

    fn add(&mut self, index: u32, method: &[u8]) {
        let answers = match method {
            b"HEAD" => Answers::Head,
            b"CONNECT" => Answers::Connect,
            _ => Answers::Other,
        };
        self.has_bodiless |= answers != Answers::Other;
        let pending = Pending { index, answers };
        if self.first.is_none() {
            self.first = Some(pending);
            return;
        }
        let more = self.more.get_or_insert_default();
        if more.len() < MAX_PENDING {
            more.push_back(pending);
        } else {
            self.clear();
            self.miss(true);
        }
    }

    /// A response: the oldest request that waits (RFC 9112 9.3.2); a 1xx leaves it waiting.
    pub fn response(&mut self, status: u16) -> Answered {
        let unknown = |is_certain| Answered { request: None, answers: Answers::Other, is_certain };
        let is_interim = (100..200).contains(&status) && status != 101;
        self.is_answered_since |= !is_interim;
        match self.missed {
            Missed::Requests => return unknown(false),
            // Only a single one can be meant.
            Missed::Responses if self.more.is_some() => return unknown(!self.has_bodiless),
            _ => {}
        }
        // What was asked before the capture began may have been a HEAD, too.
        let is_asked_here = self.missed != Missed::Beginning;
        let Some(found) = self.first else { return unknown(is_asked_here) };
        if !is_interim {
            self.pop();
        }
        Answered { request: Some(found.index), answers: found.answers, is_certain: true }
    }

    /// Whether it is certain that this request has had its final response.
    pub fn is_answered(&self, index: u32) -> bool {
        self.missed == Missed::Nothing && self.iter().all(|pending| pending.index != index)
    }

    fn iter(&self) -> impl Iterator<Item = Pending> {
        self.first.into_iter().chain(self.more.iter().flat_map(|more| more.iter().copied()))
    }

    fn pop(&mut self) {
        self.first = self.more.as_mut().and_then(|more| more.pop_front());
        if self.more.as_ref().is_some_and(|more| more.is_empty()) {
            self.more = None;
        }
    }

    fn clear(&mut self) {
        (self.first, self.more) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(pairing: &mut Pairing, status: u16) -> (Option<u32>, bool) {
        let answered = pairing.response(status);
        (answered.request, answered.is_certain)
    }

    #[test]
    fn responses_answer_requests_in_order_and_interim_ones_leave_them_waiting() {
        let mut pairing = Pairing::new(true);
        for (index, method) in [&b"GET"[..], b"HEAD", b"CONNECT"].into_iter().enumerate() {
            pairing.request(index as u32, method, true);
        }
        assert_eq!(answer(&mut pairing, 100), (Some(0), true));
        assert_eq!(answer(&mut pairing, 200), (Some(0), true));
        assert_eq!(pairing.response(200).answers, Answers::Head);
        assert!(pairing.is_answered(1) && !pairing.is_answered(2));
        assert_eq!(pairing.response(200).answers, Answers::Connect);
        assert_eq!((answer(&mut pairing, 200), pairing.held()), ((None, true), 0));
    }

    #[test]
    fn after_missed_requests_nothing_is_paired_until_the_next_exchange() {
        let mut pairing = Pairing::new(true);
        pairing.request(0, b"GET", true);
        pairing.miss(true);
        assert_eq!(answer(&mut pairing, 200), (None, false));
        pairing.request(1, b"GET", true);
        assert_eq!(answer(&mut pairing, 200), (Some(1), true));
    }

    #[test]
    fn a_client_that_pipelines_is_not_trusted_after_a_hole() {
        let mut pairing = Pairing::new(true);
        pairing.request(0, b"GET", true);
        pairing.request(1, b"GET", true);
        pairing.miss(true);
        pairing.request(2, b"GET", true);
        assert_eq!(answer(&mut pairing, 200), (None, false));
    }

    #[test]
    fn after_missed_responses_only_a_single_request_can_be_meant() {
        let mut pairing = Pairing::new(true);
        pairing.request(0, b"GET", true);
        pairing.miss(false);
        assert_eq!(answer(&mut pairing, 200), (Some(0), true));
        pairing.request(1, b"GET", false);
        pairing.request(2, b"HEAD", false);
        assert_eq!(answer(&mut pairing, 200), (None, false));
    }

    #[test]
    fn a_flood_of_requests_is_bounded() {
        let mut pairing = Pairing::new(true);
        for index in 0..3 * MAX_PENDING as u32 {
            pairing.request(index, b"GET", false);
            assert!(pairing.held() <= 2 * MAX_PENDING * size_of::<Pending>() + 64);
        }
        assert_eq!(answer(&mut pairing, 200), (None, false));
    }
}
