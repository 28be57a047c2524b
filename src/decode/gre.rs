//! Generic Routing Encapsulation: RFC 2784 with the key and sequence number of RFC 2890, and the
//! enhanced form of PPTP (RFC 2637).
//!
//! In: the payload of an IP packet of protocol 47. Out: what the EtherType field announces. The key
//! goes into the encapsulation; without one, the pair of tunnel ends does. PPTP's call id differs
//! between the directions, so there too the ends stand for the tunnel.

use crate::model::Ignored;

use super::erspan;
use super::layer::{Context, Layer, Protocol, Tag};
use super::span::Span;

/// Its IP protocol number.
pub(super) const NUMBER: u8 = 47;

const CHECKSUM: u16 = 0x8000;
/// Source routes (RFC 1701), abolished by RFC 2784, which asks to drop such packets.
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// PPTP only.
const ACKNOWLEDGMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

/// What Aruba's access points send to their controllers: 802.11 frames, one number for each tunnel.
const ARUBA: std::ops::RangeInclusive<u16> = 0x8200..=0x8370;
const ARUBA_9000: u16 = 0x9000;

/// Takes the header off.
pub(super) fn header<'a>(
    ends: &Protocol,
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    let (&[f1, f0, t1, t0], mut rest) = span.split::<4>()?;
    let flags = u16::from_be_bytes([f1, f0]);
    let has = |bit: u16| flags & bit != 0;
    let version = flags & VERSION;
    if has(ROUTING) || version > 1 {
        return Err(Ignored::NotTcp);
    }
    if has(CHECKSUM) {
        rest = rest.skip(4)?;
    }
    if has(KEY) && version == 0 {
        let (key, behind) = rest.split::<4>()?;
        context.enter(Tag::GreKey, u64::from(u32::from_be_bytes(*key)));
        rest = behind;
    } else {
        context.enter_between(ends);
        rest = if has(KEY) { rest.skip(4)? } else { rest };
    }
    if has(SEQUENCE) {
        rest = rest.skip(4)?;
    }
    if version == 1 && has(ACKNOWLEDGMENT) {
        rest = rest.skip(4)?;
    }
    let inner = match u16::from_be_bytes([t1, t0]) {
        // Type I has no header, and GRE then no sequence number.
        erspan::TYPE_2 if !has(SEQUENCE) => Layer::Ethernet,
        erspan::TYPE_2 => Layer::Erspan2,
        erspan::TYPE_3 => Layer::Erspan3,
        ARUBA_9000 => Layer::Wifi,
        kind if ARUBA.contains(&kind) && kind & 0x0f == 0 => Layer::Wifi,
        ether_type => Layer::EtherType(ether_type),
    };
    Ok((inner, rest))
}
