//! cgroup v2's files: one tree, where a parent chooses which controllers its children have.

use super::place::{Base, CALLER, SLICE, Unified};
use super::units::{blkio_to_io_weight, or_max, shares_to_weight, swap_alone};
use super::{no_such_disk, throttles, words, write};
use crate::error::{Error, Result};
use crate::sys::fs;
use nix::errno::Errno;
use oci_spec::runtime as oci;
use std::path::Path;

/// Makes the cgroup, the slice that it is in, and passes on the controllers that it needs. Returns what the user should
/// know.
///
/// # Errors
/// EACCES, EBUSY, ENOSPC (cgroup.max.descendants).
pub fn make(plan: &Unified) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if plan.base.crowded && !plan.controllers.is_empty() {
        notes.push(evacuate(&plan.base)?);
    }
    let slice = plan.base.dir.join(SLICE);
    // The last container of another boxwright may take the empty slice away at any time: begin again.
    for _ in 0..16 {
        match try_make(plan, &slice) {
            Err(e) if e.is(Errno::ENOENT) || e.is(Errno::ENODEV) => {}
            result => return result.map(|()| notes),
        }
    }
    try_make(plan, &slice).map(|()| notes)
}

fn try_make(plan: &Unified, slice: &Path) -> Result<()> {
    pass_on(&plan.base.dir, &plan.controllers)?;
    match fs::mkdir(slice, 0o755) {
        Err(e) if !e.is(Errno::EEXIST) => return Err(e),
        _ => {}
    }
    pass_on(slice, &plan.controllers)?;
    for controller in &plan.counted {
        // What cannot be had is not counted.
        let _ = pass_on(&plan.base.dir, &[controller]).and_then(|()| pass_on(slice, &[controller]));
    }
    fs::mkdir(&plan.group, 0o755).map_err(|e| {
        e.explain(Errno::EAGAIN, "a limit on the number of cgroups is reached", "cat cgroup.max.descendants above it")
    })
}

/// Turns controllers on for a container that runs, in what is above it. Returns what the user should know.
///
/// # Errors
/// EACCES, EBUSY; a controller that is not delegated to us.
pub fn turn_on(group: &Path, controllers: &[&str]) -> Result<Vec<String>> {
    let (Some(slice), Some(top)) = (group.parent(), group.parent().and_then(Path::parent)) else { return Ok(vec![]) };
    let have = words(&top.join("cgroup.controllers"));
    let controllers: Vec<&str> = controllers.iter().copied().filter(|c| have.iter().any(|h| h == c)).collect();
    let mut notes = Vec::new();
    let base = Base::at(top);
    if base.crowded && !controllers.is_empty() {
        notes.push(evacuate(&base)?);
    }
    pass_on(top, &controllers)?;
    pass_on(slice, &controllers)?;
    Ok(notes)
}

/// Gives the children of a cgroup these controllers. Only what is missing is written, because every write waits until
/// the kernel has buried the cgroups that were removed lately.
fn pass_on(dir: &Path, controllers: &[&str]) -> Result<()> {
    if controllers.is_empty() {
        return Ok(());
    }
    let has = words(&dir.join("cgroup.subtree_control"));
    let missing: Vec<String> =
        controllers.iter().filter(|c| !has.iter().any(|h| h == *c)).map(|c| format!("+{c}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    write(dir, "cgroup.subtree_control", &missing.join(" ")).map_err(|e| {
        e.explain(
            Errno::EBUSY,
            "a cgroup that passes controllers on cannot have processes of its own, and this one has (cgroups(7), \"no \
             internal processes\")",
            "start boxwright from a cgroup of its own: systemd-run --user --scope -p Delegate=yes -- boxwright …",
        )
    })
}

