//! v1 first on the CPU: whose turn it is when there is not enough for all.
//!
//! Beside a live v1 the sending thread runs at idle priority (`SCHED_IDLE`, sched(7)): it gets the CPU when
//! v1 and the capture leave it. The capture runs at normal priority. Linux ranks threads so only within one
//! cgroup; between containers the cgroups' weights do it. A thread at idle priority must hold nothing the
//! capture waits for: the way between them takes no lock, and neither does the allocator. A thread cannot
//! come back from idle priority without a right, and every right was dropped: what must go on at normal
//! priority goes on in another thread, started before (see `sending`).

/// Puts the calling thread at idle priority, for good.
pub fn lower() {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads `param` only, which lives until it returns.
    #[allow(unsafe_code)]
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &param) };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "the priority of a thread cannot be lowered");
    }
}

/// Whether the calling thread is at idle priority.
#[cfg(test)]
pub fn is_lowered() -> bool {
    // SAFETY: no memory is involved.
    #[allow(unsafe_code)]
    let policy = unsafe { libc::sched_getscheduler(0) };
    policy == libc::SCHED_IDLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_lowered_and_no_other() {
        let thread = std::thread::spawn(|| {
            lower();
            is_lowered()
        });
        assert!(thread.join().expect("join") && !is_lowered());
    }
}
