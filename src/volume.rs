//! Volumes: directories with a name, which stay when the containers that wrote into them go. Each has a directory below
//! `volumes/` in the state directory, and in it
//!
//! - `volume.json`, what it is: written beside its place, synced, renamed; a directory without it is no volume;
//! - `_data`, what containers see;
//! - `filled`, once it has been filled with what an image had in its place ([`fill`]).
//!
//! One lock is held while volumes are made or removed, and while a container that uses one is written down: so none is
//! removed between somebody's looking for it and using it.

pub mod copy;
pub mod fill;

use crate::container::store::{self, Container, Locked, Store};
use crate::container::{events, names, times};
use crate::error::{Error, Result};
use crate::mounts::Volume as Asked;
use crate::spec::build::Options;
use crate::state::{State, make_private};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Unique among this user's volumes.
    pub name: String,
    /// When it was made: nanoseconds since 1970.
    pub created: i64,
    /// `--label`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `--opt`, as it was given.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Was it made for one container, which gave it no name?
    #[serde(default)]
    pub anonymous: bool,
}

/// A volume that a container has; in its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Which.
    pub name: String,
    /// Where in the container.
    pub destination: PathBuf,
    /// Does it go with this container?
    pub anonymous: bool,
    /// With these labels, if it has to be made (`--mount …,volume-label=`).
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Volume {
    /// One that does not exist yet.
    pub fn new(name: &str) -> Volume {
        Volume {
            name: name.into(),
            created: times::now(),
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            anonymous: false,
        }
    }

    /// The directory of the host that stands for it (`-o type=none -o o=bind -o device=DIR`), if one does.
    pub fn device(&self) -> Option<&Path> {
        self.options.get("device").map(Path::new)
    }
}

/// All volumes of one user (of one state directory).
#[derive(Debug, Clone, Copy)]
pub struct Volumes<'a> {
    state: &'a State,
}

impl<'a> Volumes<'a> {
    /// Of this state directory.
    pub fn new(state: &'a State) -> Volumes<'a> {
        Volumes { state }
    }

    fn all_homes(&self) -> PathBuf {
        self.state.lib.join("volumes")
    }

    /// A volume's own directory.
    pub fn home(&self, name: &str) -> PathBuf {
        self.all_homes().join(name)
    }

    /// What containers see of it.
    pub fn data(&self, volume: &Volume) -> PathBuf {
        volume.device().map_or_else(|| self.home(&volume.name).join("_data"), Path::to_path_buf)
    }

    /// Keeps everybody else from making and removing volumes.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn lock(&self) -> Result<Locked> {
        make_private(&self.all_homes())?;
        store::lock(&self.state.lib.join("volumes.lock"))
    }

    /// The volume of that name.
    pub fn get(&self, name: &str) -> Option<Volume> {
        names::check(name).ok()?;
        let volume: Volume = store::read(&self.home(name).join("volume.json")).ok()??;
        (volume.name == name).then_some(volume)
    }

    /// The same, or an error.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &str) -> Result<Volume> {
        self.get(name)
            .ok_or_else(|| Error::new(format!("no such volume: {name}")).hint("boxwright volume ls lists them"))
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn all(&self) -> Result<Vec<Volume>> {
        let mut all: Vec<Volume> = self.entries()?.iter().filter_map(|name| self.get(name)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn entries(&self) -> Result<Vec<String>> {
        match std::fs::read_dir(self.all_homes()) {
            Ok(entries) => Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(vec![]),
            Err(e) => Err(Error::io(format!("opendir({})", self.all_homes().display()), &e)),
        }
    }

    /// Makes a volume, unless there is one of that name: then it is that.
    ///
    /// # Errors
    /// The name cannot be one; ENOSPC.
    pub fn make(&self, _locked: &Locked, wanted: Volume) -> Result<Volume> {
        names::check(&wanted.name)?;
        if let Some(there) = self.get(&wanted.name) {
            return Ok(there);
        }
        let home = self.home(&wanted.name);
        // Somebody was killed in the middle of making or removing it.
        crate::primitive::remove_directory(&home)?;
        make_private(&home)?;
        make_data(&home.join("_data"))?;
        store::write(&home, "volume.json", &wanted, true)?;
        events::note_other(self.state, "volume", &wanted.name, "create", &[("driver", "local".into())]);
        Ok(wanted)
    }

    /// Makes those of a container that are missing.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn provide(&self, locked: &Locked, uses: &[Use]) -> Result<()> {
        for one in uses {
            let (labels, anonymous) = (one.labels.clone(), one.anonymous);
            self.make(locked, Volume { labels, anonymous, ..Volume::new(&one.name) })?;
        }
        Ok(())
    }

    /// The containers that have it, running or not.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn users(&self, name: &str) -> Result<Vec<Container<'a>>> {
        let all = Store::new(self.state).all()?;
        Ok(all.into_iter().filter(|c| c.record.volumes.iter().any(|v| v.name == name)).collect())
    }

