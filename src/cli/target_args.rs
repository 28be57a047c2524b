//! Flags of every command that sends to v2.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use super::units;

/// Where the copies go, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Replay")]
pub struct TargetArgs {
    /// The v2 service: http://host:port or https://host:port, with a prefix for every path if wanted.
    #[arg(long, env = "SHADOWTAP_TO", value_name = "URL")]
    pub to: String,

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

    /// How long to go on sending what is queued after a signal, `--duration` or `--limit`.
    #[arg(long, env = "SHADOWTAP_DRAIN", default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub drain: Duration,

    /// Believe only the certificate authorities in this PEM file.
    #[arg(long, env = "SHADOWTAP_CA", value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,

    /// Believe any certificate of v2.
    #[arg(long, env = "SHADOWTAP_INSECURE", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub insecure: bool,
}
