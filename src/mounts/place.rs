//! The place of a mount in a hostile root: found, or made, one component at a time, without ever leaving the root.

use crate::error::{Error, Result};
use crate::sys;
use crate::sys::fs::{Links, Node};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// What a mount is attached to: a directory to a directory, anything else to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Any other file.
    File,
}

/// As many symbolic links in one path as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Opens the place of a mount below `root`, as a process inside it would find it; what is missing is made (an empty
/// directory or file). The descriptor stays with what was found, whatever happens to the names.
///
/// # Errors
/// A symbolic link that leads out of the root, EROFS, EACCES.
pub fn target(root: BorrowedFd<'_>, destination: &Path, kind: Kind) -> Result<OwnedFd> {
    let path = clean(destination)?;
    // Nearly always it is there, and no link on the way is out of the ordinary: one call.
    match sys::fs::open_in_root(root, &path, OFlag::O_PATH, 0, Links::Beneath) {
        Err(e) if e.is(Errno::ELOOP) => {
            let why = "symbolic links run in a circle, or one of /proc's magic links is on the way (it leads anywhere)";
            Err(e.why(why).hint("choose another target, or mend the links in the root filesystem"))
        }
        Err(_) => walk(root, &path, kind),
        found => found,
    }
}

/// As [`target`], for a directory behind no link at all.
///
/// # Errors
/// When there is a link on the way, or something that is not a directory.
pub fn ordinary_directory(root: BorrowedFd<'_>, destination: &Path) -> Result<OwnedFd> {
    let path = clean(destination)?;
    let how = OFlag::O_PATH | OFlag::O_DIRECTORY;
    match sys::fs::open_in_root(root, &path, how, 0, Links::Refuse) {
        Err(e) if e.is(Errno::ENOENT) => {
            walk(root, &path, Kind::Directory)?;
            // The walk follows links, also one that has just come into being: what counts is a second look.
            sys::fs::open_in_root(root, &path, how, 0, Links::Refuse)
        }
        other => other,
    }
    .map_err(|e| {
        let why = format!("{} must be an ordinary directory, with no symbolic link on the way", destination.display());
        let hint = "replace the link by a directory in the root filesystem";
        e.explain(Errno::ELOOP, &why, hint).explain(Errno::ENOTDIR, &why, hint)
    })
}

/// The path without `.`, `..` and the leading slash. What comes from the caller is not a link, so `a/../b` is `b`.
fn clean(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if clean.as_os_str().is_empty() {
        return Err(Error::new("a mount cannot cover the root itself").hint("choose a directory below /"));
    }
    Ok(clean)
}

/// Every step is an openat(2) of one name, which is never followed, from a directory that is held open; `..` goes back
/// to the directory that is held for it. So a name that is exchanged meanwhile leads to another place in the root at
/// worst.
fn walk(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> Result<OwnedFd> {
    let mut todo: Vec<OsString> = Vec::new();
    push(&mut todo, path);
    let mut held: Vec<OwnedFd> = Vec::new();
    let (mut links, mut absolute) = (0, None::<(String, usize)>);
    while let Some(name) = todo.pop() {
        absolute = absolute.filter(|(_, after)| todo.len() >= *after);
        if name == ".." {
            // Only links have it here.
            held.pop().ok_or_else(|| leads_out(path, "..", "it climbs above the root"))?;
            continue;
        }
        let here = held.last().map_or(root, AsFd::as_fd);
        let Some(found) = step(here, &name)? else {
            let last = todo.is_empty();
            // A file that a link names is made in its place: many images have a dangling /etc/resolv.conf. But a link
            // to a directory that only the host has was made for another root than this one.
            if let (Some((text, _)), Kind::Directory) = (&absolute, kind) {
                return Err(leads_out(path, text, "there is no such directory inside"));
            }
            make(here, &name, if last { kind } else { Kind::Directory }, path)?;
            todo.push(name);
            continue;
        };
        if sys::fs::stat(found.as_fd())?.st_mode & libc::S_IFMT != libc::S_IFLNK {
            held.push(found);
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Error::new(format!("more than {MAX_LINKS} symbolic links on the way to /{}", path.display()))
                .hint("the links run in a circle; mend them in the root filesystem"));
        }
        let text = sys::fs::readlink(found.as_fd())?;
        if text.is_absolute() {
            held.clear();
            // With fewer names to do than now, the link itself is behind us.
            absolute = Some((text.display().to_string(), todo.len()));
        }
        push(&mut todo, &text);
    }
    held.pop().ok_or_else(|| leads_out(path, "/", "it is the root itself"))
}

fn push(todo: &mut Vec<OsString>, path: &Path) {
    let named = |c: Component<'_>| match c {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    todo.extend(path.components().rev().filter_map(named));
}

fn step(here: BorrowedFd<'_>, name: &OsStr) -> Result<Option<OwnedFd>> {
    match sys::fs::open_at(here, Path::new(name), OFlag::O_PATH | OFlag::O_NOFOLLOW, 0) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if e.is(Errno::ENOENT) => Ok(None),
        Err(e) => Err(e.explain(
            Errno::ENOTDIR,
            "something on the way there is a file",
            "choose another destination, or remove the file from the root filesystem",
        )),
    }
}

fn make(here: BorrowedFd<'_>, name: &OsStr, kind: Kind, path: &Path) -> Result<()> {
    let made = match kind {
        Kind::Directory => sys::fs::mkdir_at(here, Path::new(name), 0o755),
        Kind::File => sys::fs::mknod_at(here, Path::new(name), Node::File, 0o644),
    };
    match made {
        // Somebody else was quicker: then it is looked at like anything else that was there.
        Err(e) if e.is(Errno::EEXIST) => Ok(()),
        other => other.map_err(|e| {
            let why = format!("/{} is not there yet, and the root filesystem lets nobody make it", path.display());
            let hint = "make the mount point beforehand, or choose one that is there";
            [Errno::EROFS, Errno::EACCES, Errno::EPERM, Errno::ENOENT]
                .into_iter()
                .fold(e, |e, errno| e.explain(errno, &why, hint))
        }),
    }
}

fn leads_out(path: &Path, link: &str, how: &str) -> Error {
    Error::new(format!(
        "the mount target /{} is behind a symbolic link that leads out of the root filesystem",
        path.display()
    ))
    .why(format!("the link says {link}: {how}"))
    .hint("choose a target without such a link, or mend the link in the root filesystem")
}

/// Files of /proc that containers may cover (lxcfs and friends do it); everything else there steers the security
/// modules or the kernel, and must be what it says it is (CVE-2019-16884, CVE-2025-52881).
const PROC_FILES: [&str; 9] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/loadavg",
    "proc/meminfo",
    "proc/net/dev",
    "proc/slabinfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
];

/// Refuses a place that turned out to be inside a proc, except the few files that only tell numbers.
///
/// # Errors
/// When it is such a place.
pub(super) fn refuse_proc(at: BorrowedFd<'_>, destination: &Path) -> Result<()> {
    let kind = nix::sys::statfs::fstatfs(at).map_err(|e| Error::call("fstatfs(the mount target)", e))?;
    if kind.filesystem_type() != nix::sys::statfs::PROC_SUPER_MAGIC
        || PROC_FILES.iter().any(|f| clean(destination).is_ok_and(|d| d == Path::new(f)))
    {
        return Ok(());
    }
    Err(Error::new("nothing may be mounted over parts of /proc")
        .why(
            "programs and the kernel's security modules are steered through it; a file in its place could mislead them",
        )
        .hint("mount it elsewhere"))
}
