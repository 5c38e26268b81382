//! Flags and an image's config become a [`Spec`]. What a flag does not say is what docker would have said; a stage's
//! defaults are those of full-run, and a few limits besides, so that there is something to see.

use super::{Network, Root, Seccomp, Spec, units};
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::state::State;
use oci_spec::runtime as oci;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The flags, as they were typed. Everything that a primitive can be told is here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // each is the flag of its name; see cli/flags.rs
pub struct Options {
    pub image: Option<String>,
    pub rootfs: Option<PathBuf>,
    pub command: Vec<String>,
    pub entrypoint: Option<String>,
    pub interactive: bool,
    pub tty: bool,
    pub init: bool,
    pub privileged: bool,
    pub read_only: bool,
    pub env: Vec<String>,
    pub env_file: Vec<PathBuf>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub group_add: Vec<String>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub volume: Vec<String>,
    pub mount: Vec<String>,
    pub tmpfs: Vec<String>,
    pub shm_size: Option<String>,
    pub cpus: Option<String>,
    pub cpu_shares: Option<String>,
    pub cpuset_cpus: Option<String>,
    pub memory: Option<String>,
    pub memory_swap: Option<String>,
    pub pids_limit: Option<String>,
    pub device_read_bps: Vec<String>,
    pub device_write_bps: Vec<String>,
    pub device_read_iops: Vec<String>,
    pub device_write_iops: Vec<String>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub security_opt: Vec<String>,
    pub network: Option<String>,
    pub userns: Option<String>,
    pub ulimit: Vec<String>,
    pub device: Vec<String>,
    pub oom_score_adj: Option<String>,
}

/// What the flags are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A stage: all primitives of the prefix, with limits to look at.
    Stage,
    /// full-run: docker's defaults.
    Run,
}

/// The whole Spec.
///
/// # Errors
/// Any flag that cannot be understood or met, named.
pub fn build(options: &Options, purpose: Purpose, state: &State) -> Result<Spec> {
    let root = root(options, purpose, state)?;
    let userns = super::userns::decide(options, state)?;
    let network = network(options)?;
    let caps = crate::caps::resolve(&options.cap_add, &options.cap_drop, options.privileged)?;
    let bounding = caps.bounding().as_ref().map_or(crate::caps::Set::EMPTY, Into::into);
    let security = super::security::parse(options, bounding)?;
    let mut mounts = default_mounts(options, userns.is_some(), &network)?;
    mounts.extend(root.image.iter().flat_map(|i| i.mounts.clone()));
    let (asked, volumes) = volumes(options, purpose, state)?;
    for volume in asked {
        // docker's: a volume over one of the usual mounts takes its place, below what is mounted there later (/dev/pts).
        // What stands at /proc is not to be had.
        let usual = |m: &&mut oci::Mount| m.destination() == volume.destination() && m.typ().as_deref() != Some("proc");
        match mounts.iter_mut().find(usual) {
            Some(usual) => *usual = volume,
            None => mounts.push(volume),
        }
    }
    let mut linux = oci::Linux::default();
    linux
        .set_namespaces(Some(namespaces(&network, userns.is_some())))
        .set_resources(Some(super::limits::resources(options, purpose, state)?))
        .set_devices(Some(super::devices::parse(options, userns.is_some())?))
        .set_masked_paths(Some(if security.masked { strings(&MASKED) } else { vec![] }))
        .set_readonly_paths(Some(if security.masked { strings(&READ_ONLY) } else { vec![] }));
    let shifted = userns.as_ref().is_some_and(|maps| maps.shifted);
    if let Some(map) = userns {
        linux.set_uid_mappings(Some(map.uids)).set_gid_mappings(Some(map.gids));
    }
    let mut process = process(options, purpose, root.image.as_ref())?;
    process.set_capabilities(Some(caps)).set_no_new_privileges(Some(security.no_new_privileges));
    let mut oci_root = oci::Root::default();
    oci_root.set_path("rootfs".into()).set_readonly(Some(options.read_only));
    let mut spec = oci::Spec::default();
    spec.set_process(Some(process))
        .set_root(Some(oci_root))
        .set_mounts(Some(mounts))
        .set_linux(Some(linux))
        .set_hostname(hostname(options, purpose, &network)?)
        .set_domainname(options.domainname.clone());
    // With the host's network, the image's files say nothing false that the host's would not.
    let resolv_conf = (network != Network::Host).then(crate::net::resolv_conf);
    Ok(Spec {
        oci: spec,
        root: root.root,
        shifted,
        volumes,
        network,
        seccomp: security.seccomp,
        resolv_conf,
        interactive: options.interactive || purpose == Purpose::Stage,
        init: options.init,
        volatile: true,
        own_session: purpose == Purpose::Run,
    })
}

