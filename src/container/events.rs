//! What happened to containers, in docker's words: a journal for each state directory, to which every command and every
//! monitor appends. A record is one write(2) with O_APPEND, so those of many writers never mix (the kernel holds the
//! file's lock meanwhile); it begins with the control character RS and ends with a newline (RFC 7464), so that one which
//! a full disk has cut short spoils no other.
//!
//! Who appends holds the file's lock shared, who rotates it alone: after the rename nobody writes to the old file any
//! more, and a reader that has read it to its end has missed nothing.

use super::store::Container;
use super::times;
use crate::error::{Error, Result};
use crate::state::{State, make_private};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// When the journal is this long (in bytes), it becomes the old one, and what was the old one goes.
const LONGEST: u64 = 1 << 20;

const RS: u8 = 0x1e;

/// One thing that happened. Fields and their order are docker's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The same as `action`, for containers (docker's older form).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The same as the actor's, for containers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The image, for containers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// `container`, `volume`, `image`, `network`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What happened: `start`, `die`, `health_status: healthy`.
    #[serde(rename = "Action")]
    pub action: String,
    /// To whom.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// Always `local`.
    pub scope: String,
    /// Seconds since 1970.
    pub time: i64,
    /// Nanoseconds since 1970.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// To whom it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// A container's id; a volume's name.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name, image, labels, and what belongs to the action (`exitCode`, `signal`).
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// Something happened to a container. What cannot be written down (a full disk) is lost: no action fails for its event.
pub fn note(container: &Container<'_>, action: &str, more: &[(&str, String)]) {
    let record = &container.record;
    let mut attributes = record.labels.clone();
    attributes.insert("image".into(), record.image.clone());
    attributes.insert("name".into(), record.name.clone());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_string(), value.clone())));
    let mut event = Event::new("container", action, Actor { id: record.id.clone(), attributes });
    (event.status, event.id, event.from) = (action.into(), record.id.clone(), record.image.clone());
    let _ = append(container.state(), &event);
}

/// Something happened to a thing of another kind (`volume`, `image`, `network`), known by its name.
pub fn note_other(state: &State, kind: &str, name: &str, action: &str, more: &[(&str, String)]) {
    let attributes = more.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    let _ = append(state, &Event::new(kind, action, Actor { id: name.into(), attributes }));
}

impl Event {
    fn new(kind: &str, action: &str, actor: Actor) -> Event {
        let now = times::now();
        Event {
            status: String::new(),
            id: String::new(),
            from: String::new(),
            kind: kind.into(),
            action: action.into(),
            actor,
            scope: "local".into(),
            time: now / 1_000_000_000,
            time_nano: now,
        }
    }
}

fn directory(state: &State) -> PathBuf {
    state.lib.join("events")
}

fn current(dir: &Path) -> PathBuf {
    dir.join("journal")
}

fn old(dir: &Path) -> PathBuf {
    dir.join("journal.1")
}

fn number(file: &Path) -> Option<u64> {
    file.metadata().ok().map(|m| m.ino())
}

fn append(state: &State, event: &Event) -> std::io::Result<()> {
    let dir = directory(state);
    let path = current(&dir);
    let mut record = vec![RS];
    serde_json::to_writer(&mut record, event)?;
    record.push(b'\n');
    loop {
        let mut file = match OpenOptions::new().append(true).create(true).mode(0o600).open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_private(&dir).map_err(|e| std::io::Error::other(e.to_string()))?;
                continue;
            }
            file => file?,
        };
        file.lock_shared()?;
        // Rotated between our open and our lock?
        if number(&path) != Some(file.metadata()?.ino()) {
            continue;
        }
        // Once, whatever it says: the rest of a record that was cut short would stand behind somebody else's.
        let _ = file.write(&record)?;
        if file.metadata()?.len() > LONGEST {
            rotate(&file, &path, &dir);
        }
        return Ok(());
    }
}

/// If nobody else is at work on it; otherwise the next one will.
fn rotate(file: &File, path: &Path, dir: &Path) {
    if file.unlock().is_ok() && file.try_lock().is_ok() && number(path) == file.metadata().ok().map(|m| m.ino()) {
        let _ = std::fs::rename(path, old(dir));
    }
}

/// Reads what is in the journal and, if wanted, what comes.
pub struct Reader {
    dir: PathBuf,
    open: Option<File>,
    /// The beginning of a record.
    piece: Vec<u8>,
}

