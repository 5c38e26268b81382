//! Signals as a stream to read from (signalfd(2)), and the clean slate that a program wants to start from. Numbers
//! rather than nix's enum, which has no real-time signals: they are forwarded like any other.

use super::{call, check};
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One signal, as a signalfd tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub signal: i32,
    /// Did the kernel send it (a terminal did, in practice), rather than a process?
    pub from_kernel: bool,
}

fn set(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain bits, and sigemptyset makes it a valid, empty set before anything reads it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours; sigaddset refuses a number that is no signal and changes nothing then.
    unsafe {
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
    }
    set
}

/// sigprocmask(2): these signals wait until they are unblocked, or read from a signalfd.
///
/// # Errors
/// None that a caller could cause.
pub fn block(signals: &[i32]) -> Result<()> {
    mask("SIG_BLOCK", libc::SIG_BLOCK, signals)
}

/// sigprocmask(2): these signals arrive again, those that wait at once.
///
/// # Errors
/// None that a caller could cause.
pub fn unblock(signals: &[i32]) -> Result<()> {
    mask("SIG_UNBLOCK", libc::SIG_UNBLOCK, signals)
}

fn mask(name: &str, how: i32, signals: &[i32]) -> Result<()> {
    let set = set(signals);
    // SAFETY: the set is initialised, and the old one is not asked for.
    match unsafe { libc::sigprocmask(how, &raw const set, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Error::call(format!("rt_sigprocmask({name})"), Errno::last())),
    }
}

/// Does this process ignore that signal? (A caller's wish that survives execve, as nohup(1) uses it.)
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: sigaction is a plain C structure, for which all zeroes is a valid value.
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given; the old one is written to a live structure.
    let r = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut old) };
    r == 0 && old.sa_sigaction == libc::SIG_IGN
}

/// Every signal blocked by us is unblocked and, with `all`, every one that is ignored gets its default again. SIGPIPE
/// gets it in any case: Rust's start-up ignores it for Rust programs, and ignored signals survive execve.
///
/// # Errors
/// None that a caller could cause.
pub fn reset(all: bool) -> Result<()> {
    let default = |signal| {
        // SAFETY: the default action runs no code of ours. For SIGKILL, SIGSTOP and glibc's own two the kernel or
        // glibc refuses, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    };
    default(libc::SIGPIPE);
    if all {
        (1..=libc::SIGRTMAX()).filter(|&s| is_ignored(s)).for_each(default);
    }
    call(
        || "rt_sigprocmask(SIG_SETMASK, [], NULL, 8)".into(),
        || {
            let none = set(&[]);
            // SAFETY: the set is initialised, and the old one is not asked for.
            check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) }.into())
                .map(drop)
        },
    )
}

/// signalfd4(2), non-blocking: blocked signals, to be read.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn fd(signals: &[i32]) -> Result<OwnedFd> {
    let set = set(signals);
    // SAFETY: the set is initialised; on success the kernel returns a new descriptor, which nobody else owns.
    let made = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    match check(made.into()) {
        // SAFETY: as above.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
        Err(e) => Err(Error::call("signalfd4(-1, [the signals to forward], 8, SFD_CLOEXEC|SFD_NONBLOCK)", e)),
    }
}

/// The next signal that waits in a signalfd; none when there is none.
pub fn next(fd: BorrowedFd<'_>) -> Option<Arrived> {
    // SAFETY: signalfd_siginfo is a plain C structure of integers, for which all zeroes is a valid value.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: reads at most `size` bytes into a live structure of that size.
    let n = unsafe { libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size) };
    // sigaction(2): a positive si_code is the kernel's; kill, sigqueue and tgkill have zero and negative ones.
    (n == size as isize).then_some(Arrived { signal: info.ssi_signo as i32, from_kernel: info.ssi_code > 0 })
}

/// Waits for the next of these signals, which must be blocked (sigwaitinfo(2)).
pub fn wait(signals: &[i32]) -> Option<i32> {
    let set = set(signals);
    // SAFETY: the set is initialised, and no details are asked for.
    let signal = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
    (signal > 0).then_some(signal)
}

/// kill(2), of a process or, with a negative number, of a process group.
///
/// # Errors
/// ESRCH, EPERM.
pub fn send(pid: i32, signal: i32) -> nix::Result<()> {
    // SAFETY: takes integers only.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// Sends this process a signal after a while, unless it has ended or become another program by then
/// (timer_create(2)).
///
/// # Errors
/// EAGAIN.
pub fn send_later(signal: nix::sys::signal::Signal, after: std::time::Duration) -> Result<()> {
    use nix::sys::signal::{SigEvent, SigevNotify};
    use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
    let fail = |e| Error::call("timer_create(CLOCK_MONOTONIC)", e);
    let event = SigEvent::new(SigevNotify::SigevSignal { signal, si_value: 0 });
    let mut timer = Timer::new(nix::time::ClockId::CLOCK_MONOTONIC, event).map_err(fail)?;
    timer.set(Expiration::OneShot(after.into()), TimerSetTimeFlags::empty()).map_err(fail)?;
    // Dropped, it would be deleted.
    std::mem::forget(timer);
    Ok(())
}

/// The name of a signal, as in signal(7).
pub fn name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.as_str().to_string())
}
