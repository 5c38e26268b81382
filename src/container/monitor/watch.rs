//! What a monitor does for as long as the container runs: output goes into the log and to those who are attached, what
//! they type goes in; and when it has ended, it takes everything back, and writes down how it ended. One loop that waits
//! for descriptors; a clock is one of them only where there is a health check.

use super::Baggage;
use super::{go, inherited};
use crate::container::attach::{self, Message, PIECE};
use crate::container::health::checks::Checks;
use crate::container::log::{Stream, Writer};
use crate::container::store::{Container, Store};
use crate::container::{Restart, times};
use crate::error::{Error, Result};
use crate::journal::{Journal, Made};
use crate::sys::process::{self, End};
use crate::sys::tty;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

struct Client {
    socket: OwnedFd,
    /// A message that its socket had no room for. Until it is out, nobody's output is read: a fast writer is held back.
    waiting: Option<Message>,
    /// What it has typed and the container has not yet taken.
    typed: Vec<u8>,
    gone: bool,
}

struct Watch<'a> {
    container: &'a Container<'a>,
    pidfd: OwnedFd,
    pid: i32,
    outputs: Vec<Option<OwnedFd>>,
    terminal: bool,
    stdin: Option<OwnedFd>,
    listener: OwnedFd,
    clients: Vec<Client>,
    log: Writer,
    buffer: Vec<u8>,
    checks: Option<Checks<'a>>,
    ended: Option<End>,
    stop: bool,
}

/// Watches a container until it has ended, and no policy starts it again.
///
/// # Errors
/// What is left on the machine then, the journal has.
pub fn until_the_end(container: &Container<'_>, baggage: Baggage) -> Result<()> {
    let journal = Journal::from_fd(container.state(), &baggage.id, inherited(baggage.journal));
    let _held: Vec<OwnedFd> = baggage.held.into_iter().map(inherited).collect();
    let begun = Instant::now();
    let mut watch = Watch {
        container,
        pidfd: inherited(baggage.pidfd),
        pid: baggage.pid,
        outputs: baggage.outputs.into_iter().map(|fd| Some(quick(inherited(fd)))).collect(),
        terminal: baggage.terminal,
        stdin: baggage.stdin.map(|fd| quick(inherited(fd))),
        listener: inherited(baggage.listener),
        clients: baggage.client.into_iter().map(|fd| Client::new(quick(inherited(fd)))).collect(),
        log: Writer::open(&container.dir(), container.record.log)?,
        buffer: vec![0; PIECE],
        checks: Checks::of(container)?,
        ended: None,
        stop: false,
    };
    let end = watch.attend()?;
    // Whoever is looking at a container that has ended has nothing more to say.
    watch.checks = None;
    let code = i32::from(end.exit_code());
    let made = journal.made().unwrap_or_default();
    let oom = crate::cgroup::counters(&made.cgroups).oom_kill.is_some_and(|n| n > 0);
    let undone = crate::journal::undo_all(&made);
    let again = watch.policy(code);
    let locked = container.lock();
    let _ = container.note(|h| {
        (h.finished, h.exit_code, h.oom_killed) = (times::now(), Some(code), oom);
        if let Err(e) = &undone {
            h.error = e.to_string();
        }
    });
    drop(locked);
    if again && undone.is_ok() {
        let _ = journal.save(&Made { id: baggage.id.clone(), kept: true, ..Made::default() });
        if watch.pause(begun.elapsed()) {
            // Whoever stops it has this lock while they say so: either we see it, or they see it running.
            let _locked = container.lock()?;
            if !container.history().stopped {
                let _ = container.note(|h| h.restarts += 1);
                // The next start takes the journal anew.
                drop(journal);
                attach::forget(container.state(), &baggage.id);
                return go(container, None, None);
            }
        }
    }
    attach::forget(container.state(), &baggage.id);
    if undone.is_ok() {
        if container.record.rm {
            let _ = Store::new(container.state()).discard(&baggage.id);
        }
        journal.remove();
    }
    watch.farewell(code);
    undone
}

/// Without waiting, whatever happens.
fn quick(fd: OwnedFd) -> OwnedFd {
    let _ = fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    fd
}

impl Client {
    fn new(socket: OwnedFd) -> Client {
        Client { socket, waiting: None, typed: vec![], gone: false }
    }

    fn say(&mut self, message: Message) {
        match attach::say(self.socket.as_fd(), &message) {
            Ok(()) => {}
            Err(Errno::EAGAIN | Errno::ENOBUFS) => self.waiting = Some(message),
            Err(_) => self.gone = true,
        }
    }
}

