//! Hostile roots, in a directory of the test's own; and real mounts, in a child with a mount namespace of its own.

use super::*;
use crate::sys::process::{exit_now, unshare};
use crate::sys::testing::with_own_mounts;
use nix::sched::CloneFlags;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

fn open(path: &Path) -> OwnedFd {
    sys::fs::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0).unwrap()
}

fn inode(fd: &OwnedFd) -> u64 {
    sys::fs::stat(fd.as_fd()).unwrap().st_ino
}

/// A root beside a directory that nothing may reach, and what `target` makes of it.
struct Hostile {
    temp: tempfile::TempDir,
}

impl Hostile {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("root/etc")).unwrap();
        fs::create_dir_all(temp.path().join("outside/etc")).unwrap();
        Hostile { temp }
    }

    fn root(&self) -> PathBuf {
        self.temp.path().join("root")
    }

    fn link(&self, text: &str, at: &str) {
        symlink(text, self.root().join(at)).unwrap();
    }

    fn target(&self, path: &str, kind: Kind) -> Result<OwnedFd> {
        target(open(&self.root()).as_fd(), Path::new(path), kind)
    }

    fn lands_on(&self, path: &str, place: &str) {
        let found = self.target(path, Kind::Directory).unwrap();
        assert_eq!(inode(&found), fs::metadata(self.root().join(place)).unwrap().ino(), "{path}");
    }

    fn outside_is_untouched(&self) {
        let outside = self.temp.path().join("outside");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_dir(outside.join("etc")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(self.temp.path()).unwrap().count(), 2);
    }
}

#[test]
fn what_is_missing_is_made() {
    let h = Hostile::new();
    h.lands_on("/a/b/c", "a/b/c");
    let file = h.target("/a/b/file", Kind::File).unwrap();
    assert!(!is_directory(file.as_fd()).unwrap());
    assert_eq!(inode(&file), fs::metadata(h.root().join("a/b/file")).unwrap().ino());
    h.lands_on("/a/./x/../b", "a/b");
    h.lands_on("/../../etc", "etc");
    h.outside_is_untouched();
}

#[test]
fn links_are_followed_inside() {
    let h = Hostile::new();
    fs::create_dir_all(h.root().join("run")).unwrap();
    fs::create_dir_all(h.root().join("var")).unwrap();
    h.link("/run", "var/run");
    h.link("../run", "var/run2");
    h.lands_on("/var/run", "run");
    h.lands_on("/var/run/docker/x", "run/docker/x");
    h.lands_on("/var/run2/y", "run/y");
    // Behind an absolute link that was followed, a relative one may be followed too, and more be made.
    h.link("../etc/new", "run/again");
    h.lands_on("/var/run/again/z", "etc/new/z");
    // An absolute link names the root's own /etc, not the host's.
    h.link("/etc", "escape");
    h.lands_on("/escape", "etc");
    // A dangling /etc/resolv.conf is what many images have.
    h.link("../run/systemd/resolve/stub-resolv.conf", "etc/resolv.conf");
    h.target("/etc/resolv.conf", Kind::File).unwrap();
    assert!(h.root().join("run/systemd/resolve/stub-resolv.conf").is_file());
    h.outside_is_untouched();
}

#[test]
fn links_that_lead_out_are_refused() {
    let h = Hostile::new();
    h.link("../outside", "climb");
    h.link("../../../../../../../../etc", "climb-far");
    h.link(h.temp.path().join("outside").to_str().unwrap(), "absolute");
    fs::create_dir(h.root().join("sub")).unwrap();
    h.link("../../outside", "sub/climb");
    for path in ["/climb", "/climb/etc", "/climb-far", "/absolute", "/absolute/new", "/sub/climb/x"] {
        let e = h.target(path, Kind::Directory).unwrap_err();
        assert!(e.what.contains("leads out"), "{path}: {e}");
        assert!(e.why.is_some() && e.hint.is_some());
    }
    h.outside_is_untouched();
}

#[test]
fn circles_and_files_on_the_way_are_told_apart() {
    let h = Hostile::new();
    h.link("b", "a");
    h.link("a", "b");
    assert!(h.target("/a/x", Kind::Directory).unwrap_err().is(Errno::ELOOP));
    h.link("/d", "c");
    h.link("/c", "d");
    assert!(h.target("/c/x", Kind::Directory).unwrap_err().what.contains("symbolic links"));
    fs::write(h.root().join("file"), "").unwrap();
    assert!(h.target("/file/x", Kind::Directory).unwrap_err().is(Errno::ENOTDIR));
    assert!(h.target("/", Kind::Directory).unwrap_err().what.contains("root itself"));
}

