//! Its own root: the new root filesystem gets its mounts (/proc, /dev, /sys, volumes), and then pivot_root(2) makes it
//! the root of this mount namespace and the host's is unmounted. Not chroot(2): that moves only a pointer of one
//! process, and whoever may call chroot again climbs out; here nothing is left to climb to.

use super::{Lesson, Primitive};
use crate::error::{Error, Result};
use crate::mounts::{self, idmap};
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::{Root, Spec};
use crate::sys;
use crate::sys::fs::{Links, Node};
use crate::sys::mount::Attr;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::mount::MntFlags;
use oci_spec::runtime::LinuxNamespaceType;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// See the head of this file.
pub struct PivotRoot;

impl Primitive for PivotRoot {
    fn name(&self) -> &'static str {
        "pivot-root"
    }

    fn summary(&self) -> &'static str {
        "its own root filesystem, /dev, /sys; the host's root is gone"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::Root, Fact::Mounts]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.namespace(LinuxNamespaceType::Mount)
    }

    /// For a container whose ids are not ours: its directory as its own, and what its volumes show. The way there may be
    /// open to us alone.
    fn outside(&self, host: &mut Host) -> Result<()> {
        if host.made.directory.is_none() {
            let userns = idmap::userns_of(host.child()?)?;
            let (dir, _) = directory(host.spec)?;
            host.hand_over.push(idmap::of(&userns, dir, true).map_err(|e| missing_rootfs(e, dir))?);
        }
        for mount in host.spec.mounts().iter().filter(|m| mounts::is_bind(m)) {
            // What is the user's shows whose it is; what is ours, a volume, is the container's own as its layers are.
            let source = match volume_at(host.spec, mount) {
                Some(volume) => idmap::of(&idmap::userns_of(host.child()?)?, &volume.home, false)?,
                None => mounts::copy_source(mount)?,
            };
            host.hand_over.push(source);
        }
        Ok(())
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        if !guest.has("private-mounts") {
            return Err(Error::new("pivot_root(2) needs a mount namespace")
                .why(
                    "it changes the root of the whole mount namespace, and without `private-mounts` that is the host's",
                )
                .hint("leave `private-mounts` in"));
        }
        let mut handed_over = if guest.shifted() { guest.outside()? } else { vec![] }.into_iter();
        let root = match guest.root.take() {
            Some(stacked) => stacked,
            None if guest.shifted() => shifted_root(guest, handed_over.next())?,
            None => own_root(guest)?,
        };
        // What is made here has exactly the modes that are asked for.
        let umask = sys::fs::umask(0);
        fill(guest, root.as_fd(), handed_over)?;
        sys::fs::umask(umask);
        // ANCHOR: pivot
        sys::process::fchdir(root.as_fd())?;
        // The old root is stacked on the new one's own "/", so no directory is needed to put it, and goes at once.
        // (pivot_root(2), "pivot_root(".", ".")".)
        sys::mount::pivot_root(Path::new("."), Path::new(".")).map_err(|e| {
            e.explain(
                Errno::EINVAL,
                "the current root is the initramfs (it cannot be moved away), or the new root's parent is a shared mount",
                "boot into a real root filesystem",
            )
        })?;
        sys::mount::umount(Path::new("."), MntFlags::MNT_DETACH)?;
        sys::process::chdir(Path::new("/"))?;
        // ANCHOR_END: pivot
        guest.pivoted = true;
        crate::command::terminal::inside(guest)?;
        enter_working_directory(guest.spec)?;
        if guest.spec.oci.root().as_ref().and_then(|r| r.readonly()).unwrap_or(false) {
            // Last, because until now mount points had to be made in it.
            let root = sys::fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
            sys::mount::set_attr(root.as_fd(), Attr::RDONLY, Attr::default(), false)?;
        }
        Ok(())
    }

    /// The root came with the mount namespace. What is left is a terminal from its devpts, and the way to the directory.
    fn join(&self, guest: &mut Guest) -> Result<()> {
        crate::command::terminal::joined(guest)?;
        let Some(process) = guest.spec.process() else { return Ok(()) };
        let root = sys::fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        crate::command::workdir::enter_existing(root.as_fd(), process.cwd())
    }
}

