//! Packets, and the capture that they make when they are laid out as frames one behind the other.

use std::net::Ipv4Addr;
use std::ops::Range;

use shadowtap::model::{Endpoint, Flags, Frame, LinkType, Segment, SeqNum, Timestamp};

/// TCP control bits.
pub const FIN: u8 = 0x01;
/// See [`FIN`].
pub const SYN: u8 = 0x02;
/// See [`FIN`].
pub const ACK: u8 = 0x10;

const ETHERNET: u32 = 1;
/// Ethernet, IPv4, and TCP with the time stamp option, as Linux sends it.
const HEADERS: usize = 14 + 20 + 32;
const START: Timestamp = Timestamp::from_parts(1_700_000_000, 0);
/// Nanoseconds from packet to packet: 200,000 packets a second.
const SPACING: u64 = 5_000;

/// One TCP segment of a connection.
pub struct Packet {
    /// Which connection.
    pub conn: usize,
    /// Who sent it.
    pub from_client: bool,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number; meaningless without [`ACK`].
    pub ack: u32,
    /// Control bits.
    pub bits: u8,
    /// The data.
    pub payload: Vec<u8>,
}

impl Packet {
    fn ends(&self) -> (Endpoint, Endpoint) {
        let number = self.conn as u32;
        // 50,000 connections from each address.
        let client = Ipv4Addr::from_bits(0x0a00_0001 + number / 50_000);
        let client = Endpoint::new(client.into(), (10_000 + number % 50_000) as u16);
        let server = Endpoint::new(Ipv4Addr::new(10, 99, 0, 1).into(), 80);
        if self.from_client { (client, server) } else { (server, client) }
    }
}

struct Placed {
    time: Timestamp,
    frame: Range<usize>,
    payload_len: usize,
    src: Endpoint,
    dst: Endpoint,
    seq: u32,
    ack: u32,
    bits: u8,
}

/// A capture in memory.
pub struct Capture {
    bytes: Vec<u8>,
    placed: Vec<Placed>,
}

impl Capture {
    /// Lays packets out as frames, evenly spaced in time.
    pub fn new(packets: &[Packet]) -> Self {
        let mut capture = Self { bytes: Vec::new(), placed: Vec::with_capacity(packets.len()) };
        for (number, packet) in packets.iter().enumerate() {
            let start = capture.bytes.len();
            push_frame(&mut capture.bytes, packet);
            let (src, dst) = packet.ends();
            capture.placed.push(Placed {
                time: Timestamp::from_nanos(START.as_nanos() + number as u64 * SPACING),
                frame: start..capture.bytes.len(),
                payload_len: packet.payload.len(),
                src,
                dst,
                seq: packet.seq,
                ack: packet.ack,
                bits: packet.bits,
            });
        }
        capture
    }

    /// The bytes of all frames.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many frames.
    pub fn len(&self) -> usize {
        self.placed.len()
    }

    /// The frames in order.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.placed.iter().map(|placed| {
            let bytes = &self.bytes[placed.frame.clone()];
            let (time, wire_len) = (placed.time, bytes.len() as u32);
            Frame { time, link: LinkType(ETHERNET), bytes, wire_len }
        })
    }

    /// The segments that a decoder finds in these frames.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.placed.iter().map(|placed| Segment {
            time: placed.time,
            src: placed.src,
            dst: placed.dst,
            encapsulation: 0,
            seq: SeqNum(placed.seq),
            ack: (placed.bits & ACK > 0).then_some(SeqNum(placed.ack)),
            flags: Flags { fin: placed.bits & FIN > 0, syn: placed.bits & SYN > 0, rst: false },
            urgent: None,
            payload: &self.bytes[placed.frame.end - placed.payload_len..placed.frame.end],
            cut: 0,
        })
    }

    /// The same as a pcap file with nanoseconds.
    pub fn pcap(&self) -> Vec<u8> {
        let mut file = Vec::with_capacity(self.bytes.len() + 16 * self.len() + 24);
        for word in [0xa1b2_3c4d_u32, 2 | 4 << 16, 0, 0, 262_144, ETHERNET] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        for frame in self.frames() {
            let nanos = frame.time.as_nanos();
            let (secs, rest) = ((nanos / 1_000_000_000) as u32, (nanos % 1_000_000_000) as u32);
            for word in [secs, rest, frame.bytes.len() as u32, frame.wire_len] {
                file.extend_from_slice(&word.to_le_bytes());
            }
            file.extend_from_slice(frame.bytes);
        }
        file
    }
}

fn push_frame(out: &mut Vec<u8>, packet: &Packet) {
    let (src, dst) = packet.ends();
    let total = (HEADERS - 14 + packet.payload.len()) as u16;
    out.extend_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]);
    out.extend_from_slice(&[0x45, 0]);
    out.extend_from_slice(&total.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    for end in [src, dst] {
        if let std::net::IpAddr::V4(ip) = end.ip {
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&src.port.to_be_bytes());
    out.extend_from_slice(&dst.port.to_be_bytes());
    out.extend_from_slice(&packet.seq.to_be_bytes());
    out.extend_from_slice(&packet.ack.to_be_bytes());
    out.extend_from_slice(&[0x80, packet.bits, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend_from_slice(&[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&packet.payload);
}
