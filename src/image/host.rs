//! The image `host`: the programs of this machine in a root of their own, with nothing to download. Its one layer is a
//! small skeleton (an /etc with what programs look up there, and empty directories); the host's /usr is bound beside it,
//! read-only. Of the host's /home, /root and /var there is nothing, and of its /etc only what everybody may read.
//!
//! The skeleton is kept in `images/host/FINGERPRINT` of the state directory, where the fingerprint is of the files that
//! it was made from: when they change, another one is made. One lock is held while something is made or removed there,
//! so whatever is half made and not locked is dead. A start holds a shared lock on the skeleton that it uses.

use super::Image;
use crate::error::{Error, Result};
use crate::remove::remove_tree;
use crate::state::{State, make_private};
use nix::fcntl::OFlag;
use oci_spec::runtime as oci;
use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// Directories of programs: bound read-only, or copied where they are links into /usr (the "merged /usr").
const PROGRAMS: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What programs look up in /etc, on the usual distributions. What is not there or not for everybody to read is left out.
const ETC: [&str; 45] = [
    "alternatives",
    "bash.bashrc",
    "bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "ethertypes",
    "fedora-release",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "java-17-openjdk",
    "ld-musl-aarch64.path",
    "ld-musl-x86_64.path",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "lsb-release",
    "magic",
    "mime.types",
    "netconfig",
    "networks",
    "nsswitch.conf",
    "os-release",
    "pki/ca-trust/extracted",
    "pki/tls",
    "profile",
    "profile.d",
    "protocols",
    "python3",
    "redhat-release",
    "rpc",
    "services",
    "shells",
    "ssl",
    "system-release",
    "terminfo",
    "timezone",
    "xattr.conf",
];

/// Empty directories and their modes.
const EMPTY: [(&str, u32); 19] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

/// Goes into every fingerprint: to be raised when this file makes another skeleton of the same sources.
const EDITION: u64 = 1;

/// The image, its skeleton made first if need be.
pub(super) fn image(state: &State) -> Result<Image> {
    let host = Path::new("/");
    usable(host)?;
    let skeleton = skeleton(host, &state.lib.join("images/host"))?;
    let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
    Ok(Image {
        layers: vec![skeleton],
        mounts: PROGRAMS.into_iter().filter(|p| is_own_directory(&host.join(p))).map(bind).collect(),
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()],
        command: vec![shell.into()],
        workdir: None,
    })
}

fn bind(name: &str) -> oci::Mount {
    let path = Path::new("/").join(name);
    let options = ["rbind", "rprivate", "rro", "nodev"].map(String::from).to_vec();
    let mut m = oci::Mount::default();
    m.set_destination(path.clone()).set_typ(Some("bind".into())).set_source(Some(path)).set_options(Some(options));
    m
}

fn is_own_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.is_dir())
}

/// Are this machine's programs where they are looked for? On NixOS and Guix /bin/sh is a link into a store of its own.
fn usable(host: &Path) -> Result<()> {
    let hint = "--rootfs DIR with a root filesystem of another distribution";
    let shell = host.join("bin/sh");
    let real = std::fs::canonicalize(&shell).map_err(|e| {
        Error::io(format!("stat({})", shell.display()), &e)
            .why("the image `host` shows the programs of this machine, and there is no shell among them")
            .hint(hint)
    })?;
    if PROGRAMS.iter().any(|p| real.starts_with(host.join(p))) {
        return Ok(());
    }
    Err(Error::new("the image `host` cannot be made from this machine")
        .why(format!("its /bin/sh is {}: the programs are neither in /usr nor in /bin", real.display()))
        .hint(hint))
}

/// The skeleton of `host` in `images`, as it is today.
fn skeleton(host: &Path, images: &Path) -> Result<PathBuf> {
    loop {
        let path = images.join(format!("{:016x}", fingerprint(host)));
        if hold(&path)? {
            return Ok(path);
        }
        make_private(images)?;
        let lock = images.join("lock");
        let file = File::options().create(true).append(true).mode(0o600).open(&lock);
        let file = file.map_err(|e| Error::io(format!("open({}, O_CREAT)", lock.display()), &e))?;
        file.lock().map_err(|e| Error::io(format!("flock({})", lock.display()), &e))?;
        clear(images, &path);
        // Another start may have made it while we waited for the lock.
        if !path.exists() {
            build(host, images, &path)?;
        }
    }
}