/// Now, because it may have to be made: later the root may be read-only, and the process nobody who could.
fn enter_working_directory(spec: &Spec) -> Result<()> {
    let Some(process) = spec.process() else { return Ok(()) };
    let root = sys::fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    crate::command::workdir::enter(root.as_fd(), process.cwd())
}

/// Where nothing was stacked: the root filesystem's directory, and whether it may only be read.
fn directory(spec: &Spec) -> Result<(&Path, bool)> {
    match &spec.root {
        Root::Directory(dir) => Ok((dir, false)),
        // `--without stack-layers`: there is only the image, and the image is read-only.
        Root::Layers(layers) => {
            layers.first().map(|top| (top.as_path(), true)).ok_or_else(|| Error::new("the image has no layers"))
        }
    }
}

/// The new root, as a mount that is attached somewhere (pivot_root wants a mount point).
fn own_root(guest: &Guest) -> Result<OwnedFd> {
    let (dir, read_only) = directory(guest.spec)?;
    let tree = sys::mount::clone_tree(AT_FDCWD, dir, true).map_err(|e| missing_rootfs(e, dir))?;
    let at = sys::fs::open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY, 0).map_err(|e| missing_rootfs(e, dir))?;
    sys::mount::attach(tree.as_fd(), at.as_fd())?;
    if read_only {
        sys::mount::set_attr(tree.as_fd(), Attr::RDONLY, Attr::default(), false)?;
    }
    Ok(tree)
}

/// The same, for a container whose ids are not the directory's owner's.
fn shifted_root(guest: &Guest, handed_over: Option<OwnedFd>) -> Result<OwnedFd> {
    let tree = handed_over.ok_or_else(|| Error::new("the parent has handed over no root"))?;
    idmap::attach_aside(&tree)?;
    if directory(guest.spec)?.1 {
        sys::mount::set_attr(tree.as_fd(), Attr::RDONLY, Attr::default(), false)?;
    }
    Ok(tree)
}

fn missing_rootfs(e: Error, dir: &Path) -> Error {
    let hint = "--rootfs wants a directory with a root filesystem (debootstrap, or an unpacked image)";
    e.explain(Errno::ENOENT, &format!("there is no {}", dir.display()), hint).explain(
        Errno::ENOTDIR,
        &format!("{} is not a directory", dir.display()),
        hint,
    )
}

fn volume_at<'a>(spec: &'a Spec, mount: &oci_spec::runtime::Mount) -> Option<&'a crate::spec::Volume> {
    spec.volumes.iter().find(|v| v.destination == *mount.destination())
}

