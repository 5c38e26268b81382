//! Which cgroup trees this machine has, and where in them a process sits. Nothing is assumed about mount points: v1 has
//! a tree for each controller (or a few), v2 one for all, a hybrid machine both; each may be mounted anywhere, also as
//! a part only (inside another container). So: /proc/self/mountinfo for the trees, /proc/PID/cgroup for the places.

use crate::observe::mountinfo::unescape;
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What a tree can count or limit, by the kernel's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Time on the CPU: quota and weight.
    Cpu,
    /// Which CPUs.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// The number of processes.
    Pids,
    /// Disks.
    Io,
    /// Device nodes: a controller on v1; on v2 a BPF program does it.
    Devices,
    /// Stops all processes of a cgroup at once: a controller on v1; on v2 every cgroup can.
    Freezer,
}

impl Controller {
    /// Its name in v1's mount options and /proc/PID/cgroup.
    pub fn v1(self) -> &'static str {
        match self {
            Controller::Io => "blkio",
            Controller::Devices => "devices",
            Controller::Freezer => "freezer",
            other => other.v2().unwrap_or_default(),
        }
    }

    /// Its name in v2's cgroup.controllers; nothing for what v2 has without a controller.
    pub fn v2(self) -> Option<&'static str> {
        match self {
            Controller::Cpu => Some("cpu"),
            Controller::Cpuset => Some("cpuset"),
            Controller::Memory => Some("memory"),
            Controller::Pids => Some("pids"),
            Controller::Io => Some("io"),
            Controller::Devices | Controller::Freezer => None,
        }
    }
}

/// One mounted tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Which cgroup is mounted there: `/`, or a part of the tree.
    top: PathBuf,
    /// v1: its controllers, as /proc/PID/cgroup lists them. v2: none.
    pub controllers: Vec<String>,
}

impl Tree {
    /// A tree without controllers that is mounted whole.
    #[cfg(test)]
    pub fn whole(mount: &Path) -> Tree {
        Tree { mount: mount.into(), top: "/".into(), controllers: vec![] }
    }

    /// The directory of the cgroup that /proc/PID/cgroup calls `path`; nothing when only another part is mounted.
    fn directory(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.top).ok()?;
        // Joining an empty path would leave a slash at the end.
        Some(if below.as_os_str().is_empty() { self.mount.clone() } else { self.mount.join(below) })
    }

    /// A directory of this tree and those above it, up to the mount point.
    pub fn upwards<'a>(&'a self, from: &'a Path) -> impl Iterator<Item = &'a Path> {
        from.ancestors().take_while(|dir| dir.starts_with(&self.mount))
    }
}

/// A tree, and the directory in it of the process that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The tree.
    pub tree: Tree,
    /// The process's own cgroup.
    pub own: PathBuf,
}

impl Seat {
    /// Is this v1's tree of that controller?
    pub fn has(&self, controller: &str) -> bool {
        self.tree.controllers.iter().any(|c| c == controller)
    }
}

/// Where one process sits in all trees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// v2's tree.
    pub unified: Option<Seat>,
    /// v1's trees.
    pub legacy: Vec<Seat>,
}

