//! The end of a cgroup: everybody in it killed, also those who fork meanwhile, and its directories removed. Works from
//! the paths alone, so that whoever comes after a crash can do it too.

use super::place::SLICE;
use super::{words, write};
use crate::error::{Error, Result};
use crate::sys::{self, fs};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a killed process may take to be gone (one in a disk's queue takes as long as the disk).
const PATIENCE: Duration = Duration::from_secs(10);

/// Freezes or thaws all processes of a container, and returns when that is so.
///
/// # Errors
/// When it has neither a v2 cgroup nor v1's freezer, and when they do not stop.
pub fn freeze(dirs: &[PathBuf], frozen: bool) -> Result<()> {
    if let Some(dir) = having(dirs, "cgroup.freeze") {
        write(dir, "cgroup.freeze", if frozen { "1" } else { "0" })?;
        let state = format!("frozen {}", u8::from(frozen));
        return wait_until(|| text(dir, "cgroup.events").lines().any(|l| l == state), dir, "frozen");
    }
    let Some(dir) = having(dirs, "freezer.state") else {
        return Err(Error::new("this container cannot be frozen")
            .why("it is in no cgroup of v2 and in none of v1's freezer")
            .hint("boxwright doctor"));
    };
    let state = if frozen { "FROZEN" } else { "THAWED" };
    let arrived = || text(dir, "freezer.state").trim() == state;
    // A process that forks while v1 freezes can leave it at FREEZING; writing again gets the child too.
    wait_until(|| write(dir, "freezer.state", state).is_err() || arrived(), dir, state)
}

/// Is a container frozen?
pub fn is_frozen(dirs: &[PathBuf]) -> bool {
    // One look where there is v2, which is first in the list: many commands ask this about every container.
    match dirs.iter().find_map(|dir| fs::read_text(dir.join("cgroup.events")).ok()) {
        Some(events) => events.lines().any(|line| line == "frozen 1"),
        None => dirs.iter().any(|dir| text(dir, "freezer.state").trim() == "FROZEN"),
    }
}

// ANCHOR: kill
/// Kills every process in these directories and below, and returns when none is left.
///
/// # Errors
/// When some are still there after ten seconds.
pub fn kill_all(dirs: &[PathBuf]) -> Result<()> {
    // One write kills all, also those being born (Linux 5.14).
    if let Some(dir) = having(dirs, "cgroup.kill")
        && write(dir, "cgroup.kill", "1").is_ok()
    {
        return wait_until(|| !populated(dirs), dir, "empty");
    }
    let Some(any) = dirs.iter().find(|d| d.exists()) else { return Ok(()) };
    // Whoever is frozen cannot fork. Where nothing freezes, the rounds below have to be faster than they fork.
    let froze = freeze(dirs, true).is_ok();
    kill_each(dirs);
    if froze {
        // v1: a frozen process dies only when it thaws.
        freeze(dirs, false)?;
    }
    wait_until(
        || {
            kill_each(dirs);
            !populated(dirs)
        },
        any,
        "empty",
    )
}
// ANCHOR_END: kill

fn kill_each(dirs: &[PathBuf]) {
    for pid in dirs.iter().flat_map(|d| pids(d)) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Every process in a cgroup and those below it, by its number here.
pub fn pids(dir: &Path) -> Vec<i32> {
    let own = words(&dir.join("cgroup.procs")).into_iter().filter_map(|w| w.parse().ok());
    // 0 is a process that has no number in our PID namespace; kill(0) would be kill(ourselves).
    own.filter(|&pid| pid > 0).chain(children(dir).iter().flat_map(|c| pids(c))).collect()
}

fn populated(dirs: &[PathBuf]) -> bool {
    dirs.iter().any(|dir| match text(dir, "cgroup.events") {
        events if events.is_empty() => !pids(dir).is_empty(),
        events => events.lines().any(|l| l == "populated 1"),
    })
}

/// Removes a container's directories; what is still alive in them is killed. Nothing to remove is fine.
///
/// # Errors
/// EBUSY when a process does not die, EACCES.
pub fn remove(dirs: &[PathBuf]) -> Result<()> {
    let mut killed = Ok(());
    // Mostly nobody is left, and the first try does it.
    if dirs.iter().any(|dir| remove_one(dir).is_err_and(|e| e.is(Errno::EBUSY))) {
        killed = kill_all(dirs);
    }
    for dir in dirs {
        // A process that is as good as dead keeps its cgroup busy for a little longer.
        let start = Instant::now();
        let mut pause = Duration::from_micros(200);
        loop {
            match remove_one(dir) {
                Ok(()) => break,
                Err(e) if e.is(Errno::EBUSY) && start.elapsed() < PATIENCE && killed.is_ok() => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                Err(e) => return Err(killed.err().unwrap_or(e)),
            }
        }
        remove_slice(dir);
    }
    Ok(())
}

/// One directory, with those that the container has made below it (systemd in a container does).
fn remove_one(dir: &Path) -> Result<()> {
    match fs::rmdir(dir) {
        Err(e) if e.is(Errno::ENOENT) => Ok(()),
        Err(e) if e.is(Errno::EBUSY) => {
            for child in children(dir) {
                remove_one(&child)?;
            }
            match fs::rmdir(dir) {
                Err(e) if e.is(Errno::ENOENT) => Ok(()),
                result => result,
            }
        }
        result => result,
    }
}

/// The slice goes with the last container in it. That it is not empty is no error.
fn remove_slice(dir: &Path) {
    if let Some(slice) = dir.parent().filter(|p| p.file_name().is_some_and(|n| n == SLICE)) {
        let _ = sys::trace::paused(|| fs::rmdir(slice));
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

fn having<'a>(dirs: &'a [PathBuf], file: &str) -> Option<&'a Path> {
    dirs.iter().find(|d| d.join(file).exists()).map(PathBuf::as_path)
}

fn text(dir: &Path, file: &str) -> String {
    std::fs::read_to_string(dir.join(file)).unwrap_or_default()
}

fn wait_until(mut done: impl FnMut() -> bool, dir: &Path, what: &str) -> Result<()> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    while !done() {
        if start.elapsed() > PATIENCE {
            return Err(Error::new(format!("{} is not {what} after {} s", dir.display(), PATIENCE.as_secs()))
                .why("a process in it is in a system call that cannot be interrupted (state D)")
                .hint(format!("ps -o pid,stat,wchan:20,cmd -p $(paste -sd, {}/cgroup.procs)", dir.display())));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}
