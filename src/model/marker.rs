//! The marker: the header field by which a copy of ours is told from v1's own traffic.

/// Name of the field that the replayer adds to each copy, in lower case. Its value is
/// `<run>-<n>`. A captured request that carries it is a copy and is never sent again.
pub const MARKER_FIELD: &str = "x-shadowtap";
