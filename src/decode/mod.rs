//! Frame to TCP segment: link layers, VLAN, tunnels, IP fragments.
//!
//! In: frames with their link type. Out: for each frame one TCP segment, or the named reason why it
//! gives none. Guarantees: nothing panics, no layer reads past the captured bytes, a frame costs at
//! most a bounded number of steps, and memory is used for fragments only, within
//! [`FragmentLimits`]; a frame without fragments allocates nothing. Checksums are not checked. Which
//! ports and servers matter is left to whoever asks; what a segment means, to `reassemble`.
//!
//! A protocol that etherparse knows is read with it; each other one is a small file here.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod chdlc;
mod cooked;
mod erspan;
mod ether;
mod fragment;
mod fuzz;
mod geneve;
mod gre;
mod gtp;
mod ip;
mod l2tp;
mod layer;
mod link;
mod mpls;
mod nflog;
mod plain;
mod ppp;
mod protocol;
mod span;
mod tcp;
mod teredo;
#[cfg(test)]
mod tests;
mod udp;
mod vxlan;
mod wifi;

pub use fragment::FragmentLimits;
#[doc(hidden)]
pub use fuzz::fuzz_frame;

use crate::model::{Frame, Ignored, Segment};

use fragment::{Fragments, Piece, Whole};
use layer::{Context, Found, Layer, walk};
use span::Span;

/// Turns frames into TCP segments.
#[derive(Debug)]
pub struct Decoder {
    fragments: Fragments,
    /// The datagram put together last, in which the segment just returned may lie.
    whole: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(FragmentLimits::default())
    }
}

impl Decoder {
    /// A decoder that keeps fragments within these limits.
    pub fn new(limits: FragmentLimits) -> Self {
        Self { fragments: Fragments::new(limits), whole: Vec::new() }
    }

    /// The TCP segment in a frame, or in the datagram that this frame completes.
    #[inline]
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Segment<'a>, Ignored> {
        if let Some(segment) = plain::segment(frame) {
            return Ok(segment);
        }
        self.walk(frame)
    }

    /// The way through any frame, layer by layer.
    fn walk<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Segment<'a>, Ignored> {
        let context = Context::new(frame.time);
        match walk(Layer::Link(frame.link), Span::of_frame(frame), context)? {
            Found::Segment(segment) => Ok(segment),
            Found::Fragment(piece) => self.fragment(piece),
        }
    }

    /// Payload bytes held in datagrams that are not whole yet.
    pub fn fragment_bytes(&self) -> usize {
        self.fragments.bytes()
    }

    /// Datagrams given up so far: too old, over a limit, or contradicting themselves. Each of their
    /// frames was counted when it came, most as [`Ignored::Fragment`].
    pub fn datagrams_abandoned(&self) -> u64 {
        self.fragments.abandoned()
    }

    /// Keeps a fragment; goes on inside its datagram when it is whole, which may give a fragment of
    /// an inner packet again.
    #[cold]
    fn fragment<'a>(&'a mut self, piece: Piece<'a>) -> Result<Segment<'a>, Ignored> {
        let added = self.fragments.add(&piece);
        if piece.is_snapped() && piece.offset.value() == 0 {
            // Its datagram can never be whole, but its head is here: used as a cut segment.
            let Piece { protocol, payload, context, .. } = piece;
            return segment(walk(Layer::Protocol(protocol), payload, context)?);
        }
        let mut whole = added?;
        // Each round passes at least one layer, so this ends.
        while let Found::Fragment(inner) = inside(&whole.data, &whole)? {
            whole = self.fragments.add(&inner)?;
        }
        let Whole { protocol, data, context } = whole;
        self.whole = data;
        segment(walk(Layer::Protocol(protocol), Span::whole(&self.whole), context)?)
    }
}

/// Walks into a datagram's payload.
fn inside<'a>(data: &'a [u8], whole: &Whole) -> Result<Found<'a>, Ignored> {
    walk(Layer::Protocol(whole.protocol), Span::whole(data), whole.context)
}

/// What must be a segment; a fragment in a place where none is put together is dropped.
fn segment(found: Found<'_>) -> Result<Segment<'_>, Ignored> {
    match found {
        Found::Segment(segment) => Ok(segment),
        Found::Fragment(_) => Err(Ignored::FragmentDropped),
    }
}
