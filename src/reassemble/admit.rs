//! Which connection a segment belongs to: a known one, or one that it begins.
//!
//! In: a segment's 4-tuple, encapsulation, numbers and flags. Out: a slot of the flow table, or none.
//! Guaranteed: SYN and SYN+ACK allocate nothing (a server under a flood of SYNs answers each); a
//! connection begins with the third packet of its handshake, or with data. A forged SYN ends
//! nothing. The same connection seen through two encapsulations is one; two connections that share a
//! 4-tuple on different VLANs or tunnels are two.

use std::time::Duration;

use super::engine::Reassembler;
use super::flow::{Flow, compact_encapsulation, scope_of};
use super::half::Half;
use super::syn_cache::Opening;
use crate::model::{CloseReason, FlowInfo, FlowKey, Ignored, Segment, SeqNum, Side, StreamHandler};

/// How far a segment of another encapsulation may be from the expected one to count as a second
/// sighting of the same connection: more than any window in practice, far less than chance.
const SAME_STREAM: u32 = 16 << 20;

/// How much later the second sighting of a connection may be, at most.
const SECOND_SIGHTING: Duration = Duration::from_secs(1);

/// What the SYN cache knows of both sides of a segment's connection.
#[derive(Clone, Copy)]
struct Handshake {
    mine: Option<Opening>,
    peers: Option<Opening>,
}

impl Handshake {
    /// The side that opened the connection, where it is known. `side` is the segment's sender.
    fn opener(self, side: Side) -> Option<Side> {
        match (self.mine, self.peers) {
            // Both at once (RFC 9293 3.5): who is the server is not told by who began.
            (Some(mine), Some(peers)) if mine.is_answer && peers.is_answer => None,
            (Some(mine), _) if mine.is_answer => Some(side.peer()),
            (Some(_), _) => Some(side),
            (None, Some(peers)) if peers.is_answer => Some(side),
            (None, Some(_)) => Some(side.peer()),
            (None, None) => None,
        }
    }

    /// Whether the segment carries the first byte behind this handshake, or acknowledges exactly its
    /// second packet.
    fn is_begun_by(self, segment: &Segment<'_>) -> bool {
        let is_first = self.mine.is_some_and(|mine| mine.isn + 1 == segment.seq);
        let is_answered =
            self.peers.is_some_and(|peers| peers.is_answer && segment.ack == Some(peers.isn + 1));
        is_first || is_answered
    }

    /// Whether the segment is the third packet of this handshake, which only somebody can send who
    /// has seen the second.
    fn is_completed_by(self, segment: &Segment<'_>) -> bool {
        let (Some(mine), Some(peers), Some(ack)) = (self.mine, self.peers, segment.ack) else {
            return false;
        };
        !segment.flags.rst && !mine.is_answer && peers.is_answer && ack == peers.isn + 1
    }
}

impl<H: StreamHandler> Reassembler<H> {
    /// The connection of a segment: known, or begun by it; `None` when the segment begins nothing
    /// (its payload is counted then).
    pub(super) fn slot_for(
        &mut self,
        key: &FlowKey,
        side: Side,
        segment: &Segment<'_>,
    ) -> Result<Option<u32>, Ignored> {
        let mut is_scoped = false;
        if let Some(slot) = self.table.find(key, 0) {
            if self.belongs(slot, side, segment) {
                return Ok(self.known(slot, side, segment));
            }
            is_scoped = true;
        }
        if self.table.has_scoped()
            && let Some(slot) =
                self.table.find(key, scope_of(compact_encapsulation(segment.encapsulation)))
        {
            return Ok(self.known(slot, side, segment));
        }
        self.begin(key, is_scoped, side, segment)
    }

    /// Whether a segment with the 4-tuple of a known connection is part of it: always when it came
    /// in the same encapsulation, else when its numbers fit (bridge and veth, a mirror of both ends).
    fn belongs(&self, slot: u32, side: Side, segment: &Segment<'_>) -> bool {
        let Some(flow) = self.table.get(slot) else { return false };
        if flow.encapsulation == compact_encapsulation(segment.encapsulation) {
            return true;
        }
        let near = |half: &Half, seq: SeqNum| {
            !half.known || seq.distance(half.next()).unsigned_abs() < SAME_STREAM
        };
        near(flow.half(side), segment.data_seq())
            && segment.ack.is_none_or(|ack| near(flow.half(side.peer()), ack))
    }

