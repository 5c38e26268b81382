//! The report for a reader: first what changed, then by which calls, then what stayed and where to go on. Long lists
//! are summarised here; nothing is in the JSON only that a reader of one stage would miss.

use super::{Call, Entry, Report, Who};
use crate::observe::{Change, Fact, Family, Value, capability_count};
use crate::primitive::number;
use crate::ui::{Style, columns, cut, hang, pad, wrap};
use std::collections::BTreeMap;

/// The column in which values begin, and the indentation of their labels.
const VALUES: usize = 22;
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
            let mark = if proof.held { style.good("✓") } else { style.bad("✗") };
            let lines = wrap(&format!("{}: {}", proof.claim, proof.measured), style.width - 6);
            out.push_str(&hang(&format!("    {mark} "), lines));
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
    if change.fact == Fact::Cgroup {
        return cgroup(change, style);
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

/// The calls in order; of many, those that tell the story, and then how many others there were.
fn calls(calls: &[Call], style: Style) -> String {
    let mut shown: Vec<&Call> = calls.iter().collect();
    if shown.len() > MOST_CALLS {
        shown.retain(|c| failed(c) || !PLUMBING.contains(&name(c)));
    }
    if shown.len() > MOST_CALLS {
        // A run of the same call is told by its first one.
        shown.dedup_by(|b, a| name(a) == name(b) && a.side == b.side && !failed(b));
    }
    shown.truncate(MOST_CALLS);
    let mut out = String::new();
    let mut before = None;
    for call in &shown {
        let side = if before.replace(call.side) == Some(call.side) { "" } else { call.side.name() };
        let side = if call.side == Who::Child { style.accent(side) } else { side.to_string() };
        let mut lines = wrap_call(&call.call, style.width - 11);
        if lines.len() > 3 {
            lines.truncate(3);
            lines[2] = format!("{}…", cut(&lines[2], style.width - 13));
        }
        // A call that failed in a set-up that succeeded was expected to; still, it is one to look at.
        let lines = lines.into_iter().map(|l| match call {
            call if failed(call) => style.warn(&l),
            call if PLUMBING.contains(&name(call)) => style.dim(&l),
            _ => l,
        });
        out.push_str(&hang(&pad(&format!("    {side}"), 11), lines));
    }
    let others = others(calls, &shown);
    if !others.is_empty() {
        let lines = wrap(&format!("and {others} (--trace shows all)"), style.width - 11);
        out.push_str(&hang(&" ".repeat(11), lines.iter().map(|l| style.dim(l))));
    }
    out
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

/// `40 openat, 12 mknodat`: the calls that are not shown, in the order of their number.
fn others(calls: &[Call], shown: &[&Call]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        *counts.entry(name(call)).or_default() += 1;
    }
    for call in shown {
        counts.entry(name(call)).and_modify(|n| *n -= 1);
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().filter(|(_, n)| *n > 0).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}
