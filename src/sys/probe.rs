//! Which calls does this kernel have? Each is made with arguments that it must refuse: ENOSYS means that it is not
//! there, any other error that it is.

use nix::errno::Errno;

/// A call to look for.
#[derive(Debug)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// Its number. From 424 on they are the same on every architecture.
    number: libc::c_long,
    /// Can boxwright not do without?
    pub needed: bool,
}

const fn call(name: &'static str, number: libc::c_long, needed: bool) -> Call {
    Call { name, number, needed }
}

/// The newer calls that the set-up uses, and some that it will gladly use.
pub static CALLS: [Call; 8] = [
    call("fsopen", libc::SYS_fsopen, true),
    call("pidfd_open", libc::SYS_pidfd_open, true),
    call("clone3", libc::SYS_clone3, true),
    call("close_range", libc::SYS_close_range, true),
    call("openat2", libc::SYS_openat2, true),
    call("mount_setattr", libc::SYS_mount_setattr, true),
    call("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, false),
    call("statmount", 457, false),
];

/// Is it there?
pub fn has_call(call: &Call) -> bool {
    let first = if call.number == libc::SYS_pidfd_open { -1 } else { 0 };
    // SAFETY: null pointers, sizes of zero and impossible flags. Each call of the table refuses these before it does
    // anything: fsopen and statmount for the null pointer, clone3 and openat2 for the size, close_range, mount_setattr
    // and landlock_create_ruleset for the flags, pidfd_open for the number -1.
    let r = unsafe { libc::syscall(call.number, first, 0, !0, 0, 0) };
    r >= 0 || Errno::last() != Errno::ENOSYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_is() {
        assert!(!has_call(&call("nothing", 9999, false)));
        assert!(has_call(&call("openat2", libc::SYS_openat2, true)));
    }
}
