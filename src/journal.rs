//! Crash-only: what a start is going to leave on the machine is written down before it is made, in a file that its
//! process holds locked. A kill -9 frees the lock; whoever comes next finds the file unlocked, and takes back what it
//! lists with the primitives' own `undo`.
//!
//! There are two locks, because there are two processes. The record lock (fcntl(2)) is the parent's alone: fork does not
//! hand it on. The file's lock (flock(2)) is the child's too, until execve closes its descriptor. So a sweeper knows by
//! the first that the parent is dead, and by the second that no half-made child is still at work: such a one finds
//! its socket closed when it next asks, and ends.

use crate::container::store::Store;
use crate::error::{Error, Result};
use crate::primitive::LIST;
use crate::state::{State, make_private};
use nix::errno::Errno;
use nix::fcntl::FcntlArg;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process, known by number and start time, so that a reused number is not mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number in our PID namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub started: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Process> {
        let stat = crate::sys::fs::read_text(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, also spaces and parentheses: count from the last one.
        let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        Some(Process { pid, started })
    }

    /// A descriptor for it, if it still runs.
    pub fn open(self) -> Option<std::os::fd::OwnedFd> {
        let fd = crate::sys::process::pidfd_open(nix::unistd::Pid::from_raw(self.pid)).ok()?;
        // Checked after opening: the descriptor stays with whichever process had the number then.
        (Process::of(self.pid) == Some(self)).then_some(fd)
    }
}

/// What one container has made on the machine. Everything `undo` needs stands here, and nothing else.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Made {
    /// The container's id: 12 hexadecimal digits.
    pub id: String,
    /// Process 1 of the container.
    pub init: Option<Process>,
    /// Its cgroup in every hierarchy.
    pub cgroups: Vec<PathBuf>,
    /// Its directory: writable layer, work directory, mount point.
    pub directory: Option<PathBuf>,
    /// Does the directory stay when the container has ended?
    #[serde(default)]
    pub kept: bool,
    /// Are only its files held open (`cp` of a container that does not run), with no command?
    #[serde(default)]
    pub only_files: bool,
    /// Does its record go with it, with its directory and the volumes that have no name? (Of one that has no monitor.)
    #[serde(default)]
    pub rm: bool,
    /// Its place in the network.
    pub net: Option<crate::net::Lease>,
    /// Is it whole, so that others may join it? Before that, its first process may still have the host's root.
    #[serde(default)]
    pub complete: bool,
}

/// The open, locked journal of one container.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

fn directory(state: &State) -> PathBuf {
    state.run.join("journal")
}

impl Journal {
    /// A new journal under a new id.
    ///
    /// # Errors
    /// When the state directory cannot be made or written.
    pub fn create(state: &State) -> Result<(Journal, String)> {
        let dir = directory(state);
        loop {
            let id = new_id();
            let path = dir.join(&id);
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    // Between open and lock a sweeper may have taken the empty file for a dead one's: start again.
                    if take(&file, &path)? && file.metadata().is_ok_and(|m| m.nlink() > 0) {
                        return Ok((Journal { file, path }, id));
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => make_private(&dir)?,
                Err(e) => return Err(Error::io(format!("open({}, O_CREAT)", path.display()), &e)),
            }
        }
    }

