//! Masked and read-only paths: parts of /proc and /sys speak about the whole machine, whoever mounted them. What tells
//! too much is hidden behind /dev/null or an empty directory; what steers the machine is made read-only.

use super::{Lesson, Primitive};
use crate::error::{Error, Result};
use crate::mounts::{self, Masks};
use crate::observe::Fact;
use crate::spawn::Guest;
use crate::spec::Spec;
use crate::sys;
use nix::fcntl::OFlag;
use std::os::fd::AsFd;
use std::path::Path;

/// See the head of this file.
pub struct MaskPaths;

impl Primitive for MaskPaths {
    fn name(&self) -> &'static str {
        "mask-paths"
    }

    fn summary(&self) -> &'static str {
        "parts of /proc and /sys hidden or read-only"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::MaskedPaths]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        !masked(spec).is_empty() || !read_only(spec).is_empty()
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        if !guest.has("private-mounts") {
            return Err(Error::new("masked paths need a mount namespace")
                .why("they are mounts, and without `private-mounts` they would cover the host's own /proc and /sys")
                .hint("leave `private-mounts` in"));
        }
        // Behind pivot-root this is the container's root; in a shorter list it is still the host's, as this mount
        // namespace sees it.
        let root = sys::fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        let named = |e: Error, path: &str, how| e.why(format!("{path} could not be made {how}"));
        // ANCHOR: order
        // Read-only first: such a mount takes along what is mounted below it, masks too, and would double them.
        for path in read_only(guest.spec) {
            mounts::readonly(root.as_fd(), Path::new(path)).map_err(|e| named(e, path, "read-only"))?;
        }
        let mut masks = Masks::new(root.as_fd());
        for path in masked(guest.spec) {
            masks.mask(Path::new(path)).map_err(|e| named(e, path, "invisible"))?;
        }
        // ANCHOR_END: order
        Ok(())
    }
}

fn masked(spec: &Spec) -> &[String] {
    spec.linux().and_then(|l| l.masked_paths().as_deref()).unwrap_or_default()
}

fn read_only(spec: &Spec) -> &[String] {
    spec.linux().and_then(|l| l.readonly_paths().as_deref()).unwrap_or_default()
}

static LESSON: Lesson = Lesson {
    what: "Not all of /proc and /sys belongs to a namespace: /proc/kcore is the memory of the whole machine, /proc/keys \
           lists its keys, /proc/sys and /proc/sysrq-trigger steer it. A bind mount of /dev/null hides a file, an empty \
           read-only tmpfs hides a directory, and a read-only bind mount of a path on itself stops writes. What is \
           mounted over a path cannot be taken off without CAP_SYS_ADMIN.",
    why: "Root in a container without a user namespace is root for the permissions of these files. Without the masks it \
          may reboot the machine (echo b > /proc/sysrq-trigger) or name a program of its own that the kernel runs as \
          real root (/proc/sys/kernel/core_pattern).",
    kernel: "for each path: openat2(RESOLVE_IN_ROOT), open_tree(OPEN_TREE_CLONE) of /dev/null, of one tmpfs, or of the \
             path itself; mount_setattr(MOUNT_ATTR_RDONLY); move_mount. /dev/null must be the device 1:3: otherwise its \
             owner would have a file mounted over /proc/sys/kernel/core_pattern (CVE-2025-31133).",
    by_hand: "# as root\n\
              unshare --mount sh -c 'mount --bind /dev/null /proc/kcore; mount -t tmpfs -o ro none /sys/firmware; \
              mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && echo 1 > /proc/sys/kernel/panic'",
    docker: "always; docker run --security-opt systempaths=unconfined or --privileged switches it off",
    pages: "proc(5), mount_setattr(2), open_tree(2), runtime-spec: maskedPaths and readonlyPaths",
};
