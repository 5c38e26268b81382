//! The disk behind a directory. The kernel limits whole disks only (a partition is ENODEV to io.max), and counts by
//! device numbers, so a path has to become the number of the disk below its file system.

use nix::sys::stat::{major, minor};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Major and minor number of the disk behind a directory (or, while that does not exist, behind the parent that it
/// will be made in); nothing when there is no disk (tmpfs, network).
pub fn disk_behind(path: &Path) -> Option<(i64, i64)> {
    let path = path.ancestors().find(|p| p.exists())?;
    let device = std::fs::metadata(path).ok()?.dev();
    whole(device).or_else(|| whole(behind_anonymous(device)?))
}

// ANCHOR: whole
/// The whole disk of a block device: itself, or the one that it is a partition of.
fn whole(device: u64) -> Option<(i64, i64)> {
    let mut dir = PathBuf::from(format!("/sys/dev/block/{}:{}", major(device), minor(device)));
    if dir.join("partition").exists() {
        // The link leads to …/block/vda/vda1: the disk is the directory above.
        dir = std::fs::canonicalize(&dir).ok()?.parent()?.to_path_buf();
    }
    let number = std::fs::read_to_string(dir.join("dev")).ok()?;
    let (major, minor) = number.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
// ANCHOR_END: whole

/// btrfs and its like show a device number of their own (0:40); the mount tells which disk they are on.
fn behind_anonymous(device: u64) -> Option<u64> {
    let id = format!("{}:{}", major(device), minor(device));
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mountinfo.lines().find(|l| l.split(' ').nth(2) == Some(&id))?;
    let source = line.split_once(" - ")?.1.split(' ').nth(1)?;
    let meta = std::fs::metadata(source).ok()?;
    (meta.rdev() != 0).then(|| meta.rdev())
}
