//! Flags of every command that sends to v2: what is changed in the copies.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

/// What is changed in the copies. In the environment several rules are parted by line breaks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Rewrite")]
pub struct RewriteArgs {
    /// Give a field this value: the first of its name gets it, further ones go; without one it is added. VALUE is a text, or
    /// `env:NAME` or `file:PATH` (read again when it changes), so that no token stands on a command line.
    #[arg(
        long,
        env = "SHADOWTAP_SET_HEADER",
        hide_env_values = true,
        value_delimiter = '\n',
        value_name = "NAME: VALUE"
    )]
    pub set_header: Vec<String>,

    /// Add a field behind the others.
    #[arg(
        long,
        env = "SHADOWTAP_ADD_HEADER",
        hide_env_values = true,
        value_delimiter = '\n',
        value_name = "NAME: VALUE"
    )]
    pub add_header: Vec<String>,

    /// Take every field of this name out.
    #[arg(long, env = "SHADOWTAP_REMOVE_HEADER", value_delimiter = '\n', value_name = "NAME")]
    pub remove_header: Vec<String>,

    /// Give the fields of one name another.
    #[arg(long, env = "SHADOWTAP_RENAME_HEADER", value_delimiter = '\n', value_name = "OLD: NEW")]
    pub rename_header: Vec<String>,

    /// Replace whatever fits in the values of a field; $1 and ${name} are what a group holds.
    #[arg(
        long,
        env = "SHADOWTAP_REWRITE_HEADER",
        hide_env_values = true,
        value_delimiter = '\n',
        value_name = "NAME: REGEX => TEXT"
    )]
    pub rewrite_header: Vec<String>,

    /// Replace whatever fits in path and query, as they were sent.
    #[arg(
        long,
        env = "SHADOWTAP_REWRITE_PATH",
        hide_env_values = true,
        value_delimiter = '\n',
        value_name = "REGEX => TEXT"
    )]
    pub rewrite_path: Vec<String>,

    /// Give a query parameter this value, percent-encoded as it must be; env: and file: as with --set-header.
    #[arg(
        long,
        env = "SHADOWTAP_SET_QUERY",
        hide_env_values = true,
        value_delimiter = '\n',
        value_name = "NAME=VALUE"
    )]
    pub set_query: Vec<String>,

    /// Take every query parameter of this name out.
    #[arg(long, env = "SHADOWTAP_REMOVE_QUERY", value_delimiter = '\n', value_name = "NAME")]
    pub remove_query: Vec<String>,

    /// Set a member of JSON bodies, such as `$.user.plan=free` or `$.items[*].price=0`: VALUE is JSON, else a text; env: and
    /// file: are texts. Every other byte of the document stays.
    #[arg(
        long,
        env = "SHADOWTAP_SET_JSON",
        hide_env_values = true,
        value_delimiter = '\n',
        value_name = "$.PATH=VALUE"
    )]
    pub set_json: Vec<String>,

    /// Take a member out of JSON bodies.
    #[arg(long, env = "SHADOWTAP_REMOVE_JSON", value_delimiter = '\n', value_name = "$.PATH")]
    pub remove_json: Vec<String>,
}

/// What keeps a shadow harmless.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Safety")]
pub struct SafetyArgs {
    /// Send to these targets only: HOST, HOST:PORT or unix:/path. Any other --to is refused at the start.
    #[arg(long, env = "SHADOWTAP_ALLOW_TARGET", value_delimiter = ',', value_name = "HOST[:PORT]")]
    pub allow_target: Vec<String>,

    /// What becomes of the Idempotency-Key: `keep`, `strip`, or `rewrite` (another, the same for the same).
    #[arg(long, env = "SHADOWTAP_IDEMPOTENCY_KEY", default_value = "keep", value_name = "WHAT")]
    pub idempotency_key: IdempotencyKeyArg,

    /// Print what would be sent, byte for byte, on stdout, and send nothing: no connection is made. Each request stands
    /// behind a line that tells its length.
    #[arg(
        long,
        env = "SHADOWTAP_DRY_RUN",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(),
        conflicts_with_all = ["http2", "proxy"]
    )]
    pub dry_run: bool,
}

/// `--idempotency-key`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum IdempotencyKeyArg {
    /// As captured.
    #[default]
    Keep,
    /// Taken out.
    Strip,
    /// Another.
    Rewrite,
}
