//! The cgroup: where it is, how it is limited, how much is in use. In v2's names on both versions.

use super::scene::{Gauge, Group, Line, Standing};
use super::{Portrait, many, one};
use crate::observe::{Fact, Value};

/// The cgroup of the portrait.
pub fn group(p: &Portrait) -> Group {
    let (ours, its) = (many(&p.caller, Fact::Cgroup), p.many(Fact::Cgroup));
    // On v1 a container may have a group of its own in some trees, and share others.
    let own: Vec<&String> = its.iter().filter(|path| !ours.contains(path)).collect();
    let standing = match (its.is_empty() || ours.is_empty(), own.is_empty()) {
        (true, _) => Standing::Unseen,
        (false, true) => Standing::Shared,
        (false, false) => Standing::Own,
    };
    // v2's path where there is one; on v1 `memory:/a/b`, of which the name is the same everywhere.
    let path = own.iter().find(|path| path.starts_with('/')).or(own.first());
    let path = path.map(|path| path.split_once(":/").map_or(path.to_string(), |(_, rest)| format!("/{rest}")));
    let path = match standing {
        Standing::Own => Line::new("cgroup", path.unwrap_or_default()),
        Standing::Shared => Line::new("cgroup", "the caller's"),
        Standing::Unseen => Line::new("unseen", "cannot be seen"),
    };
    let gauges = if standing == Standing::Own { gauges(p) } else { vec![] };
    Group { standing, new: p.is_new(&[Fact::Cgroup]), path, gauges }
}

fn gauges(p: &Portrait) -> Vec<Gauge> {
    let used = &p.used;
    let bytes = |n: u64| format!("{} used", size(n));
    vec![
        gauge(p, "cpu", "cpu.max", Fact::CpuMax, cpu(p), p.one(Fact::CpuMax).and_then(share), used.cpu_usec.map(time)),
        gauge(
            p,
            "memory",
            "memory.max",
            Fact::MemoryMax,
            memory(p),
            level(used.memory_current, p.one(Fact::MemoryMax)),
            used.memory_current.map(bytes),
        ),
        gauge(
            p,
            "pids",
            "pids.max",
            Fact::PidsMax,
            p.one(Fact::PidsMax).map(|n| if n == "1" { "1 process".into() } else { format!("{n} processes") }),
            level(used.pids_current, p.one(Fact::PidsMax)),
            used.pids_current.map(|n| format!("{n} now")),
        ),
        Gauge { note: disk(p), ..gauge(p, "io", "io.max", Fact::IoMax, io(p), None, None) },
    ]
}

fn gauge(
    p: &Portrait,
    name: &'static str,
    file: &'static str,
    fact: Fact,
    limit: Option<String>,
    level: Option<f32>,
    used: Option<String>,
) -> Gauge {
    let unlimited = match p.seen.get(&fact) {
        Some(Value::One(value)) => value.starts_with("max"),
        _ => false,
    };
    let own = p.shares(fact) != Some(true) && p.seen.contains_key(&fact) && !unlimited;
    let text = match limit {
        None => "cannot be seen".to_string(),
        Some(_) if unlimited => "no limit".into(),
        Some(limit) if own => limit,
        Some(limit) => format!("{limit} (the caller's too)"),
    };
    let used = used.map(|text| Line::new("used", text));
    let new = p.is_new(match name {
        "cpu" => &[Fact::CpuMax, Fact::CpuWeight, Fact::CpusetCpus],
        "memory" => &[Fact::MemoryMax, Fact::MemorySwapMax],
        "pids" => &[Fact::PidsMax],
        _ => &[Fact::IoMax],
    });
    Gauge { name, limit: Line::new(file, text), own, new, used, note: None, level: level.filter(|_| own) }
}

