//! Flags that choose among the messages of files.

use clap::Args;

use super::units;

/// Which messages are shown.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Requests with one of these methods, and the responses to them.
    #[arg(long = "method", env = "SHADOWTAP_METHOD", value_delimiter = ',', value_name = "NAME")]
    pub methods: Vec<String>,
    /// Requests for this path, and the responses to them. `*` stands for any characters, as in '/orders/*'; the query
    /// counts where the pattern has a `?`.
    #[arg(long = "path", env = "SHADOWTAP_PATH", value_name = "PATTERN")]
    pub paths: Vec<String>,
    /// Responses with one of these statuses: 404, 5xx, 400-499. Implies --responses, and leaves requests out.
    #[arg(long = "status", env = "SHADOWTAP_STATUS", value_parser = units::statuses, value_delimiter = ',', value_name = "STATUS")]
    pub statuses: Vec<units::Statuses>,
    /// Messages with this field, and where a value is given with one that fits it (`*` as in --path). Given
    /// several times all must be there.
    #[arg(long = "header", env = "SHADOWTAP_HEADER", value_name = "NAME[:VALUE]")]
    pub headers: Vec<String>,
    /// Messages of these connections, by the number in the table.
    #[arg(
        long = "connection",
        env = "SHADOWTAP_CONNECTION",
        value_delimiter = ',',
        value_name = "N"
    )]
    pub connections: Vec<u64>,
    /// Messages from this time on (RFC 3339), or from so long after the first, such as 5m.
    #[arg(long, env = "SHADOWTAP_FROM", value_parser = units::moment, value_name = "TIME")]
    pub from: Option<units::Moment>,
    /// Messages until this time, or until so long after the first.
    #[arg(long, env = "SHADOWTAP_UNTIL", value_parser = units::moment, value_name = "TIME")]
    pub until: Option<units::Moment>,
}
