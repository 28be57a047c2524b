//! Out of step: after a hole that took the framing with it, or from the middle of a connection.
//!
//! In: the pieces of one side. Out: back in step at the next sure message start: a whole, sure head
//! (`head::sure`) of version 1.0 or 1.1 at the first byte of a segment, outside any body of known length,
//! and, for a request, with a method that is not the rest of another (`methods`) and not within a
//! response of the server. Nothing weaker: none is invented.
//! Everything before it is counted as skipped.

use super::connection::{Connection, Context};
use super::exchange::Seen;
use super::head::{self, Role, StartLine};
use super::methods;
use super::side::{Partial, Progress, State};
use crate::model::ledger::Skipped;
use crate::model::{Anomalies, Anomaly, FlowInfo, Piece, Side};

impl Connection {
    /// Out of step: looks for a sure message start.
    pub(super) fn search(
        &mut self,
        side: Side,
        partial: Option<Box<Partial>>,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_>,
    ) {
        let arrived = *piece;
        piece.bytes = &[];
        let role = self.role(side);
        let mut partial = match partial {
            Some(mut partial) => {
                partial.append_candidate(arrived, role);
                partial
            }
            None if arrived.segment_start => {
                Box::new(Partial::new(arrived, role, arrived.anomalies))
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
                (Progress::Whole(end), Some(role)) if is_sure(&partial, end, role) => {
                    return self.resume(side, *partial, end, role, cx);
                }
                _ => {}
            }
            let (dropped, is_left) = partial.next_candidate(role);
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
        if role == Role::Client {
            self.end_doubtful_response(side.peer(), cx);
        }
        self.set_state(side, State::default());
        let (head, behind) = partial.bytes.split_at_checked(end).unwrap_or((&partial.bytes, &[]));
        self.begin(side, head, Seen::of(&partial), cx);
        let rest = Piece {
            at: partial.last_byte,
            bytes: behind,
            segment_start: partial.is_start(end),
            anomalies: Anomalies::default(),
        };
        self.consume(side, rest, cx);
    }

    /// Whether a message of this role may begin now.
    fn may_begin(&self, side: Side, role: Option<Role>) -> bool {
        match (role, self.state(side.peer())) {
            (None, _) => false,
            (Some(Role::Server), _) => true,
            (Some(Role::Client), State::Body(open)) => open.is_doubtful && open.is_bodiless_yet(),
            (Some(Role::Client), state) => state.is_between(),
        }
    }

    /// A response whose request was missed, and of which the client did not wait for a body: it had
    /// none.
    fn end_doubtful_response(&mut self, server: Side, cx: &mut Context<'_>) {
        match self.take_state(server) {
            State::Body(open) if open.is_doubtful && open.is_bodiless_yet() => {
                self.finish(server, *open, Some(Anomaly::Gap), cx);
            }
            state => self.set_state(server, state),
        }
    }

    /// Under which cause bytes before the next message start are counted.
    pub(super) fn search_cause(&self, info: &FlowInfo) -> Skipped {
        if self.is_http || info.from_start { Skipped::Resync } else { Skipped::MidStream }
    }
}

/// Whether the first `end` bytes are a whole, sure head, and not one that a hole or the end of a body
/// right before it has made.
fn is_sure(partial: &Partial, end: usize, role: Role) -> bool {
    let Some(bytes) = partial.bytes.get(..end) else { return false };
    match head::sure(bytes, role).map(|head| head.start) {
        None => false,
        Some(StartLine::Response { .. }) => true,
        Some(StartLine::Request { method, .. }) => {
            let method = bytes.get(method.range()).unwrap_or_default();
            methods::is_registered(method)
                || (partial.is_line_in_one_segment() && methods::is_plausible(method))
        }
    }
}
