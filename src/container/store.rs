//! The containers that there are: a directory each, below `containers/` in the state directory, with the writable layer
//! and three files of ours.
//!
//! - `container.json`, the [`Record`]; `history.json`, the [`History`]: each is written beside its place, synced, and
//!   renamed, so a half-written one never shows, and a reader needs no lock;
//! - `lock`: whoever changes something about the container holds it.
//!
//! Names are symbolic links to ids, in `names/`; they and the making and removing of directories are under one lock.

use super::{History, Now, Record, events, names};
use crate::error::{Error, Result};
use crate::journal;
use crate::state::{State, make_private};
use crate::volume::Volumes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// All containers of one user (of one state directory).
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    /// Where state is kept.
    pub state: &'a State,
}

/// One container.
#[derive(Debug, Clone)]
pub struct Container<'a> {
    store: Store<'a>,
    /// What it is.
    pub record: Record,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// For another process: the lock (flock(2)) is held until both have let go.
    ///
    /// # Errors
    /// EMFILE.
    pub fn share(&self) -> Result<std::os::fd::OwnedFd> {
        self.0.try_clone().map(Into::into).map_err(|e| Error::io("fcntl(F_DUPFD_CLOEXEC)", &e))
    }
}

impl<'a> Store<'a> {
    /// Of this state directory.
    pub fn new(state: &'a State) -> Store<'a> {
        Store { state }
    }

    fn containers(&self) -> PathBuf {
        self.state.lib.join("containers")
    }

    fn names(&self) -> PathBuf {
        self.state.lib.join("names")
    }

    fn lock(&self) -> Result<Locked> {
        make_private(&self.names())?;
        make_private(&self.containers())?;
        lock(&self.state.lib.join("containers.lock"))
    }

    /// A new container. Its name, if it has one, must be free.
    ///
    /// # Errors
    /// The name is taken; ENOSPC.
    pub fn create(self, record: Record) -> Result<Container<'a>> {
        names::check(&record.name)?;
        let _locked = self.lock()?;
        if let Some(other) = self.by_name(&record.name) {
            return Err(Error::new(format!("the name {:?} is taken", record.name))
                .why(format!("container {} has it", other.record.short()))
                .hint(format!("boxwright rm {0}, or boxwright rename {0} ANOTHER", record.name)));
        }
        let container = Container { store: self, record };
        let dir = container.dir();
        std::fs::create_dir(&dir).map_err(|e| Error::io(format!("mkdir({})", dir.display()), &e))?;
        // The record comes last: what is there before it belongs to nobody, and is swept. The lock is there from the
        // beginning, because on a full disk it could not be made later.
        let made = private(&dir).and_then(|()| lock(&dir.join("lock"))).and_then(|_| self.link(&container.record));
        if let Err(e) = made.and_then(|()| container.save()) {
            let _ = std::fs::remove_file(self.names().join(&container.record.name));
            let _ = crate::remove::remove_tree(&dir);
            return Err(e);
        }
        events::note(&container, "create", &[]);
        Ok(container)
    }

    fn link(&self, record: &Record) -> Result<()> {
        let link = self.names().join(&record.name);
        // A name whose container is gone: somebody was killed in the middle of removing it.
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(record.short(), &link)
            .map_err(|e| Error::io(format!("symlink({})", link.display()), &e))
    }