/// What a command is to be that comes to a container later: of the container's `options` only what is about a process
/// counts, because all else stands already. With `privileged` it has all capabilities, and (as in docker) the container's
/// filter nevertheless. Is it to join a user namespace?
///
/// # Errors
/// Any flag that cannot be understood, named.
pub fn joining(options: &Options, privileged: bool, userns: bool) -> Result<Spec> {
    let caps = crate::caps::resolve(&options.cap_add, &options.cap_drop, options.privileged)?;
    let bounding = caps.bounding().as_ref().map_or(crate::caps::Set::EMPTY, Into::into);
    let security = super::security::parse(options, bounding)?;
    let mut process = process(options, Purpose::Run, None)?;
    process.set_capabilities(Some(caps)).set_no_new_privileges(Some(security.no_new_privileges));
    let mut linux = oci::Linux::default();
    linux.set_namespaces(Some(namespaces(&Network::Host, userns)));
    let mut spec = oci::Spec::default();
    spec.set_process(Some(process)).set_linux(Some(linux));
    let mut spec = Spec {
        oci: spec,
        root: Root::Layers(vec![]),
        shifted: false,
        volumes: vec![],
        network: Network::Host,
        seccomp: security.seccomp,
        resolv_conf: None,
        interactive: options.interactive,
        init: false,
        volatile: true,
        own_session: true,
    };
    if privileged {
        let filter = crate::seccomp::filter(&spec).map(std::borrow::Cow::into_owned);
        spec.seccomp = filter.map_or(Seccomp::Unconfined, |filter| Seccomp::Profile(Box::new(filter)));
        if let Some(process) = spec.oci.process_mut() {
            process.set_capabilities(Some(crate::caps::resolve(&[], &[], true)?));
        }
    }
    Ok(spec)
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// What docker hides of /proc and /sys (moby's default spec): memory, keys, firmware, timers, power interfaces.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What docker makes read-only: the switches of the whole machine.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

struct ResolvedRoot {
    root: Root,
    image: Option<Image>,
}

fn root(options: &Options, purpose: Purpose, state: &State) -> Result<ResolvedRoot> {
    let Some(dir) = &options.rootfs else {
        let image = image::resolve(options.image.as_deref().unwrap_or("host"), state)?;
        return Ok(ResolvedRoot { root: Root::Layers(image.layers.clone()), image: Some(image) });
    };
    if options.image.is_some() {
        return Err(Error::new("--image and --rootfs are two answers to one question").hint("give one of them"));
    }
    // podman's suffix: DIR:O is DIR under a writable layer of its own.
    let text = dir.to_string_lossy();
    let (dir, overlay) = text.strip_suffix(":O").map_or((dir.as_path(), false), |d| (Path::new(d), true));
    let found = std::fs::canonicalize(dir).map_err(|e| {
        Error::io(format!("stat({}) for --rootfs", dir.display()), &e)
            .hint("--rootfs wants a directory with a root filesystem (debootstrap, or an unpacked image)")
    })?;
    if !found.is_dir() {
        return Err(Error::new(format!("--rootfs {}: not a directory", dir.display()))
            .hint("--rootfs wants a directory with a root filesystem (debootstrap, or an unpacked image)"));
    }
    if found == Path::new("/") {
        return Err(Error::new("--rootfs /: that is the host's own root")
            .why("a container with the host's root filesystem could change the host")
            .hint("the image `host` (boxwright full-run host sh) shows the host's programs, and nothing of it can be written"));
    }
    // A stage leaves the learner's directory as it found it.
    let root = if overlay || purpose == Purpose::Stage { Root::Layers(vec![found]) } else { Root::Directory(found) };
    Ok(ResolvedRoot { root, image: None })
}

fn network(options: &Options) -> Result<Network> {
    match options.network.as_deref().unwrap_or("bridge") {
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        "bridge" | "default" => Ok(Network::Bridge),
        other => Err(Error::new(format!("--network {other}: no such network"))
            .why("networks of one's own are not there yet")
            .hint("--network none, host or bridge")),
    }
}

fn hostname(options: &Options, purpose: Purpose, network: &Network) -> Result<Option<String>> {
    match (&options.hostname, purpose) {
        (Some(name), _) => units::hostname("--hostname", name).map(Some),
        (None, Purpose::Stage) => Ok(Some("box".into())),
        // docker: with the host's network a container has the host's name.
        (None, Purpose::Run) if *network == Network::Host => {
            Ok(nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()))
        }
        // The short id, which is only known when it starts.
        (None, Purpose::Run) => Ok(None),
    }
}

