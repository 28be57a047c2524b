//! Logging: tracing events to stderr, as lines for a person or as JSON for a collector.
//!
//! In comes what the user said about it, out comes the process-wide subscriber, set once. Colours
//! only on a terminal and never against NO_COLOR. A bare level is meant for shadowtap; libraries
//! then stay at `warn`.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::bar;

/// What is logged when the user says nothing.
pub const DEFAULT_FILTER: &str = "info";

/// Why logging cannot be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "{filter:?} is no log filter ({cause}); say error, warn, info, debug, trace, or \
         target=level pairs separated by commas"
    )]
    Filter {
        /// What the user said.
        filter: String,
        /// What is wrong with it.
        cause: ParseError,
    },
    /// Somebody set a subscriber before.
    #[error("logging is set up already")]
    Twice,
}

/// Sets up logging to stderr for the whole process.
pub fn init(filter: &str, json: bool) -> Result<(), LogError> {
    let filter = parse_filter(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_writer(|| bar::Stderr)
        .with_env_filter(filter)
        .with_ansi(has_colours(std::env::var_os("NO_COLOR").as_deref(), io::stderr().is_terminal()))
        .with_target(false);
    let result = if json { builder.json().try_init() } else { builder.try_init() };
    result.map_err(|_| LogError::Twice)
}

/// Whether that is a filter.
pub fn check(filter: &str) -> Result<(), LogError> {
    parse_filter(filter).map(drop)
}

/// Whether to colour: <https://no-color.org>, any value but the empty one forbids it.
pub fn has_colours(no_color: Option<&std::ffi::OsStr>, terminal: bool) -> bool {
    terminal && no_color.is_none_or(|value| value.is_empty())
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let is_level = filter.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let directives = if is_level { format!("warn,shadowtap={filter}") } else { filter.to_string() };
    EnvFilter::try_new(directives)
        .map_err(|cause| LogError::Filter { filter: filter.to_string(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_for_this_program_only() {
        // Directives are shown the most specific first.
        let shown = |filter: &str| parse_filter(filter).map(|f| f.to_string()).expect("filter");
        assert_eq!(shown("debug"), "shadowtap=debug,warn");
        assert_eq!(shown("hyper=trace,info"), "hyper=trace,info");
    }

    #[test]
    fn a_wrong_filter_is_named_with_what_to_say_instead() {
        let error = parse_filter("shadowtap=loud").expect_err("no such level").to_string();
        assert!(error.contains("shadowtap=loud") && error.contains("debug"), "{error}");
    }

    #[test]
    fn no_color_and_pipes_turn_colours_off() {
        let set = |value: &'static str| Some(std::ffi::OsStr::new(value));
        assert!(has_colours(None, true) && has_colours(set(""), true));
        assert!(!has_colours(set("1"), true) && !has_colours(None, false));
    }
}
