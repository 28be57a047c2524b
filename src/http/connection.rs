//! One connection: both directions read message by message, responses paired with their requests.
//!
//! In: pieces, holes and ends of either side. Out: messages. Guaranteed: in step, the next message
//! begins where the last one ended; out of step (after a hole, or from the middle) it begins only
//! with a whole, strictly valid head of version 1.0 or 1.1 at the first byte of a segment, outside
//! any body of known length, and, for a request, not within a response of the server.

use std::collections::VecDeque;
use std::mem;

use super::chunked::Fed;
use super::framing::{self, Answers, BodyLength};
use super::head::{self, Role, StartLine};
use super::open::{Open, Origin};
use super::reader::Config;
use super::side::{Partial, Progress, State};
use super::sniff;
use crate::model::ledger::{HttpCounts, Skipped};
use crate::model::{
    Anomalies, Anomaly, CloseReason, Completion, FlowInfo, Gap, Message, Piece, Side, Start,
    Timestamp,
};

/// Requests that may wait for their responses; more are a flood, and pairing is given up.
const MAX_PENDING: usize = 1 << 16;

/// Who is told, and what is counted: passed through every call.
pub(super) struct Context<'a> {
    pub info: &'a FlowInfo,
    pub config: &'a Config,
    pub counts: &'a mut HttpCounts,
    pub out: &'a mut Vec<Message>,
}

impl Context<'_> {
    fn skip(&mut self, cause: Skipped, bytes: usize) {
        self.counts.skipped.add(cause, bytes as u64);
        self.counts.open = self.counts.open.saturating_sub(bytes as u64);
    }
}

/// A request that waits for its response.
#[derive(Clone, Copy, Debug)]
struct Pending {
    index: u32,
    answers: Answers,
}

/// When the bytes of a head were seen, and what was odd about them before parsing.
#[derive(Clone, Copy)]
struct Seen {
    first_byte: Timestamp,
    last_byte: Timestamp,
    anomalies: Anomalies,
}

/// See the module's description.
#[derive(Debug)]
pub struct Connection {
    low: State,
    high: State,
    client: Option<Side>,
    pending: VecDeque<Pending>,
    requests: u32,
    responses: u32,
    /// Whether a message was seen: what comes is HTTP.
    is_http: bool,
    /// Whether it is unknown which requests wait: some were in a hole.
    is_unpaired: bool,
}

impl Connection {
    pub(super) fn new(info: &FlowInfo) -> Self {
        let start = || if info.from_start { State::Start } else { State::Search(None) };
        Self {
            low: start(),
            high: start(),
            client: info.client,
            pending: VecDeque::new(),
            requests: 0,
            responses: 0,
            is_http: false,
            is_unpaired: !info.from_start,
        }
    }

    /// Memory held beyond the struct itself, in bytes.
    pub(super) fn held(&self) -> usize {
        self.low.held() + self.high.held() + self.pending.capacity() * size_of::<Pending>()
    }

    /// Bytes of one side, next in sequence.
    pub(super) fn data(&mut self, side: Side, piece: Piece<'_>, cx: &mut Context<'_>) {
        cx.counts.open += piece.bytes.len() as u64;
        self.consume(side, piece, cx);
    }

    fn consume(&mut self, side: Side, mut piece: Piece<'_>, cx: &mut Context<'_>) {
        while !piece.bytes.is_empty() {
            let before = piece.bytes.len();
            match self.take_state(side) {
                State::Start => self.read_start(side, &mut piece, cx),
                State::Head(partial) => self.read_head(side, partial, &mut piece, cx),
                State::Body(open) => self.read_body(side, open, &mut piece, cx),
                State::Search(partial) => self.search(side, partial, &mut piece, cx),
                State::Ended(cause) => {
                    self.set_state(side, State::Ended(cause));
                    cx.skip(cause, mem::take(&mut piece.bytes).len());
                }
            }
            // Only its first byte is the segment's first.
            piece.segment_start &= piece.bytes.len() == before;
        }
    }

