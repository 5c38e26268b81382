//! A process that has nothing of its caller's: no terminal, no descriptors, no signal mask, no working directory. It
//! does one short piece of work that nobody should have to wait for, and ends.

use super::{check, process};
use crate::error::{Error, Result};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Runs `work` in such a process, with those descriptors (the caller's copies are closed) and that name (for ps).
///
/// # Errors
/// EAGAIN at a limit on processes.
pub fn run(name: &CStr, keep: Vec<OwnedFd>, work: impl FnOnce(Vec<OwnedFd>)) -> Result<()> {
    if process::fork()?.is_some() {
        return Ok(());
    }
    super::trace::listen(None);
    // Whoever reads the caller's output waits until the last copy of that descriptor is closed; the same goes for
    // every pipe and lock of the caller's.
    let null = super::fs::open(std::path::Path::new("/dev/null"), nix::fcntl::OFlag::O_RDWR, 0);
    if let Ok(kept) = null.and_then(|null| detach(name, null, keep)) {
        work(kept);
    }
    process::exit_now(0)
}

/// Makes the calling process such a one: only those descriptors stay, and `null` (the host's /dev/null) as its standard
/// streams. The caller must own no other that it will use.
///
/// # Errors
/// EMFILE; EPERM for the leader of a process group.
pub fn detach(name: &CStr, null: OwnedFd, keep: Vec<OwnedFd>) -> Result<Vec<OwnedFd>> {
    let fail = |what: &'static str| move |e| Error::call(what, e);
    nix::unistd::setsid().map_err(fail("setsid()"))?;
    // Signals that the caller reads from a signalfd are blocked; this process is to be ended by them.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(fail("rt_sigprocmask()"))?;
    nix::unistd::chdir("/").map_err(fail("chdir(\"/\")"))?;
    // Out of the way of 0, 1 and 2, which a caller may have closed before it opened what is kept.
    let kept: Vec<OwnedFd> =
        keep.into_iter().map(above_2).collect::<nix::Result<_>>().map_err(fail("fcntl(F_DUPFD)"))?;
    for standard in 0..3 {
        // SAFETY: replaces what the number stands for; nobody in this process uses it again.
        check(unsafe { libc::dup2(null.as_raw_fd(), standard) }.into()).map_err(fail("dup2(/dev/null)"))?;
    }
    close_all_but(&kept);
    // It was closed with all others just now.
    std::mem::forget(null);
    // SAFETY: the name is a live C string, of which the kernel copies at most 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    Ok(kept)
}

fn above_2(fd: OwnedFd) -> nix::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: on success the kernel returns a new descriptor, which nobody else owns.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) }.into())
        .map(|new| unsafe { OwnedFd::from_raw_fd(new as RawFd) })
}

fn close_all_but(kept: &[OwnedFd]) {
    let mut numbers: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    numbers.sort_unstable();
    let mut first = 3;
    for number in numbers.into_iter().chain([u32::MAX]) {
        if first < number {
            // SAFETY: the caller's objects that own these descriptors are never used nor dropped again: this process
            // does its work and ends with _exit.
            unsafe { libc::syscall(libc::SYS_close_range, first, number - 1, 0) };
        }
        first = number.saturating_add(1);
    }
}
