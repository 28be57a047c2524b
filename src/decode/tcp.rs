//! The TCP header (RFC 9293 section 3.1).
//!
//! In: the payload of an IP packet. Out: a segment. Reads only the bytes it needs, by hand: etherparse
//! wants the whole header with its options, but a frame snapped behind the first 14 bytes still tells
//! ports, sequence numbers and flags, and how much payload was not captured.
//! The payload's bytes mean nothing here: only zeros are data like any other.

use crate::model::{Endpoint, Flags, Ignored, Segment, SeqNum};

use super::layer::{Context, Protocol};
use super::span::Span;

/// TCP's IP protocol number.
pub(super) const NUMBER: u8 = 6;
/// The shortest data offset, in bytes.
const MIN_HEADER: usize = 20;

/// Reads one segment.
#[inline]
pub(super) fn segment<'a>(
    span: Span<'a>,
    ip: &Protocol,
    context: &Context,
) -> Result<Segment<'a>, Ignored> {
    let (&[s1, s0, d1, d0, q3, q2, q1, q0, a3, a2, a1, a0, offset, bits], _) =
        span.split::<14>()?;
    let header_len = usize::from(offset >> 4) * 4;
    if header_len < MIN_HEADER {
        return Err(Ignored::Malformed);
    }
    let payload = span.skip_snapped(header_len)?;
    let is_ack = bits & 0x10 != 0;
    let urgent = if bits & 0x20 != 0 { urgent_pointer(span) } else { None };
    Ok(Segment {
        time: context.time,
        src: Endpoint::new(ip.src, u16::from_be_bytes([s1, s0])),
        dst: Endpoint::new(ip.dst, u16::from_be_bytes([d1, d0])),
        encapsulation: context.encapsulation,
        seq: SeqNum(u32::from_be_bytes([q3, q2, q1, q0])),
        ack: is_ack.then_some(SeqNum(u32::from_be_bytes([a3, a2, a1, a0]))),
        flags: Flags { fin: bits & 0x01 != 0, syn: bits & 0x02 != 0, rst: bits & 0x04 != 0 },
        urgent,
        payload: payload.bytes(),
        cut: u32::try_from(payload.cut()).unwrap_or(u32::MAX),
    })
}

/// The urgent pointer, where it was captured.
fn urgent_pointer(span: Span<'_>) -> Option<u16> {
    let pointer = span.bytes().get(18..20)?;
    Some(u16::from_be_bytes(pointer.try_into().ok()?))
}
