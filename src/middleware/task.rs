//! The task beside a program: lines in and out, time, its end and its next beginning.
//!
//! In: what is told ([`Told`]), the program's lines, the passing of time. Out: what becomes of each request. Everything told is
//! written in the order in which it came. A request counts as asked from the moment its line was written whole; what waits
//! before that waits for the pipe, as long as the program goes on reading.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::AHashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::child::Child;
use super::lines::Lines;
use super::program::{Shared, Told};
use super::{Id, Line, ProgramConfig, Said};
use crate::model::Message;
use crate::model::ledger::ShedLater;

/// So many bytes are written at once, if there are so many: a pipe's own size.
const BATCH: usize = 64 << 10;

/// How long a program that closed its stdout may take to end.
const GRACE: Duration = Duration::from_millis(100);

/// The first pause before a program is started again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A program's ends are warned of no more often.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Set in the identifier of a request where another one of the same identifier is being asked about.
const AGAIN: u64 = 1 << 63;

/// A request that is asked about.
pub(super) struct Asked {
    pub request: Box<Message>,
    pub at: Instant,
    pub said_tx: oneshot::Sender<Result<Said, ShedLater>>,
}

/// One whose line was made.
struct Waiting {
    /// Its number among all that were made.
    number: u64,
    said_tx: oneshot::Sender<Result<Said, ShedLater>>,
}

/// See the module's description.
pub(super) struct Task {
    config: ProgramConfig,
    told_rx: mpsc::UnboundedReceiver<Told>,
    is_open: bool,
    shared: Arc<Shared>,
    child: Option<Child>,
    lines: Lines,
    /// Not yet made into lines.
    backlog: VecDeque<Told>,
    /// Lines on their way, and how much of them was written.
    out: Vec<u8>,
    written: usize,
    /// When the program last took something.
    progress: Instant,
    /// The requests among these lines.
    in_out: Vec<(Id, u64)>,
    waiting: AHashMap<Id, Waiting>,
    made: u64,
    /// By when they must be answered, the earliest first; some are by now.
    deadlines: VecDeque<(Instant, Id, u64)>,
    pause: Duration,
    /// When it is started again.
    restart_at: Instant,
    has_answered: bool,
    ending: Option<Instant>,
    done_txs: Vec<oneshot::Sender<()>>,
    warned_at: Option<Instant>,
    is_told_bad: bool,
    is_told_late: bool,
}

/// What happens next.
enum Event {
    Told(Option<Told>),
    Wrote(io::Result<usize>),
    Read(io::Result<usize>),
    Time,
}

impl Task {
    pub fn new(
        config: ProgramConfig,
        child: Child,
        told_rx: mpsc::UnboundedReceiver<Told>,
        shared: Arc<Shared>,
    ) -> Self {
        let now = Instant::now();
        Self {
            lines: Lines::new(config.longest_line),
            config,
            told_rx,
            is_open: true,
            shared,
            child: Some(child),
            backlog: VecDeque::new(),
            out: Vec::new(),
            written: 0,
            progress: now,
            in_out: Vec::new(),
            waiting: AHashMap::new(),
            made: 0,
            deadlines: VecDeque::new(),
            pause: FIRST_PAUSE,
            restart_at: now,
            has_answered: false,
            ending: None,
            done_txs: Vec::new(),
            warned_at: None,
            is_told_bad: false,
            is_told_late: false,
        }
    }

    /// Until the program was ended.
    pub async fn run(mut self) {
        let mut buffer = vec![0; BATCH];
        loop {
            self.make_lines();
            if self.ending.is_some() {
                if self.out.is_empty()
                    && let Some(child) = &mut self.child
                {
                    child.stdin = None;
                }
                if self.child.is_none() {
                    break;
                }
            }
            match self.next(&mut buffer).await {
                Event::Told(Some(told)) => self.told(told),
                Event::Told(None) => {
                    self.is_open = false;
                    // Nobody waits for its end.
                    self.ending.get_or_insert_with(Instant::now);
                }
                Event::Wrote(Ok(len)) if len > 0 => self.wrote(len),
                // It does not listen any more. Its end is seen where it speaks.
                Event::Wrote(_) => self.close_stdin(),
                Event::Read(Ok(len)) if len > 0 => {
                    self.read(buffer.get(..len).unwrap_or_default());
                }
                Event::Read(_) => self.closed().await,
                Event::Time => self.time().await,
            }
        }
        // Those who wait for the end see that these are gone.
        self.fail_all(ShedLater::MiddlewareDied);
    }

