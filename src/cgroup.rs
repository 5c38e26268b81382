//! Control groups: processes counted, limited, frozen and killed as one. This is the one interface to both versions:
//! v1 has a tree of directories for each controller, v2 one tree for all; a container has a directory in each tree that
//! it needs ([`place`]), and every limit goes to the tree that has its controller.

mod counters;
pub mod devices;
mod disk;
mod end;
mod facts;
pub mod layout;
mod place;
mod units;
mod v1;
mod v2;

pub use counters::read as counters;
pub use counters::{Counters, usage};
pub use disk::disk_behind;
pub use end::{freeze, is_frozen, kill_all, pids, remove};
pub use facts::facts;
pub use layout::{Controller, Layout};
pub use place::{Extent, Plan, available, everywhere, plan, wanted};

use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::sys::fs;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use oci_spec::runtime as oci;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A container's cgroup: a directory in one tree or more.
#[derive(Debug)]
pub struct Cgroup {
    /// In v2's tree, and open: clone3 wants a descriptor.
    unified: Option<(PathBuf, OwnedFd)>,
    /// In v1's trees, with their `tasks` open until the child has joined.
    legacy: Vec<(PathBuf, Option<OwnedFd>)>,
}

impl Plan {
    /// Every directory that [`Plan::make`] makes. They go into the journal before that.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.unified.iter().map(|u| u.group.clone()).chain(self.legacy.iter().cloned()).collect()
    }

    /// Makes them. Returns the cgroup, and what the user should know.
    ///
    /// # Errors
    /// EACCES, EBUSY, ENOSPC.
    pub fn make(&self) -> Result<(Cgroup, Vec<String>)> {
        let mut notes = Vec::new();
        let mut legacy = Vec::new();
        for dir in &self.legacy {
            fs::mkdir(dir, 0o755)?;
            if dir.join("cpuset.cpus").exists() {
                v1::inherit_cpuset(dir)?;
            }
            // Opened here, because the child may be nobody by the time it joins: the kernel goes by whoever opened it.
            legacy.push((dir.clone(), Some(fs::open(&dir.join("tasks"), OFlag::O_WRONLY, 0)?)));
        }
        let unified = match &self.unified {
            Some(plan) => {
                notes = v2::make(plan)?;
                let fd = fs::open(&plan.group, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?;
                Some((plan.group.clone(), fd))
            }
            None => None,
        };
        Ok((Cgroup { unified, legacy }, notes))
    }
}

