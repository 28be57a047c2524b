//! The two places text goes to: results to stdout, everything said along the way to stderr.
//!
//! A reader that goes away (a closed pipe) is not an error: there is nobody left to tell.

use std::io::{self, Write};

/// One line for the person at the terminal, on stderr.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", line.trim_end());
}

/// A result, on stdout, its last line ended.
pub fn put(text: &str) {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(out, "{text}{end}").and_then(|()| out.flush());
}
