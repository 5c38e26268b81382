//! What the command's standard input, output and error are. Decided in the parent before clone3, because the child
//! gets descriptors by being a copy; taken up by the child at the end of the set-up.
//!
//! - A stage's command shares ours, and our session: it is run by a learner in a terminal of theirs.
//! - A container gets a session of its own. With `-t` it has a terminal of its own (see `terminal`). Without, it gets
//!   our files and pipes directly, so that nothing stands between; but never our terminal: where one of ours is a
//!   terminal, a pipe is put between, as docker does. A terminal can be read through any descriptor of it, the
//!   standard error too, and its modes can be changed: it is the host's, and stays there.

use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::sys::{exec, fs, signal, tty};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::getpgrp;
use std::cell::Cell;
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// What the child takes up. Plain numbers: they name the child's copies of what [`Stdio`] owns in the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// Ours, in our session.
    Shared {
        /// Does the command lead the terminal's foreground process group, as if a shell had started it?
        lead: bool,
    },
    /// These three, in a session of its own.
    Own([RawFd; 3]),
    /// A terminal of its own, of this size.
    Terminal(Option<tty::Size>),
}

/// Our side.
#[derive(Debug)]
pub struct Stdio {
    /// What the child takes up.
    pub streams: Streams,
    /// The sealed copy of this program that becomes the container's init (`--init`), as the child knows it.
    pub init: Option<RawFd>,
    /// What the child gets and we do not need once it has it.
    pub(crate) theirs: Vec<OwnedFd>,
    /// Copied from here to there while it runs.
    pub(crate) relays: Vec<(OwnedFd, OwnedFd)>,
    /// Is our standard input to be copied into the container's terminal?
    pub(crate) type_into: bool,
    /// Our own process group, when the command is to lead the foreground in its place.
    pub(crate) home: Option<Home>,
}

impl Stdio {
    /// Decides, opens and makes what the command will have.
    ///
    /// # Errors
    /// `-i -t` without a terminal to type at; EMFILE, ENFILE.
    pub fn prepare(spec: &Spec) -> Result<Stdio> {
        let empty = Stdio {
            streams: Streams::Shared { lead: false },
            init: None,
            theirs: vec![],
            relays: vec![],
            type_into: false,
            home: None,
        };
        if spec.args().is_empty() {
            return Ok(empty);
        }
        let mut stdio = match (spec.own_session, spec.terminal()) {
            (false, _) => shared(empty),
            (true, true) => terminal(spec, empty)?,
            (true, false) => files_and_pipes(spec, empty)?,
        };
        if spec.init {
            let program = crate::command::init::sealed_copy()?;
            stdio.init = Some(program.as_raw_fd());
            stdio.theirs.push(program);
        }
        Ok(stdio)
    }

    /// For a command whose words nobody wants: it reads nothing, and what it writes is dropped.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn silent() -> Result<Stdio> {
        let null = fs::open(Path::new("/dev/null"), OFlag::O_RDWR, 0)?;
        let streams = Streams::Own([null.as_raw_fd(); 3]);
        Ok(Stdio { streams, init: None, theirs: vec![null], relays: vec![], type_into: false, home: None })
    }

    /// For a command that reads nothing, and what it writes goes into this pipe.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn into_pipe(pipe: OwnedFd) -> Result<Stdio> {
        let null = fs::open(Path::new("/dev/null"), OFlag::O_RDONLY, 0)?;
        let (input, output) = (null.as_raw_fd(), pipe.as_raw_fd());
        let streams = Streams::Own([input, output, output]);
        Ok(Stdio { streams, init: None, theirs: vec![null, pipe], relays: vec![], type_into: false, home: None })
    }

    /// The child has its copies: without this, no pipe would ever come to its end.
    pub(crate) fn started(&mut self) {
        self.theirs.clear();
    }
}

/// Our own process group, to come back to: whatever happens to the command, the terminal is ours again.
#[derive(Debug)]
pub(crate) struct Home {
    group: i32,
    /// Has the command the terminal from us? In the background it is not ours to take back.
    lent: Cell<bool>,
}

impl Home {
    /// From when the command is started until it is waited for.
    fn new(group: i32) -> Home {
        Home { group, lent: Cell::new(true) }
    }

    /// Into our own group, with the terminal's foreground.
    pub fn enter(&self) {
        // A group whose last member has left is gone; if it was ours, we can found it anew.
        let _ = tty::join_group(self.group).or_else(|_| tty::join_group(0));
        if self.lent.replace(false) {
            let _ = tty::set_foreground(standard()[0], getpgrp().as_raw());
        }
    }

