//! What a reader of recordings gives out: messages, damages, counts.
//!
//! Values only. A message's bytes are not taken apart here: that is the `http` room's work.

use bytes::Bytes;

use crate::model::{Anomalies, Endpoint, Timestamp};

use super::warc::Kind;

/// What a reader takes into memory at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a record's block; a larger one is skipped and reported.
    pub max_block_bytes: u64,
}

impl Default for Limits {
    /// 64 MiB: four times the default `--max-body`.
    fn default() -> Self {
        Self { max_block_bytes: 64 << 20 }
    }
}

/// A message from a recording, its bytes not yet taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedMessage {
    /// Request or response.
    pub kind: Kind,
    /// The whole message as it was on the wire.
    pub raw: Bytes,
    /// Number of its connection.
    pub conn: u64,
    /// Number of the message among those of its kind in the connection.
    pub index: u32,
    /// The client's endpoint; all zero when the file does not tell.
    pub client: Endpoint,
    /// The server's endpoint.
    pub server: Endpoint,
    /// When its first byte was seen.
    pub first_byte: Timestamp,
    /// When its last byte was seen.
    pub last_byte: Timestamp,
    /// Of a response: index of the request it answers, where that is known.
    pub request: Option<u32>,
    /// What was odd about it when it was captured.
    pub anomalies: Anomalies,
    /// How many secrets in it the file says are replaced.
    pub redacted: u32,
    /// Whether the writer said that the message is not whole: then this is its beginning.
    pub truncated: bool,
    /// Offset of the record in the (decompressed) stream.
    pub offset: u64,
}

/// What is wrong with a part of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DamageKind {
    /// Bytes that are no record.
    NotARecord,
    /// The block does not fit its digest.
    Digest,
    /// No end where the block's length puts it.
    Length,
    /// The block is larger than the limit.
    TooLarge,
    /// The file ends within a record.
    Cut,
    /// The compressed stream is broken; nothing behind can be read.
    Compression,
    /// An entry of a HAR document that is none, at this place of it, counted from 1.
    Entry {
        /// The line.
        line: u64,
        /// The byte in it.
        column: u64,
    },
    /// An entry of a HAR document with more fields in a list than a message may have.
    Fields,
    /// An entry of a HAR document whose base64 is none.
    Base64,
    /// A line of an access log that is not of its format.
    Line,
}

/// A part of the file that was skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damage {
    /// What is wrong.
    pub kind: DamageKind,
    /// Where it begins, in the (decompressed) stream.
    pub offset: u64,
    /// Bytes skipped.
    pub len: u64,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.kind {
            DamageKind::NotARecord => "no record",
            DamageKind::Digest => "a record whose content does not fit its digest",
            DamageKind::Length => "a record whose length is wrong",
            DamageKind::TooLarge => "a record larger than the limit",
            DamageKind::Cut => "the file ends within a record",
            DamageKind::Compression => "the compressed stream is broken",
            DamageKind::Fields => "an entry with more than 4,096 fields in a list",
            DamageKind::Base64 => "an entry with base64 that is none",
            DamageKind::Line => "a line that is not of the log's format (see --log-format)",
            DamageKind::Entry { line, column } => {
                let place = format_args!("line {line}, column {column}");
                return write!(
                    f,
                    "at {place}: no entry of a HAR document, {} bytes skipped",
                    self.len
                );
            }
        };
        write!(f, "at byte {}: {what}, {} bytes skipped", self.offset, self.len)
    }
}

/// What a reader gives out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A message.
    Message(RecordedMessage),
    /// A part that was skipped.
    Damage(Damage),
}

/// What was found so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadCounts {
    /// Requests given out.
    pub requests: u64,
    /// Responses given out.
    pub responses: u64,
    /// Records that hold no HTTP message: `warcinfo`, `metadata`, ...
    pub other: u64,
    /// Damages reported.
    pub damages: u64,
    /// Bytes in them.
    pub damaged_bytes: u64,
}
