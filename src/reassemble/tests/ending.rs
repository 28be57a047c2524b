//! How connections end: FIN, RST, a new connection on the same 4-tuple, late retransmissions.

use super::*;

/// An established connection with a request and its answer.
fn answered() -> Tap {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"req"), &["C req"]);
    tap.expect(s(501).ack(104).data(b"ans"), &["S ans"]);
    tap
}

/// One that both sides have closed: client's next 105, server's 505.
fn closed() -> Tap {
    let mut tap = answered();
    tap.expect(c(104).ack(504).fin(), &["C fin"]);
    tap.expect(s(504).ack(105).fin(), &["S fin", "close 0 fin"]);
    tap.quiet(c(105).ack(505));
    tap
}

#[test]
fn both_fins_end_it() {
    let mut tap = closed();
    assert_eq!(tap.reassembler.counts().closed.get(CloseReason::Fin), 1);
    tap.finish(&[]);
}

#[test]
fn data_on_the_fin_comes_first() {
    let mut tap = answered();
    tap.expect(c(104).ack(504).data(b"bye").fin(), &["C bye", "C fin"]);
    tap.expect(s(504).ack(108).data(b"ok").fin(), &["S ok", "S fin", "close 0 fin"]);
}

#[test]
fn a_half_closed_connection_goes_on() {
    let mut tap = Tap::established();
    tap.expect(c(101).ack(501).data(b"req").fin(), &["C req", "C fin"]);
    tap.quiet(s(501).ack(105));
    // Its acknowledgment counts the FIN, which is no byte: nothing waits for one.
    tap.expect(s(501).ack(105).data(b"answer"), &["S answer"]);
    tap.expect(s(507).ack(105).data(b"more"), &["S more"]);
    tap.expect(s(511).ack(105).fin(), &["S fin", "close 0 fin"]);
}

#[test]
fn a_fin_waits_for_the_bytes_before_it() {
    let mut tap = Tap::established();
    tap.quiet(c(104).ack(501).fin());
    tap.quiet(c(104).ack(501).data(b"beyond"));
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc", "C fin"]);
    assert_eq!(tap.reassembler.counts().refused, 6);
}

#[test]
fn what_waits_beyond_the_fin_is_refused() {
    let mut tap = Tap::established();
    tap.quiet(c(110).ack(501).data(b"beyond"));
    tap.quiet(c(104).ack(501).fin());
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc", "C fin"]);
    assert_eq!((tap.reassembler.counts().refused, tap.reassembler.memory()), (6, 0));
    tap.finish(&["close 0 end_of_capture"]);
}

#[test]
fn a_fin_far_away_is_forged() {
    let mut tap = Tap::established();
    tap.quiet(c(101 + (1 << 30) + 7).ack(501).fin());
    tap.expect(c(101).ack(501).data(b"abc"), &["C abc"]);
}

#[test]
fn an_rst_at_the_next_byte_ends_it() {
    let mut tap = answered();
    tap.expect(s(504).rst(), &["close 0 reset"]);
    tap.quiet(c(104).ack(504).data(b"in flight"));
    assert_eq!(tap.reassembler.counts().refused, 9);
}

#[test]
fn an_rst_elsewhere_is_old_or_forged() {
    let mut tap = answered();
    tap.quiet(s(503).rst());
    tap.quiet(s(1_000).rst());
    tap.quiet(s(504u32.wrapping_sub(1 << 30)).rst());
    tap.quiet(s(504 + (1 << 30) + 5).rst());
    // RFC 5961: in the window but not at its edge; the server goes on past it.
    tap.expect(s(504).ack(104).data(&[b'x'; 600]), &[&format!("S {}", "x".repeat(600))]);
    tap.expect(c(104).ack(1104).data(b"next"), &["C next"]);
}

#[test]
fn an_rst_captured_before_the_last_bytes_waits_for_them() {
    let mut tap = answered();
    tap.quiet(s(509).rst());
    tap.expect(s(504).ack(104).data(b"again"), &["S again", "close 0 reset"]);
}

