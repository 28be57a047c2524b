//! The fuzzing body for segments: any sequence of segments keeps the invariants.
//!
//! In: bytes, taken as a list of segments on a few connections. Guaranteed, or it panics: the sums of
//! the ledger hold after every segment, limits are held, what is delivered is no more than what came,
//! and the calls on the reader come in their order. Called by a fuzz target and, over seeds, by a test.

use std::time::Duration;

use super::{Limits, Reassembler};
use crate::model::{
    CloseReason, Endpoint, Flags, FlowInfo, Gap, Piece, Segment, SeqNum, Side, StreamHandler,
    Timestamp, Watch,
};

/// A reader that checks the order of the calls and counts what it is given.
#[derive(Default)]
struct Checker {
    open: u64,
    bytes: u64,
    unseen: u64,
}

impl StreamHandler for Checker {
    /// Which sides have finished.
    type Flow = [bool; 2];

    fn opened(&mut self, _: &FlowInfo) -> [bool; 2] {
        self.open += 1;
        [false; 2]
    }

    fn data(&mut self, _: &FlowInfo, flow: &mut [bool; 2], side: Side, piece: Piece<'_>) {
        assert!(!piece.bytes.is_empty() && flow.get(side.index()) == Some(&false));
        self.bytes += piece.bytes.len() as u64;
    }

    fn gap(&mut self, _: &FlowInfo, flow: &mut [bool; 2], side: Side, gap: Gap) {
        assert!(gap.len > 0 && flow.get(side.index()) == Some(&false));
        self.unseen += gap.len;
    }

    fn conflict(&mut self, _: &FlowInfo, _: &mut [bool; 2], _: Side) {}

    fn finished(&mut self, _: &FlowInfo, flow: &mut [bool; 2], side: Side, _: Timestamp) {
        for (n, finished) in flow.iter_mut().enumerate() {
            assert!(n != side.index() || !std::mem::replace(finished, true), "finished twice");
        }
    }

    fn closed(&mut self, _: &FlowInfo, _: [bool; 2], _: Timestamp, _: CloseReason) {
        assert!(self.open > 0);
        self.open -= 1;
    }

    fn held(&self, _: &[bool; 2]) -> usize {
        0
    }
}

/// Small limits, so that they are reached.
fn limits() -> Limits {
    Limits {
        memory: 6_000,
        flow_memory: 2_000,
        flows: 6,
        idle: Duration::from_secs(20),
        linger: Duration::from_secs(2),
        ..Limits::default()
    }
}

/// The body. Each eight bytes are a segment: connection and side, flags, sequence number,
/// acknowledgment, length and time; see [`segment`].
#[doc(hidden)]
pub fn fuzz_segments(data: &[u8]) {
    let limits = limits();
    let (memory, flows) = (limits.memory, limits.flows);
    let read_responses = data.first().is_none_or(|b| b & 1 == 0);
    let watch = Watch { ports: vec![80], ..Watch::everything() };
    let mut reassembler = Reassembler::new(Checker::default(), watch, read_responses, limits);
    let mut now = Timestamp::from_parts(1_000_000, 0);
    let mut pushed = 0;
    for bytes in data.chunks_exact(8) {
        let Ok(bytes) = <[u8; 8]>::try_from(bytes) else { continue };
        now = now + Duration::from_millis(u64::from(bytes[7]).pow(2) / 8);
        let payload = [b'a' + bytes[6] % 4; 300];
        let segment = segment(bytes, now, &payload);
        let taken = reassembler.push(&segment).is_ok();
        pushed += if taken { segment.payload.len() as u64 } else { 0 };
        let counts = reassembler.counts();
        assert_eq!(counts.received, pushed);
        check(&mut reassembler);
        assert!(reassembler.memory() <= memory && reassembler.flows() <= flows);
    }
    reassembler.finish();
    check(&mut reassembler);
    assert_eq!((reassembler.flows(), reassembler.memory()), (0, 0));
    assert_eq!((reassembler.counts().buffered, reassembler.handler().open), (0, 0));
}

/// A segment from eight bytes: numbers mostly close together, sometimes far away or at the wrap.
fn segment(bytes: [u8; 8], time: Timestamp, payload: &[u8; 300]) -> Segment<'_> {
    let [who, flags, seq, far, ack, len, fill, _] = bytes;
    let client = Endpoint::new([10, 0, 0, 1].into(), 1000 + u16::from(who >> 1 & 7));
    let server = Endpoint::new([10, 0, 0, 2].into(), 80);
    let (src, dst) = if who & 1 == 0 { (client, server) } else { (server, client) };
    let base: u32 = if far < 250 { u32::MAX - 200 } else { u32::from(far) << 24 };
    let number = |n: u8| SeqNum(base.wrapping_add(u32::from(n) * 4));
    let flag = |bit: u8| flags >> bit & 1 == 1;
    let len = usize::from(len).min(payload.len());
    Segment {
        time,
        src,
        dst,
        encapsulation: u64::from(who >> 6),
        seq: number(seq),
        ack: (!flag(3)).then(|| number(ack)),
        flags: Flags { syn: flag(0) && flag(4), fin: flag(1) && flag(5), rst: flag(2) && flag(6) },
        urgent: flag(7).then(|| u16::from(fill) / 2),
        payload: payload.get(..len).unwrap_or_default(),
        cut: if fill > 250 { 5 } else { 0 },
    }
}

fn check(reassembler: &mut Reassembler<Checker>) {
    let n = reassembler.counts();
    let fates = n.delivered + n.duplicate + n.other_direction + n.refused + n.urgent + n.buffered;
    assert_eq!(n.received, fates, "{n:?}");
    let told = reassembler.handler();
    assert_eq!((n.delivered, n.unseen), (told.bytes, told.unseen));
    assert_eq!(n.flows, n.closed.total() + told.open, "{n:?}");
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::fuzz_segments;
    use crate::model::testing::{Random, seeds};

    #[test]
    fn random_segments_keep_the_invariants() {
        for seed in seeds(3_000) {
            let mut random = Random::new(seed);
            let len = 8 * random.below(400);
            let mut data = random.bytes(len);
            // Few connections and few flags most of the time, so that they meet.
            let mask = if seed % 2 == 0 { 0x03 } else { 0x4f };
            for segment in data.chunks_exact_mut(8) {
                segment[0] &= mask;
                if random.below(4) > 0 {
                    segment[1] = 0;
                }
            }
            fuzz_segments(&data);
        }
    }
}
