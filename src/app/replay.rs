//! `replay`: recordings or capture files at v2, at the captured pace or another.

use std::time::Duration;

use anyhow::{Context, bail};

use super::Exit;
use super::files::{Family, Files};
use super::intake::Intake;
use super::mirror::{names, sent};
use super::queue::{Budgets, WhenFull};
use super::running::Running;
use super::schedule::{Pace, Rate, Timetable};
use super::sending::Sending;
use super::shared::Shared;
use super::source::Source;
use super::supervise::{Run, run_name};
use super::{signals, terminal};
use crate::capture::rights;
use crate::cli::ReplayArgs;
use crate::cli::units::{Rates, Speed};
use crate::replay::Order;
use crate::{config, http};

/// Replays files.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    if args.rounds.is_some() && args.files.iter().any(|file| file == "-") {
        bail!("--loop reads the files again, and standard input can be read only once");
    }
    let running = start(args, Files::open(&args.files)?)?;
    let result = running.wait();
    running.run.print_ledger(args.json)?;
    result
}

/// Starts replaying these files, whatever `args.files` says.
pub fn start(args: &ReplayArgs, files: Files) -> anyhow::Result<Running> {
    let name = run_name();
    let mut replays = config::replays(&args.target, &name)?;
    let has_order = files.family() != Family::Gor;
    if !has_order {
        replays.iter_mut().for_each(|replay| replay.order = Order::None);
    }
    let admission = config::admission(&args.target)?;
    // Responses are read, since pairing makes framing surer, but not kept.
    let http = http::Config { read_responses: true, ..config::http(&args.limits, false) };
    let limits = config::reassembly(&args.limits)?;
    let mut source = Source::new(files, config::watch_file(&args.ports), http, limits);
    if let Some(rounds) = args.rounds {
        source = source.repeated(&args.files, rounds);
    }
    let targets: Vec<_> = replays.iter().map(|replay| replay.target.clone()).collect();
    terminal::say(&format!("run {name}: replaying {} to {}", source.names(), names(&targets)));
    terminal::say(&sent(&admission.methods));
    if !has_order {
        terminal::say(
            "a .gor recording has no connections: each request is one of its own, so none waits for \
             another (--order none)",
        );
    }

    let sending = Sending::new(&replays)?;
    let shared = Shared::new(sending.consumers());
    let mut run = Run::new(name, shared.clone()).with_progress().of_file();
    let (pace, span) = pace(args)?;
    let mut limit = args.limit;
    match (pace, args.duration) {
        // What is due within that time, exactly.
        (Pace::Rate(rate), Some(duration)) => {
            let most = rate.within(duration);
            limit = Some(limit.map_or(most, |limit| limit.min(most)));
        }
        _ if span.is_none() => run = run.stop_after(args.duration),
        _ => {}
    }
    // Everything is open now, and what follows reads a file that may be hostile.
    rights::drop_all(false).context("cannot drop the rights of this process")?;
    signals::install(run.events())?;
    let ending = sending.ending(args.target.drain);
    let timetable = Timetable::new(pace);
    let outlet = sending.spawn(timetable.clone(), run.events())?;
    let queue_bytes = usize::try_from(args.limits.queue_bytes)?;
    let budgets = Budgets::new(targets.len(), args.limits.queue, queue_bytes);
    let intake = Intake::new(outlet, budgets, WhenFull::Block, admission, shared.clone())
        .limit(limit)
        .span(span)
        .range(args.from, args.until)
        .timetable(timetable)
        .with_ends();
    source.spawn(intake, shared, run.events())?;
    Ok(Running::new(run, || (), ending))
}

/// The pace, and how much captured time to replay: at a multiple of the captured pace `--duration` is so much
/// of the file, exactly, and nothing is cut off.
fn pace(args: &ReplayArgs) -> anyhow::Result<(Pace, Option<Duration>)> {
    if let Some(Rates { from, to }) = args.rate {
        let over = match (args.over, from == to) {
            (Some(over), false) => over,
            (None, true) => Duration::ZERO,
            (Some(_), true) => bail!("--over needs a --rate that grows, such as 100/s..2000/s"),
            (None, false) => bail!("--rate {from}/s..{to}/s needs --over, such as --over 5m"),
        };
        return Ok((Pace::Rate(Rate { from, to, over }), None));
    }
    let factor = match args.speed {
        Speed::Max => return Ok((Pace::Max, None)),
        Speed::Factor(factor) => factor,
    };
    let captured =
        |duration: Duration| Duration::try_from_secs_f64(duration.as_secs_f64() * factor);
    // With gaps cut, captured time says nothing about how long it takes.
    let span = args.duration.filter(|_| args.max_gap.is_none()).map(captured);
    let span = span.transpose().context("--duration times --speed")?;
    Ok((Pace::Captured { factor, max_gap: args.max_gap }, span))
}
