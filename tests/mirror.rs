//! `mirror`, live: v2 receives exactly what v1 was asked, the ledger says so, and it ends as told.
//!
//! Truth is nginx's access log for method and path, and the client's own knowledge for bodies.

/// Needs root: captures live.
mod privileged {
    mod copies;
    mod delay;
    mod ends;
    mod exact;
    mod matching;
    mod sample;
}
