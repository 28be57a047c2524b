//! NFLOG: packets that the NFLOG target of netfilter handed to a capture.
//!
//! In: a frame with a header of four bytes and attributes (type, length, value) as netlink has them. Out:
//! the packet among them. Attributes are in the byte order of the host that captured, which nothing
//! names: a type is a small number, and that tells.

use crate::model::Ignored;

use super::layer::Layer;
use super::span::Span;

/// Address families: IPv4 and, on Linux alone, IPv6.
const FAMILIES: [u8; 2] = [2, 10];
/// The attribute that is the packet (`NFULA_PAYLOAD`).
const PAYLOAD: u16 = 9;
/// Attributes before it; the kernel knows some twenty kinds.
const MAX_ATTRIBUTES: usize = 64;

/// Goes into the packet.
pub(super) fn packet(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (&[family, version, _, _], mut rest) = span.split::<4>()?;
    if version != 0 {
        return Err(Ignored::Malformed);
    }
    if !FAMILIES.contains(&family) {
        return Err(Ignored::NotIp);
    }
    for _ in 0..MAX_ATTRIBUTES {
        let (&[a, b, c, d], value) = rest.split::<4>()?;
        let (len, kind) = match u16::from_le_bytes([c, d]) {
            kind @ 0..0x0100 => (u16::from_le_bytes([a, b]), kind),
            _ => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        };
        let value_len = usize::from(len).checked_sub(4).ok_or(Ignored::Malformed)?;
        if kind == PAYLOAD {
            return Ok((Layer::Ip, value.limit(value_len)));
        }
        rest = value.skip(value_len.next_multiple_of(4))?;
    }
    Err(Ignored::Malformed)
}
