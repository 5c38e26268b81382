//! Memory: how much may be in use, and how much of it may go out to swap besides. What does not fit is reclaimed (the
//! page cache first); what cannot be reclaimed costs a process its life, in this cgroup and nowhere else.

use super::join_cgroup::{cgroup_of, needs};
use super::{Lesson, Need, Primitive};
use crate::cgroup::Controller;
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::Spec;

/// See the head of this file.
pub struct LimitMemory;

impl Primitive for LimitMemory {
    fn name(&self) -> &'static str {
        "limit-memory"
    }

    fn summary(&self) -> &'static str {
        "cgroup: memory and swap"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "memory controller", probe: |spec| needs(&[Controller::Memory], spec) }]
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::MemoryMax, Fact::MemorySwapMax]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.memory().is_some()
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        guest.outside_meanwhile()
    }

    // ANCHOR: limit
    fn outside(&self, host: &mut Host) -> Result<()> {
        let Some(memory) = host.spec.memory() else { return Ok(()) };
        let notes = cgroup_of(host)?.limit_memory(memory)?;
        host.notes.extend(notes);
        Ok(())
    }
    // ANCHOR_END: limit
}

static LESSON: Lesson = Lesson {
    what: "memory.max is the most that the processes of a cgroup may use together: what they have touched, the page \
           cache they have filled, and the kernel's own structures for them. memory.swap.max is how much more may be \
           swapped out.",
    why: "Without it one process that leaks takes the machine's memory, and the kernel then kills whoever is largest, \
          which may be your database. With it the one to die is in the container that used too much.",
    kernel: "v2: write memory.swap.max and memory.max. v1: memory.limit_in_bytes, then memory.memsw.limit_in_bytes, \
             which is the sum of both and so never the smaller one. memory.events counts oom_kill.",
    by_hand: "echo +memory > /sys/fs/cgroup/cgroup.subtree_control; echo 64M > /sys/fs/cgroup/mine/memory.max; echo 0 > /sys/fs/cgroup/mine/memory.swap.max; \
              head -c 100m /dev/zero | tail   # version 2, after join-cgroup in the same shell; tail is killed",
    docker: "docker run --memory 64m; --memory-swap is memory and swap together, and twice the memory unless given",
    pages: "Documentation/admin-guide/cgroup-v2.rst, Documentation/admin-guide/cgroup-v1/memory.rst",
};
