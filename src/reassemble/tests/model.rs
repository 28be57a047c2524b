//! The reassembler against a plain model: random bytes, cut, reordered, repeated, overlapped, lost.
//!
//! `SHADOWTAP_SEEDS=100000 cargo test --lib reassemble::tests::model` runs more.

use std::collections::BTreeMap;

use super::*;
use crate::model::testing::{Random, seeds};

const SIDES: [bool; 2] = [true, false];

/// One direction as it was sent: its bytes, and which of them the capture saw.
struct Sent {
    bytes: Vec<u8>,
    seen: Vec<bool>,
    /// Sequence number of the first byte.
    first: u32,
}

impl Sent {
    fn new(random: &mut Random) -> Self {
        let len = random.below(3000);
        // Often close to the wrap.
        let first =
            if random.one_in(2) { u32::MAX - random.below(2000) as u32 } else { random.u32() };
        Self { bytes: random.bytes(len), seen: vec![false; len], first }
    }

    /// A segment of these bytes.
    fn segment(&self, is_client: bool, from: usize, to: usize) -> Seg {
        let seg = if is_client { c(0) } else { s(0) };
        let seq = self.first.wrapping_add(from as u32);
        Seg { seq, ..seg }.data(&self.bytes[from..to])
    }
}

/// The segments of one direction: every byte at least once, some again with other boundaries, in an
/// order that is off by a few places.
fn trace(sent: &Sent, is_client: bool, ack: u32, random: &mut Random) -> Vec<Seg> {
    let mut order: Vec<(usize, Seg)> = Vec::new();
    let (mut at, mut place) = (0, 0);
    while at < sent.bytes.len() {
        let to = (at + 1 + random.below(400)).min(sent.bytes.len());
        order.push((place, sent.segment(is_client, at, to).ack(ack)));
        while random.one_in(4) {
            let from = random.below(to);
            let end = (from + 1 + random.below(600)).min(sent.bytes.len());
            order.push((place + random.below(8), sent.segment(is_client, from, end).ack(ack)));
        }
        (at, place) = (to, place + 1);
    }
    for (place, _) in &mut order {
        *place += random.below(6);
    }
    order.sort_by_key(|(place, _)| *place);
    order.into_iter().map(|(_, seg)| seg).collect()
}

/// What a reader was told of one side: bytes by offset, and the holes.
#[derive(Default)]
struct Model {
    at: u64,
    bytes: BTreeMap<u64, Vec<u8>>,
}

/// A reader that keeps everything.
#[derive(Default)]
struct Keeper {
    sides: [Model; 2],
    delivered: u64,
}

impl StreamHandler for Keeper {
    type Flow = ();
    fn opened(&mut self, info: &FlowInfo) {
        assert_eq!(info.conn, 0, "one connection only");
    }
    fn data(&mut self, _: &FlowInfo, (): &mut (), side: Side, piece: Piece<'_>) {
        assert!(piece.anomalies.is_empty(), "nothing differs");
        let model = &mut self.sides[side.index()];
        model.bytes.insert(model.at, piece.bytes.to_vec());
        model.at += piece.bytes.len() as u64;
        self.delivered += piece.bytes.len() as u64;
    }
    fn gap(&mut self, _: &FlowInfo, (): &mut (), side: Side, gap: Gap) {
        self.sides[side.index()].at += gap.len;
    }
    fn conflict(&mut self, _: &FlowInfo, (): &mut (), _: Side) {
        panic!("nothing differs");
    }
    fn finished(&mut self, _: &FlowInfo, (): &mut (), _: Side, _: Timestamp) {}
    fn closed(&mut self, _: &FlowInfo, (): (), _: Timestamp, _: CloseReason) {}
    fn held(&self, (): &()) -> usize {
        0
    }
}

struct Run {
    reassembler: Reassembler<Keeper>,
    now: Timestamp,
}

