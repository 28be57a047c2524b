//! A replayer: one target, the transport to it, and whoever has a say in what is sent.
//!
//! In: the settings of a target, what is done to its requests before they leave. Out: a future that sends everything
//! ([`Replayer::run`]), and a view of its counts that outlives it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::model::ledger::TargetCounts;

use super::asking::{Asking, Middleware};
use super::breaker::Breaker;
use super::carry::{Carry, Carrying};
use super::dispatch::Dispatcher;
use super::dry_run::DryRun;
use super::http_client::HttpClient;
use super::http2::Http2;
use super::timing::Stopwatch;
use super::wire::Wire;
use super::{Batch, Client, OnBreak, Order, Prepare, ReplayConfig, ReplayError, Stop};

/// What is published: counts, and times.
pub(super) struct Published {
    pub counts: TargetCounts,
    pub watch: Stopwatch,
}

/// A view of a replayer's counts that outlives it.
#[derive(Clone)]
pub struct CountsHandle(Arc<Mutex<Published>>);

impl CountsHandle {
    pub(super) fn new(target: String) -> Self {
        let counts = TargetCounts { target, ..TargetCounts::default() };
        Self(Arc::new(Mutex::new(Published { counts, watch: Stopwatch::new() })))
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Published) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counts as last published, after each turn of the replayer's loop, and the times so far.
    pub fn snapshot(&self) -> TargetCounts {
        self.with(|published| TargetCounts {
            timing: published.watch.timing(),
            ..published.counts.clone()
        })
    }
}

/// Sends jobs to one target.
pub struct Replayer {
    client: AnyClient,
    rules: Rules,
    prepare: Option<Prepare>,
    published: CountsHandle,
    carrying: Option<Carrying>,
    middleware: Option<Box<dyn Middleware>>,
}

enum AnyClient {
    Wire(Box<Wire>),
    Http2(Box<Http2>),
    Reqwest(Box<HttpClient>),
    DryRun(Box<DryRun>),
}

/// How requests take turns.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub concurrency: usize,
    pub order: Order,
    pub on_break: OnBreak,
    pub max_lag: Option<Duration>,
    pub share: f64,
    pub breaker: Breaker,
    /// Whether nothing is sent.
    pub is_dry: bool,
}

impl Replayer {
    /// Sets everything up and connects to nothing. Needs no runtime yet.
    pub fn new(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let client = match config.client {
            Client::Wire => AnyClient::Wire(Box::new(Wire::new(config)?)),
            Client::Http2 => AnyClient::Http2(Box::new(Http2::new(config)?)),
            Client::Reqwest => AnyClient::Reqwest(Box::new(HttpClient::new(config)?)),
            Client::DryRun => AnyClient::DryRun(Box::new(DryRun::new(config)?)),
        };
        let rules = Rules {
            concurrency: config.concurrency.max(1),
            order: config.order,
            on_break: config.on_break,
            max_lag: config.max_lag,
            share: config.share,
            breaker: Breaker::new(config.breaker),
            is_dry: config.client == Client::DryRun,
        };
        let published = CountsHandle::new(config.target.to_string());
        Ok(Self { client, rules, prepare: None, published, carrying: None, middleware: None })
    }

    /// Does this to each request before it leaves.
    pub fn prepared(mut self, prepare: Option<Prepare>) -> Self {
        self.prepare = prepare;
        self
    }

    /// Lets requests be changed by what v2 answered to others.
    pub fn carrying(mut self, carry: Option<Box<dyn Carry>>) -> Self {
        self.carrying = carry.map(Carrying::new);
        self
    }

    /// Lets somebody outside say what becomes of each request: behind [`Self::carrying`], before [`Self::prepared`].
    pub fn asking(mut self, middleware: Option<Box<dyn Middleware>>) -> Self {
        self.middleware = middleware;
        self
    }

    /// A view of the counts, to be taken before [`Self::run`].
    pub fn counts(&self) -> CountsHandle {
        self.published.clone()
    }

    /// Sends what comes out of `batch_rx` until it is closed and everything is answered, or until
    /// `stop_rx` says otherwise. Returns the final counts, in which nothing is in flight.
    ///
    /// Everything happens within the calling task, so a current-thread runtime serves best.
    pub async fn run<G: Send + 'static>(
        self,
        batch_rx: mpsc::UnboundedReceiver<Batch<G>>,
        stop_rx: watch::Receiver<Stop>,
    ) -> TargetCounts {
        let Self { client, rules, prepare, published, carrying, middleware } = self;
        macro_rules! run {
            ($client:expr) => {{
                let mut dispatcher = Dispatcher::new(*$client, rules, published);
                (dispatcher.prepare, dispatcher.carrying) = (prepare, carrying);
                dispatcher.asking = middleware.map(Asking::new);
                dispatcher.run(batch_rx, stop_rx).await
            }};
        }
        match client {
            AnyClient::Wire(client) => run!(client),
            AnyClient::Http2(client) => run!(client),
            AnyClient::Reqwest(client) => run!(client),
            AnyClient::DryRun(client) => run!(client),
        }
    }
}
