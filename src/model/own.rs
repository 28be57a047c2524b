//! Which connections are shadowtap's own: both their endpoints, while they live and a little longer.
//!
//! In: both endpoints from whoever connects, before it does. Out: whether a connection that is captured is one of
//! them; another to somewhere else from the same port is not, since Linux shares local ports between
//! destinations, and gives them out again at once. Guaranteed: asking takes no lock, since the capture asks, and
//! whoever adds may run at idle priority; memory is constant but for the connections that live or ended within
//! [`LINGER`]. Of two own connections from the same port only the later is known: whoever connects asks
//! [`OwnConnections::is_busy`] first. Where the kernel rewrites the destination on its way out, so that the
//! capture sees another, only the marker protects.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Endpoint, FlowKey};

/// How long an endpoint stays after its connection has ended: what the capture has yet to read may be that
/// old.
const LINGER: Duration = Duration::from_secs(10);

/// See the module's description. Clones share one set.
#[derive(Clone, Debug)]
pub struct OwnConnections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By local port, what stands for the own connection there; 0 where there is none.
    ports: Box<[AtomicU64]>,
    endings: Mutex<Endings>,
}

#[derive(Debug, Default)]
struct Endings {
    /// By what stands for it, how often each was added and not yet forgotten: it may be made again soon.
    uses: HashMap<u64, u32>,
    /// How many live, by local port.
    living: HashMap<u16, u32>,
    /// Those that ended, the oldest first: when, the local port, and what stands for it. Beside a v2 that
    /// refuses there are thousands.
    ended: VecDeque<(Instant, u16, u64)>,
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

/// What stands for a connection: never 0.
fn digest(key: &FlowKey) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key) | 1
}

impl OwnConnections {
    fn endings(&self) -> MutexGuard<'_, Endings> {
        self.0.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an own connection from this local port lives.
    pub fn is_busy(&self, port: u16) -> bool {
        self.endings().living.contains_key(&port)
    }

    /// Adds a connection that is about to be made.
    pub fn add(&self, local: Endpoint, remote: Endpoint, now: Instant) {
        let digest = digest(&FlowKey::new(local, remote).0);
        let mut endings = self.endings();
        self.forget(&mut endings, now);
        *endings.uses.entry(digest).or_default() += 1;
        *endings.living.entry(local.port).or_default() += 1;
        if let Some(port) = self.0.port(local.port) {
            port.store(digest, Ordering::Release);
        }
    }

    /// The connection has ended.
    pub fn remove(&self, local: Endpoint, remote: Endpoint, now: Instant) {
        let mut endings = self.endings();
        if let Entry::Occupied(mut living) = endings.living.entry(local.port) {
            *living.get_mut() -= 1;
            if *living.get() == 0 {
                living.remove();
            }
        }
        endings.ended.push_back((now, local.port, digest(&FlowKey::new(local, remote).0)));
        self.forget(&mut endings, now);
    }

    /// Forgets what ended long ago.
    fn forget(&self, endings: &mut Endings, now: Instant) {
        while let Some(&(at, port, digest)) = endings.ended.front() {
            if now.saturating_duration_since(at) < LINGER {
                return;
            }
            endings.ended.pop_front();
            let Entry::Occupied(mut uses) = endings.uses.entry(digest) else { continue };
            *uses.get_mut() -= 1;
            if *uses.get() > 0 {
                continue;
            }
            uses.remove();
            if let Some(port) = self.0.port(port) {
                // Unless another connection has it now.
                let _ = port.compare_exchange(digest, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Whether this is one of them.
    pub fn contains(&self, key: &FlowKey) -> bool {
        let own = |port| match self.0.port(port).map(|own| own.load(Ordering::Acquire)) {
            None | Some(0) => false,
            Some(own) => own == digest(key),
        };
        own(key.low.port) || own(key.high.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(port: u16) -> Endpoint {
        Endpoint::new([10, 0, 0, 1].into(), port)
    }

    fn v2() -> Endpoint {
        Endpoint::new([10, 0, 0, 9].into(), 80)
    }

    fn is_own(own: &OwnConnections, local: Endpoint, remote: Endpoint) -> bool {
        let (there, back) = (FlowKey::new(local, remote).0, FlowKey::new(remote, local).0);
        assert_eq!(own.contains(&there), own.contains(&back));
        own.contains(&there)
    }

    #[test]
    fn a_connection_stays_a_little_longer_than_it_lives() {
        let (own, start) = (OwnConnections::default(), Instant::now());
        own.add(end(1), v2(), start);
        own.add(end(2), v2(), start);
        assert!(is_own(&own, end(1), v2()) && !is_own(&own, end(3), v2()));
        assert!(!is_own(&own, Endpoint::new([10, 0, 0, 2].into(), 1), v2()), "another address");
        own.remove(end(1), v2(), start);
        assert!(is_own(&own, end(1), v2()));
        own.remove(end(2), v2(), start + LINGER);
        assert!(!is_own(&own, end(1), v2()) && is_own(&own, end(2), v2()));
    }

    #[test]
    fn another_connection_from_the_same_port_is_not_ours() {
        let (own, start) = (OwnConnections::default(), Instant::now());
        let v1 = Endpoint::new([10, 0, 0, 1].into(), 8080);
        own.add(end(1), v2(), start);
        assert!(is_own(&own, end(1), v2()) && !is_own(&own, end(1), v1));
        let neighbour = Endpoint::new(v2().ip, 81);
        assert!(!is_own(&own, end(1), neighbour), "the same host, another port");
        own.remove(end(1), v2(), start);
        assert!(!is_own(&own, end(1), v1), "the port was given out again");
    }

    #[test]
    fn a_port_is_busy_while_an_own_connection_from_it_lives() {
        let (own, start) = (OwnConnections::default(), Instant::now());
        assert!(!own.is_busy(1));
        own.add(end(1), v2(), start);
        own.add(end(1), end(9), start);
        own.remove(end(1), v2(), start);
        assert!(own.is_busy(1) && is_own(&own, end(1), end(9)));
        own.remove(end(1), end(9), start);
        assert!(!own.is_busy(1));
    }

    #[test]
    fn a_port_used_again_is_not_forgotten_with_its_last_use() {
        let (own, start) = (OwnConnections::default(), Instant::now());
        own.add(end(1), v2(), start);
        own.remove(end(1), v2(), start);
        own.add(end(1), v2(), start);
        own.add(end(2), v2(), start + LINGER * 2);
        assert!(is_own(&own, end(1), v2()));
    }
}
