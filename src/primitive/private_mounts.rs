//! The mount namespace: a mount table of its own, cut off from the host's, and in it a /proc that belongs to the new
//! PID namespace. From here on `ps` tells the truth.

use super::{Lack, Lesson, Need, Primitive};
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::Guest;
use crate::spec::Spec;
use crate::sys;
use crate::sys::mount::Attr;
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxNamespaceType;
use std::path::Path;

/// See the head of this file.
pub struct PrivateMounts;

impl Primitive for PrivateMounts {
    fn name(&self) -> &'static str {
        "private-mounts"
    }

    fn summary(&self) -> &'static str {
        "mount namespace, private propagation, its own /proc (and ps tells the truth)"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "/proc", probe: probe_proc }]
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::MntNs, Fact::Propagation, Fact::Mounts, Fact::Processes]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.namespace(LinuxNamespaceType::Mount)
    }

    // ANCHOR: inside
    fn inside(&self, guest: &mut Guest) -> Result<()> {
        sys::process::unshare(CloneFlags::CLONE_NEWNS)?;
        // The copy of the mount table still shares propagation with the original: on most hosts (systemd makes / a
        // shared mount) what is mounted here would appear there.
        sys::mount::mount("none", Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
        // A proc shows the PID namespace of the process that makes it. In a user namespace the kernel allows it only
        // with a PID namespace of one's own, and only while the host's proc is in sight: now.
        let own_pids = guest.has("unshare-pid") || !guest.spec.userns();
        if own_pids && let Some(options) = guest.spec.mount_options("/proc") {
            let data: Vec<&str> = options.iter().map(String::as_str).filter(|o| o.contains('=')).collect();
            let proc = sys::mount::make("proc", "proc", &data, Attr::NOSUID | Attr::NODEV | Attr::NOEXEC)
                .map_err(too_revealing)?;
            guest.place(proc, Path::new("/proc"))?;
        }
        Ok(())
    }
    // ANCHOR_END: inside

    /// Also into its root: setns(2) goes to that of the mount namespace.
    fn join(&self, guest: &mut Guest) -> Result<()> {
        guest.enter(CloneFlags::CLONE_NEWNS)?;
        guest.pivoted = true;
        Ok(())
    }
}

fn too_revealing(e: crate::error::Error) -> crate::error::Error {
    e.explain(
        Errno::EPERM,
        "parts of this host's /proc are covered (we may run in a container ourselves), and in a user namespace the kernel \
         gives nobody a proc that shows more than the one they have",
        "run as root, or give the outer container an uncovered /proc (docker run --security-opt systempaths=unconfined)",
    )
}

fn probe_proc(_: &Spec) -> std::result::Result<(), Lack> {
    if Path::new("/proc/self/ns/mnt").exists() {
        return Ok(());
    }
    Err(Lack { reason: "/proc is not mounted".into(), remedy: "mount -t proc proc /proc".into() })
}

static LESSON: Lesson = Lesson {
    what: "A mount namespace is a mount table of its own: a copy at first. Propagation is a second tie, mount by mount: \
           a shared mount tells its peers of every mount made below it. So the copy is cut off (private), and then gets \
           a /proc of its own, which shows the new PID namespace.",
    why: "Everything that follows (an own /dev/shm, layers, another root) is done with mounts, and none of it must \
          reach the host. Without the private propagation, a mount made inside appears outside on most hosts.",
    kernel: "unshare(CLONE_NEWNS); mount(NULL, \"/\", MS_REC|MS_PRIVATE); fsopen(\"proc\"), fsmount, move_mount to /proc",
    by_hand: "unshare --map-root-user --pid --fork --mount sh -c 'mount --make-rprivate /; mount -t proc proc /proc; ps ax'",
    docker: "always; the propagation of one volume: -v /src:/dst:rshared",
    pages: "mount_namespaces(7), proc(5), fsopen(2), move_mount(2)",
};
