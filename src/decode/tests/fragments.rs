//! IP fragments: order, copies, overlap, limits, tunnels.

use std::time::Duration;

use crate::decode::FragmentLimits;

use super::*;

const STEP: Duration = Duration::from_millis(1);

/// One fragment of an IPv4 datagram: bytes `at..at + len` of its payload.
fn v4(id: u16, payload: &[u8], at: usize, len: usize) -> Vec<u8> {
    v4_of(6, id, payload, at, len)
}

fn v4_of(protocol: u8, id: u16, payload: &[u8], at: usize, len: usize) -> Vec<u8> {
    let end = (at + len).min(payload.len());
    let mut packet = ipv4(protocol, &payload[at..end]);
    let more = if end < payload.len() { 0x2000 } else { 0 };
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[6..8].copy_from_slice(&((at / 8) as u16 | more).to_be_bytes());
    packet
}

fn v6(id: u8, payload: &[u8], at: usize, len: usize) -> Vec<u8> {
    let end = (at + len).min(payload.len());
    let offset = at as u16 | u16::from(end < payload.len());
    let header = join(&[&[6, 0], &offset.to_be_bytes(), &[0, 0, 0, id]]);
    ipv6(44, &join(&[&header, &payload[at..end]]))
}

/// All fragments of a datagram, `size` bytes each.
fn split(payload: &[u8], size: usize, fragment: impl Fn(&[u8], usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..payload.len()).step_by(size).map(|at| fragment(payload, at)).collect()
}

/// Feeds raw IP packets a millisecond apart and gives what came of each.
fn run(decoder: &mut Decoder, packets: &[Vec<u8>]) -> Vec<Result<Seen, Ignored>> {
    let mut time = Timestamp::ZERO;
    let mut results = Vec::new();
    for packet in packets {
        results.push(feed(decoder, time, RAW, packet, packet.len()));
        time = time + STEP;
    }
    results
}

/// The one segment among the results; all others must have been kept.
#[track_caller]
fn only_segment(results: &[Result<Seen, Ignored>]) -> &Seen {
    let (whole, kept): (Vec<_>, Vec<_>) = results.iter().partition(|result| result.is_ok());
    assert!(kept.iter().all(|result| **result == Err(Ignored::Fragment)), "{results:?}");
    assert_eq!(whole.len(), 1, "{results:?}");
    whole[0].as_ref().expect("just found")
}

fn body() -> Vec<u8> {
    (0..100u8).collect()
}

