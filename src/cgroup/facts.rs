//! Limits as facts: in v2's names and units on both versions, so that one report fits all. They are read from outside,
//! from the cgroup that the process is in and those above it, because a limit anywhere above binds as well: what is
//! shown is the tightest, which is what the process feels.

use super::layout::{Controller, Layout, Seat};
use super::units::shares_to_weight;
use super::words;
use crate::observe::{Fact, Snapshot, Value};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::Path;

/// v1 counts memory in pages and calls the largest number of them "unlimited" (memcontrol.c, PAGE_COUNTER_MAX).
const UNLIMITED: u64 = 1 << 62;

/// The limits on a process (`None`: on us), as far as there is a controller for them.
pub fn facts(pid: Option<Pid>) -> Snapshot {
    let layout = Layout::of(pid);
    let mut seen = Snapshot::new();
    for controller in [Controller::Cpu, Controller::Cpuset, Controller::Memory, Controller::Pids, Controller::Io] {
        if let Some(seat) = layout.legacy(controller) {
            v1(seat, controller, &mut seen);
        } else if let (Some(seat), Some(name)) = (&layout.unified, controller.v2())
            && words(&seat.tree.mount.join("cgroup.controllers")).iter().any(|c| c == name)
        {
            v2(seat, controller, &mut seen);
        }
    }
    seen
}

fn one(seen: &mut Snapshot, fact: Fact, value: impl Into<String>) {
    seen.insert(fact, Value::One(value.into()));
}

/// A number of bytes or processes, or `max`.
fn limit(seen: &mut Snapshot, fact: Fact, tightest: Option<u64>) {
    one(seen, fact, tightest.map_or("max".into(), |n| n.to_string()));
}

fn v2(seat: &Seat, controller: Controller, seen: &mut Snapshot) {
    match controller {
        Controller::Cpu => {
            let quotas = lines_upwards(seat, "cpu.max").filter_map(|w| Some((number(w.first()?)?, number(w.get(1)?)?)));
            one(seen, Fact::CpuMax, tightest_quota(quotas));
            one(seen, Fact::CpuWeight, nearest(seat, "cpu.weight").unwrap_or("100".into()));
        }
        Controller::Cpuset => {
            if let Some(cpus) = nearest(seat, "cpuset.cpus.effective") {
                one(seen, Fact::CpusetCpus, cpus);
            }
        }
        Controller::Memory => {
            limit(seen, Fact::MemoryMax, tightest(seat, "memory.max"));
            limit(seen, Fact::MemorySwapMax, tightest(seat, "memory.swap.max"));
        }
        Controller::Pids => limit(seen, Fact::PidsMax, tightest(seat, "pids.max")),
        Controller::Io => {
            let mut disks = BTreeMap::new();
            for dir in seat.tree.upwards(&seat.own) {
                for line in std::fs::read_to_string(dir.join("io.max")).unwrap_or_default().lines() {
                    let mut fields = line.split(' ');
                    let Some(disk) = fields.next() else { continue };
                    fields.filter_map(|f| f.split_once('=')).for_each(|(key, n)| throttle(&mut disks, disk, key, n));
                }
            }
            io_max(seen, &disks);
        }
        Controller::Devices | Controller::Freezer => {}
    }
}

fn v1(seat: &Seat, controller: Controller, seen: &mut Snapshot) {
    match controller {
        Controller::Cpu => {
            let quotas = seat.tree.upwards(&seat.own).filter_map(|dir| {
                let value = |file: &str| words(&dir.join(file)).first().and_then(|w| number(w));
                Some((value("cpu.cfs_quota_us")?, value("cpu.cfs_period_us")?))
            });
            one(seen, Fact::CpuMax, tightest_quota(quotas));
            let shares = nearest(seat, "cpu.shares").and_then(|s| s.parse().ok()).unwrap_or(1024);
            one(seen, Fact::CpuWeight, shares_to_weight(shares).to_string());
        }
        Controller::Cpuset => {
            if let Some(cpus) = nearest(seat, "cpuset.effective_cpus") {
                one(seen, Fact::CpusetCpus, cpus);
            }
        }
        Controller::Memory => {
            let memory = tightest(seat, "memory.limit_in_bytes");
            limit(seen, Fact::MemoryMax, memory);
            if seat.tree.mount.join("memory.memsw.limit_in_bytes").exists() {
                let both = tightest(seat, "memory.memsw.limit_in_bytes");
                // v1 limits the sum, v2 the swap alone.
                limit(seen, Fact::MemorySwapMax, both.map(|b| b.saturating_sub(memory.unwrap_or(0))));
            } else {
                limit(seen, Fact::MemorySwapMax, None);
            }
        }
        Controller::Pids => limit(seen, Fact::PidsMax, tightest(seat, "pids.max")),
        Controller::Io => {
            let mut disks = BTreeMap::new();
            for (file, key) in
                [("read_bps", "rbps"), ("write_bps", "wbps"), ("read_iops", "riops"), ("write_iops", "wiops")]
            {
                for dir in seat.tree.upwards(&seat.own) {
                    let file = dir.join(format!("blkio.throttle.{file}_device"));
                    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
                        if let Some((disk, n)) = line.split_once(' ') {
                            throttle(&mut disks, disk, key, n);
                        }
                    }
                }
            }
            io_max(seen, &disks);
        }
        Controller::Devices | Controller::Freezer => {}
    }
}

