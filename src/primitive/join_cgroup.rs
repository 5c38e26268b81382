//! A cgroup of its own, so that the container can be counted, frozen and killed as one, and so that limits have
//! something to be written to; and the cgroup namespace, which makes that cgroup look like the top of the tree. The
//! order matters: the namespace's root is the cgroup that one is in when it is made.

use super::{Lesson, Need, Primitive};
use crate::cgroup::{self, Cgroup, Controller, Extent};
use crate::error::{Error, Result};
use crate::journal::Made;
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::Spec;
use crate::sys::process;
use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxNamespaceType;

/// See the head of this file.
pub struct JoinCgroup;

impl Primitive for JoinCgroup {
    fn name(&self) -> &'static str {
        "join-cgroup"
    }

    fn summary(&self) -> &'static str {
        "a cgroup of its own: counted, frozen and killed as one; cgroup namespace"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "a cgroup in which we may make others",
            probe: |spec| cgroup::plan("probe", &cgroup::wanted(spec), Extent::Limits).map(drop),
        }]
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::CgroupNs, Fact::Cgroup]
    }

    fn prepare(&self, host: &mut Host) -> Result<()> {
        let wanted = cgroup::wanted(host.spec);
        let extent = match (cgroup::everywhere(host.spec), host.made.kept) {
            (true, _) => Extent::Everywhere,
            (false, true) => Extent::Counted,
            (false, false) => Extent::Limits,
        };
        let plan = cgroup::plan(&host.made.id, &wanted, extent).map_err(|lack| lack.into_error(self.name()))?;
        host.journal(|made| made.cgroups = plan.paths())?;
        let (cgroup, notes) = plan.make()?;
        if wanted.contains(&Controller::Devices) {
            cgroup.restrict_devices(host.spec)?;
        }
        host.notes.extend(notes);
        host.cgroup = Some(cgroup);
        Ok(())
    }

    // ANCHOR: join
    fn inside(&self, guest: &mut Guest) -> Result<()> {
        if let Some(cgroup) = guest.cgroup {
            cgroup.join()?;
        }
        if guest.spec.namespace(LinuxNamespaceType::Cgroup) {
            process::unshare(CloneFlags::CLONE_NEWCGROUP)?;
        }
        Ok(())
    }
    // ANCHOR_END: join

    /// The namespace after the cgroup: what is in a cgroup namespace may not be moved into it from outside.
    fn join(&self, guest: &mut Guest) -> Result<()> {
        if let Some(cgroup) = guest.cgroup {
            cgroup.join()?;
        }
        guest.enter(CloneFlags::CLONE_NEWCGROUP)
    }

    fn undo(&self, made: &Made) -> Result<()> {
        cgroup::remove(&made.cgroups)
    }
}

/// The container's cgroup, for the primitives that write its limits.
///
/// # Errors
/// When there is none.
pub(super) fn cgroup_of<'a>(host: &'a Host<'_>) -> Result<&'a Cgroup> {
    host.cgroup.as_ref().ok_or_else(|| {
        Error::new("there is no cgroup to write the limit to")
            .why("join-cgroup was left out, so the container is still in the cgroup of whoever called")
            .hint("leave this limit out too (--without), or neither")
    })
}

/// Can this controller be had for a container of ours? What the limits need.
///
/// # Errors
/// Why not, and what to do.
pub(super) fn needs(controllers: &[Controller], spec: &Spec) -> std::result::Result<(), super::Lack> {
    let wanted = cgroup::wanted(spec);
    controllers.iter().filter(|c| wanted.contains(c)).try_for_each(|&c| cgroup::available(c))
}

static LESSON: Lesson = Lesson {
    what: "A cgroup is a directory below /sys/fs/cgroup; the processes in it, and all that they start, are one body to \
           the kernel. Version 2 has one tree, in which a parent hands controllers (cpu, memory, pids, io) to its \
           children; version 1 has a tree for each controller. The cgroup namespace hides where in the tree one is: \
           /proc/self/cgroup then says /.",
    why: "A namespace changes what a process sees, not what it uses up. Everything that counts or limits needs a cgroup \
          to do it to, and only a cgroup kills surely what forks while it is being killed. It also says which devices \
          root in the container may open: the right to make device nodes is no right to read the disk.",
    kernel: "mkdir in the tree. v2: clone3(CLONE_INTO_CGROUP) starts the child in it; v1: the child writes 0 to tasks \
             (to cgroup.procs would be a hundred times slower). Then unshare(CLONE_NEWCGROUP). Devices: devices.deny \
             and devices.allow on v1, bpf(BPF_PROG_ATTACH) on v2. The end: cgroup.kill, or v1's freezer.",
    by_hand: "mkdir /sys/fs/cgroup/mine; echo $$ > /sys/fs/cgroup/mine/cgroup.procs; cat /proc/self/cgroup; \
              unshare --cgroup cat /proc/self/cgroup   # version 2, in a shell of root's",
    docker: "always; docker run --cgroup-parent=DIR says where, --cgroupns=host leaves the namespace out",
    pages: "cgroups(7), cgroup_namespaces(7), Documentation/admin-guide/cgroup-v2.rst",
};