fn namespaces(network: &Network, userns: bool) -> Vec<oci::LinuxNamespace> {
    use oci::LinuxNamespaceType as N;
    let mut kinds = vec![N::Pid, N::Cgroup, N::Mount, N::Uts, N::Ipc];
    if userns {
        kinds.push(N::User);
    }
    if *network != Network::Host {
        kinds.push(N::Network);
    }
    let one = |kind| {
        let mut n = oci::LinuxNamespace::default();
        n.set_typ(kind);
        n
    };
    kinds.into_iter().map(one).collect()
}

/// One entry of `mounts`.
pub fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> oci::Mount {
    let mut m = oci::Mount::default();
    m.set_destination(destination.into())
        .set_typ(Some(kind.into()))
        .set_source(Some(source.into()))
        .set_options(Some(options.iter().map(ToString::to_string).collect()));
    m
}

/// docker's mounts, in docker's order.
fn default_mounts(options: &Options, userns: bool, network: &Network) -> Result<Vec<oci::Mount>> {
    let shm = match &options.shm_size {
        Some(size) => units::bytes("--shm-size", size)?,
        None => 64 << 20,
    };
    let shm = format!("size={shm}");
    let access = if options.privileged { "rw" } else { "ro" };
    // The group `tty` is 5 everywhere, but a user namespace need not map it, and then devpts refuses the option.
    let gid: &[&str] = if userns { &[] } else { &["gid=5"] };
    let pts = [&["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"], gid].concat();
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", &pts),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    // A sysfs shows the network namespace it is made in, and may only be made by whoever owns that: with the host's
    // network in a user namespace, the host's own is bound instead.
    if userns && *network == Network::Host {
        mounts.push(mount("/sys", "bind", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]));
    } else {
        mounts.push(mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]));
    }
    mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", access]));
    Ok(mounts)
}

