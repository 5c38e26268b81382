//! The process that watches one running container: it holds the journal's lock, its streams, and the socket for those
//! who attach. It is a copy of the command that starts the container; once the command runs in there, it becomes this
//! same program anew (execve(2) keeps the number, the children and the locks), so that what stays in memory for as long as
//! the container runs is small. Then it sleeps until something happens.

mod watch;

use super::health::Health;
use super::store::{Container, Store};
use super::{Now, attach, events, times};
use crate::command::stdio::Streams;
use crate::error::{Error, Result, code};
use crate::journal::{Journal, Made};
use crate::primitive::{LIST, Primitive};
use crate::spawn::{self, Job};
use crate::spec::Spec;
use crate::spec::build::{self, Purpose};
use crate::state::State;
use crate::sys;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

/// What it is called, which is how it knows what it is; also its name in ps.
pub const NAME: &str = "boxwright-monitor";

/// What the monitor takes along when it becomes itself anew.
#[derive(Debug, Serialize, Deserialize)]
struct Baggage {
    id: String,
    run: PathBuf,
    lib: PathBuf,
    moved: bool,
    pid: i32,
    journal: RawFd,
    pidfd: RawFd,
    listener: RawFd,
    stdin: Option<RawFd>,
    outputs: Vec<RawFd>,
    terminal: bool,
    client: Option<RawFd>,
    /// What only has to stay open.
    held: Vec<RawFd>,
}

/// Starts a container with a monitor of its own, and returns when its command runs. With a client, that end of a socket
/// is attached from the very beginning ([`attach`]).
///
/// # Errors
/// It runs already; or what the start itself fails with, 126 and 127 included.
pub fn launch(container: &Container<'_>, client: Option<OwnedFd>) -> Result<()> {
    let locked = container.lock()?;
    // `update` and `rename` may have changed it since it was read.
    let container = &container.fresh();
    if matches!(container.now(), Now::Running { paused: true, .. }) {
        return Err(Error::new(format!("container {} is paused", container.record.name))
            .hint(format!("boxwright unpause {}", container.record.name)));
    }
    if matches!(container.now(), Now::Running { .. } | Now::Restarting { .. }) {
        // docker's: starting what runs is no error.
        let taken = Error::new(format!("container {} is running", container.record.name));
        return if client.is_none() { Ok(()) } else { Err(taken) };
    }
    container.provide_volumes()?;
    container.note(|h| (h.stopped, h.halted, h.restarts, h.hasty) = (false, false, 0, 0))?;
    let (report, reported) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e))?;
    // The lock is the monitor's as well, until it is one: should this process be killed now, then whoever comes next
    // waits until it is decided whether the container runs.
    let keep = [reported, locked.share()?].into_iter().chain(client).collect();
    sys::background::run(c"boxwright-monitor", keep, |mut kept| {
        let client = (kept.len() > 2).then(|| kept.remove(2));
        let _locked = kept.pop();
        let report = kept.pop();
        if let Err(e) = go(container, client, report.as_ref(), None) {
            say(report.as_ref(), &Err(e));
        }
    })?;
    let mut said = String::new();
    File::from(report).read_to_string(&mut said).map_err(|e| Error::io("read(the monitor)", &e))?;
    drop(locked);
    serde_json::from_str(&said).unwrap_or_else(|_| Err(Error::new("the monitor ended without a word")))
}

fn say(report: Option<&OwnedFd>, result: &Result<()>) {
    let Some(mut file) = report.and_then(|fd| fd.try_clone().ok()).map(File::from) else { return };
    let _ = file.write_all(&serde_json::to_vec(result).unwrap_or_default());
}

/// Starts the container and becomes its monitor; returns only on failure. A monitor that starts it again has its journal.
fn go(
    container: &Container<'_>,
    client: Option<OwnedFd>,
    report: Option<&OwnedFd>,
    journal: Option<Journal>,
) -> Result<()> {
    let started = times::now();
    container.note(|h| {
        (h.started, h.finished, h.exit_code, h.oom_killed) = (started, 0, None, false);
        h.boot = crate::state::boot_id();
        h.error.clear();
    })?;
    let (id, state) = (container.record.short(), container.state());
    if container.record.health.is_some() {
        Health::default().write(container)?;
    }
    let set_up = || -> Result<Baggage> {
        let spec = spec(container)?;
        let prefix = prefix(&spec)?;
        let ends = Ends::make(&spec)?;
        let listener = attach::listen(state, id)?;
        let streams = ends.streams;
        let init = ends.init.as_ref().map(AsRawFd::as_raw_fd);
        let job =
            Job { spec: &spec, state, id: Some(id), prefix, stdio: streams, init, interrupt: None, watcher: None };
        let running = match journal {
            Some(journal) => spawn::start_with(&job, journal, Made { id: id.into(), kept: true, ..Made::default() }),
            None => spawn::start(&job),
        }?;
        let pid = running.pid.as_raw();
        let (journal, held, pidfd, terminal) = running.hand_over();
        let keep = |fd: OwnedFd| -> Result<RawFd> {
            fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|e| Error::call("fcntl(F_SETFD, 0)", e))?;
            Ok(std::os::fd::IntoRawFd::into_raw_fd(fd))
        };
        let (mut outputs, mut stdin) = (vec![], None);
        if let Some(master) = &terminal {
            stdin = spec.interactive.then(|| master.try_clone()).transpose().map_err(|e| Error::io("dup()", &e))?;
        }
        let has_terminal = terminal.is_some();
        outputs.extend(terminal);
        outputs.extend(ends.outputs);
        stdin = stdin.or(ends.stdin);
        let mut held = held;
        held.extend(crate::ids::taken(state));
        Ok(Baggage {
            id: id.into(),
            run: state.run.clone(),
            lib: state.lib.clone(),
            moved: state.moved,
            pid,
            journal: keep(journal.into_fd())?,
            pidfd: keep(pidfd)?,
            listener: keep(listener)?,
            stdin: stdin.map(keep).transpose()?,
            outputs: outputs.into_iter().map(keep).collect::<Result<_>>()?,
            terminal: has_terminal,
            client: client.map(keep).transpose()?,
            held: held.into_iter().map(keep).collect::<Result<_>>()?,
        })
    };
    match set_up() {
        Ok(baggage) => {
            events::note(container, "start", &[]);
            say(report, &Ok(()));
            Err(become_anew(&baggage))
        }
        Err(e) => {
            let error = e.to_string();
            let _ = container.note(|h| {
                (h.finished, h.exit_code, h.error) = (times::now(), Some(i32::from(e.exit)), error);
            });
            events::note(container, "die", &[("exitCode", e.exit.to_string())]);
            attach::forget(state, id);
            Err(e)
        }
    }
}