#[test]
fn an_rst_behind_a_hole_that_its_receiver_has_filled_is_due() {
    let mut tap = answered();
    tap.quiet(c(104).ack(509));
    tap.expect(s(509).rst(), &["S gap 5", "close 0 reset"]);
}

#[test]
fn an_rst_flushes_what_waits_behind_a_hole() {
    let mut tap = answered();
    tap.quiet(c(107).ack(504).data(b"def"));
    tap.expect(s(504).rst(), &["C gap 3", "C def", "close 0 reset"]);
}

#[test]
fn late_retransmissions_are_not_a_new_connection() {
    let mut tap = closed();
    tap.quiet(c(101).ack(501).data(b"req"));
    tap.quiet(c(101).ack(501).data(b"req").fin());
    tap.quiet(s(501).ack(104).data(b"ans"));
    tap.quiet(c(104).ack(505).fin());
    tap.wait(59_000, &[]);
    tap.quiet(c(101).ack(501).data(b"req"));
    assert_eq!(tap.reassembler.counts().flows, 1);
    tap.wait(2_000, &[]);
    assert_eq!(tap.reassembler.flows(), 0, "after a minute it is forgotten");
}

#[test]
fn a_handshake_on_the_same_ports_is_a_new_connection() {
    for mut tap in [closed(), answered()] {
        let reused = tap.reassembler.counts().closed.get(CloseReason::Fin) == 0;
        tap.quiet(c(9_000).syn());
        tap.quiet(s(7_000).syn().ack(9_001));
        let mut events = vec!["open 1 C start"];
        if reused {
            events.insert(0, "close 0 reused");
        }
        tap.expect(c(9_001).ack(7_001), &events);
        tap.expect(c(9_001).ack(7_001).data(b"new"), &["C new"]);
        tap.expect(s(7_001).ack(9_004).data(b"ans"), &["S ans"]);
    }
}

#[test]
fn a_new_connection_is_found_when_parts_of_its_handshake_were_missed() {
    // Only the SYN.
    let mut tap = closed();
    tap.quiet(c(9_000).syn());
    tap.expect(c(9_001).ack(7_001).data(b"new"), &["open 1 C start", "C new"]);
    // Only the SYN+ACK.
    let mut tap = closed();
    tap.quiet(s(7_000).syn().ack(9_001));
    tap.expect(c(9_001).ack(7_001).data(b"new"), &["open 1 C start", "C new"]);
    // Nothing: by numbers that are far away.
    let mut tap = closed();
    tap.expect(c(1 << 31).ack(7_001).data(b"new"), &["open 1 ? middle"]);
    tap.wait(150, &["C new"]);
    // The same first number as before, as test tools have it.
    let mut tap = closed();
    tap.wait(2_000, &[]);
    tap.quiet(c(100).syn());
    tap.quiet(s(500).syn().ack(101));
    tap.expect(c(101).ack(501), &["open 1 C start"]);
    tap.expect(c(101).ack(501).data(b"new"), &["C new"]);
}

#[test]
fn a_forged_syn_ends_nothing() {
    let mut tap = answered();
    for isn in [9_000, 104, 101, 1 << 31] {
        tap.quiet(c(isn).syn());
        tap.quiet(s(isn).syn());
    }
    tap.expect(c(104).ack(504).data(b"more"), &["C more"]);
    tap.expect(s(504).ack(108).data(b"ans"), &["S ans"]);
    tap.expect(c(108).ack(507).fin(), &["C fin"]);
}

#[test]
fn an_idle_connection_is_forgotten_and_starts_anew_from_the_middle() {
    let mut tap = answered();
    tap.wait(599_000, &[]);
    tap.wait(2_000, &["close 0 idle"]);
    tap.expect(c(104).ack(504).data(b"again"), &["open 1 ? middle"]);
    tap.wait(150, &["C again"]);
}
