//! SIGHUP: the config file is read again, and what can change while running is taken over.
//!
//! In: the file, with the command line and the environment that the process was started with. Out: the settings in force,
//! said in the log and kept for `config show --pid`. Guaranteed: everything is validated before anything changes; a file
//! that cannot be taken over changes nothing; what needs a restart is said and stays as it was.

use std::cell::RefCell;

use anyhow::bail;

use super::settings::{Origin, Started, validate};
use super::settings_report::{object, text};
use super::state_file::StateFile;
use crate::cli::Cli;
use crate::cli::settings::{Setting, Settings, strict};
use crate::shape::Rules;

/// Keys that a run takes over while it runs: those of which `config::admission` is made.
const RELOADABLE: [&str; 9] =
    ["methods", "ambiguous", "only", "except", "path", "percent", "seed", "sample-by", "max-rate"];

/// Whether there is something to read again.
pub fn is_wanted(started: Option<&Started>) -> bool {
    started.is_some_and(|started| started.origin.is_some())
}

/// What to do on SIGHUP in a run that was started so. `apply` takes the settings over, of which only `RELOADABLE` differ from
/// those before; it fails before it changes anything. What is in force is kept for others to see until this is dropped.
pub fn of(
    started: Option<Started>,
    apply: impl Fn(&Cli) -> anyhow::Result<()> + 'static,
) -> Option<Box<dyn Fn()>> {
    let Started { settings, origin } = started?;
    let state = StateFile::create(&object(&settings));
    let state = state
        .map_err(|error| tracing::debug!("`config show --pid` cannot show this run: {error:#}"));
    let in_force = RefCell::new((settings, state.ok()));
    Some(Box::new(move || {
        let Some(origin) = &origin else { return };
        let Ok(mut in_force) = in_force.try_borrow_mut() else { return };
        let (settings, state) = &mut *in_force;
        let name = origin.file.display();
        match reload(origin, settings, &apply) {
            Ok(changed) => *settings = changed,
            Err(why) => {
                return tracing::error!("{name} was read again, and nothing changed: {why}");
            }
        }
        if let Some(Err(error)) = state.as_mut().map(|state| state.replace(&object(settings))) {
            tracing::debug!("`config show --pid` shows this run as it was: {error:#}");
        }
    }))
}

/// The settings in force from now on, or why they stay as they were.
fn reload(
    origin: &Origin,
    before: &Settings,
    apply: &dyn Fn(&Cli) -> anyhow::Result<()>,
) -> Result<Settings, String> {
    let (_, read) = origin.read().map_err(|failure| failure.text().replace('\n', "; "))?;
    let Difference { in_force, taken, waiting } = difference(before, &read);
    if !taken.is_empty() {
        let (cli, _) = strict(&in_force.argv()).map_err(|error| error.to_string())?;
        validate(&cli)?;
        apply(&cli).map_err(|error| format!("{error:#}"))?;
    }
    let name = origin.file.display();
    if taken.is_empty() && waiting.is_empty() {
        tracing::info!("{name} was read again: nothing has changed");
    }
    for (old, new) in &taken {
        tracing::info!(
            "{name} was read again: {} is now {} (was {})",
            new.key,
            shown(new),
            shown(old)
        );
    }
    for (old, new) in &waiting {
        tracing::warn!(
            "{name} was read again: {} is {} there, which needs a restart; {} stays in force",
            new.key,
            shown(new),
            shown(old)
        );
    }
    Ok(in_force)
}

/// What a file read again would change.
struct Difference {
    /// The settings with what can be taken over.
    in_force: Settings,
    /// What is: before and after.
    taken: Vec<(Setting, Setting)>,
    /// What needs a restart.
    waiting: Vec<(Setting, Setting)>,
}

fn difference(before: &Settings, read: &Settings) -> Difference {
    let mut in_force = Settings { left_out: read.left_out.clone(), ..before.clone() };
    let (mut taken, mut waiting) = (Vec::new(), Vec::new());
    for old in &mut in_force.settings {
        let Some(new) = read.get(&old.key) else { continue };
        let is_same = old.value == new.value;
        let pair = (old.clone(), new.clone());
        match RELOADABLE.contains(&old.key.as_str()) {
            _ if is_same => old.source.clone_from(&new.source),
            true => {
                *old = new.clone();
                taken.push(pair);
            }
            false => waiting.push(pair),
        }
    }
    Difference { in_force, taken, waiting }
}

/// Whether rules can be taken over by a run that reads v1's statuses, or does not: that is decided when it is started.
pub fn can_judge(rules: &Rules, reads_statuses: bool) -> anyhow::Result<()> {
    if rules.needs_status() && !reads_statuses {
        bail!(
            "a rule asks for v1's status, which this run does not read since it was started without such a rule: it needs a restart"
        );
    }
    Ok(())
}

fn shown(setting: &Setting) -> String {
    match serde_json::to_value(setting.shown()) {
        Ok(value) => text(&value),
        Err(_) => "-".to_owned(),
    }
}
