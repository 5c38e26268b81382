//! What there is on the machine: mounts, cgroups, links, addresses, rules, processes, namespaces, and the files of one
//! state directory. Two inventories are compared line by line, so a failure reads as a list of what was left.
//!
//! What belongs to others is left out, or a busy machine would fail every test: processes and namespaces are those that
//! descend from the test (which adopts its orphans), new cgroups count only while they hold none but such processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// All of it, by kind.
pub struct Inventory {
    kinds: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Inventory {
    /// Looks now. `root` is the state directory whose files count.
    pub fn take(root: &Path) -> Inventory {
        adopt_and_bury();
        let ours = descendants();
        let kinds = [
            ("mount", mounts()),
            ("cgroup", cgroups(&ours)),
            ("link", links()),
            ("route", routes()),
            ("nft", nft()),
            ("process", ours.iter().map(|&pid| name(pid)).collect()),
            ("namespace", namespaces(&ours)),
            ("file", files(root)),
        ];
        Inventory { kinds: kinds.into_iter().collect() }
    }

    /// Does nothing that descends from the test run any more?
    pub fn has_no_process(&self) -> bool {
        self.kinds["process"].is_empty()
    }

    /// What is there later and was not (+), or was and is not (-); empty when nothing changed.
    pub fn difference(&self, later: &Inventory) -> String {
        let mut text = String::new();
        for (kind, before) in &self.kinds {
            let Some(after) = later.kinds.get(kind) else { continue };
            for line in after.difference(before) {
                text += &format!("  + {kind:10} {line}\n");
            }
            for line in before.difference(after) {
                // Other people's groups come and go.
                if *kind != "cgroup" {
                    text += &format!("  - {kind:10} {line}\n");
                }
            }
        }
        text
    }
}

fn lines(file: &str) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_string).collect()
}

/// Without the numbers of mounts and peer groups, which mean nothing later.
fn mounts() -> BTreeSet<String> {
    let plain = |line: &String| {
        let fields: Vec<&str> = line.split(' ').collect();
        let dash = fields.iter().position(|f| *f == "-").unwrap_or(fields.len());
        let peers: Vec<&str> = fields[6..dash].iter().filter_map(|f| f.split(':').next()).collect();
        format!("{} {} {} {:?} {}", fields[4], fields[3], fields[5], peers, fields[dash..].join(" "))
    };
    lines("/proc/thread-self/mountinfo").iter().map(plain).collect()
}

/// Every cgroup below ours in each hierarchy, and below boxwright.slice.
fn cgroups(ours: &BTreeSet<i32>) -> BTreeSet<String> {
    let own = lines("/proc/self/cgroup");
    let mut all = BTreeSet::new();
    for line in lines("/proc/self/mounts") {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, mount, kind, options, ..] = fields[..] else { continue };
        let path = own.iter().find_map(|l| {
            let mut parts = l.splitn(3, ':').skip(1);
            let (names, path) = (parts.next()?, parts.next()?);
            let same = match kind {
                "cgroup2" => names.is_empty(),
                "cgroup" => !names.is_empty() && names.split(',').all(|n| options.split(',').any(|o| o == n)),
                _ => false,
            };
            same.then(|| path.to_string())
        });
        let Some(path) = path else { continue };
        walk(&Path::new(mount).join(path.trim_start_matches('/')), ours, &mut all);
        walk(&Path::new(mount).join("boxwright.slice"), ours, &mut all);
    }
    all
}

/// Adds the groups below `dir`, but not those that hold somebody else's processes.
fn walk(dir: &Path, ours: &BTreeSet<i32>, all: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        let path = entry.path();
        let procs = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        if !procs.lines().any(|p| p.parse().is_ok_and(|p| !ours.contains(&p))) {
            all.insert(path.display().to_string());
        }
        walk(&path, ours, all);
    }
}

/// The interfaces of this thread's network namespace.
fn links() -> BTreeSet<String> {
    lines("/proc/thread-self/net/dev")
        .iter()
        .filter_map(|l| l.split_once(':').map(|(name, _)| name.trim().to_string()))
        .collect()
}

fn routes() -> BTreeSet<String> {
    lines("/proc/thread-self/net/route").into_iter().skip(1).map(|l| l.replace('\t', " ")).collect()
}

/// Root only; and only with nft(8), without which this part is empty (and `.ci/run` installs it).
fn nft() -> BTreeSet<String> {
    if !super::is_root() || !super::installed("nft") {
        return BTreeSet::new();
    }
    let output = std::process::Command::new("nft").args(["list", "ruleset"]).output().expect("nft runs");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect()
}

/// Name, parent and state, from /proc/PID/stat.
fn stat(pid: i32) -> Option<(String, i32, char)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (left, right) = text.rsplit_once(") ")?;
    let mut fields = right.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((left.split_once('(')?.1.to_string(), fields.next()?.parse().ok()?, state))
}

fn processes() -> BTreeMap<i32, (String, i32, char)> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

fn name(pid: i32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    let (comm, _, state) = stat(pid).unwrap_or_default();
    format!("{pid} {comm} ({state}) {words}")
}

/// Every process that descends from this one.
pub fn descendants() -> BTreeSet<i32> {
    let all = processes();
    let me = std::process::id() as i32;
    let descends = |mut pid: i32| {
        loop {
            match all.get(&pid) {
                Some((_, parent, _)) if *parent == me => return true,
                Some((_, parent, _)) if *parent > 1 => pid = *parent,
                _ => return false,
            }
        }
    };
    all.keys().copied().filter(|&pid| descends(pid)).collect()
}

/// Orphans that have ended are ours to bury. (No test waits for a child of its own while an inventory is taken.)
pub fn adopt_and_bury() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

/// The namespaces in which our processes are and we are not.
fn namespaces(ours: &BTreeSet<i32>) -> BTreeSet<String> {
    let of = |pid: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten().flatten();
        entries.filter_map(|e| Some(std::fs::read_link(e.path()).ok()?.display().to_string())).collect()
    };
    let host = of("thread-self");
    ours.iter().flat_map(|pid| of(&pid.to_string())).filter(|ns| !host.contains(ns)).collect()
}

/// Files and directories of the state directory.
fn files(root: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            // The journal of events is turned over when it is full, and is kept.
            if !path.ends_with("lib/events/journal.1") {
                all.insert(path.display().to_string());
            }
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                todo.push(path);
            }
        }
    }
    all
}
