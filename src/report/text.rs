//! The report for a reader: first what changed, then by which calls, then what stayed and where to go on. Long lists
//! are summarised here; nothing is in the JSON only that a reader of one stage would miss.

use super::{Call, Entry, Report, Who};
use crate::observe::{Change, Fact, Family, Value, capability_count};
use crate::primitive::number;
use crate::ui::{Style, columns, cut, hang, pad, wrap};
use std::collections::BTreeMap;

/// The column in which values begin, and the indentation of their labels.
const VALUES: usize = 22;
/// The column in which calls begin, behind the side that made them.
const SIDES: usize = 11;
/// The last column of a list of calls: how often.
const TIMES: usize = 5;
/// No list of added or removed things is longer than this.
const MOST_ITEMS: usize = 8;
/// No list of calls is longer than this.
const MOST_CALLS: usize = 16;

impl Report {
    /// The report as text.
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        let mut entries = self.shown().peekable();
        if entries.peek().is_none() {
            out.push_str(&heading(style, self.stage.name(), "nothing to do here", false));
        }
        for entry in entries {
            out.push_str(&show(entry, style));
            out.push('\n');
        }
        out.push_str(&self.proofs(style));
        out.push_str(&self.footer(style));
        out
    }

    fn proofs(&self, style: Style) -> String {
        let Some(proofs) = &self.proofs else { return String::new() };
        let mut out = format!("  {}\n", style.dim("proof"));
        for proof in proofs {
            let (mark, said) = match &proof.unproved {
                Some(reason) => (style.warn("?"), format!("{}: could not be proved, because {reason}", proof.claim)),
                None if proof.held => (style.good("✓"), proof.claim.clone()),
                None => (style.bad("✗"), format!("{}: no", proof.claim)),
            };
            out.push_str(&hang(&format!("    {mark} "), wrap(&said, style.width - 6)));
            for line in &proof.measured {
                out.push_str(&hang("      ", wrap(line, style.width - 6)));
            }
        }
        out.push('\n');
        out
    }

    fn footer(&self, style: Style) -> String {
        let mut out = String::new();
        for skipped in &self.skipped {
            let text = format!("{}, because {} (try: {})", skipped.name, skipped.lack.reason, skipped.lack.remedy);
            out.push_str(&row(style.warn("skipped"), wrap(&text, style.width - VALUES)));
        }
        for note in &self.notes {
            out.push_str(&row(style.warn("note"), wrap(note, style.width - VALUES)));
        }
        let kept = self.kept();
        if !kept.is_empty() {
            let kept: Vec<&str> = kept.iter().map(|fact| kept_name(*fact)).collect();
            out.push_str(&row(style.dim("still the host's"), wrap(&kept.join(", "), style.width - VALUES)));
        }
        if let Some(next) = self.next() {
            let lines = wrap(&format!("{}: {}", next.name(), next.summary()), style.width - VALUES);
            out.push_str(&row(style.dim("next"), lines));
        }
        let look: Vec<String> = self.look().iter().map(|command| style.accent(command)).collect();
        let label = if self.pid.is_some() && self.command { "in another shell" } else { "look for yourself" };
        out.push_str(&row(style.dim(label), look));
        out
    }
}

fn kept_name(fact: Fact) -> &'static str {
    match fact {
        Fact::UserNs => "users",
        Fact::PidNs => "processes",
        Fact::CgroupNs => "view of cgroups",
        Fact::MntNs => "mounts",
        Fact::UtsNs => "hostname",
        Fact::IpcNs => "IPC",
        Fact::NetNs => "network",
        Fact::TimeNs => "clocks",
        other => other.label(),
    }
}

fn row(label: String, lines: Vec<String>) -> String {
    hang(&pad(&format!("  {label}"), VALUES), lines)
}

fn heading(style: Style, name: &str, summary: &str, done: bool) -> String {
    let bullet = if done { style.good("●") } else { style.warn("○") };
    let first = format!("{bullet} {}  ", style.bold(name));
    let room = style.width.saturating_sub(columns(&first));
    hang(&first, wrap(summary, room))
}

fn show(entry: &Entry, style: Style) -> String {
    let mut out = heading(style, entry.primitive.name(), entry.primitive.summary(), true);
    for (label, lines) in rows(&entry.changes, style) {
        out.push_str(&row(label, lines));
    }
    if !entry.calls.is_empty() {
        out.push('\n');
        out.push_str(&format!("  {}\n", style.dim("kernel calls")));
        out.push_str(&calls(&entry.calls, style));
    }
    out
}

