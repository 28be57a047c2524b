//! `doctor`: why would nothing be seen? Each cause with its fix.

use std::time::Duration;

use super::{Exit, terminal};
use crate::capture::doctor::{
    Check, State, interface, listening, reachable, right_to_capture, speaks_tls,
};
use crate::capture::rights;
use crate::cli::DoctorArgs;
use crate::replay::Target;

/// How long a peer may take to show what it speaks, or that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks into every cause and prints what it found. Fails when one of them alone is reason enough.
pub fn run(args: &DoctorArgs) -> anyhow::Result<Exit> {
    let mut checks = vec![right_to_capture()];
    // The right was raised to see whether it is there; nothing below needs it.
    rights::drop_all(false)?;
    checks.extend(args.interfaces.iter().map(|name| interface(name)));
    for &port in &args.ports {
        checks.push(listening(port));
        checks.extend(speaks_tls(port, PATIENCE));
    }
    if let Some(to) = &args.to {
        let target = Target::parse(to)?;
        checks.push(reachable(target.host(), target.port(), PATIENCE));
    }
    if args.json {
        terminal::put(&serde_json::to_string(&checks)?);
    } else {
        terminal::put(&checks.iter().map(render).collect::<String>());
    }
    let is_hopeless = checks.iter().any(|check| check.state == State::Fail);
    Ok(if is_hopeless { Exit::Failed } else { Exit::Done })
}

fn render(check: &Check) -> String {
    let state = match check.state {
        State::Ok => "ok  ",
        State::Warn => "warn",
        State::Fail => "FAIL",
    };
    let mut text = format!("{state}  {}: {}\n", check.name, check.what);
    for line in check.fix.iter().flat_map(|fix| fix.lines()) {
        text.push_str(&format!("        {line}\n"));
    }
    text
}
