//! Another command in a container that runs: what it is to be is said by the container's record and the caller's flags,
//! [`crate::spawn::join`] has it join, and the caller attends to it until it ends ([`attend`]) or leaves it alone.
//!
//! Whatever becomes of the caller, and as in docker no signal of the caller's is passed on: the command is a process of
//! the container's, in its PID namespace and its cgroup, and ends with it.

mod attend;

use super::store::Container;
use super::{Now, events};
use crate::caps;
use crate::cgroup::Cgroup;
use crate::command::foreground::Signals;
use crate::command::stdio::{Stdio, Streams};
use crate::error::{Error, Result};
use crate::journal::Made;
use crate::primitive::{LIST, Primitive};
use crate::spawn::Watcher;
use crate::spawn::join::{self, Door, Job, Joined};
use crate::spec::build::{self, Options};
use crate::spec::{Seccomp, Spec, env};
use crate::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the caller wants; each is the flag of its name.
#[derive(Default)]
#[allow(missing_docs)]
pub struct How {
    pub command: Vec<String>,
    pub env: Vec<String>,
    pub env_file: Vec<PathBuf>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub interactive: bool,
    pub tty: bool,
    pub privileged: bool,
    pub detached: bool,
    /// Bytes that end the attendance and not the command.
    pub detach_keys: Vec<u8>,
    /// Who looks on.
    pub watcher: Option<Rc<RefCell<dyn Watcher>>>,
}

/// Runs a command in the container; returns its exit code, or 0 at once when it is to be left alone.
///
/// # Errors
/// The container does not run, or is paused, or ends meanwhile; 126 and 127 as docker has them.
pub fn run(container: &Container<'_>, how: How) -> Result<u8> {
    let signals = Signals::of_a_client()?;
    let (detached, keys) = (how.detached, how.detach_keys.clone());
    let stdio = |spec: &Spec| if detached { unattended(spec) } else { Stdio::prepare(spec) };
    let (joined, stdio) = enter(container, &how, &signals, stdio)?;
    let tell = teller(container, &how.command);
    tell("exec_create: ", None);
    tell("exec_start: ", None);
    if detached {
        joined.leave();
        return Ok(0);
    }
    let code = attend::attend(joined, &signals, stdio, keys)?;
    tell("exec_die", Some(code));
    Ok(code)
}

/// Has a command join the container, for a caller who attends to it himself.
///
/// # Errors
/// As [`run`]; 128 and the number of a signal that arrived meanwhile.
pub fn enter(
    container: &Container<'_>,
    how: &How,
    signals: &Signals,
    stdio: impl Fn(&Spec) -> Result<Stdio>,
) -> Result<(Joined, Stdio)> {
    let (made, init) = running(container)?;
    let start = || -> Result<(Joined, Stdio)> {
        let door = Door::of(made.init.map_or(0, |i| i.pid), init.as_fd())?;
        if !door.kinds.contains(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID) {
            return Err(Error::new(format!(
                "container {} has no root or no processes of its own",
                container.record.name
            ))
            .why("it was set up in another way than by this program"));
        }
        let spec = spec(&container.record.options, how, &door)?;
        beware(&spec, &door)?;
        let stdio = stdio(&spec)?;
        let cgroup = Cgroup::to_join(&made.cgroups)?;
        let prefix = LIST.iter().copied().filter(|p| possible(*p, &spec)).collect();
        let (stdio_of, interrupt, watcher) = (stdio.streams, signals.as_fd(), how.watcher.clone());
        let job = Job { spec: &spec, made: &made, cgroup: &cgroup, door, prefix, stdio: stdio_of, interrupt, watcher };
        Ok((join::join(&job)?, stdio))
    };
    start().map_err(|e| in_time(e, container, &init))
}

/// Tells of it, in docker's words.
fn teller<'a>(container: &'a Container<'_>, command: &'a [String]) -> impl Fn(&str, Option<u8>) + use<'a> {
    let mut bytes = [0; 32];
    sys::process::random(&mut bytes);
    let id: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    move |what, code| {
        let line = if what.ends_with(' ') { format!("{what}{}", command.join(" ")) } else { what.to_string() };
        let mut more = vec![("execID", id.clone())];
        more.extend(code.map(|code| ("exitCode", code.to_string())));
        events::note(container, &line, &more);
    }
}