/// A label and its lines for every change; capability sets that changed alike share one.
fn rows(changes: &[Change], style: Style) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    let mut sets: Vec<(&Change, Vec<&str>)> = Vec::new();
    // The namespace first: what else changed is for its sake.
    let (namespaces, others): (Vec<_>, Vec<_>) = changes.iter().partition(|c| c.fact.family() == Family::Namespace);
    for change in namespaces.into_iter().chain(others) {
        if !change.fact.is_capabilities() {
            rows.push((change.fact.label().to_string(), value_lines(change, style)));
            continue;
        }
        let label = change.fact.label().trim_end_matches(" caps");
        match sets.iter_mut().find(|(c, _)| c.before == change.before && c.after == change.after) {
            Some((_, labels)) => labels.push(label),
            None => sets.push((change, vec![label])),
        }
    }
    for (n, (change, labels)) in sets.into_iter().enumerate() {
        let label = if n == 0 { "capabilities" } else { "" };
        let mut lines = capabilities(change, style);
        lines.push(style.dim(&format!("({})", labels.join(", "))));
        rows.push((label.to_string(), lines));
    }
    rows
}

fn value_lines(change: &Change, style: Style) -> Vec<String> {
    let (before, after) = (one_line(change.before.as_ref()), one_line(change.after.as_ref()));
    match change.fact {
        Fact::Cgroup => return cgroup(change, style),
        Fact::MaskedPaths => return masks(change, style),
        _ => {}
    }
    match (&change.before, &change.after) {
        (Some(Value::Many(a)), Some(Value::Many(b))) if a.len() > 2 || b.len() > 2 => list(change, style),
        _ => arrow(&before, &after, style),
    }
}

fn one_line(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(Value::Many(list)) if list.is_empty() => "none".into(),
        Some(Value::Many(list)) => list.join(", "),
        Some(Value::One(value)) => value.clone(),
    }
}

/// `before → after` on one line if they fit, else under each other.
fn arrow(before: &str, after: &str, style: Style) -> Vec<String> {
    let room = style.width - VALUES;
    if columns(before) + columns(after) + 3 <= room {
        return vec![format!("{} {} {}", style.dim(before), style.dim("→"), style.good(after))];
    }
    let mut lines: Vec<String> = wrap(before, room - 2).iter().map(|l| format!("  {}", style.dim(l))).collect();
    for (n, line) in wrap(after, room - 2).iter().enumerate() {
        let lead = if n == 0 { "→ " } else { "  " };
        lines.push(format!("{}{}", style.dim(lead), style.good(line)));
    }
    lines
}

/// What went and what came; of many, the first ones and how many more.
fn list(change: &Change, style: Style) -> Vec<String> {
    let (added, removed) = change.lists().unwrap_or_default();
    let room = style.width - VALUES - 2;
    // What is gone is rarely worth more than its number.
    let gone = if removed.len() > 3 { 0 } else { removed.len() };
    let come = if added.len() > MOST_ITEMS { MOST_ITEMS - 1 } else { added.len() };
    let target = |item: &str| item.split_once(" (").map_or(0, |(target, _)| columns(target));
    let widest = added[..come].iter().chain(&removed[..gone]).map(|i| target(i)).max().unwrap_or(0).min(24);
    let item = |sign: &str, item: &str| {
        let short = if change.fact == Fact::Mounts { mount(item, widest) } else { item.to_string() };
        format!("{sign} {}", cut(&short, room))
    };
    let mut lines: Vec<String> = removed[..gone].iter().map(|i| style.bad(&item("−", i))).collect();
    if gone < removed.len() {
        lines.push(style.bad(&format!("− {} that were there before", removed.len())));
    }
    lines.extend(added[..come].iter().map(|i| style.good(&item("+", i))));
    if come < added.len() {
        lines.push(style.good(&format!("+ {} more", added.len() - come)));
    }
    if lines.is_empty() {
        lines.push(style.dim("the same ones, in another order"));
    }
    lines
}

