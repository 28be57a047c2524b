//! Which connections count: the watched ports, whose server they must belong to, and v2's own.

use std::collections::HashSet;
use std::net::IpAddr;

use super::{Endpoint, FlowKey, Ignored, OwnConnections, Side};

/// Whose server side a watched connection must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// Any address: files, span ports, nodes (`--server any`).
    Any,
    /// This host's own addresses, as on a live interface; and all of 127.0.0.0/8, which Linux serves
    /// although only 127.0.0.1 is configured.
    Local(HashSet<IpAddr>),
    /// One of these addresses: those given by `--server`.
    Only(HashSet<IpAddr>),
}

impl Servers {
    /// Whether a server at this address counts.
    pub fn include(&self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Local(ips) => ip.is_loopback() || ips.contains(&ip),
            Self::Only(ips) => ips.contains(&ip),
        }
    }
}

/// What to watch. Asked once for each new connection, not for each packet of a known one.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Server ports; empty means every port.
    pub ports: Vec<u16>,
    /// Whose servers count.
    pub servers: Servers,
    /// Where v2 listens, or a proxy on the way to it: connections to it are ours, or at least not v1's.
    pub excluded: HashSet<Endpoint>,
    /// Connections of this process to v2.
    pub own: OwnConnections,
}

impl Watch {
    /// Every TCP connection of the capture, whoever serves it.
    pub fn everything() -> Self {
        Self {
            ports: Vec::new(),
            servers: Servers::Any,
            excluded: HashSet::new(),
            own: OwnConnections::default(),
        }
    }

    /// Whether this connection counts, and if so which side is the server, where that is certain.
    ///
    /// `opener` is the side known to have sent the SYN, if it was seen.
    pub fn server_side(
        &self,
        key: &FlowKey,
        opener: Option<Side>,
    ) -> Result<Option<Side>, Ignored> {
        if self.own.contains(key) {
            return Err(Ignored::OwnConnection);
        }
        let mut refused = Ignored::OtherPort;
        let candidates = match opener {
            Some(client) => [Some(client.peer()), None],
            None => [Some(Side::Low), Some(Side::High)],
        };
        let mut found: Option<Side> = None;
        let mut both = false;
        for side in candidates.into_iter().flatten() {
            match self.refuses(key.end(side)) {
                None => {
                    both = found.is_some();
                    found = Some(side);
                }
                // The more telling cause wins: an own connection over a foreign server over a port.
                Some(cause) => refused = more_telling(refused, cause),
            }
        }
        match found {
            None => Err(refused),
            Some(_) if refused == Ignored::OwnConnection => Err(refused),
            Some(_) if both => Ok(None),
            Some(side) => Ok(Some(side)),
        }
    }

    /// Whether this is the endpoint of a watched server.
    pub fn is_server(&self, endpoint: Endpoint) -> bool {
        let is_watched = self.ports.is_empty() || self.ports.contains(&endpoint.port);
        is_watched && self.servers.include(endpoint.ip)
    }

    /// Why this endpoint cannot be the server of a watched connection; `None` when it can.
    fn refuses(&self, server: Endpoint) -> Option<Ignored> {
        if self.excluded.contains(&server) {
            return Some(Ignored::OwnConnection);
        }
        if !self.ports.is_empty() && !self.ports.contains(&server.port) {
            return Some(Ignored::OtherPort);
        }
        (!self.servers.include(server.ip)).then_some(Ignored::OtherServer)
    }
}

fn more_telling(a: Ignored, b: Ignored) -> Ignored {
    let rank = |cause| match cause {
        Ignored::OwnConnection => 2,
        Ignored::OtherServer => 1,
        _ => 0,
    };
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(last: u8, port: u16) -> Endpoint {
        Endpoint::new([10, 0, 0, last].into(), port)
    }

    fn watch() -> Watch {
        Watch {
            ports: vec![80],
            servers: Servers::Only(HashSet::from([IpAddr::from([10, 0, 0, 1])])),
            excluded: HashSet::from([end(9, 80)]),
            own: OwnConnections::default(),
        }
    }

    #[test]
    fn an_own_connection_never_counts_whatever_it_goes_to() {
        let watch = watch();
        let (key, _) = FlowKey::new(end(2, 5000), end(1, 80));
        assert!(watch.server_side(&key, None).is_ok());
        watch.own.add(end(2, 5000), end(3, 80), std::time::Instant::now());
        assert!(watch.server_side(&key, None).is_ok(), "v1's, from the same port");
        watch.own.add(end(2, 5000), end(1, 80), std::time::Instant::now());
        assert_eq!(watch.server_side(&key, None), Err(Ignored::OwnConnection));
    }

    #[test]
    fn only_flows_to_a_watched_port_of_a_watched_server_count() {
        let watch = watch();
        let (key, client) = FlowKey::new(end(2, 5000), end(1, 80));
        assert_eq!(watch.server_side(&key, None), Ok(Some(client.peer())));
        let (key, _) = FlowKey::new(end(2, 5000), end(1, 81));
        assert_eq!(watch.server_side(&key, None), Err(Ignored::OtherPort));
        let (key, _) = FlowKey::new(end(1, 5000), end(3, 80));
        assert_eq!(watch.server_side(&key, None), Err(Ignored::OtherServer));
    }

    #[test]
    fn a_connection_to_v2_never_counts_even_from_a_watched_port() {
        let (key, client) = FlowKey::new(end(1, 80), end(9, 80));
        assert_eq!(watch().server_side(&key, None), Err(Ignored::OwnConnection));
        assert_eq!(watch().server_side(&key, Some(client)), Err(Ignored::OwnConnection));
    }

    #[test]
    fn every_loopback_address_is_local_but_only_those_given_are_given() {
        let one = HashSet::from([IpAddr::from([127, 0, 0, 1])]);
        let other = IpAddr::from([127, 0, 0, 2]);
        assert!(Servers::Local(one.clone()).include(other));
        assert!(!Servers::Local(one.clone()).include([10, 0, 0, 1].into()));
        assert!(!Servers::Only(one).include(other));
    }

    #[test]
    fn the_syn_decides_when_both_ports_are_watched() {
        let mut watch = watch();
        watch.servers = Servers::Any;
        let (key, client) = FlowKey::new(end(2, 80), end(1, 80));
        assert_eq!(watch.server_side(&key, None), Ok(None));
        assert_eq!(watch.server_side(&key, Some(client)), Ok(Some(client.peer())));
    }
}
