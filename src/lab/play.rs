//! Plays a lab's script: step by step, and each step block by block, in one shell.

use super::Lab;
use super::compare::{self, Wrong};
use super::output::Normaliser;
use super::place::Place;
use super::script::{Block, Need, Step};
use super::shell::Shell;
use crate::error::Result;
use crate::state::State;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a step went.
#[derive(Debug)]
pub enum Outcome {
    /// It cannot be done here, for this reason.
    Skipped(String),
    /// It was done.
    Done {
        /// Its part of the transcript, as it is on every machine.
        text: String,
        /// What is wrong with it.
        wrong: Vec<Wrong>,
        /// How long it took.
        took: Duration,
    },
}

/// Whoever watches: sees each block before it runs, and its output as it comes.
pub trait Audience {
    /// A block is about to run.
    fn before(&mut self, _: &Block) {}
    /// It printed this.
    fn output(&mut self, _: &str) {}
}

/// Nobody.
#[derive(Debug)]
pub struct Empty;
impl Audience for Empty {}

/// One script being played.
#[derive(Debug)]
pub struct Player<'a> {
    shell: Shell<'a>,
    normaliser: Normaliser,
    snapshot: &'static str,
    root: bool,
    place: &'a Place,
}

impl<'a> Player<'a> {
    /// For a lab, in a place, for whoever runs this.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn new(lab: &Lab, place: &'a Place, state: &State, colour: bool) -> Result<Player<'a>> {
        let root = nix::unistd::geteuid().is_root();
        Ok(Player {
            shell: Shell::start(place, colour)?,
            normaliser: Normaliser::new(&place.dir, state),
            snapshot: lab.snapshot(root),
            root,
            place,
        })
    }

    /// Plays a step, if this machine and this user can.
    ///
    /// # Errors
    /// When a block does not end, or ends the shell.
    pub fn step(&mut self, step: &Step, audience: &mut dyn Audience) -> Result<Outcome> {
        if let Some(reason) = step.needs.iter().find_map(|need| self.lack(need)) {
            return Ok(Outcome::Skipped(reason));
        }
        let begin = Instant::now();
        let mut parts = Vec::new();
        for block in &step.blocks {
            audience.before(block);
            if block.code.is_empty() {
                continue;
            }
            let ran = self.shell.run(&block.code, &mut |text| audience.output(text))?;
            let mut text = block.typed();
            text += &self.normaliser.output(&without_colours(&ran.output), &step.varies);
            if ran.status != 0 {
                let status = format!("[exit {}]\n", ran.status);
                audience.output(&status);
                text += &status;
            }
            parts.push(text);
        }
        let text = parts.join("\n");
        let should = compare::step(self.snapshot, &step.title);
        let wrong = compare::compare(step, should, &text);
        Ok(Outcome::Done { text, wrong, took: begin.elapsed() })
    }

    /// Why a need is not met.
    fn lack(&self, need: &Need) -> Option<String> {
        match need {
            Need::Root => (!self.root).then(|| "it needs root".into()),
            Need::User => self.root.then(|| "it is for an ordinary user".into()),
            Need::Tool(name) => {
                let found = std::env::split_paths(&self.place.path).any(|dir| dir.join(name).is_file());
                (!found).then(|| format!("there is no {name} here"))
            }
            Need::Stage(name) => stage_lack(name),
            Need::Cgroup(version) => {
                let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
                let v1 = mounts.lines().any(|l| l.split(' ').nth(2) == Some("cgroup"));
                (v1 != (*version == 1)).then(|| format!("cgroups here are not version {version}"))
            }
        }
    }
}

/// Why a stage does not work here: by trying it.
pub fn stage_lack(name: &str) -> Option<String> {
    let program = std::env::current_exe().ok()?;
    // A stage leaves nothing; full-run's container stays unless it is told not to.
    let rm = (name == "full-run").then_some("--rm");
    let run = Command::new(program).arg(name).args(rm).stdin(Stdio::null()).output().ok()?;
    if run.status.success() {
        return None;
    }
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let why = said.lines().find_map(|line| line.strip_prefix("  why: "));
    Some(why.or(said.lines().next()).unwrap_or("it failed without a word").to_string())
}

/// Text without the sequences that colour it.
pub fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        rest = after.find(|c: char| c.is_ascii_alphabetic()).map_or("", |at| &after[at + 1..]);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn colours_go() {
        assert_eq!(super::without_colours("a\x1b[1;32mb\x1b[0mc"), "abc");
        assert_eq!(super::without_colours("\x1b[1"), "");
    }
}
