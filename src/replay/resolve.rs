//! Name lookup, through the system's resolver, with an error of its own type, so that a name that
//! does not resolve can be told from a connection that fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::wire::FAILURE_LIVES;

/// v2's name has no address.
#[derive(Debug, Error)]
#[error("cannot resolve {name}: {source}")]
pub(super) struct ResolveError {
    /// The name.
    name: String,
    /// What the system's resolver says.
    source: io::Error,
}

/// The system's resolver (getaddrinfo), asked again for each new connection, but not at once again for a name
/// that it did not know.
#[derive(Default)]
pub(super) struct SystemResolver {
    /// The last failure: the name, what kind it was, and when.
    failed: Arc<Mutex<Option<(String, io::ErrorKind, Instant)>>>,
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let failed = Arc::clone(&self.failed);
        Box::pin(async move {
            // Held over the lookup: those who come meanwhile wait for its result.
            let mut failed = failed.lock().await;
            let name = name.as_str().to_owned();
            let last =
                failed.take().filter(|(of, _, at)| *of == name && at.elapsed() < FAILURE_LIVES);
            if let Some(last) = last {
                let source = io::Error::from(last.1);
                *failed = Some(last);
                return Err(ResolveError { name, source }.into());
            }
            // Port 0: the client puts in that of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            match found.map(Iterator::collect::<Vec<SocketAddr>>) {
                Ok(found) => Ok(Box::new(found.into_iter()) as Addrs),
                Err(source) => {
                    *failed = Some((name.clone(), source.kind(), Instant::now()));
                    Err(ResolveError { name, source }.into())
                }
            }
        })
    }
}
