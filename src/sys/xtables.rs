//! The old iptables, which is not nf_tables and which no netlink message shows: its tables are read with getsockopt(2)
//! (linux/netfilter_ipv4/ip_tables.h).

use super::check;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::os::fd::{AsRawFd, OwnedFd};

const IPT_SO_GET_INFO: libc::c_int = 64;
const IPT_SO_GET_ENTRIES: libc::c_int = 65;
/// NF_INET_FORWARD.
const FORWARD: usize = 2;
const NAME: &[u8] = b"filter";
/// struct ipt_getinfo: a name of 32 bytes, the hooks, five entries, five underflows, number and size of the entries.
const INFO: usize = 84;
/// struct ipt_get_entries without its entries: the name, the size, four bytes of padding.
const HEAD: usize = 40;

/// Does the chain FORWARD of iptables' table `filter` drop by default? Ask only when /proc/net/ip_tables_names has that
/// table: asking makes it.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN, ENOENT, ENOPROTOOPT when the kernel has no iptables.
pub fn forward_drops() -> nix::Result<bool> {
    let fd = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None::<nix::sys::socket::SockProtocol>)
        .or_else(|_| socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None))?;
    let mut info = vec![0; INFO];
    info[..NAME.len()].copy_from_slice(NAME);
    get(&fd, IPT_SO_GET_INFO, &mut info)?;
    let size = u32_at(&info, INFO - 4)? as usize;
    // Where a packet ends up that no rule of the chain has decided about: the policy.
    let policy = u32_at(&info, 32 + 4 + 20 + 4 * FORWARD)? as usize;
    let mut entries = vec![0; HEAD + size];
    entries[..NAME.len()].copy_from_slice(NAME);
    entries[32..36].copy_from_slice(&(size as u32).to_ne_bytes());
    get(&fd, IPT_SO_GET_ENTRIES, &mut entries)?;
    verdict(entries.get(HEAD + policy..).ok_or(Errno::EINVAL)?).map(|v| v == DROP)
}

/// -NF_DROP - 1.
const DROP: i32 = -1;

/// What the target of a rule (struct ipt_entry) says: 88 bytes in stands where the target begins, and behind its head
/// of 32 bytes the verdict.
fn verdict(entry: &[u8]) -> nix::Result<i32> {
    let target = entry.get(88..90).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes).ok_or(Errno::EINVAL)?;
    Ok(u32_at(entry, usize::from(target) + 32)? as i32)
}

fn u32_at(bytes: &[u8], at: usize) -> nix::Result<u32> {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes).ok_or(Errno::EINVAL)
}

fn get(fd: &OwnedFd, option: libc::c_int, buffer: &mut [u8]) -> nix::Result<()> {
    let mut length = buffer.len() as libc::socklen_t;
    // SAFETY: the pointer and the length are of the same live, writable buffer.
    let r = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_IP, option, buffer.as_mut_ptr().cast(), &raw mut length)
    };
    check(r.into()).map(drop)
}
