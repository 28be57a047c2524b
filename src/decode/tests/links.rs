//! Link types, VLAN tags, 802.2, PPP.

use super::*;

#[test]
fn raw_ip_under_every_number_it_has() {
    for link in [101, 12, 14, 228] {
        assert_payload(decode(link, &ipv4(6, &tcp(b"a"))), b"a");
    }
    for link in [101, 12, 14, 229] {
        let seen = assert_payload(decode(link, &ipv6(6, &tcp(b"a"))), b"a");
        assert_eq!(seen.to, "[2001:db8::2]:80");
    }
}

#[test]
fn null_and_loop_in_either_byte_order() {
    let packet = ipv4(6, &tcp(b"a"));
    for link in [0, 108] {
        assert_payload(decode(link, &join(&[&[2, 0, 0, 0], &packet])), b"a");
        assert_payload(decode(link, &join(&[&[0, 0, 0, 2], &packet])), b"a");
        for family in [10, 23, 24, 28, 30] {
            let packet = ipv6(6, &tcp(b"a"));
            assert_payload(decode(link, &join(&[&[0, 0, 0, family], &packet])), b"a");
            assert_payload(decode(link, &join(&[&[family, 0, 0, 0], &packet])), b"a");
        }
        assert_eq!(decode(link, &join(&[&[7, 0, 0, 0], &packet])), Err(Ignored::NotIp));
    }
}

/// A cooked v1 header.
fn sll(arphrd: u16, protocol: u16) -> Vec<u8> {
    join(&[&[0, 0], &arphrd.to_be_bytes(), &[0; 10], &protocol.to_be_bytes()])
}

/// A cooked v2 header.
fn sll2(arphrd: u16, protocol: u16) -> Vec<u8> {
    let parts: [&[u8]; 5] =
        [&protocol.to_be_bytes(), &[0; 2], &[0, 0, 0, 1], &arphrd.to_be_bytes(), &[0; 10]];
    join(&parts)
}

#[test]
fn cooked_captures_of_both_versions() {
    let packet = ipv4(6, &tcp(b"a"));
    // Ethernet, loopback, tun, GRE, IP in IP.
    for arphrd in [1, 772, 65534, 778, 768] {
        assert_payload(decode(113, &join(&[&sll(arphrd, 0x0800), &packet])), b"a");
        assert_payload(decode(276, &join(&[&sll2(arphrd, 0x0800), &packet])), b"a");
    }
    let packet = ipv6(6, &tcp(b"b"));
    assert_payload(decode(113, &join(&[&sll(1, 0x86dd), &packet])), b"b");
    assert_payload(decode(276, &join(&[&sll2(1, 0x86dd), &packet])), b"b");
}

#[test]
fn cooked_captures_carry_vlan_tags() {
    let tagged = vlan(5, 0x0800, &ipv4(6, &tcp(b"a")));
    let v1 = assert_payload(decode(113, &join(&[&sll(1, 0x8100), &tagged])), b"a");
    let v2 = assert_payload(decode(276, &join(&[&sll2(1, 0x8100), &tagged])), b"a");
    let plain = assert_payload(decode(ETHERNET, &ether(0x8100, &tagged)), b"a");
    assert_eq!(v1.encapsulation, plain.encapsulation);
    assert_eq!(v2.encapsulation, plain.encapsulation);
}

#[test]
fn cooked_captures_of_what_is_not_ip() {
    let packet = ipv4(6, &tcp(b"a"));
    for (arphrd, protocol) in [(824, 0x0800), (803, 0x0800), (1, 0x0806), (1, 1), (1, 0x0c)] {
        assert_eq!(decode(113, &join(&[&sll(arphrd, protocol), &packet])), Err(Ignored::NotIp));
        assert_eq!(decode(276, &join(&[&sll2(arphrd, protocol), &packet])), Err(Ignored::NotIp));
    }
    let llc = join(&[&sll(1, 4), &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &packet]);
    assert_payload(decode(113, &llc), b"a");
}

