//! The fuzz body for capture files: any bytes as a file, and what must hold whatever they are.
//!
//! Used by the fuzz target and, over stored seeds, by an ordinary test.

use std::io::{Cursor, Read};

use super::{CaptureFile, Input, Kind, MAX_FRAME, sniff};

/// Reads the bytes as a file, whole and in small pieces, and checks that both give the same and
/// that no more comes out than went in.
pub fn fuzz_capture_file(data: &[u8]) {
    let whole = read(Cursor::new(data.to_vec()), data);
    let pieces = read(Pieces { data: Cursor::new(data.to_vec()), next: 1 }, data);
    // How much a decompressor gives before damage depends on how much it is given at once.
    let is_damaged = |end: &str| end.starts_with("cannot read");
    if !is_damaged(&whole.2) && !is_damaged(&pieces.2) {
        assert_eq!(whole, pieces, "the result depends on how the file arrives");
    }
}

/// What was read: frames, their bytes, and how it ended.
fn read(reader: impl Read + Send + 'static, data: &[u8]) -> (u64, u64, String) {
    let opened = Input::from_reader("fuzz", reader).and_then(CaptureFile::new);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => return (0, 0, error.to_string()),
    };
    let is_plain = !matches!(sniff(data), Kind::Gzip | Kind::Zstd);
    let (mut frames, mut bytes) = (0u64, 0u64);
    let end = loop {
        match file.next_frame() {
            Ok(Some(frame)) => {
                assert!(frame.bytes.len() <= MAX_FRAME);
                frames += 1;
                bytes += frame.bytes.len() as u64;
            }
            Ok(None) => break file.cut().map(|cut| cut.to_string()).unwrap_or_default(),
            Err(error) => {
                assert!(matches!(file.next_frame(), Ok(None)), "something behind an error");
                break error.to_string();
            }
        }
    };
    if is_plain {
        assert!(bytes + 16 * frames <= data.len() as u64, "more than the file has");
        assert!(file.offset() <= data.len() as u64, "read behind the end");
    }
    (frames, bytes, end)
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