    /// What to do with a segment of a known 4-tuple: it may belong to a new connection on it.
    fn known(&mut self, slot: u32, side: Side, segment: &Segment<'_>) -> Option<u32> {
        if segment.flags.syn {
            return self.known_syn(slot, side, segment);
        }
        let flow = self.table.get(slot)?;
        let is_over = flow.is_over();
        if !is_over && !flow.is_challenged {
            return Some(slot);
        }
        let has_data = !segment.payload.is_empty();
        let (key, half) = (flow.key.full(), flow.half(side));
        let far = |seq: SeqNum| seq.distance(half.next()).unsigned_abs() > SAME_STREAM;
        let is_elsewhere = is_over && has_data && (!half.known || far(segment.seq));
        let is_successor = flow.is_challenged && {
            let handshake = self.handshake(&key, side, segment);
            has_data && handshake.is_begun_by(segment) || handshake.is_completed_by(segment)
        };
        if is_elsewhere || is_successor {
            return self.replace(slot, side, segment);
        }
        if is_over {
            self.count_unclaimed(segment, false);
            return None;
        }
        Some(slot)
    }

    /// A SYN on a known 4-tuple: repeated, or the first of a new connection. It is believed only
    /// when the handshake goes on: a forged SYN must not end a connection.
    fn known_syn(&mut self, slot: u32, side: Side, segment: &Segment<'_>) -> Option<u32> {
        let tick = self.tick;
        let flow = self.table.get_mut(slot)?;
        let is_over = flow.is_over();
        let is_overtaken = flow.half_mut(side).begins_at(segment.data_seq());
        let is_answered = segment.ack.is_some_and(|ack| flow.half_mut(side.peer()).begins_at(ack));
        if is_overtaken || is_answered {
            flow.half_mut(side).start(segment.data_seq());
            return Some(slot);
        }
        let is_repeated = flow.half(side).known && flow.half(side).first() == segment.data_seq();
        if is_repeated && !is_over {
            return Some(slot);
        }
        if is_repeated && flow.last.age(tick) < SECOND_SIGHTING {
            self.count_unclaimed(segment, false);
            return None;
        }
        // The answer to a SYN that carried data (Fast Open) and so began the connection already.
        let peer = flow.half(side.peer());
        if let Some(ack) = segment.ack
            && !(is_over || flow.half(side).known)
            && peer.known
            && ack.distance(peer.first()) >= 0
        {
            flow.half_mut(side).start(segment.data_seq());
            return Some(slot);
        }
        if is_over && !is_repeated && !segment.payload.is_empty() {
            return self.replace(slot, side, segment);
        }
        flow.is_challenged = true;
        let key = flow.key.full();
        self.remember(&key, side, segment);
        self.count_unclaimed(segment, false);
        None
    }

    /// The old connection ends because a new one has its 4-tuple, which this segment may begin.
    fn replace(&mut self, slot: u32, side: Side, segment: &Segment<'_>) -> Option<u32> {
        let flow = self.table.get(slot)?;
        let (key, is_scoped) = (flow.key.full(), flow.is_scoped);
        self.close(slot, CloseReason::Reused);
        self.table.remove(slot);
        self.begin(&key, is_scoped, side, segment).unwrap_or_else(|_| {
            // Whoever opens it now is not its client; but the connection counted so far.
            self.count_unclaimed(segment, false);
            None
        })
    }

    /// What the SYN cache knows of a segment's connection, where the numbers fit.
    fn handshake(&self, key: &FlowKey, side: Side, segment: &Segment<'_>) -> Handshake {
        let look = |side, near: Option<SeqNum>| {
            let hash = self.table.hash_opening(key, side, segment.encapsulation);
            let near_enough =
                |isn: SeqNum| near.is_none_or(|n| n.distance(isn).unsigned_abs() < SAME_STREAM);
            self.syns.get(hash).filter(|opening| near_enough(opening.isn))
        };
        Handshake { mine: look(side, Some(segment.seq)), peers: look(side.peer(), segment.ack) }
    }