#[test]
fn vlan_and_qinq_tags_of_every_kind() {
    let packet = ipv4(6, &tcp(b"a"));
    let mut seen = Vec::new();
    for kind in [0x8100, 0x88a8, 0x9100, 0x9200] {
        let one = ether(kind, &vlan(5, 0x0800, &packet));
        seen.push(assert_payload(decode(ETHERNET, &one), b"a").encapsulation);
    }
    assert!(seen.iter().all(|&id| id == seen[0] && id != 0), "the tag's kind is no identity");
    let two = ether(0x88a8, &vlan(9, 0x8100, &vlan(5, 0x0800, &packet)));
    let swapped = ether(0x88a8, &vlan(5, 0x8100, &vlan(9, 0x0800, &packet)));
    let three =
        ether(0x88a8, &vlan(1, 0x8100, &vlan(2, 0x8100, &vlan(3, 0x86dd, &ipv6(6, &tcp(b"c"))))));
    seen.push(assert_payload(decode(ETHERNET, &two), b"a").encapsulation);
    seen.push(assert_payload(decode(ETHERNET, &swapped), b"a").encapsulation);
    seen.push(assert_payload(decode(ETHERNET, &three), b"c").encapsulation);
    let mut ids = seen.split_off(3);
    ids.dedup();
    assert_eq!(ids.len(), 4, "different tags, different encapsulations");
}

#[test]
fn priority_bits_and_the_priority_tag_are_no_identity() {
    let packet = ipv4(6, &tcp(b"a"));
    let id =
        |tci| decode(ETHERNET, &ether(0x8100, &vlan(tci, 0x0800, &packet))).expect("a segment");
    assert_eq!(id(0x0005).encapsulation, id(0xf005).encapsulation);
    assert_eq!(id(0xe000).encapsulation, 0);
    assert_ne!(id(0x0005).encapsulation, id(0x0006).encapsulation);
}

#[test]
fn both_directions_of_a_vlan_have_one_encapsulation() {
    let frame = |way| ether(0x8100, &vlan(5, 0x0800, &ipv4_way(way, 6, &tcp_way(way, b"a"))));
    let there = decode(ETHERNET, &frame(Way::There)).expect("a segment");
    let back = decode(ETHERNET, &frame(Way::Back)).expect("a segment");
    assert_eq!((&there.from, &there.to), (&back.to, &back.from));
    assert_eq!(there.encapsulation, back.encapsulation);
}

#[test]
fn ip_behind_llc_in_802_3_frames() {
    let packet = ipv4(6, &tcp(b"a"));
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &packet]);
    let padded = join(&[&ether(snap.len() as u16, &snap), &[0; 9]]);
    assert_payload(decode(ETHERNET, &padded), b"a");
    let sap = join(&[&[6, 6, 3], &packet]);
    assert_payload(decode(ETHERNET, &ether(sap.len() as u16, &sap)), b"a");
    let spanning_tree = ether(38, &[0x42; 46]);
    assert_eq!(decode(ETHERNET, &spanning_tree), Err(Ignored::NotIp));
}

#[test]
fn what_is_not_ip_or_unknown_has_a_name() {
    assert_eq!(decode(ETHERNET, &ether(0x0806, &[0; 28])), Err(Ignored::NotIp));
    assert_eq!(decode(ETHERNET, &ether(0x88cc, &[0; 46])), Err(Ignored::NotIp));
    assert_eq!(decode(147, &[0; 60]), Err(Ignored::UnknownLink));
    assert_eq!(decode(ETHERNET, &[]), Err(Ignored::Malformed));
}

#[test]
fn ppp_with_and_without_compressed_fields() {
    let packet = ipv4(6, &tcp(b"a"));
    let heads: [&[u8]; 4] = [&[0xff, 3, 0, 0x21], &[0, 0x21], &[0x21], &[0xff, 3, 0x21]];
    for link in [9, 50] {
        for head in heads {
            assert_payload(decode(link, &join(&[head, &packet])), b"a");
        }
        let v6 = join(&[&[0xff, 3, 0, 0x57], &ipv6(6, &tcp(b"b"))]);
        assert_payload(decode(link, &v6), b"b");
        assert_eq!(decode(link, &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4]), Err(Ignored::NotIp));
    }
}

