//! Mounts for a reader: in the order in which OCI lists them, and in one line what belongs together, so that a list of
//! twenty or thirty can be shown whole. Their options are in the JSON, but for the one that everybody asks about.

use super::text::VALUES;
use crate::observe::Change;
use crate::ui::{Style, columns, pad, wrap};

/// Targets of this length and shorter ones are aligned.
const TARGETS: usize = 16;

/// What went, and what came.
pub fn lines(change: &Change, style: Style) -> Vec<String> {
    let (added, removed) = change.lists().unwrap_or_default();
    let mut lines = Vec::new();
    // What is gone is rarely worth more than its number.
    if removed.len() > 3 {
        lines.push(style.bad(&format!("− {} that were there before", removed.len())));
    } else {
        lines.extend(show("−", &removed, style).iter().map(|l| style.bad(l)));
    }
    lines.extend(show("+", &added, style).iter().map(|l| style.good(l)));
    if lines.is_empty() {
        lines.push(style.dim("the same ones, in another order"));
    }
    lines
}

/// `target (fstype, source, options)`, taken apart.
#[derive(Clone, Copy)]
struct Mount<'a> {
    target: &'a str,
    fstype: &'a str,
    source: &'a str,
    read_only: bool,
}

impl<'a> Mount<'a> {
    fn parse(item: &'a str) -> Option<Mount<'a>> {
        let (target, rest) = item.strip_suffix(')')?.split_once(" (")?;
        let mut parts = rest.splitn(3, ", ");
        let (fstype, source) = (parts.next()?, parts.next()?);
        let read_only = parts.next()?.split(',').any(|option| option == "ro");
        Some(Mount { target, fstype, source, read_only })
    }

    /// The device of a bind mount: `/dev/vda` of `/dev/vda[/usr]`.
    fn device(&self) -> Option<&'a str> {
        Some(self.source.strip_suffix(']')?.split_once('[')?.0)
    }

    fn parent(&self) -> &'a str {
        self.target.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    /// The hierarchies of cgroup v1, and the tmpfs that holds them.
    fn is_cgroup_v1(&self) -> bool {
        self.target.starts_with("/sys/fs/cgroup") && self.source == "cgroup"
            || self.target.starts_with("/sys/fs/cgroup/") && self.fstype == "cgroup2"
    }

    /// Are both a line of one kind: binds from one device into one directory, or hierarchies of one cgroup tree?
    fn belongs_to(&self, other: &Mount<'_>) -> bool {
        let binds = || self.device().is_some() && self.device() == other.device() && self.parent() == other.parent();
        self.read_only == other.read_only && (self.is_cgroup_v1() && other.is_cgroup_v1() || binds())
    }
}

/// A line, or more where it does not fit, for each group.
fn show(sign: &str, items: &[&str], style: Style) -> Vec<String> {
    let mut mounts: Vec<Mount<'_>> = items.iter().filter_map(|item| Mount::parse(item)).collect();
    mounts.sort_by_key(|mount| rank(mount.target));
    let mut groups: Vec<Vec<Mount<'_>>> = Vec::new();
    for mount in mounts {
        match groups.iter_mut().find(|group| group[0].belongs_to(&mount)) {
            Some(group) => group.push(mount),
            None => groups.push(vec![mount]),
        }
    }
    let cells: Vec<(String, String)> = groups.iter().map(|group| (targets(group), what(group))).collect();
    let widest = cells.iter().map(|(target, _)| columns(target)).filter(|c| *c <= TARGETS).max().unwrap_or(0);
    let room = style.width - VALUES - 2;
    let mut lines = Vec::new();
    for (target, what) in cells {
        let line = format!("{}  {what}", pad(&target, widest));
        let broken = if columns(&line) > room { wrap(&format!("{target} {what}"), room) } else { vec![line] };
        lines.extend(broken.iter().enumerate().map(|(n, l)| format!("{} {l}", if n == 0 { sign } else { " " })));
    }
    lines
}

/// The root, then /proc, /dev and /sys with all below them, then the rest: runtime-spec's default filesystems first.
fn rank(target: &str) -> (usize, &str) {
    let below = |top: &str| target.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let place = ["/proc", "/dev", "/sys"].iter().position(|top| below(top));
    (if target == "/" { 0 } else { place.map_or(4, |p| p + 1) }, target)
}

/// `/etc/{hosts,hostname}`, as a shell has it.
fn targets(group: &[Mount<'_>]) -> String {
    let [first, _, ..] = group else { return group[0].target.to_string() };
    if first.is_cgroup_v1() {
        return "/sys/fs/cgroup".into();
    }
    let names: Vec<&str> = group.iter().filter_map(|m| m.target.rsplit('/').next()).collect();
    format!("{}/{{{}}}", first.parent(), names.join(","))
}

fn what(group: &[Mount<'_>]) -> String {
    let first = group[0];
    let read_only = if first.read_only { ", read-only" } else { "" };
    let hierarchies = group.iter().filter(|m| m.fstype.starts_with("cgroup")).count();
    let source = if group.len() > 1 { first.device().unwrap_or(first.source) } else { first.source };
    match () {
        () if group.len() > 1 && first.is_cgroup_v1() => format!("cgroup, {hierarchies} hierarchies{read_only}"),
        () if source == first.fstype => format!("{source}{read_only}"),
        () => format!("{} {source}{read_only}", first.fstype),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Fact, Value};

    #[test]
    fn mounts_are_in_the_order_of_oci_and_in_groups() {
        let list = |items: &[&str]| Some(Value::Many(items.iter().map(ToString::to_string).collect()));
        let after = [
            "/ (overlay, overlay, rw)",
            "/dev (tmpfs, tmpfs, rw)",
            "/etc/hostname (tmpfs, etc[/hostname], rw)",
            "/etc/hosts (tmpfs, etc[/hosts], rw)",
            "/proc (proc, proc, rw,nosuid)",
            "/srv/a/very/long/name/for/a/directory/to/mount (ext4, /dev/vda[/srv/data], ro)",
            "/sys/fs/cgroup (tmpfs, cgroup, ro)",
            "/sys/fs/cgroup/pids (cgroup, cgroup, ro,pids)",
            "/sys/fs/cgroup/unified (cgroup2, cgroup2, ro)",
            "/usr (ext4, /dev/vda[/usr], ro,nodev)",
        ];
        let change = Change { fact: Fact::Mounts, before: list(&["/old (ext4, /dev/vda, rw)"]), after: list(&after) };
        insta::assert_snapshot!(lines(&change, Style::plain()).join("\n"), @r#"
        − /old  ext4 /dev/vda
        + /               overlay
        + /proc           proc
        + /dev            tmpfs
        + /sys/fs/cgroup  cgroup, 2 hierarchies, read-only
        + /etc/{hostname,hosts}  tmpfs etc
        + /srv/a/very/long/name/for/a/directory/to/mount ext4
          /dev/vda[/srv/data], read-only
        + /usr            ext4 /dev/vda[/usr], read-only
        "#);
    }
}
