//! SIGINT and SIGTERM as events.
//!
//! Installed after the capture was opened and its rights were dropped: the thread that waits for
//! signals must not keep them.

use std::io;

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::supervise::Event;

/// Sends an event for each signal from now on.
///
/// signal thread --signals--> main thread
pub fn install(event_tx: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        for signal in signals.forever() {
            let event = if signal == SIGINT { Event::Interrupt } else { Event::Terminate };
            if event_tx.send(event).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}
