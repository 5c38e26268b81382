//! The monitor's part: it keeps the time. A timer is set from the end of one probe to the beginning of the next; between
//! them nothing wakes.

use super::{Check, Health, probe};
use crate::container::store::Container;
use crate::error::{Error, Result};
use crate::sys::process::{self, End};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The health checks of one run of a container.
#[derive(Debug)]
pub struct Checks<'a> {
    container: &'a Container<'a>,
    check: &'a Check,
    timer: TimerFd,
    /// The probe that is at work.
    probe: Option<(Pid, OwnedFd)>,
}

impl<'a> Checks<'a> {
    /// From now on, if this container is to be checked.
    ///
    /// # Errors
    /// EMFILE.
    pub fn of(container: &'a Container<'a>) -> Result<Option<Checks<'a>>> {
        let Some(check) = &container.record.health else { return Ok(None) };
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)
            .map_err(|e| Error::call("timerfd_create(CLOCK_MONOTONIC)", e))?;
        let checks = Checks { container, check, timer, probe: None };
        checks.wait_for(Health::default().is_starting(check, container.history().started));
        Ok(Some(checks))
    }

    fn wait_for(&self, starting: bool) {
        let time = if starting { self.check.start_interval } else { self.check.interval };
        // Zero would be never.
        let time = TimeSpec::from(time.max(Duration::from_millis(1)));
        let _ = self.timer.set(Expiration::OneShot(time), TimerSetTimeFlags::empty());
    }

    /// What it waits for has come.
    pub fn turn(&mut self) {
        match self.probe.take() {
            None => {
                // Read, or it would stay ready.
                let _ = self.timer.wait();
                self.probe = probe::start(self.container).ok();
                if self.probe.is_none() {
                    // No memory, no process: later, perhaps.
                    self.wait_for(false);
                }
            }
            Some((pid, _)) => self.wait_for(matches!(process::wait(pid), Ok(End::Code(probe::STILL_STARTING)))),
        }
    }
}

impl AsFd for Checks<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.probe.as_ref().map_or_else(|| self.timer.as_fd(), |(_, pidfd)| pidfd.as_fd())
    }
}

impl Drop for Checks<'_> {
    fn drop(&mut self) {
        if let Some((pid, pidfd)) = self.probe.take() {
            let _ = process::pidfd_kill(&pidfd, libc::SIGKILL);
            let _ = process::wait(pid);
        }
    }
}
