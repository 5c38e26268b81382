//! The runner: one clone3, then parent and child go through the list together. The child drives: it calls each
//! primitive's `inside`, and asks over the [`Wire`] for the parent's part where there is one. When all is set up, the
//! command waits for two things: that its number is in the journal, so that no command ever runs which the next
//! boxwright could not find (the parent said so long ago, so this costs nothing); and for what the parent still has to do.

pub mod join;

use crate::command::stdio::Streams;
use crate::command::users::{self, User};
use crate::error::{Error, Result};
use crate::journal::{Journal, Made, Process};
use crate::observe::{self, Snapshot};
use crate::primitive::{LIST, Primitive};
use crate::spec::Spec;
use crate::state::State;
use crate::sys::{self, process::Fork, trace};
use crate::wire::{FromGuest, FromHost, Wire};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What `prepare`, `outside` and `undo` work with: the parent's side.
pub struct Host<'a> {
    /// What the container is to be.
    pub spec: &'a Spec,
    /// Where state is kept.
    pub state: &'a State,
    /// What has been made so far, as the journal has it.
    pub made: Made,
    /// Its cgroup, from `join-cgroup` on.
    pub cgroup: Option<crate::cgroup::Cgroup>,
    /// Descriptors that live as long as the container (a namespace that only the parent keeps alive).
    pub held: Vec<OwnedFd>,
    /// Descriptors for the child, which go with the answer to its `outside` (a mount that only the parent may make).
    pub hand_over: Vec<OwnedFd>,
    /// What the child has sent along with its request for this `outside`.
    pub given: Option<OwnedFd>,
    /// Things that the user should hear of, which are no errors.
    pub notes: Vec<String>,
    /// What the child has measured ([`crate::prove`]).
    pub measured: Vec<serde_json::Value>,
    child: Option<Pid>,
    journal: Journal,
}

impl Host<'_> {
    /// The child's process number. Only from clone3 on, so not in `prepare`.
    ///
    /// # Errors
    /// In `prepare`.
    pub fn child(&self) -> Result<Pid> {
        self.child.ok_or_else(|| Error::new("there is no child before clone3 (a mistake in a primitive)"))
    }

    /// Writes down what is about to be made, before it is made.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn journal(&mut self, note: impl FnOnce(&mut Made)) -> Result<()> {
        note(&mut self.made);
        self.journal.save(&self.made)
    }
}

/// What `inside` works with: the child's side.
pub struct Guest<'a> {
    /// What the container is to be.
    pub spec: &'a Spec,
    /// The container's id and what the parent had prepared for it before clone3.
    pub made: &'a Made,
    /// Its cgroup, from `join-cgroup` on.
    pub cgroup: Option<&'a crate::cgroup::Cgroup>,
    /// Mounts made by earlier primitives, still detached, which `pivot-root` attaches: where they belong, and the mount.
    pub mounts: Vec<(PathBuf, OwnedFd)>,
    /// The root filesystem to be, once `stack-layers` has made it.
    pub root: Option<OwnedFd>,
    /// Has the child left the host's root?
    pub pivoted: bool,
    /// What the command's standard streams are to be.
    pub stdio: Streams,
    /// The sealed copy of this program that becomes the container's init.
    pub init: Option<RawFd>,
    user: Option<User>,
    prefix: &'a [&'static dyn Primitive],
    current: usize,
    wire: Rc<Wire>,
    /// Has the parent our number in the journal?
    known: Cell<bool>,
    /// Has the parent work to do before the command may run?
    awaited: bool,
    /// Does somebody look on, step by step?
    watched: bool,
    /// For a command that comes later: the container that it joins.
    door: Option<join::Door>,
}

