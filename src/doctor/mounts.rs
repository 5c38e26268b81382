//! Mounts: may this user mount a /proc of a new PID namespace, and stack layers where the state is kept?

use super::{Check, identity::one_line, probe, read};
use crate::error::{Error, Result};
use crate::journal::{Journal, Made};
use crate::state::State;
use crate::sys::{self, mount};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::unistd::geteuid;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// All of them.
pub fn checks(state: &State) -> Vec<Check> {
    let mut all = vec![private_proc()];
    all.extend(overlay(state));
    all
}

fn private_proc() -> Check {
    const NAME: &str = "private /proc";
    let namespaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let tried = probe::in_child(probe::as_this_user(namespaces), || {
        mount::make("proc", "proc", &[], mount::Attr::default()).map(drop)
    });
    let Err(e) = tried else {
        return Check::ok(NAME, "mounted one, in a PID namespace of its own");
    };
    let covered = covers(&read("/proc/self/mountinfo").unwrap_or_default());
    let check = Check::ok(NAME, one_line(&e));
    let stages = ["private-mounts", "pivot-root"];
    if covered.is_empty() {
        return check.missing(&stages, "a container's ps would show the host's processes");
    }
    let (first, rest) = (&covered[0], covered.len() - 1);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    check
        .missing(
            &stages,
            format!(
                "parts of our own /proc are covered ({first}{more}); the kernel then lets no user namespace mount \
                 one that would show them (mount_too_revealing)"
            ),
        )
        .remedy("start the container around us with an open /proc: docker run --security-opt systempaths=unconfined")
}

/// What is mounted over parts of /proc, where it hides something: an automount point or binfmt_misc hides nothing.
fn covers(mountinfo: &str) -> Vec<String> {
    let target = |line: &str| line.split(' ').nth(4).map(str::to_string);
    mountinfo
        .lines()
        .filter_map(target)
        .filter(|t| t.starts_with("/proc/") && !t.starts_with("/proc/sys/fs/binfmt_misc"))
        .collect()
}

/// Overlay on the very file system that would hold a container's writable layer: some (NFS, another overlay) cannot.
fn overlay(state: &State) -> Vec<Check> {
    let check = |name, namespaces, stages: &[&'static str], otherwise: &str| match stack(state, namespaces) {
        Ok(()) => Check::ok(name, format!("stacked two layers in {}", state.lib.display())),
        Err(e) => {
            let check = Check::ok(name, one_line(&e));
            if stages.is_empty() {
                check.limited(&["stack-layers"], otherwise)
            } else {
                check.missing(stages, otherwise)
            }
        }
    };
    let plain = check(
        "overlay",
        probe::as_this_user(CloneFlags::CLONE_NEWNS),
        &["stack-layers", "pivot-root", "full-run"],
        "no image can be stacked; only full-run --rootfs DIR works",
    )
    .remedied("as root: modprobe overlay   # or --root DIR on another file system (ext4, xfs, btrfs, tmpfs)");
    if !geteuid().is_root() {
        return vec![plain];
    }
    let nested = check(
        "overlay in a userns",
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER,
        &[],
        "no image with --userns, and none for ordinary users",
    );
    vec![plain, nested]
}

impl Check {
    /// A remedy where there is something to mend.
    fn remedied(self, command: &str) -> Check {
        if self.consequence.is_some() { self.remedy(command) } else { self }
    }
}

/// Makes the directories under a journal, as a container's are, so that a kill -9 leaves nothing that stays.
fn stack(state: &State, namespaces: CloneFlags) -> Result<()> {
    let (journal, id) = Journal::create(state)?;
    let dir = state.lib.join("probe").join(&id);
    let made = Made { id, directory: Some(dir.clone()), ..Made::default() };
    journal.save(&made)?;
    let result = directories(&dir).and_then(|()| probe::in_child(namespaces, || mount_overlay(&dir)));
    // overlay's own directory in the work directory has mode 000: whoever removes it must be let in first.
    let inner = std::fs::Permissions::from_mode(0o700);
    let _ = std::fs::set_permissions(dir.join("work/work"), inner);
    crate::journal::undo_all(&made)?;
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(format!("unlink({})", dir.display()), &e));
        }
        _ => {}
    }
    // Only when it is empty: two doctors may be at work.
    let _ = std::fs::remove_dir(state.lib.join("probe"));
    journal.remove();
    result
}

fn directories(dir: &Path) -> Result<()> {
    for name in ["lower", "upper", "work", "merged"] {
        crate::state::make_private(&dir.join(name))?;
    }
    let file = dir.join("lower/file");
    std::fs::write(&file, "below").map_err(|e| Error::io(format!("write({})", file.display()), &e))
}

/// Mounts, looks through, and deletes a file: the whiteout for it is what a file system may lack.
fn mount_overlay(dir: &Path) -> Result<()> {
    sys::mount::mount("none", Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    sys::process::chdir(dir)?;
    let user = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let whole = user.split_whitespace().eq(["0", "0", "4294967295"]);
    let options = format!("lowerdir=lower,upperdir=upper,workdir=work{}", if whole { "" } else { ",userxattr" });
    sys::mount::mount("overlay", Path::new("merged"), Some("overlay"), MsFlags::empty(), Some(&options))?;
    let file = PathBuf::from("merged/file");
    std::fs::remove_file(&file).map_err(|e| Error::io("unlink(a file of a lower layer)", &e))
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn only_what_hides_something_counts() {
        let text = "1 0 0:5 / /proc rw - proc proc rw\n\
                    2 1 0:6 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n\
                    3 1 0:7 / /proc/kcore rw - tmpfs tmpfs rw\n\
                    4 0 0:8 / /process rw - tmpfs tmpfs rw\n";
        assert_eq!(covers(text), ["/proc/kcore"]);
    }
}
