//! Terminals: pseudo-terminal pairs (pty(7)), their size and modes (ioctl_tty(2), termios(3)), and which process group
//! of a session has the foreground (credentials(7)).

use super::{call, check};
use crate::error::{Error, Result};
use nix::sys::termios::{self, InputFlags, SetArg, Termios};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines of text.
    pub rows: u16,
    /// Characters in each.
    pub columns: u16,
}

/// TIOCGWINSZ: the size of a terminal; none when it is no terminal, or does not know (a serial line).
pub fn size(fd: BorrowedFd<'_>) -> Option<Size> {
    // SAFETY: winsize is a plain C structure of integers, for which all zeroes is a valid value.
    let mut w: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to a live structure of the type that this request wants.
    let r = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut w) };
    (r == 0 && w.ws_row > 0 && w.ws_col > 0).then_some(Size { rows: w.ws_row, columns: w.ws_col })
}

/// TIOCSWINSZ: sets it. When it changes, the kernel sends SIGWINCH to the terminal's foreground.
///
/// # Errors
/// ENOTTY.
pub fn set_size(fd: BorrowedFd<'_>, size: Size) -> Result<()> {
    let w = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let number = fd.as_raw_fd();
    let text = || {
        let Size { rows, columns } = size;
        format!("ioctl({number}, TIOCSWINSZ, {{ws_row={rows}, ws_col={columns}, ws_xpixel=0, ws_ypixel=0}})")
    };
    // SAFETY: the kernel reads a live structure of the type that this request wants.
    call(text, || check(unsafe { libc::ioctl(number, libc::TIOCSWINSZ, &raw const w) }.into()).map(drop))
}

/// TIOCSPTLCK: lets the other end of a new pair be opened.
///
/// # Errors
/// ENOTTY.
pub fn unlock(master: BorrowedFd<'_>) -> Result<()> {
    let (fd, no) = (master.as_raw_fd(), 0i32);
    call(
        || format!("ioctl({fd}, TIOCSPTLCK, [0])"),
        // SAFETY: the kernel reads a live integer.
        || check(unsafe { libc::ioctl(fd, libc::TIOCSPTLCK, &raw const no) }.into()).map(drop),
    )
}

/// TIOCGPTPEER: the other end of this very pair. By its path (/dev/pts/N) it could be another file by now, in a file
/// system that somebody else prepared (CVE-2025-52565).
///
/// # Errors
/// EIO while it is locked.
pub fn peer(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    let fd = master.as_raw_fd();
    let how = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    call(
        || format!("ioctl({fd}, TIOCGPTPEER, {how:#x})"),
        || {
            // SAFETY: takes an integer; on success the kernel returns a new descriptor, which nobody else owns.
            let peer = check(unsafe { libc::ioctl(fd, libc::TIOCGPTPEER, how) }.into())?;
            // SAFETY: as above.
            Ok(unsafe { OwnedFd::from_raw_fd(peer as RawFd) })
        },
    )
}

/// TIOCSCTTY: makes it the controlling terminal of the calling session leader.
///
/// # Errors
/// EPERM when the caller leads no session, or the terminal belongs to another one.
pub fn make_controlling(fd: BorrowedFd<'_>) -> Result<()> {
    let fd = fd.as_raw_fd();
    call(
        || format!("ioctl({fd}, TIOCSCTTY, 0)"),
        // SAFETY: takes an integer.
        || check(unsafe { libc::ioctl(fd, libc::TIOCSCTTY, 0) }.into()).map(drop),
    )
}

/// fchown(2) of a terminal or pipe; the group stays.
///
/// # Errors
/// EPERM; EINVAL for a user that the user namespace does not map.
pub fn give_to(fd: BorrowedFd<'_>, uid: u32) -> Result<()> {
    let text = || format!("fchown({}, {uid}, -1)", fd.as_raw_fd());
    call(text, || nix::unistd::fchown(fd, Some(uid.into()), None))
}

/// TIOCGPGRP: the process group that has the terminal's foreground; none when this is not our controlling terminal.
pub fn foreground(fd: BorrowedFd<'_>) -> Option<i32> {
    nix::unistd::tcgetpgrp(fd).ok().map(nix::unistd::Pid::as_raw)
}

/// TIOCSPGRP: gives the terminal's foreground to a process group of our session, also from the background, where the
/// kernel would otherwise stop us with SIGTTOU (tcsetpgrp(3)).
///
/// # Errors
/// EPERM for a group of another session, ESRCH for one that is gone, ENOTTY.
pub fn set_foreground(fd: BorrowedFd<'_>, group: i32) -> Result<()> {
    let number = fd.as_raw_fd();
    super::signal::block(&[libc::SIGTTOU])?;
    let result = call(
        || format!("ioctl({number}, TIOCSPGRP, [{group}])"),
        // SAFETY: the kernel reads a live integer.
        || check(unsafe { libc::ioctl(number, libc::TIOCSPGRP, &raw const group) }.into()).map(drop),
    );
    super::signal::unblock(&[libc::SIGTTOU])?;
    result
}

/// setpgid(2) of the calling process: into that process group, or with 0 a new one of its own.
///
/// # Errors
/// EPERM for a group that is gone or of another session.
pub fn join_group(group: i32) -> Result<()> {
    let pid = nix::unistd::Pid::from_raw;
    call(|| format!("setpgid(0, {group})"), || nix::unistd::setpgid(pid(0), pid(group)))
}

/// The modes of a terminal, to be restored.
#[derive(Debug)]
pub struct Modes(Termios);

/// TCGETS.
///
/// # Errors
/// ENOTTY.
pub fn modes(fd: impl AsFd) -> Result<Modes> {
    termios::tcgetattr(fd).map(Modes).map_err(|e| Error::call("ioctl(TCGETS)", e))
}

/// TCSETSW: sets modes, after what was written has gone out. In the background this stops the caller (SIGTTOU).
///
/// # Errors
/// EIO in an orphaned background group.
pub fn set_modes(fd: impl AsFd, modes: &Modes) -> Result<()> {
    termios::tcsetattr(fd, SetArg::TCSADRAIN, &modes.0).map_err(|e| Error::call("ioctl(TCSETSW)", e))
}

/// The same modes, but raw: every byte goes through as it is, Ctrl-C too.
pub fn raw(modes: &Modes) -> Modes {
    let mut raw = modes.0.clone();
    termios::cfmakeraw(&mut raw);
    Modes(raw)
}

/// Lets the line editing of `terminal` know that its input is UTF-8 (so that one backspace erases one character), when
/// that is what `like` says.
///
/// # Errors
/// ENOTTY.
pub fn copy_utf8(like: BorrowedFd<'_>, terminal: BorrowedFd<'_>) -> Result<()> {
    let Ok(Modes(ours)) = modes(like) else { return Ok(()) };
    if ours.input_flags.contains(InputFlags::IUTF8) {
        let Modes(mut theirs) = modes(terminal)?;
        theirs.input_flags.insert(InputFlags::IUTF8);
        set_modes(terminal, &Modes(theirs))?;
    }
    Ok(())
}
