//! One probe: a process that the monitor starts, so that what it takes of memory is gone with it. It has the command join
//! the container as `exec` does, waits for it, kills it when it takes too long, and writes down what it found.

use super::{Check, Health, Probe};
use crate::command::foreground::Signals;
use crate::command::stdio::{self, Stdio};
use crate::container::exec::{self, How};
use crate::container::store::{Container, Store};
use crate::container::{Now, events, times};
use crate::error::{Error, Result};
use crate::spawn::join::Joined;
use crate::state::State;
use crate::sys::{process, signal};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// What it is called, which is how it knows what it is.
const NAME: &str = "boxwright-health";

/// Its exit code when the container may still be starting: the next probe comes sooner.
pub const STILL_STARTING: i32 = 3;

/// So much of what it writes is kept, as in docker.
const LONGEST: usize = 4096;

/// Starts one, from the monitor.
///
/// # Errors
/// EAGAIN at a limit on processes.
pub fn start(container: &Container<'_>) -> Result<(Pid, OwnedFd)> {
    let Some(pid) = process::fork()? else {
        let state = container.state();
        let c = |text: &[u8]| CString::new(text).unwrap_or_default();
        let paths = [&state.run, &state.lib].map(|path| c(path.as_os_str().as_bytes()));
        let moved = if state.moved { c(b"moved") } else { c(b"") };
        let argv = [&[c(NAME.as_bytes()), c(container.record.id.as_bytes())], &paths[..], &[moved]].concat();
        let env: Vec<CString> =
            std::env::vars_os().map(|(name, value)| c(&[name.as_bytes(), b"=", value.as_bytes()].concat())).collect();
        let _ = process::execve(c"/proc/self/exe", &argv, &env);
        process::exit_now(1)
    };
    let pidfd = process::pidfd_open(pid).map_err(|e| {
        let _ = signal::send(pid.as_raw(), libc::SIGKILL);
        let _ = process::wait(pid);
        Error::call(format!("pidfd_open({pid})"), e)
    })?;
    Ok((pid, pidfd))
}

/// Early in `main`: does nothing, unless this is a probe. Then it does not return.
pub fn main_if_probe() {
    let mut args = std::env::args_os();
    if args.next().is_none_or(|name| name != NAME) {
        return;
    }
    let args: Vec<OsString> = args.collect();
    let code = match &args[..] {
        [id, run, lib, moved] => {
            let state = State { run: run.into(), lib: lib.into(), moved: !moved.is_empty() };
            main(&state, &id.to_string_lossy()).unwrap_or(1)
        }
        _ => 1,
    };
    process::exit_now(code)
}

fn main(state: &State, id: &str) -> Result<i32> {
    // Nobody's terminal is behind this, and a signal that the monitor's caller ignored must be heard.
    signal::reset(true)?;
    let container = Store::new(state).by_short(id).ok_or_else(|| Error::new(format!("container {id} is gone")))?;
    let Some(check) = container.record.health.clone() else { return Ok(0) };
    let started = container.history().started;
    let mut health = Health::of(&container);
    if let Some(found) = probe(&container, &check)? {
        let before = health.status;
        health.add(&check, started, found);
        health.write(&container)?;
        if health.status != before {
            events::note(&container, &format!("health_status: {}", health.status.word()), &[]);
        }
    }
    Ok(if health.is_starting(&check, started) { STILL_STARTING } else { 0 })
}

/// None when there is nothing to be found: it is paused, or ends.
fn probe(container: &Container<'_>, check: &Check) -> Result<Option<Probe>> {
    if !is_awake(container) {
        return Ok(None);
    }
    let signals = Signals::of_a_client()?;
    let start = times::now();
    // It interrupts whatever we wait for, from the first moment on.
    signal::send_later(Signal::SIGTERM, check.timeout)?;
    let (exit_code, output) = match ask(container, check, &signals) {
        Ok(answer) => answer,
        Err(e) if e.exit == 128 + libc::SIGTERM as u8 => too_late(check),
        Err(e) => (e.exit.into(), e.to_string()),
    };
    if exit_code != 0 && !is_awake(container) {
        return Ok(None);
    }
    Ok(Some(Probe { start, end: times::now(), exit_code, output }))
}

fn is_awake(container: &Container<'_>) -> bool {
    matches!(container.now(), Now::Running { paused: false, .. })
}

fn too_late(check: &Check) -> (i32, String) {
    (-1, format!("Health check exceeded timeout ({:?})", check.timeout))
}

fn ask(container: &Container<'_>, check: &Check, signals: &Signals) -> Result<(i32, String)> {
    let (output, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e))?;
    let output = stdio::non_blocking(output)?;
    let how = How { command: check.command(), ..How::default() };
    let into_pipe = |_: &_| Stdio::into_pipe(stdio::duplicate(theirs.as_fd())?);
    let (joined, mut stdio) = exec::enter(container, &how, signals, into_pipe)?;
    stdio.started();
    drop(theirs);
    attend(&joined, check, signals, &output)
}

/// Waits for its end, or until it is too late.
fn attend(joined: &Joined, check: &Check, signals: &Signals, output: &OwnedFd) -> Result<(i32, String)> {
    let mut text = Vec::new();
    let mut open = true;
    loop {
        let mut fds =
            vec![PollFd::new(joined.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if open {
            fds.push(PollFd::new(output.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Error::call("poll(the probe)", e)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        if open && ready[2] {
            open = take(output, &mut text);
        }
        if ready[0] {
            // What it wrote last. Who still has the pipe (a child that it left) is not waited for.
            while take(output, &mut text) && text.len() <= LONGEST {}
            return Ok((joined.ended()?.into(), shown(&text)));
        }
        if ready[1] && signal::next(signals.as_fd()).is_some_and(|arrived| arrived.signal == libc::SIGTERM) {
            let _ = process::pidfd_kill(&joined.pidfd, libc::SIGKILL);
            return Ok(too_late(check));
        }
    }
}

/// Reads what is there; what is too much is dropped. Was there anything?
fn take(output: &OwnedFd, text: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match nix::unistd::read(output, &mut buffer) {
        Ok(0) | Err(_) => false,
        Ok(n) => {
            if text.len() <= LONGEST {
                text.extend_from_slice(&buffer[..n]);
            }
            true
        }
    }
}

fn shown(text: &[u8]) -> String {
    let dots = if text.len() > LONGEST { "..." } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(&text[..text.len().min(LONGEST)]))
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_output_is_cut() {
        assert_eq!(super::shown(b"fine\n"), "fine\n");
        let long = super::shown(&[b'x'; 5000]);
        assert!(long.len() == 4099 && long.ends_with("x..."));
    }
}