/// `target (fstype, source, options)` with the options left to the JSON, but for the one that everybody asks about.
fn mount(item: &str, widest: usize) -> String {
    let Some((target, rest)) = item.strip_suffix(')').and_then(|i| i.split_once(" (")) else { return item.to_string() };
    let mut parts = rest.splitn(3, ", ");
    let (fstype, source) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let source = if source == fstype { String::new() } else { format!(" {source}") };
    let read_only = parts.next().is_some_and(|options| options.split(',').any(|o| o == "ro"));
    format!("{}  {fstype}{source}{}", pad(target, widest), if read_only { ", read-only" } else { "" })
}

/// `path (masked)`: the paths of each kind together.
fn masks(change: &Change, style: Style) -> Vec<String> {
    let (added, removed) = change.lists().unwrap_or_default();
    let mut lines = Vec::new();
    for (sign, items) in [("−", removed), ("+", added)] {
        let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (path, kind) in items.iter().filter_map(|item| item.strip_suffix(')')?.rsplit_once(" (")) {
            kinds.entry(kind).or_default().push(path);
        }
        for (kind, paths) in kinds {
            let first = format!("{sign} {}", pad(kind, 11));
            let text = hang(&first, wrap(&paths.join(" "), style.width - VALUES - columns(&first)));
            lines.extend(text.lines().map(|l| if sign == "+" { style.good(l) } else { style.bad(l) }));
        }
    }
    lines
}

/// cgroup v1 has one line for each hierarchy, most of which change alike.
fn cgroup(change: &Change, style: Style) -> Vec<String> {
    let (added, removed) = change.lists().unwrap_or_default();
    let split =
        |line: &'_ str| line.split_once(':').map_or((String::new(), line.to_string()), |(c, p)| (c.into(), p.into()));
    let before: BTreeMap<String, String> = removed.into_iter().map(split).collect();
    let mut alike: Vec<(String, String, Vec<String>)> = Vec::new();
    for (controller, after) in added.into_iter().map(split) {
        let before = before.get(&controller).cloned().unwrap_or_else(|| "none".into());
        match alike.iter_mut().find(|(b, a, _)| *b == before && *a == after) {
            Some((_, _, all)) => all.push(controller),
            None => alike.push((before, after, vec![controller])),
        }
    }
    let mut lines = Vec::new();
    for (before, after, controllers) in alike {
        lines.extend(arrow(&before, &after, style));
        let names = controllers.join(" ");
        if !names.is_empty() {
            lines.extend(wrap(&format!("({names})"), style.width - VALUES).iter().map(|l| style.dim(l)));
        }
    }
    lines
}

