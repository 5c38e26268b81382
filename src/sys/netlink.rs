//! Netlink sockets (netlink(7)): how user space talks with the kernel's network code. What is said over them is
//! written in `net::netlink`; here are only the calls.

use super::{call, check};
use crate::error::Result;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Which part of the kernel is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes (rtnetlink(7)).
    Route,
    /// nf_tables, by way of nfnetlink.
    Netfilter,
}

/// A socket to the network namespace in which the process is now; it stays with that namespace, wherever the process
/// goes later.
///
/// # Errors
/// EPROTONOSUPPORT when the kernel has no such family (nfnetlink is a module).
pub fn socket(family: Family) -> Result<OwnedFd> {
    let (protocol, name) = match family {
        Family::Route => (SockProtocol::NetlinkRoute, "NETLINK_ROUTE"),
        Family::Netfilter => (SockProtocol::NetlinkNetFilter, "NETLINK_NETFILTER"),
    };
    call(
        || format!("socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, {name})"),
        || nix::sys::socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol),
    )
}

/// setsockopt(2): an error shall come with a sentence (NETLINK_EXT_ACK, Linux 4.12).
///
/// # Errors
/// ENOPROTOOPT on a kernel that does not know it.
pub fn explain_errors(fd: BorrowedFd<'_>) -> Result<()> {
    let (fd, on) = (fd.as_raw_fd(), 1 as libc::c_int);
    let size = size_of_val(&on) as libc::socklen_t;
    call(
        || format!("setsockopt({fd}, SOL_NETLINK, NETLINK_EXT_ACK, [1], 4)"),
        || {
            let on = (&raw const on).cast();
            // SAFETY: the pointer and the size are of the same live integer, which the kernel only reads.
            check(unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, on, size) }.into()).map(drop)
        },
    )
}

/// sendto(2) to the kernel, which does everything that is asked before the call returns. `messages` is what stands in
/// the trace for the buffer.
///
/// # Errors
/// EPERM, EMSGSIZE, ENOBUFS; what becomes of the requests themselves is in the answer.
pub fn send(fd: BorrowedFd<'_>, buffer: &[u8], messages: impl Fn() -> String) -> Result<usize> {
    let raw = fd.as_raw_fd();
    call(
        || format!("sendto({raw}, {}, {}, 0, NULL, 0)", messages(), buffer.len()),
        || nix::sys::socket::send(raw, buffer, MsgFlags::empty()),
    )
}

/// recvfrom(2): the next part of an answer. `show` renders what came for the trace.
///
/// # Errors
/// ENOBUFS when answers were lost because nobody read them.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], show: impl Fn(&[u8]) -> String) -> Result<usize> {
    let raw = fd.as_raw_fd();
    let size = buffer.len();
    let received = loop {
        match nix::sys::socket::recv(raw, buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            other => break other,
        }
    };
    let came = &buffer[..received.unwrap_or(0)];
    call(|| format!("recvfrom({raw}, {}, {size}, 0, NULL, NULL)", show(came)), || received)
}
