//! Where a container's cgroup can be made.
//!
//! v1: below the caller's own cgroup in each tree, which need only be writable. v2: `boxwright.slice/boxwright-ID` below
//! a *base*: the top of the tree for root, and for an ordinary user what has been delegated to them (cgroups(7)). The
//! slice between is ours: it holds the controllers on, because the kernel refuses to turn off in the base what a child
//! still passes on (EBUSY), and systemd turns off what it knows no use for.

use super::layout::{Controller, Layout, Seat};
use crate::primitive::Lack;
use crate::spec::Spec;
use nix::unistd::{AccessFlags, Uid, access};
use std::path::{Path, PathBuf};

/// The directory on v2 that all of this machine's boxwright containers are in.
pub const SLICE: &str = "boxwright.slice";
/// Where the caller's own processes go when their cgroup must have none (see [`Base::crowded`]).
pub const CALLER: &str = "boxwright-caller";

/// What will be made for one container.
#[derive(Debug)]
pub struct Plan {
    /// On v2 (or in the v2 tree of a hybrid machine).
    pub unified: Option<Unified>,
    /// On v1.
    pub legacy: Vec<PathBuf>,
}

/// The part of a [`Plan`] that is in the v2 tree.
#[derive(Debug)]
pub struct Unified {
    /// Below what.
    pub base: Base,
    /// The cgroup itself.
    pub group: PathBuf,
    /// The controllers that it needs.
    pub controllers: Vec<&'static str>,
    /// Those that it is counted by, if they can be had for nothing.
    pub counted: Vec<&'static str>,
}

/// A directory of the v2 tree in which we may make cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The directory.
    pub dir: PathBuf,
    /// It has processes (ours) in it, so it cannot pass controllers on before they have moved to a child of it: "no
    /// internal processes" (cgroups(7)). The real root is exempt.
    pub crowded: bool,
}

impl Base {
    /// One that a container is below already.
    pub fn at(dir: &Path) -> Base {
        Base { dir: dir.to_path_buf(), crowded: is_crowded(dir) }
    }
}

/// The controllers that this container's limits need.
pub fn wanted(spec: &Spec) -> Vec<Controller> {
    let cpu = spec.cpu();
    let mut all = Vec::new();
    let mut add = |asked: bool, controller| all.extend(asked.then_some(controller));
    add(cpu.is_some_and(super::cpu_time_asked), Controller::Cpu);
    add(cpu.is_some_and(|c| c.cpus().is_some() || c.mems().is_some()), Controller::Cpuset);
    add(spec.memory().is_some(), Controller::Memory);
    add(spec.pids_limit().is_some_and(|n| n > 0), Controller::Pids);
    add(spec.block_io().is_some(), Controller::Io);
    add(super::devices::wanted(spec), Controller::Devices);
    all
}

/// How many of the trees a container gets a cgroup in, beyond those that its limits need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// No more.
    Limits,
    /// Those that count, too: a container that is kept is looked at (`stats`) and may be limited later (`update`).
    Counted,
    /// Every one of v1's.
    Everywhere,
}

/// What `stats` shows and `update` changes. On v1 a process enters a tree at its start or at the price of a search for
/// all that it has started; v2 can turn a controller on at any time, so there only what counts is turned on.
const COUNTED: [Controller; 5] =
    [Controller::Cpu, Controller::Cpuset, Controller::Memory, Controller::Pids, Controller::Io];
const COUNTED_V2: [&str; 3] = ["memory", "pids", "io"];

/// Must the container have a cgroup of its own in every v1 tree? When it may mount them itself: where it has none, it
/// would see the tree from the top, and the top has release_agent, a program that the kernel runs as the host's root.
pub fn everywhere(spec: &Spec) -> bool {
    !spec.userns() && spec.bounding().has(crate::caps::SYS_ADMIN)
}

