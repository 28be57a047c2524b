//! SIGINT and SIGTERM as events, and SIGHUP where there is a config file to read again.
//!
//! Installed after the capture was opened and its rights were dropped: the thread that waits for
//! signals must not keep them.

use std::io;

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::supervise::Event;

/// Sends an event for each signal from now on. Where nothing `reloads`, SIGHUP ends the process as it always did.
///
/// signal thread --signals--> main thread
pub fn install(event_tx: Sender<Event>, reloads: bool) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if reloads {
        signals.add_signal(SIGHUP)?;
    }
    let wait = move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGINT => Event::Interrupt,
                SIGHUP => Event::Reload,
                _ => Event::Terminate,
            };
            if event_tx.send(event).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}
