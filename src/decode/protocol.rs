//! What an IP packet carries besides TCP: extension headers, IPv6 fragments, tunnels.
//!
//! In: an IP payload and its protocol number. Out: the next layer, or the fragment that it is.
//! Extension headers are taken in any order and number (RFC 8200 section 4.1 asks receivers to), up
//! to the limit on layers. What is encrypted (ESP) or anything else is [`Ignored::NotTcp`].

use etherparse::err::ip_auth;
use etherparse::{IpAuthHeaderSlice, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};

use crate::model::Ignored;

use super::fragment::{Key, Piece};
use super::layer::{Context, Layer, Protocol, Step};
use super::span::Span;
use super::{gre, udp};

/// Goes into an IP payload that is not TCP.
#[inline]
pub(super) fn payload<'a>(
    protocol: Protocol,
    span: Span<'a>,
    context: &mut Context,
) -> Result<Step<'a>, Ignored> {
    let v6 = protocol.src.is_ipv6();
    let (layer, rest) = match protocol.number {
        // Hop-by-hop, routing, destination options, mobility, host identity, shim6: all of one form.
        0 | 43 | 60 | 135 | 139 | 140 if v6 => option_header(protocol, span)?,
        44 if v6 => return fragment_header(protocol, span, context),
        51 => authentication(protocol, span)?,
        17 => udp::datagram(&protocol, span, context)?,
        gre::NUMBER => gre::header(&protocol, span, context)?,
        // IP in IP, either version in either.
        4 | 41 => {
            context.enter_between(&protocol);
            (Layer::Ip, span)
        }
        115 => {
            context.enter_between(&protocol);
            (Layer::L2tpIp, span)
        }
        137 => (Layer::Mpls, span),
        _ => return Err(Ignored::NotTcp),
    };
    Ok(Step::Into(layer, rest))
}

/// The same packet behind a header of `len` bytes, with `next` as its protocol.
fn behind(
    protocol: Protocol,
    span: Span<'_>,
    len: usize,
    next: u8,
) -> Result<(Layer, Span<'_>), Ignored> {
    Ok((Layer::Protocol(Protocol { number: next, ..protocol }), span.skip(len)?))
}

fn option_header(protocol: Protocol, span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let header = Ipv6RawExtHeaderSlice::from_slice(span.bytes())
        .map_err(|short| span.too_short_for(short.required_len))?;
    behind(protocol, span, header.slice().len(), header.next_header().0)
}

fn authentication(protocol: Protocol, span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let header = IpAuthHeaderSlice::from_slice(span.bytes()).map_err(|error| match error {
        ip_auth::HeaderSliceError::Len(short) => span.too_short_for(short.required_len),
        ip_auth::HeaderSliceError::Content(_) => Ignored::Malformed,
    })?;
    behind(protocol, span, header.slice().len(), header.next_header().0)
}

fn fragment_header<'a>(
    protocol: Protocol,
    span: Span<'a>,
    context: &Context,
) -> Result<Step<'a>, Ignored> {
    let header = Ipv6FragmentHeaderSlice::from_slice(span.bytes())
        .map_err(|short| span.too_short_for(short.required_len))?;
    let next = Protocol { number: header.next_header().0, ..protocol };
    let payload = span.skip(header.slice().len())?;
    // An atomic fragment is a whole datagram and never waits for another (RFC 6946).
    if !header.is_fragmenting_payload() {
        return Ok(Step::Into(Layer::Protocol(next), payload));
    }
    Ok(Step::Fragment(Piece {
        key: Key::v6(&protocol, header.identification(), context),
        protocol: next,
        offset: header.fragment_offset(),
        more: header.more_fragments(),
        payload,
        context: *context,
    }))
}
