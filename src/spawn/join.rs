//! A command that comes to a container later: the same list once more, with [`Primitive::join`] in place of `inside`.
//!
//! Two processes go there. A PID namespace cannot be entered, only be born into; so a *keeper* enters the container's
//! user namespace and its root, asks for the PID namespace for its children, and has one child, straight into the
//! container's cgroup. That child walks the list and becomes the command. The keeper stays outside of the container's PID
//! namespace and cgroup: an idle process, without terminal and descriptors, that waits for its child. It has to be there:
//! the kernel does not let the container's first process end before all others of its PID namespace are reaped
//! (zap_pid_ns_processes), and who called may have been stopped or killed.
//!
//! What the container may see meanwhile is the child, from its birth until execve(2). It is not dumpable, so only who has
//! CAP_SYS_PTRACE over the *host's* user namespace can trace it or open what is in its /proc directory: its descriptors
//! (CVE-2016-9962), and its program, which is the host's boxwright (CVE-2019-5736). A container that was given that
//! capability without a user namespace can: for that case the caller runs as a sealed copy
//! ([`crate::container::exec`]), and the child never has the host's root.

use super::{Guest, Side, Watcher};
use crate::cgroup::Cgroup;
use crate::command::stdio::Streams;
use crate::error::{Error, Result};
use crate::journal::Made;
use crate::primitive::Primitive;
use crate::spec::Spec;
use crate::sys::process::{self, Fork};
use crate::sys::{self, trace};
use crate::wire::{FromGuest, Wire};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::rc::Rc;

/// The way into a container: its first process, and the kinds of namespaces in which that is and we are not.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    /// A pidfd. (A number, as all descriptors that a child gets by being a copy.)
    pub init: RawFd,
    /// Others cannot be joined, and need not be.
    pub kinds: CloneFlags,
}

impl Door {
    /// That of a process. It must be watched through the pidfd that this is still the process of that number.
    ///
    /// # Errors
    /// EACCES when it is not ours to look at, ENOENT when it has ended.
    pub fn of(pid: i32, init: BorrowedFd<'_>) -> Result<Door> {
        const KINDS: [(&str, CloneFlags); 7] = [
            ("user", CloneFlags::CLONE_NEWUSER),
            ("pid", CloneFlags::CLONE_NEWPID),
            ("cgroup", CloneFlags::CLONE_NEWCGROUP),
            ("mnt", CloneFlags::CLONE_NEWNS),
            ("uts", CloneFlags::CLONE_NEWUTS),
            ("ipc", CloneFlags::CLONE_NEWIPC),
            ("net", CloneFlags::CLONE_NEWNET),
        ];
        let inode = |of: &str, name: &str| {
            let file = format!("/proc/{of}/ns/{name}");
            nix::sys::stat::stat(file.as_str()).map(|s| s.st_ino).map_err(|e| Error::call(format!("stat({file})"), e))
        };
        let mut kinds = CloneFlags::empty();
        for (name, kind) in KINDS {
            kinds.set(kind, inode(&pid.to_string(), name)? != inode("self", name)?);
        }
        Ok(Door { init: init.as_raw_fd(), kinds })
    }
}

impl Guest<'_> {
    /// Is this a command that comes to a container later?
    pub fn joins(&self) -> bool {
        self.door.is_some()
    }

    /// Joins the container's namespace of that kind, if it is another than ours.
    ///
    /// # Errors
    /// ESRCH when the container has ended; EPERM.
    pub fn enter(&mut self, kind: CloneFlags) -> Result<()> {
        match self.door.as_mut().filter(|door| door.kinds.contains(kind)) {
            Some(door) => {
                door.kinds.remove(kind);
                process::setns(sys::exec::inherited(door.init), kind)
            }
            None => Ok(()),
        }
    }
}

/// What is to join.
pub struct Job<'a> {
    /// The command, and what it may do.
    pub spec: &'a Spec,
    /// What the container has made.
    pub made: &'a Made,
    /// The container's cgroup ([`Cgroup::to_join`]).
    pub cgroup: &'a Cgroup,
    /// The way in.
    pub door: Door,
    /// The primitives, in the order of the list.
    pub prefix: Vec<&'static dyn Primitive>,
    /// What the command's standard streams are to be.
    pub stdio: Streams,
    /// Becomes readable when the user wants to stop (a signalfd).
    pub interrupt: BorrowedFd<'a>,
    /// Who looks on.
    pub watcher: Option<Rc<RefCell<dyn Watcher>>>,
}

