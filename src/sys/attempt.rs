//! Calls that an experiment makes only to see them refused: in a form that changes nothing, whatever the kernel says.

use super::check;
use nix::Result;
use std::os::fd::AsRawFd;

/// keyctl(2) with an operation that does not exist: EOPNOTSUPP where it is let through.
///
/// # Errors
/// Always.
pub fn keyctl() -> Result<()> {
    // SAFETY: there is no operation -1, so no argument is looked at.
    check(unsafe { libc::syscall(libc::SYS_keyctl, -1, 0, 0, 0, 0) }).map(drop)
}

/// add_key(2) without a type: EFAULT where it is let through.
///
/// # Errors
/// Always.
pub fn add_key() -> Result<()> {
    // SAFETY: null pointers, which the kernel refuses before it does anything.
    check(unsafe { libc::syscall(libc::SYS_add_key, 0, 0, 0, 0, 0) }).map(drop)
}

/// perf_event_open(2) without attributes: EFAULT where it is let through.
///
/// # Errors
/// Always.
pub fn perf_event_open() -> Result<()> {
    // SAFETY: a null pointer, which the kernel refuses before it does anything.
    check(unsafe { libc::syscall(libc::SYS_perf_event_open, 0, 0, 0, -1, 0) }).map(drop)
}

/// setpriority(2): ahead of others. Lasts as long as the process, which the caller ends.
///
/// # Errors
/// EACCES without CAP_SYS_NICE in the first user namespace.
pub fn go_ahead() -> Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -5) }.into()).map(drop)
}

/// SIOCSIFFLAGS with the flags that `lo` has already: the permission is asked for all the same (netdevice(7)).
///
/// # Errors
/// EPERM without CAP_NET_ADMIN over the network namespace.
pub fn set_flags_of_lo() -> Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: ifreq is a plain C structure, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    // SAFETY: both calls take a pointer to a live ifreq with a terminated name; the first fills in the flags that the
    // second reads.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &raw mut request) }.into())?;
    // SAFETY: as above.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }.into()).map(drop)
}
