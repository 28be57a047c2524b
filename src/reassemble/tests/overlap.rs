//! Order, retransmission and overlap: what the receiving kernel would have delivered.

use super::*;

#[test]
fn reordered_segments_are_put_in_order() {
    let mut tap = Tap::established();
    tap.quiet(c(107).ack(501).data(b"ghi"));
    tap.quiet(c(104).ack(501).data(b"def"));
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc", "C def", "C ghi"]);
}

#[test]
fn a_repeated_segment_is_counted_and_no_more() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"abc"), &["C abc"]);
    tap.quiet(c(101).data(b"abc"));
    tap.quiet(c(101).data(b"abc"));
    assert_eq!((tap.reassembler.counts().duplicate, tap.reassembler.counts().conflicts), (6, 0));
}

#[test]
fn retransmission_with_other_boundaries_adds_only_what_is_new() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"abc"), &["C abc"]);
    tap.expect(c(101).data(b"abcdef"), &["C ~def"]);
    tap.expect(c(103).data(b"cdefg"), &["C ~g"]);
    tap.quiet(c(102).data(b"bcd"));
    // Behind a hole, too: shorter, longer, across.
    tap.quiet(c(110).data(b"jkl"));
    tap.quiet(c(110).data(b"jk"));
    tap.quiet(c(111).data(b"klmn"));
    tap.expect(c(108).data(b"hi"), &["C hi", "C jkl", "C ~mn"]);
}

#[test]
fn delivered_bytes_stand() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"GET /a"), &["C GET /a"]);
    tap.expect(c(105).data(b"/evil"), &["C ~vil"]);
}

#[test]
fn other_bytes_than_those_delivered_are_a_conflict() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"abc"), &["C abc"]);
    tap.expect(c(101).data(b"aXc"), &["C conflict"]);
    // With new bytes behind them: those are marked, and are the last ones from then on.
    tap.expect(c(101).data(b"XYZdef"), &["C conflict", "C ~def!"]);
    tap.quiet(c(104).data(b"def"));
    tap.quiet(c(101).data(b"XYZdef"));
    tap.expect(c(101).data(b"abcdXf"), &["C conflict"]);
    assert_eq!((tap.reassembler.counts().duplicate, tap.reassembler.counts().conflicts), (21, 3));
    // Bytes that had waited are compared as well.
    tap.quiet(c(108).data(b"hi"));
    tap.expect(c(107).data(b"g"), &["C g", "C hi"]);
    tap.quiet(c(107).data(b"ghi"));
    tap.expect(c(107).data(b"gXX"), &["C conflict"]);
    // The other side is another stream.
    tap.expect(s(501).ack(110).data(b"xyz"), &["S xyz"]);
    tap.expect(s(501).ack(110).data(b"xyZ"), &["S conflict"]);
    // Behind the end, too.
    tap.expect(c(110).fin(), &["C fin"]);
    tap.expect(c(107).data(b"gYY").fin(), &["C conflict"]);
}

#[test]
fn what_is_not_known_any_more_is_no_conflict() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"abc"), &["C abc"]);
    tap.expect(c(104).data(b"def"), &["C def"]);
    // Only a part of what was delivered last, or what was before it.
    tap.quiet(c(101).data(b"xyz"));
    tap.quiet(c(105).data(b"XX"));
    // What stands before the next byte is a hole.
    tap.quiet(c(112).data(b"lm"));
    tap.quiet(s(501).ack(112));
    tap.wait(200, &["C gap 5", "C lm"]);
    tap.quiet(c(104).data(b"xyz"));
    tap.expect(s(501).ack(117), &[]);
    tap.wait(200, &["C gap 3"]);
    tap.quiet(c(112).data(b"XXXXX"));
    assert_eq!(tap.reassembler.counts().conflicts, 0);
}

#[test]
fn an_urgent_byte_is_no_conflict_when_it_comes_again() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(b"ab!d").urgent(3), &["C ab^", "C ~d^"]);
    tap.quiet(c(101).data(b"ab!d").urgent(3));
    tap.expect(c(101).data(b"abcd"), &["C conflict"]);
}

#[test]
fn of_waiting_segments_the_one_that_starts_first_wins() {
    // Arrives later, starts earlier: wins what it has.
    let mut tap = Tap::established();
    tap.quiet(c(104).data(b"DEFG"));
    tap.quiet(c(102).data(b"bcde"));
    tap.expect(c(101).data(b"a"), &["C a", "C bcde!", "C ~FG!"]);
    // Arrives first, starts first: wins, too.
    let mut tap = Tap::established();
    tap.quiet(c(102).data(b"bcde"));
    tap.quiet(c(104).data(b"DEFG"));
    tap.expect(c(101).data(b"a"), &["C a", "C bcde!", "C ~FG!"]);
}

#[test]
fn one_that_covers_another_whole_replaces_it() {
    let mut tap = Tap::established();
    tap.quiet(c(103).data(b"cd"));
    tap.quiet(c(102).data(b"BCDE"));
    tap.expect(c(101).data(b"a"), &["C a", "C BCDE!"]);
    // From the same start, too; the same bytes are no conflict.
    let mut tap = Tap::established();
    tap.quiet(c(102).data(b"bc"));
    tap.quiet(c(102).data(b"bcde"));
    tap.expect(c(101).data(b"a"), &["C a", "C bcde"]);
    assert_eq!(tap.reassembler.counts().duplicate, 2);
}

