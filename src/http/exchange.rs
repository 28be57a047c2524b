//! Messages begin and end: heads parsed, bodies framed, responses paired with their requests.
//!
//! In: the bytes of whole heads, and open messages that are over. Out: messages, and the state of
//! their side. Guaranteed: every message is put out or counted once, with its bytes.

use super::connection::{Connection, Context};
use super::framing::{self, BodyLength};
use super::head::{self, Head, Role, StartLine};
use super::open::{Open, Origin};
use super::side::{Partial, State};
use crate::model::ledger::Skipped;
use crate::model::{Anomalies, Anomaly, Completion, Side, Start, Timestamp};

/// When the bytes of a head were seen, and what was odd about them before parsing.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub first_byte: Timestamp,
    pub last_byte: Timestamp,
    pub anomalies: Anomalies,
}

impl Seen {
    pub fn of(partial: &Partial) -> Self {
        let (first_byte, last_byte) = (partial.first_byte, partial.last_byte);
        Self { first_byte, last_byte, anomalies: partial.anomalies }
    }
}

/// What a start line and its place in the connection tell.
struct Beginning {
    start: Start,
    index: u32,
    length: BodyLength,
    /// Whether the framing is in doubt, because the request answered was missed.
    is_doubtful: bool,
}

/// Answers that wait to be asked for; others are not told.
const MAX_ANSWERED: usize = 1 << 16;

impl Connection {
    /// A head is whole: a message begins.
    pub(super) fn begin(&mut self, side: Side, bytes: &[u8], seen: Seen, cx: &mut Context<'_>) {
        let Some(role) = self.role(side) else { return cx.skip(Skipped::MidStream, bytes.len()) };
        let Some(mut head) = head::parse(bytes, role) else {
            return self.refuse(side, bytes, cx);
        };
        head.anomalies.merge(seen.anomalies);
        self.is_http = true;
        let mut anomalies = head.anomalies;
        let beginning = self.place(bytes, &head, &mut anomalies, cx);
        let is_connect = bytes.starts_with(b"CONNECT ");
        let expects_continue = framing::has_token(bytes, &head, "expect", "100-continue");
        let origin = self.origin(side, &beginning, Seen { anomalies, ..seen });
        let mut open = Open::new(origin, head, bytes, beginning.length, cx.config);
        open.expects_continue = expects_continue;
        open.is_doubtful = beginning.is_doubtful;
        if !open.is_done() {
            return self.set_state(side, State::Body(Box::new(open)));
        }
        self.finish(side, open, None, cx);
        // Without the answer it is not known whether this is a tunnel now: none is invented.
        if beginning.length == BodyLength::Tunnel || (is_connect && !cx.config.read_responses) {
            self.become_tunnel(cx);
        }
    }

    /// Numbers and pairs a message, and finds how its body is framed.
    fn place(
        &mut self,
        bytes: &[u8],
        head: &Head,
        anomalies: &mut Anomalies,
        cx: &Context<'_>,
    ) -> Beginning {
        match head.start {
            StartLine::Request { method, target } => {
                let length = framing::of_request(bytes, head, anomalies);
                self.offers_upgrade = framing::values(bytes, head, "upgrade").next().is_some();
                let method_bytes = bytes.get(method.range()).unwrap_or_default();
                let index = self.next_request(method_bytes, cx);
                let start = Start::Request { method, target };
                Beginning { start, index, length, is_doubtful: false }
            }
            StartLine::Response { status, reason } => {
                let answered = self.pairing.response(status);
                // A final answer to the offer: it was refused.
                self.offers_upgrade &= (100..200).contains(&status);
                let length = framing::of_response(bytes, head, answered.answers, anomalies);
                let start = Start::Response { status, reason, request: answered.request };
                let index = self.responses;
                self.responses = self.responses.wrapping_add(1);
                Beginning { start, index, length, is_doubtful: !answered.is_certain }
            }
        }
    }

    fn origin(&self, side: Side, beginning: &Beginning, seen: Seen) -> Origin {
        Origin {
            start: beginning.start,
            index: beginning.index,
            client: self.client.unwrap_or(side),
            first_byte: seen.first_byte,
            last_byte: seen.last_byte,
            anomalies: seen.anomalies,
        }
    }

    /// Counts a request and notes that it waits for its response.
    fn next_request(&mut self, method: &[u8], cx: &Context<'_>) -> u32 {
        let index = self.pairing.requests;
        self.pairing.requests = index.wrapping_add(1);
        if cx.config.read_responses {
            let server = self.client.unwrap_or(Side::Low).peer();
            let is_server_idle = self.state(server).is_between();
            self.pairing.request(index, method, is_server_idle);
        }
        index
    }

    /// A message is over. `flaw` says why it is not whole; its side stands between messages.
    pub(super) fn finish(
        &mut self,
        side: Side,
        open: Open,
        flaw: Option<Anomaly>,
        cx: &mut Context<'_>,
    ) {
        if self.is_tunnel {
            self.set_state(side, State::Ended(Skipped::Upgraded));
        }
        cx.counts.open = cx.counts.open.saturating_sub(open.wire);
        cx.counts.messages += open.wire;
        let message = open.into_message(cx.info, flaw);
        cx.first.get_or_insert(message.first_byte);
        if message.is_request() {
            cx.out.push(message);
            return;
        }
        cx.counts.responses += 1;
        if message.completion == Completion::Incomplete {
            cx.counts.responses_incomplete += 1;
        }
        if message.completion == Completion::TooLarge {
            cx.counts.responses_too_large += 1;
        }
        if cx.config.emit_responses {
            cx.out.push(message);
        } else if cx.answered.len() < MAX_ANSWERED {
            cx.answered.extend(message.answered());
        }
    }

    /// A head that will never be whole: an incomplete message, if its start line is there.
    pub(super) fn give_up_head(
        &mut self,
        side: Side,
        partial: Partial,
        flaw: Anomaly,
        cx: &mut Context<'_>,
    ) {
        let lines = memchr::memrchr(b'\n', &partial.bytes).and_then(|at| partial.bytes.get(..=at));
        let beginning = lines.zip(self.role(side));
        let head = beginning.and_then(|(lines, role)| head::parse_beginning(lines, role));
        let Some(head) = head else {
            // Responses have no number before their start line is read; requests neither.
            self.pairing.miss(self.role(side) == Some(Role::Client));
            return cx.skip(Skipped::Resync, partial.bytes.len());
        };
        self.is_http = true;
        let mut anomalies = partial.anomalies;
        anomalies.merge(head.anomalies);
        let beginning = self.place(&partial.bytes, &head, &mut Anomalies::default(), cx);
        let origin = self.origin(side, &beginning, Seen { anomalies, ..Seen::of(&partial) });
        let open = Open::new(origin, head, &partial.bytes, BodyLength::Known(0), cx.config);
        self.finish(side, open, Some(flaw), cx);
    }
}
