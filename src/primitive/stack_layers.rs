//! The layers of an image, stacked: overlayfs shows read-only directories, one above the other, under a writable one that
//! is the container's own. Many containers share the layers, and each believes that it may write everywhere.

use super::{Lack, Lesson, Need, Primitive};
use crate::error::{Error, Result};
use crate::journal::Made;
use crate::mounts::idmap;
use crate::observe::Fact;
use crate::remove::remove_tree;
use crate::spawn::{Guest, Host};
use crate::spec::{Root, Spec, userns};
use crate::state::make_private;
use crate::sys;
use crate::sys::process::End;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::statfs::{FsType, NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, statfs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// See the head of this file.
pub struct StackLayers;

impl Primitive for StackLayers {
    fn name(&self) -> &'static str {
        "stack-layers"
    }

    fn summary(&self) -> &'static str {
        "overlayfs: read-only image layers under one writable layer"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "overlay", probe: probe_overlay }]
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::Mounts]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        matches!(spec.root, Root::Layers(_))
    }

    fn prepare(&self, host: &mut Host) -> Result<()> {
        let containers = host.state.lib.join("containers");
        let directory = containers.join(&host.made.id);
        host.journal(|made| made.directory = Some(directory.clone()))?;
        make_directories(&containers, &directory, host.made.kept).map_err(|e| {
            e.explain(
                Errno::ENOSPC,
                "the disk with the state directory is full",
                "make room, or --root DIR on another disk",
            )
            .explain(
                Errno::EROFS,
                "the state directory is on a read-only file system",
                "--root DIR on another one",
            )
        })
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        if !guest.has("private-mounts") {
            return Err(Error::new("stacking layers needs a mount namespace")
                .why("without `private-mounts` the overlay would be mounted for the whole host")
                .hint("leave `private-mounts` in"));
        }
        let (Root::Layers(layers), Some(directory)) = (&guest.spec.root, &guest.made.directory) else { return Ok(()) };
        if guest.shifted() {
            let handed_over = guest.outside()?;
            guest.root =
                Some(mount_shifted(&handed_over, &flags(guest.spec)).map_err(|e| explain(e, directory, layers, true))?);
            return Ok(());
        }
        if guest.spec.userns() {
            own_upper(directory)?;
        }
        mount(directory, layers, &flags(guest.spec)).map_err(|e| explain(e, directory, layers, guest.spec.userns()))?;
        let merged = sys::fs::open(&directory.join("merged"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        guest.root = Some(merged);
        Ok(())
    }

    /// For a container whose ids are not ours: its directory and the layers, as its own.
    fn outside(&self, host: &mut Host) -> Result<()> {
        let (Root::Layers(layers), Some(directory)) = (&host.spec.root, &host.made.directory) else { return Ok(()) };
        let userns = idmap::userns_of(host.child()?)?;
        for dir in [directory].into_iter().chain(layers) {
            host.hand_over.push(idmap::of(&userns, dir, false)?);
        }
        Ok(())
    }

    fn undo(&self, made: &Made) -> Result<()> {
        made.directory.as_ref().filter(|_| !made.kept).map_or(Ok(()), |directory| remove_directory(directory))
    }
}

/// Removes a container's directory, with all that its users have written.
///
/// # Errors
/// EACCES for what belongs to ids that are not ours.
pub fn remove_directory(directory: &Path) -> Result<()> {
    match remove_tree(directory) {
        // What the container's other users have made belongs to ids of our range in /etc/subuid.
        Err(e) if (e.is(Errno::EACCES) || e.is(Errno::EPERM)) && !nix::unistd::geteuid().is_root() => {
            remove_as_their_root(directory)
        }
        other => other,
    }
}

fn make_directories(containers: &Path, directory: &Path, kept: bool) -> Result<()> {
    match sys::fs::mkdir(directory, 0o700) {
        Err(e) if e.is(Errno::ENOENT) => {
            make_private(containers)?;
            sys::fs::mkdir(directory, 0o700)?;
        }
        // A container that is kept: it has its directory, and from the second start on its layer.
        Err(e) if kept && e.is(Errno::EEXIST) => {
            remove_tree(&directory.join("l"))?;
            forget_volatile(directory)?;
            if directory.join("merged").exists() {
                return Ok(());
            }
        }
        made => made?,
    }
    // The two must be on one file system, because a file is prepared in `work` and then renamed into `upper`.
    for (name, mode) in [("upper", 0o755), ("work", 0o700), ("merged", 0o700)] {
        match sys::fs::mkdir(&directory.join(name), mode) {
            // An earlier start was killed between two of them.
            Err(e) if kept && e.is(Errno::EEXIST) => {}
            made => made?,
        }
    }
    // The upper one is the root of the container, which every user in it must be able to enter; a strict umask may have
    // made it ours alone.
    let upper = directory.join("upper");
    let failed = |e| Error::io(format!("chmod({}, 0755)", upper.display()), &e);
    if upper.metadata().map_err(failed)?.mode() & 0o777 != 0o755 {
        std::fs::set_permissions(&upper, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    Ok(())
}

/// The mark of `volatile`, by which overlayfs knows after a crash that what is in the layer may not be whole. This is the
/// same boot, or the container would have been removed.
fn forget_volatile(directory: &Path) -> Result<()> {
    let work = directory.join("work/work");
    // overlayfs makes it for nobody to enter, and an ordinary user who owns it is somebody.
    let _ = std::fs::set_permissions(&work, std::fs::Permissions::from_mode(0o700));
    remove_tree(&work.join("incompat"))
}

/// The container's directory and its layers have come as id-mapped mounts. One place is enough to attach them: the
/// layers find theirs in the directory.
fn mount_shifted(handed_over: &[OwnedFd], flags: &str) -> Result<OwnedFd> {
    let Some((directory, layers)) = handed_over.split_first() else {
        return Err(Error::new("the parent has handed over no layers"));
    };
    idmap::attach_aside(directory)?;
    let at = |name: &str| sys::fs::open_at(directory.as_fd(), Path::new(name), OFlag::O_PATH | OFlag::O_DIRECTORY, 0);
    sys::fs::mkdir_at(directory.as_fd(), Path::new("l"), 0o700)?;
    for (number, layer) in layers.iter().enumerate() {
        let name = format!("l/{number}");
        sys::fs::mkdir_at(directory.as_fd(), Path::new(&name), 0o700)?;
        sys::mount::attach(layer.as_fd(), at(&name)?.as_fd())?;
    }
    let back = sys::fs::open(Path::new("."), OFlag::O_PATH | OFlag::O_DIRECTORY, 0).ok();
    sys::process::fchdir(directory.as_fd())?;
    mount_short(layers.len(), flags)?;
    go_back(back)?;
    at("merged")
}

/// With `--userns keep-id` whoever made the directories is not the container's root; but the root of a container is.
fn own_upper(directory: &Path) -> Result<()> {
    let upper = directory.join("upper");
    match upper.metadata() {
        Ok(found) if (found.uid(), found.gid()) == (0, 0) => Ok(()),
        _ => sys::fs::chown_at(AT_FDCWD, &upper, 0, 0).map_err(|e| {
            e.why(format!("the container's root cannot enter {}: it belongs to a user that its map leaves out", directory.display()))
                .hint("--userns host, or run it as an ordinary user; --rootfs DIR with a directory of the container's own ids")
        }),
    }
}

// ANCHOR: flags
fn flags(spec: &Spec) -> String {
    // In a user namespace nobody may write `trusted.` attributes, and overlayfs keeps its marks in `user.` ones; and it
    // trusts no redirection found there. Else redirections are off: a layer that has them cannot be packed as an image.
    let mut flags = String::from(if spec.userns() { ",userxattr" } else { ",redirect_dir=off" });
    if spec.volatile {
        // No sync when it is unmounted (overlayfs.rst, "Volatile mount"): that costs up to 68 ms on a busy disk. Such an
        // upper may not be mounted again, and nobody will.
        flags.push_str(",volatile");
    }
    flags
}
// ANCHOR_END: flags

/// mount(2) copies one page of options, and the last byte of it ends the string.
const LONGEST: usize = 4095;

fn mount(directory: &Path, layers: &[PathBuf], flags: &str) -> Result<()> {
    // ANCHOR: mount
    let names: Vec<_> = layers.iter().map(|l| l.display().to_string()).collect();
    let own = directory.display();
    let options = format!("lowerdir={},upperdir={own}/upper,workdir={own}/work{flags}", names.join(":"));
    // Three characters mean something to the parser of options, and what is no UTF-8 does not survive as text.
    let plain = layers.iter().map(PathBuf::as_path).chain([directory]).all(is_plain);
    if plain && options.len() <= LONGEST {
        return sys::mount::mount(
            "overlay",
            &directory.join("merged"),
            Some("overlay"),
            MsFlags::empty(),
            Some(&options),
        );
    }
    // ANCHOR_END: mount
    // Short names then: a symbolic link for each layer, seen from the container's own directory.
    let back = sys::fs::open(Path::new("."), OFlag::O_PATH | OFlag::O_DIRECTORY, 0).ok();
    sys::process::chdir(directory)?;
    sys::fs::mkdir(Path::new("l"), 0o700)?;
    for (number, layer) in layers.iter().enumerate() {
        sys::fs::symlink_at(layer, AT_FDCWD, Path::new(&format!("l/{number}")))?;
    }
    mount_short(layers.len(), flags)?;
    go_back(back)
}

/// In the container's own directory, with its layers below `l`.
fn mount_short(layers: usize, flags: &str) -> Result<()> {
    let names: Vec<_> = (0..layers).map(|n| format!("l/{n}")).collect();
    let options = format!("lowerdir={},upperdir=upper,workdir=work{flags}", names.join(":"));
    sys::mount::mount("overlay", Path::new("merged"), Some("overlay"), MsFlags::empty(), Some(&options))
}

fn go_back(back: Option<OwnedFd>) -> Result<()> {
    back.map_or_else(|| sys::process::chdir(Path::new("/")), |back| sys::process::fchdir(back.as_fd()))
}

fn is_plain(path: &Path) -> bool {
    path.to_str().is_some_and(|p| !p.contains([':', ',', '\\', '"']))
}

/// OVL_MAX_STACK of the kernel.
const MOST_LAYERS: usize = 500;

fn explain(e: Error, directory: &Path, layers: &[PathBuf], userns: bool) -> Error {
    let below: Option<FsType> = statfs(directory).ok().map(|s| s.filesystem_type());
    if e.is(Errno::ENOENT)
        && let Some(missing) = layers.iter().find(|l| !l.exists())
    {
        return e
            .why(format!("the layer {} is gone", missing.display()))
            .hint("the image must be fetched or made again");
    }
    if layers.len() > MOST_LAYERS {
        return e
            .why(format!("{} layers; overlayfs stacks {MOST_LAYERS} at most", layers.len()))
            .hint("squash the image");
    }
    let other_disk = "--root DIR (or BOXWRIGHT_ROOT) on a local disk: ext4, xfs, btrfs or tmpfs";
    let e = match below {
        Some(OVERLAYFS_SUPER_MAGIC) => e.why("the state directory is on an overlay itself (we may run in a container), and overlayfs takes no overlay as its writable layer"),
        Some(NFS_SUPER_MAGIC) => e.why("the state directory is on NFS, which lacks what overlayfs wants of its writable layer (whiteouts, attributes)"),
        _ => e,
    };
    if e.why.is_some() {
        return e.hint(other_disk);
    }
    let userns_why = "before Linux 5.11 only root may mount an overlay; some distributions forbid it to others still";
    let e = if userns { e.explain(Errno::EPERM, userns_why, "a newer kernel, or run as root") } else { e };
    e.explain(Errno::ENODEV, "this kernel has no overlayfs", "modprobe overlay")
        .explain(
            Errno::EINVAL,
            "the state directory's file system lacks what overlayfs wants of its writable layer (whiteouts, attributes, \
             d_type), or too many overlays are stacked; the kernel's log says which (dmesg | grep overlay)",
            other_disk,
        )
        .explain(Errno::ENOSPC, "the disk with the state directory is full, or fs.mount-max is reached", "df; sysctl fs.mount-max")
        .explain(Errno::EACCES, "a layer is in a directory that you may not enter", "namei -l LAYER shows which")
}

/// An ordinary user may not delete what belongs to the ids of their range: but root in a user namespace may that maps
/// this range, as the container's did. A child becomes that root.
fn remove_as_their_root(directory: &Path) -> Result<()> {
    let failed = |e: Errno| {
        Error::call(format!("unlinkat({})", directory.display()), e)
            .why("it holds files of the container's other users")
            .hint(format!("podman unshare rm -rf {0}, or as root: rm -rf {0}", directory.display()))
    };
    let (ready, said) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e))?;
    let (mapped, map) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e))?;
    let wait = |fd: &_| nix::unistd::read(fd, &mut [0]).is_ok_and(|n| n == 1);
    let Some(child) = sys::process::fork()? else {
        drop((ready, map));
        let removed = sys::process::unshare(CloneFlags::CLONE_NEWUSER).and_then(|()| {
            let _ = nix::unistd::write(&said, b".");
            // End of file: there is no map, so there is no right to remove anything.
            if wait(&mapped) { remove_tree(directory) } else { Err(failed(Errno::EPERM)) }
        });
        sys::process::exit_now(removed.err().map_or(0, |e| e.errno.unwrap_or(libc::EIO)))
    };
    drop((said, mapped));
    let maps = userns::rootless();
    let written =
        if wait(&ready) { super::map_user::write_maps(child.as_raw(), &maps.uids, &maps.gids) } else { Ok(()) };
    if written.is_ok() {
        let _ = nix::unistd::write(&map, b".");
    }
    drop(map);
    let ended = sys::process::wait(child)?;
    written?;
    match ended {
        End::Code(0) => Ok(()),
        End::Code(errno) => Err(failed(Errno::from_raw(errno))),
        End::Signal(_) => Err(failed(Errno::EINTR)),
    }
}

