//! v1 first on the CPU: whose turn it is when there is not enough for all.
//!
//! Beside a live v1 the sending thread runs at idle priority (`SCHED_IDLE`, sched(7)): it gets the CPU when
//! v1 and the capture leave it. The capture runs at normal priority. Linux ranks threads so only within one
//! cgroup; between containers the cgroups' weights do it. A thread at idle priority must hold nothing the
//! capture waits for: the way between them is free of locks, and so is the allocator.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// The priority of one thread, which another may raise again.
#[derive(Clone, Debug, Default)]
pub struct Priority(Arc<AtomicI32>);

impl Priority {
    /// Puts the calling thread at idle priority, from which [`Self::raise`] brings it back.
    pub fn lower(&self) {
        self.0.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Release);
        set(0, libc::SCHED_IDLE);
    }

    /// Puts that thread at normal priority again, if it was lowered: what is left is to be done soon.
    pub fn raise(&self) {
        match self.0.load(Ordering::Acquire) {
            0 => {}
            thread => set(thread, libc::SCHED_OTHER),
        }
    }
}

/// Sets the policy of a thread of this process, 0 for the calling one. Neither needs a right.
fn set(thread: i32, policy: i32) {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads `param` only, which lives until it returns.
    #[allow(unsafe_code)]
    let result = unsafe { libc::sched_setscheduler(thread, policy, &param) };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "the priority of a thread cannot be set");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> i32 {
        // SAFETY: no memory is involved.
        #[allow(unsafe_code)]
        unsafe {
            libc::sched_getscheduler(0)
        }
    }

    #[test]
    fn a_thread_is_lowered_and_raised_again_by_another() {
        let priority = Priority::default();
        let (lowered_tx, lowered_rx) = crossbeam_channel::bounded(0);
        let (raised_tx, raised_rx) = crossbeam_channel::bounded::<()>(0);
        priority.raise();
        let other = priority.clone();
        let thread = std::thread::spawn(move || {
            other.lower();
            lowered_tx.send(policy()).expect("send");
            raised_rx.recv().expect("raised");
            policy()
        });
        assert_eq!(lowered_rx.recv().expect("lowered"), libc::SCHED_IDLE);
        priority.raise();
        raised_tx.send(()).expect("send");
        assert_eq!(thread.join().expect("join"), libc::SCHED_OTHER);
        assert_eq!(policy(), libc::SCHED_OTHER, "of the other thread only");
    }
}
