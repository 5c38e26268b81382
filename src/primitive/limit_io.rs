//! Disks: bytes and operations a second, for each disk. The limit is on what reaches the disk: v2 also charges a
//! buffered write to whoever made it, v1 to whoever hands it to the disk: the process itself if it writes directly or calls
//! fsync(2), else a thread of the kernel's (by the time the cache is written out, nobody knows whose it was).

use super::join_cgroup::{cgroup_of, needs};
use super::{Lesson, Need, Primitive};
use crate::cgroup::Controller;
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::Spec;

/// See the head of this file.
pub struct LimitIo;

impl Primitive for LimitIo {
    fn name(&self) -> &'static str {
        "limit-io"
    }

    fn summary(&self) -> &'static str {
        "cgroup: disk bytes and operations a second"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "io controller", probe: |spec| needs(&[Controller::Io], spec) }]
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::IoMax]
    }

    fn idle(&self) -> (&'static str, &'static str) {
        (
            "no disk was named, and there is none behind the state directory (it may be on a tmpfs)",
            "--device-write-bps /dev/sda:1mb, or --root DIR with a directory on a disk",
        )
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.block_io().is_some()
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        guest.outside_meanwhile()
    }

    // ANCHOR: limit
    fn outside(&self, host: &mut Host) -> Result<()> {
        let Some(io) = host.spec.block_io() else { return Ok(()) };
        let notes = cgroup_of(host)?.limit_io(io)?;
        host.notes.extend(notes);
        Ok(())
    }
    // ANCHOR_END: limit
}

static LESSON: Lesson = Lesson {
    what: "io.max holds, for each disk (by its numbers, 8:0), how many bytes and operations a second the cgroup may read \
           and write: rbps, wbps, riops, wiops. Who is above waits in the queue.",
    why: "A disk is slower than everything else that is shared: one container's copy makes every other fsync wait.",
    kernel: "v2: write \"8:0 wbps=1048576\" to io.max. v1: \"8:0 1048576\" to blkio.throttle.write_bps_device, which \
             holds back only what a process itself hands to the disk, by direct writes or fsync(2). A whole disk: a \
             partition is ENODEV.",
    by_hand: "echo +io > /sys/fs/cgroup/cgroup.subtree_control; lsblk -d -o NAME,MAJ:MIN; echo '8:0 wbps=1048576' > /sys/fs/cgroup/mine/io.max; \
              dd if=/dev/zero of=x bs=64k count=64 oflag=direct   # version 2, after join-cgroup in the same shell; 8:0 is the disk",
    docker: "docker run --device-write-bps /dev/sda:1mb, --device-read-iops …, --blkio-weight",
    pages: "Documentation/admin-guide/cgroup-v2.rst, Documentation/admin-guide/cgroup-v1/blkio-controller.rst",
};
