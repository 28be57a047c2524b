//! The place where somebody outside says what becomes of each request.
//!
//! In: requests at their turn, v1's answers as they come, v2's answers. Out: each request as it is to leave, or the bucket in which it
//! ends. Guaranteed: an answer is told behind its request, whichever came first, and only if its request was told; v2's is
//! told behind v1's where both are wanted and v1's comes before the next request of the connection is asked about, or its end;
//! while one is asked about, it counts as under way and its connection waits, as it does for v2. Who is asked, and how, is
//! known to whoever implements [`Middleware`].

use std::num::NonZeroUsize;
use std::time::Duration;

use ahash::AHashMap;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lru::LruCache;
use tokio::time::Instant;

use crate::model::ledger::ShedLater;
use crate::model::{KeptAnswer, Message};

/// Requests whose answer by v1 is still to come, or to be told, at most: the last ones taken over.
const PAIRS: NonZeroUsize = NonZeroUsize::new(1 << 16).unwrap();

/// Bytes of v2's answers that wait for v1's at most; what is beyond is told at once.
const HELD: usize = 16 << 20;

/// Who says what becomes of each request.
///
/// 1. `ask` when it is a request's turn, 2. `v1_answered` and `v2_answered` behind that, if they are wanted and there are
///    such answers, 3. `end` when there is nothing more.
pub trait Middleware: Send {
    /// What becomes of a request.
    fn ask(&mut self, request: Message) -> BoxFuture<'static, Result<Message, ShedLater>>;
    /// Whether v1's answers are wanted.
    fn wants_v1(&self) -> bool;
    /// How many bytes of the bodies of v2's answers are wanted; `None` for no answers.
    fn keeps(&self) -> Option<usize>;
    /// v1's answer to the request of this connection and index; the guard is its share of the queue.
    fn v1_answered(&mut self, id: (u64, u32), response: Message, guard: Box<dyn Send>);
    /// v2's answer to it, and how long it took.
    fn v2_answered(&mut self, id: (u64, u32), answer: KeptAnswer, took: Duration);
    /// What happened so far.
    fn counts(&self) -> MiddlewareCounts;
    /// Comes to an end, at this moment at the latest; without one, within the time that it has of its own. Asked again, the
    /// earlier moment counts.
    fn end(&mut self, until: Option<Instant>) -> BoxFuture<'static, ()>;
}

/// What happened beside the requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MiddlewareCounts {
    /// Requests that were changed.
    pub changed: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// Lines of it that could not be read.
    pub bad_lines: u64,
    /// Lines of it for which no request waited.
    pub late: u64,
    /// Answers that it was not told.
    pub untold: u64,
}

/// A request whose turn has come.
pub(super) struct Turn<G> {
    pub lane: u64,
    /// Its number among the jobs taken over.
    pub job: u64,
    /// Its connection and its number in it.
    pub id: (u64, u32),
    pub due: Option<Instant>,
    /// Whether it is to find out if v2 is alive.
    pub is_probe: bool,
    /// Bytes of its answer's body that are kept, if any of it is.
    pub keep: Option<usize>,
    pub guard: G,
}

/// A request that was asked about.
pub(super) type Said<G> = (Turn<G>, Result<Message, ShedLater>);

/// What is known of a request with regard to v1's answer to it.
enum Pair<G> {
    /// It was not told yet.
    Waits,
    /// Nor was it, and v1's answer is here.
    Answered(Box<Message>, G),
    /// It was told.
    Told,
}

/// Who is asked, and what is asked about now.
pub(super) struct Asking<G> {
    middleware: Box<dyn Middleware>,
    wants_v1: bool,
    under_way: FuturesUnordered<BoxFuture<'static, Said<G>>>,
    pairs: LruCache<(u64, u32), Pair<G>>,
    /// v2's answers that wait for v1's, by connection.
    held: AHashMap<u64, Vec<Held>>,
    held_bytes: usize,
}

struct Held {
    id: (u64, u32),
    answer: KeptAnswer,
    took: Duration,
}

impl Held {
    fn bytes(&self) -> usize {
        let field = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len();
        let fields: usize = self.answer.fields.iter().map(field).sum();
        size_of::<Self>() + fields + self.answer.body.len()
    }
}

