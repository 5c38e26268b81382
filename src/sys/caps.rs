//! Capabilities: the three sets of the process (capget(2), capset(2)), the bounding set and the ambient one (prctl(2)).

use super::{call, check};
use crate::caps::{self, Set};
use crate::error::Result;
use crate::sys::process::prctl;

/// The sets that capget(2) and capset(2) are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sets {
    /// In force now.
    pub effective: Set,
    /// What may be put in force.
    pub permitted: Set,
    /// What passes to programs with file capabilities.
    pub inheritable: Set,
}

/// `_LINUX_CAPABILITY_VERSION_3`, and 0 for this process.
const HEADER: [u32; 2] = [0x2008_0522, 0];

/// capget(2) of this process. (It is only a look, so nobody hears of it.)
pub fn held() -> Sets {
    let mut data = [0u32; 6];
    // SAFETY: header and data have the sizes that version 3 of the interface wants; the header is only read, because
    // its version is one that the kernel knows.
    unsafe { libc::syscall(libc::SYS_capget, HEADER.as_ptr(), data.as_mut_ptr()) };
    let set = |i: usize| Set(u64::from(data[i]) | u64::from(data[i + 3]) << 32);
    Sets { effective: set(0), permitted: set(1), inheritable: set(2) }
}

/// capset(2): the three sets at once.
///
/// # Errors
/// EPERM for a permitted capability that the process does not have.
pub fn capset(sets: Sets) -> Result<()> {
    let Sets { effective, permitted, inheritable } = sets;
    let text = || {
        format!(
            "capset({{version=_LINUX_CAPABILITY_VERSION_3, pid=0}}, {{effective={}, permitted={}, inheritable={}}})",
            shown(effective),
            shown(permitted),
            shown(inheritable)
        )
    };
    let low = |set: Set| set.0 as u32;
    let high = |set: Set| (set.0 >> 32) as u32;
    let data = [low(effective), low(permitted), low(inheritable), high(effective), high(permitted), high(inheritable)];
    // SAFETY: header and data have the sizes that version 3 of the interface wants; the kernel reads both.
    call(text, || check(unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), data.as_ptr()) }).map(drop))
}

/// A set as strace prints it: names of single bits, then the rest, or 0.
fn shown(set: Set) -> String {
    if set.is_empty() { "0".into() } else { set.numbers().map(bit).collect::<Vec<_>>().join("|") }
}

fn bit(number: u8) -> String {
    format!("1<<{}", caps::name(number))
}

/// PR_CAPBSET_READ: is it in the bounding set? `None` beyond what this kernel knows. (It is only a look.)
pub fn bounding_has(number: u8) -> Option<bool> {
    // SAFETY: takes and returns integers only.
    match unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(number), 0, 0, 0) } {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// PR_CAPBSET_DROP: takes one out of the bounding set, for good.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub fn bounding_drop(number: u8) -> Result<()> {
    let text = || format!("prctl(PR_CAPBSET_DROP, {})", caps::name(number));
    let make = || {
        // SAFETY: takes integers only.
        check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) }.into()).map(drop)
    };
    call(text, make)
}

/// PR_CAP_AMBIENT_CLEAR_ALL.
///
/// # Errors
/// EINVAL before Linux 4.3.
pub fn ambient_clear() -> Result<()> {
    ambient("PR_CAP_AMBIENT_CLEAR_ALL", libc::PR_CAP_AMBIENT_CLEAR_ALL, None)
}

/// PR_CAP_AMBIENT_RAISE.
///
/// # Errors
/// EPERM for one that is not both permitted and inheritable.
pub fn ambient_raise(number: u8) -> Result<()> {
    ambient("PR_CAP_AMBIENT_RAISE", libc::PR_CAP_AMBIENT_RAISE, Some(number))
}

fn ambient(name: &str, operation: libc::c_int, number: Option<u8>) -> Result<()> {
    let text = || format!("prctl(PR_CAP_AMBIENT, {name}, {}, 0, 0)", number.map_or_else(|| "0".into(), caps::name));
    let (operation, number) = (operation as libc::c_ulong, libc::c_ulong::from(number.unwrap_or(0)));
    // SAFETY: takes integers only.
    call(text, || check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, operation, number, 0, 0) }.into()).map(drop))
}

/// PR_SET_KEEPCAPS: the permitted set survives the next change of user id.
///
/// # Errors
/// EPERM when the securebits forbid it.
pub fn keep_over_setuid() -> Result<()> {
    let make = || {
        // SAFETY: takes integers only.
        check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }.into()).map(drop)
    };
    call(|| "prctl(PR_SET_KEEPCAPS, 1)".into(), make)
}

/// PR_SET_NO_NEW_PRIVS: from now on execve(2) gives nothing that the process does not have (setuid, file capabilities).
///
/// # Errors
/// None that a kernel since 3.5 could give.
pub fn no_new_privs() -> Result<()> {
    prctl("PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}