fn probe_overlay(spec: &Spec) -> std::result::Result<(), Lack> {
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|t| t.lines().any(|l| l.ends_with("\toverlay")));
    let uname = nix::sys::utsname::uname().ok();
    let release = uname.as_ref().and_then(|u| u.release().to_str()).unwrap_or_default();
    // mount(2) loads a module that is there.
    if !known && !Path::new("/lib/modules").join(release).join("kernel/fs/overlayfs").exists() {
        return Err(Lack {
            reason: "this kernel has no overlayfs".into(),
            remedy: "modprobe overlay, or a kernel with CONFIG_OVERLAY_FS; --rootfs DIR needs none".into(),
        });
    }
    if spec.shifted && version(release).is_some_and(|v| v < (5, 19)) {
        return Err(Lack {
            reason: format!("before Linux 5.19 an overlay takes no id-mapped layers, and this is {release}"),
            remedy: "a newer kernel, or --userns host; --rootfs DIR needs none".into(),
        });
    }
    if spec.userns() && version(release).is_some_and(|v| v < (5, 11)) {
        return Err(Lack {
            reason: format!("before Linux 5.11 only root may mount an overlay, and this is {release}"),
            remedy: "a newer kernel, or run as root; --rootfs DIR needs none".into(),
        });
    }
    Ok(())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-']).map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

