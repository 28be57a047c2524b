//! The replayer's settings, their defaults, and why a replayer cannot be set up.
//!
//! In: values already validated as to form by the command line. Left to others: what the flags are
//! called.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use thiserror::Error;

use super::Target;
use crate::model::OwnConnections;

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

/// What sends the requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Client {
    /// The captured bytes as they were, over HTTP/1.x.
    #[default]
    Wire,
    /// HTTP/2, with what it has no place for: see `http2_request`.
    Http2,
    /// reqwest, with what it cannot express: see `request`.
    Reqwest,
    /// Nothing is sent: what [`Client::Wire`] would send is printed.
    DryRun,
}

/// A forward proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Url);

impl Proxy {
    /// Reads `http://[user:password@]host:port` or `https://...`. An error does not repeat the secret.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        let url = Url::parse(text).map_err(|err| ReplayError::Proxy(err.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(ReplayError::Proxy(format!("`{}` is no scheme of one", url.scheme())));
        }
        Ok(Self(url))
    }

    /// Its name or address; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether TLS is spoken with the proxy itself.
    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// For all requests.
    pub(super) fn as_reqwest(&self) -> Result<reqwest::Proxy, ReplayError> {
        reqwest::Proxy::all(self.0.clone()).map_err(|err| ReplayError::Proxy(err.to_string()))
    }
}

/// Without the secret.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({:?}:{:?})", self.0.host_str(), self.0.port_or_known_default())
    }
}

/// What waits for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// Requests of one captured connection go one after the other, each after the answer to the one
    /// before, on a connection to v2 of their own.
    #[default]
    Connection,
    /// Nothing waits for anything; any idle connection serves.
    None,
}

/// What becomes of the requests of a connection behind one that failed or was shed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnBreak {
    /// They are sent.
    #[default]
    Continue,
    /// They are shed as `predecessor_failed`.
    Stop,
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
    /// The longest an exchange may take, from when it leaves to the last byte of the answer.
    pub timeout: Duration,
    /// The longest it may take to connect, name lookup not included.
    pub connect_timeout: Duration,
    /// Requests in flight at once over all captured connections; at least 1.
    pub concurrency: usize,
    /// Which certificates are believed.
    pub trust: Trust,
    /// What sends.
    pub client: Client,
    /// The forward proxy; only [`Client::Reqwest`] goes through one.
    pub proxy: Option<Proxy>,
    /// What waits for what.
    pub order: Order,
    /// What becomes of those behind a request that failed.
    pub on_break: OnBreak,
    /// A request later than this against its due time is shed as `lag`; `None` for never.
    pub max_lag: Option<Duration>,
    /// The longest the head of an answer may take once the connection stands; no longer than `timeout`.
    pub head_timeout: Duration,
    /// The share of captured connections whose requests this target gets, from 0 to 1.
    pub share: f64,
    /// How often connecting is tried again before a request fails.
    pub connect_retries: u32,
    /// After so many connections in a row that could not be made, v2 is taken for dead; `None` for never.
    pub breaker: Option<u32>,
    /// Idle connections to v2 kept at most; at least 1.
    pub max_idle: usize,
    /// The field that takes the captured client's address, if any.
    pub realip: Option<String>,
    /// Where own connections are registered before they are made; `None` where nothing is captured.
    pub own: Option<OwnConnections>,
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
            client: Client::default(),
            proxy: None,
            order: Order::default(),
            on_break: OnBreak::default(),
            max_lag: None,
            head_timeout: Duration::from_secs(30),
            share: 1.0,
            connect_retries: 0,
            breaker: None,
            max_idle: 512,
            realip: None,
            own: None,
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
    /// There is no such field name.
    #[error("`{0}` is no field name")]
    FieldName(String),
    /// The proxy's URL cannot be read.
    #[error("not the URL of a forward proxy: {0}; expected http://host:port or https://host:port")]
    Proxy(String),
    /// The client refused its settings.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}
