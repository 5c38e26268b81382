//! The IPC namespace: System V shared memory, semaphores and message queues, and POSIX message queues, of its own. POSIX
//! shared memory is not in it: that is files in /dev/shm, so it takes a mount besides.

use super::{Lesson, Primitive};
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::Guest;
use crate::spec::Spec;
use crate::sys;
use crate::sys::mount::Attr;
use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxNamespaceType;
use std::path::Path;

/// See the head of this file.
pub struct UnshareIpc;

impl Primitive for UnshareIpc {
    fn name(&self) -> &'static str {
        "unshare-ipc"
    }

    fn summary(&self) -> &'static str {
        "IPC namespace, its own /dev/shm and message queues"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::IpcNs, Fact::Mounts]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.namespace(LinuxNamespaceType::Ipc)
    }

    // ANCHOR: inside
    fn inside(&self, guest: &mut Guest) -> Result<()> {
        sys::process::unshare(CloneFlags::CLONE_NEWIPC)?;
        // Without a mount namespace of our own (`--without private-mounts`) these would land on the host.
        if !guest.has("private-mounts") {
            return Ok(());
        }
        let attr = Attr::NOSUID | Attr::NODEV | Attr::NOEXEC;
        if let Some(options) = guest.spec.mount_options("/dev/shm") {
            let data: Vec<&str> = options.iter().map(String::as_str).filter(|o| o.contains('=')).collect();
            let shm = sys::mount::make("tmpfs", "shm", &data, attr)?;
            guest.place(shm, Path::new("/dev/shm"))?;
        }
        if guest.spec.mount_options("/dev/mqueue").is_some() {
            let queues = sys::mount::make("mqueue", "mqueue", &[], attr)?;
            guest.place(queues, Path::new("/dev/mqueue"))?;
        }
        Ok(())
    }
    // ANCHOR_END: inside

    fn join(&self, guest: &mut Guest) -> Result<()> {
        guest.enter(CloneFlags::CLONE_NEWIPC)
    }
}

static LESSON: Lesson = Lesson {
    what: "An IPC namespace keeps the System V objects (shared memory, semaphores, message queues) and the POSIX message \
           queues apart. They are named by keys and not by files, so no mount namespace hides them. POSIX shared memory \
           is files below /dev/shm: for that there is a tmpfs besides.",
    why: "These objects have system-wide names: without it two containers that use the same key (two databases, say) \
          write into each other's memory.",
    kernel: "unshare(CLONE_NEWIPC); fsopen(\"tmpfs\") for /dev/shm, fsopen(\"mqueue\") for /dev/mqueue, move_mount",
    by_hand: "ipcmk -M 4096; ipcs -m; unshare --map-root-user --ipc ipcs -m     # the segment is not there",
    docker: "always (a private one, /dev/shm of 64 MB); docker run --ipc=host, --shm-size",
    pages: "ipc_namespaces(7), sysvipc(7), mq_overview(7), shm_overview(7)",
};
