//! /proc/PID/mountinfo (proc_pid_mountinfo(5)): which mounts there are, which of them hide something in /proc or /sys,
//! and how they are tied to the host's.

use std::collections::HashMap;

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    id: u32,
    parent: u32,
    /// Which part of the file system is mounted.
    subtree: String,
    /// Where, seen from the root of the process.
    pub target: String,
    options: String,
    propagation: &'static str,
    /// The file system's type.
    pub fstype: String,
    source: String,
    super_options: String,
}

/// The whole table, in the kernel's order.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    // The optional fields between the two halves vary in number; " - " ends them.
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let mut right = right.split(' ');
    let [id, parent, _device, subtree, target, options, optional @ ..] = &left[..] else { return None };
    let tagged = |tag: &str| optional.iter().any(|o| o.starts_with(tag));
    let propagation = match (tagged("shared:"), tagged("master:")) {
        (true, true) => "shared and slave",
        (true, false) => "shared",
        (false, true) => "slave",
        (false, false) if tagged("unbindable") => "unbindable",
        (false, false) => "private",
    };
    Some(Mount {
        id: id.parse().ok()?,
        parent: parent.parse().ok()?,
        subtree: unescape(subtree),
        target: unescape(target),
        options: (*options).to_string(),
        propagation,
        fstype: right.next()?.to_string(),
        source: unescape(right.next()?),
        super_options: right.next().unwrap_or_default().to_string(),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
pub fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..3).and_then(|o| u8::from_str_radix(o, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[3..]);
            }
            None => {
                bytes.push(b'\\');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Mount {
    /// `/dev/vda`, or `/dev/vda[/srv]` where only that part of it is mounted: findmnt(8)'s way of writing it.
    pub fn source(&self) -> String {
        // The subtree of a cgroup mount is written relative to the reader's cgroup namespace, so it changes with the
        // reader and not with the mount (cgroup_namespaces(7)).
        if self.subtree == "/" || self.fstype.starts_with("cgroup") {
            self.source.clone()
        } else {
            format!("{}[{}]", self.source, self.subtree)
        }
    }

    fn read_only(&self) -> bool {
        self.options.split(',').any(|o| o == "ro")
    }

    /// The mount's own options, then the file system's that are not the same.
    fn all_options(&self) -> String {
        let own: Vec<&str> = self.options.split(',').collect();
        let of_fs = self.super_options.split(',').filter(|o| !o.is_empty() && *o != "rw" && !own.contains(o));
        own.iter().copied().chain(of_fs).collect::<Vec<_>>().join(",")
    }

    /// `target (fstype, source, options)`.
    pub fn show(&self) -> String {
        format!("{} ({}, {}, {})", self.target, self.fstype, self.source(), self.all_options())
    }

    /// What this mount does to a path of /proc or /sys, if that is all it is for.
    fn mask(&self) -> Option<&'static str> {
        let (top, kernel_fs) = ["/proc", "/sys"].into_iter().zip(["proc", "sysfs"]).find(|(top, _)| {
            // Strictly below: /proc and /sys themselves are mounts in their own right.
            self.target.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
        })?;
        // /dev/null, bound over a file.
        let null = self.fstype != kernel_fs && self.subtree.ends_with("/null");
        // On cgroup v1, /sys/fs/cgroup is a tmpfs too: it holds the hierarchies, and hides nothing.
        let empty = self.fstype == "tmpfs" && self.read_only() && self.target != "/sys/fs/cgroup";
        let itself = self.fstype == kernel_fs && self.target.strip_prefix(top) == Some(&self.subtree);
        if null || empty {
            Some("masked")
        } else if itself && self.read_only() {
            Some("read-only")
        } else {
            None
        }
    }
}

/// How all mounts are tied to others: `private`, or `shared, private` when some are and some are not.
pub fn propagation(table: &[Mount]) -> String {
    let kinds = ["shared", "shared and slave", "slave", "unbindable", "private"];
    let found: Vec<&str> = kinds.into_iter().filter(|kind| table.iter().any(|m| m.propagation == *kind)).collect();
    found.join(", ")
}

/// Every mount that is there for its own sake, by target: the kernel's own order is another one before Linux 6.8. Those
/// on the same place stay as they are stacked.
pub fn mounts(table: &[Mount]) -> Vec<String> {
    let mut mounts: Vec<&Mount> = table.iter().filter(|m| m.mask().is_none()).collect();
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    mounts.into_iter().map(Mount::show).collect()
}

/// What is hidden or protected in /proc and /sys, sorted. A mask that another mount covers (a new /proc) is none.
pub fn masked(table: &[Mount]) -> Vec<String> {
    let on_top = Index::new(table);
    let mut paths: Vec<String> = table
        .iter()
        .filter_map(|m| Some((m, m.mask()?)))
        .filter(|(m, _)| on_top.resolve(&m.target).is_some_and(|found| found.id == m.id))
        .map(|(m, what)| format!("{} ({what})", m.target))
        .collect();
    paths.sort_unstable();
    paths
}

/// What `/` is.
pub fn root(table: &[Mount]) -> Option<&Mount> {
    Index::new(table).resolve("/")
}

/// The table as path lookup uses it: which mount lies on which place of which other one.
struct Index<'a> {
    bottom: Option<&'a Mount>,
    on: HashMap<(u32, &'a str), &'a Mount>,
}

impl<'a> Index<'a> {
    fn new(table: &'a [Mount]) -> Self {
        // The table begins at the process's root, so the parent of the bottom one is not in it.
        let bottom = table.iter().find(|m| m.target == "/" && !table.iter().any(|p| p.id == m.parent && p.id != m.id));
        Index { bottom, on: table.iter().map(|m| ((m.parent, m.target.as_str()), m)).collect() }
    }

    /// The mount in which a path ends.
    fn resolve(&self, path: &str) -> Option<&'a Mount> {
        let mut current = self.bottom?;
        let ends = path.match_indices('/').map(|(at, _)| at.max(1)).skip(1).chain([path.len()]);
        for end in [1].into_iter().chain(ends) {
            // Several may be stacked on one place.
            while let Some(next) = self.on.get(&(current.id, path.get(..end)?)).filter(|next| next.id != current.id) {
                current = next;
            }
        }
        Some(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
22 27 0:21 / /proc rw,relatime shared:2 - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup ro,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 /../.. /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
40 27 254:0 /srv/a\\040b /mnt rw master:7 - ext4 /dev/vda rw,discard
50 22 0:6 /null /proc/kcore rw,nosuid - devtmpfs devtmpfs rw
51 22 0:21 /sys /proc/sys ro,nosuid - proc proc rw
52 23 0:60 / /sys/firmware ro - tmpfs tmpfs ro,size=0k";

    #[test]
    fn a_mount_is_written_as_findmnt_does() {
        let table = parse(HOST);
        assert_eq!(
            mounts(&table),
            [
                "/ (ext4, /dev/vda, rw,relatime,discard)",
                "/mnt (ext4, /dev/vda[/srv/a b], rw,discard)",
                "/proc (proc, proc, rw,relatime)",
                "/sys (sysfs, sysfs, rw,relatime)",
                "/sys/fs/cgroup (tmpfs, tmpfs, ro,relatime,mode=755)",
                "/sys/fs/cgroup/cpu (cgroup, cgroup, rw,cpu)",
            ]
        );
        assert_eq!(propagation(&table), "shared, slave, private");
    }

    #[test]
    fn masks_are_told_from_mounts() {
        let expected = ["/proc/kcore (masked)", "/proc/sys (read-only)", "/sys/firmware (masked)"];
        assert_eq!(masked(&parse(HOST)), expected);
    }

    #[test]
    fn a_new_proc_covers_the_masks_of_the_old_one() {
        let covered =
            format!("{HOST}\n60 22 0:70 / /proc rw - proc proc rw\n61 60 0:70 /sys /proc/sys ro - proc proc rw");
        assert_eq!(masked(&parse(&covered)), ["/proc/sys (read-only)", "/sys/firmware (masked)"]);
    }

    #[test]
    fn the_root_is_the_topmost_mount_on_it() {
        let stacked = format!("{HOST}\n70 27 0:80 / / rw - overlay overlay rw");
        assert_eq!(root(&parse(HOST)).map(Mount::source).as_deref(), Some("/dev/vda"));
        assert_eq!(root(&parse(&stacked)).map(Mount::source).as_deref(), Some("overlay"));
    }
}