    fn by_name(self, name: &str) -> Option<Container<'a>> {
        names::check(name).ok()?;
        let id = std::fs::read_link(self.names().join(name)).ok()?;
        self.by_short(id.to_str()?).filter(|c| c.record.name == name)
    }

    /// By the first twelve digits of its id, and nothing else.
    pub fn by_short(self, id: &str) -> Option<Container<'a>> {
        let record: Record = read(&self.containers().join(id).join("container.json")).ok()??;
        (record.id.len() == 64).then_some(Container { store: self, record })
    }

    /// All of them, the newest first.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn all(self) -> Result<Vec<Container<'a>>> {
        let entries = match std::fs::read_dir(self.containers()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(Error::io(format!("opendir({})", self.containers().display()), &e)),
        };
        let id = |e: std::fs::DirEntry| e.file_name().into_string().ok();
        let mut all: Vec<Container<'a>> =
            entries.flatten().filter_map(id).filter_map(|id| self.by_short(&id)).collect();
        all.sort_by_key(|c| std::cmp::Reverse((c.record.created, c.record.id.clone())));
        Ok(all)
    }

    /// Is there none that [`Store::find`] could mean?
    pub fn lacks(self, word: &str) -> bool {
        matches!(self.look_up(word), Ok(None))
    }

    /// By name (docker's begin with a slash, and need not), id, or the beginning of an id that only one has.
    ///
    /// # Errors
    /// There is no such container, or more than one.
    pub fn find(self, word: &str) -> Result<Container<'a>> {
        let none = || Error::new(format!("No such container: {word}")).hint("boxwright ps -a lists them");
        self.look_up(word)?.ok_or_else(none)
    }

    /// The same, where there may be none.
    ///
    /// # Errors
    /// There is more than one.
    pub fn look_up(self, word: &str) -> Result<Option<Container<'a>>> {
        // docker's order: a whole id, a name, the beginning of an id.
        let whole = word.get(..12).and_then(|short| self.by_short(short)).filter(|c| c.record.id == word);
        let named = || self.by_name(word.strip_prefix('/').unwrap_or(word));
        if let Some(found) = whole.or_else(named) {
            return Ok(Some(found));
        }
        let hex = !word.is_empty() && word.bytes().all(|b| b.is_ascii_hexdigit());
        let mut alike: Vec<Container<'a>> =
            if hex { self.all()?.into_iter().filter(|c| c.record.id.starts_with(word)).collect() } else { vec![] };
        match alike.len() {
            0 | 1 => Ok(alike.pop()),
            n => Err(Error::new(format!("{word} is the beginning of {n} ids")).hint("more of its digits, or its name")),
        }
    }

    /// Removes one that was to go with its end: all that there is of it, if only a half of it was made.
    ///
    /// # Errors
    /// As [`Container::remove`].
    pub fn discard(self, id: &str) -> Result<()> {
        match self.by_short(id) {
            Some(container) => container.remove(true),
            None => {
                crate::primitive::remove_directory(&self.containers().join(id))?;
                let _locked = self.lock()?;
                // Its name was in the record, which is gone.
                for link in std::fs::read_dir(self.names()).into_iter().flatten().flatten() {
                    if std::fs::read_link(link.path()).is_ok_and(|to| to == Path::new(id)) {
                        let _ = std::fs::remove_file(link.path());
                    }
                }
                Ok(())
            }
        }
    }

    /// Directories whose making or removing was interrupted. Not while somebody is at it: who looks must not wait.
    pub fn sweep(self) {
        let Some(_locked) = try_lock(&self.state.lib.join("containers.lock")) else { return };
        for entry in std::fs::read_dir(self.containers()).into_iter().flatten().flatten() {
            let (dir, Ok(id)) = (entry.path(), entry.file_name().into_string()) else { continue };
            // What is being started without a record (a stage) has a journal. An empty record is that of a container of
            // --rm after a power cut.
            let no_record = dir.join("container.json").metadata().map_or(true, |m| m.len() == 0);
            if no_record && journal::alive(self.state, &id).is_none() {
                let _ = crate::primitive::remove_directory(&dir);
            }
        }
        // (A second name that a `rename` was about to take away is no name: its container's record says so.)
        for entry in std::fs::read_dir(self.names()).into_iter().flatten().flatten() {
            let id = std::fs::read_link(entry.path()).unwrap_or_default();
            if !self.containers().join(id).join("container.json").exists() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Container<'_> {
    /// Its directory.
    pub fn dir(&self) -> PathBuf {
        self.store.containers().join(self.record.short())
    }

    /// Where state is kept.
    pub fn state(&self) -> &State {
        self.store.state
    }

    /// Waits until nobody else changes it, and keeps others from doing so.
    ///
    /// # Errors
    /// When it has been removed meanwhile.
    pub fn lock(&self) -> Result<Locked> {
        // Opened, and never made: it must not come to be in a directory that somebody is just removing.
        let file = self.dir().join("lock");
        match File::options().write(true).open(&file) {
            Ok(open) => {
                open.lock().map_err(|e| Error::io(format!("flock({})", file.display()), &e))?;
                if self.dir().join("container.json").exists() {
                    return Ok(Locked(open));
                }
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(format!("open({})", file.display()), &e)),
        }
        Err(Error::new(format!("No such container: {}", self.record.name)).why("somebody has just removed it"))
    }

    /// Writes down what it is.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn save(&self) -> Result<()> {
        write(&self.dir(), "container.json", &self.record, !self.record.rm)
    }

    /// What happened to it so far.
    pub fn history(&self) -> History {
        read(&self.dir().join("history.json")).ok().flatten().unwrap_or_default()
    }

    /// Changes what happened to it.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn note(&self, change: impl FnOnce(&mut History)) -> Result<()> {
        let mut history = self.history();
        change(&mut history);
        write(&self.dir(), "history.json", &history, !self.record.rm)
    }

    // ANCHOR: now
    /// What is true of it now. The kernel is asked, and not only the files.
    pub fn now(&self) -> Now {
        let alive = journal::alive(self.state(), self.record.short());
        if let Some((made, watcher)) = alive.filter(|(made, _)| !made.only_files) {
            if made.init.is_none() {
                let history = self.history();
                let first = history.restarts == 0 && history.finished == 0;
                return if first { Now::Created } else { Now::Restarting { watcher } };
            }
            let paused = crate::cgroup::is_frozen(&made.cgroups);
            return Now::Running { made: Box::new(made), watcher, paused };
        }
        if self.history().started == 0 { Now::Created } else { Now::Exited }
    }
    // ANCHOR_END: now

    /// The truth about one whose monitor was killed: it is ended, and that is written down; one of `--rm` is removed. To
    /// be called by commands that are about to say something about it. Waits for nobody: who has the lock is
    /// about to change what is true.
    pub fn settle(&self) {
        let lost = |history: &History| history.open();
        let to_go = |history: &History| self.record.rm && history.finished > 0 && !history.between();
        let history = self.history();
        if !lost(&history) && !to_go(&history) || self.is_watched() {
            return;
        }
        let Some(_locked) = try_lock(&self.dir().join("lock")) else { return };
        journal::sweep_one(self.state(), self.record.short());
        // What is still there could not be taken back: somebody has it, or a process does not end.
        if journal::is_there(self.state(), self.record.short()) {
            return;
        }
        super::attach::forget(self.state(), self.record.short());
        if lost(&self.history()) {
            let _ = self.note(|h| {
                h.finished = super::times::now();
                h.exit_code = None;
                h.error = "monitor lost: nobody saw how it ended".into();
            });
            events::note(self, "die", &[("exitCode", "unknown".into()), ("error", "monitor lost".into())]);
        }
        if to_go(&self.history()) {
            let _ = self.remove(true);
        }
    }

    /// Does somebody look after it, or is about to?
    fn is_watched(&self) -> bool {
        journal::alive(self.state(), self.record.short()).is_some()
    }

    /// The same container as it stands written now: others may have changed it since this was read.
    #[must_use]
    pub fn fresh(&self) -> Self {
        self.store.by_short(self.record.short()).unwrap_or_else(|| self.clone())
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// The name is taken, or cannot be one.
    pub fn rename(&self, name: &str) -> Result<()> {
        names::check(name)?;
        let _mine = self.lock()?;
        let _locked = self.store.lock()?;
        if let Some(other) = self.store.by_name(name) {
            return Err(Error::new(format!("the name {name:?} is taken"))
                .why(format!("container {} has it", other.record.short())));
        }
        let mut new = self.fresh();
        let old = std::mem::replace(&mut new.record.name, name.to_string());
        // A name counts only when the record has it, too: so the record decides, between the two links.
        self.store.link(&new.record)?;
        new.save()?;
        let _ = std::fs::remove_file(self.store.names().join(&old));
        events::note(&new, "rename", &[("oldName", old)]);
        Ok(())
    }

    /// Makes the volumes that it has and that are not there (yet, or any more).
    ///
    /// # Errors
    /// ENOSPC.
    pub fn provide_volumes(&self) -> Result<()> {
        if self.record.volumes.is_empty() {
            return Ok(());
        }
        let volumes = Volumes::new(self.store.state);
        volumes.provide(&volumes.lock()?, &self.record.volumes)
    }

    /// What `--rm` promises: removes it, unless somebody has started it again meanwhile or is about to.
    pub fn remove_at_end(&self) {
        if let Ok(_locked) = self.lock()
            && self.now().is_over()
            && !self.history().between()
        {
            // What is left after a failure is swept.
            let _ = self.remove(true);
        }
    }

    /// Removes it and all that it has written; with `volumes` also into those that were given no name. It must have
    /// ended, and the caller must have its lock.
    ///
    /// # Errors
    /// EACCES for what belongs to users that are not ours.
    pub fn remove(&self, volumes: bool) -> Result<()> {
        if volumes || self.record.rm {
            // First, because only the record says which they are.
            Volumes::new(self.store.state).remove_anonymous(self)?;
        }
        let locked = self.store.lock()?;
        let name = self.fresh().record.name;
        super::attach::forget(self.state(), self.record.short());
        // From here on it is none; what is left after a crash is swept.
        let record = self.dir().join("container.json");
        std::fs::remove_file(&record).map_err(|e| Error::io(format!("unlink({})", record.display()), &e))?;
        let link = self.store.names().join(name);
        if std::fs::read_link(&link).is_ok_and(|id| id == Path::new(self.record.short())) {
            let _ = std::fs::remove_file(&link);
        }
        events::note(self, "destroy", &[]);
        // A large layer takes its time, and others want to create and remove meanwhile.
        drop(locked);
        crate::primitive::remove_directory(&self.dir())
    }
}

