//! Processes: make one in new namespaces, become another program, change identity, be waited for.

use super::{Returned, call, check, flags, path, quoted};
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Pid, Uid};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// Which side of [`clone3`] this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, which knows the child by number and by descriptor.
    Parent {
        /// The child's number in this PID namespace.
        pid: Pid,
        /// The child itself: unlike the number, never reused (pidfd_open(2)).
        pidfd: OwnedFd,
    },
}

impl Returned for Fork {
    fn show(&self) -> String {
        match self {
            Fork::Child => "0".into(),
            Fork::Parent { pid, .. } => pid.to_string(),
        }
    }
}

/// linux/sched.h. libc's constant of this name is an int, too small for it, and therefore 0.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// clone3(2): fork into new namespaces and, on cgroup v2, straight into a cgroup (a later move costs milliseconds).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN (unless CLONE_NEWUSER is among `namespaces`), ENOSPC or EUSERS at a limit on namespaces,
/// EBADF for a cgroup v1 directory.
pub fn clone3(namespaces: CloneFlags, cgroup: Option<BorrowedFd<'_>>) -> Result<Fork> {
    let mut bits = namespaces.bits() as u32 as u64 | libc::CLONE_PIDFD as u64;
    // SAFETY: clone_args is a plain C structure of integers, for which all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    if let Some(fd) = cgroup {
        bits |= CLONE_INTO_CGROUP;
        args.cgroup = fd.as_raw_fd() as u64;
    }
    args.flags = bits;
    args.exit_signal = libc::SIGCHLD as u64;
    let text = || {
        let mut names = flags(&namespaces);
        if names == "0" {
            names.clear();
        }
        let mut all = vec!["CLONE_PIDFD".to_string()];
        all.extend(cgroup.map(|_| "CLONE_INTO_CGROUP".to_string()));
        all.extend((!names.is_empty()).then_some(names));
        let at = cgroup.map(|fd| format!(", cgroup={}", fd.as_raw_fd())).unwrap_or_default();
        format!("clone3({{flags={}, exit_signal=SIGCHLD{at}}}, {})", all.join("|"), size_of::<libc::clone_args>())
    };
    call(text, || {
        let mut pidfd: libc::c_int = -1;
        args.pidfd = (&raw mut pidfd) as u64;
        // SAFETY: no CLONE_VM and no stack, so this is fork(2): the child runs on its own copy of all memory. The
        // process has one thread (the runner's rule), so no lock can be held by a thread that is not copied.
        match check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) })? {
            0 => {
                // The listener is a copy of the parent's, which has this call recorded already.
                super::trace::listen(None);
                Ok(Fork::Child)
            }
            pid => Ok(Fork::Parent {
                pid: Pid::from_raw(pid as i32),
                // SAFETY: on success the kernel has stored a new descriptor there, which nobody else owns.
                pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            }),
        }
    })
}

/// fork(2), for a helper process that looks into another namespace and exits.
///
/// # Errors
/// EAGAIN at a limit on processes.
pub fn fork() -> Result<Option<Pid>> {
    // SAFETY: the process has one thread (the runner's rule), so the child may go on as an ordinary program.
    match unsafe { nix::unistd::fork() } {
        Ok(nix::unistd::ForkResult::Child) => Ok(None),
        Ok(nix::unistd::ForkResult::Parent { child }) => Ok(Some(child)),
        Err(e) => Err(Error::call("fork()", e)),
    }
}

/// unshare(2): leave shared namespaces for new ones of one's own.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, ENOSPC at a limit in /proc/sys/user, EINVAL for CLONE_NEWUSER with threads.
pub fn unshare(namespaces: CloneFlags) -> Result<()> {
    call(|| format!("unshare({})", flags(&namespaces)), || nix::sched::unshare(namespaces))
}

/// setns(2): move into the namespace that a descriptor (of /proc/PID/ns/… or a pidfd) stands for.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace that owns it.
pub fn setns(fd: BorrowedFd<'_>, namespaces: CloneFlags) -> Result<()> {
    call(|| format!("setns({}, {})", fd.as_raw_fd(), flags(&namespaces)), || nix::sched::setns(fd, namespaces))
}

