//! A container's root filesystem, with all that is mounted there, as a descriptor. Of one that runs it is that of its
//! process 1. For one that does not, its layers and volumes are mounted as for a start, in a mount namespace of their
//! own, which a process keeps that does nothing else; the journal has it, so that a kill -9 leaves nothing.

use super::{Aside, fork};
use crate::container::store::Container;
use crate::container::{Now, monitor};
use crate::error::{Error, Result};
use crate::journal::Process;
use crate::observe::Fact;
use crate::primitive::{self, Lesson, Primitive};
use crate::spawn::{self, Guest, Host, Job};
use crate::spec::Spec;
use crate::sys;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use serde::Serialize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// See the head of this file.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    /// Where it is not ours.
    userns: Option<OwnedFd>,
}

/// Does something with a container's root filesystem.
///
/// # Errors
/// What `work` fails with; a start's errors, for one that does not run.
pub fn with<T>(container: &Container<'_>, work: impl FnOnce(&View) -> Result<T>) -> Result<T> {
    // Before it is whole, the root of its process 1 may still be the host's.
    if let Now::Running { made, .. } = container.now()
        && made.complete
    {
        return work(&View::of(made.init, container)?);
    }
    // Nobody is in the middle of a start any more, and nobody starts or removes it meanwhile.
    let _locked = container.lock()?;
    if let Now::Running { made, .. } = container.now() {
        let init = made.init.filter(|_| made.complete);
        return work(&View::of(init, container)?);
    }
    let spec = only_files(monitor::spec(container)?);
    let wanted = ["map-user", "unshare-pid", "private-mounts", "stack-layers", "pivot-root"];
    let parts = wanted.into_iter().filter_map(primitive::find).filter(|p| p.wanted(&spec));
    let prefix = [&Hold { last: false } as &'static dyn Primitive].into_iter().chain(parts);
    let job = Job {
        spec: &spec,
        state: container.state(),
        id: Some(container.record.short()),
        prefix: prefix.chain([&Hold { last: true } as &'static dyn Primitive]).collect(),
        stdio: crate::command::stdio::Streams::Shared { lead: false },
        init: None,
        interrupt: None,
        watcher: None,
    };
    let held = spawn::start(&job)?;
    let pid = held.pid;
    let result = View::of(Process::of(pid.as_raw()), container).and_then(|view| work(&view));
    let finished = held.finish();
    // Killed by now.
    let _ = sys::process::wait(pid);
    let value = result?;
    finished.map(|()| value)
}

/// Of a container's spec, what its files are made of: its root and what is bound there. No /proc and no /dev, which are
/// only there while it runs.
fn only_files(mut spec: Spec) -> Spec {
    let binds = spec.mounts().iter().filter(|m| crate::mounts::is_bind(m)).cloned().collect();
    spec.oci.set_mounts(Some(binds));
    if let Some(process) = spec.oci.process_mut() {
        process.set_cwd("/".into()).set_terminal(Some(false));
    }
    spec.resolv_conf = None;
    // A layer that was once mounted so cannot be mounted again (overlayfs.rst, "Volatile mount").
    spec.volatile = false;
    spec
}

impl View {
    fn of(init: Option<Process>, container: &Container<'_>) -> Result<View> {
        let gone = || Error::new(format!("container {} has just ended", container.record.name));
        let init = init.ok_or_else(gone)?;
        let _pidfd = init.open().ok_or_else(gone)?;
        let proc = |what: &str| format!("/proc/{}/{what}", init.pid);
        let root = sys::fs::open(Path::new(&proc("root")), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        let userns = sys::fs::open(Path::new(&proc("ns/user")), OFlag::O_RDONLY, 0)?;
        let ours = sys::fs::open(Path::new("/proc/self/ns/user"), OFlag::O_RDONLY, 0)?;
        let same = sys::fs::stat(userns.as_fd())?.st_ino == sys::fs::stat(ours.as_fd())?.st_ino;
        // Asked again after opening: until then the number was not reused.
        if Process::of(init.pid) != Some(init) {
            return Err(gone());
        }
        Ok(View { root, userns: (!same).then_some(userns) })
    }

    /// Its root directory.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Runs `work` in a process that is the container's root, and sees its users by their numbers there.
    pub(super) fn aside<T: Serialize>(&self, work: impl FnOnce() -> Result<T>) -> Result<Aside> {
        fork(|| {
            if let Some(userns) = &self.userns {
                sys::process::setns(userns.as_fd(), CloneFlags::CLONE_NEWUSER)?;
                // Forbidden where only one id is mapped; and then there is nothing to give up.
                let _ = sys::process::setgroups(&[]);
                sys::process::setgid(0)?;
                sys::process::setuid(0)?;
            }
            // What is made has exactly the modes that are asked for.
            sys::fs::umask(0);
            work()
        })
    }
}

/// What stands in the list in the command's place: first a note in the journal that there is no command, and last a process that waits
/// to be killed.
struct Hold {
    last: bool,
}

impl Primitive for Hold {
    fn name(&self) -> &'static str {
        "cp"
    }

    fn summary(&self) -> &'static str {
        "its files, and no command"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[]
    }

    fn is_last(&self) -> bool {
        self.last
    }

    fn prepare(&self, host: &mut Host) -> Result<()> {
        if self.last { Ok(()) } else { host.journal(|made| made.only_files = true) }
    }

    fn inside(&self, _: &mut Guest) -> Result<()> {
        if !self.last {
            return Ok(());
        }
        // A process that has changed its user hides its /proc/PID/root, also from whoever started it (ptrace(2)).
        sys::process::prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 1)?;
        sys::process::prctl("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)?;
        // In place of execve: the parent hears the end of the wire, and nobody waits for our copies of his streams.
        sys::process::close_all();
        loop {
            nix::unistd::pause();
        }
    }
}

static LESSON: Lesson = Lesson { what: "", why: "", kernel: "", by_hand: "", docker: "", pages: "" };
