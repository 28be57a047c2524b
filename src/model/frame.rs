//! A frame: bytes as captured, with packet time and link type.

use super::Timestamp;

/// A link-layer header type as in pcap files (the LINKTYPE_ numbers of tcpdump.org, which on Linux
/// agree with libpcap's DLT_ numbers for the types decoded here, except DLT_RAW, see `decode`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkType(pub u32);

/// One frame as the capture delivered it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Packet time.
    pub time: Timestamp,
    /// How `bytes` begin.
    pub link: LinkType,
    /// The bytes captured, at most the snap length.
    pub bytes: &'a [u8],
    /// Length on the wire; larger than `bytes.len()` when the frame was snapped.
    pub wire_len: u32,
}