/// Moves the processes of our own cgroup to a child of it, so that it can pass controllers on.
fn evacuate(base: &Base) -> Result<String> {
    let leaf = base.dir.join(CALLER);
    match fs::mkdir(&leaf, 0o755) {
        Err(e) if !e.is(Errno::EEXIST) => return Err(e),
        _ => {}
    }
    let mut moved = 0;
    // They may fork meanwhile; a child is born where its parent is, so this ends when all parents have moved.
    for _ in 0..64 {
        let pids = words(&base.dir.join("cgroup.procs"));
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            match write(&leaf, "cgroup.procs", &pid) {
                Ok(()) => moved += 1,
                // Ended meanwhile.
                Err(e) if e.is(Errno::ESRCH) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(format!(
        "moved {moved} processes of {} to {CALLER} below it: a cgroup that passes controllers on cannot have processes \
         of its own",
        base.dir.display()
    ))
}

/// Quota, burst, weight.
///
/// # Errors
/// EINVAL for a quota below 1 ms.
pub fn cpu(group: &Path, cpu: &oci::LinuxCpu) -> Result<()> {
    if let Some(shares) = cpu.shares().filter(|&s| s != 0) {
        write(group, "cpu.weight", &shares_to_weight(shares).to_string())?;
    }
    // ANCHOR: quota
    let (quota, period) = (cpu.quota().filter(|&q| q != 0), cpu.period().filter(|&p| p != 0));
    if quota.is_some() || period.is_some() {
        let mut line = quota.map_or("max".into(), or_max);
        if let Some(period) = period {
            line.push_str(&format!(" {period}"));
        }
        write(group, "cpu.max", &line)?;
    }
    // ANCHOR_END: quota
    if let Some(burst) = cpu.burst() {
        write(group, "cpu.max.burst", &burst.to_string())?;
    }
    if let Some(idle) = cpu.idle() {
        write(group, "cpu.idle", &idle.to_string())?;
    }
    Ok(())
}

/// Memory, swap and the protected part. Returns what this kernel cannot do.
///
/// # Errors
/// EBUSY when more is in use than the limit and the spec asks to check that.
pub fn memory(group: &Path, memory: &oci::LinuxMemory) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let limit = memory.limit().filter(|&l| l != 0);
    if let (Some(limit), Some(true)) = (limit, memory.check_before_update()) {
        let used: i64 = words(&group.join("memory.current")).first().and_then(|w| w.parse().ok()).unwrap_or(0);
        if limit > 0 && used > limit {
            return Err(Error::call(format!("write({}/memory.max, {limit})", group.display()), Errno::EBUSY)
                .why(format!("{used} bytes are in use")));
        }
    }
    if let Some(swap) = swap_alone(limit, memory.swap()) {
        if group.join("memory.swap.max").exists() {
            write(group, "memory.swap.max", &or_max(swap))?;
        } else {
            notes.push("swap is not limited: this kernel does not count it (boot with swapaccount=1)".into());
        }
    }
    if let Some(limit) = limit {
        write(group, "memory.max", &or_max(limit))?;
    }
    if let Some(soft) = memory.reservation().filter(|&r| r != 0) {
        write(group, "memory.low", &or_max(soft))?;
    }
    Ok(notes)
}

/// Bytes and operations a second, and weights. Returns what this kernel cannot do.
///
/// # Errors
/// ENODEV for what is no whole disk.
pub fn io(group: &Path, io: &oci::LinuxBlockIo) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    // ANCHOR: io
    for (key, disk, rate) in throttles(io, ["rbps", "wbps", "riops", "wiops"]) {
        // 0 is OCI's "no limit"; to the kernel it is an error.
        let rate = if rate == 0 { "max".into() } else { rate.to_string() };
        write(group, "io.max", &format!("{disk} {key}={rate}")).map_err(no_such_disk)?;
    }
    // ANCHOR_END: io
    if let Some(weight) = io.weight().filter(|&w| w != 0) {
        if group.join("io.bfq.weight").exists() {
            write(group, "io.bfq.weight", &weight.to_string())?;
        } else if group.join("io.weight").exists() {
            write(group, "io.weight", &format!("default {}", blkio_to_io_weight(weight)))?;
        } else {
            notes.push("no disk weight: no scheduler of this kernel's knows one (modprobe bfq)".into());
        }
    }
    for device in io.weight_device().iter().flatten() {
        let Some(value) = device.weight() else { continue };
        let disk = format!("{}:{}", device.major(), device.minor());
        if group.join("io.bfq.weight").exists() {
            write(group, "io.bfq.weight", &format!("{disk} {value}"))?;
        } else if group.join("io.weight").exists() {
            write(group, "io.weight", &format!("{disk} {}", blkio_to_io_weight(value)))?;
        } else {
            notes.push(format!("no weight for disk {disk}"));
        }
    }
    Ok(notes)
}
