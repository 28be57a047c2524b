//! Name lookup, through the system's resolver, with an error of its own type, so that a name that
//! does not resolve can be told from a connection that fails.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

/// v2's name has no address.
#[derive(Debug, Error)]
#[error("cannot resolve {name}: {source}")]
pub(super) struct ResolveError {
    /// The name.
    name: String,
    /// What the system's resolver says.
    source: io::Error,
}

/// The system's resolver (getaddrinfo), asked again for each new connection.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0: the client puts in that of the URL.
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => Ok(Box::new(found.collect::<Vec<SocketAddr>>().into_iter()) as Addrs),
                Err(source) => Err(ResolveError { name: name.as_str().to_owned(), source }.into()),
            }
        })
    }
}
