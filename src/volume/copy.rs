//! A copy of a directory with all that can be said about files: owners, modes, times, extended attributes, hard links,
//! links, pipes and devices. The source may be hostile: every directory is opened from its root by a path on which no
//! link is followed, and every file by its name in an open directory; what is deeper than a path can be is an error.

use crate::error::{Error, Result};
use crate::sys::fs::{self, Links, open_in_root};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, LinkatFlags, Uid};
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Copies what is in one directory into another, which is empty, and makes that one like the first.
///
/// # Errors
/// What cannot be read or made, by name.
pub fn tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut links = HashMap::new();
    let mut todo = vec![PathBuf::new()];
    let mut done = Vec::new();
    while let Some(path) = todo.pop() {
        let copy = Copy { from: directory(from, &path)?, to: directory(to, &path)?, root: to, path: &path };
        for name in names(&copy.from).map_err(|e| failed("getdents64", &path, e))? {
            let below = path.join(OsStr::from_bytes(name.to_bytes()));
            let is_directory = copy.entry(&name, &below, &mut links).map_err(|(call, e)| failed(call, &below, e))?;
            if is_directory {
                todo.push(below);
            }
        }
        done.push(path);
    }
    // From below: what is made in a directory changes its time, and its mode may forbid to make anything.
    for path in done.iter().rev() {
        let (from, to) = (directory(from, path)?, directory(to, path)?);
        let stat = fs::stat(from.as_fd())?;
        finish(&from, &to, &stat).map_err(|(call, e)| failed(call, path, e))?;
    }
    Ok(())
}

/// A call that failed, and how.
type Step<T> = std::result::Result<T, (&'static str, Errno)>;

fn failed(call: &str, path: &Path, e: Errno) -> Error {
    Error::call(format!("{call}({})", path.display()), e)
}

fn directory(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    open_in_root(root, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0, Links::Refuse)
}

fn names(directory: &OwnedFd) -> nix::Result<Vec<CString>> {
    let again =
        nix::fcntl::openat(directory, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut dir = Dir::from_fd(again)?;
    let all = dir.iter().map(|entry| entry.map(|e| e.file_name().to_owned()));
    let names = all.collect::<nix::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|n| n.as_c_str() != c"." && n.as_c_str() != c"..").collect())
}

/// One directory that is being copied.
struct Copy<'a> {
    from: OwnedFd,
    to: OwnedFd,
    /// The copy's own root.
    root: BorrowedFd<'a>,
    path: &'a Path,
}

impl Copy<'_> {
    /// Copies one name. Is it a directory, whose contents are still to be copied?
    fn entry(&self, name: &CStr, below: &Path, links: &mut HashMap<(u64, u64), PathBuf>) -> Step<bool> {
        let stat =
            nix::sys::stat::fstatat(&self.from, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|e| ("fstatat", e))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind == SFlag::S_IFDIR {
            return nix::sys::stat::mkdirat(&self.to, name, Mode::S_IRWXU).map(|()| true).map_err(|e| ("mkdirat", e));
        }
        if stat.st_nlink > 1 {
            if let Some(first) = links.get(&(stat.st_dev, stat.st_ino)) {
                let made = nix::unistd::linkat(self.root, first.as_path(), &self.to, name, LinkatFlags::empty());
                return made.map(|()| false).map_err(|e| ("linkat", e));
            }
            links.insert((stat.st_dev, stat.st_ino), below.to_path_buf());
        }
        match kind {
            SFlag::S_IFREG => self.file(name)?,
            SFlag::S_IFLNK => self.link(name, &stat)?,
            _ => self.node(name, kind, &stat)?,
        }
        Ok(false)
    }

    fn file(&self, name: &CStr) -> Step<()> {
        // O_NONBLOCK: should it be a pipe by now, nobody must wait at it.
        let how = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let from = nix::fcntl::openat(&self.from, name, how, Mode::empty()).map_err(|e| ("openat", e))?;
        let stat = nix::sys::stat::fstat(&from).map_err(|e| ("fstat", e))?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(("openat", Errno::ESTALE));
        }
        let how = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let to = nix::fcntl::openat(&self.to, name, how, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|e| ("openat", e))?;
        let (mut reader, mut writer) = (std::fs::File::from(from), std::fs::File::from(to));
        // copy_file_range(2), which shares blocks where the file system can.
        std::io::copy(&mut reader, &mut writer)
            .map_err(|e| ("copy_file_range", Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO))))?;
        finish(&reader.into(), &writer.into(), &stat)
    }

    fn link(&self, name: &CStr, stat: &FileStat) -> Step<()> {
        let text = nix::fcntl::readlinkat(&self.from, name).map_err(|e| ("readlinkat", e))?;
        nix::unistd::symlinkat(text.as_os_str(), &self.to, name).map_err(|e| ("symlinkat", e))?;
        self.owner(name, stat)?;
        self.times(name, stat)
    }

    /// A pipe, a socket, a device. In a user namespace no device can be made, nor could one there be opened: left out.
    fn node(&self, name: &CStr, kind: SFlag, stat: &FileStat) -> Step<()> {
        match nix::sys::stat::mknodat(&self.to, name, kind, Mode::S_IRUSR, stat.st_rdev) {
            Err(Errno::EPERM) => return Ok(()),
            made => made.map_err(|e| ("mknodat", e))?,
        }
        self.owner(name, stat)?;
        let mode = Mode::from_bits_truncate(stat.st_mode);
        nix::sys::stat::fchmodat(&self.to, name, mode, FchmodatFlags::FollowSymlink).map_err(|e| ("fchmodat", e))?;
        self.times(name, stat)
    }

    fn owner(&self, name: &CStr, stat: &FileStat) -> Step<()> {
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        strangers_stay(nix::unistd::fchownat(&self.to, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW))
            .map_err(|e| ("fchownat", e))
    }

    fn times(&self, name: &CStr, stat: &FileStat) -> Step<()> {
        let (read, written) = times(stat);
        nix::sys::stat::utimensat(&self.to, name, &read, &written, UtimensatFlags::NoFollowSymlink)
            .map_err(|e| ("utimensat", e))
    }
}

