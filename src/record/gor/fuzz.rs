//! The fuzz body for .gor files: any bytes as a file, and what must hold whatever they are.
//!
//! Used by the fuzz target and, over random files, by an ordinary test.

use std::io::{Cursor, Read};

use super::{Exchanges, Extent, GorReader, Item, Kind, Limits};

/// Small, so that it is reached.
const MAX_RECORD: u64 = 300;

/// Reads the bytes as a file, whole and in small pieces, and checks that both give the same, that every
/// byte is given out once at most, and that what is given out goes forward.
pub fn fuzz_gor(data: &[u8]) {
    let whole = read(Cursor::new(data.to_vec()));
    let pieces = read(Pieces { data: Cursor::new(data.to_vec()), next: 1 });
    assert_eq!(whole, pieces, "the result depends on how the file arrives");
    if data.starts_with(&[0x1f, 0x8b]) {
        return;
    }
    let mut behind = 0;
    for item in &whole {
        let (offset, len) = match item {
            Item::Message(message) => (message.offset, message.raw.len() as u64),
            Item::Damage(damage) => (damage.offset, damage.len),
        };
        assert!(offset >= behind, "{item:?} before byte {behind}");
        assert!(len > 0, "{item:?} of nothing");
        behind = offset + len;
    }
    assert!(behind <= data.len() as u64, "more than the file has");
}

/// All items of a file.
fn read(input: impl Read) -> Vec<Item> {
    let limits = Limits { max_block_bytes: MAX_RECORD };
    let reader = GorReader::new(input, limits, toy_extent, Exchanges::default());
    let mut reader = reader.expect("memory does not fail");
    let mut items = Vec::new();
    while let Some(item) = reader.read_item().expect("memory does not fail") {
        items.push(item);
    }
    items
}

/// In place of HTTP: `5...` is a message of 50 bytes, `+` goes on until an `!`, the others do not tell.
fn toy_extent(_: Kind, payload: &[u8]) -> Extent {
    match payload.first() {
        Some(digit @ b'0'..=b'9') => Extent::Bytes(u64::from(digit - b'0') * 10),
        Some(b'+') => match payload.iter().position(|&byte| byte == b'!') {
            Some(at) => Extent::Bytes(at as u64 + 1),
            None => Extent::Beyond,
        },
        _ => Extent::Unknown,
    }
}

/// A reader that gives 1 to 7 bytes at a time.
struct Pieces {
    data: Cursor<Vec<u8>>,
    next: usize,
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf.len().min(self.next);
        self.next = self.next % 7 + 1;
        self.data.read(buf.get_mut(..len).unwrap_or_default())
    }
}
