//! What a learner has done so far: one small JSON file in the state directory, which says of each lab how far its script
//! was as it should be, whether its exercise was solved, and how many hints were looked at.

use super::Lab;
use crate::error::{Error, Result};
use crate::state::{self, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Of one lab.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// All steps that could be done here were as in the snapshot.
    pub script: bool,
    /// The check of the exercise was green once.
    pub solved: bool,
    /// It could not be checked here, as whoever tried last.
    pub skipped: bool,
    /// Hints that were shown.
    pub hints: usize,
}

impl Done {
    /// Is it none that could be solved here?
    pub fn is_impossible(&self) -> bool {
        self.skipped && !self.solved
    }
}

/// Of all.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// By folder.
    pub labs: BTreeMap<String, Done>,
    /// The lab that was looked at last.
    pub current: Option<String>,
}

fn file(state: &State) -> PathBuf {
    state.lib.join("labs.json")
}

impl Progress {
    /// As it was left. What cannot be read is as if nothing had been done.
    pub fn load(state: &State) -> Progress {
        let text = std::fs::read_to_string(file(state)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Of one lab.
    pub fn of(&self, lab: &Lab) -> Done {
        self.labs.get(lab.folder).cloned().unwrap_or_default()
    }

    /// Changes what is known of a lab, which is the current one from now on.
    ///
    /// # Errors
    /// EACCES, ENOSPC.
    pub fn change(state: &State, lab: &Lab, change: impl FnOnce(&mut Done)) -> Result<()> {
        let mut all = Progress::load(state);
        change(all.labs.entry(lab.folder.into()).or_default());
        all.current = Some(lab.folder.into());
        all.save(state)
    }

    /// Writes it down, so that it is there whole or not at all.
    ///
    /// # Errors
    /// EACCES, ENOSPC.
    pub fn save(&self, state: &State) -> Result<()> {
        state::make_private(&state.lib)?;
        let (file, new) = (file(state), state.lib.join(format!("labs.json.{}", std::process::id())));
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::new(format!("progress as JSON: {e}")))?;
        std::fs::write(&new, text + "\n").map_err(|e| Error::io(format!("write({})", new.display()), &e))?;
        std::fs::rename(&new, &file).map_err(|e| Error::io(format!("rename({})", file.display()), &e))
    }

    /// The lab to go on with: the current one until it is solved, then the first that is not, and can be.
    pub fn next(&self) -> Option<Lab> {
        let open = |lab: &Lab| !self.of(lab).solved && !self.of(lab).is_impossible();
        let labs = super::all();
        let current = labs.iter().find(|lab| self.current.as_deref() == Some(lab.folder) && open(lab));
        current.or_else(|| labs.iter().find(|lab| open(lab))).copied()
    }
}