impl Layout {
    /// Ours. Read once: a start asks for it several times (what is needed, where to make it), and it does not change.
    pub fn ours() -> &'static Layout {
        static OURS: OnceLock<Layout> = OnceLock::new();
        OURS.get_or_init(|| Layout::of(None))
    }

    /// That of any process.
    pub fn of(pid: Option<Pid>) -> Layout {
        let who = pid.map_or_else(|| "self".to_string(), |pid| pid.to_string());
        let read = |file: String| crate::sys::fs::read_text(file).unwrap_or_default();
        Layout::parse(&read("/proc/self/mountinfo".into()), &read(format!("/proc/{who}/cgroup")))
    }

    pub(super) fn parse(mountinfo: &str, cgroup: &str) -> Layout {
        let trees: Vec<Tree> = mountinfo.lines().filter_map(tree).collect();
        let mut layout = Layout::default();
        for line in cgroup.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(names), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let names: Vec<&str> = names.split(',').filter(|n| !n.is_empty()).collect();
            // A tree may be mounted twice, whole and in part: the first that shows the process's own cgroup will do.
            let mut same = trees.iter().filter(|t| {
                t.controllers.len() == names.len() && names.iter().all(|n| t.controllers.iter().any(|c| c == n))
            });
            let seat = same.find_map(|t| Some(Seat { own: t.directory(Path::new(path))?, tree: t.clone() }));
            match seat {
                Some(seat) if names.is_empty() => layout.unified = Some(seat),
                Some(seat) => layout.legacy.push(seat),
                None => {}
            }
        }
        layout
    }

    /// The v1 tree of a controller.
    pub fn legacy(&self, controller: Controller) -> Option<&Seat> {
        self.legacy.iter().find(|s| s.tree.controllers.iter().any(|c| c == controller.v1()))
    }
}

/// A line of mountinfo (proc_pid_mountinfo(5)), if it is a cgroup tree.
fn tree(line: &str) -> Option<Tree> {
    let (left, right) = line.split_once(" - cgroup")?;
    let mut left = left.split(' ').skip(3);
    let (top, mount) = (unescape(left.next()?), unescape(left.next()?));
    let mut right = right.split(' ');
    let version = right.next()?;
    let options = right.nth(1).unwrap_or_default();
    let controllers = match version {
        "2" => vec![],
        // A v1 tree's options are its controllers, beside the flags of any mount and of any v1 tree (cgroup-v1.c).
        "" => options.split(',').filter(|o| !is_flag(o)).map(str::to_string).collect(),
        _ => return None,
    };
    Some(Tree { mount: mount.into(), top: top.into(), controllers })
}

fn is_flag(option: &str) -> bool {
    const FLAGS: [&str; 9] =
        ["rw", "ro", "relatime", "noprefix", "xattr", "clone_children", "cpuset_v2_mode", "favordynmods", "none"];
    FLAGS.contains(&option) || option.starts_with("release_agent=") || option.starts_with("seclabel")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(layout: &Layout) -> Vec<String> {
        layout.legacy.iter().chain(&layout.unified).map(|s| s.own.display().to_string()).collect()
    }

    #[test]
    fn hybrid() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory,release_agent=/x\n\
                      40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let seats = "9:name=systemd:/\n4:memory:/a/b\n2:cpuacct,cpu:/\n0::/x\n";
        let layout = Layout::parse(mounts, seats);
        assert_eq!(
            dirs(&layout),
            [
                "/sys/fs/cgroup/systemd",
                "/sys/fs/cgroup/memory/a/b",
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/unified/x"
            ]
        );
        assert_eq!(
            layout.legacy(Controller::Cpu).map(|s| s.tree.mount.clone()),
            Some("/sys/fs/cgroup/cpu,cpuacct".into())
        );
        assert_eq!(layout.legacy(Controller::Io), None);
    }

    #[test]
    fn only_a_part_is_mounted() {
        let mounts = "32 31 0:29 /docker/ab /mnt/my\\040cg rw - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(dirs(&Layout::parse(mounts, "0::/docker/ab/c\n")), ["/mnt/my cg/c"]);
        assert_eq!(dirs(&Layout::parse(mounts, "0::/docker/ab\n")), ["/mnt/my cg"]);
        assert_eq!(dirs(&Layout::parse(mounts, "0::/docker/abc\n")), Vec::<String>::new());
    }

    #[test]
    fn upwards_ends_at_the_mount() {
        let layout = Layout::parse("1 0 0:1 / /c rw - cgroup2 c rw\n", "0::/a/b\n");
        let seat = layout.unified.as_ref().map(|s| s.tree.upwards(&s.own).map(Path::to_path_buf).collect::<Vec<_>>());
        assert_eq!(seat, Some(vec!["/c/a/b".into(), "/c/a".into(), "/c".into()]));
    }
}
