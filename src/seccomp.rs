//! seccomp: a small program in front of every system call, which lets it pass or refuses it. The kernel runs it with
//! the call's number, architecture and arguments (not what they point to). Profiles say by name what is allowed
//! ([`default`]: the built-in one; [`profile`]: docker's JSON files; OCI's `linux.seccomp` in a bundle); a compiler of our
//! own ([`compile`]) makes the program. It is loaded by `filter-syscalls`, or by [`load_late`].
//!
//! Where the rules leave room, libseccomp's and runc's reading is followed, so that a profile means here what it means
//! there:
//! - a rule whose action is the default's says nothing; a rule without arguments beats those with arguments; otherwise
//!   the first one wins;
//! - two comparisons of the same argument in one rule are two rules (either may hold);
//! - a name that is no system call is ignored, with a note;
//! - a call newer than all that a profile names gives ENOSYS, unless the default lets calls pass;
//! - another architecture's calls kill the process.

mod arch;
pub mod bpf;
mod compile;
pub mod default;
mod oci_rules;
mod profile;
mod table;
#[cfg(test)]
mod tests;

pub use profile::load;

use crate::error::{Error, Result};
use crate::spawn::Guest;
use crate::spec::Seccomp;
use crate::sys;
use nix::errno::Errno;
use oci_spec::runtime as oci;

/// SECCOMP_RET_ALLOW.
const ALLOW: u32 = 0x7fff_0000;
/// SECCOMP_RET_KILL_PROCESS.
const KILL_PROCESS: u32 = 0x8000_0000;
/// SECCOMP_RET_ERRNO with EPERM.
const EPERM: u32 = 0x0005_0000 | libc::EPERM as u32;
/// SECCOMP_RET_ERRNO with ENOSYS.
const ENOSYS: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// A compiled profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The program.
    pub program: Vec<bpf::Instruction>,
    /// SECCOMP_FILTER_FLAG_*.
    pub flags: u32,
    /// What the user should hear of, and is no error: names that are no system call's.
    pub notes: Vec<String>,
}

impl Filter {
    /// Compiles OCI's `linux.seccomp`.
    ///
    /// # Errors
    /// SCMP_ACT_NOTIFY and a listener (nobody would answer), an argument that does not exist, a program that is too
    /// long.
    pub fn compile(profile: &oci::LinuxSeccomp) -> Result<Filter> {
        oci_rules::compile(profile)
    }
}

/// The filter of this container; `None` when it is unconfined.
pub fn filter(spec: &crate::spec::Spec) -> Option<std::borrow::Cow<'_, Filter>> {
    use std::borrow::Cow;
    match &spec.seccomp {
        Seccomp::Unconfined => None,
        Seccomp::Default => {
            let program = default::compile(spec.bounding());
            Some(Cow::Owned(Filter { program, flags: 0, notes: vec![] }))
        }
        Seccomp::Profile(filter) => Some(Cow::Borrowed(filter)),
    }
}

/// Is it [`load_late`] that loads the filter of this container? With no_new_privs nobody needs a capability to load
/// one, so it can wait until all else is done, and the profile need not allow what only the set-up does (setuid, capset,
/// prctl…). That takes a command to run and `drop-caps`, which sets no_new_privs.
pub fn is_late(guest: &Guest<'_>) -> bool {
    let asked = guest.spec.process().and_then(|p| p.no_new_privileges()).unwrap_or(false);
    asked && guest.has("filter-syscalls") && guest.has("drop-caps") && !guest.spec.args().is_empty()
}

/// For `full-run`, right before execve(2): loads the filter if it was left for now. After this only execve is sure to
/// be allowed.
///
/// # Errors
/// As [`load_now`].
pub fn load_late(guest: &Guest<'_>) -> Result<()> {
    if is_late(guest) { load_now(guest) } else { Ok(()) }
}

/// Loads the filter.
///
/// # Errors
/// EACCES with neither CAP_SYS_ADMIN nor no_new_privs; EINVAL on a kernel without seccomp.
pub fn load_now(guest: &Guest<'_>) -> Result<()> {
    let Some(filter) = filter(guest.spec) else { return Ok(()) };
    sys::seccomp::set_filter(&filter.program, filter.flags).map_err(|e| {
        e.explain(
            Errno::EACCES,
            "without no_new_privs, a filter takes CAP_SYS_ADMIN (else it could mislead a setuid program)",
            "--security-opt no-new-privileges",
        )
        .explain(
            Errno::EINVAL,
            "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)",
            "--security-opt seccomp=unconfined",
        )
        .explain(
            Errno::ENOMEM,
            "all filters of a process together may have 32,768 instructions (seccomp(2))",
            "a shorter profile",
        )
    })
}

/// More than the kernel takes (BPF_MAXINSNS).
fn too_long(length: usize) -> Option<Error> {
    (length > 4096).then(|| {
        Error::new(format!("the seccomp profile makes a filter of {length} instructions"))
            .why("the kernel takes 4096 at most")
            .hint("fewer rules with arguments")
    })
}
