//! The body of an answer without its Content-Encoding (RFC 9110 section 8.4).
//!
//! In: a body, perhaps only its beginning, and the codings as the field has them. Out: the bytes, and whether they are all
//! that the body stands for. Known are gzip, deflate (with and without its zlib frame) and zstd; br is not.
//! Guaranteed: no more than [`MAX_DECODED`] bytes are made, whatever came.

use std::borrow::Cow;
use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Decoded bytes at most; values behind them are not seen.
pub(super) const MAX_DECODED: u64 = 4 << 20;
/// Codings one within the other at most.
const MAX_CODINGS: usize = 4;
/// The largest window of zstd that is given memory: 8 MiB, as RFC 8878 asks of every decoder.
const ZSTD_WINDOW_LOG: u32 = 23;

/// See the module's description.
pub(super) fn decoded<'a>(body: &'a [u8], codings: &[&[u8]]) -> (Cow<'a, [u8]>, bool) {
    let names = codings.iter().flat_map(|value| value.split(|&b| b == b','));
    let names: Vec<_> = names
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != b"identity")
        .take(MAX_CODINGS + 1)
        .collect();
    if names.len() > MAX_CODINGS {
        return (Cow::Borrowed(&[]), false);
    }
    let (mut body, mut is_whole) = (Cow::Borrowed(body), true);
    // The last one was applied last.
    for name in names.iter().rev().filter(|_| !body.is_empty()).collect::<Vec<_>>() {
        let (bytes, is_all) = decode(&body, name);
        (body, is_whole) = (Cow::Owned(bytes), is_whole && is_all);
    }
    (body, is_whole)
}

fn decode(body: &[u8], name: &[u8]) -> (Vec<u8>, bool) {
    match name {
        b"gzip" | b"x-gzip" => read(MultiGzDecoder::new(body)),
        b"deflate" => match read(ZlibDecoder::new(body)) {
            // Many servers leave the zlib frame out.
            (bytes, false) if bytes.is_empty() => read(DeflateDecoder::new(body)),
            read => read,
        },
        b"zstd" => match zstd::stream::read::Decoder::with_buffer(body) {
            Ok(mut decoder) => match decoder.window_log_max(ZSTD_WINDOW_LOG) {
                Ok(()) => read(decoder),
                Err(_) => (Vec::new(), false),
            },
            Err(_) => (Vec::new(), false),
        },
        _ => (Vec::new(), false),
    }
}

/// What can be read, and whether it came to a good end.
fn read(decoder: impl Read) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let end = decoder.take(MAX_DECODED + 1).read_to_end(&mut bytes);
    let is_whole = end.is_ok() && bytes.len() as u64 <= MAX_DECODED;
    bytes.truncate(usize::try_from(MAX_DECODED).unwrap_or(usize::MAX));
    (bytes, is_whole)
}
