//! Teredo (RFC 4380): IPv6 in UDP, through address translators.
//!
//! In: the payload of a UDP datagram from or to the Teredo port. Out: the IPv6 packet behind the
//! indications that servers put before it. Anything else is [`Ignored::NotTcp`].

use crate::model::Ignored;

use super::layer::Layer;
use super::span::Span;

/// Takes off an authentication header (section 5.1.1), then an origin indication; either may be absent.
pub(super) fn packet(mut span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    if let [0, 1, id_len, authentication_len, ..] = *span.bytes() {
        // Identifier, value, nonce (8 bytes), confirmation.
        span = span.skip(4 + usize::from(id_len) + usize::from(authentication_len) + 9)?;
    }
    if span.bytes().starts_with(&[0, 0]) {
        // Obfuscated port and address of the origin.
        span = span.skip(8)?;
    }
    match span.bytes().first().map(|first| first >> 4) {
        Some(6) => Ok((Layer::Ip, span)),
        Some(_) => Err(Ignored::NotTcp),
        None => Err(span.too_short_for(1)),
    }
}
