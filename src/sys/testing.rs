//! For the unit tests that mount: a child with mounts of its own.

use super::process::{End, exit_now, fork, unshare, wait};
use super::{fs::write_file, mount::mount};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Runs `test` in a child with its own, private mounts (and, for an ordinary user, a user namespace); says so when this
/// machine does not allow it.
pub fn with_own_mounts(test: impl FnOnce()) {
    match fork().unwrap() {
        Some(child) => match wait(child).unwrap() {
            End::Code(0) => {}
            End::Code(77) => eprintln!("skipped: no mount namespace, neither as root nor in a user namespace"),
            other => panic!("the child ended with {other:?}"),
        },
        None => {
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            if own_mounts().and_then(|()| mount("none", Path::new("/"), None, private, None)).is_err() {
                exit_now(77);
            }
            // A panic that unwinds into the test harness would make this child a second harness, and its parent happy.
            let passed = catch_unwind(AssertUnwindSafe(test));
            exit_now(i32::from(passed.is_err()))
        }
    }
}

fn own_mounts() -> crate::error::Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if uid.is_root() {
        return unshare(CloneFlags::CLONE_NEWNS);
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    write_file(Path::new("/proc/self/setgroups"), "deny")?;
    write_file(Path::new("/proc/self/uid_map"), &format!("0 {uid} 1"))?;
    write_file(Path::new("/proc/self/gid_map"), &format!("0 {gid} 1"))
}