    async fn next(&mut self, buffer: &mut [u8]) -> Event {
        let timer = self.timer();
        let rest = self.out.get(self.written..).unwrap_or_default();
        let (stdin, stdout) = match &mut self.child {
            Some(child) => (child.stdin.as_mut(), Some(&mut child.stdout)),
            None => (None, None),
        };
        tokio::select! {
            read = read(stdout, buffer) => Event::Read(read),
            told = self.told_rx.recv(), if self.is_open => Event::Told(told),
            wrote = write(stdin, rest) => Event::Wrote(wrote),
            () = wait_until(timer) => Event::Time,
        }
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::End(until, done_tx) => {
                self.ending = Some(self.ending.map_or(until, |before| before.min(until)));
                self.done_txs.push(done_tx);
            }
            told => self.backlog.push_back(told),
        }
    }

    /// Makes the next lines, where the last ones were taken.
    fn make_lines(&mut self) {
        if !self.out.is_empty() || self.child.as_ref().is_none_or(|child| child.stdin.is_none()) {
            return;
        }
        self.progress = Instant::now();
        while self.out.len() < BATCH
            && let Some(told) = self.backlog.pop_front()
        {
            self.shared.answers.fetch_sub(told.bytes(), Ordering::Relaxed);
            let (protocol, out) = (self.config.protocol, &mut self.out);
            match told {
                // Who asked was given up.
                Told::Request(Asked { said_tx, .. }) if said_tx.is_closed() => {}
                Told::Request(Asked { request, said_tx, .. }) => {
                    let mut id = (request.conn, request.index);
                    self.made += 1;
                    while self.waiting.contains_key(&id) {
                        id = (self.made | AGAIN, request.index);
                    }
                    protocol.request(out, id, &request);
                    self.in_out.push((id, self.made));
                    self.waiting.insert(id, Waiting { number: self.made, said_tx });
                }
                Told::V1 { id, response, .. } => protocol.v1_answer(out, id, &response),
                Told::V2(id, answer, took) => protocol.v2_answer(out, id, &answer, took),
                Told::End(..) => {}
            }
        }
    }

    fn wrote(&mut self, len: usize) {
        self.progress = Instant::now();
        self.written += len;
        if self.written >= self.out.len() {
            let deadline = self.progress + self.config.timeout;
            let asked = self.in_out.drain(..).map(|(id, number)| (deadline, id, number));
            self.deadlines.extend(asked);
            self.clear_out();
        }
    }

    fn clear_out(&mut self) {
        self.out.clear();
        self.out.shrink_to(2 * BATCH);
        self.written = 0;
        self.in_out.clear();
    }

    fn close_stdin(&mut self) {
        if let Some(child) = &mut self.child {
            child.stdin = None;
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let Self { lines, config, waiting, shared, .. } = self;
        let (mut bad, mut has_answered, mut is_late) = (None, false, false);
        lines.push(bytes, |line| {
            let said = match line {
                Ok(line) => config.protocol.line(line),
                Err(()) => Err("it is too long"),
            };
            match said {
                Ok(Line::Echo) => {}
                Ok(Line::About(id, said)) => match waiting.remove(&id) {
                    Some(Waiting { said_tx, .. }) => {
                        has_answered = true;
                        // Who asked may be gone.
                        let _ = said_tx.send(Ok(said));
                    }
                    None => {
                        is_late = true;
                        shared.late.fetch_add(1, Ordering::Relaxed);
                    }
                },
                Err(why) => {
                    bad = Some(why);
                    shared.bad_lines.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        self.has_answered |= has_answered;
        let name = self.name().to_owned();
        if let Some(why) = bad.filter(|_| !std::mem::replace(&mut self.is_told_bad, true)) {
            tracing::warn!("a line of {name} is passed over: {why}; further ones are only counted");
        }
        if is_late && !std::mem::replace(&mut self.is_told_late, true) {
            tracing::warn!(
                "{name} answers a request for which nothing waits: too late, twice, or made up; further ones are only counted"
            );
        }
    }

    fn name(&self) -> &str {
        self.config.command.first().map_or("the middleware", String::as_str)
    }

    /// When something must be done at the latest.
    fn timer(&mut self) -> Option<Instant> {
        while let Some((_, id, number)) = self.deadlines.front()
            && self.waiting.get(id).is_none_or(|waiting| waiting.number != *number)
        {
            self.deadlines.pop_front();
        }
        let answer = self.deadlines.front().map(|(deadline, ..)| *deadline);
        let stall = (!self.out.is_empty()).then(|| self.progress + self.config.timeout);
        let (restart, asked) = match (&self.child, self.ending) {
            (None, None) => (Some(self.restart_at), self.first_asked()),
            _ => (None, None),
        };
        [answer, stall, restart, asked, self.ending].into_iter().flatten().min()
    }

    /// By when the first of the backlog must have been taken by a program that does not run now.
    fn first_asked(&self) -> Option<Instant> {
        self.backlog.iter().find_map(|told| match told {
            Told::Request(asked) => Some(asked.at + self.config.timeout),
            _ => None,
        })
    }

    /// Time has passed: whatever is due is done.
    async fn time(&mut self) {
        let now = Instant::now();
        while let Some(&(deadline, id, number)) = self.deadlines.front()
            && deadline <= now
        {
            self.deadlines.pop_front();
            if self.waiting.get(&id).is_some_and(|waiting| waiting.number == number)
                && let Some(waiting) = self.waiting.remove(&id)
            {
                let _ = waiting.said_tx.send(Err(ShedLater::MiddlewareTimeout));
            }
        }
        if self.child.is_some()
            && !self.out.is_empty()
            && self.progress + self.config.timeout <= now
        {
            self.hangs().await;
        }
        if self.ending.is_some_and(|until| until <= now)
            && let Some(child) = self.child.take()
        {
            // Nobody is there who could do anything about it.
            let _ = child.end(Duration::ZERO).await;
        }
        if self.child.is_none() && self.ending.is_none() {
            self.give_up_late(now);
            if self.restart_at <= now {
                self.restart();
            }
        }
    }

    /// It takes nothing any more: whatever was written to it waits for longer than it may by now.
    async fn hangs(&mut self) {
        self.warn(&format!(
            "reads nothing for {:?}; it is killed and started again",
            self.config.timeout
        ));
        self.fail_all(ShedLater::MiddlewareTimeout);
        if let Some(child) = self.child.take() {
            let _ = child.end(Duration::ZERO).await;
        }
        self.will_restart();
    }

    /// Its stdout is closed: it has ended, or soon will have.
    async fn closed(&mut self) {
        let Some(child) = self.child.take() else { return };
        let until = self.ending.map(|until| until.saturating_duration_since(Instant::now()));
        let how = child.end(until.unwrap_or(GRACE)).await;
        self.fail_made(ShedLater::MiddlewareDied);
        if self.ending.is_none() {
            let how = how.map_or_else(|error| error.to_string(), |how| how.to_string());
            self.warn(&format!("ended ({how}); it is started again"));
            self.will_restart();
        }
    }

    fn warn(&mut self, what: &str) {
        let now = Instant::now();
        if self.warned_at.is_none_or(|at| now - at >= WARN_EVERY) {
            self.warned_at = Some(now);
            tracing::warn!("{} {what}", self.name());
        }
    }

    fn will_restart(&mut self) {
        // One that worked may do so again.
        self.pause = match std::mem::take(&mut self.has_answered) {
            true => FIRST_PAUSE,
            false => self.pause,
        };
        self.restart_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.clear_out();
        self.deadlines.clear();
        self.lines = Lines::new(self.config.longest_line);
    }

    fn restart(&mut self) {
        self.shared.restarts.fetch_add(1, Ordering::Relaxed);
        match Child::start(&self.config) {
            Ok(child) => self.child = Some(child),
            Err(error) => {
                self.warn(&format!("is not there any more: {error}"));
                self.will_restart();
            }
        }
    }

    /// Ends the requests whose lines were made.
    fn fail_made(&mut self, cause: ShedLater) {
        for (_, waiting) in self.waiting.drain() {
            let _ = waiting.said_tx.send(Err(cause));
        }
    }

    /// Ends all requests.
    fn fail_all(&mut self, cause: ShedLater) {
        self.fail_made(cause);
        for told in self.backlog.drain(..) {
            self.shared.answers.fetch_sub(told.bytes(), Ordering::Relaxed);
            if let Told::Request(asked) = told {
                let _ = asked.said_tx.send(Err(cause));
            }
        }
    }

    /// Ends the requests for which no program was there in time. Answers to those before them go, too.
    fn give_up_late(&mut self, now: Instant) {
        while let Some(deadline) = self.first_asked()
            && deadline <= now
            && let Some(told) = self.backlog.pop_front()
        {
            self.shared.answers.fetch_sub(told.bytes(), Ordering::Relaxed);
            if let Told::Request(asked) = told {
                let _ = asked.said_tx.send(Err(ShedLater::MiddlewareDied));
            }
        }
    }
}

async fn read(stdout: Option<&mut ChildStdout>, buffer: &mut [u8]) -> io::Result<usize> {
    match stdout {
        Some(stdout) => stdout.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn write(stdin: Option<&mut ChildStdin>, bytes: &[u8]) -> io::Result<usize> {
    match stdin {
        Some(stdin) if !bytes.is_empty() => stdin.write(bytes).await,
        _ => std::future::pending().await,
    }
}

async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
