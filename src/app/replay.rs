//! `replay`: recordings or capture files at v2, at the captured pace or another.

use anyhow::Context;

use super::Exit;
use super::files::Files;
use super::intake::Intake;
use super::mirror::sent;
use super::queue::{Budget, WhenFull};
use super::running::Running;
use super::sending::{Pace, Sending};
use super::shared::Shared;
use super::source::Source;
use super::supervise::{Run, run_name};
use super::{signals, terminal};
use crate::capture::rights;
use crate::cli::ReplayArgs;
use crate::cli::units::Speed;
use crate::{config, http};

/// Replays files.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    let running = start(args, Files::open(&args.files)?)?;
    let result = running.wait();
    running.run.print_ledger(args.json)?;
    result
}

/// Starts replaying these files, whatever `args.files` says.
pub fn start(args: &ReplayArgs, files: Files) -> anyhow::Result<Running> {
    let name = run_name();
    let replay = config::replay(&args.target, &name)?;
    let admission = config::admission(&args.target)?;
    // Responses are read, since pairing makes framing surer, but not kept.
    let http = http::Config { read_responses: true, ..config::http(&args.limits, false) };
    let limits = config::reassembly(&args.limits)?;
    let source = Source::new(files, config::watch_file(&args.ports), http, limits);
    terminal::say(&format!("run {name}: replaying {} to {}", source.names(), replay.target));
    terminal::say(&sent(&admission.methods));

    let sending = Sending::new(&replay)?;
    let shared = Shared::new(vec![sending.consumer()]);
    let mut run = Run::new(name, shared.clone()).with_progress().of_file();
    let mut span = None;
    let pace = match args.speed {
        Speed::Max => {
            run = run.stop_after(args.duration);
            Pace::AtOnce
        }
        Speed::Factor(factor) => {
            // So long at that pace is so much of the file: exact, and nothing is cut off.
            let spans = |duration: std::time::Duration| {
                std::time::Duration::try_from_secs_f64(duration.as_secs_f64() * factor)
            };
            span = args.duration.map(spans).transpose().context("--duration times --speed")?;
            Pace::Captured(factor)
        }
    };
    // Everything is open now, and what follows reads a file that may be hostile.
    rights::drop_all(false).context("cannot drop the rights of this process")?;
    signals::install(run.events())?;
    let ending = sending.ending(args.target.drain);
    let batch_tx = sending.spawn(pace, run.events())?;
    let budget = Budget::new(args.limits.queue, usize::try_from(args.limits.queue_bytes)?);
    let intake = Intake::new(batch_tx, budget, WhenFull::Block, admission, shared.clone())
        .limit(args.limit)
        .span(span);
    source.spawn(intake, shared, run.events())?;
    Ok(Running::new(run, || (), ending))
}
