//! Mounts inside a root that may be hostile. The root filesystem of a container is somebody else's work: a directory
//! where a mount belongs may be a symbolic link to the host's /etc, or may become one while we look. So no path of it
//! is ever handed to mount(2). The place is opened first, in a way that cannot leave the root ([`target`]), the mount is
//! made detached, and the two descriptors are joined by move_mount(2): there is no name left to exchange
//! (CVE-2019-19921, CVE-2021-30465, CVE-2023-27561, CVE-2025-31133, CVE-2025-52565).

mod cgroup;
pub mod idmap;
mod options;
mod place;
mod volume;

pub use options::{Options, options};
pub use place::{Kind, ordinary_directory, target};
pub use volume::{Volume, parse_mount, parse_tmpfs, parse_volume};

use crate::error::{Error, Result};
use crate::sys;
use crate::sys::fs::Links;
use crate::sys::mount::Attr;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use oci_spec::runtime as oci;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Makes one mount of the spec and attaches it below `root`. What is missing of the way there is made, with the umask
/// of the caller.
///
/// # Errors
/// A source that is missing; a destination that leads out of the root or is of another kind than the source; an option
/// that the file system does not know. The error names the mount.
pub fn apply(root: BorrowedFd<'_>, mount: &oci::Mount) -> Result<()> {
    apply_to(root, mount, None)
}

/// A mount of the type `cgroup`, in the container's cgroup namespace; `own` are its cgroups, by their paths on the host.
///
/// # Errors
/// As [`apply`].
pub fn apply_cgroup(root: BorrowedFd<'_>, mount: &oci::Mount, own: &[PathBuf]) -> Result<()> {
    let options = options(mount.options().as_deref().unwrap_or_default());
    target(root, mount.destination(), Kind::Directory)
        .and_then(|at| cgroup::mount(at.as_fd(), &options, own))
        .map_err(|e| named(e, mount, "cgroup"))
}

/// As [`apply`]; with a copy of the source that somebody else has made ([`copy_source`]).
///
/// # Errors
/// As [`apply`].
pub fn apply_to(root: BorrowedFd<'_>, mount: &oci::Mount, source: Option<OwnedFd>) -> Result<()> {
    let options = options(mount.options().as_deref().unwrap_or_default());
    let kind = mount.typ().as_deref().unwrap_or("none");
    let made = match kind {
        _ if is_bind(mount) => source
            .map_or_else(|| clone_source(mount, &options), Ok)
            .and_then(|tree| bind(&options, tree))
            .and_then(|tree| attach_bind(root, mount, tree)),
        "none" => Err(Error::new("it has neither a type nor the option bind or rbind")),
        // What the world knows about processes and devices must stand where it is looked for: behind a link it could be
        // made to stand elsewhere, and a mask meant for it would miss (CVE-2019-19921, CVE-2023-27561).
        "proc" | "sysfs" => file_system(kind, mount, &options)
            .and_then(|fs| sys::mount::attach(fs.as_fd(), ordinary_directory(root, mount.destination())?.as_fd())),
        _ => file_system(kind, mount, &options).and_then(|fs| attach_directory(root, mount, &fs)),
    };
    made.map_err(|e| named(e, mount, kind))
}

fn named(mut e: Error, mount: &oci::Mount, kind: &str) -> Error {
    let source = mount.source().as_deref().map_or(kind.into(), |s| s.display().to_string());
    e.what = format!("the mount of {source} on {}: {}", mount.destination().display(), e.what);
    e.explain(Errno::ENODEV, "this kernel has no such file system", "modprobe it, or leave the mount out").explain(
        Errno::ENOSPC,
        "the limit on mounts of one namespace is reached (this ENOSPC has nothing to do with disks)",
        "sysctl fs.mount-max",
    )
}

fn attach_directory(root: BorrowedFd<'_>, mount: &oci::Mount, fs: &OwnedFd) -> Result<()> {
    sys::mount::attach(fs.as_fd(), target(root, mount.destination(), Kind::Directory)?.as_fd())
}

