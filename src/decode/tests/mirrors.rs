//! ERSPAN, GTP-U, L2TP: what switches mirror, and the tunnels of access networks.

use super::*;

fn gre(flags: u16, ether_type: u16, rest: &[u8]) -> Vec<u8> {
    join(&[&flags.to_be_bytes(), &ether_type.to_be_bytes(), rest])
}

#[test]
fn erspan_of_type_1_is_a_bare_frame() {
    let frame = ipv4(47, &gre(0, 0x88be, &plain(b"a")));
    assert_payload(decode(RAW, &frame), b"a");
}

#[test]
fn erspan_of_type_2_and_its_session() {
    let frame = |session: u8| {
        let header = [0x10, 5, 0, session, 0, 0, 0, 1];
        ipv4(47, &gre(0x1000, 0x88be, &join(&[&[0, 0, 0, 7], &header, &plain(b"a")])))
    };
    let one = assert_payload(decode(RAW, &frame(1)), b"a");
    let two = assert_payload(decode(RAW, &frame(2)), b"a");
    assert_ne!(one.encapsulation, two.encapsulation);
    assert_eq!(one.to, "10.0.0.2:80");
    let wrong = join(&[&[0, 0, 0, 7], &[0x20, 5, 0, 1, 0, 0, 0, 1], &plain(b"a")]);
    assert_eq!(decode(RAW, &ipv4(47, &gre(0x1000, 0x88be, &wrong))), Err(Ignored::NotTcp));
}

#[test]
fn erspan_of_type_3_with_and_without_its_subheader() {
    let frame = |kind: u8, last: u8, rest: &[u8]| {
        let header = [0x20, 5, 0, 1, 1, 2, 3, 4, 0, 0, kind << 2, last];
        ipv4(47, &gre(0x1000, 0x22eb, &join(&[&[0, 0, 0, 7], &header, rest])))
    };
    assert_payload(decode(RAW, &frame(0, 0, &plain(b"a"))), b"a");
    assert_payload(decode(RAW, &frame(0, 1, &join(&[&[9; 8], &plain(b"a")]))), b"a");
    assert_payload(decode(RAW, &frame(2, 0, &ipv4(6, &tcp(b"a")))), b"a");
    assert_eq!(decode(RAW, &frame(1, 0, &[0; 60])), Err(Ignored::NotTcp));
}

#[test]
fn gtp_u_with_every_optional_field() {
    let packet = ipv4(6, &tcp(b"a"));
    let frame = |flags: u8, kind: u8, rest: &[u8]| {
        ipv4(17, &udp(2152, &join(&[&[0x30 | flags, kind, 0, 0, 0, 0, 0, 9], rest])))
    };
    assert_payload(decode(RAW, &frame(0, 255, &packet)), b"a");
    assert_payload(decode(RAW, &frame(0, 255, &ipv6(6, &tcp(b"b")))), b"b");
    // Sequence number, N-PDU number: four bytes for either.
    for flags in [1, 2, 3] {
        assert_payload(decode(RAW, &frame(flags, 255, &join(&[&[0, 1, 2, 0], &packet]))), b"a");
    }
    // The container of 5G (0x85), and two headers in a row.
    let one = join(&[&[0, 0, 0, 0x85], &[1, 0, 9, 0], &packet]);
    assert_payload(decode(RAW, &frame(4, 255, &one)), b"a");
    let two = join(&[&[0, 0, 0, 0x85], &[1, 0, 9, 0xc0], &[2, 0, 0, 0, 0, 0, 0, 0], &packet]);
    assert_payload(decode(RAW, &frame(4, 255, &two)), b"a");
    // An echo request, GTP', version 2, an extension without a length, too many of them.
    assert_eq!(decode(RAW, &frame(0, 1, &packet)), Err(Ignored::NotTcp));
    let prime = ipv4(17, &udp(2152, &join(&[&[0x20, 255, 0, 0, 0, 0, 0, 9], &packet])));
    assert_eq!(decode(RAW, &prime), Err(Ignored::NotTcp));
    let endless = join(&[&[0, 0, 0, 0x85], &[0, 0, 0, 0x85], &packet]);
    assert_eq!(decode(RAW, &frame(4, 255, &endless)), Err(Ignored::Malformed));
    let many = join(&[&[0, 0, 0, 0x85], &[1, 0, 0, 0x85].repeat(40), &packet]);
    assert_eq!(decode(RAW, &frame(4, 255, &many)), Err(Ignored::Malformed));
}

#[test]
fn tunnels_whose_ids_differ_between_the_directions_are_known_by_their_ends() {
    let gtp = |way, id: u8| {
        let inner = ipv4_way(way, 6, &tcp_way(way, b"a"));
        ipv4_way(way, 17, &udp(2152, &join(&[&[0x30, 255, 0, 0, 0, 0, 0, id], &inner])))
    };
    let l2tp = |way, id: u8| {
        let inner = join(&[&[0, 0x21], &ipv4_way(way, 6, &tcp_way(way, b"a"))]);
        ipv4_way(way, 17, &udp(1701, &join(&[&[0, 2, 0, id, 0, id], &inner])))
    };
    for frames in
        [[gtp(Way::There, 1), gtp(Way::Back, 2)], [l2tp(Way::There, 1), l2tp(Way::Back, 2)]]
    {
        let [there, back] = frames.map(|f| decode(RAW, &f).expect("a segment").encapsulation);
        assert_eq!(there, back);
        assert_ne!(there, 0);
    }
}

