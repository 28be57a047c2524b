//! MPLS, GRE, IP in IP, VXLAN, Geneve, and all of them inside one another.

use super::*;

fn vxlan(vni: u8, frame: &[u8]) -> Vec<u8> {
    udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, vni, 0], frame]))
}

fn gre(flags: u16, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&flags.to_be_bytes(), &ether_type.to_be_bytes(), payload])
}

#[test]
fn mpls_label_stacks_over_ip() {
    let label = |bottom: u8| [0, 1, bottom, 64];
    let packet = ipv4(6, &tcp(b"a"));
    for ether_type in [0x8847, 0x8848] {
        let one = ether(ether_type, &join(&[&label(1), &packet]));
        let seen = assert_payload(decode(ETHERNET, &one), b"a");
        assert_eq!(seen.encapsulation, 0, "labels differ between the directions");
        let three =
            ether(ether_type, &join(&[&label(0), &label(0), &label(1), &ipv6(6, &tcp(b"b"))]));
        assert_payload(decode(ETHERNET, &three), b"b");
    }
    let endless = ether(0x8847, &[0; 400]);
    assert_eq!(decode(ETHERNET, &endless), Err(Ignored::Malformed));
}

#[test]
fn mpls_pseudowires_with_and_without_a_control_word() {
    let frame = plain(b"a");
    let bare = ether(0x8847, &join(&[&[0, 1, 1, 64], &frame]));
    assert_payload(decode(ETHERNET, &bare), b"a");
    let controlled = ether(0x8847, &join(&[&[0, 1, 1, 64], &[0; 4], &frame]));
    assert_payload(decode(ETHERNET, &controlled), b"a");
    let other = ether(0x8847, &join(&[&[0, 1, 1, 64], &[0x11; 40]]));
    assert_eq!(decode(ETHERNET, &other), Err(Ignored::NotIp));
    assert_payload(decode(RAW, &ipv4(137, &join(&[&[0, 1, 1, 64], &ipv4(6, &tcp(b"a"))]))), b"a");
}

#[test]
fn ip_in_ip_in_all_four_ways() {
    let (v4, v6) = (ipv4(6, &tcp(b"a")), ipv6(6, &tcp(b"b")));
    assert_payload(decode(RAW, &ipv4(4, &v4)), b"a");
    assert_payload(decode(RAW, &ipv4(41, &v6)), b"b");
    assert_payload(decode(RAW, &ipv6(4, &v4)), b"a");
    assert_payload(decode(RAW, &ipv6(41, &v6)), b"b");
}

#[test]
fn a_tunnel_without_an_id_is_known_by_its_ends_in_either_direction() {
    let frame = |outer, inner| ipv4_way(outer, 4, &ipv4_way(inner, 6, &tcp_way(inner, b"a")));
    let there = decode(RAW, &frame(Way::There, Way::There)).expect("a segment");
    let back = decode(RAW, &frame(Way::Back, Way::Back)).expect("a segment");
    assert_eq!(there.encapsulation, back.encapsulation);
    assert_ne!(there.encapsulation, 0);
    let mut elsewhere = frame(Way::There, Way::There);
    elsewhere[19] = 9;
    let elsewhere = decode(RAW, &elsewhere).expect("a segment");
    assert_ne!(there.encapsulation, elsewhere.encapsulation);
}

#[test]
fn gre_with_every_optional_field() {
    let packet = ipv4(6, &tcp(b"a"));
    for (flags, fields) in [(0u16, 0), (0x8000, 4), (0x2000, 4), (0x1000, 4), (0xb000, 12)] {
        let inner = join(&[&vec![0; fields], &packet]);
        assert_payload(decode(RAW, &ipv4(47, &gre(flags, 0x0800, &inner))), b"a");
        assert_payload(decode(RAW, &ipv6(47, &gre(flags, 0x0800, &inner))), b"a");
    }
    assert_payload(decode(RAW, &ipv4(47, &gre(0, 0x86dd, &ipv6(6, &tcp(b"b"))))), b"b");
    let labelled = join(&[&[0, 1, 1, 64], &packet]);
    assert_payload(decode(RAW, &ipv4(47, &gre(0, 0x8847, &labelled))), b"a");
    assert_eq!(decode(RAW, &ipv4(47, &gre(0x4000, 0x0800, &packet))), Err(Ignored::NotTcp));
}

