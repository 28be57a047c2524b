//! Segments to stream events: connections, data in order, holes, ends.