static LESSON: Lesson = Lesson {
    what: "An overlay mount shows several directories as one. The lower ones are never written: what is changed is \
           copied up into the upper one first, and what is deleted leaves a whiteout there (a character device 0:0, or a \
           user.overlay attribute where there is no root). The work directory is overlayfs's own, for files in the \
           making.",
    why: "A hundred containers of one image need its files once on the disk and once in memory, and start without a \
          copy. What a container writes is one directory: removed with it, or kept as the next layer of an image. \
          Without it pivot-root takes the topmost layer alone, read-only.",
    kernel: "mkdir of upper, work and merged; mount(\"overlay\", merged, \"overlay\", 0, \
             \"lowerdir=TOP:…:BOTTOM,upperdir=…,workdir=…\"), with volatile (no sync at the end) and, in a user \
             namespace, userxattr. More than a page of options: short names, by symbolic links.",
    by_hand: "mkdir upper work merged; unshare --mount --map-root-user sh -c 'o=lowerdir=/etc,upperdir=upper,workdir=work; \
              mount -t overlay -o $o,userxattr overlay merged; echo new > merged/file; ls merged upper'",
    docker: "always (the storage driver overlay2, or containerd's overlayfs snapshotter); docker diff shows the upper layer",
    pages: "mount(2), the kernel's Documentation/filesystems/overlayfs.rst, user_namespaces(7)",
};

#[cfg(test)]
mod tests;
