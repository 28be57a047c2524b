//! The 4-tuple as it is kept of every connection: 16 bytes where it is IPv4.
//!
//! In: a key. Out: the same. Guaranteed: comparing allocates nothing.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::{Endpoint, FlowKey};

/// See the module's description.
#[derive(Clone, Debug)]
pub(super) enum CompactKey {
    /// Both addresses are IPv4: low and high end.
    V4 { ips: [Ipv4Addr; 2], ports: [u16; 2] },
    /// Anything else.
    Other(Box<FlowKey>),
}

impl CompactKey {
    pub fn new(key: &FlowKey) -> Self {
        match (key.low.ip, key.high.ip) {
            (IpAddr::V4(low), IpAddr::V4(high)) => {
                Self::V4 { ips: [low, high], ports: [key.low.port, key.high.port] }
            }
            _ => Self::Other(Box::new(*key)),
        }
    }

    pub fn full(&self) -> FlowKey {
        match self {
            Self::V4 { ips: [low, high], ports: [low_port, high_port] } => FlowKey {
                low: Endpoint::new(IpAddr::V4(*low), *low_port),
                high: Endpoint::new(IpAddr::V4(*high), *high_port),
            },
            Self::Other(key) => **key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_as_it_was() {
        let v4 = Endpoint::new([10, 0, 0, 1].into(), 1);
        let v6 = Endpoint::new([1; 16].into(), 2);
        for (low, high) in [(v4, v4), (v4, v6), (v6, v6)] {
            let key = FlowKey { low, high };
            assert_eq!(CompactKey::new(&key).full(), key);
        }
        assert_eq!(size_of::<CompactKey>(), 16);
    }
}
