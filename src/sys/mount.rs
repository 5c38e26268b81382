//! Mounts, by the old call (mount(2), for flags and for overlay) and by the new ones (fsopen(2) and its family), which
//! make a mount first and attach it to a tree later: so a stage can make what only it may make, and another place it.

use super::{call, check, flags, path, quoted};
use crate::error::{Error, Result};
use nix::mount::{MntFlags, MsFlags};
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// mount(2).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over the mount namespace; EINVAL for options the file system does not know; ENODEV for
/// an unknown file system; ENOSPC past /proc/sys/fs/mount-max.
pub fn mount(source: &str, target: &Path, fstype: Option<&str>, how: MsFlags, data: Option<&str>) -> Result<()> {
    let text = || {
        let opt = |s: Option<&str>| s.map_or("NULL".into(), quoted);
        format!("mount({}, {}, {}, {}, {})", quoted(source), path(target), opt(fstype), flags(&how), opt(data))
    };
    call(text, || nix::mount::mount(Some(source), target, fstype, how, data))
}

/// umount2(2).
///
/// # Errors
/// EINVAL when nothing is mounted there or it is locked, EBUSY without MNT_DETACH.
pub fn umount(target: &Path, how: MntFlags) -> Result<()> {
    call(|| format!("umount2({}, {})", path(target), flags(&how)), || nix::mount::umount2(target, how))
}

/// pivot_root(2): the mount at `new` becomes the root of this mount namespace.
///
/// # Errors
/// EINVAL when `new` is not a mount point or its parent is shared, EBUSY, EPERM.
pub fn pivot_root(new: &Path, old: &Path) -> Result<()> {
    call(|| format!("pivot_root({}, {})", path(new), path(old)), || nix::unistd::pivot_root(new, old))
}

fn c(s: impl AsRef<[u8]>) -> Result<CString> {
    let s = s.as_ref();
    CString::new(s).map_err(|_| Error::new(format!("{:?} has a zero byte", String::from_utf8_lossy(s))))
}

fn own(r: libc::c_long) -> nix::Result<OwnedFd> {
    // SAFETY: only called with the result of a call that returns a new descriptor, which nobody else owns.
    check(r).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

// linux/mount.h; libc has some of these for some C libraries only.
const FSOPEN_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSMOUNT_CLOEXEC: u32 = 1;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC as u32;
const AT_RECURSIVE: u32 = 0x8000;

/// Attributes of one mount (mount_setattr(2)): the per-mount half of `ro,nosuid,…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attr(pub u64);

impl Attr {
    /// No writes through this mount.
    pub const RDONLY: Attr = Attr(0x1);
    /// set-user-id bits are ignored.
    pub const NOSUID: Attr = Attr(0x2);
    /// Device nodes cannot be opened.
    pub const NODEV: Attr = Attr(0x4);
    /// Programs cannot be executed.
    pub const NOEXEC: Attr = Attr(0x8);
    /// Access times are not updated.
    pub const NOATIME: Attr = Attr(0x10);
    /// Access times are always updated.
    pub const STRICTATIME: Attr = Attr(0x20);
    /// All bits about access times: to set one of them, these are cleared (mount_setattr(2)).
    pub const ATIME: Attr = Attr(0x70);
    /// Access times of directories are not updated.
    pub const NODIRATIME: Attr = Attr(0x80);
    /// Symbolic links on it are not followed.
    pub const NOSYMFOLLOW: Attr = Attr(0x200000);

    const NAMES: [(Attr, &'static str); 9] = [
        (Attr::ATIME, "MOUNT_ATTR__ATIME"),
        (Attr::RDONLY, "MOUNT_ATTR_RDONLY"),
        (Attr::NOSUID, "MOUNT_ATTR_NOSUID"),
        (Attr::NODEV, "MOUNT_ATTR_NODEV"),
        (Attr::NOEXEC, "MOUNT_ATTR_NOEXEC"),
        (Attr::NOATIME, "MOUNT_ATTR_NOATIME"),
        (Attr::STRICTATIME, "MOUNT_ATTR_STRICTATIME"),
        (Attr::NODIRATIME, "MOUNT_ATTR_NODIRATIME"),
        (Attr::NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"),
    ];

    /// Are all bits of `other` set?
    pub fn has(self, other: Attr) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits without those of `other`.
    pub fn without(self, other: Attr) -> Attr {
        Attr(self.0 & !other.0)
    }

    fn names(self) -> String {
        let mut rest = self.0;
        let mut names = Vec::new();
        for (attr, name) in Attr::NAMES {
            if rest & attr.0 == attr.0 {
                rest &= !attr.0;
                names.push(name);
            }
        }
        if names.is_empty() { "0".into() } else { names.join("|") }
    }
}

impl std::ops::BitOrAssign for Attr {
    fn bitor_assign(&mut self, other: Attr) {
        self.0 |= other.0;
    }
}

impl std::ops::BitOr for Attr {
    type Output = Attr;
    fn bitor(self, other: Attr) -> Attr {
        Attr(self.0 | other.0)
    }
}

/// A new file system as a detached mount: fsopen(2), one fsconfig(2) for each option, fsmount(2). Options are
/// `key=value` or `key`.
///
/// # Errors
/// EPERM in a user namespace for proc and sysfs when the host's own is covered or gone (mount_too_revealing in the
/// kernel); EINVAL for an unknown option; ENODEV for an unknown file system.
pub fn make(fstype: &str, source: &str, options: &[&str], attr: Attr) -> Result<OwnedFd> {
    let name = c(fstype)?;
    // SAFETY: the name is a live C string.
    let fs = call(
        || format!("fsopen({}, FSOPEN_CLOEXEC)", quoted(fstype)),
        || own(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), FSOPEN_CLOEXEC) }),
    )?;
    configure(&fs, "source", Some(source))?;
    for option in options {
        match option.split_once('=') {
            Some((key, value)) => configure(&fs, key, Some(value))?,
            None => configure(&fs, option, None)?,
        }
    }
    let fd = fs.as_raw_fd();
    call(
        || format!("fsconfig({fd}, FSCONFIG_CMD_CREATE, NULL, NULL, 0)"),
        || {
            // SAFETY: this command takes no pointers.
            check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, 0usize, 0usize, 0) }).map(drop)
        },
    )?;
    call(
        || format!("fsmount({fd}, FSMOUNT_CLOEXEC, {})", attr.names()),
        // SAFETY: takes integers only.
        || own(unsafe { libc::syscall(libc::SYS_fsmount, fd, FSMOUNT_CLOEXEC, attr.0 as u32) }),
    )
}

