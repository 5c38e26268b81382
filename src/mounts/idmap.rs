//! Id-mapped mounts. A container of root's with a range of ids of its own (`--userns auto`) is a stranger to the files of
//! its image, which belong to the host's root. An id-mapped mount shows them as the container's, and writes what the
//! container makes as root's; on the disk nothing is ever changed. Only the owner of the file system may make one, which
//! is the host's root: so the parent makes them, detached, and hands them to the child, who attaches them. No path is
//! walked by the child for it, and none of the directories on the way need be open to it.

use crate::error::{Error, Result};
use crate::sys;
use crate::sys::mount::{Attr, Propagation};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::mount::MntFlags;
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The user namespace of a process.
///
/// # Errors
/// When the process is gone.
pub fn userns_of(process: Pid) -> Result<OwnedFd> {
    sys::fs::open(Path::new(&format!("/proc/{process}/ns/user")), OFlag::O_RDONLY, 0)
}

/// A detached, id-mapped mount of `dir`; with `below` also what is mounted below it, which keeps its owners.
///
/// No device node works through it: in a user namespace nobody could make one, so whoever finds one there was not meant
/// to.
///
/// # Errors
/// A directory that is not there; a file system that knows no id-mapped mounts.
pub fn of(userns: &OwnedFd, dir: &Path, below: bool) -> Result<OwnedFd> {
    let tree = sys::mount::clone_tree(AT_FDCWD, dir, below)?;
    cut_off(&tree)?;
    sys::mount::set_idmap(tree.as_fd(), userns.as_fd(), Attr::NODEV).map_err(|e| explain(e, dir))?;
    Ok(tree)
}

/// A copy of a shared mount is shared, too: what the child mounted below it would appear on the host.
///
/// # Errors
/// None in practice.
pub fn cut_off(tree: &OwnedFd) -> Result<()> {
    sys::mount::change(tree.as_fd(), Attr::default(), Attr::default(), Some(Propagation::Private), true)
}

fn explain(e: Error, dir: &Path) -> Error {
    e.explain(
        Errno::EINVAL,
        &format!(
            "the file system of {} knows no id-mapped mounts, which show its files as the container's (ext4, xfs and \
             btrfs do; tmpfs since Linux 6.3; an overlay does not)",
            dir.display()
        ),
        "--root DIR (or BOXWRIGHT_ROOT) on another file system; or --userns host",
    )
    .explain(
        Errno::EPERM,
        &format!("the file system of {} is not this root's own: we run in a container ourselves", dir.display()),
        "run it outside of that container; or --userns host",
    )
}

/// Attaches a mount that was handed over where this process can reach it, in its own mount namespace. What is there is
/// covered; `pivot-root` leaves it behind with the rest of the old root.
///
/// # Errors
/// As move_mount(2).
pub fn attach_aside(mount: &OwnedFd) -> Result<()> {
    sys::mount::attach(mount.as_fd(), aside()?.1.as_fd())
}

/// A copy of a part of a mount that was handed over. Until Linux 6.15 only what is attached could be copied: so it is, for
/// as long as that takes.
///
/// # Errors
/// As move_mount(2) and open_tree(2).
pub fn copy_part(mount: &OwnedFd, part: &Path) -> Result<OwnedFd> {
    let (path, at) = aside()?;
    sys::mount::attach(mount.as_fd(), at.as_fd())?;
    let tree = sys::mount::clone_tree(mount.as_fd(), part, false);
    sys::mount::umount(path, MntFlags::MNT_DETACH)?;
    tree
}

/// "A mount point for a temporarily mounted filesystem", says the FHS. All sources of volumes were opened by the parent,
/// so nobody misses what is covered.
fn aside() -> Result<(&'static Path, OwnedFd)> {
    let open = |dir: &'static str| {
        let how = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        sys::fs::open(Path::new(dir), how, 0).map(|at| (Path::new(dir), at))
    };
    open("/mnt").or_else(|_| open("/media")).or_else(|_| open("/"))
}
