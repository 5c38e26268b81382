//! `linux.resources` and `process.rlimits` from the flags. A stage has limits to look at unless told otherwise;
//! full-run has none unless asked.

use super::build::{Options, Purpose};
use super::units;
use crate::error::{Error, Result};
use crate::state::State;
use oci_spec::runtime as oci;

/// A stage's limits: small enough to feel, large enough to work in.
const STAGE_CPUS: &str = "0.5";
const STAGE_MEMORY: &str = "64m";
const STAGE_PIDS: &str = "64";
const STAGE_BPS: u64 = 1 << 20;

/// CPU, memory, processes, disk.
///
/// # Errors
/// A limit that is not one.
pub fn resources(options: &Options, purpose: Purpose, state: &State) -> Result<oci::LinuxResources> {
    let mut resources = oci::LinuxResources::default();
    let stage = purpose == Purpose::Stage;
    resources
        .set_cpu(cpu(options, stage)?)
        .set_memory(memory(options, stage)?)
        .set_pids(pids(options, stage)?)
        .set_block_io(block_io(options, stage, state)?)
        .set_devices(Some(super::devices::rules(options)?));
    Ok(resources)
}

fn cpu(options: &Options, stage: bool) -> Result<Option<oci::LinuxCpu>> {
    let mut cpu = oci::LinuxCpu::default();
    let cpus = options.cpus.as_deref().or(stage.then_some(STAGE_CPUS));
    if let Some(cpus) = cpus {
        cpu.set_quota(Some(units::cpus("--cpus", cpus)?)).set_period(Some(units::CPU_PERIOD));
    }
    if let Some(shares) = &options.cpu_shares {
        // The kernel's own bounds (sched/core.c, MIN_SHARES and MAX_SHARES); 0 is docker's word for "the default".
        let shares = units::integer("--cpu-shares", shares, 0, 262_144)?;
        cpu.set_shares((shares != 0).then(|| shares.max(2) as u64));
    }
    if let Some(cpus) = &options.cpuset_cpus {
        cpu.set_cpus(Some(units::cpuset("--cpuset-cpus", cpus)?));
    }
    Ok((cpu != oci::LinuxCpu::default()).then_some(cpu))
}

fn memory(options: &Options, stage: bool) -> Result<Option<oci::LinuxMemory>> {
    let Some(text) = options.memory.as_deref().or(stage.then_some(STAGE_MEMORY)) else {
        return match &options.memory_swap {
            Some(_) => Err(Error::new("--memory-swap without --memory")
                .why("it is memory and swap together, so it needs to know how much of it is memory")
                .hint("--memory 64m --memory-swap 128m")),
            None => Ok(None),
        };
    };
    let limit = units::memory("--memory", text)?;
    let swap = match &options.memory_swap {
        Some(swap) => units::memory_swap("--memory-swap", swap)?,
        // docker: as much swap again as memory.
        None => limit.saturating_mul(2),
    };
    if swap != -1 && swap != 0 && swap < limit {
        // As they were typed: whoever reads it looks for that.
        let typed = options.memory_swap.as_deref().unwrap_or_default();
        return Err(Error::new(format!("--memory-swap {typed}: less than --memory {text}"))
            .why("it is memory and swap together")
            .hint("--memory-swap -1 (unlimited), or at least as much as --memory"));
    }
    if let Some(have) = total_memory().filter(|&have| limit as u64 > have) {
        eprintln!("boxwright: --memory {text} is more than this machine has ({} MB), so it limits nothing", have >> 20);
    }
    let mut memory = oci::LinuxMemory::default();
    memory.set_limit(Some(limit)).set_swap(Some(if swap == 0 { limit * 2 } else { swap }));
    Ok(Some(memory))
}

fn total_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kb: u64 =
        text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kb << 10)
}

fn pids(options: &Options, stage: bool) -> Result<Option<oci::LinuxPids>> {
    let Some(text) = options.pids_limit.as_deref().or(stage.then_some(STAGE_PIDS)) else { return Ok(None) };
    // docker: 0 and -1 are unlimited.
    let limit = units::integer("--pids-limit", text, -1, 4_194_304)?;
    if limit <= 0 {
        return Ok(None);
    }
    let mut pids = oci::LinuxPids::default();
    pids.set_limit(limit);
    Ok(Some(pids))
}

fn block_io(options: &Options, stage: bool, state: &State) -> Result<Option<oci::LinuxBlockIo>> {
    let list = |flag: &str, values: &[String], is_bytes: bool| -> Result<Option<Vec<oci::LinuxThrottleDevice>>> {
        let rates: Result<Vec<_>> =
            values.iter().map(|v| units::device_rate(flag, v, is_bytes).map(throttle)).collect();
        rates.map(|r| (!r.is_empty()).then_some(r))
    };
    let mut io = oci::LinuxBlockIo::default();
    io.set_throttle_read_bps_device(list("--device-read-bps", &options.device_read_bps, true)?)
        .set_throttle_write_bps_device(list("--device-write-bps", &options.device_write_bps, true)?)
        .set_throttle_read_iops_device(list("--device-read-iops", &options.device_read_iops, false)?)
        .set_throttle_write_iops_device(list("--device-write-iops", &options.device_write_iops, false)?);
    let none = io == oci::LinuxBlockIo::default();
    if stage && none {
        if let Some((major, minor)) = crate::cgroup::disk_behind(&state.lib) {
            let rates = Some(vec![throttle((major, minor, STAGE_BPS))]);
            io.set_throttle_read_bps_device(rates.clone()).set_throttle_write_bps_device(rates);
            return Ok(Some(io));
        }
        return Ok(None);
    }
    Ok((!none).then_some(io))
}

fn throttle((major, minor, rate): (i64, i64, u64)) -> oci::LinuxThrottleDevice {
    oci::LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(rate).build().unwrap_or_default()
}

/// `--ulimit`.
///
/// # Errors
/// A limit that is not one, or named twice.
pub fn rlimits(options: &Options) -> Result<Vec<oci::PosixRlimit>> {
    let mut all: Vec<oci::PosixRlimit> = Vec::new();
    for text in &options.ulimit {
        let (name, soft, hard) = units::ulimit("--ulimit", text)?;
        let kind: oci::PosixRlimitType =
            name.parse().map_err(|_| Error::new(format!("--ulimit {text}: no such limit: {name}")))?;
        if all.iter().any(|r| r.typ() == kind) {
            return Err(Error::new(format!("--ulimit {text}: given twice")).hint("leave one of them out"));
        }
        all.push(oci::PosixRlimitBuilder::default().typ(kind).soft(soft).hard(hard).build()?);
    }
    Ok(all)
}
