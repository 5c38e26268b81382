//! A container in the foreground: boxwright stands between it and the terminal, the signals and the exit code, until
//! it ends. One loop over descriptors (the container's pidfd, a signalfd, the relays) and no thread.
//!
//! Signals. What boxwright gets is passed on (docker's `--sig-proxy`), except what the terminal has sent to the command
//! itself already. The kernel throws away every signal for which process 1 of a PID namespace has no handler
//! (pid_namespaces(7)), so Ctrl-C on `sleep` does nothing; we say so, and the third such request in a row is SIGKILL.
//! If boxwright itself is killed with SIGKILL, the next boxwright command ends the container.

pub mod pump;

use crate::command::stdio::{self, Stdio, Streams};
use crate::error::{Error, Result};
use crate::spawn::Running;
use crate::sys::process::{self, End};
use crate::sys::signal::{self, Arrived};
use crate::sys::tty;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pump::Pump;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The signals that are passed on, held back until somebody reads them. Made first of all, so that none gets lost and
/// none ends boxwright before it has cleaned up.
#[derive(Debug)]
pub struct Signals(OwnedFd);

/// Everything that can be caught but these: what a fault of our own would send, SIGPIPE (ours, not the command's), and
/// SIGTTIN and SIGTTOU, which must stop a boxwright in the background that reaches for the terminal.
fn forwarded() -> impl Iterator<Item = i32> {
    use libc::*;
    let named =
        [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCONT, SIGTSTP, SIGWINCH, SIGIO, SIGPWR];
    named.into_iter().chain(SIGRTMIN()..=SIGRTMAX())
}

impl Signals {
    /// Blocks those that a command's client heeds itself: the ones that ask it to end, and what its terminal tells it.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn of_a_client() -> Result<Signals> {
        use libc::*;
        let wanted = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH, SIGCONT];
        let wanted: Vec<i32> = wanted.into_iter().filter(|&s| !signal::is_ignored(s)).collect();
        signal::block(&wanted)?;
        Ok(Signals(signal::fd(&wanted)?))
    }

    /// Blocks them. The child that becomes a container inherits this, and `full-run` takes it back before exec.
    ///
    /// What our caller had us ignore (nohup, a shell's background job) stays ignored.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn block() -> Result<Signals> {
        let mut wanted: Vec<i32> = forwarded().filter(|&s| !signal::is_ignored(s)).collect();
        wanted.push(libc::SIGCHLD);
        signal::block(&wanted)?;
        Ok(Signals(signal::fd(&wanted)?))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Attends a container until its process 1 has ended and all its output has gone out.
///
/// # Errors
/// When the terminal or the output fails (ENOSPC). Its process 1 is dead then, too.
pub fn attend(running: &mut Running<'_>, signals: &Signals, stdio: Stdio) -> Result<End> {
    let mut attendant = match Attendant::new(running, signals, stdio) {
        Ok(attendant) => attendant,
        Err(e) => {
            let _ = process::pidfd_kill(&running.pidfd, libc::SIGKILL);
            let _ = process::wait(running.pid);
            return Err(e);
        }
    };
    let result = attendant.attend();
    if result.is_err() && attendant.end.is_none() {
        let _ = process::pidfd_kill(&running.pidfd, libc::SIGKILL);
        let _ = process::wait(running.pid);
    }
    result
}

struct Attendant<'a> {
    pid: i32,
    pidfd: BorrowedFd<'a>,
    signals: BorrowedFd<'a>,
    stdio: Stdio,
    /// Our terminal in raw mode, from when we type into the container's.
    raw: Option<Raw>,
    /// The container's terminal, to be resized.
    terminal: Option<OwnedFd>,
    input: Option<Pump>,
    outputs: Vec<Pump>,
    /// How often in a row it was asked to end by a signal that it does not hear.
    unheard: u32,
    end: Option<End>,
}

impl<'a> Attendant<'a> {
    fn new(running: &'a mut Running<'_>, signals: &'a Signals, mut stdio: Stdio) -> Result<Self> {
        stdio.started();
        let (mut raw, mut terminal, mut input, mut outputs) = (None, None, None, vec![]);
        if let Streams::Terminal(_) = stdio.streams {
            let master = running.terminal.take().ok_or_else(|| Error::new("the container sent no terminal"))?;
            let master = stdio::non_blocking(master)?;
            let [stdin, stdout, _] = stdio::standard();
            if stdio.type_into {
                raw = Some(Raw::make()?);
                input = Some(Pump::new(stdio::duplicate(stdin)?, stdio::duplicate(master.as_fd())?));
            }
            outputs.push(Pump::new(stdio::duplicate(master.as_fd())?, stdio::output(stdout)?));
            terminal = Some(master);
        }
        for (from, to) in stdio.relays.drain(..) {
            let into_container = to_container(&from);
            let pump = Pump::new(from, to);
            if into_container { input = Some(pump) } else { outputs.push(pump) }
        }
        let pid = running.pid.as_raw();
        if let Some(home) = &stdio.home {
            home.leave_for(pid);
        }
        let (pidfd, signals) = (running.pidfd.as_fd(), signals.as_fd());
        let new = Attendant { pid, pidfd, signals, stdio, raw, terminal, input, outputs, unheard: 0, end: None };
        new.resize();
        Ok(new)
    }

