//! IPv4 and IPv6 headers.
//!
//! In: an IP packet. Out: its payload with both addresses, or the fragment that it is. The length
//! field decides where the payload ends: what is behind it is Ethernet padding. Checksums are never
//! looked at: with offload, the sender's card fills them in behind the capture. Headers between IPv6
//! and its payload are left to `protocol`.

use std::net::IpAddr;

use etherparse::err::{ipv4, ipv6};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::model::Ignored;

use super::fragment::{Key, Piece};
use super::layer::{Context, Layer, Protocol, Step};
use super::span::Span;

/// An IP packet of the version that its first half-byte says.
#[inline]
pub(super) fn packet<'a>(span: Span<'a>, context: &Context) -> Result<Step<'a>, Ignored> {
    match span.bytes().first().map(|first| first >> 4) {
        Some(4) => v4(span, context),
        Some(6) => v6(span),
        Some(_) => Err(Ignored::Malformed),
        None => Err(span.too_short_for(1)),
    }
}

#[inline]
fn v4<'a>(span: Span<'a>, context: &Context) -> Result<Step<'a>, Ignored> {
    let header = Ipv4HeaderSlice::from_slice(span.bytes()).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(short) => span.too_short_for(short.required_len),
        ipv4::HeaderSliceError::Content(_) => Ignored::Malformed,
    })?;
    let header_len = header.slice().len();
    let packet = match usize::from(header.total_len()) {
        // Segmentation offload of more than 64 KiB (BIG TCP) and some drivers leave it empty.
        0 => span,
        len if len < header_len => return Err(Ignored::Malformed),
        len => span.limit(len),
    };
    let payload = packet.skip(header_len)?;
    let protocol = Protocol {
        number: header.protocol().0,
        src: IpAddr::V4(header.source_addr()),
        dst: IpAddr::V4(header.destination_addr()),
    };
    if !header.is_fragmenting_payload() {
        return Ok(Step::Into(Layer::Protocol(protocol), payload));
    }
    let id = u32::from(header.identification());
    Ok(Step::Fragment(Piece {
        key: Key::v4(&protocol, id, context),
        protocol,
        offset: header.fragments_offset(),
        more: header.more_fragments(),
        payload,
        context: *context,
    }))
}

#[inline]
fn v6(span: Span<'_>) -> Result<Step<'_>, Ignored> {
    let header = Ipv6HeaderSlice::from_slice(span.bytes()).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(short) => span.too_short_for(short.required_len),
        ipv6::HeaderSliceError::Content(_) => Ignored::Malformed,
    })?;
    let payload = span.skip(header.slice().len())?;
    let payload = match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675) or segmentation offload: as long as the frame.
        0 => payload,
        len => payload.limit(len),
    };
    let protocol = Protocol {
        number: header.next_header().0,
        src: IpAddr::V6(header.source_addr()),
        dst: IpAddr::V6(header.destination_addr()),
    };
    Ok(Step::Into(Layer::Protocol(protocol), payload))
}
