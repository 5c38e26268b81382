//! Files: open, write, make. The *at calls throughout, because they are the same on every architecture (arm64 has no
//! mkdir(2)), and because a descriptor cannot be exchanged behind one's back as a path can.

use super::{call, check, fd_name, flags, path, quoted};
use crate::error::Result;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::Mode;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// openat(2) relative to the working directory; O_CLOEXEC is always added.
///
/// # Errors
/// ENOENT, EACCES, ENOTDIR, ELOOP…
pub fn open(file: &Path, how: OFlag, mode: u32) -> Result<OwnedFd> {
    open_at(AT_FDCWD, file, how, mode)
}

/// openat(2) relative to a directory; O_CLOEXEC is always added.
///
/// # Errors
/// As [`open`].
pub fn open_at(dir: BorrowedFd<'_>, file: &Path, how: OFlag, mode: u32) -> Result<OwnedFd> {
    let how = how | OFlag::O_CLOEXEC;
    let text = || {
        let creates = if how.contains(OFlag::O_CREAT) { format!(", 0{mode:o}") } else { String::new() };
        // Named here, because O_RDONLY is 0 and has no name among the bits.
        let access = if how.contains(OFlag::O_PATH) {
            ""
        } else {
            ["O_RDONLY|", "O_WRONLY|", "O_RDWR|"][(how.bits() & 3) as usize % 3]
        };
        let rest = flags(&(how & !OFlag::O_ACCMODE));
        format!("openat({}, {}, {access}{rest}{creates})", fd_name(dir.as_raw_fd()), path(file))
    };
    call(text, || nix::fcntl::openat(dir, file, how, Mode::from_bits_truncate(mode)))
}

/// write(2), all of it in one call, as kernel files in /proc and cgroup want it.
///
/// # Errors
/// Whatever the file's own handler says: EINVAL, EBUSY, EPERM…
pub fn write(fd: impl AsFd, data: &[u8]) -> Result<usize> {
    let fd = fd.as_fd();
    call(|| format!("write({}, {}, {})", fd.as_raw_fd(), quoted(data), data.len()), || nix::unistd::write(fd, data))
}

/// Opens an existing file for writing, writes once, closes.
///
/// # Errors
/// As [`open`] and [`write`]; the error names the file, not its descriptor.
pub fn write_file(file: &Path, data: &str) -> Result<()> {
    let fd = open(file, OFlag::O_WRONLY, 0)?;
    write(&fd, data.as_bytes()).map(drop).map_err(|mut e| {
        e.what = format!("write({}, {})", file.display(), quoted(data));
        e
    })
}

/// mkdirat(2).
///
/// # Errors
/// EEXIST, ENOENT, EACCES, EROFS, ENOSPC.
pub fn mkdir(dir: &Path, mode: u32) -> Result<()> {
    mkdir_at(AT_FDCWD, dir, mode)
}

/// mkdirat(2) relative to a directory.
///
/// # Errors
/// As [`mkdir`].
pub fn mkdir_at(at: BorrowedFd<'_>, dir: &Path, mode: u32) -> Result<()> {
    call(
        || format!("mkdirat({}, {}, 0{mode:o})", fd_name(at.as_raw_fd()), path(dir)),
        || nix::sys::stat::mkdirat(at, dir, Mode::from_bits_truncate(mode)),
    )
}

/// unlinkat(2) with AT_REMOVEDIR.
///
/// # Errors
/// ENOTEMPTY, EBUSY, ENOENT.
pub fn rmdir(dir: &Path) -> Result<()> {
    call(
        || format!("unlinkat(AT_FDCWD, {}, AT_REMOVEDIR)", path(dir)),
        || nix::unistd::unlinkat(AT_FDCWD, dir, nix::unistd::UnlinkatFlags::RemoveDir),
    )
}

/// symlinkat(2).
///
/// # Errors
/// EEXIST, EROFS, ENOSPC.
pub fn symlink_at(target: impl AsRef<Path>, at: BorrowedFd<'_>, link: &Path) -> Result<()> {
    let target = target.as_ref();
    call(
        || format!("symlinkat({}, {}, {})", path(target), fd_name(at.as_raw_fd()), path(link)),
        || nix::unistd::symlinkat(target, at, link),
    )
}

/// What kind of node [`mknod_at`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A character device.
    Char(u64, u64),
    /// A block device.
    Block(u64, u64),
    /// A named pipe.
    Fifo,
    /// An empty regular file.
    File,
}