/// Fills the volumes that this mount is the first to show, and says what it is to show where the parent handed that over.
fn source(
    spec: &Spec,
    mount: &oci_spec::runtime::Mount,
    root: BorrowedFd<'_>,
    handed_over: Option<OwnedFd>,
) -> Result<Option<OwnedFd>> {
    let Some(volume) = volume_at(spec, mount) else { return Ok(handed_over) };
    let own = match &handed_over {
        Some(_) => None,
        None => Some(sys::fs::open(&volume.home, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?),
    };
    if let Some(home) = handed_over.as_ref().or(own.as_ref()).filter(|_| volume.copy) {
        crate::volume::fill::fill(root, &volume.destination, home.as_fd())?;
    }
    handed_over.map(|home| idmap::copy_part(&home, Path::new("_data"))).transpose()
}

/// All mounts of the spec, in its order (a later one may lie below an earlier one), then devices and /etc.
fn fill(guest: &mut Guest, root: BorrowedFd<'_>, mut handed_over: impl Iterator<Item = OwnedFd>) -> Result<()> {
    let spec = guest.spec;
    // Before the first mount: a volume gets what the root filesystem has in its place, and not what is mounted there.
    let mut sources = Vec::new();
    for mount in spec.mounts() {
        let given = if mounts::is_bind(mount) { handed_over.next() } else { None };
        sources.push(source(spec, mount, root, given)?);
    }
    for (mount, source) in spec.mounts().iter().zip(sources) {
        let destination = mount.destination();
        let made = guest.mounts.iter().position(|(at, _)| at == destination);
        if let Some(made) = made {
            let (_, made) = guest.mounts.swap_remove(made);
            // Behind a link /proc would be somewhere else, and the masks would miss it (CVE-2019-19921).
            let at = mounts::ordinary_directory(root, destination)?;
            sys::mount::attach(made.as_fd(), at.as_fd())?;
        } else if destination == Path::new("/dev") && !mounts::is_bind(mount) {
            make_dev(guest, mount, root)?;
        } else if mount.typ().as_deref() == Some("cgroup") {
            // Without a cgroup of its own there is nothing to show but the host's.
            if guest.has("join-cgroup") {
                mounts::apply_cgroup(root, mount, &guest.made.cgroups)?;
            }
        } else if let Some(hosts) = hosts_own(guest, mount) {
            mounts::apply(root, &hosts)?;
        } else {
            mounts::apply_to(root, mount, source)?;
        }
    }
    write_etc(guest, root)
}

/// In a user namespace proc may be made only with a PID namespace of one's own, and sysfs only with a network namespace:
/// for whoever left those out, the host's are bound in their place.
fn hosts_own(guest: &Guest, mount: &oci_spec::runtime::Mount) -> Option<oci_spec::runtime::Mount> {
    let owner = match mount.typ().as_deref() {
        Some("proc") => "unshare-pid",
        Some("sysfs") => "add-net",
        _ => return None,
    };
    if !guest.spec.userns() || guest.has(owner) {
        return None;
    }
    let mut bind = mount.clone();
    let mut options = mount.options().clone().unwrap_or_default();
    // rro: read-only with all that is mounted below it, such as the cgroup tree.
    options.extend(["rbind".into(), "rro".into()]);
    bind.set_typ(Some("bind".into())).set_source(Some(mount.destination().clone())).set_options(Some(options));
    Some(bind)
}

/// /dev: a tmpfs with the few nodes that every program may expect (runtime-spec, "Default Devices"). It is filled by its
/// descriptor, so that no path of the container's is ever walked for it; but it is attached first, because until Linux
/// 6.15 a node could not be bound into a detached mount.
fn make_dev(guest: &Guest, mount: &oci_spec::runtime::Mount, root: BorrowedFd<'_>) -> Result<()> {
    let parsed = mounts::options(mount.options().as_deref().unwrap_or_default());
    let data: Vec<&str> = parsed.data.iter().map(String::as_str).collect();
    let dev = sys::mount::make("tmpfs", "tmpfs", &data, parsed.set)?;
    sys::mount::attach(dev.as_fd(), mounts::ordinary_directory(root, mount.destination())?.as_fd())?;
    for (name, major, minor) in DEVICES {
        let file = PathBuf::from(name);
        device(guest, dev.as_fd(), &file, Node::Char(major, minor), 0o666, None)?;
    }
    for (link, target) in LINKS {
        sys::fs::symlink_at(target, dev.as_fd(), Path::new(link))?;
    }
    for directory in ["pts", "shm", "mqueue"] {
        sys::fs::mkdir_at(dev.as_fd(), Path::new(directory), 0o755)?;
    }
    for wanted in guest.spec.linux().and_then(|l| l.devices().as_deref()).unwrap_or_default() {
        extra_device(guest, dev.as_fd(), wanted)?;
    }
    Ok(())
}

const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// A node, or in a user namespace (where mknod(2) makes no devices) the host's own node bound in its place.
fn device(guest: &Guest, dev: BorrowedFd<'_>, file: &Path, node: Node, mode: u32, host: Option<&Path>) -> Result<()> {
    if !guest.spec.userns() {
        return sys::fs::mknod_at(dev, file, node, mode);
    }
    let source = host.map_or_else(|| Path::new("/dev").join(file), Path::to_path_buf);
    let tree = sys::mount::clone_tree(AT_FDCWD, &source, false)?;
    sys::fs::mknod_at(dev, file, Node::File, 0o600)?;
    let at = sys::fs::open_at(dev, file, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?;
    sys::mount::attach(tree.as_fd(), at.as_fd())
}

/// A device of `--device`; its path is below /dev, or it would not be a device of this /dev.
fn extra_device(guest: &Guest, dev: BorrowedFd<'_>, wanted: &oci_spec::runtime::LinuxDevice) -> Result<()> {
    use oci_spec::runtime::LinuxDeviceType as T;
    let Ok(below) = wanted.path().strip_prefix("/dev") else {
        return Err(Error::new(format!("the device {} is not below /dev", wanted.path().display()))
            .hint("--device /dev/SOURCE:/dev/TARGET"));
    };
    let (major, minor) = (wanted.major() as u64, wanted.minor() as u64);
    let node = match wanted.typ() {
        T::B => Node::Block(major, minor),
        T::P => Node::Fifo,
        _ => Node::Char(major, minor),
    };
    let mode = wanted.file_mode().unwrap_or(0o666);
    if let Some(parent) = below.parent().filter(|p| !p.as_os_str().is_empty()) {
        let mut so_far = PathBuf::new();
        for part in parent {
            so_far.push(part);
            match sys::fs::mkdir_at(dev, &so_far, 0o755) {
                Err(e) if !e.is(Errno::EEXIST) => return Err(e),
                _ => {}
            }
        }
    }
    match device(guest, dev, below, node, mode, Some(wanted.path())) {
        // One of the default devices, asked for again.
        Err(e) if e.is(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

/// /etc/hosts, /etc/hostname, /etc/resolv.conf: files of a small tmpfs, each bound over the image's own, so that the
/// image (or the directory of `--rootfs`) is not written to.
fn write_etc(guest: &Guest, root: BorrowedFd<'_>) -> Result<()> {
    let Some(resolv_conf) = guest.spec.resolv_conf.clone() else { return Ok(()) };
    let hostname = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    let address = guest.made.net.as_ref().filter(|_| guest.has("add-net")).map(|lease| lease.address);
    let texts = [
        ("/etc/hosts", crate::net::hosts(&hostname, address)),
        ("/etc/hostname", format!("{hostname}\n")),
        ("/etc/resolv.conf", resolv_conf),
    ];
    if sys::fs::open_in_root(root, Path::new("/etc"), OFlag::O_PATH, 0, Links::Inside).is_err() {
        return Ok(());
    }
    let files = sys::mount::make("tmpfs", "etc", &["mode=755"], Attr::NOSUID | Attr::NODEV | Attr::NOEXEC)?;
    // Until Linux 6.15 only what is attached could be bound. So it covers the old root's /etc, and goes with that root.
    let aside = sys::fs::open(Path::new("/etc"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    sys::mount::attach(files.as_fd(), aside.as_fd())?;
    for (path, text) in &texts {
        let name = Path::new(path.trim_start_matches("/etc/"));
        let file = sys::fs::open_at(files.as_fd(), name, OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY, 0o644)?;
        sys::fs::write(&file, text.as_bytes())?;
        let at = match mounts::target(root, Path::new(path), mounts::Kind::File) {
            // A read-only root without such a file has no place for one, and no program that misses it.
            Err(e) if e.is(Errno::EROFS) => continue,
            at => at?,
        };
        let tree = sys::mount::clone_tree(files.as_fd(), name, false)?;
        sys::mount::attach(tree.as_fd(), at.as_fd())?;
    }
    Ok(())
}

static LESSON: Lesson = Lesson {
    what: "Every process resolves `/` through its mount namespace's root mount. pivot_root swaps that mount for another \
           one, and the old one can then be unmounted: whatever was below it has no name any more. Before, the new root \
           gets what a program expects: /proc, a small /dev with a few harmless nodes, /sys, the volumes.",
    why: "So that a container brings its own world (its libraries, its /etc) and cannot reach the host's files. With \
          chroot instead, root walks out again: mkdir x; chroot x; cd ../../../..; chroot ..",
    kernel: "openat2(RESOLVE_IN_ROOT) and move_mount for each mount; mknod for /dev; fchdir(NEW); pivot_root(\".\", \".\"); \
             umount2(\".\", MNT_DETACH); chdir(\"/\")",
    by_hand: "# as root\n\
              unshare --mount sh -c 'mount --bind ROOTFS ROOTFS; cd ROOTFS; mkdir -p old; pivot_root . old; umount -l old; exec sh'",
    docker: "always; docker run --read-only, -v, --tmpfs, --device",
    pages: "pivot_root(2), openat2(2), move_mount(2), mount_setattr(2), chroot(2)",
};
