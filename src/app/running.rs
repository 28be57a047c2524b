//! A run whose threads are started: what `mirror`, `replay` and `demo` have in common from then on.
//!
//! In: the supervised [`Run`], how to wake its capture, how to tell its consumer to end. Out: the
//! wait for its end, and a way to end the capture from another thread.

use std::sync::Arc;

use super::Exit;
use super::supervise::{Ending, Run};

/// See the module's description.
pub struct Running {
    /// Its name, counts and ledger.
    pub run: Run,
    wake: Arc<dyn Fn() + Send + Sync>,
    end: Box<dyn Fn(Ending)>,
}

impl Running {
    /// Puts the parts together. `wake` makes the capture look whether it is to stop; `end` tells the
    /// consumer how to come to an end.
    pub fn new(
        run: Run,
        wake: impl Fn() + Send + Sync + 'static,
        end: impl Fn(Ending) + 'static,
    ) -> Self {
        Self { run, wake: Arc::new(wake), end: Box::new(end) }
    }

    /// Ends the capture when called, as `--duration` does: what was captured before is still sent.
    pub fn stopper(&self) -> impl Fn() + Send + 'static {
        let (shared, wake) = (self.run.shared(), Arc::clone(&self.wake));
        move || {
            shared.stop();
            wake();
        }
    }

    /// Waits, on the main thread, until everything is done or a signal ended it.
    pub fn wait(&self) -> anyhow::Result<Exit> {
        self.run.wait(&*self.wake, &*self.end)
    }
}