/// Decides which cgroups to make.
///
/// As few as will do, because each v1 tree costs 70 to 100 µs: a tree is joined for a limit that is asked for; and one
/// is always joined, so that the container can be counted, frozen and killed as one. That one is the v2 tree, also
/// where it has no controllers (hybrid): clone3 puts the child into it, it freezes, and cgroup.kill kills whatever
/// forks meanwhile. Without one it is v1's freezer.
///
/// # Errors
/// When there is no place at all.
pub fn plan(id: &str, wanted: &[Controller], extent: Extent) -> Result<Plan, Lack> {
    let layout = Layout::ours();
    let name = format!("boxwright-{id}");
    let base = layout.unified.as_ref().and_then(base);
    let mut legacy: Vec<PathBuf> = Vec::new();
    let mut join = |controller| {
        if let Some(seat) = layout.legacy(controller).filter(|s| writable(&s.own)) {
            let group = seat.own.join(&name);
            // cpu and cpuacct and the like are often one tree.
            if !legacy.contains(&group) {
                legacy.push(group);
            }
        }
    };
    wanted.iter().for_each(|&c| join(c));
    if extent != Extent::Limits {
        COUNTED.iter().for_each(|&c| join(c));
    }
    if base.is_none() {
        join(Controller::Freezer);
    }
    // v2's tree counts CPU time by itself, also where the controller is v1's; without that tree there is cpuacct.
    let counts = |seat: &Seat| extent != Extent::Limits && base.is_none() && seat.has("cpuacct");
    let all = |seat: &Seat| extent == Extent::Everywhere || counts(seat);
    if extent != Extent::Limits {
        for seat in layout.legacy.iter().filter(|seat| all(seat) && writable(&seat.own)) {
            let group = seat.own.join(&name);
            if !legacy.contains(&group) {
                legacy.push(group);
            }
        }
    }
    let unified = base.map(|base| Unified {
        group: base.dir.join(SLICE).join(&name),
        controllers: wanted.iter().filter_map(|c| c.v2()).filter(|c| has(&base.dir, c)).collect(),
        // For a limit processes may have to move out of the way, but not for a number to look at.
        counted: match extent {
            Extent::Limits => vec![],
            _ if base.crowded => vec![],
            _ => COUNTED_V2.into_iter().filter(|c| has(&base.dir, c)).collect(),
        },
        base,
    });
    if unified.is_none() && legacy.is_empty() {
        return Err(nowhere(layout));
    }
    Ok(Plan { unified, legacy })
}

/// Can a container of ours be limited by this controller?
///
/// # Errors
/// Why not, and what to do.
pub fn available(controller: Controller) -> Result<(), Lack> {
    let layout = Layout::ours();
    if let Some(seat) = layout.legacy(controller) {
        return if writable(&seat.own) { Ok(()) } else { Err(not_ours_v1(layout, seat)) };
    }
    let name = controller.v2().unwrap_or_default();
    let Some(seat) = &layout.unified else { return Err(no_tree(name)) };
    let Some(base) = base(seat) else { return Err(not_ours_v2(seat)) };
    if has(&base.dir, name) { Ok(()) } else { Err(not_delegated(seat, &base, name)) }
}

/// Where in the v2 tree we may make cgroups and start processes in them.
///
/// A move (and clone3's birth into a cgroup is one) needs write permission on cgroup.procs of the nearest ancestor that
/// both cgroups have in common, so a writable directory elsewhere in the tree is of no use: it must be above us. The top
/// is tried first, because what is made there is in nobody's way; then the parent, where we become neighbours; and last
/// our own cgroup.
fn base(seat: &Seat) -> Option<Base> {
    let parent = seat.own.parent().filter(|p| p.starts_with(&seat.tree.mount));
    let own = Some(seat.own.as_path());
    [Some(seat.tree.mount.as_path()), parent, own].into_iter().flatten().find_map(|dir| {
        let files = ["cgroup.procs", "cgroup.subtree_control"].map(|f| dir.join(f));
        let may = writable(dir) && files.iter().all(|f| access(f, AccessFlags::W_OK).is_ok());
        let crowded = may && is_crowded(dir);
        // Our own processes we may move out of the way, other people's not.
        (may && (!crowded || dir == seat.own)).then(|| Base { dir: dir.to_path_buf(), crowded })
    })
}

fn is_crowded(dir: &Path) -> bool {
    // Only the real root has no cgroup.type, and it may have both processes and children with controllers.
    dir.join("cgroup.type").exists()
        && std::fs::read_to_string(dir.join("cgroup.procs")).is_ok_and(|procs| !procs.is_empty())
}

