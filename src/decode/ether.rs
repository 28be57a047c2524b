//! Ethernet, VLAN tags, 802.2 LLC, and the map from EtherTypes to layers.
//!
//! In: an Ethernet frame, or what an EtherType announces. Out: the layer inside. VLAN ids go into
//! the encapsulation; priority bits, DEI and the priority tag (VLAN 0) do not, as they may differ
//! between the directions of one connection. Trailers and padding are left to the IP length.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use crate::model::Ignored;

use super::layer::{Context, Layer, Tag};
use super::span::Span;

/// EtherTypes of tags: 802.1Q, 802.1ad (QinQ), and what vendors used before 802.1ad.
const VLAN_TYPES: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
/// 802.1ah: a service's number, then a whole frame.
const BACKBONE: u16 = 0x88e7;
/// Cisco's VN-Tag: virtual interfaces, which differ between the directions.
const VN_TAG: u16 = 0x8926;
/// EtherTypes of IPv4 and IPv6.
pub(super) const IP_TYPES: [u16; 2] = [0x0800, 0x86dd];

/// An Ethernet II header, or an 802.3 one, whose length field is at most 1500.
#[inline]
pub(super) fn frame(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let header = Ethernet2HeaderSlice::from_slice(span.bytes())
        .map_err(|short| span.too_short_for(short.required_len))?;
    let rest = span.skip(header.slice().len())?;
    Ok((Layer::EtherType(header.ether_type().0), rest))
}

/// What this EtherType announces.
#[inline]
pub(super) fn payload<'a>(
    ether_type: u16,
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    match ether_type {
        ip if IP_TYPES.contains(&ip) => Ok((Layer::Ip, span)),
        tag if VLAN_TYPES.contains(&tag) => vlan(span, context),
        0x8847 | 0x8848 => Ok((Layer::Mpls, span)),
        BACKBONE => backbone(span, context),
        VN_TAG => {
            let (&[.., hi, lo], rest) = span.split::<6>()?;
            Ok((Layer::EtherType(u16::from_be_bytes([hi, lo])), rest))
        }
        0x8864 => Ok((Layer::PppoeSession, span)),
        0x880b => Ok((Layer::Ppp, span)),
        // Transparent Ethernet bridging: a whole frame in GRE or Geneve.
        0x6558 => Ok((Layer::Ethernet, span)),
        length @ 0..=1500 => Ok((Layer::Llc, span.limit(usize::from(length)))),
        _ => Err(Ignored::NotIp),
    }
}

/// Whether an Ethernet header seems to stand here: its EtherType is one that [`payload`] goes into.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    let ether_type = Ethernet2HeaderSlice::from_slice(bytes).map(|header| header.ether_type().0);
    ether_type.is_ok_and(|number| IP_TYPES.contains(&number) || VLAN_TYPES.contains(&number))
}

/// One VLAN tag; what is inside may be another.
fn vlan<'a>(span: Span<'a>, context: &mut Context) -> Result<(Layer, Span<'a>), Ignored> {
    let tag = SingleVlanHeaderSlice::from_slice(span.bytes())
        .map_err(|short| span.too_short_for(short.required_len))?;
    let id = tag.vlan_identifier().value();
    if id != 0 {
        context.enter(Tag::Vlan, u64::from(id));
    }
    Ok((Layer::EtherType(tag.ether_type().0), span.skip(tag.slice().len())?))
}

/// The service tag of 802.1ah: flags, 24 bits of service number.
fn backbone<'a>(span: Span<'a>, context: &mut Context) -> Result<(Layer, Span<'a>), Ignored> {
    let (&[_, s2, s1, s0], rest) = span.split::<4>()?;
    context.enter(Tag::Vni, u64::from(u32::from_be_bytes([0, s2, s1, s0])));
    Ok((Layer::Ethernet, rest))
}

/// An 802.2 LLC header: only SNAP (RFC 1042) and the old IP service access point carry IP.
pub(super) fn llc(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (sap, rest) = span.split::<3>()?;
    match sap {
        [0x06, 0x06, 0x03] => Ok((Layer::Ip, rest)),
        [0xaa, 0xaa, 0x03] => match rest.split::<5>()? {
            // OUI 0 (RFC 1042) or 802.1H's bridge tunnel.
            (&[0, 0, 0 | 0xf8, hi, lo], rest) => {
                Ok((Layer::EtherType(u16::from_be_bytes([hi, lo])), rest))
            }
            _ => Err(Ignored::NotIp),
        },
        _ => Err(Ignored::NotIp),
    }
}