/// What the container has made, and its first process, once it is whole.
fn running(container: &Container<'_>) -> Result<(Made, OwnedFd)> {
    let name = &container.record.name;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match container.now() {
            Now::Running { paused: true, .. } => {
                return Err(Error::new(format!("container {name} is paused")).hint(format!("boxwright unpause {name}")));
            }
            Now::Running { made, .. } if made.complete => {
                let init = made.init.and_then(crate::journal::Process::open).ok_or_else(|| not_running(container))?;
                return Ok((*made, init));
            }
            // Somebody is starting it.
            Now::Running { .. } if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            Now::Running { .. } => return Err(Error::new(format!("container {name} does not come to run"))),
            Now::Restarting { .. } => {
                return Err(Error::new(format!("container {name} is restarting"))
                    .why("it has ended, and its monitor waits until it starts it again")
                    .hint(format!("boxwright logs {name} may tell why it ends")));
            }
            Now::Created | Now::Exited => return Err(not_running(container)),
        }
    }
}

fn not_running(container: &Container<'_>) -> Error {
    let name = &container.record.name;
    Error::new(format!("container {name} is not running")).hint(format!("boxwright start {name}"))
}

/// What failed because the container ended meanwhile, failed for that reason.
fn in_time(e: Error, container: &Container<'_>, init: &OwnedFd) -> Error {
    // What a dying container answers. Its end may be yet to come: the kernel first ends all others that are in it.
    let dying = [Errno::ESRCH, Errno::ENOMEM, Errno::ENOENT, Errno::ENODEV];
    let patience = if dying.iter().any(|errno| e.is(*errno)) { 1000_u16 } else { 0 };
    // 126 and 127 are about the command.
    if e.exit != crate::error::code::FAILED {
        return e;
    }
    let mut fds = [PollFd::new(init.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(patience)) {
        Ok(n) if n > 0 => {
            not_running(container).why(format!("it ended while the command was being started ({})", e.what))
        }
        _ => e,
    }
}

fn spec(options: &Options, how: &How, door: &Door) -> Result<Spec> {
    let options = Options {
        command: how.command.clone(),
        entrypoint: None,
        env: env::compose(&options.env, &how.env_file, &how.env, how.tty)?,
        env_file: vec![],
        user: how.user.clone().or_else(|| options.user.clone()),
        group_add: if how.user.is_some() { vec![] } else { options.group_add.clone() },
        workdir: how.workdir.clone().or_else(|| options.workdir.clone()),
        interactive: how.interactive && !how.detached,
        tty: how.tty,
        ..options.clone()
    };
    build::joining(&options, how.privileged, door.kinds.contains(CloneFlags::CLONE_NEWUSER))
}

/// Nobody types into it, and nobody reads what it writes.
fn unattended(spec: &Spec) -> Result<Stdio> {
    let stdio = Stdio::silent()?;
    Ok(if spec.terminal() { Stdio { streams: Streams::Terminal(None), ..stdio } } else { stdio })
}

/// The container was started without what this kernel cannot do.
fn possible(primitive: &dyn Primitive, spec: &Spec) -> bool {
    let filters = primitive.name() == "filter-syscalls";
    !filters || spec.seccomp != Seccomp::Unconfined && primitive.needs().iter().all(|need| (need.probe)(spec).is_ok())
}

/// A container with CAP_SYS_PTRACE over the host's user namespace can open the program of every process that comes to it,
/// keep it open, and overwrite it as soon as nobody runs it (CVE-2019-5736). For such a one, that program is a sealed copy
/// in memory: this command starts itself anew, from there.
fn beware(spec: &Spec, door: &Door) -> Result<()> {
    let reachable = spec.bounding().has(caps::SYS_PTRACE) && !door.kinds.contains(CloneFlags::CLONE_NEWUSER);
    let is_copy = || {
        std::fs::read_link("/proc/self/exe").is_ok_and(|exe| exe.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"))
    };
    if !reachable || is_copy() {
        return Ok(());
    }
    let copy = crate::command::init::sealed_copy()?;
    let c = |bytes: Vec<u8>| CString::new(bytes).unwrap_or_default();
    let argv: Vec<CString> = std::env::args_os().map(|a| c(a.into_vec())).collect();
    let env: Vec<CString> = std::env::vars_os()
        .map(|(name, value)| c([name.into_vec(), b"=".to_vec(), value.into_vec()].concat()))
        .collect();
    Err(sys::exec::execute(copy.as_fd(), &argv, &env))
}
