//! pcapng files (draft-ietf-opsawg-pcapng).
//!
//! In: the stream at its first byte. Out: the frames of Enhanced, Simple and (obsolete) Packet
//! Blocks. Any number of sections, each in its own byte order and with its own interfaces, each
//! interface with its own link type and clock. Other blocks are skipped without being kept. A block
//! whose two lengths differ is corrupt: its content cannot be trusted.

use crate::model::{LinkType, Timestamp};

use super::fields::{Fields, Order};
use super::input::Input;
use super::{Cut, FileError, Located, MAX_FRAME, Next};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and length in front, the length again behind.
const MIN_BLOCK: usize = 12;
/// Where a block's content begins.
const CONTENT: usize = 8;
/// A frame with its block around it and ample options.
const MAX_BLOCK: usize = MAX_FRAME + (1 << 20);
/// Interfaces in one section; a real file has as many as the machine.
const MAX_INTERFACES: usize = 65_536;
/// The byte order magic, as read in the right order.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// What an Interface Description Block tells.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Frames are snapped to this; 0 for no limit.
    snap_len: u32,
    clock: Clock,
}

/// How an interface counts time (options if_tsresol and if_tsoffset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    resolution: Resolution,
    /// Seconds to add.
    offset: i64,
}

/// The unit of an interface's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// So many nanoseconds.
    Nanos(u64),
    /// A nanosecond is so many units.
    PerNano(u128),
    /// A second is 2 to that power units.
    Binary(u8),
}

impl Resolution {
    /// The if_tsresol byte: a negative power of 10, or of 2 if the highest bit is set.
    fn new(byte: u8) -> Self {
        let power = u32::from(byte & 0x7f);
        match byte {
            0..=9 => Self::Nanos(10u64.pow(9 - power)),
            10..=0x7f => Self::PerNano(10u128.checked_pow(power - 9).unwrap_or(u128::MAX)),
            0x80.. => Self::Binary(byte & 0x7f),
        }
    }
}

impl Default for Clock {
    /// Microseconds since the epoch.
    fn default() -> Self {
        Self { resolution: Resolution::new(6), offset: 0 }
    }
}

impl Clock {
    #[inline]
    fn time(self, ticks: u64) -> Timestamp {
        let nanos = match self.resolution {
            Resolution::Nanos(unit) => ticks.saturating_mul(unit),
            Resolution::PerNano(units) => (u128::from(ticks) / units) as u64,
            // 94 bits at most, so that a shift by 94 or more leaves nothing.
            Resolution::Binary(power) => {
                let nanos = (u128::from(ticks) * 1_000_000_000).checked_shr(power.into());
                u64::try_from(nanos.unwrap_or(0)).unwrap_or(u64::MAX)
            }
        };
        let offset = self.offset.unsigned_abs().saturating_mul(1_000_000_000);
        Timestamp::from_nanos(match self.offset {
            0 => nanos,
            1.. => nanos.saturating_add(offset),
            _ => nanos.saturating_sub(offset),
        })
    }
}

/// Reads blocks.
#[derive(Debug, Default)]
pub(super) struct Reader {
    order: Order,
    interfaces: Vec<Interface>,
}

impl Reader {
    /// The next frame, behind any other blocks.
    pub fn next(&mut self, input: &mut Input) -> Result<Next, FileError> {
        loop {
            if !input.fill(MIN_BLOCK)? {
                return Ok(Next::End);
            }
            let mut fields = Fields::new(self.order, input.available());
            let kind = fields.u32();
            if kind == SECTION_HEADER {
                self.begin_section(input)?;
                fields = Fields::new(self.order, input.available());
                fields.u32();
            }
            let len = fields.u32() as usize;
            if len < MIN_BLOCK || !len.is_multiple_of(4) {
                let what = format!("a block of type {kind:#x} claims a length of {len}");
                return Err(input.corrupt(what));
            }
            let is_read =
                [SECTION_HEADER, INTERFACE, PACKET, SIMPLE_PACKET, ENHANCED_PACKET].contains(&kind);
            if !is_read {
                if let Some(cut) = self.skip(input, len)? {
                    return Ok(Next::Cut(cut));
                }
                continue;
            }
            if len > MAX_BLOCK {
                let what = format!("a block of {len} bytes is announced, more than {MAX_BLOCK}");
                return Err(input.corrupt(what));
            }
            if !input.fill(len)? {
                return Ok(Next::End);
            }
            let found = self.block(kind, len, input)?;
            input.advance(len);
            if let Some(frame) = found {
                return Ok(Next::Frame(frame));
            }
        }
    }

    /// Learns the byte order of a new section, in which even the block's length is written.
    fn begin_section(&mut self, input: &Input) -> Result<(), FileError> {
        let magic =
            |order| Fields::new(order, input.available().get(CONTENT..).unwrap_or(&[])).u32();
        self.order = if magic(Order::Little) == BYTE_ORDER {
            Order::Little
        } else if magic(Order::Big) == BYTE_ORDER {
            Order::Big
        } else {
            return Err(input.corrupt("a section header without a byte order magic"));
        };
        self.interfaces.clear();
        Ok(())
    }

