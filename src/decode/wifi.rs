//! IEEE 802.11 data frames, bare or behind a radiotap header.
//!
//! In: a frame as a monitor interface captures it. Out: the LLC header inside. Management and control
//! frames are [`Ignored::NotIp`]. What is protected (WEP, WPA) is [`Ignored::Encrypted`], but
//! where the card has decrypted it and left the mark, which the LLC header in plain shows. An A-MSDU of one
//! part is read; one of several would be several packets in one frame and is
//! [`Ignored::Aggregated`], by name, rather than read in part. The frame check sequence at the end
//! is cut off by the IP length. Addresses are no part of the encapsulation: an access point sends
//! the same packet on with others.

use crate::model::Ignored;

use super::layer::Layer;
use super::span::Span;

/// Radiotap's presence bits: time, flags, and that another word of bits follows.
const TSFT: u32 = 1;
const FLAGS: u32 = 1 << 1;
const MORE_WORDS: u32 = 1 << 31;
/// In radiotap's flags: the 802.11 header is padded to a multiple of 4.
const PADDED: u8 = 0x20;
/// Words of presence bits; hardware gives one for each antenna.
const MAX_WORDS: usize = 32;

/// In the frame control's first byte: version and type; a data frame is of type 2.
const VERSION_AND_TYPE: u8 = 0x0f;
const DATA: u8 = 0x08;
/// In its subtype: no data at all, QoS control.
const NULL: u8 = 0x40;
const QOS: u8 = 0x80;
/// In its second byte: both for a frame between access points (four addresses).
const BETWEEN: u8 = 0x03;
const PROTECTED: u8 = 0x40;
/// LLC and SNAP as they stand before every EtherType: no cipher text begins like this by chance.
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];
/// HT control is present.
const ORDER: u8 = 0x80;
/// In the QoS control's first byte: the payload is an A-MSDU.
const AMSDU: u8 = 0x80;

/// A radiotap header (radiotap.org), all of it little-endian; then the frame.
pub(super) fn radiotap(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (&[version, _, l0, l1, ..], _) = span.split::<8>()?;
    if version != 0 {
        return Err(Ignored::Malformed);
    }
    let len = usize::from(u16::from_le_bytes([l0, l1]));
    let frame = span.skip(len)?;
    let is_padded = radiotap_flags(span.bytes()).is_some_and(|flags| flags & PADDED != 0);
    payload(frame, is_padded)
}

/// The flags field, which the time comes before, where either is present.
fn radiotap_flags(header: &[u8]) -> Option<u8> {
    let word = |nth: usize| {
        let bytes = header.get(4 + 4 * nth..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let first = word(0)?;
    let last = (0..MAX_WORDS).find(|&nth| word(nth).is_none_or(|bits| bits & MORE_WORDS == 0))?;
    let mut at = 8 + 4 * last;
    if first & TSFT != 0 {
        // Fields are aligned to their size, from the start of the header.
        at = at.next_multiple_of(8) + 8;
    }
    (first & FLAGS != 0).then(|| header.get(at).copied())?
}

/// A bare frame.
pub(super) fn frame(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    payload(span, false)
}

fn payload(span: Span<'_>, is_padded: bool) -> Result<(Layer, Span<'_>), Ignored> {
    // Frame control, duration, three addresses, sequence control.
    let (&[control, flags, .., sequence, _], mut rest) = match span.split::<24>() {
        Ok(split) => split,
        // Acknowledgments and the like are shorter than a data frame's header.
        Err(_) if span.bytes().first().is_some_and(|c| c & VERSION_AND_TYPE != DATA) => {
            return Err(Ignored::NotIp);
        }
        Err(short) => return Err(short),
    };
    if control & VERSION_AND_TYPE != DATA || control & NULL != 0 {
        return Err(Ignored::NotIp);
    }
    let mut header_len = 24;
    if flags & BETWEEN == BETWEEN {
        (rest, header_len) = (rest.skip(6)?, header_len + 6);
    }
    let mut is_aggregated = false;
    if control & QOS != 0 {
        let (&[qos, _], behind) = rest.split::<2>()?;
        is_aggregated = qos & AMSDU != 0;
        (rest, header_len) = (behind, header_len + 2);
        if flags & ORDER != 0 {
            (rest, header_len) = (rest.skip(4)?, header_len + 4);
        }
    }
    if is_padded {
        rest = rest.skip(usize::wrapping_neg(header_len) % 4)?;
    }
    // The number of a fragment: the first has the packet's head, and counts as cut.
    if sequence & 0x0f != 0 {
        return Err(Ignored::FragmentDropped);
    }
    if flags & PROTECTED != 0 {
        rest = decrypted(rest).ok_or(Ignored::Encrypted)?;
    }
    if is_aggregated { only_part(rest) } else { Ok((Layer::Llc, rest)) }
}

/// The payload of a frame marked as protected, if it is plain: at once, or behind the 8 bytes of the
/// TKIP or CCMP header.
fn decrypted(span: Span<'_>) -> Option<Span<'_>> {
    [0, 8].into_iter().filter_map(|len| span.skip(len).ok()).find(|s| s.bytes().starts_with(&SNAP))
}

/// The part of an A-MSDU that has one: two addresses, length, LLC, and no padding behind the last.
fn only_part(span: Span<'_>) -> Result<(Layer, Span<'_>), Ignored> {
    let (&[.., l1, l0], rest) = span.split::<14>()?;
    let len = usize::from(u16::from_be_bytes([l1, l0]));
    let behind = (rest.bytes().len() + rest.cut()).saturating_sub(len);
    // Padding and a frame check sequence are less than the next part's header.
    if behind >= 14 {
        return Err(Ignored::Aggregated);
    }
    Ok((Layer::Llc, rest.limit(len)))
}
