//! cgroup v1's files: one tree for each controller, and the limits in v1's names and units. Not every limit fits:
//! where v1 has no such file, or this kernel was built without, it says so.

use super::{no_such_disk, throttles, write};
use crate::error::{Error, Result};
use nix::errno::Errno;
use oci_spec::runtime as oci;
use std::path::Path;

/// A new cpuset has no CPUs and no memory nodes, and nobody can join it before it has some (ENOSPC; cpuset(7)): it
/// begins with its parent's.
///
/// # Errors
/// As write(2).
pub fn inherit_cpuset(group: &Path) -> Result<()> {
    let Some(parent) = group.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let value = std::fs::read_to_string(parent.join(file))
            .map_err(|e| Error::io(format!("read({})", parent.join(file).display()), &e))?;
        write(group, file, value.trim())?;
    }
    Ok(())
}

/// Quota, burst, weight.
///
/// # Errors
/// EINVAL for a quota below 1 ms, or above the parent's share.
pub fn cpu(group: &Path, cpu: &oci::LinuxCpu) -> Result<()> {
    if let Some(shares) = cpu.shares().filter(|&s| s != 0) {
        write(group, "cpu.shares", &shares.to_string())?;
    }
    // ANCHOR: quota
    // The period first: the quota is checked against it.
    if let Some(period) = cpu.period().filter(|&p| p != 0) {
        write(group, "cpu.cfs_period_us", &period.to_string())?;
    }
    if let Some(quota) = cpu.quota().filter(|&q| q != 0) {
        write(group, "cpu.cfs_quota_us", &quota.max(-1).to_string())?;
    }
    // ANCHOR_END: quota
    if let Some(burst) = cpu.burst() {
        write(group, "cpu.cfs_burst_us", &burst.to_string())?;
    }
    if let Some(period) = cpu.realtime_period().filter(|&p| p != 0) {
        write(group, "cpu.rt_period_us", &period.to_string())?;
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|&r| r != 0) {
        write(group, "cpu.rt_runtime_us", &runtime.to_string())?;
    }
    if let Some(idle) = cpu.idle() {
        write(group, "cpu.idle", &idle.to_string())?;
    }
    Ok(())
}

/// Memory, swap, and the rest of OCI's memory section. Returns what this kernel cannot do.
///
/// # Errors
/// EBUSY when more is in use than the limit, EINVAL.
pub fn memory(group: &Path, memory: &oci::LinuxMemory) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let limit = memory.limit().filter(|&l| l != 0);
    let total = memory.swap().filter(|&s| s != 0);
    let both = "memory.memsw.limit_in_bytes";
    let counts_swap = group.join(both).exists();
    if let (Some(_), false) = (total, counts_swap) {
        notes.push("swap is not limited: this kernel does not count it (boot with swapaccount=1)".into());
    }
    let set_limit = || limit.map_or(Ok(()), |l| write(group, "memory.limit_in_bytes", &l.max(-1).to_string()));
    let set_total = || match total {
        Some(total) if counts_swap => write(group, both, &total.max(-1).to_string()),
        _ => Ok(()),
    };
    // ANCHOR: memory
    // Memory and swap together can never be less than memory alone. A new cgroup has neither, so memory comes first;
    // one whose limits are being raised refuses that, and wants the sum first.
    match set_limit() {
        Ok(()) => set_total()?,
        Err(e) if e.is(Errno::EINVAL) && total.is_some() => {
            set_total()?;
            set_limit()?;
        }
        Err(e) => return Err(e),
    }
    // ANCHOR_END: memory
    if let Some(soft) = memory.reservation().filter(|&r| r != 0) {
        write(group, "memory.soft_limit_in_bytes", &soft.max(-1).to_string())?;
    }
    if let Some(swappiness) = memory.swappiness() {
        write(group, "memory.swappiness", &swappiness.to_string())?;
    }
    if let Some(disable) = memory.disable_oom_killer() {
        write(group, "memory.oom_control", if disable { "1" } else { "0" })?;
    }
    Ok(notes)
}

/// Bytes and operations a second, and weights. Returns what this kernel cannot do.
///
/// # Errors
/// ENODEV for what is no whole disk.
pub fn io(group: &Path, io: &oci::LinuxBlockIo) -> Result<Vec<String>> {
    const FILES: [&str; 4] = [
        "blkio.throttle.read_bps_device",
        "blkio.throttle.write_bps_device",
        "blkio.throttle.read_iops_device",
        "blkio.throttle.write_iops_device",
    ];
    let mut notes = Vec::new();
    for (file, disk, rate) in throttles(io, FILES) {
        write(group, file, &format!("{disk} {rate}")).map_err(no_such_disk)?;
    }
    // Weights need a scheduler that knows them: bfq today, cfq before Linux 5.0.
    let weight = ["blkio.bfq.weight", "blkio.weight"].into_iter().find(|f| group.join(f).exists());
    let asked = io.weight().filter(|&w| w != 0);
    match (asked, weight) {
        (Some(value), Some(file)) => write(group, file, &value.to_string())?,
        (Some(_), None) => notes.push("no disk weight: no scheduler of this kernel's knows one (modprobe bfq)".into()),
        (None, _) => {}
    }
    for device in io.weight_device().iter().flatten() {
        let Some(value) = device.weight() else { continue };
        match ["blkio.bfq.weight_device", "blkio.weight_device"].into_iter().find(|f| group.join(f).exists()) {
            Some(file) => write(group, file, &format!("{}:{} {value}", device.major(), device.minor()))?,
            None => notes.push(format!("no weight for disk {}:{}", device.major(), device.minor())),
        }
    }
    Ok(notes)
}
