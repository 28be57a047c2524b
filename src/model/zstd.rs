//! zstd streams in which a frame may hold the dictionary for those behind it: WARC over zstd, as the IIPC has it.
//!
//! In: a stream of frames (RFC 8878). Out: what is in them. A skippable frame of a magic number of its own holds a
//! dictionary, as it is or compressed itself. It belongs at a file's beginning; here it counts wherever it stands, so
//! that files may be put together. Other skippable frames are skipped, and so is one that holds no dictionary, or a
//! larger one than [`MAX_DICTIONARY`]. Guaranteed: memory for a dictionary and what a frame itself asks for (128 MiB at most); a stream that
//! ends within a frame is an [`ErrorKind::UnexpectedEof`] behind all that was there.

use std::io::{self, BufRead, ErrorKind, Read};

use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

/// How a frame that holds a dictionary begins.
pub const DICTIONARY_FRAME: [u8; 4] = 0x184d_2a5d_u32.to_le_bytes();
/// How a dictionary begins.
pub const DICTIONARY_MAGIC: [u8; 4] = 0xec30_a437_u32.to_le_bytes();
/// How a frame of data begins.
const DATA_FRAME: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// Bytes of a dictionary: `zstd --train` makes 110 KiB unless it is told to make more.
pub const MAX_DICTIONARY: usize = 16 << 20;

/// See the module's description.
pub struct Frames<R> {
    input: R,
    decoder: Decoder<'static>,
    /// Whether the next byte begins a frame.
    is_at_border: bool,
    /// The first bytes of a frame of data, looked at and not yet decompressed.
    ahead: Vec<u8>,
}

impl<R: BufRead> Frames<R> {
    /// Reads frames from here.
    pub fn new(input: R) -> io::Result<Self> {
        Ok(Self { input, decoder: Decoder::new()?, is_at_border: true, ahead: Vec::new() })
    }

    /// Goes to the next frame of data; false at the end of the stream.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            self.ahead.clear();
            self.input.by_ref().take(4).read_to_end(&mut self.ahead)?;
            if self.ahead.is_empty() {
                return Ok(false);
            }
            if self.ahead != DICTIONARY_FRAME {
                self.is_at_border = false;
                return Ok(true);
            }
            self.dictionary()?;
        }
    }

    /// Reads the frame of a dictionary behind its magic number.
    fn dictionary(&mut self) -> io::Result<()> {
        let mut len = [0; 4];
        self.input.read_exact(&mut len)?;
        let len = u64::from(u32::from_le_bytes(len));
        let mut frame = self.input.by_ref().take(len);
        if len > MAX_DICTIONARY as u64 {
            io::copy(&mut frame, &mut io::sink())?;
            return Ok(());
        }
        let mut content = Vec::new();
        if (frame.read_to_end(&mut content)? as u64) < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if content.starts_with(&DATA_FRAME) {
            let mut inner = Vec::new();
            let most = MAX_DICTIONARY as u64 + 1;
            let whole =
                zstd::Decoder::with_buffer(content.as_slice())?.take(most).read_to_end(&mut inner);
            content = if whole.is_ok() { inner } else { Vec::new() };
        }
        if content.starts_with(&DICTIONARY_MAGIC) && content.len() <= MAX_DICTIONARY {
            self.decoder = Decoder::with_dictionary(&content)?;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        loop {
            if self.is_at_border && !self.begin()? {
                return Ok(0);
            }
            let is_ahead = !self.ahead.is_empty();
            let bytes = if is_ahead { self.ahead.as_slice() } else { self.input.fill_buf()? };
            let is_end = bytes.is_empty();
            let (mut from, mut to) = (InBuffer::around(bytes), OutBuffer::around(&mut *room));
            let wanted = self.decoder.run(&mut from, &mut to)?;
            let (taken, made) = (from.pos(), to.pos());
            if is_ahead {
                self.ahead.drain(..taken.min(self.ahead.len()));
            } else {
                self.input.consume(taken);
            }
            self.is_at_border = wanted == 0;
            if made > 0 {
                return Ok(made);
            }
            if is_end && wanted > 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).expect("memory")
    }

    fn skippable(magic: [u8; 4], content: &[u8]) -> Vec<u8> {
        let len = u32::try_from(content.len()).expect("short").to_le_bytes();
        [&magic[..], &len, content].concat()
    }

    /// What comes out, reading so many bytes at once from below and from here.
    fn read(stream: &[u8], step: usize) -> (Vec<u8>, Option<ErrorKind>) {
        let mut frames =
            Frames::new(BufReader::with_capacity(step, Cursor::new(stream))).expect("memory");
        let (mut all, mut room) = (Vec::new(), vec![0; step]);
        loop {
            match frames.read(&mut room) {
                Ok(0) => return (all, None),
                Ok(len) => all.extend_from_slice(&room[..len]),
                Err(error) => return (all, Some(error.kind())),
            }
        }
    }

    #[test]
    fn frames_behind_each_other_are_one_stream_and_skippable_ones_are_skipped() {
        let stream = [
            skippable(DICTIONARY_FRAME, b"no dictionary"),
            packed(b"one "),
            skippable(0x184d_2a50_u32.to_le_bytes(), &[7; 300]),
            packed(b""),
            packed(b"two"),
            skippable(DICTIONARY_FRAME, &packed(b"none either")),
            skippable(DICTIONARY_FRAME, &[&DATA_FRAME[..], b"broken"].concat()),
            skippable(DICTIONARY_FRAME, b""),
        ]
        .concat();
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(read(&stream, step), (b"one two".to_vec(), None), "{step}");
        }
        assert_eq!(read(b"", 9), (Vec::new(), None));
    }

    #[test]
    fn a_stream_that_ends_anywhere_gives_what_is_there_and_says_that_it_ended() {
        let frames = [packed(b"one "), skippable(DICTIONARY_FRAME, b"none"), packed(b"two")];
        let stream = frames.concat();
        let borders = [0, frames[0].len(), frames[0].len() + frames[1].len(), stream.len()];
        for len in 0..=stream.len() {
            let (got, error) = read(&stream[..len], 5);
            assert!(b"one two".starts_with(&got), "{len}");
            let want = (!borders.contains(&len)).then_some(ErrorKind::UnexpectedEof);
            assert_eq!(error, want, "{len} of {}", stream.len());
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error_behind_what_was_there() {
        for junk in [&b"this is no frame"[..], &[0; 20]] {
            let (got, error) = read(&[&packed(b"one")[..], junk].concat(), 100);
            assert_eq!((got, error), (b"one".to_vec(), Some(ErrorKind::Other)));
        }
    }

    #[test]
    fn a_dictionary_over_the_limit_is_skipped_in_constant_memory() {
        let mut frame = DICTIONARY_FRAME.to_vec();
        let len = MAX_DICTIONARY as u64 + 1;
        frame.extend_from_slice(&u32::try_from(len).expect("it fits").to_le_bytes());
        let stream =
            Cursor::new(frame).chain(io::repeat(0).take(len)).chain(Cursor::new(packed(b"one")));
        let mut all = Vec::new();
        Frames::new(BufReader::new(stream)).expect("memory").read_to_end(&mut all).expect("whole");
        assert_eq!(all, b"one");
    }
}