/// `50000 100000`: 0.5 CPUs, and what else is its own.
fn cpu(p: &Portrait) -> Option<String> {
    let mut text = match share_of(p.one(Fact::CpuMax)?) {
        Some(cpus) => format!("{} CPU{}", trimmed(cpus), if cpus > 1.0 { "s" } else { "" }),
        None => "no limit".into(),
    };
    let own = |fact| if p.shares(fact) == Some(true) { None } else { p.one(fact) };
    text += &own(Fact::CpuWeight).map(|w| format!(", weight {w}")).unwrap_or_default();
    text += &own(Fact::CpusetCpus).map(|c| format!(", CPUs {c}")).unwrap_or_default();
    Some(text)
}

fn share_of(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (period > 0.0).then(|| quota / period)
}

/// How much of one CPU, or all of it.
fn share(cpu_max: &str) -> Option<f32> {
    share_of(cpu_max).map(|cpus| cpus.min(1.0) as f32)
}

fn memory(p: &Portrait) -> Option<String> {
    let max = p.one(Fact::MemoryMax)?.parse().map(size).unwrap_or("no limit".into());
    let own = p.shares(Fact::MemorySwapMax) != Some(true);
    let swap = one(&p.seen, Fact::MemorySwapMax).filter(|_| own).and_then(|n| n.parse().ok());
    Some(swap.map_or(max.clone(), |n| format!("{max} + {} swap", size(n))))
}

fn level(used: Option<u64>, max: Option<&str>) -> Option<f32> {
    let (used, max) = (used?, max?.parse::<u64>().ok()?);
    (max > 0).then(|| (used as f32 / max as f32).min(1.0))
}

/// `254:0 rbps=1048576 wbps=…`: of the first disk, in short.
fn io(p: &Portrait) -> Option<String> {
    if !p.seen.contains_key(&Fact::IoMax) {
        return None;
    }
    let Some(line) = p.many(Fact::IoMax).first() else { return Some("no limit".into()) };
    let (_, rates) = line.split_once(' ').unwrap_or((line, ""));
    let rate = |rate: &str| {
        let (key, n) = rate.split_once('=')?;
        let n = n.parse::<u64>().ok()?;
        let way = if key.starts_with('r') { "read" } else { "write" };
        Some(if key.ends_with("iops") { format!("{way} {n}/s") } else { format!("{way} {}/s", size(n)) })
    };
    let rates: Vec<String> = rates.split(' ').filter_map(rate).collect();
    Some(rates.join(", "))
}

/// Which disk that is.
fn disk(p: &Portrait) -> Option<Line> {
    let disks = p.many(Fact::IoMax);
    let first = disks.first()?.split(' ').next()?;
    let more = if disks.len() > 1 { format!(", and {} disks more", disks.len() - 1) } else { String::new() };
    Some(Line::new("disk", format!("of disk {first}{more}")))
}

/// Bytes, in the unit that leaves the shortest number.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut n = bytes as f64;
    while n >= 1024.0 && unit < UNITS.len() - 1 {
        n /= 1024.0;
        unit += 1;
    }
    format!("{} {}", trimmed(n), UNITS[unit])
}

/// At most two decimals, and none that say nothing.
fn trimmed(n: f64) -> String {
    let text = if n >= 100.0 {
        format!("{n:.0}")
    } else if n >= 10.0 {
        format!("{n:.1}")
    } else {
        format!("{n:.2}")
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

fn time(microseconds: u64) -> String {
    format!("{} s used", trimmed(microseconds as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            ["67108864", "1536", "0", "17179869184"].map(|n| size(n.parse().unwrap())),
            ["64 MiB", "1.5 KiB", "0 B", "16 GiB"]
        );
        assert_eq!([0.5, 2.0, 0.25, 100.0, 1234.5].map(trimmed), ["0.5", "2", "0.25", "100", "1234"]);
        assert_eq!((share_of("50000 100000"), share_of("max 100000")), (Some(0.5), None));
        assert_eq!(level(Some(32), Some("64")), Some(0.5));
        assert_eq!(level(Some(32), Some("max")), None);
    }
}