/// For each disk the four rates in the order in which io.max shows them, each the lowest that was found.
type Disks = BTreeMap<String, [Option<u64>; 4]>;
const RATES: [&str; 4] = ["rbps", "wbps", "riops", "wiops"];

fn throttle(disks: &mut Disks, disk: &str, key: &str, value: &str) {
    if let (Some(at), Some(n)) = (RATES.iter().position(|r| *r == key), number(value)) {
        let rate = &mut disks.entry(disk.to_string()).or_default()[at];
        *rate = Some(rate.map_or(n, |old| old.min(n)));
    }
}

fn io_max(seen: &mut Snapshot, disks: &Disks) {
    let line = |(disk, rates): (&String, &[Option<u64>; 4])| {
        let set = RATES.iter().zip(rates).filter_map(|(key, n)| n.map(|n| format!(" {key}={n}")));
        format!("{disk}{}", set.collect::<String>())
    };
    let value = if disks.is_empty() { Value::One("max".into()) } else { Value::Many(disks.iter().map(line).collect()) };
    seen.insert(Fact::IoMax, value);
}

/// `max`, -1 and the number that v1 has for it are no number.
fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|&n| n < UNLIMITED)
}

fn lines_upwards<'a>(seat: &'a Seat, file: &'a str) -> impl Iterator<Item = Vec<String>> + 'a {
    seat.tree.upwards(&seat.own).map(move |dir| words(&dir.join(file)))
}

fn tightest(seat: &Seat, file: &str) -> Option<u64> {
    lines_upwards(seat, file).filter_map(|w| number(w.first()?)).min()
}

fn nearest(seat: &Seat, file: &str) -> Option<String> {
    seat.tree.upwards(&seat.own).find_map(|dir: &Path| words(&dir.join(file)).into_iter().next())
}

/// As cpu.max shows it: microseconds of CPU time in each period of so many microseconds.
fn tightest_quota(quotas: impl Iterator<Item = (u64, u64)>) -> String {
    // a/b < c/d without fractions.
    let tightest = quotas.min_by(|(q1, p1), (q2, p2)| (q1 * p2).cmp(&(q2 * p1)));
    tightest.map_or("max 100000".into(), |(quota, period)| format!("{quota} {period}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::layout::Tree;

    fn seat(files: &[(&str, &str)]) -> (tempfile::TempDir, Seat) {
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(top.path().join("a/b")).unwrap();
        for (file, text) in files {
            std::fs::write(top.path().join(file), text).unwrap();
        }
        let own = top.path().join("a/b");
        let tree: Tree = Tree::whole(top.path());
        (top, Seat { tree, own })
    }

    fn text(seen: &Snapshot, fact: Fact) -> String {
        match &seen[&fact] {
            Value::One(one) => one.clone(),
            Value::Many(many) => many.join("; "),
        }
    }

    #[test]
    fn the_tightest_limit_counts_wherever_it_is() {
        let (_top, seat) = seat(&[
            ("a/memory.max", "1000\n"),
            ("a/b/memory.max", "max\n"),
            ("a/cpu.max", "60000 100000\n"),
            ("a/b/cpu.max", "20000 20000\n"),
            ("a/io.max", "8:0 rbps=5 wbps=max riops=max wiops=7\n"),
            ("a/b/io.max", "8:0 rbps=9 wbps=3 riops=max wiops=max\n"),
        ]);
        let mut seen = Snapshot::new();
        [Controller::Memory, Controller::Cpu, Controller::Io].iter().for_each(|&c| v2(&seat, c, &mut seen));
        assert_eq!(text(&seen, Fact::MemoryMax), "1000");
        assert_eq!(text(&seen, Fact::MemorySwapMax), "max");
        assert_eq!(text(&seen, Fact::CpuMax), "60000 100000");
        assert_eq!(text(&seen, Fact::CpuWeight), "100");
        assert_eq!(text(&seen, Fact::IoMax), "8:0 rbps=5 wbps=3 wiops=7");
    }

    #[test]
    fn v1_in_the_names_of_v2() {
        let (_top, seat) = seat(&[
            ("memory.memsw.limit_in_bytes", "9223372036854771712\n"),
            ("a/b/memory.limit_in_bytes", "64\n"),
            ("a/b/memory.memsw.limit_in_bytes", "100\n"),
            ("a/b/cpu.cfs_quota_us", "-1\n"),
            ("a/b/cpu.cfs_period_us", "100000\n"),
            ("a/b/cpu.shares", "2048\n"),
            ("a/b/blkio.throttle.write_bps_device", "8:0 1048576\n"),
        ]);
        let mut seen = Snapshot::new();
        [Controller::Memory, Controller::Cpu, Controller::Io].iter().for_each(|&c| v1(&seat, c, &mut seen));
        assert_eq!(text(&seen, Fact::MemoryMax), "64");
        assert_eq!(text(&seen, Fact::MemorySwapMax), "36");
        assert_eq!(text(&seen, Fact::CpuMax), "max 100000");
        assert_eq!(text(&seen, Fact::CpuWeight), "174");
        assert_eq!(text(&seen, Fact::IoMax), "8:0 wbps=1048576");
    }
}