/// A new file system, detached.
fn file_system(kind: &str, mount: &oci::Mount, options: &Options) -> Result<OwnedFd> {
    let source = mount.source().as_deref().and_then(Path::to_str).unwrap_or(kind);
    let data: Vec<&str> = options.data.iter().map(String::as_str).collect();
    let fs = sys::mount::make(kind, source, &data, options.set | options.deep_set).map_err(|e| {
        e.explain(
            Errno::EINVAL,
            &format!("the file system {kind} refuses one of its options: {}", data.join(",")),
            "the options that it knows stand in mount(8)",
        )
        .explain(
            Errno::EPERM,
            "in a user namespace the kernel makes this file system only for the owner of what it shows, and only while \
             the host's own is there to be seen whole",
            "run as root, or leave the mount out",
        )
    })?;
    if let Some((propagation, recursive)) = options.propagation {
        sys::mount::change(fs.as_fd(), Attr::default(), Attr::default(), Some(propagation), recursive)?;
    }
    Ok(fs)
}

/// Does this mount show a part of the host's tree?
pub fn is_bind(mount: &oci::Mount) -> bool {
    mount.typ().as_deref() == Some("bind")
        || mount.options().iter().flatten().any(|option| option == "bind" || option == "rbind")
}

/// A detached copy of what a bind mount shows, for [`apply_to`]: made by one who can reach it.
///
/// # Errors
/// As [`apply`].
pub fn copy_source(mount: &oci::Mount) -> Result<OwnedFd> {
    let options = options(mount.options().as_deref().unwrap_or_default());
    let tree = clone_source(mount, &options).map_err(|e| named(e, mount, "bind"))?;
    idmap::cut_off(&tree)?;
    Ok(tree)
}

/// A copy of a part of the host's tree, detached.
fn clone_source(mount: &oci::Mount, options: &Options) -> Result<OwnedFd> {
    let Some(source) = mount.source() else { return Err(Error::new("a bind mount without a source")) };
    if let Some(unknown) = options.data.first() {
        return Err(Error::new(format!("a bind mount has no option {unknown}"))
            .why("a bind mount shows what is there already, so the file system's own options were given long ago")
            .hint("leave it out"));
    }
    // A type "bind" without either word is what docker and mount(8) call bind: this mount alone.
    let recursive = options.bind.unwrap_or(false);
    sys::mount::clone_tree(AT_FDCWD, source, recursive).map_err(|e| {
        e.explain(
            Errno::ENOENT,
            &format!("there is no {} on the host", source.display()),
            "make it first, or correct the path",
        )
        .explain(
            Errno::EACCES,
            &format!("you may not enter a directory on the way to {}", source.display()),
            "as an ordinary user you can mount what you can reach",
        )
        .explain(
            Errno::EINVAL,
            "there are mounts below it, and a user namespace must not look under them; or it is an unbindable mount",
            "bind it with what is below: rbind",
        )
    })
}

/// That copy with the attributes that the mount is to have.
fn bind(options: &Options, tree: OwnedFd) -> Result<OwnedFd> {
    let (propagation, deep) = options.propagation.map_or((None, false), |(p, deep)| (Some(p), deep));
    let (above, below) = if deep { (None, propagation) } else { (propagation, None) };
    let none = Attr::default();
    if options.deep_set != none || options.deep_clear != none || below.is_some() {
        sys::mount::change(tree.as_fd(), options.deep_set, options.deep_clear, below, true).map_err(locked)?;
    }
    if options.set != none || options.clear != none || above.is_some() {
        sys::mount::change(tree.as_fd(), options.set, options.clear, above, false).map_err(locked)?;
    }
    Ok(tree)
}

fn locked(e: Error) -> Error {
    e.explain(
        Errno::EPERM,
        "the host's mount has flags (nosuid, nodev, ro, noatime…) that a user namespace may not take away",
        "leave out the option that would take them away",
    )
}

fn attach_bind(root: BorrowedFd<'_>, mount: &oci::Mount, tree: OwnedFd) -> Result<()> {
    let kind = if is_directory(tree.as_fd())? { Kind::Directory } else { Kind::File };
    let at = target(root, mount.destination(), kind)?;
    place::refuse_proc(at.as_fd(), mount.destination())?;
    if is_directory(at.as_fd())? != (kind == Kind::Directory) {
        // Which errno move_mount(2) has for this depends on the kernel.
        let (is, other) = if kind == Kind::Directory { ("directory", "file") } else { ("file", "directory") };
        return Err(Error::new("the kinds of source and destination differ")
            .why(format!("the source is a {is}, and the destination is there already as a {other}"))
            .hint("choose another destination"));
    }
    sys::mount::attach(tree.as_fd(), at.as_fd())
}

