//! Which connections are shadowtap's own: their endpoints on this host, while they live and a little longer.
//!
//! In: endpoints from whoever connects, before it does. Out: whether a connection that is captured is one of
//! them. Guaranteed: never captured again as v1's, even where v2 shares v1's address and port; and memory for
//! those that live and those that ended within [`LINGER`] only.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Endpoint;

/// How long an endpoint stays after its connection has ended: what the capture has yet to read may be that
/// old.
const LINGER: Duration = Duration::from_secs(10);

/// See the module's description. Clones share one set.
#[derive(Clone, Debug, Default)]
pub struct OwnConnections(Arc<Mutex<Own>>);

#[derive(Debug, Default)]
struct Own {
    /// How often each was added and not yet forgotten: a port may be used again soon.
    endpoints: HashMap<Endpoint, usize>,
    /// Those that ended, the oldest first.
    ended: VecDeque<(Instant, Endpoint)>,
}

impl OwnConnections {
    fn with<T>(&self, f: impl FnOnce(&mut Own) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds the local endpoint of a connection that is about to be made.
    pub fn add(&self, endpoint: Endpoint) {
        self.with(|own| *own.endpoints.entry(endpoint).or_default() += 1);
    }

    /// The connection from this endpoint has ended.
    pub fn remove(&self, endpoint: Endpoint, now: Instant) {
        self.with(|own| {
            own.ended.push_back((now, endpoint));
            while let Some(&(at, old)) = own.ended.front() {
                if now.saturating_duration_since(at) < LINGER {
                    break;
                }
                own.ended.pop_front();
                if let Some(uses) = own.endpoints.get_mut(&old) {
                    *uses -= 1;
                    if *uses == 0 {
                        own.endpoints.remove(&old);
                    }
                }
            }
        });
    }

    /// Whether this is the local endpoint of one of them.
    pub fn contains(&self, endpoint: Endpoint) -> bool {
        self.with(|own| own.endpoints.contains_key(&endpoint))
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
        own.add(end(1));
        own.add(end(2));
        assert!(own.contains(end(1)) && !own.contains(end(3)));
        own.remove(end(1), start);
        assert!(own.contains(end(1)));
        own.remove(end(2), start + LINGER);
        assert!(!own.contains(end(1)) && own.contains(end(2)));
    }

    #[test]
    fn a_port_used_again_is_not_forgotten_with_its_last_use() {
        let (own, start) = (OwnConnections::default(), Instant::now());
        own.add(end(1));
        own.remove(end(1), start);
        own.add(end(1));
        own.add(end(2));
        own.remove(end(2), start + LINGER * 2);
        assert!(own.contains(end(1)));
    }
}
