//! PPP (RFC 1661, 1662) and its carriage over Ethernet (PPPoE, RFC 2516).
//!
//! In: a PPP frame, or a PPPoE session packet. Out: IP or MPLS inside. Address, control and protocol
//! fields may be compressed (RFC 1661 section 6.5 and 6.6). The session id goes into the
//! encapsulation: both directions carry the same. Compressed or encrypted payloads are not read.

use crate::model::Ignored;

use super::chdlc;
use super::layer::{Context, Layer, Tag};
use super::span::Span;

/// A PPPoE session packet: version and type 1, code 0 (session data), session, length.
pub(super) fn pppoe<'a>(
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    let (&[version_type, code, s1, s0, l1, l0], rest) = span.split::<6>()?;
    if version_type != 0x11 {
        return Err(Ignored::Malformed);
    }
    if code != 0 {
        return Err(Ignored::NotIp);
    }
    context.enter(Tag::Pppoe, u64::from(u16::from_be_bytes([s1, s0])));
    Ok((Layer::Ppp, rest.limit(usize::from(u16::from_be_bytes([l1, l0])))))
}

/// A frame of an HDLC line: Cisco's, or PPP (RFC 1662), by its address.
pub(super) fn hdlc(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    if chdlc::is_plausible(span.bytes()) { chdlc::frame(span) } else { frame(span) }
}

/// A PPP frame.
pub(super) fn frame(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    // "All stations" and "unnumbered information", where they are not compressed away.
    let span = match span.split::<2>()? {
        (&[0xff, 0x03], rest) => rest,
        _ => span,
    };
    let (&[first], short) = span.split::<1>()?;
    // The last byte of a protocol number is odd, no other is: an odd first byte is the whole number.
    let (protocol, rest) = if first & 1 == 1 {
        (u16::from(first), short)
    } else {
        let (number, rest) = span.split::<2>()?;
        (u16::from_be_bytes(*number), rest)
    };
    match protocol {
        0x0021 | 0x0057 => Ok((Layer::Ip, rest)),
        0x0281 | 0x0283 => Ok((Layer::Mpls, rest)),
        _ => Err(Ignored::NotIp),
    }
}
