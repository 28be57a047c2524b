//! The main thread of a run: waits for its end, says how it goes, prints the ledger.
//!
//! In: events of the other threads and of signals. Out: progress on stderr, the ledger on stdout, the
//! exit code. Guaranteed: whatever the reason for the end, the ledger is printed, once; a second
//! signal ends the run at once. Nothing here waits for a packet.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::Exit;
use super::shared::{Reading, Shared};
use super::terminal;
use crate::model::ledger::Snapshot;
use crate::telemetry::{bar, ledger_table, progress};

/// How often a run says how it goes, and how often it draws that where a bar can be seen.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// How long, after everything was told to end at once, the threads are waited for.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What the main thread is told.
#[derive(Debug)]
pub enum Event {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the config file is to be read again.
    Reload,
    /// The capture thread is done, and how.
    CaptureEnded(anyhow::Result<()>),
    /// The replayer or recorder is done, and how.
    ConsumerEnded(anyhow::Result<()>),
    /// The recorder beside a replayer is done, and how.
    AsideEnded(anyhow::Result<()>),
}

/// How a consumer is told to come to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Finish what is queued, within the time to drain.
    Drain,
    /// Give everything up now.
    Now,
}

/// What a run is done with when it is done.
pub enum Whole {
    /// So many requests.
    Requests(u64),
    /// Files, read so often.
    Files(Reading, u32),
    /// So much time.
    Time(Duration),
    /// It goes on until it is ended.
    Unknown,
}

impl Whole {
    /// Of a live run.
    pub fn live(limit: Option<u64>, duration: Option<Duration>) -> Self {
        match (limit, duration) {
            (_, Some(duration)) => Self::Time(duration),
            (Some(limit), None) => Self::Requests(limit),
            (None, None) => Self::Unknown,
        }
    }
}

/// A run under supervision.
pub struct Run {
    /// Its name, which stands in the marker of each copy.
    pub name: String,
    started: Instant,
    shared: Shared,
    event_tx: Sender<Event>,
    event_rx: Receiver<Event>,
    duration: Option<Duration>,
    says_progress: bool,
    /// What tells how much is done.
    whole: Whole,
    /// Whether what is captured lies in a file: it can be left at any place, and its end is waited for.
    is_file: bool,
    /// Whether something is recorded beside it, whose end is waited for and ends nothing.
    has_aside: bool,
    /// Reads the config file again.
    reload: Option<Box<dyn Fn()>>,
}

impl Run {
    /// A run that begins now.
    pub fn new(name: String, shared: Shared) -> Self {
        let (event_tx, event_rx) = unbounded();
        Self {
            name,
            started: Instant::now(),
            shared,
            event_tx,
            event_rx,
            duration: None,
            says_progress: false,
            whole: Whole::Unknown,
            is_file: false,
            has_aside: false,
            reload: None,
        }
    }

    /// Stops capturing after this long.
    pub fn stop_after(mut self, duration: Option<Duration>) -> Self {
        self.duration = duration;
        self
    }

    /// Says every ten seconds how it goes; draws a bar where stderr is a terminal.
    pub fn with_progress(mut self, whole: Whole) -> Self {
        self.says_progress = true;
        self.whole = whole;
        self
    }

    /// Something is recorded beside it: its end is waited for too.
    pub fn with_aside(mut self, has_aside: bool) -> Self {
        self.has_aside = has_aside;
        self
    }

    /// Does this on SIGHUP, on the main thread.
    pub fn on_reload(mut self, reload: Option<Box<dyn Fn()>>) -> Self {
        self.reload = reload;
        self
    }

    /// The source is a file or a stream: its end is the run's end, and everything is sent before. Told to
    /// stop, it is not waited for once the consumer is done: it may never give another byte.
    pub fn of_file(mut self) -> Self {
        self.is_file = true;
        self
    }

    /// Where threads report their end.
    pub fn events(&self) -> Sender<Event> {
        self.event_tx.clone()
    }