impl Guest<'_> {
    /// Does this container have that primitive (or was it left out, or skipped)?
    pub fn has(&self, name: &str) -> bool {
        self.prefix.iter().any(|p| p.name() == name)
    }

    /// Does it see its files through id-mapped mounts, which the parent hands over ([`crate::mounts::idmap`])?
    pub fn shifted(&self) -> bool {
        self.spec.shifted && self.has("map-user")
    }

    /// The parent's part of this primitive, now; returns when it is done, with what the parent handed over.
    ///
    /// # Errors
    /// When the parent has failed (it says why itself) or is dead.
    pub fn outside(&mut self) -> Result<Vec<OwnedFd>> {
        self.ask(true, None)
    }

    /// The parent's part of this primitive, while the child goes on; it is done before the command runs.
    ///
    /// # Errors
    /// When the parent is dead.
    pub fn outside_meanwhile(&mut self) -> Result<()> {
        self.ask(false, None).map(drop)
    }

    /// The same, with a descriptor that the parent needs for it ([`Host::given`]).
    ///
    /// # Errors
    /// When the parent is dead.
    pub fn outside_meanwhile_with(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        self.ask(false, Some(fd)).map(drop)
    }

    fn ask(&mut self, wait: bool, fd: Option<BorrowedFd<'_>>) -> Result<Vec<OwnedFd>> {
        // Whoever looks on wants to see each primitive's work complete.
        let wait = wait || self.watched;
        self.wire.send_with(&FromGuest::Outside { primitive: self.current, wait }, fd)?;
        // The parent takes one thing after the other: with this answer, all that was asked for earlier is done, too.
        self.awaited = !wait;
        if wait { self.wait_for(FromHost::Go) } else { Ok(vec![]) }
    }

    /// Sends the master of the container's terminal to the parent.
    ///
    /// # Errors
    /// When the parent is dead.
    pub fn send_terminal(&self, master: BorrowedFd<'_>) -> Result<()> {
        self.wire.send_with(&FromGuest::Terminal, Some(master))
    }

    /// Tells the parent what an experiment has measured.
    ///
    /// # Errors
    /// When the parent is dead.
    pub fn measured(&self, value: serde_json::Value) -> Result<()> {
        self.wire.send(&FromGuest::Measured(value))
    }

    /// Puts a mount that was just made where it belongs: into the host's tree, or, where the container gets a root of
    /// its own, detached into the hands of `pivot-root`. Not into both: it would cover what the user may want to bind
    /// (`-v /proc:/host/proc`), or the state directory itself.
    ///
    /// # Errors
    /// As move_mount(2).
    pub fn place(&mut self, mount: OwnedFd, at: &Path) -> Result<()> {
        if self.has("pivot-root") {
            self.mounts.push((at.to_path_buf(), mount));
            return Ok(());
        }
        match sys::fs::open(at, OFlag::O_PATH, 0) {
            Ok(target) => sys::mount::attach(mount.as_fd(), target.as_fd()),
            // Not every host has a /dev/mqueue.
            Err(e) if e.is(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Who the command runs as. Names are looked up the first time this is asked, in the root filesystem of then: so
    /// not before `pivot-root` is done, and not when the process may no longer read /etc/passwd.
    ///
    /// # Errors
    /// A name that the container does not know.
    pub fn user(&mut self) -> Result<User> {
        if let Some(known) = &self.user {
            return Ok(known.clone());
        }
        let user = match self.spec.process().map(|p| p.user()) {
            None => User::default(),
            Some(user) => match user.username() {
                Some(raw) => users::in_container(raw)?,
                None => {
                    let groups = user.additional_gids().clone().unwrap_or_default();
                    User { uid: user.uid(), gid: user.gid(), groups, home: None }
                }
            },
        };
        Ok(self.user.insert(user).clone())
    }

    /// All is set up. Returns when the command may run.
    fn ready(&self) -> Result<()> {
        let wait = self.awaited || self.watched;
        self.wire.send(&FromGuest::Ready { wait })?;
        if wait {
            self.wait_for(FromHost::Go)?;
        } else if !self.known.get() {
            self.wait_for(FromHost::Known)?;
        }
        Ok(())
    }

    fn wait_for(&self, answer: FromHost) -> Result<Vec<OwnedFd>> {
        let mut handed_over = vec![];
        loop {
            let Some((frame, fd)) = self.wire.receive_with()? else {
                // Nobody is left to tell.
                sys::process::exit_now(crate::error::code::FAILED.into());
            };
            match frame {
                FromHost::Descriptor => handed_over.extend(fd),
                FromHost::Known => self.known.set(true),
                FromHost::Go => {}
                // The parent tells it better.
                FromHost::Stop => sys::process::exit_now(crate::error::code::FAILED.into()),
            }
            if frame == answer {
                return Ok(handed_over);
            }
        }
    }
}

/// Who made a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The parent, on the host.
    Outside,
    /// The child.
    Inside,
}

/// Somebody who wants to see every step (a report, a trace). Without one, the child asks only where it must.
pub trait Watcher {
    /// Does it want snapshots, or only calls?
    fn observes(&self) -> bool;
    /// A kernel call was made.
    fn call(&mut self, primitive: usize, side: Side, line: &str);
    /// A primitive is done; the world before it and after.
    fn step(&mut self, primitive: usize, before: &Snapshot, after: &Snapshot);
    /// All is set up, and the command is about to run as this process; the parent's [`Host::notes`].
    fn ready(&mut self, child: Pid, notes: &[String]);
}

/// What to start.
pub struct Job<'a> {
    /// What the container is to be.
    pub spec: &'a Spec,
    /// Where state is kept.
    pub state: &'a State,
    /// The id of a container that is kept, with its directory, when it has ended; else it gets a new one.
    pub id: Option<&'a str>,
    /// The primitives, in the order of the list.
    pub prefix: Vec<&'static dyn Primitive>,
    /// What the command's standard streams are to be ([`crate::command::stdio::Stdio::prepare`]).
    pub stdio: Streams,
    /// With `--init`, the copy of this program to run it under ([`crate::command::stdio::Stdio::prepare`]).
    pub init: Option<RawFd>,
    /// Becomes readable when the user wants to stop (a signalfd).
    pub interrupt: Option<BorrowedFd<'a>>,
    /// Who looks on.
    pub watcher: Option<Rc<RefCell<dyn Watcher>>>,
}

