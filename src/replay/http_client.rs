//! The transport that sends with reqwest (hyper underneath), over HTTP/1.1, through a forward proxy if wanted.
//!
//! In: a captured request. Out: the status of its answer, which is read to the end and, unless somebody wants to keep it,
//! thrown away frame by frame, so that the connection is used again; or the cause of failure.
//!
//! Guaranteed: no redirects, no proxies from the environment, no cookies, no decompression; at
//! most one sending. The client tries again only when a pooled connection was found closed before
//! a byte of the request went out. A request that meets v2's closing of an idle connection on the
//! way is `Reset`: it may have been seen, so it is not sent again.
//!
//! Not mine: what cannot be expressed (see `request`). The local ports of the connections are not
//! known to anyone: only the proxy's address and the marker keep copies from being captured again. The pool may open
//! a connection more than is needed while another becomes free; it keeps at most as many idle
//! ones as requests may be in flight.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Request, redirect, retry};
use tokio::time::Instant;

use crate::model::Message;
use crate::model::ledger::Failure;

use super::failure::{Stage, classify};
use super::request::{self, Edits};
use super::resolve::SystemResolver;
use super::tls::client_config;
use super::transport::{Answer, Transport, kept};
use super::wire::RETRY_PAUSE;
use super::{HostHeader, Proxy, ReplayConfig, ReplayError, Target};

/// Idle connections to v2 are closed after this time, unless v2 does it before.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// Sends to one target.
pub(super) struct HttpClient {
    client: Client,
    target: Target,
    edits: Edits,
    /// Names this run in the marker.
    run: String,
    /// The longest an exchange may take.
    timeout: Duration,
    /// The longest the head of the answer may take.
    head_timeout: Duration,
    /// How often connecting is tried again.
    retries: u32,
}

impl HttpClient {
    /// Loads certificates and sets up the pool; connects to nothing.
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let is_tls = config.target.is_tls() || config.proxy.as_ref().is_some_and(Proxy::is_tls);
        let builder = Client::builder().no_proxy();
        let builder = match &config.proxy {
            Some(proxy) => builder.proxy(proxy.as_reqwest()?),
            None => builder,
        };
        let client = builder
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(config.concurrency.max(1))
            .dns_resolver(Arc::new(SystemResolver::default()))
            .tls_backend_preconfigured(client_config(is_tls, &config.trust, b"http/1.1")?)
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
        let realip = config.realip.as_ref().map(|name| {
            HeaderName::try_from(name).map_err(|_| ReplayError::FieldName(name.clone()))
        });
        let (target, timeout) = (config.target.clone(), config.timeout);
        let edits = Edits { host, realip: realip.transpose()? };
        let (head_timeout, retries) = (config.head_timeout.min(timeout), config.connect_retries);
        Ok(Self { client, target, edits, run, timeout, head_timeout, retries })
    }

    /// The exchange, without its time limit.
    async fn send(&self, message: Message, n: u64, keep: Option<usize>) -> Result<Answer, Failure> {
        let failed = |err: reqwest::Error, stage| {
            let failure = classify(&err, stage);
            // It names the whole URL, in which tokens may stand.
            let err = err.without_url();
            tracing::debug!(n, ?failure, error = chain(&err), "no answer");
            failure
        };
        let mut pause = RETRY_PAUSE;
        let mut tries = 0;
        let mut response = loop {
            let answer = self.client.execute(self.request(&message, n)?);
            let answer = tokio::time::timeout(self.head_timeout, answer).await;
            match answer.map_err(|_| Failure::Timeout)? {
                Ok(response) => break response,
                Err(err) if err.is_connect() && tries < self.retries => {
                    tokio::time::sleep(pause).await;
                    (pause, tries) = (pause * 2, tries + 1);
                }
                Err(err) => return Err(failed(err, Stage::Head)),
            }
        };
        drop(message);
        let status = response.status().as_u16();
        let mut kept = keep.map(|limit| (kept(status, response.headers()), limit));
        while let Some(data) = response.chunk().await.map_err(|err| failed(err, Stage::Body))? {
            if let Some((kept, limit)) = &mut kept {
                kept.push(&data, *limit);
            }
        }
        Ok(Answer { status, at: Instant::now(), kept: kept.map(|(kept, _)| kept) })
    }

    /// The `n`th copy.
    fn request(&self, message: &Message, n: u64) -> Result<Request, Failure> {
        let marker =
            HeaderValue::try_from(format!("{}-{n}", self.run)).map_err(|_| Failure::Unsendable)?;
        request::build(message, &self.target, &self.edits, marker).map_err(|why| {
            tracing::debug!(n, %why, "request cannot be sent");
            Failure::Unsendable
        })
    }
}

impl Transport for HttpClient {
    async fn exchange(
        &self,
        message: Message,
        n: u64,
        start: Instant,
        keep: Option<usize>,
    ) -> Result<Answer, Failure> {
        match tokio::time::timeout_at(start + self.timeout, self.send(message, n, keep)).await {
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