impl Cgroup {
    /// That of a container which runs: from its journal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn of(dirs: &[PathBuf]) -> Result<Cgroup> {
        let (mut unified, mut legacy) = (None, Vec::new());
        for dir in dirs {
            if dir.join("cgroup.controllers").exists() {
                unified = Some((dir.clone(), fs::open(dir, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0)?));
            } else {
                legacy.push((dir.clone(), None));
            }
        }
        Ok(Cgroup { unified, legacy })
    }

    /// The same, for a process that is to join it.
    ///
    /// # Errors
    /// ENOENT when it is gone; EACCES.
    pub fn to_join(dirs: &[PathBuf]) -> Result<Cgroup> {
        let mut cgroup = Cgroup::of(dirs)?;
        for (dir, tasks) in &mut cgroup.legacy {
            *tasks = Some(fs::open(&dir.join("tasks"), OFlag::O_WRONLY, 0)?);
        }
        Ok(cgroup)
    }

    /// v1 takes no limit on memory above that on memory and swap, and none of the second below the first. Without the
    /// second, the first can be set to anything.
    pub fn free_swap(&self) {
        if let Some(Home::V1(dir)) = self.home(Controller::Memory) {
            let _ = write(dir, "memory.memsw.limit_in_bytes", "-1");
        }
    }

    /// Turns on what a running container was started without: on v2 a controller may come at any time. (On v1 it is in
    /// the trees that it may need from its start on.) Returns what the user should know.
    ///
    /// # Errors
    /// EACCES, EBUSY.
    pub fn turn_on(&self, controllers: &[Controller]) -> Result<Vec<String>> {
        let missing = controllers.iter().filter(|c| self.home(**c).is_none());
        let missing: Vec<&str> = missing.filter_map(|c| c.v2()).collect();
        match &self.unified {
            Some((group, _)) if !missing.is_empty() => v2::turn_on(group, &missing),
            _ => Ok(vec![]),
        }
    }

    /// For CLONE_INTO_CGROUP: its directory on v2; nothing on v1, which cannot do that.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|(_, fd)| fd.as_fd())
    }

    /// The calling process joins v1's trees.
    ///
    /// It writes "0" (itself) to `tasks`: a task that moves itself cannot fork or exit meanwhile, so the kernel needs no
    /// global lock, which would cost 7 to 14 ms of waiting (a write to cgroup.procs does). Our child has one thread.
    ///
    /// # Errors
    /// EACCES, ENOSPC for a cpuset without CPUs.
    pub fn join(&self) -> Result<()> {
        for tasks in self.legacy.iter().filter_map(|(_, tasks)| tasks.as_ref()) {
            fs::write(tasks, b"0")?;
        }
        Ok(())
    }

    /// Its directories.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.unified.iter().map(|(dir, _)| dir).chain(self.legacy.iter().map(|(dir, _)| dir)).cloned().collect()
    }

    /// What it has used, and how often it was held back.
    pub fn counters(&self) -> Counters {
        counters::read(&self.paths())
    }

    /// Allows only the devices of the spec's list.
    ///
    /// # Errors
    /// When neither v1's controller nor a BPF program can do it here.
    pub fn restrict_devices(&self, spec: &Spec) -> Result<()> {
        devices::excuse(match (self.home(Controller::Devices), self.clone_into()) {
            (Some(Home::V1(dir)), _) => devices::restrict_v1(dir, spec),
            (_, Some(group)) => devices::restrict_v2(group, spec),
            (_, None) => Err(Error::new("this machine has no way to restrict devices")),
        })
    }

    /// CPU time and CPUs.
    ///
    /// # Errors
    /// What the kernel does not accept, or has no controller for.
    pub fn limit_cpu(&self, cpu: &oci::LinuxCpu) -> Result<()> {
        if cpu_time_asked(cpu) {
            match self.must(Controller::Cpu)? {
                Home::V1(dir) => v1::cpu(dir, cpu)?,
                Home::V2(dir) => v2::cpu(dir, cpu)?,
            }
        }
        // Memory nodes first: a cpuset must never be without both.
        for (file, value) in [("cpuset.mems", cpu.mems()), ("cpuset.cpus", cpu.cpus())] {
            if let Some(value) = value {
                let (Home::V1(dir) | Home::V2(dir)) = self.must(Controller::Cpuset)?;
                write(dir, file, value).map_err(|e| {
                    let hint = format!("cat {}/cpuset.{{cpus,mems}}*", dir.parent().unwrap_or(dir).display());
                    e.why("the cgroup above does not have all of these itself").hint(hint)
                })?;
            }
        }
        Ok(())
    }

    /// Memory and swap. Returns what this kernel cannot do.
    ///
    /// # Errors
    /// As [`Cgroup::limit_cpu`].
    pub fn limit_memory(&self, memory: &oci::LinuxMemory) -> Result<Vec<String>> {
        let result = match self.must(Controller::Memory)? {
            Home::V1(dir) => v1::memory(dir, memory),
            Home::V2(dir) => v2::memory(dir, memory),
        };
        result.map_err(|e| {
            e.explain(
                Errno::EBUSY,
                "more than that is in use already",
                "a larger --memory, or stop something in it first",
            )
        })
    }

    // ANCHOR: pids
    /// The number of processes.
    ///
    /// # Errors
    /// As [`Cgroup::limit_cpu`].
    pub fn limit_pids(&self, limit: i64) -> Result<()> {
        // One file, of one name, on both versions.
        let (Home::V1(dir) | Home::V2(dir)) = self.must(Controller::Pids)?;
        write(dir, "pids.max", &units::or_max(if limit == 0 { -1 } else { limit }))
    }
    // ANCHOR_END: pids

    /// Bytes and operations a second. Returns what this kernel cannot do.
    ///
    /// # Errors
    /// As [`Cgroup::limit_cpu`].
    pub fn limit_io(&self, io: &oci::LinuxBlockIo) -> Result<Vec<String>> {
        match self.must(Controller::Io)? {
            Home::V1(dir) => v1::io(dir, io),
            Home::V2(dir) => v2::io(dir, io),
        }
    }

    /// The directory that has this controller. A controller's files are there exactly where it is on.
    fn home(&self, controller: Controller) -> Option<Home<'_>> {
        let (old, new) = match controller {
            Controller::Cpu => ("cpu.shares", "cpu.max"),
            Controller::Cpuset => ("cpuset.cpus", "cpuset.cpus"),
            Controller::Memory => ("memory.limit_in_bytes", "memory.max"),
            Controller::Pids => ("pids.max", "pids.max"),
            Controller::Io => ("blkio.throttle.write_bps_device", "io.max"),
            Controller::Devices => ("devices.allow", "-"),
            Controller::Freezer => ("freezer.state", "cgroup.freeze"),
        };
        let old = self.legacy.iter().map(|(dir, _)| dir).find(|dir| dir.join(old).exists()).map(|dir| Home::V1(dir));
        let new = || self.unified.as_ref().filter(|(dir, _)| dir.join(new).exists()).map(|(dir, _)| Home::V2(dir));
        old.or_else(new)
    }

    fn must(&self, controller: Controller) -> Result<Home<'_>> {
        self.home(controller).ok_or_else(|| match available(controller) {
            Err(lack) => Error::new("no cgroup to write the limit to").why(lack.reason).hint(lack.remedy),
            Ok(()) => Error::new(format!("the container's cgroup has no {} controller", controller.v1()))
                .why("somebody has turned it off meanwhile, or the kernel was built without this kind of limit"),
        })
    }
}