#[test]
fn l2tp_of_version_2_with_every_optional_field() {
    let ppp = join(&[&[0xff, 3, 0, 0x21], &ipv4(6, &tcp(b"a"))]);
    for (flags, fields) in [
        (0x0002u16, &[0, 1, 0, 2][..]),
        (0x4002, &[0, 80, 0, 1, 0, 2]),
        (0x0802, &[0, 1, 0, 2, 0, 3, 0, 4]),
        (0x0202, &[0, 1, 0, 2, 0, 3, 9, 9, 9]),
        (0x4a02, &[0, 80, 0, 1, 0, 2, 0, 3, 0, 4, 0, 0]),
    ] {
        let message = join(&[&flags.to_be_bytes(), fields, &ppp]);
        assert_payload(decode(RAW, &ipv4(17, &udp(1701, &message))), b"a");
        // An answer comes from the port.
        let mut answer = udp(49152, &message);
        answer[..2].copy_from_slice(&1701u16.to_be_bytes());
        assert_payload(decode(RAW, &ipv4(17, &answer)), b"a");
    }
    for control in [&[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xc8, 3, 0, 12], &[0, 1, 0, 0]]
    {
        assert_eq!(decode(RAW, &ipv4(17, &udp(1701, control))), Err(Ignored::NotTcp));
    }
}

#[test]
fn l2tp_of_version_3_over_udp_and_ip() {
    for before in [0, 4, 8, 12] {
        for frame in [plain(b"a"), join(&[&[0xff, 3, 0, 0x21], &ipv4(6, &tcp(b"a"))])] {
            let session = join(&[&[0, 0, 0, 7], &vec![0x40; before], &frame]);
            assert_payload(decode(RAW, &ipv4(115, &session)), b"a");
            let over_udp = udp(1701, &join(&[&[0, 3, 0, 0], &session]));
            assert_payload(decode(RAW, &ipv4(17, &over_udp)), b"a");
        }
    }
    let control = join(&[&[0; 4], &plain(b"a")]);
    assert_eq!(decode(RAW, &ipv4(115, &control)), Err(Ignored::NotTcp));
    assert_eq!(decode(RAW, &ipv4(115, &[1; 80])), Err(Ignored::NotTcp));
}

#[test]
fn a_jumbo_frame_in_a_tunnel_is_whole() {
    let body = vec![b'x'; 8900];
    let frame = ipv4(17, &udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &plain(&body)])));
    assert_payload(decode(RAW, &frame), &body);
}

#[test]
fn teredo_behind_whatever_servers_put_before_it() {
    let packet = ipv6(6, &tcp(b"b"));
    let origin = [0, 0, 0xf2, 0x27, 0xbf, 0xfe, 0xff, 0xfd];
    let bare_authentication = join(&[&[0, 1, 0, 0], &[7; 8], &[0]]);
    let authentication = join(&[&[0, 1, 3, 5], &[1; 3], &[2; 5], &[7; 8], &[0]]);
    let heads: [&[u8]; 5] = [
        &[],
        &origin,
        &bare_authentication,
        &join(&[&bare_authentication, &origin]),
        &join(&[&authentication, &origin]),
    ];
    for head in heads {
        let there = udp(3544, &join(&[head, &packet]));
        let mut back = udp(49152, &join(&[head, &packet]));
        back[..2].copy_from_slice(&3544u16.to_be_bytes());
        let there = assert_payload(decode(RAW, &ipv4(17, &there)), b"b");
        assert_eq!(there, assert_payload(decode(RAW, &ipv4(17, &back)), b"b"));
    }
    let other = udp(3544, &ipv4(6, &tcp(b"a")));
    assert_eq!(decode(RAW, &ipv4(17, &other)), Err(Ignored::NotTcp));
}

#[test]
fn gre_in_udp_and_the_frames_of_access_points() {
    let inner = gre(0, 0x0800, &ipv4(6, &tcp(b"a")));
    let in_udp = assert_payload(decode(RAW, &ipv4(17, &udp(4754, &inner))), b"a");
    let in_ip = assert_payload(decode(RAW, &ipv4(47, &inner)), b"a");
    assert_eq!(in_udp.encapsulation, in_ip.encapsulation);
    let llc = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ipv4(6, &tcp(b"a"))]);
    let wifi = join(&[&[0x88, 1], &[0; 24], &llc]);
    for kind in [0x8200, 0x8210, 0x8370, 0x9000] {
        assert_payload(decode(RAW, &ipv4(47, &gre(0, kind, &wifi))), b"a");
    }
    assert_eq!(decode(RAW, &ipv4(47, &gre(0, 0x8201, &wifi))), Err(Ignored::NotIp));
}

#[test]
fn backbone_and_virtual_interface_tags() {
    let inner = ether(0x8100, &vlan(5, 0x0800, &ipv4(6, &tcp(b"a"))));
    let frame = |service: u8| ether(0x88e7, &join(&[&[0, 0, 0, service], &inner]));
    let one = assert_payload(decode(ETHERNET, &frame(1)), b"a");
    let two = assert_payload(decode(ETHERNET, &frame(2)), b"a");
    assert_ne!(one.encapsulation, two.encapsulation);
    let vn = ether(0x8926, &join(&[&[0x80, 1, 0, 2, 8, 0], &ipv4(6, &tcp(b"a"))]));
    assert_eq!(assert_payload(decode(ETHERNET, &vn), b"a").encapsulation, 0);
}
