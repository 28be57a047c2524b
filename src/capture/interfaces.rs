//! The interfaces of this host: names, addresses, state; and which addresses are its own.
//!
//! Out: what an error message or `doctor` lists, and the set for [`crate::model::Servers::Local`].
//! Both are of the moment and of the network namespace of the calling thread. No right is needed.
//! Left to others: opening an interface (`live`).

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

/// The name under which libpcap captures every interface at once.
pub const ANY: &str = "any";

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as `-i` takes it.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is loopback.
    pub loopback: bool,
}

/// `eth0 10.0.0.5 fe80::1`, `eth1 (down)`.
impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for address in &self.addresses {
            write!(f, " {address}")?;
        }
        if !self.up {
            f.write_str(" (down)")?;
        }
        Ok(())
    }
}

/// The interfaces that exist, without libpcap's pseudo-devices. Empty when they cannot be listed.
pub fn list() -> Vec<Interface> {
    let Ok(devices) = pcap::Device::list() else { return Vec::new() };
    devices
        .into_iter()
        .filter(|device| index_of(&device.name).is_some())
        .map(|device| Interface {
            up: device.flags.is_up(),
            loopback: device.flags.is_loopback(),
            addresses: device.addresses.into_iter().map(|a| a.addr).collect(),
            name: device.name,
        })
        .collect()
}

/// The index of an interface, if it exists.
pub fn index_of(name: &str) -> Option<u32> {
    let any_socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(&any_socket, name).ok()
}

/// Whether `-i NAME` can be opened at all: an interface, or [`ANY`].
pub fn exists(name: &str) -> bool {
    name == ANY || index_of(name).is_some()
}

/// Every address of this host. Loopback stands for itself; that all of 127.0.0.0/8 is local too is
/// the reader's rule, see [`crate::model::Servers::Local`].
pub fn local_addresses() -> HashSet<IpAddr> {
    let mut all: HashSet<IpAddr> = list().into_iter().flat_map(|i| i.addresses).collect();
    all.insert(Ipv4Addr::LOCALHOST.into());
    all.insert(Ipv6Addr::LOCALHOST.into());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_listed_and_pseudo_devices_are_not() {
        let list = list();
        let lo = list.iter().find(|i| i.name == "lo").expect("lo");
        assert!(lo.loopback);
        assert!(list.iter().all(|i| i.name != ANY && !i.name.starts_with("nf")), "{list:?}");
    }

    #[test]
    fn existence_is_known_without_opening() {
        assert!(exists("lo") && exists(ANY));
        assert!(!exists("nosuch0") && !exists(""));
        assert!(!exists("a-name-much-longer-than-an-interface-name-can-be"));
    }

    #[test]
    fn an_interface_reads_as_one_line() {
        let mut eth = Interface {
            name: "eth0".into(),
            addresses: vec![[10, 0, 0, 5].into()],
            up: true,
            loopback: false,
        };
        assert_eq!(eth.to_string(), "eth0 10.0.0.5");
        eth.up = false;
        assert_eq!(eth.to_string(), "eth0 10.0.0.5 (down)");
    }

    #[test]
    fn own_addresses_contain_loopback() {
        let own = local_addresses();
        assert!(own.contains(&IpAddr::from([127, 0, 0, 1])));
        assert!(own.contains(&IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }
}
