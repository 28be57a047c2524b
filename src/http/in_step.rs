//! In step: the next message begins where the last one ended.
//!
//! In: the pieces of one side. Out: its state moved on, messages begun and finished (`exchange`).
//! Guaranteed: each byte belongs to the message that the framing says, to the empty lines between
//! messages, or is counted as skipped.

use super::chunked::Fed;
use super::connection::{Connection, Context};
use super::exchange::Seen;
use super::head::{self, Role};
use super::open::Open;
use super::side::{HeadEnd, Partial, Progress, State};
use super::sniff;
use crate::model::ledger::Skipped;
use crate::model::{Anomalies, Anomaly, Piece, Side};

impl Connection {
    /// Between messages: the next byte begins one, but for empty lines (RFC 9112 2.2).
    pub(super) fn read_start(
        &mut self,
        side: Side,
        mut after_empty: bool,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        let empty = piece.bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if empty > 0 {
            cx.skip(Skipped::EmptyLines, empty);
            piece.bytes = piece.bytes.get(empty..).unwrap_or_default();
            piece.segment_start = false;
            after_empty = true;
        }
        if piece.bytes.is_empty() {
            return self.set_state(side, State::Start { after_empty });
        }
        let mut anomalies = Anomalies::default();
        if after_empty {
            anomalies.insert(Anomaly::LeadingEmptyLine);
        }
        anomalies.merge(piece.anomalies);
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
                self.go_on_with_head(side, partial, piece, cx);
            }
        }
    }

    pub(super) fn read_head(
        &mut self,
        side: Side,
        mut partial: Box<Partial>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        partial.append(*piece);
        self.go_on_with_head(side, partial, piece, cx);
    }

    /// A head has more bytes (all of `piece`): is it whole now?
    fn go_on_with_head(
        &mut self,
        side: Side,
        mut partial: Box<Partial>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        let arrived = piece.bytes;
        piece.bytes = &[];
        // What is behind the head came with this piece.
        let split = |partial: &mut Partial, end: usize| {
            let behind = partial.bytes.len().saturating_sub(end);
            partial.bytes.truncate(end);
            arrived.get(arrived.len().saturating_sub(behind)..).unwrap_or_default()
        };
        match partial.progress(cx.config.max_head) {
            Progress::More => self.set_state(side, State::Head(partial)),
            Progress::Whole(end) => {
                piece.bytes = split(&mut partial, end);
                self.begin(side, &partial.bytes, Seen::of(&partial), cx);
            }
            Progress::TooLarge(Some(end)) => {
                piece.bytes = split(&mut partial, end);
                self.give_up_head(side, *partial, Anomaly::HeadTooLarge, cx);
                self.lose_step(side);
            }
            Progress::TooLarge(None) => {
                let end = HeadEnd::after(&partial.bytes);
                self.give_up_head(side, *partial, Anomaly::HeadTooLarge, cx);
                self.set_state(side, State::Oversized(end));
            }
            Progress::NotHttp => self.refuse(side, &partial.bytes, cx),
        }
    }

    /// The rest of a head over the limit is passed over: nothing in it begins a message. What follows
    /// it cannot be told.
    pub(super) fn read_oversized(
        &mut self,
        side: Side,
        mut end: HeadEnd,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        let found = end.find(piece.bytes);
        let (skipped, rest) =
            piece.bytes.split_at_checked(found.unwrap_or(usize::MAX)).unwrap_or((piece.bytes, &[]));
        piece.bytes = rest;
        cx.skip(Skipped::Resync, skipped.len());
        match found {
            Some(_) => self.lose_step(side),
            None => self.set_state(side, State::Oversized(end)),
        }
    }

    pub(super) fn read_body(
        &mut self,
        side: Side,
        mut open: Box<Open>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        if self.is_bodiless(&open, piece) {
            self.finish(side, *open, Some(Anomaly::Gap), cx);
            return self.lose_step(side);
        }
        if self.is_given_up_for(side, &open, piece) {
            return self.finish(side, *open, Some(Anomaly::AnsweredEarly), cx);
        }
        let bytes = piece.bytes;
        piece.bytes = &[];
        match open.feed(Piece { bytes, ..*piece }, cx.config) {
            Fed::More => self.set_state(side, State::Body(open)),
            Fed::Done(len) => {
                piece.bytes = bytes.get(len..).unwrap_or_default();
                self.finish(side, *open, None, cx);
            }
            Fed::Invalid(len) => {
                self.finish(side, *open, Some(Anomaly::InvalidChunk), cx);
                if self.is_tunnel {
                    return cx.skip(Skipped::Upgraded, bytes.len().saturating_sub(len));
                }
                cx.skip(Skipped::Resync, bytes.len().saturating_sub(len));
                self.lose_step(side);
            }
        }
    }

    /// Whether a response whose request was missed, so that it may have been a HEAD, has no body: what
    /// comes in its place looks like the next response.
    fn is_bodiless(&self, open: &Open, piece: &Piece<'_>) -> bool {
        open.is_doubtful
            && open.is_bodiless_yet()
            && piece.segment_start
            && sniff::begins(piece.bytes, Some(Role::Server)).is_some()
    }

    /// Whether a client that asked `Expect: 100-continue`, got its final answer instead, and never
    /// sent the body, now begins its next request (RFC 9110 10.1.1).
    fn is_given_up_for(&self, side: Side, open: &Open, piece: &Piece<'_>) -> bool {
        let may_be = open.expects_continue && open.is_bodiless_yet() && piece.segment_start;
        if !may_be {
            return false;
        }
        let end = head::find_end(piece.bytes, &mut 0);
        let head = end.and_then(|end| piece.bytes.get(..end));
        self.pairing.is_answered(open.origin.index)
            && self.state(side.peer()).is_between()
            && head.is_some_and(|head| head::strict(head, Role::Client).is_some())
    }

    /// Bytes in step that begin no message. At the very start the connection speaks something else;
    /// later it is out of step, unless another protocol had been offered.
    pub(super) fn refuse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) {
        if self.is_http && self.offers_upgrade && self.client == Some(side) {
            cx.skip(Skipped::Upgraded, bytes.len());
            return self.become_tunnel(cx);
        }
        if self.is_http || !cx.info.from_start {
            cx.skip(Skipped::Resync, bytes.len());
            return self.lose_step(side);
        }
        cx.counts.other_protocol.count(sniff::protocol(bytes));
        cx.skip(Skipped::OtherProtocol, bytes.len());
        self.end_side(side.peer(), false, Anomaly::ClosedEarly, cx);
        self.set_state(side, State::Ended(Skipped::OtherProtocol));
        self.set_state(side.peer(), State::Ended(Skipped::OtherProtocol));
    }
}
