//! Frames built byte by byte, and what must come out of them. One file for each group of layers.

mod fragments;
mod links;
mod mirrors;
mod network;
mod robust;
mod tunnels;
mod wifi;

use std::net::IpAddr;

use crate::model::{Frame, Ignored, LinkType, Segment, Timestamp};

use super::Decoder;

/// Link types as files name them.
pub(super) const ETHERNET: u32 = 1;
pub(super) const RAW: u32 = 101;

/// What a test looks at, free of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub from: String,
    pub to: String,
    pub encapsulation: u64,
    pub seq: u32,
    pub ack: Option<u32>,
    pub payload: Vec<u8>,
    pub cut: u32,
}

impl Seen {
    pub fn of(segment: &Segment<'_>) -> Self {
        Self {
            from: segment.src.to_string(),
            to: segment.dst.to_string(),
            encapsulation: segment.encapsulation,
            seq: segment.seq.0,
            ack: segment.ack.map(|ack| ack.0),
            payload: segment.payload.to_vec(),
            cut: segment.cut,
        }
    }
}

/// Decodes one frame, captured whole, by a decoder of its own.
pub(super) fn decode(link: u32, bytes: &[u8]) -> Result<Seen, Ignored> {
    decode_snapped(link, bytes, bytes.len())
}

/// Decodes one frame of which only the first bytes were captured.
pub(super) fn decode_snapped(link: u32, bytes: &[u8], captured: usize) -> Result<Seen, Ignored> {
    feed(&mut Decoder::default(), Timestamp::ZERO, link, bytes, captured)
}

/// Gives one more frame to a decoder.
pub(super) fn feed(
    decoder: &mut Decoder,
    time: Timestamp,
    link: u32,
    bytes: &[u8],
    captured: usize,
) -> Result<Seen, Ignored> {
    let wire_len = bytes.len() as u32;
    let frame = Frame { time, link: LinkType(link), bytes: &bytes[..captured], wire_len };
    decoder.decode(&frame).map(|segment| Seen::of(&segment))
}

/// The payload that must come out, and nothing cut.
#[track_caller]
pub(super) fn assert_payload(result: Result<Seen, Ignored>, payload: &[u8]) -> Seen {
    let seen = result.expect("a segment");
    assert_eq!((seen.payload.as_slice(), seen.cut), (payload, 0));
    seen
}

pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Which way a packet goes: client to server, or back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    There,
    Back,
}

/// A TCP segment from port 40000 to 80 (or back): sequence number 1000, acknowledging 2000.
pub(super) fn tcp_way(way: Way, payload: &[u8]) -> Vec<u8> {
    let mut ports = [40000u16.to_be_bytes(), 80u16.to_be_bytes()];
    if way == Way::Back {
        ports.reverse();
    }
    let fixed = [0, 0, 3, 0xe8, 0, 0, 7, 0xd0, 0x50, 0x18, 1, 0, 0, 0, 0, 0];
    join(&[&ports[0], &ports[1], &fixed, payload])
}

pub(super) fn tcp(payload: &[u8]) -> Vec<u8> {
    tcp_way(Way::There, payload)
}

/// A UDP datagram without length and checksum, as offload leaves it.
pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[0xc0, 0], &port.to_be_bytes(), &[0, 0, 0, 0], payload])
}

/// An IPv4 packet, 10.0.0.1 to 10.0.0.2, its checksum blank.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_way(Way::There, protocol, payload)
}

pub(super) fn ipv4_way(way: Way, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let [l1, l0] = len.to_be_bytes();
    let (src, dst) = if way == Way::There { (1, 2) } else { (2, 1) };
    let header = [0x45, 0, l1, l0, 0, 7, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, src, 10, 0, 0, dst];
    join(&[&header, payload])
}

/// An IPv6 packet, 2001:db8::1 to 2001:db8::2.
pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [l1, l0] = (payload.len() as u16).to_be_bytes();
    let address = |last| [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    join(&[&[0x60, 0, 0, 0, l1, l0, next, 64], &address(1), &address(2), payload])
}

/// An Ethernet frame, not padded.
pub(super) fn ether(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &ether_type.to_be_bytes(), payload])
}

/// What follows the EtherType 0x8100 or 0x88a8: tag control information, and the next EtherType.
pub(super) fn vlan(tci: u16, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&tci.to_be_bytes(), &ether_type.to_be_bytes(), payload])
}

/// The plainest frame: Ethernet, IPv4, TCP.
pub(super) fn plain(payload: &[u8]) -> Vec<u8> {
    ether(0x0800, &ipv4(6, &tcp(payload)))
}

/// A generator of pseudo-random numbers (splitmix64) whose seed a failing test prints.
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

#[test]
fn a_segment_carries_all_its_header_says() {
    let bytes = plain(b"GET /");
    let frame = Frame {
        time: Timestamp::from_nanos(7),
        link: LinkType(ETHERNET),
        bytes: &bytes,
        wire_len: bytes.len() as u32,
    };
    let mut decoder = Decoder::default();
    let segment = decoder.decode(&frame).expect("a segment");
    assert_eq!(segment.time, Timestamp::from_nanos(7));
    assert_eq!(segment.src.ip, IpAddr::from([10, 0, 0, 1]));
    assert!(!segment.flags.syn && !segment.flags.fin && !segment.flags.rst);
    let seen = Seen::of(&segment);
    assert_eq!((seen.from.as_str(), seen.to.as_str()), ("10.0.0.1:40000", "10.0.0.2:80"));
    assert_eq!((seen.seq, seen.ack, seen.encapsulation), (1000, Some(2000), 0));
    assert_eq!((seen.payload.as_slice(), seen.cut), (b"GET /".as_slice(), 0));
}
