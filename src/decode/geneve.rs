//! Geneve (RFC 8926): any EtherType in UDP, with options.
//!
//! In: the payload of a UDP datagram to the Geneve port. Out: the layer inside, the network
//! identifier in the encapsulation. Options are skipped, critical ones too: they speak to the
//! tunnel's end.

use crate::model::Ignored;

use super::layer::{Context, Layer, Tag};
use super::span::Span;

/// Takes the header off.
pub(super) fn header<'a>(
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    let (&[first, _, t1, t0, v2, v1, v0, _], rest) = span.split::<8>()?;
    let (version, options_len) = (first >> 6, usize::from(first & 0x3f) * 4);
    if version != 0 {
        return Err(Ignored::NotTcp);
    }
    context.enter(Tag::Vni, u64::from(u32::from_be_bytes([0, v2, v1, v0])));
    Ok((Layer::EtherType(u16::from_be_bytes([t1, t0])), rest.skip(options_len)?))
}
