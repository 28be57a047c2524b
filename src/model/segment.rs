//! A TCP segment, and the named reasons for which a frame yields none.

use super::tally::causes;
use super::{Endpoint, SeqNum, Timestamp};

/// The TCP control bits that matter to a reader (RFC 9293 section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// No more data from the sender.
    pub fin: bool,
    /// Synchronise sequence numbers.
    pub syn: bool,
    /// Reset the connection.
    pub rst: bool,
}

/// One TCP segment, its payload still lying in the frame (or in the decoder's fragment buffer).
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Packet time.
    pub time: Timestamp,
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// A hash of VLAN tags and tunnel identifiers around the segment; 0 when there are none.
    pub encapsulation: u64,
    /// Sequence number of the first byte (of the SYN, when it is set).
    pub seq: SeqNum,
    /// Acknowledgment number, when the ACK bit is set.
    pub ack: Option<SeqNum>,
    /// Control bits.
    pub flags: Flags,
    /// The urgent pointer as it stands in the header, when the URG bit is set.
    pub urgent: Option<u16>,
    /// The payload bytes captured.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire behind `payload` but not captured (snapped).
    pub cut: u32,
}

impl Segment<'_> {
    /// Sequence number of the first payload byte: a SYN takes one number before it.
    pub fn data_seq(&self) -> SeqNum {
        self.seq + u32::from(self.flags.syn)
    }

    /// Payload length on the wire in bytes. Fits u32: an IP packet is at most 4 GiB (jumbogram).
    pub fn wire_len(&self) -> u32 {
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX).saturating_add(self.cut)
    }
}

causes!(
    /// Why a frame yielded no segment for the flows that are watched. Each is a ledger bucket.
    Ignored, IGNORED {
        /// The link type has no decoder.
        UnknownLink = "unknown_link",
        /// Not IP at all: ARP, LLDP, ...
        NotIp = "not_ip",
        /// IP, but not TCP.
        NotTcp = "not_tcp",
        /// A header contradicts itself or the frame's length.
        Malformed = "malformed",
        /// Snapped before the end of the TCP header.
        Truncated = "truncated",
        /// An IP fragment kept until its datagram is whole, or a copy of one; the frame that
        /// completes the datagram counts as decoded.
        Fragment = "fragment",
        /// An IP fragment refused or given up: over the limits, overlapping, or too old.
        FragmentDropped = "fragment_dropped",
        /// An 802.11 frame that is protected (WEP, WPA).
        Encrypted = "encrypted",
        /// Several packets in one 802.11 frame (A-MSDU), which are not taken apart.
        Aggregated = "aggregated",
        /// TCP, but neither port is watched.
        OtherPort = "other_port",
        /// TCP to a watched port, but its server is not an address of this host (see `--server`).
        OtherServer = "other_server",
        /// A connection to v2: never captured again.
        OwnConnection = "own_connection",
        /// Excluded by the user's `--filter`.
        Filter = "filter",
    }
);
