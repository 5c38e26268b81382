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

/// A switch of netlink(7)'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// An answer does not repeat the request (Linux 4.3).
    CapAck,
    /// An error comes with a sentence (Linux 4.12).
    ExtAck,
    /// A dump takes the filter in its request seriously (Linux 4.20).
    StrictCheck,
}

/// setsockopt(2): switches it on.
///
/// # Errors
/// ENOPROTOOPT on a kernel that does not know it.
pub fn switch_on(fd: BorrowedFd<'_>, switch: Switch) -> Result<()> {
    let (option, name) = match switch {
        Switch::CapAck => (libc::NETLINK_CAP_ACK, "NETLINK_CAP_ACK"),
        Switch::ExtAck => (libc::NETLINK_EXT_ACK, "NETLINK_EXT_ACK"),
        Switch::StrictCheck => (libc::NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK"),
    };
    let (fd, on) = (fd.as_raw_fd(), 1 as libc::c_int);
    let size = size_of_val(&on) as libc::socklen_t;
    call(
        || format!("setsockopt({fd}, SOL_NETLINK, {name}, [1], 4)"),
        // SAFETY: the pointer and the size are of the same live integer, which the kernel only reads.
        || {
            check(unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, option, (&raw const on).cast(), size) }.into())
                .map(drop)
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
