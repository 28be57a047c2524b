//! `mirror`: live traffic, sniffed and sent to v2, and recorded beside it if wanted.

use anyhow::bail;
use crossbeam_channel::unbounded;

use super::Exit;
use super::aside::Aside;
use super::intake::Intake;
use super::live::Live;
use super::newest::{Newest, newest};
use super::pipeline::Pipeline;
use super::queue::{self, Budget, Budgets, Permit, WhenFull};
use super::record::{info, plan};
use super::running::Running;
use super::schedule::{Pace, Timetable};
use super::secrets::{Key, Redaction, Secrets};
use super::sending::Sending;
use super::settings::Started;
use super::shared::{Consumer, Shared};
use super::supervise::{Event, Run, Whole, run_name, spawn};
use super::waiting::{Room, Waiting};
use super::{middleware, reload, rewriting, safety, signals, terminal};
use crate::cli::capture_args::CaptureArgs;
use crate::cli::{Cli, Command, MirrorArgs, PriorityArg};
use crate::model::Watch;
use crate::record::{RecordTask, Recorder};
use crate::replay::{Proxy, Target};
use crate::shape::{Admission, Methods};
use crate::{config, http, reassemble};

/// Mirrors until told to stop.
pub fn run(args: &MirrorArgs, started: Started) -> anyhow::Result<Exit> {
    let running = Mirror::open(args)?.with_settings(started).start()?;
    let result = running.wait();
    running.run.print_ledger(args.json)?;
    result
}

/// A mirror whose capture is open: it sees everything from now on, and no thread was started yet.
pub struct Mirror<'a> {
    args: &'a MirrorArgs,
    name: String,
    targets: Vec<Target>,
    proxy: Option<Proxy>,
    admission: Admission,
    sending: Sending,
    capture: Live,
    watch: Watch,
    http: http::Config,
    limits: reassemble::Limits,
    recorder: Option<(Recorder, Secrets)>,
    takes_responses: bool,
    started: Option<Started>,
}

impl<'a> Mirror<'a> {
    /// Opens the capture and drops every right. On the main thread, before any other is started.
    pub fn open(args: &'a MirrorArgs) -> anyhow::Result<Self> {
        let name = run_name();
        let mut replays = config::replays(&args.target, &name)?;
        let admission = config::admission(&args.target, &args.matching, &args.sample)?;
        let is_recorded = args.record.is_some();
        let needs_status = admission.rules.needs_status();
        let carry = config::carry(&args.carry)?;
        let middleware =
            middleware::Plan::new(&args.middleware, args.target.drain, args.limits.max_body)?;
        let wants_v1 = middleware.as_ref().is_some_and(middleware::Plan::wants_v1);
        let takes_responses = carry.is_some() || wants_v1;
        let reads_responses = args.responses || is_recorded || needs_status || takes_responses;
        let live = config::live(&args.capture, reads_responses)?;
        // Responses are read for pairing and framing; nobody takes them but a recording, who carries values,
        // and a program that is to see them.
        let http = http::Config {
            emit_responses: is_recorded || takes_responses,
            tell_statuses: needs_status,
            ..config::http(&args.limits, reads_responses)
        };
        let limits = config::reassembly(&args.limits)?;
        let watch = config::watch_live(&args.capture)?;
        for replay in &mut replays {
            replay.own = Some(watch.own.clone());
        }
        let redaction = Redaction::new(&args.redact)?;
        let key = Key::new(args.recording.secrets.redact_key.as_ref())?;
        let prepare = rewriting::prepare(&args.rewrite, &args.safety, &redaction, &key)?;
        config::dry(&mut replays, &args.safety);
        let is_idle = args.priority == PriorityArg::Idle;
        let sending = Sending::new(&replays)?.prepared(prepare).carrying(carry.as_ref());
        let sending = sending.asking(middleware).at_idle_priority(is_idle);
        // Before the rights are dropped: afterwards even root may not write everywhere.
        let recorder = recorder(args, &name, &key, &redaction)?;
        // The right to capture is dropped here, before anything can start a thread.
        let capture = Live::open(&live)?;
        let proxy = replays.iter().find_map(|replay| replay.proxy.clone());
        let targets: Vec<_> = replays.into_iter().map(|replay| replay.target).collect();
        safety::allowed(&targets, &args.safety.allow_target)?;
        Ok(Self {
            args,
            name,
            targets,
            proxy,
            admission,
            sending,
            capture,
            watch,
            http,
            limits,
            recorder,
            takes_responses,
            started: None,
        })
    }

    /// Says what is in force while it runs, and reads its config file again when told to.
    pub fn with_settings(mut self, started: Started) -> Self {
        self.started = Some(started);
        self
    }