fn private(dir: &Path) -> Result<()> {
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(|e| Error::io(format!("chmod({}, 0700)", dir.display()), &e))
}

/// Waits for the lock of this file.
///
/// # Errors
/// When it cannot be made.
pub fn lock(file: &Path) -> Result<Locked> {
    let open = File::options().create(true).truncate(false).write(true).open(file);
    let fail = |what: &str, e: &std::io::Error| Error::io(format!("{what}({})", file.display()), e);
    let open = open.map_err(|e| fail("open", &e))?;
    open.lock().map_err(|e| fail("flock", &e))?;
    Ok(Locked(open))
}

/// The same, if nobody has it.
fn try_lock(file: &Path) -> Option<Locked> {
    let open = File::options().write(true).open(file).ok()?;
    open.try_lock().ok().map(|()| Locked(open))
}

/// What a file of ours says; none when it is not there or says nothing that makes sense.
///
/// # Errors
/// EACCES and the like.
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(format!("open({})", file.display()), &e)),
    }
}

/// Beside its place, synced, renamed: after a power cut there is the old one or the new one. What nobody asks for after
/// one (`lasting` is false) need not be synced.
///
/// # Errors
/// ENOSPC.
pub fn write(dir: &Path, name: &str, value: &impl Serialize, lasting: bool) -> Result<()> {
    let (file, new) = (dir.join(name), dir.join(format!(".{name}.{}", std::process::id())));
    let fail = |call: &str, e: &std::io::Error| {
        let _ = std::fs::remove_file(&new);
        Error::io(format!("{call}({})", file.display()), e)
    };
    let text = serde_json::to_vec_pretty(value).map_err(|e| Error::new(format!("{name} as JSON: {e}")))?;
    let mut open = File::create(&new).map_err(|e| fail("open", &e))?;
    open.write_all(&text)
        .and_then(|()| if lasting { open.sync_data() } else { Ok(()) })
        .map_err(|e| fail("write", &e))?;
    std::fs::rename(&new, &file).map_err(|e| fail("rename", &e))?;
    Ok(())
}
