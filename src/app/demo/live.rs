//! The demo live: client, v1, the mirror on `lo`, v2, all in this process and all over real sockets.
//!
//! In: the open mirror and both listeners. Out: the [`Story`]. The mirror is the one that `mirror`
//! runs; it learns nothing from client or services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::client;
use super::plan::{CONNECTIONS, RATE};
use super::server::Bound;
use super::service::Release;
use super::story::{Ending, Origin, Story, find_payment};
use crate::app::Exit;
use crate::app::mirror::Mirror;
use crate::app::terminal::say;
use crate::cli::DemoArgs;

/// How long v2 may take for what is still on its way when the client is done.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs it.
pub fn run(
    args: &DemoArgs,
    command: String,
    mirror: Mirror<'_>,
    v1: Bound,
    v2: Bound,
) -> anyhow::Result<Ending> {
    let v1_address = v1.address;
    say(&format!("demo: v1 listens on {v1_address}, v2 on {}", v2.address));
    let (at_v1, at_v2) = (v1.serve(Release::V1)?, v2.serve(Release::V2)?);
    let running = mirror.start()?;

    let is_done = Arc::new(AtomicBool::new(false));
    let client = {
        let (is_done, stop) = (Arc::clone(&is_done), running.stopper());
        let (at_v1, at_v2) = (at_v1.clone(), at_v2.clone());
        let requests = args.requests;
        move || {
            say(&format!(
                "demo: the client sends {requests} requests to v1, {RATE}/s over up to \
                 {CONNECTIONS} connections"
            ));
            let seen = client::run(v1_address, requests);
            say("demo: the client is done; waiting for v2");
            at_v2.wait_for(at_v1.count(), PATIENCE);
            is_done.store(true, Ordering::Release);
            stop();
            seen
        }
    };
    let client = thread::Builder::new()
        .name("client".into())
        .spawn(client)
        .context("cannot start a thread")?;
    let result = running.wait();
    let ledger = running.run.ledger(args.json)?;
    // By SIGTERM it also ends well, but before the client was done.
    if !matches!(result, Ok(Exit::Done)) || !is_done.load(Ordering::Acquire) {
        return Ok(Ending::CutShort { result, ledger });
    }
    let seen = client.join().map_err(|_| anyhow!("the client failed"))??;
    let (v1, v2) = (at_v1.entries(), at_v2.entries());
    let payment = find_payment(&v1, &v2, |e| at_v1.wire(e), |e| at_v2.wire(e));
    let snapshot = running.run.shared().snapshot();
    let origin = Origin::Live(seen);
    Ok(Ending::Finished(Box::new(Story { origin, command, v1, v2, payment, snapshot, ledger })))
}