/// What the keeper says.
#[derive(Debug, Serialize, Deserialize)]
enum FromKeeper {
    /// The child is born; its pidfd travels with this frame.
    Born,
    /// It has ended, with this code.
    End(i32),
}

/// What the keeper is told.
#[derive(Debug, Serialize, Deserialize)]
enum ToKeeper {
    /// The master of the command's terminal, with this frame: from now on nobody looks at it.
    Terminal,
}

/// A command that runs in a container.
#[derive(Debug)]
pub struct Joined {
    /// The command's process.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
    keeper: Pid,
    wire: Wire,
}

impl Joined {
    /// Leaves it to itself; it will have a terminal that nobody looks at, rather than one that has hung up.
    pub fn leave(self) {
        if let Some(master) = &self.terminal {
            let _ = self.wire.send_with(&ToKeeper::Terminal, Some(master.as_fd()));
        }
    }

    /// Its exit code, once [`Joined::as_fd`] is readable.
    ///
    /// # Errors
    /// When the keeper was killed; then the command is, too.
    pub fn ended(&self) -> Result<u8> {
        let said = self.wire.receive_with::<FromKeeper>();
        let _ = process::wait(self.keeper);
        if let Ok(Some((FromKeeper::End(code), _))) = said {
            return Ok(code as u8);
        }
        let _ = process::pidfd_kill(&self.pidfd, libc::SIGKILL);
        Err(Error::new("the process that waits for the command was killed, and so is the command"))
    }
}

impl AsFd for Joined {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.as_fd()
    }
}

/// Has the command join the container, and returns when it runs.
///
/// # Errors
/// The first failure, after which nobody is in the container whom this has sent there.
pub fn join(job: &Job<'_>) -> Result<Joined> {
    let (ours, theirs) = Wire::pair()?;
    let (wire, of_keeper) = Wire::pair()?;
    let Fork::Parent { pid: keeper, .. } = process::clone3(CloneFlags::empty(), None)? else {
        drop((ours, wire));
        approach(job, theirs, &of_keeper)
    };
    drop((theirs, of_keeper));
    let terminal = serve(job, &ours).inspect_err(|e| {
        // Interrupted, it may still be at it, and finds out by itself that nobody listens.
        if e.exit < 128 {
            let _ = process::wait(keeper);
        }
    })?;
    match wire.receive_with::<FromKeeper>()? {
        Some((FromKeeper::Born, Some(pidfd))) => Ok(Joined { pidfd, terminal, keeper, wire }),
        _ => Err(died()),
    }
}

/// The caller, until the command runs.
fn serve(job: &Job<'_>, wire: &Wire) -> Result<Option<OwnedFd>> {
    let (mut current, mut ready, mut terminal) = (0, false, None);
    loop {
        wire.wait(Some(job.interrupt))?;
        match wire.receive_with()? {
            None if ready => return Ok(terminal),
            None => return Err(died()),
            Some((FromGuest::Enter(number), _)) => current = number,
            Some((FromGuest::Call(line), _)) => {
                if let Some(watcher) = &job.watcher {
                    watcher.borrow_mut().call(current, Side::Inside, &line);
                }
            }
            Some((FromGuest::Terminal, fd)) => terminal = fd,
            Some((FromGuest::Ready { .. }, _)) => ready = true,
            Some((FromGuest::Failed(e), _)) => return Err(e),
            Some(_) => {}
        }
    }
}

fn died() -> Error {
    Error::call("waitpid(the process that joins)", Errno::ESRCH)
        .why("it was killed: by the container's end, by a limit that is too small, or by somebody")
}

