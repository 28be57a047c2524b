//! The transport that sends with reqwest (hyper underneath), over HTTP/1.1.
//!
//! In: a captured request. Out: the status of its answer, which is read to the end and thrown
//! away frame by frame, so that the connection is used again; or the cause of failure.
//!
//! Guaranteed: no redirects, no proxies from the environment, no cookies, no decompression; at
//! most one sending. The client tries again only when a pooled connection was found closed before
//! a byte of the request went out. A request that meets v2's closing of an idle connection on the
//! way is `Reset`: it may have been seen, so it is not sent again.
//!
//! Not mine: what cannot be expressed (see `request`). The local ports of the connections are not
//! known to anyone, so only the marker keeps copies from being captured again. The pool may open
//! a connection more than is needed while another becomes free; it keeps at most as many idle
//! ones as requests may be in flight.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Client, redirect, retry};

use crate::model::Message;
use crate::model::ledger::Failure;

use super::failure::{Stage, classify};
use super::request::{self, HostOverride};
use super::resolve::SystemResolver;
use super::tls::client_config;
use super::transport::{Answer, Transport};
use super::{HostHeader, ReplayConfig, ReplayError, Target};

/// Idle connections to v2 are closed after this time, unless v2 does it before.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// Sends to one target.
pub(super) struct HttpClient {
    client: Client,
    target: Target,
    host: HostOverride,
    /// Names this run in the marker.
    run: String,
    /// The longest an exchange may take.
    timeout: Duration,
}

impl HttpClient {
    /// Loads certificates and sets up the pool; connects to nothing.
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(config.concurrency.max(1))
            .dns_resolver(Arc::new(SystemResolver))
            .tls_backend_preconfigured(client_config(config.target.is_tls(), &config.trust)?)
            .build()
            .map_err(|err| ReplayError::Client(chain(&err)))?;
        let named = match &config.host {
            HostHeader::Original => None,
            HostHeader::Target => Some(config.target.authority()),
            HostHeader::Named(name) => Some(name.as_str()),
        };
        let host = named
            .map(|name| {
                HeaderValue::from_str(name).map_err(|_| ReplayError::HostName(name.to_owned()))
            })
            .transpose()?;
        let run = config.marker_run.clone();
        HeaderValue::from_str(&run).map_err(|_| ReplayError::RunName(run.clone()))?;
        let (target, timeout) = (config.target.clone(), config.timeout);
        Ok(Self { client, target, host, run, timeout })
    }

    /// The exchange, without its time limit.
    async fn send(&self, message: Message, n: u64) -> Result<Answer, Failure> {
        let marker =
            HeaderValue::try_from(format!("{}-{n}", self.run)).map_err(|_| Failure::Unsendable)?;
        let request = request::build(&message, &self.target, &self.host, marker);
        // The request holds what it needs of the captured bytes.
        drop(message);
        let request = request.map_err(|why| {
            tracing::debug!(n, %why, "request cannot be sent");
            Failure::Unsendable
        })?;
        let failed = |err: reqwest::Error, stage| {
            let failure = classify(&err, stage);
            tracing::debug!(n, ?failure, error = chain(&err), "no answer");
            failure
        };
        let mut response =
            self.client.execute(request).await.map_err(|err| failed(err, Stage::Head))?;
        let status = response.status().as_u16();
        while response.chunk().await.map_err(|err| failed(err, Stage::Body))?.is_some() {}
        Ok(Answer { status })
    }
}

impl Transport for HttpClient {
    async fn exchange(&self, message: Message, n: u64) -> Result<Answer, Failure> {
        match tokio::time::timeout(self.timeout, self.send(message, n)).await {
            Ok(result) => result,
            Err(_) => {
                tracing::debug!(n, "no whole answer in time");
                Err(Failure::Timeout)
            }
        }
    }
}

/// An error with all its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
