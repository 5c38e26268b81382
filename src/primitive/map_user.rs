//! The user namespace: root that is not root. Inside it a process holds every capability, but only over what the
//! namespace owns; its user 0 is somebody else outside. It is first in the list, because it owns every namespace made
//! after it, and that is what lets an ordinary user make them.

use super::{Lack, Lesson, Need, Primitive};
use crate::error::{Error, Result};
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::Spec;
use crate::sys;
use nix::errno::Errno;
use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxIdMapping;
use std::path::PathBuf;

/// See the head of this file.
pub struct MapUser;

impl Primitive for MapUser {
    fn name(&self) -> &'static str {
        "map-user"
    }

    fn summary(&self) -> &'static str {
        "user namespace: root that is not root"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "user namespaces", probe: probe_user_namespaces }]
    }

    fn changes(&self) -> &'static [Fact] {
        use Fact::*;
        &[UserNs, UidMap, GidMap, User, Groups, CapEff, CapPrm, CapBnd]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.userns()
    }

    fn clone_flags(&self, _: &Spec) -> CloneFlags {
        CloneFlags::CLONE_NEWUSER
    }

    fn outside(&self, host: &mut Host) -> Result<()> {
        let child = host.child()?.as_raw();
        let (uids, gids) = mappings(host.spec);
        write_maps(child, uids, gids)
    }

    // ANCHOR: inside
    fn inside(&self, guest: &mut Guest) -> Result<()> {
        // Until there is a map this process is user 65534, and whatever it made would belong to nobody.
        guest.outside()?;
        let (uids, gids) = mappings(guest.spec);
        let maps_root = |m: &[LinuxIdMapping]| m.iter().any(|m| m.container_id() == 0);
        if maps_root(gids) {
            sys::process::setgid(0)?;
        }
        if maps_root(uids) {
            sys::process::setuid(0)?;
        }
        Ok(())
    }
    // ANCHOR_END: inside

    fn approach(&self, guest: &mut Guest) -> Result<()> {
        guest.enter(CloneFlags::CLONE_NEWUSER)
    }

    /// Only now: until it was in its cgroup, the process had to be whoever called, who may put it there.
    fn join(&self, guest: &mut Guest) -> Result<()> {
        if !guest.spec.userns() {
            return Ok(());
        }
        let mapped = |result: Result<()>| result.or_else(|e| if e.is(Errno::EINVAL) { Ok(()) } else { Err(e) });
        mapped(sys::process::setgid(0))?;
        // The caller's groups mean nothing in there. Where they cannot be left (one id is mapped, and no more), nobody's can.
        sys::process::setgroups(&[]).or_else(|e| if e.is(Errno::EPERM) { Ok(()) } else { Err(e) })?;
        mapped(sys::process::setuid(0))
    }
}

/// Writes the maps of a child's new user namespace.
///
/// # Errors
/// EPERM for ids that are not ours to give; newuidmap missing or refusing.
pub(super) fn write_maps(child: i32, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<()> {
    // ANCHOR: maps
    // Root may map anything. Anybody else may map one id, their own, and must first give up setgroups(2), or a group that
    // is there to take rights away could be dropped (CVE-2014-8989). For more there are setuid helpers.
    if nix::unistd::geteuid().is_root() {
        write_map(child, "gid_map", gids)?;
        write_map(child, "uid_map", uids)
    } else if only_self(uids) && only_self(gids) {
        sys::fs::write_file(&proc_file(child, "setgroups"), "deny")?;
        write_map(child, "gid_map", gids)?;
        write_map(child, "uid_map", uids)
    } else {
        run_helper("newgidmap", child, gids)?;
        run_helper("newuidmap", child, uids)
    }
    // ANCHOR_END: maps
}

fn mappings(spec: &Spec) -> (&[LinuxIdMapping], &[LinuxIdMapping]) {
    let linux = spec.linux();
    let uids = linux.and_then(|l| l.uid_mappings().as_deref()).unwrap_or_default();
    let gids = linux.and_then(|l| l.gid_mappings().as_deref()).unwrap_or_default();
    (uids, gids)
}

fn only_self(map: &[LinuxIdMapping]) -> bool {
    matches!(map, [one] if one.size() == 1)
}

fn proc_file(child: i32, name: &str) -> PathBuf {
    format!("/proc/{child}/{name}").into()
}

fn write_map(child: i32, file: &str, map: &[LinuxIdMapping]) -> Result<()> {
    let lines: Vec<_> = map.iter().map(|m| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size())).collect();
    sys::fs::write_file(&proc_file(child, file), &lines.concat()).map_err(|e| {
        e.explain(
            Errno::EPERM,
            "the kernel refuses this map: an ordinary user may map only their own id",
            "give yourself a range in /etc/subuid and /etc/subgid (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER)",
        )
        .explain(Errno::EINVAL, "two ranges of the map overlap, or there are more than 340", "boxwright doctor")
    })
}

/// newuidmap(1) and newgidmap(1) are setuid programs that check /etc/subuid and write the map for an ordinary user.
fn run_helper(program: &str, child: i32, map: &[LinuxIdMapping]) -> Result<()> {
    let mut args = vec![child.to_string()];
    for m in map {
        args.extend([m.container_id().to_string(), m.host_id().to_string(), m.size().to_string()]);
    }
    let text = format!("{program} {}", args.join(" "));
    sys::announce(&format!("execve({program}) /* {text} */"));
    let output = std::process::Command::new(program).args(&args).output().map_err(|e| {
        Error::io(format!("execve({text})"), &e)
            .hint("install newuidmap and newgidmap (package uidmap or shadow-utils)")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("{text} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
        .why("the range is not yours in /etc/subuid or /etc/subgid, or the program is not setuid")
        .hint("boxwright doctor; or --userns host as root"))
}

fn probe_user_namespaces(_: &Spec) -> std::result::Result<(), Lack> {
    let max = std::fs::read_to_string("/proc/sys/user/max_user_namespaces");
    match max {
        Ok(n) if n.trim() == "0" => Err(Lack {
            reason: "user namespaces are switched off (user.max_user_namespaces is 0)".into(),
            remedy: "as root: sysctl -w user.max_user_namespaces=15000".into(),
        }),
        Err(_) => Err(Lack {
            reason: "this kernel has no user namespaces (no /proc/sys/user/max_user_namespaces)".into(),
            remedy: "a kernel with CONFIG_USER_NS".into(),
        }),
        Ok(_) => Ok(()),
    }
}

static LESSON: Lesson = Lesson {
    what: "A user namespace translates user and group ids, and bounds capabilities. Its maps say which ids outside \
           stand behind the ids inside: `0 1000 1` makes user 1000 of the host the user 0 in here. The first process \
           in it holds every capability, but only over things which this namespace owns.",
    why: "It lets an ordinary user make all the other namespaces, and it takes the sting out of a breakout: root in \
          the container is nobody in particular on the host. Without it only root can run a container, and what \
          escapes is root.",
    kernel: "clone3(CLONE_NEWUSER); the parent writes /proc/PID/setgroups, /proc/PID/gid_map, /proc/PID/uid_map \
             (more than one's own id: by the setuid programs newuidmap and newgidmap); then setresgid(0), setresuid(0).",
    by_hand: "unshare --user --map-root-user sh -c 'id; cat /proc/self/uid_map; grep CapEff /proc/self/status'",
    docker: "dockerd --userns-remap (off by default); podman without root; docker run --userns=host switches it off",
    pages: "user_namespaces(7), capabilities(7), newuidmap(1), subuid(5)",
};