impl Job<'_> {
    fn observes(&self) -> bool {
        self.watcher.as_ref().is_some_and(|w| w.borrow().observes())
    }
}

/// A container whose set-up is complete: the command runs.
pub struct Running<'a> {
    /// The parent's side of it.
    pub host: Host<'a>,
    /// Its process 1.
    pub pid: Pid,
    /// The same, as a descriptor.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

impl Running<'_> {
    /// Lets go of the container without ending it: this process goes on as another program, with these descriptors.
    pub fn hand_over(self) -> (Journal, Vec<OwnedFd>, OwnedFd, Option<OwnedFd>) {
        (self.host.journal, self.host.held, self.pidfd, self.terminal)
    }

    /// Takes back everything, after the container's end (or to end it).
    ///
    /// # Errors
    /// The first that an `undo` returned; what is left stays in the journal for the next command.
    pub fn finish(self) -> Result<()> {
        finish(self.host)
    }
}

fn finish(host: Host<'_>) -> Result<()> {
    crate::journal::take_back(host.state, &host.made)?;
    host.journal.remove();
    Ok(())
}

/// Sets up a container and lets its command run.
///
/// # Errors
/// The first failure on either side, after everything made until then has been undone.
pub fn start<'a>(job: &Job<'a>) -> Result<Running<'a>> {
    let (journal, id) = match job.id {
        None => Journal::create(job.state)?,
        Some(id) => (
            Journal::create_as(job.state, id)?
                .ok_or_else(|| Error::new(format!("container {id} is running, or is being started")))?,
            id.to_string(),
        ),
    };
    let made = Made { id, kept: job.id.is_some(), ..Made::default() };
    start_with(job, journal, made)
}

/// The same, with a journal that this process has already: because more had to be made before the start, or because
/// the container is started again, and nobody shall see it unlocked in between, and take it for dead.
///
/// # Errors
/// As [`start`].
pub fn start_with<'a>(job: &Job<'a>, journal: Journal, made: Made) -> Result<Running<'a>> {
    let mut host = Host {
        spec: job.spec,
        state: job.state,
        made,
        cgroup: None,
        held: vec![],
        hand_over: vec![],
        given: None,
        notes: vec![],
        measured: vec![],
        child: None,
        journal,
    };
    let result = set_up(job, &mut host);
    trace::listen(None);
    match result {
        Ok((pid, pidfd, terminal)) => Ok(Running { host, pid, pidfd, terminal }),
        Err(e) => {
            if let Some(pid) = host.child {
                // Ours, and not yet waited for: the number cannot have been reused.
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
                let _ = sys::process::wait(pid);
            }
            if let Err(left) = finish(host) {
                eprintln!("boxwright: while cleaning up: {left}");
            }
            Err(e)
        }
    }
}

