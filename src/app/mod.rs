//! Wires the rooms for each command; owns threads, the runtime, channels and shutdown.
//!
//! The only place that knows more than one room. [`run`] takes what the user typed and returns how
//! the process ends; an error is one message for the user, printed by `main`.

mod aside;
mod carrying;
mod config_command;
pub mod convert;
pub mod demo;
pub mod doctor;
mod faults;
pub mod files;
pub mod follow;
pub mod from_goreplay;
pub mod inspect;
pub mod intake;
pub mod live;
mod made;
mod merge;
mod middleware;
pub mod mirror;
mod newest;
pub mod pipeline;
pub mod priority;
mod queue;
pub mod record;
pub mod recordings;
pub mod reload;
pub mod replay;
mod rewriting;
pub mod rounds;
pub mod running;
mod safety;
pub mod schedule;
mod secrets;
mod sending;
pub mod settings;
mod settings_report;
pub mod shared;
pub mod signals;
pub mod source;
mod state_file;
pub mod stored;
pub mod supervise;
pub mod terminal;
mod v1_times;
mod values;
mod waiting;

use crate::cli::{Cli, Command};
use crate::telemetry::logs;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done,
    /// Done, but for what is said to have no form.
    Partly,
    /// Could not run, or not to the end: usage, permission, file.
    Failed,
    /// Interrupted, after a clean drain.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Partly => 1,
            Self::Failed => 2,
            Self::Interrupted => 130,
        }
    }
}

/// Does what the user asked for.
pub fn run(cli: Cli, started: settings::Started) -> anyhow::Result<Exit> {
    logs::init(&cli.log, cli.log_json)?;
    match cli.command {
        Command::Mirror(args) => mirror::run(&args, started),
        Command::Record(args) => record::run(&args, started),
        Command::Replay(args) => replay::run(&args, started),
        Command::Inspect(args) => inspect::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::FromGoreplay(args) => from_goreplay::run(&args),
        Command::Config(args) => config_command::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Demo(args) => demo::run(&args),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;

    use crate::http::{Config, Provenance, Role, parse_whole};
    use crate::model::{Anomalies, Endpoint, Message, Timestamp};

    /// A request with these bytes.
    pub fn request(bytes: &'static [u8]) -> Message {
        message(bytes, Role::Client)
    }

    /// A message with these bytes, of a client or a server.
    pub fn message(bytes: &[u8], role: Role) -> Message {
        let end = Endpoint::new([127, 0, 0, 1].into(), 80);
        let from = Provenance {
            conn: 0,
            index: 0,
            client: end,
            server: end,
            first_byte: Timestamp::ZERO,
            last_byte: Timestamp::ZERO,
            request: None,
            anomalies: Anomalies::default(),
            is_whole: true,
        };
        parse_whole(Bytes::copy_from_slice(bytes), role, from, &Config::default())
            .expect("a message")
    }
}
