//! Around execve(2): the descriptors that a program starts with, and programs that are no file (memfd_create(2)).

use super::{call, check, quoted};
use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// dup2(2): `to` becomes another name of what `from` is, without close-on-exec. The same number twice: only the mark
/// goes.
///
/// # Errors
/// EBADF.
pub fn dup_to(from: RawFd, to: RawFd) -> Result<()> {
    if from == to {
        let text = || format!("fcntl({to}, F_SETFD, 0)");
        // SAFETY: changes one flag of a descriptor number; nobody's ownership changes.
        return call(text, || check(unsafe { libc::fcntl(to, libc::F_SETFD, 0) }.into()).map(drop));
    }
    call(
        || format!("dup3({from}, {to}, 0)"),
        // SAFETY: only called with 0, 1 and 2 as the target, in a child about to exec: the standard library's handles
        // for those do not own what they name.
        || check(unsafe { libc::dup3(from, to, 0) }.into()).map(drop),
    )
}

/// memfd_create(2): a file in memory that can be executed, and that can be sealed.
///
/// # Errors
/// EACCES where the sysctl vm.memfd_noexec is 2.
pub fn memfd(name: &str) -> Result<OwnedFd> {
    const MFD_EXEC: u32 = 0x10;
    let text = |exec: &str| format!("memfd_create({}, MFD_CLOEXEC|MFD_ALLOW_SEALING{exec})", quoted(name));
    let c = CString::new(name).map_err(|_| Error::new(format!("{name:?} has a zero byte")))?;
    let make = |how: u32| {
        // SAFETY: the name is a live C string; on success the kernel returns a new descriptor, which nobody else owns.
        let fd = check(unsafe { libc::memfd_create(c.as_ptr(), how) }.into())?;
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    };
    let plain = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    match call(|| text("|MFD_EXEC"), || make(plain | MFD_EXEC)) {
        // Before Linux 6.3 there is no such flag, and every memfd can be executed.
        Err(e) if e.is(Errno::EINVAL) => call(|| text(""), || make(plain)),
        other => other,
    }
}

/// F_ADD_SEALS: from now on nobody can change it, not even who holds it open for writing.
///
/// # Errors
/// EBUSY when it is mapped for writing.
pub fn seal(memfd: BorrowedFd<'_>) -> Result<()> {
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    call(
        || format!("fcntl({}, F_ADD_SEALS, F_SEAL_SEAL|F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_WRITE)", memfd.as_raw_fd()),
        || fcntl(memfd, FcntlArg::F_ADD_SEALS(seals)).map(drop),
    )
}

/// execveat(2) with AT_EMPTY_PATH: become the program that a descriptor is. Returns only on failure.
pub fn execute(program: BorrowedFd<'_>, argv: &[CString], env: &[CString]) -> Error {
    let show = |list: &[CString]| list.iter().map(|a| quoted(a.to_bytes())).collect::<Vec<_>>().join(", ");
    let (fd, vars) = (program.as_raw_fd(), env.len());
    let text = format!("execveat({fd}, \"\", [{}], /* {vars} vars */, AT_EMPTY_PATH)", show(argv));
    super::announce(&text);
    match nix::unistd::execveat(program, c"", argv, env, nix::fcntl::AtFlags::AT_EMPTY_PATH) {
        Err(e) => Error::call(text, e),
        Ok(never) => match never {},
    }
}

/// The descriptor of that number, for as long as this process lives: one that the parent opened for this child.
pub fn inherited(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: only called in the child, with a number that the parent's owner kept open across clone3; nothing in the
    // child closes it before exec.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// May the calling process, with its effective ids, execute this file? (faccessat2(2), X_OK)
pub fn may_execute(file: &std::path::Path) -> nix::Result<()> {
    nix::unistd::faccessat(nix::fcntl::AT_FDCWD, file, nix::unistd::AccessFlags::X_OK, nix::fcntl::AtFlags::AT_EACCESS)
}