fn is_directory(fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(sys::fs::stat(fd)?.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Hides paths of a root: files behind /dev/null, directories behind one empty, read-only tmpfs.
#[derive(Debug)]
pub struct Masks<'a> {
    root: BorrowedFd<'a>,
    null: Option<OwnedFd>,
    empty: Option<OwnedFd>,
}

impl<'a> Masks<'a> {
    /// For the root that this descriptor stands for.
    pub fn new(root: BorrowedFd<'a>) -> Self {
        Masks { root, null: None, empty: None }
    }

    /// Hides one path. Nothing there: nothing to hide, and false.
    ///
    /// # Errors
    /// When /dev/null is not the null device, or a mount fails.
    pub fn mask(&mut self, path: &Path) -> Result<bool> {
        let Some(at) = existing(self.root, path)? else { return Ok(false) };
        let cover = if is_directory(at.as_fd())? { self.empty_directory()? } else { self.null_device()? };
        sys::mount::attach(cover.as_fd(), at.as_fd())?;
        Ok(true)
    }

    fn null_device(&mut self) -> Result<OwnedFd> {
        if self.null.is_none() {
            self.null = Some(null_device(self.root)?);
        }
        let null = self.null.as_ref().map_or(self.root, AsFd::as_fd);
        sys::mount::clone_tree(null, Path::new(""), false)
    }

    /// One tmpfs does for all: it is empty and stays so.
    fn empty_directory(&mut self) -> Result<OwnedFd> {
        if let Some(empty) = &self.empty {
            return sys::mount::clone_tree(empty.as_fd(), Path::new(""), false);
        }
        let attr = Attr::RDONLY | Attr::NOSUID | Attr::NODEV | Attr::NOEXEC;
        let empty = sys::mount::make("tmpfs", "tmpfs", &["mode=755"], attr)?;
        self.empty = Some(empty.try_clone().map_err(|e| Error::io("fcntl(F_DUPFD_CLOEXEC)", &e))?);
        Ok(empty)
    }
}

// ANCHOR: null
/// The root's own /dev/null, if that is what it is: whoever could put a link or another file in its place would have it
/// mounted over the masked paths, writable (CVE-2025-31133).
fn null_device(root: BorrowedFd<'_>) -> Result<OwnedFd> {
    let null =
        sys::fs::open_in_root(root, Path::new("/dev/null"), OFlag::O_PATH | OFlag::O_NOFOLLOW, 0, Links::Refuse)?;
    let found = sys::fs::stat(null.as_fd())?;
    if found.st_mode & libc::S_IFMT == libc::S_IFCHR && found.st_rdev == libc::makedev(1, 3) {
        return Ok(null);
    }
    Err(Error::new("/dev/null is not the null device (character device 1:3)")
        .why("files are hidden behind it, and what stands in its place would be shown instead")
        .hint("do not mount anything over /dev/null"))
}
// ANCHOR_END: null

// ANCHOR: readonly
/// Makes a path and everything mounted below it read-only. Nothing there: false.
///
/// # Errors
/// When a mount fails.
pub fn readonly(root: BorrowedFd<'_>, path: &Path) -> Result<bool> {
    let Some(at) = existing(root, path)? else { return Ok(false) };
    let tree = sys::mount::clone_tree(at.as_fd(), Path::new(""), true)?;
    sys::mount::set_attr(tree.as_fd(), Attr::RDONLY, Attr::default(), true)?;
    sys::mount::attach(tree.as_fd(), at.as_fd())?;
    Ok(true)
}
// ANCHOR_END: readonly

fn existing(root: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    match sys::fs::open_in_root(root, path, OFlag::O_PATH, 0, Links::Inside) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if e.is(Errno::ENOENT) || e.is(Errno::ENOTDIR) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests;
