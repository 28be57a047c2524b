//! How connections begin: handshakes, Fast Open, floods, captures that start in the middle.

use super::*;
use crate::model::seq::SeqNum as Seq;

#[test]
fn three_packets_open_a_connection_and_data_follows() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"GET "), &["C GET "]);
    tap.expect(s(501).ack(105).data(b"HTTP"), &["S HTTP"]);
    assert_eq!(tap.reassembler.counts().flows, 1);
}

#[test]
fn data_opens_a_connection_whose_third_packet_was_missed() {
    let mut tap = Tap::new();
    tap.quiet(c(100).syn());
    tap.quiet(s(500).syn().ack(101));
    tap.expect(c(101).ack(501).data(b"GET"), &["open 0 C start", "C GET"]);
}

#[test]
fn a_missed_syn_is_told_by_its_answer() {
    let mut tap = Tap::new();
    tap.quiet(s(500).syn().ack(101));
    // The first segment is captured after the second one.
    tap.expect(c(104).ack(501).data(b" /"), &["open 0 C start"]);
    tap.expect(c(101).ack(501).data(b"GET"), &["C GET", "C  /"]);
}

#[test]
fn a_missed_answer_is_told_by_the_first_acknowledgment() {
    let mut tap = Tap::new();
    tap.quiet(c(100).syn());
    tap.expect(c(101).ack(501).data(b"GET"), &["open 0 C start", "C GET"]);
    // So a hole at the very beginning of the answer is known.
    tap.quiet(s(504).ack(104).data(b"P/1"));
    tap.expect(s(501).ack(104).data(b"HTT"), &["S HTT", "S P/1"]);
}

#[test]
fn the_first_bytes_are_waited_for_when_the_syn_was_seen() {
    let mut tap = Tap::new();
    tap.quiet(c(100).syn());
    tap.expect(c(104).data(b"def"), &["open 0 C start"]);
    tap.expect(c(101).data(b"abc"), &["C abc", "C def"]);
}

#[test]
fn retransmitted_handshakes_change_nothing() {
    let mut tap = Tap::new();
    tap.quiet(c(100).syn());
    tap.quiet(c(100).syn());
    tap.quiet(s(500).syn().ack(101));
    tap.quiet(s(500).syn().ack(101));
    tap.expect(c(101).ack(501), &["open 0 C start"]);
    tap.quiet(s(500).syn().ack(101));
    tap.quiet(c(101).ack(501));
    tap.expect(c(101).ack(501).data(b"x"), &["C x"]);
}

#[test]
fn fast_open_data_on_the_syn_is_delivered() {
    let mut tap = Tap::new();
    tap.expect(c(100).syn().data(b"GET /"), &["open 0 C start"]);
    tap.expect(s(500).syn().ack(106), &["C GET /"]);
    tap.expect(s(501).ack(106).data(b"ok"), &["S ok"]);
    tap.expect(c(106).ack(503).data(b"more"), &["C more"]);
}

#[test]
fn data_on_a_syn_that_the_server_did_not_take_is_not_delivered() {
    let mut tap = Tap::new();
    tap.expect(c(100).syn().data(b"EVIL!"), &["open 0 C start"]);
    tap.quiet(s(500).syn().ack(101));
    assert_eq!(tap.reassembler.counts().refused, 5);
    // Seen once more, elsewhere.
    tap.quiet(c(100).syn().data(b"EVIL!"));
    tap.expect(c(101).ack(501).data(b"GET /"), &["C GET /"]);
    tap.expect(c(106).ack(501).data(b"x"), &["C x"]);
}

#[test]
fn where_the_client_goes_on_tells_whether_data_on_its_syn_was_taken() {
    let mut tap = Tap::new();
    tap.expect(c(100).syn().data(b"GET /"), &["open 0 C start"]);
    tap.expect(c(106).ack(501).data(b"more"), &["C GET /", "C more"]);
    let mut tap = Tap::new();
    tap.expect(c(100).syn().data(b"EVIL!"), &["open 0 C start"]);
    tap.expect(c(101).ack(501).data(b"GET /"), &["C GET /"]);
    // Where nothing tells, it was.
    let mut tap = Tap::new();
    tap.expect(c(100).syn().data(b"GET /"), &["open 0 C start"]);
    tap.wait(4_900, &[]);
    tap.wait(300, &["C GET /"]);
}

#[test]
fn a_flood_of_syns_and_their_answers_allocates_nothing() {
    let mut tap = Tap::established();
    for n in 0..1_000_000u32 {
        let port = 1024 + (n % 30_000) as u16;
        tap.quiet(c(n).syn().port(port));
        if n % 4 == 0 {
            tap.quiet(s(!n).syn().ack(n + 1).port(port));
        }
    }
    assert_eq!((tap.reassembler.flows(), tap.reassembler.memory()), (1, 0));
    tap.expect(c(101).ack(501).data(b"alive"), &["C alive"]);
}

#[test]
fn a_connection_that_was_open_before_the_capture_starts_in_the_middle() {
    let mut tap = Tap::with(Limits::default(), true, &[80]);
    tap.quiet(s(900).ack(300));
    tap.expect(c(300).ack(900).data(b"tail"), &["open 0 C middle"]);
    tap.quiet(s(900).ack(304).data(b"x"));
    tap.wait(150, &["C tail", "S x"]);
    tap.expect(c(304).ack(901).data(b"more"), &["C more"]);
    // Without a watched port nothing tells who the client is.
    let mut tap = Tap::new();
    tap.expect(s(900).ack(300).data(b"x"), &["open 0 ? middle"]);
    tap.finish(&["S x", "close 0 end_of_capture"]);
}

