//! What a cgroup has used, and how often the kernel had to hold it back: the evidence behind a limit.

use super::layout::Layout;
use super::words;
use nix::unistd::Pid;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The kernel's counters of one container. What has no controller is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// CPU time used, in microseconds.
    pub cpu_usec: Option<u64>,
    /// Periods in which it wanted to run.
    pub nr_periods: Option<u64>,
    /// Periods in which it had used up its quota and was stopped.
    pub nr_throttled: Option<u64>,
    /// For how long, in microseconds.
    pub throttled_usec: Option<u64>,
    /// Memory in use, in bytes.
    pub memory_current: Option<u64>,
    /// The most that it ever was. (v2: since Linux 5.19.)
    pub memory_peak: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kill: Option<u64>,
    /// Processes now.
    pub pids_current: Option<u64>,
    /// Forks that were refused.
    pub pids_max: Option<u64>,
    /// Bytes read and written, by disk.
    pub io: BTreeMap<String, (u64, u64)>,
}

/// Reads them from a container's directories, whatever version each is of.
pub fn read(dirs: &[PathBuf]) -> Counters {
    let mut all = Counters::default();
    for dir in dirs {
        let file = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        let key = |name: &str, key: &str| keyed(&file(name), key);
        let number = |name: &str| words(&dir.join(name)).first().and_then(|w| w.parse::<u64>().ok());
        let usage = || number("cpuacct.usage").map(|ns| ns / 1000);
        let stopped = || key("cpu.stat", "throttled_time").map(|ns| ns / 1000);
        set(&mut all.cpu_usec, key("cpu.stat", "usage_usec").or_else(usage));
        set(&mut all.nr_periods, key("cpu.stat", "nr_periods"));
        set(&mut all.nr_throttled, key("cpu.stat", "nr_throttled"));
        set(&mut all.throttled_usec, key("cpu.stat", "throttled_usec").or_else(stopped));
        set(&mut all.memory_current, number("memory.current").or_else(|| number("memory.usage_in_bytes")));
        set(&mut all.memory_peak, number("memory.peak").or_else(|| number("memory.max_usage_in_bytes")));
        set(&mut all.oom_kill, key("memory.events", "oom_kill").or_else(|| key("memory.oom_control", "oom_kill")));
        set(&mut all.pids_current, number("pids.current"));
        set(&mut all.pids_max, key("pids.events", "max"));
        disks(dir, &mut all.io);
    }
    all
}

/// What the groups of a process have used that are not ours as well; nothing where it shares all with us.
pub fn usage(pid: Pid) -> Counters {
    let (ours, its) = (Layout::ours(), Layout::of(Some(pid)));
    let seats =
        |layout: &Layout| layout.unified.iter().chain(&layout.legacy).map(|s| s.own.clone()).collect::<Vec<_>>();
    let shared = seats(ours);
    read(&seats(&its).into_iter().filter(|dir| !shared.contains(dir)).collect::<Vec<_>>())
}

fn set(counter: &mut Option<u64>, value: Option<u64>) {
    *counter = counter.or(value);
}

/// The number behind a key, in a file of lines `key number`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn disks(dir: &Path, io: &mut BTreeMap<String, (u64, u64)>) {
    for line in std::fs::read_to_string(dir.join("io.stat")).unwrap_or_default().lines() {
        let mut fields = line.split(' ');
        let Some(disk) = fields.next() else { continue };
        let of = |key: &str| {
            let mut all = line.split(' ');
            all.find_map(|f| f.strip_prefix(key)?.strip_prefix('=')?.parse().ok()).unwrap_or(0)
        };
        io.insert(disk.into(), (of("rbytes"), of("wbytes")));
    }
    for line in std::fs::read_to_string(dir.join("blkio.throttle.io_service_bytes")).unwrap_or_default().lines() {
        let [disk, what, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        let (entry, bytes) = (io.entry(disk.into()).or_default(), bytes.parse().unwrap_or(0));
        match what {
            "Read" => entry.0 = bytes,
            "Write" => entry.1 = bytes,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("v1"), dir.path().join("v2"));
        for (file, text) in [
            ("v1/cpu.stat", "nr_periods 10\nnr_throttled 8\nthrottled_time 5000000\n"),
            ("v1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            ("v1/blkio.throttle.io_service_bytes", "8:0 Read 5\n8:0 Write 7\n8:0 Total 12\nTotal 12\n"),
            ("v2/cpu.stat", "usage_usec 99\nnr_throttled 3\nthrottled_usec 4\n"),
            ("v2/memory.events", "low 0\noom 5\noom_kill 1\noom_group_kill 0\n"),
            ("v2/io.stat", "8:0 rbytes=11 wbytes=12 rios=1 wios=1 dbytes=0 dios=0\n"),
            ("v2/pids.events", "max 6\n"),
        ] {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let v1 = read(&[old]);
        assert_eq!(
            (v1.nr_throttled, v1.throttled_usec, v1.oom_kill, v1.pids_max),
            (Some(8), Some(5000), Some(2), None)
        );
        assert_eq!(v1.io["8:0"], (5, 7));
        let v2 = read(&[new]);
        assert_eq!((v2.cpu_usec, v2.nr_throttled, v2.oom_kill, v2.pids_max), (Some(99), Some(3), Some(1), Some(6)));
        assert_eq!(v2.io["8:0"], (11, 12));
    }
}