/// mknodat(2). The umask does not apply to what is made for a container, so `mode` is set exactly afterwards.
///
/// # Errors
/// EPERM in a user namespace (device nodes), EEXIST, EROFS.
pub fn mknod_at(at: BorrowedFd<'_>, file: &Path, node: Node, mode: u32) -> Result<()> {
    let (kind, name, dev) = match node {
        Node::Char(major, minor) => (libc::S_IFCHR, "S_IFCHR", Some((major, minor))),
        Node::Block(major, minor) => (libc::S_IFBLK, "S_IFBLK", Some((major, minor))),
        Node::Fifo => (libc::S_IFIFO, "S_IFIFO", None),
        Node::File => (libc::S_IFREG, "S_IFREG", None),
    };
    let text = || {
        let makedev = dev.map(|(a, b)| format!(", makedev({}, {})", c_hex(a), c_hex(b))).unwrap_or_default();
        format!("mknodat({}, {}, {name}|0{mode:o}{makedev})", fd_name(at.as_raw_fd()), path(file))
    };
    call(text, || {
        let number = dev.map_or(0, |(a, b)| nix::sys::stat::makedev(a, b));
        let kind = nix::sys::stat::SFlag::from_bits_truncate(kind);
        nix::sys::stat::mknodat(at, file, kind, Mode::from_bits_truncate(mode), number)
    })
}

/// C's `%#x`: a zero has no prefix.
fn c_hex(n: u64) -> String {
    if n == 0 { "0".into() } else { format!("{n:#x}") }
}

/// fchownat(2), not following a symbolic link.
///
/// # Errors
/// EPERM, ENOENT, EINVAL for an id that the user namespace does not map.
pub fn chown_at(at: BorrowedFd<'_>, file: &Path, uid: u32, gid: u32) -> Result<()> {
    call(
        || format!("fchownat({}, {}, {uid}, {gid}, AT_SYMLINK_NOFOLLOW)", fd_name(at.as_raw_fd()), path(file)),
        || {
            nix::unistd::fchownat(
                at,
                file,
                Some(uid.into()),
                Some(gid.into()),
                nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
            )
        },
    )
}

/// umask(2); returns the old mask.
pub fn umask(mask: u32) -> u32 {
    let old = nix::sys::stat::umask(Mode::from_bits_truncate(mask)).bits();
    if super::trace::on() {
        super::trace::record(&format!("umask(0{mask:02o}) = 0{old:02o}"));
    }
    old
}

/// How far [`open_in_root`] may wander.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Symbolic links are followed, as if `root` were `/`.
    Inside,
    /// Symbolic links are followed as long as they stay below `root` by themselves: one that is absolute, or that
    /// climbs above it, is refused with EXDEV.
    Beneath,
    /// A symbolic link anywhere is refused with ELOOP.
    Refuse,
}

impl Links {
    fn resolve(self) -> (u64, &'static str) {
        match self {
            Links::Inside => (libc::RESOLVE_IN_ROOT, "RESOLVE_NO_MAGICLINKS|RESOLVE_IN_ROOT"),
            Links::Beneath => (libc::RESOLVE_BENEATH, "RESOLVE_NO_MAGICLINKS|RESOLVE_BENEATH"),
            Links::Refuse => (
                libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS,
                "RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_IN_ROOT",
            ),
        }
    }
}

/// openat2(2) with RESOLVE_IN_ROOT: a path as a process inside `root` would resolve it, so that neither `..` nor an
/// absolute symbolic link leads out of it; and never through a /proc magic link.
///
/// # Errors
/// ENOENT, ENOTDIR, ELOOP, EXDEV, EAGAIN when something is being renamed meanwhile.
pub fn open_in_root(root: BorrowedFd<'_>, file: &Path, how: OFlag, mode: u32, links: Links) -> Result<OwnedFd> {
    let how = how | OFlag::O_CLOEXEC;
    let (resolve, resolve_names) = links.resolve();
    // SAFETY: open_how is a plain C structure of integers, for which all zeroes is a valid value.
    let mut open_how: libc::open_how = unsafe { std::mem::zeroed() };
    open_how.flags = how.bits() as u32 as u64;
    open_how.mode = if how.contains(OFlag::O_CREAT) { mode as u64 } else { 0 };
    open_how.resolve = resolve | libc::RESOLVE_NO_MAGICLINKS;
    let name = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(file.as_os_str()))
        .map_err(|_| crate::error::Error::new(format!("the path {file:?} has a zero byte")))?;
    let text = || {
        let access = if how.contains(OFlag::O_PATH) {
            ""
        } else {
            ["O_RDONLY|", "O_WRONLY|", "O_RDWR|"][(how.bits() & 3) as usize % 3]
        };
        let rest = flags(&(how & !OFlag::O_ACCMODE));
        let mode = if how.contains(OFlag::O_CREAT) { format!(", mode=0{mode:o}") } else { String::new() };
        format!(
            "openat2({}, {}, {{flags={access}{rest}{mode}, resolve={resolve_names}}}, {})",
            root.as_raw_fd(),
            path(file),
            size_of::<libc::open_how>()
        )
    };
    call(text, || {
        // SAFETY: the name is a live C string, open_how is ours and has the size that is passed; on success the
        // kernel returns a new descriptor, which nobody else owns.
        let r = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                root.as_raw_fd(),
                name.as_ptr(),
                &raw const open_how,
                size_of::<libc::open_how>(),
            )
        };
        // SAFETY: as above.
        check(r).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    })
}

