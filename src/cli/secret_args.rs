//! Flags of every command that writes a recording: what becomes of secrets.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

/// What becomes of secrets.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Secrets")]
pub struct SecretArgs {
    /// Store the values of Authorization, Proxy-Authorization, Cookie, Set-Cookie and X-Api-Key as captured.
    /// Without it each is replaced by a keyed hash, equal where the values are equal.
    #[arg(long, env = "SHADOWTAP_KEEP_SECRETS", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub keep_secrets: bool,

    /// Where the key of these hashes is: `env:NAME` or `file:PATH`, at least 16 bytes. Without it a random one, for
    /// this recording alone, is used and forgotten.
    #[arg(
        long,
        env = "SHADOWTAP_REDACT_KEY",
        hide_env_values = true,
        value_name = "env:NAME|file:PATH",
        conflicts_with = "keep_secrets"
    )]
    pub redact_key: Option<String>,
}
