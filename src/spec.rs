//! The one input. Every command (a stage's flags, full-run's, an image's config, a bundle) becomes a [`Spec`]: the OCI
//! runtime-spec's own structure, and beside it the few things which that leaves to the engine (layers, wires, a
//! resolver). Primitives read this and nothing else.

pub mod build;
pub mod devices;
pub mod env;
mod limits;
mod security;
pub mod units;
pub mod userns;

use oci_spec::runtime as oci;
use std::path::PathBuf;

/// What a container is to be.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The runtime-spec's part: process, mounts, namespaces, resources, seccomp, masked paths…
    pub oci: oci::Spec,
    /// Where its root filesystem comes from.
    pub root: Root,
    /// Is the container's root a stranger to whoever owns its layers and directories (root gave it a range of ids)? Then
    /// it sees them through id-mapped mounts.
    pub shifted: bool,
    /// Which of its mounts show volumes of ours.
    pub volumes: Vec<Volume>,
    /// How it is wired.
    pub network: Network,
    /// Which system calls it may make.
    pub seccomp: Seccomp,
    /// The text of /etc/resolv.conf, where the container gets that file, /etc/hosts and /etc/hostname of its own.
    pub resolv_conf: Option<String>,
    /// Is the standard input the caller's (`-i`), or /dev/null?
    pub interactive: bool,
    /// Run the command below a small init that reaps zombies (`--init`).
    pub init: bool,
    /// `--rm`, and every stage: nobody will look at the writable layer again, so it need not reach the disk.
    pub volatile: bool,
    /// A session of its own (full-run), or the caller's, with its terminal (a stage's COMMAND)?
    pub own_session: bool,
}

/// A mount that shows a volume of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The mount's destination.
    pub destination: PathBuf,
    /// The volume's own directory; its files are in `_data` there.
    pub home: PathBuf,
    /// Is it filled, on its first use, with what the root filesystem has there?
    pub copy: bool,
}

/// Where the root filesystem comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// This directory itself; writes go into it.
    Directory(PathBuf),
    /// Read-only layers, the topmost first, under a writable one that is the container's own.
    Layers(Vec<PathBuf>),
}

/// Which system calls a container may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seccomp {
    /// All.
    Unconfined,
    /// Those of the built-in profile.
    Default,
    /// Those of a profile of the user's, compiled as soon as it is read: a mistake in it is told before anything is made.
    Profile(Box<crate::seccomp::Filter>),
}

/// How a container is wired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// A network namespace with only `lo`.
    None,
    /// The host's: no namespace.
    Host,
    /// A veth to our bridge, an address, a route, NAT.
    Bridge,
}

impl Spec {
    /// Is a new namespace of this kind wanted?
    pub fn namespace(&self, kind: oci::LinuxNamespaceType) -> bool {
        let namespaces = self.linux().and_then(|l| l.namespaces().as_ref());
        namespaces.is_some_and(|all| all.iter().any(|n| n.typ() == kind))
    }

    /// The `linux` section.
    pub fn linux(&self) -> Option<&oci::Linux> {
        self.oci.linux().as_ref()
    }

    /// The `linux.resources` section.
    pub fn resources(&self) -> Option<&oci::LinuxResources> {
        self.linux()?.resources().as_ref()
    }

    /// The `linux.resources.cpu` section.
    pub fn cpu(&self) -> Option<&oci::LinuxCpu> {
        self.resources()?.cpu().as_ref()
    }

    /// The `linux.resources.memory` section.
    pub fn memory(&self) -> Option<&oci::LinuxMemory> {
        self.resources()?.memory().as_ref()
    }

    /// The `linux.resources.pids` section: the largest number of processes.
    pub fn pids_limit(&self) -> Option<i64> {
        self.resources()?.pids().as_ref().map(|p| p.limit())
    }

    /// The `linux.resources.blockIO` section.
    pub fn block_io(&self) -> Option<&oci::LinuxBlockIo> {
        self.resources()?.block_io().as_ref()
    }

    /// The `process` section.
    pub fn process(&self) -> Option<&oci::Process> {
        self.oci.process().as_ref()
    }

    /// The mounts, in the order in which they are to be made.
    pub fn mounts(&self) -> &[oci::Mount] {
        self.oci.mounts().as_deref().unwrap_or_default()
    }

    /// The options of the mount at `destination`, if the spec has one there.
    pub fn mount_options(&self, destination: &str) -> Option<&[String]> {
        let mount = self.mounts().iter().find(|m| m.destination() == std::path::Path::new(destination))?;
        Some(mount.options().as_deref().unwrap_or_default())
    }

    /// Does it want a terminal of its own?
    pub fn terminal(&self) -> bool {
        self.process().and_then(|p| p.terminal()).unwrap_or(false)
    }

    /// The command and its arguments; empty when a stage has none.
    pub fn args(&self) -> &[String] {
        self.process().and_then(|p| p.args().as_deref()).unwrap_or_default()
    }

    /// The capabilities that no process of the container can exceed.
    pub fn bounding(&self) -> crate::caps::Set {
        let caps = self.process().and_then(|p| p.capabilities().as_ref());
        caps.and_then(|c| c.bounding().as_ref()).map_or(crate::caps::Set::EMPTY, Into::into)
    }

    /// Is the container's root a user of ours rather than the host's root?
    pub fn userns(&self) -> bool {
        self.namespace(oci::LinuxNamespaceType::User)
    }
}
