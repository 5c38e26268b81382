//! Brings a report to the form that it has on every machine, so that it can be compared with one that was made
//! elsewhere: in a test with its snapshot, in a lab with what the lab shows. What is left is what a learner should see.
//!
//! What differs, and what becomes of it:
//! - **Numbers and names that are given out anew each time**: namespaces, processes, container ids, addresses,
//!   descriptors, devices. They become a word in brackets or a letter ([`words`]).
//! - **What the host was like before**: its mounts, links, processes, propagation, groups, capabilities. Of a change,
//!   what came counts, and what was before becomes `[the host's]` ([`value`], [`json_change`]).
//! - **What this kernel has or has not**: some of the paths to mask, options of file systems, cgroup v1 or v2. Lists keep
//!   what every kernel has; all views of cgroups become one line.
//! - **What the machine did not allow and the report says so**: an ordinary user without a delegated cgroup gets
//!   "skipped". That line goes, and so does what follows from it.
//! - **Kernel calls**: which files are written depends on all of the above; so only the calls that make the container
//!   are kept ([`call`]), each kind once, by side, and without what was given out anew.
//!
//! Lines are not wrapped in the result: where they break depends on the lengths of what has just been replaced.

use serde_json::{Map, Value, json};
use std::path::Path;

/// The column in which values begin.
const VALUES: usize = 22;

/// A report as text, of a program whose state directory is `root`.
pub fn text(report: &str, root: &Path) -> String {
    let excused = report.lines().any(|line| line.starts_with("  skipped"));
    let mut out = String::new();
    let mut lines = report.lines().peekable();
    while let Some(line) = lines.next() {
        let mut block = vec![line];
        // What is indented deeper belongs to the line.
        while let Some(more) = lines.next_if(|more| more.starts_with("   ") && !more.trim().is_empty()) {
            block.push(more);
        }
        if line.starts_with("  kernel calls") {
            out.push_str(&calls_of_text(&block[1..]));
        } else if line == "  proof" {
            // Sentences: none of them is in columns.
            out.push_str(&format!("{}\n", block.join("\n")));
        } else if line.starts_with("  in another shell") {
            out.push_str(&format!("{line}\n"));
            out.extend(block[1..].iter().map(|l| format!("{}\n", without_pid(l))));
        } else if let Some(label) = line.strip_prefix("  ").map(|l| l.chars().take(VALUES - 2).collect::<String>()) {
            let values = block.iter().map(|l| l.chars().skip(VALUES).collect::<String>());
            let values = logical(&values.collect::<Vec<_>>());
            let values = values.iter().map(|v| v.replace(&root.display().to_string(), "ROOT"));
            out.push_str(&row(&label, value(label.trim(), values.collect(), excused)));
        } else {
            out.push_str(&format!("{}\n", join(&block)));
        }
    }
    out
}

/// A report as JSON.
#[allow(dead_code)] // only tests compare reports as JSON
pub fn json(report: &Value, root: &Path) -> Value {
    // Inside of a path as everywhere else.
    let text = report.to_string().replace(&root.display().to_string(), "ROOT");
    let mut report: Value = serde_json::from_str(&text).expect("it was JSON before");
    let excused = report["skipped"].as_array().is_some_and(|s| s.iter().any(|s| s["primitive"] == "join-cgroup"));
    for primitive in report["primitives"].as_array_mut().into_iter().flatten() {
        let changes = primitive["changes"].as_array().into_iter().flatten();
        primitive["changes"] = changes.filter_map(json_change).collect();
        let calls: Vec<(String, String)> = primitive["calls"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| (string(&c["side"]).to_string(), string(&c["call"]).to_string()))
            .collect();
        primitive["calls"] = Value::Object(
            sides(&calls).into_iter().map(|(side, calls)| (side, json!(calls))).collect::<Map<String, Value>>(),
        );
    }
    let keep = |list: &Value, drop: &dyn Fn(&Value) -> bool| -> Value {
        list.as_array().into_iter().flatten().filter(|item| !drop(item)).cloned().collect()
    };
    report["kept"] = keep(&report["kept"], &|fact| excused && string(fact).starts_with("cgroup"));
    report["skipped"] = keep(&report["skipped"], &|s| about_cgroups(string(&s["primitive"])));
    report["notes"] = keep(&report["notes"], &|note| about_this_machine(string(note)));
    report["look"] = report["look"].as_array().into_iter().flatten().map(|l| json!(without_pid(string(l)))).collect();
    if report["pid"].is_number() {
        report["pid"] = json!("[pid]");
    }
    report
}