    /// The journal of a container that has its id already. None when somebody else is starting or running it, and
    /// still so after ten seconds.
    ///
    /// # Errors
    /// When the state directory cannot be made or written.
    pub fn create_as(state: &State, id: &str) -> Result<Option<Journal>> {
        let dir = directory(state);
        let path = dir.join(id);
        make_private(&dir)?;
        // Who has it may be a sweeper, which found it before we had locked it, or is still at work on what the last one
        // has left; it will be done soon.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = open.map_err(|e| Error::io(format!("open({}, O_CREAT)", path.display()), &e))?;
            // Whoever had it may have removed it between our open and our lock.
            if take(&file, &path)? && file.metadata().is_ok_and(|m| m.nlink() > 0) {
                let journal = Journal { file, path };
                // What the last one has left, if it was killed and nobody has swept since.
                journal.made().as_ref().map_or(Ok(()), undo_all)?;
                return Ok(Some(journal));
            }
            drop(file);
            if Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What was made, as this journal has it: of a start whose process went on as another program.
    pub fn made(&self) -> Option<Made> {
        // Through this descriptor: to open the file once more and close that would free the record lock (fcntl(2)).
        let mut text = vec![0; self.file.metadata().ok()?.len().try_into().ok()?];
        self.file.read_exact_at(&mut text, 0).ok()?;
        serde_json::from_slice(text.split(|b| *b == b'\n').next()?).ok()
    }

    /// Its descriptor, to be handed to the program that this process becomes: the lock stays with the process
    /// (fcntl(2)), as long as nobody closes the file.
    pub fn into_fd(self) -> std::os::fd::OwnedFd {
        self.file.into()
    }

    /// The journal whose descriptor came that way.
    pub fn from_fd(state: &State, id: &str, fd: std::os::fd::OwnedFd) -> Journal {
        Journal { file: fd.into(), path: directory(state).join(id) }
    }

    /// Writes down what there is, or is about to be.
    ///
    /// # Errors
    /// ENOSPC and the like.
    pub fn save(&self, made: &Made) -> Result<()> {
        let mut line =
            serde_json::to_vec(made).map_err(|e| Error::new(format!("the journal cannot be encoded: {e}")))?;
        line.push(b'\n');
        // One write over the old text, the rest of which is behind the first newline. A torn write cannot happen: a
        // killed process finishes the write(2) it is in, and what is only of this boot need not survive a power cut.
        self.file.write_all_at(&line, 0).map_err(|e| Error::io(format!("write({})", self.path.display()), &e))
    }

    /// All is undone: forget it.
    pub fn remove(self) {
        // When it cannot be removed, the next sweep finds it, undoes nothing, and tries again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Has a container a journal, whoever holds it?
pub fn is_there(state: &State, id: &str) -> bool {
    directory(state).join(id).exists()
}

/// What a container has made, if the process that looks after it lives; then also that process's number.
pub fn alive(state: &State, id: &str) -> Option<(Made, i32)> {
    let path = directory(state).join(id);
    let file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
    let mut lock =
        libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
    nix::fcntl::fcntl(&file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    if i32::from(lock.l_type) == libc::F_UNLCK {
        return None;
    }
    // Read while it is being written, it may be half the old and half the new text.
    let journal = Journal { file, path };
    let made = (0..10).find_map(|_| journal.made());
    // An empty one: its start has made nothing yet.
    Some((made.unwrap_or_else(|| Made { id: id.into(), ..Made::default() }), lock.l_pid))
}

fn new_id() -> String {
    let mut bytes = [0u8; 6];
    crate::sys::process::random(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// How thoroughly [`sweep`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thorough {
    /// A bounded number of journals, so that a start costs the same however many containers run.
    ForAStart,
    /// All of them.
    All,
}

/// Takes back what dead processes left behind. Returns the ids that were cleaned.
pub fn sweep(state: &State, thorough: Thorough) -> Vec<String> {
    crate::image::sweep(state);
    crate::net::tidy(state);
    let Ok(entries) = std::fs::read_dir(directory(state)) else { return Vec::new() };
    let limit = if thorough == Thorough::All { usize::MAX } else { 32 };
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.flatten().take(limit).map(name).filter(|id| sweep_one(state, id)).collect()
}

/// Takes back what one container has left, if the process that looked after it is dead. Was it so?
pub fn sweep_one(state: &State, id: &str) -> bool {
    let path = directory(state).join(id);
    let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { return false };
    if mark_alive(&file).is_err() || !child_is_gone(&file) {
        return false;
    }
    // Whoever swept before us has removed it; a new one of that name is somebody else's.
    if file.metadata().map_or(true, |m| m.nlink() == 0) {
        return false;
    }
    // From here on the file's lock keeps others away. The record lock would make us its living owner for who only looks.
    let _ = set_lock(&file, libc::F_UNLCK);
    let journal = Journal { file, path };
    // An empty journal: its start had made nothing yet.
    let made = journal.made();
    if let Some(made) = made
        && let Err(e) = take_back(state, &made).or_else(|_| again(state, &made))
    {
        eprintln!("boxwright: {} is dead, but not all it left could be cleaned: {e}", made.id);
        return false;
    }
    journal.remove();
    true
}

/// What a dying process was in the middle of (a mount whose work directory the kernel still fills) is soon over.
fn again(state: &State, made: &Made) -> Result<()> {
    std::thread::sleep(Duration::from_millis(100));
    take_back(state, made)
}

/// Everything: what [`undo_all`] takes back, and what was written down of a container that nobody keeps.
///
/// # Errors
/// As [`undo_all`].
pub fn take_back(state: &State, made: &Made) -> Result<()> {
    undo_all(made)?;
    if made.rm { Store::new(state).discard(&made.id) } else { Ok(()) }
}

/// Both locks, unless somebody has one of them.
fn take(file: &File, path: &Path) -> Result<bool> {
    match mark_alive(file) {
        Err(Errno::EAGAIN | Errno::EACCES) => return Ok(false),
        marked => marked.map_err(|e| Error::call(format!("fcntl({}, F_SETLK)", path.display()), e))?,
    }
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(Error::io(format!("flock({})", path.display()), &e)),
    }
}

/// Takes the record lock: "the process that wrote this journal lives". Fails while another one has it.
fn mark_alive(file: &File) -> nix::Result<()> {
    set_lock(file, libc::F_WRLCK)
}

fn set_lock(file: &File, kind: i32) -> nix::Result<()> {
    let whole = libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
    nix::fcntl::fcntl(file, FcntlArg::F_SETLK(&whole)).map(drop)
}

/// Waits until no child of a dead parent is in the middle of its set-up: milliseconds, if at all.
fn child_is_gone(file: &File) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match file.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            Err(_) => return false,
        }
    }
}

/// Ends what still runs, then every primitive's `undo`, last first. Goes on after an error and returns the first one.
///
/// # Errors
/// The first that an `undo` returned.
pub fn undo_all(made: &Made) -> Result<()> {
    let mut first = end(made);
    for primitive in LIST.iter().rev() {
        let result = primitive.undo(made).map_err(|e| e.in_primitive(primitive.name()));
        first = first.and(result);
    }
    first
}

/// Nobody may be at work in what is about to be taken apart. After a normal end nobody is, and this is one look at a
/// process that is gone; after a crash the container may have gone on without us.
fn end(made: &Made) -> Result<()> {
    let Some(init) = made.init.and_then(Process::open) else { return Ok(()) };
    let _ = crate::sys::process::pidfd_kill(&init, libc::SIGKILL);
    crate::cgroup::kill_all(&made.cgroups)?;
    // A pidfd is readable once its process has ended: also where there was no cgroup to ask.
    let mut ended = [PollFd::new(init.as_fd(), PollFlags::POLLIN)];
    match poll(&mut ended, PollTimeout::from(10_000_u16)) {
        Ok(0) => Err(Error::new(format!("process {} does not end", made.init.map_or(0, |i| i.pid)))
            .why("it is in a system call that cannot be interrupted (state D in ps)")),
        _ => Ok(()),
    }
}