impl Watch<'_> {
    fn attend(&mut self) -> Result<End> {
        loop {
            let quiet = self.turn()?;
            if let Some(end) = self.ended
                && quiet
            {
                self.log.close()?;
                return Ok(end);
            }
        }
    }

    fn held_back(&self) -> bool {
        self.clients.iter().any(|c| c.waiting.is_some())
    }

    /// Waits for what comes next and deals with it. Was there nothing (once the container has ended)?
    fn turn(&mut self) -> Result<bool> {
        let held_back = self.held_back();
        let mut fds = vec![PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let runs = self.ended.is_none();
        if runs {
            fds.push(PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN));
        }
        let check = self.checks.as_ref().filter(|_| runs).map(|checks| {
            fds.push(PollFd::new(checks.as_fd(), PollFlags::POLLIN));
            fds.len() - 1
        });
        let first_output = fds.len();
        for output in self.outputs.iter().flatten().filter(|_| !held_back) {
            fds.push(PollFd::new(output.as_fd(), PollFlags::POLLIN));
        }
        let first_client = fds.len();
        let typed = self.clients.iter().any(|c| !c.typed.is_empty());
        for client in &self.clients {
            let read = if client.typed.is_empty() { PollFlags::POLLIN } else { PollFlags::empty() };
            let write = if client.waiting.is_some() { PollFlags::POLLOUT } else { PollFlags::empty() };
            fds.push(PollFd::new(client.socket.as_fd(), read | write));
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|_| typed) {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        let at_once = self.ended.is_some() && !held_back;
        match poll(&mut fds, if at_once { PollTimeout::ZERO } else { PollTimeout::NONE }) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Error::call("poll(the container)", e)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        if ready[0] {
            while let Some(socket) = attach::arrived(self.listener.as_fd()) {
                self.clients.push(Client::new(socket));
            }
        }
        if let (Some(at), Some(checks)) = (check, &mut self.checks)
            && ready[at]
        {
            checks.turn();
        }
        if runs && ready[1] {
            self.ended = Some(process::wait(nix::unistd::Pid::from_raw(self.pid))?);
        }
        let present: Vec<usize> =
            (0..self.outputs.len()).filter(|at| self.outputs[*at].is_some() && !held_back).collect();
        let outputs: Vec<usize> = present
            .into_iter()
            .zip(&ready[first_output..first_client])
            .filter(|(_, r)| **r)
            .map(|(at, _)| at)
            .collect();
        for at in &outputs {
            self.output(*at)?;
        }
        let clients = self.clients.len().min(ready.len() - first_client);
        for at in 0..clients {
            if ready[first_client + at] {
                self.client(at);
            }
        }
        self.type_in();
        self.clients.retain(|c| !c.gone);
        Ok(at_once && outputs.is_empty())
    }

    fn output(&mut self, at: usize) -> Result<()> {
        let Some(fd) = &self.outputs[at] else { return Ok(()) };
        let n = match nix::unistd::read(fd, &mut self.buffer) {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            // EIO: nobody has the terminal open any more (it may be opened again by an exec; not by this container).
            Ok(0) | Err(_) => {
                self.outputs[at] = None;
                return Ok(());
            }
            Ok(n) => n,
        };
        let stream = if at == 0 { Stream::Out } else { Stream::Err };
        // A full disk must not stop the container: what does not fit is lost to the log, and only to it.
        let _ = self.log.write(stream, &self.buffer[..n]);
        for client in &mut self.clients {
            let bytes = self.buffer[..n].to_vec();
            client.say(if at == 0 { Message::Out(bytes) } else { Message::Err(bytes) });
        }
        Ok(())
    }

    fn client(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if let Some(message) = client.waiting.take() {
            client.say(message);
        }
        if !client.typed.is_empty() {
            return;
        }
        match attach::hear(client.socket.as_fd()) {
            Ok(Some(Message::In(bytes))) => client.typed = bytes,
            Ok(Some(Message::InEnd)) => {
                // A terminal is told by its own end-of-file character; a pipe by being closed.
                if !self.terminal {
                    self.stdin = None;
                }
            }
            Ok(Some(Message::Size(rows, columns))) if self.terminal => {
                if let Some(Some(master)) = self.outputs.first() {
                    let _ = tty::set_size(master.as_fd(), tty::Size { rows, columns });
                }
            }
            Ok(Some(Message::Stop)) => self.stop = true,
            Ok(Some(_)) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Ok(None) | Err(_) => client.gone = true,
        }
    }

    fn type_in(&mut self) {
        for client in self.clients.iter_mut().filter(|c| !c.typed.is_empty()) {
            let Some(stdin) = &self.stdin else {
                client.typed.clear();
                continue;
            };
            match nix::unistd::write(stdin, &client.typed) {
                Ok(n) => drop(client.typed.drain(..n)),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // It reads no more.
                Err(_) => self.stdin = None,
            }
        }
    }

    /// Shall it be started again?
    fn policy(&self, code: i32) -> bool {
        let history = self.container.history();
        if history.stopped || self.stop {
            return false;
        }
        match self.container.record.restart {
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure(most) => code != 0 && most.is_none_or(|most| history.restarts < most),
        }
    }

    /// Waits before the next start: docker's back-off, from a tenth of a second to a minute, twice as long each time,
    /// from the beginning again when it ran for ten seconds. False when somebody wants it to stop.
    fn pause(&mut self, ran: Duration) -> bool {
        let restarts = if ran >= Duration::from_secs(10) { 0 } else { self.container.history().restarts };
        let pause = Duration::from_millis(100 << restarts.min(10)).min(Duration::from_secs(60));
        let until = Instant::now() + pause;
        self.stdin = None;
        while !self.stop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return !self.container.history().stopped;
            }
            let mut fds = vec![PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            fds.extend(self.clients.iter().map(|c| PollFd::new(c.socket.as_fd(), PollFlags::POLLIN)));
            let timeout = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
            let _ = poll(&mut fds, PollTimeout::from(timeout));
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
            drop(fds);
            if ready[0] {
                while let Some(socket) = attach::arrived(self.listener.as_fd()) {
                    self.clients.push(Client::new(socket));
                }
            }
            for at in 0..ready.len() - 1 {
                if ready[at + 1] {
                    self.client(at);
                    self.clients[at].typed.clear();
                }
            }
            self.clients.retain(|c| !c.gone);
        }
        false
    }

    /// Tells everybody how it ended, who is still there to hear it.
    fn farewell(&mut self, code: i32) {
        for client in &self.clients {
            let _ = fcntl(&client.socket, FcntlArg::F_SETFL(OFlag::empty()));
            if let Some(message) = &client.waiting {
                let _ = attach::say(client.socket.as_fd(), message);
            }
            let _ = attach::say(client.socket.as_fd(), &Message::End(code));
        }
    }
}