    /// Bytes of one side that were never seen.
    pub(super) fn gap(&mut self, side: Side, gap: Gap, cx: &mut Context<'_>) {
        match self.take_state(side) {
            State::Ended(cause) => self.set_state(side, State::Ended(cause)),
            State::Start => self.lose_step(side),
            State::Head(partial) => {
                self.give_up_head(side, *partial, Anomaly::Gap, cx);
                self.lose_step(side);
            }
            State::Search(partial) => {
                self.drop_candidate(partial, cx);
                self.lose_step(side);
            }
            State::Body(mut open) => match open.gap(gap.len) {
                true if open.is_done() => self.finish(*open, None, cx),
                true => self.set_state(side, State::Body(open)),
                false => {
                    self.finish(*open, Some(Anomaly::Gap), cx);
                    self.lose_step(side);
                }
            },
        }
    }

    /// A side has sent its FIN.
    pub(super) fn finished(&mut self, side: Side, cx: &mut Context<'_>) {
        self.end_side(side, true, Anomaly::ClosedEarly, cx);
    }

    /// The connection is over.
    pub(super) fn closed(&mut self, why: CloseReason, cx: &mut Context<'_>) {
        let flaw = match why {
            CloseReason::Fin | CloseReason::Reset | CloseReason::Reused => Anomaly::ClosedEarly,
            CloseReason::EndOfCapture => Anomaly::CaptureEnded,
            CloseReason::Idle | CloseReason::Evicted => Anomaly::Evicted,
        };
        let first = self.client.unwrap_or(Side::Low);
        self.end_side(first, false, flaw, cx);
        self.end_side(first.peer(), false, flaw, cx);
    }

    fn end_side(&mut self, side: Side, is_clean: bool, flaw: Anomaly, cx: &mut Context<'_>) {
        match self.take_state(side) {
            State::Body(open) => {
                let flaw = Some(flaw).filter(|_| !(is_clean && open.ends_with_connection()));
                self.finish(*open, flaw, cx);
            }
            State::Head(partial) => self.give_up_head(side, *partial, flaw, cx),
            State::Search(partial) => self.drop_candidate(partial, cx),
            State::Start | State::Ended(_) => {}
        }
    }

    /// Between messages: the next byte begins one, but for empty lines (RFC 9112 2.2).
    fn read_start(&mut self, side: Side, piece: &mut Piece<'_>, cx: &mut Context<'_>) {
        let empty = piece.bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let mut anomalies = Anomalies::default();
        if empty > 0 {
            cx.skip(Skipped::EmptyLines, empty);
            piece.bytes = piece.bytes.get(empty..).unwrap_or_default();
            piece.segment_start = false;
            anomalies.insert(Anomaly::LeadingEmptyLine);
        }
        if piece.bytes.is_empty() {
            return;
        }
        if piece.conflict {
            anomalies.insert(Anomaly::OverlapConflict);
        }
        let seen = Seen { first_byte: piece.at, last_byte: piece.at, anomalies };
        // The common case: the whole head in one segment, parsed where it lies.
        match head::find_end(piece.bytes, &mut 0) {
            Some(end) if end <= cx.config.max_head => {
                let (head, rest) = piece.bytes.split_at_checked(end).unwrap_or((piece.bytes, &[]));
                piece.bytes = rest;
                self.begin(side, head, seen, cx);
            }
            _ => {
                let partial = Box::new(Partial::new(*piece, self.role(side), anomalies));
                piece.bytes = &[];
                self.go_on_with_head(side, partial, piece, cx);
            }
        }
    }

    fn read_head(
        &mut self,
        side: Side,
        mut partial: Box<Partial>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        partial.append(*piece);
        self.go_on_with_head(side, partial, piece, cx);
    }

    /// A head in step has more bytes (all of `piece`): is it whole now?
    fn go_on_with_head(
        &mut self,
        side: Side,
        mut partial: Box<Partial>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        let arrived = piece.bytes;
        piece.bytes = &[];
        match partial.progress(cx.config.max_head) {
            Progress::More => self.set_state(side, State::Head(partial)),
            Progress::Whole(end) => {
                // What is behind the head came with this piece.
                let behind = partial.bytes.len().saturating_sub(end);
                piece.bytes =
                    arrived.get(arrived.len().saturating_sub(behind)..).unwrap_or_default();
                let head = partial.bytes.get(..end).unwrap_or_default();
                self.begin(side, head, partial.seen(), cx);
            }
            Progress::TooLarge => {
                self.give_up_head(side, *partial, Anomaly::HeadTooLarge, cx);
                self.lose_step(side);
            }
            Progress::NotHttp => self.refuse(side, &partial.bytes, cx),
        }
    }

