//! Where a program of the user's (`middleware`) meets the requests that leave (`replay`).
//!
//! In: the flags. Out: somebody for each replayer who asks a program of its own about its requests. Guaranteed: what the
//! program makes of a request leaves only as one whole request with right framing, read again from its bytes; no program has
//! rights, whoever runs this, nor priority over v1 where the sending has none. Nothing exists of it without the flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use rustix::thread::set_no_new_privs;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::priority;
use super::rewriting::read_again;
use crate::cli::middleware_args::{MiddlewareArgs, ProtocolArg, SeesArg};
use crate::middleware::{BODY, Changed, Id, Program, ProgramConfig, ProgramCounts, Protocol};
use crate::model::ledger::ShedLater;
use crate::model::{Completion, KeptAnswer, Message};
use crate::replay::{Middleware, MiddlewareCounts};
use crate::shape::framed;

/// What a head may add to a line.
const HEAD: u64 = 1 << 20;

/// Programs to be started, one for each target.
#[derive(Clone, Debug)]
pub struct Plan {
    config: ProgramConfig,
    sees: SeesArg,
    drain: Duration,
}

impl Plan {
    /// As the flags say; `None` for no program.
    pub fn new(
        args: &MiddlewareArgs,
        drain: Duration,
        max_body: u64,
    ) -> anyhow::Result<Option<Self>> {
        let Some(text) = args.middleware.as_deref().filter(|text| !text.trim().is_empty()) else {
            return Ok(None);
        };
        let Some(command) = shlex::split(text).filter(|words| !words.is_empty()) else {
            bail!(
                "--middleware `{text}` cannot be parted into words: a quote is not closed, or a backslash stands at its end"
            );
        };
        if args.middleware_timeout.is_zero() {
            bail!("--middleware-timeout 0 gives no program time to answer; give some, such as 1s");
        }
        // Hexadecimal doubles.
        let longest = max_body.saturating_add(HEAD).saturating_mul(2);
        let config = ProgramConfig {
            command,
            protocol: match args.middleware_protocol {
                ProtocolArg::Json => Protocol::Json,
                ProtocolArg::Gor => Protocol::Gor,
            },
            timeout: args.middleware_timeout,
            target: String::new(),
            longest_line: usize::try_from(longest).unwrap_or(usize::MAX),
        };
        Ok(Some(Self { config, sees: args.middleware_sees, drain }))
    }

    /// Whether v1's answers are wanted.
    pub fn wants_v1(&self) -> bool {
        matches!(self.sees, SeesArg::V1 | SeesArg::All)
    }

    /// Starts the program of a target. On the main thread, before others that could open something.
    pub fn start(
        &self,
        target: String,
        runtime: &Runtime,
        is_idle: bool,
    ) -> anyhow::Result<Box<dyn Middleware>> {
        // Without it a program of root's would have every right again. Threads inherit it, and so do programs started anew.
        set_no_new_privs(true).context("cannot keep rights from --middleware")?;
        let config = ProgramConfig { target, ..self.config.clone() };
        // A thread of its own: what it starts is of its priority, as what the sending thread starts anew.
        let program = std::thread::scope(|scope| {
            let start = || {
                if is_idle {
                    priority::lower();
                }
                let _within = runtime.enter();
                Program::start(config)
            };
            scope.spawn(start).join()
        });
        let program = program.map_err(|_| anyhow!("--middleware: a fault of the program"))?;
        let program = program.context("--middleware")?;
        let is_told = Arc::new(AtomicBool::new(false));
        Ok(Box::new(Asked { program, sees: self.sees, drain: self.drain, is_told }))
    }
}

/// The program of one target.
struct Asked {
    program: Program,
    sees: SeesArg,
    drain: Duration,
    /// Whether the user knows of a request of which it made none.
    is_told: Arc<AtomicBool>,
}

impl Middleware for Asked {
    fn ask(&mut self, request: Message) -> BoxFuture<'static, Result<Message, ShedLater>> {
        let asked = self.program.ask(&request);
        let is_told = Arc::clone(&self.is_told);
        async move {
            let changed = match asked.await {
                Ok(None) => return Ok(request),
                Ok(Some(changed)) => fitted(changed, &request),
                Err(ShedLater::MiddlewareInvalid) => None,
                Err(cause) => return Err(cause),
            };
            if changed.is_none() && !is_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "a request is not sent: the middleware would make no request of it; further ones are only counted"
                );
            }
            changed.ok_or(ShedLater::MiddlewareInvalid)
        }
        .boxed()
    }

    fn wants_v1(&self) -> bool {
        matches!(self.sees, SeesArg::V1 | SeesArg::All)
    }

    fn keeps(&self) -> Option<usize> {
        matches!(self.sees, SeesArg::V2 | SeesArg::All).then_some(BODY)
    }

    fn v1_answered(&mut self, id: Id, response: Message, guard: Box<dyn Send>) {
        self.program.v1_answered(id, response, guard);
    }

    fn v2_answered(&mut self, id: Id, answer: KeptAnswer, took: Duration) {
        if self.keeps().is_some() {
            self.program.v2_answered(id, answer, took);
        }
    }

    fn counts(&self) -> MiddlewareCounts {
        let ProgramCounts { changed, restarts, bad_lines, late, untold } = self.program.counts();
        MiddlewareCounts { changed, restarts, bad_lines, late, untold }
    }

    fn end(&mut self, until: Option<Instant>) -> BoxFuture<'static, ()> {
        self.program.end(until.unwrap_or_else(|| Instant::now() + self.drain)).boxed()
    }
}

/// What the program made of a request, framed as its body is; `None` for what is no request that can be sent.
fn fitted(changed: Changed, before: &Message) -> Option<Message> {
    let read = |raw: Vec<u8>| read_again(Bytes::from(raw), before);
    let (request, body) = match changed {
        Changed::Raw(raw) => (read(raw)?, None),
        Changed::Parts { mut head, body } => {
            head.extend_from_slice(&body);
            (read(head)?, Some(body))
        }
    };
    let is_whole = |request: &Message| {
        let is_clear = before.anomalies.is_ambiguous() || !request.anomalies.is_ambiguous();
        is_clear && request.completion == Completion::Complete
    };
    // Not framed yet: that its body could be read as chunks is chance.
    let is_chance = body.is_some() && request.has_token("transfer-encoding", "chunked");
    let request = match is_whole(&request) && !is_chance {
        true => request,
        false => read(framed(&request, body.as_deref().unwrap_or(request.wire_body()))?)?,
    };
    let is_request = request.method() != b"CONNECT" && request.header("upgrade").is_none();
    (is_whole(&request) && is_request).then_some(request)
}

#[cfg(test)]
mod tests;
