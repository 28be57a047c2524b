//! The walk through a frame, one layer at a time.
//!
//! In: the outermost layer and its bytes. Out: a TCP segment, an IP fragment, or why neither.
//! Guarantees an end: each step takes at least a header, and there are at most [`MAX_LAYERS`].
//! What a layer looks like is left to its file; putting fragments together to `fragment`.

use std::net::IpAddr;

use crate::model::{Ignored, LinkType, Segment, Timestamp};

use super::fragment::Piece;
use super::span::Span;
use super::{
    erspan, ether, geneve, gtp, ip, l2tp, link, mpls, ppp, protocol, tcp, teredo, vxlan, wifi,
};

/// Layers in one frame, counting EtherTypes and IPv6 extension headers. Plain TCP over Ethernet takes
/// 5 and each nested VXLAN 5 more, so this allows 8 tunnels in one another.
pub(super) const MAX_LAYERS: u8 = 48;

/// What comes next in the frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer {
    /// Whatever the capture says.
    Link(LinkType),
    /// An Ethernet header.
    Ethernet,
    /// What this EtherType says.
    EtherType(u16),
    /// An 802.11 header.
    Wifi,
    /// An 802.2 LLC header.
    Llc,
    /// An MPLS label stack.
    Mpls,
    /// A PPPoE session header.
    PppoeSession,
    /// A PPP protocol field, perhaps behind address and control bytes.
    Ppp,
    /// An IP header of either version.
    Ip,
    /// What this IP protocol number says.
    Protocol(Protocol),
    /// A VXLAN header.
    Vxlan,
    /// A Geneve header.
    Geneve,
    /// An ERSPAN header of type II.
    Erspan2,
    /// An ERSPAN header of type III.
    Erspan3,
    /// A GTP-U header.
    Gtp,
    /// IPv6 behind what Teredo puts before it.
    Teredo,
    /// An L2TP header in UDP.
    L2tp,
    /// An L2TP header of version 3 in IP.
    L2tpIp,
}

/// An IP payload: its protocol, and between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protocol {
    /// IP protocol number.
    pub number: u8,
    /// Source address of the innermost IP header so far.
    pub src: IpAddr,
    /// Its destination address.
    pub dst: IpAddr,
}

/// What is known of the layers passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// Packet time.
    pub time: Timestamp,
    /// Layers passed.
    pub layers: u8,
    /// See [`Segment::encapsulation`].
    pub encapsulation: u64,
}

/// The identifiers that tell one encapsulation from another. The numbers only keep the kinds apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tag {
    Vlan = 1,
    Pppoe = 2,
    GreKey = 3,
    Vni = 4,
    /// A tunnel without an identifier of its own, known by its two ends.
    Ends = 5,
    Erspan = 6,
}

impl Context {
    /// At the start of a frame.
    pub fn new(time: Timestamp) -> Self {
        Self { time, layers: 0, encapsulation: 0 }
    }

    /// Notes an identifier around the segment. Must get the same for both directions.
    pub fn enter(&mut self, tag: Tag, id: u64) {
        // A multiplication by an odd number and a shift, both one-to-one: no two single tags
        // collide. It need not be secret; whoever can choose VLANs can choose ports as well.
        let mixed =
            (self.encapsulation ^ ((tag as u64) << 56) ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.encapsulation = (mixed ^ (mixed >> 32)).max(1);
    }

    /// Notes a tunnel without an identifier: the pair of its ends, in an order of its own so that
    /// both directions agree.
    pub fn enter_between(&mut self, ends: &Protocol) {
        let (low, high) =
            if ends.src <= ends.dst { (ends.src, ends.dst) } else { (ends.dst, ends.src) };
        for ip in [low, high] {
            let bits = match ip {
                IpAddr::V4(ip) => u128::from(ip.to_bits()),
                IpAddr::V6(ip) => ip.to_bits(),
            };
            self.enter(Tag::Ends, bits as u64);
            self.enter(Tag::Ends, (bits >> 64) as u64);
        }
    }
}

/// One step of the walk.
pub(super) enum Step<'a> {
    /// Another layer inside.
    Into(Layer, Span<'a>),
    /// The end: a fragment.
    Fragment(Piece<'a>),
}

/// What lies at the bottom of a frame.
pub(super) enum Found<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A part of an IP datagram.
    Fragment(Piece<'a>),
}

/// Walks inwards until a TCP segment, a fragment, or something that is neither.
#[inline]
pub(super) fn walk<'a>(
    mut layer: Layer,
    mut span: Span<'a>,
    mut context: Context,
) -> Result<Found<'a>, Ignored> {
    while context.layers < MAX_LAYERS {
        context.layers += 1;
        if let Layer::Protocol(protocol) = layer
            && protocol.number == tcp::NUMBER
        {
            return tcp::segment(span, &protocol, &context).map(Found::Segment);
        }
        match step(layer, span, &mut context)? {
            Step::Into(inner, rest) => (layer, span) = (inner, rest),
            Step::Fragment(piece) => return Ok(Found::Fragment(piece)),
        }
    }
    Err(Ignored::Malformed)
}

/// Takes one layer off.
#[inline]
fn step<'a>(layer: Layer, span: Span<'a>, context: &mut Context) -> Result<Step<'a>, Ignored> {
    let (inner, rest) = match layer {
        Layer::Link(link) => link::payload(link, span)?,
        Layer::Ethernet => ether::frame(span)?,
        Layer::EtherType(number) => ether::payload(number, span, context)?,
        Layer::Wifi => wifi::frame(span)?,
        Layer::Llc => ether::llc(span)?,
        Layer::Mpls => mpls::label_stack(span)?,
        Layer::PppoeSession => ppp::pppoe(span, context)?,
        Layer::Ppp => ppp::frame(span)?,
        Layer::Vxlan => vxlan::header(span, context)?,
        Layer::Geneve => geneve::header(span, context)?,
        Layer::Erspan2 => erspan::type_2(span, context)?,
        Layer::Erspan3 => erspan::type_3(span, context)?,
        Layer::Gtp => gtp::header(span)?,
        Layer::Teredo => teredo::packet(span)?,
        Layer::L2tp => l2tp::over_udp(span)?,
        Layer::L2tpIp => l2tp::over_ip(span)?,
        Layer::Ip => return ip::packet(span, context),
        Layer::Protocol(protocol) => return protocol::payload(protocol, span, context),
    };
    Ok(Step::Into(inner, rest))
}
