//! `record`: live traffic, sniffed into a WARC file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use crossbeam_channel::unbounded;

use super::Exit;
use super::intake::Intake;
use super::live::{Live, now};
use super::mirror::describe;
use super::pipeline::Pipeline;
use super::queue::{self, Budgets, WhenFull};
use super::secrets::{Key, Redaction, Secrets};
use super::settings::Started;
use super::shared::{Consumer, Shared};
use super::supervise::{Event, Run, Whole, run_name, spawn};
use super::{reload, signals, terminal};
use crate::cli::RecordArgs;
use crate::cli::capture_args::{CaptureArgs, LimitArgs};
use crate::cli::recording_args::RecordingArgs;
use crate::config;
use crate::model::zstd::MAX_DICTIONARY;
use crate::record::{Dictionary, Plan, RecordTask, Recorder, WarcInfo};

/// Records until told to stop.
pub fn run(args: &RecordArgs, started: Started) -> anyhow::Result<Exit> {
    let name = run_name();
    let live = config::live(&args.capture, true)?;
    let http = config::http(&args.limits, true);
    let limits = config::reassembly(&args.limits)?;
    let watch = config::watch_live(&args.capture)?;
    let key = Key::new(args.recording.secrets.redact_key.as_ref())?;
    let redaction = Redaction::new(&args.redact)?;
    let secrets = Secrets::new(&args.recording.secrets, &key, &redaction)?;
    // Before the rights are dropped: afterwards even root may not write everywhere.
    let plan = plan(&args.output, &args.recording)?;
    let info = info(&args.capture, &args.limits, &args.recording, &name, &secrets);
    let recorder = Recorder::create(&plan, &info)?;
    let capture = Live::open(&live)?;
    let pipeline = Pipeline::new(watch, http, limits);

    // capture thread --batches--> record thread
    let (batch_tx, batch_rx) = unbounded();
    let notice = secrets.notice();
    let task = RecordTask::new(recorder, batch_rx, secrets.prepare());
    let shared = Shared::new(vec![Consumer::Recording(task.counts())]);
    let whole = Whole::live(args.capture.limit, args.capture.duration);
    let run = Run::new(name, shared.clone()).with_progress(whole).stop_after(args.capture.duration);
    signals::install(run.events(), reload::is_wanted(Some(&started)))?;
    // Nothing of a recording can change under way.
    let run = run.on_reload(reload::of(Some(started), |_| Ok(())));
    let budgets = Budgets::new(
        1,
        args.limits.queue.unwrap_or(queue::FILE),
        usize::try_from(args.limits.queue_bytes)?,
    );
    let intake = Intake::new(
        Box::new(move |batch, _| batch_tx.send(batch).is_ok()),
        budgets,
        WhenFull::DropNewest,
        config::recording(),
        shared.clone(),
    )
    .limit(args.capture.limit)
    .with_responses(true);
    let waker = capture.waker()?;
    capture.spawn(pipeline, intake, shared, run.events())?;
    // Last: a start that fails before leaves no file.
    spawn("record", run.events(), Event::ConsumerEnded, || Ok(task.run().1?))?;
    let (what, file, form) = (describe(&args.capture), args.output.display(), plan.compression);
    terminal::say(&format!("run {}: recording {what} to {file} ({form}); {notice}", run.name));
    let result = run.wait(waker, |_| ());
    run.print_ledger(args.json)?;
    result
}

/// How the files are written, as the flags say; reads the dictionary.
pub fn plan(output: &Path, args: &RecordingArgs) -> anyhow::Result<Plan> {
    let mut plan = config::plan(output, args)?;
    if let Some(path) = &args.zstd_dictionary {
        let name = path.display();
        let mut bytes = Vec::new();
        let most = MAX_DICTIONARY as u64 + 1;
        let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
        read.with_context(|| format!("--zstd-dictionary: cannot read {name}"))?;
        let dictionary = Dictionary::new(&bytes);
        let dictionary = dictionary.with_context(|| format!("--zstd-dictionary {name}"))?;
        let each = dictionary.frame().len() as u64;
        if let Some(most) = plan.rotate.bytes.filter(|&most| most < 4 * each) {
            bail!(
                "each file begins with the dictionary, {each} bytes of --rotate's {most}; rotate at {} or more",
                4 * each
            );
        }
        plan.dictionary = Some(dictionary);
    }
    Ok(plan)
}

/// What the files say about the recording.
pub fn info(
    capture: &CaptureArgs,
    limits: &LimitArgs,
    recording: &RecordingArgs,
    run: &str,
    secrets: &Secrets,
) -> WarcInfo {
    let ports: Vec<_> = capture.ports.iter().map(u16::to_string).collect();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut options = vec![
        ("ports".into(), ports.join(",")),
        ("max-body".into(), limits.max_body.to_string()),
        ("secrets".into(), secrets.name().into()),
    ];
    let dictionary = recording.zstd_dictionary.as_ref().map(|path| path.display().to_string());
    options.extend(dictionary.map(|name| ("zstd-dictionary".into(), name)));
    WarcInfo {
        run: run.to_owned(),
        host,
        source: capture.interfaces.join(", "),
        filter: capture.filter.clone().unwrap_or_default(),
        options,
        started: now(),
    }
}