    fn attend(&mut self) -> Result<End> {
        loop {
            let ready = self.wait()?;
            if ready.signals {
                while let Some(arrived) = signal::next(self.signals) {
                    // The container has ended, and whoever reads our output does not: the user wants no more of it.
                    if self.end.is_some() && [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].contains(&arrived.signal) {
                        self.outputs.clear();
                    }
                    self.heed(arrived)?;
                }
            }
            if ready.ended {
                self.end = Some(process::wait(nix::unistd::Pid::from_raw(self.pid))?);
                self.input = None;
            }
            if ready.input
                && let Some(input) = &mut self.input
            {
                // The container may refuse its input without our failing for it.
                if input.turn().is_err() || input.is_done() {
                    self.input = None;
                    if self.raw.is_some() {
                        self.hang_up();
                    }
                }
            }
            for (pump, ready) in self.outputs.iter_mut().zip(ready.outputs) {
                if ready {
                    pump.turn()?;
                }
            }
            if self.outputs.iter().all(Pump::is_done) && matches!(self.stdio.streams, Streams::Terminal(_)) {
                // Nobody reads its terminal any more (or it closed it for good): it has hung up, as a window that closes.
                self.terminal = None;
            }
            // All that it wrote is in our buffers or the kernel's; with nothing ready there, nothing will come.
            if let Some(end) = self.end
                && ready.quiet
            {
                return Ok(end);
            }
        }
    }

    /// Waits for whatever comes next. Once the container has ended, only for what is there at once, unless a slow
    /// reader must be waited for.
    fn wait(&self) -> Result<Ready> {
        let mut fds = vec![PollFd::new(self.signals, PollFlags::POLLIN)];
        let ended = self.end.is_some();
        if !ended {
            fds.push(PollFd::new(self.pidfd, PollFlags::POLLIN));
        }
        let pumps = self.outputs.iter().chain(&self.input);
        let places: Vec<Option<usize>> = pumps
            .map(|pump| {
                let (fd, flags) = pump.wants()?;
                fds.push(PollFd::new(fd, flags));
                Some(fds.len() - 1)
            })
            .collect();
        let at_once = ended && !self.outputs.iter().any(Pump::is_full);
        loop {
            match poll(&mut fds, if at_once { PollTimeout::ZERO } else { PollTimeout::NONE }) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Error::call("poll(the container)", e)),
            }
        }
        let is_ready = |at: usize| fds[at].any().unwrap_or(false);
        let mut pumps: Vec<bool> = places.iter().map(|place| place.is_some_and(is_ready)).collect();
        let input = pumps.len() > self.outputs.len() && pumps.pop() == Some(true);
        let quiet = at_once && !pumps.contains(&true);
        Ok(Ready { signals: is_ready(0), ended: !ended && is_ready(1), input, outputs: pumps, quiet })
    }

    fn hang_up(&mut self) {
        self.terminal = None;
        self.outputs.iter_mut().for_each(Pump::close);
    }

    fn heed(&mut self, Arrived { signal, from_kernel }: Arrived) -> Result<()> {
        let shared = matches!(self.stdio.streams, Streams::Shared { .. });
        match signal {
            libc::SIGCHLD if shared && self.end.is_none() && process::has_stopped(self.pidfd) => return self.suspend(),
            libc::SIGCHLD => return Ok(()),
            libc::SIGWINCH if self.terminal.is_some() => {
                self.resize();
                return Ok(());
            }
            libc::SIGCONT => self.resume(),
            _ => {}
        }
        // In a shared session the terminal has told the command itself.
        let told = shared && from_kernel;
        if !told && self.end.is_none() {
            // ESRCH: it has ended meanwhile.
            let _ = process::pidfd_kill(self.pidfd, signal);
        }
        self.insist(signal);
        Ok(())
    }

    /// Ctrl-C on a command that does not hear it.
    fn insist(&mut self, signal: i32) {
        if ![libc::SIGINT, libc::SIGTERM, libc::SIGQUIT].contains(&signal) || self.end.is_some() {
            return;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        if !discards(&status, signal) {
            self.unheard = 0;
            return;
        }
        self.unheard += 1;
        let name = signal::name(signal);
        match self.unheard {
            1 => eprintln!(
                "boxwright: {name} did nothing: the command is process 1 and has no handler for it, and such signals the \
                 kernel throws away. Twice more ends it with SIGKILL{}.",
                if self.stdio.init.is_some() {
                    ""
                } else {
                    "; --init puts a process 1 above it that passes signals on"
                }
            ),
            2 => {}
            _ => drop(process::pidfd_kill(self.pidfd, libc::SIGKILL)),
        }
    }

    /// The container's terminal gets the size of ours.
    fn resize(&self) {
        if let Some(terminal) = &self.terminal
            && let Some(size) = stdio::standard().into_iter().find_map(tty::size)
        {
            // It may have hung up; then nobody looks at it.
            let _ = tty::set_size(terminal.as_fd(), size);
        }
    }

    /// The command was stopped (Ctrl-Z): so are we, and whoever started us gets the terminal.
    fn suspend(&mut self) -> Result<()> {
        if let Some(home) = &self.stdio.home {
            home.enter();
        }
        // SIGTSTP rather than SIGSTOP: where no shell looks after us that could ever wake us (an orphaned process
        // group), the kernel ignores it, and we go on at once. To the whole group, as the terminal would have done: a
        // shell looks after its direct child, and that may be sudo.
        signal::send(0, libc::SIGTSTP).map_err(|e| Error::call("kill(0, SIGTSTP)", e))?;
        signal::unblock(&[libc::SIGTSTP])?;
        signal::block(&[libc::SIGTSTP])?;
        self.resume();
        Ok(())
    }

    /// We were woken, in the foreground (`fg`) or not (`bg`).
    fn resume(&mut self) {
        if let Some(raw) = &self.raw {
            raw.again();
            self.resize();
        }
        if let Some(home) = &self.stdio.home {
            home.resume(self.pid);
        } else if matches!(self.stdio.streams, Streams::Shared { .. }) {
            let _ = process::pidfd_kill(self.pidfd, libc::SIGCONT);
        }
    }
}