/// Takes the shared lock of a skeleton, until this process ends: while somebody has it, nobody removes it.
fn hold(path: &Path) -> Result<bool> {
    let directory = match File::options().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path) {
        Ok(directory) => directory,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::io(format!("open({})", path.display()), &e)),
    };
    directory.lock_shared().map_err(|e| Error::io(format!("flock({}, LOCK_SH)", path.display()), &e))?;
    // Between open and lock it may have been removed.
    let (held, there) = (directory.metadata(), path.metadata());
    let same = held.is_ok_and(|h| there.is_ok_and(|t| (h.dev(), h.ino()) == (t.dev(), t.ino())));
    if same {
        // Never closed: the lock goes with the process, and not earlier.
        let _ = directory.into_raw_fd();
    }
    Ok(same)
}

/// Removes half-made skeletons: those that are there while nobody has the lock.
pub(super) fn sweep(state: &State) {
    let images = state.lib.join("images/host");
    let aside = [images.join("new"), images.join("old")];
    if aside.iter().any(|dir| dir.exists())
        && let Ok(lock) = File::open(images.join("lock"))
        && lock.try_lock().is_ok()
    {
        // What cannot be removed now is found again next time.
        let _ = aside.iter().try_for_each(|dir| remove_tree(dir));
    }
}

/// Removes half-made skeletons, and older ones that nobody uses. The caller has the lock.
fn clear(images: &Path, keep: &Path) {
    // What cannot be removed now is found again next time.
    let (new, old) = (images.join("new"), images.join("old"));
    let _ = remove_tree(&new).and_then(|()| remove_tree(&old));
    for entry in std::fs::read_dir(images).into_iter().flatten().flatten() {
        let path = entry.path();
        if path == keep || !is_own_directory(&path) {
            continue;
        }
        let unused = File::open(&path).is_ok_and(|directory| {
            // Renamed while it is locked, so that it is gone for everybody in one moment.
            directory.try_lock().is_ok() && std::fs::rename(&path, &old).is_ok()
        });
        if unused {
            let _ = remove_tree(&old);
        }
    }
}

