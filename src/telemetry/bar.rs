//! The progress bar on a terminal: one line at the bottom, which what is said and logged scrolls past.
//!
//! In: how much is done, and a text. Out: the line on stderr, drawn anew; [`Stderr`] for everything else
//! that goes there. Nothing is drawn where stderr is no terminal. One bar for the process: there is one
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

/// What a bar counts to: it is given fractions.
const WHOLE: u64 = 10_000;

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn bar() -> MutexGuard<'static, Option<ProgressBar>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a bar would be seen.
pub fn is_visible() -> bool {
    io::stderr().is_terminal()
}

/// Draws it: how much of the whole is done, where that is known, and what to say beside it.
pub fn draw(done: Option<f64>, text: String) {
    let mut bar = bar();
    let bar = bar.get_or_insert_with(|| {
        let bar = ProgressBar::new(WHOLE);
        let style = match done {
            Some(_) => "{elapsed_precise} [{bar:24}] {percent}%, {eta} left; {wide_msg}",
            None => "{elapsed_precise} {spinner} {wide_msg}",
        };
        // Fails only for a template that makes no sense.
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar
    });
    if let Some(done) = done {
        bar.set_position((done.clamp(0.0, 1.0) * WHOLE as f64) as u64);
    }
    bar.set_message(text);
    bar.tick();
}

/// Takes it away for good.
pub fn remove() {
    if let Some(bar) = bar().take() {
        bar.finish_and_clear();
    }
}

/// Standard error beside the bar: what is written stands above it.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bar = bar();
        let write = || io::stderr().lock().write(bytes);
        match &*bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