#[test]
fn gre_bridges_ethernet_and_carries_ppp() {
    assert_payload(decode(RAW, &ipv4(47, &gre(0, 0x6558, &plain(b"a")))), b"a");
    let ppp = join(&[&[0; 4], &[0; 4], &[0; 4], &[0xff, 3, 0, 0x21], &ipv4(6, &tcp(b"a"))]);
    assert_payload(decode(RAW, &ipv4(47, &gre(0x3081, 0x880b, &ppp))), b"a");
}

#[test]
fn the_gre_key_is_the_identity_whatever_the_ends() {
    let frame = |way, key: u8| {
        let inner = join(&[&[0, 0, 0, key], &ipv4_way(way, 6, &tcp_way(way, b"a"))]);
        ipv4_way(way, 47, &gre(0x2000, 0x0800, &inner))
    };
    let id = |way, key| decode(RAW, &frame(way, key)).expect("a segment").encapsulation;
    assert_eq!(id(Way::There, 1), id(Way::Back, 1));
    assert_ne!(id(Way::There, 1), id(Way::There, 2));
}

#[test]
fn vxlan_as_a_cloud_mirrors_it() {
    let one = ether(0x0800, &ipv4(17, &vxlan(1, &plain(b"a"))));
    let two = ether(0x0800, &ipv4(17, &vxlan(2, &plain(b"a"))));
    let (one, two) = (decode(ETHERNET, &one), decode(ETHERNET, &two));
    let (one, two) = (assert_payload(one, b"a"), assert_payload(two, b"a"));
    assert_ne!(one.encapsulation, two.encapsulation);
    assert_eq!(one.to, "10.0.0.2:80", "the inner addresses count");
    let over_v6 = ipv6(17, &vxlan(1, &plain(b"a")));
    assert_eq!(assert_payload(decode(RAW, &over_v6), b"a").encapsulation, one.encapsulation);
}

#[test]
fn vxlan_on_the_port_of_flannel_and_with_padding_inside() {
    let inner = join(&[&plain(b"a"), &[0; 20]]);
    let frame = ipv4(17, &udp(8472, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &inner])));
    assert_payload(decode(RAW, &frame), b"a");
}

#[test]
fn a_mirror_that_slices_the_inner_packet_leaves_it_cut() {
    let inner = plain(&[b'x'; 500]);
    let frame = ipv4(17, &vxlan(1, &inner[..200]));
    let seen = decode(RAW, &frame).expect("a segment");
    assert_eq!((seen.payload.len(), seen.cut), (146, 354));
}

#[test]
fn vxlan_without_an_id_or_to_another_port_is_just_udp() {
    let no_id = udp(4789, &join(&[&[0; 8], &plain(b"a")]));
    assert_eq!(decode(RAW, &ipv4(17, &no_id)), Err(Ignored::NotTcp));
    let other = udp(4790, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &plain(b"a")]));
    assert_eq!(decode(RAW, &ipv4(17, &other)), Err(Ignored::NotTcp));
}

#[test]
fn geneve_with_and_without_options() {
    let frame = |options: u8, kind: u16, payload: &[u8]| {
        let [t1, t0] = kind.to_be_bytes();
        let header = [options, 0, t1, t0, 0, 0, 7, 0];
        let padding = vec![0; usize::from(options) * 4];
        ipv4(17, &udp(6081, &join(&[&header, &padding, payload])))
    };
    let bare = assert_payload(decode(RAW, &frame(0, 0x6558, &plain(b"a"))), b"a");
    let with = assert_payload(decode(RAW, &frame(3, 0x6558, &plain(b"a"))), b"a");
    assert_eq!(bare.encapsulation, with.encapsulation);
    // AWS gateway load balancers put bare IP inside.
    assert_payload(decode(RAW, &frame(8, 0x0800, &ipv4(6, &tcp(b"b")))), b"b");
    assert_eq!(decode(RAW, &frame(0xc0, 0x6558, &[])), Err(Ignored::NotTcp));
}

#[test]
fn tunnels_nest_up_to_a_limit() {
    let nest = |depth: usize| {
        let mut frame = plain(b"a");
        for _ in 0..depth {
            frame = ether(0x0800, &ipv4(17, &vxlan(1, &frame)));
        }
        decode(ETHERNET, &frame)
    };
    let ids: Vec<u64> =
        (0..=8).map(|depth| assert_payload(nest(depth), b"a").encapsulation).collect();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(nest(9), Err(Ignored::Malformed));
    assert_eq!(nest(200), Err(Ignored::Malformed));
}
