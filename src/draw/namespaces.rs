//! The lanes: what each kind of namespace holds.

use super::scene::{Lane, Line, Standing};
use super::{Portrait, many};
use crate::observe::{Change, Fact};

/// All kinds that the kernel has, in the order of the list.
pub fn lanes(p: &Portrait) -> Vec<Lane> {
    let kinds = Fact::ALL.into_iter().filter_map(|fact| Some((fact, fact.namespace()?.0)));
    // A kind that not even the caller has is one that the kernel does not know.
    let known = kinds.filter(|(fact, _)| p.caller.contains_key(fact));
    known.map(|(fact, kind)| lane(p, fact, kind)).collect()
}

fn lane(p: &Portrait, fact: Fact, kind: &'static str) -> Lane {
    let standing = Standing::of(p.shares(fact));
    let lines = match standing {
        Standing::Own => own(p, kind),
        Standing::Shared => vec![Line::new("shared", shared(kind))],
        Standing::Unseen => vec![Line::new("unseen", "cannot be seen from here")],
    };
    Lane { kind, standing, new: p.is_new(&[fact]), lines }
}

fn shared(kind: &str) -> &'static str {
    match kind {
        "user" => "the host's users",
        "pid" => "the host's process numbers",
        "cgroup" => "the host's view of cgroups",
        "mnt" => "the host's mounts",
        "uts" => "the host's name",
        "ipc" => "the host's queues and semaphores",
        "net" => "the host's links and addresses",
        "time" => "the host's clocks",
        _ => "the host's",
    }
}

fn own(p: &Portrait, kind: &str) -> Vec<Line> {
    match kind {
        "user" => users(p),
        "pid" => vec![Line::new(
            "pid-map",
            match p.one(Fact::Pid) {
                Some(pid) => format!("{pid} in here is {} outside", p.pid),
                None => "numbers of its own".into(),
            },
        )],
        "cgroup" => vec![Line::new("cgroup-view", "sees its own cgroup as /")],
        "mnt" => mounts(p),
        "uts" => vec![match p.one(Fact::Hostname) {
            Some(name) => Line::new("hostname", name),
            None => Line::new("unseen", "its name cannot be seen"),
        }],
        "ipc" => vec![Line::new("queues", "queues and semaphores of its own")],
        "net" => network(p),
        "time" => vec![Line::new("clocks", "clocks of its own")],
        _ => vec![Line::new("own", "of its own")],
    }
}

/// `0 1234 1`: inside, outside, how many. Of each range its first and its last.
fn users(p: &Portrait) -> Vec<Line> {
    let map = p.many(Fact::UidMap);
    let show = |line: &String| {
        let numbers: Vec<u64> = line.split(' ').filter_map(|n| n.parse().ok()).collect();
        let [inside, outside, count] = numbers[..] else { return vec![line.clone()] };
        let mut lines = vec![format!("uid {inside} is {outside} outside")];
        if count > 1 {
            lines.push(format!("… {} is {}", inside + (count - 1), outside + (count - 1)));
        }
        lines
    };
    let mut lines: Vec<String> = map.iter().take(2).flat_map(show).collect();
    if map.len() > 2 {
        lines.push(format!("and {} ranges more", map.len() - 2));
    }
    if lines.is_empty() {
        lines.push("no id of the host's is mapped".into());
    }
    lines.into_iter().map(|text| Line::new("uid-map", text)).collect()
}

/// What it has mounted for itself: file systems that show a namespace, or memory.
fn mounts(p: &Portrait) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(propagation) = p.one(Fact::Propagation) {
        let text = if propagation == "private" { "private: no mount leaks out or in" } else { propagation };
        lines.push(Line::new("propagation", text));
    }
    let targets = fresh(p).into_iter().filter_map(|item| {
        let (target, what) = item.split_once(" (")?;
        let made = ["proc,", "sysfs,", "mqueue,", "devpts,", "tmpfs,"].iter().any(|kind| what.starts_with(kind));
        // A directory of another mount, bound: a file of /etc.
        let whole = !what.split(", ").nth(1)?.contains('[');
        (made && whole && !target.starts_with("/sys/fs/cgroup")).then_some(target)
    });
    let mut targets: Vec<&str> = targets.collect();
    // What lies in another of them goes without saying; the two that show namespaces come first.
    let all = targets.clone();
    targets.retain(|t| !all.iter().any(|above| t.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))));
    targets.sort_by_key(|t| (*t != "/proc", *t != "/sys", t.len()));
    targets.dedup();
    if !targets.is_empty() {
        let more = if targets.len() > 3 { " …" } else { "" };
        lines.push(Line::new("fresh-mounts", format!("its own {}{more}", targets[..targets.len().min(3)].join(" "))));
    }
    if lines.is_empty() {
        lines.push(Line::new("unseen", "its mounts cannot be seen"));
    }
    lines
}

/// The mounts that it has and the caller has not.
pub fn fresh(p: &Portrait) -> Vec<&str> {
    let (before, after) = (p.caller.get(&Fact::Mounts), p.seen.get(&Fact::Mounts));
    let change = Change { fact: Fact::Mounts, before: before.cloned(), after: after.cloned() };
    let came = change.lists().map(|(came, _)| came.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut came = came.unwrap_or_default();
    let mut fresh = Vec::new();
    for item in many(&p.seen, Fact::Mounts) {
        if let Some(at) = came.iter().position(|c| c == item) {
            came.swap_remove(at);
            fresh.push(item.as_str());
        }
    }
    fresh
}

fn network(p: &Portrait) -> Vec<Line> {
    if !p.seen.contains_key(&Fact::Links) {
        return vec![Line::new("unseen", "its links cannot be seen")];
    }
    let addresses = p.many(Fact::Addresses).iter().filter(|a| !a.starts_with("lo "));
    let mut lines: Vec<Line> = addresses.take(3).map(|a| Line::new("address", a)).collect();
    if lines.is_empty() {
        let links: Vec<&str> = p.many(Fact::Links).iter().filter_map(|l| l.split(' ').next()).collect();
        lines.push(Line::new("links", format!("{}: no address but its own", links.join(", "))));
    }
    if let Some(route) = p.many(Fact::Routes).iter().find_map(|r| r.strip_prefix("default ")) {
        lines.push(Line::new("route", route.split(" dev ").next().unwrap_or(route)));
    }
    lines
}