/// The directory of a controller, and whose names its files have.
enum Home<'a> {
    V1(&'a Path),
    V2(&'a Path),
}

/// Does it ask for CPU time (and not only for certain CPUs)?
fn cpu_time_asked(cpu: &oci::LinuxCpu) -> bool {
    [cpu.shares(), cpu.period(), cpu.burst(), cpu.realtime_period()].iter().any(Option::is_some)
        || [cpu.quota(), cpu.idle(), cpu.realtime_runtime()].iter().any(Option::is_some)
}

/// Writes one of a cgroup's files.
fn write(dir: &Path, file: &str, value: &str) -> Result<()> {
    fs::write_file(&dir.join(file), value)
}

/// The words of a file; none when it cannot be read.
fn words(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_string).collect()
}

/// OCI's limits on disks: each with its version's name for its kind (bytes read and written a second, operations read and
/// written), the disk as MAJOR:MINOR, and the rate.
fn throttles<'a>(
    io: &'a oci::LinuxBlockIo,
    names: [&'static str; 4],
) -> impl Iterator<Item = (&'static str, String, u64)> + 'a {
    let lists = [
        io.throttle_read_bps_device(),
        io.throttle_write_bps_device(),
        io.throttle_read_iops_device(),
        io.throttle_write_iops_device(),
    ];
    let one = |t: &oci::LinuxThrottleDevice| (format!("{}:{}", t.major(), t.minor()), t.rate());
    names
        .into_iter()
        .zip(lists)
        .flat_map(move |(name, list)| list.iter().flatten().map(one).map(move |(disk, rate)| (name, disk, rate)))
}

fn no_such_disk(e: Error) -> Error {
    e.explain(
        Errno::ENODEV,
        "there is no such disk; the kernel limits whole disks, not partitions",
        "lsblk -d -o NAME,MAJ:MIN",
    )
}
