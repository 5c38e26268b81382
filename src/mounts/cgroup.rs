//! The type `cgroup` of the runtime-spec: "whatever cgroups this machine has". That is one cgroup2 file system on v2; on
//! v1 a tmpfs with one directory for each hierarchy. Made in a cgroup namespace, they show the container's own part; of a
//! hierarchy where the container has no part of its own there is nothing to be seen, or it would be the whole host's
//! (with the names of everybody's groups, and release_agent, by which root in a container becomes the host's root).

use super::Options;
use crate::error::Result;
use crate::sys;
use crate::sys::mount::Attr;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Makes it and attaches it to `at`; `own` are the container's cgroups, by their paths on the host.
///
/// # Errors
/// When a mount fails.
pub(super) fn mount(at: BorrowedFd<'_>, options: &Options, own: &[PathBuf]) -> Result<()> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let hierarchies = hierarchies(&text);
    let attr = options.set | options.deep_set;
    if is_hosts_namespace() {
        return hosts(at, attr);
    }
    let (first, rest) = match hierarchies.as_slice() {
        [] => ("", &[][..]),
        [first, rest @ ..] => (*first, rest),
    };
    let first_mount = match make(first, attr) {
        // The namespace belongs to a user namespace around ours.
        Err(e) if e.is(Errno::EPERM) => return hosts(at, attr),
        made => made?,
    };
    if hierarchies.is_empty() {
        return sys::mount::attach(first_mount.as_fd(), at);
    }
    let all = sys::mount::make("tmpfs", "cgroup", &["mode=755"], attr.without(Attr::RDONLY))?;
    // Attached before anything is mounted in it: until Linux 6.15 nothing could be attached to a detached mount.
    sys::mount::attach(all.as_fd(), at)?;
    // A directory is the same file wherever its file system is mounted.
    let identity = |file: &std::fs::Metadata| (file.dev(), file.ino());
    let own: Vec<_> = own.iter().filter_map(|group| group.metadata().ok()).map(|m| identity(&m)).collect();
    let is_own = |tree: &OwnedFd| -> Result<bool> {
        let root = sys::fs::stat(tree.as_fd())?;
        Ok(own.contains(&(root.st_dev, root.st_ino)))
    };
    if is_own(&first_mount)? {
        place(&all, first, &first_mount)?;
    }
    for hierarchy in rest {
        let tree = make(hierarchy, attr)?;
        if is_own(&tree)? {
            place(&all, hierarchy, &tree)?;
        }
    }
    if attr.has(Attr::RDONLY) {
        sys::mount::set_attr(all.as_fd(), Attr::RDONLY, Attr::default(), false)?;
    }
    Ok(())
}

/// A cgroup2 mounted in the host's own cgroup namespace would set the flags of the one hierarchy there is (nsdelegate,
/// favordynmods) back to what the new mount says, which is nothing; and that takes 10 ms.
fn is_hosts_namespace() -> bool {
    // PROC_CGROUP_INIT_INO of the kernel: the first namespace has this number on every machine.
    std::fs::read_link("/proc/self/ns/cgroup").is_ok_and(|ns| ns == Path::new("cgroup:[4026531835]"))
}

/// The host's own tree, read-only: who sees all of it may touch nothing.
fn hosts(at: BorrowedFd<'_>, attr: Attr) -> Result<()> {
    let tree = sys::mount::clone_tree(AT_FDCWD, Path::new("/sys/fs/cgroup"), true)?;
    sys::mount::set_attr(tree.as_fd(), attr | Attr::RDONLY, Attr::default(), true)?;
    sys::mount::attach(tree.as_fd(), at)
}

/// One hierarchy of /proc/PID/cgroup: its controllers, or `name=…`, or nothing for v2 beside v1.
fn make(controllers: &str, attr: Attr) -> Result<OwnedFd> {
    match controllers {
        "" => sys::mount::make("cgroup2", "cgroup2", &[], attr),
        named if named.starts_with("name=") => sys::mount::make("cgroup", "cgroup", &["none", named], attr),
        list => sys::mount::make("cgroup", "cgroup", &list.split(',').collect::<Vec<_>>(), attr),
    }
}

fn place(all: &OwnedFd, controllers: &str, hierarchy: &OwnedFd) -> Result<()> {
    let directory = directory(controllers);
    sys::fs::mkdir_at(all.as_fd(), Path::new(directory), 0o755)?;
    let at = sys::fs::open_at(all.as_fd(), Path::new(directory), OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?;
    sys::mount::attach(hierarchy.as_fd(), at.as_fd())?;
    for alias in controllers.split(',').filter(|_| directory.contains(',')) {
        sys::fs::symlink_at(directory, all.as_fd(), Path::new(alias))?;
    }
    Ok(())
}

fn directory(controllers: &str) -> &str {
    match controllers {
        "" => "unified",
        list => list.strip_prefix("name=").unwrap_or(list),
    }
}

/// The hierarchies, or none where there is only v2.
fn hierarchies(proc_self_cgroup: &str) -> Vec<&str> {
    let all: Vec<&str> = proc_self_cgroup.lines().filter_map(|line| line.split(':').nth(1)).collect();
    if all.iter().all(|controllers| controllers.is_empty()) { vec![] } else { all }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_v1_has_hierarchies() {
        assert_eq!(hierarchies("0::/user.slice\n"), Vec::<&str>::new());
        assert_eq!(hierarchies("2:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n"), ["cpu,cpuacct", "name=systemd", ""]);
        assert_eq!(["cpu,cpuacct", "name=systemd", ""].map(directory), ["cpu,cpuacct", "systemd", "unified"]);
    }
}
