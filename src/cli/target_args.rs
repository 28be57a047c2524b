//! Flags of every command that sends to v2.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use super::units;

/// Where the copies go, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Replay")]
pub struct TargetArgs {
    /// The v2 service: http://host:port or https://host:port, with a prefix for every path if wanted, or
    /// unix:/path/of/socket. Several times for several: each gets a copy. `@25%` behind it for the requests of
    /// a quarter of the connections.
    #[arg(long, env = "SHADOWTAP_TO", value_name = "URL", required = true, value_delimiter = ',')]
    pub to: Vec<String>,

    /// Methods that are sent: `safe` (GET, HEAD, OPTIONS, TRACE), `all`, or a list such as safe,POST. The
    /// others are held back and counted.
    #[arg(long, env = "SHADOWTAP_METHODS", default_value = "safe", value_name = "LIST")]
    pub methods: String,

    /// The Host field of the copies: `original`, `target` (that of --to), or a name.
    #[arg(long, env = "SHADOWTAP_HOST", default_value = "original", value_name = "NAME")]
    pub host: String,

    /// The longest an exchange with v2 may take.
    #[arg(long, env = "SHADOWTAP_TIMEOUT", default_value = "30s", value_parser = units::duration, value_name = "TIME")]
    pub timeout: Duration,

    /// The longest it may take to connect to v2.
    #[arg(long, env = "SHADOWTAP_CONNECT_TIMEOUT", default_value = "10s", value_parser = units::duration, value_name = "TIME")]
    pub connect_timeout: Duration,

    /// Requests under way to v2 at once.
    #[arg(long, env = "SHADOWTAP_CONCURRENCY", default_value_t = 64, value_name = "N")]
    pub concurrency: usize,

    /// The longest the head of an answer may take, once the connection stands; never more than --timeout.
    #[arg(long, env = "SHADOWTAP_RESPONSE_TIMEOUT", value_parser = units::duration, value_name = "TIME")]
    pub response_timeout: Option<Duration>,

    /// What waits for what: `connection` (requests of one captured connection go one after the other, on a
    /// connection to v2 of their own) or `none`.
    #[arg(long, env = "SHADOWTAP_ORDER", default_value = "connection", value_name = "ORDER")]
    pub order: OrderArg,

    /// What becomes of the requests of a connection behind one that failed or was shed: `continue`, or `stop`.
    #[arg(long, env = "SHADOWTAP_ON_BREAK", default_value = "continue", value_name = "WHAT")]
    pub on_break: OnBreakArg,

    /// How late a request may leave against the time it was due; later ones are shed and counted.
    #[arg(long, env = "SHADOWTAP_MAX_LAG", default_value = "10s", value_parser = units::duration, value_name = "TIME")]
    pub max_lag: Duration,

    /// Requests whose framing two servers may read differently (two lengths): `hold` keeps them back, `send`
    /// sends them as they are, each on a connection of its own.
    #[arg(long, env = "SHADOWTAP_AMBIGUOUS", default_value = "send", value_name = "WHAT")]
    pub ambiguous: AmbiguousArg,

    /// Add a field with the captured client's address, such as X-Real-IP.
    #[arg(long, env = "SHADOWTAP_REALIP_HEADER", value_name = "NAME")]
    pub realip_header: Option<String>,

    /// Try connecting to v2 again so many times before a request fails. A request itself is never sent twice.
    #[arg(long, env = "SHADOWTAP_RETRY_CONNECT", default_value_t = 0, value_name = "N")]
    pub retry_connect: u32,

    /// Take v2 for dead after so many connections in a row that could not be made: what is due is shed and
    /// counted, but for a probe now and then. 0 for never.
    #[arg(long, env = "SHADOWTAP_BREAKER", default_value_t = 100, value_name = "N")]
    pub breaker: u32,

    /// Idle connections to v2 that are kept at most. Without it half of the descriptors that this process may
    /// have (`ulimit -n`), and no more than 10,000.
    #[arg(long, env = "SHADOWTAP_MAX_IDLE", value_name = "N")]
    pub max_idle: Option<usize>,

    /// How long to go on sending what is queued after a signal, `--duration` or `--limit`.
    #[arg(long, env = "SHADOWTAP_DRAIN", default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub drain: Duration,

    /// Speak HTTP/2 to v2: over https by ALPN, over http with prior knowledge. Host becomes :authority; header case,
    /// chunk sizes, trailers and what concerns v1's connection (Connection, Upgrade, ...) are not kept.
    #[arg(long, env = "SHADOWTAP_HTTP2", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub http2: bool,

    /// Go through this forward proxy: http://host:port, with user:password@ before the host if wanted, or
    /// https. Header case, chunk sizes, trailers and targets that no URL has (/a/../b) are not kept, nor one connection for each captured one.
    #[arg(long, env = "SHADOWTAP_PROXY", value_name = "URL", conflicts_with = "http2")]
    pub proxy: Option<String>,

    /// Believe only the certificate authorities in this PEM file.
    #[arg(long, env = "SHADOWTAP_CA", value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,

    /// Believe any certificate of v2.
    #[arg(long, env = "SHADOWTAP_INSECURE", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub insecure: bool,
}

/// `--order`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum OrderArg {
    /// Within a captured connection.
    Connection,
    /// None.
    None,
}

/// `--on-break`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum OnBreakArg {
    /// They are sent.
    Continue,
    /// They are shed.
    Stop,
}

/// `--ambiguous`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AmbiguousArg {
    /// As they are, each on a connection of its own.
    Send,
    /// Kept back.
    Hold,
}
