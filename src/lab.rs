//! Labs: a learner plays a script, compares what the kernel did with a snapshot, and then does an exercise whose effect
//! on the kernel is checked. A lab is a folder `labs/NN-stage/`, and all of them are in the program:
//!
//! - `script.sh`: plain sh, in steps ([`script`]); it is played block by block in one shell ([`shell`], [`play`]);
//! - `root.snap`, and `user.snap` where an ordinary user sees something else: what its steps print ([`compare`]), in the
//!   form that it has on every machine ([`normal`], [`output`]);
//! - `exercise.sh`: what the learner begins with; `check.sh`: looks at what the kernel did; `hints.md`; `solution.sh`
//!   ([`exercise`]).

pub mod chapter;
pub mod compare;
pub mod exercise;
mod groups;
pub mod normal;
pub mod output;
pub mod place;
pub mod play;
pub mod progress;
pub mod reader;
pub mod script;
pub mod shell;

use crate::error::{Error, Result};
use script::Script;

type Files = &'static [(&'static str, &'static str)];

mod embedded {
    use super::Files;
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// One lab.
#[derive(Debug, Clone, Copy)]
pub struct Lab {
    /// `01-unshare-pid`.
    pub folder: &'static str,
    files: Files,
}

impl Lab {
    /// `01`: its stage's place in the list.
    pub fn number(&self) -> &'static str {
        self.folder.split_once('-').map_or(self.folder, |(number, _)| number)
    }

    /// `unshare-pid`.
    pub fn name(&self) -> &'static str {
        self.folder.split_once('-').map_or(self.folder, |(_, name)| name)
    }

    /// One of its files; empty when the lab has no such file.
    pub fn file(&self, name: &str) -> &'static str {
        find_file(self.files, name).unwrap_or_default()
    }

    /// Its script.
    ///
    /// # Errors
    /// When the script is not written as a script should be.
    pub fn script(&self) -> Result<Script> {
        script::parse(self.file("script.sh")).map_err(|e| e.why(format!("labs/{}/script.sh", self.folder)))
    }

    /// What the script prints: for root or for an ordinary user.
    pub fn snapshot(&self, root: bool) -> &'static str {
        let file = if root { "" } else { self.file("user.snap") };
        let text = if file.is_empty() { self.file("root.snap") } else { file };
        // Without the head that insta writes.
        text.splitn(3, "---\n").nth(2).unwrap_or_default()
    }
}

fn find_file(files: Files, name: &str) -> Option<&'static str> {
    files.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

/// All labs, in the order of the list.
pub fn all() -> Vec<Lab> {
    embedded::FOLDERS.iter().map(|(folder, files)| Lab { folder, files }).collect()
}

/// By number (`1`, `01`), name, or folder.
///
/// # Errors
/// When there is no such lab.
pub fn find(word: &str) -> Result<Lab> {
    let number = word.parse::<usize>().ok();
    all()
        .into_iter()
        .find(|lab| lab.folder == word || lab.name() == word || number.is_some() && lab.number().parse().ok() == number)
        .ok_or_else(|| Error::new(format!("no such lab: {word}")).hint("boxwright lab list"))
}

/// What every check begins with.
pub fn lib() -> &'static str {
    embedded::LIB
}

/// Every embedded file of the labs, for `lab export`.
pub fn files() -> impl Iterator<Item = (String, &'static str)> {
    let labs = embedded::FOLDERS
        .iter()
        .flat_map(|(folder, files)| files.iter().map(move |(name, text)| (format!("{folder}/{name}"), *text)));
    labs.chain([("lib.sh".to_string(), embedded::LIB)])
}
