//! A child process whose output is collected while it runs.
//!
//! In: a `Command`. Out: its lines as they come, its exit. Guarantees: no wait without a deadline; the child is
//! killed and reaped when the value is dropped. Its output is read to the end, so that it never
//! blocks on a full pipe.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// A running child.
pub struct Process {
    child: Child,
    name: String,
    started: Instant,
    stdout: Output,
    stderr: Output,
}

/// What a child left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to stdout.
    pub stdout: Vec<u8>,
    /// Everything it wrote to stderr.
    pub stderr: String,
    /// From its start until its end was noticed.
    pub took: Duration,
}

impl Finished {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Panics, showing all that was written, unless it ended with this exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(
            self.code() == Some(code),
            "expected exit code {code}, got {:?} (signal {:?})\n-- stdout\n{}\n-- stderr\n{}",
            self.code(),
            self.status.signal(),
            self.text(),
            self.stderr
        );
        self
    }
}

impl Process {
    /// Starts it with both outputs collected; stdin is as the command says, or empty.
    #[track_caller]
    pub fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let started = Instant::now();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|err| panic!("cannot start {name}: {err}"));
        let stdout = Output::collect(child.stdout.take().expect("piped above"));
        let stderr = Output::collect(child.stderr.take().expect("piped above"));
        Self { child, name, started, stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until its stderr contains this text.
    #[track_caller]
    pub fn wait_stderr(&self, text: &str, patience: Duration) {
        self.wait_output(&self.stderr, text, patience);
    }

    /// Waits until its stdout contains this text.
    #[track_caller]
    pub fn wait_stdout(&self, text: &str, patience: Duration) {
        self.wait_output(&self.stdout, text, patience);
    }

    /// What it has written to stderr so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.text()
    }

    #[track_caller]
    fn wait_output(&self, output: &Output, text: &str, patience: Duration) {
        if !output.wait_for(text, patience) {
            let (out, err) = (self.stdout.text(), self.stderr.text());
            panic!(
                "{}: no '{text}' within {patience:?}\n-- stdout\n{out}\n-- stderr\n{err}",
                self.name
            );
        }
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the child has not been reaped");
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Resident memory in KiB.
    #[track_caller]
    pub fn rss_kib(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number")
    }

    /// Processor time used so far, of all its threads, in user and kernel mode.
    #[track_caller]
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // Behind the command's name, which may hold anything: utime and stime are fields 14 and 15.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
        let ticks: u64 = fields.take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        // USER_HZ, in which /proc counts, is 100 on every Linux.
        Duration::from_millis(ticks * 10)
    }

    /// The file of that name below its /proc directory.
    #[track_caller]
    pub fn proc(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.pid().as_raw_nonzero());
        std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{path}: {err}"))
    }

    /// Waits for its end and takes what it left behind.
    #[track_caller]
    pub fn finish(mut self, patience: Duration) -> Finished {
        if !self.ends_within(patience) {
            let (out, err) = (self.stdout.text(), self.stderr.text());
            panic!(
                "{} still runs after {patience:?}\n-- stdout\n{out}\n-- stderr\n{err}",
                self.name
            );
        }
        let took = self.started.elapsed();
        let status = self.child.wait().expect("the child can be reaped");
        Finished { status, stdout: self.stdout.take(), stderr: self.stderr.take_text(), took }
    }

    fn ends_within(&mut self, patience: Duration) -> bool {
        let Ok(pidfd) = pidfd_open(self.pid(), PidfdFlags::empty()) else {
            return !self.is_running();
        };
        let timeout = patience.try_into().expect("a wait of seconds");
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&timeout)), Ok(n) if n > 0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already and reaped: both calls fail, as they should.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One output stream, collected by a thread of its own.
struct Output {
    shared: Arc<(Mutex<Collected>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

impl Output {
    fn collect(mut source: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Collected::default()), Condvar::new()));
        let for_reader = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let n = source.read(&mut buffer).unwrap_or(0);
                let mut collected = lock(&for_reader.0);
                collected.bytes.extend_from_slice(&buffer[..n]);
                collected.ended = n == 0;
                for_reader.1.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        Self { shared, reader: Some(reader) }
    }

    fn wait_for(&self, text: &str, patience: Duration) -> bool {
        let waiting = |c: &mut Collected| !c.ended && !contains(&c.bytes, text.as_bytes());
        let guard = lock(&self.shared.0);
        let (collected, _) = self
            .shared
            .1
            .wait_timeout_while(guard, patience, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        contains(&collected.bytes, text.as_bytes())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.0).bytes).into_owned()
    }

    /// The whole of it; the child must have ended.
    fn take(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        std::mem::take(&mut lock(&self.shared.0).bytes)
    }

    fn take_text(&mut self) -> String {
        String::from_utf8_lossy(&self.take()).into_owned()
    }
}

/// Whether the bytes contain the text.
pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(bytes, text).is_some()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
