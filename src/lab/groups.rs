//! The cgroups that a script has made, and what else outlives processes. Killing what runs there does not remove them; and
//! a process in a frozen group (on v1) does not even die before the group thaws.

use crate::cgroup::Layout;
use nix::unistd::Pid;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// What a lab has made so far, as far as it is known.
#[derive(Debug)]
pub struct Groups {
    /// All groups of the machine before the lab: somebody else's, whoever is put into them.
    before: HashSet<PathBuf>,
    made: BTreeSet<PathBuf>,
}

impl Groups {
    /// Nothing yet.
    pub fn new() -> Groups {
        let Layout { unified, legacy } = Layout::of(None);
        let mut open: Vec<PathBuf> = unified.into_iter().chain(legacy).map(|seat| seat.tree.mount).collect();
        let mut before = HashSet::new();
        while let Some(dir) = open.pop() {
            let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            open.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
            before.insert(dir);
        }
        Groups { before, made: BTreeSet::new() }
    }

    /// Takes note of the groups of these processes, and thaws them.
    pub fn note(&mut self, processes: &[i32]) {
        for pid in processes {
            let Layout { unified, legacy } = Layout::of(Some(Pid::from_raw(*pid)));
            for seat in unified.into_iter().chain(legacy) {
                if !self.before.contains(&seat.own) && self.made.insert(seat.own.clone()) {
                    thaw(&seat.own);
                }
            }
        }
    }

    /// Removes them, and whatever is named after a shell that is no more: `boxwright-lab.4711`.
    pub fn remove(mut self) {
        let ours = Layout::of(None);
        for seat in ours.unified.iter().chain(&ours.legacy) {
            for dir in seat.tree.upwards(&seat.own) {
                self.made.extend(orphans(dir).filter(|orphan| orphan.is_dir()));
            }
        }
        // Those below before those above.
        for dir in self.made.iter().rev() {
            thaw(dir);
            let _ = crate::cgroup::remove(std::slice::from_ref(dir));
        }
        for file in orphans(Path::new("/var/tmp")).filter(|orphan| orphan.is_file()) {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn thaw(dir: &Path) {
    for (file, text) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        if dir.join(file).exists() {
            let _ = std::fs::write(dir.join(file), text);
        }
    }
}

/// What there is in a directory by the name of a lab's shell that has ended. (Somebody else's cannot be removed anyway.)
fn orphans(dir: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_prefix("boxwright-lab.")?.split('.').next()?;
        let pid: i32 = number.parse().ok()?;
        (!Path::new("/proc").join(pid.to_string()).exists()).then(|| entry.path())
    })
}
