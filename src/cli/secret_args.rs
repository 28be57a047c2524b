//! Flags of every command that writes a recording: what becomes of secrets.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

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

/// What is redacted: before v2, before a disk, before any output.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Redact")]
pub struct RedactArgs {
    /// Take these out of whatever goes to v2, into a file or on a screen: `header NAME`, `query NAME`, `form NAME`, `json $.path`,
    /// `json-name NAME` (anywhere), `pattern card`, `pattern email` or `pattern jwt`. In the environment several are
    /// parted by line breaks.
    #[arg(long, env = "SHADOWTAP_REDACT", value_delimiter = '\n', value_name = "RULE")]
    pub redact: Vec<String>,

    /// What takes their place: `hash` (keyed, equal for equal values, of the same shape), `mask`, or `drop`.
    #[arg(long, env = "SHADOWTAP_REDACT_WITH", default_value = "hash", value_name = "WHAT")]
    pub redact_with: RedactWithArg,
}

/// The key of a command that writes no recording.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Redact")]
pub struct KeyArgs {
    /// Where the key of these hashes is: `env:NAME` or `file:PATH`, at least 16 bytes. Without it a random one, for this
    /// run alone, is used and forgotten.
    #[arg(
        long,
        env = "SHADOWTAP_REDACT_KEY",
        hide_env_values = true,
        value_name = "env:NAME|file:PATH"
    )]
    pub redact_key: Option<String>,
}

/// `--redact-with`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum RedactWithArg {
    /// A keyed hash.
    #[default]
    Hash,
    /// A mask.
    Mask,
    /// Nothing.
    Drop,
}
