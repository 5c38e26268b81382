//! CPU: how much time in every period (quota), how much of it against others when all want it (weight), and on which
//! CPUs. The limits are written by the parent: behind its cgroup namespace the child must not touch its own.

use super::join_cgroup::{cgroup_of, needs};
use super::{Lesson, Need, Primitive};
use crate::cgroup::Controller;
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::Spec;
use nix::errno::Errno;

/// See the head of this file.
pub struct LimitCpu;

impl Primitive for LimitCpu {
    fn name(&self) -> &'static str {
        "limit-cpu"
    }

    fn summary(&self) -> &'static str {
        "cgroup: CPU quota and weight"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "cpu controller", probe: |spec| needs(&[Controller::Cpu, Controller::Cpuset], spec) }]
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::CpuMax, Fact::CpuWeight, Fact::CpusetCpus]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.cpu().is_some()
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        guest.outside_meanwhile()
    }

    // ANCHOR: limit
    fn outside(&self, host: &mut Host) -> Result<()> {
        let Some(cpu) = host.spec.cpu() else { return Ok(()) };
        cgroup_of(host)?.limit_cpu(cpu).map_err(|e| {
            e.explain(
                Errno::EINVAL,
                "the kernel accepts periods from 1 ms to 1 s, quotas from 1 ms, weights from 1 to 10000, and on v1 no \
                 larger share than the cgroup above has",
                "--cpus 0.01 is the smallest for the usual period of 100 ms",
            )
        })
    }
    // ANCHOR_END: limit
}

static LESSON: Lesson = Lesson {
    what: "cpu.max holds two numbers of microseconds: in every period (100000) the cgroup may run for so long (50000 is \
           half a CPU; 200000 two CPUs), then all of it sleeps until the next. cpu.weight counts only while others want \
           the CPU too. cpuset.cpus says which CPUs.",
    why: "Without a quota one container's busy loop slows all others. With one it is stopped even when the CPUs are \
          idle: that is the price of a promise that always holds, and why latencies jump in steps of a period.",
    kernel: "v2: write cpu.max, cpu.weight, cpuset.cpus. v1: cpu.cfs_period_us, then cpu.cfs_quota_us; cpu.shares (1024 \
             is weight 100). cpu.stat counts: nr_throttled periods in which it was stopped, and for how long.",
    by_hand: "echo +cpu > /sys/fs/cgroup/cgroup.subtree_control; echo '50000 100000' > /sys/fs/cgroup/mine/cpu.max; \
              timeout 3 yes > /dev/null; grep nr_throttled /sys/fs/cgroup/mine/cpu.stat   \
              # version 2, after join-cgroup in the same shell",
    docker: "docker run --cpus 0.5, --cpu-shares 512, --cpuset-cpus 0-1",
    pages: "Documentation/scheduler/sched-bwc.rst, Documentation/admin-guide/cgroup-v2.rst, cpuset(7)",
};
