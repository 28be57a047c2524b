//! End to end: real messages through the replayer to real servers on loopback, which record
//! exactly what arrived.

mod asking;
mod carry;
mod failures;
mod http2;
pub(super) mod message;
mod order;
mod proxy;
mod reqwest;
mod stop;
mod tls;
mod v2;
mod wire;

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::model::Message;
use crate::model::ledger::TargetCounts;

use super::{Job, ReplayConfig, Replayer, Stop, Target};

/// The longest any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Settings for a target, with the run named `test`.
#[track_caller]
fn config(to: &str) -> ReplayConfig {
    ReplayConfig::new(Target::parse(to).expect(to), "test")
}

/// Sends these messages with nothing due later, and waits for the end.
async fn replay(config: &ReplayConfig, messages: Vec<Message>) -> TargetCounts {
    let jobs = messages.into_iter().map(|message| Job { message, due: None, guard: () });
    replay_jobs(config, jobs.collect()).await
}

/// Sends these jobs and waits for the end.
async fn replay_jobs<G: Send + 'static>(config: &ReplayConfig, jobs: Vec<Job<G>>) -> TargetCounts {
    let (batch_tx, batch_rx) = mpsc::unbounded_channel();
    let (_stop_tx, stop_rx) = watch::channel(Stop::Go);
    let replayer = Replayer::new(config).expect("replayer");
    let running = tokio::spawn(replayer.run(batch_rx, stop_rx));
    batch_tx.send(jobs.into()).expect("the replayer takes jobs");
    drop(batch_tx);
    let counts = within(running).await.expect("the replayer does not panic");
    assert_eq!(counts.in_flight, 0, "{counts:?}");
    counts
}

/// The result, or a panic when it does not come.
async fn within<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.expect("it should have happened long ago")
}

/// Waits until a condition holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