/// The keeper: joins what its child is to be born into, has it, and waits for it.
fn approach(job: &Job<'_>, to_caller: Wire, wire: &Wire) -> ! {
    let to_caller = Rc::new(to_caller);
    let mut guest = guest(job, &to_caller);
    listen(job, &to_caller);
    let mut null = None;
    let born = walk(job, &mut guest, |p, guest| p.approach(guest)).and_then(|()| {
        null = Some(trace::paused(|| sys::fs::open(Path::new("/dev/null"), OFlag::O_RDWR, 0))?);
        // Whoever is born there is seen there: so it is born with the container's root, and never has the host's.
        tell_of(job, &guest, "private-mounts")?;
        crate::primitive::find("private-mounts").map_or(Ok(()), |p| p.join(&mut guest))?;
        tell_of(job, &guest, "unshare-pid")?;
        process::prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0)?;
        process::clone3(CloneFlags::empty(), job.cgroup.clone_into())
    });
    match born {
        Ok(Fork::Child) => {
            listen(job, &to_caller);
            let walked = walk(job, &mut guest, |p, guest| {
                if p.is_last() {
                    guest.ready()?;
                }
                p.join(guest)
            });
            fail(&to_caller, walked.err())
        }
        Ok(Fork::Parent { pid, pidfd }) => {
            trace::listen(None);
            if wire.send_with(&FromKeeper::Born, Some(pidfd.as_fd())).is_err() {
                // Who called is dead; the child notices it when it is ready.
                let _ = process::wait(pid);
                process::exit_now(0);
            }
            keep(pid, pidfd, wire, null)
        }
        Err(e) => fail(&to_caller, Some(e)),
    }
}

fn guest<'a>(job: &'a Job<'_>, wire: &Rc<Wire>) -> Guest<'a> {
    Guest {
        spec: job.spec,
        made: job.made,
        cgroup: Some(job.cgroup),
        mounts: vec![],
        root: None,
        pivoted: false,
        stdio: job.stdio,
        init: None,
        user: None,
        prefix: &job.prefix,
        current: 0,
        wire: Rc::clone(wire),
        // The container's cgroup and PID namespace are; no journal needs to know the process itself.
        known: Cell::new(true),
        awaited: false,
        watched: false,
        door: Some(job.door),
    }
}

fn listen(job: &Job<'_>, wire: &Rc<Wire>) {
    if job.watcher.is_some() {
        let wire = Rc::clone(wire);
        trace::listen(Some(Box::new(move |line| drop(wire.send(&FromGuest::Call(line.into()))))));
    }
}

fn walk(
    job: &Job<'_>,
    guest: &mut Guest<'_>,
    step: impl Fn(&'static dyn Primitive, &mut Guest<'_>) -> Result<()>,
) -> Result<()> {
    for primitive in &job.prefix {
        tell_of(job, guest, primitive.name())?;
        step(*primitive, guest).map_err(|e| e.in_primitive(primitive.name()))?;
    }
    Ok(())
}

/// The calls that follow are this primitive's.
fn tell_of(job: &Job<'_>, guest: &Guest<'_>, primitive: &str) -> Result<()> {
    match (&job.watcher, crate::primitive::number(primitive)) {
        (Some(_), Some(number)) => guest.wire.send(&FromGuest::Enter(number)),
        _ => Ok(()),
    }
}

fn fail(wire: &Wire, e: Option<Error>) -> ! {
    let code = e.as_ref().map_or(0, |e| e.exit);
    if let Some(e) = e {
        let _ = wire.send(&FromGuest::Failed(e));
    }
    process::exit_now(code.into())
}

/// Waits for the child's end and tells it, if somebody is there to hear it. What is written to a terminal that its
/// reader has left is read and forgotten, or the command would stand still.
fn keep(child: Pid, pidfd: OwnedFd, wire: &Wire, null: Option<OwnedFd>) -> ! {
    let detach = || -> Option<[OwnedFd; 2]> {
        let keep = vec![pidfd, wire.as_fd().try_clone_to_owned().ok()?];
        sys::background::detach(c"boxwright-exec", null?, keep).ok()?.try_into().ok()
    };
    let Some([pidfd, wire]) = detach() else { process::exit_now(1) };
    let (wire, mut caller, mut terminal) = (Wire::from(wire), true, None::<OwnedFd>);
    loop {
        let mut fds = vec![PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        if caller {
            fds.push(PollFd::new(wire.as_fd(), PollFlags::POLLIN));
        }
        fds.extend(terminal.as_ref().map(|t| PollFd::new(t.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut fds, PollTimeout::NONE);
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        if ready[0] {
            let end = process::wait(child);
            let _ = wire.send(&FromKeeper::End(end.map_or(255, |e| e.exit_code().into())));
            process::exit_now(0);
        }
        if terminal.is_some() && ready.last() == Some(&true) {
            let gone = terminal.as_ref().is_some_and(|t| nix::unistd::read(t, &mut [0; 4096]).is_err());
            terminal = terminal.filter(|_| !gone);
        }
        if caller && ready[1] {
            match wire.receive_with::<ToKeeper>() {
                Ok(Some((ToKeeper::Terminal, fd))) => terminal = fd,
                _ => caller = false,
            }
        }
    }
}
