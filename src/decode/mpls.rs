//! MPLS label stacks (RFC 3032).
//!
//! In: a label stack. Out: what is under it. Labels name a path in one direction, so they are no part
//! of the encapsulation. Nothing says what follows the last label; the first half-byte tells IP,
//! and a pseudowire carries Ethernet behind a control word that begins with 0 (RFC 4385), or bare.

use crate::model::Ignored;

use super::ether;
use super::layer::Layer;
use super::span::Span;

/// Labels in one stack; what networks use stays below 10.
const MAX_LABELS: usize = 16;

/// Takes the labels off.
pub(super) fn label_stack(mut span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    for _ in 0..MAX_LABELS {
        let (&[_, _, low, _], rest) = span.split::<4>()?;
        let is_bottom = low & 1 != 0;
        if is_bottom {
            return payload(rest);
        }
        span = rest;
    }
    Err(Ignored::Malformed)
}

fn payload(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let first = span.bytes().first().ok_or(span.too_short_for(1))?;
    match first >> 4 {
        4 | 6 => Ok((Layer::Ip, span)),
        0 => {
            let behind_control_word = span.skip(4)?;
            if ether::is_plausible(behind_control_word.bytes()) {
                Ok((Layer::Ethernet, behind_control_word))
            } else {
                bare_ethernet(span)
            }
        }
        _ => bare_ethernet(span),
    }
}

fn bare_ethernet(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    if ether::is_plausible(span.bytes()) {
        Ok((Layer::Ethernet, span))
    } else {
        Err(Ignored::NotIp)
    }
}
