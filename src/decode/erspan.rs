//! ERSPAN: what a Cisco switch mirrors, in GRE (draft-foschiano-erspan).
//!
//! In: the payload of GRE. Out: the mirrored frame, the session's number in the encapsulation. Type I
//! has no header of its own: GRE without a sequence number. The VLAN in the header is that of the
//! mirrored port, which may differ between the directions, and is no part of the encapsulation; a
//! tag within the frame is.

use crate::model::Ignored;

use super::layer::{Context, Layer, Tag};
use super::span::Span;

/// EtherTypes in GRE: types I and II, and type III.
pub(super) const TYPE_2: u16 = 0x88be;
pub(super) const TYPE_3: u16 = 0x22eb;

/// Of type III: a subheader of 8 bytes follows.
const SUBHEADER: u8 = 0x01;

/// The header of type II: version and VLAN, session, index.
pub(super) fn type_2<'a>(
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    let (&[version, _, s1, s0, ..], rest) = span.split::<8>()?;
    if version >> 4 != 1 {
        return Err(Ignored::NotTcp);
    }
    context.enter(Tag::Erspan, session(s1, s0));
    Ok((Layer::Ethernet, rest))
}

/// The header of type III: version and VLAN, session, time, group, kind of frame.
pub(super) fn type_3<'a>(
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    let (&[version, _, s1, s0, .., kind, last], mut rest) = span.split::<12>()?;
    if version >> 4 != 2 {
        return Err(Ignored::NotTcp);
    }
    context.enter(Tag::Erspan, session(s1, s0));
    if last & SUBHEADER != 0 {
        rest = rest.skip(8)?;
    }
    match (kind >> 2) & 0x1f {
        0 => Ok((Layer::Ethernet, rest)),
        2 => Ok((Layer::Ip, rest)),
        _ => Err(Ignored::NotTcp),
    }
}

fn session(high: u8, low: u8) -> u64 {
    u64::from(u16::from_be_bytes([high & 0x03, low]))
}