/// The first container switches forwarding on, if nobody has before.
fn about_this_machine(note: &str) -> bool {
    note.starts_with("net.ipv4.ip_forward was")
}

fn about_cgroups(primitive: &str) -> bool {
    primitive == "join-cgroup" || primitive.starts_with("limit-")
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One line of what was wrapped. (A path was broken behind a slash, all else between words.)
fn join(lines: &[impl AsRef<str>]) -> String {
    let mut all = String::new();
    for line in lines {
        let line = if all.is_empty() { line.as_ref() } else { line.as_ref().trim_start() };
        if !all.is_empty() && !all.ends_with('/') {
            all.push(' ');
        }
        all.push_str(line.trim_end());
    }
    all
}

/// The lines of a value, each whole: an item of a list begins with a sign, the explanation of the line above with a
/// parenthesis, and capabilities have several changes under each other.
fn logical(lines: &[String]) -> Vec<String> {
    let begins = |line: &str| ["+ ", "− ", "= ", "("].iter().any(|sign| line.starts_with(sign));
    let counts = |line: &str| {
        line.split_once(" → ").is_some_and(|(before, _)| before == "none" || before.ends_with(|c: char| c.is_numeric()))
            && !line.starts_with(' ')
    };
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        match groups.last_mut() {
            Some(group) if !begins(line) && !counts(line) => group.push(line),
            _ => groups.push(vec![line]),
        }
    }
    groups.iter().map(|group| join(group).trim().to_string()).collect()
}

fn row(label: &str, values: Vec<String>) -> String {
    let first = format!("  {label}");
    let lines = values.iter().enumerate().map(|(n, value)| {
        let lead = if n == 0 { first.as_str() } else { "" };
        format!("{}\n", format!("{lead:VALUES$}{value}").trim_end())
    });
    lines.collect()
}

/// What a row says everywhere; nothing: the row goes.
fn value(label: &str, values: Vec<String>, excused: bool) -> Vec<String> {
    let all = values.join(" ");
    let (before, after) = all.split_once(" → ").unwrap_or(("", &all));
    let arrow = |before: &str, after: &str| vec![format!("{before} → {after}")];
    match label {
        // A line about nothing but this machine.
        "skipped" | "propagation" | "groups" => vec![],
        "note" if about_this_machine(&all) => vec![],
        "still the host's" if excused => {
            vec![all.replace("view of cgroups, ", "").replace("cgroup, ", "").replace(", cgroup", "")]
        }
        "cgroup" if values.iter().all(|v| v.contains("boxwright-") || v.starts_with('(')) => {
            arrow("[the caller's]", "[below it or in boxwright.slice] boxwright-ID")
        }
        label if label.ends_with(" namespace") && before != after => arrow("[one]", "[another]"),
        "its own pid" => arrow("[pid]", after),
        "processes it sees" if before.ends_with("(the host's)") => arrow("[n] (the host's)", after),
        "user id map" | "group id map" => arrow("[the host's]", &first_range(after)),
        "user" => arrow("[you]", after),
        "hostname" => arrow("[the host's]", &words(after)),
        "links" | "addresses" | "routes" => {
            let came = values.iter().filter_map(|v| v.strip_prefix("+ ")).map(str::to_string);
            let came: Vec<String> = if all.contains(" → ") { split(after) } else { came.collect() };
            network(&came).iter().map(|item| format!("+ {item}")).collect()
        }
        "mounts" => mounts_of_text(&values),
        "root filesystem" => arrow("[the host's]", &numbers(after)),
        "io.max" => arrow(before, &device(after)),
        "masked paths" => values.iter().map(|v| masks_of_text(v)).collect(),
        "capabilities" => capabilities_of_text(&values),
        _ => values.iter().map(|v| words(v)).collect(),
    }
}

fn split(list: &str) -> Vec<String> {
    list.split(", ").map(str::to_string).collect()
}

/// `0 1234 1, 1 100000 65536`: who has subuids has more than one range. Of the first one, how many ids it maps.
fn first_range(map: &str) -> String {
    let numbers: Vec<&str> = map.split(", ").next().unwrap_or_default().split(' ').collect();
    match numbers[..] {
        [inside, _, count] => format!("{inside} [id] {count}"),
        _ => map.to_string(),
    }
}

/// Without the loopback, which is up on one host and down on another.
fn network(came: &[String]) -> Vec<String> {
    came.iter().filter(|item| !item.starts_with("lo ")).map(|item| words(item)).collect()
}

/// `overlay, device 0:43, inode 12` with N for each number.
fn numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('N') => {}
            '0'..='9' => out.push('N'),
            c => out.push(c),
        }
    }
    out
}