#[test]
fn magic_links_are_refused() {
    // With a proc inside the root, its magic links lead anywhere: /proc/self/cwd is a directory of the host.
    let e =
        target(open(Path::new("/")).as_fd(), Path::new("/proc/self/cwd/made-by-a-test"), Kind::Directory).unwrap_err();
    assert!(e.is(Errno::ELOOP) && !Path::new("made-by-a-test").exists(), "{e}");
}

#[test]
fn proc_wants_an_ordinary_directory() {
    let h = Hostile::new();
    h.link("etc", "proc");
    let root = open(&h.root());
    assert!(ordinary_directory(root.as_fd(), Path::new("/proc")).unwrap_err().is(Errno::ELOOP));
    ordinary_directory(root.as_fd(), Path::new("/sys")).unwrap();
    assert!(h.root().join("sys").is_dir());
}

fn oci_mount(kind: &str, source: &str, destination: &str, options: &[&str]) -> oci::Mount {
    let mut m = oci::Mount::default();
    m.set_destination(destination.into())
        .set_typ(Some(kind.into()))
        .set_source(Some(source.into()))
        .set_options(Some(options.iter().map(ToString::to_string).collect()));
    m
}

/// The line of /proc/self/mountinfo for a mount point: its options and those of its file system.
fn seen(at: &Path) -> Option<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = text.lines().rev().find(|l| l.split(' ').nth(4) == at.to_str())?;
    Some(line.split_once(at.to_str()?)?.1.trim().to_string())
}

#[test]
fn binds_have_the_kind_and_the_flags_that_were_asked_for() {
    let h = Hostile::new();
    let source = h.temp.path().join("outside");
    fs::write(source.join("etc/file"), "text").unwrap();
    with_own_mounts(|| {
        let root = open(&h.root());
        let from = source.to_str().unwrap();
        // Access times are locked in a user namespace, where the host's mount has other ones.
        let atime = if nix::unistd::geteuid().is_root()
            && fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295")
        {
            "noatime"
        } else {
            "relatime"
        };
        apply(root.as_fd(), &oci_mount("bind", from, "/a/dir", &["rbind", "rprivate", "rro", "nosuid", atime]))
            .unwrap();
        assert_eq!(fs::read_to_string(h.root().join("a/dir/etc/file")).unwrap(), "text");
        assert!(fs::write(h.root().join("a/dir/x"), "").is_err());
        let line = seen(&h.root().join("a/dir")).unwrap();
        assert!(line.starts_with("ro,nosuid") && line.contains(atime), "{line}");
        let file = source.join("etc/file");
        apply(root.as_fd(), &oci_mount("none", file.to_str().unwrap(), "/a/file", &["bind"])).unwrap();
        assert_eq!(fs::read_to_string(h.root().join("a/file")).unwrap(), "text");

        let e = apply(root.as_fd(), &oci_mount("bind", "/nowhere/at/all", "/never", &["rbind"])).unwrap_err();
        assert!(e.is(Errno::ENOENT) && e.why.as_deref().unwrap().contains("/nowhere/at/all"), "{e}");
        assert!(!h.root().join("never").exists());
        let e = apply(root.as_fd(), &oci_mount("bind", from, "/a/file", &["rbind"])).unwrap_err();
        assert!(e.why.as_deref().unwrap().contains("as a file"), "{e}");
        let e = apply(root.as_fd(), &oci_mount("bind", from, "/b", &["rbind", "size=1"])).unwrap_err();
        assert!(e.what.contains("size=1"), "{e}");
    });
}

#[test]
fn file_systems_get_their_options() {
    let h = Hostile::new();
    with_own_mounts(|| {
        let root = open(&h.root());
        let options = ["nosuid", "noexec", "mode=1770", "size=64k"];
        apply(root.as_fd(), &oci_mount("tmpfs", "tmpfs", "/run", &options)).unwrap();
        let line = seen(&h.root().join("run")).unwrap();
        assert!(line.contains("size=64k") && line.contains("mode=1770") && line.contains("nosuid"), "{line}");
        let e = apply(root.as_fd(), &oci_mount("tmpfs", "tmpfs", "/x", &["bogus=1"])).unwrap_err();
        assert!(e.what.contains("/x") && e.why.as_deref().unwrap().contains("bogus=1"), "{e}");
        let e = apply(root.as_fd(), &oci_mount("nosuchfs", "none", "/x", &[])).unwrap_err();
        assert!(e.is(Errno::ENODEV) && e.why.is_some(), "{e}");
    });
}

