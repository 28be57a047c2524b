//! Capture files built byte by byte, and the frames that must come out of them.

mod hostile;
mod pcap;
mod pcapng;
mod streams;

use std::io::{Cursor, Read};

use super::*;

/// A frame as a test looks at it: nanoseconds, link type, bytes, wire length.
pub(super) type Seen = (u64, u32, Vec<u8>, u32);

/// Numbers in one byte order.
#[derive(Clone, Copy)]
pub(super) struct Writer {
    pub big: bool,
}

pub(super) const LITTLE: Writer = Writer { big: false };
pub(super) const BIG: Writer = Writer { big: true };

impl Writer {
    pub fn u16(self, n: u16) -> [u8; 2] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn u32(self, n: u32) -> [u8; 4] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn u64(self, n: u64) -> [u8; 8] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    /// A pcap file header of version 2.4.
    pub fn pcap(self, magic: u32, link: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        [&self.u32(magic)[..], &version, &[0; 8], &self.u32(65535), &self.u32(link)].concat()
    }

    /// A pcap record.
    pub fn record(self, secs: u32, fraction: u32, bytes: &[u8], wire_len: u32) -> Vec<u8> {
        let fields = [secs, fraction, bytes.len() as u32, wire_len].map(|n| self.u32(n)).concat();
        [&fields, bytes].concat()
    }

    /// A pcapng block around its content, padded.
    pub fn block(self, kind: u32, content: &[u8]) -> Vec<u8> {
        let padding = vec![0; content.len().next_multiple_of(4) - content.len()];
        let len = self.u32((12 + content.len() + padding.len()) as u32);
        [&self.u32(kind)[..], &len, content, &padding, &len].concat()
    }

    pub fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat())
    }

    /// An Interface Description Block with options.
    pub fn interface(self, link: u16, snap_len: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut content = [&self.u16(link)[..], &[0; 2], &self.u32(snap_len)].concat();
        for (code, value) in options {
            content.extend([self.u16(*code), self.u16(value.len() as u16)].concat());
            content.extend(*value);
            content.resize(content.len().next_multiple_of(4), 0);
        }
        self.block(1, &content)
    }

    /// An Enhanced Packet Block, with a comment behind the frame.
    pub fn enhanced(self, interface: u32, ticks: u64, bytes: &[u8], wire_len: u32) -> Vec<u8> {
        let fields = [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, wire_len];
        let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
        let comment = [&self.u16(1)[..], &self.u16(2), b"hi", &[0; 2], &[0; 4]].concat();
        let fields = fields.map(|n| self.u32(n)).concat();
        self.block(6, &[&fields[..], bytes, &padding, &comment].concat())
    }
}

/// Opens a reader as a capture file.
pub(super) fn open(reader: impl Read + Send + 'static) -> Result<CaptureFile, FileError> {
    CaptureFile::new(Input::from_reader("test.pcap", reader)?)
}

/// Reads to the end: the frames, the cut, and the error's text.
pub(super) fn read(reader: impl Read + Send + 'static) -> (Vec<Seen>, Option<Cut>, String) {
    let mut file = match open(reader) {
        Ok(file) => file,
        Err(error) => return (Vec::new(), None, error.to_string()),
    };
    let mut frames = Vec::new();
    let error = loop {
        match file.next_frame() {
            Ok(Some(f)) => {
                frames.push((f.time.as_nanos(), f.link.0, f.bytes.to_vec(), f.wire_len));
            }
            Ok(None) => break String::new(),
            Err(error) => break error.to_string(),
        }
    };
    (frames, file.cut(), error)
}

/// Reads bytes that must be a whole and sound file.
#[track_caller]
pub(super) fn frames(bytes: &[u8]) -> Vec<Seen> {
    let (frames, cut, error) = read(Cursor::new(bytes.to_vec()));
    assert_eq!((cut, error.as_str()), (None, ""));
    frames
}

/// One sample file of each format and byte order, three frames in each.
pub(super) fn samples() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for w in [LITTLE, BIG] {
        let records: Vec<u8> = (1..4).flat_map(|n| w.record(n, n, &[n as u8; 5], 9)).collect();
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d] {
            all.push([w.pcap(magic, 1), records.clone()].concat());
        }
        let packets: Vec<u8> =
            (1..4u32).flat_map(|n| w.enhanced(0, n.into(), &[n as u8; 5], 9)).collect();
        all.push([w.section(), w.interface(1, 0, &[]), w.block(5, &[7; 20]), packets].concat());
    }
    all
}
