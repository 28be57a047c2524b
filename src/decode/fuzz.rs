//! The fuzz body for frames: any bytes as a short capture, and what must hold for each frame.
//!
//! In: a byte for the link type, then frames, each with a length (2 bytes), a count of snapped bytes
//! and a time step. Used by the fuzz target and, over stored seeds, by an ordinary test.

use std::time::Duration;

use crate::model::{Frame, LinkType, Segment, Timestamp};

use super::{Decoder, FragmentLimits};

/// Every link type that has a decoder, and one that has none.
const LINKS: [u32; 23] = [
    1, 113, 276, 0, 108, 101, 12, 14, 228, 229, 9, 50, 51, 147, 105, 127, 104, 239, 109, 117, 166,
    204, 219,
];
const LIMITS: FragmentLimits =
    FragmentLimits { max_bytes: 1 << 16, max_datagrams: 8, max_age: Duration::from_secs(1) };

/// Decodes the bytes as frames and checks what must hold for any input.
pub fn fuzz_frame(data: &[u8]) {
    let Some((&link, mut rest)) = data.split_first() else { return };
    let link = LINKS.get(usize::from(link) % LINKS.len()).copied().unwrap_or(1);
    let (mut decoder, mut twin) = (Decoder::new(LIMITS), Decoder::new(LIMITS));
    let mut time = Timestamp::ZERO;
    while let Some((&[l1, l0, snapped, step], tail)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([l1, l0])).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        time = time + Duration::from_millis(u64::from(step));
        let wire_len = len as u32 + u32::from(snapped);
        check(&mut decoder, &mut twin, &Frame { time, link: LinkType(link), bytes, wire_len });
        rest = tail;
    }
}

/// Decodes one frame twice, by two decoders with the same past, the second without the short way for
/// plain frames, and checks the result.
pub(super) fn check(decoder: &mut Decoder, twin: &mut Decoder, frame: &Frame<'_>) {
    let (first, second) = (decoder.decode(frame), twin.walk(frame));
    assert_eq!(
        first.map(summary),
        second.map(summary),
        "the result depends on chance or on the way"
    );
    if let Ok(segment) = first {
        let (within, payload) = (frame.bytes.as_ptr_range(), segment.payload.as_ptr_range());
        let is_in_frame = within.start <= payload.start && payload.end <= within.end;
        // Otherwise it lies in a datagram put together.
        assert!(is_in_frame || segment.payload.len() <= 0xffff, "payload from nowhere");
        assert_eq!(segment.time, frame.time);
    }
    assert!(decoder.fragment_bytes() <= LIMITS.max_bytes, "more fragments than allowed");
    assert!(decoder.fragments.datagrams() <= LIMITS.max_datagrams, "more datagrams than allowed");
}

/// What two decodings of one frame must agree on.
fn summary(segment: Segment<'_>) -> (String, &[u8]) {
    let Segment { payload, .. } = segment;
    (format!("{:?}", Segment { payload: &[], ..segment }), payload)
}
