//! pcap files, in every variant that libpcap itself reads.
//!
//! In: the stream at its first byte. Out: one record after the other. Both byte orders, micro- and
//! nanoseconds, Kuznetzov's modified records, the swapped lengths of old versions. Of the header's
//! link type field only the type counts, not the FCS length above it.

use crate::model::{LinkType, Timestamp};

use super::fields::{Fields, Order};
use super::input::Input;
use super::sniff::PCAP_MAGICS;
use super::{FileError, Located, MAX_FRAME, Next};

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// A modified record also has interface index, protocol, packet type and padding.
const MODIFIED_RECORD_HEADER: usize = 24;
/// The bits of the link type field that hold the type (libpcap's LT_LINKTYPE).
const LINK_TYPE_MASK: u32 = 0x03ff_ffff;

/// In which order a record has its two lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured, then original.
    Normal,
    /// Original, then captured: before version 2.3, and DG/UX's version 543.0.
    Swapped,
    /// Version 2.3, written in both ways: the smaller one is the captured.
    Either,
}

/// Reads records.
#[derive(Debug)]
pub(super) struct Reader {
    order: Order,
    /// Nanoseconds in one unit of a record's second time field.
    unit: u64,
    header_len: usize,
    lengths: Lengths,
    link: LinkType,
}

impl Reader {
    /// Reads the file header; nothing when the file ends within it.
    pub fn new(input: &mut Input) -> Result<Option<Self>, FileError> {
        if !input.fill(FILE_HEADER)? {
            return Ok(None);
        }
        let order = match input.available().first_chunk() {
            Some(&magic) if PCAP_MAGICS.contains(&u32::from_be_bytes(magic)) => Order::Big,
            _ => Order::Little,
        };
        let mut fields = Fields::new(order, input.available());
        let magic = fields.u32();
        let version = (fields.u16(), fields.u16());
        // Time zone and accuracy, which nobody fills in, and the snap length, which many exceed.
        fields.bytes(12);
        let link = LinkType(fields.u32() & LINK_TYPE_MASK);
        let lengths = match version {
            (2, 0..3) | (543, _) => Lengths::Swapped,
            (2, 3) => Lengths::Either,
            _ => Lengths::Normal,
        };
        let unit = if magic == 0xa1b2_3c4d { 1 } else { 1000 };
        let is_modified = magic == 0xa1b2_cd34;
        let header_len = if is_modified { MODIFIED_RECORD_HEADER } else { RECORD_HEADER };
        input.advance(FILE_HEADER);
        Ok(Some(Self { order, unit, header_len, lengths, link }))
    }

    /// The next record.
    #[inline]
    pub fn next(&mut self, input: &mut Input) -> Result<Next, FileError> {
        if !input.fill(self.header_len)? {
            return Ok(Next::End);
        }
        let mut fields = Fields::new(self.order, input.available());
        let (secs, fraction) = (fields.u32(), fields.u32());
        let (first, second) = (fields.u32(), fields.u32());
        let (captured, wire_len) = match self.lengths {
            Lengths::Normal => (first, second),
            Lengths::Swapped => (second, first),
            Lengths::Either => (first.min(second), first.max(second)),
        };
        let len = captured as usize;
        if len > MAX_FRAME {
            let what = format!("a frame of {len} bytes is announced, more than {MAX_FRAME}");
            return Err(input.corrupt(what));
        }
        if !input.fill(self.header_len + len)? {
            return Ok(Next::End);
        }
        let bytes = input.place(self.header_len, len);
        input.advance(self.header_len + len);
        let time = Timestamp::from_parts(secs.into(), u64::from(fraction) * self.unit);
        Ok(Next::Frame(Located { time, link: self.link, wire_len, bytes }))
    }
}
