//! A part of a frame: the bytes captured, and how many there were on the wire.
//!
//! In: a frame. Out: the rest of it behind each layer. Guarantees that no layer reads past what was
//! captured, and that bytes which were on the wire but not captured are never forgotten: they are
//! at the end, and [`Span::cut`] counts them. It knows nothing of any protocol.

use crate::model::{Frame, Ignored};

/// Captured bytes, followed by `cut` bytes that were on the wire only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    bytes: &'a [u8],
    wire: usize,
}

impl<'a> Span<'a> {
    /// The whole frame. A wire length below the captured length is nonsense and ignored.
    pub fn of_frame(frame: &Frame<'a>) -> Self {
        let wire = usize::try_from(frame.wire_len).unwrap_or(usize::MAX);
        Self { bytes: frame.bytes, wire: wire.max(frame.bytes.len()) }
    }

    /// Bytes of which none is missing.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, wire: bytes.len() }
    }

    /// The bytes captured.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes were on the wire behind those captured.
    pub fn cut(self) -> usize {
        self.wire.saturating_sub(self.bytes.len())
    }

    /// Why a header of `needed` bytes does not fit: the frame was snapped, or it lies.
    pub fn too_short_for(self, needed: usize) -> Ignored {
        if needed <= self.wire { Ignored::Truncated } else { Ignored::Malformed }
    }

    /// A header of fixed size, and what follows it.
    #[inline]
    pub fn split<const N: usize>(self) -> Result<(&'a [u8; N], Self), Ignored> {
        match self.bytes.split_first_chunk::<N>() {
            Some((head, rest)) => Ok((head, Self { bytes: rest, wire: self.wire - N })),
            None => Err(self.too_short_for(N)),
        }
    }

    /// What follows a header of `len` bytes.
    #[inline]
    pub fn skip(self, len: usize) -> Result<Self, Ignored> {
        match self.bytes.get(len..) {
            Some(rest) => Ok(Self { bytes: rest, wire: self.wire - len }),
            None => Err(self.too_short_for(len)),
        }
    }

    /// What follows a header of `len` bytes of which the end may be snapped.
    #[inline]
    pub fn skip_snapped(self, len: usize) -> Result<Self, Ignored> {
        let wire = self.wire.checked_sub(len).ok_or(Ignored::Malformed)?;
        Ok(Self { bytes: self.bytes.get(len..).unwrap_or_default(), wire })
    }

    /// The span that a length field announces.
    ///
    /// Shorter: what is behind it is padding or a frame check sequence. Longer: a device between
    /// v1 and the capture (a span port, AWS VPC Traffic Mirroring) has cut the packet without
    /// telling the capture format; what is missing counts as cut.
    #[inline]
    pub fn limit(self, len: usize) -> Self {
        Self { bytes: self.bytes.get(..len).unwrap_or(self.bytes), wire: len }
    }
}
