//! Flags of every command that captures from an interface.

use std::time::Duration;

use clap::Args;

use super::units;

/// What to capture, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Capture")]
pub struct CaptureArgs {
    /// TCP ports that v1 listens on. Repeat it or separate with commas.
    #[arg(
        short,
        long = "port",
        env = "SHADOWTAP_PORT", value_parser = units::port,
        value_delimiter = ',',
        required = true,
        value_name = "PORT"
    )]
    pub ports: Vec<u16>,

    /// Interface to sniff on; `any` is all of them. Repeat it for several.
    #[arg(
        short,
        long = "interface",
        env = "SHADOWTAP_INTERFACE",
        value_delimiter = ',',
        default_value = "any",
        value_name = "NAME"
    )]
    pub interfaces: Vec<String>,

    /// A further condition in libpcap's filter language (see `man pcap-filter`).
    #[arg(long, env = "SHADOWTAP_FILTER", value_name = "EXPR")]
    pub filter: Option<String>,

    /// Whose connections count: those served by these addresses, or by `any` (span ports, nodes).
    /// Without it, those served by this host.
    #[arg(
        long = "server",
        env = "SHADOWTAP_SERVER",
        value_delimiter = ',',
        value_name = "ADDR|any"
    )]
    pub servers: Vec<String>,

    /// Size of the kernel's capture ring, for each interface.
    #[arg(long, env = "SHADOWTAP_RING", default_value = "64MiB", value_parser = units::size, value_name = "SIZE")]
    pub ring: u64,

    /// Stop after this long.
    #[arg(long, env = "SHADOWTAP_DURATION", value_parser = units::duration, value_name = "TIME")]
    pub duration: Option<Duration>,

    /// Stop after this many requests.
    #[arg(long, env = "SHADOWTAP_LIMIT", value_name = "N")]
    pub limit: Option<u64>,
}

/// Limits on what waits in memory.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Largest body that is copied; a request with a larger one is counted and not sent.
    #[arg(long, env = "SHADOWTAP_MAX_BODY", default_value = "16MiB", value_parser = units::size, value_name = "SIZE")]
    pub max_body: u64,

    /// Messages that may wait between capture and v2, for each target [default: 4096; from or to files 32768].
    #[arg(long, env = "SHADOWTAP_QUEUE", value_name = "N")]
    pub queue: Option<usize>,

    /// Bytes of messages that may wait between capture and v2; several targets have equal shares.
    #[arg(long, env = "SHADOWTAP_QUEUE_BYTES", default_value = "64MiB", value_parser = units::size, value_name = "SIZE")]
    pub queue_bytes: u64,

    /// Memory for reassembly: segments that wait and messages that are not whole yet.
    #[arg(long, env = "SHADOWTAP_MAX_MEMORY", default_value = "256MiB", value_parser = units::size, value_name = "SIZE")]
    pub max_memory: u64,
}
