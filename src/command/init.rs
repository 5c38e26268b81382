//! `--init`: a process 1 that does what a process 1 must: it starts the command as its child, passes signals on, reaps
//! every orphan, and ends with the command's exit code. The command itself need then know nothing of being process 1.
//!
//! It is this same program, but never the host's file: the container's root could open that through /proc/1/exe, keep
//! it open and overwrite it later (CVE-2019-5736). So what runs inside is a copy in memory, sealed against writing, made
//! by the parent (who pays for it, not the container's memory limit). Forking without exec would be cheaper, but leave
//! the host's file, and whatever the parent had in memory, for the container to look at.

use crate::error::{Error, Result};
use crate::sys::process::{self, End};
use crate::sys::{exec, signal, tty};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// What the copy is called by, which is how it knows what it is; also its name in the container's `ps`.
pub const NAME: &str = "boxwright-init";

/// A sealed copy of this program.
///
/// # Errors
/// ENOMEM; EACCES where memory may not be executed (sysctl vm.memfd_noexec).
pub fn sealed_copy() -> Result<OwnedFd> {
    let memfd = exec::memfd(NAME).map_err(|e| {
        e.explain(
            Errno::EACCES,
            "programs in memory are forbidden here",
            "sysctl vm.memfd_noexec=1, or leave out --init",
        )
    })?;
    let mut ours = std::fs::File::open("/proc/self/exe").map_err(|e| Error::io("open(/proc/self/exe)", &e))?;
    let mut copy = std::fs::File::from(memfd);
    std::io::copy(&mut ours, &mut copy).map_err(|e| Error::io("copy_file_range(/proc/self/exe, memfd)", &e))?;
    exec::seal(copy.as_fd())?;
    Ok(copy.into())
}

/// First thing in `main`: does nothing, unless this is the copy in a container. Then it is its process 1 and does not
/// return. The arguments are the program's file, which the set-up has looked up, and the command's own.
pub fn main_if_init() {
    let mut args = std::env::args_os();
    if args.next().is_none_or(|name| name != NAME) {
        return;
    }
    let Some(program) = args.next() else { return };
    process::exit_now(run(program, args.collect()).into())
}

fn run(program: OsString, argv: Vec<OsString>) -> u8 {
    // By execveat(2), ps would show the name of the memory file, or before Linux 6.14 the number of a descriptor.
    let _ = nix::sys::prctl::set_name(c"boxwright-init");
    let all: Vec<i32> = (1..=libc::SIGRTMAX()).collect();
    if signal::block(&all).is_err() {
        return crate::error::code::FAILED;
    }
    // Without a PID namespace of its own (`--without unshare-pid`), orphans come here all the same.
    let _ = process::prctl("PR_SET_CHILD_SUBREAPER", libc::PR_SET_CHILD_SUBREAPER, 1);
    match process::fork() {
        Ok(Some(command)) => look_after(command, &all),
        Ok(None) => become_command(program, argv),
        Err(e) => {
            eprintln!("{NAME}: {e}");
            crate::error::code::FAILED
        }
    }
}

/// The child. What can go wrong has been looked at before; what still does is told by the exit code, as by a shell.
fn become_command(program: OsString, argv: Vec<OsString>) -> u8 {
    // A process group of its own, with the terminal if there is one: so Ctrl-C reaches the command once, directly, and
    // what is sent to process 1 is passed on once.
    let _ = tty::join_group(0);
    let _ = tty::set_foreground(exec::inherited(0), nix::unistd::getpid().as_raw());
    let _ = signal::reset(false);
    let c = |s: OsString| CString::new(s.into_vec()).unwrap_or_default();
    let env = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        c(name)
    });
    let path = std::path::PathBuf::from(&program);
    let argv: Vec<CString> = argv.into_iter().map(c).collect();
    let e =
        crate::command::program::cannot_execute(process::execve(&c(program), &argv, &env.collect::<Vec<_>>()), &path);
    eprintln!("{NAME}: {e}");
    process::exit_now(e.exit.into())
}

/// Signals one way, exit codes the other. Ends when the command does; the kernel then ends all that is left.
fn look_after(command: Pid, all: &[i32]) -> u8 {
    loop {
        match signal::wait(all) {
            Some(libc::SIGCHLD) | None => {
                if let Some(end) = reap(command) {
                    return end.exit_code();
                }
            }
            Some(signal) => drop(signal::send(command.as_raw(), signal)),
        }
    }
}

/// Reaps all that have ended; one SIGCHLD may stand for many.
fn reap(command: Pid) -> Option<End> {
    let mut end = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == command => end = Some(End::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => end = Some(End::Signal(signal as i32)),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return end,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_copy_is_whole_and_cannot_be_written() {
        let copy = sealed_copy().unwrap();
        let length = std::fs::metadata("/proc/self/exe").unwrap().len();
        let mut copy = std::fs::File::from(copy);
        assert_eq!(copy.metadata().unwrap().len(), length);
        assert_eq!(copy.write(b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(copy.set_len(0).is_err());
    }
}
