//! The commands that the demo runs, as a person would type them.
//!
//! In: addresses. Out: the command line as text, and its arguments read from exactly that text; so
//! what is shown is what runs. The environment has no say in them.

use std::net::SocketAddr;

use anyhow::bail;
use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command, MirrorArgs, ReplayArgs};

/// The mirror from v1 on `lo` to v2.
pub fn mirror(v1: SocketAddr, v2: SocketAddr) -> anyhow::Result<(String, MirrorArgs)> {
    let line = format!("shadowtap mirror -i lo -p {} --to http://{v2} --methods all", v1.port());
    match parse(&line)? {
        Command::Mirror(args) => Ok((line, args)),
        other => bail!("not a mirror: {other:?}"),
    }
}

/// The replay of this file at v2, at the captured pace.
pub fn replay(file: &str, v2: SocketAddr) -> anyhow::Result<(String, ReplayArgs)> {
    let line = format!("shadowtap replay {file} --to http://{v2} --methods all");
    match parse(&line)? {
        Command::Replay(args) => Ok((line, args)),
        other => bail!("not a replay: {other:?}"),
    }
}

fn parse(line: &str) -> anyhow::Result<Command> {
    let mut cli = Cli::command();
    for name in ["mirror", "replay"] {
        cli =
            cli.mut_subcommand(name, |command| command.mut_args(|arg| arg.env(Resettable::Reset)));
    }
    let matches = cli.try_get_matches_from(line.split(' '))?;
    Ok(Cli::from_arg_matches(&matches)?.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_runs() {
        let (v1, v2) = (([127, 0, 0, 1], 4001).into(), ([127, 0, 0, 1], 4002).into());
        let (line, args) = mirror(v1, v2).expect("a mirror");
        assert_eq!(line, "shadowtap mirror -i lo -p 4001 --to http://127.0.0.1:4002 --methods all");
        assert_eq!((args.capture.ports, args.capture.interfaces), (vec![4001], vec!["lo".into()]));
        assert_eq!(
            (args.target.to, args.target.methods.as_str()),
            (vec!["http://127.0.0.1:4002".to_owned()], "all")
        );
        let (_, args) = replay("demo.pcap", v2).expect("a replay");
        assert_eq!(
            (args.files, args.target.methods.as_str()),
            (vec!["demo.pcap".to_owned()], "all")
        );
    }
}
