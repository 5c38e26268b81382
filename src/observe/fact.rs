//! What is known about each fact besides its value: what people call it, which others it belongs to, and how much can
//! be expected of it.

use super::{Fact, Firm};

/// Facts that belong together: a report does not repeat what several of one family have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The kinds of namespaces: is it the host's or another one?
    Namespace,
    /// Who the process is.
    Identity,
    /// Which processes there are.
    Process,
    /// Which cgroup, and its limits.
    Cgroup,
    /// Files: mounts and root.
    Files,
    /// The machine's name.
    Name,
    /// The network.
    Network,
    /// What a process may do.
    Privilege,
}

impl Fact {
    /// In human words, at most 18 letters.
    pub fn label(self) -> &'static str {
        use Fact::*;
        match self {
            UserNs => "user namespace",
            UidMap => "user id map",
            GidMap => "group id map",
            User => "user",
            Groups => "groups",
            PidNs => "PID namespace",
            Pid => "its own pid",
            Processes => "processes it sees",
            CgroupNs => "cgroup namespace",
            Cgroup => "cgroup",
            MntNs => "mount namespace",
            Propagation => "propagation",
            Mounts => "mounts",
            UtsNs => "UTS namespace",
            Hostname => "hostname",
            IpcNs => "IPC namespace",
            NetNs => "network namespace",
            Links => "links",
            Addresses => "addresses",
            Routes => "routes",
            Bridge => "bridge (host)",
            Nft => "nftables (host)",
            TimeNs => "time namespace",
            Root => "root filesystem",
            CpuMax => "cpu.max",
            CpuWeight => "cpu.weight",
            CpusetCpus => "cpuset.cpus",
            MemoryMax => "memory.max",
            MemorySwapMax => "memory.swap.max",
            PidsMax => "pids.max",
            IoMax => "io.max",
            MaskedPaths => "masked paths",
            Seccomp => "seccomp",
            SeccompFilters => "seccomp filters",
            NoNewPrivs => "no_new_privs",
            CapEff => "effective caps",
            CapPrm => "permitted caps",
            CapInh => "inheritable caps",
            CapBnd => "bounding caps",
            CapAmb => "ambient caps",
            Rlimits => "resource limits",
        }
    }

    /// Which others it belongs to.
    pub fn family(self) -> Family {
        use Fact::*;
        match self {
            UserNs | PidNs | CgroupNs | MntNs | UtsNs | IpcNs | NetNs | TimeNs => Family::Namespace,
            UidMap | GidMap | User | Groups => Family::Identity,
            Pid | Processes => Family::Process,
            Cgroup | CpuMax | CpuWeight | CpusetCpus | MemoryMax | MemorySwapMax | PidsMax | IoMax => Family::Cgroup,
            Propagation | Mounts | Root | MaskedPaths => Family::Files,
            Hostname => Family::Name,
            Links | Addresses | Routes | Bridge | Nft => Family::Network,
            Seccomp | SeccompFilters | NoNewPrivs | CapEff | CapPrm | CapInh | CapBnd | CapAmb | Rlimits => {
                Family::Privilege
            }
        }
    }

    /// Is it one of the five capability sets?
    pub fn is_capabilities(self) -> bool {
        matches!(self, Fact::CapEff | Fact::CapPrm | Fact::CapInh | Fact::CapBnd | Fact::CapAmb)
    }

    /// Is it a namespace: its name in /proc/PID/ns, and nsenter(1)'s option, long and short.
    pub fn namespace(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Fact::UserNs => Some(("user", "--user", "-U")),
            Fact::PidNs => Some(("pid", "--pid", "-p")),
            Fact::CgroupNs => Some(("cgroup", "--cgroup", "-C")),
            Fact::MntNs => Some(("mnt", "--mount", "-m")),
            Fact::UtsNs => Some(("uts", "--uts", "-u")),
            Fact::IpcNs => Some(("ipc", "--ipc", "-i")),
            Fact::NetNs => Some(("net", "--net", "-n")),
            Fact::TimeNs => Some(("time", "--time", "-T")),
            _ => None,
        }
    }

    /// Can only the host see it, so that it may change before there is a child?
    pub fn is_outside(self) -> bool {
        self.family() == Family::Cgroup && self != Fact::CgroupNs || matches!(self, Fact::Bridge | Fact::Nft)
    }

    /// Does it move by itself, without anybody's doing? (How that is told from a change: see [`super::diff`].)
    pub fn drifts(self) -> bool {
        matches!(self, Fact::Pid | Fact::Processes | Fact::Links | Fact::Addresses | Fact::Routes)
    }

    /// How firmly a primitive that declares it is held to it.
    pub fn firm(self) -> Firm {
        use Fact::*;
        match self {
            // Already private on a host without systemd.
            Propagation => Firm::HostDependent,
            // A caller may be user 0 without groups, or have few capabilities to lose. (Not so the effective ones: who
            // has none of them needs a user namespace, and gets all.)
            User | Groups | CapInh | CapBnd | CapAmb => Firm::HostDependent,
            // The first container on the machine brings the rules; the next ones find them.
            Nft => Firm::HostDependent,
            // Only when asked for, and where the controller has it.
            CpuWeight | CpusetCpus | MemorySwapMax | IoMax | NoNewPrivs | Rlimits => Firm::HostDependent,
            _ => Firm::Always,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_fits_its_column() {
        for fact in Fact::ALL {
            assert!(fact.label().chars().count() <= 18, "{}", fact.label());
        }
    }
}