    /// Starts capturing and sending, and says so.
    pub fn start(self) -> anyhow::Result<Running> {
        let Self {
            args,
            name,
            targets,
            proxy,
            admission,
            sending,
            capture,
            mut watch,
            http,
            limits,
            recorder,
            takes_responses,
            started,
        } = self;
        let (messages, bytes) =
            (args.limits.queue.unwrap_or(queue::LIVE), usize::try_from(args.limits.queue_bytes)?);
        // capture thread --batches--> record thread
        let (record_tx, record_rx) = unbounded();
        let notice = recorder.as_ref().map(|(_, secrets)| secrets.notice());
        let task = recorder.map(|(recorder, secrets)| {
            RecordTask::<Permit>::new(recorder, record_rx, secrets.prepare())
        });
        let mut consumers = sending.consumers();
        consumers.extend(task.iter().map(|task| Consumer::Recording(task.counts())));
        let shared = Shared::new(consumers);
        let whole = Whole::live(args.capture.limit, args.capture.duration);
        let run = Run::new(name, shared.clone())
            .with_progress(whole)
            .with_aside(task.is_some())
            .stop_after(args.capture.duration);
        signals::install(run.events(), reload::is_wanted(started.as_ref()))?;
        let (newest, newer) = newest();
        let needs_status = admission.rules.needs_status();
        let run = run.on_reload(reload::of(started, move |cli| admit(cli, needs_status, &newest)));
        // After the signals: looking a name up may take its time. The ring holds what comes meanwhile.
        watch.excluded = config::excluded(&targets, proxy.as_ref(), &watch);
        if !args.same_target_ok {
            // What a proxy leads to is not known here.
            safety::not_v1(&config::excluded(&targets, None, &watch), &watch)?;
        }
        let pipeline = Pipeline::new(watch, http, limits);
        let ending = sending.ending(args.target.drain);
        let outlet = sending.spawn(Timetable::new(Pace::Live), run.events())?;
        // Bytes are memory: a recording has an equal share of it, and so have requests that wait for v1's status.
        let shares = targets.len() + usize::from(task.is_some()) + usize::from(needs_status);
        let share = bytes / shares;
        let room =
            Room { messages, bytes: share, patience: args.target.timeout, keeps_order: false };
        let waiting = needs_status.then(|| Waiting::new(admission.rules.clone(), room));
        let budgets = Budgets::new(targets.len(), messages, share * targets.len());
        let aside = task
            .is_some()
            .then(|| Aside::new(config::recording(), Budget::new(messages, share), record_tx));
        let start_lines = sent(&admission);
        let intake = Intake::new(outlet, budgets, WhenFull::DropNewest, admission, shared.clone())
            .limit(args.capture.limit)
            .with_newer(newer)
            .with_aside(aside)
            .with_waiting(waiting)
            .with_responses(takes_responses)
            .with_ends();
        let waker = capture.waker()?;
        capture.spawn(pipeline, intake, shared, run.events())?;
        if let Some(task) = task {
            // Last: a start that fails before leaves no file. Not at idle priority: its channel has a lock that
            // the capture thread may meet.
            spawn("record", run.events(), Event::AsideEnded, || Ok(task.run().1?))?;
        }
        let what = describe(&args.capture);
        terminal::say(&format!("run {}: mirroring {what} to {}", run.name, names(&targets)));
        terminal::say(&start_lines);
        if args.safety.dry_run {
            terminal::say(DRY);
        }
        if let Some((file, notice)) = args.record.as_ref().zip(notice) {
            terminal::say(&format!("recorded to {}; {notice}", file.display()));
        }
        Ok(Running::new(run, waker, ending))
    }
}

/// The recording beside it, if one is wanted.
fn recorder(
    args: &MirrorArgs,
    run: &str,
    key: &Key,
    redaction: &Redaction,
) -> anyhow::Result<Option<(Recorder, Secrets)>> {
    let how = &args.recording;
    let Some(file) = &args.record else {
        let secrets = &how.secrets;
        let has_key = secrets.redact_key.is_some() && redaction.is_empty();
        let is_about_secrets = secrets.keep_secrets || has_key;
        let is_about_files = how.overwrite || !how.rotate.is_empty();
        if is_about_files || is_about_secrets || how.zstd_dictionary.is_some() {
            bail!(
                "--overwrite, --rotate, --keep, --zstd-dictionary, --keep-secrets and --redact-key are about a \
                 recording; name one with --record"
            );
        }
        return Ok(None);
    };
    let plan = plan(file, how)?;
    let secrets = Secrets::new(&how.secrets, key, redaction)?;
    let info = info(&args.capture, &args.limits, how, run, &secrets);
    Ok(Some((Recorder::create(&plan, &info)?, secrets)))
}

/// Takes over which requests are sent.
fn admit(cli: &Cli, reads_statuses: bool, newest: &Newest<Admission>) -> anyhow::Result<()> {
    if let Command::Mirror(args) = &cli.command {
        let admission = config::admission(&args.target, &args.matching, &args.sample)?;
        reload::can_judge(&admission.rules, reads_statuses)?;
        newest.set(admission);
    }
    Ok(())
}

/// What a dry run says of itself.
pub const DRY: &str = "--dry-run: what would be sent is printed, and nothing is sent";

/// Where copies go, for the start line.
pub fn names(targets: &[Target]) -> String {
    targets.iter().map(Target::to_string).collect::<Vec<_>>().join(" and ")
}

/// What is captured, for the start line.
pub fn describe(capture: &CaptureArgs) -> String {
    let ports: Vec<_> = capture.ports.iter().map(u16::to_string).collect();
    let plural = if ports.len() == 1 { "" } else { "s" };
    format!("port{plural} {} on {}", ports.join(", "), capture.interfaces.join(", "))
}

/// Which requests are sent and which share of them, for the start lines.
pub fn sent(admission: &Admission) -> String {
    let mut lines = match &admission.methods {
        Methods::All => "sent: every method; v2 must not share state with v1".to_owned(),
        some => format!(
            "sent: {some}; others are held back and counted (--methods all lets them through)"
        ),
    };
    if !admission.rules.is_empty() {
        lines += "; of them those that --only, --except and --path let on";
        lines += if admission.rules.needs_status() { ", when v1's status is known" } else { "" };
    }
    if let Some(sampler) = &admission.sampler {
        lines += &format!("\nof these {sampler}; others are counted as sampled_out");
    }
    if let Some(cap) = &admission.cap {
        lines += &format!("\nno more than {cap}; others are counted as shed_over_rate");
    }
    lines
}
