//! A host of the test's own: a directory with what a distribution has, and what it hides.

use super::*;
use std::fs;

struct Fake {
    temp: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let fake = Fake { temp };
        for dir in ["usr/bin", "usr/lib", "etc/ssl/certs", "etc/ssl/private", "etc/alternatives", "home/me", "lib64"] {
            fs::create_dir_all(fake.host().join(dir)).unwrap();
        }
        fake.file("usr/bin/sh", "", 0o755);
        fake.link("usr/bin", "bin");
        fake.link("usr/lib", "lib");
        fake.file(
            "etc/passwd",
            "root:$6$hash:0:0:root:/root:/bin/sh\nme:x:1000:1000:My Name:/home/me:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n+::::::\n",
            0o644,
        );
        fake.file("etc/group", "root:x:0:\nsudo:x:27:me\nme:x:1000:\n", 0o644);
        fake.file("etc/shadow", "root:secret", 0o640);
        fake.file("etc/ld.so.cache", "cache", 0o644);
        fake.file("etc/profile", "secret", 0o600);
        fake.file("etc/ssl/private/key", "secret", 0o644);
        fake.file("etc/ssl/server.key", "secret", 0o644);
        fake.link("/etc/other/pem", "etc/ssl/certs/one.pem");
        fake.link("/home/me/pem", "etc/ssl/certs/mine.pem");
        fake.link("/usr/bin/vim.basic", "etc/alternatives/vi");
        fake.file("etc/other/pem", "certificate", 0o644);
        fake.file("home/me/pem", "secret", 0o644);
        fake
    }

    fn host(&self) -> PathBuf {
        self.temp.path().join("host")
    }

    fn images(&self) -> PathBuf {
        self.temp.path().join("images/host")
    }

    fn file(&self, path: &str, text: &str, mode: u32) {
        let at = self.host().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, text).unwrap();
        mode_of(&at, mode).unwrap();
    }

    fn link(&self, text: &str, path: &str) {
        symlink(text, self.host().join(path)).unwrap();
    }

    fn skeleton(&self) -> PathBuf {
        skeleton(&self.host(), &self.images()).unwrap()
    }

    fn made(&self) -> Vec<String> {
        let names = fs::read_dir(self.images()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n != "lock").collect()
    }
}

#[test]
fn it_has_what_programs_look_up_and_no_secret() {
    let fake = Fake::new();
    let s = fake.skeleton();
    let read = |p: &str| fs::read_to_string(s.join(p)).unwrap();
    assert_eq!(read("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n");
    assert_eq!(read("etc/group"), "root:x:0:\nsudo:x:27:\n");
    assert_eq!(read("etc/ld.so.cache"), "cache");
    assert_eq!(read("etc/other/pem"), "certificate");
    assert_eq!(fs::read_link(s.join("etc/alternatives/vi")).unwrap(), Path::new("/usr/bin/vim.basic"));
    assert_eq!(fs::read_link(s.join("bin")).unwrap(), Path::new("usr/bin"));
    assert!(s.join("lib64").symlink_metadata().unwrap().is_dir(), "a mount point for a directory of programs");
    for absent in ["etc/shadow", "etc/profile", "etc/ssl/private", "etc/ssl/server.key", "home/me", "usr/bin"] {
        assert!(s.join(absent).symlink_metadata().is_err(), "{absent}");
    }
    for (dir, mode) in [("tmp", 0o1777), ("root", 0o700), ("etc", 0o755), ("", 0o755)] {
        assert_eq!(s.join(dir).metadata().unwrap().mode() & 0o7777, mode, "{dir}");
    }
    fn no_secret(at: &Path) {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                no_secret(&entry.path());
            } else if kind.is_file() {
                let text = fs::read_to_string(entry.path()).unwrap();
                assert!(!text.contains("secret") && !text.contains("hash"), "{}", entry.path().display());
            }
        }
    }
    no_secret(&s);
}

#[test]
fn it_is_made_once_and_again_when_the_host_changes() {
    let fake = Fake::new();
    let first = fake.skeleton();
    let inode = first.metadata().unwrap().ino();
    assert_eq!(fake.skeleton(), first);
    assert_eq!(first.metadata().unwrap().ino(), inode);
    fake.file("etc/ssl/certs/new.pem", "new", 0o644);
    let second = fake.skeleton();
    assert_ne!(first, second);
    assert!(second.join("etc/ssl/certs/new.pem").is_file());
    // This process still holds the first.
    assert_eq!(fake.made().len(), 2);
}

#[test]
fn what_is_half_made_or_unused_is_cleared() {
    let fake = Fake::new();
    fs::create_dir_all(fake.images().join("new/etc")).unwrap();
    fs::create_dir_all(fake.images().join("old/etc")).unwrap();
    fs::create_dir_all(fake.images().join("0123456789abcdef/etc")).unwrap();
    let path = fake.skeleton();
    assert_eq!(fake.made(), [path.file_name().unwrap().to_str().unwrap()]);
    assert!(path.join("etc/passwd").is_file());
}

#[test]
fn a_store_of_programs_elsewhere_is_refused() {
    let fake = Fake::new();
    usable(&fake.host()).unwrap();
    fs::remove_file(fake.host().join("bin")).unwrap();
    fake.file("nix/store/bash/bin/sh", "", 0o755);
    fs::create_dir(fake.host().join("bin")).unwrap();
    symlink(fake.host().join("nix/store/bash/bin/sh"), fake.host().join("bin/sh")).unwrap();
    let e = usable(&fake.host()).unwrap_err();
    assert!(e.why.as_deref().unwrap().contains("/nix/store") && e.hint.is_some(), "{e}");
    fs::remove_file(fake.host().join("bin/sh")).unwrap();
    assert!(usable(&fake.host()).is_err());
}

#[test]
fn a_sweep_takes_what_a_killed_process_left() {
    let fake = Fake::new();
    let kept = fake.skeleton();
    fs::create_dir_all(fake.images().join("new/etc")).unwrap();
    let state = State { run: "/nowhere".into(), lib: fake.temp.path().into(), moved: true };
    let lock = File::open(fake.temp.path().join("images/host/lock")).unwrap();
    lock.lock().unwrap();
    sweep(&state);
    assert!(fake.images().join("new").exists(), "somebody is making it");
    lock.unlock().unwrap();
    sweep(&state);
    assert!(!fake.images().join("new").exists() && kept.exists());
}
