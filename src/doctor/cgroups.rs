//! Control groups: which layout, which controllers, and may this user make groups?

use super::{Check, read};
use nix::unistd::{AccessFlags, access, geteuid, getppid};
use std::path::{Path, PathBuf};

/// A controller in v2's name, in v1's, and the stage that needs it.
const CONTROLLERS: [(&str, &str, &str); 5] = [
    ("cpu", "cpu", "limit-cpu"),
    ("cpuset", "cpuset", "limit-cpu"),
    ("memory", "memory", "limit-memory"),
    ("pids", "pids", "limit-pids"),
    ("io", "blkio", "limit-io"),
];

const LIMITS: [&str; 4] = ["limit-cpu", "limit-memory", "limit-pids", "limit-io"];

/// One hierarchy: where it is mounted, which controllers it has, and the directory of the group that we are in.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    v2: bool,
    mount: PathBuf,
    controllers: Vec<String>,
    own: Option<PathBuf>,
}

/// All of them.
pub fn checks() -> Vec<Check> {
    let text = |file| read(file).unwrap_or_default();
    let all = hierarchies(&text("/proc/self/mountinfo"), &text("/proc/self/cgroup"));
    vec![layout(&all), controllers(&all), delegation(&all)]
}

/// What /proc/self/mountinfo and /proc/self/cgroup say together.
fn hierarchies(mountinfo: &str, own: &str) -> Vec<Hierarchy> {
    let mut all: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (left, right): (Vec<_>, Vec<_>) = (left.split(' ').collect(), right.split(' ').collect());
        let ([_, _, _, root, mount, ..], [kind, _, options]) = (&left[..], &right[..]) else { continue };
        let v2 = *kind == "cgroup2";
        if (!v2 && *kind != "cgroup") || all.iter().any(|h| h.mount == Path::new(mount)) {
            continue;
        }
        let words: Vec<&str> = options.split(',').collect();
        let path = own.lines().find_map(|l| own_path(l, v2, &words));
        let own = path.and_then(|p| Some(below(mount, Path::new(p).strip_prefix(root).ok()?)));
        let controllers = if v2 {
            own.as_ref().and_then(|o| read(o.join("cgroup.controllers").to_str()?)).unwrap_or_default()
        } else {
            options.replace(',', " ")
        };
        let controllers = controllers.split_whitespace().map(str::to_string).collect();
        all.push(Hierarchy { v2, mount: mount.into(), controllers, own });
    }
    all
}

fn below(mount: &str, rest: &Path) -> PathBuf {
    // join("") would add a slash.
    if rest.as_os_str().is_empty() { mount.into() } else { Path::new(mount).join(rest) }
}

/// `4:cpu,cpuacct:/a/b` of /proc/self/cgroup, when it is the hierarchy with these mount options.
fn own_path<'a>(line: &'a str, v2: bool, options: &[&str]) -> Option<&'a str> {
    let mut fields = line.splitn(3, ':');
    let (number, names, path) = (fields.next()?, fields.next()?, fields.next()?);
    let same = if v2 { number == "0" && names.is_empty() } else { names.split(',').any(|n| options.contains(&n)) };
    same.then_some(path)
}

fn has(all: &[Hierarchy], v2_name: &str, v1_name: &str) -> bool {
    all.iter().any(|h| h.controllers.iter().any(|c| c == if h.v2 { v2_name } else { v1_name }))
}