/// `254:0 rbps=1048576`: which disk it is.
fn device(limits: &str) -> String {
    let first = limits.split(", ").next().unwrap_or_default();
    first.split_once(' ').map_or(first.to_string(), |(disk, limits)| format!("{} {limits}", numbers(disk)))
}

/// How many capabilities a kernel has at least that is new enough for us.
const ALL_CAPABILITIES: usize = 38;

/// `40 → 14`, its names, and the sets in parentheses. Where all were there before and all are after, nothing happened
/// but that the host's all was less than the kernel's.
fn capabilities_of_text(values: &[String]) -> Vec<String> {
    let count = |text: &str| {
        let number = text.trim_start_matches("all ").parse().unwrap_or(0);
        if number >= ALL_CAPABILITIES { "[all]".to_string() } else { text.to_string() }
    };
    let mut kept: Vec<String> = Vec::new();
    for block in values.split_inclusive(|v| v.starts_with('(')) {
        let Some((before, after)) = block[0].split_once(" → ") else { continue };
        let (before, after) = (count(before), count(after));
        if before != after {
            kept.push(format!("{before} → {after}"));
            kept.extend(block[1..].iter().cloned());
        }
    }
    kept
}

/// Paths that only some kernels and machines have.
#[rustfmt::skip]
const OPTIONAL_PATHS: [&str; 11] = [
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
];

fn on_every_kernel(path: &str) -> bool {
    !OPTIONAL_PATHS.contains(&path) && !path.starts_with("/sys/devices/system/cpu/")
}

fn masks_of_text(value: &str) -> String {
    let mut parts = value.split_whitespace();
    let (sign, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let paths: Vec<&str> = parts.filter(|path| on_every_kernel(path)).collect();
    format!("{sign} {kind:11}{}", paths.join(" "))
}

/// What stands for /sys/fs/cgroup: many mounts, one, or none.
const CGROUP_VIEW: &str = "/sys/fs/cgroup  [its view of cgroups, where it has a cgroup]";

/// Some of what is mounted cannot be counted on: /dev/mqueue has no place where the host's /dev has none; cgroups are
/// told by [`CGROUP_VIEW`]; and the /proc of a root of its own may have been mounted like the host's, and then is not
/// among what came.
fn may_be_missing(target: &str, own_root: bool) -> bool {
    target == "/dev/mqueue" || target.starts_with("/sys/fs/cgroup") || own_root && target == "/proc"
}

fn mounts_of_text(values: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let own_root = values.iter().any(|v| v.starts_with("+ /  "));
    for value in values {
        let (sign, item) = value.split_once(' ').unwrap_or(("", value));
        let (target, what) = item.split_once(' ').unwrap_or((item, ""));
        if item.ends_with("that were there before") {
            out.push("− [n] that were there before".to_string());
        } else if !may_be_missing(target, own_root) {
            out.push(format!("{sign} {}  {}", words(target), from_host(what.trim())));
        }
    }
    if own_root {
        out.push(format!("+ {CGROUP_VIEW}"));
    }
    out
}

/// `ext4 /dev/vda[/usr], read-only`, or of several such `ext4 /dev/vda`: what is not made for the container is the
/// host's, whatever its file system is.
fn from_host(what: &str) -> String {
    let (source, read_only) = what.strip_suffix(", read-only").map_or((what, ""), |s| (s, ", read-only"));
    let own = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "overlay", "tmpfs shm", "tmpfs etc"].contains(&source);
    if own { what.to_string() } else { format!("[the host's]{read_only}") }
}

