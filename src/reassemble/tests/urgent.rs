//! Urgent bytes: as Linux gives them to a program that did not ask for them in line.

use super::*;

#[test]
fn the_urgent_byte_is_left_out_and_its_message_says_so() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"ab!cd").urgent(3), &["C ab^", "C ~cd^"]);
    tap.expect(c(106).ack(501).data(b"ef"), &["C ef"]);
    assert_eq!((tap.reassembler.counts().urgent, tap.reassembler.memory()), (1, 0));
}

#[test]
fn it_may_be_the_first_the_last_or_the_only_one() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"!ab").urgent(1), &["C ~ab^"]);
    tap.expect(c(104).data(b"cd!").urgent(3), &["C cd^"]);
    tap.expect(c(107).data(b"e"), &["C e"]);
    // Alone: the next piece says so.
    tap.quiet(c(108).data(b"!").urgent(1));
    tap.expect(c(109).data(b"f"), &["C f^"]);
    // A pointer of 0 is one of 1.
    tap.expect(c(110).data(b"!g").urgent(0), &["C ~g^"]);
    assert_eq!(tap.reassembler.counts().urgent, 4);
}

#[test]
fn the_pointer_may_be_ahead_of_its_segment() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"ab").urgent(4), &["C ab"]);
    tap.expect(c(103).data(b"c!d"), &["C c^", "C ~d^"]);
}

#[test]
fn of_two_pointers_the_further_one_stands_until_it_is_reached() {
    let mut tap = Tap::established();
    tap.quiet(c(104).data(b"de").urgent(1));
    tap.quiet(c(106).data(b"fg").urgent(2));
    tap.quiet(c(104).data(b"de").urgent(1));
    tap.expect(c(101).data(b"abc"), &["C abc", "C de", "C f^"]);
    // An old one is none.
    tap.quiet(c(104).data(b"de").urgent(1));
    tap.expect(c(108).data(b"h").urgent(0).ack(501), &[]);
    tap.expect(c(109).data(b"i"), &["C i^"]);
}

#[test]
fn urgent_bytes_in_a_hole_are_forgotten() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"a").urgent(3), &["C a"]);
    tap.quiet(c(105).ack(501).data(b"e"));
    tap.quiet(s(501).ack(106));
    tap.wait(250, &["C gap 3", "C e"]);
    assert_eq!((tap.reassembler.counts().urgent, tap.reassembler.memory()), (0, 0));
}

#[test]
fn an_urgent_byte_at_the_end_does_not_hold_up_the_fin() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"ab!").urgent(3).fin(), &["C ab^", "C fin"]);
}