fn configure(fs: &OwnedFd, key: &str, value: Option<&str>) -> Result<()> {
    let (fd, k) = (fs.as_raw_fd(), c(key)?);
    let v = value.map(c).transpose()?;
    let command = if v.is_some() { FSCONFIG_SET_STRING } else { FSCONFIG_SET_FLAG };
    let text = || match value {
        Some(value) => format!("fsconfig({fd}, FSCONFIG_SET_STRING, {}, {}, 0)", quoted(key), quoted(value)),
        None => format!("fsconfig({fd}, FSCONFIG_SET_FLAG, {}, NULL, 0)", quoted(key)),
    };
    call(text, || {
        let pointer = v.as_ref().map_or(std::ptr::null(), |v| v.as_ptr());
        // SAFETY: key and value are live C strings (or null, where the command wants none).
        check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, k.as_ptr(), pointer, 0) }).map(drop)
    })
}

/// open_tree(2) with OPEN_TREE_CLONE: a detached bind mount of what `file` names (relative to `dir`; empty: `dir`
/// itself).
///
/// # Errors
/// EPERM, EINVAL when part of it is locked (in a user namespace, without `recursive`).
pub fn clone_tree(dir: BorrowedFd<'_>, file: &Path, recursive: bool) -> Result<OwnedFd> {
    let name = c(file.as_os_str().as_bytes())?;
    let mut how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    let mut names = String::from("OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC");
    if file.as_os_str().is_empty() {
        how |= libc::AT_EMPTY_PATH as u32;
        names.push_str("|AT_EMPTY_PATH");
    }
    if recursive {
        how |= AT_RECURSIVE;
        names.push_str("|AT_RECURSIVE");
    }
    call(
        || format!("open_tree({}, {}, {names})", super::fd_name(dir.as_raw_fd()), path(file)),
        // SAFETY: the name is a live C string.
        || own(unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), name.as_ptr(), how) }),
    )
}