/// What the skeleton depends on, in a dozen calls: each file's identity, size and time. A directory's time changes when
/// a name in it does, which is how packages change certificates and alternatives.
fn fingerprint(host: &Path) -> u64 {
    const SOURCES: [&str; 12] = [
        "etc/passwd",
        "etc/group",
        "etc/ld.so.cache",
        "etc/nsswitch.conf",
        "etc/localtime",
        "etc/alternatives",
        "etc/ssl/certs",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/pki/ca-trust/extracted/pem",
        "etc/os-release",
        "etc/profile",
        "etc/profile.d",
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ EDITION;
    let mut mix = |n: u64| {
        for byte in n.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for source in SOURCES.iter().chain(&PROGRAMS) {
        let Ok(m) = host.join(source).symlink_metadata() else {
            mix(0);
            continue;
        };
        mix(m.ino());
        // Of /usr and its like only the identity matters: what is in them is bound, not copied.
        if source.starts_with("etc/") {
            mix(m.len());
            mix(m.mtime() as u64);
            mix(m.mtime_nsec() as u64);
        }
    }
    hash
}

/// Makes a skeleton aside and gives it its name when it is whole and on the disk. The caller has the lock.
fn build(host: &Path, images: &Path, path: &Path) -> Result<()> {
    let aside = images.join("new");
    let made = Builder { host, root: &aside, seen: BTreeSet::new() }.build().and_then(|()| {
        // It outlives this boot: a name that is there after a power cut must not stand for empty files.
        let root = File::open(&aside).map_err(|e| Error::io(format!("open({})", aside.display()), &e))?;
        nix::unistd::syncfs(root).map_err(|e| Error::call(format!("syncfs({})", aside.display()), e))?;
        std::fs::rename(&aside, path).map_err(|e| Error::io(format!("rename({})", path.display()), &e))
    });
    if made.is_err() {
        let _ = remove_tree(&aside);
    }
    made.map_err(|e| {
        e.why("the image `host` needs a few megabytes in the state directory").hint("--root DIR, on a disk with room")
    })
}

struct Builder<'a> {
    host: &'a Path,
    root: &'a Path,
    seen: BTreeSet<PathBuf>,
}

impl Builder<'_> {
    fn build(&mut self) -> Result<()> {
        self.directory(Path::new(""), 0o755)?;
        for (name, mode) in EMPTY {
            self.directory(Path::new(name), mode)?;
        }
        for (link, text) in [("var/run", "/run"), ("var/lock", "/run/lock"), ("etc/mtab", "/proc/self/mounts")] {
            self.link(Path::new(link), Path::new(text))?;
        }
        for name in PROGRAMS {
            let path = Path::new(name);
            match std::fs::read_link(self.host.join(path)) {
                Ok(text) => self.link(path, &text)?,
                Err(_) if is_own_directory(&self.host.join(path)) => self.directory(path, 0o755)?,
                Err(_) => {}
            }
        }
        self.accounts("etc/passwd", passwd)?;
        self.accounts("etc/group", group)?;
        // What a container is given later: the mount points are here, so that none has to be made at every start.
        for name in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
            self.file(Path::new(name), b"", 0o644)?;
        }
        for name in ETC {
            self.copy(&Path::new("etc").join(name))?;
        }
        Ok(())
    }

    /// Copies a path of the host with all that is below it, and what its links point to.
    fn copy(&mut self, path: &Path) -> Result<()> {
        if secret(path) || !self.seen.insert(path.to_path_buf()) {
            return Ok(());
        }
        let source = self.host.join(path);
        let Ok(found) = source.symlink_metadata() else { return Ok(()) };
        self.parents(path)?;
        if found.is_symlink() {
            let Ok(text) = std::fs::read_link(&source) else { return Ok(()) };
            self.link(path, &text)?;
            let target = resolve(path, &text);
            // The rest is bound (/usr), or is nobody's business. SUSE keeps its certificates below /var/lib.
            return if target.starts_with("etc") || target.starts_with("var/lib/ca-certificates") {
                self.copy(&target)
            } else {
                Ok(())
            };
        }
        if found.is_dir() {
            let Ok(entries) = std::fs::read_dir(&source) else { return Ok(()) };
            self.directory(path, 0o755)?;
            return entries.flatten().try_for_each(|entry| self.copy(&path.join(entry.file_name())));
        }
        // Only what everybody on the host may read: what root alone may read is a secret (and an ordinary user's image is
        // the same as root's).
        if found.is_file()
            && found.mode() & 0o004 != 0
            && let Ok(content) = std::fs::read(&source)
        {
            self.file(path, &content, found.mode() & 0o755)?;
        }
        Ok(())
    }

    fn parents(&self, path: &Path) -> Result<()> {
        let parents: Vec<&Path> = path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
        parents
            .into_iter()
            .rev()
            .try_for_each(|p| if self.root.join(p).exists() { Ok(()) } else { self.directory(p, 0o755) })
    }

    fn directory(&self, path: &Path, mode: u32) -> Result<()> {
        let at = self.root.join(path);
        match std::fs::create_dir(&at) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(Error::io(format!("mkdir({})", at.display()), &e)),
            _ => mode_of(&at, mode),
        }
    }

    fn link(&self, path: &Path, text: &Path) -> Result<()> {
        let at = self.root.join(path);
        match symlink(text, &at) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                Err(Error::io(format!("symlink({}, {})", text.display(), at.display()), &e))
            }
            _ => Ok(()),
        }
    }

    fn file(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        let at = self.root.join(path);
        std::fs::write(&at, content).map_err(|e| Error::io(format!("write({})", at.display()), &e))?;
        mode_of(&at, mode)
    }

    /// passwd or group, line by line.
    fn accounts(&self, path: &str, keep: fn(&str) -> Option<String>) -> Result<()> {
        let text = std::fs::read_to_string(self.host.join(path)).unwrap_or_default();
        let lines: String = text.lines().filter_map(keep).map(|line| line + "\n").collect();
        self.file(Path::new(path), lines.as_bytes(), 0o644)
    }
}

/// Exactly this mode, whatever the umask is.
fn mode_of(at: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(at, Permissions::from_mode(mode))
        .map_err(|e| Error::io(format!("chmod({}, 0{mode:o})", at.display()), &e))
}

/// Names that belong to secrets, whatever their mode.
fn secret(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "private" || name.starts_with("shadow") || name.starts_with("gshadow") || name.ends_with(".key")
}

/// Where a link leads, without looking at the disk; relative to the root.
fn resolve(link: &Path, text: &Path) -> PathBuf {
    let mut at = link.parent().unwrap_or(Path::new("")).to_path_buf();
    for component in text.components() {
        match component {
            Component::RootDir => at = PathBuf::new(),
            Component::ParentDir => drop(at.pop()),
            Component::Normal(name) => at.push(name),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    at
}

/// Accounts of the system and not of people (login.defs(5), SYS_UID_MAX), and nobody.
fn is_system(id: &str) -> bool {
    id.parse::<u32>().is_ok_and(|id| id < 1000 || id == 65534)
}

/// One line of passwd(5), without the password.
fn passwd(line: &str) -> Option<String> {
    let mut fields: Vec<&str> = line.split(':').collect();
    (fields.len() == 7 && is_system(fields[2])).then(|| {
        fields[1] = "x";
        fields.join(":")
    })
}

/// One line of group(5), without the password and the members, who are people more often than not.
fn group(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(':').collect();
    (fields.len() == 4 && is_system(fields[2])).then(|| format!("{}:x:{}:", fields[0], fields[2]))
}

#[cfg(test)]
mod tests;
