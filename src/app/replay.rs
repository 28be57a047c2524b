//! `replay`: recordings or capture files at v2, at the captured pace or another.

use std::time::Duration;

use anyhow::{Context, bail};

use super::Exit;
use super::files::Files;
use super::follow::Stop;
use super::intake::Intake;
use super::mirror::{DRY, names, sent};
use super::newest::newest;
use super::queue::{self, Budgets, WhenFull};
use super::rounds::Range;
use super::running::Running;
use super::schedule::{Pace, Rate, Timetable};
use super::secrets::{Key, Redaction};
use super::sending::Sending;
use super::settings::Started;
use super::shared::{Reading, Shared};
use super::source::Source;
use super::supervise::{Run, Whole, run_name};
use super::v1_times::V1Times;
use super::waiting::{Room, Waiting};
use super::{middleware, reload, rewriting, safety, signals, terminal};
use crate::capture::rights;
use crate::cli::units::{Rates, Rounds, Speed};
use crate::cli::{Command, ReplayArgs};
use crate::replay::Order;
use crate::shape::Admission;
use crate::{config, http};

/// Replays files.
pub fn run(args: &ReplayArgs, started: Started) -> anyhow::Result<Exit> {
    if args.rounds.is_some() && args.files.iter().any(|file| file == "-") {
        bail!("--loop reads the files again, and standard input can be read only once");
    }
    let logs = config::logs(&args.logs)?;
    let stop = Stop::default();
    let files = match args.follow {
        true => Files::open_following(&args.files, logs, stop.clone())?,
        false => Files::open(&args.files, logs)?,
    };
    let running = start(args, files, stop, Some(started))?;
    let result = running.wait();
    running.run.print_ledger(args.json)?;
    result
}

/// Starts replaying these files, whatever `args.files` says. `stop` ends one that is followed when the run is told to
/// stop.
pub fn start(
    args: &ReplayArgs,
    files: Files,
    stop: Stop,
    started: Option<Started>,
) -> anyhow::Result<Running> {
    let name = run_name();
    let mut replays = config::replays(&args.target, &name)?;
    let family = files.family();
    let has_order = family.has_connections();
    if !has_order {
        replays.iter_mut().for_each(|replay| replay.order = Order::None);
    }
    let pace = pace(args)?;
    let admission = admission(args)?;
    // Responses are read, since pairing makes framing surer, but kept only for their values, and for a program that is to see them.
    let carry = config::carry(&args.carry)?;
    let middleware =
        middleware::Plan::new(&args.middleware, args.target.drain, args.limits.max_body)?;
    let wants_v1 = middleware.as_ref().is_some_and(middleware::Plan::wants_v1);
    let takes_responses = carry.is_some() || wants_v1;
    let needs_status = admission.rules.needs_status();
    let http = http::Config {
        read_responses: true,
        tell_statuses: needs_status,
        emit_responses: takes_responses,
        ..config::http(&args.limits, false)
    };
    let reading = files.reading();
    let limits = config::reassembly(&args.limits)?;
    let source = Source::new(files, config::watch_file(&args.ports), http, limits);
    let mut source = source.within(Range::new(args.from, args.until));
    let targets: Vec<_> = replays.iter().map(|replay| replay.target.clone()).collect();
    safety::allowed(&targets, &args.safety.allow_target)?;
    config::dry(&mut replays, &args.safety);
    let (redaction, key) = (Redaction::new(&args.redact)?, Key::new(args.key.redact_key.as_ref())?);
    let prepare = rewriting::prepare(&args.rewrite, &args.safety, &redaction, &key)?;
    terminal::say(&format!("run {name}: replaying {} to {}", source.names(), names(&targets)));
    terminal::say(&sent(&admission));
    if args.safety.dry_run {
        terminal::say(DRY);
    }
    if !has_order {
        terminal::say(&format!(
            "{family} has no connections: each request is one of its own, so none waits for another (--order none)"
        ));
    }

    let sending =
        Sending::new(&replays)?.prepared(prepare).carrying(carry.as_ref()).asking(middleware);
    let shared = Shared::new(sending.consumers());
    if let Some(rounds) = args.rounds {
        let shared = shared.clone();
        let is_sent = move || shared.snapshot().requests.queued > 0;
        source = source.repeated(&args.files, rounds, is_sent);
    }
    let (mut limit, mut duration) = (args.limit, None);
    match pace {
        // What is due within that time, exactly, and nothing is cut off.
        Pace::Captured { .. } => duration = args.duration,
        Pace::Rate(rate) => {
            let most = args.duration.map(|duration| rate.within(duration));
            limit = [limit, most].into_iter().flatten().min();
        }
        Pace::Max | Pace::Live => {}
    }
    let mut run = Run::new(name, shared.clone()).of_file();
    // A file that goes quiet gives no request that would be beyond the schedule's end.
    if args.follow || matches!(pace, Pace::Max) {
        run = run.stop_after(args.duration);
    }
    let run = run.with_progress(whole(args, limit, reading));
    // Everything is open now, and what follows reads a file that may be hostile.
    rights::drop_all(false).context("cannot drop the rights of this process")?;
    signals::install(run.events(), reload::is_wanted(started.as_ref()))?;
    let (newest, newer) = newest();
    let run = run.on_reload(reload::of(started, move |cli| {
        if let Command::Replay(args) = &cli.command {
            let admission = self::admission(args)?;
            reload::can_judge(&admission.rules, needs_status)?;
            newest.set(admission);
        }
        Ok(())
    }));
    let ending = sending.ending(args.target.drain);
    // What is only printed need not wait for its time.
    let timetable = Timetable::new(if args.safety.dry_run { Pace::Max } else { pace });
    let outlet = sending.spawn(timetable.clone(), run.events())?;
    let queue_bytes = usize::try_from(args.limits.queue_bytes)?;
    // What v1 gave is known from when it is read until it is needed: no further ahead than must be.
    let ahead = if takes_responses { queue::LIVE } else { queue::FILE };
    let messages = args.limits.queue.unwrap_or(ahead);
    // Bytes are memory: requests that wait for v1's status have an equal share of it.
    let share = queue_bytes / (targets.len() + usize::from(needs_status));
    let room = Room { messages, bytes: share, patience: args.target.timeout, keeps_order: true };
    let waiting = needs_status.then(|| Waiting::new(admission.rules.clone(), room));
    let budgets = Budgets::new(targets.len(), messages, share * targets.len());
    let intake = Intake::new(outlet, budgets, WhenFull::Block, admission, shared.clone())
        .limit(limit)
        .duration(duration, pace)
        .timetable(timetable)
        .with_newer(newer)
        .with_v1_times(V1Times::new(shared.v1()))
        .with_waiting(waiting)
        .with_responses(takes_responses)
        .with_ends();
    source.spawn(intake, shared, run.events())?;
    Ok(Running::new(run, move || stop.stop(), ending))
}

