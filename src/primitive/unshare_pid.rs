//! The PID namespace: become process 1. The child has two numbers from now on: one in here, where it is the first
//! process of a world of its own, and one outside. It cannot be entered later, only be born into: so it is made by
//! clone3 itself. (And `ps` still lies: /proc is the host's, until `private-mounts`.)

use super::{Lesson, Primitive};
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::Guest;
use crate::spec::Spec;
use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxNamespaceType;

/// See the head of this file.
pub struct UnsharePid;

impl Primitive for UnsharePid {
    fn name(&self) -> &'static str {
        "unshare-pid"
    }

    fn summary(&self) -> &'static str {
        "PID namespace: become process 1 (and ps still lies: /proc is the host's)"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::PidNs, Fact::Pid]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.namespace(LinuxNamespaceType::Pid)
    }

    // ANCHOR: clone
    fn clone_flags(&self, _: &Spec) -> CloneFlags {
        CloneFlags::CLONE_NEWPID
    }
    // ANCHOR_END: clone

    fn approach(&self, guest: &mut Guest) -> Result<()> {
        guest.enter(CloneFlags::CLONE_NEWPID)
    }
}

static LESSON: Lesson = Lesson {
    what: "A PID namespace is a numbering of its own. The first process born in it is number 1 there: it adopts \
           orphans, it gets no signal that it has no handler for, and when it ends the kernel kills all the others.",
    why: "Processes inside cannot name processes outside, so they cannot signal or trace them; and the whole container \
          ends with its first process. Without it `kill -9 -1` as root inside kills the host.",
    kernel: "clone3(CLONE_NEWPID). Not unshare(2): that would make members only of the children to come, not of the caller.",
    by_hand: "unshare --map-root-user --pid --fork sh -c 'echo I am $$; ps ax | head -3'   # ps reads /proc, which is the host's",
    docker: "always; docker run --pid=host leaves it out",
    pages: "pid_namespaces(7), clone(2)",
};
