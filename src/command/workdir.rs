//! The working directory: made when it is missing (docker's rule for `-w`), and entered while the process is still
//! root, so that a user may start in a directory that they could not enter themselves.

use crate::error::{Error, Result};
use crate::sys::{self, fs, fs::Links};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

/// Makes what is missing of `cwd` below `root`, and enters it. For `pivot-root`, in the new root, while it can still be
/// written to.
///
/// Resolved inside `root` and never through a magic link: /proc/self/fd/N would lead to whatever a forgotten
/// descriptor stands for, on the host (CVE-2024-21626).
///
/// # Errors
/// ENOTDIR, EROFS, EACCES; ELOOP for a magic link.
pub fn enter(root: BorrowedFd<'_>, cwd: &Path) -> Result<()> {
    let how = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let open = |dir: &Path| fs::open_in_root(root, dir, how, 0, Links::Inside);
    let directory = match open(cwd) {
        Err(e) if e.is(Errno::ENOENT) => {
            let mut so_far = PathBuf::from("/");
            for part in cwd.components().filter(|c| !matches!(c, Component::RootDir)) {
                let parent = open(&so_far).map_err(|e| explain(e, cwd))?;
                so_far.push(part);
                match fs::mkdir_at(parent.as_fd(), Path::new(part.as_os_str()), 0o755) {
                    Err(e) if !e.is(Errno::EEXIST) => return Err(explain(e, cwd)),
                    _ => {}
                }
            }
            open(cwd)
        }
        other => other,
    };
    sys::process::fchdir(directory.map_err(|e| explain(e, cwd))?.as_fd()).map_err(|e| explain(e, cwd))
}

/// Enters `cwd` below `root`, for a command that comes later: docker makes none for it.
///
/// # Errors
/// As [`enter`]; ENOENT.
pub fn enter_existing(root: BorrowedFd<'_>, cwd: &Path) -> Result<()> {
    let missing = |e: Error| {
        let hint = "--workdir DIR names a directory of the container";
        let e = e.explain(Errno::ENOENT, &format!("the container has no directory {}", cwd.display()), hint);
        explain(e, cwd)
    };
    let directory = fs::open_in_root(root, cwd, OFlag::O_PATH | OFlag::O_DIRECTORY, 0, Links::Inside);
    sys::process::fchdir(directory.map_err(missing)?.as_fd()).map_err(missing)
}

/// What is wrong with a working directory: docker's code for it is 126 or 127.
fn explain(e: Error, cwd: &Path) -> Error {
    let cwd = cwd.display();
    let hint = "--workdir DIR names a directory of the container";
    let code = if e.is(Errno::ENOENT) { crate::error::code::NOT_FOUND } else { crate::error::code::CANNOT_EXECUTE };
    e.explain(
        Errno::ENOENT,
        &format!("the working directory {cwd} cannot be made: a symbolic link leads nowhere"),
        hint,
    )
    .explain(Errno::ENOTDIR, &format!("the working directory {cwd} is not a directory"), hint)
    .explain(Errno::EROFS, &format!("the working directory {cwd} is missing, and the file system is read-only"), hint)
    .explain(Errno::EACCES, &format!("the user may not enter the working directory {cwd}"), hint)
    .explain(Errno::ELOOP, &format!("the working directory {cwd} leads through a link of /proc, or in circles"), hint)
    .exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_below_the_root_and_links_stay_inside() {
        let back = std::env::current_dir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = fs::open(dir.path(), OFlag::O_PATH, 0).unwrap();
        std::os::unix::fs::symlink("/inside", dir.path().join("link")).unwrap();
        std::fs::create_dir(dir.path().join("inside")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        enter(root.as_fd(), Path::new("/a/b/c")).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        enter(root.as_fd(), Path::new("/link/deep")).unwrap();
        assert!(dir.path().join("inside/deep").is_dir());
        assert_eq!(enter(root.as_fd(), Path::new("/file/x")).unwrap_err().exit, 126);
        enter(root.as_fd(), Path::new("/../../../up")).unwrap();
        assert!(dir.path().join("up").is_dir());
        std::env::set_current_dir(back).unwrap();
    }
}
