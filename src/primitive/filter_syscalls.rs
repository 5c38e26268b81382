//! seccomp: a filter in front of every system call of the container. The kernel is shared by all containers and has more
//! than 350 entrances; most programs need a hundred of them, and the others are attack surface. The profile, its
//! compiler and docker's file format are in [`crate::seccomp`].
//!
//! It stands before `drop-caps`, because loading a filter takes CAP_SYS_ADMIN unless the process has given up gaining
//! privileges at execve (no_new_privs). Where that is asked for, it is the other way round: the filter waits for
//! [`seccomp::load_late`], right before execve, so that a profile need not allow what only `drop-caps` does. This
//! stage then changes nothing yet, which is what its report says.

use super::{Lack, Lesson, Need, Primitive};
use crate::error::Result;
use crate::observe::Fact;
use crate::seccomp;
use crate::spawn::{Guest, Host};
use crate::spec::{Seccomp, Spec};

/// See the head of this file.
pub struct FilterSyscalls;

impl Primitive for FilterSyscalls {
    fn name(&self) -> &'static str {
        "filter-syscalls"
    }

    fn summary(&self) -> &'static str {
        "seccomp: only the system calls of an allow-list"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &NEEDS
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::Seccomp, Fact::SeccompFilters]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.seccomp != Seccomp::Unconfined
    }

    fn prepare(&self, host: &mut Host) -> Result<()> {
        if let Seccomp::Profile(filter) = &host.spec.seccomp {
            host.notes.extend(filter.notes.iter().cloned());
        }
        Ok(())
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        if seccomp::is_late(guest) { Ok(()) } else { seccomp::load_now(guest) }
    }

    /// A filter cannot be joined: the same one is loaded anew.
    fn join(&self, guest: &mut Guest) -> Result<()> {
        self.inside(guest)
    }
}

static NEEDS: [Need; 1] = [Need { name: "seccomp filters", probe: has_filters }];

/// The file tells which actions the kernel knows; there is none without filters. Where /proc/sys cannot be read, the
/// call itself will tell.
fn has_filters(_: &Spec) -> std::result::Result<(), Lack> {
    let actions = std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail");
    if actions.exists() || !std::path::Path::new("/proc/sys/kernel").exists() {
        return Ok(());
    }
    Err(Lack {
        reason: "this kernel was built without seccomp filters".into(),
        remedy: "a kernel with CONFIG_SECCOMP_FILTER, or --security-opt seccomp=unconfined".into(),
    })
}

static LESSON: Lesson = Lesson {
    what: "seccomp (secure computing) puts a small program in front of every system call. It is classic BPF, the \
           language of tcpdump's filters: it sees the call's number, the architecture and the six arguments, and \
           answers: let it pass, refuse it with an errno, or kill. A filter is inherited by all children and can \
           never be taken off again; another can only be stacked on top, and the strictest answer counts.",
    why: "All containers share one kernel, and each of its several hundred system calls is a door to it. A hole behind \
          a door that a container never uses is still a hole. The built-in profile allows some 350 calls and refuses \
          the rest with EPERM: keyrings, io_uring, kexec, loading modules, mounting, new user namespaces. Without it, \
          a container's root may do in a user namespace of its own what the kernel lets root do, and most escapes \
          began there. Some calls come back with a capability (mount with CAP_SYS_ADMIN), since whoever adds that \
          means to use it. Calls newer than the profile give ENOSYS, so that programs fall back to older ones.",
    kernel: "seccomp(SECCOMP_SET_MODE_FILTER, 0, {len, filter}); /proc/PID/status: Seccomp, Seccomp_filters; \
             /proc/sys/kernel/seccomp/actions_avail. struct seccomp_data {nr, arch, instruction_pointer, args[6]}. \
             Needs CAP_SYS_ADMIN or no_new_privs.",
    by_hand: "grep Seccomp /proc/self/status\n\
              systemd-run --pty -p SystemCallFilter=~mount sh     # one way to have a filter from a shell\n\
              bwrap --seccomp 9 9<filter.bpf --bind / / sh        # another; libseccomp writes filter.bpf\n\
              strace -c ls                                        # which calls does a program need at all?",
    docker: "on by default; --security-opt seccomp=FILE (a profile in JSON), --security-opt seccomp=unconfined; \
             --security-opt no-new-privileges has the filter loaded last of all",
    pages: "seccomp(2), bpf(4) of FreeBSD for the language, prctl(2) PR_SET_NO_NEW_PRIVS, capabilities(7), \
            Documentation/userspace-api/seccomp_filter.rst",
};