#[test]
fn neighbours_that_touch_are_one_segment_from_then_on() {
    // 105..109 and 109..113 are one; so 107..112 lies within it, although it covers none of the two.
    let mut tap = Tap::established();
    tap.quiet(c(105).data(b"efgh"));
    tap.quiet(c(109).data(b"ijkl"));
    tap.quiet(c(107).data(b"GHIJKLM"));
    tap.quiet(c(108).data(b"1234"));
    tap.expect(c(101).data(b"abcd"), &["C abcd", "C efgh!", "C ijkl!", "C ~M!"]);
    // Only the whole of it can be replaced.
    let mut tap = Tap::established();
    tap.quiet(c(105).data(b"ef"));
    tap.quiet(c(107).data(b"gh"));
    tap.quiet(c(104).data(b"DEFG"));
    tap.expect(c(101).data(b"abc"), &["C abc", "C DEFG!", "C ~h!"]);
    let mut tap = Tap::established();
    tap.quiet(c(105).data(b"ef"));
    tap.quiet(c(107).data(b"gh"));
    tap.quiet(c(104).data(b"DEFGH"));
    tap.expect(c(101).data(b"abc"), &["C abc", "C DEFGH!"]);
}

#[test]
fn one_that_is_covered_adds_nothing_but_is_compared() {
    let mut tap = Tap::established();
    tap.quiet(c(102).data(b"bcde"));
    tap.quiet(c(103).data(b"XX"));
    tap.expect(c(101).data(b"a"), &["C a", "C bcde!"]);
}

#[test]
fn a_partly_overlapped_segment_still_replaces_what_it_covers() {
    // 105..110, then 102..108 in front of it, then 104..115 which covers the first: Linux removes it.
    let mut tap = Tap::established();
    tap.quiet(c(105).data(b"EFGHI"));
    tap.quiet(c(102).data(b"bcdefg"));
    tap.quiet(c(104).data(b"defghijklmn"));
    tap.expect(c(101).data(b"a"), &["C a", "C bcdefg!", "C ~hijklmn!"]);
}

#[test]
fn a_segment_that_only_waits_for_the_other_side_stands_as_delivered() {
    let mut tap = Tap::established();
    // The answer was captured before its request: its client has it already.
    tap.quiet(s(501).ack(104).data(b"ans"));
    tap.quiet(s(501).ack(104).data(b"XXXwer"));
    tap.expect(c(101).ack(501).data(b"req"), &["C req", "S ans!", "S ~wer!"]);
}

#[test]
fn segments_of_zero_bytes_are_data() {
    let mut tap = Tap::established();
    tap.expect(c(101).data(&[0; 4]), &["C \\x00\\x00\\x00\\x00"]);
    tap.expect(c(105).data(b"x"), &["C x"]);
}

#[test]
fn keep_alive_and_zero_window_probes_are_not_data() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc"]);
    // Keep-alive: one number before the next, with nothing or with one byte of garbage.
    tap.quiet(c(103).ack(501));
    tap.quiet(c(103).ack(501).data(b"\0"));
    tap.quiet(s(501).ack(104));
    // Zero-window probe: one byte of new data, sent again later with the rest.
    tap.expect(c(104).ack(501).data(b"d"), &["C d"]);
    tap.quiet(c(104).ack(501).data(b"\0"));
    tap.expect(c(104).ack(501).data(b"def"), &["C ~ef"]);
}

#[test]
fn a_response_captured_before_its_request_comes_after_it() {
    let mut tap = Tap::established();
    tap.quiet(s(501).ack(107).data(b"one"));
    tap.quiet(s(504).ack(110).data(b"two"));
    tap.expect(c(101).ack(501).data(b"GET 1."), &["C GET 1.", "S one"]);
    tap.expect(c(107).ack(504).data(b"G 2"), &["C G 2", "S two"]);
}

#[test]
fn a_retransmission_with_a_later_acknowledgment_does_not_wait_for_its_own_answer() {
    let mut tap = Tap::established();
    // The request was captured only when it was sent again, together with the next one, and when
    // half of the answer to it was there already.
    tap.quiet(s(501).ack(104).data(b"ans"));
    tap.expect(c(101).ack(504).data(b"reqnext"), &["C req", "S ans", "C ~next"]);
    tap.expect(s(504).ack(108).data(b"wer"), &["S wer"]);
}

#[test]
fn a_far_acknowledgment_holds_nothing_up() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501 + (1 << 30) + 9).data(b"abc"), &["C abc"]);
    tap.wait(1000, &[]);
    tap.expect(s(501).ack(104).data(b"xyz"), &["S xyz"]);
}

#[test]
fn bytes_far_outside_the_window_are_refused() {
    let mut tap = Tap::established();
    tap.quiet(c(101 + (1 << 30) + 1).data(b"far"));
    assert_eq!(tap.reassembler.counts().refused, 3);
    tap.expect(c(101).data(b"abc"), &["C abc"]);
}