fn writable(dir: &Path) -> bool {
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

fn has(dir: &Path, controller: &str) -> bool {
    super::words(&dir.join("cgroup.controllers")).iter().any(|c| c == controller)
}

fn nowhere(layout: &Layout) -> Lack {
    match (&layout.unified, layout.legacy.first()) {
        (Some(seat), _) if layout.legacy.is_empty() => not_ours_v2(seat),
        (_, Some(seat)) => not_ours_v1(layout, layout.legacy(Controller::Freezer).unwrap_or(seat)),
        _ => no_tree("cgroup"),
    }
}

fn no_tree(controller: &str) -> Lack {
    Lack {
        reason: format!("this kernel has no {controller} controller, or it is not mounted here"),
        remedy: "mount -t cgroup2 cgroup2 /sys/fs/cgroup, on a kernel that was booted without \
                 cgroup_disable=…; boxwright doctor tells more"
            .into(),
    }
}

fn not_ours_v2(seat: &Seat) -> Lack {
    let own = seat.own.display();
    if read_only(&seat.own) {
        return Lack {
            reason: format!("{own} is mounted read-only (a container around us, most likely)"),
            remedy: "give the outer container a writable cgroup tree: docker run --privileged --cgroupns=private"
                .into(),
        };
    }
    let remedy = if Path::new("/run/systemd/system").exists() {
        "systemd-run --user --scope -p Delegate=yes -- boxwright …".into()
    } else {
        hand_over_v2(seat)
    };
    Lack { reason: format!("neither the cgroup {own} nor the one above it is delegated to you"), remedy }
}

/// What root types to delegate a cgroup where there is no systemd.
fn hand_over_v2(seat: &Seat) -> String {
    let uid = Uid::effective();
    let dir = seat.tree.mount.join(format!("user-{uid}"));
    let (dir, top) = (dir.display(), seat.tree.mount.display());
    format!(
        "as root: echo '+cpu +memory +pids +io' > {top}/cgroup.subtree_control; mkdir -p {dir}/shell; \
         echo '+cpu +memory +pids +io' > {dir}/cgroup.subtree_control; chown -R {uid} {dir}; \
         echo PID-OF-YOUR-SHELL > {dir}/shell/cgroup.procs"
    )
}

fn not_delegated(seat: &Seat, base: &Base, controller: &str) -> Lack {
    let dir = base.dir.display();
    if !has(&seat.tree.mount, controller) {
        return Lack {
            reason: format!("{} has no {controller} controller", seat.tree.mount.display()),
            remedy: format!("boot without cgroup_disable={controller}, and with that controller free of cgroup v1"),
        };
    }
    Lack {
        reason: format!("the {controller} controller is not delegated to {dir}"),
        remedy: "as root: systemctl edit user@.service, add the lines [Service] and \
                 Delegate=cpu cpuset io memory pids, then systemctl daemon-reload and log in anew"
            .into(),
    }
}

fn not_ours_v1(layout: &Layout, seat: &Seat) -> Lack {
    if read_only(&seat.own) {
        return Lack {
            reason: format!("{} is mounted read-only (a container around us, most likely)", seat.own.display()),
            remedy: "give the outer container a writable cgroup tree: docker run --privileged".into(),
        };
    }
    let uid = Uid::effective();
    let dirs: Vec<String> =
        [Controller::Cpu, Controller::Memory, Controller::Pids, Controller::Io, Controller::Freezer]
            .iter()
            .filter_map(|&c| layout.legacy(c))
            .map(|s| s.own.join(format!("user-{uid}")).display().to_string())
            .collect();
    Lack {
        reason: format!("{} belongs to somebody else (cgroup v1 delegates nothing by itself)", seat.own.display()),
        remedy: format!(
            "as root: for d in {}; do mkdir -p $d && chown -R {uid} $d && echo PID-OF-YOUR-SHELL > $d/tasks; done",
            dirs.join(" ")
        ),
    }
}

fn read_only(dir: &Path) -> bool {
    access(dir, AccessFlags::W_OK) == Err(nix::errno::Errno::EROFS)
}
