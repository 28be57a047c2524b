//! The program as a process: started, spoken to, ended.
//!
//! Guaranteed: it is in a process group of its own, so that Ctrl-C on a terminal ends shadowtap first, which then ends it;
//! it inherits stdin, stdout and stderr and no other descriptor that was opened here; it is reaped. What it prints on stderr goes into
//! the log, so many lines a second. Needs tokio's runtime.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::ProgramConfig;
use super::lines::Lines;

/// Lines of its stderr that are logged in a second, and bytes of each.
const LOGGED: u32 = 10;
const LOGGED_BYTES: usize = 1000;

/// Why a program cannot be started.
#[derive(Debug, Error)]
#[error(
    "cannot start `{program}`: {error}; give a program that is there, may be executed, and is found in PATH or by its path"
)]
pub struct StartError {
    program: String,
    error: io::Error,
}

/// A running program.
pub(super) struct Child {
    process: tokio::process::Child,
    /// Gone once there is nothing more to be said, or it does not listen.
    pub stdin: Option<ChildStdin>,
    pub stdout: ChildStdout,
}

impl Child {
    /// Starts it.
    pub fn start(config: &ProgramConfig) -> Result<Self, StartError> {
        let (program, args) = config.command.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
        let wrong = |error| StartError { program: program.to_owned(), error };
        let mut process = Command::new(program)
            .args(args)
            .env("SHADOWTAP_MIDDLEWARE_TARGET", &config.target)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(wrong)?;
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
        if let Some(stderr) = process.stderr.take() {
            tokio::spawn(log(stderr, program.to_owned()));
        }
        let Some(stdout) = stdout else {
            return Err(wrong(io::Error::other("it has no stdout")));
        };
        Ok(Self { process, stdin, stdout })
    }

    /// Waits for its end, but no longer than that; then it is killed, and whatever else is in its group. Says how it ended.
    pub async fn end(mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.stdin = None;
        if let Ok(ended) = timeout(grace, self.process.wait()).await {
            return ended;
        }
        // Not reaped yet: the number is its own.
        if let Some(group) = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // It may have ended by now.
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.process.wait().await
    }
}

/// Lets no program inherit what is open by now: libpcap does not see to that. What this process opens itself is never inherited.
pub(super) fn keep_descriptors() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    for entry in open.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<libc::c_int>().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            // SAFETY: no memory is involved; of a number that is none any more it says so, which changes nothing.
            #[allow(unsafe_code)]
            unsafe {
                libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC)
            };
        }
    }
}

/// Puts its lines into the log.
async fn log(mut stderr: ChildStderr, program: String) {
    let (mut lines, mut buffer) = (Lines::new(LOGGED_BYTES), vec![0; 4096]);
    let (mut since, mut logged, mut left_out) = (Instant::now(), 0, 0u64);
    loop {
        let read = stderr.read(&mut buffer).await.unwrap_or(0);
        if since.elapsed() >= Duration::from_secs(1) || read == 0 {
            if left_out > 0 {
                tracing::info!("{program}: {left_out} more lines are left out");
            }
            (since, logged, left_out) = (Instant::now(), 0, 0);
        }
        lines.push(buffer.get(..read).unwrap_or_default(), |line| {
            if logged >= LOGGED {
                left_out += 1;
                return;
            }
            logged += 1;
            match line {
                Ok(line) => tracing::info!("{program}: {}", printable(line)),
                Err(()) => tracing::info!("{program}: (a line of more than {LOGGED_BYTES} bytes)"),
            }
        });
        if read == 0 {
            return;
        }
    }
}

/// A line that does nothing to a terminal.
fn printable(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
