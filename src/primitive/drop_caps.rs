//! The last of root's power goes: resource limits, user and group, and of the 41 capabilities all but docker's 14. After
//! this the process is what the command will be.
//!
//! The order matters, because every step takes a privilege that a later one gives up:
//! 1. limits and the OOM score may only be raised with CAP_SYS_RESOURCE, and /proc/self belongs to root once the user id
//!    has changed (the process is then not "dumpable" until execve, proc(5));
//! 2. the bounding set can only be cut with CAP_SETPCAP in the effective set;
//! 3. groups before the user (CAP_SETGID goes with user 0), the user while there is CAP_SETUID;
//! 4. the capability sets after the user, who would lose them otherwise; no more than the command may have;
//! 5. no_new_privs last: it takes nothing and gives nothing, but a filter may follow it (see `filter-syscalls`).

use super::{Lesson, Primitive};
use crate::caps::{self, Set};
use crate::error::{Error, Result};
use crate::observe::Fact;
use crate::spawn::Guest;
use crate::spec::{Seccomp, Spec};
use crate::sys::caps::{self as call, Sets};
use crate::sys::{fs, process};
use nix::errno::Errno;
use oci_spec::runtime::{self as oci, PosixRlimitType as Limit};
use std::path::Path;

/// See the head of this file.
pub struct DropCaps;

impl Primitive for DropCaps {
    fn name(&self) -> &'static str {
        "drop-caps"
    }

    fn summary(&self) -> &'static str {
        "capabilities, user, resource limits: what is left of root"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    /// Besides, on request: limits, user and groups, no_new_privs, the inheritable and ambient sets.
    fn changes(&self) -> &'static [Fact] {
        // The caller's supplementary groups go too, if there are any.
        &[Fact::Groups, Fact::CapEff, Fact::CapPrm, Fact::CapBnd]
    }

    /// The score: here, where /proc is the host's. The container's own may be a trap, which its root has mounted there to
    /// have it written elsewhere (CVE-2019-16884, CVE-2025-52881).
    fn approach(&self, guest: &mut Guest) -> Result<()> {
        guest.spec.process().and_then(|p| p.oom_score_adj()).map_or(Ok(()), oom_score)
    }

    fn join(&self, guest: &mut Guest) -> Result<()> {
        self.inside(guest)
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        let filtered = matches!(guest.spec.seccomp, Seccomp::Profile(_)) && !crate::seccomp::is_late(guest);
        // A reason that is known better stays.
        drop_all(guest).map_err(|e| match filtered {
            true => e
                .why("the container's own seccomp profile is already in force, and may refuse it")
                .hint("allow the call in the profile, or --security-opt no-new-privileges: then it is loaded last"),
            false => e,
        })
    }
}

// ANCHOR: order
fn drop_all(guest: &mut Guest) -> Result<()> {
    let spec = guest.spec;
    let Some(process) = spec.process() else { return Ok(()) };
    if let Some(score) = process.oom_score_adj().filter(|_| !guest.joins()) {
        oom_score(score)?;
    }
    for limit in process.rlimits().iter().flatten() {
        set_limit(limit)?;
    }
    let user = guest.user()?;
    let keep = Keep::of(process.capabilities().as_ref(), user.uid);
    cut_bounding(keep.bounding)?;
    set_groups(spec, &user.groups)?;
    process::setgid(user.gid).map_err(|e| not_mapped(e, "group", user.gid, "/etc/subgid"))?;
    if keep.over_setuid(user.uid) {
        call::keep_over_setuid()?;
    }
    process::setuid(user.uid).map_err(|e| not_mapped(e, "user", user.uid, "/etc/subuid"))?;
    set_capabilities(&keep)?;
    if process.no_new_privileges().unwrap_or(false) {
        call::no_new_privs()?;
    }
    Ok(())
}
// ANCHOR_END: order

/// The capabilities that remain.
struct Keep {
    bounding: Set,
    sets: Sets,
    ambient: Set,
}

impl Keep {
    /// What the spec says (nothing: none), as far as `uid` can have it. A user other than root keeps permitted
    /// capabilities over execve only as ambient ones (capabilities(7), "Transformation of capabilities"), so without
    /// ambient or inheritable ones there is no use in holding any until then; docker leaves such users none either.
    fn of(caps: Option<&oci::LinuxCapabilities>, uid: u32) -> Keep {
        let set = |of: fn(&oci::LinuxCapabilities) -> &Option<oci::Capabilities>| {
            caps.and_then(|c| of(c).as_ref()).map_or(Set::EMPTY, Set::from)
        };
        let (inheritable, ambient) = (set(oci::LinuxCapabilities::inheritable), set(oci::LinuxCapabilities::ambient));
        let mut sets = Sets {
            effective: set(oci::LinuxCapabilities::effective),
            permitted: set(oci::LinuxCapabilities::permitted),
            inheritable,
        };
        if uid != 0 && inheritable.is_empty() && ambient.is_empty() {
            sets = Sets::default();
        }
        Keep { bounding: set(oci::LinuxCapabilities::bounding), sets, ambient }
    }