/// sethostname(2), of the calling process's UTS namespace.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over the namespace, EINVAL for more than 64 bytes.
pub fn sethostname(name: &str) -> Result<()> {
    call(|| format!("sethostname({}, {})", quoted(name), name.len()), || nix::unistd::sethostname(name))
}

/// setdomainname(2), of the calling process's UTS namespace.
///
/// # Errors
/// As [`sethostname`].
pub fn setdomainname(name: &str) -> Result<()> {
    call(
        || format!("setdomainname({}, {})", quoted(name), name.len()),
        // SAFETY: the pointer and the length are of the same live string; the kernel copies it.
        || check(unsafe { libc::syscall(libc::SYS_setdomainname, name.as_ptr(), name.len()) }).map(drop),
    )
}

/// setgroups(2): the supplementary groups.
///
/// # Errors
/// EPERM where a user namespace has /proc/PID/setgroups at "deny".
pub fn setgroups(groups: &[u32]) -> Result<()> {
    let gids: Vec<Gid> = groups.iter().map(|&g| Gid::from_raw(g)).collect();
    let list = || groups.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    call(|| format!("setgroups({}, [{}])", groups.len(), list()), || nix::unistd::setgroups(&gids))
}

/// setresgid(2) with the same group three times.
///
/// # Errors
/// EINVAL for a group that the user namespace does not map, EPERM without CAP_SETGID.
pub fn setgid(gid: u32) -> Result<()> {
    let g = Gid::from_raw(gid);
    call(|| format!("setresgid({gid}, {gid}, {gid})"), || nix::unistd::setresgid(g, g, g))
}

/// setresuid(2) with the same user three times.
///
/// # Errors
/// EINVAL for a user that the user namespace does not map, EPERM without CAP_SETUID.
pub fn setuid(uid: u32) -> Result<()> {
    let u = Uid::from_raw(uid);
    call(|| format!("setresuid({uid}, {uid}, {uid})"), || nix::unistd::setresuid(u, u, u))
}

/// setsid(2): a session of one's own, so that no terminal of the host's is the controlling one.
///
/// # Errors
/// EPERM for a process group leader.
pub fn setsid() -> Result<i32> {
    call(|| "setsid()".into(), || nix::unistd::setsid().map(Pid::as_raw))
}

/// chdir(2).
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES.
pub fn chdir(to: &Path) -> Result<()> {
    call(|| format!("chdir({})", path(to)), || nix::unistd::chdir(to))
}

/// fchdir(2).
///
/// # Errors
/// ENOTDIR, EACCES.
pub fn fchdir(to: BorrowedFd<'_>) -> Result<()> {
    call(|| format!("fchdir({})", to.as_raw_fd()), || nix::unistd::fchdir(to))
}

/// prctl(2) with integer arguments.
///
/// # Errors
/// EINVAL for what this kernel does not know, EPERM.
pub fn prctl(name: &str, option: i32, arg: u64) -> Result<i32> {
    call(
        || format!("prctl({name}, {arg}, 0, 0, 0)"),
        // SAFETY: the options used take integers only, so no memory is read or written.
        || check(unsafe { libc::prctl(option, arg, 0, 0, 0) }.into()).map(|r| r as i32),
    )
}

/// prlimit(2) of this process: one resource limit, RLIM64_INFINITY for none.
///
/// # Errors
/// EPERM for a hard limit above the one in force without CAP_SYS_RESOURCE, EINVAL for a soft one above the hard one.
pub fn set_limit(name: &str, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let new = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let old = std::ptr::null_mut::<libc::rlimit64>();
    call(
        || format!("prlimit64(0, {name}, {{rlim_cur={}, rlim_max={}}}, NULL)", limit(soft), limit(hard)),
        // SAFETY: `new` is read, and a null pointer for the old value is allowed.
        || check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const new, old) }).map(drop),
    )
}