    /// Out of step: looks for a sure message start.
    fn search(
        &mut self,
        side: Side,
        partial: Option<Box<Partial>>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        let arrived = *piece;
        piece.bytes = &[];
        let mut partial = match partial {
            Some(mut partial) => {
                partial.append(arrived);
                partial
            }
            None if arrived.segment_start => {
                let mut anomalies = Anomalies::default();
                if arrived.conflict {
                    anomalies.insert(Anomaly::OverlapConflict);
                }
                Box::new(Partial::new(arrived, self.role(side), anomalies))
            }
            None => {
                self.set_state(side, State::Search(None));
                return cx.skip(self.search_cause(cx.info), arrived.bytes.len());
            }
        };
        loop {
            let progress = match self.may_begin(side, partial.role) {
                true => partial.progress(cx.config.max_head),
                false => Progress::NotHttp,
            };
            match (progress, partial.role) {
                (Progress::More, _) => return self.set_state(side, State::Search(Some(partial))),
                (Progress::Whole(end), Some(role)) if is_sure(&partial.bytes, end, role) => {
                    return self.resume(side, *partial, end, role, cx);
                }
                (Progress::TooLarge, _) => {
                    cx.skip(self.search_cause(cx.info), partial.bytes.len());
                    return self.set_state(side, State::Search(None));
                }
                _ => {}
            }
            let (dropped, is_left) = partial.next_candidate(self.role(side));
            cx.skip(self.search_cause(cx.info), dropped);
            if !is_left {
                return self.set_state(side, State::Search(None));
            }
        }
    }

    /// A sure message start was found: back in step.
    fn resume(
        &mut self,
        side: Side,
        partial: Partial,
        end: usize,
        role: Role,
        cx: &mut Context<'_>,
    ) {
        self.client.get_or_insert(if role == Role::Client { side } else { side.peer() });
        self.set_state(side, State::Start);
        let (head, behind) = partial.bytes.split_at_checked(end).unwrap_or((&partial.bytes, &[]));
        self.begin(side, head, partial.seen(), cx);
        let rest =
            Piece { at: partial.last_byte, bytes: behind, segment_start: false, conflict: false };
        self.consume(side, rest, cx);
    }

    /// Whether a message of this role may begin now, out of step.
    fn may_begin(&self, side: Side, role: Option<Role>) -> bool {
        match role {
            None => false,
            Some(Role::Server) => true,
            Some(Role::Client) => self.state(side.peer()).is_between(),
        }
    }

    fn search_cause(&self, info: &FlowInfo) -> Skipped {
        if self.is_http || info.from_start { Skipped::Resync } else { Skipped::MidStream }
    }

    /// A head is whole: a message begins.
    fn begin(&mut self, side: Side, bytes: &[u8], seen: Seen, cx: &mut Context<'_>) {
        let Some(role) = self.role(side) else { return cx.skip(Skipped::MidStream, bytes.len()) };
        let Some(mut head) = head::parse(bytes, role) else {
            return self.refuse(side, bytes, cx);
        };
        head.anomalies.merge(seen.anomalies);
        self.is_http = true;
        let mut anomalies = head.anomalies;
        let (start, index, length) = match head.start {
            StartLine::Request { method, target } => {
                let length = framing::of_request(bytes, &head, &mut anomalies);
                let method_bytes = bytes.get(method.range()).unwrap_or_default();
                (Start::Request { method, target }, self.next_request(method_bytes, cx), length)
            }
            StartLine::Response { status, reason } => {
                let (request, answers) = self.pair(status);
                let length = framing::of_response(bytes, &head, answers, &mut anomalies);
                let index = self.responses;
                self.responses = self.responses.wrapping_add(1);
                (Start::Response { status, reason, request }, index, length)
            }
        };
        let client = if role == Role::Client { side } else { side.peer() };
        let (first_byte, last_byte) = (seen.first_byte, seen.last_byte);
        let origin = Origin { start, index, client, first_byte, last_byte, anomalies };
        let is_connect = bytes.starts_with(b"CONNECT ");
        let expects_continue = framing::has_token(bytes, &head, "expect", "100-continue");
        let mut open = Open::new(origin, head, bytes, length, cx.config);
        open.expects_continue = expects_continue;
        if !open.is_done() {
            return self.set_state(side, State::Body(Box::new(open)));
        }
        self.finish(open, None, cx);
        // Without the answer it is not known whether this is a tunnel now: none is invented.
        if length == BodyLength::Tunnel || (is_connect && !cx.config.read_responses) {
            self.become_tunnel(cx);
        }
    }

