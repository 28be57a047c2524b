//! `mirror`: live traffic, sniffed and sent to v2.

use super::Exit;
use super::intake::Intake;
use super::live::Live;
use super::pipeline::Pipeline;
use super::queue::{Budgets, WhenFull};
use super::running::Running;
use super::schedule::{Pace, Timetable};
use super::sending::Sending;
use super::shared::Shared;
use super::supervise::{Run, Whole, run_name};
use super::{signals, terminal};
use crate::cli::capture_args::CaptureArgs;
use crate::cli::{MirrorArgs, PriorityArg};
use crate::model::Watch;
use crate::replay::{Proxy, Target};
use crate::shape::{Admission, Methods};
use crate::{config, http, reassemble};

/// Mirrors until told to stop.
pub fn run(args: &MirrorArgs) -> anyhow::Result<Exit> {
    let running = Mirror::open(args)?.start()?;
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
}

impl<'a> Mirror<'a> {
    /// Opens the capture and drops every right. On the main thread, before any other is started.
    pub fn open(args: &'a MirrorArgs) -> anyhow::Result<Self> {
        let name = run_name();
        let mut replays = config::replays(&args.target, &name)?;
        let admission = config::admission(&args.target)?;
        let live = config::live(&args.capture, args.responses)?;
        // Responses are read for pairing and framing; nobody takes them.
        let http =
            http::Config { emit_responses: false, ..config::http(&args.limits, args.responses) };
        let limits = config::reassembly(&args.limits)?;
        let watch = config::watch_live(&args.capture)?;
        for replay in &mut replays {
            replay.own = Some(watch.own.clone());
        }
        let is_idle = args.priority == PriorityArg::Idle;
        let sending = Sending::new(&replays)?.at_idle_priority(is_idle);
        // The right to capture is dropped here, before anything can start a thread.
        let capture = Live::open(&live)?;
        let proxy = replays.iter().find_map(|replay| replay.proxy.clone());
        let targets = replays.into_iter().map(|replay| replay.target).collect();
        Ok(Self { args, name, targets, proxy, admission, sending, capture, watch, http, limits })
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
        } = self;
        let queue = &args.limits;
        let shared = Shared::new(sending.consumers());
        let whole = Whole::live(args.capture.limit, args.capture.duration);
        let run =
            Run::new(name, shared.clone()).with_progress(whole).stop_after(args.capture.duration);
        signals::install(run.events())?;
        // After the signals: looking a name up may take its time. The ring holds what comes meanwhile.
        watch.excluded = config::excluded(&targets, proxy.as_ref(), &watch);
        let pipeline = Pipeline::new(watch, http, limits);
        let ending = sending.ending(args.target.drain);
        let outlet = sending.spawn(Timetable::new(Pace::Live), run.events())?;
        let queue_bytes = usize::try_from(queue.queue_bytes)?;
        let budgets = Budgets::new(targets.len(), queue.queue, queue_bytes);
        let methods = admission.methods.clone();
        let intake = Intake::new(outlet, budgets, WhenFull::DropNewest, admission, shared.clone())
            .limit(args.capture.limit)
            .with_ends();
        let waker = capture.waker()?;
        capture.spawn(pipeline, intake, shared, run.events())?;
        let what = describe(&args.capture);
        terminal::say(&format!("run {}: mirroring {what} to {}", run.name, names(&targets)));
        terminal::say(&sent(&methods));
        Ok(Running::new(run, waker, ending))
    }
}

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

/// Which methods are sent, for the start line.
pub fn sent(methods: &Methods) -> String {
    match methods {
        Methods::All => "sent: every method; v2 must not share state with v1".to_owned(),
        some => format!(
            "sent: {some}; others are held back and counted (--methods all lets them through)"
        ),
    }
}
