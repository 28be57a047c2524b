//! The real executable: with arguments, in a place, as a user with given rights.
//!
//! Out: the running process (see [`Process`]) or what it left behind. Guarantees: environment
//! variables that configure shadowtap are not inherited.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::ledger::Ledger;
use super::netns::Place;
use super::process::{Finished, Process};

/// The user and group a container runs as.
const NONROOT: &str = "65532";

/// With which rights the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// As the test itself.
    Same,
    /// Non-root; the binary carries `cap_net_raw+p` and the bounding set holds NET_RAW alone, as
    /// Kubernetes does with `drop: [ALL], add: [NET_RAW]`.
    NetRaw,
    /// Non-root; the binary carries the same, but the bounding set is empty.
    NoRights,
}

/// The executable: cargo's own, or the one named by `SHADOWTAP_BIN` (a release build, to measure).
pub fn executable() -> PathBuf {
    std::env::var_os("SHADOWTAP_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_shadowtap").into(), PathBuf::from)
}

/// A run to be started.
pub struct Run {
    args: Vec<OsString>,
    place: Place,
    user: User,
    env: Vec<(String, String)>,
    stdin: Option<PathBuf>,
    descriptors: Option<usize>,
    mounts: Option<Pid>,
}

impl Run {
    /// With these arguments, in the test's own network, as its own user.
    pub fn new<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        let (place, user, env) = (Place::Host, User::Same, Vec::new());
        Self { args, place, user, env, stdin: None, descriptors: None, mounts: None }
    }

    /// More arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// In another network.
    pub fn place(mut self, place: &Place) -> Self {
        self.place = place.clone();
        self
    }

    /// As another user.
    pub fn user(mut self, user: User) -> Self {
        self.user = user;
        self
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// With a file as its stdin.
    pub fn stdin(mut self, file: &Path) -> Self {
        self.stdin = Some(file.into());
        self
    }

    /// With no more file descriptors than so many.
    pub fn descriptors(mut self, most: usize) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// With the mounts that this process sees.
    pub fn mounts_of(mut self, process: Pid) -> Self {
        self.mounts = Some(process);
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn start(self) -> Shadowtap {
        let copy = (self.user != User::Same).then(Copy::new);
        let mut command = match &copy {
            None => match (self.descriptors, self.mounts) {
                (None, None) => self.place.command(executable()),
                (None, Some(pid)) => {
                    let mut command = self.place.command("nsenter");
                    command.arg(format!("--mount=/proc/{}/ns/mnt", pid.as_raw_nonzero()));
                    command.arg("--").arg(executable());
                    command
                }
                (Some(most), _) => {
                    let mut command = self.place.command("prlimit");
                    command.arg(format!("--nofile={most}")).arg(executable());
                    command
                }
            },
            Some(copy) => {
                super::require_root();
                let net_raw = if self.user == User::NetRaw { ",+net_raw" } else { "" };
                let mut command = self.place.command("setpriv");
                command.args(["--reuid", NONROOT, "--regid", NONROOT, "--clear-groups"]);
                command.args(["--inh-caps", "-all", "--ambient-caps", "-all"]);
                command.arg(format!("--bounding-set=-all{net_raw}"));
                command.arg("--").arg(&copy.binary).current_dir("/");
                command
            }
        };
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHADOWTAP_")) {
            command.env_remove(name);
        }
        if let Some(file) = &self.stdin {
            command.stdin(Stdio::from(File::open(file).expect("a file for stdin")));
        }
        command.args(&self.args).envs(self.env);
        Shadowtap { process: Process::start(command), _copy: copy }
    }

    /// Starts it and waits for its end.
    #[track_caller]
    pub fn finish(self, patience: Duration) -> Finished {
        self.start().finish(patience)
    }
}

/// A running shadowtap.
pub struct Shadowtap {
    /// The process.
    pub process: Process,
    _copy: Option<Copy>,
}

impl Shadowtap {
    /// Waits until its stderr contains this text.
    #[track_caller]
    pub fn wait_stderr(&self, text: &str, patience: Duration) {
        self.process.wait_stderr(text, patience);
    }

    /// Asks it to end by SIGTERM, and takes what it left behind.
    #[track_caller]
    pub fn terminate(self, patience: Duration) -> Finished {
        self.process.signal(Signal::TERM);
        self.process.finish(patience)
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self, patience: Duration) -> Finished {
        self.process.finish(patience)
    }
}

impl Finished {
    /// The ledger that it printed with `--json`.
    #[track_caller]
    pub fn ledger(&self) -> Ledger {
        Ledger::parse(&self.stdout)
    }
}

/// A copy of the executable that others may run, with the file capability.
struct Copy {
    binary: PathBuf,
    _dir: TempDir,
}

impl Copy {
    /// In /var/tmp: the target directory may lie below a private home, and /tmp may be mounted
    /// `nosuid`, where file capabilities count for nothing.
    #[track_caller]
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("shadowtap-test-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/var/tmp")
            .expect("a directory below /var/tmp");
        let binary = dir.path().join("shadowtap");
        // Copied by a child: were it written by this process, another test's fork could hold it
        // open for writing, and executing it would fail with ETXTBSY.
        let mut install = Command::new("install");
        succeed(install.args(["-m", "755"]).arg(executable()).arg(&binary));
        succeed(Place::Host.command("setcap").arg("cap_net_raw+p").arg(&binary));
        Self { binary, _dir: dir }
    }
}

#[track_caller]
fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {message}");
}
