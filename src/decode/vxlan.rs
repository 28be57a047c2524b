//! VXLAN (RFC 7348): Ethernet in UDP, as AWS VPC Traffic Mirroring and many overlays deliver it.
//!
//! In: the payload of a UDP datagram to a VXLAN port. Out: the Ethernet frame inside, the network
//! identifier in the encapsulation.

use crate::model::Ignored;

use super::layer::{Context, Layer, Tag};
use super::span::Span;

/// The I flag: the identifier is valid. The other flags are reserved or belong to extensions (group
/// policy) that change nothing behind the header.
const HAS_VNI: u8 = 0x08;
/// The P flag of VXLAN-GPE: another protocol than Ethernet may follow.
const NEXT_PROTOCOL: u8 = 0x04;

/// Takes the header off.
pub(super) fn header<'a>(
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    let (&[flags, _, _, next, v2, v1, v0, _], rest) = span.split::<8>()?;
    if flags & HAS_VNI == 0 {
        return Err(Ignored::NotTcp);
    }
    context.enter(Tag::Vni, u64::from(u32::from_be_bytes([0, v2, v1, v0])));
    match next {
        1 | 2 if flags & NEXT_PROTOCOL != 0 => Ok((Layer::Ip, rest)),
        _ if flags & NEXT_PROTOCOL == 0 || next == 3 => Ok((Layer::Ethernet, rest)),
        _ => Err(Ignored::NotTcp),
    }
}