/// `primitive`'s part in the parent, with its calls going to the watcher.
fn in_parent(job: &Job<'_>, host: &mut Host<'_>, primitive: &'static dyn Primitive, part: Part) -> Result<()> {
    if let Some(watcher) = &job.watcher {
        let watcher = Rc::clone(watcher);
        let number = position(primitive);
        trace::listen(Some(Box::new(move |line| watcher.borrow_mut().call(number, Side::Outside, line))));
    }
    let result = match part {
        Part::Prepare => primitive.prepare(host),
        Part::Outside => primitive.outside(host),
    };
    trace::listen(None);
    result.map_err(|e| e.in_primitive(primitive.name()))
}

enum Part {
    Prepare,
    Outside,
}

fn position(primitive: &dyn Primitive) -> usize {
    crate::primitive::number(primitive.name()).unwrap_or(LIST.len())
}

fn set_up(job: &Job<'_>, host: &mut Host<'_>) -> Result<(Pid, OwnedFd, Option<OwnedFd>)> {
    let before = job.observes().then(|| merge(observe::inside(), host));
    for primitive in &job.prefix {
        in_parent(job, host, *primitive, Part::Prepare)?;
    }
    let (ours, theirs) = Wire::pair()?;
    let flags = job.prefix.iter().fold(CloneFlags::empty(), |all, p| all | p.clone_flags(job.spec));
    // The calls of clone3 itself belong to the last primitive that asked for one of its flags.
    let cloner = job.prefix.iter().rev().find(|p| !p.clone_flags(job.spec).is_empty()).or(job.prefix.first());
    if let (Some(watcher), Some(cloner)) = (&job.watcher, cloner) {
        let (watcher, number) = (Rc::clone(watcher), position(*cloner));
        trace::listen(Some(Box::new(move |line| watcher.borrow_mut().call(number, Side::Outside, line))));
    }
    let into = host.cgroup.as_ref().and_then(|c| c.clone_into());
    match sys::process::clone3(flags, into).map_err(clone_failed)? {
        Fork::Child => {
            drop(ours);
            guest(job, host, theirs)
        }
        Fork::Parent { pid, pidfd } => {
            drop(theirs);
            trace::listen(None);
            host.child = Some(pid);
            let started = Process::of(pid.as_raw());
            host.journal(|made| made.init = started)?;
            // A child that has failed by now has said why, and that is yet to be read.
            let _ = ours.send(&FromHost::Known);
            let terminal = serve(job, host, &ours, pid, before)?;
            Ok((pid, pidfd, terminal))
        }
    }
}

fn clone_failed(e: Error) -> Error {
    e.explain(
        Errno::ENOSPC,
        "a limit on namespaces is reached, or they are nested more than 32 deep",
        "sysctl user.max_user_namespaces user.max_pid_namespaces; boxwright doctor tells more",
    )
    .explain(
        Errno::EPERM,
        "this kernel does not let you make user namespaces (a sysctl, AppArmor or a container around us forbids it)",
        "boxwright doctor shows which one, and the command that mends it",
    )
    .explain(Errno::EAGAIN, "the limit on your processes is reached", "ulimit -u")
}