/// Which requests are sent.
pub fn admission(args: &ReplayArgs) -> anyhow::Result<Admission> {
    let mut admission = config::admission(&args.target, &args.matching, &args.sample)?;
    if let Some(cap) = admission.cap.take() {
        admission.cap = match pace(args)? {
            Pace::Captured { factor, max_gap } => Some(cap.at_pace(factor, max_gap)),
            // Usage says that it does not go with --rate.
            Pace::Live | Pace::Rate(_) => Some(cap),
            Pace::Max => bail!(
                "--max-rate sheds what comes faster than so many a second, and at --speed max nothing comes at a \
                 time of its own; give --rate to send all of it at that rate"
            ),
        };
    }
    Ok(admission)
}

/// What tells how much is done.
fn whole(args: &ReplayArgs, limit: Option<u64>, reading: Reading) -> Whole {
    match (args.rounds, Whole::live(limit, args.duration)) {
        (_, known @ (Whole::Requests(_) | Whole::Time(_))) => known,
        (_, _) if args.follow => Whole::Unknown,
        (Some(Rounds::Forever), _) => Whole::Unknown,
        (Some(Rounds::Times(times)), _) => {
            Whole::Files(reading, u32::try_from(times).unwrap_or(u32::MAX))
        }
        (None, _) => Whole::Files(reading, 1),
    }
}

/// The pace that the flags ask for.
pub fn pace(args: &ReplayArgs) -> anyhow::Result<Pace> {
    if let Some(Rates { from, to }) = args.rate {
        let over = match (args.over, from == to) {
            (Some(over), false) => over,
            (None, true) => Duration::ZERO,
            (Some(_), true) => bail!("--over needs a --rate that grows, such as 100/s..2000/s"),
            (None, false) => bail!("--rate {from}/s..{to}/s needs --over, such as --over 5m"),
        };
        return Ok(Pace::Rate(Rate { from, to, over }));
    }
    Ok(match args.speed {
        Speed::Max => Pace::Max,
        Speed::Factor(factor) => Pace::Captured { factor, max_gap: args.max_gap },
    })
}
