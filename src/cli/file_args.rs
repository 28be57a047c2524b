//! Flags of every command that reads files.

use clap::Args;

/// How access logs are read.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Access logs")]
pub struct LogArgs {
    /// Read the files as access logs of this format, in the words of nginx's log_format: '$remote_addr [$time_local]
    /// "$request"'. Without it, combined and common logs are known by their content.
    #[arg(long, env = "SHADOWTAP_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What Host says in requests of an access log that has neither $host nor $http_host [default: localhost].
    #[arg(long, env = "SHADOWTAP_LOG_HOST", value_name = "NAME")]
    pub log_host: Option<String>,
}
