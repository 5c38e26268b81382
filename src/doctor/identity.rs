//! Who asks, and what that user may do: capabilities, user namespaces, ids to give to a container.

use super::{Check, every_stage, probe, read};
use crate::sys;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::unistd::{getegid, geteuid};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// All of them.
pub fn checks() -> Vec<Check> {
    vec![user(), capabilities(), user_namespaces(), subordinate_ids()]
}

fn user() -> Check {
    let (uid, gid) = (geteuid(), getegid());
    let name = crate::command::users::name_on_host(uid.as_raw()).map(|n| format!(" ({n})")).unwrap_or_default();
    Check::ok("user", format!("uid {uid}{name}, gid {gid}"))
}

/// A capability, its number (linux/capability.h), and what does not work without it.
type Use = (&'static str, u32, &'static [&'static str], &'static str);

#[rustfmt::skip]
const USES: [Use; 12] = [
    ("CAP_SYS_ADMIN", 21, &["private-mounts"], "no namespace and no mount without a user namespace around it"),
    ("CAP_NET_ADMIN", 12, &["add-net"], "no bridge, address or rule on the host"),
    ("CAP_SETUID", 7, &["drop-caps"], "no --user"),
    ("CAP_SETGID", 6, &["drop-caps"], "no --user, no --group-add"),
    ("CAP_SETPCAP", 8, &["drop-caps"], "the bounding set cannot be made smaller"),
    ("CAP_SYS_CHROOT", 18, &["drop-caps"], "not among the container's capabilities"),
    ("CAP_MKNOD", 27, &["pivot-root"], "no devices of its own: they are bound from the host"),
    ("CAP_DAC_OVERRIDE", 1, &["stack-layers"], "files of other users in an image cannot be read"),
    ("CAP_CHOWN", 0, &["stack-layers"], "files of an image cannot get their owners"),
    ("CAP_FOWNER", 3, &["stack-layers"], "files of an image cannot get their modes"),
    ("CAP_NET_RAW", 13, &["drop-caps"], "not among the container's capabilities: no ping inside"),
    ("CAP_SYS_RESOURCE", 24, &["drop-caps"], "--ulimit cannot raise a limit above your own, --oom-score-adj cannot go below yours"),
];

fn capabilities() -> Check {
    let status = read("/proc/self/status").unwrap_or_default();
    let set = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let (Some(bounding), Some(effective)) = (set("CapBnd:"), set("CapEff:")) else {
        return Check::unknown("capabilities", "/proc/self/status cannot be read");
    };
    if !geteuid().is_root() {
        let found = "none outside, as any ordinary user; all of them in a user namespace of one's own";
        return Check::ok("capabilities", found);
    }
    lacking(bounding & effective, read("/proc/sys/kernel/cap_last_cap").and_then(|n| n.parse().ok()).unwrap_or(40))
}

/// What root cannot do here with these capabilities.
fn lacking(have: u64, last: u32) -> Check {
    let gone = |bit: u32| have & (1 << bit) == 0;
    let missing: Vec<&Use> = USES.iter().filter(|u| gone(u.1)).collect();
    let others: Vec<u32> = (0..=last).filter(|&b| gone(b) && USES.iter().all(|u| u.1 != b)).collect();
    if missing.is_empty() && others.is_empty() {
        return Check::ok("capabilities", "all of them");
    }
    let names = missing.iter().map(|u| u.0.to_string()).chain(others.iter().map(|b| format!("number {b}")));
    let check = Check::ok("capabilities", format!("all but {}", names.collect::<Vec<_>>().join(", ")));
    let mut stages: Vec<_> = missing.iter().flat_map(|u| u.2).copied().collect();
    stages.dedup();
    let mut effects: Vec<_> = missing.iter().map(|u| format!("without {}: {}", u.0, u.3)).collect();
    effects.push("--privileged and --cap-add cannot give what is not there".into());
    let remedy = "start what runs around boxwright (container, service, VM agent) with all capabilities";
    check.limited(&stages, effects.join("; ")).remedy(remedy)
}

fn user_namespaces() -> Check {
    const NAME: &str = "user namespaces";
    let root = geteuid().is_root();
    let Some(max) = read("/proc/sys/user/max_user_namespaces") else {
        return Check::ok(NAME, "no /proc/sys/user/max_user_namespaces")
            .missing(&["map-user"], "this kernel is built without user namespaces")
            .remedy("boot a kernel with CONFIG_USER_NS=y");
    };
    let tried = probe::in_child(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS, || {
        // Ubuntu's AppArmor lets the namespace be made and takes its capabilities away: only their use shows it.
        sys::mount::mount("none", Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)
    });
    let Err(e) = tried else {
        return Check::ok(NAME, format!("made one, mapped, used (at most {max})"));
    };
    let check = Check::ok(NAME, format!("{} (at most {max})", one_line(&e)));
    let (why, remedy) = why_no_user_namespace(&max);
    let check = if root {
        check.limited(&["map-user"], format!("--userns does not work: {why}"))
    } else {
        check.missing(&every_stage(), format!("an ordinary user can make no container: {why}"))
    };
    remedy.into_iter().fold(check, Check::remedy)
}

/// The switch that forbids it, and the command that turns it.
fn why_no_user_namespace(max: &str) -> (&'static str, Option<&'static str>) {
    let is = |file: &str, value: &str| read(file).as_deref() == Some(value);
    if max == "0" {
        ("user.max_user_namespaces is 0", Some("as root: sysctl -w user.max_user_namespaces=15000"))
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        ("Debian's switch is off", Some("as root: sysctl -w kernel.unprivileged_userns_clone=1"))
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        (
            "AppArmor takes the capabilities away from programs without a profile",
            Some("as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        )
    } else {
        ("a seccomp filter, a chroot or a security module around us forbids it", None)
    }
}

fn subordinate_ids() -> Check {
    const NAME: &str = "subordinate ids";
    let uid = geteuid().as_raw();
    if geteuid().is_root() {
        return Check::ok(NAME, "root may map any range");
    }
    let user = crate::command::users::name_on_host(uid).unwrap_or_else(|| uid.to_string());
    let range = |file: &str| range_of(&read(file).unwrap_or_default(), &user, uid);
    let consequence = "a container has only one user, its root, which is you; images with files of other users, \
                       and --user with anybody else, do not work";
    let (Some(users), Some(groups)) = (range("/etc/subuid"), range("/etc/subgid")) else {
        return Check::ok(NAME, format!("{user} has no range in both /etc/subuid and /etc/subgid"))
            .limited(&["map-user", "drop-caps"], consequence)
            .remedy(format!("as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"));
    };
    match helper("newuidmap").and_then(|_| helper("newgidmap")) {
        Ok(program) => {
            let dir = program.parent().unwrap_or(Path::new("")).display();
            Check::ok(NAME, format!("{users} users and {groups} groups; newuidmap and newgidmap in {dir}"))
        }
        Err(what) => Check::ok(NAME, what)
            .limited(&["map-user", "drop-caps"], consequence)
            .remedy("as root: apt install uidmap   # Fedora: dnf install shadow-utils"),
    }
}

/// How many ids a subuid(5) file gives to a user, by name or by number.
fn range_of(text: &str, user: &str, uid: u32) -> Option<u64> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        (who == user || who == uid.to_string()).then_some(())?;
        fields.nth(1)?.trim().parse::<u64>().ok().filter(|&n| n > 0)
    };
    text.lines().filter_map(of).max()
}

/// A program that writes maps for ordinary users must itself be more than they are: setuid, or with a file capability.
fn helper(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|p| p.is_file())
        .ok_or_else(|| format!("{name} is not in PATH"))?;
    let setuid = program.metadata().is_ok_and(|m| m.mode() & libc::S_ISUID != 0 && m.uid() == 0);
    if setuid || sys::fs::has_xattr(&program, c"security.capability") {
        return Ok(program);
    }
    Err(format!("{} is neither setuid root nor has it a capability", program.display()))
}

/// An error without its reasons: what was called, and what the kernel said.
pub fn one_line(e: &crate::error::Error) -> String {
    e.to_string().lines().next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn ranges_belong_to_a_name_or_a_number() {
        let text = "user:100000:65536\n1001:200000:1000\nbroken\nnone:5:0\n";
        assert_eq!(range_of(text, "user", 1000), Some(65536));
        assert_eq!(range_of(text, "other", 1001), Some(1000));
        assert_eq!(range_of(text, "use", 100), None);
        assert_eq!(range_of(text, "none", 5), None);
    }

    #[test]
    fn a_missing_capability_is_named_with_what_it_costs() {
        assert_eq!(lacking((1 << 41) - 1, 40).status, Status::Ok);
        let check = lacking(((1 << 41) - 1) & !(1 << 24), 40);
        assert_eq!(check.status, Status::Limited);
        assert!(check.found.contains("CAP_SYS_RESOURCE"));
        assert!(check.consequence.unwrap_or_default().contains("--ulimit"));
        assert_eq!(check.stages, ["drop-caps"]);
    }
}