#[test]
fn pppoe_sessions() {
    let session = |id: u8| {
        let ppp = join(&[&[0, 0x21], &ipv4(6, &tcp(b"a"))]);
        join(&[&[0x11, 0, 0, id, 0, ppp.len() as u8], &ppp, &[0; 5]])
    };
    let one = assert_payload(decode(ETHERNET, &ether(0x8864, &session(1))), b"a");
    let two = assert_payload(decode(ETHERNET, &ether(0x8864, &session(2))), b"a");
    assert_ne!(one.encapsulation, two.encapsulation);
    let bare = assert_payload(decode(51, &session(1)), b"a");
    assert_eq!(bare.encapsulation, one.encapsulation);
    let discovery = ether(0x8863, &[0x11, 9, 0, 0, 0, 0]);
    assert_eq!(decode(ETHERNET, &discovery), Err(Ignored::NotIp));
}

#[test]
fn ppp_behind_what_pppd_and_others_write() {
    let packet = ipv4(6, &tcp(b"a"));
    for direction in [0, 1] {
        assert_payload(decode(166, &join(&[&[direction, 3, 0, 0x21], &packet])), b"a");
        assert_payload(decode(204, &join(&[&[direction, 0xff, 3, 0, 0x21], &packet])), b"a");
    }
}

#[test]
fn cisco_hdlc_on_its_own_and_where_ppp_might_be() {
    for link in [104, 50] {
        for address in [0x0f, 0x8f] {
            let frame = join(&[&[address, 0, 8, 0], &ipv4(6, &tcp(b"a"))]);
            assert_payload(decode(link, &frame), b"a");
            let v6 = join(&[&[address, 0, 0x86, 0xdd], &ipv6(6, &tcp(b"b"))]);
            assert_payload(decode(link, &v6), b"b");
            let keep_alive = join(&[&[address, 0, 0x80, 0x35], &[0; 18]]);
            assert_eq!(decode(link, &keep_alive), Err(Ignored::NotIp));
            assert_eq!(decode(link, &[address, 0, 0, 40, 1, 2, 3]), Err(Ignored::NotIp));
        }
    }
}

#[test]
fn nflog_in_either_byte_order() {
    let packet = ipv4(6, &tcp(b"abc"));
    let attribute = |bytes: fn(u16) -> [u8; 2], kind: u16, value: &[u8]| {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        join(&[&bytes(4 + value.len() as u16), &bytes(kind), value, &padding])
    };
    for bytes in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        let head = attribute(bytes, 1, &[8, 0, 1, 0]);
        let prefix = attribute(bytes, 10, b"seen\0");
        let payload = attribute(bytes, 9, &packet);
        for family in [2, 10] {
            let frame = join(&[&[family, 0, 0, 5], &head, &prefix, &payload]);
            assert_payload(decode(239, &frame), b"abc");
        }
        assert_eq!(decode(239, &join(&[&[7, 0, 0, 5], &payload])), Err(Ignored::NotIp));
        assert_eq!(decode(239, &join(&[&[2, 1, 0, 5], &payload])), Err(Ignored::Malformed));
        assert_eq!(decode(239, &join(&[&[2, 0, 0, 5], &head])), Err(Ignored::Malformed));
        let endless = attribute(bytes, 2, &[]).repeat(100);
        assert_eq!(decode(239, &join(&[&[2, 0, 0, 5], &endless])), Err(Ignored::Malformed));
        let no_length = join(&[&[2, 0, 0, 5], &bytes(3), &bytes(1), &packet]);
        assert_eq!(decode(239, &no_length), Err(Ignored::Malformed));
    }
}

#[test]
fn openbsd_interfaces_and_bare_labels() {
    let packet = ipv4(6, &tcp(b"a"));
    assert_payload(decode(109, &join(&[&[0, 0, 0, 2], &[0; 8], &packet])), b"a");
    // pf's header: its length without padding, the address family.
    assert_payload(decode(117, &join(&[&[61, 2], &[0; 62], &packet])), b"a");
    assert_payload(decode(117, &join(&[&[100, 2], &[0; 98], &packet])), b"a");
    assert_eq!(decode(117, &[0, 2, 0, 0]), Err(Ignored::Malformed));
    assert_payload(decode(219, &join(&[&[0, 1, 1, 64], &packet])), b"a");
}
