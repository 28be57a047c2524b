//! A timer as exact as the kernel's: a timerfd. The runtime's own has a grain of 1 ms and rounds up.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Wakes one task at a moment.
pub(super) struct Timer {
    fd: AsyncFd<OwnedFd>,
    /// What it is set to.
    set: Option<Instant>,
}

impl Timer {
    /// Not set. Needs a runtime.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // SAFETY: an `OwnedFd` is the same open descriptor until it is dropped, and `AsyncFd` owns it.
        #[allow(unsafe_code)]
        let fd = unsafe { AsyncFd::register(fd) }?;
        Ok(Self { fd, set: None })
    }

    /// Waits for a moment; for ever when there is none. May be dropped and called again.
    pub async fn wait(&mut self, moment: Option<Instant>) {
        let Some(moment) = moment else { return std::future::pending().await };
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if self.set != Some(moment) && self.start(left).is_ok() {
                self.set = Some(moment);
            }
            match self.fd.readable().await {
                // Early, or for a moment that was set before: looked at again.
                Ok(mut ready) => {
                    let mut expirations = [0u8; 8];
                    let read = rustix::io::read(ready.get_inner(), &mut expirations);
                    if read.is_ok() {
                        self.set = None;
                    }
                    ready.clear_ready();
                }
                Err(_) => return tokio::time::sleep(left).await,
            }
        }
    }

    fn start(&self, left: Duration) -> io::Result<()> {
        let value = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_waits_until_the_moment_and_can_be_set_anew() {
        let mut timer = Timer::new().expect("timerfd");
        let start = Instant::now();
        let far = start + Duration::from_secs(3600);
        let soon = start + Duration::from_micros(2500);
        tokio::select! {
            biased;
            () = timer.wait(Some(far)) => panic!("far away"),
            () = std::future::ready(()) => {}
        }
        timer.wait(Some(soon)).await;
        assert!(Instant::now() >= soon);
        timer.wait(Some(start)).await;
        timer.wait(Some(Instant::now() + Duration::from_micros(100))).await;
    }
}
