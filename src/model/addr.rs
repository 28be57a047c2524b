//! Endpoints, and the key under which both directions of one TCP connection are found.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One end of a TCP connection: an IP address and a port. 20 bytes, no scope id, no flow label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// IPv4 or IPv6 address as in the IP header (an IPv4-mapped address stays IPv6).
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint from its parts.
    pub fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self::new(addr.ip(), addr.port())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which of the two ends of a flow: `Low` is the smaller endpoint, `High` the larger.
///
/// Says nothing of who is client and who is server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Side {
    /// The smaller endpoint of the key.
    Low,
    /// The larger endpoint of the key.
    High,
}

impl Side {
    /// The other end.
    pub fn peer(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }

    /// 0 for `Low`, 1 for `High`: the place in a pair of halves.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The 4-tuple of a TCP connection in canonical order, so that both directions have one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowKey {
    /// The smaller endpoint.
    pub low: Endpoint,
    /// The larger endpoint.
    pub high: Endpoint,
}

impl FlowKey {
    /// The key for a segment from `src` to `dst`, and the side that sent it.
    ///
    /// A connection from an endpoint to itself (a TCP simultaneous open with oneself) has one side
    /// only: everything comes from `Low`.
    pub fn new(src: Endpoint, dst: Endpoint) -> (Self, Side) {
        if src <= dst {
            (Self { low: src, high: dst }, Side::Low)
        } else {
            (Self { low: dst, high: src }, Side::High)
        }
    }

    /// The endpoint on that side.
    pub fn end(&self, side: Side) -> Endpoint {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key_and_opposite_sides() {
        let a = Endpoint::new([10, 0, 0, 1].into(), 40000);
        let b = Endpoint::new([10, 0, 0, 2].into(), 80);
        let (key_ab, side_a) = FlowKey::new(a, b);
        let (key_ba, side_b) = FlowKey::new(b, a);
        assert_eq!(key_ab, key_ba);
        assert_eq!(side_a, side_b.peer());
        assert_eq!((key_ab.end(side_a), key_ab.end(side_b)), (a, b));
    }

    #[test]
    fn an_endpoint_stays_small() {
        assert_eq!(size_of::<Endpoint>(), 20);
    }
}
