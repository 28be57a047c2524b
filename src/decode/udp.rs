//! UDP, as far as it carries tunnels: VXLAN and Geneve, known by their destination port.
//!
//! In: the payload of an IP packet. Out: the tunnel's header. Any other datagram is
//! [`Ignored::NotTcp`]. The source port tells nothing: tunnels put a hash of the inner flow there.

use etherparse::UdpHeaderSlice;

use crate::model::Ignored;

use super::layer::Layer;
use super::span::Span;

/// RFC 7348, and the port Linux used before it, which flannel still does.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
/// RFC 8926.
const GENEVE_PORT: u16 = 6081;
/// RFC 7510.
const MPLS_PORT: u16 = 6635;

/// Goes into a datagram that carries a tunnel.
pub(super) fn datagram(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let header = UdpHeaderSlice::from_slice(span.bytes())
        .map_err(|short| span.too_short_for(short.required_len))?;
    let layer = match header.destination_port() {
        port if VXLAN_PORTS.contains(&port) => Layer::Vxlan,
        GENEVE_PORT => Layer::Geneve,
        MPLS_PORT => Layer::Mpls,
        _ => return Err(Ignored::NotTcp),
    };
    // The length field repeats the IP length, or is empty with offload: nothing to learn from it.
    Ok((layer, span.skip(header.slice().len())?))
}
