//! Between the caller and a command that runs in a container: bytes both ways where a terminal is in between, the size of
//! the caller's, and the exit code. Files and pipes of the caller's the command has itself.

use crate::command::foreground::pump::Pump;
use crate::command::foreground::{Raw, Signals};
use crate::command::stdio::{self, Stdio, Streams};
use crate::container::attach::Keys;
use crate::error::{Error, Result};
use crate::spawn::join::Joined;
use crate::sys::{signal, tty};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Attends to it until it ends; or until the caller leaves it, by the detach keys or a signal.
///
/// # Errors
/// When the output fails (ENOSPC), and when the keeper was killed.
pub fn attend(mut joined: Joined, signals: &Signals, mut stdio: Stdio, keys: Vec<u8>) -> Result<u8> {
    stdio.started();
    let mut visit =
        Visit { signals: signals.as_fd(), raw: None, typing: None, inputs: vec![], outputs: vec![], end: None };
    if let Streams::Terminal(_) = stdio.streams {
        let master = joined.terminal.take().ok_or_else(|| Error::new("the command sent no terminal"))?;
        let master = stdio::non_blocking(master)?;
        let [stdin, stdout, _] = stdio::standard();
        if stdio.type_into {
            visit.raw = Some(Raw::make()?);
            let (from, to) = (stdio::duplicate(stdin)?, stdio::duplicate(master.as_fd())?);
            visit.typing = Some(Typing { from, to, keys: Keys::new(keys), waiting: vec![], left: false });
        }
        visit.outputs.push(Pump::new(stdio::duplicate(master.as_fd())?, stdio::output(stdout)?));
        joined.terminal = Some(master);
    }
    for (from, to) in stdio.relays.drain(..) {
        let side = if from.is_terminal() { &mut visit.inputs } else { &mut visit.outputs };
        side.push(Pump::new(from, to));
    }
    resize(&joined);
    loop {
        match visit.turn(&mut joined)? {
            Turn::GoOn => {}
            Turn::Ended(code) => return Ok(code),
            Turn::Left(code) => {
                joined.leave();
                return Ok(code);
            }
        }
    }
}

struct Visit<'a> {
    signals: BorrowedFd<'a>,
    /// Our terminal in raw mode, from when we type into the command's.
    raw: Option<Raw>,
    typing: Option<Typing>,
    inputs: Vec<Pump>,
    outputs: Vec<Pump>,
    end: Option<u8>,
}

enum Turn {
    GoOn,
    Ended(u8),
    Left(u8),
}

impl Visit<'_> {
    /// Waits for what comes next, and deals with it. Once the command has ended, only for what is there at once, unless a
    /// slow reader must be waited for.
    fn turn(&mut self, joined: &mut Joined) -> Result<Turn> {
        let ready = self.wait(joined)?;
        if ready.signals {
            while let Some(arrived) = signal::next(self.signals) {
                match (arrived.signal, self.end) {
                    (libc::SIGWINCH, _) => resize(joined),
                    (libc::SIGCONT, _) => {
                        self.raw.iter().for_each(Raw::again);
                        resize(joined);
                    }
                    (_, Some(code)) => return Ok(Turn::Ended(code)),
                    // docker's: it asks us to end, and not the command.
                    (signal, None) => return Ok(Turn::Left((128 + signal) as u8)),
                }
            }
        }
        if ready.end {
            self.end = Some(joined.ended()?);
            self.typing = None;
            self.inputs.clear();
        }
        if ready.pumps[0]
            && let Some(typing) = &mut self.typing
        {
            match typing.turn() {
                Typed::On => {}
                Typed::Keys => return Ok(Turn::Left(0)),
                // As a window that closes.
                Typed::End => {
                    self.typing = None;
                    self.outputs.iter_mut().for_each(Pump::close);
                }
            }
        }
        let (inputs, outputs) = ready.pumps[1..].split_at(ready.inputs);
        for (pump, _) in self.inputs.iter_mut().zip(inputs).filter(|(_, ready)| **ready) {
            // It may refuse its input without our failing for it.
            if pump.turn().is_err() {
                pump.close();
            }
        }
        for (pump, _) in self.outputs.iter_mut().zip(outputs).filter(|(_, ready)| **ready) {
            pump.turn()?;
        }
        if joined.terminal.is_some() && self.outputs.iter().all(Pump::is_done) {
            // Nobody looks at it any more: for the command it has hung up.
            (joined.terminal, self.typing) = (None, None);
        }
        Ok(match self.end {
            Some(code) if ready.quiet => Turn::Ended(code),
            _ => Turn::GoOn,
        })
    }

    fn wait(&self, joined: &Joined) -> Result<Ready> {
        let mut fds = vec![PollFd::new(self.signals, PollFlags::POLLIN)];
        if self.end.is_none() {
            fds.push(PollFd::new(joined.as_fd(), PollFlags::POLLIN));
        }
        let typing = std::iter::once(self.typing.as_ref().map(Typing::wants));
        let pumps = self.inputs.iter().chain(&self.outputs).map(Pump::wants);
        let places: Vec<Option<usize>> = typing
            .chain(pumps)
            .map(|wants| {
                let (fd, flags) = wants?;
                fds.push(PollFd::new(fd, flags));
                Some(fds.len() - 1)
            })
            .collect();
        let at_once = self.end.is_some() && !self.outputs.iter().any(Pump::is_full);
        loop {
            match poll(&mut fds, if at_once { PollTimeout::ZERO } else { PollTimeout::NONE }) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Error::call("poll(the command)", e)),
            }
        }
        let is_ready = |at: usize| fds[at].any().unwrap_or(false);
        let pumps: Vec<bool> = places.iter().map(|place| place.is_some_and(is_ready)).collect();
        let quiet = at_once && !pumps.contains(&true);
        Ok(Ready {
            signals: is_ready(0),
            end: self.end.is_none() && is_ready(1),
            inputs: self.inputs.len(),
            pumps,
            quiet,
        })
    }
}

struct Ready {
    signals: bool,
    end: bool,
    /// Typing first, then so many inputs, then the outputs.
    pumps: Vec<bool>,
    inputs: usize,
    quiet: bool,
}

/// What is typed, on its way into the command's terminal.
struct Typing {
    from: OwnedFd,
    to: OwnedFd,
    keys: Keys,
    waiting: Vec<u8>,
    /// The detach keys came; what was typed before them is yet to go.
    left: bool,
}

enum Typed {
    On,
    Keys,
    End,
}

impl Typing {
    fn wants(&self) -> (BorrowedFd<'_>, PollFlags) {
        if self.waiting.is_empty() {
            (self.from.as_fd(), PollFlags::POLLIN)
        } else {
            (self.to.as_fd(), PollFlags::POLLOUT)
        }
    }

    fn turn(&mut self) -> Typed {
        if self.waiting.is_empty() {
            let mut buffer = [0; 4096];
            match nix::unistd::read(&self.from, &mut buffer) {
                Ok(0) => return Typed::End,
                Ok(n) => (self.waiting, self.left) = self.keys.pass(&buffer[..n]),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return Typed::End,
            }
        } else {
            match nix::unistd::write(&self.to, &self.waiting) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return Typed::End,
            }
        }
        if self.left && self.waiting.is_empty() { Typed::Keys } else { Typed::On }
    }
}

/// The command's terminal gets the size of ours.
fn resize(joined: &Joined) {
    if let Some(terminal) = &joined.terminal
        && let Some(size) = stdio::standard().into_iter().find_map(tty::size)
    {
        // It may have hung up; then nobody looks at it.
        let _ = tty::set_size(terminal.as_fd(), size);
    }
}
