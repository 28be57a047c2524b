//! L2TP: version 2 (RFC 2661) and version 3 (RFC 3931) over UDP, version 3 over IP.
//!
//! In: the payload of a UDP datagram from or to the L2TP port, or of an IP packet of protocol 115. Out:
//! the PPP or Ethernet frame inside. Session ids differ between the directions, so the two ends
//! stand for the tunnel. Control messages are [`Ignored::NotTcp`]. Of version 3 only the two ends
//! know whether a cookie and a sublayer stand before the frame: the first place where a frame
//! seems to begin is taken.

use crate::model::Ignored;

use super::ether;
use super::layer::Layer;
use super::span::Span;

const CONTROL: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;
const VERSION: u16 = 0x000f;

/// Bytes between version 3's session id and the frame: a cookie of 0, 4 or 8, a sublayer of 0 or 4.
const BEFORE_FRAME: [usize; 4] = [0, 4, 8, 12];

/// Over UDP, either version.
pub(super) fn over_udp(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (&[f1, f0], rest) = span.split::<2>()?;
    let flags = u16::from_be_bytes([f1, f0]);
    match flags & VERSION {
        _ if flags & CONTROL != 0 => Err(Ignored::NotTcp),
        2 => version_2(flags, rest),
        // Two reserved bytes, then as over IP.
        3 => over_ip(rest.skip(2)?),
        _ => Err(Ignored::NotTcp),
    }
}

fn version_2(flags: u16, span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let has = |bit: u16| flags & bit != 0;
    let mut rest = if has(LENGTH) { span.skip(2)? } else { span };
    // Tunnel and session.
    rest = rest.skip(4)?;
    if has(SEQUENCE) {
        rest = rest.skip(4)?;
    }
    if has(OFFSET) {
        let (size, behind) = rest.split::<2>()?;
        rest = behind.skip(usize::from(u16::from_be_bytes(*size)))?;
    }
    Ok((Layer::Ppp, rest))
}

/// Version 3 from its session id on.
pub(super) fn over_ip(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (session, rest) = span.split::<4>()?;
    if *session == [0; 4] {
        return Err(Ignored::NotTcp);
    }
    for before in BEFORE_FRAME {
        let frame = rest.skip(before)?;
        if ether::is_plausible(frame.bytes()) {
            return Ok((Layer::Ethernet, frame));
        }
        if matches!(frame.bytes(), [0xff, 0x03, 0x00, 0x21 | 0x57, ..]) {
            return Ok((Layer::Ppp, frame));
        }
    }
    Err(if rest.cut() > 0 { Ignored::Truncated } else { Ignored::NotTcp })
}
