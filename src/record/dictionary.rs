//! A zstd dictionary for a recording's records, which are small and alike.
//!
//! In: the bytes of a dictionary that `zstd --train` made. Out: the same, checked, and the frame with which each file
//! begins that was packed with it, so that no file needs another one to be read (IIPC's WARC over zstd; `model::zstd`
//! reads it).

use std::sync::Arc;

use thiserror::Error;

use crate::model::zstd::{DICTIONARY_FRAME, DICTIONARY_MAGIC, MAX_DICTIONARY};

/// Level at which the dictionary itself is stored: once for each file.
const LEVEL: i32 = 9;

/// See the module's description.
#[derive(Clone, PartialEq, Eq)]
pub struct Dictionary {
    bytes: Arc<[u8]>,
    frame: Arc<[u8]>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({} bytes)", self.bytes.len())
    }
}

/// Why a file is no dictionary.
#[derive(Debug, Error)]
pub enum DictionaryError {
    /// It begins otherwise.
    #[error("it is no zstd dictionary; `zstd --train -B2048 traffic.warc -o FILE` makes one")]
    NotOne,
    /// It is over the limit.
    #[error("it is larger than {MAX_DICTIONARY} bytes")]
    TooLarge,
    /// It begins like one, and cannot be used.
    #[error("zstd cannot use it as a dictionary: {0}")]
    Broken(std::io::Error),
}

impl Dictionary {
    /// Of the content of a file.
    pub fn new(bytes: &[u8]) -> Result<Self, DictionaryError> {
        if bytes.len() > MAX_DICTIONARY {
            return Err(DictionaryError::TooLarge);
        }
        if !bytes.starts_with(&DICTIONARY_MAGIC) {
            return Err(DictionaryError::NotOne);
        }
        // It is taken apart at the first use.
        let mut compressor =
            zstd::bulk::Compressor::with_dictionary(1, bytes).map_err(DictionaryError::Broken)?;
        compressor.compress(b"WARC/1.1\r\n").map_err(DictionaryError::Broken)?;
        let packed = zstd::bulk::compress(bytes, LEVEL).map_err(DictionaryError::Broken)?;
        let content = if packed.len() < bytes.len() { packed.as_slice() } else { bytes };
        let len = u32::try_from(content.len()).map_err(|_| DictionaryError::TooLarge)?;
        let frame = [&DICTIONARY_FRAME[..], &len.to_le_bytes(), content].concat();
        Ok(Self { bytes: bytes.into(), frame: frame.into() })
    }

    /// What the compressor takes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a file begins with.
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_dictionary_is_said_with_what_makes_one() {
        let error = |bytes: &[u8]| Dictionary::new(bytes).expect_err("none").to_string();
        assert!(error(b"").contains("zstd --train"));
        assert!(error(b"WARC/1.1\r\n").contains("zstd --train"));
        let broken = [&DICTIONARY_MAGIC[..], &[0xff; 300]].concat();
        assert!(error(&broken).contains("cannot use it"), "{}", error(&broken));
        assert!(error(&vec![0; MAX_DICTIONARY + 1]).contains("larger than"));
    }
}