    /// Must the permitted set survive the change of user? The kernel empties it when the last id ceases to be 0.
    fn over_setuid(&self, uid: u32) -> bool {
        uid != 0 && !self.sets.permitted.is_empty()
    }
}

fn oom_score(score: i32) -> Result<()> {
    let e = match fs::write_file(Path::new("/proc/self/oom_score_adj"), &score.to_string()) {
        Ok(()) => return Ok(()),
        Err(e) => e,
    };
    Err(e.explain(
        Errno::EACCES,
        "to be killed later than now takes CAP_SYS_RESOURCE",
        "a higher --oom-score-adj, or run as root",
    ))
}

fn set_limit(limit: &oci::PosixRlimit) -> Result<()> {
    let name = limit.typ().to_string();
    process::set_limit(&name, resource(limit.typ()), limit.soft(), limit.hard()).map_err(|e| {
        let short = name.trim_start_matches("RLIMIT_").to_ascii_lowercase();
        e.explain(
            Errno::EPERM,
            "a hard limit can only be raised with CAP_SYS_RESOURCE (and the number of files not above fs.nr_open)",
            &format!("--ulimit {short}=N with N up to the limit in force (prlimit --{short}), or run as root"),
        )
        .explain(Errno::EINVAL, "the soft limit is above the hard one", &format!("--ulimit {short}=SOFT:HARD"))
    })
}

/// The number of a limit; the names are OCI's and the kernel's.
fn resource(limit: Limit) -> u32 {
    match limit {
        Limit::RlimitCpu => libc::RLIMIT_CPU,
        Limit::RlimitFsize => libc::RLIMIT_FSIZE,
        Limit::RlimitData => libc::RLIMIT_DATA,
        Limit::RlimitStack => libc::RLIMIT_STACK,
        Limit::RlimitCore => libc::RLIMIT_CORE,
        Limit::RlimitRss => libc::RLIMIT_RSS,
        Limit::RlimitNproc => libc::RLIMIT_NPROC,
        Limit::RlimitNofile => libc::RLIMIT_NOFILE,
        Limit::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        Limit::RlimitAs => libc::RLIMIT_AS,
        Limit::RlimitLocks => libc::RLIMIT_LOCKS,
        Limit::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        Limit::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        Limit::RlimitNice => libc::RLIMIT_NICE,
        Limit::RlimitRtprio => libc::RLIMIT_RTPRIO,
        Limit::RlimitRttime => libc::RLIMIT_RTTIME,
    }
}

// ANCHOR: bounding
/// Only what is there is taken out: then the trace tells what changed, and where nothing is to be cut, nothing is
/// needed.
fn cut_bounding(keep: Set) -> Result<()> {
    for number in 0..64 {
        match call::bounding_has(number) {
            None => break,
            Some(true) if !keep.has(number) => call::bounding_drop(number).map_err(|e| {
                e.explain(
                    Errno::EPERM,
                    "the bounding set can only be cut with CAP_SETPCAP, which whoever called boxwright does not have",
                    "run it with CAP_SETPCAP, or with a user namespace (--userns auto)",
                )
            })?,
            Some(_) => {}
        }
    }
    Ok(())
}
// ANCHOR_END: bounding

/// Where a user namespace was made without privilege, nobody may shed groups: one that is a member of a group may be
/// meant to have less by it (CVE-2014-8989). With none asked for, there is then nothing to do.
fn set_groups(spec: &Spec, groups: &[u32]) -> Result<()> {
    let denied = || std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|t| t.trim() == "deny");
    if spec.userns() && groups.is_empty() && denied() {
        return Ok(());
    }
    process::setgroups(groups).map_err(|e| {
        e.explain(
            Errno::EPERM,
            "this user namespace has one group only, and others may not be had or left (user_namespaces(7))",
            "a range of groups for your user in /etc/subgid, and the programs newuidmap and newgidmap",
        )
        .explain(
            Errno::EINVAL,
            "the user namespace does not map one of these groups",
            "boxwright explain map-user",
        )
    })
}

fn not_mapped(e: Error, kind: &str, id: u32, file: &str) -> Error {
    e.explain(
        Errno::EINVAL,
        &format!("the container's user namespace has no {kind} {id}"),
        &format!("a {kind} that it maps (boxwright explain map-user), or a larger range in {file}"),
    )
}

