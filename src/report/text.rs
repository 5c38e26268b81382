//! The report for a reader: first what changed, then by which calls, then what stayed and where to go on. Long lists
//! are summarised here; nothing is in the JSON only that a reader of one stage would miss.

use super::{Entry, Report};
use crate::observe::{Change, Fact, Family, Value, capability_count};
use crate::ui::{Style, columns, cut, hang, pad, wrap};
use std::collections::BTreeMap;

/// The column in which values begin, and the indentation of their labels.
pub(super) const VALUES: usize = 22;
/// No list of added or removed things is longer than this.
const MOST_ITEMS: usize = 8;

impl Report {
    /// The report as text.
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        let mut entries = self.shown().peekable();
        if entries.peek().is_none() {
            out.push_str(&heading(style, self.stage.name(), self.stage.summary(), false));
            let why = "not done: it was left out, or nothing here asks for it (boxwright explain tells what does)";
            out.push_str(&hang("  ", wrap(why, style.width - 2)));
            out.push('\n');
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
        if let Some(first) = self.skipped.first() {
            let names: Vec<&str> = self.skipped.iter().map(|s| s.name).collect();
            let text = format!("{}, because {}", names.join(", "), first.lack.reason);
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
        if self.pid.is_some() && self.command {
            // Never wrapped, and so with as much room as there is: they are there to be copied.
            out.push_str(&format!("  {}\n{}", style.dim("in another shell"), hang("    ", look)));
        } else {
            out.push_str(&row(style.dim("look for yourself"), look));
        }
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
        out.push_str(&super::calls::text(&entry.calls, style));
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
        Fact::Mounts => return super::mounts::lines(change, style),
        Fact::MaskedPaths => return masks(change, style),
        _ => {}
    }
    match (&change.before, &change.after) {
        (Some(Value::Many(a)), Some(Value::Many(b))) if a.len() > 2 || b.len() > 2 => list(change, style),
        _ => {
            let mut lines = arrow(&before, &after, style);
            if let (Some(words), Some(last)) = (in_other_words(change.fact, &after), lines.last_mut()) {
                last.push_str(&style.dim(&format!("  ({words})")));
            }
            lines
        }
    }
}

/// The kernel's numbers as people say them.
fn in_other_words(fact: Fact, value: &str) -> Option<String> {
    match fact {
        Fact::MemoryMax | Fact::MemorySwapMax => {
            let bytes: u64 = value.parse().ok()?;
            (bytes > 0).then(|| format!("{} MiB", decimal(bytes as f64 / 1_048_576.0)))
        }
        Fact::CpuMax => {
            let (quota, period) = value.split_once(' ')?;
            let cpus = quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?;
            Some(format!("{} of a CPU's time", decimal(cpus)))
        }
        _ => None,
    }
}

/// Two digits behind the point, and none that say nothing.
fn decimal(number: f64) -> String {
    format!("{number:.2}").trim_end_matches('0').trim_end_matches('.').to_string()
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
    let item = |sign: &str, item: &str| {
        // Few are shown whole; many, a line each.
        let lines = if added.len() > 5 { vec![cut(item, room)] } else { wrap(item, room) };
        hang(&format!("{sign} "), lines).lines().map(str::to_string).collect::<Vec<_>>()
    };
    let mut lines: Vec<String> = removed[..gone].iter().flat_map(|i| item("−", i)).map(|l| style.bad(&l)).collect();
    if gone < removed.len() {
        lines.push(style.bad(&format!("− {} that were there before", removed.len())));
    }
    lines.extend(added[..come].iter().flat_map(|i| item("+", i)).map(|l| style.good(&l)));
    if come < added.len() {
        lines.push(style.good(&format!("+ {} more", added.len() - come)));
    }
    if lines.is_empty() {
        lines.push(style.dim("the same ones, in another order"));
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Snapshot;
    use crate::primitive::{Lack, find};
    use crate::report::{Call, Who};
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
            entries: vec![Entry { primitive: stage, calls, changes, early: vec![], may_be_early: vec![], born: false }],
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
        let proof = |held, unproved: Option<&str>| crate::prove::Proof {
            primitive: "limit-cpu",
            claim: "it gets 0.20 CPUs".into(),
            held,
            unproved: unproved.map(str::to_string),
            measured: vec!["0.21 CPUs over 1 s".into()],
            notes: vec![],
        };
        report.prove([proof(true, None), proof(false, None), proof(false, Some("there is no clock"))]);
        insta::assert_snapshot!(report.text(Style::plain()), @r#"
        ● set-hostname  UTS namespace: a hostname of its own
          UTS namespace       1 → 2
          hostname            vm → box

          kernel calls
            child  unshare(CLONE_NEWUTS) = 0
                   sethostname("box", 3) = 0

          proof
            ✓ it gets 0.20 CPUs
              0.21 CPUs over 1 s
            ✗ it gets 0.20 CPUs: no
              0.21 CPUs over 1 s
            ? it gets 0.20 CPUs: could not be proved, because there is no clock
              0.21 CPUs over 1 s

          skipped             join-cgroup, because it is not yours
          still the host's    network, clocks
          next                unshare-ipc: IPC namespace, its own /dev/shm and message
                              queues
          in another shell
            nsenter -t 77 --uts hostname
            ls -l /proc/77/ns
        "#);
    }

    #[test]
    fn long_lists_are_summarised() {
        let (before, after): (Vec<String>, Vec<String>) =
            ((0..9).map(|n| format!("old{n}")).collect(), (0..10).map(|n| format!("new{n}")).collect());
        let (before, after): (Vec<&str>, Vec<&str>) =
            (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
        let lines = value_lines(&many(Fact::Routes, &before, &after), Style::plain());
        assert_eq!(lines.first().map(String::as_str), Some("− 9 that were there before"));
        assert_eq!(lines.get(1).map(String::as_str), Some("+ new0"));
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
    fn numbers_are_said_in_other_words_too() {
        assert_eq!(in_other_words(Fact::MemoryMax, "67108864").as_deref(), Some("64 MiB"));
        assert_eq!(in_other_words(Fact::CpuMax, "25000 100000").as_deref(), Some("0.25 of a CPU's time"));
        assert_eq!(in_other_words(Fact::CpuMax, "max 100000"), None);
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
