//! Removes what a container has left. Its author may have been hostile: directories too deep for a path or for our
//! descriptors, directories whose mode keeps even their owner out, links to the host. So every step is one name in a
//! directory that is held open, no link is followed, and what is too deep is moved up first.

use crate::error::{Error, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many directories are held open at once; the limit on descriptors may be 256.
const DEEP: usize = 64;

/// Removes a directory and all that is below it; nothing there is fine.
///
/// # Errors
/// EACCES and EPERM for what belongs to other users, EROFS, EBUSY for a mount point.
pub fn remove_tree(dir: &Path) -> Result<()> {
    remove_tree_at(AT_FDCWD, dir)
}

/// As [`remove_tree`], relative to a directory.
///
/// # Errors
/// As [`remove_tree`].
pub fn remove_tree_at(at: BorrowedFd<'_>, dir: &Path) -> Result<()> {
    let failed = |e| Error::call(format!("unlinkat({})", dir.display()), e);
    let name = CString::new(dir.as_os_str().as_bytes()).map_err(|_| failed(Errno::EINVAL))?;
    let mut moved = 0;
    loop {
        let before = moved;
        let mut remover = Remover { top: None, moved: &mut moved };
        match remover.remove(at, &name) {
            // What was moved up is still there.
            Err(Errno::ENOTEMPTY) if moved > before => {}
            other => return other.map_err(failed),
        }
    }
}

struct Remover<'a> {
    /// The directory to be removed, and how many are held open between it and here.
    top: Option<(BorrowedFd<'a>, usize)>,
    moved: &'a mut u64,
}

impl Remover<'_> {
    /// What is gone is removed: two may be at it, and a tree that nobody adds to is empty in the end.
    fn remove(&mut self, at: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
        match self.unlink(at, name) {
            Err(Errno::ENOENT) => Ok(()),
            outcome => outcome,
        }
    }

    fn unlink(&mut self, at: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
        // Most directories are empty (a layer's work, work/work): then this is all.
        match unlinkat(at, name, UnlinkatFlags::RemoveDir) {
            Ok(()) => return Ok(()),
            Err(Errno::ENOTDIR) => return unlinkat(at, name, UnlinkatFlags::NoRemoveDir),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
        if let Some((top, DEEP)) = self.top {
            // To move a directory is to write into it: its `..` changes.
            fchmodat(at, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
            *self.moved += 1;
            let up = CString::new(format!(".moved-up-{}", self.moved)).unwrap_or_default();
            return nix::fcntl::renameat(at, name, top, up.as_c_str());
        }
        let mut directory = Dir::from_fd(open(at, name)?)?;
        for entry in names(&mut directory)? {
            let fd = directory.as_fd();
            let top = self.top.map_or((fd, 1), |(top, depth)| (top, depth + 1));
            let mut below = Remover { top: Some(top), moved: self.moved };
            match below.remove(fd, &entry) {
                // A directory that may not be written: its owner gives himself the right.
                Err(Errno::EACCES) => {
                    fchmod(fd, Mode::S_IRWXU)?;
                    below.remove(fd, &entry)?;
                }
                other => other?,
            }
        }
        unlinkat(at, name, UnlinkatFlags::RemoveDir)
    }
}

fn open(at: BorrowedFd<'_>, name: &CStr) -> nix::Result<OwnedFd> {
    let how = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match nix::fcntl::openat(at, name, how, Mode::empty()) {
        Err(Errno::EACCES) => {
            // A directory, or it would not have been opened for more than a look: no link is followed here.
            fchmodat(at, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
            nix::fcntl::openat(at, name, how, Mode::empty())
        }
        other => other,
    }
}

/// All names at once: what readdir(3) finds in a directory that shrinks meanwhile is not defined.
///
/// # Errors
/// As getdents64(2).
pub fn names(directory: &mut Dir) -> nix::Result<Vec<CString>> {
    let all = directory.iter().map(|entry| entry.map(|e| e.file_name().to_owned()));
    let names = all.collect::<nix::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|n| n.as_c_str() != c"." && n.as_c_str() != c"..").collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn hostile_trees_go_and_the_host_stays() {
        let temp = tempfile::tempdir().unwrap();
        let (tree, outside) = (temp.path().join("tree"), temp.path().join("outside"));
        fs::create_dir_all(outside.join("kept")).unwrap();
        fs::create_dir_all(tree.join("shut/in")).unwrap();
        fs::create_dir_all(tree.join("work/work")).unwrap();
        fs::write(tree.join("shut/in/file"), "").unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        symlink(&outside, tree.join("shut/in/link")).unwrap();
        for (dir, mode) in [("shut/in", 0o555), ("shut", 0o000), ("work/work", 0o000)] {
            fs::set_permissions(tree.join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
        remove_tree(&tree).unwrap();
    }

    #[test]
    fn depth_does_not_matter() {
        let temp = tempfile::tempdir().unwrap();
        let tree = temp.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut here = nix::fcntl::open(&tree, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..1500 {
            nix::sys::stat::mkdirat(&here, c"a-long-enough-name", Mode::S_IRWXU).unwrap();
            here = nix::fcntl::openat(&here, c"a-long-enough-name", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        drop(here);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
