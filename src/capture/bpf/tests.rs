//! The programs, run in a small interpreter over packets made by hand.

use super::*;

/// What the kernel knows of a packet beside its bytes.
#[derive(Clone, Copy, Default)]
struct Meta {
    protocol: u32,
    pkttype: u32,
    ifindex: u32,
}

/// Runs a program as the kernel does: a load outside the packet ends it with 0.
#[track_caller]
fn run(program: &[Insn], packet: &[u8], meta: Meta) -> u32 {
    let (mut a, mut x, mut mem, mut pc) = (0u32, 0u32, [0u32; 16], 0usize);
    for _ in 0..=program.len() {
        let insn = program[pc];
        pc += 1;
        let load = |at: u32, width: usize| -> Option<u32> {
            let bytes = packet.get(at as usize..at as usize + width)?;
            Some(bytes.iter().fold(0, |sum, b| sum << 8 | u32::from(*b)))
        };
        let loaded = match insn.code {
            LD_W_ABS if insn.k == AD_PROTOCOL => Some(meta.protocol),
            LD_W_ABS if insn.k == AD_PKTTYPE => Some(meta.pkttype),
            LD_W_ABS if insn.k == AD_IFINDEX => Some(meta.ifindex),
            LD_H_ABS => load(insn.k, 2),
            LD_B_ABS => load(insn.k, 1),
            LD_H_IND => load(x + insn.k, 2),
            LD_B_IND => load(x + insn.k, 1),
            LD_MEM => Some(mem[insn.k as usize]),
            ADD_K => Some(a + insn.k),
            ADD_X => Some(a + x),
            AND_K => Some(a & insn.k),
            LSH_K => Some(a << insn.k),
            TXA => Some(x),
            _ => Some(a),
        };
        let Some(value) = loaded else { return 0 };
        a = value;
        match insn.code {
            LDX_IMM => x = insn.k,
            TAX => x = a,
            ST => mem[insn.k as usize] = a,
            JA => pc += insn.k as usize,
            JEQ_K => pc += usize::from(if a == insn.k { insn.jt } else { insn.jf }),
            RET_K => return insn.k,
            _ => {}
        }
    }
    panic!("the program does not end");
}

fn wanted(ports: &[u16]) -> Wanted {
    Wanted { ports: ports.to_vec(), both_directions_whole: false, loopback: None }
}

