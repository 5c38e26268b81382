//! The number of processes, threads included: the one limit that a fork bomb meets. A fork above it fails with EAGAIN,
//! in this cgroup and nowhere else.

use super::join_cgroup::{cgroup_of, needs};
use super::{Lesson, Need, Primitive};
use crate::cgroup::Controller;
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::Spec;

/// See the head of this file.
pub struct LimitPids;

impl Primitive for LimitPids {
    fn name(&self) -> &'static str {
        "limit-pids"
    }

    fn summary(&self) -> &'static str {
        "cgroup: number of processes"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "pids controller", probe: |spec| needs(&[Controller::Pids], spec) }]
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::PidsMax]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.pids_limit().is_some_and(|limit| limit > 0)
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        guest.outside_meanwhile()
    }

    // ANCHOR: limit
    fn outside(&self, host: &mut Host) -> Result<()> {
        match host.spec.pids_limit() {
            Some(limit) => cgroup_of(host)?.limit_pids(limit),
            None => Ok(()),
        }
    }
    // ANCHOR_END: limit
}

static LESSON: Lesson = Lesson {
    what: "pids.max is how many tasks (processes and their threads) the cgroup may hold. fork(2) and clone(2) beyond it \
           fail with EAGAIN: \"Resource temporarily unavailable\".",
    why: "Process numbers are a resource of the whole machine (kernel.pid_max). A PID namespace does not limit them, \
          and a fork bomb is too quick to be killed by hand; nor does it use enough memory soon enough to meet that \
          limit.",
    kernel: "write pids.max (the same file on v1 and v2); pids.events counts the forks that were refused",
    by_hand: "echo +pids > /sys/fs/cgroup/cgroup.subtree_control; echo 16 > /sys/fs/cgroup/mine/pids.max; for i in $(seq 20); do sleep 9 & done; \
              cat /sys/fs/cgroup/mine/pids.events   # version 2, after join-cgroup in the same shell",
    docker: "docker run --pids-limit 64",
    pages: "cgroups(7), Documentation/admin-guide/cgroup-v1/pids.rst",
};
