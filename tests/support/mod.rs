//! What the tests stand on: servers whose own logs are the truth, clients that know what they
//! sent, network namespaces that look like a pod, and the real executable under them.
//!
//! In: nothing but Debian's nginx, tcpdump, iproute2 and util-linux. Out: sets of requests to
//! compare. Guarantees: everything started is ended and everything made is removed when its value is dropped;
//! nothing waits without a deadline. Not here: what shadowtap ought to do.

// Each test uses its own share of this.
#![allow(dead_code)]

pub mod fixtures;
pub mod heap;
pub mod ledger;
pub mod load;
pub mod netns;
pub mod nginx;
pub mod process;
pub mod raw;
pub mod request;
pub mod shadowtap;
pub mod stage;
pub mod tcpdump;
pub mod tmpfs;
pub mod v2;
mod wire;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

/// Long enough for anything on a slow, shared machine; nothing ever waits for all of it in vain.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds, and panics with `what` when it has not by then.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Panics, and says what to do, unless the test runs as root.
#[track_caller]
pub fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "needs root to make network namespaces; `make test` leaves it out for others"
    );
}

/// Tests that load the machine hold this, so that they do so one after the other.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