    /// Counts a request and notes that it waits for its response.
    fn next_request(&mut self, method: &[u8], cx: &Context<'_>) -> u32 {
        let index = self.requests;
        self.requests = self.requests.wrapping_add(1);
        if !cx.config.read_responses {
            return index;
        }
        let server = self.client.unwrap_or(Side::Low).peer();
        if self.is_unpaired && self.state(server).is_between() {
            self.is_unpaired = false;
            self.pending.clear();
        }
        if self.pending.len() >= MAX_PENDING {
            self.is_unpaired = true;
            self.pending.clear();
        }
        let answers = match method {
            b"HEAD" => Answers::Head,
            b"CONNECT" => Answers::Connect,
            _ => Answers::Other,
        };
        self.pending.push_back(Pending { index, answers });
        index
    }

    /// Which request a response answers: the oldest that waits (RFC 9112 9.3.2); a 1xx leaves it
    /// waiting. While it is unknown which requests wait, only a single one can be meant.
    fn pair(&mut self, status: u16) -> (Option<u32>, Answers) {
        if self.is_unpaired && self.pending.len() != 1 {
            return (None, Answers::Other);
        }
        let is_interim = (100..200).contains(&status) && status != 101;
        let found =
            if is_interim { self.pending.front().copied() } else { self.pending.pop_front() };
        found.map_or((None, Answers::Other), |p| (Some(p.index), p.answers))
    }

    fn read_body(
        &mut self,
        side: Side,
        mut open: Box<Open>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        if self.is_given_up_for(side, &open, piece) {
            self.finish(*open, Some(Anomaly::AnsweredEarly), cx);
            return;
        }
        let bytes = piece.bytes;
        piece.bytes = &[];
        match open.feed(Piece { bytes, ..*piece }, cx.config) {
            Fed::More => self.set_state(side, State::Body(open)),
            Fed::Done(len) => {
                piece.bytes = bytes.get(len..).unwrap_or_default();
                self.finish(*open, None, cx);
            }
            Fed::Invalid(len) => {
                self.finish(*open, Some(Anomaly::InvalidChunk), cx);
                cx.skip(Skipped::Resync, bytes.len().saturating_sub(len));
                self.lose_step(side);
            }
        }
    }

    /// Whether a client that asked `Expect: 100-continue`, got its final answer instead, and never
    /// sent the body, now begins its next request (RFC 9110 10.1.1).
    fn is_given_up_for(&self, side: Side, open: &Open, piece: &Piece<'_>) -> bool {
        if !open.expects_continue || !open.is_bodiless_yet() || !piece.segment_start {
            return false;
        }
        let is_answered = self.pending.iter().all(|p| p.index != open.origin.index);
        let end = head::find_end(piece.bytes, &mut 0);
        is_answered
            && !self.is_unpaired
            && self.state(side.peer()).is_between()
            && end.is_some_and(|end| is_sure(piece.bytes, end, Role::Client))
    }

    /// A message is over. `flaw` says why it is not whole; its side stands between messages.
    fn finish(&mut self, open: Open, flaw: Option<Anomaly>, cx: &mut Context<'_>) {
        cx.counts.open = cx.counts.open.saturating_sub(open.wire);
        cx.counts.messages += open.wire;
        let message = open.into_message(cx.info, flaw);
        if message.is_request() {
            cx.out.push(message);
            return;
        }
        cx.counts.responses += 1;
        if message.completion == Completion::Incomplete {
            cx.counts.responses_incomplete += 1;
        }
        if cx.config.emit_responses {
            cx.out.push(message);
        }
    }

