//! A small disk of its own: a tmpfs that only one process and those put beside it see.
//!
//! Guarantee: it is gone when the value is dropped, with everything on it.

use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::PATIENCE;
use super::netns::Place;
use super::process::Process;

/// See the module's description.
pub struct Tmpfs {
    holder: Process,
    /// Where it is mounted, for those who see it.
    pub inside: PathBuf,
    _dir: tempfile::TempDir,
}

impl Tmpfs {
    /// With so many KiB.
    #[track_caller]
    pub fn new(kib: u32) -> Self {
        super::require_root();
        let dir = tempfile::tempdir().expect("a directory");
        let inside = dir.path().to_owned();
        let mut command = Place::Host.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg(format!(
            "mount -t tmpfs -o size={kib}k,mode=700 none \"$0\" && echo mounted && exec tail -f /dev/null"
        ));
        command.arg(&inside);
        let holder = Process::start(command);
        holder.wait_stdout("mounted", PATIENCE);
        Self { holder, inside, _dir: dir }
    }

    /// Who sees it.
    pub fn seen_by(&self) -> Pid {
        self.holder.pid()
    }

    /// The same directory for those who do not.
    pub fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid().as_raw_nonzero()));
        root.join(self.inside.strip_prefix(Path::new("/")).expect("an absolute path"))
    }
}
