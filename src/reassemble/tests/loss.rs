//! Holes: known by acknowledgments, by silence, or by the end; never before.

use super::*;

#[test]
fn an_acknowledged_hole_is_given_up_after_the_grace() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc"]);
    tap.quiet(c(107).ack(501).data(b"ghi"));
    tap.wait(500, &[]);
    tap.quiet(s(501).ack(110));
    tap.wait(90, &[]);
    tap.wait(120, &["C gap 3", "C ghi"]);
    assert_eq!((tap.reassembler.counts().unseen, tap.reassembler.counts().gaps), (3, 1));
    // Late is late: it was given up.
    tap.quiet(c(104).ack(501).data(b"def"));
}

#[test]
fn the_grace_begins_anew_with_every_hole() {
    let mut tap = Tap::established();
    tap.quiet(c(104).ack(501).data(b"d"));
    tap.quiet(s(501).ack(105));
    tap.wait(80, &[]);
    // The first hole is filled, a second one stands at once: it has its own 100 ms.
    tap.quiet(c(106).ack(501).data(b"f"));
    tap.quiet(s(501).ack(107));
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc", "C d"]);
    tap.wait(80, &[]);
    tap.expect(c(105).ack(501).data(b"e"), &["C e", "C f"]);
    assert_eq!(tap.reassembler.counts().gaps, 0);
}

#[test]
fn a_second_and_third_hole_are_given_up_like_the_first() {
    let mut tap = Tap::established();
    for n in 0..3u32 {
        let seq = 102 + 2 * n;
        tap.quiet(c(seq).ack(501).data(b"x"));
        tap.quiet(s(501).ack(seq + 1));
        tap.wait(250, &["C gap 1", "C x"]);
    }
}

#[test]
fn a_hole_that_the_receiver_has_too_is_waited_for() {
    let mut tap = Tap::established();
    tap.quiet(c(104).ack(501).data(b"def"));
    // The receiver says that it still waits for 101: the network lost it, not the capture.
    tap.quiet(s(501).ack(101));
    tap.wait(60_000, &[]);
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc", "C def"]);
    assert_eq!(tap.reassembler.counts().unseen, 0);
}

#[test]
fn one_sided_a_hole_is_given_up_after_the_reorder_time() {
    let mut tap = Tap::new();
    tap.quiet(c(100).syn());
    tap.expect(c(104).data(b"def"), &["open 0 C start"]);
    tap.wait(4_900, &[]);
    tap.wait(300, &["C gap 3", "C def"]);
}

#[test]
fn one_sided_bytes_missing_before_the_fin_are_given_up_too() {
    let mut tap = Tap::new();
    tap.quiet(c(100).syn());
    tap.expect(c(101).data(b"abc"), &["open 0 C start", "C abc"]);
    tap.quiet(c(107).fin());
    tap.wait(5_300, &["C gap 3", "C fin"]);
}

#[test]
fn lost_bytes_with_nothing_behind_are_known_by_their_acknowledgment() {
    let mut tap = Tap::established();
    tap.quiet(s(501).ack(104));
    tap.wait(250, &["C gap 3"]);
    tap.expect(c(104).ack(501).data(b"def"), &["C def"]);
}

#[test]
fn a_lost_answer_does_not_hold_the_next_request_for_long() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"r1"), &["C r1"]);
    // The answer, 501..600, was never captured; the next request acknowledges it.
    tap.quiet(c(103).ack(600).data(b"r2"));
    tap.wait(250, &["S gap 99", "C r2"]);
}

#[test]
fn a_long_hole_keeps_the_place_of_what_was_sent_in_its_middle() {
    let mut tap = Tap::established();
    // Two answers lost, a request sent after each.
    tap.quiet(c(101).ack(550).data(b"r1"));
    tap.quiet(c(103).ack(600).data(b"r2"));
    tap.wait(250, &["S gap 49", "C r1", "S gap 50", "C r2"]);
}

#[test]
fn a_lost_fin_is_one_unseen_byte() {
    let mut tap = Tap::established();
    tap.expect(s(501).ack(101).data(b"bye"), &["S bye"]);
    tap.quiet(c(101).ack(505));
    tap.wait(250, &["S gap 1"]);
}

#[test]
fn snapped_segments_leave_a_hole_of_what_was_cut() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"abc").cut(4), &["C abc"]);
    tap.quiet(c(108).ack(501).data(b"h"));
    tap.quiet(s(501).ack(109));
    tap.wait(250, &["C gap 4", "C h"]);
    // The whole segment, captured elsewhere, fills it.
    tap.expect(c(109).ack(501).data(b"i").cut(3), &["C i"]);
    tap.expect(c(109).ack(501).data(b"ijkl"), &["C ~jkl"]);
}

#[test]
fn more_than_a_window_may_be_lost() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"abc"), &["C abc"]);
    let far = 101u32.wrapping_add(3 << 29);
    for n in 0..7 {
        tap.quiet(c(far + n).data(b"x"));
    }
    tap.expect(c(far + 7).data(b"x"), &["C gap 1610612741"]);
    tap.expect(c(far + 8).data(b"on"), &["C on"]);
}

#[test]
fn time_that_jumps_back_does_not_stop_the_clock() {
    let mut tap = Tap::established();
    tap.now = tap.now - Duration::from_secs(3600);
    for n in 0..20u32 {
        tap.push(c(101 + n).ack(501).data(b"x"));
    }
    tap.quiet(c(130).ack(501).data(b"y"));
    tap.quiet(s(501).ack(131));
    tap.wait(250, &["C gap 9", "C y"]);
}

#[test]
fn what_waits_at_the_end_is_delivered_behind_a_gap() {
    let mut tap = Tap::established();
    tap.quiet(c(104).ack(501).data(b"def"));
    tap.quiet(s(501).ack(101));
    tap.finish(&["C gap 3", "C def", "close 0 end_of_capture"]);
}
