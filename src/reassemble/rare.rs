//! What most directions of most connections never have, or only for a moment: in a box of its own, so
//! that an idle connection stays small.
//!
//! In: what `half` notes. Out: the same. Guaranteed: it says when nothing in it matters any more.

use super::waiting::Waiting;
use crate::model::{SeqNum, Timestamp};

/// Why bytes may not be delivered although they are next in line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doubt {
    /// They came on a SYN (RFC 7413): whether the server took them is told by what follows.
    OnSyn,
    /// The connection began before the capture did, or this segment overtook its SYN: since then it
    /// is waited for what may come before it.
    Start(Timestamp),
}

/// A hole that the other side acknowledged past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    /// Since when.
    pub since: Timestamp,
    /// What the other side had acknowledged then.
    pub acked: SeqNum,
}

/// Segments outside the window, each next to the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Astray {
    /// Where the next one would begin.
    pub next: SeqNum,
    /// How many there were.
    pub run: u8,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Segments that wait.
    pub waiting: Waiting,
    /// Sequence number of a FIN whose turn has not come; it stands behind the last byte.
    pub fin: Option<SeqNum>,
    /// Sequence number of an RST that is not yet due.
    pub reset: Option<SeqNum>,
    /// Sequence number of an urgent byte that is not yet delivered.
    pub urgent: Option<SeqNum>,
    /// Whether an urgent byte was left out that stood alone: the next piece must say so.
    pub is_urgent_left: bool,
    /// The stream, perhaps, far away.
    pub astray: Option<Astray>,
    /// The hole in front, where it is known to be one.
    pub hole: Option<Hole>,
    /// Why what is next in line may not be delivered.
    pub doubt: Option<Doubt>,
    /// Whether the other side acknowledged anything while something waited: then it is heard, and
    /// what is missing is missing there too.
    pub is_peer_heard: bool,
}

impl Rare {
    /// Whether nothing in it matters any more.
    pub fn is_idle(&self) -> bool {
        let is_noted = self.fin.is_some()
            || self.reset.is_some()
            || self.urgent.is_some()
            || self.is_urgent_left
            || self.astray.is_some()
            || self.hole.is_some()
            || self.doubt.is_some();
        self.waiting.is_empty() && !is_noted
    }

    /// Memory held, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Self>().saturating_add(self.waiting.memory())
    }
}
