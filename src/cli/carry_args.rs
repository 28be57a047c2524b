//! Flags of every command that sends to v2: values of v2's own answers in later requests.

use clap::Args;

/// Sessions across versions.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Carry")]
pub struct CarryArgs {
    /// Put values of v2's answers in place of v1's in later requests: `cookies`, `cookie NAME`, or SOURCE -> SINK, such as
    /// 'json $.token -> header Authorization "Bearer {}"'. SOURCE: json $.path, header NAME, cookie NAME, regex RE (its first
    /// group). SINK: header NAME ["template {}"], cookie NAME, path (a whole segment), query NAME, form NAME, json $.path. Several
    /// times for several; in the environment one on each line.
    #[arg(long, env = "SHADOWTAP_CARRY", value_delimiter = '\n', value_name = "RULE")]
    pub carry: Vec<String>,
}
