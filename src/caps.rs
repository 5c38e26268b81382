//! Capabilities: root's power in 41 pieces (capabilities(7)). A container's root keeps the 14 that docker leaves it, and
//! `--cap-add` and `--cap-drop` change that.

use crate::error::{Error, Result};
use oci_spec::runtime as oci;

/// CAP_DAC_READ_SEARCH.
pub const DAC_READ_SEARCH: u8 = 2;
/// CAP_SYS_MODULE.
pub const SYS_MODULE: u8 = 16;
/// CAP_SYS_RAWIO.
pub const SYS_RAWIO: u8 = 17;
/// CAP_SYS_CHROOT.
pub const SYS_CHROOT: u8 = 18;
/// CAP_SYS_PTRACE.
pub const SYS_PTRACE: u8 = 19;
/// CAP_SYS_PACCT.
pub const SYS_PACCT: u8 = 20;
/// CAP_SYS_ADMIN.
pub const SYS_ADMIN: u8 = 21;
/// CAP_SYS_BOOT.
pub const SYS_BOOT: u8 = 22;
/// CAP_SYS_NICE.
pub const SYS_NICE: u8 = 23;
/// CAP_SYS_TIME.
pub const SYS_TIME: u8 = 25;
/// CAP_SYS_TTY_CONFIG.
pub const SYS_TTY_CONFIG: u8 = 26;
/// CAP_SYSLOG.
pub const SYSLOG: u8 = 34;
/// CAP_PERFMON.
pub const PERFMON: u8 = 38;
/// CAP_BPF.
pub const BPF: u8 = 39;

/// The names without `CAP_`; a name's place is its number (linux/capability.h).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(pub u64);

impl Set {
    /// None.
    pub const EMPTY: Set = Set(0);
    /// All that this program knows by name.
    pub const ALL: Set = Set((1 << NAMES.len()) - 1);
    // ANCHOR: docker
    /// What docker leaves a container: own files' owners and modes, identities, low ports, raw sockets (ping), chroot,
    /// device nodes (which the device cgroup still forbids to open), file capabilities, audit messages.
    pub const DOCKER: Set = Set::of(&[0, 1, 3, 4, 5, 6, 7, 8, 10, 13, SYS_CHROOT, 27, 29, 31]);
    // ANCHOR_END: docker

    /// Those with these numbers.
    pub const fn of(numbers: &[u8]) -> Set {
        let (mut bits, mut i) = (0, 0);
        while i < numbers.len() {
            bits |= 1 << numbers[i];
            i += 1;
        }
        Set(bits)
    }

    /// Is this one in it?
    pub const fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    /// Is none in it?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In both.
    pub const fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// In either.
    pub const fn or(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    /// In this one only.
    pub const fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    /// Their numbers.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |&n| self.has(n))
    }

    /// Their names, with `CAP_`; a number without a name is itself.
    pub fn names(self) -> Vec<String> {
        self.numbers().map(name).collect()
    }
}

impl From<&oci::Capabilities> for Set {
    fn from(all: &oci::Capabilities) -> Set {
        all.iter().filter_map(|c| number(&c.to_string())).fold(Set::EMPTY, |set, n| set.or(Set::of(&[n])))
    }
}

impl From<Set> for oci::Capabilities {
    fn from(set: Set) -> oci::Capabilities {
        set.numbers().filter_map(|n| NAMES.get(usize::from(n))?.parse().ok()).collect()
    }
}

/// `CAP_…`, or the bare number of one that is newer than this program.
pub fn name(number: u8) -> String {
    NAMES.get(usize::from(number)).map_or_else(|| number.to_string(), |n| format!("CAP_{n}"))
}

/// The number of a name, in upper or lower case, with or without `CAP_`.
pub fn number(name: &str) -> Option<u8> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|n| *n == bare).map(|n| n as u8)
}

/// All that can be had on this machine: what the kernel knows, and of that what root itself holds (boxwright may run in
/// a container). An ordinary user's containers have a user namespace, and in that all of them.
pub fn offered() -> Set {
    // A small file that does not change while the machine runs; where there is no /proc, all of them.
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok().and_then(|t| t.trim().parse::<u32>().ok());
    let known = last.filter(|last| *last < 63).map_or(Set::ALL, |last| Set::ALL.and(Set((2 << last) - 1)));
    let held = crate::sys::caps::held().permitted;
    if held.has(SYS_ADMIN) { known.and(held) } else { known }
}

