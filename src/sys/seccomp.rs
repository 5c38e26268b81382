//! seccomp(2): a filter in front of every system call.

use super::{call, check};
use crate::error::Result;
use crate::seccomp::bpf::Instruction;

const SECCOMP_SET_MODE_FILTER: libc::c_ulong = 1;

/// The flags of SECCOMP_SET_MODE_FILTER and their names.
const FLAGS: [(u32, &str); 3] =
    [(1, "SECCOMP_FILTER_FLAG_TSYNC"), (2, "SECCOMP_FILTER_FLAG_LOG"), (4, "SECCOMP_FILTER_FLAG_SPEC_ALLOW")];

/// seccomp(2), SECCOMP_SET_MODE_FILTER: loads a filter, for good.
///
/// # Errors
/// EACCES with neither no_new_privs nor CAP_SYS_ADMIN, EINVAL for a program that the kernel's check refuses, ENOMEM when
/// it is too long together with those already loaded.
pub fn set_filter(program: &[Instruction], flags: u32) -> Result<()> {
    let fprog = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    let text = || {
        let names: Vec<&str> = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
        let names = if names.is_empty() { "0".to_string() } else { names.join("|") };
        format!("seccomp(SECCOMP_SET_MODE_FILTER, {names}, {{len={}, filter={:p}}})", program.len(), program.as_ptr())
    };
    call(text, || {
        // SAFETY: `fprog` describes a live slice of instructions laid out as `struct sock_filter`; the kernel copies it.
        check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, u64::from(flags), &raw const fprog) })
            .map(drop)
    })
}
