//! The one idea: a container is an ordered list of primitives, and a stage is a prefix of that list. [`LIST`] is that
//! list; the subcommands, the help, the man pages, the tables, the labs and the tests are generated from it. Adding a
//! primitive is one new file and one new line.

mod add_net;
mod drop_caps;
mod filter_syscalls;
mod full_run;
mod join_cgroup;
mod limit_cpu;
mod limit_io;
mod limit_memory;
mod limit_pids;
mod map_user;
mod mask_paths;
mod pivot_root;
mod private_mounts;
mod set_hostname;
mod stack_layers;
mod unshare_ipc;
mod unshare_pid;

pub use stack_layers::remove_directory;

use crate::error::{Error, Result};
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::Spec;
use nix::sched::CloneFlags;

/// THE LIST. The order is the kernel's, not ours:
/// - the user namespace first, because it owns all that are made after it (user_namespaces(7));
/// - the cgroup before its namespace, and before anything mounts a view of it (cgroup_namespaces(7));
/// - proc, mqueue and sysfs while the old root is still there: in a user namespace the kernel lets nobody mount them
///   who cannot already see them whole (mount_too_revealing);
/// - masked paths are mounts, so they come before the filter that forbids mount(2);
/// - the filter before the capabilities go: without no_new_privs, loading one takes CAP_SYS_ADMIN (seccomp(2)).
pub static LIST: [&dyn Primitive; 17] = [
    &map_user::MapUser,               // user namespace: root that is not root
    &unshare_pid::UnsharePid,         // PID namespace: become process 1
    &join_cgroup::JoinCgroup,         // counted, frozen and killed as one
    &private_mounts::PrivateMounts,   // mount namespace, its own /proc
    &set_hostname::SetHostname,       // UTS namespace
    &unshare_ipc::UnshareIpc,         // IPC namespace, /dev/shm, mqueue
    &add_net::AddNet,                 // network namespace, veth, bridge, NAT
    &stack_layers::StackLayers,       // overlayfs: layers under one upper
    &pivot_root::PivotRoot,           // its own root; the host's is gone
    &limit_cpu::LimitCpu,             // quota and weight
    &limit_memory::LimitMemory,       // memory and swap
    &limit_pids::LimitPids,           // number of processes
    &limit_io::LimitIo,               // disk bytes and operations a second
    &mask_paths::MaskPaths,           // parts of /proc and /sys hidden
    &filter_syscalls::FilterSyscalls, // seccomp
    &drop_caps::DropCaps,             // rlimits, capabilities, user id
    &full_run::FullRun,               // the command itself
];

/// One kernel primitive: what it is for, when it is wanted, and the code that does it.
///
/// The set-up of a container walks the list once on each side: the parent's `prepare` of all, then clone3, then the
/// child's `inside` of each in order. Where an `inside` needs something done from outside (only the parent may write a
/// uid_map), it says `guest.outside()` and waits. `undo` runs in reverse, also after a crash, from the journal alone.
pub trait Primitive: Sync {
    /// The subcommand, the book's chapter, the lab.
    fn name(&self) -> &'static str;
    /// One line: what it adds.
    fn summary(&self) -> &'static str;
    /// The lesson: see [`Lesson`].
    fn lesson(&self) -> &'static Lesson;
    /// What the machine must offer; `doctor` probes it.
    fn needs(&self) -> &'static [Need] {
        &[]
    }
    /// The facts that it changes. A test holds it to exactly these.
    fn changes(&self) -> &'static [Fact];
    /// Does this container want it?
    fn wanted(&self, _: &Spec) -> bool {
        true
    }
    /// Is it the command itself, before which everybody agrees that all is set up?
    fn is_last(&self) -> bool {
        false
    }
    /// As a stage of its own, with flags under which it is not wanted: why it has nothing to do, and what to do.
    fn idle(&self) -> (&'static str, &'static str) {
        ("the flags leave it out", "leave those flags out")
    }
    /// What clone3 must make, because it cannot be had later: only user and PID namespaces.
    fn clone_flags(&self, _: &Spec) -> CloneFlags {
        CloneFlags::empty()
    }
    /// In the parent, before clone3. What is made here goes to the journal first ([`Host::journal`]).
    fn prepare(&self, _: &mut Host) -> Result<()> {
        Ok(())
    }
    /// In the parent, when the child's `inside` asks for it.
    fn outside(&self, _: &mut Host) -> Result<()> {
        Ok(())
    }
    /// In the child.
    fn inside(&self, _: &mut Guest) -> Result<()> {
        Ok(())
    }
    /// For a command that comes later (`exec`), in the process that will be its parent: joins what only children are born
    /// into, and does what only the host's /proc can be trusted with.
    fn approach(&self, _: &mut Guest) -> Result<()> {
        Ok(())
    }
    /// For a command that comes later, in its own process: joins what `inside` has made for the container, or does to
    /// this process what `inside` did to the container's first one.
    fn join(&self, _: &mut Guest) -> Result<()> {
        Ok(())
    }
    /// In whoever finds the container ended: takes back what `prepare` and `outside` left on the machine, as the
    /// journal tells. Must be harmless when there is nothing, and when half of it is gone.
    fn undo(&self, _: &crate::journal::Made) -> Result<()> {
        Ok(())
    }
}

/// What `explain` teaches about a primitive, besides its summary.
pub struct Lesson {
    /// What it is, in a few sentences.
    pub what: &'static str,
    /// Why a container wants it, and what is wrong without it.
    pub why: &'static str,
    /// The kernel calls and files.
    pub kernel: &'static str,
    /// The same thing with util-linux, iproute2 and a shell.
    pub by_hand: &'static str,
    /// The docker flag or default that does it.
    pub docker: &'static str,
    /// Manual pages and other documents to read on.
    pub pages: &'static str,
}

/// Something that a primitive needs of the machine: a name, a cheap probe (it also runs before a start), and what to
/// do when it is missing.
pub struct Need {
    /// What it is called in `doctor`.
    pub name: &'static str,
    /// Ok, or the reason why not and the remedy. Must cost microseconds.
    pub probe: fn(&Spec) -> std::result::Result<(), Lack>,
}

/// What a machine lacks: the reason and the remedy.
#[derive(Debug, Clone)]
pub struct Lack {
    /// Why not, as a clause: "cgroup … belongs to root".
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl Lack {
    /// A lack as an error of the stage that cannot do without.
    pub fn into_error(self, primitive: &str) -> Error {
        Error::new("this machine cannot do it").why(self.reason).hint(self.remedy).in_primitive(primitive)
    }
}

/// The primitive of that name.
pub fn find(name: &str) -> Option<&'static dyn Primitive> {
    LIST.iter().copied().find(|p| p.name() == name)
}

/// Its place in the list: 0 is `map-user`.
pub fn number(name: &str) -> Option<usize> {
    LIST.iter().position(|p| p.name() == name)
}
