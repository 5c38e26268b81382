//! What a monitor does for as long as the container runs: output goes into the log and to those who are attached, what
//! they type goes in; and when it has ended, it takes everything back, and writes down how it ended. One loop that waits
//! for descriptors; a clock is one of them only where there is a health check.

use super::Baggage;
use super::{go, inherited};
use crate::container::attach::{self, Message, PIECE};
use crate::container::health::checks::Checks;
use crate::container::log::{Stream, Writer};
use crate::container::store::Container;
use crate::container::{Restart, events, times};
use crate::error::{Error, Result};
use crate::journal::{Journal, Made};
use crate::sys::process::{self, End};
use crate::sys::tty;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

struct Client {
    socket: OwnedFd,
    /// What its socket had no room for. Until it is out, nobody's output is read: a fast writer is held back. Only when the
    /// container has ended, its last words are kept here: whoever reads slowly must not keep it from being over.
    waiting: VecDeque<Message>,
    /// What it has typed and the container has not yet taken.
    typed: Vec<u8>,
    /// Does it want to hear of the end only?
    quiet: bool,
    /// Was it there from the beginning? Only then the end of what it types is the end of the container's input.
    first: bool,
    gone: bool,
}

struct Watch<'a> {
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
    /// There are too many clients for our descriptors: until one goes, whoever knocks has to wait.
    deaf: bool,
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
        pidfd: inherited(baggage.pidfd),
        pid: baggage.pid,
        outputs: baggage.outputs.into_iter().map(|fd| Some(quick(inherited(fd)))).collect(),
        terminal: baggage.terminal,
        stdin: baggage.stdin.map(|fd| quick(inherited(fd))),
        listener: inherited(baggage.listener),
        clients: baggage
            .client
            .into_iter()
            .map(|fd| Client { first: true, ..Client::new(quick(inherited(fd))) })
            .collect(),
        // The container runs already; that its log has no room must not end it.
        log: Writer::open(&container.dir(), container.record.log).or_else(|_| Writer::nowhere())?,
        buffer: vec![0; PIECE],
        checks: Checks::of(container)?,
        ended: None,
        stop: false,
        deaf: false,
    };
    let end = watch.attend()?;
    // Whoever is looking at a container that has ended has nothing more to say.
    watch.checks = None;
    let code = i32::from(end.exit_code());
    let made = journal.made().unwrap_or_default();
    let oom = crate::cgroup::counters(&made.cgroups).oom_kill.is_some_and(|n| n > 0);
    let undone = crate::journal::undo_all(&made);
    // `rename` and `update` may have changed it meanwhile.
    let container = &container.fresh();
    let again = watch.policy(container, code);
    let locked = container.lock();
    let _ = container.note(|h| {
        (h.finished, h.exit_code, h.oom_killed) = (times::now(), Some(code), oom);
        if let Err(e) = &undone {
            h.error = e.to_string();
        }
    });
    if oom {
        events::note(container, "oom", &[]);
    }
    let seconds = begun.elapsed().as_secs().to_string();
    events::note(container, "die", &[("exitCode", code.to_string()), ("execDuration", seconds)]);
    drop(locked);
    if again && undone.is_ok() {
        let _ = journal.save(&Made { id: baggage.id.clone(), kept: true, ..Made::default() });
        watch.welcome();
        watch.tell_all(&Message::End(code));
        if watch.pause(container, begun.elapsed()) {
            // Whoever stops it has this lock while they say so: either we see it, or they see it running.
            let _locked = container.lock()?;
            if !container.history().rests() {
                let _ = container.note(|h| (h.restarts, h.hasty) = (h.restarts + 1, h.hasty + 1));
                attach::forget(container.state(), &baggage.id);
                watch.leave_behind();
                return go(&container.fresh(), None, None, Some(journal));
            }
        }
    }
    attach::forget(container.state(), &baggage.id);
    if undone.is_ok() {
        journal.remove();
    }
    if container.record.rm {
        container.remove_at_end();
    }
    // Who came while all that was done; nobody else can find the socket any more.
    watch.welcome();
    watch.tell_all(&Message::End(code));
    watch.farewell();
    undone
}

