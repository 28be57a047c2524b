//! Recordings: WARC files written and read.