    /// Waits until capture and consumer are done. `wake` makes the capture thread look whether it is
    /// to stop; `end` tells the consumer how to come to an end.
    pub fn wait(&self, wake: impl Fn(), end: impl Fn(Ending)) -> anyhow::Result<Exit> {
        let mut exit = Exit::Done;
        let mut trouble = None;
        let (mut capturing, mut consuming, mut recording) = (true, true, self.has_aside);
        let mut stopping = false;
        let mut give_up_at = None;
        let mut stop_at = self.duration.map(|duration| self.started + duration);
        let every = if bar::is_visible() { DRAW_EVERY } else { PROGRESS_EVERY };
        let mut progress_at = self.says_progress.then(|| self.started + every);
        let mut last = (Duration::ZERO, Snapshot::default());
        while consuming || recording || (capturing && !(self.is_file && stopping)) {
            let wait_until = [stop_at, progress_at, give_up_at].into_iter().flatten().min();
            let event = match wait_until {
                Some(until) => self.event_rx.recv_deadline(until).ok(),
                None => self.event_rx.recv().ok(),
            };
            match event {
                Some(event @ (Event::Interrupt | Event::Terminate)) => {
                    if matches!(event, Event::Interrupt) {
                        exit = Exit::Interrupted;
                    }
                    let how = if stopping { Ending::Now } else { Ending::Drain };
                    if !stopping {
                        terminal::say(
                            "stopping after what is queued; a second signal ends at once",
                        );
                    }
                    stopping = true;
                    self.shared.stop();
                    wake();
                    end(how);
                    if how == Ending::Now {
                        give_up_at = Some(Instant::now() + LAST_WAIT);
                    }
                }
                Some(Event::Reload) => self.reload.iter().for_each(|reload| reload()),
                Some(Event::CaptureEnded(result)) => {
                    capturing = false;
                    stop_at = None;
                    trouble = trouble.or(result.err());
                    // `--limit`, or the interface is gone: what is queued has its time to drain. (After
                    // a signal that time is running already.)
                    if !self.is_file && !stopping {
                        end(Ending::Drain);
                    }
                }
                Some(Event::ConsumerEnded(result)) => {
                    consuming = false;
                    trouble = trouble.or(result.err());
                    // Nobody takes what would be captured now.
                    self.shared.stop();
                    wake();
                }
                Some(Event::AsideEnded(result)) => {
                    recording = false;
                    if let Err(error) = &result {
                        tracing::error!("the recording is over: {error:#}");
                    }
                    trouble = trouble.or(result.err());
                    if capturing && !stopping {
                        tracing::warn!("sending goes on without a recording");
                    }
                }
                None => {}
            }
            let now = Instant::now();
            if stop_at.is_some_and(|at| at <= now) {
                stop_at = None;
                stopping = true;
                self.shared.stop();
                wake();
                end(Ending::Drain);
            }
            if progress_at.is_some_and(|at| at <= now) {
                progress_at = Some(now + every);
                last = self.say_progress(&last);
            }
            if give_up_at.is_some_and(|at| at <= now) {
                break;
            }
        }
        bar::remove();
        match trouble {
            Some(trouble) => Err(trouble),
            None => Ok(exit),
        }
    }

    fn say_progress(&self, last: &(Duration, Snapshot)) -> (Duration, Snapshot) {
        let now = (self.started.elapsed(), self.shared.snapshot());
        let before = Some((last.0, &last.1));
        match bar::is_visible() {
            true => bar::draw(self.done(&now.1), progress::words(now.0, &now.1, before)),
            false => terminal::say(&progress::line(now.0, &now.1, before)),
        }
        now
    }

    /// The part that is done, as far as can be told.
    fn done(&self, now: &Snapshot) -> Option<f64> {
        let ratio = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let of_time = |time: Duration| self.started.elapsed().as_secs_f64() / time.as_secs_f64();
        match &self.whole {
            Whole::Requests(most) => Some(ratio(progress::over(now), *most)),
            Whole::Files(reading, rounds) => {
                // What was read is not over yet.
                let over = ratio(progress::over(now), now.requests.queued);
                reading.part().map(|read| read / f64::from(*rounds) * over)
            }
            Whole::Time(time) => Some(of_time(*time)),
            Whole::Unknown => None,
        }
    }

    /// What the run's threads share.
    pub fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Prints the ledger on stdout, as a table or as JSON.
    pub fn print_ledger(&self, json: bool) -> anyhow::Result<()> {
        terminal::put(&self.ledger(json)?);
        // The table says this itself; a program's reader would look for it in vain.
        if json {
            let snapshot = self.shared.snapshot();
            let hints = [ledger_table::held_back(&snapshot), ledger_table::replaced(&snapshot)];
            hints.iter().flatten().for_each(|hint| terminal::say(hint));
        }
        Ok(())
    }

    /// The ledger as it stands now, as a table or as JSON.
    pub fn ledger(&self, json: bool) -> anyhow::Result<String> {
        let snapshot = self.shared.snapshot();
        let run = ledger_table::Run { name: &self.name, duration: self.started.elapsed() };
        for wrong in snapshot.contradictions() {
            tracing::error!("the ledger contradicts itself: {wrong}");
        }
        Ok(match json {
            true => ledger_table::json(&snapshot, run)?,
            false => ledger_table::table(&snapshot, run),
        })
    }
}

/// Starts a thread of a run. However it ends, it says so: a panic too, so that no run goes on without it.
pub fn spawn(
    name: &'static str,
    event_tx: Sender<Event>,
    ended: fn(anyhow::Result<()>) -> Event,
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(anyhow!("the {name} thread failed; this is a bug")));
        // The receiver is gone only when the process is ending anyway.
        let _ = event_tx.send(ended(result));
    };
    thread::Builder::new().name(name.into()).spawn(run).context("cannot start a thread")?;
    Ok(())
}

/// A name for a run: short, and not used before.
pub fn run_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    // Seeded by the system's random numbers; the process id tells runs of a fork apart.
    let number = RandomState::new().hash_one(std::process::id());
    format!("{:010x}", number >> 24)
}