/// The four sets of a container's root: docker's 14, and what the flags change (docker's rules: `ALL` on one side first,
/// then the other side's names; `--privileged` is all).
///
/// # Errors
/// An unknown name, with the one that was probably meant.
pub fn resolve(add: &[String], drop: &[String], privileged: bool) -> Result<oci::LinuxCapabilities> {
    let (add_all, add) = parse("--cap-add", add)?;
    let (drop_all, drop) = parse("--cap-drop", drop)?;
    // docker looks at the flags no further when it is privileged.
    let set = match (privileged, add_all, drop_all) {
        (true, ..) => offered(),
        (_, true, _) => offered().without(drop),
        (_, _, true) => add,
        _ => Set::DOCKER.without(drop).or(add),
    };
    Ok(as_oci(set))
}

/// For a process that starts with this much: root gains all of its bounding set at execve, so three sets are one. The
/// inheritable one stays empty (CVE-2022-24769: what is in it passes to programs with file capabilities).
pub fn as_oci(set: Set) -> oci::LinuxCapabilities {
    let mut all = oci::LinuxCapabilities::default();
    all.set_bounding(Some(set.into()))
        .set_effective(Some(set.into()))
        .set_permitted(Some(set.into()))
        .set_inheritable(None)
        .set_ambient(None);
    all
}

/// Is ALL among them, and which are named?
fn parse(flag: &str, names: &[String]) -> Result<(bool, Set)> {
    let (mut all, mut set) = (false, Set::EMPTY);
    for name in names.iter().flat_map(|n| n.split(',')) {
        match number(name) {
            Some(n) => set = set.or(Set::of(&[n])),
            None if name.eq_ignore_ascii_case("all") || name.eq_ignore_ascii_case("cap_all") => all = true,
            None => return Err(unknown(flag, name)),
        }
    }
    Ok((all, set))
}

fn unknown(flag: &str, name: &str) -> Error {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let near = NAMES.iter().map(|n| (distance(n, bare), *n)).min().filter(|(d, _)| *d <= 3);
    let error = Error::new(format!("{flag} {name}: no such capability"));
    match near {
        Some((_, near)) => error.hint(format!("{flag} {near}")),
        None => error.hint("capabilities(7) lists them; ALL means all of them"),
    }
}

/// How many letters must be typed, taken away or changed to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(add: &[&str], drop: &[&str], privileged: bool) -> Result<Set> {
        let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let caps = resolve(&strings(add), &strings(drop), privileged)?;
        assert_eq!(caps.bounding(), caps.permitted());
        assert_eq!(caps.bounding(), caps.effective());
        Ok(caps.bounding().as_ref().map_or(Set::EMPTY, Set::from))
    }

    #[test]
    fn docker_keeps_fourteen() {
        // As /proc/PID/status shows it in a container of docker's.
        assert_eq!(Set::DOCKER.0, 0xa804_25fb);
        assert_eq!(resolved(&[], &[], false).unwrap(), Set::DOCKER);
    }

    #[test]
    fn dockers_rules() {
        let n = |name| Set::of(&[number(name).unwrap()]);
        assert_eq!(resolved(&["sys_time"], &["CAP_MKNOD"], false).unwrap().0, 0xa004_25fb | n("SYS_TIME").0);
        assert_eq!(resolved(&["ALL"], &["SYS_ADMIN"], false).unwrap(), offered().without(n("SYS_ADMIN")));
        assert_eq!(resolved(&["CHOWN", "kill"], &["all"], false).unwrap(), n("CHOWN").or(n("KILL")));
        assert_eq!(resolved(&[], &["ALL"], false).unwrap(), Set::EMPTY);
        assert_eq!(resolved(&["ALL"], &["ALL"], false).unwrap(), offered());
        assert_eq!(resolved(&[], &["CHOWN"], true).unwrap(), offered());
        assert_eq!(resolved(&["CHOWN"], &["CHOWN"], false).unwrap(), Set::DOCKER);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        let e = resolved(&["SYS_ADMN"], &[], false).unwrap_err();
        assert_eq!(e.to_string(), "--cap-add SYS_ADMN: no such capability\n  try: --cap-add SYS_ADMIN");
        assert!(resolved(&[], &["bananas"], false).unwrap_err().hint.unwrap().contains("capabilities(7)"));
    }

    #[test]
    fn every_name_goes_to_oci_and_back() {
        assert_eq!(Set::from(&oci::Capabilities::from(Set::ALL)), Set::ALL);
        assert_eq!(name(21), "CAP_SYS_ADMIN");
        assert_eq!(name(63), "63");
    }
}