impl<G: Send + 'static> Asking<G> {
    pub fn new(middleware: Box<dyn Middleware>) -> Self {
        let wants_v1 = middleware.wants_v1();
        let (under_way, pairs) = (FuturesUnordered::new(), LruCache::new(PAIRS));
        let (held, held_bytes) = (AHashMap::new(), 0);
        Self { middleware, wants_v1, under_way, pairs, held, held_bytes }
    }

    /// Bytes of the bodies of v2's answers that are wanted.
    pub fn keeps(&self) -> Option<usize> {
        self.middleware.keeps()
    }

    /// What happened so far.
    pub fn counts(&self) -> MiddlewareCounts {
        self.middleware.counts()
    }

    /// See [`Middleware::end`].
    pub fn end(&mut self, until: Option<Instant>) -> BoxFuture<'static, ()> {
        for conn in self.held.keys().copied().collect::<Vec<_>>() {
            self.ended(conn);
        }
        self.middleware.end(until)
    }

    /// Requests that are asked about now.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// A request was taken over.
    pub fn taken(&mut self, request: &Message) {
        if self.wants_v1 {
            self.pairs.put((request.conn, request.index), Pair::Waits);
        }
    }

    /// v1's answer to one.
    pub fn v1_answered(&mut self, response: Message, guard: G) {
        let Some(id) = response.answered().map(|answered| (answered.conn, answered.request)) else {
            return;
        };
        match self.pairs.pop(&id) {
            Some(Pair::Told) => {
                self.middleware.v1_answered(id, response, Box::new(guard));
                self.release(id.0, |held| held.id == id);
            }
            Some(Pair::Waits) => {
                self.pairs.put(id, Pair::Answered(Box::new(response), guard));
            }
            // Not sent, or too long ago.
            Some(Pair::Answered(..)) | None => {}
        }
    }

    /// v2's answer to one.
    pub fn v2_answered(&mut self, id: (u64, u32), answer: &KeptAnswer, took: Duration) {
        let held = Held { id, answer: answer.clone(), took };
        let waits = matches!(self.pairs.peek(&id), Some(Pair::Told));
        if waits && self.held_bytes + held.bytes() <= HELD {
            self.held_bytes += held.bytes();
            self.held.entry(id.0).or_default().push(held);
        } else {
            self.middleware.v2_answered(id, held.answer, took);
        }
    }

    /// A captured connection has ended.
    pub fn ended(&mut self, conn: u64) {
        self.release(conn, |_| true);
    }

    /// Tells v2's answers that wait no longer.
    fn release(&mut self, conn: u64, is_it: impl Fn(&Held) -> bool) {
        let Some(all) = self.held.remove(&conn) else { return };
        let (told, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(is_it);
        for held in told {
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes());
            self.middleware.v2_answered(held.id, held.answer, held.took);
        }
        if !rest.is_empty() {
            self.held.insert(conn, rest);
        }
    }

    /// A request is over that was not asked about.
    pub fn dropped(&mut self, id: (u64, u32)) {
        self.pairs.pop(&id);
    }

    /// It is this request's turn.
    pub fn ask(&mut self, turn: Turn<G>, request: Message) {
        self.release(turn.id.0, |_| true);
        let asked = self.middleware.ask(request);
        match self.pairs.pop(&turn.id) {
            Some(Pair::Answered(response, guard)) => {
                self.middleware.v1_answered(turn.id, *response, Box::new(guard));
            }
            Some(Pair::Waits) => {
                self.pairs.put(turn.id, Pair::Told);
            }
            Some(Pair::Told) | None => {}
        }
        self.under_way.push(Box::pin(async move { (turn, asked.await) }));
    }

    /// The next request about which something was said; `None` where none is asked about.
    pub async fn next(&mut self) -> Option<Said<G>> {
        self.under_way.next().await
    }

    /// Asks about nothing any more, and says how many there were.
    pub fn clear(&mut self) -> usize {
        let asked = self.under_way.len();
        self.under_way.clear();
        self.pairs.clear();
        asked
    }
}

/// The same, waiting for ever where nothing is asked.
pub(super) async fn next_said<G: Send + 'static>(asking: &mut Option<Asking<G>>) -> Said<G> {
    match asking {
        Some(asking) if asking.len() > 0 => match asking.next().await {
            Some(said) => said,
            None => std::future::pending().await,
        },
        _ => std::future::pending().await,
    }
}
