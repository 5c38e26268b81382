//! The observer: what is true of a process at one moment ([`Snapshot`]), and what differs between two of them
//! ([`Change`]). Most of it is what the process itself sees (it is asked to look, [`inside`]); the rest is what only
//! the host sees ([`outside`]: the limits of its cgroup, the bridge, the NAT rules). Primitives declare which facts
//! they change; nothing here knows what they do.

mod capabilities;
mod diff;
mod eyes;
mod fact;
pub mod mountinfo;
mod stranger;

pub use capabilities::count as capability_count;
pub use diff::{diff, hand_over};
pub use eyes::{Eyes, cgroups, inside, outside};
pub use fact::Family;
pub use stranger::{Stranger, stranger};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The facts are listed once, in the order of a report.
macro_rules! facts {
    ($($(#[$about:meta])* $fact:ident,)*) => {
        /// One thing that can be seen. The order is the order of a report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fact {
            $($(#[$about])* $fact,)*
        }

        impl Fact {
            /// All of them.
            pub const ALL: [Fact; [$(stringify!($fact)),*].len()] = [$(Fact::$fact),*];
        }
    };
}

facts! {
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
    /// How many processes it finds in /proc, and whether those are the host's.
    Processes,
    /// The cgroup namespace.
    CgroupNs,
    /// Its cgroup, as the host sees it, one line for each hierarchy.
    Cgroup,
    /// The mount namespace.
    MntNs,
    /// Whether its mounts tell the host's about theirs, and hear of theirs (shared, slave, private).
    Propagation,
    /// Every mount: `target (fstype, source, options)`; what is mounted only to hide or protect a path is not here but
    /// in [`Fact::MaskedPaths`].
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
    /// The time namespace.
    TimeNs,
    /// What `/` is: file system, source, device and inode.
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
    /// What is masked or read-only in /proc and /sys: `path (masked)`, `path (read-only)`.
    MaskedPaths,
    /// The seccomp mode: `none`, `strict` or `filter`.
    Seccomp,
    /// How many filters.
    SeccompFilters,
    /// no_new_privs.
    NoNewPrivs,
    /// The effective capabilities: names in lower case, without `CAP_`.
    CapEff,
    /// The permitted capabilities.
    CapPrm,
    /// The inheritable capabilities.
    CapInh,
    /// The bounding set.
    CapBnd,
    /// The ambient capabilities.
    CapAmb,
    /// The resource limits that differ from the caller's: `nofile 1024:4096` (soft and hard).
    Rlimits,
}

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// One value.
    One(String),
    /// A set, in an order that is the same every time.
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

impl Change {
    /// For lists: what is in `after` only, and what is in `before` only; each as often as it is there.
    pub fn lists(&self) -> Option<(Vec<&str>, Vec<&str>)> {
        fn list(value: Option<&Value>) -> Option<&[String]> {
            match value {
                Some(Value::Many(list)) => Some(list),
                Some(Value::One(_)) => None,
                None => Some(&[]),
            }
        }
        if self.before.is_none() && self.after.is_none() {
            return None;
        }
        let (before, after) = (list(self.before.as_ref())?, list(self.after.as_ref())?);
        Some((without(after, before), without(before, after)))
    }
}

/// `all` less `some`: what is twice in `all` and once in `some` stays once.
fn without<'a>(all: &'a [String], some: &[String]) -> Vec<&'a str> {
    let mut some: Vec<&String> = some.iter().collect();
    let gone = |item: &&String| match some.iter().position(|s| s == item) {
        Some(at) => {
            some.swap_remove(at);
            false
        }
        None => true,
    };
    all.iter().filter(gone).map(String::as_str).collect()
}
