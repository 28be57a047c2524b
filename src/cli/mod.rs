//! What the user typed: one file a command, shared groups of flags, help text.
//!
//! Only syntax here: sizes, durations and lists are parsed, nothing is opened or looked up. Meaning
//! comes in [`crate::config`].

pub mod capture_args;
pub mod carry_args;
pub mod config_args;
pub mod convert_args;
pub mod file_args;
pub mod filter_args;
pub mod match_args;
pub mod middleware_args;
pub mod recording_args;
pub mod rewrite_args;
pub mod sample_args;
pub mod secret_args;
pub mod settings;
pub mod target_args;
pub mod units;

mod commands;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};

pub use commands::{
    Command, DemoArgs, DoctorArgs, FromGoreplayArgs, InspectArgs, MirrorArgs, PriorityArg,
    RecordArgs, ReplayArgs,
};
pub use convert_args::ConvertArgs;

/// Copies real HTTP/1.x traffic from the wire to a shadow (v2) service, and accounts for every request.
///
/// A capture thread sniffs TCP, reassembles HTTP requests and hands them to a replayer that sends
/// them to v2. The production service (v1) is never touched: nothing is proxied, redirected or held.
#[derive(Debug, Parser)]
#[command(
    name = "shadowtap",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    args_override_self = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What to log: error, warn, info, debug, trace, or target=level pairs.
    #[arg(
        long,
        global = true,
        env = "SHADOWTAP_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,

    /// Log as JSON lines, for collectors.
    #[arg(long, global = true, env = "SHADOWTAP_LOG_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub log_json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_long_flag_can_be_given_in_the_environment() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            for arg in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
                let name = arg.get_long().unwrap_or_default();
                if matches!(name, "help" | "version") {
                    continue;
                }
                let variable = format!("SHADOWTAP_{}", name.to_uppercase().replace('-', "_"));
                let env = arg.get_env().map(|env| env.to_string_lossy().into_owned());
                assert_eq!(
                    env.as_deref(),
                    Some(variable.as_str()),
                    "{} --{name}",
                    command.get_name()
                );
            }
        }
    }
}