impl Run {
    fn push(&mut self, seg: &Seg, seed: u64) {
        let client = Endpoint::new([10, 0, 0, 1].into(), 40000);
        let server = Endpoint::new([10, 0, 0, 2].into(), 80);
        let (src, dst) = if seg.is_client { (client, server) } else { (server, client) };
        self.now = self.now + Duration::from_micros(50);
        let segment = Segment {
            time: self.now,
            src,
            dst,
            encapsulation: 0,
            seq: SeqNum(seg.seq),
            ack: seg.ack.map(SeqNum),
            flags: seg.flags,
            urgent: None,
            payload: &seg.bytes,
            cut: 0,
        };
        self.reassembler.push(&segment).unwrap();
        let n = self.reassembler.counts();
        let fates = n.delivered + n.duplicate + n.other_direction + n.refused + n.buffered;
        assert_eq!(n.received, fates, "seed {seed}");
    }
}

/// Runs one random connection; with `loss`, some segments are never captured.
fn run(seed: u64, loss: bool) {
    let mut random = Random::new(seed);
    let mut sent = [Sent::new(&mut random), Sent::new(&mut random)];
    let limits = Limits { flow_memory: 1 << 20, ..Limits::default() };
    let reassembler = Reassembler::new(Keeper::default(), Watch::everything(), true, limits);
    let mut run = Run { reassembler, now: Timestamp::from_parts(1, 0) };
    let isn = |sent: &Sent| sent.first.wrapping_sub(1);
    run.push(&c(isn(&sent[0])).syn(), seed);
    run.push(&s(isn(&sent[1])).syn().ack(sent[0].first), seed);
    run.push(&c(sent[0].first).ack(sent[1].first), seed);
    let mut traces = [0, 1].map(|n| trace(&sent[n], SIDES[n], sent[1 - n].first, &mut random));
    while traces.iter().any(|trace| !trace.is_empty()) {
        let n = random.below(2);
        if traces[n].is_empty() {
            continue;
        }
        let seg = traces[n].remove(0);
        if loss && random.one_in(8) {
            continue;
        }
        let from = seg.seq.wrapping_sub(sent[n].first) as usize;
        sent[n].seen[from..from + seg.bytes.len()].fill(true);
        run.push(&seg, seed);
    }
    // Each side acknowledges all that the other sent, and then its FIN.
    for n in [0, 1] {
        let end = |sent: &Sent| sent.first.wrapping_add(sent.bytes.len() as u32);
        let base = if SIDES[n] { c(0) } else { s(0) };
        let seg = Seg { seq: end(&sent[n]), ..base }.ack(end(&sent[1 - n])).fin();
        run.push(&seg, seed);
    }
    run.now = run.now + Duration::from_millis(150);
    let now = run.now;
    run.reassembler.advance(now);
    run.reassembler.advance(now + Duration::from_millis(150));
    let counts = run.reassembler.counts();
    assert_eq!(counts.closed.get(CloseReason::Fin), 1, "seed {seed}: both FINs are due");
    check(seed, &sent, run.reassembler.handler());
    let missing = sent.iter().flat_map(|sent| &sent.seen).filter(|seen| !**seen).count() as u64;
    assert_eq!((counts.unseen, counts.buffered), (missing, 0), "seed {seed}");
    assert_eq!(run.reassembler.memory(), 0, "seed {seed}");
}

/// Every byte that was seen was delivered, at its place and once; the holes are what is missing.
fn check(seed: u64, sent: &[Sent; 2], keeper: &Keeper) {
    for (sent, told) in sent.iter().zip(&keeper.sides) {
        let mut delivered = vec![false; sent.bytes.len()];
        for (&at, bytes) in &told.bytes {
            let range = at as usize..at as usize + bytes.len();
            assert_eq!(bytes, &sent.bytes[range.clone()], "seed {seed}: wrong bytes at {at}");
            delivered[range].fill(true);
        }
        assert_eq!(delivered, sent.seen, "seed {seed}: holes elsewhere");
        assert_eq!(told.at as usize, sent.bytes.len(), "seed {seed}: length");
    }
}

#[test]
fn any_order_gives_the_same_bytes() {
    for seed in seeds(1_500) {
        run(seed, false);
    }
}

#[test]
fn with_loss_the_gaps_are_where_bytes_are_missing() {
    for seed in seeds(1_500) {
        run(seed, true);
    }
}
