//! What a frame begins with, by the link type of the capture.
//!
//! In: a LINKTYPE_ number (tcpdump.org/linktypes.html) and the frame. Out: the first layer inside.
//! Handles here those whose header is nothing but a hint at the network layer: null, loop, raw.
//! A link type that is not listed is [`Ignored::UnknownLink`].

use crate::model::{Ignored, LinkType};

use super::cooked;
use super::layer::Layer;
use super::span::Span;

/// BSD loopback: the address family in the byte order of the writing host.
const NULL: u32 = 0;
const ETHERNET: u32 = 1;
/// PPP, address and control bytes present or not.
const PPP: u32 = 9;
/// Raw IP. Files say 101; libpcap's DLT_RAW is 12 on Linux and most systems, 14 on OpenBSD.
const RAW: [u32; 3] = [101, 12, 14];
/// PPP in HDLC-like framing (RFC 1662).
const PPP_HDLC: u32 = 50;
/// PPPoE without the Ethernet header.
const PPP_ETHER: u32 = 51;
/// OpenBSD loopback: as NULL, in network byte order.
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const LINUX_SLL2: u32 = 276;

/// The first layer inside the frame.
#[inline]
pub(super) fn payload(link: LinkType, span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    match link.0 {
        ETHERNET => Ok((Layer::Ethernet, span)),
        LINUX_SLL2 => cooked::v2(span),
        LINUX_SLL => cooked::v1(span),
        NULL | LOOP => loopback(span),
        IPV4 | IPV6 => Ok((Layer::Ip, span)),
        raw if RAW.contains(&raw) => Ok((Layer::Ip, span)),
        PPP | PPP_HDLC => Ok((Layer::Ppp, span)),
        PPP_ETHER => Ok((Layer::PppoeSession, span)),
        _ => Err(Ignored::UnknownLink),
    }
}

/// Four bytes of address family, in either byte order: AF_INET is 2 everywhere, AF_INET6 is what
/// each system liked. The IP header's version decides between the two.
fn loopback(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (family, rest) = span.split::<4>()?;
    let family = u32::from_be_bytes(*family).min(u32::from_le_bytes(*family));
    match family {
        // IPv4; IPv6 on Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        2 | 10 | 23 | 24 | 28 | 30 => Ok((Layer::Ip, rest)),
        _ => Err(Ignored::NotIp),
    }
}
