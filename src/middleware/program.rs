//! The side of those who ask: requests in, what becomes of each out.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::child::{Child, StartError, keep_descriptors};
use super::task::{Asked, Task};
use super::{ANSWERS, Changed, Id, ProgramConfig, Said, changed};
use crate::model::ledger::ShedLater;
use crate::model::{KeptAnswer, Message};

/// What happened at a program so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProgramCounts {
    /// Requests that it changed.
    pub changed: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// Lines of it that were too long or could not be read.
    pub bad_lines: u64,
    /// Lines about a request for which nobody waits: it came too late, twice, or was made up.
    pub late: u64,
    /// Answers of v1 or v2 that it was not told, since too much waited for it.
    pub untold: u64,
}

/// Counts that both sides write.
#[derive(Default, Debug)]
pub(super) struct Shared {
    pub changed: AtomicU64,
    pub restarts: AtomicU64,
    pub bad_lines: AtomicU64,
    pub late: AtomicU64,
    pub untold: AtomicU64,
    /// Bytes of answers that wait to be written.
    pub answers: AtomicUsize,
}

/// What the task is told.
pub(super) enum Told {
    /// A request, to be asked about.
    Request(Asked),
    /// v1's answer to one, with its share of the queue.
    V1 {
        id: Id,
        response: Box<Message>,
        #[expect(dead_code, reason = "dropped with the rest, which gives the share back")]
        guard: Box<dyn Send>,
    },
    /// v2's answer to one, and how long it took.
    V2(Id, Box<KeptAnswer>, Duration),
    /// Nothing more will come: end the program, at that time at the latest.
    End(Instant, oneshot::Sender<()>),
}

impl Told {
    /// What it counts of [`ANSWERS`].
    pub fn bytes(&self) -> usize {
        match self {
            Self::Request(_) | Self::End(..) => 0,
            Self::V1 { response, .. } => response.cost(),
            Self::V2(_, answer, _) => {
                let field = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 48;
                answer.body.len() + answer.fields.iter().map(field).sum::<usize>() + 128
            }
        }
    }
}

/// A program that runs.
pub struct Program {
    told_tx: mpsc::UnboundedSender<Told>,
    shared: Arc<Shared>,
}

impl Program {
    /// Starts it. Within tokio's runtime; before other threads open anything.
    pub fn start(config: ProgramConfig) -> Result<Self, StartError> {
        keep_descriptors();
        let child = Child::start(&config)?;
        let (told_tx, told_rx) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tokio::spawn(Task::new(config, child, told_rx, Arc::clone(&shared)).run());
        Ok(Self { told_tx, shared })
    }

    /// Asks what becomes of a request: `None` for as it is. It is told at once, before anything that is told from now on.
    pub fn ask(
        &self,
        request: &Message,
    ) -> impl Future<Output = Result<Option<Changed>, ShedLater>> + Send + 'static {
        let (said_tx, said_rx) = oneshot::channel();
        let request = request.clone();
        let asked = Asked { request: Box::new(request.clone()), at: Instant::now(), said_tx };
        let shared = Arc::clone(&self.shared);
        // Nobody there: the channel says so below.
        let _ = self.told_tx.send(Told::Request(asked));
        async move {
            match said_rx.await.unwrap_or(Err(ShedLater::MiddlewareDied))? {
                Said::Drop => Err(ShedLater::MiddlewareDropped),
                said => {
                    let changed = changed(said, &request).map_err(|why| {
                        tracing::debug!("the middleware made no request of one: {why}");
                        ShedLater::MiddlewareInvalid
                    })?;
                    shared.changed.fetch_add(u64::from(changed.is_some()), Ordering::Relaxed);
                    Ok(changed)
                }
            }
        }
    }

    /// Tells v1's answer to a request that was told; the guard is dropped once it is written.
    pub fn v1_answered(&self, id: Id, response: Message, guard: Box<dyn Send>) {
        self.tell(Told::V1 { id, response: Box::new(response), guard });
    }

    /// Tells v2's answer to a request that was told.
    pub fn v2_answered(&self, id: Id, answer: KeptAnswer, took: Duration) {
        self.tell(Told::V2(id, Box::new(answer), took));
    }

    fn tell(&self, told: Told) {
        let bytes = told.bytes();
        if self.shared.answers.load(Ordering::Relaxed).saturating_add(bytes) > ANSWERS {
            self.shared.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.shared.answers.fetch_add(bytes, Ordering::Relaxed);
        // Nobody there: nothing is to be told any more.
        let _ = self.told_tx.send(told);
    }

    /// Lets it end: its stdin is closed, and when its time is up it is killed. Asked again, the earlier time counts.
    pub fn end(&self, until: Instant) -> impl Future<Output = ()> + Send + 'static {
        let (done_tx, done_rx) = oneshot::channel();
        let _ = self.told_tx.send(Told::End(until, done_tx));
        async move {
            // An error says that it is over, too.
            let _ = done_rx.await;
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> ProgramCounts {
        let Shared { changed, restarts, bad_lines, late, untold, .. } = &*self.shared;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ProgramCounts {
            changed: of(changed),
            restarts: of(restarts),
            bad_lines: of(bad_lines),
            late: of(late),
            untold: of(untold),
        }
    }
}