fn layout(all: &[Hierarchy]) -> Check {
    const NAME: &str = "cgroup layout";
    let v1 = all.iter().filter(|h| !h.v2).count();
    match (all.iter().find(|h| h.v2), v1) {
        (None, 0) => Check::ok(NAME, "no cgroup file system is mounted")
            .missing(&["join-cgroup", "limit-cpu", "limit-memory", "limit-pids", "limit-io"], "no group can be made")
            .remedy("as root: mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
        (Some(v2), 0) => Check::ok(NAME, format!("version 2, on {}", v2.mount.display())),
        (Some(v2), n) => {
            Check::ok(NAME, format!("hybrid: version 2 on {}, {n} hierarchies of version 1", v2.mount.display()))
        }
        (None, n) => Check::ok(NAME, format!("version 1, {n} hierarchies")),
    }
}

fn controllers(all: &[Hierarchy]) -> Check {
    const NAME: &str = "cgroup controllers";
    let (here, lacking): (Vec<_>, Vec<_>) = CONTROLLERS.iter().partition(|(v2, v1, _)| has(all, v2, v1));
    let names = |list: &[&(&str, &str, &str)]| list.iter().map(|c| c.0).collect::<Vec<_>>().join(", ");
    if lacking.is_empty() {
        return Check::ok(NAME, names(&here));
    }
    let mut stages: Vec<_> = lacking.iter().map(|c| c.2).collect();
    stages.dedup();
    let found = if here.is_empty() { "none".to_string() } else { format!("only {}", names(&here)) };
    let check = Check::ok(NAME, found);
    let consequence = format!("nothing can be limited by {}", names(&lacking));
    // cpuset only serves a flag.
    let only_cpuset = lacking.iter().all(|c| c.0 == "cpuset");
    let check = if only_cpuset {
        check.limited(&stages, "--cpuset-cpus does not work")
    } else {
        check.missing(&stages, consequence)
    };
    match all.iter().find(|h| h.v2) {
        Some(_) if geteuid().is_root() => check
            .remedy("grep . /proc/cgroups   # a 0 in the last column: booted with cgroup_disable=, or not built in"),
        Some(_) => check.remedy(SYSTEMD_DELEGATES_ALL),
        None => check.remedy("as root: mount -t cgroup -o CONTROLLER cgroup /sys/fs/cgroup/CONTROLLER"),
    }
}

const SYSTEMD_DELEGATES_ALL: &str = "as root: mkdir -p /etc/systemd/system/user@.service.d && \
    printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' > /etc/systemd/system/user@.service.d/delegate.conf && \
    systemctl daemon-reload   # then log in again";

fn delegation(all: &[Hierarchy]) -> Check {
    const NAME: &str = "cgroup delegation";
    let used = |h: &&Hierarchy| h.v2 || CONTROLLERS.iter().any(|c| h.controllers.iter().any(|have| have == c.1));
    let v1 = all.iter().any(|h| !h.v2 && used(&h));
    // On a hybrid machine the limits are version 1's, and version 2 only has the groups.
    let used: Vec<&Hierarchy> = all.iter().filter(|h| used(h) && (!v1 || !h.v2)).collect();
    let place = |h: &Hierarchy| if h.v2 && geteuid().is_root() { Some(h.mount.clone()) } else { h.own.clone() };
    let refused: Vec<PathBuf> = used
        .iter()
        .filter_map(|h| {
            let dir = place(h).unwrap_or_else(|| h.mount.clone());
            (!writable(&dir) || (h.v2 && !writable_file(&dir.join("cgroup.subtree_control")))).then_some(dir)
        })
        .collect();
    let Some(first) = refused.first() else {
        let dirs: Vec<_> = used.iter().filter_map(|h| place(h)).map(|d| d.display().to_string()).collect();
        let more = if dirs.len() > 1 { format!(" and {} more", dirs.len() - 1) } else { String::new() };
        return Check::ok(NAME, format!("groups can be made below {}{more}", dirs.first().map_or("", String::as_str)));
    };
    let more = if refused.len() > 1 { format!(" and {} more", refused.len() - 1) } else { String::new() };
    let check = Check::ok(NAME, format!("{}{more} cannot be written by you", first.display()));
    check.missing(&LIMITS, "containers run, but cannot be limited").remedy(delegate(v1))
}

/// The command that gives this user groups of their own.
fn delegate(v1: bool) -> String {
    let (uid, shell) = (geteuid(), getppid());
    if geteuid().is_root() {
        return "start the container around us with a writable cgroup file system (docker run --privileged)".into();
    }
    if v1 {
        return format!(
            "as root: for c in cpu cpuset memory pids blkio freezer; do g=/sys/fs/cgroup/$c/user-{uid}; mkdir -p $g; \
             [ $c != cpuset ] || {{ cat ${{g%/*}}/cpuset.cpus > $g/cpuset.cpus; cat ${{g%/*}}/cpuset.mems > $g/cpuset.mems; }}; \
             chown -R {uid} $g; echo {shell} > $g/cgroup.procs; done"
        );
    }
    if Path::new("/run/systemd/system").exists() {
        return "systemd-run --user --scope -p Delegate=yes $SHELL   # boxwright works in that shell".into();
    }
    format!(
        "as root: g=/sys/fs/cgroup/user-{uid}; echo '+cpu +cpuset +memory +pids +io' > /sys/fs/cgroup/cgroup.subtree_control; \
         mkdir $g && chown -R {uid} $g && echo {shell} > $g/cgroup.procs"
    )
}

fn writable(dir: &Path) -> bool {
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

fn writable_file(file: &Path) -> bool {
    access(file, AccessFlags::W_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 20 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
31 20 0:27 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 20 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 20 0:29 / /proc rw - proc proc rw";

    #[test]
    fn every_hierarchy_with_our_place_in_it() {
        let own = "4:memory:/docker/x/y\n3:cpuacct,cpu:/me\n0::/z\n";
        let all = hierarchies(HYBRID, own);
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].own.as_deref(), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/me")));
        assert_eq!(all[1].own.as_deref(), Some(Path::new("/sys/fs/cgroup/memory/y")), "below the mount's own root");
        assert!(all[2].v2);
        assert!(has(&all, "cpu", "cpu") && has(&all, "memory", "memory"));
        assert!(!has(&all, "io", "blkio"));
    }

    #[test]
    fn a_group_outside_of_what_is_mounted_is_unknown() {
        let all = hierarchies(HYBRID, "4:memory:/elsewhere\n");
        assert_eq!(all[1].own, None);
    }
}
