//! `config`, and the flag that names a config file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Subcommand};

/// A command with this flag can be configured by a file.
#[derive(Clone, Debug, Default, Args)]
pub struct FileArgs {
    /// Take what neither a flag nor the environment says from this file: TOML, its keys the names of the flags, for all
    /// commands or in a table of one (`[mirror]`). SIGHUP reads it again.
    #[arg(long, env = "SHADOWTAP_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Check a config file, or show what is in force.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Which of both.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `config` does.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether a config file makes sense, or each thing that is wrong with it.
    Check(CheckArgs),
    /// Show the values that a command would run with, or a process runs with, and where each comes from.
    Show(ShowArgs),
}

/// `config check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The config file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Check what it means for this command alone, and say what is missing to run it.
    #[arg(long = "for", env = "SHADOWTAP_FOR", value_name = "COMMAND")]
    pub command: Option<String>,
}

/// `config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Of the running mirror, record or replay with this process id.
    #[arg(long, env = "SHADOWTAP_PID", value_name = "PID", conflicts_with = "words")]
    pub pid: Option<u32>,
    /// Print one JSON object.
    #[arg(long, env = "SHADOWTAP_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// The command as it would be run: mirror (unless another is named), record, replay, inspect or convert, with --config
    /// and any other flags.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}
