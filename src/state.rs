//! Where boxwright keeps things: `/run/boxwright` for what is true of this boot only, `/var/lib/boxwright` for what
//! must survive it. An ordinary user's are both below `$XDG_DATA_HOME`; `--root DIR` puts all of it under DIR.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The two directories.
#[derive(Debug, Clone)]
pub struct State {
    /// For this boot: journals, locks, leases.
    pub run: PathBuf,
    /// For longer: images, containers' writable layers.
    pub lib: PathBuf,
    /// Was it moved with `--root`? Then shared names (bridge, nft table) are our own too: [`State::tag`].
    pub moved: bool,
}

impl State {
    /// By `--root`, else by who we are. Makes nothing yet.
    ///
    /// # Errors
    /// When an ordinary user has neither HOME nor the XDG variables.
    pub fn find(root: Option<&Path>) -> Result<State> {
        if let Some(root) = root {
            let root = std::path::absolute(root)
                .map_err(|e| Error::io(format!("getcwd() for --root {}", root.display()), &e))?;
            if root.to_str().is_none() {
                return Err(Error::new(format!("--root {}: its name is no UTF-8", root.display()))
                    .why("what a start has made is written down as text, and must be found again by it")
                    .hint("--root DIR with another name"));
            }
            return Ok(State { run: root.join("run"), lib: root.join("lib"), moved: true });
        }
        if nix::unistd::geteuid().is_root() {
            return Ok(State { run: "/run/boxwright".into(), lib: "/var/lib/boxwright".into(), moved: false });
        }
        let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let lib = var("XDG_DATA_HOME")
            .or_else(|| var("HOME").map(|h| h.join(".local/share")))
            .ok_or_else(|| {
                Error::new("no place for state: HOME and XDG_DATA_HOME are not set").hint("set HOME, or use --root DIR")
            })?
            .join("boxwright");
        // Not $XDG_RUNTIME_DIR: cron and su do not set it, and it is removed at logout, while containers run on; so two
        // commands could differ over which containers there are. That it survives a reboot does no harm, because
        // everything in it is checked against the boot and the process that wrote it.
        let run = lib.join("run");
        Ok(State { run, lib, moved: false })
    }

    /// A short name for this state directory, for what is shared on the machine (bridge, nft table): empty for the
    /// default one, else `-` and eight hexadecimal digits.
    pub fn tag(&self) -> String {
        if !self.moved {
            return String::new();
        }
        // FNV-1a: stable between builds, unlike the standard library's hasher.
        let hash = self
            .run
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
        format!("-{:08x}", hash as u32)
    }
}

/// This boot's name: another one after every reboot.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_string()
}

/// Makes a directory and its parents, private to this user (mode 700): what is in them is nobody else's business.
///
/// # Errors
/// EACCES, EROFS, ENOSPC.
pub fn make_private(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(e) => Err(Error::io(format!("mkdir({})", dir.display()), &e)
            .hint("--root DIR (or BOXWRIGHT_ROOT) puts all state under another directory")),
    }
}