    /// Removes a volume and all that is in it. A directory of the host that stands for one stays.
    ///
    /// # Errors
    /// A container has it; EACCES for what belongs to users that are not ours.
    pub fn remove(&self, _locked: &Locked, name: &str) -> Result<()> {
        self.find(name)?;
        if let Some(user) = self.users(name)?.first() {
            return Err(Error::new(format!("volume {name} is in use"))
                .why(format!("container {} ({}) has it", user.record.name, user.record.short()))
                .hint(format!("boxwright rm {}", user.record.name)));
        }
        self.discard(name)
    }

    fn discard(&self, name: &str) -> Result<()> {
        let home = self.home(name);
        // From here on it is none; what is left after a crash is swept.
        let record = home.join("volume.json");
        std::fs::remove_file(&record).map_err(|e| Error::io(format!("unlink({})", record.display()), &e))?;
        events::note_other(self.state, "volume", name, "destroy", &[("driver", "local".into())]);
        crate::primitive::remove_directory(&home)
    }

    /// Those that were made for this container alone, and that no other one has come to use.
    ///
    /// # Errors
    /// As [`Volumes::remove`].
    pub fn remove_anonymous(&self, container: &Container<'_>) -> Result<()> {
        let uses = &container.record.volumes;
        if uses.iter().all(|one| !one.anonymous) {
            return Ok(());
        }
        let _locked = self.lock()?;
        for one in uses.iter().filter(|one| one.anonymous) {
            if self.get(&one.name).is_none() {
                // Somebody was killed in the middle of removing it.
                crate::primitive::remove_directory(&self.home(&one.name))?;
            } else if self.users(&one.name)?.iter().all(|user| user.record.id == container.record.id) {
                self.discard(&one.name)?;
            }
        }
        Ok(())
    }

    /// Directories whose making or removing was interrupted.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn sweep(&self, _locked: &Locked) -> Result<()> {
        for name in self.entries()? {
            if !self.home(&name).join("volume.json").exists() {
                let _ = crate::primitive::remove_directory(&self.home(&name));
            }
        }
        Ok(())
    }
}

/// Open to every user in a container, as a directory of an image would be, whatever the caller's umask; who else may come
/// this far is decided by the directories above it.
fn make_data(data: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(data).map_err(|e| Error::io(format!("mkdir({})", data.display()), &e))?;
    std::fs::set_permissions(data, PermissionsExt::from_mode(0o755))
        .map_err(|e| Error::io(format!("chmod({}, 0755)", data.display()), &e))
}

/// Gives a name to every volume among the flags that has none, and says which volumes there are: what a container's
/// record keeps, so that it has the same ones each time it is started.
///
/// # Errors
/// What cannot be understood.
pub fn settle(options: &mut Options) -> Result<Vec<Use>> {
    let mut uses = Vec::new();
    for text in &mut options.volume {
        let Some(asked) = crate::mounts::parse_volume(text)?.1 else { continue };
        let one = name(asked);
        if one.anonymous {
            *text = format!("{}:{text}", one.name);
        }
        uses.push(one);
    }
    for text in &mut options.mount {
        let Some(asked) = crate::mounts::parse_mount(text)?.1 else { continue };
        let one = name(asked);
        if one.anonymous {
            *text = format!("{text},source={}", one.name);
        }
        uses.push(one);
    }
    Ok(uses)
}

fn name(asked: Asked) -> Use {
    let anonymous = asked.name.is_none();
    let name = asked.name.unwrap_or_else(random_name);
    Use { name, destination: asked.destination, anonymous, labels: asked.labels }
}

/// docker's: 64 hexadecimal digits.
pub fn random_name() -> String {
    let mut bytes = [0; 32];
    crate::sys::process::random(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