    /// A head that will never be whole: an incomplete message, if its start line is there.
    fn give_up_head(&mut self, side: Side, partial: Partial, flaw: Anomaly, cx: &mut Context<'_>) {
        let seen = partial.seen();
        let lines = memchr::memrchr(b'\n', &partial.bytes).and_then(|at| partial.bytes.get(..=at));
        let role = self.role(side);
        let head = lines.zip(role).and_then(|(lines, role)| head::parse_beginning(lines, role));
        let (Some(head), Some(role)) = (head, role) else {
            return cx.skip(Skipped::Resync, partial.bytes.len());
        };
        let (start, index) = match head.start {
            StartLine::Request { method, target } => {
                let method_bytes = partial.bytes.get(method.range()).unwrap_or_default();
                (Start::Request { method, target }, self.next_request(method_bytes, cx))
            }
            StartLine::Response { status, reason } => {
                let (request, _) = self.pair(status);
                self.responses = self.responses.wrapping_add(1);
                (Start::Response { status, reason, request }, self.responses.wrapping_sub(1))
            }
        };
        let mut anomalies = seen.anomalies;
        anomalies.merge(head.anomalies);
        let client = if role == Role::Client { side } else { side.peer() };
        let (first_byte, last_byte) = (seen.first_byte, seen.last_byte);
        let origin = Origin { start, index, client, first_byte, last_byte, anomalies };
        let open = Open::new(origin, head, &partial.bytes, BodyLength::Known(0), cx.config);
        self.finish(open, Some(flaw), cx);
    }

    /// Bytes in step that begin no message. At the very start the connection speaks something else;
    /// later it is out of step.
    fn refuse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) {
        if self.is_http || !cx.info.from_start {
            cx.skip(Skipped::Resync, bytes.len());
            return self.lose_step(side);
        }
        cx.counts.other_protocol.count(sniff::protocol(bytes));
        cx.skip(Skipped::OtherProtocol, bytes.len());
        self.end_side(side.peer(), false, Anomaly::ClosedEarly, cx);
        self.low = State::Ended(Skipped::OtherProtocol);
        self.high = State::Ended(Skipped::OtherProtocol);
    }

    /// 101, or a 2xx to CONNECT: what follows on either side is no longer HTTP/1.x.
    fn become_tunnel(&mut self, cx: &mut Context<'_>) {
        for side in [Side::Low, Side::High] {
            match self.take_state(side) {
                // A request still on its way is followed to its end.
                State::Body(open) => self.set_state(side, State::Body(open)),
                State::Head(partial) => {
                    cx.skip(Skipped::Upgraded, partial.bytes.len());
                    self.set_state(side, State::Ended(Skipped::Upgraded));
                }
                State::Search(partial) => {
                    self.drop_candidate(partial, cx);
                    self.set_state(side, State::Ended(Skipped::Upgraded));
                }
                State::Start | State::Ended(_) => {
                    self.set_state(side, State::Ended(Skipped::Upgraded));
                }
            }
        }
    }

    fn drop_candidate(&mut self, partial: Option<Box<Partial>>, cx: &mut Context<'_>) {
        if let Some(partial) = partial {
            cx.skip(self.search_cause(cx.info), partial.bytes.len());
        }
    }

    fn lose_step(&mut self, side: Side) {
        self.set_state(side, State::Search(None));
        self.is_unpaired = true;
    }

    fn role(&self, side: Side) -> Option<Role> {
        self.client.map(|client| if client == side { Role::Client } else { Role::Server })
    }

    fn state(&self, side: Side) -> &State {
        match side {
            Side::Low => &self.low,
            Side::High => &self.high,
        }
    }

    fn set_state(&mut self, side: Side, state: State) {
        match side {
            Side::Low => self.low = state,
            Side::High => self.high = state,
        }
    }

    /// Takes the state out; the side stands between messages until one is set.
    fn take_state(&mut self, side: Side) -> State {
        match side {
            Side::Low => mem::take(&mut self.low),
            Side::High => mem::take(&mut self.high),
        }
    }
}

impl Partial {
    fn seen(&self) -> Seen {
        let (first_byte, last_byte) = (self.first_byte, self.last_byte);
        Seen { first_byte, last_byte, anomalies: self.anomalies }
    }
}

/// Whether the first `end` bytes are a whole, strictly valid head: nothing weaker lets reading go on.
fn is_sure(bytes: &[u8], end: usize, role: Role) -> bool {
    bytes.get(..end).and_then(|bytes| head::strict(bytes, role)).is_some()
}
