//! What a frame begins with, by the link type of the capture.
//!
//! In: a LINKTYPE_ number (tcpdump.org/linktypes.html) and the frame. Out: the first layer inside.
//! Handles here those whose header is nothing but a hint at the network layer: null, loop, raw, and
//! what OpenBSD puts before packets of its IPsec and packet filter.
//! A link type that is not listed is [`Ignored::UnknownLink`].

use crate::model::{Ignored, LinkType};

use super::layer::Layer;
use super::span::Span;
use super::{chdlc, cooked, nflog, ppp, wifi};

/// BSD loopback: the address family in the byte order of the writing host.
const NULL: u32 = 0;
const ETHERNET: u32 = 1;
/// PPP, address and control bytes present or not.
const PPP: u32 = 9;
/// Raw IP. Files say 101; libpcap's DLT_RAW is 12 on Linux and most systems, 14 on OpenBSD.
const RAW: [u32; 3] = [101, 12, 14];
/// PPP in HDLC-like framing (RFC 1662).
const PPP_HDLC: u32 = 50;
/// Cisco HDLC.
const CHDLC: u32 = 104;
/// PPP as Linux's pppd writes it: a direction in place of the address.
const PPP_PPPD: u32 = 166;
/// PPP behind a byte of direction.
const PPP_WITH_DIRECTION: u32 = 204;
/// PPPoE without the Ethernet header.
const PPP_ETHER: u32 = 51;
/// OpenBSD loopback: as NULL, in network byte order.
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
/// 802.11, and behind a radiotap header.
const WIFI: u32 = 105;
const RADIOTAP: u32 = 127;
/// OpenBSD's IPsec interface: address family, SPI, flags (4 bytes each).
const ENC: u32 = 109;
/// OpenBSD's packet filter log: its header's length comes first.
const PFLOG: u32 = 117;
/// MPLS labels first.
const MPLS: u32 = 219;
const NFLOG: u32 = 239;
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
        PPP => Ok((Layer::Ppp, span)),
        PPP_HDLC => ppp::hdlc(span),
        PPP_PPPD => Ok((Layer::Ppp, span.skip(2)?)),
        PPP_WITH_DIRECTION => Ok((Layer::Ppp, span.skip(1)?)),
        CHDLC => chdlc::frame(span),
        WIFI => Ok((Layer::Wifi, span)),
        RADIOTAP => wifi::radiotap(span),
        NFLOG => nflog::packet(span),
        MPLS => Ok((Layer::Mpls, span)),
        ENC => Ok((Layer::Ip, span.skip(12)?)),
        PFLOG => packet_filter_log(span),
        PPP_ETHER => Ok((Layer::PppoeSession, span)),
        _ => Err(Ignored::UnknownLink),
    }
}

/// A header as long as its first byte says, padded to a multiple of 4; the address family is the second.
fn packet_filter_log(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (&[len, _], _) = span.split::<2>()?;
    if len < 4 {
        return Err(Ignored::Malformed);
    }
    Ok((Layer::Ip, span.skip(usize::from(len).next_multiple_of(4))?))
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