struct Ready {
    signals: bool,
    ended: bool,
    input: bool,
    outputs: Vec<bool>,
    quiet: bool,
}

/// Of our relays, the one that starts at a terminal goes into the container.
fn to_container(from: &OwnedFd) -> bool {
    std::io::IsTerminal::is_terminal(from)
}

/// Our terminal, raw until this is dropped. (After a kill -9 of boxwright it stays so: `stty sane` mends it.)
#[derive(Debug)]
pub struct Raw {
    before: tty::Modes,
}

impl Raw {
    /// From now on.
    ///
    /// # Errors
    /// ENOTTY.
    pub fn make() -> Result<Raw> {
        let before = tty::modes(stdio::standard()[0])?;
        let raw = Raw { before };
        tty::set_modes(stdio::standard()[0], &tty::raw(&raw.before))?;
        Ok(raw)
    }

    /// A shell that had the terminal meanwhile has set its own modes.
    pub fn again(&self) {
        if tty::foreground(stdio::standard()[0]) == Some(nix::unistd::getpgrp().as_raw()) {
            let _ = tty::set_modes(stdio::standard()[0], &tty::raw(&self.before));
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tty::set_modes(stdio::standard()[0], &self.before);
    }
}

/// Does the kernel throw this signal away, by what /proc/PID/status says? It does for process 1 of a PID namespace that
/// neither catches nor blocks it (who blocks it reads it with sigwait or a signalfd).
fn discards(status: &str, signal: i32) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let bit = |name: &str| {
        let set = field(name).and_then(|v| u64::from_str_radix(v.trim(), 16).ok()).unwrap_or(u64::MAX);
        set & (1 << (signal - 1)) != 0
    };
    let numbers: Vec<&str> = field("NSpid:").unwrap_or_default().split_whitespace().collect();
    numbers.len() > 1 && numbers.last() == Some(&"1") && !bit("SigCgt:") && !bit("SigBlk:")
}

#[cfg(test)]
mod tests {
    use super::discards;

    #[test]
    fn only_a_process_1_without_a_handler_is_deaf() {
        let status = |nspid: &str, blocked: &str, caught: &str| {
            format!("Name:\tsleep\nNSpid:\t{nspid}\nSigBlk:\t{blocked}\nSigCgt:\t{caught}\n")
        };
        let (none, int) = ("0000000000000000", "0000000000000002");
        assert!(discards(&status("400\t1", none, none), libc::SIGINT));
        assert!(discards(&status("400\t1", none, int), libc::SIGTERM));
        assert!(!discards(&status("400\t1", none, int), libc::SIGINT));
        assert!(!discards(&status("400\t1", int, none), libc::SIGINT));
        assert!(!discards(&status("400\t2", none, none), libc::SIGINT));
        assert!(!discards(&status("400", none, none), libc::SIGINT));
        assert!(!discards("", libc::SIGINT), "who cannot look says nothing");
    }
}