    /// Goes behind a block that is not read, however long; says so when the file ends within it.
    fn skip(&self, input: &mut Input, len: usize) -> Result<Option<Cut>, FileError> {
        let begin = input.offset();
        if !input.skip(len as u64 - 4)? || !input.fill(4)? {
            let end = input.offset() + input.available().len() as u64;
            return Ok(Some(Cut { offset: begin, bytes: end - begin }));
        }
        let again = Fields::new(self.order, input.available()).u32() as usize;
        if again != len {
            return Err(FileError::Corrupt {
                name: input.name().into(),
                offset: begin,
                what: differ(len, again),
            });
        }
        input.advance(4);
        Ok(None)
    }

    /// Reads a block that is available as a whole.
    #[inline]
    fn block(
        &mut self,
        kind: u32,
        len: usize,
        input: &Input,
    ) -> Result<Option<Located>, FileError> {
        let block = input.available().get(..len).unwrap_or_default();
        let (content, end) = block.split_at(block.len().saturating_sub(4));
        let again = Fields::new(self.order, end).u32() as usize;
        if again != len {
            return Err(input.corrupt(differ(len, again)));
        }
        let fields = Fields::new(self.order, content.get(CONTENT..).unwrap_or_default());
        match kind {
            ENHANCED_PACKET | PACKET => self.packet(kind, fields, input).map(Some),
            SIMPLE_PACKET => self.simple_packet(fields, input).map(Some),
            INTERFACE => self.interface(fields, input).map(|()| None),
            _ => self.section(fields, input).map(|()| None),
        }
    }

    /// Behind the byte order magic: version, section length, options.
    fn section(&self, mut fields: Fields<'_>, input: &Input) -> Result<(), FileError> {
        fields.u32();
        match fields.u16() {
            1 => Ok(()),
            major => Err(input.corrupt(format!("a section of the unknown version {major}"))),
        }
    }

    fn interface(&mut self, mut fields: Fields<'_>, input: &Input) -> Result<(), FileError> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(input.corrupt(format!("more than {MAX_INTERFACES} interfaces")));
        }
        let link = LinkType(fields.u16().into());
        fields.u16();
        let snap_len = fields.u32();
        self.interfaces.push(Interface { link, snap_len, clock: clock(self.order, fields) });
        Ok(())
    }

    /// An Enhanced Packet Block, or the obsolete Packet Block, which has two smaller fields where
    /// that one has the interface.
    #[inline]
    fn packet(
        &self,
        kind: u32,
        mut fields: Fields<'_>,
        input: &Input,
    ) -> Result<Located, FileError> {
        let index = if kind == ENHANCED_PACKET {
            fields.u32()
        } else {
            let index = fields.u16();
            let _drops = fields.u16();
            index.into()
        };
        let (high, low) = (fields.u32(), fields.u32());
        let (captured, wire_len) = (fields.u32(), fields.u32());
        let Some(interface) = self.interfaces.get(index as usize) else {
            let there = self.interfaces.len();
            let what = format!("a frame of interface {index}, but only {there} were described");
            return Err(input.corrupt(what));
        };
        let captured = captured as usize;
        if captured > fields.rest().len() || captured > MAX_FRAME {
            let room = fields.rest().len();
            let what = format!("a frame of {captured} bytes in a block with room for {room}");
            return Err(input.corrupt(what));
        }
        let time = interface.clock.time(u64::from(high) << 32 | u64::from(low));
        // Both kinds have 20 bytes of fields.
        let bytes = input.place(CONTENT + 20, captured);
        Ok(Located { time, link: interface.link, wire_len, bytes })
    }

    /// A Simple Packet Block: of the first interface, without a time, its captured length implied.
    fn simple_packet(&self, mut fields: Fields<'_>, input: &Input) -> Result<Located, FileError> {
        let Some(interface) = self.interfaces.first() else {
            return Err(input.corrupt("a simple frame, but no interface was described"));
        };
        let wire_len = fields.u32();
        let snap_len = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let captured = (wire_len.min(snap_len) as usize).min(fields.rest().len()).min(MAX_FRAME);
        let bytes = input.place(CONTENT + 4, captured);
        Ok(Located { time: Timestamp::ZERO, link: interface.link, wire_len, bytes })
    }
}

fn differ(len: usize, again: usize) -> String {
    format!("a block begins with the length {len} and ends with {again}")
}

/// The clock options of an interface. Options that run over their end are not believed.
fn clock(order: Order, mut options: Fields<'_>) -> Clock {
    const END: u16 = 0;
    const TSRESOL: u16 = 9;
    const TSOFFSET: u16 = 14;
    let mut clock = Clock::default();
    while options.rest().len() >= 4 {
        let (code, len) = (options.u16(), usize::from(options.u16()));
        let value = options.bytes(len);
        if code == END || value.len() < len {
            break;
        }
        options.bytes(len.next_multiple_of(4) - len);
        match (code, value) {
            (TSRESOL, &[byte]) => clock.resolution = Resolution::new(byte),
            (TSOFFSET, value) if len == 8 => {
                clock.offset = Fields::new(order, value).u64().cast_signed();
            }
            _ => {}
        }
    }
    clock
}
