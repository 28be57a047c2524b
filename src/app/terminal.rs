//! The two places text goes to: results to stdout, everything said along the way to stderr.
//!
//! A reader that goes away (a closed pipe) is not an error: there is nobody left to tell.

use std::io::{self, Write};

use crate::telemetry::bar;

/// One line for the person at the terminal, on stderr.
pub fn say(line: &str) {
    // In one piece, so that a bar is taken away once.
    let _ = bar::Stderr.write_all(format!("{}\n", line.trim_end()).as_bytes());
}

/// A result, on stdout, its last line ended.
pub fn put(text: &str) {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(out, "{text}{end}").and_then(|()| out.flush());
}
