//! Where a lab happens: a scratch directory in which its script and its check run, with `boxwright` in their PATH. And
//! nothing stays of it: whatever they start becomes a child of the process that called [`inside`], which ends it and
//! removes the directory, also after Ctrl-C.

use super::groups::Groups;
use crate::error::{Error, Result};
use crate::sys::{process, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a lab may use.
#[derive(Debug)]
pub struct Place {
    /// An empty directory, the working directory of everything.
    pub dir: PathBuf,
    /// PATH, with the directory in front that has this very program by the name of `boxwright`.
    pub path: String,
    tools: PathBuf,
    /// Locked for as long as somebody works here.
    _lock: File,
}

impl Place {
    fn make() -> Result<Place> {
        let temp = temporary();
        sweep(&temp);
        let template = temp.join("boxwright-lab.XXXXXX");
        let top = nix::unistd::mkdtemp(&template).map_err(|e| {
            Error::call(format!("mkdtemp({})", template.display()), e).hint("TMPDIR names another directory")
        })?;
        let lock = File::open(&top).map_err(|e| Error::io(format!("open({})", top.display()), &e))?;
        lock.lock().map_err(|e| Error::io(format!("flock({})", top.display()), &e))?;
        let (dir, tools) = (top.join("lab"), top.join("tools"));
        let fail = |call: String| move |e: std::io::Error| Error::io(call, &e);
        for made in [&dir, &tools] {
            std::fs::create_dir(made).map_err(fail(format!("mkdir({})", made.display())))?;
        }
        // Labs become other users, who must be able to get here.
        std::fs::set_permissions(&top, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(fail(format!("chmod({}, 0755)", top.display())))?;
        let program = std::env::current_exe().map_err(fail("readlink(/proc/self/exe)".into()))?;
        let name = tools.join("boxwright");
        std::os::unix::fs::symlink(program, &name).map_err(fail(format!("symlink({})", name.display())))?;
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into());
        // mount, ip and others are in directories that an ordinary user's PATH need not have.
        let path = format!("{}:{path}:/usr/local/sbin:/usr/sbin:/sbin", tools.display());
        Ok(Place { dir, path, tools, _lock: lock })
    }

    /// Writes a file beside the directory, where no script comes across it.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn tool(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.tools.join(name);
        std::fs::write(&file, text).map_err(|e| Error::io(format!("write({})", file.display()), &e))?;
        Ok(file)
    }

    fn remove(&self) {
        if let Some(top) = self.dir.parent() {
            // Scripts leave directories that keep even their owner out: overlayfs makes its work/work so.
            let _ = crate::remove::remove_tree(top);
        }
    }
}

/// The directory for temporary files, as the kernel names it (/proc/self/mountinfo knows no symbolic links), and one from
/// which programs can be started: some machines mount /tmp with noexec.
fn temporary() -> PathBuf {
    let asked = std::env::temp_dir();
    let asked = asked.canonicalize().unwrap_or(asked);
    let noexec =
        nix::sys::statvfs::statvfs(&asked).is_ok_and(|fs| fs.flags().contains(nix::sys::statvfs::FsFlags::ST_NOEXEC));
    if noexec { PathBuf::from("/var/tmp") } else { asked }
}

/// Removes what a guard that was killed has left: what is ours, and nobody holds locked.
fn sweep(temp: &Path) {
    for entry in std::fs::read_dir(temp).into_iter().flatten().flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with("boxwright-lab."));
        let ours = std::os::unix::fs::MetadataExt::uid;
        let old = entry.metadata().is_ok_and(|m| {
            // Somebody may have made it, and not locked it yet.
            let age = m.modified().ok().and_then(|made| made.elapsed().ok()).unwrap_or_default();
            m.is_dir() && ours(&m) == nix::unistd::geteuid().as_raw() && age > Duration::from_secs(60)
        });
        if named && old && File::open(entry.path()).is_ok_and(|dir| dir.try_lock().is_ok()) {
            let _ = crate::remove::remove_tree(&entry.path());
        }
    }
}

/// Does `work` in a place of its own.
///
/// # Errors
/// Those of the work, and no space for a directory. Exit code 128 + n when signal n ended it.
pub fn inside<T: Serialize + DeserializeOwned>(work: impl FnOnce(&Place) -> Result<T>) -> Result<T> {
    const SIGNALS: [i32; 5] = [libc::SIGCHLD, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP];
    let place = Place::make()?;
    let groups = Groups::new();
    let result = place.tools.join("result");
    nix::sys::prctl::set_child_subreaper(true).map_err(|e| Error::call("prctl(PR_SET_CHILD_SUBREAPER, 1)", e))?;
    signal::block(&SIGNALS)?;
    let Some(worker) = process::fork()? else {
        // The guard stays behind; this process does the work, and dies of Ctrl-C as any other.
        let _ = signal::unblock(&SIGNALS);
        let text = serde_json::to_string(&work(&place)).unwrap_or_default();
        let _ = std::fs::write(&result, text);
        process::exit_now(0)
    };
    let code = loop {
        match signal::wait(&SIGNALS) {
            Some(libc::SIGCHLD) | None => {}
            Some(other) => drop(signal::send(worker.as_raw(), other)),
        }
        if let Some(code) = ended(worker) {
            break code;
        }
    };
    end_descendants(groups);
    if code != 0 {
        // A monitor that was ended could take nothing back. The next command does; let that be now.
        let _ = std::process::Command::new(place.tools.join("boxwright")).args(["ps", "-q"]).output();
    }
    let done = std::fs::read_to_string(&result).ok().and_then(|text| serde_json::from_str(&text).ok());
    place.remove();
    signal::unblock(&SIGNALS)?;
    done.unwrap_or_else(|| Err(Error::new("the lab was interrupted").exit(code)))
}

/// Waits for all children that have ended; the code of that one, if it is among them.
fn ended(worker: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        let (pid, now) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code as u8),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as u8),
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => continue,
        };
        if pid == worker {
            code = Some(now);
        }
    }
}

/// Ends what scripts have left running, and removes the cgroups that they have made: those of their processes, and those
/// that are named after a shell which is no more. (A process that cannot end is not waited for for ever.)
fn end_descendants(mut groups: Groups) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = descendants(std::process::id() as i32);
        groups.note(&left);
        // Also the last ones: a zombie is still in the list of processes, where the next check would look at it.
        let _ = ended(Pid::from_raw(-1));
        if left.is_empty() || Instant::now() > deadline {
            return groups.remove();
        }
        for pid in left {
            let _ = signal::send(pid, libc::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All living descendants of a process, but for the remover of an unused bridge, which ends soon by itself.
pub fn descendants(of: i32) -> Vec<i32> {
    let numbered = |e: std::fs::DirEntry| e.file_name().to_str()?.parse::<i32>().ok();
    let processes: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(numbered)
        .filter_map(|pid| Some((pid, parent_if_alive(pid)?)))
        .collect();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(processes.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// proc_pid_stat(5): `PID (NAME) STATE PPID …`, where the name may contain anything.
fn parent_if_alive(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (name, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && !name.ends_with("(boxwright-net")).then_some(parent)
}