#[test]
fn data_that_overtakes_its_syn_is_not_lost() {
    let mut tap = Tap::with(Limits::default(), true, &[80]);
    tap.expect(c(104).ack(501).data(b"def"), &["open 0 C middle"]);
    tap.quiet(c(107).ack(501).data(b"ghi"));
    tap.quiet(c(100).syn());
    tap.quiet(s(500).syn().ack(101));
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc", "C def", "C ghi"]);
    tap.expect(s(501).ack(110).data(b"ok"), &["S ok"]);
}

#[test]
fn data_that_overtakes_the_answer_to_a_missed_syn_is_not_lost() {
    let mut tap = Tap::with(Limits::default(), true, &[80]);
    tap.expect(c(104).ack(501).data(b"def"), &["open 0 C middle"]);
    tap.quiet(s(500).syn().ack(101));
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc", "C def"]);
    tap.expect(s(501).ack(107).data(b"ok"), &["S ok"]);
}

#[test]
fn the_first_bytes_overtake_their_syn() {
    let mut tap = Tap::with(Limits::default(), true, &[80]);
    tap.expect(c(101).ack(501).data(b"abc"), &["open 0 C middle"]);
    tap.expect(c(100).syn(), &["C abc"]);
    tap.expect(c(104).ack(501).data(b"def"), &["C def"]);
}

#[test]
fn first_segments_seen_in_the_wrong_order_are_put_in_order() {
    let mut tap = Tap::with(Limits::default(), true, &[80]);
    tap.expect(c(307).ack(900).data(b"ghi"), &["open 0 C middle"]);
    tap.quiet(c(304).ack(900).data(b"def"));
    tap.quiet(c(300).ack(900).data(b"abcd"));
    tap.wait(150, &["C abcd", "C def", "C ghi"]);
    // From then on what comes earlier is old.
    tap.quiet(c(290).ack(900).data(b"0123456789"));
}

#[test]
fn no_more_waits_for_a_syn_than_can_have_overtaken_it() {
    let mut tap = Tap::with(Limits::default(), true, &[80]);
    let data = [b'x'; 20_000];
    tap.expect(c(300).ack(900).data(&data), &["open 0 C middle"]);
    assert_eq!(tap.push(c(20_300).ack(900).data(&data)).len(), 2);
    tap.expect(c(40_300).ack(900).data(b"on"), &["C on"]);
}

#[test]
fn two_that_open_at_once_are_one_connection_and_the_port_tells_the_server() {
    let mut tap = Tap::with(Limits::default(), true, &[80]);
    tap.quiet(c(100).syn());
    tap.quiet(s(500).syn());
    tap.quiet(c(100).syn().ack(501));
    tap.quiet(s(500).syn().ack(101));
    tap.expect(c(101).ack(501).data(b"abc"), &["open 0 C start", "C abc"]);
    tap.expect(s(501).ack(104).data(b"ok"), &["S ok"]);
}

#[test]
fn a_request_captured_after_its_response_is_found_from_the_middle() {
    let mut tap = Tap::new();
    tap.expect(s(900).ack(304).data(b"resp"), &["open 0 ? middle"]);
    tap.quiet(c(300).ack(900).data(b"req!"));
    tap.wait(150, &["C req!", "S resp"]);
}

#[test]
fn nothing_begins_with_a_bare_ack_a_fin_or_an_rst() {
    let mut tap = Tap::new();
    for seg in
        [c(1).ack(2), c(1).ack(2).fin(), c(1).rst(), s(5).rst().ack(7), c(9).rst().data(b"x")]
    {
        tap.quiet(seg);
    }
    assert_eq!((tap.reassembler.flows(), tap.reassembler.counts().refused), (0, 1));
}

#[test]
fn a_connection_to_another_port_is_ignored_by_name() {
    let mut tap = Tap::with(Limits::default(), true, &[8080]);
    tap.quiet(c(100).syn());
    tap.quiet(c(101).data(b"GET"));
    assert_eq!(tap.ignored, [Ignored::OtherPort, Ignored::OtherPort]);
    assert_eq!(tap.reassembler.counts().received, 0);
}

#[test]
fn only_one_direction_is_read_when_asked() {
    let mut tap = Tap::with(Limits::default(), false, &[80]);
    tap.quiet(s(900).ack(300).data(b"before"));
    tap.handshake();
    tap.expect(c(101).ack(501).data(b"req"), &["C req"]);
    tap.quiet(s(501).ack(104).data(b"answer"));
    // Acknowledging what is not read, seen or not, holds nothing up.
    tap.expect(c(104).ack(9000).data(b"more"), &["C more"]);
    assert_eq!(tap.reassembler.counts().other_direction, 12);
    tap.expect(s(507).ack(108).fin(), &["S fin"]);
    tap.expect(c(108).ack(508).fin(), &["C fin", "close 0 fin"]);
}

#[test]
fn sequence_numbers_wrap() {
    let mut tap = Tap::new();
    let isn = u32::MAX - 3;
    tap.quiet(c(isn).syn());
    tap.quiet(s(u32::MAX).syn().ack(isn.wrapping_add(1)));
    tap.expect(c(isn + 1).ack(0), &["open 0 C start"]);
    tap.quiet(c(2).ack(0).data(b"ef"));
    tap.expect(c(isn + 1).ack(0).data(b"abcd"), &["C abcd"]);
    tap.expect(c(1).ack(0).data(b"!"), &["C !", "C ef"]);
    tap.expect(s(0).ack(4).data(b"ok"), &["S ok"]);
    assert_eq!(Seq(isn) + 8, Seq(4));
}
