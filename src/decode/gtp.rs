//! GTP-U (3GPP TS 29.281): the packets of mobile subscribers, in UDP.
//!
//! In: the payload of a UDP datagram to the GTP-U port. Out: the IP packet inside. Extension headers are
//! skipped. Tunnel ids differ between the directions, so the two ends stand for the tunnel. Other
//! messages than user data are [`Ignored::NotTcp`].

use crate::model::Ignored;

use super::layer::Layer;
use super::span::Span;

/// Version 1, and GTP rather than GTP'.
const VERSION_AND_TYPE: u8 = 0xf0;
const GTP_1: u8 = 0x30;
/// An extension header, a sequence number, an N-PDU number: with any of them all three fields are there.
const EXTENSION: u8 = 0x04;
const OPTIONAL: u8 = 0x07;
/// A message that carries a user's packet.
const USER_DATA: u8 = 255;
/// Extension headers in one message; 5G uses one.
const MAX_EXTENSIONS: usize = 16;

/// Takes the headers off.
pub(super) fn header(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (&[flags, kind, ..], mut rest) = span.split::<8>()?;
    if flags & VERSION_AND_TYPE != GTP_1 || kind != USER_DATA {
        return Err(Ignored::NotTcp);
    }
    if flags & OPTIONAL != 0 {
        let (&[.., next], behind) = rest.split::<4>()?;
        rest = if flags & EXTENSION != 0 { extensions(next, behind)? } else { behind };
    }
    match rest.bytes().first().map(|first| first >> 4) {
        Some(4 | 6) => Ok((Layer::Ip, rest)),
        Some(_) => Err(Ignored::NotIp),
        None => Err(rest.too_short_for(1)),
    }
}

/// Extension headers: a length in units of four bytes, content, the next one's type, 0 for none.
fn extensions(mut next: u8, mut span: Span<'_>) -> Result<Span<'_>, Ignored> {
    for _ in 0..MAX_EXTENSIONS {
        if next == 0 {
            return Ok(span);
        }
        let (&[units], _) = span.split::<1>()?;
        let len = usize::from(units) * 4;
        if len == 0 {
            return Err(Ignored::Malformed);
        }
        let behind = span.skip(len)?;
        next = span.bytes().get(len - 1).copied().unwrap_or(0);
        span = behind;
    }
    Err(Ignored::Malformed)
}