/// A limit as strace prints it: in units of 1024 where it is a multiple.
fn limit(value: u64) -> String {
    match value {
        u64::MAX => "RLIM64_INFINITY".into(),
        v if v > 1024 && v % 1024 == 0 => format!("{}*1024", v / 1024),
        v => v.to_string(),
    }
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC: whatever descriptors are open, none survives execve (CVE-2024-21626).
///
/// # Errors
/// ENOSYS before Linux 5.9, EINVAL before 5.11.
pub fn cloexec_from(first: RawFd) -> Result<()> {
    call(
        || format!("close_range({first}, 4294967295, CLOSE_RANGE_CLOEXEC)"),
        // SAFETY: only marks descriptors; none is closed while somebody owns it.
        || check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop),
    )
}

/// close_range(2): closes every descriptor, for a process that waits for its end and does nothing else. Nobody in it uses
/// one again.
pub fn close_all() {
    // SAFETY: the caller never returns to code that owns a descriptor.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
}

/// execve(2): become another program. Returns only on failure.
pub fn execve(program: &CStr, argv: &[CString], env: &[CString]) -> Error {
    let show = |list: &[CString]| list.iter().map(|a| quoted(a.to_bytes())).collect::<Vec<_>>().join(", ");
    let text = format!("execve({}, [{}], /* {} vars */)", quoted(program.to_bytes()), show(argv), env.len());
    super::announce(&text);
    match nix::unistd::execve(program, argv, env) {
        Err(e) => Error::call(text, e),
        Ok(never) => match never {},
    }
}

/// pidfd_open(2).
///
/// # Errors
/// ESRCH when there is no such process.
pub fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: on success the kernel returns a new descriptor, which nobody else owns.
    check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// pidfd_send_signal(2): a signal to this very process, and to no later one with its number.
///
/// # Errors
/// ESRCH when it has ended, EPERM.
pub fn pidfd_kill(pidfd: impl AsFd, signal: i32) -> nix::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: a null siginfo means "as kill(2)".
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, std::ptr::null::<u8>(), 0) }).map(drop)
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It called exit with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl End {
    /// The shell's and docker's convention: the code itself, or 128 + the signal.
    pub fn exit_code(self) -> u8 {
        match self {
            End::Code(c) => c as u8,
            End::Signal(s) => (128 + s) as u8,
        }
    }
}

/// waitpid(2) for one child, however often a signal interrupts.
///
/// # Errors
/// ECHILD when it is not ours, or already waited for.
pub fn wait(pid: Pid) -> Result<End> {
    use nix::sys::wait::{WaitStatus, waitpid};
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(End::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(End::Signal(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Error::call(format!("waitpid({pid})"), e)),
        }
    }
}

/// _exit(2): no destructors, no buffers, for a child that shares them with its parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit is always safe to call; it does not return.
    unsafe { libc::_exit(code) }
}

/// getrandom(2).
pub fn random(bytes: &mut [u8]) {
    let mut have = 0;
    while have < bytes.len() {
        // SAFETY: the pointer and the length describe the rest of a live, writable buffer.
        let n = unsafe { libc::getrandom(bytes[have..].as_mut_ptr().cast(), bytes.len() - have, 0) };
        // Fewer than 256 bytes come whole and without an error once the pool is ready (getrandom(2)).
        have += usize::try_from(n).unwrap_or(0);
    }
}

/// The next signal waiting in a signalfd, if it is one that asks a program to end (INT, TERM, HUP, QUIT). Others that
/// wait before it (SIGCHLD, SIGWINCH) are taken out and mean nothing yet.
pub fn pending_stop(signals: BorrowedFd<'_>) -> Option<i32> {
    // SAFETY: signalfd_siginfo is a plain C structure of integers, for which all zeroes is a valid value.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: reads at most `size` bytes into a live structure of that size.
    let n = unsafe { libc::read(signals.as_raw_fd(), (&raw mut info).cast(), size) };
    let signal = (n == size as isize).then_some(info.ssi_signo as i32)?;
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT].contains(&signal).then_some(signal)
}

/// Has that child been stopped by a signal, since we last asked (waitid(2), WSTOPPED)?
pub fn has_stopped(pidfd: BorrowedFd<'_>) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let status = waitid(Id::PIDFd(pidfd), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG);
    matches!(status, Ok(WaitStatus::Stopped(..)))
}
