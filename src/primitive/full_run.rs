//! The command itself: all is set up, and this process becomes it. What the command finds is laid out here: its
//! session and standard streams, working directory, environment, signals; and no descriptor of ours.

use super::{Lesson, Primitive};
use crate::command::stdio::Streams;
use crate::command::{init, program, users, workdir};
use crate::error::{Error, Result};
use crate::observe::Fact;
use crate::spawn::Guest;
use crate::spec::env;
use crate::sys::{exec, fs, process, signal, tty};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// See the head of this file.
pub struct FullRun;

impl Primitive for FullRun {
    fn name(&self) -> &'static str {
        "full-run"
    }

    fn summary(&self) -> &'static str {
        "the command itself: session, streams, environment, execve"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[]
    }

    fn is_last(&self) -> bool {
        true
    }

    /// Returns only when there is no command (a stage that is only looked at), or on failure.
    fn inside(&self, guest: &mut Guest) -> Result<()> {
        let spec = guest.spec;
        let Some(name) = spec.args().first() else { return Ok(()) };
        let env = environment(guest)?;
        enter_directory(guest)?;
        if guest.pivoted {
            // docker's, unless the spec has one: the caller's own means nothing in a container.
            fs::umask(spec.process().and_then(|p| p.user().umask()).unwrap_or(0o022));
        }
        let file = program::find(name, env::get(&env, "PATH").unwrap_or_default())?;
        if guest.pivoted {
            program::inspect(&file)?;
        }
        // ANCHOR: slate
        streams(guest)?;
        // A descriptor of the host's left open is a door back (CVE-2024-21626): not one survives, whoever opened it.
        process::cloexec_from(3)?;
        signal::reset(spec.own_session)?;
        // ANCHOR_END: slate

        let c = |s: &[u8]| CString::new(s).map_err(|_| Error::new("an argument or variable has a zero byte in it"));
        let path = c(file.as_os_str().as_bytes())?;
        let argv = spec.args().iter().map(|a| c(a.as_bytes())).collect::<Result<Vec<_>>>()?;
        let env = env.iter().map(|v| c(v.as_bytes())).collect::<Result<Vec<_>>>()?;
        crate::seccomp::load_late(guest)?;
        if let Some(copy) = guest.init {
            let argv = [&[c(init::NAME.as_bytes())?, path][..], &argv].concat();
            return Err(exec::execute(exec::inherited(copy), &argv, &env));
        }
        let failed = process::execve(&path, &argv, &env);
        // The kernel says "no such file" for a missing interpreter, too: look which it is.
        if failed.is(Errno::ENOENT) {
            program::inspect(&file)?;
        }
        Err(program::cannot_execute(failed, &file))
    }

    fn join(&self, guest: &mut Guest) -> Result<()> {
        self.inside(guest)
    }
}

/// The spec's environment and what goes without saying: in a container's own root what only the container knows; in a
/// stage, which is run at a terminal of the host's, also what the caller has (all of it, while the root is the host's).
fn environment(guest: &mut Guest) -> Result<Vec<String>> {
    let mut env = guest.spec.process().and_then(|p| p.env().clone()).unwrap_or_default();
    if !guest.spec.own_session {
        let ours = std::env::vars().filter(|(name, _)| !guest.pivoted || name == "TERM");
        let missing: Vec<_> = ours.filter(|(name, _)| env::get(&env, name).is_none()).collect();
        env.extend(missing.into_iter().map(|(name, value)| format!("{name}={value}")));
    }
    if !guest.pivoted {
        return Ok(env);
    }
    if env::get(&env, "HOSTNAME").is_none()
        && let Some(name) = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok())
    {
        env.push(format!("HOSTNAME={name}"));
    }
    if env::get(&env, "HOME").is_none_or(str::is_empty) {
        env.retain(|v| v != "HOME=");
        let user = guest.user()?;
        let home = user.home.or_else(|| users::home_of(user.uid)).unwrap_or_else(|| "/".into());
        env.push(format!("HOME={}", home.display()));
    }
    Ok(env)
}

/// `pivot-root` has made and entered it already, as root; here it is a stage's.
fn enter_directory(guest: &Guest) -> Result<()> {
    if guest.joins() {
        return Ok(());
    }
    let Some(cwd) = guest.spec.process().map(|p| p.cwd().as_path()).filter(|c| !c.as_os_str().is_empty()) else {
        return Ok(());
    };
    if std::env::current_dir().is_ok_and(|here| here == cwd) {
        return Ok(());
    }
    if !guest.pivoted {
        return process::chdir(cwd);
    }
    let root = fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    workdir::enter(root.as_fd(), cwd)
}

/// Takes up what the parent decided (see `stdio`).
fn streams(guest: &Guest) -> Result<()> {
    match guest.stdio {
        // `terminal::inside` has done it.
        Streams::Terminal(_) | Streams::Shared { lead: false } => Ok(()),
        Streams::Shared { lead: true } => {
            // As a shell starts a command: a process group of its own, in the foreground.
            tty::join_group(0)?;
            tty::set_foreground(exec::inherited(0), nix::unistd::getpid().as_raw())
        }
        Streams::Own(numbers) => {
            // No terminal of the host's is ours from here on, so none can be typed into (TIOCSTI, CVE-2017-5226).
            process::setsid()?;
            for (number, stream) in numbers.into_iter().zip(0..) {
                if number != stream {
                    exec::dup_to(number, stream)?;
                }
            }
            Ok(())
        }
    }
}

static LESSON: Lesson = Lesson {
    what: "execve(2) replaces the program in this process and keeps the process: its number, namespaces, cgroup, root, \
           capabilities, filter, user. Everything before was done by our program to itself; now another takes its place.",
    why: "The command should find a clean slate: a session and, with -t, a terminal of its own, no file descriptor of the \
          host's, default signals, the environment of its image, and its own working directory. And it must not find \
          our program: a `#!/proc/self/exe` would run the host's file inside, where root could later overwrite it.",
    kernel: "setsid; ioctl(TIOCSCTTY); dup3 for 0, 1 and 2; close_range(3, ~0, CLOSE_RANGE_CLOEXEC); rt_sigprocmask; execve",
    by_hand: "setsid env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh",
    docker: "docker run -i -t -e -w --init IMAGE COMMAND",
    pages: "execve(2), setsid(2), pty(7), close_range(2), signal(7), credentials(7)",
};
