//! The observer: what is true of a process at one moment ([`Snapshot`]), and what differs between two of them
//! ([`Change`]). Most of it is what the process itself sees (it is asked to look, [`inside`]); the rest is what only
//! the host sees ([`outside`]: the limits of its cgroup, the bridge, the NAT rules). Primitives declare which facts
//! they change; nothing here knows what they do.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that can be seen. The order is the order of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The user namespace (inode of /proc/PID/ns/user).
    UserNs,
    /// Which ids of its parent the user namespace maps (/proc/PID/uid_map).
    UidMap,
    /// The same for groups.
    GidMap,
    /// User and group, as the process sees itself.
    User,
    /// Supplementary groups, as the process sees them.
    Groups,
    /// The PID namespace.
    PidNs,
    /// The process's own number, as it sees itself.
    Pid,
    /// How many processes it finds in /proc.
    Processes,
    /// The cgroup namespace.
    CgroupNs,
    /// Its cgroup, as the host sees it, one line for each hierarchy.
    Cgroup,
    /// The mount namespace.
    MntNs,
    /// Whether its mounts tell the host's about theirs, and hear of theirs (shared, slave, private).
    Propagation,
    /// Every mount: `target (fstype, source, options)`.
    Mounts,
    /// The UTS namespace.
    UtsNs,
    /// The hostname.
    Hostname,
    /// The IPC namespace.
    IpcNs,
    /// The network namespace.
    NetNs,
    /// The network interfaces and their state.
    Links,
    /// The addresses.
    Addresses,
    /// The routes.
    Routes,
    /// Our bridge on the host, with its ports.
    Bridge,
    /// Our nftables rules on the host.
    Nft,
    /// What `/` is.
    Root,
    /// cpu.max: microseconds of CPU time in each period.
    CpuMax,
    /// cpu.weight: its share when CPUs are short.
    CpuWeight,
    /// cpuset.cpus: which CPUs.
    CpusetCpus,
    /// memory.max in bytes.
    MemoryMax,
    /// memory.swap.max in bytes.
    MemorySwapMax,
    /// pids.max.
    PidsMax,
    /// io.max: bytes and operations a second, one line for each disk.
    IoMax,
    /// What is masked or read-only in /proc and /sys (paths).
    MaskedPaths,
    /// The seccomp mode (0 none, 2 filter).
    Seccomp,
    /// How many filters.
    SeccompFilters,
    /// no_new_privs.
    NoNewPrivs,
    /// The effective capabilities.
    CapEff,
    /// The permitted capabilities.
    CapPrm,
    /// The inheritable capabilities.
    CapInh,
    /// The bounding set.
    CapBnd,
    /// The ambient capabilities.
    CapAmb,
    /// The resource limits that differ from the caller's.
    Rlimits,
}

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// One value.
    One(String),
    /// A set, in the order in which the kernel lists it.
    Many(Vec<String>),
}

/// All facts at one moment. A fact that cannot be seen (no such controller) is absent.
pub type Snapshot = BTreeMap<Fact, Value>;

/// One fact that differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which one.
    pub fact: Fact,
    /// What it was; absent: it could not be seen.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

/// How firmly a primitive that declares a fact is held to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firm {
    /// It changes on every machine.
    Always,
    /// Whether it changes depends on what the host was like before.
    HostDependent,
}

/// The observer's eyes in the child: descriptors opened while the host's /proc is still there, so that a process can
/// be looked at also where it has no /proc, or one that does not show what the host's shows.
pub struct Eyes;

impl Eyes {
    /// Opens them; call it right after clone3.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn open() -> crate::error::Result<Eyes> {
        Ok(Eyes)
    }

    /// What this process sees now.
    pub fn look(&self) -> Snapshot {
        Snapshot::new()
    }
}

/// What the calling process sees.
pub fn inside() -> Snapshot {
    Eyes.look()
}

/// What only the host sees of the container.
pub fn outside(_: &crate::spawn::Host<'_>) -> Snapshot {
    Snapshot::new()
}
