//! Flags of every command that sends to v2: the program that is asked about each request.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::units;

/// A program of the user's own.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Middleware")]
pub struct MiddlewareArgs {
    /// Ask this program about each request, over its stdin and stdout: it may change it or drop it (docs/middleware.md). Its
    /// words are parted as a shell does, with quotes, and nothing is expanded. Of several targets each has a program of its own.
    #[arg(long, env = "SHADOWTAP_MIDDLEWARE", value_name = "COMMAND")]
    pub middleware: Option<String>,

    /// How it is spoken to: `json` (an object on each line) or `gor` (as GoReplay does).
    #[arg(
        long,
        env = "SHADOWTAP_MIDDLEWARE_PROTOCOL",
        default_value = "json",
        value_name = "NAME"
    )]
    pub middleware_protocol: ProtocolArg,

    /// What it is told: `requests`, beside them the answers of `v1` or of `v2`, or `all`.
    #[arg(
        long,
        env = "SHADOWTAP_MIDDLEWARE_SEES",
        default_value = "requests",
        value_name = "WHAT"
    )]
    pub middleware_sees: SeesArg,

    /// How long it may take for an answer; a request without one by then is shed and counted.
    #[arg(long, env = "SHADOWTAP_MIDDLEWARE_TIMEOUT", default_value = "1s", value_parser = units::duration, value_name = "TIME")]
    pub middleware_timeout: Duration,
}

/// `--middleware-protocol`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum ProtocolArg {
    /// JSON lines.
    #[default]
    Json,
    /// GoReplay's.
    Gor,
}

/// `--middleware-sees`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum SeesArg {
    /// Requests.
    #[default]
    Requests,
    /// v1's answers, too.
    V1,
    /// v2's answers, too.
    V2,
    /// Both.
    All,
}
