//! The right to capture: CAP_NET_RAW, raised for the moment it is needed, then given up.
//!
//! In: the capabilities of the calling thread, as root, by file capability (`cap_net_raw+p`) or none.
//! Out: what was had, and afterwards nothing: receiving from an open capture needs no right.
//!
//! Capabilities belong to a thread on Linux, and a new thread inherits those of its creator. So
//! [`raise`], open, [`drop_all`], in this order, on the main thread before any other is started;
//! [`drop_all`] says how many threads there are that it could not reach.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// The rights the process had when asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// Whether the process runs as root (which in a container may mean little).
    pub root: bool,
    /// Whether CAP_NET_RAW is among the permitted capabilities: it may be raised.
    pub permitted: bool,
    /// Whether CAP_NET_RAW is effective now.
    pub effective: bool,
}

impl Rights {
    /// The rights of the calling thread, unchanged.
    pub fn now() -> Self {
        let sets = capabilities(None).unwrap_or(NOTHING);
        Self {
            root: rustix::process::geteuid().is_root(),
            permitted: sets.permitted.contains(CapabilitySet::NET_RAW),
            effective: sets.effective.contains(CapabilitySet::NET_RAW),
        }
    }
}

const NOTHING: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// Raises CAP_NET_RAW from permitted to effective, if it is permitted, and says what holds now.
///
/// Without it nothing changes and nothing fails here: opening the capture will, with advice.
pub fn raise() -> Rights {
    if let Ok(mut sets) = capabilities(None)
        && sets.permitted.contains(CapabilitySet::NET_RAW)
        && !sets.effective.contains(CapabilitySet::NET_RAW)
    {
        sets.effective |= CapabilitySet::NET_RAW;
        // A failure shows in the rights returned.
        let _ = set_capabilities(None, sets);
    }
    Rights::now()
}

/// Gives up every capability of the calling thread: effective, permitted, inheritable, and with them
/// the ambient ones.
///
/// With `keep_net_raw_permitted`, CAP_NET_RAW stays permitted but not effective, so that [`raise`]
/// works again: for captures that may have to be reopened. Returns how many *other* threads of the
/// process still hold more than that; 0 when called as the module says.
pub fn drop_all(keep_net_raw_permitted: bool) -> io::Result<usize> {
    let had = capabilities(None)?.permitted;
    let mut keep = CapabilitySet::empty();
    if keep_net_raw_permitted {
        keep = had & CapabilitySet::NET_RAW;
    }
    set_capabilities(None, CapabilitySets { permitted: keep, ..NOTHING })?;
    Ok(threads_holding_more_than(keep))
}

/// Threads of this process whose permitted or effective capabilities exceed these.
fn threads_holding_more_than(keep: CapabilitySet) -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .filter(|status| held(status) & !keep.bits() != 0)
        .count()
}

/// The capabilities named in the CapPrm and CapEff lines of a `/proc/.../status`.
fn held(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|line| line.strip_prefix("CapPrm:").or_else(|| line.strip_prefix("CapEff:")))
        .filter_map(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .fold(0, |all, set| all | set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_tells_what_a_thread_holds() {
        let status =
            "Name:\tx\nCapInh:\tffff\nCapPrm:\t0000000000002000\nCapEff:\t0000000000000001\n";
        assert_eq!(held(status), 0x2001);
        assert_eq!(held("CapPrm:\tnonsense\n"), 0);
    }

    /// Each test has a thread of its own, so nothing is taken from the others.
    #[test]
    fn what_is_dropped_is_gone_and_what_is_kept_can_be_raised_again() {
        let had = Rights::now();
        drop_all(true).expect("capset");
        let kept = Rights::now();
        assert_eq!((kept.permitted, kept.effective), (had.permitted, false));
        let raised = raise();
        assert_eq!(raised.effective, had.permitted);
        drop_all(false).expect("capset");
        let gone = raise();
        assert_eq!((gone.permitted, gone.effective), (false, false));
    }
}