impl Reader {
    /// From the first event that is still known, or from the next one on.
    ///
    /// # Errors
    /// When the state directory cannot be made.
    pub fn new(state: &State, from_the_first: bool) -> Result<Reader> {
        let dir = directory(state);
        make_private(&dir)?;
        let mut reader = Reader { dir, open: None, piece: vec![] };
        if !from_the_first {
            reader.open = File::open(current(&reader.dir)).or_else(|_| File::open(old(&reader.dir))).ok();
            if let Some(file) = &mut reader.open {
                file.seek(SeekFrom::End(0)).map_err(|e| Error::io("lseek(the journal)", &e))?;
            }
        }
        Ok(reader)
    }

    /// Becomes readable when something happens. Nobody wakes up before.
    ///
    /// # Errors
    /// EMFILE at a limit on inotify instances (fs.inotify.max_user_instances).
    pub fn bell(&self) -> Result<Inotify> {
        let bell = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(|e| {
            Error::call("inotify_init1()", e).explain(
                nix::errno::Errno::EMFILE,
                "too many programs of yours wait for files to change",
                "sysctl fs.inotify.max_user_instances",
            )
        })?;
        let what = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVE;
        bell.add_watch(&self.dir, what)
            .map_err(|e| Error::call(format!("inotify_add_watch({})", self.dir.display()), e))?;
        Ok(bell)
    }

    /// All that has happened since the last look.
    pub fn look(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            self.read(&mut events);
            if !self.is_behind() {
                return events;
            }
            // Between the read and the rename somebody may have appended; after it nobody has.
            self.read(&mut events);
            let this = self.this();
            let file =
                if this.is_none() || this != number(&old(&self.dir)) { old(&self.dir) } else { current(&self.dir) };
            self.piece.clear();
            self.open = File::open(file).or_else(|_| File::open(current(&self.dir))).ok();
        }
    }

    fn this(&self) -> Option<u64> {
        self.open.as_ref()?.metadata().ok().map(|m| m.ino())
    }

    /// Is there a newer file than the one that is open?
    fn is_behind(&self) -> bool {
        let newest = number(&current(&self.dir));
        newest.is_some() && newest != self.this() || self.open.is_none() && old(&self.dir).exists()
    }

    fn read(&mut self, events: &mut Vec<Event>) {
        let Some(file) = &mut self.open else { return };
        let mut buffer = [0; 16384];
        loop {
            let n = match file.read(&mut buffer) {
                Ok(n) if n > 0 => n,
                _ => return,
            };
            for &byte in &buffer[..n] {
                match byte {
                    RS => self.piece.clear(),
                    b'\n' => {
                        // What was cut short is no event.
                        events.extend(serde_json::from_slice::<Event>(&self.piece).ok());
                        self.piece.clear();
                    }
                    byte => self.piece.push(byte),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(dir: &Path) -> State {
        State { run: dir.join("run"), lib: dir.join("lib"), moved: true }
    }

    fn names(events: &[Event]) -> Vec<String> {
        events.iter().map(|e| e.action.clone()).collect()
    }

    #[test]
    fn a_record_that_was_cut_short_spoils_no_other() {
        let temp = tempfile::tempdir().unwrap();
        let state = state(temp.path());
        note_other(&state, "volume", "v", "create", &[]);
        let journal = current(&directory(&state));
        let mut file = OpenOptions::new().append(true).open(journal).unwrap();
        file.write_all(b"\x1e{\"Type\":\"volume\",\"Act").unwrap();
        note_other(&state, "volume", "v", "mount", &[("destination", "/x".into())]);
        let events = Reader::new(&state, true).unwrap().look();
        assert_eq!(names(&events), ["create", "mount"]);
        assert_eq!(events[1].actor.attributes["destination"], "/x");
    }

    #[test]
    fn a_reader_follows_through_rotation_and_the_journal_stays_bounded() {
        let temp = tempfile::tempdir().unwrap();
        let state = state(temp.path());
        note_other(&state, "volume", "v", "before", &[]);
        let mut reader = Reader::new(&state, false).unwrap();
        let filler = "x".repeat(10_000);
        let mut seen = Vec::new();
        for n in 0..500 {
            note_other(&state, "volume", "v", &n.to_string(), &[("filler", filler.clone())]);
            if n % 70 == 0 {
                seen.extend(names(&reader.look()));
            }
        }
        seen.extend(names(&reader.look()));
        assert_eq!(seen, (0..500).map(|n| n.to_string()).collect::<Vec<_>>());
        let sizes = [current(&directory(&state)), old(&directory(&state))].map(|f| f.metadata().unwrap().len());
        assert!(sizes.iter().all(|size| *size < LONGEST + 20_000), "{sizes:?}");
        // Who comes later finds what is still there, in its order and without a gap.
        let known = names(&Reader::new(&state, true).unwrap().look());
        let first: usize = known[0].parse().unwrap();
        assert!(first > 0);
        assert_eq!(known, (first..500).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}
