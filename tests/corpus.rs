//! Fidelity on a corpus of hand-made requests: what a lenient v1 took whole, v2 must get byte for byte.
//!
//! In: [`Case`]s, each what one client connection sends and how. Truth is what the client sent and v1 took.
//! What v2 took is compared after the marker line, which must be the last one, was taken off.

mod bodies;
mod heads;
mod play;
mod sending;

/// What one client connection sends.
pub struct Case {
    /// Unique; stands in each of its requests.
    pub name: &'static str,
    /// Its requests, each from its start line to its last byte.
    pub requests: Vec<Vec<u8>>,
    /// How it sends them.
    pub how: How,
    /// What becomes of the last one; those before are copied.
    pub fate: Fate,
}

/// How requests are put on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Each in one write, when the one before was answered.
    InTurn,
    /// All in one write, behind these bytes.
    Together(&'static [u8]),
    /// All, in pieces of so many bytes, with a pause of so many milliseconds after each.
    Pieces(usize, u64),
    /// All in two pieces, the first of so many bytes.
    Cut(usize),
    /// The head; the body after `100 Continue`.
    Continue,
}

/// What must become of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It reaches v2.
    Copied,
    /// CONNECT or Upgrade: counted as `not_replayable`. Behind it comes what is no HTTP.
    NotReplayable,
    /// Given up by its client before it was whole: counted as `incomplete`.
    Aborted(Abort),
}

/// How a client gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Abort {
    /// It closes.
    Fin,
    /// It resets.
    Rst,
}

impl Case {
    /// One request in one write.
    pub fn new(name: &'static str, request: Vec<u8>) -> Self {
        Self { name, requests: vec![request], how: How::InTurn, fate: Fate::Copied }
    }

    /// A text in which `NAME` stands for the name.
    pub fn of(name: &'static str, text: &[u8]) -> Self {
        Self::new(name, named(name, text))
    }

    /// Sent so.
    pub fn how(mut self, how: How) -> Self {
        self.how = how;
        self
    }

    /// With this end.
    pub fn fate(mut self, fate: Fate) -> Self {
        self.fate = fate;
        self
    }

    /// How many of its requests must reach v2.
    pub fn copied(&self) -> &[Vec<u8>] {
        let but_last = self.requests.len() - usize::from(self.fate != Fate::Copied);
        &self.requests[..but_last]
    }
}

/// The text with `NAME` replaced.
pub fn named(name: &str, text: &[u8]) -> Vec<u8> {
    let Some(at) = memchr::memmem::find(text, b"NAME") else { return text.to_vec() };
    [&text[..at], name.as_bytes(), &text[at + 4..]].concat()
}

/// All of it.
pub fn corpus() -> Vec<Case> {
    let heads = heads::HEADS.iter().map(|(name, text)| Case::of(name, text));
    heads.chain(heads::long()).chain(bodies::cases()).chain(sending::cases()).collect()
}
