//! The short way through a plain frame: Ethernet or cooked, IP without tunnels, TCP.
//!
//! In: a frame. Out: its segment, or nothing, and then the walk in `layer` decides. The same steps as
//! there, but in a straight line: the walk's cost is that it carries every kind of layer from turn
//! to turn. Guaranteed: never another segment than the walk would give.

use crate::model::{Frame, Segment};

use super::layer::{Context, Layer, Step};
use super::span::Span;
use super::{ether, ip, link, tcp};

/// The segment of a frame that has nothing special.
#[inline]
pub(super) fn segment<'a>(frame: &Frame<'a>) -> Option<Segment<'a>> {
    let context = Context::new(frame.time);
    let (mut layer, mut span) = link::payload(frame.link, Span::of_frame(frame)).ok()?;
    if let Layer::Ethernet = layer {
        (layer, span) = ether::frame(span).ok()?;
    }
    match layer {
        Layer::Ip => {}
        Layer::EtherType(number) if ether::IP_TYPES.contains(&number) => {}
        _ => return None,
    }
    match ip::packet(span, &context) {
        Ok(Step::Into(Layer::Protocol(protocol), rest)) if protocol.number == tcp::NUMBER => {
            tcp::segment(rest, &protocol, &context).ok()
        }
        _ => None,
    }
}
