//! UDP, as far as it carries tunnels, known by their destination port.
//!
//! In: the payload of an IP packet. Out: the tunnel's header. Any other datagram is
//! [`Ignored::NotTcp`]. The source port tells nothing: tunnels put a hash of the inner flow there. L2TP
//! and Teredo alone answer from their port to whatever port they were asked from.

use etherparse::UdpHeaderSlice;

use crate::model::Ignored;

use super::gre;
use super::layer::{Context, Layer, Protocol};
use super::span::Span;

/// RFC 7348, and the port Linux used before it, which flannel still does.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
/// RFC 8926.
const GENEVE_PORT: u16 = 6081;
/// RFC 7510.
const MPLS_PORT: u16 = 6635;
/// 3GPP TS 29.281.
const GTP_PORT: u16 = 2152;
/// RFC 8086: GRE.
const GRE_PORT: u16 = 4754;
/// RFC 4380.
const TEREDO_PORT: u16 = 3544;
/// RFC 2661, RFC 3931.
const L2TP_PORT: u16 = 1701;

/// Goes into a datagram that carries a tunnel.
pub(super) fn datagram<'a>(
    ends: &Protocol,
    span: Span<'a>,
    context: &mut Context,
) -> Result<(Layer, Span<'a>), Ignored> {
    let header = UdpHeaderSlice::from_slice(span.bytes())
        .map_err(|short| span.too_short_for(short.required_len))?;
    let comes_from = header.source_port();
    let layer = match header.destination_port() {
        port if VXLAN_PORTS.contains(&port) => Layer::Vxlan,
        GENEVE_PORT => Layer::Geneve,
        MPLS_PORT => Layer::Mpls,
        GTP_PORT => Layer::Gtp,
        GRE_PORT => Layer::Protocol(Protocol { number: gre::NUMBER, ..*ends }),
        port if port == L2TP_PORT || comes_from == L2TP_PORT => Layer::L2tp,
        port if port == TEREDO_PORT || comes_from == TEREDO_PORT => Layer::Teredo,
        _ => return Err(Ignored::NotTcp),
    };
    // Their own ids differ between the directions, or they have none.
    if matches!(layer, Layer::Gtp | Layer::L2tp | Layer::Teredo) {
        context.enter_between(ends);
    }
    // The length field repeats the IP length, or is empty with offload: nothing to learn from it.
    Ok((layer, span.skip(header.slice().len())?))
}