fn tcp(src: u16, dst: u16) -> Vec<u8> {
    let mut bytes = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    bytes.extend([0; 8]);
    bytes.extend([0x50, 0x10, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// IPv4 with `options` words of options, the given fragment field, and a payload.
fn ipv4(options: u8, fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45 + options, 0, 0, 0, 0, 0];
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend(vec![1; usize::from(options) * 4]);
    bytes.extend(payload);
    bytes
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    bytes.extend([0; 32]);
    bytes.extend(payload);
    bytes
}

fn ethernet(types: &[u16], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    for (i, ethertype) in types.iter().enumerate() {
        if i > 0 {
            bytes.extend([0x20, 10]);
        }
        bytes.extend(ethertype.to_be_bytes());
    }
    bytes.extend(payload);
    bytes
}

#[track_caller]
fn assert_keeps(wanted: &Wanted, frame: &[u8], len: u32) {
    let program = program(wanted, Layer::Ethernet);
    assert_eq!(run(&program, frame, Meta::default()), len);
}

#[test]
fn toward_a_watched_port_whole_from_it_headers_others_not() {
    let w = wanted(&[80, 8080]);
    for (src, dst, len) in [
        (5000, 80, WHOLE_LEN),
        (5000, 8080, WHOLE_LEN),
        (80, 5000, HEADERS_LEN),
        (80, 8080, WHOLE_LEN),
        (5000, 81, 0),
    ] {
        assert_keeps(&w, &ethernet(&[0x0800], &ipv4(0, 0, 6, &tcp(src, dst))), len);
        assert_keeps(&w, &ethernet(&[0x0800], &ipv4(10, 0x4000, 6, &tcp(src, dst))), len);
        assert_keeps(&w, &ethernet(&[0x86dd], &ipv6(6, &tcp(src, dst))), len);
    }
}

#[test]
fn responses_come_whole_when_wanted() {
    let w = Wanted { both_directions_whole: true, ..wanted(&[80]) };
    assert_keeps(&w, &ethernet(&[0x0800], &ipv4(0, 0, 6, &tcp(80, 5000))), WHOLE_LEN);
}

#[test]
fn without_ports_all_tcp_passes_and_nothing_else() {
    let w = wanted(&[]);
    assert_keeps(&w, &ethernet(&[0x0800], &ipv4(0, 0, 6, &tcp(1, 2))), WHOLE_LEN);
    assert_keeps(&w, &ethernet(&[0x86dd], &ipv6(6, &tcp(1, 2))), WHOLE_LEN);
    assert_keeps(&w, &ethernet(&[0x0800], &ipv4(0, 0, 17, &tcp(1, 2))), 0);
    assert_keeps(&w, &ethernet(&[0x86dd], &ipv6(17, &tcp(1, 2))), 0);
    assert_keeps(&w, &ethernet(&[0x0806], &[0; 40]), 0);
}

#[test]
fn tags_are_looked_through_singly_doubly_and_with_both_numbers() {
    let w = wanted(&[80]);
    let ip = ipv4(0, 0, 6, &tcp(5000, 80));
    for types in [
        &[0x8100, 0x0800][..],
        &[0x88a8, 0x0800],
        &[0x88a8, 0x8100, 0x0800],
        &[0x8100, 0x8100, 0x0800],
        &[0x9100, 0x88a8, 0x8100, 0x0800],
    ] {
        assert_keeps(&w, &ethernet(types, &ip), WHOLE_LEN);
        let other = ipv4(0, 0, 6, &tcp(5000, 81));
        assert_keeps(&w, &ethernet(types, &other), 0);
    }
    assert_keeps(&w, &ethernet(&[0x8100; 5], &ip), 0);
    assert_keeps(&w, &ethernet(&[0x8100, 0x86dd], &ipv6(6, &tcp(80, 1))), HEADERS_LEN);
}

#[test]
fn fragments_of_tcp_pass_whole_first_middle_and_last() {
    let w = wanted(&[80]);
    for fragment in [0x2000, 0x2001, 0x00b9] {
        assert_keeps(&w, &ethernet(&[0x0800], &ipv4(0, fragment, 6, &[7; 8])), WHOLE_LEN);
        assert_keeps(&w, &ethernet(&[0x0800], &ipv4(0, fragment, 17, &[7; 8])), 0);
    }
}

#[test]
fn ipv6_extension_headers_pass_whole_but_not_other_protocols() {
    let w = wanted(&[80]);
    for next in [0, 43, 44, 51, 60, 135, 139, 140] {
        assert_keeps(&w, &ethernet(&[0x86dd], &ipv6(next, &[6, 0, 0, 0])), WHOLE_LEN);
    }
    for next in [17, 50, 58, 59] {
        assert_keeps(&w, &ethernet(&[0x86dd], &ipv6(next, &tcp(5000, 80))), 0);
    }
}

#[test]
fn a_frame_cut_anywhere_is_refused_not_misread() {
    let w = wanted(&[80]);
    let frame = ethernet(&[0x8100, 0x0800], &ipv4(0, 0, 6, &tcp(5000, 80)));
    for len in 0..14 + 4 + 20 + 4 {
        assert_keeps(&w, &frame[..len], 0);
    }
}

#[test]
fn cooked_reads_the_protocol_from_the_kernel_and_inner_tags_from_the_packet() {
    let program = program(&wanted(&[80]), Layer::Cooked);
    let run = |protocol, packet: &[u8]| run(&program, packet, Meta { protocol, ..Meta::default() });
    let ip = ipv4(0, 0, 6, &tcp(5000, 80));
    assert_eq!(run(0x0800, &ip), WHOLE_LEN);
    assert_eq!(run(0x86dd, &ipv6(6, &tcp(80, 5000))), HEADERS_LEN);
    assert_eq!(run(0x0806, &ip), 0);
    // Double-tagged on its way in: the inner tag begins the packet. VLAN 0x4510 looks like IPv4.
    let inner = [&[0x45, 0x10, 0x08, 0x00][..], &ip].concat();
    assert_eq!(run(0x8100, &inner), WHOLE_LEN);
    let other = [&[0x45, 0x10, 0x08, 0x00][..], &ipv4(0, 0, 6, &tcp(5000, 81))].concat();
    assert_eq!(run(0x8100, &other), 0);
    // Tagged within the packet on its way out: the packet begins after the tag.
    assert_eq!(run(0x8100, &ip), WHOLE_LEN);
    assert_eq!(run(0x8100, &ipv6(6, &tcp(5000, 80))), WHOLE_LEN);
    assert_eq!(run(0x8100, &ipv4(0, 0, 17, &[0; 8])), 0);
}

#[test]
fn raw_ip_begins_with_its_version() {
    let program = program(&wanted(&[80]), Layer::RawIp);
    let run = |packet: &[u8]| run(&program, packet, Meta::default());
    assert_eq!(run(&ipv4(0, 0, 6, &tcp(5000, 80))), WHOLE_LEN);
    assert_eq!(run(&ipv6(6, &tcp(80, 5000))), HEADERS_LEN);
    assert_eq!(run(&[0x50; 60]), 0);
}

#[test]
fn loopback_is_seen_once_and_others_both_ways() {
    let program = program(&Wanted { loopback: Some(1), ..wanted(&[80]) }, Layer::Ethernet);
    let frame = ethernet(&[0x0800], &ipv4(0, 0, 6, &tcp(5000, 80)));
    let run = |pkttype, ifindex| run(&program, &frame, Meta { protocol: 0, pkttype, ifindex });
    assert_eq!(run(PACKET_OUTGOING, 1), 0);
    assert_eq!(run(0, 1), WHOLE_LEN);
    assert_eq!(run(PACKET_OUTGOING, 2), WHOLE_LEN);
}

#[test]
fn as_many_ports_as_allowed_all_work_and_one_more_passes_all_tcp() {
    let ports: Vec<u16> = (1000..1000 + MAX_PORTS as u16).collect();
    let frame = |dst| ethernet(&[0x0800], &ipv4(0, 0, 6, &tcp(5000, dst)));
    for &port in &ports {
        assert_keeps(&wanted(&ports), &frame(port), WHOLE_LEN);
    }
    assert_keeps(&wanted(&ports), &frame(999), 0);
    let more: Vec<u16> = (1000..=1000 + MAX_PORTS as u16).collect();
    assert_keeps(&wanted(&more), &frame(999), WHOLE_LEN);
}

#[test]
fn every_program_is_one_the_kernel_accepts_in_size_and_jumps() {
    let ports: Vec<u16> = (1..=MAX_PORTS as u16).collect();
    for layer in [Layer::Ethernet, Layer::Cooked, Layer::RawIp] {
        let program = program(&Wanted { loopback: Some(1), ..wanted(&ports) }, layer);
        assert!(program.len() < 700, "{} instructions", program.len());
        for (at, insn) in program.iter().enumerate() {
            let furthest = match insn.code {
                JA => at + 1 + insn.k as usize,
                JEQ_K => at + 1 + usize::from(insn.jt.max(insn.jf)),
                _ => at,
            };
            assert!(furthest < program.len(), "{at}: {insn:?}");
        }
        assert_eq!(program.last().map(|i| i.code), Some(RET_K));
    }
}
