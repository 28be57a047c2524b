//! `demo`: all of it on the loopback interface, with no set-up.
//!
//! ```text
//! client ──> payments v1          the answers the client gets
//!                ┆  sniffed on lo by the same code that `mirror` runs
//!                └─> payments v2  the copies
//! ```
//!
//! Shown at the end: what the client saw, what each side got, one payment as v1 and v2 received and
//! answered it, the ledger, and whether v2 got exactly the requests that v1 got. Both services keep
//! logs of their own; what is said of them comes from these and not from the mirror. Where this process may
//! not capture, the same is done from a recording of this client and this v1, and called a recording.

mod check;
mod client;
mod columns;
mod commands;
mod journal;
mod live;
mod plan;
mod recorded;
mod report;
mod server;
mod service;
mod story;
mod text;

use std::io::Write as _;
use std::path::Path;

use anyhow::Context;

use self::journal::Entry;
use self::server::Bound;
use self::story::{Ending, Story};
use super::mirror::Mirror;
use super::{Exit, terminal};
use crate::capture::fault::OpenError;
use crate::cli::DemoArgs;

/// Runs the demo.
pub fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    // Bound before the capture is opened, since it must know the ports; served afterwards, since
    // no thread may exist before the rights are dropped.
    let (v1, v2) = (Bound::new(args.v1_port)?, Bound::new(0)?);
    let (command, mirror) = commands::mirror(v1.address, v2.address)?;
    let ending = match Mirror::open(&mirror) {
        Ok(mirror) => live::run(args, command, mirror, v1, v2)?,
        Err(error) if is_forbidden(&error) => {
            terminal::say(&format!("demo: {error:#}"));
            terminal::say("demo: so the same is shown from a recording, not live");
            drop(v1);
            recorded::run(args, v2)?
        }
        Err(error) => return Err(error),
    };
    match ending {
        Ending::Finished(story) => tell(args, &story),
        Ending::CutShort { result, ledger } => {
            let text = if args.json { report::json_unfinished(&ledger)? } else { ledger };
            terminal::put(&text);
            result
        }
    }
}

fn tell(args: &DemoArgs, story: &Story) -> anyhow::Result<Exit> {
    if let Some(path) = &args.v1_log {
        write_log(path, &story.v1).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let check = check::compare(&story.v1, &story.v2);
    let text = match args.json {
        true => report::json(story, &check)?,
        false => text::page(story, &check),
    };
    terminal::put(&text);
    Ok(if check.is_exact() { Exit::Done } else { Exit::Failed })
}

fn write_log(path: &Path, entries: &[Entry]) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for entry in entries {
        writeln!(file, "{}", entry.to_line())?;
    }
    Ok(file.flush()?)
}

/// Whether it is the right to capture that is missing, and nothing else.
fn is_forbidden(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(OpenError::NoPermission { .. }))
}