fn set_capabilities(keep: &Keep) -> Result<()> {
    call::capset(keep.sets).map_err(|e| {
        let missing = keep.sets.permitted.or(keep.sets.inheritable).without(call::held().permitted);
        if missing.is_empty() {
            return e;
        }
        let names = missing.names();
        e.explain(
            Errno::EPERM,
            &format!("a process can only keep what it holds, and it does not hold {}", names.join(", ")),
            &format!("leave out --cap-add {}; or --userns auto", names.join(" --cap-add ")),
        )
    })?;
    // The kernel keeps the ambient set within the inheritable one: with that empty, it is.
    if keep.sets.inheritable.is_empty() {
        return Ok(());
    }
    call::ambient_clear()?;
    for number in keep.ambient.numbers() {
        call::ambient_raise(number).map_err(|e| {
            e.explain(
                Errno::EPERM,
                &format!("{} is ambient, but not both permitted and inheritable", caps::name(number)),
                "process.capabilities: name it in all three sets",
            )
        })?;
    }
    Ok(())
}

static LESSON: Lesson = Lesson {
    what: "Root's power is divided into 41 capabilities, and a process has five sets of them: effective (in force), \
           permitted (may be put in force), inheritable, ambient (what a program keeps that is not root's) and \
           bounding (the most that a program's file can give). This stage cuts the bounding, permitted and \
           effective sets to the 14 that docker leaves a container, sets resource limits, and becomes the user and \
           group that the command shall run as.",
    why: "User 0 in a container without a user namespace is user 0 of the host. What it may not do, it may not do \
          because of missing capabilities: mount, load modules, set the clock, configure the network, trace others, \
          read any file by its number. Without this stage a container's root is one step from the host's. The \
          bounding set is what counts in the end: root gains all of it whenever it starts a program.",
    kernel: "prctl(PR_CAPBSET_DROP, CAP), setgroups, setresgid, prctl(PR_SET_KEEPCAPS), setresuid, capset, \
             prctl(PR_CAP_AMBIENT, …), prctl(PR_SET_NO_NEW_PRIVS, 1), prlimit64; /proc/PID/status: CapInh, CapPrm, \
             CapEff, CapBnd, CapAmb, NoNewPrivs; /proc/PID/limits; /proc/self/oom_score_adj",
    by_hand: "# as root\n\
              grep Cap /proc/self/status; capsh --decode=00000000a80425fb\n\
              setpriv --bounding-set -all,+chown,+kill,+setuid,+setgid --inh-caps -all sh\n\
              setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs id\n\
              prlimit --nofile=64 sh -c 'ulimit -n'",
    docker: "--cap-add, --cap-drop, --privileged; -u, --group-add; --ulimit; --oom-score-adj; --security-opt \
             no-new-privileges",
    pages: "capabilities(7), capset(2), prctl(2), credentials(7), setpriv(1), prlimit(2), user_namespaces(7)",
};

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::CloneFlags;

    const NET_RAW: Set = Set::of(&[13]);

    #[test]
    fn another_user_keeps_nothing_unless_it_is_ambient() {
        let docker = caps::as_oci(Set::DOCKER);
        assert_eq!(Keep::of(Some(&docker), 0).sets.permitted, Set::DOCKER);
        let keep = Keep::of(Some(&docker), 1000);
        assert_eq!((keep.bounding, keep.sets), (Set::DOCKER, Sets::default()));
        assert!(!keep.over_setuid(1000));
        let mut ambient = docker;
        ambient.set_inheritable(Some(NET_RAW.into())).set_ambient(Some(NET_RAW.into()));
        let keep = Keep::of(Some(&ambient), 1000);
        assert_eq!((keep.ambient, keep.sets.permitted), (NET_RAW, Set::DOCKER));
        assert!(keep.over_setuid(1000) && !keep.over_setuid(0));
        assert_eq!(Keep::of(None, 0).sets, Sets::default());
    }

    #[test]
    fn the_sets_become_what_was_asked() {
        const SKIPPED: i32 = 77;
        let Some(pid) = process::fork().unwrap() else {
            // In a user namespace of its own every process has all of them to drop.
            if process::unshare(CloneFlags::CLONE_NEWUSER).is_err() {
                process::exit_now(SKIPPED);
            }
            let sets = Sets { effective: NET_RAW, permitted: NET_RAW, inheritable: NET_RAW };
            let keep = Keep { bounding: Set::DOCKER, sets, ambient: NET_RAW };
            let done = cut_bounding(keep.bounding).and_then(|()| set_capabilities(&keep)).is_ok();
            let left = (0..41).filter(|n| call::bounding_has(*n) == Some(true)).collect::<Vec<_>>();
            let more = set_capabilities(&Keep { sets: Sets { permitted: Set::DOCKER, ..sets }, ..keep });
            let refused = more.is_err_and(|e| e.why.is_some_and(|w| w.contains("CAP_CHOWN")));
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let ambient = status.contains("CapAmb:\t0000000000002000");
            let right = done && Set::of(&left) == Set::DOCKER && call::held() == sets && refused && ambient;
            process::exit_now(i32::from(!right));
        };
        match process::wait(pid).unwrap() {
            process::End::Code(SKIPPED) => eprintln!("skipped: no user namespaces here"),
            end => assert_eq!(end, process::End::Code(0)),
        }
    }
}