impl std::fmt::Debug for Copy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Copy({})", self.path.display())
    }
}

/// An owner that the container's user namespace does not know shows as 65534, and cannot be given to anything: then the
/// copy belongs to whoever makes it.
fn strangers_stay(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::EINVAL | Errno::EPERM) if !nix::unistd::geteuid().is_root() || in_user_namespace() => Ok(()),
        other => other,
    }
}

/// The first user namespace maps all ids there are.
fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_whitespace().nth(2) != Some("4294967295"))
}

fn times(stat: &FileStat) -> (TimeSpec, TimeSpec) {
    (TimeSpec::new(stat.st_atime, stat.st_atime_nsec), TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec))
}

/// Owner first: a change of owner takes away the set-user-id bit and file capabilities.
fn finish(from: &OwnedFd, to: &OwnedFd, stat: &FileStat) -> Step<()> {
    strangers_stay(nix::unistd::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid))))
        .map_err(|e| ("fchown", e))?;
    nix::sys::stat::fchmod(to, Mode::from_bits_truncate(stat.st_mode)).map_err(|e| ("fchmod", e))?;
    for name in fs::xattr_names(from.as_fd()).map_err(|e| ("flistxattr", e))? {
        let Ok(value) = fs::xattr(from.as_fd(), &name) else { continue };
        match fs::set_xattr(to.as_fd(), &name, &value) {
            // Not every file system has every kind of attribute, and not everybody may set every kind.
            Ok(()) | Err(Errno::ENOTSUP | Errno::EPERM | Errno::EINVAL) => {}
            Err(e) => return Err(("fsetxattr", e)),
        }
    }
    let (read, written) = times(stat);
    nix::sys::stat::futimens(to, &read, &written).map_err(|e| ("futimens", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn everything_that_can_be_said_about_a_file_is_copied() {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("from"), temp.path().join("to"));
        std::fs::create_dir_all(from.join("a/shut")).unwrap();
        std::fs::create_dir(&to).unwrap();
        std::fs::write(from.join("a/file"), vec![7; 100_000]).unwrap();
        std::fs::set_permissions(from.join("a/file"), PermissionsExt::from_mode(0o4711)).unwrap();
        std::fs::hard_link(from.join("a/file"), from.join("twin")).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        nix::unistd::mkfifo(&from.join("pipe"), Mode::S_IRWXU).unwrap();
        let open = |path: &Path| fs::open(path, OFlag::O_RDONLY, 0).unwrap();
        fs::set_xattr(open(&from.join("a")).as_fd(), c"user.note", b"kept").unwrap();
        std::fs::set_permissions(from.join("a/shut"), PermissionsExt::from_mode(0o555)).unwrap();
        let old = TimeSpec::new(1_000_000_000, 5);
        nix::sys::stat::futimens(open(&from.join("a")), &old, &old).unwrap();

        tree(open(&from).as_fd(), open(&to).as_fd()).unwrap();

        let meta = |name: &str| std::fs::symlink_metadata(to.join(name)).unwrap();
        assert_eq!(std::fs::read(to.join("a/file")).unwrap(), vec![7; 100_000]);
        assert_eq!(meta("a/file").mode() & 0o7777, 0o4711);
        assert_eq!(meta("a/file").ino(), meta("twin").ino());
        assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(meta("pipe").mode(), libc::S_IFIFO | 0o700);
        assert_eq!(meta("a/shut").mode() & 0o777, 0o555);
        assert_eq!((meta("a").mtime(), meta("a").mtime_nsec()), (1_000_000_000, 5));
        assert_eq!(fs::xattr(open(&to.join("a")).as_fd(), c"user.note").unwrap(), b"kept");
    }
}