/// Without waiting, whatever happens.
fn quick(fd: OwnedFd) -> OwnedFd {
    let _ = fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    fd
}

impl Client {
    fn new(socket: OwnedFd) -> Client {
        Client { socket, waiting: VecDeque::new(), typed: vec![], quiet: false, first: false, gone: false }
    }

    fn say(&mut self, message: Message) {
        self.waiting.push_back(message);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(message) = self.waiting.front() {
            match attach::say(self.socket.as_fd(), message) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return,
                Err(_) => {
                    self.gone = true;
                    self.waiting.clear();
                }
            }
        }
    }

    /// What there is to wait for. Nothing, while the container has not taken what was typed: then also its hanging up has
    /// to wait, which poll(2) would else tell again and again.
    fn interest(&self) -> PollFlags {
        let read = if self.typed.is_empty() { PollFlags::POLLIN } else { PollFlags::empty() };
        let write = if self.waiting.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        read | write
    }
}

impl Watch<'_> {
    fn attend(&mut self) -> Result<End> {
        loop {
            let quiet = self.turn()?;
            if let Some(end) = self.ended
                && quiet
            {
                // What a full disk has no room for is lost to the log.
                let _ = self.log.close();
                return Ok(end);
            }
        }
    }

    /// Waits for what comes next and deals with it. Was there nothing (once the container has ended)?
    fn turn(&mut self) -> Result<bool> {
        let over = self.ended.is_some();
        let held_back = !over && self.clients.iter().any(|c| !c.waiting.is_empty());
        let outputs: Vec<usize> =
            (0..self.outputs.len()).filter(|at| self.outputs[*at].is_some() && !held_back).collect();
        let clients: Vec<usize> =
            (0..self.clients.len()).filter(|at| !self.clients[*at].interest().is_empty()).collect();
        let mut fds = vec![PollFd::new(self.listener.as_fd(), self.knocks())];
        let runs = !over;
        if runs {
            fds.push(PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN));
        }
        let check = self.checks.as_ref().filter(|_| runs).map(|checks| {
            fds.push(PollFd::new(checks.as_fd(), PollFlags::POLLIN));
            fds.len() - 1
        });
        let first_output = fds.len();
        fds.extend(
            outputs
                .iter()
                .filter_map(|at| self.outputs[*at].as_ref())
                .map(|o| PollFd::new(o.as_fd(), PollFlags::POLLIN)),
        );
        let first_client = fds.len();
        for client in clients.iter().map(|at| &self.clients[*at]) {
            fds.push(PollFd::new(client.socket.as_fd(), client.interest()));
        }
        let typed = self.clients.iter().any(|c| !c.typed.is_empty());
        if let Some(stdin) = self.stdin.as_ref().filter(|_| typed) {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        match poll(&mut fds, if over { PollTimeout::ZERO } else { PollTimeout::NONE }) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Error::call("poll(the container)", e)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let mut quiet = over;
        if ready[0] {
            self.welcome();
            quiet = false;
        }
        if let (Some(at), Some(checks)) = (check, &mut self.checks)
            && ready[at]
        {
            checks.turn();
        }
        if runs && ready[1] {
            self.ended = Some(process::wait(nix::unistd::Pid::from_raw(self.pid))?);
        }
        for (at, _) in outputs.into_iter().zip(&ready[first_output..]).filter(|(_, ready)| **ready) {
            self.output(at)?;
            quiet = false;
        }
        for (at, _) in clients.into_iter().zip(&ready[first_client..]).filter(|(_, ready)| **ready) {
            self.client(at);
        }
        self.type_in();
        self.part();
        Ok(quiet)
    }

    fn welcome(&mut self) {
        self.deaf = loop {
            match attach::arrived(self.listener.as_fd()) {
                Ok(socket) => self.clients.push(Client::new(socket)),
                Err(Errno::EAGAIN) => break false,
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(_) => break true,
            }
        };
    }

    /// What the listener is asked for.
    fn knocks(&self) -> PollFlags {
        if self.deaf { PollFlags::empty() } else { PollFlags::POLLIN }
    }

    /// From those who have gone.
    fn part(&mut self) {
        let before = self.clients.len();
        self.clients.retain(|c| !c.gone);
        self.deaf &= self.clients.len() == before;
    }

    fn tell_all(&mut self, message: &Message) {
        self.clients.iter_mut().for_each(|client| client.say(message.clone()));
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
        for client in self.clients.iter_mut().filter(|c| !c.quiet) {
            let bytes = self.buffer[..n].to_vec();
            client.say(if at == 0 { Message::Out(bytes) } else { Message::Err(bytes) });
        }
        Ok(())
    }

    fn client(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.flush();
        if !client.typed.is_empty() {
            return;
        }
        match attach::hear(client.socket.as_fd()) {
            Ok(Some(Message::In(bytes))) => client.typed = bytes,
            Ok(Some(Message::InEnd)) => {
                // A terminal is told by its own end-of-file character; a pipe by being closed.
                if !self.terminal && client.first {
                    self.stdin = None;
                }
            }
            Ok(Some(Message::Size(rows, columns))) if self.terminal => {
                if let Some(Some(master)) = self.outputs.first() {
                    let _ = tty::set_size(master.as_fd(), tty::Size { rows, columns });
                }
            }
            Ok(Some(Message::Stop)) => self.stop = true,
            Ok(Some(Message::Quiet)) => client.quiet = true,
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

    // ANCHOR: policy
    /// Shall it be started again?
    fn policy(&self, container: &Container<'_>, code: i32) -> bool {
        let history = container.history();
        if history.rests() || self.stop {
            return false;
        }
        match container.record.restart {
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure(most) => code != 0 && most.is_none_or(|most| history.restarts < most),
        }
    }
    // ANCHOR_END: policy

    /// Waits before the next start: docker's back-off, from a tenth of a second to a minute, twice as long each time,
    /// from the beginning again when it ran for ten seconds. False when somebody wants it to stop.
    fn pause(&mut self, container: &Container<'_>, ran: Duration) -> bool {
        if ran >= Duration::from_secs(10) {
            let _ = container.lock().and_then(|_locked| container.note(|h| h.hasty = 0));
        }
        let pause = Duration::from_millis(100 << container.history().hasty.min(10)).min(Duration::from_secs(60));
        let until = Instant::now() + pause;
        self.stdin = None;
        while !self.stop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return !container.history().rests();
            }
            self.clients.iter_mut().for_each(|client| client.typed.clear());
            let mut fds = vec![PollFd::new(self.listener.as_fd(), self.knocks())];
            fds.extend(self.clients.iter().map(|c| PollFd::new(c.socket.as_fd(), c.interest())));
            let timeout = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
            let _ = poll(&mut fds, PollTimeout::from(timeout));
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
            drop(fds);
            for (at, _) in ready[1..].iter().enumerate().filter(|(_, ready)| **ready) {
                self.client(at);
            }
            if ready[0] {
                self.welcome();
            }
            self.part();
        }
        false
    }

    /// Those who read slowly have yet to hear the end of this run; the next one does not wait for them. A process of their
    /// own stays with them.
    fn leave_behind(&mut self) {
        self.welcome();
        self.clients.retain(|c| !c.gone && !c.waiting.is_empty());
        if self.clients.is_empty() {
            return;
        }
        let (sockets, waiting): (Vec<_>, Vec<_>) = self.clients.drain(..).map(|c| (c.socket, c.waiting)).unzip();
        let _ = crate::sys::background::run(c"boxwright-end", sockets, |sockets| {
            let clients = sockets.into_iter().zip(waiting);
            self.clients = clients.map(|(socket, waiting)| Client { waiting, ..Client::new(socket) }).collect();
            self.farewell();
        });
    }

    /// All is over and written down. Stays until everybody has heard it who is still there.
    fn farewell(&mut self) {
        loop {
            self.clients.retain(|c| !c.gone && !c.waiting.is_empty());
            if self.clients.is_empty() {
                return;
            }
            let mut fds: Vec<PollFd<'_>> =
                self.clients.iter().map(|c| PollFd::new(c.socket.as_fd(), PollFlags::POLLOUT)).collect();
            let _ = poll(&mut fds, PollTimeout::NONE);
            drop(fds);
            self.clients.iter_mut().for_each(Client::flush);
        }
    }
}
