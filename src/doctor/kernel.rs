//! The kernel: how old, which calls, which namespaces, seccomp.

use super::{Check, every_stage, read};
use crate::sys::probe::{CALLS, has_call};

/// mount_setattr(2) came with this one; the set-up cannot do without.
const OLDEST: (u32, u32) = (5, 12);

/// All of them.
pub fn checks() -> Vec<Check> {
    vec![version(), calls(), namespaces(), seccomp()]
}

fn version() -> Check {
    let release = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    let check = Check::ok("kernel", format!("Linux {release}"));
    match parse(&release) {
        Some(version) if version >= OLDEST => check,
        Some(_) => check
            .missing(&every_stage(), format!("boxwright needs Linux {}.{} (mount_setattr)", OLDEST.0, OLDEST.1))
            .remedy("install a newer kernel of your distribution and boot it"),
        None => Check::unknown("kernel", format!("the release {release:?} has no version number")),
    }
}

/// `6.12.0-1-amd64` is (6, 12).
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn calls() -> Check {
    let (here, lacking): (Vec<_>, Vec<_>) = CALLS.iter().partition(|c| has_call(c));
    let names = |list: &[&crate::sys::probe::Call]| list.iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
    if lacking.is_empty() {
        return Check::ok("kernel calls", names(&here));
    }
    let check = Check::ok("kernel calls", format!("without {}", names(&lacking)));
    let why = "the kernel is too old for them, or a seccomp filter around us forbids them";
    match lacking.iter().find(|c| c.needed) {
        Some(call) => check.missing(&every_stage(), format!("{} is needed: {why}", call.name)),
        None => check.limited(&[], format!("boxwright does without them; {why}")),
    }
}

fn namespaces() -> Check {
    const KINDS: [(&str, &str); 8] = [
        ("user", "map-user"),
        ("pid", "unshare-pid"),
        ("cgroup", "join-cgroup"),
        ("mnt", "private-mounts"),
        ("uts", "set-hostname"),
        ("ipc", "unshare-ipc"),
        ("net", "add-net"),
        ("time", ""),
    ];
    let has = |kind: &str| std::path::Path::new("/proc/self/ns").join(kind).symlink_metadata().is_ok();
    let (here, lacking): (Vec<_>, Vec<_>) = KINDS.into_iter().partition(|(kind, _)| has(kind));
    let names = |list: &[(&str, &str)]| list.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ");
    let stages: Vec<_> = lacking.iter().map(|(_, stage)| *stage).filter(|s| !s.is_empty()).collect();
    let check = Check::ok("namespaces", names(&here));
    if !stages.is_empty() {
        return check
            .missing(&stages, format!("this kernel is built without: {}", names(&lacking)))
            .remedy("boot a kernel that has CONFIG_NAMESPACES and all its kinds");
    }
    if lacking.is_empty() { check } else { check.limited(&[], "no time namespaces; no stage uses one") }
}

fn seccomp() -> Check {
    let stages = ["filter-syscalls"];
    let Some(actions) = read("/proc/sys/kernel/seccomp/actions_avail") else {
        return Check::ok("seccomp", "no /proc/sys/kernel/seccomp")
            .missing(&stages, "this kernel cannot filter system calls")
            .remedy("boot a kernel with CONFIG_SECCOMP_FILTER=y");
    };
    let check = Check::ok("seccomp", format!("filter actions: {actions}"));
    let has = |action: &str| actions.split(' ').any(|a| a == action);
    if !has("errno") || !has("allow") {
        return check.missing(&stages, "a filter needs at least the actions allow and errno");
    }
    let lacking: Vec<_> = ["kill_process", "log", "user_notif"].into_iter().filter(|a| !has(a)).collect();
    if lacking.is_empty() {
        return check;
    }
    check.limited(&stages, format!("profiles that use {} are refused", lacking.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_of_all_sorts() {
        assert_eq!(parse("6.12.0-1-amd64"), Some((6, 12)));
        assert_eq!(parse("5.4-rc1"), Some((5, 4)));
        assert_eq!(parse("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(parse("unknown"), None);
        assert!(parse("5.9.1") < Some(super::OLDEST), "numbers, not strings");
    }
}
