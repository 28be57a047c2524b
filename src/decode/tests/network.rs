//! IPv4, IPv6, extension headers, the TCP header, snapped frames.

use super::*;

#[test]
fn the_ip_length_trims_ethernet_padding() {
    let padded = |frame: Vec<u8>| join(&[&frame, &[0; 20]]);
    assert_payload(decode(ETHERNET, &padded(plain(b"a"))), b"a");
    assert_payload(decode(ETHERNET, &padded(plain(b""))), b"");
    assert_payload(decode(ETHERNET, &padded(ether(0x86dd, &ipv6(6, &tcp(b"a"))))), b"a");
}

#[test]
fn an_empty_ip_length_means_the_frame() {
    let big = vec![7; 100_000];
    let mut v4 = plain(&big);
    v4[16..18].copy_from_slice(&[0, 0]);
    assert_payload(decode(ETHERNET, &v4), &big);
    let mut v6 = ether(0x86dd, &ipv6(6, &tcp(&big)));
    v6[18..20].copy_from_slice(&[0, 0]);
    assert_payload(decode(ETHERNET, &v6), &big);
}

#[test]
fn an_ip_length_below_its_header_is_malformed() {
    let mut frame = plain(b"abc");
    frame[16..18].copy_from_slice(&[0, 19]);
    assert_eq!(decode(ETHERNET, &frame), Err(Ignored::Malformed));
}

#[test]
fn a_packet_longer_than_its_frame_is_cut() {
    // A span port or a mirror sliced it and the capture format does not know.
    let mut frame = plain(b"abc");
    let [.., hi, lo] = (20 + 20 + 1000u32).to_be_bytes();
    frame[16..18].copy_from_slice(&[hi, lo]);
    let seen = decode(ETHERNET, &frame).expect("a segment");
    assert_eq!((seen.payload.as_slice(), seen.cut), (b"abc".as_slice(), 997));
}

#[test]
fn zero_bytes_are_data() {
    assert_payload(decode(ETHERNET, &plain(&[0; 100])), &[0; 100]);
    assert_payload(decode(ETHERNET, &plain(&[0; 6])), &[0; 6]);
}

#[test]
fn ip_options_and_tcp_options_are_skipped() {
    let mut packet = ipv4(6, &join(&[&[1, 1, 1, 0], &tcp(b"a")]));
    packet[0] = 0x46;
    assert_payload(decode(RAW, &packet), b"a");
    let mut segment = tcp(&join(&[&[1; 12], b"a"]));
    segment[12] = 0x80;
    assert_payload(decode(RAW, &ipv4(6, &segment)), b"a");
}

#[test]
fn flags_are_read() {
    for (bits, syn, fin, rst, ack) in [
        (0x02, true, false, false, false),
        (0x12, true, false, false, true),
        (0x11, false, true, false, true),
        (0x04, false, false, true, false),
    ] {
        let mut frame = plain(b"");
        frame[47] = bits;
        let bytes = frame.clone();
        let frame = Frame {
            time: Timestamp::ZERO,
            link: LinkType(ETHERNET),
            bytes: &bytes,
            wire_len: bytes.len() as u32,
        };
        let mut decoder = Decoder::default();
        let segment = decoder.decode(&frame).expect("a segment");
        let flags = segment.flags;
        assert_eq!((flags.syn, flags.fin, flags.rst), (syn, fin, rst));
        assert_eq!(segment.ack.is_some(), ack);
    }
}

#[test]
fn a_data_offset_outside_the_segment_is_malformed() {
    for offset in [0x00, 0x40, 0xf0] {
        let mut frame = plain(b"abc");
        frame[46] = offset;
        assert_eq!(decode(ETHERNET, &frame), Err(Ignored::Malformed));
    }
}

#[test]
fn ipv6_extension_headers_in_any_order() {
    let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let routing = |next: u8| join(&[&[next, 2, 4, 0, 0, 0, 0, 0], &[0; 16]]);
    let auth = |next: u8| join(&[&[next, 4, 0, 0], &[0; 20]]);
    let atomic = |next: u8| [next, 0, 0, 0, 0, 0, 0, 9];
    let segment = tcp(b"a");
    let chain = join(&[&options(43), &routing(60), &options(51), &auth(44), &atomic(6), &segment]);
    assert_payload(decode(RAW, &ipv6(0, &chain)), b"a");
    let other = join(&[&atomic(60), &options(0), &options(135), &options(6), &segment]);
    assert_payload(decode(RAW, &ipv6(44, &other)), b"a");
    // As GoReplay's parser: they are part of the packet's length, which trims padding all the same.
    let padded = join(&[&ether(0x86dd, &ipv6(0, &chain)), &[0; 12]]);
    assert_payload(decode(ETHERNET, &padded), b"a");
}

#[test]
fn ipv4_authentication_headers() {
    let packet = ipv4(51, &join(&[&[6, 4, 0, 0], &[0; 20], &tcp(b"a")]));
    assert_payload(decode(RAW, &packet), b"a");
}

#[test]
fn other_protocols_are_not_tcp() {
    for number in [0, 1, 17, 44, 50, 58, 59, 132, 255] {
        assert_eq!(decode(RAW, &ipv4(number, &[0; 40])), Err(Ignored::NotTcp), "{number}");
    }
    for number in [1, 17, 50, 58, 59, 132, 255] {
        assert_eq!(decode(RAW, &ipv6(number, &[0; 40])), Err(Ignored::NotTcp), "{number}");
    }
}

#[test]
fn a_wrong_version_is_malformed() {
    assert_eq!(decode(RAW, &[0x50; 40]), Err(Ignored::Malformed));
    let mut packet = ipv4(6, &tcp(b"a"));
    packet[0] = 0x44;
    assert_eq!(decode(RAW, &packet), Err(Ignored::Malformed));
}

#[test]
fn a_snapped_payload_is_cut() {
    let frame = plain(&[b'x'; 1000]);
    let seen = decode_snapped(ETHERNET, &frame, 128).expect("a segment");
    assert_eq!((seen.payload.len(), seen.cut), (128 - 54, 1000 - (128 - 54)));
    let padded = join(&[&plain(b"abc"), &[0; 30]]);
    let seen = decode_snapped(ETHERNET, &padded, 56).expect("a segment");
    assert_eq!((seen.payload.as_slice(), seen.cut), (b"ab".as_slice(), 1));
}

#[test]
fn a_frame_snapped_within_the_tcp_header_is_used_as_far_as_it_goes() {
    let mut frame = plain(&join(&[&[1; 12], b"abcde"]));
    frame[46] = 0x80;
    for captured in 48..frame.len() {
        let seen = decode_snapped(ETHERNET, &frame, captured).expect("ports and numbers are here");
        assert_eq!(seen.payload.len() + seen.cut as usize, 5, "captured {captured}");
        assert_eq!(seen.payload.len(), captured.saturating_sub(66));
        assert_eq!(seen.ack, Some(2000));
    }
    for captured in 0..48 {
        assert_eq!(decode_snapped(ETHERNET, &frame, captured), Err(Ignored::Truncated));
    }
}

#[test]
fn a_frame_that_ends_within_its_headers_is_malformed() {
    let frame = plain(b"");
    for len in 0..48 {
        let result = decode(ETHERNET, &frame[..len]);
        // From the IP length on, the packet announces what the frame does not have.
        let expected = if len < 34 { Ignored::Malformed } else { Ignored::Truncated };
        assert_eq!(result, Err(expected), "length {len}");
    }
}
