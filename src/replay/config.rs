//! The replayer's settings, their defaults, and why a replayer cannot be set up.
//!
//! In: values already validated as to form by the command line. Left to others: what the flags are
//! called.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::Target;

/// What goes into the Host field of a copy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum HostHeader {
    /// As captured. A request without one gets the target's: the client insists on a Host.
    #[default]
    Original,
    /// The target's host and port.
    Target,
    /// This name.
    Named(String),
}

/// Which certificates of a TLS target are believed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// Those of the system's certificate authorities.
    #[default]
    System,
    /// Those of the authorities in this PEM file only (`--ca`).
    Authorities(PathBuf),
    /// All, unseen (`--insecure`).
    Anything,
}

/// How to send to one target. With several targets each has a replayer of its own.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// Where the copies go.
    pub target: Target,
    /// The Host field.
    pub host: HostHeader,
    /// Names this run in the marker field, `X-Shadowtap: <run>-<n>`.
    pub marker_run: String,
    /// The longest an exchange may take, from its turn to the last byte of the answer.
    pub timeout: Duration,
    /// The longest it may take to connect, name lookup not included.
    pub connect_timeout: Duration,
    /// Requests in flight at once over all captured connections; at least 1.
    pub concurrency: usize,
    /// Which certificates are believed.
    pub trust: Trust,
}

impl ReplayConfig {
    /// The defaults: 30 s for an exchange, 10 s to connect, 64 in flight, Host as captured.
    pub fn new(target: Target, marker_run: impl Into<String>) -> Self {
        Self {
            target,
            host: HostHeader::default(),
            marker_run: marker_run.into(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            concurrency: 64,
            trust: Trust::default(),
        }
    }
}

/// Why a replayer cannot be set up.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// `--ca` cannot be read.
    #[error("cannot read the certificate authorities in {path}: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no system certificates.
    #[error(
        "no certificate authorities on this system ({0}); install ca-certificates, or name a PEM \
         file with --ca"
    )]
    NoSystemAuthorities(String),
    /// The Host field cannot hold this name.
    #[error("`{0}` cannot stand in a Host field")]
    HostName(String),
    /// The marker field cannot hold this run's name.
    #[error("`{0}` cannot stand in the marker field")]
    RunName(String),
    /// The client refused its settings.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}
