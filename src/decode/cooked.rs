//! Linux cooked captures, versions 1 and 2: what `-i any` and devices without a link layer give.
//!
//! In: a frame with such a header. Out: the EtherType inside. Both are read here: etherparse 0.21
//! has no version 2, and refuses version 1 from loopback (ARPHRD 772) and tun (65534) devices.

use crate::model::Ignored;

use super::layer::Layer;
use super::span::Span;

/// Netlink messages: the protocol field holds a netlink family.
const ARPHRD_NETLINK: u16 = 824;
/// 802.11 in its variants (plain, Prism, radiotap): the protocol field means nothing.
const ARPHRD_IEEE80211: std::ops::RangeInclusive<u16> = 801..=803;

/// An 802.2 LLC header follows instead of an EtherType's payload (Linux ETH_P_802_2).
const ETH_P_802_2: u16 = 4;

/// LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length (2 bytes each), address (8), protocol.
#[inline]
pub(super) fn v1(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (header, rest) = span.split::<16>()?;
    let &[_, _, h1, h0, .., p1, p0] = header;
    Ok((protocol(u16::from_be_bytes([h1, h0]), u16::from_be_bytes([p1, p0]))?, rest))
}

/// LINKTYPE_LINUX_SLL2: protocol, reserved (2 bytes each), interface index (4), ARPHRD (2),
/// packet type, address length (1 each), address (8).
#[inline]
pub(super) fn v2(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (header, rest) = span.split::<20>()?;
    let &[p1, p0, _, _, _, _, _, _, h1, h0, ..] = header;
    Ok((protocol(u16::from_be_bytes([h1, h0]), u16::from_be_bytes([p1, p0]))?, rest))
}

/// What the protocol field means under this hardware type.
fn protocol(arphrd: u16, protocol: u16) -> Result<Layer, Ignored> {
    match protocol {
        _ if arphrd == ARPHRD_NETLINK || ARPHRD_IEEE80211.contains(&arphrd) => Err(Ignored::NotIp),
        ETH_P_802_2 => Ok(Layer::Llc),
        // Other numbers below 0x0600 are Linux's own (802.3 frames without LLC, CAN, ...).
        0..0x0600 => Err(Ignored::NotIp),
        ether_type => Ok(Layer::EtherType(ether_type)),
    }
}
