//! Frames that a plain `port 80` filter would miss: VLAN tags, single and double, by the kernel and
//! crafted; IPv4 fragments; IPv6 with extension headers. Each through the generated filter.

use pcap::{Active, Capture};

use super::lab::{Lab, Seen, collect, config, exchange, open, within};

/// Sends frames from the peer's end of the veth pair.
fn send(lab: &Lab, frames: &[Vec<u8>]) {
    let mut sender: Capture<Active> =
        within(&lab.peer, || Capture::from_device("eth0").expect("eth0").open().expect("open"));
    for frame in frames {
        sender.sendpacket(frame.as_slice()).expect("send");
    }
}

/// A TCP segment without a valid checksum: the filter does not care, and no socket listens.
fn tcp(src: u16, dst: u16, payload: &str) -> Vec<u8> {
    let mut bytes = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    bytes.extend(payload.as_bytes());
    bytes
}

/// An IPv4 packet; `fragment` is the flags and the offset.
fn ipv4(fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).expect("length");
    let mut bytes = vec![0x45, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0x12, 0x34]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1]);
    let sum: u32 = bytes.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("16 bits");
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(payload.len()).expect("length").to_be_bytes());
    bytes.extend([next, 64]);
    for last in [2, 1] {
        bytes.extend([0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend(payload);
    bytes
}

/// An Ethernet frame to everyone, with the given EtherTypes: all but the last are tags.
fn ethernet(types: &[u16], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2];
    for (at, ethertype) in types.iter().enumerate() {
        if at > 0 {
            bytes.extend([0, 9 + u8::try_from(at).expect("few")]);
        }
        bytes.extend(ethertype.to_be_bytes());
    }
    bytes.extend(payload);
    bytes
}

/// Sends the frames and one plain last one; those seen in the pod, the last left out.
#[track_caller]
fn seen_of(lab: &Lab, interface: &str, frames: &[Vec<u8>]) -> Vec<Seen> {
    let mut capture = open(lab, &config(&[interface], &[80]));
    let mut all = frames.to_vec();
    all.push(ethernet(&[0x0800], &ipv4(0, 6, &tcp(5000, 80, "the last"))));
    send(lab, &all);
    let mut seen = collect(&mut capture, "the last");
    seen.retain(|s| !s.contains("the last"));
    seen
}

fn count(seen: &[Seen], text: &str) -> usize {
    seen.iter().filter(|s| s.contains(text)).count()
}

/// Left out by name (`scripts/test.sh`) where the kernel has no VLAN interfaces, and so never counted
/// as passed there.
mod needs_8021q {
    use super::*;

    #[test]
    fn requests_on_a_vlan_are_seen_on_its_parent_with_their_tag() {
        let Some(lab) = Lab::new() else { return };
        lab.ip_both("link add link eth0 name eth0.10 type vlan id 10");
        lab.ip_both("addr add 10.78.0.{n}/24 dev eth0.10");
        lab.ip_both("link set eth0.10 up");
        let mut capture = open(&lab, &config(&["eth0"], &[80]));
        exchange(&lab, &lab.peer, [10, 78, 0, 1], 81, "other port");
        exchange(&lab, &lab.peer, [10, 78, 0, 1], 80, "GET /tagged");
        let seen = collect(&mut capture, "GET /tagged");
        assert_eq!(count(&seen, "GET /tagged"), 1);
        assert_eq!(count(&seen, "other port"), 0);
        assert!(seen.iter().all(|s| s.bytes[12..16] == [0x81, 0, 0, 10]), "the tag is missing");
        let answers: Vec<&Seen> = seen.iter().filter(|s| s.wire_len > 3000).collect();
        assert!(answers.iter().all(|s| s.bytes.len() <= 128 + 4), "an answer is not cut");
        assert!(!answers.is_empty());
    }

    #[test]
    fn requests_in_qinq_are_seen_on_the_outermost_interface_and_on_any() {
        let Some(lab) = Lab::new() else { return };
        lab.ip_both("link add link eth0 name outer type vlan proto 802.1ad id 10");
        lab.ip_both("link add link outer name inner type vlan id 20");
        lab.ip_both("addr add 10.78.0.{n}/24 dev inner");
        lab.ip_both("link set outer up");
        lab.ip_both("link set inner up");
        for interface in ["eth0", "any"] {
            let mut capture = open(&lab, &config(&[interface], &[80]));
            exchange(&lab, &lab.peer, [10, 78, 0, 1], 80, "GET /twice-tagged");
            let seen = collect(&mut capture, "GET /twice-tagged");
            if interface == "eth0" {
                assert_eq!(count(&seen, "GET /twice-tagged"), 1);
                let tags = [0x88, 0xa8, 0, 10, 0x81, 0, 0, 20, 8, 0];
                assert!(
                    seen.iter().all(|s| s.bytes[12..22] == tags),
                    "{:x?}",
                    &seen[0].bytes[..24]
                );
            } else {
                // On eth0, outer and inner, which are three interfaces of this host.
                assert_eq!(count(&seen, "GET /twice-tagged"), 3);
            }
        }
    }
}

#[test]
fn crafted_tags_pass_by_port_on_veth_and_on_any() {
    let Some(lab) = Lab::new() else { return };
    let kinds: [&[u16]; 4] = [
        &[0x8100, 0x0800],
        &[0x88a8, 0x0800],
        &[0x88a8, 0x8100, 0x0800],
        &[0x8100, 0x8100, 0x0800],
    ];
    for interface in ["eth0", "any"] {
        for types in kinds {
            let toward = |port, text| ethernet(types, &ipv4(0, 6, &tcp(5000, port, text)));
            let seen = seen_of(&lab, interface, &[toward(80, "wanted"), toward(81, "foreign")]);
            assert_eq!((count(&seen, "wanted"), seen.len()), (1, 1), "{interface} {types:x?}");
        }
    }
}

#[test]
fn tags_on_their_way_out_pass_too() {
    let Some(lab) = Lab::new() else { return };
    for interface in ["eth0", "any"] {
        // Captured where they are sent: the tag is in the packet, before its network header.
        let mut capture = within(&lab.peer, || {
            shadowtap::capture::live::LiveCapture::open(&config(&[interface], &[80]))
        })
        .expect("open");
        send(
            &lab,
            &[
                ethernet(&[0x8100, 0x0800], &ipv4(0, 17, &tcp(5000, 80, "not TCP"))),
                ethernet(&[0x8100, 0x0800], &ipv4(0, 6, &tcp(5000, 80, "once"))),
                ethernet(&[0x88a8, 0x8100, 0x0800], &ipv4(0, 6, &tcp(5000, 80, "twice"))),
            ],
        );
        let seen = collect(&mut capture, "twice");
        assert_eq!((count(&seen, "once"), seen.len()), (1, 2), "{interface}");
    }
}

#[test]
fn fragments_of_tcp_pass_whole_and_those_of_udp_do_not() {
    let Some(lab) = Lab::new() else { return };
    let first = tcp(5000, 80, &"f".repeat(300));
    let answer = tcp(80, 5000, &"n".repeat(300));
    for interface in ["eth0", "any"] {
        let seen = seen_of(
            &lab,
            interface,
            &[
                ethernet(&[0x0800], &ipv4(0x2000, 6, &first)),
                ethernet(&[0x0800], &ipv4(0x2028, 6, b"the middle of it")),
                ethernet(&[0x0800], &ipv4(0x002a, 6, b"the end of it")),
                ethernet(&[0x0800], &ipv4(0x2000, 6, &answer)),
                ethernet(&[0x8100, 0x0800], &ipv4(0x002a, 6, b"tagged end")),
                ethernet(&[0x0800], &ipv4(0x2028, 17, b"another protocol")),
            ],
        );
        assert_eq!(seen.len(), 5, "{interface}");
        assert!(
            seen.iter().all(|s| s.bytes.len() >= s.wire_len as usize),
            "{interface}: one is cut"
        );
        for text in ["fff", "the middle of it", "the end of it", "nnn", "tagged end"] {
            assert_eq!(count(&seen, text), 1, "{interface} {text}");
        }
    }
}

#[test]
fn a_datagram_fragmented_by_the_kernel_is_seen_in_all_its_parts() {
    let Some(lab) = Lab::new() else { return };
    // A raw IPv4 socket lets the kernel cut a TCP segment that is larger than the link.
    let whole = tcp(5000, 80, &format!("{}tail of the segment", "x".repeat(4000)));
    let mut capture = open(&lab, &config(&["eth0"], &[80]));
    within(&lab.peer, || {
        let raw = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::RAW,
            Some(socket2::Protocol::TCP),
        )
        .expect("raw socket");
        let to = std::net::SocketAddr::from((super::lab::POD, 0));
        assert_eq!(raw.send_to(&whole, &to.into()).expect("send"), whole.len());
    });
    let seen = collect(&mut capture, "tail of the segment");
    let fragments: Vec<&Seen> =
        seen.iter().filter(|s| s.bytes[23] == 6 && s.bytes[20..22] != [0x40, 0]).collect();
    let payload: usize = fragments.iter().map(|s| s.bytes.len() - 34).sum();
    assert_eq!((fragments.len(), payload), (3, whole.len()));
}