/// readlinkat(2) of the symbolic link that an O_PATH descriptor stands for. Looking is not part of a set-up, so neither
/// this nor [`stat`] is recorded.
///
/// # Errors
/// ENOENT when it is not a link.
pub fn readlink(link: BorrowedFd<'_>) -> Result<std::path::PathBuf> {
    nix::fcntl::readlinkat(link, "")
        .map(Into::into)
        .map_err(|e| crate::error::Error::call(format!("readlinkat({}, \"\")", link.as_raw_fd()), e))
}

/// The text of a small file of the kernel's (in /proc, say). Such a file says that its size is zero, so the standard
/// library would begin with 32 bytes and double them; the kernel writes the whole text anew for some of these reads.
///
/// # Errors
/// As open(2) and read(2).
pub fn read_text(file: impl AsRef<Path>) -> std::io::Result<String> {
    let mut text = String::with_capacity(4096);
    std::io::Read::read_to_string(&mut std::fs::File::open(file)?, &mut text)?;
    Ok(text)
}

/// fstat(2).
///
/// # Errors
/// None in practice.
pub fn stat(fd: BorrowedFd<'_>) -> Result<nix::sys::stat::FileStat> {
    nix::sys::stat::fstat(fd).map_err(|e| crate::error::Error::call(format!("fstat({})", fd.as_raw_fd()), e))
}

/// Takes ownership of a descriptor that the kernel has just handed to this process (SCM_RIGHTS, or fork with a copy whose
/// owner's code never runs on here).
pub fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass what the kernel has installed in this process a moment ago, which nobody else in it owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// getxattr(2): does the file have this extended attribute?
pub fn has_xattr(file: &Path, name: &std::ffi::CStr) -> bool {
    let Ok(file) = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(file.as_os_str())) else {
        return false;
    };
    // SAFETY: both names are live C strings; with a size of zero nothing is written.
    unsafe { libc::getxattr(file.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
}

/// flistxattr(2): the names of an open file's extended attributes; none where the file system has no such thing.
///
/// # Errors
/// EBADF.
pub fn xattr_names(file: BorrowedFd<'_>) -> nix::Result<Vec<CString>> {
    let fd = file.as_raw_fd();
    // SAFETY: the buffer is live and has the length that is passed.
    let list = |buffer: &mut [u8]| unsafe { libc::flistxattr(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    let names = match grow(list) {
        Err(Errno::ENOTSUP) => return Ok(vec![]),
        names => names?,
    };
    Ok(names
        .split_inclusive(|b| *b == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok().map(CStr::to_owned))
        .collect())
}

/// fgetxattr(2).
///
/// # Errors
/// ENODATA when it does not have this one.
pub fn xattr(file: BorrowedFd<'_>, name: &CStr) -> nix::Result<Vec<u8>> {
    let fd = file.as_raw_fd();
    // SAFETY: the name is a live C string; the buffer is live and has the length that is passed.
    grow(|buffer| unsafe { libc::fgetxattr(fd, name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// fsetxattr(2).
///
/// # Errors
/// ENOTSUP where the file system has no such attributes, EPERM for those that are not ours to set.
pub fn set_xattr(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> nix::Result<()> {
    // SAFETY: the name is a live C string; the value is live and has the length that is passed.
    let r = unsafe { libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    check(r.into()).map(drop)
}

/// Calls with a buffer that is large enough; 64 KiB is the most that a list of attributes or a value can have (xattr(7)).
fn grow(read: impl Fn(&mut [u8]) -> isize) -> nix::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        match check(read(&mut buffer) as libc::c_long) {
            Ok(n) => {
                buffer.truncate(n as usize);
                return Ok(buffer);
            }
            Err(Errno::ERANGE) if buffer.len() < 64 * 1024 => buffer.resize(64 * 1024, 0),
            Err(e) => return Err(e),
        }
    }
}