#[test]
fn cgroups_are_shown_on_both_versions() {
    let h = Hostile::new();
    with_own_mounts(|| {
        if unshare(CloneFlags::CLONE_NEWCGROUP).is_err() {
            exit_now(77);
        }
        let root = open(&h.root());
        // Whoever runs this test sits in some cgroup of every tree: as if these were the container's own.
        let layout = crate::cgroup::Layout::ours();
        let own: Vec<_> = layout.legacy.iter().chain(&layout.unified).map(|s| s.own.clone()).collect();
        let mount = oci_mount("cgroup", "cgroup", "/sys/fs/cgroup", &["ro", "nosuid"]);
        apply_cgroup(root.as_fd(), &mount, &own).unwrap();
        let at = h.root().join("sys/fs/cgroup");
        assert!(seen(&at).unwrap().starts_with("ro"), "{:?}", seen(&at));
        let (v2, v1) = (at.join("cgroup.procs").exists(), at.join("memory/tasks").exists());
        assert!(v2 || v1 || at.join("unified/cgroup.procs").exists());
        assert!(fs::create_dir(at.join("new")).is_err());
    });
}

#[test]
fn masks_hide_files_and_directories() {
    let h = Hostile::new();
    fs::write(h.root().join("etc/secret"), "secret").unwrap();
    fs::create_dir_all(h.root().join("sys/firmware/acpi")).unwrap();
    fs::create_dir_all(h.root().join("sys/other/x")).unwrap();
    fs::create_dir_all(h.root().join("dev")).unwrap();
    fs::write(h.root().join("dev/null"), "").unwrap();
    with_own_mounts(|| {
        let root = open(&h.root());
        // What stands at /dev/null is an ordinary file: nothing may be hidden behind it.
        let e = Masks::new(root.as_fd()).mask(Path::new("/etc/secret")).unwrap_err();
        assert!(e.what.contains("not the null device"), "{e}");
        let null = sys::mount::clone_tree(AT_FDCWD, Path::new("/dev/null"), false).unwrap();
        sys::mount::attach(null.as_fd(), target(root.as_fd(), Path::new("/dev/null"), Kind::File).unwrap().as_fd())
            .unwrap();

        let mut masks = Masks::new(root.as_fd());
        assert!(masks.mask(Path::new("/etc/secret")).unwrap());
        assert!(masks.mask(Path::new("/sys/firmware")).unwrap());
        assert!(masks.mask(Path::new("/sys/other")).unwrap());
        assert!(!masks.mask(Path::new("/not/there")).unwrap());
        assert_eq!(fs::read_to_string(h.root().join("etc/secret")).unwrap(), "");
        for dir in ["sys/firmware", "sys/other"] {
            assert_eq!(fs::read_dir(h.root().join(dir)).unwrap().count(), 0);
            assert!(fs::write(h.root().join(dir).join("x"), "").is_err());
        }
        assert!(readonly(root.as_fd(), Path::new("/etc")).unwrap());
        assert!(fs::write(h.root().join("etc/new"), "").is_err());
        assert_eq!(fs::read_to_string(h.root().join("etc/secret")).unwrap(), "", "the mask below is kept");
        assert!(!readonly(root.as_fd(), Path::new("/not/there")).unwrap());
    });
}

#[test]
fn parts_of_proc_cannot_be_covered() {
    with_own_mounts(|| {
        let root = open(Path::new("/"));
        let e = apply(root.as_fd(), &oci_mount("bind", "/tmp", "/proc/sys", &["rbind"])).unwrap_err();
        assert!(e.what.contains("parts of /proc"), "{e}");
        let file = tempfile::NamedTempFile::new().unwrap();
        apply(root.as_fd(), &oci_mount("bind", file.path().to_str().unwrap(), "/proc/uptime", &["bind"])).unwrap();
        assert_eq!(fs::read_to_string("/proc/uptime").unwrap(), "");
        fs::remove_file(file.path()).unwrap();
    });
}

#[test]
fn a_race_for_the_target_cannot_be_won() {
    // One thread exchanges a directory and a link to the outside as fast as it can; whatever `target` finds or makes
    // must be inside (CVE-2021-30465).
    let h = Hostile::new();
    fs::create_dir_all(h.root().join("real/deep")).unwrap();
    h.link("../outside", "evil");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let outside = [
        fs::metadata(h.temp.path().join("outside")).unwrap().ino(),
        fs::metadata(h.temp.path().join("outside/etc")).unwrap().ino(),
    ];
    std::thread::scope(|s| {
        s.spawn(|| {
            let (real, evil) = (h.root().join("real"), h.root().join("evil"));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ =
                    nix::fcntl::renameat2(AT_FDCWD, &real, AT_FDCWD, &evil, nix::fcntl::RenameFlags::RENAME_EXCHANGE);
            }
        });
        let (mut found, mut refused) = (0, 0);
        for i in 0..20_000 {
            match h.target(&format!("/real/etc{}", i % 7), Kind::Directory) {
                Ok(fd) => {
                    assert!(!outside.contains(&inode(&fd)));
                    found += 1;
                }
                Err(_) => refused += 1,
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(found > 0 && refused > 0, "the race did not take place: {found} found, {refused} refused");
    });
    h.outside_is_untouched();
}
