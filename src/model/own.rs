//! Which connections are shadowtap's own: their endpoints on this host, while they live and a little longer.
//!
//! In: endpoints from whoever connects, before it does. Out: whether a connection that is captured is one of
//! them. Guaranteed: asking takes no lock, since the capture asks, and whoever adds may run at idle priority;
//! memory is constant but for the endpoints that live or ended within [`LINGER`]. Of two own endpoints with
//! the same port and different addresses only the later is known.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Endpoint;

/// How long an endpoint stays after its connection has ended: what the capture has yet to read may be that
/// old.
const LINGER: Duration = Duration::from_secs(10);

/// See the module's description. Clones share one set.
#[derive(Clone, Debug)]
pub struct OwnConnections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By port, what stands for the address of the own endpoint there; 0 where there is none.
    ports: Box<[AtomicU64]>,
    endings: Mutex<Endings>,
}

#[derive(Debug, Default)]
struct Endings {
    /// How often each was added and not yet forgotten: a port may be used again soon.
    uses: HashMap<Endpoint, usize>,
    /// Those that ended, the oldest first.
    ended: VecDeque<(Instant, Endpoint)>,
}

impl Default for OwnConnections {
    fn default() -> Self {
        let ports = (0..=u16::MAX).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Shared { ports, endings: Mutex::default() }))
    }
}

impl Shared {
    fn port(&self, port: u16) -> Option<&AtomicU64> {
        self.ports.get(usize::from(port))
    }
}

/// What stands for an address: never 0.
fn digest(ip: IpAddr) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(ip) | 1
}

impl OwnConnections {
    /// Adds the local endpoint of a connection that is about to be made.
    pub fn add(&self, endpoint: Endpoint, now: Instant) {
        let mut endings = self.0.endings.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget(&mut endings, now);
        *endings.uses.entry(endpoint).or_default() += 1;
        if let Some(port) = self.0.port(endpoint.port) {
            port.store(digest(endpoint.ip), Ordering::Release);
        }
    }

    /// The connection from this endpoint has ended.
    pub fn remove(&self, endpoint: Endpoint, now: Instant) {
        let mut endings = self.0.endings.lock().unwrap_or_else(PoisonError::into_inner);
        endings.ended.push_back((now, endpoint));
        self.forget(&mut endings, now);
    }

    /// Forgets what ended long ago.
    fn forget(&self, endings: &mut Endings, now: Instant) {
        while let Some(&(at, old)) = endings.ended.front() {
            if now.saturating_duration_since(at) < LINGER {
                return;
            }
            endings.ended.pop_front();
            let Some(uses) = endings.uses.get_mut(&old) else { continue };
            *uses -= 1;
            if *uses > 0 {
                continue;
            }
            endings.uses.remove(&old);
            if let Some(port) = self.0.port(old.port) {
                // Unless another address has it now.
                let _ =
                    port.compare_exchange(digest(old.ip), 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Whether this is the local endpoint of one of them.
    pub fn contains(&self, endpoint: Endpoint) -> bool {
        match self.0.port(endpoint.port).map(|port| port.load(Ordering::Acquire)) {
            None | Some(0) => false,
            Some(own) => own == digest(endpoint.ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(port: u16) -> Endpoint {
        Endpoint::new([10, 0, 0, 1].into(), port)
    }

    #[test]
    fn an_endpoint_stays_a_little_longer_than_its_connection() {
        let (own, start) = (OwnConnections::default(), Instant::now());
        own.add(end(1), start);
        own.add(end(2), start);
        assert!(own.contains(end(1)) && !own.contains(end(3)));
        assert!(!own.contains(Endpoint::new([10, 0, 0, 2].into(), 1)), "another address");
        own.remove(end(1), start);
        assert!(own.contains(end(1)));
        own.remove(end(2), start + LINGER);
        assert!(!own.contains(end(1)) && own.contains(end(2)));
    }

    #[test]
    fn a_port_used_again_is_not_forgotten_with_its_last_use() {
        let (own, start) = (OwnConnections::default(), Instant::now());
        own.add(end(1), start);
        own.remove(end(1), start);
        own.add(end(1), start);
        own.add(end(2), start + LINGER * 2);
        assert!(own.contains(end(1)));
    }
}
