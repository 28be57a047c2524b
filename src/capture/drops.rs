//! What never reached the ring: dropped by the kernel or by an interface, counted in 64 bits.
//!
//! In: libpcap's statistics, which are 32 bits wide and wrap, and the interface's own counters in
//! `/sys/class/net`, which libpcap reads only in promiscuous mode. Out: sums since the start.

use pcap::{Active, Capture};

use super::interfaces::ANY;

/// Frames that were lost before they could be read.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Drops {
    /// Frames that the filter let through and the ring had no room for.
    pub kernel: u64,
    /// Frames that the interface's hardware or driver had no room for, whatever their port.
    pub interface: u64,
}

/// The counters of one interface, as they were last seen.
#[derive(Debug)]
pub struct Counter {
    name: String,
    kernel: u32,
    interface: u64,
}

impl Counter {
    /// Starts counting now.
    pub fn start(name: &str, capture: &mut Capture<Active>) -> Self {
        let kernel = capture.stats().map_or(0, |stat| stat.dropped);
        Self { name: name.into(), kernel, interface: interface_drops(name) }
    }

    /// Adds what was dropped since the last time. Must be asked before 2^32 more drops.
    pub fn update(&mut self, capture: &mut Capture<Active>, sum: &mut Drops) {
        // Without an answer (the interface is gone) the last count stands.
        if let Ok(stat) = capture.stats() {
            sum.kernel += u64::from(stat.dropped.wrapping_sub(self.kernel));
            self.kernel = stat.dropped;
        }
        let interface = interface_drops(&self.name);
        // A smaller count is that of another interface with the same name.
        sum.interface += interface.saturating_sub(self.interface);
        self.interface = interface;
    }
}

/// Frames the interface received and had to drop for want of room; of all interfaces for `any`.
fn interface_drops(name: &str) -> u64 {
    if name == ANY {
        let Ok(all) = std::fs::read_dir("/sys/class/net") else { return 0 };
        return all
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .map(|n| interface_drops(&n))
            .sum();
    }
    // The same two as libpcap: missed by the device, and its receive queue full.
    ["rx_missed_errors", "rx_fifo_errors"]
        .iter()
        .filter_map(|file| {
            std::fs::read_to_string(format!("/sys/class/net/{name}/statistics/{file}")).ok()
        })
        .filter_map(|text| text.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_does_not_exist_dropped_nothing() {
        assert_eq!(interface_drops("nosuch0"), 0);
        assert_eq!(interface_drops("lo"), 0);
    }
}