/// One change of the JSON; none: it is about this machine only.
fn json_change(change: &Value) -> Option<Value> {
    let fact = string(&change["fact"]);
    let list = |field: &str| -> Vec<String> {
        change[field].as_array().into_iter().flatten().map(|v| string(v).to_string()).collect()
    };
    let (before, after) = (string(&change["before"]), string(&change["after"]));
    let mut set = change.clone();
    match fact {
        "propagation" | "groups" => return None,
        "cgroup" => {
            let moved = list("after").iter().any(|path| path.contains("/boxwright-"));
            set["after"] = json!(if moved { "[…]/boxwright-ID" } else { "[not its own]" });
            (set["added"], set["removed"]) = (json!("[as above]"), json!("[as above]"));
        }
        "pid" => set["before"] = json!("[pid]"),
        "processes" if before.ends_with("(the host's)") => set["before"] = json!("[n] (the host's)"),
        "uid_map" | "gid_map" => {
            let range = list("after").first().map(|r| first_range(r)).unwrap_or_default();
            (set["after"], set["added"]) = (json!([range]), json!([range]));
        }
        "links" | "addresses" | "routes" => {
            (set["after"], set["added"]) = (json!(network(&list("after"))), json!(network(&list("added"))));
        }
        "mounts" => {
            let own_root = list("added").iter().any(|item| item.starts_with("/ "));
            let mut added: Vec<String> = list("added").iter().filter_map(|item| json_mount(item, own_root)).collect();
            if own_root {
                added.push(CGROUP_VIEW.to_string());
            }
            (set["after"], set["added"]) = (json!("[mounts]"), json!(added));
        }
        "root" => set["after"] = json!(numbers(after)),
        "io_max" => {
            let limits: Vec<String> = list("after").first().map(|l| device(l)).into_iter().collect();
            (set["after"], set["added"]) = (json!(limits), json!(limits));
        }
        "masked_paths" => {
            let everywhere = |items: Vec<String>| -> Vec<String> {
                items.into_iter().filter(|i| on_every_kernel(i.split(" (").next().unwrap_or_default())).collect()
            };
            (set["after"], set["added"]) = (json!(everywhere(list("after"))), json!(everywhere(list("added"))));
        }
        fact if fact.starts_with("cap_") => {
            let all = |items: &[String]| items.len() >= ALL_CAPABILITIES;
            let (before, after) = (list("before"), list("after"));
            if all(&before) && all(&after) {
                return None;
            }
            for (field, items) in [("before", &before), ("after", &after)] {
                if all(items) {
                    set[field] = json!("[all]");
                }
            }
            for field in ["added", "removed"] {
                if list(field).len() > ALL_CAPABILITIES / 2 {
                    set[field] = json!("[the rest]");
                }
            }
            return Some(set);
        }
        fact if fact.ends_with("_ns") => {
            let same = if before == after { "[the same]" } else { "[another]" };
            (set["before"], set["after"]) = (json!("[one]"), json!(same));
        }
        _ => {}
    }
    if ["user", "hostname", "cgroup", "uid_map", "gid_map", "links", "addresses", "routes", "mounts", "root"]
        .contains(&fact)
    {
        set["before"] = json!("[the host's]");
        if set["removed"].as_array().is_some_and(|r| !r.is_empty()) || ["links", "addresses", "routes"].contains(&fact)
        {
            set["removed"] = json!("[the host's]");
        }
    }
    Some(every_string(set))
}

fn every_string(value: Value) -> Value {
    match value {
        Value::String(text) => json!(words(&text)),
        Value::Array(items) => items.into_iter().map(every_string).collect(),
        Value::Object(fields) => fields.into_iter().map(|(k, v)| (k, every_string(v))).collect::<Map<_, _>>().into(),
        other => other,
    }
}

/// `target (fstype, source, options)`, with the options that boxwright asks for.
fn json_mount(item: &str, own_root: bool) -> Option<String> {
    let (target, rest) = item.strip_suffix(')')?.split_once(" (")?;
    if may_be_missing(target, own_root) {
        return None;
    }
    let mut parts = rest.splitn(3, ", ");
    let (fstype, source, options) = (parts.next()?, parts.next()?, parts.next()?);
    let bound = source.contains('[');
    let asked = |o: &&str| ["ro", "rw", "nosuid", "nodev", "noexec"].contains(o) || !bound && o.starts_with("size=");
    let options: Vec<&str> = options.split(',').filter(asked).collect();
    // What of the file system is bound says more than which file system it is.
    let source = match source.split_once('[') {
        Some((device, part)) if device != "etc" => format!("[the host's], [{part}"),
        _ => format!("{fstype}, {source}"),
    };
    Some(format!("{target} ({source}, {})", options.join(",")))
}

