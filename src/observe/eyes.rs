//! How a process looks at itself. Everything is read from its own directory of the host's /proc, through a descriptor
//! that was opened while that could be reached: a process may always read its own entries there, also without
//! capabilities, as another user, in another root. Nothing here goes through `sys`, so no look is ever in a trace.

use super::{Fact, Snapshot, Value, capabilities, mountinfo};
use crate::error::{Error, Result};
use crate::spawn::Host;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Stands behind a count that is the host's, and so moves by itself.
pub const THE_HOSTS: &str = " (the host's)";

/// The observer's eyes in the child: descriptors opened while the host's /proc is still there, so that a process can
/// be looked at also where it has no /proc, or one that does not show what the host's shows.
#[derive(Debug)]
pub struct Eyes {
    /// /proc/self on the host's proc: this process's directory, whatever its number is elsewhere.
    own: OwnedFd,
    /// Its number there.
    number: String,
    /// The resource limits it came with.
    limits: Vec<(u64, u64)>,
    /// Where its root directory is found.
    root: PathBuf,
}

impl Eyes {
    /// Opens them; call it right after clone3.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn open() -> Result<Eyes> {
        let hint = |e| {
            Error::call("openat(AT_FDCWD, \"/proc/self\", O_PATH|O_DIRECTORY)", e)
                .why("the report looks at the process through /proc")
                .hint("mount -t proc proc /proc")
        };
        let how = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let own = openat(AT_FDCWD, "/proc/self", how, Mode::empty()).map_err(hint)?;
        let number = readlinkat(AT_FDCWD, "/proc/self").map_err(hint)?.to_string_lossy().into_owned();
        Ok(Eyes { own, number, limits: limits(), root: "/".into() })
    }

    /// The same on another process, as far as its directory may be read ([`super::stranger`]).
    ///
    /// # Errors
    /// ENOENT: there is no such process.
    pub(super) fn on(pid: Pid) -> Result<Eyes> {
        let directory = format!("/proc/{pid}");
        let how = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let own = openat(AT_FDCWD, directory.as_str(), how, Mode::empty())
            .map_err(|e| Error::call(format!("openat(AT_FDCWD, \"{directory}\", O_PATH|O_DIRECTORY)"), e))?;
        Ok(Eyes { own, number: pid.to_string(), limits: vec![], root: format!("{directory}/root/").into() })
    }

    /// What can be read about another process: what the process itself would see, but for its name and its network,
    /// which are not in /proc, and with its user as the reader's own user namespace numbers it.
    pub(super) fn read_about(&self) -> Snapshot {
        let mut seen = Snapshot::new();
        self.namespaces(&mut seen);
        self.identity(&mut seen);
        self.privileges(&mut seen);
        self.files(&mut seen);
        // Its number in every PID namespace in which it has one, its own namespace's last.
        if let Some(pid) = field(&self.read("status"), "NSpid").and_then(|all| all.split_whitespace().last()) {
            one(&mut seen, Fact::Pid, pid.to_string());
        }
        seen
    }

    /// What this process sees now. What cannot be seen is absent.
    pub fn look(&self) -> Snapshot {
        let mut seen = Snapshot::new();
        self.namespaces(&mut seen);
        self.identity(&mut seen);
        self.privileges(&mut seen);
        self.files(&mut seen);
        self.limits(&mut seen);
        one(&mut seen, Fact::Pid, nix::unistd::getpid().to_string());
        if let Some(processes) = self.processes() {
            one(&mut seen, Fact::Processes, processes);
        }
        if let Ok(uts) = nix::sys::utsname::uname() {
            one(&mut seen, Fact::Hostname, uts.nodename().to_string_lossy().into_owned());
        }
        let net = crate::net::look();
        many(&mut seen, Fact::Links, net.links);
        many(&mut seen, Fact::Addresses, net.addresses);
        many(&mut seen, Fact::Routes, net.routes);
        seen
    }

    fn namespaces(&self, seen: &mut Snapshot) {
        for fact in Fact::ALL {
            let Some((name, ..)) = fact.namespace() else { continue };
            // `pid:[4026531836]`; no such link on a kernel without that kind.
            let Ok(link) = readlinkat(&self.own, format!("ns/{name}").as_str()) else { continue };
            let link = link.to_string_lossy();
            let inode = link.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
            one(seen, fact, inode.unwrap_or(&link).to_string());
        }
    }

    fn identity(&self, seen: &mut Snapshot) {
        let status = self.read("status");
        let field = |name: &str| field(&status, name);
        let id = |name: &str| {
            let mut ids: Vec<&str> = field(name)?.split_whitespace().collect();
            ids.dedup();
            // Real, effective, saved, file system: one number when they are all the same.
            Some(ids.join("/"))
        };
        if let (Some(uid), Some(gid)) = (id("Uid"), id("Gid")) {
            one(seen, Fact::User, format!("uid {uid}, gid {gid}"));
        }
        if let Some(groups) = field("Groups") {
            many(seen, Fact::Groups, groups.split_whitespace().map(String::from));
        }
        for (fact, file) in [(Fact::UidMap, "uid_map"), (Fact::GidMap, "gid_map")] {
            let lines = self.read(file);
            many(seen, fact, lines.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }

    fn privileges(&self, seen: &mut Snapshot) {
        let status = self.read("status");
        let sets = [
            (Fact::CapEff, "CapEff"),
            (Fact::CapPrm, "CapPrm"),
            (Fact::CapInh, "CapInh"),
            (Fact::CapBnd, "CapBnd"),
            (Fact::CapAmb, "CapAmb"),
        ];
        for (fact, name) in sets {
            if let Some(names) = field(&status, name).and_then(capabilities::names) {
                many(seen, fact, names);
            }
        }
        if let Some(mode) = field(&status, "Seccomp") {
            // prctl(2), PR_GET_SECCOMP.
            let mode = match mode {
                "0" => "none",
                "1" => "strict",
                "2" => "filter",
                other => other,
            };
            one(seen, Fact::Seccomp, mode.into());
        }
        for (fact, name) in [(Fact::SeccompFilters, "Seccomp_filters"), (Fact::NoNewPrivs, "NoNewPrivs")] {
            if let Some(value) = field(&status, name) {
                one(seen, fact, value.into());
            }
        }
    }

    fn limits(&self, seen: &mut Snapshot) {
        let show = |n: u64| if n == RLIM_INFINITY { "unlimited".to_string() } else { n.to_string() };
        let changed = LIMITS.iter().zip(limits()).zip(&self.limits).filter(|((_, now), then)| now != *then);
        let changed = changed.map(|(((_, name), (soft, hard)), _)| format!("{name} {}:{}", show(soft), show(hard)));
        many(seen, Fact::Rlimits, changed);
    }

    fn files(&self, seen: &mut Snapshot) {
        let table = mountinfo::parse(&self.read("mountinfo"));
        if table.is_empty() {
            return;
        }
        one(seen, Fact::Propagation, mountinfo::propagation(&table));
        many(seen, Fact::Mounts, mountinfo::mounts(&table));
        many(seen, Fact::MaskedPaths, mountinfo::masked(&table));
        let Ok(root) = std::fs::metadata(&self.root) else { return };
        // Two overlays have the same type and source, and two roots may be on the same disk: the numbers tell.
        let (major, minor) = (nix::sys::stat::major(root.dev()), nix::sys::stat::minor(root.dev()));
        let what = mountinfo::root(&table).map_or_else(
            || "a plain directory".to_string(),
            |m| {
                let source = m.source();
                if source == m.fstype { source } else { format!("{} {source}", m.fstype) }
            },
        );
        one(seen, Fact::Root, format!("{what}, device {major}:{minor}, inode {}", root.ino()));
    }

    /// How many processes there are in the /proc that this process finds under its root.
    fn processes(&self) -> Option<String> {
        let all = std::fs::read_dir("/proc").ok()?;
        let is_pid = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
        let count = all.flatten().filter(|e| e.file_name().to_str().is_some_and(is_pid)).count();
        // It shows the host's processes if it has us under the host's number.
        let me = readlinkat(AT_FDCWD, "/proc/self").ok()?;
        let whose = if me.to_string_lossy() == self.number { THE_HOSTS } else { "" };
        Some(format!("{count}{whose}"))
    }

    fn read(&self, file: &str) -> String {
        let mut text = String::new();
        if let Ok(fd) = openat(&self.own, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            // Half of a file is of no use, and there is nobody to tell: the fact is then absent.
            if File::from(fd).read_to_string(&mut text).is_err() {
                text.clear();
            }
        }
        text
    }
}

fn one(seen: &mut Snapshot, fact: Fact, value: String) {
    seen.insert(fact, Value::One(value));
}

pub(super) fn many(seen: &mut Snapshot, fact: Fact, values: impl IntoIterator<Item = String>) {
    seen.insert(fact, Value::Many(values.into_iter().collect()));
}

/// The value of `Name:\tvalue` in /proc/PID/status.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Under the names of ulimit's and OCI's, without `RLIMIT_`.
const LIMITS: [(Resource, &str); 16] = [
    (Resource::RLIMIT_AS, "as"),
    (Resource::RLIMIT_CORE, "core"),
    (Resource::RLIMIT_CPU, "cpu"),
    (Resource::RLIMIT_DATA, "data"),
    (Resource::RLIMIT_FSIZE, "fsize"),
    (Resource::RLIMIT_LOCKS, "locks"),
    (Resource::RLIMIT_MEMLOCK, "memlock"),
    (Resource::RLIMIT_MSGQUEUE, "msgqueue"),
    (Resource::RLIMIT_NICE, "nice"),
    (Resource::RLIMIT_NOFILE, "nofile"),
    (Resource::RLIMIT_NPROC, "nproc"),
    (Resource::RLIMIT_RSS, "rss"),
    (Resource::RLIMIT_RTPRIO, "rtprio"),
    (Resource::RLIMIT_RTTIME, "rttime"),
    (Resource::RLIMIT_SIGPENDING, "sigpending"),
    (Resource::RLIMIT_STACK, "stack"),
];

fn limits() -> Vec<(u64, u64)> {
    LIMITS.iter().map(|(resource, _)| getrlimit(*resource).unwrap_or_default()).collect()
}

/// What the calling process sees; nothing where there is no /proc.
pub fn inside() -> Snapshot {
    Eyes::open().map(|eyes| eyes.look()).unwrap_or_default()
}

/// What only the host sees of the container; before clone3, of the process that is going to be copied.
pub fn outside(host: &Host<'_>) -> Snapshot {
    let mut seen = cgroups(host.child().ok());
    let net = crate::net::outside(host.state, &host.made, &host.held);
    many(&mut seen, Fact::Bridge, net.bridge);
    many(&mut seen, Fact::Nft, net.rules);
    seen
}

/// The cgroup of a process (none: ours), and its limits.
pub fn cgroups(pid: Option<Pid>) -> Snapshot {
    let mut seen = crate::cgroup::facts(pid);
    let who = pid.map_or_else(|| "self".to_string(), |pid| pid.to_string());
    if let Ok(text) = std::fs::read_to_string(format!("/proc/{who}/cgroup")) {
        many(&mut seen, Fact::Cgroup, text.lines().filter_map(hierarchy));
    }
    seen
}

/// `4:memory:/a` and `0::/a` without the number, which is of no meaning to anybody: `memory:/a` and `/a`.
fn hierarchy(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(':')?;
    Some(rest.strip_prefix(':').unwrap_or(rest).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_itself_and_a_second_look_is_the_same() {
        let eyes = Eyes::open().expect("/proc");
        let (first, second) = (eyes.look(), eyes.look());
        assert_eq!(super::super::diff(&first, &second, &first), []);
        for fact in [Fact::UserNs, Fact::NetNs, Fact::UidMap, Fact::User, Fact::CapBnd, Fact::Seccomp, Fact::Root] {
            assert!(first.contains_key(&fact), "{fact:?} in {first:?}");
        }
        assert_eq!(first[&Fact::Pid], Value::One(std::process::id().to_string()));
        assert_eq!(first[&Fact::Rlimits], Value::Many(vec![]));
    }

    #[test]
    fn hierarchies_lose_their_numbers() {
        assert_eq!(hierarchy("4:memory:/a/b").as_deref(), Some("memory:/a/b"));
        assert_eq!(hierarchy("3:cpu,cpuacct:/").as_deref(), Some("cpu,cpuacct:/"));
        assert_eq!(hierarchy("0::/user.slice").as_deref(), Some("/user.slice"));
    }
}
