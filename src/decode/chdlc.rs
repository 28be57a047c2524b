//! Cisco HDLC (RFC 1547 section 4.3.1): address, control, EtherType.
//!
//! In: a frame of a serial line. Out: what its EtherType announces. Keep-alives (SLARP) and the like are
//! [`Ignored::NotIp`].

use crate::model::Ignored;

use super::layer::Layer;
use super::span::Span;

/// Addresses: one station, all stations.
const ADDRESSES: [u8; 2] = [0x0f, 0x8f];

/// Whether the frame begins like one: in captures of HDLC lines, PPP may stand instead.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|address| ADDRESSES.contains(address))
}

/// Takes the header off.
pub(super) fn frame(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (&[_, _, t1, t0], rest) = span.split::<4>()?;
    match u16::from_be_bytes([t1, t0]) {
        // Below are lengths elsewhere; here they mean nothing.
        0..0x0600 => Err(Ignored::NotIp),
        ether_type => Ok((Layer::EtherType(ether_type), rest)),
    }
}