/// The mounts that are asked for, and those of them that show volumes.
fn volumes(options: &Options, purpose: Purpose, state: &State) -> Result<(Vec<oci::Mount>, Vec<super::Volume>)> {
    let (mut all, mut volumes) = (Vec::new(), Vec::new());
    let parsed = options.volume.iter().map(|text| (text, crate::mounts::parse_volume(text)));
    let parsed = parsed.chain(options.mount.iter().map(|text| (text, crate::mounts::parse_mount(text))));
    for (text, parsed) in parsed {
        let (mut mount, asked) = parsed?;
        if let Some(asked) = asked {
            if purpose == Purpose::Stage {
                return Err(Error::new(format!("{text}: a stage has no volumes"))
                    .why("a volume belongs to containers that are written down, and a stage is gone when it ends")
                    .hint("-v /SOURCE:/TARGET; or boxwright full-run -v …"));
            }
            volumes.extend(volume(&asked, &mut mount, state));
        }
        all.push(mount);
    }
    for t in &options.tmpfs {
        all.push(crate::mounts::parse_tmpfs(t)?);
    }
    for (i, one) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.destination() == one.destination()) {
            return Err(
                Error::new(format!("two mounts at {}", one.destination().display())).hint("leave one of them out")
            );
        }
    }
    Ok((all, volumes))
}

/// Gives the mount of a volume its source. None for a directory of the host that stands for a volume: that is never
/// filled, and keeps its owners as any other bind mount does.
fn volume(asked: &crate::mounts::Volume, mount: &mut oci::Mount, state: &State) -> Option<super::Volume> {
    let all = crate::volume::Volumes::new(state);
    // One without a name gets it before anything is started.
    let name = asked.name.as_deref().unwrap_or("-");
    if let Some(device) = all.get(name).as_ref().and_then(|v| v.device()) {
        mount.set_source(Some(device.into()));
        return None;
    }
    let home = all.home(name);
    mount.set_source(Some(home.join("_data")));
    Some(super::Volume { destination: asked.destination.clone(), home, copy: asked.copy })
}

fn process(options: &Options, purpose: Purpose, image: Option<&Image>) -> Result<oci::Process> {
    let mut process = oci::Process::default();
    let cwd = options.workdir.clone().or_else(|| image.and_then(|i| i.workdir.clone())).unwrap_or_else(|| "/".into());
    if !cwd.starts_with('/') {
        return Err(Error::new(format!("--workdir {cwd}: not an absolute path")).hint(format!("--workdir /{cwd}")));
    }
    process
        .set_terminal(Some(options.tty))
        .set_args(Some(args(options, purpose, image)?))
        .set_cwd(cwd.into())
        .set_env(Some(super::env::build(options, image)?))
        .set_rlimits(Some(super::limits::rlimits(options)?))
        .set_user(user(options)?);
    if let Some(score) = &options.oom_score_adj {
        process.set_oom_score_adj(Some(units::integer("--oom-score-adj", score, -1000, 1000)? as i32));
    }
    Ok(process)
}

/// docker's rule: --entrypoint stands before the command and silences the image's own command; otherwise the words are
/// the command, and no words at all are the image's.
fn args(options: &Options, purpose: Purpose, image: Option<&Image>) -> Result<Vec<String>> {
    if let Some(entry) = options.entrypoint.as_ref().filter(|e| !e.is_empty()) {
        return Ok([std::slice::from_ref(entry), &options.command].concat());
    }
    if !options.command.is_empty() || purpose == Purpose::Stage {
        return Ok(options.command.clone());
    }
    match image {
        Some(image) if !image.command.is_empty() => Ok(image.command.clone()),
        _ => Err(Error::new("no command to run")
            .why("a root filesystem, unlike an image, does not say what runs in it")
            .hint("full-run --rootfs DIR COMMAND [ARG...]")),
    }
}

/// Names are looked up in the container's own /etc/passwd, once it has one; numbers need no looking up.
fn user(options: &Options) -> Result<oci::User> {
    let mut user = oci::User::default();
    user.set_uid(0).set_gid(0);
    let groups = options.group_add.join(",");
    match &options.user {
        Some(name) if name.is_empty() => return Err(Error::new("--user is empty").hint("--user 1000:1000, or a name")),
        Some(name) if groups.is_empty() => user.set_username(Some(name.clone())),
        Some(name) => user.set_username(Some(format!("{name}+{groups}"))),
        None if groups.is_empty() => &mut user,
        None => user.set_username(Some(format!("0+{groups}"))),
    };
    Ok(user)
}