#[test]
fn fragments_in_every_order_give_the_segment_once() {
    let segment = tcp(&body());
    for version in [4, 6] {
        let parts = split(&segment, 32, |payload, at| match version {
            4 => v4(1, payload, at, 32),
            _ => v6(1, payload, at, 32),
        });
        assert_eq!(parts.len(), 4);
        for order in permutations(4) {
            let packets: Vec<_> = order.iter().map(|&i| parts[i].clone()).collect();
            let mut decoder = Decoder::default();
            let results = run(&mut decoder, &packets);
            let seen = only_segment(&results);
            assert_eq!((seen.payload.as_slice(), seen.cut), (body().as_slice(), 0), "{order:?}");
            assert!(results[3].is_ok(), "the last one completes it");
            assert_eq!(decoder.fragment_bytes(), 0);
        }
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for place in 0..n {
            let mut order = shorter.clone();
            order.insert(place, n - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn copies_of_fragments_change_nothing_also_behind_the_end() {
    let segment = tcp(&body());
    let parts = split(&segment, 64, |payload, at| v4(1, payload, at, 64));
    let twice: Vec<_> = parts.iter().flat_map(|part| [part.clone(), part.clone()]).collect();
    let results = run(&mut Decoder::default(), &twice);
    assert_eq!(only_segment(&results).payload, body());
}

#[test]
fn an_identification_may_be_used_again() {
    let (first, second) = (tcp(b"first, longer than eight"), tcp(b"second, longer than eight"));
    let mut decoder = Decoder::default();
    for (nth, segment) in [&first, &second].into_iter().enumerate() {
        let start = Timestamp::from_parts(nth as u64, 0);
        let parts = split(segment, 24, |payload, at| v4(1, payload, at, 24));
        let results: Vec<_> =
            parts.iter().map(|part| feed(&mut decoder, start, RAW, part, part.len())).collect();
        assert_eq!(only_segment(&results).payload, segment[20..]);
    }
}

#[test]
fn datagrams_with_other_addresses_protocols_or_tags_do_not_mix() {
    let segment = tcp(&body());
    let head = v4(1, &segment, 0, 64);
    let tail = v4(1, &segment, 64, 64);
    let other_source = {
        let mut p = tail.clone();
        p[15] = 9;
        p
    };
    let other_protocol = {
        let mut p = tail.clone();
        p[9] = 17;
        p
    };
    let other_id = v4(2, &segment, 64, 64);
    let results =
        run(&mut Decoder::default(), &[head.clone(), other_source, other_protocol, other_id]);
    assert!(results.iter().all(|result| *result == Err(Ignored::Fragment)), "{results:?}");
    let mut decoder = Decoder::default();
    let on = |id, packet: &[u8]| ether(0x8100, &vlan(id, 0x0800, packet));
    for (frame, expected) in [(on(1, &head), false), (on(2, &tail), false), (on(1, &tail), true)] {
        let result = feed(&mut decoder, Timestamp::ZERO, ETHERNET, &frame, frame.len());
        assert_eq!(result.is_ok(), expected);
    }
}

#[test]
fn overlap_ends_the_datagram() {
    let segment = tcp(&body());
    let packets = [v4(1, &segment, 0, 64), v4(1, &segment, 56, 24), v4(1, &segment, 64, 56)];
    let mut decoder = Decoder::default();
    let results = run(&mut decoder, &packets);
    assert_eq!(results[0], Err(Ignored::Fragment));
    assert_eq!(results[1], Err(Ignored::FragmentDropped));
    assert!(results[2].is_err());
    assert_eq!((decoder.datagrams_abandoned(), decoder.fragment_bytes()), (1, 0));
}

#[test]
fn a_contradicting_end_ends_the_datagram() {
    let segment = tcp(&body());
    let short = tcp(&body()[..40]);
    // The end at 60 comes when bytes up to 120 are there.
    let packets = [v4(1, &segment, 64, 56), v4(1, &short, 32, 32), v4(1, &segment, 0, 32)];
    let results = run(&mut Decoder::default(), &packets);
    assert_eq!(results[1], Err(Ignored::FragmentDropped));
    assert!(results[2].is_err());
}

#[test]
fn the_first_fragment_may_end_within_the_tcp_header() {
    let segment = tcp(&body());
    let results = run(&mut Decoder::default(), &split(&segment, 8, |p, at| v4(1, p, at, 8)));
    assert_eq!(only_segment(&results).payload, body());
}

#[test]
fn a_datagram_too_old_is_given_up() {
    let segment = tcp(&body());
    let limits = FragmentLimits { max_age: Duration::from_secs(2), ..FragmentLimits::default() };
    for (wait, whole) in [(2_000_000_000, true), (2_000_000_001, false)] {
        let mut decoder = Decoder::new(limits);
        let (head, tail) = (v4(1, &segment, 0, 64), v4(1, &segment, 64, 64));
        let first = feed(&mut decoder, Timestamp::ZERO, RAW, &head, head.len());
        assert_eq!(first, Err(Ignored::Fragment));
        let second = feed(&mut decoder, Timestamp::from_nanos(wait), RAW, &tail, tail.len());
        assert_eq!(second.is_ok(), whole, "after {wait} ns");
        assert_eq!(decoder.datagrams_abandoned(), u64::from(!whole));
    }
}

#[test]
fn at_the_limit_of_datagrams_the_oldest_goes() {
    let segment = tcp(&body());
    let limits = FragmentLimits { max_datagrams: 3, ..FragmentLimits::default() };
    let head = |id| v4(id, &segment, 0, 64);
    let tail = |id| v4(id, &segment, 64, 64);
    let mut decoder = Decoder::new(limits);
    let results = run(&mut decoder, &[head(1), head(2), head(3), tail(1)]);
    assert!(results[3].is_ok(), "three fit");
    let mut decoder = Decoder::new(limits);
    let results = run(&mut decoder, &[head(1), head(2), head(3), head(4), tail(2), tail(1)]);
    assert!(results[4].is_ok(), "the second oldest is still there");
    assert!(results[5].is_err(), "the oldest made room for the fourth");
    assert_eq!(decoder.datagrams_abandoned(), 1);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let limits = FragmentLimits { max_bytes: 100_000, ..FragmentLimits::default() };
    let mut decoder = Decoder::new(limits);
    let big = vec![0; 60_000];
    for id in 0..500u16 {
        // The last 8 bytes first: a small packet that asks for a large buffer.
        let packet = v4(id, &big, 59_992, 8);
        let result = feed(&mut decoder, Timestamp::ZERO, RAW, &packet, packet.len());
        assert!(result.is_err());
        assert!(decoder.fragment_bytes() <= 100_000);
    }
    assert_eq!(decoder.datagrams_abandoned(), 499);
}

#[test]
fn a_datagram_larger_than_the_limit_is_refused() {
    let limits = FragmentLimits { max_bytes: 1000, ..FragmentLimits::default() };
    let mut decoder = Decoder::new(limits);
    let packet = v4(1, &[0; 3000], 2992, 8);
    let result = feed(&mut decoder, Timestamp::ZERO, RAW, &packet, packet.len());
    assert_eq!(result, Err(Ignored::FragmentDropped));
    assert_eq!(decoder.fragment_bytes(), 0);
}

#[test]
fn tiny_fragments_with_holes_are_refused_before_they_cost_much() {
    let payload = vec![0; 8000];
    let holes: Vec<_> = (0..400).map(|nth| v4(1, &payload, nth * 16, 8)).collect();
    let results = run(&mut Decoder::default(), &holes);
    assert_eq!(results[63], Err(Ignored::Fragment));
    assert!(results[70..160].iter().all(|result| *result == Err(Ignored::FragmentDropped)));
}

#[test]
fn fragments_without_data_or_beyond_64_kib_are_refused() {
    let mut empty = v4(1, &tcp(b"a"), 8, 8);
    empty.truncate(20);
    empty[2..4].copy_from_slice(&[0, 20]);
    let mut beyond = v4(2, &tcp(&body()), 8, 64);
    beyond[6..8].copy_from_slice(&0x3fff_u16.to_be_bytes());
    for packet in [empty, beyond] {
        let results = run(&mut Decoder::default(), &[packet]);
        assert_eq!(results, [Err(Ignored::FragmentDropped)]);
    }
}

#[test]
fn a_snapped_first_fragment_is_a_cut_segment_and_the_rest_is_dropped() {
    let segment = tcp(&body());
    let (head, tail) = (v4(1, &segment, 0, 64), v4(1, &segment, 64, 64));
    let mut decoder = Decoder::default();
    let seen = feed(&mut decoder, Timestamp::ZERO, RAW, &head, 50).expect("a segment");
    assert_eq!((seen.payload.len(), seen.cut), (10, 34));
    let rest = feed(&mut decoder, Timestamp::ZERO, RAW, &tail, tail.len());
    assert_eq!(rest, Err(Ignored::FragmentDropped));
    let snapped = feed(&mut decoder, Timestamp::ZERO, RAW, &v4(2, &segment, 64, 64), 30);
    assert_eq!(snapped, Err(Ignored::FragmentDropped));
}

#[test]
fn a_tunnel_packet_in_fragments_with_fragments_inside() {
    let segment = tcp(&body());
    let mut decoder = Decoder::default();
    let mut results = Vec::new();
    for (nth, inner) in split(&segment, 64, |p, at| v4(5, p, at, 64)).iter().enumerate() {
        let vxlan = udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 3, 0], &ether(0x0800, inner)]));
        let outer = split(&vxlan, 48, |p, at| v4_of(17, nth as u16, p, at, 48));
        results.extend(run(&mut decoder, &outer));
    }
    let seen = only_segment(&results);
    assert_eq!((seen.payload.as_slice(), seen.cut), (body().as_slice(), 0));
    assert_ne!(seen.encapsulation, 0);
}

#[test]
fn the_inner_protocol_is_what_the_first_fragment_says() {
    // RFC 8200 section 4.5: the others may say anything.
    let segment = tcp(&body());
    let (head, mut tail) = (v6(1, &segment, 0, 64), v6(1, &segment, 64, 64));
    tail[40] = 59;
    for packets in [[head.clone(), tail.clone()], [tail, head]] {
        let results = run(&mut Decoder::default(), &packets);
        assert_eq!(only_segment(&results).payload, body());
    }
}
