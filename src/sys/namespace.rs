//! What a descriptor of a namespace (/proc/PID/ns/…) tells about it (ioctl_ns(2)).

use super::check;
use nix::sched::CloneFlags;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Which kind of namespace it is; `None` when the descriptor is something else.
pub fn kind(fd: BorrowedFd<'_>) -> Option<CloneFlags> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: this request takes no argument and returns a number.
    let kind = check(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) }.into()).ok()?;
    Some(CloneFlags::from_bits_retain(kind as libc::c_int))
}

/// The user namespace that owns it: whoever has capabilities there, has them over this one.
///
/// # Errors
/// EPERM when the owner is not below the caller's own user namespace.
pub fn owner(fd: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    // SAFETY: this request takes no argument and returns a new descriptor, which nobody else owns.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::NS_GET_USERNS) }.into())
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
