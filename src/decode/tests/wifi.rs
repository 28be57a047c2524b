//! 802.11, bare and behind radiotap headers.

use super::*;

const WIFI: u32 = 105;
const RADIOTAP: u32 = 127;
/// Toward the access point, away from it, between two of them, between stations.
const DIRECTIONS: [u8; 4] = [0x01, 0x02, 0x03, 0x00];

/// LLC and SNAP, then IPv4.
fn llc(payload: &[u8]) -> Vec<u8> {
    join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ipv4(6, &tcp(payload))])
}

/// A data frame: subtype in the first byte, flags in the second, then what the two ask for.
fn data(subtype: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x08 | subtype, flags, 0, 0];
    frame.extend([[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]].concat());
    frame.extend([0x10, 0]);
    if flags & 3 == 3 {
        frame.extend([2, 0, 0, 0, 0, 4]);
    }
    join(&[&frame, rest])
}

/// A QoS data frame.
fn qos(flags: u8, control: u8, rest: &[u8]) -> Vec<u8> {
    data(0x80, flags, &join(&[&[control, 0], rest]))
}

/// A radiotap header of these presence words and fields.
fn radiotap(words: &[u32], fields: &[u8]) -> Vec<u8> {
    let len = (4 + 4 * words.len() + fields.len()) as u16;
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    join(&[&[0, 0], &len.to_le_bytes(), &words, fields])
}

#[test]
fn data_frames_in_every_direction() {
    for flags in DIRECTIONS {
        assert_payload(decode(WIFI, &data(0, flags, &llc(b"a"))), b"a");
        assert_payload(decode(WIFI, &qos(flags, 5, &llc(b"a"))), b"a");
        // HT control behind the QoS control.
        let with_ht = qos(flags | 0x80, 0, &join(&[&[0; 4], &llc(b"a")]));
        assert_payload(decode(WIFI, &with_ht), b"a");
    }
    let v6 = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd], &ipv6(6, &tcp(b"b"))]);
    let seen = assert_payload(decode(WIFI, &data(0, 1, &v6)), b"b");
    assert_eq!(seen.encapsulation, 0, "an access point sends the same on with other addresses");
}

#[test]
fn radiotap_headers_of_every_length_and_a_frame_check_sequence() {
    let frame = data(0, 1, &llc(b"a"));
    let with_fcs = join(&[&frame, &[0xde, 0xad, 0xbe, 0xef]]);
    let headers = [
        radiotap(&[0], &[]),
        radiotap(&[0x2], &[0x10]),
        // Time, flags, rate; the time is aligned to 8, where the fields begin at 8.
        radiotap(&[0x7], &[0, 0, 0, 0, 0, 0, 0, 1, 0x10, 12]),
        // Two more words of presence bits: the time moves to 16.
        radiotap(&[0x8000_0003, 0x8000_0000, 0], &[0, 0, 0, 0, 0, 0, 0, 1, 0x10]),
    ];
    for header in headers {
        assert_payload(decode(RADIOTAP, &join(&[&header, &with_fcs])), b"a");
    }
    let long = join(&[&[0, 0, 200, 0, 0, 0, 0, 0], &frame]);
    assert_eq!(decode(RADIOTAP, &long), Err(Ignored::Malformed));
    assert_eq!(decode(RADIOTAP, &join(&[&[9], &frame])), Err(Ignored::Malformed));
}

#[test]
fn a_header_padded_as_radiotap_says() {
    let padded = qos(1, 0, &join(&[&[0, 0], &llc(b"a")]));
    for header in [radiotap(&[0x2], &[0x20]), radiotap(&[0x3], &[0, 0, 0, 0, 0, 0, 0, 0, 0x20])] {
        assert_payload(decode(RADIOTAP, &join(&[&header, &padded])), b"a");
    }
    let four = data(0, 3, &join(&[&[0, 0], &llc(b"a")]));
    assert_payload(decode(RADIOTAP, &join(&[&radiotap(&[0x2], &[0x20]), &four])), b"a");
}

#[test]
fn what_is_protected_has_a_name_of_its_own() {
    let sealed = [0x5a; 60];
    for flags in DIRECTIONS {
        assert_eq!(decode(WIFI, &data(0, flags | 0x40, &sealed)), Err(Ignored::Encrypted));
        assert_eq!(decode(WIFI, &qos(flags | 0x40, 0, &sealed)), Err(Ignored::Encrypted));
    }
}

#[test]
fn what_the_card_has_decrypted_is_read_though_still_marked() {
    let plain = llc(b"a");
    assert_payload(decode(WIFI, &qos(0x42, 0, &plain)), b"a");
    let behind_ccmp = join(&[&[1, 0, 0, 0x20, 0, 0, 0, 0], &plain, &[7; 8]]);
    assert_payload(decode(WIFI, &qos(0x42, 0, &behind_ccmp)), b"a");
}

#[test]
fn what_carries_no_data_is_not_ip() {
    let beacon = join(&[&[0x80, 0], &[0; 60]]);
    let acknowledgment = [0xd4, 0, 0, 0, 2, 0, 0, 0, 0, 1];
    for frame in [&beacon[..], &acknowledgment, &data(0x40, 1, &[]), &data(0xc0, 1, &[0, 0])] {
        assert_eq!(decode(WIFI, frame), Err(Ignored::NotIp));
    }
    let arp = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 6], &[0; 28]]);
    assert_eq!(decode(WIFI, &data(0, 1, &arp)), Err(Ignored::NotIp));
}

#[test]
fn aggregates_of_one_are_read_and_of_several_are_named() {
    let part = |payload: &[u8]| {
        let inner = llc(payload);
        let len = (inner.len() as u16).to_be_bytes();
        join(&[&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8], &len, &inner])
    };
    assert_payload(decode(WIFI, &qos(1, 0x80, &part(b"a"))), b"a");
    let with_fcs = join(&[&part(b"a"), &[0xde, 0xad, 0xbe, 0xef]]);
    assert_payload(decode(WIFI, &qos(1, 0x80, &with_fcs)), b"a");
    let padding = vec![0; part(b"a").len().next_multiple_of(4) - part(b"a").len()];
    let two = join(&[&part(b"a"), &padding, &part(b"b")]);
    assert_eq!(decode(WIFI, &qos(1, 0x80, &two)), Err(Ignored::Aggregated));
}

#[test]
fn a_fragmented_frame_is_a_cut_segment_and_the_rest_is_dropped() {
    let whole = llc(&[b'x'; 100]);
    let mut first = data(0, 0x05, &whole[..90]);
    first[22] = 0x10;
    let mut second = data(0, 0x01, &whole[90..]);
    second[22] = 0x11;
    let seen = decode(WIFI, &first).expect("a segment");
    assert_eq!((seen.payload.len(), seen.cut), (42, 58));
    assert_eq!(decode(WIFI, &second), Err(Ignored::FragmentDropped));
}