/// What the container is to be, from its record.
///
/// # Errors
/// What no longer fits this machine.
pub fn spec(container: &Container<'_>) -> Result<Spec> {
    let mut spec = build::build(&container.record.options, Purpose::Run, container.state())?;
    spec.volatile = container.record.rm;
    Ok(spec)
}

/// The whole list, as far as it is wanted and this machine can do it.
fn prefix(spec: &Spec) -> Result<Vec<&'static dyn Primitive>> {
    let wanted = LIST.iter().copied().filter(|p| p.wanted(spec));
    Ok(wanted.filter(|p| p.needs().iter().all(|need| (need.probe)(spec).is_ok())).collect())
}

// ANCHOR: anew
fn become_anew(baggage: &Baggage) -> Error {
    let text = serde_json::to_string(baggage).unwrap_or_default();
    let c = |s: &str| CString::new(s).unwrap_or_default();
    let argv = [c(NAME), c(&baggage.id), c(&text)];
    let env: Vec<CString> =
        std::env::vars().filter(|(n, _)| n == "PATH" || n == "HOME").map(|(n, v)| c(&format!("{n}={v}"))).collect();
    sys::process::execve(c"/proc/self/exe", &argv, &env)
}
// ANCHOR_END: anew

/// The ends of the command's streams.
struct Ends {
    streams: Streams,
    outputs: Vec<OwnedFd>,
    stdin: Option<OwnedFd>,
    init: Option<OwnedFd>,
    /// The command's own ends, which must be open until it has them.
    _theirs: Vec<OwnedFd>,
}

impl Ends {
    fn make(spec: &Spec) -> Result<Ends> {
        let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e));
        let init = spec.init.then(crate::command::init::sealed_copy).transpose()?;
        if spec.terminal() {
            return Ok(Ends { streams: Streams::Terminal(None), outputs: vec![], stdin: None, init, _theirs: vec![] });
        }
        let (out, theirs_out) = pipe()?;
        let (err, theirs_err) = pipe()?;
        let (theirs_in, stdin) = if spec.interactive {
            let (read, write) = pipe()?;
            (read, Some(write))
        } else {
            (sys::fs::open(std::path::Path::new("/dev/null"), OFlag::O_RDONLY, 0)?, None)
        };
        let numbers = [theirs_in.as_raw_fd(), theirs_out.as_raw_fd(), theirs_err.as_raw_fd()];
        let theirs = vec![theirs_in, theirs_out, theirs_err];
        Ok(Ends { streams: Streams::Own(numbers), outputs: vec![out, err], stdin, init, _theirs: theirs })
    }
}

/// First thing in `main`: does nothing, unless this is a monitor. Then it does not return.
pub fn main_if_monitor() {
    let mut args = std::env::args();
    if args.next().is_none_or(|name| name != NAME) {
        return;
    }
    let _ = nix::sys::prctl::set_name(c"boxwright-mon");
    let code = match args.nth(1).and_then(|text| serde_json::from_str::<Baggage>(&text).ok()) {
        Some(baggage) => i32::from(!matches!(main(baggage), Ok(()))),
        None => code::FAILED.into(),
    };
    sys::process::exit_now(code)
}

fn main(baggage: Baggage) -> Result<()> {
    let state = State { run: baggage.run.clone(), lib: baggage.lib.clone(), moved: baggage.moved };
    // Not by any word: another one may be named like this one's id.
    let container = Store::new(&state)
        .by_short(&baggage.id)
        .ok_or_else(|| Error::new(format!("container {} is gone", baggage.id)))?;
    watch::until_the_end(&container, baggage)
}

/// A descriptor that came over execve.
fn inherited(number: RawFd) -> OwnedFd {
    let _ = fcntl(borrowed(number), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    sys::fs::adopt(number)
}

fn borrowed(number: RawFd) -> BorrowedFd<'static> {
    sys::exec::inherited(number)
}
