//! Kernel calls for a reader: all of them where they are few; of many, those that tell the story.

use super::{Call, Who};
use crate::ui::{Style, columns, cut, hang, pad, wrap};
use std::collections::BTreeMap;

/// The column in which calls begin, behind the side that made them.
const SIDES: usize = 11;
/// The last column of a list of calls: how often.
const TIMES: usize = 5;
/// No list of calls is longer than this.
const MOST_CALLS: usize = 16;

/// The calls in order. Of many, those that tell the story, every kind once; and then how many others there were.
pub fn text(calls: &[Call], style: Style) -> String {
    let room = style.width - SIDES;
    let files = Files::of(calls);
    let shown = if calls.len() > MOST_CALLS { kinds(calls, &files) } else { calls.iter().map(|c| (c, 1)).collect() };
    let mut out = String::new();
    let mut before = None;
    for (call, times) in &shown {
        let side = if before.replace(call.side) == Some(call.side) { "" } else { call.side.name() };
        let side = if call.side == Who::Child { style.accent(side) } else { side.to_string() };
        let lines = if calls.len() > MOST_CALLS && messages(call).is_some() {
            wrap_call(&brief(call, &files), room).iter().map(|l| style.bold(l)).collect()
        } else if calls.len() > MOST_CALLS {
            let cell = if *times > 1 { room - TIMES } else { room };
            let brief = cut_call(&brief(call, &files), cell);
            let brief = if TURNING_POINTS.contains(&name(call)) { style.bold(&brief) } else { brief };
            let times = format!("×{times}");
            let gap = " ".repeat(TIMES.saturating_sub(columns(&times)));
            vec![if cell < room { pad(&brief, cell) + &gap + &style.dim(&times) } else { brief }]
        } else {
            wrap_call(&call.call, room)
        };
        // A call that failed in a set-up that succeeded was expected to; still, it is one to look at.
        let lines = lines.into_iter().map(|l| match call {
            call if failed(call) => style.warn(&l),
            call if is_plumbing(call) => style.dim(&l),
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

/// The calls that turn a process into a container: bright where there are many others, and never left out.
const TURNING_POINTS: [&str; 10] =
    ["clone3", "unshare", "setns", "mount", "pivot_root", "umount2", "sethostname", "seccomp", "capset", "execve"];

/// The first call of every kind that is no plumbing, and how many there are of it.
fn kinds<'a>(calls: &'a [Call], files: &Files) -> Vec<(&'a Call, usize)> {
    let mut kinds: Vec<(&Call, String, usize)> = Vec::new();
    for call in calls.iter().filter(|c| !is_plumbing(c) && !is_detail(c) && !only_asks(c)) {
        let kind = kind(call, files);
        match kinds.iter_mut().find(|(first, k, _)| *k == kind && first.side == call.side) {
            Some((_, _, times)) => *times += 1,
            None => kinds.push((call, kind, 1)),
        }
    }
    // Still too many: the last ones that are no turning points.
    while let Some(last) = kinds.iter().rposition(|(c, ..)| !TURNING_POINTS.contains(&name(c)))
        && kinds.len() > MOST_CALLS
    {
        kinds.remove(last);
    }
    kinds.into_iter().map(|(call, _, times)| (call, times)).collect()
}

/// Of the same kind is what has the same name and, where the first argument is a text, the same one
/// (`fsopen("tmpfs"`); what is written to files of the same name; and what sends the same netlink messages.
fn kind(call: &Call, files: &Files) -> String {
    if let Some(messages) = messages(call) {
        return messages;
    }
    if let Some(file) = files.written_by(call) {
        return format!("write <{file}>");
    }
    let text = call.call.split_once("(\"").and_then(|(name, rest)| Some(name.len() + 2 + rest.find('"')?));
    text.map_or_else(|| name(call), |end| &call.call[..end]).to_string()
}

/// A call in one line that says the most: netlink messages by what they are for, written files by their names (as strace -y
/// has it).
fn brief(call: &Call, files: &Files) -> String {
    let fd = descriptor(call).unwrap_or_default();
    if let Some(messages) = messages(call) {
        return format!("{}({fd}, [{messages}], …)", name(call));
    }
    match files.written_by(call) {
        Some(file) => call.call.replacen(&format!("({fd},"), &format!("({fd}<{file}>,"), 1),
        None => call.call.clone(),
    }
}

/// `RTM_NEWLINK veth bw0123, RTM_NEWADDR 10.0.0.2`: what the messages of a call are for, in a word or two each.
fn messages(call: &Call) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for message in call.call.split("nlmsg_type=").skip(1) {
        let end = message.find([',', '}']).unwrap_or(message.len());
        // The subsystem is in the name of the message already.
        let kind = message[..end].rsplit('|').next().unwrap_or_default();
        let words = format!("{kind} {}", purpose(kind, message)).trim_end().to_string();
        if !kind.contains("_BATCH_") && !all.contains(&words) {
            all.push(words);
        }
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// A link by kind and name, or that it is put up; an address or a gateway by its number.
fn purpose(kind: &str, message: &str) -> String {
    let behind = |mark: &str| message.split_once(mark).and_then(|(_, rest)| rest.split('"').nth(1));
    match kind {
        "RTM_NEWLINK" => match (behind("IFLA_INFO_KIND}"), behind("IFLA_IFNAME}")) {
            (None, name) if message.contains("ifi_flags=IFF_UP") => {
                format!("up {}", name.unwrap_or_default()).trim_end().into()
            }
            (kind, name) => [kind, name].into_iter().flatten().collect::<Vec<_>>().join(" "),
        },
        "RTM_NEWADDR" => behind("inet_addr(").unwrap_or_default().into(),
        "RTM_NEWROUTE" => behind("RTA_GATEWAY}").map(|gateway| format!("via {gateway}")).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Does it only ask the kernel how things are?
fn only_asks(call: &Call) -> bool {
    messages(call).is_some_and(|m| m.split(", ").all(|message| message.contains("_GET")))
}

/// The first argument, where it is a descriptor.
fn descriptor(call: &Call) -> Option<&str> {
    let first = call.call.split_once('(')?.1.split(',').next()?;
    first.bytes().all(|b| b.is_ascii_digit()).then_some(first)
}

/// Which file each write(2) went to: from the openat that returned its descriptor. A child has its parent's too.
struct Files<'a>(Vec<(&'a Call, &'a str)>);

impl<'a> Files<'a> {
    fn of(calls: &'a [Call]) -> Files<'a> {
        let mut open: BTreeMap<(Who, &str), &str> = BTreeMap::new();
        let mut written = Vec::new();
        for call in calls {
            if name(call) == "write"
                && let Some(fd) = descriptor(call)
                && let Some(file) = open.get(&(call.side, fd)).or_else(|| open.get(&(Who::Host, fd)))
            {
                written.push((call, *file));
            } else if let Some((_, result)) = call.call.rsplit_once(" = ") {
                let path = if name(call).starts_with("openat") { call.call.split('"').nth(1) } else { None };
                // Whatever else returns this number: it is no longer that file's.
                open.insert((call.side, result), path.and_then(|p| p.rsplit('/').next()).unwrap_or_default());
            }
        }
        written.retain(|(_, file)| !file.is_empty());
        Files(written)
    }

    fn written_by(&self, call: &Call) -> Option<&'a str> {
        self.0.iter().find(|(c, _)| std::ptr::eq(*c, call)).map(|(_, file)| *file)
    }
}

/// A result is read with what is before it: no line begins with the equals sign.
fn wrap_call(call: &str, width: usize) -> Vec<String> {
    let (call, result) = call.rsplit_once(" = ").unwrap_or((call, ""));
    let glued = if result.is_empty() { call.to_string() } else { format!("{call}\u{a0}=\u{a0}{result}") };
    wrap(&glued, width).iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// A call in one line: what does not fit goes from the end, an argument at a time.
fn cut_call(call: &str, width: usize) -> String {
    const REST: &str = ", …)";
    if columns(call) <= width {
        return call.to_string();
    }
    // The comma that an argument ends at may itself stand where the rest begins.
    let room = width.saturating_sub(columns(REST)) + 2;
    let room = call.char_indices().nth(room).map_or(call.len(), |(at, _)| at);
    match call[..room].rfind(", ") {
        Some(end) => format!("{}{REST}", &call[..end]),
        None => cut(call, width),
    }
}

/// Calls that only fetch and carry for others.
const PLUMBING: [&str; 20] = [
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
    "socket",
    "setsockopt",
    "unlinkat",
];

/// A directory among the cgroups is no directory: making it makes a cgroup.
fn is_plumbing(call: &Call) -> bool {
    PLUMBING.contains(&name(call)) && !call.call.starts_with("mkdirat(AT_FDCWD, \"/sys/fs/cgroup/")
}

/// What only carries on what another call began. (After fsopen(2) comes fsmount(2), in any case.)
fn is_detail(call: &Call) -> bool {
    ["fsmount", "mount_setattr"].contains(&name(call))
}

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

    fn call(side: Who, call: &str) -> Call {
        Call { side, call: call.into() }
    }

    #[test]
    fn of_many_calls_every_kind_once() {
        let mut all = vec![call(Who::Child, "fsopen(\"tmpfs\", 0) = 3")];
        all.extend((0..20).map(|_| call(Who::Child, "fsconfig(3) = 0")));
        all.push(call(Who::Child, "fsopen(\"proc\", 0) = 3"));
        all.push(call(Who::Child, "fsopen(\"tmpfs\", 0) = 4"));
        all.push(call(Who::Child, "pivot_root(\".\", \".\") = 0"));
        insta::assert_snapshot!(text(&all, Style::plain()), @r#"
            child  fsopen("tmpfs", 0) = 3                                             ×2
                   fsopen("proc", 0) = 3
                   pivot_root(".", ".") = 0
                   and 20 fsconfig (--trace shows all)
        "#);
    }

    #[test]
    fn a_call_is_cut_between_its_arguments() {
        assert_eq!(cut_call("f(1, 2) = 0", 20), "f(1, 2) = 0");
        assert_eq!(cut_call("move_mount(16, \"\", 20, \"\", A|B|C) = 0", 32), "move_mount(16, \"\", 20, \"\", …)");
        assert_eq!(cut_call("write(5<tasks>, \"a long text in it\", 1) = 1", 24), "write(5<tasks>, …)");
    }

    #[test]
    fn turning_points_are_never_left_out() {
        let mut all: Vec<Call> = (0..30).map(|n| call(Who::Child, &format!("open_tree(\"{n}\") = 3"))).collect();
        all.push(call(Who::Child, "pivot_root(\".\", \".\") = 0"));
        let text = text(&all, Style::plain());
        assert!(text.contains("pivot_root(") && text.lines().count() <= MOST_CALLS + 1, "{text}");
    }

    #[test]
    fn a_write_is_told_by_its_file_and_a_message_by_its_type() {
        let mut all = vec![call(Who::Host, "openat(AT_FDCWD, \"/sys/fs/cgroup/cpu/x/tasks\", O_WRONLY) = 5")];
        all.extend((0..20).map(|_| call(Who::Host, "mkdirat(AT_FDCWD, \"/x\", 0755) = 0")));
        all.push(call(Who::Host, "sendto(3, [{nlmsg_len=9, nlmsg_type=RTM_GETLINK, nlmsg_seq=1}], 9) = 9"));
        all.push(call(
            Who::Host,
            "sendto(3, [[{nlmsg_type=RTM_NEWLINK}, {ifi_flags=0}, [[{nla_type=IFLA_IFNAME}, \"bw0\"], \
             [{nla_type=IFLA_INFO_KIND}, \"veth\"]]], [{nlmsg_type=RTM_NEWADDR}, {}, inet_addr(\"10.0.0.2\")]], 9) = 9",
        ));
        all.push(call(Who::Child, "write(5, \"0\", 1) = 1"));
        all.push(call(Who::Child, "socket(AF_NETLINK) = 5"));
        all.push(call(Who::Child, "write(5, \"?\", 1) = 1"));
        insta::assert_snapshot!(text(&all, Style::plain()), @r#"
            host   sendto(3, [RTM_NEWLINK veth bw0, RTM_NEWADDR 10.0.0.2], …)
            child  write(5<tasks>, "0", 1) = 1
                   write(5, "?", 1) = 1
                   and 20 mkdirat, 1 openat, 1 sendto, 1 socket (--trace shows all)
        "#);
    }
}