    /// Into the command's group: so that Ctrl-C reaches both, the command because it is for it, and us to tell when the
    /// kernel threw it away. When the command has ended there is no such group, and no need.
    pub fn leave_for(&self, group: i32) {
        let _ = tty::join_group(group);
    }

    /// Wakes the command, with the terminal if that has been given to us (`fg`, not `bg`).
    pub fn resume(&self, group: i32) {
        // Only from our own group: in the command's, SIGCONT would come back to us, again and again.
        if getpgrp().as_raw() == group {
            return;
        }
        let terminal = standard()[0];
        let lent = tty::foreground(terminal) == Some(self.group) && tty::set_foreground(terminal, group).is_ok();
        let _ = signal::send(-group, libc::SIGCONT);
        self.lent.set(lent);
        if lent {
            self.leave_for(group);
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.enter();
    }
}

/// A command at a terminal leads its foreground, so that a shell there finds everything as it would after login. Not
/// when one of the three is redirected: then it is part of a pipeline, whose other programs want the foreground too.
fn shared(stdio: Stdio) -> Stdio {
    let group = getpgrp().as_raw();
    let at_terminal = standard().iter().all(BorrowedFd::is_terminal);
    let lead = at_terminal && tty::foreground(standard()[0]) == Some(group);
    Stdio { streams: Streams::Shared { lead }, home: lead.then(|| Home::new(group)), ..stdio }
}

/// docker's rule: with `-i` and `-t` there must be a terminal to type at; with `-t` alone nothing is typed.
fn terminal(spec: &Spec, stdio: Stdio) -> Result<Stdio> {
    if spec.interactive && !standard()[0].is_terminal() {
        return Err(Error::new("the input device is not a TTY")
            .why("-i -t connects your terminal with the container's, and the standard input is none")
            .hint("leave out -t; or, where a program insists on a terminal: script -qec 'boxwright full-run -it …' /dev/null"));
    }
    let asked = spec.process().and_then(|p| p.console_size()).and_then(|b| {
        Some(tty::Size { rows: u16::try_from(b.height()).ok()?, columns: u16::try_from(b.width()).ok()? })
    });
    let size = asked.or_else(|| standard().into_iter().find_map(tty::size));
    Ok(Stdio { streams: Streams::Terminal(size), type_into: spec.interactive, ..stdio })
}

fn files_and_pipes(spec: &Spec, mut stdio: Stdio) -> Result<Stdio> {
    let mut numbers = [0, 1, 2];
    for (at, ours) in standard().into_iter().enumerate() {
        let input = at == 0;
        if input && !spec.interactive {
            // The host's, not one that the image brought: that might be any file (CVE-2025-31133).
            let null = fs::open(Path::new("/dev/null"), OFlag::O_RDONLY, 0)?;
            numbers[at] = null.as_raw_fd();
            stdio.theirs.push(null);
        } else if ours.is_terminal() {
            let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e))?;
            let (theirs, relay) = if input {
                (read, (duplicate(ours)?, non_blocking(write)?))
            } else {
                (write, (non_blocking(read)?, output(ours)?))
            };
            numbers[at] = theirs.as_raw_fd();
            stdio.theirs.push(theirs);
            stdio.relays.push(relay);
        }
    }
    Ok(Stdio { streams: Streams::Own(numbers), ..stdio })
}

/// Standard input, output and error. (Rust's start-up opens /dev/null for those that a caller has closed.)
pub(crate) fn standard() -> [BorrowedFd<'static>; 3] {
    [0, 1, 2].map(exec::inherited)
}

pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|e| Error::io("fcntl(F_DUPFD_CLOEXEC)", &e))
}

/// For a descriptor that only we have. (The mark belongs to the open file, so it would be seen by all who share it.)
pub(crate) fn non_blocking(fd: OwnedFd) -> Result<OwnedFd> {
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map_err(|e| Error::call("fcntl(F_SETFL, O_NONBLOCK)", e))?;
    Ok(fd)
}

/// Our own output, to be written to without ever blocking: a terminal or pipe is opened anew, because O_NONBLOCK on
/// the open file that we share with the shell would be set for the shell as well. Where that cannot be (a terminal of
/// another user's after su, a socket), it is the blocking one, and the relay writes only what poll(2) promises to take.
pub(crate) fn output(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let kind = nix::sys::stat::fstat(fd).map_or(0, |s| s.st_mode & libc::S_IFMT);
    if kind == libc::S_IFCHR || kind == libc::S_IFIFO {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let how = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        if let Ok(anew) = fs::open(Path::new(&path), how, 0) {
            return Ok(anew);
        }
    }
    duplicate(fd)
}
