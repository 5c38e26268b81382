//! The container's own terminal (`-t`): a pair from the container's own devpts. The slave becomes the controlling
//! terminal of its session, its standard streams and its /dev/console; the master goes to the parent, which relays it.
//! Nothing of the host's terminal comes in, so nothing can be typed into it (TIOCSTI) from inside.

use crate::command::stdio::Streams;
use crate::error::{Error, Result};
use crate::spawn::Guest;
use crate::sys::fs::{Links, Node};
use crate::sys::{exec, fs, mount, process, tty};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::statfs::{DEVPTS_SUPER_MAGIC, FsType, fstatfs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// Gives the container its terminal, if it is to have one, and its user the pipes that it has instead. For `pivot-root`,
/// once the new /dev and /dev/pts are there and /dev can be written to, while mounting is still allowed and the process
/// is still root.
///
/// # Errors
/// When there is no devpts at /dev/pts, or what is there is none.
pub fn inside(guest: &mut Guest) -> Result<()> {
    match guest.stdio {
        Streams::Shared { .. } => Ok(()),
        Streams::Own(numbers) => own_pipes(guest, numbers),
        Streams::Terminal(size) => {
            let root = fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
            let (master, slave) = make(guest, root.as_fd(), size)?;
            bind_console(root.as_fd(), slave.as_fd())?;
            guest.send_terminal(master.as_fd())
        }
    }
}

/// The same for a command that comes later: /dev/console is the terminal of the first one, and stays it.
///
/// # Errors
/// As [`inside`].
pub fn joined(guest: &mut Guest) -> Result<()> {
    let Streams::Terminal(size) = guest.stdio else { return inside(guest) };
    let root = fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    let (master, _slave) = make(guest, root.as_fd(), size)?;
    guest.send_terminal(master.as_fd())
}

/// A program that opens /dev/stdout anew (nginx's logs, say) needs to own the pipe behind it. A pipe is nobody else's;
/// a file of the host's is, so that stays as it is.
fn own_pipes(guest: &mut Guest, numbers: [RawFd; 3]) -> Result<()> {
    const PIPEFS_MAGIC: FsType = FsType(0x5049_5045);
    let uid = guest.user()?.uid;
    let is_pipe = |fd: &BorrowedFd<'_>| fstatfs(fd).is_ok_and(|s| s.filesystem_type() == PIPEFS_MAGIC);
    for pipe in numbers.map(exec::inherited).iter().filter(|fd| uid != 0 && is_pipe(fd)) {
        // EPERM and EINVAL: not ours to give, or a user that is not mapped. Then it works only as it is.
        let _ = tty::give_to(*pipe, uid);
    }
    Ok(())
}

/// The pair: its master, and its slave, which is the standard streams by then.
fn make(guest: &mut Guest, root: BorrowedFd<'_>, size: Option<tty::Size>) -> Result<(OwnedFd, OwnedFd)> {
    let master = open_master(root)?;
    tty::unlock(master.as_fd())?;
    let slave = tty::peer(master.as_fd())?;
    if let Some(size) = size {
        tty::set_size(slave.as_fd(), size)?;
    }
    tty::copy_utf8(exec::inherited(0), slave.as_fd())?;
    own(guest, slave.as_fd())?;
    // Only who leads a session without a terminal can get one.
    process::setsid()?;
    tty::make_controlling(slave.as_fd())?;
    for stream in 0..3 {
        exec::dup_to(slave.as_raw_fd(), stream)?;
    }
    Ok((master, slave))
}

fn open_master(root: BorrowedFd<'_>) -> Result<OwnedFd> {
    let how = OFlag::O_RDWR | OFlag::O_NOCTTY;
    let master = fs::open_in_root(root, Path::new("dev/pts/ptmx"), how, 0, Links::Refuse).map_err(|e| {
        e.explain(
            Errno::ENOENT,
            "the container has no devpts at /dev/pts",
            "leave out -t, or give it the mount: type devpts at /dev/pts",
        )
    })?;
    let status = nix::sys::stat::fstat(&master).map_err(|e| Error::call("fstat(/dev/pts/ptmx)", e))?;
    let system = fstatfs(&master).map_err(|e| Error::call("fstatfs(/dev/pts/ptmx)", e))?;
    if system.filesystem_type() != DEVPTS_SUPER_MAGIC || status.st_rdev != libc::makedev(5, 2) {
        return Err(Error::new("/dev/pts/ptmx is no pseudo-terminal multiplexer")
            .why("something else is mounted at /dev/pts, and what is opened there is not what it seems"));
    }
    Ok(master)
}

/// Who runs as an ordinary user can open /dev/tty and /dev/stdout only when the terminal is theirs.
fn own(guest: &mut Guest, slave: BorrowedFd<'_>) -> Result<()> {
    let uid = guest.user()?.uid;
    match tty::give_to(slave, uid) {
        // A user that the user namespace does not map: `drop-caps` says it better.
        Err(e) if e.is(Errno::EINVAL) => Ok(()),
        other => other,
    }
}

/// /dev/console is the terminal too, as in docker. Both sides are descriptors: a path could have been exchanged by
/// somebody who shares the root file system (CVE-2025-52565).
fn bind_console(root: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> Result<()> {
    let dev = fs::open_in_root(root, Path::new("dev"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0, Links::Refuse)?;
    match fs::mknod_at(dev.as_fd(), Path::new("console"), Node::File, 0o600) {
        Err(e) if e.is(Errno::EROFS) => return Ok(()),
        Err(e) if !e.is(Errno::EEXIST) => return Err(e),
        _ => {}
    }
    let at = fs::open_at(dev.as_fd(), Path::new("console"), OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?;
    let terminal = mount::clone_tree(slave, Path::new(""), false)?;
    // On a symbolic link (O_PATH with O_NOFOLLOW opens the link itself) the kernel refuses to mount.
    mount::attach(terminal.as_fd(), at.as_fd())
}