fn capabilities(change: &Change, style: Style) -> Vec<String> {
    let all = capability_count();
    let (added, removed) = change.lists().unwrap_or_default();
    let count = |value: Option<&Value>| match value {
        Some(Value::Many(list)) if list.len() == all => format!("all {all}"),
        Some(Value::Many(list)) if !list.is_empty() => list.len().to_string(),
        _ => "none".into(),
    };
    let mut lines = arrow(&count(change.before.as_ref()), &count(change.after.as_ref()), style);
    // Whichever is shorter tells it: what is left, or what came or went.
    let left = match &change.after {
        Some(Value::Many(list)) => list.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let (sign, names) = match (added.len(), removed.len()) {
        (_, 1..=6) => ("−", removed),
        (1..=6, _) => ("+", added),
        _ if left.len() < all => ("=", left),
        _ => return lines,
    };
    for (n, line) in wrap(&names.join(" "), style.width - VALUES - 2).iter().enumerate() {
        let lead = if n == 0 { sign } else { " " };
        lines.push(format!("{lead} {line}").trim_end().to_string());
    }
    lines
}

/// The calls in order. Of many, those that tell the story, every kind once; and then how many others there were.
fn calls(calls: &[Call], style: Style) -> String {
    let room = style.width - SIDES;
    let shown = if calls.len() > MOST_CALLS { kinds(calls) } else { calls.iter().map(|c| (c, 1)).collect() };
    let mut out = String::new();
    let mut before = None;
    for (call, times) in &shown {
        let side = if before.replace(call.side) == Some(call.side) { "" } else { call.side.name() };
        let side = if call.side == Who::Child { style.accent(side) } else { side.to_string() };
        let lines = if calls.len() > MOST_CALLS {
            let times = if *times > 1 { format!("×{times}") } else { String::new() };
            let cell = if times.is_empty() { room } else { room - TIMES };
            let times = format!("{}{}", " ".repeat(TIMES.saturating_sub(columns(&times))), style.dim(&times));
            vec![format!("{}{times}", pad(&cut(&call.call, cell), cell)).trim_end().to_string()]
        } else {
            wrap_call(&call.call, room)
        };
        // A call that failed in a set-up that succeeded was expected to; still, it is one to look at.
        let lines = lines.into_iter().map(|l| match call {
            call if failed(call) => style.warn(&l),
            call if PLUMBING.contains(&name(call)) => style.dim(&l),
            _ => l,
        });
        out.push_str(&hang(&pad(&format!("    {side}"), SIDES), lines));
    }
    let others = others(calls, &shown);
    if !others.is_empty() {
        let lines = wrap(&format!("and {others} (--trace shows all)"), room);
        out.push_str(&hang(&" ".repeat(SIDES), lines.iter().map(|l| style.dim(l))));
    }
    out
}

/// The first call of every kind that is no plumbing, and how many there are of it. Of the same kind is what has the same
/// name and, where the first argument is a text, the same one (`fsopen("tmpfs"`).
fn kinds(calls: &[Call]) -> Vec<(&Call, usize)> {
    let mut kinds: Vec<(&Call, usize)> = Vec::new();
    for call in calls.iter().filter(|c| !PLUMBING.contains(&name(c))) {
        match kinds.iter_mut().find(|(first, _)| kind(first) == kind(call) && first.side == call.side) {
            Some((_, times)) => *times += 1,
            None => kinds.push((call, 1)),
        }
    }
    kinds.truncate(MOST_CALLS);
    kinds
}

fn kind(call: &Call) -> &str {
    let text = call.call.split_once("(\"").and_then(|(name, rest)| Some(name.len() + 2 + rest.find('"')?));
    text.map_or_else(|| name(call), |end| &call.call[..end])
}

/// A result is read with what is before it: no line begins with the equals sign.
fn wrap_call(call: &str, width: usize) -> Vec<String> {
    let (call, result) = call.rsplit_once(" = ").unwrap_or((call, ""));
    let glued = if result.is_empty() { call.to_string() } else { format!("{call}\u{a0}=\u{a0}{result}") };
    wrap(&glued, width).iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// Calls that only fetch and carry for others.
const PLUMBING: [&str; 18] = [
    "openat",
    "openat2",
    "close",
    "fsconfig",
    "mkdirat",
    "mknodat",
    "symlinkat",
    "fchownat",
    "fchmodat",
    "umask",
    "fstat",
    "read",
    "readlinkat",
    "statx",
    "recvmsg",
    "recvfrom",
    "fchdir",
    "unlinkat",
];

fn name(call: &Call) -> &str {
    call.call.split('(').next().unwrap_or_default()
}

fn failed(call: &Call) -> bool {
    call.call.contains(" = -1 E")
}

/// `40 openat, 12 mknodat`: the calls that are not shown, most of them first.
fn others(calls: &[Call], shown: &[(&Call, usize)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(name(call)).or_default() += 1;
    }
    for (call, times) in shown {
        counts.entry(name(call)).and_modify(|n| *n -= times);
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().filter(|(_, n)| *n > 0).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Snapshot;
    use crate::primitive::{Lack, find};
    use nix::unistd::Pid;

    fn one(fact: Fact, before: &str, after: &str) -> Change {
        Change { fact, before: Some(Value::One(before.into())), after: Some(Value::One(after.into())) }
    }

    fn many(fact: Fact, before: &[&str], after: &[&str]) -> Change {
        let list = |items: &[&str]| Some(Value::Many(items.iter().map(ToString::to_string).collect()));
        Change { fact, before: list(before), after: list(after) }
    }

    fn report(changes: Vec<Change>, calls: Vec<Call>) -> Report {
        let stage = find("set-hostname").expect("it is in the list");
        let snapshot = |uts: &str| -> Snapshot {
            [(Fact::UtsNs, uts), (Fact::NetNs, "5"), (Fact::TimeNs, "6")].map(|(f, v)| (f, Value::One(v.into()))).into()
        };
        Report {
            stage,
            all: false,
            command: true,
            entries: vec![Entry { primitive: stage, calls, changes, early: vec![], may_be_early: vec![] }],
            skipped: vec![],
            notes: vec![],
            proofs: None,
            first: Some(snapshot("1")),
            last: snapshot("2"),
            pid: Some(Pid::from_raw(77)),
            when_ready: None,
        }
    }

    fn call(side: Who, call: &str) -> Call {
        Call { side, call: call.into() }
    }

    #[test]
    fn a_whole_report() {
        let mut report = report(
            vec![one(Fact::UtsNs, "1", "2"), one(Fact::Hostname, "vm", "box")],
            vec![call(Who::Child, "unshare(CLONE_NEWUTS) = 0"), call(Who::Child, "sethostname(\"box\", 3) = 0")],
        );
        report.skipped.push(super::super::Skipped {
            name: "join-cgroup",
            lack: Lack { reason: "it is not yours".into(), remedy: "ask for it".into() },
        });
        report.prove([super::super::Proof { claim: "20 %".into(), measured: "19.8 %".into(), held: true }]);
        insta::assert_snapshot!(report.text(Style::plain()), @r#"
        ● set-hostname  UTS namespace: a hostname of its own
          UTS namespace       1 → 2
          hostname            vm → box

          kernel calls
            child  unshare(CLONE_NEWUTS) = 0
                   sethostname("box", 3) = 0

          proof
            ✓ 20 %: 19.8 %

          skipped             join-cgroup, because it is not yours (try: ask for it)
          still the host's    network, clocks
          next                unshare-ipc: IPC namespace, its own /dev/shm and message
                              queues
          in another shell    nsenter -t 77 --uts hostname
                              ls -l /proc/77/ns
        "#);
    }

    #[test]
    fn long_lists_are_summarised() {
        let before: Vec<String> = (0..9).map(|n| format!("/old{n} (ext4, /dev/vda, rw)")).collect();
        let after: Vec<String> = (0..10).map(|n| format!("/new{n} (tmpfs, tmpfs, ro,nosuid)")).collect();
        let (before, after): (Vec<&str>, Vec<&str>) =
            (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
        let lines = value_lines(&many(Fact::Mounts, &before, &after), Style::plain());
        assert_eq!(lines.first().map(String::as_str), Some("− 9 that were there before"));
        assert_eq!(lines.get(1).map(String::as_str), Some("+ /new0  tmpfs, read-only"));
        assert_eq!(lines.last().map(String::as_str), Some("+ 3 more"));
    }

    #[test]
    fn what_does_not_fit_beside_goes_below() {
        let long = "overlay, device 0:52, inode 1310724 on a very long name";
        assert_eq!(
            arrow("ext4 /dev/vda", long, Style::plain()),
            ["  ext4 /dev/vda", "→ overlay, device 0:52, inode 1310724 on a very long name"]
        );
    }

    #[test]
    fn hierarchies_that_move_alike_are_told_once() {
        let change = many(Fact::Cgroup, &["pids:/", "memory:/a", "cpu:/"], &["pids:/box", "memory:/a/box", "cpu:/box"]);
        assert_eq!(value_lines(&change, Style::plain()), ["/ → /box", "(pids cpu)", "/a → /a/box", "(memory)"]);
    }

    #[test]
    fn of_many_calls_every_kind_once() {
        let mut all = vec![call(Who::Child, "fsopen(\"tmpfs\", 0) = 3")];
        all.extend((0..20).map(|_| call(Who::Child, "fsconfig(3) = 0")));
        all.push(call(Who::Child, "fsopen(\"proc\", 0) = 3"));
        all.push(call(Who::Child, "fsopen(\"tmpfs\", 0) = 4"));
        all.push(call(Who::Child, "pivot_root(\".\", \".\") = 0"));
        insta::assert_snapshot!(calls(&all, Style::plain()), @r#"
            child  fsopen("tmpfs", 0) = 3                                             ×2
                   fsopen("proc", 0) = 3
                   pivot_root(".", ".") = 0
                   and 20 fsconfig (--trace shows all)
        "#);
    }

    #[test]
    fn no_line_is_wider_than_the_style() {
        let long = "/a/very/long/path/that/goes/on/and/on/and/on/until/it/is/much/longer/than/any/terminal/is/wide";
        let changes = vec![one(Fact::Root, long, long), many(Fact::Routes, &[long; 3], &[long, long, long, "x"])];
        let report = report(changes, vec![call(Who::Host, &format!("openat(AT_FDCWD, \"{long}\", O_RDONLY) = 3"))]);
        for line in report.text(Style::plain()).lines() {
            assert!(columns(line) <= 80, "{line}");
        }
    }
}