/// The parent, from clone3 until the command runs: does what the child asks for, shows what it reports.
fn serve(
    job: &Job<'_>,
    host: &mut Host<'_>,
    wire: &Wire,
    pid: Pid,
    before: Option<Snapshot>,
) -> Result<Option<OwnedFd>> {
    let mut before = before.unwrap_or_default();
    let (mut current, mut ready, mut terminal) = (0, false, None);
    loop {
        wire.wait(job.interrupt)?;
        let Some((frame, fd)) = wire.receive_with::<FromGuest>()? else {
            // End of file: execve has closed the child's end, or the child is dead.
            if ready {
                return Ok(terminal);
            }
            // From here on the number is nobody's, or somebody else's.
            host.child = None;
            return Err(died(pid));
        };
        match frame {
            FromGuest::Enter(number) => current = number,
            FromGuest::Call(line) => {
                if let Some(watcher) = &job.watcher {
                    watcher.borrow_mut().call(current, Side::Inside, &line);
                }
            }
            FromGuest::Leave(number, seen) => {
                if let (Some(watcher), Some(seen)) = (&job.watcher, *seen) {
                    let after = merge(seen, host);
                    watcher.borrow_mut().step(number, &before, &after);
                    before = after;
                }
                wire.send(&FromHost::Go)?;
            }
            FromGuest::Outside { primitive, wait } => {
                host.given = fd;
                if let Err(e) = in_parent(job, host, LIST[primitive], Part::Outside) {
                    let _ = wire.send(&FromHost::Stop);
                    // While the parent was at it the child had gone on, and may have failed first: then it knows why.
                    return Err(last_words(wire).unwrap_or(e));
                }
                if wait {
                    for fd in host.hand_over.drain(..) {
                        wire.send_with(&FromHost::Descriptor, Some(fd.as_fd()))?;
                    }
                    wire.send(&FromHost::Go)?;
                }
            }
            FromGuest::Terminal => terminal = fd,
            FromGuest::Measured(value) => host.measured.push(value),
            FromGuest::Ready { wait } => {
                if let Some(watcher) = &job.watcher {
                    watcher.borrow_mut().ready(pid, &host.notes);
                }
                ready = true;
                if host.made.kept {
                    host.journal(|made| made.complete = true)?;
                }
                if wait {
                    wire.send(&FromHost::Go)?;
                }
            }
            FromGuest::Failed(e) => return Err(e),
        }
    }
}

/// The error with which the child has ended or is about to: it was told to stop.
fn last_words(wire: &Wire) -> Option<Error> {
    while let Ok(Some((frame, _))) = wire.receive_with::<FromGuest>() {
        if let FromGuest::Failed(e) = frame {
            return Some(e);
        }
    }
    None
}

fn died(pid: Pid) -> Error {
    use sys::process::End;
    match sys::process::wait(pid) {
        Ok(End::Signal(signal)) => Error::new(format!("the set-up was killed by signal {signal}"))
            .why("a limit was too small for the set-up itself, or somebody killed it"),
        _ => Error::new("the set-up ended without a word"),
    }
}

/// What the child sees and what only the host sees.
fn merge(mut seen: Snapshot, host: &Host<'_>) -> Snapshot {
    seen.extend(trace::paused(|| observe::outside(host)));
    seen
}

/// The child: every primitive's `inside`, in order; then the command, which is the last of them.
fn guest(job: &Job<'_>, host: &Host<'_>, wire: Wire) -> ! {
    let wire = Rc::new(wire);
    let mut guest = Guest {
        spec: job.spec,
        made: &host.made,
        cgroup: host.cgroup.as_ref(),
        mounts: vec![],
        root: None,
        pivoted: false,
        stdio: job.stdio,
        init: job.init,
        user: None,
        prefix: &job.prefix,
        current: 0,
        wire: Rc::clone(&wire),
        known: Cell::new(false),
        awaited: false,
        watched: job.watcher.is_some(),
        door: None,
    };
    if job.watcher.is_some() {
        let wire = Rc::clone(&wire);
        // When the parent is dead the next question to it ends the child; until then nobody reads the trace.
        trace::listen(Some(Box::new(move |line| drop(wire.send(&FromGuest::Call(line.into()))))));
    }
    let code = match walk(job, &mut guest) {
        Ok(()) => 0,
        Err(e) => {
            let code = e.exit;
            let _ = wire.send(&FromGuest::Failed(e));
            code
        }
    };
    sys::process::exit_now(code.into())
}

fn walk(job: &Job<'_>, guest: &mut Guest<'_>) -> Result<()> {
    let (watched, observed) = (job.watcher.is_some(), job.observes());
    let eyes = observed.then(observe::Eyes::open).transpose()?;
    for primitive in &job.prefix {
        guest.current = position(*primitive);
        if primitive.is_last() {
            guest.ready()?;
        }
        if watched {
            guest.wire.send(&FromGuest::Enter(guest.current))?;
        }
        primitive.inside(guest).map_err(|e| e.in_primitive(primitive.name()))?;
        if watched {
            let seen = eyes.as_ref().map(|eyes| trace::paused(|| eyes.look()));
            guest.wire.send(&FromGuest::Leave(guest.current, Box::new(seen)))?;
            guest.wait_for(FromHost::Go)?;
        }
    }
    // Only a stage without a command comes here: execve does not return.
    guest.ready()
}