    /// Notes a SYN or SYN+ACK; from the latter it is also known what the SYN was, where that was missed.
    fn remember(&mut self, key: &FlowKey, side: Side, segment: &Segment<'_>) {
        let hash = self.table.hash_opening(key, side, segment.encapsulation);
        let is_answer = segment.ack.is_some();
        self.syns.insert(hash, Opening { isn: segment.seq, is_answer });
        let Some(ack) = segment.ack else { return };
        let peers = self.table.hash_opening(key, side.peer(), segment.encapsulation);
        let is_there = |syn: Opening| ack.distance(syn.isn).unsigned_abs() < SAME_STREAM;
        if !self.syns.get(peers).is_some_and(is_there) {
            let isn = SeqNum(ack.0.wrapping_sub(1));
            self.syns.insert(peers, Opening { isn, is_answer: false });
        }
    }

    /// Begins a connection with this segment, if it is one that can.
    fn begin(
        &mut self,
        key: &FlowKey,
        is_scoped: bool,
        side: Side,
        segment: &Segment<'_>,
    ) -> Result<Option<u32>, Ignored> {
        let mut handshake = self.handshake(key, side, segment);
        if segment.flags.syn {
            let mine = Opening { isn: segment.seq, is_answer: segment.ack.is_some() };
            handshake.mine = Some(mine);
        }
        let opener = handshake.opener(side);
        let server = self.watch.server_side(key, opener)?;
        if segment.flags.syn {
            self.remember(key, side, segment);
        }
        let client = opener.or(server.map(Side::peer));
        let unread = client.map(Side::peer).filter(|_| !self.read_responses);
        let is_data = !segment.payload.is_empty() && unread != Some(side);
        if segment.flags.rst || !(is_data || handshake.is_completed_by(segment)) {
            self.count_unclaimed(segment, unread == Some(side));
            return Ok(None);
        }
        let from_start = handshake.mine.is_some() || handshake.peers.is_some();
        let info = FlowInfo { conn: self.next_conn, key: *key, client, from_start };
        let mut flow = Flow::new(&info, segment.encapsulation, is_scoped, unread, self.tick);
        self.set_first(&mut flow, handshake, side, segment);
        for side in [Side::Low, Side::High] {
            self.syns.remove(self.table.hash_opening(key, side, segment.encapsulation));
        }
        self.make_room();
        self.open(&mut flow);
        Ok(Some(self.table.insert(flow, self.tick)))
    }

    /// Sets the first sequence number of both sides, as far as the handshake tells.
    fn set_first(
        &self,
        flow: &mut Flow<H::Flow>,
        handshake: Handshake,
        side: Side,
        segment: &Segment<'_>,
    ) {
        if let Some(mine) = handshake.mine {
            *flow.half_mut(side) = Half::starting_at(mine.isn + 1);
        }
        // Where the SYN+ACK was missed: what the client's first byte acknowledges is the SYN+ACK.
        let is_first = handshake.mine.is_some_and(|mine| {
            mine.is_answer || (!segment.flags.syn && mine.isn + 1 == segment.seq)
        });
        let peers = handshake.peers.map(|peers| peers.isn + 1);
        if let Some(first) = peers.or(segment.ack.filter(|_| is_first)) {
            *flow.half_mut(side.peer()) = Half::starting_at(first);
        }
    }

    /// Tells the reader of a connection, which gets the next number.
    pub(super) fn open(&mut self, flow: &mut Flow<H::Flow>) {
        flow.conn = self.next_conn;
        self.next_conn = self.next_conn.saturating_add(1);
        self.counts.flows = self.counts.flows.saturating_add(1);
        flow.handler = Some(self.handler.opened(&flow.info()));
    }

    /// Counts the payload of a segment that begins or belongs to nothing.
    fn count_unclaimed(&mut self, segment: &Segment<'_>, is_unread: bool) {
        let bytes = segment.payload.len() as u64;
        let counts = &mut self.counts;
        counts.received = counts.received.saturating_add(bytes);
        let fate = if is_unread { &mut counts.other_direction } else { &mut counts.refused };
        *fate = fate.saturating_add(bytes);
    }
}