/// move_mount(2): attaches a detached mount (or moves an attached one) to the directory or file that `target` is.
///
/// # Errors
/// EINVAL when the mount is in another namespace or under a shared parent, ELOOP, ENOTDIR when kinds differ.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    let (from, to) = (mount.as_raw_fd(), target.as_raw_fd());
    let how = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    call(
        || format!("move_mount({from}, \"\", {to}, \"\", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)"),
        // SAFETY: both names are the same live, empty C string.
        || check(unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), how) }).map(drop),
    )
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Whether a mount tells its peers of mounts made below it, and hears of theirs (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Neither.
    Private,
    /// It hears, and tells nobody.
    Slave,
    /// Both.
    Shared,
    /// Neither, and it cannot be bound elsewhere.
    Unbindable,
}

impl Propagation {
    fn flag(self) -> MsFlags {
        match self {
            Propagation::Private => MsFlags::MS_PRIVATE,
            Propagation::Slave => MsFlags::MS_SLAVE,
            Propagation::Shared => MsFlags::MS_SHARED,
            Propagation::Unbindable => MsFlags::MS_UNBINDABLE,
        }
    }
}

/// mount_setattr(2) (Linux 5.12): sets and clears attributes of a mount, or of all mounts below it.
///
/// # Errors
/// EPERM when an attribute is locked (it came from a more privileged mount namespace), ENOSYS before 5.12.
pub fn set_attr(mount: BorrowedFd<'_>, set: Attr, clear: Attr, recursive: bool) -> Result<()> {
    change(mount, set, clear, None, recursive)
}

/// As [`set_attr`], and in the same call another propagation. What is not named stays as it is, so flags that a user
/// namespace has locked (nosuid on the host's /tmp, say) are kept.
///
/// # Errors
/// As [`set_attr`].
pub fn change(
    mount: BorrowedFd<'_>,
    set: Attr,
    clear: Attr,
    propagation: Option<Propagation>,
    recursive: bool,
) -> Result<()> {
    let fd = mount.as_raw_fd();
    let flag = propagation.map(Propagation::flag);
    let attr =
        MountAttr { attr_set: set.0, attr_clr: clear.0, propagation: flag.map_or(0, |f| f.bits()), userns_fd: 0 };
    let how = libc::AT_EMPTY_PATH as u32 | if recursive { AT_RECURSIVE } else { 0 };
    let text = || {
        let deep = if recursive { "|AT_RECURSIVE" } else { "" };
        let propagation = flag.map_or("0 /* MS_??? */".into(), |f| flags(&f));
        format!(
            "mount_setattr({fd}, \"\", AT_EMPTY_PATH{deep}, {{attr_set={}, attr_clr={}, propagation={propagation}, userns_fd=0}}, 32)",
            set.names(),
            clear.names()
        )
    };
    call(text, || {
        // SAFETY: the structure is the kernel's struct mount_attr and has the size that is passed.
        check(unsafe {
            libc::syscall(libc::SYS_mount_setattr, fd, c"".as_ptr(), how, &raw const attr, size_of::<MountAttr>())
        })
        .map(drop)
    })
}

/// mount_setattr(2) with MOUNT_ATTR_IDMAP: through this (still detached) mount, files belong to the ids that the user
/// namespace maps theirs to; on the disk nothing changes. Sets other attributes in the same call.
///
/// # Errors
/// EINVAL when the file system does not support it (ext4, xfs, btrfs do, tmpfs since 6.3), EPERM without CAP_SYS_ADMIN
/// over the file system.
pub fn set_idmap(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>, set: Attr) -> Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let (fd, ns) = (mount.as_raw_fd(), userns.as_raw_fd());
    let attr = MountAttr { attr_set: MOUNT_ATTR_IDMAP | set.0, attr_clr: 0, propagation: 0, userns_fd: ns as u64 };
    let text = || {
        let more = if set == Attr::default() { String::new() } else { format!("{}|", set.names()) };
        format!(
            "mount_setattr({fd}, \"\", AT_EMPTY_PATH, {{attr_set={more}MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0 /* MS_??? */, userns_fd={ns}}}, 32)"
        )
    };
    call(text, || {
        // SAFETY: the structure is the kernel's struct mount_attr and has the size that is passed.
        check(unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                fd,
                c"".as_ptr(),
                libc::AT_EMPTY_PATH,
                &raw const attr,
                size_of::<MountAttr>(),
            )
        })
        .map(drop)
    })
}