/// The calls of a report's text: a line in which none begins continues the one before.
fn calls_of_text(lines: &[&str]) -> String {
    let begins = |text: &str| {
        let name = text.split('(').next().unwrap_or_default();
        text.contains('(') && !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let mut side = String::new();
    let mut calls: Vec<(String, String)> = Vec::new();
    for line in lines {
        let (who, text) = line.split_at_checked(11).unwrap_or((line, ""));
        if !who.trim().is_empty() {
            side = who.trim().to_string();
        }
        match calls.last_mut() {
            _ if text.starts_with("and ") => break,
            _ if begins(text) => calls.push((side.clone(), text.to_string())),
            Some((_, call)) => *call += &format!(" {text}"),
            None => {}
        }
    }
    let sides = sides(&calls);
    let mut out = String::from("  kernel calls\n");
    for (side, calls) in &sides {
        for (n, call) in calls.iter().enumerate() {
            out += &format!("    {:7}{call}\n", if n == 0 { side.as_str() } else { "" });
        }
    }
    if sides.is_empty() {
        out += "    [it writes files: which ones depends on the version of cgroups]\n";
    }
    out
}

/// For each side, host first, its calls in their order, each kind once.
fn sides(calls: &[(String, String)]) -> Vec<(String, Vec<String>)> {
    let mut sides: Vec<(String, Vec<String>)> = Vec::new();
    for who in ["host", "child"] {
        let mut own: Vec<String> = Vec::new();
        for call in calls.iter().filter(|(side, _)| side == who).filter_map(|(_, c)| call(c)) {
            if !own.contains(&call) {
                own.push(call);
            }
        }
        if !own.is_empty() {
            sides.push((who.to_string(), own));
        }
    }
    sides
}

/// A call by its name and what in it is the same everywhere; nothing for one that only fetches and carries, that asks
/// how things are, or that depends on the machine.
fn call(call: &str) -> Option<String> {
    let (name, rest) = call.split_once('(')?;
    if call.contains(" = -1 E") {
        return None;
    }
    let whole = || {
        let end = call.rfind(") = ").map_or(call.len(), |at| at + 1);
        words(&call[..end])
    };
    match name {
        "unshare" | "pivot_root" | "umount2" | "setresuid" | "setresgid" => Some(whole()),
        // The length of the name is the name's.
        "sethostname" => Some(format!("{})", words(call.split(", ").next()?))),
        "clone3" => {
            let flags = rest.split("flags=").nth(1)?.split([',', '}']).next()?;
            // It may have been wrapped behind a bar.
            Some(format!("clone3({{flags={}}})", flags.replace(' ', "").replace("|CLONE_INTO_CGROUP", "")))
        }
        // The layers' paths are long, and what they are is no matter here.
        "mount" if rest.starts_with("\"overlay\"") => {
            let (source, kind) = (rest.split(", ").next()?, rest.split(", ").nth(2)?);
            Some(format!("mount({source}, …, {kind}, …)"))
        }
        "mount" => Some(whole()),
        "fsopen" if !rest.starts_with("\"cgroup") => Some(format!("fsopen({})", rest.split([',', ')']).next()?)),
        "prctl" => Some(format!("prctl({})", rest.split([',', ')']).next()?)),
        "seccomp" => Some(format!("seccomp({}, …)", rest.split(',').next()?)),
        "move_mount" | "capset" => Some(format!("{name}(…)")),
        "sendto" => {
            let made = |word: &&str| word.starts_with("RTM_NEW") || word.starts_with("NFT_MSG_NEW");
            let mut types: Vec<&str> = Vec::new();
            for word in rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(made) {
                if !types.contains(&word) {
                    types.push(word);
                }
            }
            (!types.is_empty()).then(|| format!("sendto({})", types.join(", ")))
        }
        _ => None,
    }
}

/// `nsenter -t 123 …`, `/proc/123/ns`.
fn without_pid(command: &str) -> String {
    let mut words: Vec<String> = command.split(' ').map(str::to_string).collect();
    for n in 0..words.len() {
        if n > 0 && words[n - 1] == "-t" {
            words[n] = "PID".into();
        }
        if let Some((_, file)) = words[n].strip_prefix("/proc/").and_then(|w| w.split_once('/')) {
            words[n] = format!("/proc/PID/{file}");
        }
    }
    words.join(" ")
}

/// Names that are given out anew each time, in any text: container ids, bridges and their ports, addresses.
pub fn words(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-') {
            word.push(c);
            continue;
        }
        let bare = word.trim_end_matches(['.', ':', '-']);
        out.push_str(&given_out(bare));
        out.push_str(&word[bare.len()..]);
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

fn given_out(word: &str) -> String {
    let hex = |w: &str, len: usize| w.len() == len && w.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let octets: Vec<&str> = word.split('.').collect();
    if let [first, .., last] = octets[..]
        && octets.len() == 4
        && octets.iter().all(|o| o.parse::<u8>().is_ok())
        && first != "127"
    {
        return format!("{first}.N.N.{last}");
    }
    if word.split(':').count() == 6 && word.split(':').all(|o| hex(o, 2)) {
        return "MAC".into();
    }
    if let Some((prefix, id)) = word.rsplit_once('-')
        && (hex(id, 8) || hex(id, 12))
    {
        return format!("{prefix}-ID");
    }
    match word {
        id if hex(id, 12) => "ID".into(),
        // A set of capabilities is as long, and means what it says: it begins with zeros.
        hash if hex(hash, 16) && !hash.starts_with("00000") => "HASH".into(),
        port if port.strip_prefix("bw").is_some_and(|id| hex(id, 12)) => "bwID".into(),
        other => other.into(),
    }
}
