//! Every limit, exactly and one more; what is given up is named.

use super::*;

fn limited(change: impl FnOnce(&mut Limits)) -> Tap {
    let mut limits = Limits::default();
    change(&mut limits);
    Tap::with(limits, true, &[80])
}

/// Begins a connection from that port with one byte that waits behind a hole of one.
fn waiting(tap: &mut Tap, port: u16, len: usize) -> Vec<String> {
    tap.quiet(c(100).syn().port(port));
    tap.push(c(102).data(&vec![b'x'; len]).port(port))
}

#[test]
fn a_connection_gives_up_holes_beyond_its_memory() {
    let mut tap = limited(|l| l.flow_memory = 13_000);
    tap.quiet(c(100).syn());
    tap.expect(c(102).data(&[b'a'; 8000]), &["open 0 C start"]);
    // Another hole, and more than may wait: the first hole is given up, the second one stands.
    let events = tap.push(c(9000).data(&[b'b'; 4800]));
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], "C gap 1");
    let events = tap.push(c(8102).data(&[b'c'; 898]));
    assert_eq!(events.len(), 2, "filled: {events:?}");
}

#[test]
fn memory_of_all_together_is_held_and_the_longest_holder_goes_first() {
    let mut tap = limited(|l| l.memory = 6_000);
    assert_eq!(waiting(&mut tap, 1001, 700), ["open 0 C start"]);
    assert_eq!(waiting(&mut tap, 1002, 700), ["open 1 C start"]);
    assert_eq!(waiting(&mut tap, 1003, 700), ["open 2 C start"]);
    assert!(tap.reassembler.memory() <= 6_000);
    let events = waiting(&mut tap, 1004, 700);
    let x = format!("C {}", "x".repeat(700));
    assert_eq!(events, ["open 3 C start", "C gap 1", &x, "close 0 evicted", "open 4 C middle"]);
    assert!(tap.reassembler.memory() <= 6_000);
    // The evicted one goes on from where it was: nothing old is new again.
    tap.quiet(c(102).data(&[b'x'; 700]).port(1001));
    tap.expect(c(802).data(b"on").port(1001), &["C on"]);
}

#[test]
fn who_held_nothing_in_between_is_not_the_longest_holder() {
    let mut tap = limited(|l| l.memory = 4_000);
    waiting(&mut tap, 1001, 700);
    tap.expect(c(101).data(b"!").port(1001), &["C !", &format!("C {}", "x".repeat(700))]);
    assert_eq!(tap.reassembler.memory(), 0);
    tap.wait(10, &[]);
    waiting(&mut tap, 1002, 700);
    tap.wait(10, &[]);
    tap.quiet(c(900).data(&[b'y'; 700]).port(1001));
    let events = waiting(&mut tap, 1003, 700);
    assert!(events.contains(&"close 1 evicted".to_owned()), "{events:?}");
}

#[test]
fn what_the_reader_holds_is_charged() {
    let mut tap = limited(|l| l.memory = 1_000);
    tap.reassembler.handler().held = 400;
    tap.handshake();
    tap.expect(c(101).data(b"a"), &["C a"]);
    assert_eq!(tap.reassembler.memory(), 400);
    tap.reassembler.handler().held = 0;
    tap.expect(c(102).data(b"b"), &["C b"]);
    assert_eq!(tap.reassembler.memory(), 0);
}

#[test]
fn connections_have_a_limit_and_remembered_ones_go_first() {
    let mut tap = limited(|l| l.flows = 2);
    let data = |port: u16| c(101).data(b"x").port(port);
    tap.expect(data(1), &["open 0 C middle"]);
    tap.expect(data(2), &["open 1 C middle"]);
    tap.wait(150, &["C x", "C x"]);
    tap.expect(c(102).rst().port(2), &["close 1 reset"]);
    tap.expect(data(3), &["open 2 C middle"]);
    tap.wait(150, &["C x"]);
    assert_eq!(tap.reassembler.flows(), 2);
    // Now the one that was silent for longest.
    tap.wait(10, &[]);
    tap.expect(c(102).data(b"y").port(1), &["C y"]);
    tap.expect(data(4), &["close 2 evicted", "open 3 C middle"]);
}

#[test]
fn idle_time_is_from_the_last_packet() {
    let mut tap = limited(|l| l.idle = Duration::from_secs(10));
    tap.handshake();
    tap.wait(9_000, &[]);
    tap.quiet(c(101).ack(501));
    tap.wait(9_000, &[]);
    tap.wait(1_500, &["close 0 idle"]);
    assert_eq!(tap.reassembler.flows(), 0);
}

#[test]
fn an_idle_connection_is_small() {
    let mut tap = Tap::established();
    assert_eq!(tap.reassembler.memory(), 0);
    tap.expect(c(101).data(b"x"), &["C x"]);
    assert_eq!(tap.reassembler.memory(), 0);
}