#[test]
fn ipv6_passes_by_port_and_with_extension_headers_whole() {
    let Some(lab) = Lab::new() else { return };
    let segment = |text: &str| tcp(5000, 80, text);
    // Next header TCP, no further length, padding: hop-by-hop and destination options look alike.
    let options = |text: &str| [&[6, 0, 1, 4, 0, 0, 0, 0][..], &segment(text)].concat();
    let fragment = |text: &str| [&[6, 0, 0, 1, 0, 0, 0, 7][..], text.as_bytes()].concat();
    for interface in ["eth0", "any"] {
        let seen = seen_of(
            &lab,
            interface,
            &[
                ethernet(&[0x86dd], &ipv6(6, &segment("plain"))),
                ethernet(&[0x86dd], &ipv6(6, &tcp(5000, 81, "foreign"))),
                ethernet(&[0x86dd], &ipv6(0, &options("hop-by-hop"))),
                ethernet(&[0x86dd], &ipv6(60, &options("destination"))),
                ethernet(&[0x86dd], &ipv6(44, &fragment("a fragment"))),
                ethernet(&[0x8100, 0x86dd], &ipv6(43, &options("routing, tagged"))),
                ethernet(&[0x86dd], &ipv6(17, &segment("another protocol"))),
            ],
        );
        let texts = ["plain", "hop-by-hop", "destination", "a fragment", "routing, tagged"];
        for text in texts {
            assert_eq!(count(&seen, text), 1, "{interface} {text}");
        }
        assert_eq!(seen.len(), texts.len(), "{interface}");
    }
}

#[test]
fn a_crafted_answer_is_cut_behind_the_longest_headers() {
    let Some(lab) = Lab::new() else { return };
    let mut answer = tcp(80, 5000, "");
    // Data offset 15: 40 bytes of options; then a body.
    answer[12] = 0xf0;
    answer.extend([1; 40]);
    answer.extend("b".repeat(500).as_bytes());
    let frame = ethernet(&[0x88a8, 0x8100, 0x86dd], &ipv6(6, &answer));
    let seen = seen_of(&lab, "eth0", &[frame]);
    assert_eq!(count(&seen, "b"), 1);
    let cut = seen.iter().find(|s| s.contains("b")).expect("answer");
    assert!(cut.bytes.len() >= 14 + 8 + 40 + 60 && cut.bytes.len() <= 132, "{}", cut.bytes.len());
    assert_eq!(cut.wire_len, 14 + 8 + 40 + 60 + 500);
}
