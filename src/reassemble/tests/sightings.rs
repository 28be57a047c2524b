//! One connection seen twice is one; two connections with one 4-tuple are two.

use super::*;

/// Pushes a segment once plain and once in another encapsulation.
fn twice(tap: &mut Tap, seg: Seg) -> Vec<String> {
    let mut events = tap.push(seg.clone());
    events.extend(tap.push(seg.on(7)));
    events
}

#[test]
fn the_same_connection_through_two_encapsulations_is_one() {
    let mut tap = Tap::new();
    let mut events = Vec::new();
    for seg in [
        c(100).syn(),
        s(500).syn().ack(101),
        c(101).ack(501),
        c(101).ack(501).data(b"req"),
        s(501).ack(104).data(b"ans"),
        c(104).ack(504).fin(),
        s(504).ack(105).fin(),
        c(105).ack(505),
    ] {
        events.extend(twice(&mut tap, seg));
    }
    assert_eq!(events, ["open 0 C start", "C req", "S ans", "C fin", "S fin", "close 0 fin"]);
    tap.finish(&[]);
}

#[test]
fn a_second_sighting_that_comes_after_the_end_is_not_new() {
    let mut tap = Tap::new();
    let trace = [
        c(100).syn(),
        s(500).syn().ack(101),
        c(101).ack(501),
        c(101).ack(501).data(b"req").fin(),
        s(501).ack(105).data(b"ans").fin(),
        c(105).ack(505),
    ];
    for encapsulation in [0, 7] {
        for seg in trace.clone() {
            tap.push(seg.on(encapsulation));
        }
    }
    assert_eq!(tap.reassembler.counts().flows, 1);
    assert_eq!(tap.reassembler.counts().delivered, 6);
}

#[test]
fn two_connections_with_one_4_tuple_on_two_vlans_are_two() {
    for (one, other) in [(0, 7), (7, 0), (7, 9)] {
        let mut tap = Tap::new();
        tap.quiet(c(100).syn().on(one));
        tap.quiet(c(1 << 30).syn().on(other));
        tap.quiet(s(500).syn().ack(101).on(one));
        tap.quiet(s(1 << 29).syn().ack((1 << 30) + 1).on(other));
        tap.expect(c(101).ack(501).on(one), &["open 0 C start"]);
        tap.expect(c((1 << 30) + 1).ack((1 << 29) + 1).on(other), &["open 1 C start"]);
        tap.expect(c(101).ack(501).data(b"one").on(one), &["C one"]);
        tap.expect(c((1 << 30) + 1).ack((1 << 29) + 1).data(b"other").on(other), &["C other"]);
        tap.expect(s((1 << 29) + 1).ack((1 << 30) + 6).data(b"OTHER").on(other), &["S OTHER"]);
        tap.expect(s(501).ack(104).data(b"ONE").on(one), &["S ONE"]);
        // The first ends; the second goes on.
        tap.expect(s(504).ack(104).rst().on(one), &["close 0 reset"]);
        tap.expect(c((1 << 30) + 6).ack((1 << 29) + 6).data(b"more").on(other), &["C more"]);
        tap.wait(61_000, &[]);
        tap.expect(c((1 << 30) + 10).ack((1 << 29) + 6).data(b"on").on(other), &["C on"]);
        assert_eq!(tap.reassembler.counts().flows, 2);
    }
}

#[test]
fn each_direction_may_have_an_encapsulation_of_its_own() {
    let mut tap = Tap::new();
    tap.quiet(c(100).syn().on(10));
    tap.quiet(s(500).syn().ack(101).on(20));
    tap.quiet(c(101).ack(501).on(10));
    tap.expect(c(101).ack(501).data(b"req").on(10), &["open 0 C start", "C req"]);
    tap.expect(s(501).ack(104).data(b"ans").on(20), &["S ans"]);
    tap.expect(c(104).ack(504).fin().on(10), &["C fin"]);
    tap.expect(s(504).ack(105).fin().on(20), &["S fin", "close 0 fin"]);
}
